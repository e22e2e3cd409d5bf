//! What happens, told to whoever listens: lines, progress bars, JSON and tests are listeners.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::model::digest::Digest;
use crate::model::identity::Change;
use crate::model::list::Form;
use crate::model::name::StepName;
use crate::model::sample::{Sample, Sampled};
use crate::model::task::{TaskCounts, TaskId};
use crate::model::untaken::Untaken;
use crate::text::amount::{count, doing};
use crate::text::visible;

/// One thing that happened.
#[derive(Debug)]
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
            | Self::Started { .. }
            | Self::Output { .. }
            | Self::Done { .. }
            | Self::Remade { .. }
            | Self::Cancelled { .. }
            | Self::Pushed { .. }
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

/// When and where a task ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// When it began: milliseconds since 1970, UTC.
    pub started: i64,
    /// From start to end; zero if nothing was executed.
    pub elapsed: Duration,
    /// The worker that executed it, from 0; none if it was not executed.
    pub worker: Option<i64>,
    /// What ran its script; none if nothing did.
    pub launch: Option<Launch>,
    /// The time that CPUs worked for it, where that is known.
    pub cpu: Option<Duration>,
    /// The most memory that it had at a time, in bytes, where that is known.
    pub peak: Option<u64>,
}

/// What runs a task's script. Scripts cannot tell the difference, so somebody else has to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Launch {
    /// The runner itself starts the programs.
    Direct,
    /// A shell of its own.
    Shell,
    /// A subshell of one that runs many tasks.
    Warm,
}

impl Launch {
    /// The word for it in events and traces.
    pub fn word(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Shell => "shell",
            Self::Warm => "warm",
        }
    }
}

/// The outputs of one task, by where they went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routed {
    /// Steps and how many outputs went to each.
    pub steps: Vec<(StepName, u64)>,
    /// Steps that gather, and how many outputs went to each.
    pub gathered: Vec<(StepName, u64)>,
    /// Final outputs: how many.
    pub finals: u64,
    /// The first few outputs.
    pub names: Vec<Left>,
}

/// An output that is told by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// Its name.
    pub name: String,
    /// What it is.
    pub form: Form,
    /// The step that it went to; none if it is final.
    pub step: Option<StepName>,
}

impl Routed {
    /// How many names are told; the rest is a number.
    pub const NAMED: usize = 8;

    /// Adds one output.
    pub fn add(&mut self, name: &str, form: Form, route: Option<&StepName>) {
        self.name(name, form, route);
        match route {
            None => self.finals += 1,
            Some(step) => one_more(&mut self.steps, step),
        }
    }

    /// Adds one output that a step gathers.
    pub fn add_gathered(&mut self, name: &str, form: Form, step: &StepName) {
        self.name(name, form, Some(step));
        one_more(&mut self.gathered, step);
    }

    fn name(&mut self, name: &str, form: Form, route: Option<&StepName>) {
        if self.names.len() < Self::NAMED {
            self.names.push(Left {
                name: name.to_owned(),
                form,
                step: route.cloned(),
            });
        }
    }

    /// Steps, gathering or not, and how many outputs went to each.
    pub fn all_steps(&self) -> impl Iterator<Item = &(StepName, u64)> {
        self.steps.iter().chain(&self.gathered)
    }

    /// All outputs.
    pub fn total(&self) -> u64 {
        self.finals + self.all_steps().map(|(_, count)| count).sum::<u64>()
    }
}

fn one_more(steps: &mut Vec<(StepName, u64)>, step: &StepName) {
    match steps.iter_mut().find(|(name, _)| name == step) {
        Some((_, count)) => *count += 1,
        None => steps.push((step.clone(), 1)),
    }
}

