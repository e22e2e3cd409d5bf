//! Scheduling, with an executor that only pretends: the state and the store are the real ones.

mod evicted;
mod gather;
mod many;
mod order;
mod resources;
mod shared;
mod shortages;
mod with;
pub(crate) mod world;

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::fake::ended;
use crate::engine::{DryRun, Error, Job, Outcome, Reason, Reply, Scheduler, Stop, Turn};
use crate::model::task::TaskState;
use world::{Act, World, left, nothing, step};

#[test]
fn equal_inputs_are_executed_once() {
    let mut world = World::new([step("begin"), step("act")]);
    let runset = world.fresh();
    let act = &mut |job: &Job| match job.step.name.as_str() {
        "begin" => left(&[("1_act", "x"), ("2_act", "x"), ("3_act", "y")]),
        _ => left(&[("out", "z")]),
    };
    let summary = world.run(&runset, 4, act);
    assert_eq!(
        (summary.executed, summary.reused, summary.failed),
        (3, 1, 0)
    );
    let again = world.fresh();
    // A start task is executed in each runset.
    let summary = world.run(&again, 4, act);
    assert_eq!((summary.executed, summary.reused), (1, 3));
    assert_eq!(world.rows(&again), world.rows(&runset));
}

#[test]
fn what_failed_is_tried_again_after_pauses() {
    let usual = step("begin").retry_delay;
    let milliseconds = Duration::from_millis;
    for (failures, retry_delay, expected, failed) in [
        (2, usual, vec![1000, 2000], 0),
        (4, usual, vec![1000, 2000, 4000], 1),
        (4, milliseconds(30), vec![30, 60, 120], 1),
        (4, milliseconds(25_000), vec![25_000, 50_000, 60_000], 1),
        (4, milliseconds(300_000), vec![300_000; 3], 1),
    ] {
        let mut world = World::new([Act {
            retries: 3,
            retry_delay,
            ..step("begin")
        }]);
        let runset = world.fresh();
        let mut pauses = Vec::new();
        let mut tries = 0;
        let summary = world.turns(&runset, 1, |scheduler| {
            let (mut now, mut reply) = (Instant::now(), None);
            loop {
                match scheduler.turn(now, reply.take()).unwrap() {
                    Turn::Do(job) => {
                        assert_eq!(job.ready.attempt, tries);
                        tries += 1;
                        let outcome = if tries <= failures {
                            Outcome::Failure("no".to_owned())
                        } else {
                            nothing()
                        };
                        reply = Some(Reply::Ended(ended(&job, outcome)));
                    }
                    Turn::Wait => {
                        let before = now;
                        while !scheduler.is_open() {
                            now = scheduler.due().unwrap();
                            scheduler.tick(now).unwrap();
                        }
                        pauses.push(now.duration_since(before));
                    }
                    Turn::Over => break,
                    Turn::Again | Turn::Examine(_) | Turn::Record(_) => {}
                }
            }
        });
        // An end is recorded a moment after the scheduler's last look at the clock.
        let near = |(pause, told): (&Duration, &u64)| {
            pause.abs_diff(Duration::from_millis(*told)) < Duration::from_millis(20)
        };
        assert_eq!(pauses.len(), expected.len());
        assert!(pauses.iter().zip(&expected).all(near), "{pauses:?}");
        assert_eq!((summary.executed, summary.failed), (1 - failed, failed));
    }
}

#[test]
fn after_a_failure_nothing_more_starts_if_that_is_wanted() {
    for (fail_fast, executed, pending) in [(true, 3, 4), (false, 7, 0)] {
        let mut world = World::new([step("begin"), step("act")]);
        world.fail_fast = fail_fast;
        let runset = world.fresh();
        let summary = world.run(&runset, 2, &mut |job| match job.ready.name.as_deref() {
            None => left(&[
                ("1_act", "1"),
                ("2_act", "2"),
                ("3_act", "3"),
                ("4_act", "4"),
                ("5_act", "5"),
                ("6_act", "6"),
                ("7_act", "7"),
            ]),
            Some("2_act") => Outcome::Failure("no".to_owned()),
            Some(_) => nothing(),
        });
        assert_eq!((summary.executed, summary.failed), (executed, 1));
        let rows = world.rows(&runset);
        let pending_rows = rows.iter().filter(|row| row.state == TaskState::Pending);
        assert_eq!(pending_rows.count(), pending);
        let what_failed: Vec<_> = summary.failures.iter().map(|f| f.error.as_str()).collect();
        assert_eq!(what_failed, ["no"]);
    }
}

