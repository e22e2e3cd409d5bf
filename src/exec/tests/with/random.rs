//! Random pipelines of all shapes: steps that get other steps' outputs besides their inputs, pair by pair or
//! all of them, that take other steps' outputs, that gather. They run in a random order of ends, with
//! failures, kills and other versions of steps, against what follows from the rules if one begins with nothing.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::world::{Act, World, left, step};
use crate::engine::{Job, Outcome};
use crate::evict::{Wish, evict};
use crate::model::digest::Digest;
use crate::model::gather::Gather;
use crate::model::list::{self, Form, Member};
use crate::model::name::StepName;
use crate::model::route::Router;
use crate::model::task::TaskState;
use crate::state::Runset;
use crate::store::Store;

const NAMES: [&str; 7] = ["begin", "index", "act", "merge", "late", "pair", "last"];
const KEYS: [&str; 3] = ["", "x", "y"];
/// Of each step's versions: what [`World::new`] gives it, and others.
const SCRIPTS: [&str; 3] = [":", "1", "2"];

/// No run of these has so many ends of tasks.
const MOST: usize = 2000;

/// For each step the lists of steps that it may get, and those whose outputs it may take.
const WITH: [&[&[&str]]; 7] = [
    &[&[]],
    &[&[]],
    &[&[], &["index"]],
    &[&[], &["index"], &["act"]],
    &[&[], &["merge"], &["index", "merge"], &["act"]],
    &[&[], &["index"], &["act"], &["merge"], &["late"]],
    &[&[], &["pair"], &["late", "index"]],
];
const FROM: [&[&[&str]]; 7] = [
    &[&[]],
    &[&[]],
    &[&[], &["index"]],
    &[&[], &["act"], &["index"]],
    &[&[], &["merge"], &["act"]],
    &[&[], &["index"], &["late"]],
    &[&[], &["pair"], &["merge", "late"]],
];

/// What a step leaves: a key, the step that it is for or none, and a content.
type Left = Vec<(usize, Option<usize>, u8)>;
/// For each step and version what it leaves, by what it gets modulo their number.
type Scripts = Vec<Vec<Vec<Left>>>;

fn of_step(queue: usize) -> impl Strategy<Value = Act> {
    let gather = match queue {
        0..=2 => Just(None).boxed(),
        _ => prop_oneof![
            3 => Just(None),
            1 => Just(Some(Gather::All)),
            1 => Just(Some(Gather::ByKey)),
            1 => Just(Some(Gather::Below(0))),
            2 => (1..queue.min(4)).prop_map(|owner| Some(Gather::Below(owner))),
        ]
        .boxed(),
    };
    let with = prop::sample::select(WITH[queue]);
    let from = prop::sample::select(FROM[queue]);
    (gather, with, from, any::<bool>(), any::<bool>()).prop_map(
        move |(gather, with, from, each, empty)| Act {
            gather,
            with,
            from,
            each: each && with.len() == 1 && gather.is_none(),
            empty: empty && matches!(gather, Some(Gather::All | Gather::Below(_))),
            ..step(NAMES[queue])
        },
    )
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    (0..NAMES.len()).map(of_step).collect::<Vec<_>>()
}

