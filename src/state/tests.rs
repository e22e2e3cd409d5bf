use std::collections::BTreeMap;

use super::*;
use crate::core::digest::Digest;
use crate::core::identity::{Identity, Tools};
use crate::core::name::StepName;
use crate::core::task::{State as TaskState, Tally, TaskId};

fn identity(script: &str) -> Identity {
    Identity {
        script: script.into(),
        shell: vec!["sh".into()],
        env: BTreeMap::new(),
        pure: false,
        keep: Vec::new(),
        tools: Tools::Host,
    }
}

const FINISHED: Finished = Finished {
    started: 0,
    elapsed: 0,
    worker: 0,
};

struct Fixture {
    state: State,
    runset: Runset,
}

impl Fixture {
    fn new() -> Self {
        let mut state = State::in_memory();
        let runset = state.create_runset("r", 0).unwrap();
        Self { state, runset }
    }

    fn step(&mut self, name: &str, script: &str) -> StepId {
        let name = StepName::new(name).unwrap();
        self.state
            .register(&name, &identity(script), false, None, 0)
            .unwrap()
            .id
    }

    fn done(&mut self, step: StepId, task: TaskId) {
        self.state
            .succeed(&self.runset, step, task, TaskState::Pending, &FINISHED)
            .unwrap();
    }

    fn child(&mut self, parent: TaskId, name: &str, step: Option<StepId>) -> TaskId {
        self.state
            .insert_task(
                &self.runset,
                &NewTask {
                    object: Digest::of(name.as_bytes()),
                    step,
                    parent: Some(parent),
                    name: Some(name),
                    forced: false,
                },
            )
            .unwrap()
    }

    fn tally(&self, step: StepId) -> Tally {
        let counts = self.state.tallies(self.runset.id).unwrap();
        counts.get(&step).copied().unwrap_or_default()
    }

    /// The counts that are kept are those that counting gives.
    fn assert_counts(&mut self) {
        self.state.commit().unwrap();
        let mut kept = self.state.tallies(self.runset.id).unwrap();
        kept.retain(|_, tally| !tally.is_zero());
        tally::recount(&self.state.connection).unwrap();
        assert_eq!(kept, self.state.tallies(self.runset.id).unwrap());
    }
}

#[test]
fn versions_are_registered_when_something_changes() {
    let mut f = Fixture::new();
    let name = StepName::new("a").unwrap();
    let mut register = |script: &str| {
        f.state
            .register(&name, &identity(script), false, None, 0)
            .unwrap()
    };
    assert_eq!(register("1").version, 1);
    assert!(!register("1").new);
    let second = register("2");
    assert_eq!((second.version, second.changes.len()), (2, 1));
    assert_eq!(register("1").version, 3, "back to an older one is new too");
    let third = f.state.newest_version("a").unwrap().unwrap().id;
    assert_eq!(f.state.equal_versions(third).unwrap().len(), 2);
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
        .each_output(start, |name, _| outputs.push(name.to_owned()))
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
    assert_eq!(f.state.update_unfinished(&f.runset, a2).unwrap(), 1);
    f.assert_counts();
    let rows = f.state.unfinished(&f.runset, a2, TaskId(0), 9).unwrap();
    assert_eq!((rows.len(), rows[0].state), (1, TaskState::Failed));
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

#[test]
fn an_equal_task_is_found_by_content_and_by_name_where_asked() {
    let mut f = Fixture::new();
    let (a, b) = (f.step("a", "1"), f.step("b", "1"));
    let start = f.state.seed(&f.runset, a).unwrap();
    f.done(a, start);
    let one = f.child(start, "x", Some(b));
    let input = Digest::of(b"x");
    let find = |f: &Fixture, name| f.state.finished_equal(&[b], &input, name).unwrap();
    assert_eq!(find(&f, None), None);
    f.done(b, one);
    assert_eq!(find(&f, None), Some(one));
    assert_eq!(find(&f, Some(Some("x"))), Some(one));
    assert_eq!(find(&f, Some(Some("y"))), None);
    assert!(f.state.descends(one, start).unwrap());
    assert!(!f.state.descends(start, one).unwrap());
}

#[test]
fn finished_tasks_cannot_end_again() {
    let mut f = Fixture::new();
    let a = f.step("a", "1");
    let task = f.state.seed(&f.runset, a).unwrap();
    f.done(a, task);
    let again = f
        .state
        .succeed(&f.runset, a, task, TaskState::Done, &FINISHED);
    assert!(matches!(again, Err(Error::Illegal(_))));
}

#[test]
fn the_first_implementations_database_is_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let connection = Connection::open(dir.path().join("db")).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE step (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL,
                 script TEXT NOT NULL, version INTEGER NOT NULL, is_start INTEGER, parallel INTEGER);
             CREATE TABLE task (id INTEGER PRIMARY KEY AUTOINCREMENT, object_hash TEXT NOT NULL,
                 step_id INTEGER, input_task_id INTEGER, processed INTEGER DEFAULT 0, error TEXT,
                 runset TEXT);
             CREATE INDEX idx_step_name ON step (name);
             INSERT INTO step VALUES (1, 'a', 'true', 1, 1, NULL);
             INSERT INTO task VALUES (1, 'e3b0', 1, NULL, 1, NULL, '2025'),
                 (2, 'e3b0', NULL, 1, 1, NULL, '2025');",
        )
        .unwrap();
    drop(connection);
    let (state, _lock, created) = State::open(dir.path()).unwrap();
    assert!(!created);
    let runset = state.newest_runset().unwrap().unwrap();
    assert_eq!(runset.name, "2025");
    let counts = state.tallies(runset.id).unwrap();
    assert_eq!(counts[&StepId(1)].done, 1);
    assert_eq!(counts[&StepId::FINAL].done, 1);
    assert!(
        state
            .newest_version("a")
            .unwrap()
            .unwrap()
            .identity
            .is_some()
    );
}

#[test]
fn bad_databases_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "x").unwrap();
    assert!(matches!(State::open(&file), Err(Error::NotAFolder(_))));
    assert!(matches!(
        State::open_for_reading(&dir.path().join("absent")),
        Err(Error::Absent(_))
    ));

    let junk = dir.path().join("junk");
    std::fs::create_dir(&junk).unwrap();
    std::fs::write(
        junk.join("db"),
        "this is no database, whatever it says".repeat(99),
    )
    .unwrap();
    assert!(matches!(State::open(&junk), Err(Error::Corrupt { .. })));

    let newer = dir.path().join("newer");
    drop(State::open(&newer).unwrap());
    Connection::open(newer.join("db"))
        .unwrap()
        .pragma_update(None, "user_version", FORMAT + 1)
        .unwrap();
    assert!(matches!(State::open(&newer), Err(Error::Newer { .. })));
    assert!(matches!(
        State::open_for_reading(&newer),
        Err(Error::Newer { .. })
    ));
}

#[test]
fn one_writer_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let first = State::open(dir.path()).unwrap();
    let error = State::open(dir.path()).unwrap_err();
    assert!(
        error.to_string().contains(&std::process::id().to_string()),
        "{error}"
    );
    drop(first);
    State::open(dir.path()).unwrap();
}
