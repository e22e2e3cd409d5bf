//! Which objects stay for tasks to come.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::digest::Digest;
use crate::store::Store;

/// Objects by when they were last used. Those that a task uses which is not over stay in any case.
#[derive(Debug)]
pub(super) struct Shelf {
    most: u64,
    clock: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Of each, when, and its size in bytes.
    objects: HashMap<Digest, (u64, u64)>,
    order: BTreeMap<u64, Digest>,
    size: u64,
    /// When the tasks began that are not over.
    begun: BTreeSet<u64>,
}

/// A task that uses objects, until it is dropped.
#[derive(Debug)]
pub(super) struct Use<'a> {
    shelf: &'a Shelf,
    began: u64,
}

impl Shelf {
    /// For so many bytes.
    pub(super) fn new(most: u64) -> Self {
        Self {
            most,
            clock: AtomicU64::new(1),
            state: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::Relaxed)
    }

    /// A task begins.
    pub(super) fn begin(&self) -> Use<'_> {
        let mut state = self.lock();
        let began = self.now();
        state.begun.insert(began);
        drop(state);
        Use { shelf: self, began }
    }

    /// Removes what was used longest ago and is more than is to be kept.
    pub(super) fn trim(&self, store: &Store) {
        let mut state = self.lock();
        while state.size > self.most
            && let Some((&when, &digest)) = state.order.first_key_value()
            && state.begun.first().is_none_or(|begun| when < *begun)
        {
            state.order.remove(&when);
            if let Some((_, size)) = state.objects.remove(&digest) {
                state.size -= size;
            }
            // What is not there is gone as well.
            let _ = std::fs::remove_file(store.path(&digest));
        }
    }
}

impl Use<'_> {
    /// The task uses this object.
    pub(super) fn of(&self, store: &Store, digest: &Digest) {
        // That is always there.
        if *digest == Digest::EMPTY {
            return;
        }
        let size = store.size(digest).unwrap_or(0);
        let mut state = self.shelf.lock();
        let now = self.shelf.now();
        if let Some((before, _)) = state.objects.insert(*digest, (now, size)) {
            state.order.remove(&before);
        } else {
            state.size += size;
        }
        state.order.insert(now, *digest);
    }
}

impl Drop for Use<'_> {
    fn drop(&mut self) {
        self.shelf.lock().begun.remove(&self.began);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_longest_ago_goes_but_nothing_that_is_in_use() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("objects"), dir.path()).unwrap();
        let shelf = Shelf::new(250);
        let objects: Vec<Digest> = (0..4)
            .map(|n| store.insert_bytes(&[n; 100]).unwrap())
            .collect();
        let there = || {
            let there = objects.iter().map(|digest| store.contains(digest));
            there.collect::<Vec<_>>()
        };
        let first = shelf.begin();
        objects[..3]
            .iter()
            .for_each(|digest| first.of(&store, digest));
        shelf.trim(&store);
        assert_eq!(there(), [true; 4]);
        drop(first);
        let second = shelf.begin();
        second.of(&store, &objects[0]);
        second.of(&store, &objects[3]);
        shelf.trim(&store);
        // 400 bytes, of which 250 may stay: those of the task at hand do.
        assert_eq!(there(), [true, false, false, true]);
        drop(second);
        shelf.trim(&store);
        assert_eq!(there(), [true, false, false, true]);
    }
}