#[test]
fn a_signal_lets_nothing_more_start() {
    let mut world = World::new([step("begin"), step("act")]);
    let runset = world.fresh();
    world.run(&runset, 1, &mut |job| match job.ready.name.as_deref() {
        None => left(&[("1_act", "1"), ("2_act", "2"), ("3_act", "3")]),
        Some(_) => Outcome::Failure("not yet".to_owned()),
    });
    let summary = world.turns(&runset, 2, |scheduler| {
        let now = Instant::now();
        let mut jobs = Vec::new();
        while let Turn::Do(job) = scheduler.turn(now, None).unwrap() {
            jobs.push(job);
        }
        assert_eq!(jobs.len(), 2);
        assert_eq!(scheduler.interrupt(15), Stop::Ask);
        assert!(
            matches!(scheduler.turn(now, None), Ok(Turn::Wait)),
            "two run on"
        );
        assert_eq!(scheduler.interrupt(15), Stop::Kill);
        // One came to its end all the same.
        let done = ended(&jobs[0], nothing());
        assert!(matches!(
            scheduler.turn(now, Some(Reply::Ended(done))),
            Ok(Turn::Wait)
        ));
        let cut = ended(&jobs[1], Outcome::Cancelled);
        assert!(matches!(
            scheduler.turn(now, Some(Reply::Ended(cut))),
            Ok(Turn::Over)
        ));
    });
    assert_eq!(
        (summary.executed, summary.failed, summary.signal),
        (1, 0, Some(15))
    );
    let rows = world.rows(&runset);
    let failed = rows.iter().filter(|row| row.state == TaskState::Failed);
    assert_eq!(failed.count(), 2, "as they were");
}

#[test]
fn an_end_counts_once() {
    let mut world = World::new([step("begin"), step("act")]);
    let runset = world.fresh();
    let summary = world.turns(&runset, 1, |scheduler| {
        let now = Instant::now();
        let Ok(Turn::Do(job)) = scheduler.turn(now, None) else {
            panic!("there is one");
        };
        let end = || Some(Reply::Ended(ended(&job, left(&[("1_act", "x")]))));
        let Ok(Turn::Do(act)) = scheduler.turn(now, end()) else {
            panic!("something follows");
        };
        assert!(
            matches!(scheduler.turn(now, end()), Ok(Turn::Wait)),
            "told again"
        );
        let end = Some(Reply::Ended(ended(&act, nothing())));
        assert!(matches!(scheduler.turn(now, end), Ok(Turn::Over)));
    });
    assert_eq!(summary.executed, 2);
    assert_eq!(world.rows(&runset).len(), 2);
}

#[test]
fn what_a_dead_executor_had_is_done_by_the_next() {
    let outcome = |name: Option<&str>| match name {
        None => left(&[("1_act", "1"), ("2_act", "2"), ("3_act", "3")]),
        Some(_) => left(&[("out", "z")]),
    };
    let mut undisturbed = World::new([step("begin"), step("act")]);
    let expected = undisturbed.fresh();
    undisturbed.run(&expected, 2, &mut |job| outcome(job.ready.name.as_deref()));
    for ends in 0..4 {
        let mut world = World::new([step("begin"), step("act")]);
        let runset = world.fresh();
        let died = world.die(&runset, 2, ends, &mut |job| {
            outcome(job.ready.name.as_deref())
        });
        assert!(matches!(died, Error::Worker(None)));
        world.run(&runset, 2, &mut |job| outcome(job.ready.name.as_deref()));
        assert_eq!(world.rows(&runset), undisturbed.rows(&expected), "{ends}");
    }
}

