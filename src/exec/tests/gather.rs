//! What is gathered: when it is complete, what it is, and that the order of ends makes no difference.

mod descent;
mod nested;
mod random;

use super::world::{Act, World, by_key, gathers, has, left, nothing, step};
use crate::engine::{Job, Outcome};
use crate::model::digest::Digest;
use crate::model::list::{self, Form, List, Member};
use crate::model::task::TaskState;
use crate::state::Runset;

/// What a job works on: the names of its files.
fn files(world: &World, input: &Digest) -> Vec<String> {
    let bytes = std::fs::read(world.store.path(input)).unwrap();
    let list = List::read(&bytes).unwrap();
    list.files
        .iter()
        .map(|file| file.name.to_string())
        .collect()
}

/// The live tasks of a step: the names of the files that each works on, and its state.
fn gathered(world: &World, runset: &Runset, name: &str) -> Vec<(Vec<String>, TaskState)> {
    let rows = world.rows(runset).into_iter();
    let of_step = rows.filter(|row| row.step.as_ref().is_some_and(|step| step.as_str() == name));
    of_step
        .map(|row| (files(world, &row.object), row.state))
        .collect()
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn failure() -> Outcome {
    Outcome::Failure("no".to_owned())
}

/// `begin` leaves this many for `act`.
fn many(count: usize) -> Outcome {
    let names: Vec<(String, String)> = (0..count)
        .map(|n| (format!("{n:02}_act"), n.to_string()))
        .collect();
    let names: Vec<(&str, &str)> = names.iter().map(|(a, b)| (&**a, &**b)).collect();
    left(&names)
}

#[test]
fn all_that_comes_is_one_task() {
    for parallel in [1, 3, 30] {
        let mut world = World::new([step("begin"), step("act"), gathers("merge")]);
        let runset = world.fresh();
        let mut merged = 0;
        let summary = world.run(&runset, parallel, &mut |job| match job.step.name.as_str() {
            "begin" => many(20),
            "act" => left(&[("merge", "same"), ("x.end", "end")]),
            _ => {
                assert_eq!((job.ready.form, job.ready.parent), (Form::List, None));
                merged += 1;
                left(&[("all.txt", "all")])
            }
        });
        assert_eq!((summary.executed, summary.failed, merged), (22, 0, 1));
        let [(files, TaskState::Done)] = &gathered(&world, &runset, "merge")[..] else {
            panic!("one task")
        };
        assert_eq!(files.len(), 20);
        assert_eq!(
            files[0], "00_merge",
            "twenty of one name are told apart by their keys"
        );
        assert_eq!(world.counts(&runset, 2), [0, 0, 1], "members are no tasks");
        assert!(
            world
                .run(&runset, 1, &mut |_| panic!("all is done"))
                .waiting
                .is_empty()
        );
    }
}

/// Lists of more than a few members are written piece by piece.
#[test]
fn a_list_is_the_same_whatever_its_length() {
    for alike in [false, true] {
        for count in 1..=7 {
            let mut world = World::new([step("begin"), gathers("merge")]);
            let runset = world.fresh();
            let name = |number| match (alike, number) {
                (true, 3) => "2_merge".to_owned(),
                _ => format!("{number}_merge"),
            };
            let members = (0..count).map(|number| Member {
                name: name(number).into(),
                key: "".into(),
                digest: Digest::of(number.to_string().as_bytes()),
                form: Form::File,
            });
            let outputs: Vec<_> = (0..count).map(|n| (name(n), n.to_string())).collect();
            let outputs: Vec<_> = outputs.iter().map(|(a, b)| (&**a, &**b)).collect();
            world.run(&runset, 1, &mut |job| match job.step.name.as_str() {
                "begin" => left(&outputs),
                _ => nothing(),
            });
            let rows = world.rows(&runset).into_iter();
            let of_merge = rows.filter(|row| {
                row.step
                    .as_ref()
                    .is_some_and(|step| step.as_str() == "merge")
            });
            let lists: Vec<Digest> = of_merge.map(|row| row.object).collect();
            let wanted = list::of(members.collect());
            assert_eq!(lists, [Digest::of(wanted.as_bytes())], "{alike} {count}");
        }
    }
}

#[test]
fn what_gathers_later_waits_without_being_told_to() {
    let steps = [
        step("begin"),
        step("act"),
        gathers("merge"),
        gathers("report"),
    ];
    let mut world = World::new(steps);
    let runset = world.fresh();
    world.run(&runset, 4, &mut |job| match job.step.name.as_str() {
        "begin" => many(3),
        "act" => left(&[("merge", "1"), ("log_report", "2")]),
        "merge" => left(&[("merged_report", "3")]),
        _ => nothing(),
    });
    let report = gathered(&world, &runset, "report");
    let files = names(&["00_report", "01_report", "02_report", "merged_report"]);
    assert_eq!(report.len(), 1);
    assert_eq!(report[0].0.len(), 4, "{:?} {files:?}", report[0].0);
}

#[test]
fn a_task_for_each_key() {
    let mut world = World::new([step("begin"), step("act"), by_key("pair")]);
    let runset = world.fresh();
    let mut about = Vec::new();
    world.run(&runset, 4, &mut |job| match job.step.name.as_str() {
        "begin" => left(&[("a_act", "1"), ("b_act", "2")]),
        "act" if job.ready.input == Digest::of(b"1") => {
            left(&[("a_pair.1", "1"), ("a_pair.2", "2"), ("pair.3", "3")])
        }
        "act" => left(&[("b_pair.1", "1"), ("c_pair", "2")]),
        _ => {
            about.push(job.ready.input);
            nothing()
        }
    });
    let pairs = gathered(&world, &runset, "pair");
    let mut of: Vec<_> = pairs.iter().map(|(files, _)| files.join(" ")).collect();
    of.sort();
    assert_eq!(of, ["a_pair.1 a_pair.2 pair.3", "b_pair.1", "c_pair"]);
    assert_eq!(about.len(), 3);
}

#[test]
fn a_failed_member_is_waited_for() {
    let mut world = World::new([step("begin"), step("act"), gathers("merge")]);
    let runset = world.fresh();
    let mut broken = true;
    for round in 0..3 {
        broken &= round < 2;
        let summary = world.run(&runset, 2, &mut |job| match job.step.name.as_str() {
            "begin" => many(3),
            "act" if broken && job.ready.input == Digest::of(b"1") => failure(),
            "act" => left(&[("merge", "x")]),
            _ => nothing(),
        });
        let told: Vec<String> = summary.waiting.iter().map(ToString::to_string).collect();
        if broken {
            assert_eq!(told, ["2 gathered, waits for 1 failed"]);
            assert!(gathered(&world, &runset, "merge").is_empty());
        } else {
            assert!(told.is_empty());
            assert_eq!(gathered(&world, &runset, "merge")[0].0.len(), 3);
        }
    }
}

#[test]
fn what_is_there_is_enough_where_that_is_said() {
    let partial = Act {
        partial: true,
        ..gathers("merge")
    };
    let retried = Act {
        retries: 1,
        ..step("act")
    };
    let mut world = World::new([step("begin"), retried, partial, step("next")]);
    let runset = world.fresh();
    let mut broken = true;
    let mut merged = Vec::new();
    for _ in 0..2 {
        world.run(&runset, 2, &mut |job| match job.step.name.as_str() {
            "begin" => many(3),
            "act" if broken && job.ready.input == Digest::of(b"1") => failure(),
            "act" => left(&[("merge", "x")]),
            "merge" => {
                merged.push(job.ready.input);
                left(&[("next", "n")])
            }
            _ => nothing(),
        });
        broken = false;
    }
    assert_eq!(
        merged.len(),
        2,
        "once without the one that failed, once with it"
    );
    let all = gathered(&world, &runset, "merge");
    assert_eq!(all.len(), 1, "the first one is superseded");
    assert_eq!(all[0].0.len(), 3);
    let rows = world.rows(&runset);
    let next = rows
        .iter()
        .filter(|row| row.step == Some(world.steps[3].name.clone()));
    assert_eq!(next.count(), 1, "and so is what came of it");
}

#[test]
fn nothing_is_gathered_only_where_that_is_said() {
    for empty in [false, true] {
        let merge = Act {
            empty,
            ..gathers("merge")
        };
        let mut world = World::new([step("begin"), step("act"), merge]);
        let runset = world.fresh();
        for _ in 0..2 {
            world.run(&runset, 2, &mut |job| match job.step.name.as_str() {
                "begin" => many(2),
                _ => nothing(),
            });
            let merged = gathered(&world, &runset, "merge");
            assert_eq!(merged.len(), usize::from(empty));
            assert!(merged.iter().all(|(files, _)| files.is_empty()));
        }
    }
}

#[test]
fn the_same_list_is_not_worked_on_twice() {
    let mut world = World::new([step("begin"), step("act"), gathers("merge")]);
    let mut merged = 0;
    for _ in 0..2 {
        let runset = world.fresh();
        world.run(&runset, 3, &mut |job| match job.step.name.as_str() {
            "begin" => many(3),
            "act" => left(&[("merge", "x")]),
            _ => {
                merged += 1;
                left(&[("all", "x")])
            }
        });
        assert_eq!(gathered(&world, &runset, "merge").len(), 1);
    }
    assert_eq!(merged, 1);
}

#[test]
fn a_change_further_up_is_gathered_once() {
    let mut world = World::new([step("begin"), step("act"), gathers("merge"), step("next")]);
    let runset = world.fresh();
    let mut merged = Vec::new();
    for round in ["1", "1", "2"] {
        world.run(&runset, 2, &mut |job| match job.step.name.as_str() {
            "begin" => many(3),
            "act" => left(&[("merge", round)]),
            "merge" => {
                merged.push(job.ready.input);
                left(&[("next", "n")])
            }
            _ => nothing(),
        });
        let all = gathered(&world, &runset, "merge");
        assert_eq!((all.len(), all[0].0.len()), (1, 3));
        let act = world.steps[1].id;
        world.state.restart(&runset, act).unwrap();
        assert!(
            gathered(&world, &runset, "merge").is_empty(),
            "it does not stand for what there is"
        );
        world.state.commit().unwrap();
    }
    assert_eq!(merged.len(), 2, "the same bytes are the same list");
}

#[test]
fn what_comes_back_to_where_it_was_gathered_fails() {
    for (steps, told) in [
        (
            vec![step("begin"), gathers("merge"), step("act")],
            "left `x_merge`, which goes to merge; but act works on what came from merge, which had gathered everything by then",
        ),
        (
            vec![step("begin"), gathers("merge"), gathers("act")],
            "left `x_merge`, which goes to merge; but act itself gathers after merge",
        ),
    ] {
        let mut world = World::new(steps);
        let runset = world.fresh();
        let summary = world.run(&runset, 2, &mut |job| match job.step.name.as_str() {
            "begin" => left(&[("merge", "x")]),
            "merge" => left(&[("act", "y")]),
            _ => left(&[("x_merge", "z")]),
        });
        assert_eq!((summary.executed, summary.failed), (2, 1));
        let error = &summary.failures[0].error;
        assert!(error.starts_with(told), "{error}");
        assert!(error.contains("\nhint: "), "{error}");
    }
}

#[test]
fn what_cannot_lead_there_is_not_waited_for() {
    let aside = Act {
        outputs: &["end.log"],
        ..step("aside")
    };
    let mut world = World::new([step("begin"), aside, gathers("merge")]);
    let runset = world.fresh();
    let summary = world.run(&runset, 2, &mut |job| match job.step.name.as_str() {
        "begin" => left(&[("aside", "1"), ("merge", "2")]),
        "aside" => failure(),
        _ => nothing(),
    });
    assert_eq!((summary.executed, summary.failed), (2, 1));
    assert!(summary.waiting.is_empty());
}

#[test]
fn whoever_dies_when_all_is_there_leaves_it_complete() {
    let outcome = |job: &Job| match job.step.name.as_str() {
        "begin" => many(3),
        "act" => left(&[("merge", "x")]),
        _ => left(&[("all", "x")]),
    };
    let steps = || [step("begin"), step("act"), gathers("merge")];
    let mut undisturbed = World::new(steps());
    let expected = undisturbed.fresh();
    undisturbed.run(&expected, 2, &mut |job| outcome(job));
    for ends in 0..5 {
        for lost in [false, true] {
            let mut world = World::new(steps());
            let runset = world.fresh();
            world.die(&runset, 2, ends, &mut |job| outcome(job));
            if lost {
                let lists = world.state.unfinished_lists(&runset).unwrap();
                for (_, list) in lists {
                    std::fs::remove_file(world.store.path(&list)).unwrap();
                }
            }
            world.run(&runset, 2, &mut |job| {
                assert!(has(&job.ready.input) || job.ready.parent.is_some() || job.ready.forced);
                outcome(job)
            });
            assert_eq!(world.rows(&runset), undisturbed.rows(&expected));
        }
    }
}

#[test]
fn a_dry_run_knows_what_would_be_gathered() {
    let mut world = World::new([step("begin"), step("act"), gathers("merge")]);
    let act = &mut |job: &Job| match job.step.name.as_str() {
        "begin" => many(2),
        "act" => left(&[("merge", "x")]),
        _ => nothing(),
    };
    let runset = world.fresh();
    world.state.commit().unwrap();
    let (told, _) = world.forecast_and_run(&runset, act);
    assert!(told[2].gathers && told[2].run.is_empty());
    let begin = world.steps[1].id;
    world.state.restart(&runset, begin).unwrap();
    world.state.commit().unwrap();
    let (told, summary) = world.forecast_and_run(&runset, act);
    assert!(told[2].gathers);
    assert_eq!((summary.executed, summary.reused), (2, 1));
}
