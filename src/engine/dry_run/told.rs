//! What is told of a run that would be.

use std::collections::HashSet;

use crate::model::digest::Digest;
use crate::model::name::StepName;
use crate::model::plan::Key;

/// Why a task would be executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    /// It executes in any case: a start task, or one that was asked for.
    Forced,
    /// Results of its step are never used again.
    NeverReused,
    /// It failed last time, and no equal task succeeded.
    Failed,
    /// No equal task was executed yet.
    New,
    /// An equal task was, but `cache` says that its result is not to be used: too old, or of another
    /// runset.
    OutOfScope,
    /// An equal task was, but objects that it left are gone, or it left what the step does not promise.
    Lost,
}

/// What a run would do with the tasks of one step that are there to be done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DryRun {
    /// How many would be executed, by reason.
    pub run: Vec<(Reason, u64)>,
    /// How many would take the outputs of an equal task.
    pub reuse: u64,
    /// How many would take what somebody else has.
    pub shared: u64,
    /// How many would wait for an equal task of the same run, and then take its outputs.
    pub wait: u64,
    /// How many would fail because they go round for ever.
    pub refused: u64,
    /// How many would wait, as what they were made of may change yet.
    pub held: u64,
    /// How many would stay, as they are no part of what is to run.
    pub left_out: u64,
    /// How many would stay, as their step is not given all its secrets.
    pub lacking: u64,
    /// Whether it would gather what comes of others first.
    pub gathers: bool,
    /// How many that have ended would run again, as what they left was dropped and is needed.
    pub again: u64,
    /// How many of an older version of the step would be superseded for that reason, and done again by this one with
    /// all that follows.
    pub anew: u64,
    /// How many would stay, as what they work on was dropped and is not made again; the step that left it, where the
    /// manifest no longer has that.
    pub stay: Vec<(Option<StepName>, u64)>,
}

impl DryRun {
    /// That many tasks stay, as what they lack cannot be made again without the step `gone`.
    pub(super) fn stays(&mut self, gone: Option<StepName>, count: u64) {
        match self.stay.iter_mut().find(|(step, _)| *step == gone) {
            Some((_, known)) => *known += count,
            None => self.stay.push((gone, count)),
        }
    }
}

/// What a run would do in its runsets one after the other, as far as it matters to the next ones.
#[derive(Debug, Default)]
pub(crate) struct Earlier {
    /// Tasks that would be executed, or taken from somebody else.
    pub(super) seen: HashSet<Key>,
    /// What would be made again.
    pub(super) made: HashSet<Digest>,
}