/// Whatever comes after is reached, so that nothing goes round.
fn scripts() -> impl Strategy<Value = Scripts> {
    let of_step = |queue: usize| {
        let to = prop::option::weighted(0.8, queue + 1..NAMES.len().max(queue + 2));
        let to = to.prop_map(|to| to.filter(|to| *to < NAMES.len()));
        let left = prop::collection::vec((0..KEYS.len(), to, 0..4_u8), 0..4);
        let version = prop::collection::vec(left, 1..4);
        prop::collection::vec(version, SCRIPTS.len())
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

/// The same, where some say what they may leave.
fn promising(acts: Vec<Act>, scripts: &Scripts, promises: u8) -> Vec<Act> {
    let act = |(queue, act): (usize, Act)| {
        let all = scripts[queue].iter().flatten();
        let names = all.flat_map(|left| left.iter().enumerate());
        let names = names.map(|(number, output)| format!("{}?", name(number, *output)));
        let names: std::collections::BTreeSet<String> = names.collect();
        let texts = names.into_iter().map(|name| &*name.leak());
        let texts: Vec<&'static str> = texts.collect();
        let promises = promises >> queue & 1 == 1;
        Act {
            outputs: if promises { texts.leak() } else { &[] },
            ..act
        }
    };
    acts.into_iter().enumerate().map(act).collect()
}

/// Of all that a task gets.
fn seed(input: &Digest, context: Option<&Digest>, at: usize) -> u8 {
    input.0[at] ^ context.map_or(0, |context| context.0[at])
}

/// Name, content, key and step of an output.
type Leaves = (String, String, usize, Option<usize>);

/// All that decides about ends.
struct Scene {
    scripts: Scripts,
    /// Of each step.
    versions: [usize; NAMES.len()],
    failing: u16,
}

impl Scene {
    /// The names and contents that a task leaves, and where each goes.
    fn left(&self, queue: usize, input: &Digest, context: Option<&Digest>) -> Option<Vec<Leaves>> {
        let place = (queue * 3 + usize::from(seed(input, context, 2))) % 16;
        if queue > 0 && self.failing >> place & 1 == 1 {
            return None;
        }
        let all = &self.scripts[queue][self.versions[queue]];
        let outputs = all[usize::from(seed(input, context, 0)) % all.len()].iter();
        let told = |(number, output): (usize, &(usize, Option<usize>, u8))| {
            let bit = seed(input, context, 1) % 2;
            // What is final is never the same as what is not: that could not be dropped.
            let last = output.1.map_or("final", |_| "with");
            let bytes = format!("{last} {queue} {} {bit}", output.2);
            (name(number, *output), bytes, output.0, output.1)
        };
        Some(outputs.enumerate().map(told).collect())
    }

    fn outcome(&self, job: &Job) -> Outcome {
        let ready = &job.ready;
        let Some(outputs) = self.left(job.step.queue, &ready.input, ready.context.as_deref())
        else {
            return Outcome::Failure("no".to_owned());
        };
        let outputs: Vec<(&str, &str)> = outputs.iter().map(|it| (&*it.0, &*it.1)).collect();
        left(&outputs)
    }
}

/// Step, input, what else it gets, and whether it was done.
type Told = (Option<usize>, Digest, Option<Digest>, TaskState);

fn sorted(mut told: Vec<Told>) -> Vec<Told> {
    told.sort_by_key(|(queue, input, context, state)| {
        (*queue, *input, *context, *state == TaskState::Done)
    });
    told
}

struct Output {
    maker: usize,
    to: Option<usize>,
    /// The tasks that it descends from, the nearest one first.
    above: Vec<usize>,
    /// Of itself.
    key: String,
    /// With the key of its maker.
    member: Member,
}

/// What a task is to work on.
struct Task {
    input: Digest,
    key: String,
    above: Vec<usize>,
}

/// All, done one step after the other, as nothing leads back.
struct Naive<'s> {
    acts: &'s [Act],
    scene: &'s Scene,
    outputs: Vec<Output>,
    told: Vec<Told>,
    /// Of each task that was done its step, its key, and the tasks above it.
    done: Vec<(usize, String, Vec<usize>)>,
    /// Whether something went where it belongs to nothing.
    astray: bool,
}

impl Naive<'_> {
    fn is_taken(&self, queue: usize, output: &Output) -> bool {
        output.to == Some(queue) || self.acts[queue].from.contains(&NAMES[output.maker])
    }

    /// The tasks that a step gathers groups for.
    fn groups(&mut self, queue: usize, gather: Gather) -> Vec<Task> {
        let act = &self.acts[queue];
        let mut astray = false;
        let mut groups: BTreeMap<(Option<usize>, String), Vec<Member>> = BTreeMap::new();
        match gather {
            Gather::All if act.empty => {
                groups.insert((None, String::new()), Vec::new());
            }
            Gather::Below(owner) if act.empty => {
                let owners = self.done.iter().enumerate();
                let owners = owners.filter(|(_, (queue, ..))| *queue == owner);
                groups.extend(owners.map(|(id, _)| ((Some(id), String::new()), Vec::new())));
            }
            Gather::All | Gather::ByKey | Gather::Below(_) => {}
        }
        for output in self
            .outputs
            .iter()
            .filter(|output| self.is_taken(queue, output))
        {
            let group = match gather {
                Gather::All => (None, String::new()),
                Gather::ByKey => (None, output.key.clone()),
                Gather::Below(owner) => {
                    let mut above = output.above.iter();
                    let home = above.find(|id| self.done[**id].0 == owner);
                    astray |= home.is_none();
                    (home.copied(), String::new())
                }
            };
            groups.entry(group).or_default().push(Member {
                key: output.key.as_str().into(),
                ..output.member.clone()
            });
        }
        let task = |((owner, key), members): ((Option<usize>, _), _)| Task {
            input: Digest::of(list::of(members).as_bytes()),
            key: owner.map_or(key, |owner| self.done[owner].1.clone()),
            above: owner.map_or_else(Vec::new, |owner| {
                let above = self.done[owner].2.iter();
                std::iter::once(owner).chain(above.copied()).collect()
            }),
        };
        let tasks = groups.into_iter().map(task).collect();
        self.astray |= astray;
        tasks
    }

    fn step(&mut self, queue: usize, router: &Router) {
        let act = &self.acts[queue];
        let tasks = match act.gather {
            Some(gather) => self.groups(queue, gather),
            None if queue == 0 => vec![Task {
                input: Digest::EMPTY,
                key: String::new(),
                above: Vec::new(),
            }],
            None => {
                let taken = self
                    .outputs
                    .iter()
                    .filter(|output| self.is_taken(queue, output));
                let task = |output: &Output| Task {
                    input: output.member.digest,
                    key: output.key.clone(),
                    above: output.above.clone(),
                };
                taken.map(task).collect()
            }
        };
        let given = act.with.iter().map(|name| {
            let of_step = self.outputs.iter();
            let of_step = of_step.filter(|output| NAMES[output.maker] == *name);
            (*name, of_step.map(|output| output.member.clone()).collect())
        });
        let given = list::context(given);
        for task in tasks {
            if !act.each {
                let context = (!act.with.is_empty()).then(|| Digest::of(given.as_bytes()));
                self.act(queue, &task, context);
                continue;
            }
            for (path, alone) in list::each_alone(&given) {
                let name = path.split_once('/').unwrap().1;
                let of_file = match router.route(name) {
                    Some(_) => router.key(name),
                    None => name.split('.').next(),
                };
                let pair = Task {
                    input: task.input,
                    key: match of_file {
                        Some(of_file) => format!("{}_{of_file}", task.key),
                        None => task.key.clone(),
                    },
                    above: task.above.clone(),
                };
                self.act(queue, &pair, Some(Digest::of(alone.as_bytes())));
            }
        }
    }

    fn act(&mut self, queue: usize, task: &Task, context: Option<Digest>) {
        let Some(left) = self.scene.left(queue, &task.input, context.as_ref()) else {
            self.told
                .push((Some(queue), task.input, context, TaskState::Failed));
            return;
        };
        self.told
            .push((Some(queue), task.input, context, TaskState::Done));
        let mut above = vec![self.done.len()];
        above.extend(&task.above);
        self.done
            .push((queue, task.key.clone(), task.above.clone()));
        for (name, content, key, to) in left {
            let digest = Digest::of(content.as_bytes());
            let key = match (to, KEYS[key]) {
                (None, _) => {
                    self.told.push((None, digest, None, TaskState::Done));
                    "end".to_owned()
                }
                (Some(_), "") => task.key.clone(),
                (Some(_), key) => key.to_owned(),
            };
            self.outputs.push(Output {
                maker: queue,
                to,
                above: above.clone(),
                key,
                member: Member {
                    form: Form::File,
                    name: name.into(),
                    key: task.key.as_str().into(),
                    digest,
                },
            });
        }
    }
}

