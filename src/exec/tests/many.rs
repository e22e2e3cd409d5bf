//! Tasks with more outputs than others should wait for.

use std::time::{Duration, Instant};

use super::super::fake::ended;
use super::world::{Act, Row, World, left, nothing, step};
use crate::engine::{Job, Outcome, Reply, Scheduler, Turn};
use crate::state::{Runset, StepId};

/// A start step whose output `x` some step makes many of, beside others.
fn world() -> World {
    let other = Act {
        reuse_rule: false,
        ..step("other")
    };
    World::new([step("begin"), other, step("last"), step("many")])
}

const BEGIN: [(&str, &str); 5] = [
    ("1_many", "x"),
    ("1_other", "1"),
    ("2_other", "2"),
    ("3_other", "3"),
    ("4_other", "4"),
];
const MANY: usize = 100;

/// Every other one is somebody's input, and the last is.
fn name(number: usize) -> String {
    format!("{number:02}{}", if number % 2 == 1 { "_last" } else { "" })
}

fn outcome(job: &Job) -> Outcome {
    let names: Vec<String> = (0..MANY).map(name).collect();
    match job.step.name.as_str() {
        "begin" => left(&BEGIN),
        "many" => left(&names.iter().map(|n| (&**n, &**n)).collect::<Vec<_>>()),
        _ => nothing(),
    }
}

fn end(job: &Job) -> Reply {
    Reply::Ended(ended(job, outcome(job)))
}

/// Has the start task executed; what the task with many outputs is to do, or has to be done with it.
fn begin(scheduler: &mut Scheduler) -> Turn {
    let now = Instant::now();
    let Ok(Turn::Do(begin)) = scheduler.turn(now, None) else {
        panic!("it is executed in each runset");
    };
    scheduler.turn(now, Some(end(&begin))).unwrap()
}

/// Whoever has `reply` hands it back until it is recorded, or `most` times, and before each time
/// another one takes a turn, and what may be committed is. How many others ended, and what is left.
fn alternate(scheduler: &mut Scheduler, mut reply: Reply, most: usize) -> (usize, Option<Reply>) {
    let mut now = Instant::now();
    let (mut others, mut hand) = (0, None::<Box<Job>>);
    for _ in 0..most {
        let other = hand.take().map(|job| end(&job));
        others += usize::from(other.is_some());
        match scheduler.turn(now, other).unwrap() {
            Turn::Do(job) => hand = Some(job),
            Turn::Wait | Turn::Again => {}
            turn => panic!("{turn:?}"),
        }
        now += Duration::from_secs(1);
        scheduler.tick(now).unwrap();
        reply = match scheduler.turn(now, Some(reply)).unwrap() {
            Turn::Record(recording) => Reply::Recording(recording),
            Turn::Examine(mut examination) => {
                examination.look(scheduler.store());
                Reply::Examined(examination)
            }
            turn => {
                finish(scheduler, turn, hand);
                return (others, None);
            }
        };
    }
    (others, Some(reply))
}

/// Nothing is half done any more: does the rest.
fn finish(scheduler: &mut Scheduler, mut turn: Turn, mut hand: Option<Box<Job>>) {
    let now = Instant::now();
    loop {
        let reply = match turn {
            Turn::Do(job) => Some(end(&job)),
            Turn::Again => None,
            Turn::Wait => Some(end(&hand.take().expect("nothing else runs"))),
            Turn::Over => return,
            turn => panic!("{turn:?}"),
        };
        turn = scheduler.turn(now, reply).unwrap();
    }
}

/// What is recorded of a runset, with the count of final outputs.
fn all(world: &World, runset: &Runset) -> (Vec<Row>, i64) {
    let tallies = world.state.tallies(runset.id).unwrap();
    let finals = tallies.get(&StepId::FINAL).map_or(0, |tally| tally.done);
    (world.rows(runset), finals)
}

fn undisturbed() -> (World, Runset) {
    let mut world = world();
    let runset = world.fresh();
    let summary = world.run(&runset, 2, &mut outcome);
    assert_eq!(summary.executed, 2 + 4 + 50);
    assert_eq!(all(&world, &runset).1, 50);
    (world, runset)
}

