//! What waits for groups below tasks, and what these wait for.

use super::{below, by_key, gathers, left, nothing, step, tasks, with};
use crate::engine::{Job, Outcome};
use crate::exec::tests::world::{Act, World};
use crate::model::digest::Digest;

fn named(act: &Act, outputs: &'static [&'static str]) -> Act {
    Act {
        outputs,
        ..act.clone()
    }
}

/// How often each step's tasks were done.
fn count(world: &mut World, runset: &crate::state::Runset, act: fn(&Job) -> Outcome) -> [usize; 5] {
    let mut counts = [0; 5];
    let summary = world.run(runset, 3, &mut |job| {
        counts[job.step.queue] += 1;
        act(job)
    });
    assert!(summary.waiting.is_empty(), "{:?}", summary.waiting);
    assert_eq!(summary.failed, 0);
    counts
}

#[test]
fn what_gathers_waits_for_groups_that_something_unrelated_holds_up() {
    let act = |job: &Job| {
        let key = if job.ready.input == Digest::of(b"1") {
            "x"
        } else {
            "y"
        };
        let name = |end: &str| format!("{key}_{end}");
        match job.step.name.as_str() {
            "begin" => left(&[("x_split", "1"), ("y_split", "2")]),
            "split" => left(&[(&name("merge"), key), (&name("other"), key)]),
            "merge" => left(&[("a_all", "m")]),
            "other" => left(&[("pin.txt", "p")]),
            _ => nothing(),
        }
    };
    for last in [by_key("all"), gathers("all")] {
        // Steps that gather stand before and behind what holds the groups up.
        for turned in [false, true] {
            let all = named(&last, &["fin.*?"]);
            let other = named(&with("other", &["split"]), &["pin.*"]);
            let (fourth, fifth) = if turned { (other, all) } else { (all, other) };
            let mut world = World::new([
                step("begin"),
                named(&step("split"), &["*_merge", "*_other"]),
                named(&below("merge", 1), &["*_all"]),
                fourth,
                fifth,
            ]);
            let runset = world.fresh();
            let counts = count(&mut world, &runset, act);
            let expected = if turned {
                [1, 2, 2, 2, 1]
            } else {
                [1, 2, 2, 1, 2]
            };
            assert_eq!(counts, expected, "each once, for all");
            assert_eq!(count(&mut world, &runset, act), [0; 5]);
        }
    }
}

/// Parts are merged part by part, and others are made of each with an index.
fn act(job: &Job) -> Outcome {
    match job.step.name.as_str() {
        "begin" => left(&[("index", "i"), ("1_split", "1"), ("2_split", "2")]),
        "index" => left(&[("done", "i")]),
        "split" => left(&[("x_merge", "m"), ("x_other", "o")]),
        _ => nothing(),
    }
}

#[test]
fn what_waits_for_an_index_does_not_wait_for_groups_that_wait_for_it() {
    let steps = [
        step("begin"),
        step("index"),
        step("split"),
        with("other", &["index"]),
        below("merge", 2),
    ];
    let mut world = World::new(steps);
    let runset = world.fresh();
    assert_eq!(count(&mut world, &runset, act)[0..3], [1, 1, 2]);
    // All that has been done once is to be done again, and of no step alone.
    world.edit(&runset, 3, "1");
    world.edit(&runset, 4, "1");
    let counts = count(&mut world, &runset, act);
    assert_eq!(counts[..3], [0; 3]);
    for step in [3, 4] {
        assert!(counts[step] > 0);
        assert_eq!(world.counts(&runset, step)[..2], [0, 0]);
    }
}

#[test]
fn nobody_waits_for_an_index_until_nothing_else_goes_on() {
    let mut world = World::new([
        step("begin"),
        step("index"),
        named(&step("split"), &["*_merge", "*_other"]),
        with("other", &["index"]),
        below("merge", 2),
        named(&step("long"), &["end"]),
    ]);
    let runset = world.fresh();
    let mut order = Vec::new();
    let mut long_last = |jobs: &[Box<Job>]| {
        let quick = jobs.iter().position(|job| job.step.queue != 5);
        Some(quick.unwrap_or(0))
    };
    let summary = world.run_in_order(&runset, 4, &mut long_last, &mut |job| {
        order.push(job.step.name.to_string());
        match job.step.name.as_str() {
            "begin" => left(&[("index", "i"), ("1_split", "1"), ("long", "l")]),
            "long" => left(&[("end", "e")]),
            _ => act(job),
        }
    });
    assert!(summary.unwrap().waiting.is_empty());
    assert_eq!(order.last().map(String::as_str), Some("long"), "{order:?}");
    assert_eq!(order.len(), 6);
}

#[test]
fn whoever_gets_what_groups_leave_by_way_of_names_waits_for_it() {
    // `late` works on an input of its own, so no group waits for it.
    let mut world = World::new([
        step("begin"),
        step("split"),
        below("merge", 1),
        step("made"),
        with("late", &["made"]),
    ]);
    let runset = world.fresh();
    let act = |job: &Job| match job.step.name.as_str() {
        "begin" => left(&[("1_split", "1"), ("2_split", "2"), ("late", "l")]),
        "split" => left(&[("x_merge", "m")]),
        "merge" => left(&[("x_made", "x")]),
        "made" => left(&[("done", "d")]),
        _ => nothing(),
    };
    assert_eq!(
        count(&mut world, &runset, act)[4],
        1,
        "not before all was made"
    );
    let got = tasks(&world, &runset, "late").remove(0).0;
    assert_eq!(got.map(|names| names.len()), Some(2));
}

#[test]
fn what_follows_from_those_that_get_all_groups_holds_up_none() {
    let mut world = World::new([
        step("begin"),
        step("index"),
        below("merge", 0),
        with("late", &["index", "merge"]),
        step("last"),
    ]);
    let runset = world.fresh();
    let act = |job: &Job| match job.step.name.as_str() {
        "begin" => left(&[("index", "i")]),
        "index" => left(&[("late", "l")]),
        "late" => left(&[("last", "l")]),
        _ => nothing(),
    };
    assert_eq!(count(&mut world, &runset, act), [1, 1, 0, 1, 1]);
}

#[test]
fn of_a_task_with_pairs_each_of_these_has_a_group_and_it_has_none() {
    let act = |job: &Job| match job.step.name.as_str() {
        "begin" => left(&[("pair", "p"), ("index", "i")]),
        "index" => left(&[("a", "a"), ("b", "b")]),
        _ => nothing(),
    };
    let pair = Act {
        each: true,
        ..with("pair", &["index"])
    };
    let merge = Act {
        empty: true,
        reuse_rule: false,
        ..below("merge", 2)
    };
    let mut world = World::new([step("begin"), step("index"), pair, merge]);
    let runset = world.fresh();
    assert_eq!(count(&mut world, &runset, act), [1, 1, 2, 2, 0]);
    assert_eq!(count(&mut world, &runset, act), [0; 5]);
}
