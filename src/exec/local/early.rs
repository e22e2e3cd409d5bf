//! A task that starts before the hash of its input is known.
//!
//! To hash a large output takes longer than to write it. Where nothing else is to be done meanwhile,
//! the task that it will be the input of reads it already ([`crate::store::SharedOutput`]). Nobody but this
//! executor knows: the scheduler is asked what it *will* give out ([`Scheduler::look_ahead`]), another
//! worker starts on that, and waits with the end of the script until the very job is given out.
//! It claims what was started then; if another one comes, or none, what was started is ended and
//! forgotten.
//!
//! ```text
//! worker 1   script A │ hash of A's output ─────────────────│ turn: job B │ claim
//! worker 2            └ offered: script B ────────┤ waits ────────────────┴▶ outputs of B, turn
//! ```
//!
//! [`Scheduler::look_ahead`]: crate::engine::Scheduler::look_ahead

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rustix::process::Signal;

use crate::engine::Job;
use crate::model::task::TaskId;
use crate::process::Handle;
use crate::store::SharedOutput;

/// A job to be started early.
#[derive(Debug)]
pub(super) struct Start {
    pub job: Box<Job>,
    /// Its input.
    pub shared: Arc<SharedOutput>,
    pub claim: Arc<Claim>,
}

/// The one that is started, or to be; there is never another.
#[derive(Debug)]
pub(super) struct Early {
    /// The task that makes its input.
    parent: TaskId,
    task: TaskId,
    claim: Arc<Claim>,
    /// Until a worker takes it.
    start: Option<Start>,
    /// Of that worker.
    handle: Option<Handle>,
}

impl Early {
    /// Of a job that the end of `parent` is to give out.
    pub(super) fn new(parent: TaskId, job: Box<Job>, shared: Arc<SharedOutput>) -> Self {
        let claim = Arc::new(Claim::default());
        Self {
            parent,
            task: job.ready.id,
            claim: Arc::clone(&claim),
            start: Some(Start { job, shared, claim }),
            handle: None,
        }
    }

    /// Whether a worker is wanted.
    pub(super) fn is_offered(&self) -> bool {
        self.start.is_some()
    }

    /// A worker takes it.
    pub(super) fn take(&mut self, handle: &Handle) -> Option<Start> {
        let start = self.start.take()?;
        self.handle = Some(handle.clone());
        Some(start)
    }

    /// Whether it is due to be claimed once that task has ended.
    pub(super) fn is_child_of(&self, task: TaskId) -> bool {
        self.parent == task
    }

    /// This job was given out: whether it runs already, and somebody else will hand back its end.
    pub(super) fn claim(self, job: &Job) -> bool {
        // Who has not started by now had better not: the input is an object now.
        let started = self.task == job.ready.id && self.start.is_none();
        if started && self.claim.decide(Decision::Granted) {
            return true;
        }
        self.refuse();
        false
    }

    /// It will not be given out.
    pub(super) fn refuse(self) {
        if self.claim.decide(Decision::Refused)
            && let Some(handle) = self.handle
        {
            handle.signal(Signal::KILL);
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decision {
    Granted,
    Refused,
}

/// Whether an early task's end counts.
#[derive(Debug, Default)]
pub(super) struct Claim {
    decision: Mutex<Option<Decision>>,
    decided: Condvar,
}

impl Claim {
    /// Waits until it is known.
    pub(super) fn wait(&self) -> bool {
        let mut decision = self.lock();
        loop {
            if let Some(decision) = *decision {
                return decision == Decision::Granted;
            }
            let waited = self.decided.wait(decision);
            decision = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Gives it up, unless it was granted already.
    pub(super) fn withdraw(&self) -> bool {
        self.decide(Decision::Refused)
    }

    /// Whether that is what was decided.
    fn decide(&self, to: Decision) -> bool {
        let decided = *self.lock().get_or_insert(to);
        self.decided.notify_all();
        decided == to
    }

    fn lock(&self) -> MutexGuard<'_, Option<Decision>> {
        self.decision.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
