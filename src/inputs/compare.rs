//! What came in, beside what came in before.

use super::Entry;
use crate::model::event::Compared;
use crate::model::name::StepName;
use crate::model::task::TaskId;
use crate::state::{Entries, Recorded};

/// How the entries differ from those that are recorded.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Entries of which no task is to be had: their places, ascending, and the tasks whose place they
    /// take.
    pub made: Vec<(usize, Option<TaskId>)>,
    /// Identities of what is gone, with the tasks.
    pub gone: Vec<(String, TaskId)>,
    /// What is as it was.
    unchanged: u64,
}

impl Difference {
    /// How many of each there are.
    pub(crate) fn counts(&self) -> Compared {
        let changed = self.made.iter().filter(|(_, old)| old.is_some()).count() as u64;
        Compared {
            new: self.made.len() as u64 - changed,
            changed,
            gone: self.gone.len() as u64,
            unchanged: self.unchanged,
        }
    }

    /// Whether all is as it was.
    pub(crate) fn is_none(&self) -> bool {
        self.made.is_empty() && self.gone.is_empty()
    }
}

/// Goes through both at once: entries, ascending by their identities, and what is recorded, in the
/// same order.
pub(super) struct Merge<'a> {
    entries: &'a [Entry],
    at: usize,
    difference: Difference,
}

impl<'a> Merge<'a> {
    pub(super) fn new(entries: &'a [Entry]) -> Self {
        Self {
            entries,
            at: 0,
            difference: Difference::default(),
        }
    }

    /// The next one that is recorded, and the step whose task it is, by its name.
    pub(super) fn recorded(&mut self, recorded: Recorded, step: Option<&StepName>) {
        while let Some(entry) = self.entries.get(self.at) {
            if *entry.identity >= *recorded.identity {
                break;
            }
            self.difference.made.push((self.at, None));
            self.at += 1;
        }
        match self.entries.get(self.at) {
            Some(entry) if *entry.identity == *recorded.identity => {
                let same = recorded.live
                    && recorded.object == entry.object
                    && recorded.form == entry.form();
                if same && step == Some(&entry.step) {
                    self.difference.unchanged += 1;
                } else {
                    let old = Some(recorded.task);
                    self.difference.made.push((self.at, old));
                }
                self.at += 1;
            }
            _ => self
                .difference
                .gone
                .push((recorded.identity, recorded.task)),
        }
    }

    pub(super) fn finish(mut self) -> Difference {
        let rest = self.at..self.entries.len();
        self.difference.made.extend(rest.map(|at| (at, None)));
        self.difference
    }
}

/// The difference as the state takes it.
pub(super) fn entries<'a>(
    difference: &'a Difference,
    entries: &'a [Entry],
    step: impl Fn(&StepName) -> Option<crate::state::StepId>,
) -> Entries<'a> {
    let gone = difference.gone.iter();
    Entries {
        gone: gone.map(|(identity, task)| (&**identity, *task)).collect(),
        made: difference
            .made
            .iter()
            .filter_map(|(at, old)| {
                let entry = &entries[*at];
                Some(crate::state::NewEntry {
                    identity: &entry.identity,
                    name: &entry.name,
                    key: entry.key.as_deref(),
                    object: entry.object,
                    form: entry.form(),
                    step: step(&entry.step)?,
                    replaces: *old,
                })
            })
            .collect(),
    }
}
