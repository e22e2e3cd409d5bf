//! What happens, told to whoever listens: lines, progress bars, JSON and tests are listeners.

mod outcome;
mod summary;

use std::fmt;
use std::time::Duration;

use crate::model::digest::Digest;
use crate::model::identity::Change;
use crate::model::list::Form;
use crate::model::name::StepName;
use crate::model::sample::{Sample, Sampled};
use crate::model::task::{TaskCounts, TaskId};

pub use outcome::{Cause, Failure, Launch, Left, Routed, Span};
pub use summary::{Awaited, Lacking, LeftOut, Shortage, Summary, Waiting};

/// One thing that happened.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// The manifest was read.
    Manifest {
        /// Its path.
        path: &'a str,
        /// How many steps it has.
        steps: usize,
        /// The start step; none where a pipeline begins with inputs alone.
        start: Option<&'a StepName>,
    },
    /// The state was opened.
    Database {
        /// Its folder.
        path: &'a str,
        /// Whether it was made just now.
        created: bool,
    },
    /// A line about Nix at work: what is built or downloaded.
    Environment(&'a str),
    /// A step differs from the version that it had until now, or is new.
    Version {
        /// The step.
        step: &'a StepName,
        /// The version that it has now.
        version: i64,
        /// Whether it had that version before.
        again: bool,
        /// What changed since the version that it had until now; empty for a first one.
        changes: &'a [Change],
    },
    /// Finished tasks of another version than the step has now.
    Tainted {
        /// The step.
        step: &'a StepName,
        /// How many live finished tasks have another version.
        count: i64,
        /// What changed since the oldest of them.
        changes: &'a [Change],
    },
    /// Tainted tasks were superseded by pending ones.
    Migrated {
        /// The step.
        step: &'a StepName,
        /// How many.
        count: i64,
        /// The version that they now have.
        version: i64,
    },
    /// There is nothing to migrate.
    NothingTainted {
        /// The runset.
        runset: &'a str,
    },
    /// Some tainted tasks are about to run under the version that their step has now; nothing of
    /// that is recorded.
    Sampling {
        /// The runset.
        runset: &'a str,
        /// Per step, in the order of the manifest, what is to run.
        steps: &'a [(StepName, TaskCounts)],
    },
    /// What came of that, for the tasks of one version of a step.
    Sampled(&'a Sampled),
    /// Tainted tasks are taken over as they are.
    Accepted {
        /// The runset.
        runset: &'a str,
        /// The step.
        step: &'a StepName,
        /// How many.
        count: i64,
        /// The version that they count for.
        version: i64,
        /// The version that they were of.
        from: i64,
        /// What speaks for it.
        sample: Sample,
    },
    /// Tasks that were accepted for another version count again for the one that made them.
    GivenBack {
        /// The step.
        step: &'a StepName,
        /// How many.
        count: i64,
        /// The version.
        version: i64,
    },
    /// What no runset needs that is kept was removed.
    Freed {
        /// Runsets.
        runsets: u64,
        /// Rows.
        rows: u64,
        /// Objects.
        objects: u64,
        /// The bytes that these took.
        bytes: u64,
        /// All of it in one line.
        words: &'a str,
    },
    /// The bytes of what can be made again were dropped.
    Evicted {
        /// Objects.
        objects: u64,
        /// The bytes that these took.
        bytes: u64,
        /// All of it in one line.
        words: &'a str,
    },
    /// The results stand as files, at the end of a run.
    Results {
        /// The folder in which they stand as files.
        folder: &'a str,
        /// How many there are.
        files: u64,
        /// Of these those that came.
        new: u64,
        /// Of these those that were others before.
        changed: u64,
        /// How many went.
        removed: u64,
        /// How many are of earlier runs and stay as something failed.
        kept: u64,
        /// How many final outputs are no files of their own, as they equal others in name and bytes.
        equal: u64,
    },
    /// Outputs have another route by now, as the steps have other names.
    Rerouted {
        /// The step that they went to; none if they were final.
        from: Option<&'a StepName>,
        /// The step that they go to; none if they are final.
        to: Option<&'a StepName>,
        /// How many.
        count: i64,
        /// Whether they are there now, and not only with the next migration.
        done: bool,
    },
    /// A runset is about to run.
    Runset {
        /// Its name.
        name: &'a str,
        /// Whether it was seeded just now.
        seeded: bool,
        /// The parameters that were given to it, by name, with their values.
        params: &'a [(&'a str, &'a str)],
        /// Per step, in the order of the manifest, what is recorded.
        steps: &'a [(StepName, TaskCounts)],
    },
    /// What comes in was compared with what came in before.
    Inputs(&'a Compared),
    /// A step has all that it gathers.
    Gathered {
        /// The step.
        step: &'a StepName,
        /// The tasks that work on it.
        tasks: u64,
        /// How much it is.
        outputs: u64,
    },
    /// A task makes way for one for each output of another step, with which its own are to work.
    Paired {
        /// The task.
        task: TaskId,
        /// Its step.
        step: &'a StepName,
        /// How many come in its place.
        tasks: u64,
    },
    /// A task is handed to the workers. Every one has one end: `Done`, `Failed` or `Cancelled`.
    Started {
        /// The task.
        task: TaskId,
        /// Its step.
        step: &'a StepName,
        /// The step's version.
        version: i64,
        /// The name of its input, none for a start task.
        input_name: Option<&'a str>,
        /// Its input object.
        input: Digest,
        /// What that is.
        form: Form,
        /// 0 for the first execution in this run.
        attempt: u32,
    },
    /// A task is with a worker on another machine, and begins there once that has room for it.
    Given {
        /// The task.
        task: TaskId,
        /// Its step.
        step: &'a StepName,
        /// The machine.
        node: Option<&'a str>,
    },
    /// A running task wrote lines; only when asked for.
    Output {
        /// The task.
        task: TaskId,
        /// Its step.
        step: &'a StepName,
        /// Whether they came on standard error.
        stderr: bool,
        /// Whole lines; without an end the last one only if the task paused in it, or ended, or
        /// if it is very long. No character is cut.
        bytes: &'a [u8],
    },
    /// A task ended with success, or has the outputs of an equal one.
    Done {
        /// The task.
        task: TaskId,
        /// Its step.
        step: &'a StepName,
        /// The task whose outputs were taken.
        reused: Option<TaskId>,
        /// Who has made them and where they were found, if they came from a shared cache.
        shared: Option<&'a str>,
        /// When and where it ran.
        span: Span,
        /// The machine, if it was not that of the run.
        node: Option<&'a str>,
        /// Outputs, by where they went.
        outputs: &'a Routed,
    },
    /// A task ended without success.
    Failed {
        /// The task.
        task: TaskId,
        /// Its step.
        step: &'a StepName,
        /// Of which group, for one of several that a step gathers.
        key: Option<&'a str>,
        /// How, and its last words.
        error: &'a str,
        /// When and where it ran.
        span: Span,
        /// The machine, if it was not that of the run.
        node: Option<&'a str>,
        /// The pause before it is tried again; none if it is not.
        retry: Option<Duration>,
    },
    /// A finished task ran again, as the bytes that it had left were dropped and are needed.
    Remade {
        /// The task.
        task: TaskId,
        /// Its step.
        step: &'a StepName,
        /// When and where it ran.
        span: Span,
        /// The machine, if it was not that of the run.
        node: Option<&'a str>,
        /// Whether it left the same as before.
        same: bool,
    },
    /// A task that was started is given up because the run is to end, or begins anew as it had
    /// started too early. It stays pending.
    Cancelled {
        /// The task.
        task: TaskId,
        /// Its step.
        step: &'a StepName,
        /// When and where it ran, if its script began at all.
        span: Option<Span>,
    },
    /// Something that the user should know and that stops nothing.
    Warning(&'a str),
    /// Somebody who carries out tasks elsewhere is somewhere else by now.
    Worker {
        /// The executor.
        executor: &'a str,
        /// Its place among those of the run; several may have the name of one executor.
        place: usize,
        /// Most workers of that place at once.
        most: usize,
        /// The number that it has in the run.
        worker: i64,
        /// How far it is.
        presence: Presence<'a>,
    },
    /// A task was lost with a worker, or could not be carried out there: it runs again, or its failure follows.
    Lost {
        /// The task.
        task: TaskId,
        /// Its step.
        step: &'a StepName,
        /// The executor.
        executor: &'a str,
        /// The machine.
        node: Option<&'a str>,
        /// The time since it was given out.
        elapsed: Duration,
        /// Why.
        why: &'a str,
    },
    /// A signal asked for an end; `tasks` were running.
    Interrupted {
        /// The signal's name.
        signal: &'a str,
        /// Tasks that are being ended.
        tasks: usize,
        /// Whether they are killed, as somebody has asked again.
        kills: bool,
    },
    /// What a failed task left is kept for a look.
    Kept {
        /// The task.
        task: TaskId,
        /// Its step.
        step: &'a StepName,
        /// Where, and how to look at it.
        words: &'a str,
    },
    /// Results were put where others find them.
    Pushed {
        /// Where.
        to: &'a str,
        /// How many that were not there before.
        results: u64,
        /// The bytes that went there.
        bytes: u64,
    },
    /// A run is over.
    Summary(&'a Summary),
}

impl Event<'_> {
    /// Whether it is told even to those who want to hear next to nothing.
    pub fn is_urgent(&self) -> bool {
        match self {
            Self::Failed { .. }
            | Self::Warning(_)
            | Self::Interrupted { .. }
            // Old results stay.
            | Self::Tainted { .. } => true,
            Self::Rerouted { done, .. } => !done,
            Self::Sampled(sampled) => !sampled.is_equal(),
            Self::Manifest { .. }
            | Self::Database { .. }
            | Self::Environment(_)
            | Self::Version { .. }
            | Self::Migrated { .. }
            | Self::NothingTainted { .. }
            | Self::Sampling { .. }
            | Self::Accepted { .. }
            | Self::GivenBack { .. }
            | Self::Freed { .. }
            | Self::Evicted { .. }
            | Self::Results { .. }
            | Self::Runset { .. }
            | Self::Inputs(_)
            | Self::Gathered { .. }
            | Self::Paired { .. }
            | Self::Started { .. }
            | Self::Given { .. }
            | Self::Output { .. }
            | Self::Done { .. }
            | Self::Remade { .. }
            | Self::Cancelled { .. }
            | Self::Pushed { .. }
            | Self::Kept { .. }
            // Told in words as a warning.
            | Self::Worker { .. }
            | Self::Lost { .. }
            | Self::Summary(_) => false,
        }
    }
}

/// How far a worker elsewhere is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence<'a> {
    /// It was called for.
    Called,
    /// It waits for its place.
    Waits {
        /// What those say of that who give places away.
        why: &'a str,
    },
    /// It is there.
    Here {
        /// Its machine.
        node: &'a str,
        /// Most tasks that it carries out at once.
        slots: u64,
        /// How long it took to come.
        waited: Duration,
    },
    /// It is gone, or never came.
    Gone {
        /// Its machine, if it ever came.
        node: Option<&'a str>,
        /// Why.
        why: &'a str,
    },
}

/// How the inputs differ from those of the comparison before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Compared {
    /// Those that were not there.
    pub new: u64,
    /// Those with other bytes, or of another step.
    pub changed: u64,
    /// Those that are not there any more.
    pub gone: u64,
    /// Those that are as they were.
    pub unchanged: u64,
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [
            (self.new, "new"),
            (self.changed, "changed"),
            (self.gone, "gone"),
            (self.unchanged, "unchanged"),
        ];
        let mut words = all.iter().filter(|(count, _)| *count > 0);
        match words.next() {
            None => return f.write_str("none"),
            Some((count, what)) => write!(f, "{count} {what}")?,
        }
        words.try_for_each(|(count, what)| write!(f, ", {count} {what}"))
    }
}
