//! Whether this run itself stood still: it was stopped, or its machine slept. Its workers heard nothing of it
//! meanwhile, and end for that, which is no task's fault and no machine's.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Remote;
use crate::sys;
use crate::text::time::short;

/// See the module. All times are those since the start of this machine, sleep counted.
#[derive(Debug, Default)]
pub(super) struct Pulse(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The last time that the run was seen to go on; none before the first.
    last: Option<Duration>,
    /// When it last went on after it had stood still, and how long it had.
    stood: Option<(Duration, Duration)>,
    /// Whether nobody was told of that yet who says that it goes on.
    is_new: bool,
}

impl Pulse {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The run goes on at `now`, which is said more often than after `most`; whether it stood still until now.
    pub(super) fn beat(&self, now: Duration, most: Duration) -> bool {
        let mut state = self.lock();
        state.note(now, most);
        state.last = Some(now);
        std::mem::take(&mut state.is_new)
    }

    /// How long it stood still, where that is over for less than `lately`.
    fn stood(&self, now: Duration, most: Duration, lately: Duration) -> Option<Duration> {
        let mut state = self.lock();
        // Nobody may have said so yet.
        state.note(now, most);
        let (until, long) = state.stood?;
        (now.saturating_sub(until) < lately).then_some(long)
    }
}

impl State {
    fn note(&mut self, now: Duration, most: Duration) {
        if let Some(last) = &mut self.last
            && let passed = now.saturating_sub(*last)
            && passed >= most
        {
            self.stood = Some((now, passed));
            self.is_new = true;
            *last = now;
        }
    }
}

impl Remote<'_> {
    fn silence(&self) -> Duration {
        Duration::from_millis(self.terms.silence)
    }

    /// Says that the run goes on, as it does four times in the time after which its workers give it up. Where it stood
    /// still, workers have as long as ever to be heard of.
    pub(super) fn goes_on(&self) {
        if self.pulse.beat(sys::uptime(), self.silence() / 2) {
            let now = (self.clock)();
            for link in self.lock().links.values_mut() {
                link.heard = now;
            }
        }
    }

    /// Why workers are lost that gave the run up, if it stood still of late: in twice the time after which they do, all
    /// are known to be gone.
    pub(super) fn stood_still(&self) -> Option<String> {
        let silence = self.silence();
        let stood = self.pulse.stood(sys::uptime(), silence / 2, silence * 2)?;
        Some(format!(
            "the run itself stood still for {}, stopped or asleep, and was given up there",
            short(stood)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stood_still_where_it_did_not_go_on_in_time_and_only_of_late() {
        let seconds = Duration::from_secs;
        let pulse = Pulse::default();
        let stood = |now| pulse.stood(seconds(now), seconds(15), seconds(60));
        // Nobody waits for anything yet.
        assert_eq!(stood(100), None);
        assert!(!pulse.beat(seconds(100), seconds(15)));
        assert!(!pulse.beat(seconds(108), seconds(15)));
        assert_eq!(stood(122), None);
        // Whoever looks first notices it.
        assert_eq!(stood(150), Some(seconds(42)));
        assert_eq!(stood(160), Some(seconds(42)));
        assert!(pulse.beat(seconds(160), seconds(15)));
        assert_eq!(stood(209), Some(seconds(49)));
        assert!(pulse.beat(seconds(240), seconds(15)));
        assert!(!pulse.beat(seconds(250), seconds(15)));
        assert_eq!(stood(250), Some(seconds(31)));
        for now in [260, 270, 280, 290] {
            assert!(!pulse.beat(seconds(now), seconds(15)));
        }
        assert_eq!(stood(299), Some(seconds(31)));
        assert_eq!(stood(300), None);
    }
}
