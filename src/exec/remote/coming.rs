//! A worker that was called and has not come.

use std::fs::File;
use std::time::{Duration, Instant};

/// After which it is told at the first try that somebody did not come.
const LONG: Duration = Duration::from_secs(10);

/// A command that has not brought a worker yet.
pub(super) struct Coming {
    pub(super) began: Instant,
    /// When something was heard of it last.
    heard: Instant,
    /// What it writes besides, and how much of that there was.
    words: Option<File>,
    length: u64,
    /// It takes so long that others are called.
    pub(super) is_late: bool,
    /// It was ended, as it said nothing.
    pub(super) is_ended: bool,
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
    pub(super) fn is_silent(&mut self, now: Instant, silence: Duration) -> bool {
        let length = self.words.as_ref().and_then(|words| words.metadata().ok());
        let length = length.map_or(0, |words| words.len());
        if std::mem::replace(&mut self.length, length) != length {
            self.heard = now;
        }
        now.duration_since(self.heard) > silence
    }
}
