//! Holding still, so that somebody else can remove what the run does not need.
//!
//! The thread that keeps time does it, with the lock that all others take their turns under: scripts run on, and
//! what they have left waits to be recorded, and to become objects, until the other one has ended.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::super::channel::Message;
use super::{Dispatch, Pool};
use crate::engine::Error;
use crate::state::Asked;
use crate::store::Earlier;

/// Between two looks, at whoever is waited for.
pub(super) const GLANCE: Duration = Duration::from_millis(5);

/// A question that was heard.
#[derive(Debug)]
pub(super) struct Still {
    asked: Asked,
    earlier: Earlier,
}

impl Still {
    /// Whether nothing is in use that nobody noted.
    pub(super) fn is_due(&self) -> bool {
        self.earlier.are_over()
    }
}

impl<'a> Pool<'a, '_> {
    /// Whoever asked is heard: from now on it is noted what becomes an object.
    pub(super) fn asked(&self) -> Option<Still> {
        if self.runsets == 0 {
            return None;
        }
        let asked = Asked::look(self.lock().scheduler.layout())?;
        let earlier = self.site.store.begin_noting();
        Some(Still { asked, earlier })
    }

    /// Holds still until the one who asked has ended; gives the question back if that cannot be yet. Signals are heard, and
    /// whoever was asked to end is ended in time.
    pub(super) fn hold_still(
        &self,
        dispatch: &mut Dispatch<'a>,
        mut still: Still,
        receiver: &Receiver<Message>,
        last: &mut Option<Instant>,
    ) -> Result<Option<Still>, Error> {
        let Some(others) = dispatch.scheduler.hold_still()? else {
            return Ok(Some(still));
        };
        let store = self.site.store;
        let mut noted = store.hold();
        noted.extend(others);
        // Without an answer the other one removes nothing.
        let answered = still.asked.answer(self.runsets, &noted).is_ok();
        while answered && !still.asked.is_over() {
            match receiver.recv_timeout(GLANCE) {
                Ok(Message::Signal(signal)) => self.interrupt(dispatch, signal, last),
                Ok(Message::Broken) => return Err(Error::Worker(None)),
                Ok(Message::Asked) => self.bell.heard(),
                Ok(Message::Look)
                | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
            self.end_late(last);
        }
        // Before anything is made: what was dropped is known when it is made again.
        dispatch.scheduler.held_still()?;
        drop(noted);
        store.end_noting();
        Ok(None)
    }
}
