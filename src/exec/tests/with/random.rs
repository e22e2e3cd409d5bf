//! Random pipelines of all shapes: steps that get other steps' outputs besides their inputs, pair by pair or
//! all of them, that take other steps' outputs, that gather. They run in a random order of ends, with
//! failures, kills and other versions of steps, against what follows from the rules if one begins with nothing.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::world::{Act, World, left, step};
use crate::engine::{Job, Outcome};
use crate::model::digest::Digest;
use crate::model::gather::Gather;
use crate::model::list::{self, Form, Member};
use crate::model::name::StepName;
use crate::model::route::Router;
use crate::model::task::TaskState;
use crate::state::Runset;

const NAMES: [&str; 7] = ["begin", "index", "act", "merge", "late", "pair", "last"];
const KEYS: [&str; 3] = ["", "x", "y"];
/// Of each step's versions: what [`World::new`] gives it, and others.
const SCRIPTS: [&str; 3] = [":", "1", "2"];

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
            2 => Just(None),
            1 => Just(Some(Gather::All)),
            1 => Just(Some(Gather::ByKey)),
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
            empty: empty && gather == Some(Gather::All),
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
            let bytes = format!("with {queue} {} {bit}", output.2);
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
    /// Of itself.
    key: String,
    /// With the key of its maker.
    member: Member,
}

/// All, done one step after the other, as nothing leads back.
fn reference(acts: &[Act], scene: &Scene) -> Vec<Told> {
    let router = Router::new(NAMES.map(|name| StepName::new(name).unwrap()));
    let mut outputs: Vec<Output> = Vec::new();
    let mut told = Vec::new();
    for (queue, act) in acts.iter().enumerate() {
        let taken =
            |output: &&Output| output.to == Some(queue) || act.from.contains(&NAMES[output.maker]);
        let taken = outputs.iter().filter(taken);
        let mut tasks: Vec<(Digest, String)> = Vec::new();
        if let Some(gather) = act.gather {
            let mut groups: BTreeMap<String, Vec<Member>> = BTreeMap::new();
            if act.empty {
                groups.insert(String::new(), Vec::new());
            }
            for output in taken {
                let group = match gather {
                    Gather::ByKey => output.key.clone(),
                    Gather::All | Gather::Below(_) => String::new(),
                };
                groups.entry(group).or_default().push(Member {
                    key: output.key.as_str().into(),
                    ..output.member.clone()
                });
            }
            let group = |(key, members)| (Digest::of(list::of(members).as_bytes()), key);
            tasks.extend(groups.into_iter().map(group));
        } else {
            tasks.extend(taken.map(|output| (output.member.digest, output.key.clone())));
            if queue == 0 {
                tasks.push((Digest::EMPTY, String::new()));
            }
        }
        let given = act.with.iter().map(|name| {
            let of_step = outputs.iter().filter(|output| NAMES[output.maker] == *name);
            (*name, of_step.map(|output| output.member.clone()).collect())
        });
        let given = list::context(given);
        let mut all: Vec<(Digest, String, Option<Digest>)> = Vec::new();
        for (input, key) in tasks {
            if act.each {
                for (path, alone) in list::each_alone(&given) {
                    let name = path.split_once('/').unwrap().1;
                    let of_file = match router.route(name) {
                        Some(_) => router.key(name),
                        None => name.split('.').next(),
                    };
                    let key = match of_file {
                        Some(of_file) => format!("{key}_{of_file}"),
                        None => key.clone(),
                    };
                    all.push((input, key, Some(Digest::of(alone.as_bytes()))));
                }
            } else {
                let context = (!act.with.is_empty()).then(|| Digest::of(given.as_bytes()));
                all.push((input, key, context));
            }
        }
        for (input, about, context) in all {
            let Some(left) = scene.left(queue, &input, context.as_ref()) else {
                told.push((Some(queue), input, context, TaskState::Failed));
                continue;
            };
            told.push((Some(queue), input, context, TaskState::Done));
            for (name, content, key, to) in left {
                let digest = Digest::of(content.as_bytes());
                let key = match (to, KEYS[key]) {
                    (None, _) => {
                        told.push((None, digest, None, TaskState::Done));
                        "end".to_owned()
                    }
                    (Some(_), "") => about.clone(),
                    (Some(_), key) => key.to_owned(),
                };
                outputs.push(Output {
                    maker: queue,
                    to,
                    key,
                    member: Member {
                        form: Form::File,
                        name: name.into(),
                        key: about.as_str().into(),
                        digest,
                    },
                });
            }
        }
    }
    sorted(told)
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 40 } else { 600 }))]

    #[test]
    fn is_what_follows_from_beginning_with_nothing(
        acts in acts(),
        scripts in scripts(),
        failing in any::<u16>(),
        edits in prop::collection::vec((0..3_usize, 0..NAMES.len(), 0..SCRIPTS.len()), 0..5),
        dice in any::<u64>(),
        parallel in 1..5_usize,
        dies in prop::collection::vec((0..4_usize, 0..20_usize), 0..4),
    ) {
        let mut world = World::new(acts.iter().cloned());
        let runset = world.fresh();
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
                let mut ends = *ends;
                let mut next = |hand: &[Box<Job>]| {
                    ends = ends.checked_sub(1)?;
                    Some(roll(hand))
                };
                let mut act = |job: &Job| scene.outcome(job);
                if world.run_in_order(&runset, parallel, &mut next, &mut act).is_err() {
                    world.reopen();
                }
            }
            let mut next = |hand: &[Box<Job>]| Some(roll(hand));
            let mut act = |job: &Job| scene.outcome(job);
            world.run_in_order(&runset, parallel, &mut next, &mut act).unwrap();
            // What waits for what has failed, and for how long, others look at.
            if failing == 0 {
                prop_assert_eq!(found(&world, &runset), reference(&acts, &scene), "round {}", round);
            }
            for (_, queue, version) in edits.iter().filter(|(at, ..)| *at == round) {
                scene.versions[*queue] = *version;
                world.edit(&runset, *queue, SCRIPTS[*version]);
            }
        }
    }
}
