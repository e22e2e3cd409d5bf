//! What tasks take: what there is, is given out and comes back, whatever becomes of them.

use std::num::NonZeroU32;

use super::world::{Act, World, left, nothing, step};
use crate::engine::{Job, Outcome};
use crate::model::event::Summary;
use crate::model::resources::{Memory, Resources, Supply};

/// Steps behind the first with so many tasks each, which take that.
fn world(steps: Vec<(&'static str, i64, Resources)>) -> (World, Vec<String>) {
    let names = steps
        .iter()
        .flat_map(|(name, count, _)| (0..*count).map(move |number| format!("{number}_{name}")));
    let names = names.collect();
    let acts = steps.into_iter().map(|(name, _, resources)| Act {
        resources,
        reuse_rule: false,
        retries: 1,
        ..step(name)
    });
    let mut world = World::new([step("begin")].into_iter().chain(acts));
    world.supply = Supply {
        cpus: 8,
        memory: Some(16 << 30),
        gpus: ["0", "3"].map(str::to_owned).to_vec(),
        limits: [("db".to_owned(), 2)].into(),
    };
    (world, names)
}

fn begin(names: &[String]) -> Outcome {
    let outputs: Vec<(&str, &str)> = names.iter().map(|name| (&**name, "x")).collect();
    left(&outputs)
}

/// Runs all, `parallel` at once; what may be in hand at a time is asked each time that one ends.
fn run(
    (mut world, names): (World, Vec<String>),
    parallel: usize,
    look: &mut dyn FnMut(&[Box<Job>]),
    outcome: &mut dyn FnMut(&Job) -> Outcome,
) -> Summary {
    let runset = world.fresh();
    let mut next = |hand: &[Box<Job>]| {
        look(hand);
        Some(0)
    };
    let mut outcome = |job: &Job| match job.step.name.as_str() {
        "begin" => begin(&names),
        _ => outcome(job),
    };
    world
        .run_in_order(&runset, parallel, &mut next, &mut outcome)
        .unwrap()
}

fn cpus(cpus: u32) -> Resources {
    Resources {
        cpus: NonZeroU32::new(cpus),
        ..Resources::default()
    }
}

#[test]
fn a_task_that_takes_all_cpus_runs_alone_and_in_time() {
    let world = world(vec![("large", 2, cpus(8)), ("small", 300, cpus(1))]);
    let mut before = None;
    let mut ends = 0;
    let mut look = |hand: &[Box<Job>]| {
        let taken = hand.iter().filter_map(|job| job.step.resources.cpus);
        assert!(taken.map(NonZeroU32::get).sum::<u32>() <= 8);
        ends += 1;
        if hand.iter().any(|job| job.step.name.as_str() == "large") {
            before.get_or_insert(ends);
        }
    };
    let summary = run(world, 20, &mut look, &mut |_| nothing());
    assert_eq!(summary.executed, 303);
    assert!(before.is_some_and(|before| before < 40), "{before:?}");
}

#[test]
fn what_a_task_had_is_given_to_others_whatever_became_of_it() {
    let takes = Resources {
        cpus: NonZeroU32::new(4),
        memory: Some(Memory::parse("8G").unwrap()),
        gpus: 1,
        uses: [("db".to_owned(), 1)].into(),
    };
    let world = world(vec![("act", 40, takes)]);
    let mut look = |hand: &[Box<Job>]| {
        assert!(hand.len() <= 2);
        let mut gpus: Vec<_> = hand
            .iter()
            .filter_map(|job| job.grant.gpus.clone())
            .collect();
        gpus.sort();
        gpus.dedup();
        let acts = hand.iter().filter(|job| job.step.name.as_str() == "act");
        assert_eq!(gpus.len(), acts.count(), "each has one of its own");
    };
    let mut number = 0;
    let mut outcome = |job: &Job| {
        number += 1;
        assert_eq!(job.grant.memory, Some(8 << 30));
        match (number % 3, job.ready.attempt) {
            (0, 0) => Outcome::Failure("not yet".to_owned()),
            (1, 0) => Outcome::Cancelled,
            _ => nothing(),
        }
    };
    let summary = run(world, 8, &mut look, &mut outcome);
    assert_eq!((summary.executed, summary.failed), (41, 0));
}

#[test]
fn what_takes_nothing_has_no_need_to_wait() {
    let world = world(vec![
        ("large", 3, cpus(8)),
        ("free", 30, Resources::default()),
    ]);
    let mut most = 0;
    let mut look = |hand: &[Box<Job>]| most = most.max(hand.len());
    let summary = run(world, 6, &mut look, &mut |_| nothing());
    assert_eq!((summary.executed, most), (34, 6));
}

/// What one task of a step with this memory has each time, where it takes more than `enough` to succeed.
fn tries(memory: &str, enough: u64, has: u64) -> (Vec<u64>, Summary) {
    let takes = Resources {
        memory: Some(Memory::parse(memory).unwrap()),
        ..Resources::default()
    };
    let (mut world, names) = world(vec![("act", 1, takes)]);
    world.supply.memory = Some(has << 30);
    let mut had = Vec::new();
    let mut outcome = |job: &Job| {
        let bytes = job.grant.memory.unwrap();
        had.push(bytes >> 30);
        if bytes >= enough << 30 {
            return nothing();
        }
        Outcome::OutOfMemory("out of memory: killed".to_owned())
    };
    let summary = run((world, names), 4, &mut |_| {}, &mut outcome);
    (had, summary)
}

#[test]
fn one_that_is_killed_for_memory_is_tried_again_with_more_of_it() {
    let (had, summary) = tries("2G..16G", 8, 16);
    assert_eq!(had, [2, 4, 8]);
    assert_eq!((summary.executed, summary.failed), (2, 0));
    let (had, _) = tries("2G", 1, 16);
    assert_eq!(had, [2]);
}

#[test]
fn up_to_what_there_is_and_then_as_often_as_it_may_fail() {
    // The step has one retry.
    let (had, summary) = tries("2G..16G", 99, 16);
    assert_eq!(had, [2, 4, 8, 16, 16]);
    assert_eq!(summary.failed, 1);
    let (had, _) = tries("2G..16G", 99, 6);
    assert_eq!(had, [2, 4, 6, 6]);
    let (had, _) = tries("2G", 99, 16);
    assert_eq!(had, [2, 2]);
}

#[test]
fn those_that_need_more_wait_for_it_and_others_of_their_step_do_not() {
    let takes = Resources {
        memory: Some(Memory::parse("2G..16G").unwrap()),
        ..Resources::default()
    };
    let (mut world, names) = world(vec![("act", 60, takes)]);
    let runset = world.fresh();
    let mut look = |hand: &[Box<Job>]| {
        let all: u64 = hand.iter().filter_map(|job| job.grant.memory).sum();
        assert!(all <= 16 << 30);
        Some(0)
    };
    let (mut most, mut number) = (0, 0);
    let mut outcome = |job: &Job| {
        if job.step.name.as_str() == "begin" {
            return begin(&names);
        }
        number += 1;
        let memory = job.grant.memory.unwrap() >> 30;
        most = most.max(memory);
        let needs = if job.ready.id.0 % 7 == 0 { 16 } else { 1 };
        if memory >= needs {
            nothing()
        } else {
            Outcome::OutOfMemory("out of memory: killed".to_owned())
        }
    };
    let summary = world
        .run_in_order(&runset, 8, &mut look, &mut outcome)
        .unwrap();
    assert_eq!((summary.executed, summary.failed, most), (61, 0, 16));
    assert!(number > 60);
}
