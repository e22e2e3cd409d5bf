//! Whether anything is heard of the run.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Error;
use super::keeper::Keeper;
use super::line::Line;
use crate::exec::local::Emergency;
use crate::wire::message::ToOwner;

/// Ends the process where nothing is heard any more: the thread that reads cannot notice that.
pub(super) struct Watchdog<'a> {
    emergency: &'a Emergency,
    keeper: &'a Keeper,
    state: Mutex<(Instant, Duration, bool)>,
    called: Condvar,
}

impl<'a> Watchdog<'a> {
    pub(super) fn new(emergency: &'a Emergency, keeper: &'a Keeper, silence: Duration) -> Self {
        Self {
            emergency,
            keeper,
            state: Mutex::new((Instant::now(), silence, false)),
            called: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, (Instant, Duration, bool)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn heard(&self) {
        self.lock().0 = Instant::now();
    }

    pub(super) fn set(&self, silence: Duration) {
        self.lock().1 = silence;
        self.called.notify_all();
    }

    pub(super) fn end(&self) {
        self.lock().2 = true;
        self.called.notify_all();
    }

    /// Says something now and then, and ends all when nothing was heard for too long.
    pub(super) fn keep(&self, line: Line) {
        let mut state = self.lock();
        loop {
            let (heard, silence, over) = *state;
            if over {
                return;
            }
            if heard.elapsed() >= silence {
                break;
            }
            // Three times before the other one gives up.
            let pause = silence / 3;
            let due = silence.saturating_sub(heard.elapsed()).min(pause);
            let waited = self.called.wait_timeout(state, due);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            if !state.2 {
                drop(state);
                line.say(&ToOwner::Ping);
                state = self.lock();
            }
        }
        let silence = state.1;
        drop(state);
        crate::out::tell(&format!("worker: {}\n", Error::Silence(silence)));
        // Its tasks are lost with it: a run that hears their end after all would take them for asked to end.
        self.keeper.leaves();
        let emergency = self.emergency;
        emergency.tasks().kill();
        emergency.clear();
        std::process::exit(1);
    }
}
