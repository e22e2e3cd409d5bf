//! What is gathered below each task of a step.

use super::super::world::{Act, World, below, gathers, left, nothing, step};
use super::{failure, gathered};
use crate::engine::{Job, Outcome};
use crate::model::digest::Digest;
use crate::model::task::TaskState;
use crate::state::Runset;

/// `begin` leaves inputs for two tasks of `split`, each of which leaves parts for `work`.
fn parts(job: &Job) -> Outcome {
    match job.step.name.as_str() {
        "begin" => left(&[("a_split", "a"), ("b_split", "b")]),
        "split" if job.ready.input == Digest::of(b"a") => {
            left(&[("1_work", "a1"), ("2_work", "a2"), ("3_work", "a3")])
        }
        "split" => left(&[("1_work", "b1"), ("2_work", "b2")]),
        _ => left(&[("x_merge", "same")]),
    }
}

/// How many files each live task of a step works on.
fn sizes(world: &World, runset: &Runset, name: &str) -> Vec<usize> {
    let all = gathered(world, runset, name).into_iter();
    let mut sizes: Vec<usize> = all.map(|(files, _)| files.len()).collect();
    sizes.sort_unstable();
    sizes
}

#[test]
fn a_group_for_each_task_as_soon_as_it_is_complete() {
    for parallel in [1, 2, 9] {
        let mut world = World::new([
            step("begin"),
            step("split"),
            step("work"),
            below("merge", 1),
        ]);
        let runset = world.fresh();
        let mut order = Vec::new();
        let summary = world.run(&runset, parallel, &mut |job| {
            order.push(job.step.name.to_string());
            match job.step.name.as_str() {
                "merge" => left(&[("all", "x")]),
                _ => parts(job),
            }
        });
        assert_eq!((summary.executed + summary.reused, summary.failed), (10, 0));
        assert_eq!(sizes(&world, &runset, "merge"), [2, 3]);
        assert!(summary.waiting.is_empty());
        let first = order.iter().position(|name| name == "merge").unwrap();
        let last = order.iter().rposition(|name| name == "work").unwrap();
        assert!(first < last, "one was done before all: {order:?}");
        let again = world.run(&runset, 1, &mut |_| panic!("all is done"));
        assert_eq!(again.executed, 0);
    }
}

#[test]
fn a_failed_member_holds_up_its_own_group_alone() {
    for partial in [false, true] {
        let merge = Act {
            partial,
            ..below("merge", 1)
        };
        let mut world = World::new([step("begin"), step("split"), step("work"), merge]);
        let runset = world.fresh();
        for round in 0..3 {
            let summary = world.run(&runset, 2, &mut |job| match job.step.name.as_str() {
                "work" if round < 2 && job.ready.input == Digest::of(b"a2") => failure(),
                "merge" => nothing(),
                _ => parts(job),
            });
            let told: Vec<String> = summary.waiting.iter().map(ToString::to_string).collect();
            match (round, partial) {
                (2, _) => {
                    assert_eq!(sizes(&world, &runset, "merge"), [2, 3]);
                    assert!(told.is_empty());
                }
                (_, false) => {
                    assert_eq!(sizes(&world, &runset, "merge"), [2]);
                    assert_eq!(told, ["1 of 2 groups gathered, waits for 1 failed"]);
                }
                (_, true) => {
                    assert_eq!(sizes(&world, &runset, "merge"), [2, 2]);
                    assert_eq!(
                        told,
                        ["2 of 2 groups gathered, without what 1 failed would leave"]
                    );
                }
            }
        }
    }
}

#[test]
fn groups_in_groups() {
    // Each split of splits is merged, and these are merged for the one above.
    let steps = [
        step("begin"),
        step("outer"),
        step("inner"),
        step("work"),
        below("join", 1),
        below("merge", 2),
    ];
    for parallel in [1, 4] {
        let mut world = World::new(steps.clone());
        let runset = world.fresh();
        world.run(&runset, parallel, &mut |job| match job.step.name.as_str() {
            "begin" => left(&[("a_outer", "a"), ("b_outer", "b")]),
            "outer" => left(&[("1_inner", "1"), ("2_inner", "2"), ("own_join", "o")]),
            "inner" => left(&[("1_work", "3"), ("2_work", "4")]),
            "work" => left(&[("x_merge", "5")]),
            "merge" => left(&[("x_join", "6")]),
            _ => nothing(),
        });
        assert_eq!(sizes(&world, &runset, "merge"), [2, 2, 2, 2]);
        assert_eq!(sizes(&world, &runset, "join"), [3, 3]);
    }
}

