//! What tasks get of other steps besides their inputs: that they wait for it, that it is the same
//! whatever the order of ends, and that they do their work again once it is another.

mod groups;
mod pairs;
mod random;
mod shape;

use std::collections::BTreeSet;
use std::time::Instant;

use proptest::prelude::*;

use super::super::fake::ended;
use super::world::{Act, World, below, by_key, gathers, left, nothing, step};
use crate::engine::{Job, Outcome, Reply, Turn};
use crate::model::digest::Digest;
use crate::model::list::List;
use crate::model::task::TaskState;
use crate::state::Runset;

fn with(name: &'static str, with: &'static [&'static str]) -> Act {
    Act { with, ..step(name) }
}

/// The names and contents' hashes in what a task gets.
fn given(world: &World, context: &Digest) -> Vec<String> {
    let bytes = std::fs::read(world.store.path(context)).unwrap();
    let files = List::read(&bytes).unwrap().files.into_iter();
    files.map(|file| file.name.into()).collect()
}

/// The live tasks of a step, each with the names of what it got, and its state.
fn tasks(world: &World, runset: &Runset, name: &str) -> Vec<(Option<Vec<String>>, TaskState)> {
    let rows = world.rows(runset).into_iter();
    let of_step = rows.filter(|row| row.step.as_ref().is_some_and(|step| step.as_str() == name));
    let told = |context: Digest| given(world, &context);
    of_step
        .map(|row| (row.context.map(told), row.state))
        .collect()
}

/// A task that was done with these.
fn done(names: &[&str]) -> (Option<Vec<String>>, TaskState) {
    let names = names.iter().map(|name| (*name).to_owned());
    (Some(names.collect()), TaskState::Done)
}

/// Reads are mapped to an index of two parts; one report is made of all.
fn mapping() -> [Act; 5] {
    [
        step("begin"),
        step("index"),
        with("map", &["index"]),
        gathers("report"),
        step("next"),
    ]
}

fn act(job: &Job) -> Outcome {
    match job.step.name.as_str() {
        "begin" => left(&[
            ("1_map", "1"),
            ("2_map", "2"),
            ("a_index", "a"),
            ("b_index", "b"),
        ]),
        "index" => left(&[(
            "part",
            if job.ready.input == Digest::of(b"a") {
                "pa"
            } else {
                "pb"
            },
        )]),
        "map" => left(&[("x_report", "m"), ("y_next", "n")]),
        _ => nothing(),
    }
}

#[test]
fn tasks_get_all_that_other_steps_left() {
    for parallel in [1, 2, 8] {
        let mut world = World::new(mapping());
        let runset = world.fresh();
        let mut indexed = 0;
        let summary = world.run(&runset, parallel, &mut |job| {
            match job.step.name.as_str() {
                "index" => indexed += 1,
                "map" => assert_eq!(indexed, 2, "it waits for all"),
                _ => assert_eq!(job.ready.context, None),
            }
            act(job)
        });
        assert_eq!((summary.failed, summary.waiting.len()), (0, 0));
        let got = done(&["index/a_part", "index/b_part"]);
        assert_eq!(tasks(&world, &runset, "map"), [got.clone(), got]);
        assert_eq!(world.counts(&runset, 2), [0, 0, 2]);
    }
}

#[test]
fn nothing_is_enough() {
    let mut world = World::new([step("begin"), step("index"), with("map", &["index"])]);
    let runset = world.fresh();
    world.run(&runset, 2, &mut |job| match job.step.name.as_str() {
        "begin" => left(&[("map", "1"), ("index", "i")]),
        _ => nothing(),
    });
    assert_eq!(tasks(&world, &runset, "map"), [done(&[])]);
}

#[test]
fn a_failed_one_is_waited_for() {
    let mut world = World::new(mapping());
    let runset = world.fresh();
    let mut broken = true;
    for _ in 0..2 {
        let summary = world.run(&runset, 2, &mut |job| match job.step.name.as_str() {
            "index" if broken && job.ready.input == Digest::of(b"b") => {
                Outcome::Failure("no".to_owned())
            }
            _ => act(job),
        });
        let told: Vec<String> = summary
            .waiting
            .iter()
            .map(|one| format!("{}: {one}", one.step))
            .collect();
        if broken {
            assert_eq!(
                told,
                [
                    "map: 2 to be done with index, waits for 1 failed",
                    "report: 0 gathered, waits for 2 pending, 1 failed"
                ]
            );
            assert_eq!(world.counts(&runset, 2), [2, 0, 0]);
        } else {
            assert!(told.is_empty(), "{told:?}");
            assert_eq!(world.counts(&runset, 2), [0, 0, 2]);
        }
        broken = false;
    }
}

#[test]
fn what_was_given_before_is_not_worked_with_twice() {
    let mut world = World::new(mapping());
    let mut mapped = 0;
    for _ in 0..2 {
        let runset = world.fresh();
        world.run(&runset, 3, &mut |job| {
            mapped += usize::from(job.step.name.as_str() == "map");
            act(job)
        });
        assert_eq!(world.counts(&runset, 2)[..2], [0, 0]);
        assert_eq!(tasks(&world, &runset, "map").len(), 2);
    }
    assert_eq!(mapped, 2);
}

#[test]
fn equal_inputs_with_other_things_are_other_tasks() {
    let mut world = World::new(mapping());
    let mut mapped = 0;
    for version in ["1", "2", "1"] {
        let runset = world.fresh();
        world.run(&runset, 3, &mut |job| match job.step.name.as_str() {
            "begin" => left(&[("1_map", "1"), ("2_map", "1"), ("a_index", version)]),
            "index" => left(&[("part", version)]),
            "map" => {
                mapped += 1;
                left(&[("m", "m")])
            }
            _ => nothing(),
        });
    }
    assert_eq!(mapped, 2, "one for each index, as both inputs are the same");
}

#[test]
fn a_change_of_what_is_given_is_worked_with_once() {
    let mut world = World::new(mapping());
    let runset = world.fresh();
    let mut mapped = 0;
    for (round, version) in ["1", "1", "2"].into_iter().enumerate() {
        world.run(&runset, 2, &mut |job| match job.step.name.as_str() {
            "index" => left(&[("part", version)]),
            name => {
                mapped += usize::from(name == "map");
                act(job)
            }
        });
        assert_eq!(world.counts(&runset, 2)[..2], [0, 0]);
        assert_eq!(tasks(&world, &runset, "map").len(), 2);
        assert_eq!(mapped, [2, 2, 4][round], "the same is the same");
        let index = world.steps[1].id;
        world.state.restart(&runset, index).unwrap();
        let pending = (None, TaskState::Pending);
        assert_eq!(tasks(&world, &runset, "map"), [pending.clone(), pending]);
        assert!(tasks(&world, &runset, "report").is_empty());
        assert!(tasks(&world, &runset, "next").is_empty());
        world.state.commit().unwrap();
    }
}

#[test]
fn what_comes_late_is_worked_with() {
    // The second index fails at first, and nobody else is told what there will be.
    let mut world = World::new([
        step("begin"),
        Act {
            outputs: &["part", "late?"],
            ..step("index")
        },
        Act {
            outputs: &["late_index"],
            ..step("slow")
        },
        with("map", &["index"]),
        step("next"),
    ]);
    let runset = world.fresh();
    let mut mapped = Vec::new();
    for late in [false, true] {
        let summary = world.run(&runset, 2, &mut |job| match job.step.name.as_str() {
            "begin" if late => left(&[("1_map", "1"), ("a_index", "a"), ("slow", "s")]),
            "begin" => left(&[("1_map", "1"), ("a_index", "a")]),
            "slow" => left(&[("late_index", "late")]),
            "index" => left(&[("part", "p")]),
            "map" => {
                mapped.push(job.ready.context.clone());
                left(&[("next", "n")])
            }
            _ => nothing(),
        });
        assert_eq!(summary.failed, 0);
        let all = tasks(&world, &runset, "map");
        assert_eq!(all.len(), 1);
        assert_eq!(tasks(&world, &runset, "next").len(), 1);
        let begin = world.steps[0].id;
        world.state.restart(&runset, begin).unwrap();
        world.state.commit().unwrap();
    }
    assert_eq!(mapped.len(), 2);
    let got: Vec<_> = mapped
        .iter()
        .map(|one| given(&world, one.as_ref().unwrap()))
        .collect();
    assert_eq!(
        got,
        [vec!["index/part"], vec!["index/a_part", "index/late_part"]]
    );
}

#[test]
fn what_works_on_what_waited_for_it_cannot_be_given_to_that() {
    let mut world = World::new(mapping());
    let runset = world.fresh();
    let summary = world.run(&runset, 2, &mut |job| match job.step.name.as_str() {
        "map" => left(&[("c_index", "c")]),
        _ => act(job),
    });
    assert_eq!(summary.failed, 2);
    let error = &summary.failures[0].error;
    assert!(
        error.starts_with(
            "left `part`, which map gets from index in addition to its input; but index works on what came from map"
        ) && error.contains("\nhint: "),
        "{error}"
    );
}

#[test]
fn who_gathers_gets_it_too() {
    let both = Act {
        with: &["index"],
        ..gathers("merge")
    };
    let mut world = World::new([step("begin"), both, step("index"), step("next")]);
    let runset = world.fresh();
    let mut merged = 0;
    for version in ["1", "2", "2"] {
        let summary = world.run(&runset, 2, &mut |job| match job.step.name.as_str() {
            "begin" => left(&[("1_merge", "1"), ("2_merge", "2"), ("index", "i")]),
            "index" => left(&[("part", version)]),
            "merge" => {
                merged += 1;
                left(&[("next", "n")])
            }
            _ => nothing(),
        });
        assert_eq!(summary.failed, 0);
        let wanted = done(&["index/part"]);
        assert_eq!(tasks(&world, &runset, "merge"), [wanted]);
        assert_eq!(tasks(&world, &runset, "next").len(), 1);
        let index = world.steps[2].id;
        world.state.restart(&runset, index).unwrap();
        assert!(tasks(&world, &runset, "merge").is_empty());
        world.state.commit().unwrap();
    }
    assert_eq!(merged, 2);
}

#[test]
fn what_is_given_may_have_been_gathered_further_down() {
    let mut world = World::new([
        step("begin"),
        with("map", &["merge"]),
        step("act"),
        gathers("merge"),
    ]);
    let runset = world.fresh();
    let summary = world.run(&runset, 3, &mut |job| match job.step.name.as_str() {
        "begin" => left(&[("map", "1"), ("1_act", "1"), ("2_act", "2")]),
        "act" => left(&[("merge", "m")]),
        "merge" => left(&[("all", "all")]),
        _ => nothing(),
    });
    assert_eq!(summary.failed, 0);
    let wanted = done(&["merge/all"]);
    assert_eq!(tasks(&world, &runset, "map"), [wanted]);
}

#[test]
fn one_after_the_other_where_each_gets_what_the_last_one_left() {
    let mut world = World::new([
        step("begin"),
        with("three", &["one", "two"]),
        with("two", &["one"]),
        step("one"),
    ]);
    let runset = world.fresh();
    let mut ran = Vec::new();
    for round in ["1", "2"] {
        world.run(&runset, 3, &mut |job| {
            ran.push(job.step.name.to_string());
            match job.step.name.as_str() {
                "begin" => left(&[("three", "3"), ("two", "2"), ("one", "1")]),
                "one" => left(&[("left", round)]),
                "two" => left(&[("right", round)]),
                _ => nothing(),
            }
        });
        let wanted = done(&["one/left", "two/right"]);
        assert_eq!(tasks(&world, &runset, "three"), [wanted]);
        let one = world.steps[3].id;
        world.state.restart(&runset, one).unwrap();
        world.state.commit().unwrap();
    }
    assert_eq!(ran, ["begin", "one", "two", "three", "one", "two", "three"]);
}

#[test]
fn a_dry_run_knows_who_would_wait() {
    let mut world = World::new(mapping());
    let runset = world.fresh();
    world.run(&runset, 2, &mut act);
    let index = world.steps[1].id;
    world.state.restart(&runset, index).unwrap();
    world.state.commit().unwrap();
    let (told, summary) = world.forecast_and_run(&runset, &mut act);
    assert_eq!((told[1].run.len(), told[2].held, told[2].reuse), (1, 2, 0));
    assert_eq!((summary.executed, summary.reused), (2, 5));
    // All that was done is known.
    let again = world.fresh();
    world.state.commit().unwrap();
    let (told, _) = world.forecast_and_run(&again, &mut act);
    assert_eq!(told[2].held, 0);
}

#[test]
fn a_dry_run_knows_what_reused_tasks_give() {
    let mut world = World::new(mapping());
    let runset = world.fresh();
    world.run(&runset, 2, &mut act);
    let again = world.fresh();
    world.turns(&again, 1, |scheduler| {
        let Ok(Turn::Do(begin)) = scheduler.turn(Instant::now(), None) else {
            panic!("there is one");
        };
        scheduler.interrupt(2);
        let end = ended(&begin, act(&begin));
        let end = scheduler.turn(Instant::now(), Some(Reply::Ended(end)));
        end.unwrap();
    });
    let (told, summary) = world.forecast_and_run(&again, &mut act);
    let reused: Vec<u64> = told.iter().map(|step| step.reuse).collect();
    assert!(told.iter().all(|step| step.run.is_empty()), "{told:?}");
    assert_eq!(reused, [0, 2, 2, 1, 2], "{told:?}");
    assert_eq!((summary.executed, summary.reused), (0, 7));
}

#[test]
fn whoever_dies_meanwhile_leaves_it_as_it_would_be() {
    let mut undisturbed = World::new(mapping());
    let expected = undisturbed.fresh();
    undisturbed.run(&expected, 2, &mut act);
    for ends in 0..7 {
        let mut world = World::new(mapping());
        let runset = world.fresh();
        world.die(&runset, 2, ends, &mut act);
        world.run(&runset, 2, &mut act);
        assert_eq!(world.rows(&runset), undisturbed.rows(&expected), "{ends}");
    }
}

#[test]
fn what_is_superseded_while_it_runs_leaves_nothing() {
    // Nobody says what map leaves, so a group waits for it that may lead to what map gets.
    for each in [true, false] {
        let map = Act {
            each,
            ..with("map", &["last"])
        };
        let all = [
            step("begin"),
            step("split"),
            map,
            below("merge", 1),
            step("last"),
        ];
        let mut world = World::new(all);
        let runset = world.fresh();
        let mut mapped = 0;
        // What is mapped ends when there is nothing else.
        let mut next = |hand: &[Box<Job>]| {
            let mut names = hand.iter().map(|job| job.step.name.as_str());
            Some(names.position(|name| name != "map").unwrap_or(0))
        };
        let mut act = |job: &Job| {
            let content = job.ready.input.hex();
            match job.step.name.as_str() {
                "begin" => left(&[("1_split", "1"), ("2_split", "2"), ("0_last", "0")]),
                "split" => left(&[("a_merge", &*content), ("b_map", &*content)]),
                "merge" => left(&[("c_last", &*content)]),
                "last" => left(&[("d", &*content)]),
                _ => {
                    mapped += 1;
                    left(&[("out", &*content)])
                }
            }
        };
        let summary = world.run_in_order(&runset, 8, &mut next, &mut act).unwrap();
        let live = if each { 6 } else { 2 };
        assert_eq!(summary.failed, 0);
        assert_eq!(world.counts(&runset, 2)[..2], [0, 0]);
        let finals = world.finals(&runset).into_iter();
        let names: Vec<_> = finals.filter_map(|row| row.name).collect();
        let count = |wanted: &str| names.iter().filter(|name| ***name == *wanted).count();
        assert_eq!((count("out"), count("d")), (live, 3), "{names:?}");
        assert!(mapped > live, "some had to do their work again");
        let given = tasks(&world, &runset, "map").into_iter();
        let most = given.filter_map(|(names, _)| Some(names?.len())).max();
        assert_eq!(most, Some(if each { 1 } else { 3 }));
    }
}

#[test]
fn all_groups_are_given_though_those_that_get_them_might_lead_there() {
    // Nobody says what map leaves: it could be for merge.
    for parallel in [1, 8] {
        let map = Act {
            each: true,
            ..with("map", &["merge"])
        };
        let mut world = World::new([step("begin"), step("split"), map, below("merge", 1)]);
        let runset = world.fresh();
        let mut merged = 0;
        let summary = world.run(&runset, parallel, &mut |job| {
            let content = job.ready.input.hex();
            match job.step.name.as_str() {
                "begin" => left(&[("1_split", "1"), ("2_split", "2")]),
                "split" => left(&[("a_merge", &*content), ("b_map", &*content)]),
                "merge" => {
                    merged += 1;
                    left(&[("c_map", &*content)])
                }
                _ => {
                    assert_eq!(merged, 2, "it waits for all");
                    left(&[("out", "o")])
                }
            }
        });
        assert_eq!(summary.failed, 0);
        assert_eq!(world.counts(&runset, 2)[..2], [0, 0]);
        assert_eq!(tasks(&world, &runset, "map").len(), 8);
        assert_eq!(world.finals(&runset).len(), 8);
    }
}

proptest! {
    #[test]
    fn the_order_of_ends_makes_no_difference(
        dice in prop::collection::vec(any::<prop::sample::Index>(), 20),
        parallel in 1..5_usize,
    ) {
        let mut undisturbed = World::new(mapping());
        let expected = undisturbed.fresh();
        undisturbed.run(&expected, 1, &mut act);
        let mut world = World::new(mapping());
        let runset = world.fresh();
        let mut number = 0;
        let mut next = |hand: &[Box<Job>]| {
            number += 1;
            Some(dice[number % dice.len()].index(hand.len()))
        };
        world.run_in_order(&runset, parallel, &mut next, &mut act).unwrap();
        prop_assert_eq!(world.rows(&runset), undisturbed.rows(&expected));
        let contexts: BTreeSet<_> = world.rows(&runset).into_iter().filter_map(|row| row.context).collect();
        prop_assert_eq!(contexts.len(), 1);
    }
}
