//! Objects that are there and in no row yet.
//!
//! Between the moment in which an object is made, or found to be there already, and that in which a row with its name is in
//! the file, nothing but memory says that it is needed. Whoever removes what no row needs, beside a run, is told:
//!
//! - What makes objects for one end of a task is a [`Session`], which lives until the end is recorded.
//! - From [`Store::begin_noting`] on, each object is noted before anybody looks whether it is there. Sessions that began
//!   before are waited for, which takes as long as a task's outputs take to be hashed, and no longer; nobody stands still
//!   meanwhile.
//! - [`Store::hold`] then gives all that was noted. As long as that is held, whoever would make one more object waits.
//!
//! So what a session has made is noted (it began later), or recorded (it is over), and what one makes later is looked for
//! when all is removed that goes. As long as nobody asks, nothing is noted: it costs a look at a number in memory.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::Store;
use crate::model::digest::Digest;

/// What a store knows of such objects.
#[derive(Debug, Default)]
pub(super) struct Unrecorded {
    /// Which all sessions have a part of that began in it.
    period: Mutex<Arc<()>>,
    noting: AtomicBool,
    noted: Mutex<HashSet<Digest>>,
}

/// While it lives, objects are made that are in no row.
#[derive(Debug, Default)]
pub(crate) struct Session {
    _period: Arc<()>,
}

/// Sessions that began before objects were noted.
#[derive(Debug)]
pub(crate) struct Earlier(Weak<()>);

impl Earlier {
    /// Whether none is left.
    pub(crate) fn are_over(&self) -> bool {
        self.0.strong_count() == 0
    }
}

/// All that was noted; while it is held, no object is made.
pub(crate) type Noted<'a> = MutexGuard<'a, HashSet<Digest>>;

impl Store {
    /// To be had before the first object of a task's end is made, and dropped when that is recorded.
    pub(crate) fn session(&self) -> Session {
        let period = self.unrecorded.period.lock();
        let period = period.unwrap_or_else(PoisonError::into_inner);
        Session {
            _period: Arc::clone(&period),
        }
    }

    /// Notes all objects from now on.
    pub(crate) fn begin_noting(&self) -> Earlier {
        let period = self.unrecorded.period.lock();
        let mut period = period.unwrap_or_else(PoisonError::into_inner);
        // Whoever gets a part of the next period sees it.
        self.unrecorded.noting.store(true, Ordering::SeqCst);
        let before = std::mem::take(&mut *period);
        Earlier(Arc::downgrade(&before))
    }

    /// All that was noted; nothing is made until it is dropped.
    pub(crate) fn hold(&self) -> Noted<'_> {
        let noted = self.unrecorded.noted.lock();
        noted.unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes nothing more.
    pub(crate) fn end_noting(&self) {
        self.unrecorded.noting.store(false, Ordering::SeqCst);
        *self.hold() = HashSet::new();
    }

    /// To be called before anybody looks whether that object is there, to use it if it is.
    pub(super) fn note(&self, object: &Digest) {
        if self.unrecorded.noting.load(Ordering::SeqCst) {
            self.hold().insert(*object);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    fn fixture() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("objects"), dir.path()).unwrap();
        (dir, store)
    }

    #[test]
    fn what_is_made_after_the_question_is_noted_though_it_was_there() {
        let (dir, store) = fixture();
        let before = store.insert_bytes(b"before").unwrap();
        let earlier = store.begin_noting();
        assert!(earlier.are_over(), "{earlier:?}");
        let there = [b"before", b"behind"].map(|bytes| store.insert_bytes(bytes).unwrap());
        assert_eq!(there[0], before);
        let mut all: HashSet<Digest> = there.into();
        // Files too: one that becomes the object, one that is not needed, as it was there, and what is found to be like the
        // one before.
        for bytes in ["file", "file", "file"] {
            let path = dir.path().join("made");
            std::fs::write(&path, bytes).unwrap();
            let candidate = store.candidate(&*path, true).unwrap();
            all.insert(store.insert(candidate).unwrap().digest);
            assert_eq!(*store.hold(), all);
        }
        store.end_noting();
        store.insert_bytes(b"later").unwrap();
        assert!(store.hold().is_empty());
    }

    #[test]
    fn sessions_that_began_before_are_waited_for_and_others_are_not() {
        let (_dir, store) = fixture();
        let one = store.session();
        let earlier = store.begin_noting();
        let other = store.session();
        assert!(!earlier.are_over());
        drop(one);
        assert!(earlier.are_over());
        assert!(!store.begin_noting().are_over());
        drop(other);
    }

    #[test]
    fn while_it_is_held_nothing_is_made() {
        let (_dir, store) = fixture();
        let object = store.insert_bytes(b"there").unwrap();
        store.begin_noting();
        let held = store.hold();
        std::thread::scope(|scope| {
            let (tell, told) = mpsc::channel();
            let store = &store;
            scope.spawn(move || tell.send(store.insert_bytes(b"there").unwrap()));
            assert!(told.recv_timeout(Duration::from_millis(50)).is_err());
            std::fs::remove_file(store.path(&object)).unwrap();
            drop(held);
            assert_eq!(told.recv().unwrap(), object);
            assert!(store.contains(&object));
        });
    }
}
