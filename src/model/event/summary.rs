//! How a run ended, and what is left of it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::outcome::Failure;
use crate::model::identity::Change;
use crate::model::name::StepName;
use crate::model::task::{TaskCounts, TaskId};
use crate::model::untaken::Untaken;
use crate::text::amount::{count, doing};
use crate::text::visible;

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
    /// The options by which the db, the manifest and the runset are found again, each with a blank before it; empty where none are needed.
    pub places: String,
    /// The whole run's time.
    pub elapsed: Duration,
    /// Per step, what is recorded.
    pub steps: Vec<(StepName, TaskCounts)>,
    /// Steps with finished tasks of another version, how many, and what changed.
    pub tainted: Vec<(StepName, i64, Vec<Change>)>,
    /// Final outputs whose name is close to a step's: the name and the step.
    pub near: Vec<(String, StepName)>,
    /// How many more there are, of those that were compared.
    pub near_more: u64,
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
    /// How those of finished tasks failed that ran again for what they had left: their rows do not say so.
    pub not_remade: BTreeMap<TaskId, String>,
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
        let secrets = match &*self.secrets {
            [only] => format!("a secret that is not given: {only}"),
            many => format!("secrets that are not given: {}", many.join(", ")),
        };
        write!(f, "{}: {need} {secrets}", self.step)
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
    pub hint: String,
}
