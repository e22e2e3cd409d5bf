//! What may go, and what must not.

use std::sync::Arc;

use super::*;
use crate::engine::{Job, Outcome};
use crate::exec::tests::world::{Act, World, gathers, left, nothing, step};
use crate::model::event::Summary;
use crate::model::route::Router;
use crate::state::Runset;

/// `begin` leaves two for `a`, each of which leaves one for `b`, which leaves a final one.
fn line() -> [Act; 3] {
    [step("begin"), step("a"), step("b")]
}

fn act(job: &Job) -> Outcome {
    let input = job.ready.input;
    let of = |what: &str| {
        if input == Digest::of(what.as_bytes()) {
            "1"
        } else {
            "2"
        }
    };
    match job.step.name.as_str() {
        "begin" => left(&[("1_a", "one"), ("2_a", "two, longer")]),
        "a" if of("one") == "1" => left(&[("1_b", "of one")]),
        "a" => left(&[("2_b", "of two, which is longer")]),
        "b" => left(&[(
            "end",
            if of("of one") == "1" {
                "first"
            } else {
                "second"
            },
        )]),
        _ => nothing(),
    }
}

/// All steps, as none of the manifest's keys forbids it.
fn steady(world: &World) -> Steady {
    let all = world.steps.iter().flat_map(|step| {
        let equal = step.equal.iter();
        equal.map(|version| (*version, step.name.clone()))
    });
    all.collect()
}

fn drop_some(world: &mut World, steady: &Steady, wish: &Wish) -> Evicted {
    // However many pieces it is looked for in, it is the same.
    let told = [1, 2, 3, 256].map(|pieces| {
        let store = &world.store;
        evict_in_pieces(&mut world.state, store, steady, wish, true, Some(pieces)).unwrap()
    });
    let done = evict_in_pieces(&mut world.state, &world.store, steady, wish, false, Some(5));
    let done = done.unwrap();
    for told in told {
        assert_eq!((told.all, &told.steps), (done.all, &done.steps));
    }
    done
}

fn drop_all(world: &mut World) -> u64 {
    let steady = steady(world);
    drop_some(world, &steady, &Wish::default()).all.objects
}

fn is_there(world: &World, content: &str) -> bool {
    world.store.contains(&Digest::of(content.as_bytes()))
}

fn ran(acts: impl IntoIterator<Item = Act>, outcome: fn(&Job) -> Outcome) -> (World, Runset) {
    let mut world = World::new(acts);
    let runset = world.fresh();
    world.run(&runset, 2, &mut |job| outcome(job));
    (world, runset)
}

fn another(world: &mut World) -> Runset {
    let other = world.state.create_runset("other", 0).unwrap();
    world.state.seed(&other, world.steps[0].id).unwrap();
    other
}

/// Runs to the end; the steps that ran, in order. Each has the bytes that it works on.
fn run(
    world: &mut World,
    runset: &Runset,
    outcome: &mut dyn FnMut(&Job) -> Outcome,
) -> (Summary, String) {
    let (mut steps, store) = (Vec::new(), Arc::clone(&world.store));
    let summary = world.run(runset, 1, &mut |job| {
        assert!(!store.lacks(&job.ready.input, job.ready.form).unwrap());
        steps.push(job.step.name.to_string());
        outcome(job)
    });
    (summary, steps.join(" "))
}

#[test]
fn what_is_between_goes_and_counts_as_there() {
    let (mut world, runset) = ran(line(), act);
    let rows = world.rows(&runset);
    assert_eq!(drop_all(&mut world), 2);
    assert!(!is_there(&world, "of one") && !is_there(&world, "of two, which is longer"));
    for stays in ["one", "two, longer", "first", "second"] {
        assert!(is_there(&world, stays), "{stays}");
    }
    assert_eq!(world.rows(&runset), rows, "nothing is forgotten");
    assert_eq!(world.state.evicted_amount().unwrap(), (2, 29));
    let again = world.run(&runset, 2, &mut |_| unreachable!());
    assert_eq!(again.executed + again.failed, 0);
    assert_eq!(drop_all(&mut world), 0, "once");

    let other = another(&mut world);
    let summary = world.run(&other, 2, &mut |job| act(job));
    assert_eq!(
        (summary.executed, summary.reused),
        (1, 4),
        "the start task runs"
    );
}

