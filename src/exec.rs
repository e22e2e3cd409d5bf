//! Executors: what carries out jobs.
//!
//! They stand above the scheduler and pull from it, so that it knows nothing of threads, processes
//! or other machines. To add one, implement [`Executor`]: take turns of the scheduler, each of which
//! hands back what was done before, until one says that the run is over.

mod away;
#[cfg(test)]
pub(crate) mod fake;
pub(crate) mod local;
pub(crate) mod node;
mod nudge;
pub(crate) mod remote;
#[cfg(test)]
pub(crate) mod tests;
mod transfer;

use crate::engine::{Error, Scheduler};
use crate::model::event::Summary;

/// Something that carries out jobs.
pub(crate) trait Executor {
    /// Takes turns until the run is over, and gives the scheduler back if nothing went wrong.
    /// Otherwise what was not committed is taken back, and the next run carries on from there.
    fn drive<'a>(&mut self, scheduler: Scheduler<'a>) -> Result<Scheduler<'a>, Error>;

    /// Runs what is pending, to its end or until a signal comes in.
    fn run(&mut self, mut scheduler: Scheduler) -> Result<Summary, Error> {
        scheduler.begin()?;
        self.drive(scheduler)?.end()
    }
}
