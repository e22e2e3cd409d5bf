use std::fs;

use super::*;
use crate::model::digest::Digest;
use crate::model::identity::Identity;
use crate::model::list::Form;
use crate::model::name::StepName;
use crate::model::task::{TaskId, TaskState};
use crate::state::{Finished, NewTask, Runset, State, StepId};
use crate::store::Store;

/// A start task that has left these files, each to a task of another step that has left it as it was.
struct World {
    _folder: tempfile::TempDir,
    state: State,
    store: Store,
}

const ENDED: Finished = Finished {
    started: 0,
    elapsed: 0,
    worker: 0,
    cpu: None,
    peak: None,
};

impl World {
    fn new(files: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::with(folder, State::in_memory(), files)
    }

    /// With a db that others can write to as well.
    fn on_disk(files: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (state, _, _) = State::open(&folder.path().join("db")).unwrap();
        Self::with(folder, state, files)
    }

    fn with(folder: tempfile::TempDir, state: State, files: &[&str]) -> Self {
        let store = Store::open(&folder.path().join("objects"), folder.path()).unwrap();
        let mut world = Self {
            _folder: folder,
            state,
            store,
        };
        world.runset("r", files);
        world
    }

    fn runset(&mut self, name: &str, files: &[&str]) {
        let [begin, work] = ["begin", "work"].map(|name| self.step(name));
        let runset = self.state.create_runset(name, 0).unwrap();
        let start = self.state.seed(&runset, begin).unwrap();
        self.end(&runset, begin, start);
        for file in files {
            let task = self.add(&runset, Some(work), start, file, Form::File);
            self.end(&runset, work, task);
            self.add(&runset, None, task, file, Form::File);
        }
        self.state.commit().unwrap();
    }

    fn repair(&mut self) -> Repaired {
        let how = How {
            quick: false,
            threads: 3,
            stop: &AtomicBool::new(false),
            progress: &Progress::default(),
        };
        let (_, repaired) = repair(&mut self.state, &self.store, None, how, &mut |_| ()).unwrap();
        repaired
    }

    fn step(&mut self, name: &str) -> StepId {
        let identity = Identity {
            script: name.to_owned(),
            shell: vec!["sh".into()],
            ..Identity::default()
        };
        let known = self.state.known_steps().unwrap();
        let name = StepName::new(name).unwrap();
        let step = self.state.register(&known, &name, &identity, true, None, 0);
        step.unwrap().id
    }

    fn end(&mut self, runset: &Runset, step: StepId, task: TaskId) {
        let ended = self
            .state
            .succeed(runset, step, task, TaskState::Pending, &ENDED);
        ended.unwrap();
    }

    fn add(
        &mut self,
        runset: &Runset,
        step: Option<StepId>,
        parent: TaskId,
        text: &str,
        form: Form,
    ) -> TaskId {
        let object = self.store.insert_bytes(text.as_bytes()).unwrap();
        let task = NewTask {
            form,
            object,
            step,
            parent: Some(parent),
            name: Some("file"),
            forced: false,
        };
        self.state.insert_task(runset, &task).unwrap()
    }

    fn look(&self) -> (Sum, Vec<Finding>) {
        self.look_beside(|| ())
    }

    /// Has that happen once the rows were read.
    fn look_beside(&self, meanwhile: impl FnOnce()) -> (Sum, Vec<Finding>) {
        let mut findings = Vec::new();
        let how = How {
            quick: false,
            threads: 3,
            stop: &AtomicBool::new(false),
            progress: &Progress::default(),
        };
        let db = Db {
            state: &self.state,
            store: &self.store,
            manifest: None,
        };
        let mut tell = |finding| findings.push(finding);
        let mut told = Told::new(&mut tell);
        let needed = needed(db, how, &mut told).unwrap();
        meanwhile();
        let sum = compare(db, how, needed, &mut told).unwrap();
        findings.sort_by(|a, b| a.words.cmp(&b.words));
        (sum, findings)
    }

    /// What is found, as words without hashes.
    fn found(&self) -> Vec<(What, Severity)> {
        let (_, findings) = self.look();
        findings
            .iter()
            .map(|one| (one.what, one.severity))
            .collect()
    }

    /// In a file: what another process writes is a change of it.
    fn write(&self, sql: &str) {
        let path = self.state.layout().database();
        let other = rusqlite::Connection::open(path).unwrap();
        other.execute_batch(sql).unwrap();
    }

    fn lose(&self, text: &str) {
        fs::remove_file(self.store.path(&Digest::of(text.as_bytes()))).unwrap();
    }

    fn spoil(&self, text: &str) {
        let path = self.store.path(&Digest::of(text.as_bytes()));
        fs::remove_file(&path).unwrap();
        fs::write(&path, "spoilt").unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o444);
        fs::set_permissions(&path, mode).unwrap();
    }
}

#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    let world = World::new(&["one", "two"]);
    let (sum, findings) = world.look();
    assert_eq!(findings, []);
    assert!(!sum.is_anything_wrong());
    assert_eq!((sum.objects, sum.read, sum.tasks, sum.unused), (2, 6, 5, 0));
}

#[test]
fn what_is_damaged_or_gone_is_told_with_what_it_means() {
    let world = World::new(&["one", "two", "three"]);
    world.spoil("one");
    fs::remove_file(world.store.path(&Digest::of(b"two"))).unwrap();
    world.store.insert_bytes(b"unused").unwrap();
    let (sum, findings) = world.look();
    assert_eq!(sum.wrong, [0, 2, 0]);
    assert_eq!((sum.unused, sum.unused_bytes), (1, 6));
    let words: Vec<&str> = findings.iter().map(|one| &*one.words).collect();
    // Of the two rows that each has, the newest says what it is.
    assert!(
        words[0].starts_with("final output #3 `file` is damaged: its bytes now hash to "),
        "{words:?}"
    );
    assert!(
        words[0].ends_with("; task #2 makes it")
            || words[0].contains("it can be made from task #1 on"),
        "{words:?}"
    );
    assert!(
        words[1].starts_with("final output #5 `file` is missing; "),
        "{words:?}"
    );
}

