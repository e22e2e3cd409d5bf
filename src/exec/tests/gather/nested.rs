//! Random pipelines with a step that gathers below each task of another one, in a random order of ends,
//! with failures, kills and edits, against what follows from the rules if one begins with nothing.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::world::{Act, World, below, by_key, gathers, left, step};
use crate::engine::{Job, Outcome};
use crate::model::digest::Digest;
use crate::model::gather::Gather;
use crate::model::list::{self, Form, Member};
use crate::model::task::TaskState;

const NAMES: [&str; 7] = ["begin", "outer", "split", "act", "merge", "late", "all"];
const OUTER: usize = 1;
const SPLIT: usize = 2;
const MERGE: usize = 4;
const ALL: usize = 6;
const KEYS: [&str; 3] = ["", "x", "y"];

/// What a step leaves: a key, the step that it is for or none, and a content.
type Left = Vec<(usize, Option<usize>, u8)>;
/// For each step what it leaves, by its input modulo their number.
type Scripts = Vec<Vec<Left>>;

#[derive(Debug, Clone, Copy)]
struct Shape {
    /// What the last step gathers.
    all: Gather,
    partial: bool,
    empty: bool,
    /// Whether the last step takes all that `split` leaves.
    from: bool,
}

fn shapes() -> impl Strategy<Value = Shape> {
    let all = prop_oneof![
        Just(Gather::Below(OUTER)),
        Just(Gather::Below(SPLIT)),
        Just(Gather::All),
        Just(Gather::ByKey),
    ];
    (all, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(all, partial, empty, from)| {
        Shape {
            all,
            partial,
            empty,
            from,
        }
    })
}

fn acts(shape: Shape) -> [Act; 7] {
    let merge = Act {
        partial: shape.partial,
        empty: shape.empty,
        ..below("merge", SPLIT)
    };
    let all = Act {
        from: if shape.from { &["split"] } else { &[] },
        ..match shape.all {
            Gather::All => gathers("all"),
            Gather::ByKey => by_key("all"),
            Gather::Below(owner) => below("all", owner),
        }
    };
    let acts = [
        step("begin"),
        step("outer"),
        step("split"),
        step("act"),
        merge,
        step("late"),
        all,
    ];
    acts.map(|act| Act {
        reuse_rule: false,
        ..act
    })
}

/// Steps that may come after, so that nothing goes round; what is late may come back to `merge`.
fn after(queue: usize) -> &'static [usize] {
    match queue {
        0 => &[1, 1, 2, 2, 3],
        1 => &[2, 2, 3, 5, 6],
        2 => &[3, 3, 4, 4, 6],
        3 => &[4, 4, 5, 6],
        4 => &[5, 6],
        5 => &[4, 6],
        _ => &[],
    }
}

fn scripts() -> impl Strategy<Value = Scripts> {
    let of_step = |queue: usize| {
        let to = prop::option::weighted(0.9, 0..after(queue).len().max(1));
        let to = to.prop_map(move |to| to.and_then(|at| after(queue).get(at).copied()));
        let left = prop::collection::vec((0..KEYS.len(), to, 0..4_u8), 0..4);
        prop::collection::vec(left, 1..4)
    };
    (0..NAMES.len()).map(of_step).collect::<Vec<_>>()
}

fn name(number: usize, (key, to, _): (usize, Option<usize>, u8)) -> String {
    match to {
        Some(to) if KEYS[key].is_empty() => format!("{}.{number}", NAMES[to]),
        Some(to) => format!("{}_{}.{number}", KEYS[key], NAMES[to]),
        None => format!("end.{number}"),
    }
}

fn content(queue: usize, input: &Digest, content: u8) -> String {
    format!("nested {queue} {content} {}", input.0[1] % 2)
}

fn of_input<'s>(scripts: &'s Scripts, queue: usize, input: &Digest) -> &'s Left {
    let all = &scripts[queue];
    &all[usize::from(input.0[0]) % all.len()]
}

fn fails(fails: u16, queue: usize, input: &Digest) -> bool {
    queue > 0 && fails >> ((queue * 3 + usize::from(input.0[2])) % 16) & 1 == 1
}

fn outcome(scripts: &Scripts, failing: u16, job: &Job) -> Outcome {
    let (queue, input) = (job.step.queue, job.ready.input);
    if fails(failing, queue, &input) {
        return Outcome::Failure("no".to_owned());
    }
    let outputs = of_input(scripts, queue, &input).iter().enumerate();
    let outputs: Vec<(String, String)> = outputs
        .map(|(number, output)| (name(number, *output), content(queue, &input, output.2)))
        .collect();
    let outputs: Vec<(&str, &str)> = outputs.iter().map(|(a, b)| (&**a, &**b)).collect();
    left(&outputs)
}

