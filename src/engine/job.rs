//! What passes between the scheduler and an executor: tasks to be executed, and how they went.

use std::sync::Arc;

use super::outputs::{Output, Outputs};
use super::recording::Recording;
use super::step::StepPlan;
use crate::model::digest::Digest;
use crate::model::event::Launch;
use crate::model::plan::{Key, Ready};
use crate::model::promise::Comparison;
use crate::model::task::TaskId;
use crate::state::{Equal, Finished, Logs};
use crate::store;
use crate::sys::Shortage;

/// A task to be executed.
#[derive(Debug)]
pub(crate) struct Job {
    /// Its step.
    pub step: Arc<StepPlan>,
    /// The task.
    pub ready: Arc<Ready>,
    /// The runset's name.
    pub runset: Arc<str>,
    /// Whether more tasks of the step wait.
    pub more: bool,
    /// The input of one that is to follow soon.
    pub ahead: Option<Digest>,
    /// What it is given that is not the same for all tasks of its step.
    pub grant: Grant,
}

/// What a task is given of what there is only so much of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Grant {
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// GPUs, as the variables name them.
    pub gpus: Option<Box<str>>,
    /// The tree of what it kept in an earlier try.
    pub checkpoint: Option<Digest>,
}

/// How the execution of a task went.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The task.
    pub task: TaskId,
    /// What came of it.
    pub outcome: Outcome,
    /// When and where.
    pub finished: Finished,
    /// What ran its script, if anything did.
    pub launch: Option<Launch>,
    /// What it wrote.
    pub logs: Logs,
    /// What the user should know besides.
    pub warning: Option<String>,
    /// In which objects were made of what it left.
    pub session: store::Session,
    /// What became of what one that failed left, to be told of it once it is not tried again.
    pub kept: Option<Result<String, String>>,
    /// The tree of what it keeps for its next try, where that is something else than it was given.
    pub checkpoint: Option<Digest>,
}

/// What came of an execution.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It succeeded, and these are its outputs.
    Success(Outputs),
    /// How it failed, with its last words.
    Failure(String),
    /// It was killed as it took more memory than it was given, with its last words.
    OutOfMemory(String),
    /// The files of its step are not as they were when the run took them in: what came of it is
    /// nobody's result, and no more of the step can start. In words.
    Stale(String),
    /// It was ended, or not started, because the run is to end.
    Cancelled,
    /// The executor could not do its part: the task is as it was.
    Short(Short),
}

/// What an executor was short of, and what it could not do for that.
#[derive(Debug)]
pub(crate) struct Short {
    /// The first.
    pub of: Shortage,
    /// The second.
    pub error: String,
}

/// Outputs of an equal task, to be looked at before they are taken over: as they are many or large,
/// that takes longer than others should wait for. Of many, these are a few.
#[derive(Debug)]
pub(crate) struct Examination {
    pub(super) step: Arc<StepPlan>,
    pub(super) ready: Ready,
    pub(super) key: Option<Key>,
    pub(super) source: Equal,
    /// When `source` had ended, in microseconds since 1970, if that is known.
    pub(super) made: Option<i64>,
    pub(super) outputs: Vec<Output>,
    /// The row of the last one that was read, if there are more behind it.
    pub(super) more: Option<TaskId>,
    /// Whether others were looked at before these.
    pub(super) begun: bool,
    /// What was read so far, compared with what the step promises, if it promises anything.
    pub(super) compared: Option<Comparison>,
    /// Whether all are as they were stored, as far as they were looked at.
    pub(super) whole: bool,
    /// How often the run had held still when `source` was found.
    pub(super) stills: u64,
}

impl Examination {
    /// Looks at the objects.
    pub(crate) fn look(&mut self, store: &store::Reader) {
        let made = self.made;
        let is_whole = |output: &Output| store.is_whole_as(&output.digest, output.form, made);
        self.whole = self.outputs.iter().all(is_whole);
    }
}

/// What an executor hands back.
#[derive(Debug)]
// Most are ends, and a box for each would cost more than to move it.
#[allow(clippy::large_enum_variant)]
pub(crate) enum Reply {
    /// A job is over.
    Ended(Ended),
    /// This was looked at.
    Examined(Box<Examination>),
    /// Others had their turn.
    Recording(Box<Recording>),
}

/// What an executor is to do.
#[derive(Debug)]
pub(crate) enum Turn {
    /// Execute this.
    Do(Box<Job>),
    /// Look at this.
    Examine(Box<Examination>),
    /// Hand this back, and let others have their turn before.
    Record(Box<Recording>),
    /// Ask again: there is more to settle, and others may want their turn.
    Again,
    /// Wait until something that it has in hand ends, or something is due.
    Wait,
    /// Nothing runs, and nothing will.
    Over,
}

/// Whether what runs is to go on. Each executor has means of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stop {
    /// It is to be asked to end.
    Ask,
    /// It is to be ended.
    Kill,
}