#[test]
fn two_that_gather_below_the_same_take_turns() {
    let steps = [
        step("begin"),
        step("split"),
        step("work"),
        below("merge", 1),
        below("report", 1),
        gathers("all"),
    ];
    let mut world = World::new(steps);
    let runset = world.fresh();
    world.run(&runset, 3, &mut |job| match job.step.name.as_str() {
        "work" => left(&[("x_merge", "same"), ("log_report", "log")]),
        "merge" => left(&[("merged_report", "m")]),
        "report" => left(&[("r_all", "r")]),
        "all" => nothing(),
        _ => parts(job),
    });
    assert_eq!(sizes(&world, &runset, "merge"), [2, 3]);
    assert_eq!(sizes(&world, &runset, "report"), [3, 4]);
    assert_eq!(sizes(&world, &runset, "all"), [2]);
}

#[test]
fn what_comes_back_or_from_nowhere_fails() {
    for (steps, told) in [
        (
            vec![
                step("begin"),
                step("split"),
                step("work"),
                below("merge", 1),
            ],
            "left `x_merge`, which goes to merge; but merge itself left it, which had gathered everything",
        ),
        (
            vec![
                step("begin"),
                step("split"),
                step("work"),
                below("merge", 1),
                below("work2", 1),
            ],
            "left `x_merge`, which goes to merge; but work2 itself gathers after merge",
        ),
        (
            vec![
                step("begin"),
                step("split"),
                step("other"),
                below("merge", 1),
            ],
            "left `x_merge`, which goes to merge; but merge gathers what descends from each task of \
             split, and other works on what came from none",
        ),
    ] {
        let mut world = World::new(steps);
        let runset = world.fresh();
        let summary = world.run(&runset, 1, &mut |job| match job.step.name.as_str() {
            "begin" if job.runset.is_empty() => nothing(),
            "begin" if told.contains("none") => left(&[("a_other", "a")]),
            "begin" => left(&[("a_split", "a")]),
            "split" if told.contains("work2") => left(&[("work2", "w")]),
            "split" => left(&[("merge", "m")]),
            _ => left(&[("x_merge", "z")]),
        });
        assert_eq!(summary.failed, 1);
        let error = &summary.failures[0].error;
        assert!(error.starts_with(told), "{error}");
        assert!(error.contains("\nhint: "), "{error}");
    }
}

#[test]
fn nothing_is_gathered_only_where_that_is_said() {
    for empty in [false, true] {
        let merge = Act {
            empty,
            ..below("merge", 1)
        };
        let mut world = World::new([step("begin"), step("split"), step("work"), merge, step("n")]);
        let runset = world.fresh();
        for _ in 0..2 {
            world.run(&runset, 2, &mut |job| match job.step.name.as_str() {
                "begin" => left(&[("a_split", "a"), ("b_split", "b"), ("c_split", "c")]),
                "split" if job.ready.input == Digest::of(b"a") => left(&[("x_work", "a")]),
                "split" if job.ready.input == Digest::of(b"b") => left(&[("x_merge", "b")]),
                "merge" => left(&[("x_n", "n")]),
                _ => nothing(),
            });
            let expected: &[usize] = if empty { &[0, 0, 1] } else { &[1] };
            assert_eq!(sizes(&world, &runset, "merge"), expected);
        }
        // With the tasks of the step, those on nothing go.
        let split = world.steps[1].id;
        world.state.restart(&runset, split).unwrap();
        world.state.commit().unwrap();
        assert!(gathered(&world, &runset, "merge").is_empty());
    }
}

