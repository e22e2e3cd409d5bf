//! What an executor is short of is no task's failure.

use std::time::Instant;

use super::super::fake::ended;
use super::world::{Act, World, left, nothing, step};
use crate::engine::{Job, Outcome, Reply, Scheduler, Short, Turn};
use crate::state::Runset;
use crate::sys::Shortage;

const NAMES: [&str; 9] = [
    "1_act", "2_act", "3_act", "4_act", "5_act", "6_act", "7_act", "8_act", "9_act",
];

/// So many tasks of one step, of which none can stand for another.
fn world(tasks: usize) -> (World, Runset) {
    let act = Act {
        reuse_rule: false,
        retries: 2,
        ..step("act")
    };
    let mut world = World::new([step("begin"), act]);
    let runset = world.fresh();
    world.turns(&runset, 1, |scheduler| {
        let Ok(Turn::Do(begin)) = scheduler.turn(Instant::now(), None) else {
            panic!("there is one");
        };
        let outputs: Vec<_> = NAMES[..tasks].iter().map(|name| (*name, "")).collect();
        let end = ended(&begin, left(&outputs));
        scheduler.interrupt(2);
        scheduler
            .turn(Instant::now(), Some(Reply::Ended(end)))
            .unwrap();
    });
    (world, runset)
}

fn short(of: Shortage) -> Outcome {
    Outcome::Short(Short {
        of,
        error: "cannot".to_owned(),
    })
}

/// All that may start, after one has ended.
fn start(scheduler: &mut Scheduler, mut reply: Option<Reply>) -> Vec<Job> {
    let mut jobs = Vec::new();
    loop {
        match scheduler.turn(Instant::now(), reply.take()).unwrap() {
            Turn::Do(job) => jobs.push(*job),
            Turn::Wait | Turn::Over => return jobs,
            Turn::Again => {}
            Turn::Record(recording) => reply = Some(Reply::Recording(recording)),
            Turn::Examine(_) => panic!("nothing here is reused"),
        }
    }
}

fn end(scheduler: &mut Scheduler, job: &Job, outcome: Outcome) -> Vec<Job> {
    start(scheduler, Some(Reply::Ended(ended(job, outcome))))
}

#[test]
fn fewer_run_and_those_that_met_it_come_again_as_they_were() {
    let (mut world, runset) = world(9);
    let summary = world.turns(&runset, 4, |scheduler| {
        let mut jobs = start(scheduler, None);
        assert_eq!(jobs.len(), 4);
        let met: Vec<_> = jobs.drain(..2).collect();
        for job in &met {
            let more = end(scheduler, job, short(Shortage::Descriptors));
            assert!(more.is_empty(), "as many run as there is enough for");
        }
        assert_eq!(scheduler.limit(), 2);
        for met in met {
            let job = jobs.remove(0);
            let mut next = end(scheduler, &job, nothing());
            assert_eq!(next.len(), 1);
            assert_eq!(next[0].ready, met.ready, "with all its tries");
            jobs.append(&mut next);
        }
        while let Some(job) = jobs.pop() {
            jobs.append(&mut end(scheduler, &job, nothing()));
        }
        assert!(scheduler.is_over());
    });
    assert_eq!(summary.shortage, None);
    assert_eq!(world.warnings, 1, "said once");
    assert_eq!(world.counts(&runset, 1), [0, 0, 9]);
}

#[test]
fn alone_it_is_tried_again_for_a_while() {
    for helps in [true, false] {
        let (mut world, runset) = world(2);
        let summary = world.turns(&runset, 1, |scheduler| {
            let mut jobs = start(scheduler, None);
            for _ in 0..5 {
                let job = jobs.pop().unwrap();
                jobs = end(scheduler, &job, short(Shortage::Processes));
                assert!(jobs.is_empty() && !scheduler.is_over());
                while !scheduler.is_open() {
                    let due = scheduler.due().expect("somebody looks again");
                    scheduler.tick(due).unwrap();
                }
                jobs = start(scheduler, None);
            }
            let job = jobs.pop().unwrap();
            let outcome = if helps {
                nothing()
            } else {
                short(Shortage::Processes)
            };
            jobs = end(scheduler, &job, outcome);
            assert_eq!(jobs.len(), usize::from(helps));
        });
        assert_eq!(summary.shortage.is_some(), !helps);
        assert_eq!(world.warnings, 0);
        let done = i64::from(helps);
        assert_eq!(world.counts(&runset, 1), [2 - done, 0, done]);
    }
}

#[test]
fn where_less_does_not_help_nothing_more_starts() {
    for of in [Shortage::Room, Shortage::Quota, Shortage::Writes] {
        let (mut world, runset) = world(5);
        let summary = world.turns(&runset, 2, |scheduler| {
            let mut jobs = start(scheduler, None);
            let met = jobs.remove(0);
            assert!(end(scheduler, &met, short(of)).is_empty() && !scheduler.is_over());
            // What runs may come to its end.
            assert!(end(scheduler, &jobs[0], nothing()).is_empty() && scheduler.is_over());
        });
        let shortage = summary.shortage.unwrap();
        assert_eq!(shortage.error, "task 2 of act: cannot");
        assert_eq!(shortage.hint, of.hint());
        assert_eq!(world.counts(&runset, 1), [4, 0, 1]);
    }
}