/// The bytes that a final output has may be those of something between.
#[test]
fn what_anything_else_needs_stays() {
    let outcome: fn(&Job) -> Outcome = |job| match job.step.name.as_str() {
        "a" => left(&[("x_b", "of all")]),
        "b" => left(&[("end", "of all")]),
        _ => act(job),
    };
    let (mut world, _) = ran(line(), outcome);
    assert_eq!(drop_all(&mut world), 0);
    assert!(is_there(&world, "of all"));
}

/// It would have to be made again at once.
#[test]
fn what_waits_to_be_worked_on_stays() {
    let outcome: fn(&Job) -> Outcome = |job| match job.step.name.as_str() {
        "b" if job.ready.input == Digest::of(b"of one") => Outcome::Failure("no".to_owned()),
        _ => act(job),
    };
    let (mut world, _) = ran(line(), outcome);
    assert_eq!(drop_all(&mut world), 1);
    assert!(is_there(&world, "of one"), "its task failed");
}

#[test]
fn what_steps_leave_that_may_leave_something_else_stays() {
    let (mut world, _) = ran(line(), act);
    let mut steady = steady(&world);
    steady.retain(|_, name| name.as_str() != "a");
    assert_eq!(
        drop_some(&mut world, &steady, &Wish::default()).all.objects,
        0
    );
}

/// Who makes them again has to have something to begin with.
#[test]
fn what_cannot_be_made_again_as_all_before_it_is_lost_stays() {
    let (mut world, _) = ran(line(), act);
    world.lose("one");
    assert_eq!(drop_all(&mut world), 1);
    assert!(is_there(&world, "of one"));
}

/// Two steps in line: the second can be made again from what the first is made again to.
#[test]
fn what_is_made_of_what_goes_can_go() {
    let acts = [step("begin"), step("a"), step("b"), step("c")];
    let outcome: fn(&Job) -> Outcome = |job| match job.step.name.as_str() {
        "b" if job.ready.input == Digest::of(b"of one") => left(&[("1_c", "first")]),
        "b" => left(&[("2_c", "second")]),
        "c" => left(&[("end", "end")]),
        _ => act(job),
    };
    let (mut world, _) = ran(acts, outcome);
    assert_eq!(drop_all(&mut world), 4);
    // What is lost was not dropped: what came of it is all that there is.
    let (mut world, _) = ran([step("begin"), step("a"), step("b"), step("c")], outcome);
    world.lose("of one");
    assert_eq!(drop_all(&mut world), 2);
    assert!(is_there(&world, "first"));
}

/// An older version's results are history: they keep nothing that today's leave as well, and cannot be made again.
#[test]
fn what_an_older_version_left_stays_unless_today_s_leaves_the_same() {
    let (mut world, runset) = ran(line(), act);
    world.edit(&runset, 1, "other");
    let outcome = |job: &Job| match job.step.name.as_str() {
        "a" if job.ready.input == Digest::of(b"one") => left(&[("1_b", "of one, otherwise")]),
        _ => act(job),
    };
    world.run(&runset, 2, &mut |job| outcome(job));
    assert_eq!(drop_all(&mut world), 2);
    assert!(is_there(&world, "of one"), "version 1 left it");
    assert!(!is_there(&world, "of one, otherwise"));
    assert!(
        !is_there(&world, "of two, which is longer"),
        "version 2 leaves it too"
    );
}

#[test]
fn what_is_gathered_goes_once_that_was_worked_on() {
    let acts = || [step("begin"), step("a"), gathers("b")];
    let fails: fn(&Job) -> Outcome = |job| match job.step.name.as_str() {
        "b" => Outcome::Failure("no".to_owned()),
        _ => act(job),
    };
    let (mut world, runset) = ran(acts(), fails);
    assert_eq!(drop_all(&mut world), 0);
    world.run(&runset, 2, &mut |job| act(job));
    assert_eq!(drop_all(&mut world), 2);
    let rows = world.state.evicted().unwrap();
    assert!(
        rows.contains(&Digest::of(b"of one")),
        "and not the list of them"
    );
}

