//! What tasks keep from try to try, taken over while they run: now and then, for this machine may be gone before
//! they end. Who is to leave waits for those that keep something to have told it.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::exec::local::LiveState;
use crate::model::checkpoint::Checkpoint;
use crate::wire::message::Lease;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Keeper {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Those that are carried out.
    tasks: HashMap<Lease, Task>,
    over: bool,
    /// This worker was told to end.
    leaves: bool,
}

#[derive(Debug)]
struct Task {
    live: LiveState,
    /// How often, and when next; none if at its end alone.
    every: Option<(Duration, Instant)>,
}

impl Keeper {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A task begins, which keeps something or does not.
    pub(super) fn begin(&self, lease: Lease, checkpoint: Checkpoint, live: LiveState) {
        let every = match checkpoint {
            Checkpoint::No => return,
            Checkpoint::Ends => None,
            Checkpoint::Every(every) => Some((every, Instant::now() + every)),
        };
        self.lock().tasks.insert(lease, Task { live, every });
        self.changed.notify_all();
    }

    /// It is over, and was told.
    pub(super) fn end(&self, lease: Lease) {
        if self.lock().tasks.remove(&lease).is_some() {
            self.changed.notify_all();
        }
    }

    /// No more will be told.
    pub(super) fn close(&self) {
        self.lock().over = true;
        self.changed.notify_all();
    }

    /// This worker is to end, and whatever ends with it.
    pub(super) fn leaves(&self) {
        self.lock().leaves = true;
        self.changed.notify_all();
    }

    /// Whether it is to end, which may become known in so long.
    pub(super) fn is_leaving(&self, most: Duration) -> bool {
        let state = self.lock();
        let stays = |state: &mut State| !state.leaves && !state.over;
        let waited = self.changed.wait_timeout_while(state, most, stays);
        waited.unwrap_or_else(PoisonError::into_inner).0.leaves
    }

    /// Whether a task keeps something.
    pub(super) fn is_any(&self) -> bool {
        !self.lock().tasks.is_empty()
    }

    /// Waits until none does, or for so long.
    pub(super) fn wait(&self, most: Duration) {
        let state = self.lock();
        let is_any = |state: &mut State| !state.tasks.is_empty();
        // Whether it was long enough changes nothing.
        drop(self.changed.wait_timeout_while(state, most, is_any));
    }

    /// Calls `take` with what is due, until it is [closed](Self::close).
    pub(super) fn keep(&self, mut take: impl FnMut(Lease, &LiveState)) {
        /// Nothing is due before somebody begins, who says so.
        const LONG: Duration = Duration::from_hours(1);
        let mut state = self.lock();
        while !state.over {
            let now = Instant::now();
            let next = |task: &Task| task.every.map(|(_, due)| due);
            let first = state
                .tasks
                .iter()
                .filter_map(|(lease, task)| Some((next(task)?, *lease)))
                .min();
            let Some((due, lease)) = first else {
                state = self.wait_for(state, LONG);
                continue;
            };
            if due > now {
                state = self.wait_for(state, due - now);
                continue;
            }
            let Some(task) = state.tasks.get(&lease) else {
                continue;
            };
            let live = task.live.clone();
            drop(state);
            take(lease, &live);
            state = self.lock();
            // It may take longer than the time between.
            if let Some(task) = state.tasks.get_mut(&lease)
                && let Some((every, due)) = &mut task.every
            {
                *due = Instant::now() + *every;
            }
        }
    }

    fn wait_for<'g>(&self, state: MutexGuard<'g, State>, most: Duration) -> MutexGuard<'g, State> {
        let waited = self.changed.wait_timeout(state, most);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn it_takes_what_is_due_and_waits_for_all() {
        let keeper = Keeper::default();
        let (once, often) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                keeper.keep(|lease, _| {
                    let of = if lease == 1 { &once } else { &often };
                    if of.fetch_add(1, Ordering::Relaxed) == 3 {
                        keeper.end(lease);
                    }
                });
            });
            assert!(!keeper.is_any());
            assert!(!keeper.is_leaving(Duration::ZERO));
            keeper.begin(3, Checkpoint::No, LiveState::default());
            assert!(!keeper.is_any());
            keeper.begin(1, Checkpoint::Ends, LiveState::default());
            let every = Checkpoint::Every(Duration::from_millis(1));
            keeper.begin(2, every, LiveState::default());
            assert!(keeper.is_any());
            while keeper.lock().tasks.len() > 1 {
                std::thread::yield_now();
            }
            keeper.end(1);
            keeper.wait(Duration::from_mins(1));
            scope.spawn(|| assert!(keeper.is_leaving(Duration::MAX)));
            keeper.leaves();
            keeper.close();
            assert!(keeper.is_leaving(Duration::ZERO));
        });
        assert_eq!(once.into_inner(), 0);
        assert_eq!(often.into_inner(), 4);
    }
}
