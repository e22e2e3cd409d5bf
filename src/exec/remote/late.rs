//! Workers that were called and have not come: others are called where one takes long, and one that says nothing is ended.
//!
//! One that waits in a queue may take as long as it likes.

use std::time::{Duration, Instant};

use super::station::call;
use super::{Remote, State};

/// After which somebody who has not come is late: others are called.
const LATE: Duration = Duration::from_secs(3);

impl Remote<'_> {
    /// Calls for others where somebody takes long to come, and ends who says nothing; when to look again.
    pub(super) fn look_for_who_comes(&self, state: &mut State, now: Instant) -> Duration {
        let silence = Duration::from_millis(self.terms.silence);
        let mut next = Duration::MAX;
        for (place, _) in self
            .crews
            .iter()
            .enumerate()
            .filter(|(_, crew)| !crew.queues)
        {
            let mut any_late = false;
            for station in &mut state.stations[place] {
                let Some(coming) = &mut station.coming else {
                    continue;
                };
                next = LATE;
                if now.duration_since(coming.began) >= LATE {
                    any_late |= !std::mem::replace(&mut coming.is_late, true);
                }
                if coming.is_silent(now, silence) {
                    coming.is_ended = true;
                    station.kill();
                }
            }
            let wanted = state.wanted[place].max(state.book.waiting(place) as u64);
            let missing = wanted.saturating_sub(state.book.free(place));
            if any_late && missing > 0 && call(&mut state.stations[place], missing) {
                next = Duration::ZERO;
            }
        }
        next
    }

    /// Whether who was to come was ended for saying nothing.
    pub(super) fn was_silent(&self, place: usize, number: usize) -> bool {
        let coming = &self.lock().stations[place][number].coming;
        coming.as_ref().is_some_and(|coming| coming.is_ended)
    }
}

#[cfg(test)]
#[path = "late/tests.rs"]
mod tests;
