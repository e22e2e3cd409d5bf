//! What is recorded of those who carry out tasks elsewhere.

use super::job::{Ended, Outcome};
use super::{Error, Scheduler};
use crate::model::task::TaskId;
use crate::state::Try;
use crate::sys;

/// The longest name of a machine that is recorded, in characters.
const LONGEST: usize = 255;

impl Scheduler<'_> {
    /// A worker was called for, which has this number in the run.
    pub(crate) fn worker_called(&mut self, worker: i64, executor: &str) -> Result<(), Error> {
        self.begin_group()?;
        let now = sys::now().as_millisecond();
        Ok(self
            .state
            .worker_called(self.runset, worker, executor, now)?)
    }

    /// It has come, for so many tasks at once.
    pub(crate) fn worker_came(&mut self, worker: i64, node: &str, slots: u64) -> Result<(), Error> {
        self.begin_group()?;
        let node: String = node.chars().take(LONGEST).collect();
        let now = sys::now().as_millisecond();
        Ok(self.state.worker_came(worker, &node, slots, now)?)
    }

    /// It is gone, or never came.
    pub(crate) fn worker_gone(&mut self, worker: i64, why: &str) -> Result<(), Error> {
        self.begin_group()?;
        let now = sys::now().as_millisecond();
        Ok(self.state.worker_gone(worker, why, now)?)
    }

    /// A task that it had is lost there, which was given out at `given` (milliseconds since 1970).
    pub(crate) fn lost_there(
        &mut self,
        worker: i64,
        task: TaskId,
        given: i64,
        why: &str,
    ) -> Result<(), Error> {
        self.begin_group()?;
        let passed = sys::now().as_millisecond().saturating_sub(given).max(0);
        let lost = Try {
            worker,
            started: given,
            elapsed: passed.saturating_mul(1000),
            lost: Some(why),
        };
        Ok(self.state.put_attempt(task, lost)?)
    }

    /// A try of a task ended, wherever that was.
    pub(super) fn tried(&mut self, ended: &Ended) -> Result<(), Error> {
        if self.settings.places == 0 || matches!(ended.outcome, Outcome::Cancelled) {
            return Ok(());
        }
        let finished = &ended.finished;
        let tried = Try {
            worker: finished.worker,
            started: finished.started,
            elapsed: finished.elapsed,
            lost: None,
        };
        Ok(self.state.put_attempt(ended.task, tried)?)
    }
}