#[test]
fn rings_go_round_by_way_of_what_was_gathered() {
    let steps = [
        step("begin"),
        step("split"),
        step("work"),
        below("merge", 1),
    ];
    // It comes to rest after some rounds.
    let mut world = World::new(steps.clone());
    let runset = world.fresh();
    let mut merged = 0;
    let summary = world.run(&runset, 2, &mut |job| match job.step.name.as_str() {
        "begin" => left(&[("a_split", "0")]),
        "split" => left(&[("1_work", "x"), ("2_work", "y")]),
        "work" => left(&[("x_merge", "w")]),
        _ => {
            merged += 1;
            let content = merged.to_string();
            left(&[(if merged < 4 { "x_split" } else { "end" }, &content)])
        }
    });
    assert_eq!(summary.failed, 1, "merge was reused, and went round");
    let mut world = World::new(steps.map(|act| Act {
        reuse_rule: false,
        ..act
    }));
    let runset = world.fresh();
    let mut merged = 0;
    let summary = world.run(&runset, 2, &mut |job| match job.step.name.as_str() {
        "begin" => left(&[("a_split", "0")]),
        "split" => left(&[("1_work", "x"), ("2_work", "y")]),
        "work" => left(&[("x_merge", "w")]),
        _ => {
            merged += 1;
            let content = merged.to_string();
            left(&[(if merged < 4 { "x_split" } else { "end" }, &content)])
        }
    });
    assert_eq!((summary.failed, merged), (0, 4));
    assert_eq!(sizes(&world, &runset, "merge"), [2, 2, 2, 2]);
}

#[test]
fn a_change_further_up_is_gathered_once() {
    let mut world = World::new([
        step("begin"),
        step("split"),
        step("work"),
        below("merge", 1),
        step("next"),
    ]);
    let runset = world.fresh();
    let mut merged = 0;
    for round in ["1", "1", "2"] {
        world.run(&runset, 2, &mut |job| match job.step.name.as_str() {
            "work" => left(&[("x_merge", round)]),
            "merge" => {
                merged += 1;
                left(&[("next", "n")])
            }
            "next" => nothing(),
            _ => parts(job),
        });
        assert_eq!(sizes(&world, &runset, "merge"), [2, 3]);
        let work = world.steps[2].id;
        world.state.restart(&runset, work).unwrap();
        assert!(gathered(&world, &runset, "merge").is_empty());
        world.state.commit().unwrap();
    }
    assert_eq!(merged, 4, "the same bytes are the same list");
}

#[test]
fn whoever_dies_leaves_groups_that_become_complete() {
    let outcome = |job: &Job| match job.step.name.as_str() {
        "merge" => left(&[("all", "x")]),
        _ => parts(job),
    };
    let steps = || {
        [
            step("begin"),
            step("split"),
            step("work"),
            below("merge", 1),
        ]
    };
    let mut undisturbed = World::new(steps());
    let expected = undisturbed.fresh();
    undisturbed.run(&expected, 2, &mut |job| outcome(job));
    for ends in 0..10 {
        let mut world = World::new(steps());
        let runset = world.fresh();
        world.die(&runset, 2, ends, &mut |job| outcome(job));
        world.run(&runset, 2, &mut |job| outcome(job));
        assert_eq!(world.rows(&runset), undisturbed.rows(&expected), "{ends}");
    }
}

#[test]
fn a_dry_run_knows_which_groups_would_be_gathered() {
    let mut world = World::new([
        step("begin"),
        step("split"),
        step("work"),
        below("merge", 1),
    ]);
    let act = &mut |job: &Job| match job.step.name.as_str() {
        "merge" => nothing(),
        _ => parts(job),
    };
    let runset = world.fresh();
    world.state.commit().unwrap();
    world.forecast_and_run(&runset, act);
    let work = world.steps[2].id;
    world.state.restart(&runset, work).unwrap();
    world.state.commit().unwrap();
    let (told, summary) = world.forecast_and_run(&runset, act);
    assert!(told[3].gathers);
    assert_eq!(summary.reused, 2);
    let begin = world.steps[0].id;
    world.state.restart(&runset, begin).unwrap();
    world.state.commit().unwrap();
    let (told, _) = world.forecast_and_run(&runset, act);
    assert_eq!(told[0].run.len(), 1);
    let fresh = world.fresh();
    let (told, summary) = world.forecast_and_run(&fresh, act);
    assert_eq!(told[0].run.len(), 1, "a start task");
    assert_eq!((summary.executed, summary.reused), (1, 9));
    let rows = world.rows(&fresh);
    assert!(rows.iter().all(|row| row.state == TaskState::Done));
}
