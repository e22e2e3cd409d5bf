use super::super::{Finished, StepId};
use super::*;
use crate::model::identity::Identity;
use crate::model::name::StepName;
use crate::model::task::TaskState;

fn begun() -> (State, Runset, StepId) {
    let mut state = State::in_memory();
    let runset = state.create_runset("r", 0).unwrap();
    let known = state.known_steps().unwrap();
    let name = StepName::new("a").unwrap();
    let made = state.register(&known, &name, &Identity::default(), true, None, 0);
    (state, runset, made.unwrap().id)
}

fn ended(worker: i64, started: i64) -> Try<'static> {
    Try {
        worker,
        started,
        elapsed: 5000,
        lost: None,
    }
}

#[test]
fn each_try_elsewhere_is_known_by_its_machine_and_none_at_home_is() {
    let (mut state, runset, step) = begun();
    let task = state.seed(&runset, step).unwrap();
    state.worker_called(&runset, 4, "lab", 10).unwrap();
    state.worker_came(4, "n1", 2, 20).unwrap();
    state.worker_called(&runset, 5, "lab", 11).unwrap();
    state.worker_came(5, "n2", 2, 21).unwrap();
    assert_eq!(state.node_of(3), None);
    assert_eq!(state.node_of(5).as_deref(), Some("n2"));
    let lost = Try {
        lost: Some("it ended"),
        ..ended(4, 30)
    };
    for of in [ended(3, 25), lost, ended(5, 40)] {
        state.put_attempt(task, of).unwrap();
    }
    let tries = state.attempts(task).unwrap();
    let tries: Vec<_> = tries
        .iter()
        .map(|one| (one.node.as_deref(), one.started, one.lost.as_deref()))
        .collect();
    assert_eq!(
        tries,
        [(Some("n1"), 30, Some("it ended")), (Some("n2"), 40, None)]
    );
    // Nothing of it has ended as far as the row says.
    assert_eq!(state.task(task).unwrap().unwrap().node, None);
    let finished = Finished {
        started: 40,
        elapsed: 5000,
        worker: 5,
        cpu: None,
        peak: None,
    };
    let from = TaskState::Pending;
    state.succeed(&runset, step, task, from, &finished).unwrap();
    let node = state.task(task).unwrap().unwrap().node;
    assert_eq!(node.as_deref(), Some("n2"));
}

#[test]
fn workers_of_a_run_are_gone_when_it_is_and_go_on_with_its_next_runset() {
    let (mut state, runset, step) = begun();
    let task = state.seed(&runset, step).unwrap();
    for (worker, at) in [(1, 10), (2, 11), (3, 12)] {
        state.worker_called(&runset, worker, "lab", at).unwrap();
    }
    state.worker_came(1, "n1", 2, 20).unwrap();
    state.worker_came(2, "n2", 2, 21).unwrap();
    state.put_attempt(task, ended(1, 25)).unwrap();
    state.worker_gone(2, "it was ended", 30).unwrap();
    let other = state.create_runset("s", 0).unwrap();
    state.keep_workers(&other, 50).unwrap();
    state.keep_workers(&other, 51).unwrap();
    let next = state.seed(&other, step).unwrap();
    state.put_attempt(next, ended(1, 60)).unwrap();
    state.end_workers(70, "the run was over").unwrap();
    let told = |state: &State, runset: &Runset| -> Vec<_> {
        let workers = state.workers(Some(runset)).unwrap();
        let told = workers.into_iter();
        told.map(|one| (one.node, one.called, one.came, one.gone, one.ended))
            .collect()
    };
    let node = |name: &str| Some(name.to_owned());
    assert_eq!(
        told(&state, &runset),
        [
            (node("n1"), 10, Some(20), Some(50), 1),
            (node("n2"), 11, Some(21), Some(30), 0),
            (None, 12, None, Some(50), 0),
        ]
    );
    let mut later = told(&state, &other);
    later.sort();
    assert_eq!(
        later,
        [
            (None, 50, None, Some(70), 0),
            (node("n1"), 50, Some(50), Some(70), 1),
        ]
    );
}
