//! Tasks that start before the hash of their input is known.
//!
//! While a large output is hashed, the task that it is the input of may read it already
//! ([`crate::store::Loan`]), if nothing else is there to do. Such a task gets the number of the row
//! that it will have, and what comes of it is recorded right behind the task that made its input:
//! should that one not come to be recorded, neither is this one. As nobody can tell yet whether an
//! equal task was executed before, one starts only where none can be equal: no other task of its
//! step runs or waits, and no finished one had an input of that size.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use super::step::{Memo, Runnable};
use super::worker::{Ended, Job, Outcome};
use super::{Engine, Error, record};
use crate::core::digest::Digest;
use crate::core::event::Event;
use crate::core::plan::{LaneId, Ready};
use crate::core::task::{State as TaskState, TaskId};
use crate::store::Loan;

/// Most of them at once: each keeps a file that is not an object yet.
const MOST: usize = 8;
/// Finished tasks of a step whose inputs' sizes are looked at; with more, none starts early.
const COMPARED: usize = 64;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Early {
    /// Those that may start.
    offered: VecDeque<Box<Job>>,
    /// Those whose input is not known, by their row to be.
    open: HashMap<TaskId, Open>,
    /// Started ones whose input is known by now.
    known: HashMap<TaskId, Digest>,
    /// Tasks that have given up their place to the next one before they are recorded.
    settling: HashSet<TaskId>,
}

#[derive(Debug)]
struct Open {
    /// The task that made the input, and under which name.
    parent: TaskId,
    name: Box<str>,
    lane: LaneId,
    started: bool,
    /// Whether the parent failed after all.
    lost: bool,
    /// How it went, if it is over.
    ended: Option<Ended>,
}

impl Early {
    /// The next one that may start.
    fn pop(&mut self) -> Option<Box<Job>> {
        let job = self.offered.pop_front()?;
        if let Some(open) = self.open.get_mut(&job.ready.id) {
            open.started = true;
        }
        Some(job)
    }

    pub fn is_empty(&self) -> bool {
        self.offered.is_empty()
    }

    /// Whether the task has given up its place; it is forgotten.
    pub fn has_settled(&mut self, task: TaskId) -> bool {
        self.settling.remove(&task)
    }

    /// The task that has started on this output of `parent`.
    pub fn started(&self, parent: TaskId, name: &str) -> Option<TaskId> {
        let reads = |open: &Open| open.started && open.parent == parent && *open.name == *name;
        let found = self.open.iter().find(|(_, open)| reads(open));
        found.map(|(id, _)| *id)
    }

    fn of_parent(&self, parent: TaskId) -> Vec<TaskId> {
        let own = self.open.iter().filter(|(_, open)| open.parent == parent);
        own.map(|(id, _)| *id).collect()
    }
}