/// Step, input, and whether it was done.
type Told = (Option<usize>, Digest, TaskState);

/// A task above, its step, and whether what is below works on, or comes of, one of its groups.
type Above = (usize, usize, Option<usize>);

#[derive(Clone)]
struct Task {
    queue: usize,
    input: Digest,
    key: String,
    above: Vec<Above>,
}

/// All, found by doing one thing after the other.
struct Naive<'s> {
    shape: Shape,
    scripts: &'s Scripts,
    failing: u16,
    /// The steps that gather below tasks, with the step of these.
    kinds: Vec<(usize, usize)>,
    done: Vec<Task>,
    failed: Vec<Task>,
    told: Vec<Told>,
    /// By step and owner (none for those that wait for all) and key.
    groups: BTreeMap<(usize, Option<usize>, String), Vec<Member>>,
    fired: Vec<(usize, Option<usize>, String)>,
}

impl Naive<'_> {
    fn home(&self, kind: usize, above: &[Above]) -> Option<usize> {
        let owner = self.kinds[kind].1;
        let (node, _, behind) = above.iter().find(|(_, queue, _)| *queue == owner)?;
        behind.is_none_or(|behind| behind < kind).then_some(*node)
    }

    fn act(&mut self, task: Task) {
        let Task { queue, input, .. } = task;
        let id = self.done.len();
        let mut above = task.above.clone();
        let is_node = |(gathers, owner): &(usize, usize)| *gathers == queue || *owner == queue;
        if self.kinds.iter().any(is_node) {
            above.insert(0, (id, queue, None));
        }
        let outputs = of_input(self.scripts, queue, &input);
        let to = |output: &(usize, Option<usize>, u8)| {
            let taken = self.shape.from && queue == SPLIT && output.1 != Some(ALL);
            output.1.into_iter().chain(taken.then_some(ALL))
        };
        let goes_astray = outputs.iter().flat_map(to).any(|to| {
            let kind = self.kinds.iter().position(|(gathers, _)| *gathers == to);
            kind.is_some_and(|kind| self.home(kind, &above).is_none())
        });
        if fails(self.failing, queue, &input) || goes_astray {
            self.told.push((Some(queue), input, TaskState::Failed));
            self.failed.push(task);
            self.done.push(Task {
                queue: usize::MAX,
                ..self.failed[self.failed.len() - 1].clone()
            });
            return;
        }
        self.told.push((Some(queue), input, TaskState::Done));
        // The number of a task is its place among both.
        self.done.push(task.clone());
        self.failed.push(Task {
            queue: usize::MAX,
            above: Vec::new(),
            ..task.clone()
        });
        for (number, output) in outputs.clone().into_iter().enumerate() {
            let digest = Digest::of(content(queue, &input, output.2).as_bytes());
            let key = match KEYS[output.0] {
                "" => task.key.clone(),
                key => key.to_owned(),
            };
            let taken = self.shape.from && queue == SPLIT && output.1 != Some(ALL);
            match output.1 {
                None => self.told.push((None, digest, TaskState::Done)),
                Some(to) if to != MERGE && to != ALL => self.act(Task {
                    queue: to,
                    input: digest,
                    key: key.clone(),
                    above: above.clone(),
                }),
                Some(to) => self.gather(to, (number, output), digest, key.clone(), &above),
            }
            if taken {
                let key = match output.1 {
                    None => "end".to_owned(),
                    Some(_) => key,
                };
                self.gather(ALL, (number, output), digest, key, &above);
            }
        }
    }

    fn gather(
        &mut self,
        to: usize,
        (number, output): (usize, (usize, Option<usize>, u8)),
        digest: Digest,
        key: String,
        above: &[Above],
    ) {
        let kind = self.kinds.iter().position(|(gathers, _)| *gathers == to);
        let owner = kind.and_then(|kind| self.home(kind, above));
        let group = match (owner, self.shape.all) {
            (None, Gather::ByKey) => key.clone(),
            _ => String::new(),
        };
        let group = self.groups.entry((to, owner, group)).or_default();
        group.push(Member {
            name: name(number, output).into(),
            key: key.into(),
            digest,
            form: Form::File,
        });
    }

    /// Works on the next group that is complete, if one is.
    fn next(&mut self) -> bool {
        for owner in (0..self.done.len()).rev() {
            for kind in 0..self.kinds.len() {
                let (queue, of) = self.kinds[kind];
                let group = (queue, Some(owner), String::new());
                if self.done[owner].queue != of || self.fired.contains(&group) {
                    continue;
                }
                let is_missing = |task: &Task| {
                    let mut above = task.above.iter();
                    above.any(|(node, _, behind)| {
                        *node == owner && behind.is_none_or(|behind| behind < kind)
                    })
                };
                let partial = queue == MERGE && self.shape.partial;
                if !partial && self.failed.iter().any(is_missing) {
                    continue;
                }
                let empty = queue == MERGE && self.shape.empty;
                if !empty && !self.groups.contains_key(&group) {
                    continue;
                }
                let mut above = self.done[owner].above.clone();
                above.insert(0, (owner, of, Some(kind)));
                let key = self.done[owner].key.clone();
                self.work(group, key, above);
                return true;
            }
        }
        // Those of one step that gathers all do not wait for each other.
        let counts = |task: &Task| task.queue != usize::MAX && task.queue != ALL;
        let broken = self.failed.iter().any(counts);
        let mut waiting = self.groups.keys();
        let next = waiting.find(|group| group.1.is_none() && !self.fired.contains(group));
        let Some(group) = next.filter(|_| !broken).cloned() else {
            return false;
        };
        let key = group.2.clone();
        self.work(group, key, Vec::new());
        true
    }

    fn work(&mut self, group: (usize, Option<usize>, String), key: String, above: Vec<Above>) {
        let members = self.groups.get(&group).cloned().unwrap_or_default();
        let task = Task {
            queue: group.0,
            input: Digest::of(list::of(members).as_bytes()),
            key,
            above,
        };
        self.fired.push(group);
        self.act(task);
    }
}

