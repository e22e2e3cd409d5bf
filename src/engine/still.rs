//! Holding still, while somebody else removes what the run does not need.
//!
//! What a run needs is in rows, but for what [`Scheduler::hold_still`] gives and what the store has noted ([`crate::store`]):
//!
//! - Tasks that are in hand or wait are rows of this runset, which stays, and so do their inputs.
//! - A task whose end is recorded in part has rows that are in no file: as long as there is one, nobody can hold still.
//! - Lists that tasks get besides their input are in their rows only when these have ended.
//! - Tasks that make bytes again have rows that say that they have ended: what they work on is needed all the same.
//! - Rows of other runsets are known from when results were looked for: they may be gone afterwards, and are looked for again.

use super::{Error, Scheduler};
use crate::model::digest::Digest;
use crate::state::Layout;

impl Scheduler<'_> {
    /// Where the db folder is.
    pub(crate) fn layout(&self) -> &Layout {
        self.state.layout()
    }

    /// Brings all to the file. Until the next turn, the objects that no row names and that it needs are these; none if it
    /// cannot be now.
    pub(crate) fn hold_still(&mut self) -> Result<Option<Vec<Digest>>, Error> {
        if self.recordings > 0 {
            return Ok(None);
        }
        let committed = self.state.commit();
        if committed.is_err() {
            self.abandon();
        }
        committed?;
        let gathers = self.gathers.as_ref();
        let mut others = gathers.map_or_else(Vec::new, |gathers| gathers.given.clone());
        others.extend(self.remakes.needs());
        Ok(Some(others))
    }

    /// Rows that are not of this runset may be gone, and bytes that can be made again.
    pub(crate) fn held_still(&mut self) -> Result<(), Error> {
        self.found.clear();
        self.stills += 1;
        self.store.set_evicted(self.state.evicted()?);
        Ok(())
    }
}
