//! Versions of steps, and how tasks come from one to another.

use super::*;

#[test]
fn versions_are_registered_when_something_changes() {
    let mut f = Fixture::new();
    let name = StepName::new("a").unwrap();
    let mut register = |script: &str| {
        let known = f.state.known_steps().unwrap();
        f.state
            .register(&known, &name, &identity(script), false, None, 0)
            .unwrap()
    };
    assert_eq!(register("1").version, 1);
    assert!(!register("1").new);
    let second = register("2");
    assert_eq!((second.version, second.changes.len()), (2, 1));
    let first = register("1");
    assert!(first.again && !first.new, "an older one is no new one");
    assert_eq!((first.version, first.changes.len()), (1, 1));
    assert!(!register("1").again);
    assert_eq!(register("3").version, 3);
    assert!(register("2").again);
    let versions = f.state.versions("a").unwrap();
    let current: Vec<bool> = versions.iter().map(|version| version.current).collect();
    assert_eq!(current, [false, true, false]);
    let current = f.state.current_version("a").unwrap().unwrap();
    assert_eq!((current.id, current.version), (second.id, 2));
}

#[test]
fn a_run_that_is_killed_leaves_one_current_version() {
    let dir = tempfile::tempdir().unwrap();
    let name = StepName::new("a").unwrap();
    let register = |state: &mut State, script: &str| {
        let known = state.known_steps().unwrap();
        let made = state.register(&known, &name, &identity(script), true, None, 0);
        made.unwrap()
    };
    let current = |state: &State| {
        let versions = state.versions("a").unwrap();
        let current = versions.iter().filter(|version| version.current);
        current.map(|version| version.version).collect::<Vec<_>>()
    };
    for (scripts, expected) in [
        (["1", "1", "2"], 1),
        (["1", "2", "1"], 2),
        (["2", "1", "3"], 1),
    ] {
        let (mut state, lock) = State::open_again(dir.path());
        let [committed @ .., killed] = scripts;
        for script in committed {
            register(&mut state, script);
            state.commit().unwrap();
        }
        let found = register(&mut state, killed);
        assert_eq!(current(&state), [found.version]);
        drop((state, lock));
        let (state, _lock) = State::open_again(dir.path());
        assert_eq!(current(&state), [expected], "{scripts:?}");
    }
}

#[test]
fn versions_that_compute_the_same_are_one() {
    // As older formats have them.
    let mut f = Fixture::new();
    let (first, second) = (f.step("a", "1"), f.step("a", "2"));
    let third = "INSERT INTO step (name, script, version, fingerprint, identity, current)
                     SELECT name, script, 3, fingerprint, identity, 1 FROM step WHERE version = 1";
    let statements = format!("UPDATE step SET current = 0; {third}");
    f.state
        .reader
        .connection
        .write_all("test", &statements)
        .unwrap();
    let task = f.state.seed(&f.runset, first).unwrap();
    f.done(first, task);
    let name = StepName::new("a").unwrap();
    let mut register = |script: &str| {
        let known = f.state.known_steps().unwrap();
        f.state
            .register(&known, &name, &identity(script), false, None, 0)
            .unwrap()
    };
    let same = register("1");
    assert!(!same.new && !same.again);
    assert_eq!(
        (same.version, same.equal.as_slice()),
        (3, &[same.id, first][..])
    );
    assert_eq!(f.state.equal_versions(same.id).unwrap(), same.equal);
    assert_eq!(f.state.migrate_tainted(&f.runset, &[same.id]).unwrap(), []);
    assert!(!f.state.task(task).unwrap().unwrap().tainted);
    assert_eq!(f.step("a", "2"), second);
    assert!(f.state.task(task).unwrap().unwrap().tainted);
    assert_eq!(f.step("a", "1"), same.id, "the last of equal ones");
    let made = f.state.migrate_tainted(&f.runset, &[second]).unwrap();
    assert_eq!(made, [(second, 1)]);
    f.assert_counts();
}

#[test]
fn only_topmost_tainted_tasks_are_migrated() {
    let mut f = Fixture::new();
    let (a, b) = (f.step("a", "1"), f.step("b", "1"));
    let start = f.state.seed(&f.runset, a).unwrap();
    f.done(a, start);
    let middle = f.child(start, "x_b", Some(b));
    f.done(b, middle);
    f.child(middle, "end", None);
    f.assert_counts();
    let b2 = f.step("b", "2");
    assert_eq!(
        f.state.migrate_tainted(&f.runset, &[a, b2]).unwrap(),
        [(b2, 1)]
    );
    f.assert_counts();
    assert_eq!((f.tally(b2).pending, f.tally(b).total()), (1, 0));
    assert_eq!(f.tally(StepId::FINAL).total(), 0);
    assert_eq!(f.state.migrate_tainted(&f.runset, &[a, b2]).unwrap(), []);

    // Now both: only the upper one comes again.
    let again = f.state.unfinished(&f.runset, b2, TaskId(0), 9).unwrap();
    f.done(b2, again[0].id);
    let (a2, b3) = (f.step("a", "2"), f.step("b", "3"));
    assert_eq!(
        f.state.migrate_tainted(&f.runset, &[a2, b3]).unwrap(),
        [(a2, 1)]
    );
    f.assert_counts();
    assert_eq!((f.tally(a2).pending, f.tally(b3).total()), (1, 0));
}

#[test]
fn an_output_is_told_once_after_a_migration() {
    let mut f = Fixture::new();
    let (a, b) = (f.step("a", "1"), f.step("b", "1"));
    let start = f.state.seed(&f.runset, a).unwrap();
    f.done(a, start);
    let middle = f.child(start, "x_b", Some(b));
    f.done(b, middle);
    let b2 = f.step("b", "2");
    f.state.migrate_tainted(&f.runset, &[a, b2]).unwrap();
    let mut outputs = Vec::new();
    f.state
        .each_output(start, |name, _, _| outputs.push(name.unwrap().to_string()))
        .unwrap();
    assert_eq!(outputs, ["x_b"]);
}

#[test]
fn unfinished_tasks_go_on_under_the_current_version() {
    let mut f = Fixture::new();
    let a = f.step("a", "1");
    let task = f.state.seed(&f.runset, a).unwrap();
    f.state
        .fail(&f.runset, a, task, TaskState::Pending, "no", &FINISHED)
        .unwrap();
    let a2 = f.step("a", "2");
    assert_eq!(f.state.update_unfinished(&f.runset, &[a2]).unwrap(), 1);
    f.assert_counts();
    let rows = f.state.unfinished(&f.runset, a2, TaskId(0), 9).unwrap();
    assert_eq!((rows.len(), rows[0].state), (1, TaskState::Failed));
    f.state
        .fail(&f.runset, a2, task, TaskState::Failed, "again", &FINISHED)
        .unwrap();
    f.assert_counts();
}

#[test]
fn restart_takes_finished_tasks_of_every_version() {
    let mut f = Fixture::new();
    let a = f.step("a", "1");
    let task = f.state.seed(&f.runset, a).unwrap();
    f.done(a, task);
    f.child(task, "end", None);
    assert_eq!(f.state.restart(&f.runset, a).unwrap(), 1);
    f.assert_counts();
    let rows = f.state.unfinished(&f.runset, a, TaskId(0), 9).unwrap();
    assert!(rows[0].forced);
    assert_eq!(f.tally(StepId::FINAL).total(), 0);
}
