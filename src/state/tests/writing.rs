//! Groups of writes, and what a failure leaves of them.

use super::*;

/// After a write that failed nothing is written, and the counts are those of the file.
#[test]
fn a_failed_write_is_the_last_one() {
    for how in [fault::How::Alone, fault::How::TakesAllBack] {
        let mut f = Fixture::new();
        let step = f.step("a", "1");
        let start = f.state.seed(&f.runset, step).unwrap();
        f.state.commit().unwrap();
        f.done(step, start);
        f.child(start, "one", None);
        f.state.fault().plan(Some(fault::Planned {
            first: 0,
            count: 1,
            how,
        }));
        let task = NewTask {
            form: Form::File,
            object: Digest::EMPTY,
            step: None,
            parent: Some(start),
            name: Some("two"),
            forced: false,
        };
        let told = [
            f.state.insert_task(&f.runset, &task).map(drop),
            f.state.insert_task(&f.runset, &task).map(drop),
            f.state.group(),
            f.state.commit(),
            f.state.put_environment(&Digest::EMPTY, "{}"),
            f.state.set_durable("boot", start),
            f.state.end_of_run(),
            f.state.migrate_tainted(&f.runset, &[step]).map(drop),
        ];
        for error in told.map(Result::unwrap_err) {
            assert!(error.to_string().contains("the disk is full"), "{error}");
            assert!(error.hint().is_some_and(|hint| hint.contains("make room")));
        }
        assert!(!f.state.is_grouped());
        assert_eq!((f.tally(step).pending, f.tally(step).done), (1, 0));
        assert_eq!(f.tally(StepId::FINAL).total(), 0);
        assert_eq!(f.state.newest_task().unwrap(), start);
    }
}

/// Where it was a question that failed, `SQLite` takes the group back all the same.
#[test]
fn a_group_that_is_gone_is_not_written_to() {
    let mut f = Fixture::new();
    let step = f.step("a", "1");
    f.state.commit().unwrap();
    f.state.seed(&f.runset, step).unwrap();
    f.state.fault().plan(Some(fault::Planned {
        first: 0,
        count: 1,
        how: fault::How::TakesAllBack,
    }));
    assert!(f.state.newest_task().is_err());
    let error = f.state.commit().unwrap_err();
    assert!(error.to_string().contains("taken back"), "{error}");
    assert!(f.state.seed(&f.runset, step).is_err());
    assert_eq!(f.tally(step).total(), 0);
}

#[test]
fn what_is_abandoned_is_not_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let (mut state, lock, _) = State::open(dir.path()).unwrap();
    let (runset, step) = begun(&mut state);
    state.commit().unwrap();
    state.seed(&runset, step).unwrap();
    state.abandon();
    assert!(state.commit().is_err());
    drop((state, lock));
    let (state, _lock, _) = State::open(dir.path()).unwrap();
    assert_eq!(state.newest_task().unwrap(), TaskId(0));
    assert!(state.tallies(runset.id).unwrap().is_empty());
}

#[test]
fn objects_that_cannot_be_synced_are_not_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let (mut state, _lock, _) = State::open(dir.path()).unwrap();
    state.set_sync(Sync::Commit).unwrap();
    let (runset, step) = begun(&mut state);
    state.commit().unwrap();
    state.seed(&runset, step).unwrap();
    // The folder that would be synced is gone.
    let elsewhere = dir.path().with_extension("moved");
    std::fs::rename(dir.path(), &elsewhere).unwrap();
    let told = state.commit().unwrap_err();
    std::fs::rename(&elsewhere, dir.path()).unwrap();
    assert!(told.to_string().starts_with("cannot sync"), "{told}");
    let again = state.commit().unwrap_err();
    assert_eq!(again.to_string(), told.to_string());
    assert_eq!(state.newest_task().unwrap(), TaskId(0));
}

#[test]
fn a_task_that_is_gone_or_finished_ends_nothing() {
    for gone in [false, true] {
        let mut f = Fixture::new();
        let step = f.step("a", "1");
        let start = f.state.seed(&f.runset, step).unwrap();
        let end = f.child(start, "end", None);
        let task = if gone { TaskId(99) } else { end };
        let ended = f
            .state
            .succeed(&f.runset, step, task, TaskState::Pending, &FINISHED);
        assert!(ended.unwrap_err().to_string().contains("has changed"));
        assert!(f.state.commit().is_err());
    }
}

/// What only asks cannot change anything, whatever it is given.
#[test]
fn questions_change_nothing() {
    let f = Fixture::new();
    for statement in ["DELETE FROM task", "BEGIN", "PRAGMA user_version = 9"] {
        assert!(
            f.state.connection.prepare(statement).is_err(),
            "{statement}"
        );
        assert!(f.state.connection.prepare_cached(statement).is_err());
    }
}
