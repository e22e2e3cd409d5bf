//! Workers that were called and have not come: others are called where one takes long, and one that says nothing is ended.
//!
//! One that waits in a queue may take as long as it likes.

use std::fs::File;
use std::time::{Duration, Instant};

use super::station::call;
use super::{Remote, State};

/// After which somebody who has not come is late: others are called.
const LATE: Duration = Duration::from_secs(3);
/// After which it is told at the first try that somebody did not come.
const LONG: Duration = Duration::from_secs(10);

/// A command that has not brought a worker yet.
pub(super) struct Coming {
    began: Instant,
    /// When something was heard of it last.
    heard: Instant,
    /// What it writes besides, and how much of that there was.
    words: Option<File>,
    length: u64,
    /// It takes so long that others are called.
    is_late: bool,
    /// It was ended, as it said nothing.
    is_ended: bool,
}

impl Coming {
    /// It is started now, and writes `words` besides.
    pub(super) fn new(now: Instant, words: Option<File>) -> Self {
        Self {
            began: now,
            heard: now,
            words,
            length: 0,
            is_late: false,
            is_ended: false,
        }
    }

    /// Whether others are called, as it takes long.
    pub(super) fn is_late(&self) -> bool {
        self.is_late
    }

    /// Whether it took so long that nobody wants to hear of it after the third time.
    pub(super) fn took_long(&self, now: Instant) -> bool {
        now.duration_since(self.began) >= LONG
    }

    /// Whether it has said nothing for so long, neither to whoever waits for a worker nor to its user.
    fn is_silent(&mut self, now: Instant, silence: Duration) -> bool {
        let length = self.words.as_ref().and_then(|words| words.metadata().ok());
        let length = length.map_or(0, |words| words.len());
        if std::mem::replace(&mut self.length, length) != length {
            self.heard = now;
        }
        now.duration_since(self.heard) > silence
    }
}

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
#[path = "coming/tests.rs"]
mod tests;
