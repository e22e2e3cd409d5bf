//! Which objects stay for tasks to come.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::digest::Digest;
use crate::store::Store;

/// Objects by when they were last used. Those that a task uses which is not over stay in any case.
#[derive(Debug)]
pub(super) struct Shelf<'a> {
    store: &'a Store,
    most: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    objects: HashMap<Digest, Object>,
    /// Those that nobody uses, by when somebody did.
    order: BTreeMap<u64, Digest>,
    /// Bytes of all whose size is known.
    size: u64,
    clock: u64,
}

#[derive(Debug, Default)]
struct Object {
    /// How many use it.
    users: usize,
    /// Since when nobody does.
    since: Option<u64>,
    /// In bytes; none as long as it has not come.
    size: Option<u64>,
}

/// What a task uses, until it is dropped.
#[derive(Debug)]
pub(super) struct Use<'a> {
    shelf: &'a Shelf<'a>,
    held: RefCell<Vec<Digest>>,
}

impl State {
    /// Notes the size of an object, once it is there.
    fn measure(&mut self, store: &Store, digest: &Digest) {
        if let Some(object) = self.objects.get_mut(digest)
            && object.size.is_none()
        {
            object.size = store.size(digest);
            self.size += object.size.unwrap_or(0);
        }
    }

    /// Removes what was used longest ago; none where all is in use.
    fn remove_first(&mut self, store: &Store) -> Option<u64> {
        let (_, digest) = self.order.pop_first()?;
        let size = self.objects.remove(&digest)?.size.unwrap_or(0);
        self.size -= size;
        // What is not there is gone as well.
        let _ = std::fs::remove_file(store.path(&digest));
        Some(size)
    }
}

impl<'a> Shelf<'a> {
    /// For so many bytes of this store.
    pub(super) fn new(store: &'a Store, most: u64) -> Self {
        Self {
            store,
            most,
            state: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A task begins, or waits for that.
    pub(super) fn begin(&'a self) -> Use<'a> {
        Use {
            shelf: self,
            held: RefCell::default(),
        }
    }

    /// Removes what was used longest ago and is more than is to be kept.
    pub(super) fn trim(&self) {
        let mut state = self.lock();
        while state.size > self.most && state.remove_first(self.store).is_some() {}
    }

    /// Removes all that nobody uses; whether that was anything.
    pub(super) fn clear(&self) -> bool {
        let mut state = self.lock();
        let mut freed = 0;
        while let Some(size) = state.remove_first(self.store) {
            freed += size;
        }
        freed > 0
    }

    /// The same, with what nobody ever used: what is left of objects that were made half way. Only while nobody else makes any.
    pub(super) fn clear_all(&self) {
        self.clear();
        let state = self.lock();
        for first in 0..=u8::MAX {
            self.store.each_beginning(first, |digest| {
                if digest != Digest::EMPTY && !state.objects.contains_key(&digest) {
                    let _ = std::fs::remove_file(self.store.path(&digest));
                }
                true
            });
        }
    }
}

impl Use<'_> {
    /// The task uses these objects, which may still have to come.
    pub(super) fn hold(&self, digests: &[Digest]) {
        let mut held = self.held.borrow_mut();
        let mut state = self.shelf.lock();
        // That one is always there.
        for digest in digests.iter().filter(|digest| **digest != Digest::EMPTY) {
            let State { objects, order, .. } = &mut *state;
            let object = objects.entry(*digest).or_default();
            if let Some(since) = object.since.take() {
                order.remove(&since);
            }
            object.users += 1;
            held.push(*digest);
        }
    }

    /// These have come, which it holds.
    pub(super) fn came(&self, digests: &[Digest]) {
        let mut state = self.shelf.lock();
        for digest in digests {
            state.measure(self.shelf.store, digest);
        }
    }

    /// The task uses this object, which is there.
    pub(super) fn of(&self, digest: &Digest) {
        self.hold(&[*digest]);
        self.came(&[*digest]);
    }

    /// It uses nothing any more, for now.
    pub(super) fn release(&self) {
        let mut held = self.held.borrow_mut();
        let mut state = self.shelf.lock();
        for digest in held.drain(..) {
            state.measure(self.shelf.store, &digest);
            state.clock += 1;
            let State {
                objects,
                order,
                clock,
                ..
            } = &mut *state;
            let Some(object) = objects.get_mut(&digest) else {
                continue;
            };
            object.users -= 1;
            if object.users > 0 {
                continue;
            }
            if object.size.is_some() {
                object.since = Some(*clock);
                order.insert(*clock, digest);
            } else {
                // It never came.
                objects.remove(&digest);
            }
        }
    }
}

impl Drop for Use<'_> {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Objects of 100 bytes each, in a shelf for so many bytes.
    fn with_objects(most: u64, test: impl Fn(&Shelf, &[Digest], &dyn Fn() -> Vec<bool>)) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("objects"), dir.path()).unwrap();
        let objects: Vec<Digest> = (0..4)
            .map(|n| store.insert_bytes(&[n; 100]).unwrap())
            .collect();
        let there = || {
            let there = objects.iter().map(|digest| store.contains(digest));
            there.collect::<Vec<_>>()
        };
        test(&Shelf::new(&store, most), &objects, &there);
    }

    #[test]
    fn what_was_used_longest_ago_goes_but_nothing_that_is_in_use() {
        with_objects(250, |shelf, objects, there| {
            let first = shelf.begin();
            objects[..3].iter().for_each(|digest| first.of(digest));
            shelf.trim();
            assert_eq!(there(), [true; 4]);
            drop(first);
            let second = shelf.begin();
            second.of(&objects[0]);
            second.of(&objects[3]);
            shelf.trim();
            // 400 bytes, of which 250 may stay: those of the task at hand do.
            assert_eq!(there(), [true, false, false, true]);
            drop(second);
            shelf.trim();
            assert_eq!(there(), [true, false, false, true]);
        });
    }

    #[test]
    fn one_that_goes_on_for_long_keeps_nothing_but_what_it_uses() {
        with_objects(0, |shelf, objects, there| {
            let long = shelf.begin();
            long.of(&objects[0]);
            for digest in &objects[1..] {
                shelf.begin().of(digest);
            }
            shelf.trim();
            assert_eq!(there(), [true, false, false, false]);
        });
    }

    #[test]
    fn all_that_nobody_uses_makes_room() {
        with_objects(u64::MAX, |shelf, objects, there| {
            let waits = shelf.begin();
            // One is on its way, and held by both.
            let comes = Digest::of(b"other");
            waits.hold(&[objects[0], comes]);
            let runs = shelf.begin();
            runs.hold(&[objects[1], comes]);
            shelf.begin().of(&objects[2]);
            assert!(shelf.clear());
            assert!(!shelf.clear());
            assert_eq!(there(), [true, true, false, true]);
            waits.release();
            assert!(shelf.clear());
            assert_eq!(there(), [false, true, false, true]);
            assert!(shelf.lock().objects.contains_key(&comes));
            shelf.clear_all();
            assert_eq!(there(), [false, true, false, false]);
            drop(runs);
            drop(waits);
            shelf.clear();
            assert!(shelf.lock().objects.is_empty());
            assert_eq!(shelf.lock().size, 0);
        });
    }
}