#[test]
fn others_go_on_while_they_are_recorded() {
    let (done, expected) = undisturbed();
    let mut world = world();
    let runset = world.fresh();
    let summary = world.turns(&runset, 2, |scheduler| {
        let Turn::Do(many) = begin(scheduler) else {
            panic!("the last step comes first");
        };
        let turn = scheduler.turn(Instant::now(), Some(end(&many))).unwrap();
        let Turn::Record(recording) = turn else {
            panic!("{turn:?}");
        };
        let (others, left) = alternate(scheduler, Reply::Recording(recording), 1000);
        assert!(left.is_none());
        assert!(others > 5, "{others}");
    });
    assert_eq!(summary.executed, 2 + 4 + 50);
    assert_eq!(all(&world, &runset), all(&done, &expected));
}

#[test]
fn others_go_on_while_they_are_looked_at_and_taken_over() {
    let (mut world, first) = undisturbed();
    for (lost, executed) in [(None, 1 + 4), (Some(98), 2 + 4), (Some(0), 2 + 4)] {
        if let Some(number) = lost {
            world.lose(&name(number));
        }
        let runset = world.fresh();
        let summary = if lost.is_some() {
            // It is made again.
            world.run(&runset, 2, &mut outcome)
        } else {
            world.turns(&runset, 2, |scheduler| {
                let Turn::Examine(mut examination) = begin(scheduler) else {
                    panic!("that is not decided while others wait");
                };
                examination.look(scheduler.store());
                let (others, left) = alternate(scheduler, Reply::Examined(examination), 1000);
                assert!(left.is_none());
                assert!(others >= 4, "{others}");
            })
        };
        assert_eq!((summary.executed, summary.failed), (executed, 0));
        assert_eq!(all(&world, &runset), all(&world, &first));
    }
}

#[test]
fn all_are_recorded_or_none() {
    let (done, expected) = undisturbed();
    for reused in [false, true] {
        for turns in [0, 1, 5, 9] {
            let mut world = world();
            if reused {
                let before = world.fresh();
                world.run(&before, 2, &mut outcome);
            }
            let runset = world.fresh();
            world.with(&runset, 2, |mut scheduler| {
                let reply = match begin(&mut scheduler) {
                    Turn::Do(many) => end(&many),
                    Turn::Examine(mut examination) => {
                        examination.look(scheduler.store());
                        Reply::Examined(examination)
                    }
                    turn => panic!("{turn:?}"),
                };
                let (_, left) = alternate(&mut scheduler, reply, turns);
                assert!(left.is_some(), "too early for its end");
                // And then this process is ended.
            });
            world.reopen();
            let (rows, finals) = all(&world, &runset);
            assert_eq!(finals, 0);
            let above = |row: &&Row| {
                row.above
                    .last()
                    .is_some_and(|last| last.as_deref().is_some_and(|n| n == "1_many"))
            };
            assert_eq!(rows.iter().filter(above).count(), 0, "{reused} {turns}");
            world.run(&runset, 2, &mut outcome);
            assert_eq!(all(&world, &runset), all(&done, &expected));
        }
    }
}

#[test]
fn a_signal_ends_the_look_and_lets_what_is_recorded_come_to_its_end() {
    let (mut world, first) = undisturbed();
    for (looks, reused) in [(3, 0), (1000, 1)] {
        let runset = world.fresh();
        let summary = world.turns(&runset, 2, |scheduler| {
            let mut turn = begin(scheduler);
            let now = Instant::now();
            for look in 0.. {
                if look == looks || matches!(turn, Turn::Record(_)) {
                    scheduler.interrupt(15);
                }
                turn = match turn {
                    Turn::Examine(mut examination) => {
                        examination.look(scheduler.store());
                        scheduler
                            .turn(now, Some(Reply::Examined(examination)))
                            .unwrap()
                    }
                    Turn::Record(recording) => scheduler
                        .turn(now, Some(Reply::Recording(recording)))
                        .unwrap(),
                    Turn::Over => break,
                    turn => panic!("{turn:?}"),
                };
            }
        });
        assert_eq!((summary.executed, summary.reused), (1, reused));
        world.run(&runset, 2, &mut outcome);
        assert_eq!(all(&world, &runset), all(&world, &first));
    }
}
