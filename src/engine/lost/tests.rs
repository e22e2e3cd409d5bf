use std::fs;

use super::*;
use crate::exec::tests::world::in_memory;
use crate::model::identity::Identity;
use crate::model::name::StepName;
use crate::model::task::TaskState;
use crate::state::{Finished, NewTask};
use crate::store::Store;

struct World {
    _folder: tempfile::TempDir,
    state: State,
    store: Store,
    runset: Runset,
    step: StepId,
}

impl World {
    /// A runset whose start task has left these, beside another one with as many.
    fn new(finals: u8) -> Self {
        let mut world = Self::of_a_killed_run(finals);
        note(&mut world.state, &world.store, &world.runset).unwrap();
        world
    }

    /// The same, and nothing is noted of it.
    fn of_a_killed_run(finals: u8) -> Self {
        let folder = in_memory();
        let (mut state, _, _) = State::open(&folder.path().join("db")).unwrap();
        let store = Store::open(&state.layout().objects(), folder.path()).unwrap();
        let identity = Identity {
            script: String::new(),
            shell: vec!["sh".into()],
            ..Identity::default()
        };
        let known = state.known_steps().unwrap();
        let name = StepName::new("s").unwrap();
        let step = state.register(&known, &name, &identity, true, None, 0);
        let step = step.unwrap().id;
        let other = state.create_runset("other", 0).unwrap();
        let runset = state.create_runset("r", 0).unwrap();
        for (of, first) in [(&other, 100), (&runset, 0)] {
            let task = state.seed(of, step).unwrap();
            let finished = Finished {
                started: 0,
                elapsed: 0,
                worker: 0,
                cpu: None,
                peak: None,
            };
            state
                .succeed(of, step, task, TaskState::Pending, &finished)
                .unwrap();
            for number in first..first + finals {
                let new = NewTask {
                    form: Form::File,
                    object: store.insert_bytes(&[number]).unwrap(),
                    step: None,
                    parent: Some(task),
                    name: Some("end"),
                    forced: false,
                };
                state.insert_task(of, &new).unwrap();
            }
        }
        Self {
            _folder: folder,
            state,
            store,
            runset,
            step,
        }
    }

    fn lose(&self, number: u8) {
        fs::remove_file(self.store.path(&Digest::of(&[number]))).unwrap();
    }

    fn restore(&mut self) -> (Lost, Redone) {
        restore(
            &mut self.state,
            &self.store,
            &self.runset,
            &[self.step],
            None,
        )
        .unwrap()
    }
}

#[test]
fn with_many_each_is_looked_at_in_its_turn() {
    let mut world = World::new(30);
    for number in 0..30 {
        let mut world = World::new(30);
        world.lose(number);
        // 60 in all, some 4 at a time.
        assert!((0..16).any(|_| world.restore().0.finals > 0), "{number}");
        assert_eq!(world.restore().0.finals, 0, "it is to be made again");
    }
    world.lose(100);
    let found: u64 = (0..30).map(|_| world.restore().0.finals).sum();
    assert_eq!(found, 0, "of another runset");
}

#[test]
fn with_few_all_are_looked_at_each_time() {
    for number in 0..2 {
        let mut world = World::new(2);
        world.restore();
        world.lose(number);
        let (lost, redone) = world.restore();
        assert_eq!((lost.finals, redone.tasks), (1, 1));
    }
}

#[test]
fn once_a_folder_is_gone_all_are_looked_at() {
    let mut world = World::new(30);
    let folder = |number| {
        let path = world.store.path(&Digest::of(&[number]));
        path.parent().unwrap().to_owned()
    };
    // Times of folders are told in steps of some milliseconds.
    std::thread::sleep(std::time::Duration::from_millis(20));
    for number in [3, 7] {
        let _ = fs::remove_dir_all(folder(number));
    }
    let found = look(&world.state, &world.store, &world.runset, false).unwrap();
    assert!(found.finals >= 2, "{found:?}");
    let beside_a_run = look(&world.state, &world.store, &world.runset, true).unwrap();
    assert!(beside_a_run.finals <= found.finals && !beside_a_run.complete);
    let (lost, redone) = world.restore();
    assert_eq!((lost.finals, redone.tasks), (found.finals, 1));
    assert_eq!(world.restore().0.finals, 0);
}

#[test]
fn what_was_touched_is_read() {
    let mut world = World::new(2);
    world.restore();
    std::thread::sleep(std::time::Duration::from_millis(20));
    let path = world.store.path(&Digest::of(&[1]));
    let bytes = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(&path, bytes).unwrap();
    let (lost, _) = world.restore();
    assert!(lost.finals == 0 && lost.doubted);
    assert!(!world.restore().0.doubted, "once");
    std::thread::sleep(std::time::Duration::from_millis(20));
    fs::write(&path, "2").unwrap();
    assert_eq!(world.restore().0.finals, 1);
}

#[test]
fn what_was_altered_before_a_run_had_ended_is_noticed() {
    for killed in [false, true] {
        let mut world = World::of_a_killed_run(2);
        let path = world.store.path(&Digest::of(&[1]));
        fs::remove_file(&path).unwrap();
        fs::write(&path, "2").unwrap();
        if !killed {
            note(&mut world.state, &world.store, &world.runset).unwrap();
        }
        let (lost, redone) = world.restore();
        assert_eq!((lost.finals, redone.tasks), (1, 1), "{killed}");
        assert_eq!(world.restore().0.finals, 0);
    }
}

#[test]
fn what_cannot_be_looked_at_is_not_lost() {
    use std::os::unix::fs::PermissionsExt;
    let mut world = World::new(2);
    let folder = world.store.path(&Digest::of(&[1]));
    let folder = folder.parent().unwrap();
    let mode = |mode| fs::set_permissions(folder, fs::Permissions::from_mode(mode)).unwrap();
    mode(0o000);
    // Root may look everywhere.
    let found = world.restore().0.finals;
    mode(0o755);
    assert_eq!(found, 0);
}

/// Beside a run, which drops bytes that were there when this began.
#[test]
fn what_was_dropped_meanwhile_is_not_lost() {
    let mut world = World::new(2);
    let object = Digest::of(&[0]);
    world.state.put_evicted([(object, 1)].into_iter()).unwrap();
    world.lose(0);
    assert!(!world.store.is_evicted(&object), "as it was known then");
    let found = look(&world.state, &world.store, &world.runset, true).unwrap();
    assert_eq!(found.finals, 0);
}