fn reference(shape: Shape, scripts: &Scripts, failing: u16) -> Vec<Told> {
    let mut kinds = vec![(MERGE, SPLIT)];
    if let Gather::Below(owner) = shape.all {
        kinds.push((ALL, owner));
    }
    let mut naive = Naive {
        shape,
        scripts,
        failing,
        kinds,
        done: Vec::new(),
        failed: Vec::new(),
        told: Vec::new(),
        groups: BTreeMap::new(),
        fired: Vec::new(),
    };
    naive.act(Task {
        queue: 0,
        input: Digest::EMPTY,
        key: String::new(),
        above: Vec::new(),
    });
    while naive.next() {}
    let mut told = naive.told;
    told.sort_by_key(|(queue, input, state)| (*queue, *input, *state == TaskState::Done));
    told
}

fn found(world: &World, runset: &crate::state::Runset) -> Vec<Told> {
    let mut told: Vec<Told> = world
        .rows(runset)
        .into_iter()
        .chain(world.finals(runset))
        .map(|row| {
            let queue = row.step.map(|step| {
                let mut names = NAMES.iter();
                names.position(|name| *name == step.as_str()).unwrap()
            });
            (queue, row.object, row.state)
        })
        .collect();
    told.sort_by_key(|(queue, input, state)| (*queue, *input, *state == TaskState::Done));
    told
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 150 } else { 1000 }))]

    #[test]
    fn is_what_follows_from_beginning_with_nothing(
        shape in shapes(),
        scripts in scripts(),
        edited in scripts(),
        failing in any::<u16>(),
        edits in prop::collection::vec(0..NAMES.len(), 0..3),
        dice in prop::collection::vec(any::<prop::sample::Index>(), 40),
        parallel in 1..5_usize,
        dies in prop::option::of(0..20_usize),
    ) {
        let mut world = World::new(acts(shape));
        let runset = world.fresh();
        let mut number = 0;
        let mut roll = |hand: &[Box<Job>]| {
            number += 1;
            dice[number % dice.len()].index(hand.len())
        };
        let mut scripts = scripts;
        for (round, failing) in [failing & 0x3333, failing & 0x1111, 0].into_iter().enumerate() {
            if let Some(ends) = dies.filter(|_| round < 2) {
                world.may_die(&runset, parallel, ends, &mut roll, &mut |job| outcome(&scripts, failing, job));
            }
            let mut next = |hand: &[Box<Job>]| Some(roll(hand));
            let mut act = |job: &Job| outcome(&scripts, failing, job);
            world.run_in_order(&runset, parallel, &mut next, &mut act).unwrap();
            let expected = reference(shape, &scripts, failing);
            let is = found(&world, &runset);
            // What fails by an edit and left nothing that was gathered takes nothing away from a group.
            let fails = |(_, _, state): &Told| *state == TaskState::Failed;
            if round < 2 || edits.is_empty() || !expected.iter().any(fails) {
                prop_assert_eq!(is, expected, "round {}", round);
            }
            for edit in edits.iter().filter(|_| round == 1) {
                scripts[*edit] = edited[*edit].clone();
                let step = world.steps[*edit].id;
                world.state.restart(&runset, step).unwrap();
                world.state.commit().unwrap();
            }
        }
    }
}