/// How a run ended.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// The runset's name.
    pub runset: String,
    /// Tasks executed with success in this run.
    pub executed: u64,
    /// Tasks that took over outputs in this run.
    pub reused: u64,
    /// Tasks whose outputs came from a shared cache in this run.
    pub shared: u64,
    /// How long ago the oldest result was made that was not made in this run; none if there was
    /// none, or it is not recorded.
    pub oldest_reused: Option<Duration>,
    /// Tasks that ran again in this run for bytes that were dropped.
    pub remade: u64,
    /// Tasks to be done whose bytes could not be made again.
    pub without_bytes: u64,
    /// Tasks that are to be done again, as what they left when they ran again was something else.
    pub superseded: u64,
    /// Tasks that failed in this run.
    pub failed: u64,
    /// Live tasks of the runset that are not finished, the failed ones left out.
    pub pending: i64,
    /// Final outputs of the runset.
    pub finals: i64,
    /// Whether a folder follows them: else they are to be exported.
    pub published: bool,
    /// The whole run's time.
    pub elapsed: Duration,
    /// Per step, what is recorded.
    pub steps: Vec<(StepName, TaskCounts)>,
    /// Steps with finished tasks of another version, how many, and what changed.
    pub tainted: Vec<(StepName, i64, Vec<Change>)>,
    /// Final outputs whose name is close to a step's: the name and the step.
    pub near: Vec<(String, StepName)>,
    /// What steps take by `from` and is not there.
    pub untaken: Vec<Untaken>,
    /// Steps that gather and wait for something.
    pub waiting: Vec<Waiting>,
    /// Steps that are not given all their secrets.
    pub lacking: Vec<Lacking>,
    /// What was no part of the run, if it was one of a part.
    pub left_out: Option<LeftOut>,
    /// Pending tasks of steps that are no longer in the manifest, by step.
    pub orphaned: Vec<(String, i64)>,
    /// Steps of the manifest that gather, or get what others leave: these do not wait for those.
    pub gathering: Vec<StepName>,
    /// How many tries were lost elsewhere, by machine.
    pub lost: BTreeMap<String, u64>,
    /// The first failures.
    pub failures: Vec<Failure>,
    /// Tasks that succeeded at a later try, in this run.
    pub flaky: u64,
    /// The first of these: how the try before that failed, and how many it took.
    pub late: Vec<(Failure, u32)>,
    /// The signal that ended the run.
    pub signal: Option<i32>,
    /// What ended the run that is no fault of any task.
    pub shortage: Option<Shortage>,
}

/// Tasks that succeeded at a later try of which more is told than that they are there.
const LATE: usize = 20;

impl Summary {
    /// A task that failed so succeeded at the last of so many tries.
    pub fn passed_late(&mut self, failed: Failure, tries: u32) {
        self.flaky += 1;
        if self.late.len() < LATE {
            self.late.push((failed, tries));
        }
    }

    /// What came before in the same run. What failed then was tried again.
    pub fn add_earlier(&mut self, before: &Self) {
        self.executed += before.executed;
        self.reused += before.reused;
        self.shared += before.shared;
        self.remade += before.remade;
        self.flaky += before.flaky;
        self.late.splice(..0, before.late.iter().cloned());
        self.late.truncate(LATE);
        self.elapsed += before.elapsed;
        self.oldest_reused = self.oldest_reused.max(before.oldest_reused);
        for (node, lost) in &before.lost {
            *self.lost.entry(node.clone()).or_default() += lost;
        }
    }
}

/// Tasks that are to be done and whose script lacks a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lacking {
    /// Their step.
    pub step: StepName,
    /// How many.
    pub tasks: u64,
    /// The secrets that were not given.
    pub secrets: Vec<String>,
}

impl fmt::Display for Lacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let need = doing(self.tasks, "task", ("needs", "need"));
        let secrets = self.secrets.join(", ");
        write!(f, "{}: {need} what is not given: {secrets}", self.step)
    }
}

/// Tasks that are to be done and that a run was not to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// How many.
    pub tasks: u64,
    /// The options that left them out.
    pub options: Vec<&'static str>,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tasks = match self.tasks {
            0 => "no task".to_owned(),
            some => crate::text::amount::count(some, "task"),
        };
        write!(f, "{tasks} left out by {}", self.options.join(", "))
    }
}

/// How far a step is that gathers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The step.
    pub step: StepName,
    /// What it waits with.
    pub what: Awaited,
    /// Tasks before it that are to be done.
    pub pending: u64,
    /// Tasks before it that failed.
    pub failed: u64,
}

