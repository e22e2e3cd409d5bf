//! Each input with each output of another step.

use super::*;

/// Two inputs, each with each part of an index.
pub(super) fn pairing() -> [Act; 5] {
    let each = Act {
        each: true,
        ..with("pair", &["index"])
    };
    [
        step("begin"),
        step("index"),
        each,
        gathers("report"),
        step("next"),
    ]
}

pub(super) fn act_on_pairs(job: &Job) -> Outcome {
    match job.step.name.as_str() {
        "begin" => left(&[
            ("1_pair", "1"),
            ("2_pair", "2"),
            ("a_index", "a"),
            ("b_index", "b"),
        ]),
        "pair" => left(&[("report", "r"), ("next", "n")]),
        _ => act(job),
    }
}

#[test]
fn each_input_is_worked_on_with_each_output() {
    for parallel in [1, 4] {
        let mut world = World::new(pairing());
        let runset = world.fresh();
        let summary = world.run(&runset, parallel, &mut act_on_pairs);
        assert_eq!((summary.failed, summary.executed), (0, 9), "{summary:?}");
        let wanted = [
            done(&["index/a_part"]),
            done(&["index/a_part"]),
            done(&["index/b_part"]),
            done(&["index/b_part"]),
        ];
        let mut found = tasks(&world, &runset, "pair");
        found.sort_by_key(|(names, _)| names.clone());
        assert_eq!(found, wanted);
        assert_eq!(world.counts(&runset, 2), [0, 0, 4]);
        assert_eq!(world.counts(&runset, 3), [0, 0, 1]);
        world.run(&runset, parallel, &mut |_| panic!("all is done"));
    }
}

#[test]
fn pairs_follow_what_they_are_made_of() {
    let mut world = World::new(pairing());
    let runset = world.fresh();
    let mut paired = 0;
    let mut rounds = Vec::new();
    for names in [
        &["a_index", "b_index"][..],
        &["a_index"],
        &["a_index", "b_index"],
        &[],
    ] {
        let summary = world.run(&runset, 3, &mut |job| {
            if job.step.name.as_str() == "begin" {
                let mut all = vec![("1_pair", "1"), ("2_pair", "2")];
                all.extend(names.iter().map(|name| (*name, &name[..1])));
                return left(&all);
            }
            paired += usize::from(job.step.name.as_str() == "pair");
            act_on_pairs(job)
        });
        assert_eq!(summary.failed, 0);
        rounds.push((tasks(&world, &runset, "pair").len(), paired));
        let begin = world.steps[0].id;
        world.state.restart(&runset, begin).unwrap();
        world.state.commit().unwrap();
    }
    // One part alone has a name of its own: its keys tell nothing apart.
    assert_eq!(rounds, [(4, 4), (2, 6), (4, 6), (0, 6)]);
}

#[test]
fn a_start_at_the_index_is_followed_by_its_pairs_alone() {
    let mut world = World::new(pairing());
    let runset = world.fresh();
    world.run(&runset, 2, &mut act_on_pairs);
    let index = world.steps[1].id;
    world.state.restart(&runset, index).unwrap();
    world.state.commit().unwrap();
    let (told, summary) =
        world.forecast_and_run(&runset, &mut |job| match job.step.name.as_str() {
            "index" if job.ready.input == Digest::of(b"b") => left(&[("part", "other")]),
            _ => act_on_pairs(job),
        });
    assert_eq!((told[1].run.len(), told[2].held), (1, 2));
    // Both parts, and two pairs of four.
    assert_eq!((summary.executed, summary.failed), (4, 0), "{summary:?}");
    assert_eq!(world.counts(&runset, 2)[..2], [0, 0]);
    assert_eq!(tasks(&world, &runset, "pair").len(), 4);
    let pair = world.steps[2].id;
    world.state.restart(&runset, pair).unwrap();
    world.state.commit().unwrap();
    let summary = world.run(&runset, 2, &mut act_on_pairs);
    assert_eq!(tasks(&world, &runset, "pair").len(), 4);
    assert!(summary.executed >= 4, "{summary:?}");
}

#[test]
fn whoever_dies_with_pairs_leaves_them_as_they_would_be() {
    let mut undisturbed = World::new(pairing());
    let expected = undisturbed.fresh();
    undisturbed.run(&expected, 2, &mut act_on_pairs);
    for ends in 0..9 {
        let mut world = World::new(pairing());
        let runset = world.fresh();
        world.die(&runset, 2, ends, &mut act_on_pairs);
        world.run(&runset, 2, &mut act_on_pairs);
        assert_eq!(world.rows(&runset), undisturbed.rows(&expected), "{ends}");
    }
}
