//! Results that others have.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::world::{World, left, nothing, step};
use crate::engine::{Elsewhere, Found, Job, News, Outcome, Output, Question, Success, Turn};
use crate::model::digest::Digest;
use crate::model::list::Form;
use crate::model::shared::{MOST_OUTPUTS, ResultKey, Terms};
use crate::store::Session;

/// What somebody has, and what was wanted of him.
#[derive(Default)]
struct Friend {
    has: HashMap<ResultKey, (Vec<Output>, i64)>,
    asked: Vec<ResultKey>,
    given: Vec<ResultKey>,
    news: VecDeque<News>,
    /// Questions after which he is gone.
    patience: Option<usize>,
    /// Most that were without an answer at a time.
    most: usize,
    /// Whether the last question is answered first.
    backwards: bool,
}

#[derive(Clone, Default)]
struct Known(Arc<Mutex<Friend>>);

impl Elsewhere for Known {
    fn ask(&mut self, question: Question) -> bool {
        let mut friend = self.0.lock().unwrap();
        if friend.patience == Some(friend.asked.len()) {
            return false;
        }
        friend.asked.push(question.key);
        let found = friend.has.get(&question.key).map(|(outputs, executed)| {
            Box::new(Found {
                outputs: outputs.clone(),
                executed: *executed,
                origin: "lab (somewhere)".into(),
                _session: Session::default(),
            })
        });
        let (since, until) = question.within;
        let found = found.filter(|found| (since..=until).contains(&found.executed));
        friend.news.push_back(News::Answer(question.task, found));
        friend.most = friend.most.max(friend.news.len());
        true
    }

    fn news(&mut self, most: usize) -> Vec<News> {
        let mut friend = self.0.lock().unwrap();
        let count = friend.news.len().min(most);
        if friend.backwards {
            let at = friend.news.len() - count;
            return friend.news.drain(at..).rev().collect();
        }
        friend.news.drain(..count).collect()
    }

    fn has_news(&self) -> bool {
        !self.0.lock().unwrap().news.is_empty()
    }

    fn gives(&self) -> bool {
        true
    }

    fn give(&mut self, success: Success) {
        let mut friend = self.0.lock().unwrap();
        friend.given.push(success.key);
        let result = (success.outputs, success.executed);
        friend.has.entry(success.key).or_insert(result);
    }
}

/// A start step whose outputs `names`, each with its own bytes, go to a step that is shared.
fn world(friend: &Known) -> World {
    let mut world = World::new([step("begin"), step("act"), step("other")]);
    world.friend = Some(Box::new(friend.clone()));
    share(&mut world, 1);
    world
}

fn share(world: &mut World, queue: usize) {
    let name = world.steps[queue].name.clone();
    let plan = Arc::get_mut(&mut world.steps[queue]).unwrap();
    plan.share = Some(Arc::new(Terms {
        system: "here".into(),
        fingerprint: Digest::of(name.as_bytes()),
        step: None,
    }));
}

fn act(job: &Job) -> Outcome {
    match job.step.name.as_str() {
        "begin" => left(&[
            ("1_act", "x"),
            ("2_act", "y"),
            ("3_act", "x"),
            ("1_other", "z"),
        ]),
        "act" => left(&[("out.txt", &job.ready.input.hex()), ("2_other", "w")]),
        _ => nothing(),
    }
}

#[test]
fn what_others_have_is_not_executed_and_what_is_executed_they_get() {
    let friend = Known::default();
    let mut one = world(&friend);
    let runset = one.fresh();
    let summary = one.run(&runset, 2, &mut act);
    // Begin, two of act, and those of other: equal ones are asked for once.
    assert_eq!((summary.executed, summary.shared), (1 + 2 + 2, 0));
    let (asked, given) = {
        let friend = friend.0.lock().unwrap();
        (friend.asked.clone(), friend.given.clone())
    };
    assert_eq!((asked.len(), given.len()), (2, 2));
    assert_eq!(
        HashSet::<ResultKey>::from_iter(asked),
        given.into_iter().collect()
    );
    // Somebody else, with a db of his own.
    let mut two = world(&friend);
    let other = two.fresh();
    let summary = two.run(&other, 2, &mut |job: &Job| {
        assert_ne!(job.step.name.as_str(), "act", "others have it");
        act(job)
    });
    assert_eq!(
        (summary.executed, summary.shared, summary.reused),
        (3, 2, 3)
    );
    assert_eq!(two.rows(&other), one.rows(&runset));
    assert_eq!(friend.0.lock().unwrap().given.len(), 2);
    // Once it is here, nobody is asked.
    let again = two.fresh();
    let summary = two.run(&again, 2, &mut act);
    assert_eq!((summary.executed, summary.shared), (1, 0));
    assert_eq!(friend.0.lock().unwrap().asked.len(), 4);
    assert_eq!(two.rows(&again), one.rows(&runset));
}

#[test]
fn those_who_are_gone_are_done_without() {
    for patience in [0, 1] {
        let friend = Known::default();
        friend.0.lock().unwrap().patience = Some(patience);
        let mut world = world(&friend);
        let runset = world.fresh();
        let summary = world.run(&runset, 2, &mut act);
        assert_eq!((summary.executed, summary.shared), (5, 0));
        assert_eq!(friend.0.lock().unwrap().asked.len(), patience);
        assert_eq!(summary.pending, 0);
    }
}

