//! Do manifest and runset belong together? A step may have another name now, or the db be that of
//! another pipeline: then a run would do nothing, and that is no success.

use std::fmt::Write as _;

use super::counts;
use super::error::Failure;
use crate::model::name::StepName;
use crate::prepare::Source;
use crate::report::table;
use crate::state::{self, Reader, Runset};
use crate::text::{Shown as _, visible};

/// How a runset stands to a manifest.
#[derive(Debug)]
pub(super) struct Fit<'a> {
    source: &'a Source,
    runset: String,
    /// The step that it began at, if the manifest's start step never ran in it.
    began: Option<String>,
    /// Steps that it began at and that the manifest does not start at, if it begins elsewhere, too.
    elsewhere: Vec<StepName>,
    /// Whether the manifest's start step, if it has one, has a task.
    started: bool,
    /// Whether the manifest's own start step or inputs have tasks.
    rooted: bool,
    /// Whether it has tasks, and none of a step of the manifest.
    foreign: bool,
    /// Tasks of the manifest's steps that are to be done.
    left: i64,
    /// Tasks to be done of other steps.
    orphaned: Vec<(String, i64)>,
}

impl<'a> Fit<'a> {
    /// Compares them. Reads counts alone unless the start step has no task.
    pub(super) fn of(
        source: &'a Source,
        state: &Reader,
        runset: &Runset,
    ) -> Result<Self, state::Error> {
        let manifest = &source.manifest;
        let counts = counts::by_step(manifest, state, runset)?;
        let start = manifest.start().map(|step| &step.name);
        let begun = state.begun_elsewhere(runset, start)?;
        let started = match (&begun, start) {
            (Some(begun), Some(start)) => begun.contains(start),
            (None, Some(start)) => counts
                .iter()
                .any(|(name, tally)| name == start && tally.total() > 0),
            (_, None) => false,
        };
        let known = counts.iter().any(|(_, tally)| tally.total() > 0);
        let fed = known && !manifest.inputs.is_empty() && state.has_entries(runset)?;
        let rooted = started || fed;
        Ok(Self {
            source,
            runset: visible(&runset.name),
            started: started || start.is_none() || begun.is_none(),
            rooted,
            foreign: !known
                && state
                    .tallies(runset.id)?
                    .values()
                    .any(|tally| tally.total() > 0),
            elsewhere: begun
                .into_iter()
                .flatten()
                .filter(|step| Some(step) != start)
                .collect(),
            began: if started {
                None
            } else {
                state.seeded_step(runset)?
            },
            left: counts
                .iter()
                .map(|(_, tally)| tally.pending + tally.failed)
                .sum(),
            orphaned: counts::orphaned(manifest, state, &state.tallies(runset.id)?)?,
        })
    }

    /// Fails if nothing of the runset is the manifest's: whoever names another pipeline's db by mistake is to
    /// change nothing in it.
    pub(super) fn check_kind(&self) -> Result<(), Failure> {
        match self.began.as_deref() {
            Some(began) if self.foreign => Err(self.failure(began)),
            _ => Ok(()),
        }
    }

    /// Fails if a run would do nothing of what the manifest says.
    pub(super) fn check(&self) -> Result<(), Failure> {
        match self.stranger() {
            Some(step) if self.left == 0 && !self.rooted => Err(self.failure(step)),
            _ => Ok(()),
        }
    }

    /// What is worth a word although there is something to do, or nothing is expected.
    pub(super) fn warning(&self) -> Option<String> {
        let runset = &self.runset;
        if self.rooted && !self.elsewhere.is_empty() {
            let steps: Vec<_> = self.elsewhere.iter().map(StepName::as_str).collect();
            return Some(format!(
                "runset {runset} has results that began at {}, where {} does not start; \
                 -migrate-tainted takes them out",
                steps.join(", "),
                self.source.path.shown()
            ));
        }
        if !self.started && (self.rooted || self.began.is_none()) {
            return Some(format!(
                "the start step {} never ran in runset {runset}: -migrate-tainted -run starts it there, \
                 -run -fresh in a new runset",
                self.source.manifest.start()?.name
            ));
        }
        let began = visible(self.began.as_deref()?);
        if self.stranger().is_some() {
            return Some(format!(
                "runset {runset} began at step {began}, which {} does not have; -run -fresh seeds \
                 a new one{}",
                self.source.path.shown(),
                self.at_start()
            ));
        }
        let start = &self.source.manifest.start()?.name;
        (self.left == 0).then(|| {
            format!(
                "runset {runset} began at step {began}, and the start step {start} never ran in \
                 it: -run -start {start} runs it there, -run -fresh in a new runset"
            )
        })
    }

    /// Whether something may come in from outside.
    pub(super) fn has_inputs(&self) -> bool {
        !self.source.manifest.inputs.is_empty()
    }

    /// Whether the runset begins where the manifest says.
    pub(super) fn begins_right(&self) -> bool {
        self.elsewhere.is_empty() && self.started
    }

    /// Tasks to be done of steps that the manifest does not have, by step.
    pub(super) fn orphaned(&self) -> &[(String, i64)] {
        &self.orphaned
    }

    /// The step that it began at, if the manifest does not have it.
    fn stranger(&self) -> Option<&str> {
        let began = self.began.as_deref()?;
        self.source.manifest.step(began).is_none().then_some(began)
    }

    /// Where a new runset would begin, in words.
    fn at_start(&self) -> String {
        let start = self.source.manifest.start();
        start.map_or_else(String::new, |step| format!(" at {}", step.name))
    }

    fn failure(&self, began: &str) -> Failure {
        let mut message = format!(
            "nothing to run: runset {} began at step {}, which {} does not have",
            self.runset,
            visible(began),
            self.source.path.shown()
        );
        if !self.orphaned.is_empty() {
            let _ = write!(message, "; {}", table::orphaned(&self.orphaned));
        }
        Failure::usage(message).hint(format!(
            "-run -fresh seeds a new runset{}; if this db is another pipeline's, name the one \
             that is meant: -manifest FILE, -db DIR",
            self.at_start()
        ))
    }
}
