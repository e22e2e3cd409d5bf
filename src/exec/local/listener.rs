//! What a worker does while a script runs.

use std::time::Instant;

use super::launch::step::TaskLaunch;
use super::live::Live;
use super::transcript::Record;
use crate::process::{Sink, Stream};
use crate::store::Store;
use crate::sys::DiskReads;

/// Keeps what a task writes, and uses the time that the worker would wait.
pub(super) struct Listener<'a, 'b, 'r> {
    pub job: &'a TaskLaunch<'a>,
    pub record: &'a mut Record<'r>,
    pub live: Option<&'a mut Live<'b>>,
    pub store: &'a Store,
    pub disk: &'a mut DiskReads,
}

impl Sink for Listener<'_, '_, '_> {
    fn started(&mut self) {
        // While inputs are in memory this would only cost.
        if let Some(ahead) = &self.job.ahead
            && self.disk.were_there()
        {
            self.store.read_ahead(ahead);
        }
    }

    fn wrote(&mut self, stream: Stream, bytes: &[u8]) {
        let live = &mut self.live;
        self.record.add(stream, bytes, &mut |stream, bytes| {
            if let Some(live) = live {
                live.wrote(stream, bytes);
            }
        });
    }

    fn due(&self) -> Option<Instant> {
        self.live.as_ref().and_then(|live| live.due())
    }

    fn look(&mut self) {
        if let Some(live) = &mut self.live {
            live.look();
        }
    }
}
