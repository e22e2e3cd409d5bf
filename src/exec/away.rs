//! Jobs that are carried out elsewhere: what those who take turns here know of it.

use crate::engine::{Ended, Job, Stop};
use crate::model::digest::Digest;
use crate::model::plan::QueueId;
use crate::model::task::TaskId;

/// Has others carry out jobs.
pub(crate) trait Away: Sync {
    /// Where jobs of the step go; none for those that are carried out here.
    fn place(&self, step: QueueId) -> Option<usize>;

    /// What the executor of a place is called, and how many workers there are at most.
    fn crew(&self, place: usize) -> (&str, usize);

    /// Takes a job. Its end is news.
    fn give(&self, job: Box<Job>);

    /// So many jobs of that place wait for somebody to have room for them.
    fn want(&self, place: usize, jobs: usize);

    /// Waits for news; none once [`Away::close`] was called.
    fn next(&self) -> Option<News>;

    /// News are waited for again, and what room there is comes first.
    fn open(&self);

    /// Nobody waits for news any more.
    fn close(&self);

    /// What runs is asked to end, or is ended.
    fn stop(&self, stop: Stop);
}

/// How far a worker is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Whereabouts {
    /// It was called for.
    Called,
    /// It waits in a queue: why.
    Waits(String),
    /// It is there.
    Here {
        /// On this machine.
        node: String,
        /// For so many tasks at once.
        slots: u64,
    },
    /// It is gone, or never came: why.
    Gone(String),
}

/// What happened elsewhere.
#[derive(Debug)]
pub(crate) enum News {
    /// A job is over.
    Ended(Box<Ended>),
    /// There is so much room in that place from now on.
    Room(usize, u64),
    /// A task has written something.
    Wrote {
        /// The task.
        task: TaskId,
        /// Its step.
        step: QueueId,
        /// Whether to standard error.
        stderr: bool,
        /// Whole lines.
        bytes: Vec<u8>,
    },
    /// The worker with this number has this task now.
    Given(i64, TaskId),
    /// A task that goes on keeps this for its next try, a tree.
    Kept(TaskId, Digest),
    /// The worker with this number, of a place, is somewhere else by now.
    Worker(i64, usize, Whereabouts),
    /// A task that the worker with this number had is lost there.
    Lost {
        /// Whose it was.
        worker: i64,
        /// The task.
        task: TaskId,
        /// When it was given out, in milliseconds since 1970.
        given: i64,
        /// Why.
        why: String,
    },
    /// The user should know that.
    Warning(String),
    /// Nobody works in this place, and nobody will: the error, and what to do.
    Nobody(usize, String, String),
}
