mod formats;
mod inputs;
mod usual;
mod versions;
mod writing;

use rusqlite::Connection;

use super::*;
use crate::model::digest::Digest;
use crate::model::identity::{Change, Identity};
use crate::model::list::Form;
use crate::model::name::StepName;
use crate::model::task::{TaskCounts, TaskId, TaskState};

fn identity(script: &str) -> Identity {
    Identity {
        script: script.into(),
        shell: vec!["sh".into()],
        ..Identity::default()
    }
}

/// A finished task that was executed.
fn taken_from(task: TaskId) -> Equal {
    Equal {
        task,
        made_by: task,
        executed: Some(FINISHED.started + FINISHED.elapsed / 1000),
    }
}

const FINISHED: Finished = Finished {
    started: 0,
    elapsed: 7,
    worker: 0,
    cpu: None,
    peak: None,
};

/// Every result.
const ANY: Usable = Usable {
    within: None,
    runset: "r",
    elsewhere: true,
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
        let known = self.state.known_steps().unwrap();
        self.state
            .register(&known, &name, &identity(script), false, None, 0)
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
                    form: Form::File,
                    object: Digest::of(name.as_bytes()),
                    step,
                    parent: Some(parent),
                    name: Some(name),
                    forced: false,
                },
            )
            .unwrap()
    }

    fn tally(&self, step: StepId) -> TaskCounts {
        let counts = self.state.tallies(self.runset.id).unwrap();
        counts.get(&step).copied().unwrap_or_default()
    }

    /// The counts that are kept are those that counting gives.
    fn assert_counts(&mut self) {
        self.state.commit().unwrap();
        let kept = self.state.time_spent(&self.runset).unwrap();
        self.state.connection.alter(|connection| {
            assert!(!counts::recount(connection).unwrap());
        });
        assert_eq!(kept, self.state.time_spent(&self.runset).unwrap());
    }
}

/// Whether the rows of a step are looked for one by one, or all are gone through.
#[test]
fn what_tasks_took_is_the_same_however_it_is_found() {
    let mut f = Fixture::new();
    let (few, first, second) = (f.step("few", "1"), f.step("many", "1"), f.step("many", "2"));
    let start = f.state.seed(&f.runset, few).unwrap();
    let mut task = |step: StepId, cpu: i64, peak: i64| {
        let task = f.child(start, "x", Some(step));
        let finished = Finished {
            elapsed: 10,
            cpu: Some(cpu),
            peak: Some(peak),
            ..FINISHED
        };
        f.state
            .succeed(&f.runset, step, task, TaskState::Pending, &finished)
            .unwrap();
    };
    task(few, 7, 70);
    for n in 0..40 {
        task(if n % 2 == 0 { first } else { second }, n, 1000 + n);
    }
    f.state.commit().unwrap();
    let taken = |cpu, elapsed, peak| Taken {
        cpu,
        elapsed,
        peak: Some(peak),
    };
    let (of_few, of_many) = (taken(7, 10, 70), taken(780, 400, 1039));
    for runset in [None, Some(&f.runset)] {
        let found = |steps: &[&str]| f.state.taken(runset, steps).unwrap();
        assert_eq!(found(&["few"])["few"], of_few);
        assert_eq!(found(&["many"])["many"], of_many);
        let both = found(&["few", "many", "none"]);
        assert_eq!(
            (both["few"], both["many"], both.len()),
            (of_few, of_many, 2)
        );
    }
}

#[test]
fn the_next_row_is_known() {
    let mut f = Fixture::new();
    let step = f.step("a", "1");
    let next = f.state.next_task().unwrap();
    let first = f.state.seed(&f.runset, step).unwrap();
    assert_eq!(first, next);
    let next = f.state.next_task().unwrap();
    assert_eq!(f.child(first, "other", None), next);
}

#[test]
fn an_equal_task_is_found_by_content_and_by_name_where_asked() {
    let mut f = Fixture::new();
    let (a, b) = (f.step("a", "1"), f.step("b", "1"));
    let start = f.state.seed(&f.runset, a).unwrap();
    f.done(a, start);
    let one = f.child(start, "x", Some(b));
    let input = Digest::of(b"x");
    let find = |f: &Fixture, name| {
        let found = f
            .state
            .finished_equal(&[b], (&input, Form::File, None), name, None, ANY)
            .unwrap();
        found.map(|equal| equal.task)
    };
    assert_eq!(find(&f, None), None);
    f.done(b, one);
    assert_eq!(find(&f, None), Some(one));
    assert_eq!(find(&f, Some(Some("x"))), Some(one));
    assert_eq!(find(&f, Some(Some("y"))), None);
    let origin = f.state.origin(one).unwrap().unwrap();
    assert_eq!(
        (origin.parent, origin.input, origin.name.as_deref()),
        (Some(start), input, Some("x"))
    );
    assert_eq!(f.state.origin(start).unwrap().unwrap().parent, None);
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

/// A runset and a step.
fn begun(state: &mut State) -> (Runset, StepId) {
    let runset = state.create_runset("r", 0).unwrap();
    let known = state.known_steps().unwrap();
    let name = StepName::new("a").unwrap();
    let step = state.register(&known, &name, &identity("1"), true, None, 0);
    (runset, step.unwrap().id)
}

#[test]
fn what_is_synced_before_each_commit_is_known_to_be_on_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let (mut state, _lock, _) = State::open(dir.path()).unwrap();
    let (runset, step) = begun(&mut state);
    let task = state.seed(&runset, step).unwrap();
    state.commit().unwrap();
    state.end_of_run().unwrap();
    assert_eq!(state.durable().unwrap(), TaskId(0), "the kernel's affair");
    state.set_sync(Sync::End).unwrap();
    state.end_of_run().unwrap();
    assert_eq!(state.durable().unwrap(), task);
    state.set_sync(Sync::Commit).unwrap();
    let next = state.seed(&runset, step).unwrap();
    assert_eq!(state.durable().unwrap(), task);
    state.commit().unwrap();
    assert_eq!(state.durable().unwrap(), next);
}