impl Engine<'_> {
    /// A task's script has ended with success, and one of its outputs is about to be hashed.
    /// Whether another task may read it meanwhile.
    pub(super) fn offer(
        &mut self,
        (parent, lane): (TaskId, LaneId),
        name: &str,
        loan: &Arc<Loan>,
    ) -> Result<bool, Error> {
        // What an early task writes could not be told at the right time.
        let busy = self.stopping || self.settings.live || self.plan.has_ready();
        if busy || self.early.open.len() >= MOST {
            return Ok(false);
        }
        let Some(to) = self.route(name) else {
            return Ok(false);
        };
        let step = Arc::clone(&self.steps[to]);
        if !self.plan.expects(to)
            || self.may_be_equal(&step, loan.size())?
            || self.is_last_round(&step, parent)?
        {
            return Ok(false);
        }
        let id = self.state.reserve()?;
        self.plan.close(to, id);
        let open = Open {
            parent,
            name: name.into(),
            lane: to,
            started: false,
            lost: false,
            ended: None,
        };
        self.early.open.insert(id, open);
        self.early.offered.push_back(Box::new(Job {
            step,
            ready: ready(id, parent, name),
            key: None,
            runset: Arc::clone(&self.runset_name),
            more: false,
            ahead: None,
            loan: Some(Arc::clone(loan)),
        }));
        self.give_up_place(parent, lane);
        Ok(true)
    }

    fn give_up_place(&mut self, task: TaskId, lane: LaneId) {
        if self.early.settling.insert(task) {
            self.plan.script_ended(lane);
        }
    }

    /// Whether a finished task of the step, which could stand for a new one, had an input of so many
    /// bytes.
    fn may_be_equal(&self, step: &Runnable, size: u64) -> Result<bool, Error> {
        if step.memo == Memo::Never {
            return Ok(false);
        }
        let inputs = self.state.finished_inputs(&step.equal, COMPARED)?;
        Ok(inputs.len() >= COMPARED
            || inputs
                .iter()
                .any(|input| self.store.size(input).is_none_or(|other| other == size)))
    }

    /// Whether no further task of the step may follow below `parent`.
    fn is_last_round(&mut self, step: &Runnable, parent: TaskId) -> Result<bool, Error> {
        // Of those whose input is not known there are no rows yet.
        let (mut above, mut more) = (parent, 0);
        while let Some(open) = self.early.open.get(&above) {
            more += usize::from(open.lane == step.lane);
            above = open.parent;
        }
        Ok(self
            .rings
            .is_full(self.state, self.steps, step, above, more)?)
    }

    /// The next task that starts early, if one may.
    pub(super) fn next_early(&mut self) -> Option<Box<Job>> {
        if self.stopping || !self.plan.has_room() {
            return None;
        }
        let job = self.early.pop()?;
        self.plan.start(job.step.lane, None);
        Some(job)
    }

    /// Keeps the end of a task whose input is not known yet; gives back what can be recorded.
    pub(super) fn hold(&mut self, mut ended: Ended) -> Result<Option<Ended>, Error> {
        let (id, lane) = (ended.job.ready.id, ended.job.step.lane);
        let Some(open) = self.early.open.get_mut(&id) else {
            if let Some(input) = self.early.known.remove(&id) {
                ended.job.ready.input = input;
                ended.job.key = record::key(&ended.job.step, &ended.job.ready);
            }
            return Ok(Some(ended));
        };
        if open.lost {
            self.give_up_place(id, lane);
            self.forget(id)?;
        } else {
            open.ended = Some(ended);
            self.give_up_place(id, lane);
        }
        Ok(None)
    }

    /// The task `parent` is recorded, and so are the rows of those in `rows`, with their inputs.
    pub(super) fn known(&mut self, parent: TaskId, rows: &[(TaskId, Digest)]) -> Result<(), Error> {
        for (id, input) in rows {
            let Some(open) = self.early.open.remove(id) else {
                continue;
            };
            self.early.known.insert(*id, *input);
            let step = Arc::clone(&self.steps[open.lane]);
            let mut ready = ready(*id, open.parent, &open.name);
            ready.input = *input;
            self.plan.reopen(open.lane, record::key(&step, &ready));
            (self.listener)(&Event::Started {
                task: *id,
                step: &step.name,
                version: step.version,
                input_name: Some(&open.name),
                input: *input,
                attempt: 0,
            });
            if let Some(ended) = open.ended {
                self.ended(ended)?;
            }
        }
        self.withdraw(parent)
    }

    /// Nothing that reads an output of `parent` early is to start any more, and what has started
    /// will not be recorded.
    pub(super) fn withdraw(&mut self, parent: TaskId) -> Result<(), Error> {
        for id in self.early.of_parent(parent) {
            self.early.offered.retain(|job| job.ready.id != id);
            let Some(open) = self.early.open.get_mut(&id) else {
                continue;
            };
            open.lost = true;
            if !open.started {
                let lane = open.lane;
                self.early.open.remove(&id);
                self.plan.reopen(lane, None);
            } else if open.ended.is_some() {
                self.forget(id)?;
            }
        }
        Ok(())
    }

    /// A task is over that will not be recorded.
    fn forget(&mut self, id: TaskId) -> Result<(), Error> {
        if let Some(open) = self.early.open.remove(&id) {
            self.early.settling.remove(&id);
            self.plan.settled(open.lane, None);
            self.plan.reopen(open.lane, None);
        }
        self.withdraw(id)
    }

    /// Whether a task that was given up only lost its chance to start early, or met a shortage,
    /// and waits again.
    pub(super) fn comes_again(&mut self, ended: &Ended, short: bool) -> bool {
        let again = matches!(ended.outcome, Outcome::Cancelled)
            && (short || ended.job.loan.is_some())
            && !self.stopping;
        if again {
            self.plan.back(ended.job.step.lane, ended.job.ready.clone());
        }
        again
    }
}

/// A task that is new, and whose input is not known.
fn ready(id: TaskId, parent: TaskId, name: &str) -> Ready {
    Ready {
        id,
        input: Digest::EMPTY,
        parent: Some(parent),
        name: Some(name.into()),
        state: TaskState::Pending,
        forced: false,
        attempt: 0,
    }
}
