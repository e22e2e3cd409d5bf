use super::*;
use crate::model::list::Form;
use crate::model::name::StepName;
use crate::model::task::TaskState;
use crate::state::{Finished, Logs, NewTask, State};

/// A start step `a` in two versions, whose first version's task left one output for `b`, which
/// failed, and one final output.
fn pipeline() -> (State, Runset) {
    let mut state = State::in_memory();
    let runset = state.create_runset("r", 7).unwrap();
    let [a, _, b] = [("a", "one"), ("a", "two"), ("b", "three")].map(|(name, script)| {
        let identity = Identity {
            script: script.into(),
            shell: vec!["sh".into()],
            ..Identity::default()
        };
        let name = StepName::new(name).unwrap();
        let known = state.known_steps().unwrap();
        let registered = state.register(&known, &name, &identity, false, None, 5);
        registered.unwrap().id
    });
    let task = state.seed(&runset, a).unwrap();
    let finished = Finished {
        started: 1000,
        elapsed: 5,
        worker: 2,
        cpu: None,
        peak: None,
    };
    state
        .succeed(&runset, a, task, TaskState::Pending, &finished)
        .unwrap();
    for (step, name) in [(Some(b), "b"), (None, "end")] {
        let new = NewTask {
            form: Form::File,
            object: Digest::of(name.as_bytes()),
            step,
            parent: Some(task),
            name: Some(name),
            forced: false,
        };
        let child = state.insert_task(&runset, &new).unwrap();
        if step.is_some() {
            state
                .fail(&runset, b, child, TaskState::Pending, "no", &finished)
                .unwrap();
            let logs = Logs {
                stdout: None,
                stderr: Some(Digest::EMPTY),
            };
            state.put_logs(child, false, logs).unwrap();
        }
    }
    state.commit().unwrap();
    (state, runset)
}

#[test]
fn steps_flows_and_counts() {
    let (state, runset) = pipeline();
    let steps = state.recorded_steps().unwrap();
    let names: Vec<_> = steps.iter().map(|s| (s.name.as_str(), s.version)).collect();
    assert_eq!(names, [("a", 1), ("a", 2), ("b", 1)]);
    let flows = [
        (steps[0].id, StepId::FINAL, 1, 0),
        (steps[0].id, steps[2].id, 1, 0),
    ];
    assert_eq!(state.flows(Some(&runset)).unwrap(), flows);
    assert_eq!(state.flows(None).unwrap(), flows);
    let totals = state.totals(None).unwrap();
    assert_eq!(totals, state.totals(Some(&runset)).unwrap());
    assert_eq!(totals.iter().map(|(_, t)| t.total()).sum::<i64>(), 3);
    assert_eq!(state.runset_created(&runset).unwrap(), Some(7));
}

#[test]
fn executions_outputs_and_failures() {
    let (state, runset) = pipeline();
    let mut seen = Vec::new();
    state
        .each_execution(Some(&runset), |e| seen.push((e.worker, e.failed)))
        .unwrap();
    assert_eq!(seen, [(2, false), (2, true)]);
    let mut left = 0;
    state.each_left(None, |_, _| left += 1).unwrap();
    assert_eq!(left, 2);
    let failures = state.failures(None, 9).unwrap();
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0].error.as_deref(), Some("no"));
    assert_eq!(failures[0].stderr, Some(Digest::EMPTY));
    let notable = state.notable_tasks(None, 9).unwrap();
    assert_eq!(notable[0].state, TaskState::Failed);
    assert_eq!(notable.len(), 2);
}

#[test]
fn another_runsets_tasks_are_left_out() {
    let (mut state, _) = pipeline();
    let other = state.create_runset("other", 0).unwrap();
    state.commit().unwrap();
    assert!(state.flows(Some(&other)).unwrap().is_empty());
    assert!(state.notable_tasks(Some(&other), 9).unwrap().is_empty());
    assert!(state.failures(Some(&other), 9).unwrap().is_empty());
}