#[test]
fn a_copy_of_the_steps_has_no_task_and_the_same_counts() {
    let dir = tempfile::tempdir().unwrap();
    let (mut state, _lock, _) = State::open(dir.path()).unwrap();
    let (runset, step) = begun(&mut state);
    state.seed(&runset, step).unwrap();
    state.commit().unwrap();
    let copy = State::private_copy_of_steps(dir.path()).unwrap();
    assert_eq!(copy.current_version("a").unwrap().unwrap().id, step);
    assert_eq!(copy.newest_runset().unwrap().unwrap(), runset);
    assert_eq!(
        copy.tallies(runset.id).unwrap(),
        state.tallies(runset.id).unwrap()
    );
    assert_eq!(copy.newest_task().unwrap(), TaskId(0));
}

/// Neither equal tasks nor a task's successor are looked for in all rows.
#[test]
fn questions_that_are_asked_for_each_task_use_an_index() {
    let f = Fixture::new();
    for (question, index) in [
        (
            "SELECT id FROM task WHERE step_id = 1 AND processed = 1 AND step_id IS NOT NULL
             AND substr(object_hash, 1, 6) = 'a' AND object_hash = 'ab' ORDER BY id DESC LIMIT 1",
            "idx_task_step (step_id=? AND <expr>=?)",
        ),
        (
            "SELECT id FROM task WHERE supersedes = 1",
            "idx_task_supersedes",
        ),
        (
            "SELECT id FROM task WHERE input_task_id = 1",
            "idx_task_input",
        ),
        (
            "SELECT id FROM task WHERE processed = 0 AND live = 1 AND runset = 'r' AND step_id = 1
             AND id > 4 ORDER BY id LIMIT 3",
            "idx_task_processed (runset=? AND step_id=? AND rowid>?)",
        ),
    ] {
        let plan: String = f
            .state
            .connection
            .prepare(&format!("EXPLAIN QUERY PLAN {question}"))
            .and_then(|mut plan| plan.query_row([], |row| row.get(3)))
            .unwrap();
        assert!(plan.contains(index), "{question}: {plan}");
    }
}

#[test]
fn bad_databases_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "x").unwrap();
    assert!(matches!(State::open(&file), Err(Error::NotAFolder(_))));
    assert!(matches!(
        Reader::open(&dir.path().join("absent")),
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
        .pragma_update(None, "user_version", schema::FORMAT + 1)
        .unwrap();
    assert!(matches!(State::open(&newer), Err(Error::Newer { .. })));
    assert!(matches!(Reader::open(&newer), Err(Error::Newer { .. })));
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

#[test]
fn a_time_that_cannot_be_is_told_with_its_row() {
    let mut f = Fixture::new();
    let step = f.step("a", "1");
    let start = f.state.seed(&f.runset, step).unwrap();
    f.done(step, start);
    assert!(f.state.made(start).unwrap().is_some());
    let later = "UPDATE task SET elapsed = 9223372036854775807";
    f.state.reader.connection.write_all("write", later).unwrap();
    let error = f.state.made(start).unwrap_err().to_string();
    assert!(error.contains("task #1: elapsed: "), "{error}");
}

#[test]
fn what_was_found_in_files_is_known_again() {
    use crate::model::file::{Content, Stat};
    let stat = |inode| Stat {
        device: 1,
        inode,
        size: 2,
        modified: -3,
        changed: 4,
        executable: inode == 2,
    };
    let content = |text: &str| Content {
        digest: Digest::of(text.as_bytes()),
        mentions: text.into(),
    };
    let mut f = Fixture::new();
    assert!(f.state.contents().unwrap().is_empty());
    let (a, b) = (content("a"), content("b"));
    let all = [(&stat(2), &a), (&stat(u64::MAX), &a)];
    f.state.put_contents(all, false).unwrap();
    f.state.put_contents([(&stat(2), &b)], false).unwrap();
    f.state.commit().unwrap();
    let mut found = f.state.contents().unwrap();
    found.sort_by_key(|(stat, _)| stat.inode);
    assert_eq!(found, [(stat(2), b), (stat(u64::MAX), a.clone())]);
    f.state.put_contents([(&stat(7), &a)], true).unwrap();
    assert_eq!(f.state.contents().unwrap(), [(stat(7), a)]);
}

#[test]
fn what_was_written_into_a_copy_may_be_read_there() {
    use crate::model::file::{Content, Stat};
    let dir = tempfile::tempdir().unwrap();
    drop(State::open(dir.path()).unwrap());
    let mut state = State::private_copy(dir.path()).unwrap();
    let content = Content {
        digest: Digest::of(b"x"),
        mentions: "".into(),
    };
    let looks: Vec<Stat> = (0..3000)
        .map(|inode| Stat {
            device: 1,
            inode,
            size: 0,
            modified: 0,
            changed: 0,
            executable: false,
        })
        .collect();
    let all = looks.iter().map(|stat| (stat, &content));
    state.put_contents(all, false).unwrap();
    let count = state
        .connection
        .prepare_cached("SELECT count(*) FROM file AS a JOIN file AS b ON a.stat <> b.mentions")
        .and_then(|mut query| query.query_row([], |row| row.get::<_, i64>(0)));
    assert_eq!(count.unwrap(), 9_000_000);
}
