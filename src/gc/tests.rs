//! Calls that fail in a collection, one at a time and from one on.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use rusqlite::Connection;

use super::*;
use crate::model::identity::Identity;
use crate::model::name::StepName;
use crate::model::task::{TaskId, TaskState};
use crate::state::fault::{How, Planned};
use crate::state::{Finished, Logs, NewTask, Runset, StepId};
use crate::store::Store;

const FINISHED: Finished = Finished {
    started: 1,
    elapsed: 1,
    worker: 0,
    cpu: None,
    peak: None,
};

const ALL: Wish = Wish {
    keep: Some(1),
    before: Some(i64::MAX),
    size: None,
};

struct World {
    state: State,
    store: Store,
}

impl World {
    fn version(&mut self, name: &str, script: &str) -> StepId {
        let identity = Identity {
            script: script.to_owned(),
            ..Identity::default()
        };
        let known = self.state.known_steps().unwrap();
        let name = StepName::new(name).unwrap();
        let registered =
            self.state
                .register(&known, &name, &identity, name.as_str() == "a", None, 0);
        registered.unwrap().id
    }

    fn ends(&mut self, runset: &Runset, step: StepId, task: TaskId) {
        self.state
            .succeed(runset, step, task, TaskState::Pending, &FINISHED)
            .unwrap();
        let log = format!("log of {task}");
        let stdout = Some(self.store.insert_bytes(log.as_bytes()).unwrap());
        let logs = Logs {
            stdout,
            stderr: None,
        };
        self.state.put_logs(task, false, logs).unwrap();
    }

    fn leaves(
        &mut self,
        runset: &Runset,
        parent: TaskId,
        step: Option<StepId>,
        text: &str,
    ) -> TaskId {
        let task = NewTask {
            object: self.store.insert_bytes(text.as_bytes()).unwrap(),
            form: Form::File,
            step,
            parent: Some(parent),
            name: Some("x"),
            forced: false,
        };
        self.state.insert_task(runset, &task).unwrap()
    }
}

/// Three runsets, of which the last one has superseded rows; and an object that nothing needs.
fn make(folder: &Path) {
    let (state, _lock, _) = State::open(folder).unwrap();
    let store = Store::open(&folder.join("objects"), folder).unwrap();
    let mut world = World { state, store };
    let [begin, first] = ["a", "b"].map(|name| world.version(name, name));
    for name in ["one", "two", "three"] {
        let runset = world.state.create_runset(name, 0).unwrap();
        let start = world.state.seed(&runset, begin).unwrap();
        world.ends(&runset, begin, start);
        let tasks: Vec<TaskId> = (0..3)
            .map(|number| {
                let text = format!("{name} {number}");
                world.leaves(&runset, start, Some(first), &text)
            })
            .collect();
        for task in tasks {
            world.ends(&runset, first, task);
            world.leaves(&runset, task, None, &format!("{name} of {task}"));
        }
        if name == "three" {
            let second = world.version("b", "changed");
            world
                .state
                .migrate_tainted(&runset, &[begin, second])
                .unwrap();
        }
    }
    world.store.insert_bytes(b"of nothing").unwrap();
    world.state.end().unwrap();
}

/// All that is recorded, and all objects.
fn dump(folder: &Path) -> (BTreeSet<String>, BTreeSet<String>) {
    let db = Connection::open(folder.join("db")).unwrap();
    let mut rows = BTreeSet::new();
    let tables = [
        (
            "task",
            "id || ' ' || live || ' ' || coalesce(supersedes, '')",
        ),
        ("log", "task_id"),
        ("runset", "name"),
        ("step", "id"),
        (
            "tally",
            "runset_id || ' ' || step_id || ' ' || pending || ' ' || done",
        ),
        ("meta", "key"),
    ];
    for (table, what) in tables {
        let mut query = db
            .prepare(&format!("SELECT '{table} ' || {what} FROM {table}"))
            .unwrap();
        let all = query.query_map([], |row| row.get::<_, String>(0)).unwrap();
        rows.extend(all.map(Result::unwrap));
    }
    let objects = folder.join("objects");
    let mut found = BTreeSet::new();
    for outer in fs::read_dir(&objects).unwrap() {
        for inner in fs::read_dir(outer.unwrap().path()).unwrap() {
            let files = fs::read_dir(inner.unwrap().path()).unwrap();
            found.extend(files.map(|file| file.unwrap().path()));
        }
    }
    let below =
        |path: &std::path::PathBuf| path.strip_prefix(&objects).unwrap().display().to_string();
    (rows, found.iter().map(below).collect())
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            fs::create_dir(&to).unwrap();
            copy(&from, &to);
        } else {
            fs::copy(from, to).unwrap();
        }
    }
}

fn collect(folder: &Path, planned: Option<Planned>) -> Result<u32, Error> {
    let (mut state, _lock) = State::open_again(folder);
    let store = store::Reader::new(&folder.join("objects"));
    state.fault().plan(planned);
    let mut collection = Collection::new(&mut state, &store, None)?;
    let collected = collection.collect(&ALL, false, Duration::ZERO)?;
    assert!(collected.swept.error.is_none());
    Ok(state.fault().calls())
}

#[test]
fn whatever_fails_the_db_is_whole_and_the_next_one_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let [template, right] = ["template", "right"].map(|name| dir.path().join(name));
    make(&template);
    fs::create_dir(&right).unwrap();
    copy(&template, &right);
    let calls = collect(&right, None).unwrap();
    let (before, right) = (dump(&template), dump(&right));
    // Less is left, and what is left was there; but rows that take the place of others say another one's.
    assert!(right.1.is_subset(&before.1) && right.1.len() < before.1.len());
    assert!(calls > 30, "{calls}");
    // Of the questions for what is needed, one for each folder of objects, some will do.
    for first in (0..calls).filter(|first| first + 256 < calls || first % 32 == 0) {
        for (count, how) in [(1, How::Alone), (u32::MAX, How::TakesAllBack)] {
            let tried = tempfile::tempdir_in(dir.path()).unwrap();
            copy(&template, tried.path());
            let planned = Planned { first, count, how };
            collect(tried.path(), Some(planned)).unwrap_err();
            let (_, objects) = dump(tried.path());
            assert!(right.1.is_subset(&objects), "{planned:?}");
            collect(tried.path(), None).unwrap();
            assert_eq!(dump(tried.path()), right, "{planned:?}");
        }
    }
}