#[test]
fn only_what_is_wished_for_goes() {
    let chosen = |wish: Wish| {
        let (mut world, _) = ran(line(), act);
        let steady = steady(&world);
        let dropped = drop_some(&mut world, &steady, &wish);
        let there = ["of one", "of two, which is longer"].map(|text| is_there(&world, text));
        (there, dropped.too_large)
    };
    let named = |name: &str| Some([StepName::new(name).unwrap()].into());
    let of = |steps| Wish {
        steps,
        ..Wish::default()
    };
    assert_eq!(chosen(of(named("b"))).0, [true, true]);
    assert_eq!(chosen(of(named("a"))).0, [false, false]);
    let in_runset = |name: &str| Wish {
        runset: Some(name.to_owned()),
        ..Wish::default()
    };
    assert_eq!(chosen(in_runset("other")).0, [true, true]);
    assert_eq!(chosen(in_runset("r")).0, [false, false]);
    let size = |size| Wish {
        size: Some(size),
        ..Wish::default()
    };
    assert_eq!(chosen(size(u64::MAX)), ([true, true], false));
    assert_eq!(chosen(size(0)), ([false, false], true));
}

/// A process that dies between the two has dropped nothing that is not known to be dropped; the next one goes on.
#[test]
fn what_is_recorded_and_not_gone_goes_the_next_time() {
    let (mut world, runset) = ran(line(), act);
    world
        .state
        .put_evicted(std::iter::once((Digest::of(b"of one"), 6)))
        .unwrap();
    world.reopen();
    world.store.set_evicted(world.state.evicted().unwrap());
    let again = world.run(&runset, 2, &mut |_| unreachable!());
    assert_eq!(again.executed, 0);
    assert!(is_there(&world, "of one"));
    assert_eq!(drop_all(&mut world), 2);
    assert!(!is_there(&world, "of one"));
}

/// `a` and `b` hand on what `c` works on.
fn long() -> [Act; 4] {
    [step("begin"), step("a"), step("b"), step("c")]
}

fn act_long(job: &Job) -> Outcome {
    match job.step.name.as_str() {
        "b" if job.ready.input == Digest::of(b"of one") => left(&[("1_c", "first")]),
        "b" => left(&[("2_c", "second")]),
        "c" if job.ready.input == Digest::of(b"first") => left(&[("1", "end 1")]),
        "c" => left(&[("2", "end 2")]),
        _ => act(job),
    }
}

/// What is edited works on what was dropped: the tasks right above it run, and those that these need; no row changes.
#[test]
fn what_a_script_needs_is_made_again_at_the_least_depth() {
    for (dropped, runs) in [("b", "b c b c"), ("a", "c c"), ("", "a b a b c c")] {
        let (mut world, runset) = ran(long(), act_long);
        let steady = steady(&world);
        let steps = (!dropped.is_empty()).then(|| [StepName::new(dropped).unwrap()].into());
        let wish = Wish {
            steps,
            ..Wish::default()
        };
        drop_some(&mut world, &steady, &wish);
        let of_a_and_b = |world: &World| {
            let mut rows = world.rows(&runset);
            rows.retain(|row| row.step.as_ref().is_some_and(|step| step.as_str() != "c"));
            rows
        };
        let rows = of_a_and_b(&world);
        world.edit(&runset, 3, "other");
        let (summary, ran) = run(&mut world, &runset, &mut |job| act_long(job));
        let sorted = |text: &str| {
            let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
            words.sort_unstable();
            words
        };
        assert_eq!(sorted(&ran), sorted(runs), "{dropped}");
        assert_eq!(summary.executed, 2);
        assert_eq!(summary.remade, sorted(runs).len() as u64 - 2);
        assert_eq!(of_a_and_b(&world), rows, "{dropped}");
        let there = world.state.evicted_amount().unwrap().0;
        assert_eq!(there, if dropped == "a" { 2 } else { 0 }, "{dropped}");
    }
}

/// An older result is taken over, which nobody needed the bytes of until it became a final output.
#[test]
fn a_final_output_has_its_bytes_whoever_left_it() {
    let (mut world, _) = ran(line(), act);
    drop_all(&mut world);
    let names = world.steps.iter().map(|step| step.name.clone());
    world.router = Router::new(names.filter(|name| name.as_str() != "b"));
    let other = another(&mut world);
    let (summary, ran) = run(&mut world, &other, &mut |job| act(job));
    assert_eq!((summary.reused, summary.remade), (2, 2), "{ran}");
    assert!(is_there(&world, "of one"));
    // A run that is killed before does so the next time.
    world.lose("of one");
    world
        .state
        .put_evicted(std::iter::once((Digest::of(b"of one"), 6)))
        .unwrap();
    world.store.set_evicted(world.state.evicted().unwrap());
    let (summary, ran) = run(&mut world, &other, &mut |job| act(job));
    assert_eq!((summary.remade, &*ran), (1, "a"));
}