#[test]
fn what_the_step_may_not_leave_is_not_taken() {
    let friend = Known::default();
    let mut one = world(&friend);
    let runset = one.fresh();
    one.run(&runset, 2, &mut act);
    for spoil in [
        |output: &mut Output| output.name = "else".into(),
        |output: &mut Output| output.form = Form::Folder,
    ] {
        let mut lies = friend.0.lock().unwrap().has.clone();
        lies.values_mut()
            .for_each(|(outputs, _)| spoil(&mut outputs[0]));
        let liar = Known::default();
        liar.0.lock().unwrap().has = lies;
        let mut two = world(&liar);
        let promise =
            ["out.txt", "*_other"].map(|text| crate::model::promise::Pattern::parse(text).unwrap());
        Arc::get_mut(&mut two.steps[1]).unwrap().outputs = Some(promise.into());
        let other = two.fresh();
        let summary = two.run(&other, 2, &mut act);
        assert_eq!((summary.executed, summary.shared), (5, 0));
        assert_eq!(two.rows(&other), one.rows(&runset));
    }
}

/// More than are asked for at a time, in whatever order the answers come, with every third result there.
#[test]
fn few_of_very_many_wait_for_an_answer() {
    const MANY: usize = 3000;
    for backwards in [false, true] {
        let friend = Known::default();
        friend.0.lock().unwrap().backwards = backwards;
        let names: Vec<(String, String)> = (0..MANY)
            .map(|n| (format!("{n}_act"), format!("bytes {n}")))
            .collect();
        let mut outcome = |job: &Job| match job.step.name.as_str() {
            "begin" => {
                let names = names.iter();
                left(&names.map(|(a, b)| (&**a, &**b)).collect::<Vec<_>>())
            }
            _ => nothing(),
        };
        let mut one = world(&friend);
        let runset = one.fresh();
        let summary = one.run(&runset, 8, &mut outcome);
        assert_eq!((summary.executed, summary.shared), (MANY as u64 + 1, 0));
        {
            let mut friend = friend.0.lock().unwrap();
            assert_eq!((friend.asked.len(), friend.given.len()), (MANY, MANY));
            assert!(friend.most <= 1024, "{}", friend.most);
            assert!(friend.most > 500, "{}", friend.most);
            let given = std::mem::take(&mut friend.given);
            for key in given.iter().filter(|key| key.0.0[0] % 3 != 0) {
                friend.has.remove(key);
            }
        }
        let there = friend.0.lock().unwrap().has.len() as u64;
        let mut two = world(&friend);
        let other = two.fresh();
        let summary = two.run(&other, 8, &mut outcome);
        let executed = MANY as u64 + 1 - there;
        assert_eq!((summary.executed, summary.shared), (executed, there));
        assert_eq!(two.rows(&other), one.rows(&runset));
    }
}

#[test]
fn what_runs_does_not_wait_for_answers() {
    let friend = Known::default();
    let mut world = world(&friend);
    let runset = world.fresh();
    let mut order = Vec::new();
    world.run(&runset, 1, &mut |job: &Job| {
        order.push(job.step.name.to_string());
        act(job)
    });
    // The answers are listened to when nothing runs.
    let first = order.iter().position(|name| name == "act").unwrap();
    assert_eq!(&order[..first], ["begin", "other"]);
}

#[test]
fn what_is_too_old_is_not_taken() {
    let friend = Known::default();
    let mut one = world(&friend);
    let runset = one.fresh();
    one.run(&runset, 2, &mut act);
    let executed = |to: i64| {
        let mut friend = friend.0.lock().unwrap();
        friend
            .has
            .values_mut()
            .for_each(|(_, executed)| *executed = to);
    };
    for (made, shared) in [(999, 0), (1000, 2), (i64::MAX, 0)] {
        executed(made);
        let mut two = world(&friend);
        let plan = Arc::get_mut(&mut two.steps[1]).unwrap();
        plan.scope = crate::engine::ReuseScope::Since(1000);
        let other = two.fresh();
        let summary = two.run(&other, 2, &mut act);
        assert_eq!(summary.shared, shared, "{made}");
    }
}

#[test]
fn nothing_starts_early_whose_result_is_asked_for() {
    for shared in [false, true] {
        let friend = Known::default();
        let mut world = World::new([step("begin"), step("act")]);
        world.friend = Some(Box::new(friend.clone()));
        if shared {
            share(&mut world, 1);
        }
        let runset = world.fresh();
        world.with(&runset, 2, |mut scheduler| {
            let Ok(Turn::Do(begin)) = scheduler.turn(Instant::now(), None) else {
                panic!("it is executed in each runset");
            };
            let early = scheduler.look_ahead(begin.ready.id, &["1_act".into()], 0, 5);
            assert_eq!(early.unwrap().is_none(), shared);
        });
    }
}

#[test]
fn what_has_too_many_outputs_for_others_is_told_once() {
    let names: Vec<String> = (0..=MOST_OUTPUTS).map(|n| format!("{n}.txt")).collect();
    let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
    for (outputs, warnings, given) in [(&many[..], 1, 0), (&many[1..], 0, 2)] {
        let friend = Known::default();
        let mut one = world(&friend);
        let runset = one.fresh();
        one.run(&runset, 1, &mut |job: &Job| match job.step.name.as_str() {
            "act" => left(outputs),
            _ => act(job),
        });
        assert_eq!(one.warnings, warnings);
        assert_eq!(friend.0.lock().unwrap().given.len(), given);
    }
}