/// What a step has that waits for more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Awaited {
    /// It gathers.
    Members {
        /// By key, and not everything at once.
        by_key: bool,
        /// It does not wait for what failed.
        partial: bool,
        /// Its groups, as far as something has come for them.
        groups: u64,
        /// Those that have a task.
        complete: u64,
        /// What has come.
        members: u64,
        /// What came to it and belongs to no group, as no task whose descendants it gathers is above.
        astray: u64,
    },
    /// Its tasks get what others leave.
    With {
        /// These others.
        steps: Vec<StepName>,
        /// Its tasks that are to be done.
        tasks: u64,
    },
}

impl Waiting {
    /// Whether something came to it that belongs to no group.
    pub fn is_astray(&self) -> bool {
        matches!(self.what, Awaited::Members { astray, .. } if astray > 0)
    }
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (partial, stays, astray) = match &self.what {
            Awaited::Members {
                by_key,
                partial,
                groups,
                complete,
                members,
                astray,
            } => {
                if *by_key {
                    write!(f, "{complete} of {} gathered", count(*groups, "group"))?;
                } else {
                    write!(f, "{members} gathered")?;
                }
                (*partial, !by_key && *complete > 0, *astray)
            }
            Awaited::With { steps, tasks } => {
                let names: Vec<String> = steps.iter().map(|step| visible(step.as_str())).collect();
                write!(f, "{tasks} to be done with {}", names.join(", "))?;
                (false, false, 0)
            }
        };
        match (self.pending, self.failed) {
            (0, 0) => {}
            (0, failed) if partial => write!(f, ", without what {failed} failed would leave")?,
            (0, failed) => write!(f, ", waits for {failed} failed")?,
            (pending, 0) => write!(f, ", waits for {pending} pending")?,
            (pending, failed) => write!(f, ", waits for {pending} pending, {failed} failed")?,
        }
        if stays && !partial && self.failed > 0 {
            f.write_str("; until then there is a result of a part")?;
        }
        if astray > 0 {
            write!(f, ", {astray} in no group")?;
        }
        Ok(())
    }
}

/// What the runner was short of, so that no task could go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortage {
    /// What could not be done, and for which task.
    pub error: String,
    /// What to do about it.
    pub hint: &'static str,
}

/// A failed task.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The task.
    pub task: TaskId,
    /// Its step.
    pub step: StepName,
    /// The name of its input.
    pub input_name: Option<String>,
    /// What its input is.
    pub form: Form,
    /// The machine that it ran on last, if it was not that of the run.
    pub node: Option<Arc<str>>,
    /// How it ended, and its last words.
    pub error: String,
}

/// Why a task failed, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Its script ended with a status other than 0.
    Exit,
    /// Somebody ended it by a signal.
    Signal,
    /// Its time was over.
    Timeout,
    /// It took more memory than it was given.
    OutOfMemory,
    /// Whatever ran it is gone, and nobody knows what became of it.
    Lost,
    /// What it left, or was to work on, is not as it has to be.
    Other,
}

impl Cause {
    /// That of a recorded error, each of which begins with how the script ended.
    pub fn of(error: &str) -> Self {
        let begins = |words: &str| error.starts_with(words);
        if begins("exit status ") {
            Self::Exit
        } else if begins("killed by ") {
            Self::Signal
        } else if begins("timed out ") {
            Self::Timeout
        } else if begins("out of memory") {
            Self::OutOfMemory
        } else if begins("lost: ") {
            Self::Lost
        } else {
            Self::Other
        }
    }

    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Exit => "exit",
            Self::Signal => "signal",
            Self::Timeout => "timeout",
            Self::OutOfMemory => "out of memory",
            Self::Lost => "lost",
            Self::Other => "other",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_known_by_how_an_error_begins() {
        for (error, word) in [
            ("exit status 3\n  killed by hand", "exit"),
            ("killed by SIGKILL", "signal"),
            ("timed out after 10m", "timeout"),
            ("out of memory: killed at 2.0 GiB", "out of memory"),
            ("lost: its shell died", "lost"),
            ("left a FIFO", "other"),
        ] {
            assert_eq!(Cause::of(error).word(), word);
        }
    }
}
