//! A task in the hands of a worker, and why it may not come to a good end.

use super::early::Start;
use super::launch::step::TaskLaunch;
use crate::engine::{Outcome, Short};
use crate::model::digest::Digest;
use crate::sys::Shortage;

/// A task while it is executed.
pub(super) struct Execution<'a> {
    pub job: TaskLaunch<'a>,
    /// What there is to know if it starts before its time.
    pub early: Option<&'a Start>,
    pub warning: Option<String>,
    /// What became of the folder of one that failed.
    pub kept: Option<Result<String, String>>,
    /// What it keeps for the next try, where that is something else than it had.
    pub checkpoint: Option<Digest>,
}

impl<'a> Execution<'a> {
    pub(super) fn new(job: TaskLaunch<'a>, early: Option<&'a Start>) -> Self {
        Self {
            job,
            early,
            warning: None,
            kept: None,
            checkpoint: None,
        }
    }

    /// The script has ended: whether that counts, which is waited for.
    pub(super) fn counts(&self) -> bool {
        // It had another input than it will have.
        self.was_disturbed() || self.early.is_none_or(|early| early.claim.wait())
    }

    /// Opened without patience, the input could not be written to: that is nobody's fault.
    pub(super) fn was_disturbed(&self) -> bool {
        self.early.is_some_and(|early| early.shared.was_disturbed())
    }

    /// It lost its chance to start early.
    pub(super) fn is_off(&self) -> Outcome {
        if let Some(early) = self.early {
            early.claim.withdraw();
        }
        Outcome::Cancelled
    }
}

/// Why a task did not succeed.
pub(crate) enum Fault {
    /// What it did itself, with its last words.
    Task(String),
    /// It took more memory than it had.
    Memory(String),
    /// Not by its doing.
    Short(Short),
    /// Its warm shell died, for whatever reason.
    Lost,
    /// Files that it may have read were written meanwhile, in the words of [`crate::files::Trouble`].
    Touched(String),
}

impl Fault {
    /// Of a failure of the runner's own, told in these words.
    pub(crate) fn of(shortage: Option<Shortage>, error: String) -> Self {
        match shortage {
            Some(of) => Self::Short(Short { of, error }),
            None => Self::Task(error),
        }
    }
}

impl From<Fault> for Outcome {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Task(error) => Self::Failure(error),
            Fault::Memory(error) => Self::OutOfMemory(error),
            Fault::Short(short) => Self::Short(short),
            // It is not in one when it is tried for the last time.
            Fault::Lost => Self::Failure("lost: its shell died".to_owned()),
            Fault::Touched(what) => Self::Stale(format!(
                "{what} each time: what it read is not known\n\
                 hint: run again when nothing writes its files; if the script does, have it write a copy"
            )),
        }
    }
}