/// All that there is to be; none where something would go where it belongs to nothing.
fn reference(acts: &[Act], scene: &Scene) -> Option<Vec<Told>> {
    let router = Router::new(NAMES.map(|name| StepName::new(name).unwrap()));
    let mut naive = Naive {
        acts,
        scene,
        outputs: Vec::new(),
        told: Vec::new(),
        done: Vec::new(),
        astray: false,
    };
    for queue in 0..acts.len() {
        naive.step(queue, &router);
    }
    (!naive.astray).then(|| sorted(naive.told))
}

fn found(world: &World, runset: &Runset) -> Vec<Told> {
    let rows = world.rows(runset).into_iter().chain(world.finals(runset));
    let told = rows.map(|row| {
        let queue = row.step.map(|step| {
            let mut names = NAMES.iter();
            names.position(|name| *name == step.as_str()).unwrap()
        });
        (queue, row.object, row.context, row.state)
    });
    sorted(told.collect())
}

/// Whether something of what the task works on has no bytes.
fn lacks(store: &Store, job: &Job) -> bool {
    let ready = &job.ready;
    let context = ready.context.as_deref();
    store.lacks(&ready.input, ready.form).unwrap()
        || context.is_some_and(|context| store.lacks(context, Form::List).unwrap())
}

/// Drops the bytes of what can be made again, of these steps.
fn drop_bytes(world: &mut World, acts: &[Act], steps: u8) {
    let gives = |name: &str| acts.iter().any(|act| act.with.contains(&name));
    let steady = world.steps.iter().filter(|step| !gives(step.name.as_str()));
    let steady = steady.flat_map(|step| {
        let equal = step.equal.iter();
        equal.map(|version| (*version, step.name.clone()))
    });
    let wanted = world
        .steps
        .iter()
        .filter(|step| steps >> step.queue & 1 == 1);
    let wish = Wish {
        steps: Some(wanted.map(|step| step.name.clone()).collect()),
        ..Wish::default()
    };
    evict(
        &mut world.state,
        &world.store,
        &steady.collect(),
        &wish,
        false,
    )
    .unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 40 } else { 600 }))]

    #[test]
    fn is_what_follows_from_beginning_with_nothing(
        acts in acts(),
        scripts in scripts(),
        failing in any::<u16>(),
        promises in any::<u8>(),
        edits in prop::collection::vec((0..3_usize, 0..NAMES.len(), 0..SCRIPTS.len()), 0..5),
        dice in any::<u64>(),
        parallel in 1..5_usize,
        dies in prop::collection::vec((0..4_usize, 0..20_usize), 0..4),
        evicts in prop::collection::vec((0..3_usize, any::<u8>(), any::<bool>()), 0..4),
    ) {
        let acts = promising(acts, &scripts, promises);
        let mut world = World::new(acts.iter().cloned());
        let runset = world.fresh();
        // All worlds of this thread have one store.
        world.store.set_evicted(Vec::new());
        let store = std::sync::Arc::clone(&world.store);
        let mut scene = Scene { scripts, versions: [0; NAMES.len()], failing };
        let mut dice = dice;
        let mut roll = |hand: &[Box<Job>]| {
            dice = dice.rotate_left(7).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1);
            usize::try_from(dice >> 33).unwrap() % hand.len()
        };
        let rounds = [failing & 0x3333, failing & 0x1111, 0, 0];
        for (round, failing) in rounds.into_iter().enumerate() {
            scene.failing = failing;
            for (_, ends) in dies.iter().filter(|(at, _)| *at == round) {
                world.may_die(&runset, parallel, *ends, &mut roll, &mut |job| scene.outcome(job));
            }
            let mut ends = 0;
            let mut next = |hand: &[Box<Job>]| {
                ends += 1;
                assert!(ends < MOST, "it goes on and on");
                Some(roll(hand))
            };
            let mut act = |job: &Job| {
                assert!(!lacks(&store, job), "{job:?}");
                scene.outcome(job)
            };
            while world.run_in_order(&runset, parallel, &mut next, &mut act).unwrap().superseded > 0 {}
            // What waits for what has failed, and for how long, others look at.
            if failing == 0 {
                let Some(expected) = reference(&acts, &scene) else {
                    return Ok(());
                };
                prop_assert_eq!(found(&world, &runset), expected, "round {}", round);
                let again = world.run(&runset, parallel, &mut |job| panic!("once more: {job:?}"));
                prop_assert_eq!(again.executed + again.reused, 0, "round {}", round);
                for last in world.finals(&runset) {
                    prop_assert!(store.contains(&last.object), "{:?}", last);
                }
            }
            for (_, steps, _) in evicts.iter().filter(|(at, _, first)| *at == round && *first) {
                drop_bytes(&mut world, &acts, *steps);
            }
            for (_, queue, version) in edits.iter().filter(|(at, ..)| *at == round) {
                scene.versions[*queue] = *version;
                world.edit(&runset, *queue, SCRIPTS[*version]);
            }
            for (_, steps, _) in evicts.iter().filter(|(at, _, first)| *at == round && !*first) {
                drop_bytes(&mut world, &acts, *steps);
            }
        }
    }
}
