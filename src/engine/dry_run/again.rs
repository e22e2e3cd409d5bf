//! Tasks that have ended and would run again, for bytes that were dropped.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::super::Error;
use super::super::lost::Tops;
use super::super::makers::{Fate, Makers, again};
use crate::model::name::StepName;
use crate::model::plan::QueueId;
use crate::model::task::TaskId;

/// Why what a task lacks is not made again as it was.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::engine) enum Hindrance {
    /// The step that left it is not in the manifest any more; none if its name is not known.
    Gone(Option<StepName>),
    /// Who left it is superseded, with all that followed.
    Superseded,
}

/// What is known by now.
#[derive(Debug, Default)]
pub(in crate::engine) struct Again {
    /// Those that were asked for: each runs once, however many need what it left, if nothing hinders it.
    known: HashMap<TaskId, Option<Hindrance>>,
    /// Tasks that are superseded once all else is done.
    others: BTreeSet<TaskId>,
    /// Those among them whose results are lost.
    lost: HashSet<TaskId>,
    /// Whether something is lost that tasks of a step get besides their inputs.
    given: HashMap<QueueId, bool>,
}

impl Again {
    /// Calls `counts` with the step of each of `wanted`, and above them, that would run again and had no reason to before;
    /// gives what hinders them, if anything.
    pub(in crate::engine) fn count(
        &mut self,
        makers: &Makers,
        wanted: &BTreeSet<TaskId>,
        mut counts: impl FnMut(QueueId),
    ) -> Result<Option<Hindrance>, Error> {
        let mut able = self.look(makers, wanted)?;
        loop {
            let hindered = able
                .iter()
                .filter_map(|(maker, (_, above))| Some((*maker, self.hinders(above)?)));
            let hindered: Vec<_> = hindered.collect();
            if hindered.is_empty() {
                break;
            }
            for (maker, hindrance) in hindered {
                able.remove(&maker);
                self.known.insert(maker, Some(hindrance));
            }
        }
        for (maker, (queue, _)) in able {
            self.known.insert(maker, None);
            counts(queue);
        }
        Ok(self.hinders(wanted))
    }

    /// Those that nothing hinders themselves and that were not asked for before, each with those that it needs.
    fn look(
        &mut self,
        makers: &Makers,
        wanted: &BTreeSet<TaskId>,
    ) -> Result<BTreeMap<TaskId, (QueueId, BTreeSet<TaskId>)>, Error> {
        let mut able = BTreeMap::new();
        let mut next = wanted.clone();
        while let Some(maker) = next.pop_first() {
            if self.known.contains_key(&maker) || able.contains_key(&maker) {
                continue;
            }
            let Some(origin) = makers.state.origin(maker)? else {
                self.known.insert(maker, Some(Hindrance::Gone(None)));
                continue;
            };
            let hindrance = match makers.fate(maker, &origin)? {
                Fate::Again(step)
                    if origin.context.is_some() && self.is_context_lost(makers, step.queue)? =>
                {
                    Hindrance::Superseded
                }
                Fate::Again(step) => {
                    let above = makers.of(step.queue, &again(maker, origin))?;
                    next.extend(&above);
                    able.insert(maker, (step.queue, above));
                    continue;
                }
                Fate::Lost => {
                    let mut tops = BTreeSet::from([maker]);
                    Tops::new(makers.state, makers.store).of(maker, &mut tops)?;
                    self.lost.extend(&tops);
                    self.others.extend(tops);
                    Hindrance::Superseded
                }
                Fate::Other => {
                    self.others.insert(maker);
                    Hindrance::Superseded
                }
                Fate::Gone(step) => Hindrance::Gone(step),
            };
            self.known.insert(maker, Some(hindrance));
        }
        Ok(able)
    }

    /// Whether something of what tasks of the step get besides their inputs is lost.
    fn is_context_lost(&mut self, makers: &Makers, queue: QueueId) -> Result<bool, Error> {
        if let Some(lost) = self.given.get(&queue) {
            return Ok(*lost);
        }
        let mut tops = BTreeSet::new();
        for maker in makers.of_lost(queue)? {
            Tops::new(makers.state, makers.store).of(maker, &mut tops)?;
        }
        self.given.insert(queue, !tops.is_empty());
        self.lost.extend(&tops);
        self.others.extend(tops);
        Ok(self.given[&queue])
    }

    fn hinders(&self, tasks: &BTreeSet<TaskId>) -> Option<Hindrance> {
        let known = tasks.iter().filter_map(|task| self.known.get(task));
        known.filter_map(Option::as_ref).max().cloned()
    }

    /// Those that would run again.
    pub(super) fn able(&self) -> impl Iterator<Item = TaskId> {
        let able = self
            .known
            .iter()
            .filter(|(_, hindrance)| hindrance.is_none());
        able.map(|(task, _)| *task)
    }

    /// Those that are superseded; asked once.
    pub(super) fn take_others(&mut self) -> Vec<TaskId> {
        std::mem::take(&mut self.others).into_iter().collect()
    }

    /// Whether the task is superseded because results are lost.
    pub(super) fn is_lost(&self, task: TaskId) -> bool {
        self.lost.contains(&task)
    }
}