#[test]
fn what_a_list_names_is_needed() {
    let mut world = World::new(&["one"]);
    let runset = world.state.newest_runset().unwrap().unwrap();
    let inner = Digest::of(b"inner");
    let list = format!("task-pipeline tree 1\nf {inner}  a/b\n");
    world.add(&runset, None, TaskId(2), &list, Form::Folder);
    let no_list = world.add(&runset, None, TaskId(2), "no list", Form::List);
    world.state.commit().unwrap();
    let (_, findings) = world.look();
    assert_eq!(findings.len(), 2, "{findings:?}");
    assert_eq!(
        (findings[0].what, findings[0].task),
        (What::Row, Some(no_list))
    );
    assert_eq!(
        (findings[1].what, findings[1].object),
        (What::Missing, Some(inner))
    );
    assert!(
        findings[1].words.starts_with("what is in the folder #4"),
        "{findings:?}"
    );
    world.store.insert_bytes(b"inner").unwrap();
    assert_eq!(world.found(), [(What::Row, Severity::Again)]);
}

#[test]
fn what_comes_while_it_is_looked_at_is_not_wrong() {
    let mut world = World::new(&["one"]);
    // As a run does: the object first, then the row, which was not there when the rows were read.
    world.store.insert_bytes(b"new").unwrap();
    assert_eq!(world.found(), []);
    let runset = world.state.newest_runset().unwrap().unwrap();
    world.add(&runset, None, TaskId(2), "new", Form::File);
    world.state.commit().unwrap();
    assert_eq!(world.found(), []);
}

/// Whoever needs it: in every runset, once; and what else is the same is known to come with it.
#[test]
fn what_several_need_is_made_again_in_each_runset_by_one_repair() {
    for form in [Form::File, Form::Folder] {
        let mut world = World::new(&["one", "one", "two"]);
        for name in ["s", "t"] {
            world.runset(name, &["one", "two", "one"]);
        }
        let gone = if form == Form::File { "one" } else { "inner" };
        if form == Form::Folder {
            let list = format!("task-pipeline tree 1\nf {}  a/b\n", Digest::of(b"inner"));
            for name in ["r", "s", "t"] {
                let runset = world.state.runset(name).unwrap().unwrap();
                let [begin, work] = ["begin", "work"].map(|name| world.step(name));
                let start = world.state.seed(&runset, begin).unwrap();
                world.end(&runset, begin, start);
                let task = world.add(&runset, Some(work), start, "two", Form::File);
                world.end(&runset, work, task);
                world.add(&runset, None, task, &list, Form::Folder);
            }
            world.state.commit().unwrap();
        } else {
            fs::remove_file(world.store.path(&Digest::of(gone.as_bytes()))).unwrap();
        }
        assert_eq!(
            world.found(),
            [(What::Missing, Severity::Again)],
            "{form:?}"
        );
        let repaired = world.repair();
        assert_eq!(repaired.left, Vec::<String>::new());
        let older: Vec<&str> = repaired.runsets.iter().map(String::as_str).collect();
        assert_eq!((repaired.tasks, older), (3, vec!["r", "s"]), "{form:?}");
        assert_eq!(
            world.found(),
            [(What::Awaited, Severity::Again)],
            "{form:?}"
        );
        // One of them does it, and the others take over what it left; each start is its runset's own.
        let begins = (1..40).filter_map(|task| world.state.task(TaskId(task)).unwrap());
        let pending = begins.filter(|row| row.live && !row.state.is_finished());
        let forced: Vec<bool> = pending.map(|row| row.forced).collect();
        assert_eq!(forced, [form == Form::File; 3]);
        // All that is to be done is known by now.
        assert_eq!(world.repair().tasks, 0);
        world.store.insert_bytes(gone.as_bytes()).unwrap();
        assert_eq!(world.found(), []);
    }
}

/// Bytes that are dropped, rows that are superseded and those that go.
#[test]
fn what_goes_while_it_is_looked_at_is_not_wrong() {
    let world = World::on_disk(&["one", "two", "three"]);
    let [one, two] = ["one", "two"].map(|text| Digest::of(text.as_bytes()));
    let (sum, findings) = world.look_beside(|| {
        world.write(&format!(
            "INSERT INTO evicted (hash, size) VALUES (x'{one}', 3);
             DELETE FROM task WHERE object_hash = '{two}'"
        ));
        world.lose("one");
        world.lose("two");
    });
    let missing = findings.iter().filter(|one| one.what != What::Counts);
    assert_eq!(missing.collect::<Vec<_>>(), [] as [&Finding; 0]);
    assert_eq!(sum.evicted, 1);
    // What is gone otherwise is told, as what it is by then.
    let (_, findings) = world.look_beside(|| world.lose("three"));
    let missing = findings.iter().filter(|one| one.what == What::Missing);
    let missing: Vec<_> = missing.map(|one| (one.task, one.severity)).collect();
    assert_eq!(missing, [(Some(TaskId(7)), Severity::Again)]);
    let (_, findings) = world.look_beside(|| world.write("UPDATE task SET live = 0 WHERE id > 5"));
    let missing = findings.iter().filter(|one| one.what == What::Missing);
    let missing: Vec<_> = missing.map(|one| one.severity).collect();
    assert_eq!(missing, [Severity::Leftover]);
}