#[test]
fn who_leaves_something_else_is_superseded_and_never_evicted_again() {
    let (mut world, runset) = ran(line(), act);
    drop_all(&mut world);
    world.edit(&runset, 2, "other");
    let mut outcome = |job: &Job| match job.step.name.as_str() {
        "a" if job.ready.input == Digest::of(b"one") => left(&[("1_b", "something else")]),
        _ => act(job),
    };
    let warnings = world.warnings;
    let (summary, ran) = run(&mut world, &runset, &mut outcome);
    assert_eq!(summary.superseded, 1, "{ran}");
    assert_eq!(world.warnings, warnings + 1, "it is told");
    let (summary, ran) = run(&mut world, &runset, &mut outcome);
    assert_eq!((summary.superseded, &*ran), (0, "a b"));
    assert!(is_there(&world, "something else"));
    assert_eq!(drop_all(&mut world), 0);
}

/// What waits for the bytes stays to be done; nothing that is recorded changes.
#[test]
fn who_fails_when_it_runs_again_is_told_and_stays_as_it_was() {
    let (mut world, runset) = ran(line(), act);
    drop_all(&mut world);
    world.edit(&runset, 2, "other");
    let (summary, _) = run(
        &mut world,
        &runset,
        &mut |job| match job.step.name.as_str() {
            "a" if job.ready.input == Digest::of(b"one") => Outcome::Failure("no".to_owned()),
            _ => act(job),
        },
    );
    let told = (summary.failed, summary.without_bytes, summary.executed);
    assert_eq!((told, summary.superseded), ((1, 1, 1), 0));
    let (summary, ran) = run(&mut world, &runset, &mut |job| act(job));
    assert_eq!((summary.remade, &*ran), (1, "a b"));
}

#[test]
fn who_may_be_tried_again_is() {
    let acts = [
        step("begin"),
        Act {
            retries: 1,
            ..step("a")
        },
        step("b"),
    ];
    let (mut world, runset) = ran(acts, act);
    drop_all(&mut world);
    world.edit(&runset, 2, "other");
    let mut first = true;
    let (summary, _) = run(&mut world, &runset, &mut |job| {
        if job.step.name.as_str() == "a" && std::mem::take(&mut first) {
            return Outcome::Failure("no".to_owned());
        }
        act(job)
    });
    assert_eq!(
        (summary.remade, summary.failed, summary.executed),
        (2, 0, 2)
    );
}

/// Bytes that were dropped, of what was made of something that is lost since.
#[test]
fn what_is_lost_above_what_was_dropped_is_made_again() {
    let (mut world, runset) = ran(line(), act);
    drop_all(&mut world);
    world.lose("one");
    world.edit(&runset, 2, "other");
    let (summary, _) = run(&mut world, &runset, &mut |job| act(job));
    assert_eq!((summary.superseded > 0, summary.failed), (true, 0));
    let (summary, ran) = run(&mut world, &runset, &mut |job| act(job));
    assert_eq!(summary.failed + summary.superseded, 0, "{ran}");
    assert!(is_there(&world, "one") && is_there(&world, "of one"));
}

/// Nothing runs as it did: it is done again as it is done now.
#[test]
fn what_another_version_left_is_superseded() {
    let (mut world, runset) = ran(line(), act);
    drop_all(&mut world);
    world.edit(&runset, 2, "other");
    // The step's tasks are not migrated.
    let plan = Arc::get_mut(&mut world.steps[1]).unwrap();
    plan.equal = vec![crate::state::StepId(999)];
    let (summary, ran) = run(&mut world, &runset, &mut |job| act(job));
    assert_eq!((summary.superseded, &*ran), (2, ""));
    let (summary, ran) = run(&mut world, &runset, &mut |job| act(job));
    assert_eq!((summary.superseded, summary.executed), (0, 4), "{ran}");
}