#[test]
fn a_dry_run_says_what_a_run_does() {
    let always = Act {
        reuse_rule: false,
        ..step("always")
    };
    let mut world = World::new([step("begin"), step("act"), always]);
    let outputs = [("1_act", "1"), ("2_act", "2"), ("1_always", "1")];
    let mut fails = true;
    let act = &mut |job: &Job| match job.ready.name.as_deref() {
        None => left(&outputs),
        Some("2_act") if std::mem::take(&mut fails) => Outcome::Failure("no".to_owned()),
        Some(_) => nothing(),
    };
    let first = world.fresh();
    let (told, summary) = world.forecast_and_run(&first, act);
    // What it will leave is not known.
    assert_eq!(run_of(&told), [vec![(Reason::Forced, 1)], vec![], vec![]]);
    assert_eq!((summary.executed, summary.failed), (3, 1));

    // Another one, of which only the start task is executed so far.
    let second = world.fresh();
    world.turns(&second, 1, |scheduler| {
        let Ok(Turn::Do(begin)) = scheduler.turn(Instant::now(), None) else {
            panic!("there is one");
        };
        scheduler.interrupt(2);
        let end = ended(&begin, left(&outputs));
        scheduler
            .turn(Instant::now(), Some(Reply::Ended(end)))
            .unwrap();
    });
    for (runset, reason, executed, reused) in
        [(&first, Reason::Failed, 1, 0), (&second, Reason::New, 1, 2)]
    {
        let (told, summary) = world.forecast_and_run(runset, act);
        let always = if reused > 0 {
            vec![(Reason::NeverReused, 1)]
        } else {
            vec![]
        };
        let expected = if reused > 0 {
            vec![]
        } else {
            vec![(reason, 1)]
        };
        assert_eq!(run_of(&told), [vec![], expected, always]);
        assert_eq!(told.iter().map(|step| step.reuse).sum::<u64>(), reused);
        assert_eq!((summary.executed, summary.reused), (executed, reused));
    }
}

fn run_of(told: &[DryRun]) -> Vec<Vec<(Reason, u64)>> {
    told.iter().map(|step| step.run.clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(50))]

    /// Never more at once than may be, in all and of each step; and never fewer while some wait.
    #[test]
    fn limits_hold(parallel in 1..5_usize, own in 1..4_usize, tasks in 1..30_usize, dice: u64) {
        let mut world = World::new([step("begin"), Act { parallel: Some(own), ..step("act") }]);
        let runset = world.fresh();
        let names: Vec<String> = (0..tasks).map(|n| format!("{n}_act")).collect();
        let outputs: Vec<(&str, &str)> = names.iter().map(|name| (&**name, &**name)).collect();
        let (mut most, mut left_over) = (0, tasks);
        let mut dice = dice;
        world.run_in_order(
            &runset,
            parallel,
            &mut |hand| {
                most = most.max(hand.len());
                if hand[0].ready.name.is_some() {
                    assert_eq!(hand.len(), parallel.min(own).min(left_over));
                    left_over -= 1;
                }
                dice = dice.rotate_left(7).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                Some(usize::try_from(dice >> 33).unwrap() % hand.len())
            },
            &mut |job| if job.ready.name.is_none() { left(&outputs) } else { nothing() },
        )
        .unwrap();
        prop_assert_eq!(most, parallel.min(own).min(tasks));
        prop_assert_eq!(left_over, 0);
    }
}

/// What is foreseen comes, whatever is asked in between.
#[test]
fn a_foreseen_job_is_the_next_one() {
    let mut world = World::new([step("begin"), step("mid"), step("last")]);
    let runset = world.fresh();
    let mut foreseen = 0;
    world.turns(&runset, 2, |scheduler| {
        let now = Instant::now();
        let Ok(Turn::Do(mut job)) = scheduler.turn(now, None) else {
            panic!("there is one");
        };
        for name in ["x_mid", "x_last", "x"] {
            let names = ["a".into(), name.into()];
            let next = scheduler
                .look_ahead(job.ready.id, &names, 1, 1 << 30)
                .unwrap();
            assert!(matches!(scheduler.turn(now, None), Ok(Turn::Wait)));
            scheduler.tick(now + Duration::from_secs(1)).unwrap();
            let end = ended(&job, left(&[("a", "final"), (name, "content")]));
            match (next, scheduler.turn(now, Some(Reply::Ended(end))).unwrap()) {
                (Some(next), Turn::Do(given)) => {
                    assert_eq!(
                        (next.ready.id, &next.step.name),
                        (given.ready.id, &given.step.name)
                    );
                    assert_eq!(next.ready.name, given.ready.name);
                    foreseen += 1;
                    job = given;
                }
                (None, Turn::Over) => {}
                (next, turn) => panic!("{next:?}, {turn:?}"),
            }
        }
    });
    assert_eq!(foreseen, 2);
    // An equal task may have been executed already: then nobody knows.
    let again = world.fresh();
    world.turns(&again, 2, |scheduler| {
        let Ok(Turn::Do(job)) = scheduler.turn(Instant::now(), None) else {
            panic!("there is one");
        };
        let size = "content".len() as u64;
        for (size, known) in [(size, false), (size + 1, true)] {
            let next = scheduler
                .look_ahead(job.ready.id, &["x_mid".into()], 0, size)
                .unwrap();
            assert_eq!(next.is_some(), known);
        }
        scheduler.interrupt(2);
        let end = ended(&job, nothing());
        scheduler
            .turn(Instant::now(), Some(Reply::Ended(end)))
            .unwrap();
    });
}

