//! Work on many files: in several threads where there are many, or large ones.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::{Builder, Scope};

use crate::store::LARGE;
use crate::sys;

/// Most threads for the files of a task. What changes one folder happens one at a time whatever their number.
const MOST: usize = 4;
/// Files that are worth a thread of its own.
const WORTH: usize = 32;

/// Works on a file, by its number; the second is told its size before its bytes are read.
type One<'a, T, E> = &'a (dyn Fn(usize, &mut dyn FnMut(u64)) -> Result<T, E> + Sync);

/// What comes of all of `count` files, in order; or the first failure in order. After that, some files
/// behind it may have been worked on, too.
pub(super) fn all<T, E>(count: usize, one: One<T, E>) -> Result<Vec<T>, (usize, E)>
where
    T: Send + Sync,
    E: Send,
{
    let batch = Batch {
        one,
        next: AtomicUsize::new(0),
        done: (0..count).map(|_| OnceLock::new()).collect(),
        end: AtomicUsize::new(count),
        failed: Mutex::new(None),
    };
    std::thread::scope(|scope| batch.lead(scope));
    let failed = batch.failed.into_inner();
    if let Some(failed) = failed.unwrap_or_else(PoisonError::into_inner) {
        return Err(failed);
    }
    let done = batch.done.into_iter();
    Ok(done.filter_map(OnceLock::into_inner).collect())
}

struct Batch<'a, T, E> {
    one: One<'a, T, E>,
    /// The first that no thread has taken.
    next: AtomicUsize,
    done: Vec<OnceLock<T>>,
    /// None is taken from here on: that of the first failure so far.
    end: AtomicUsize,
    failed: Mutex<Option<(usize, E)>>,
}

impl<T: Send + Sync, E: Send> Batch<'_, T, E> {
    /// Works through the files, and calls for help once that is worth it.
    fn lead<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>) {
        let mut alone = true;
        self.work(|size| {
            let left = self
                .done
                .len()
                .saturating_sub(self.next.load(Ordering::Relaxed));
            let helpers = if size >= LARGE { left } else { left / WORTH };
            if alone && helpers > 0 {
                alone = false;
                for _ in 1..(helpers + 1).min(sys::cores()).min(MOST) {
                    let helper = Builder::new().name("files".to_owned());
                    if helper.spawn_scoped(scope, || self.work(|_| ())).is_err() {
                        break;
                    }
                }
            }
        });
    }

    /// `before` is told each file's size before its bytes are read.
    fn work(&self, mut before: impl FnMut(u64)) {
        loop {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            if index >= self.end.load(Ordering::Relaxed) {
                return;
            }
            match (self.one)(index, &mut before) {
                Ok(done) => drop(self.done[index].set(done)),
                Err(error) => self.fail(index, error),
            }
        }
    }

    /// All before `index` have been taken, so what fails first in order is found in the end.
    fn fail(&self, index: usize, error: E) {
        self.end.fetch_min(index, Ordering::Relaxed);
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.as_ref().is_none_or(|(first, _)| index < *first) {
            *failed = Some((index, error));
        }
    }
}
