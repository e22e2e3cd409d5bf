//! A run of a part: which of the tasks that could start do.
//!
//! What is left out stays to be done. It is compared, superseded and counted like all else, so that
//! nothing is gathered before it is there.

use std::collections::{HashMap, HashSet};

use super::{Error, Scheduler};
use crate::model::event::LeftOut;
use crate::model::plan::{QueueId, Ready};
use crate::model::task::TaskId;
use crate::state::{self, Buried, Reader};

/// Tasks of which it is kept whether they come from what is left out, in each of two generations.
const KEPT: usize = if cfg!(test) { 4 } else { 65_536 };

/// What a run leaves out.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selection {
    /// The steps of which no task starts, by their places.
    pub steps: Vec<QueueId>,
    /// The tasks of entries, and of each whether what comes from it may start; none if all may.
    pub entries: Option<HashMap<TaskId, bool>>,
    /// The options that say so, for messages.
    pub options: Vec<&'static str>,
}

/// What is known of the tasks of a run of a part.
#[derive(Debug)]
pub(super) struct Part {
    selection: Selection,
    young: HashMap<TaskId, bool>,
    old: HashMap<TaskId, bool>,
    /// Tasks that were to start, and do not, for what they come from.
    passed_over: HashSet<TaskId>,
}

impl Part {
    pub(super) fn new(selection: Selection) -> Self {
        Self {
            selection,
            young: HashMap::new(),
            old: HashMap::new(),
            passed_over: HashSet::new(),
        }
    }

    /// Whether no task of that step starts.
    pub(super) fn is_without(&self, queue: QueueId) -> bool {
        self.selection.steps.contains(&queue)
    }

    /// Whether the task does not start, as it comes from an entry that is left out.
    pub(super) fn passes_over(
        &mut self,
        state: &Reader,
        ready: &Ready,
    ) -> Result<bool, state::Error> {
        if self.selection.entries.is_none() {
            return Ok(false);
        }
        let over = match ready.parent {
            Some(parent) => self.is_from_elsewhere(state, parent)?,
            None => self.is_root_elsewhere(state, ready.id)?,
        };
        if over {
            self.passed_over.insert(ready.id);
        }
        Ok(over)
    }

    /// These are not to be done any more, and others are in the place of some.
    pub(super) fn bury(&mut self, Buried { unfinished, made }: &Buried) {
        for task in unfinished {
            self.passed_over.remove(task);
        }
        if let Some(entries) = &mut self.selection.entries {
            for one in made {
                if let Some(starts) = entries.get(&one.old).copied() {
                    entries.insert(one.task, starts);
                }
            }
        }
    }

    /// Whether the task comes from an entry that is left out.
    fn is_from_elsewhere(&mut self, state: &Reader, task: TaskId) -> Result<bool, state::Error> {
        let mut missing = Vec::new();
        let mut at = task;
        let elsewhere = loop {
            if let Some(known) = self.young.get(&at).or_else(|| self.old.get(&at)) {
                break *known;
            }
            missing.push(at);
            match state.origin(at)?.and_then(|origin| origin.parent) {
                Some(parent) => at = parent,
                None => break self.is_root_elsewhere(state, at)?,
            }
        };
        for task in missing {
            self.keep(task, elsewhere);
        }
        Ok(elsewhere)
    }

    /// The same of a task that no task left.
    fn is_root_elsewhere(&mut self, state: &Reader, root: TaskId) -> Result<bool, state::Error> {
        let Some(entries) = &self.selection.entries else {
            return Ok(false);
        };
        if let Some(starts) = entries.get(&root) {
            return Ok(!starts);
        }
        if let Some(known) = self.young.get(&root).or_else(|| self.old.get(&root)) {
            return Ok(*known);
        }
        // A start task, which comes from no entry, or one that works on what was gathered.
        let mut roots = state.roots(root)?.into_iter();
        let elsewhere = roots.any(|root| entries.get(&root) == Some(&false));
        self.keep(root, elsewhere);
        Ok(elsewhere)
    }

    fn keep(&mut self, task: TaskId, elsewhere: bool) {
        if self.young.len() >= KEPT {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(task, elsewhere);
    }
}

impl Scheduler<'_> {
    /// Lets only a part start; before the first turn.
    pub(crate) fn select(&mut self, selection: Selection) {
        for queue in &selection.steps {
            self.plan.close(*queue);
        }
        self.part = Some(Box::new(Part::new(selection)));
    }

    /// Whether the task stays to be done, as it is no part of what is to run.
    pub(super) fn passes_over(&mut self, queue: QueueId, ready: &Ready) -> Result<bool, Error> {
        match &mut self.part {
            Some(part) if part.is_without(queue) => Ok(true),
            Some(part) => Ok(part.passes_over(self.state, ready)?),
            None => Ok(false),
        }
    }

    /// Whether no task of the step is a part of what is to run.
    pub(super) fn is_left_out(&self, queue: QueueId) -> bool {
        self.part
            .as_ref()
            .is_some_and(|part| part.is_without(queue))
    }

    /// What is to be done and was no part of the run; none of a run of all.
    pub(super) fn left_out(&mut self) -> Result<Option<LeftOut>, Error> {
        let Some(part) = &self.part else {
            return Ok(None);
        };
        let tallies = self.state.tallies(self.runset.id)?;
        let steps = part.selection.steps.iter();
        let closed: i64 = steps
            .filter_map(|queue| tallies.get(&self.steps[*queue].id))
            .map(|tally| tally.pending + tally.failed)
            .sum();
        Ok(Some(LeftOut {
            tasks: u64::try_from(closed).unwrap_or(0) + part.passed_over.len() as u64,
            options: part.selection.options.clone(),
        }))
    }
}