#[test]
fn nothing_is_foreseen_beside_others() {
    let mut world = World::new([step("begin"), step("act"), step("last")]);
    let runset = world.fresh();
    world.turns(&runset, 2, |scheduler| {
        let now = Instant::now();
        let Ok(Turn::Do(begin)) = scheduler.turn(now, None) else {
            panic!("there is one");
        };
        let end = ended(&begin, left(&[("1_act", "1"), ("2_act", "2")]));
        let Ok(Turn::Do(first)) = scheduler.turn(now, Some(Reply::Ended(end))) else {
            panic!("there are two");
        };
        let ask = |scheduler: &mut Scheduler| {
            scheduler
                .look_ahead(first.ready.id, &["x_last".into()], 0, 1 << 30)
                .unwrap()
        };
        assert!(ask(scheduler).is_none(), "another waits");
        let Ok(Turn::Do(second)) = scheduler.turn(now, None) else {
            panic!("there are two");
        };
        assert!(ask(scheduler).is_none(), "another runs");
        let end = ended(&second, nothing());
        assert!(matches!(
            scheduler.turn(now, Some(Reply::Ended(end))),
            Ok(Turn::Wait)
        ));
        assert!(ask(scheduler).is_some());
        let two = ["1_last".into(), "2_last".into()];
        assert!(
            scheduler
                .look_ahead(first.ready.id, &two, 0, 1 << 30)
                .unwrap()
                .is_none(),
            "either may come first"
        );
        assert!(
            scheduler
                .look_ahead(second.ready.id, &["x_last".into()], 0, 1 << 30)
                .unwrap()
                .is_none(),
            "it has ended"
        );
        scheduler.interrupt(2);
        assert!(ask(scheduler).is_none(), "nothing will start");
        let cut = ended(&first, Outcome::Cancelled);
        assert!(matches!(
            scheduler.turn(now, Some(Reply::Ended(cut))),
            Ok(Turn::Over)
        ));
    });
}

#[test]
fn a_result_that_breaks_the_present_promise_is_not_used_again() {
    use crate::model::promise::Pattern;
    for (promise, reused) in [
        (None, 1),
        (Some("out?"), 1),
        (Some("other?"), 0),
        (Some("out"), 1),
    ] {
        let mut world = World::new([step("begin"), step("act")]);
        let act = &mut |job: &Job| match job.ready.name.as_deref() {
            None => left(&[("1_act", "1")]),
            Some(_) => left(&[("out", "x")]),
        };
        let first = world.fresh();
        world.run(&first, 1, act);
        let plan = std::sync::Arc::get_mut(&mut world.steps[1]).unwrap();
        plan.outputs = promise.map(|text| [Pattern::parse(text).unwrap()].into());
        let second = world.fresh();
        let (_, summary) = world.forecast_and_run(&second, act);
        assert_eq!(summary.reused, reused, "{promise:?}");
    }
}

#[test]
fn every_task_that_comes_to_be_is_told_however_it_got_its_input() {
    let from = |name, from| Act { from, ..step(name) };
    let mut world = World::new([
        step("begin"),
        step("act"),
        from("nap", &["begin"]),
        from("both", &["begin:1_*", "act"]),
        Act {
            from: &["nap"],
            ..world::gathers("all")
        },
        Act {
            from: &["act"],
            each: true,
            with: &["nap"],
            ..step("pairs")
        },
    ]);
    let runset = world.fresh();
    world.run(&runset, 4, &mut |job: &Job| match job.step.name.as_str() {
        "begin" => left(&[("1_act", "x"), ("2_act", "y"), ("end", "z")]),
        // Others are not taken over: these count otherwise.
        _ => left(&[("out", &job.ready.id.0.to_string())]),
    });
    for (queue, (name, count)) in [
        ("act", 2),
        ("nap", 3),
        ("both", 3),
        ("all", 1),
        ("pairs", 6),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(world.counts(&runset, queue + 1)[2], count, "{name}");
        assert_eq!(world.told.get(name).copied(), Some(count), "{name}");
    }
}
