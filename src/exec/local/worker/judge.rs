//! What the task of a script that has ended comes to.

use super::super::collect::{OutputError, Source, Terms, collect};
use super::super::execution::Fault;
use super::super::hints;
use super::super::launch::step::TaskLaunch;
use super::super::transcript::Record;
use super::Worker;
use crate::engine::{Outcome, Outputs};
use crate::files::{Begun, Trouble, Watch};
use crate::process::{self, StopReason};
use crate::store;
use crate::sys::Shortage;
use crate::text::time::exact;
use crate::text::{Shown as _, amount, visible};

impl Worker<'_> {
    /// Makes objects of what a script left.
    fn make_objects(&mut self, job: &TaskLaunch, quiet: bool) -> Result<Outputs, OutputError> {
        let folder = self.workspace.collect()?.map_err(OutputError::Replaced)?;
        let source = Source {
            store: self.site.store,
            folder: &folder,
            quiet,
            offer: &|names, index, shared| (self.offer)(job.ready.id, names, index, shared),
        };
        let terms = Terms {
            promised: job.step.outputs.as_ref(),
            folders: job.step.folders,
            spill: self.site.scratch.path(),
        };
        collect(source, terms)
    }

    /// What an ended script's task comes to.
    pub(super) fn judge(
        &mut self,
        job: &TaskLaunch,
        ended: &process::Ended,
        (record, files): (&Record, Option<(&Watch, Begun)>),
        quiet: bool,
    ) -> Result<Outcome, Fault> {
        let (site, seen) = (self.site, self.seen);
        let failed = |how: String| {
            let last = record.stderr.last_words();
            let sandbox = job.step.sandbox.as_ref();
            let hint = sandbox.and_then(|sandbox| sandbox.hint(&last));
            let hint = hint.map_or_else(String::new, |hint| format!("\n{hint}"));
            // One that was killed here says nothing by it.
            let (memory, status) = match ended.cut {
                None => (
                    site.kills.hint(ended.status, seen.as_ref()),
                    hints::of(ended.status, &last, job.step.instead).unwrap_or_default(),
                ),
                Some(_) => (None, String::new()),
            };
            let memory = memory.unwrap_or_default();
            Err(Fault::Task(how + &last + &hint + memory + &status))
        };
        if ended.cut == Some(StopReason::Asked) {
            return Ok(Outcome::Cancelled);
        }
        // It has ended, and nothing was made of what it left: no task can have that as its input yet.
        if let Some((files, begun)) = files
            && let Err(trouble) = files.verify(begun)
        {
            return stale(
                trouble,
                &words_of(job, "while"),
                &record.stderr.last_words(),
            );
        }
        let touched = self.workspace.touched(self.site.store);
        let touched = touched.map_err(|error| Fault::of(error.shortage(), explain(&error, job)))?;
        if let Some(touched) = touched {
            return Err(Fault::Touched(format!(
                "{touched} {}",
                words_of(job, "while")
            )));
        }
        match ended.cut {
            Some(StopReason::Asked) => Ok(Outcome::Cancelled),
            Some(StopReason::Timeout) => {
                let limit = job.step.timeout.unwrap_or_default();
                failed(format!("timed out after {}", exact(limit)))
            }
            None if ended.status.success() => match self.make_objects(job, quiet) {
                Ok(outputs) => Ok(Outcome::Success(outputs)),
                Err(error) => match error.shortage() {
                    None => failed(error.to_string()),
                    short => Err(Fault::of(short, error.to_string())),
                },
            },
            None if self.seen.is_some_and(|seen| seen.over && seen.killed > 0) => {
                let had = job.grant.memory.map_or_else(String::new, amount::bytes);
                let last = record.stderr.last_words();
                Err(Fault::Memory(format!(
                    "out of memory: killed at {had}{last}"
                )))
            }
            None => {
                let how = process::describe(ended.status);
                // It may well have failed for that, as every other one would.
                let words = record.stderr.last_words();
                if self.site.is_full(&words) {
                    let folder = self.site.scratch.path().shown();
                    let error = format!("{how}, and the disk of {folder} is full{words}");
                    return Err(Fault::of(Some(Shortage::Room), error));
                }
                failed(how)
            }
        }
    }
}

/// When something happened to files.
pub(super) fn words_of(job: &TaskLaunch, when: &str) -> String {
    format!("{when} {} ran", visible(job.step.name.as_str()))
}

/// The files that a task begins to read.
pub(super) fn watched<'a>(job: &TaskLaunch<'a>) -> Result<Option<(&'a Watch, Begun)>, Trouble> {
    let files = job.step.files.as_deref();
    let begun = files.map(|files| Ok((files, files.verify_now_and_then()?)));
    begun.transpose()
}

/// What a task comes to whose files are not known to be as they were.
pub(super) fn stale(trouble: Trouble, when: &str, last: &str) -> Result<Outcome, Fault> {
    match trouble {
        Trouble::Changed(what) => Ok(Outcome::Stale(format!(
            "{what} {when}: this run began with what was there before\n\
             hint: run again, which takes the files as they are then{last}"
        ))),
        Trouble::Touched(what) => Err(Fault::Touched(format!("{what} {when}"))),
        Trouble::Stopped => Ok(Outcome::Cancelled),
        Trouble::Short(short, error) => Err(Fault::of(
            Some(short),
            format!("cannot look again at the files that the step names: {error}"),
        )),
    }
}

/// Adds what can be done about an input that is not to be had.
pub(super) fn explain(error: &store::Error, job: &TaskLaunch) -> String {
    match error {
        store::Error::Missing { .. }
        | store::Error::NotAFile { .. }
        | store::Error::Damaged { .. }
            if job.ready.parent.is_none() =>
        {
            let name = job.ready.name.as_deref().unwrap_or("it");
            format!(
                "{error}\nhint: run again: {name} is taken in again from where it came, if that is as it was; if \
                 this stays, `verify -repair` says what can be done"
            )
        }
        store::Error::Missing { .. }
        | store::Error::NotAFile { .. }
        | store::Error::Damaged { .. } => format!(
            "{error}\nhint: run again, and the task that made {} does so again; or restore it from a \
             backup",
            job.ready.name.as_deref().unwrap_or("it"),
        ),
        store::Error::Outside { .. } | store::Error::Evicted(_) => match error.hint() {
            Some(hint) => format!("{error}\nhint: {hint}"),
            None => error.to_string(),
        },
        store::Error::Io { .. }
        | store::Error::Place { .. }
        | store::Error::NotAFolder { .. }
        | store::Error::Replaced(_)
        | store::Error::LinkToNothing { .. }
        | store::Error::LinkToOther { .. }
        | store::Error::OfAnother { .. } => error.to_string(),
    }
}
