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
    /// What is recorded of one identity, with the steps: more than one where several take it.
    same: Vec<(Recorded, Option<StepName>)>,
    difference: Difference,
}

impl<'a> Merge<'a> {
    pub(super) fn new(entries: &'a [Entry]) -> Self {
        Self {
            entries,
            at: 0,
            same: Vec::new(),
            difference: Difference::default(),
        }
    }

    /// The next one that is recorded, and the step whose task it is, by its name.
    pub(super) fn recorded(&mut self, recorded: Recorded, step: Option<&StepName>) {
        let differs = |(first, _): &(Recorded, _)| first.identity != recorded.identity;
        if self.same.first().is_some_and(differs) {
            self.settle();
        }
        self.same.push((recorded, step.cloned()));
    }

    /// Compares what is recorded of one identity with the entries that have it: of each step with that of the
    /// same step; of those that are left, one with another, as it goes to another step now.
    fn settle(&mut self) {
        let mut same = std::mem::take(&mut self.same);
        let Some(identity) = same.first().map(|(first, _)| first.identity.clone()) else {
            return;
        };
        let before = |entry: &Entry| *entry.identity < *identity;
        let new = self.entries[self.at..]
            .iter()
            .take_while(|entry| before(entry));
        let first = self.at + new.count();
        self.difference
            .made
            .extend((self.at..first).map(|at| (at, None)));
        let equal = self.entries[first..].iter();
        let equal = equal.take_while(|entry| *entry.identity == *identity);
        self.at = first + equal.count();
        let begin = self.difference.made.len();
        let mut elsewhere = Vec::new();
        for at in first..self.at {
            let entry = &self.entries[at];
            let is_its =
                |(_, step): &(Recorded, Option<StepName>)| step.as_ref() == Some(&entry.step);
            let Some(place) = same.iter().position(is_its) else {
                elsewhere.push(at);
                continue;
            };
            let (recorded, _) = same.remove(place);
            let about = entry.key.as_deref().unwrap_or(&entry.name);
            let is_same = recorded.object == entry.object && recorded.form == entry.form();
            if recorded.live && is_same && *recorded.about == *about {
                self.difference.unchanged += 1;
            } else {
                self.difference.made.push((at, Some(recorded.task)));
            }
        }
        let mut left = same.drain(..);
        for at in elsewhere {
            let old = left.next().map(|(recorded, _)| recorded.task);
            self.difference.made.push((at, old));
        }
        let gone = left.map(|(recorded, _)| (recorded.identity, recorded.task));
        self.difference.gone.extend(gone);
        self.difference.made[begin..].sort_unstable_by_key(|(at, _)| *at);
        self.same = same;
    }

    pub(super) fn finish(mut self) -> Difference {
        self.settle();
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
