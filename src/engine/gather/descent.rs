//! What a task descends from, where a step gathers all that descends from a task of another one.

use std::sync::Arc;

use super::lines::Lines;
use crate::engine::step::StepPlan;
use crate::model::barrier::Expected;
use crate::model::gather::BarrierId;
use crate::model::gather::{Gather, KindId, Line, Role};
use crate::model::list::Form;
use crate::model::plan::{QueueId, Ready};
use crate::model::scope::{Belongs, Incomplete, Place};
use crate::model::task::TaskId;
use crate::state::{self, Reader};

impl Lines {
    /// Where a task of that step counts which is a child of `parent`, or works on what descends from
    /// it; nowhere, if nothing above it is waited for.
    pub(in crate::engine) fn place(
        &mut self,
        state: &Reader,
        parent: Option<TaskId>,
        queue: QueueId,
    ) -> Result<Option<Place>, state::Error> {
        let Some(parent) = parent.filter(|_| !self.scopes.is_empty()) else {
            return Ok(None);
        };
        let node = self.node(state, parent)?;
        let behind = self.scopes.kind_of(queue);
        Ok(match behind {
            Some(_) => Some(Place {
                node: parent,
                behind,
            }),
            None => node.map(|node| Place { node, behind }),
        })
    }

    /// The task below which children of this one count.
    fn node(&mut self, state: &Reader, task: TaskId) -> Result<Option<TaskId>, state::Error> {
        let mut way = Vec::new();
        let mut node = None;
        let mut next = Some(task);
        while let Some(at) = next {
            if self.scopes.has(at) {
                node = Some(at);
                break;
            }
            if let Some(known) = self.known.get(at)
                && known.is_none_or(|node| self.scopes.has(node))
            {
                node = *known;
                break;
            }
            let Some(origin) = state.origin(at)? else {
                break;
            };
            next = origin.parent;
            way.push((at, origin));
        }
        for (at, origin) in way.into_iter().rev() {
            let queue = origin.step.and_then(|step| self.queue_of(step));
            if let Some(queue) = queue {
                let gathers = origin.role == Role::Gather;
                let behind = self.scopes.kind_of(queue).filter(|_| gathers);
                let above = match (behind, origin.parent) {
                    (Some(_), Some(parent)) => Some(Place {
                        node: parent,
                        behind,
                    }),
                    (Some(_), None) => None,
                    (None, _) => node.map(|node| Place { node, behind }),
                };
                // What stands for pairs owns nothing.
                let owns = origin.role != Role::Member && self.scopes.is_owner(queue);
                if owns || behind.is_some() {
                    self.scopes.open(at, queue, above, false);
                    node = Some(at);
                }
            }
            self.known.keep(at, node);
        }
        Ok(node)
    }

    /// Where children count of a task that is about to be recorded.
    pub(in crate::engine) fn place_below(
        &mut self,
        state: &Reader,
        queue: QueueId,
        maker: &Ready,
    ) -> Result<Option<Place>, state::Error> {
        let place = self.place(state, maker.parent, queue)?;
        if !self.scopes.is_owner(queue) && self.scopes.kind_of(queue).is_none() {
            return Ok(place);
        }
        self.scopes.open(maker.id, queue, place, true);
        Ok(Some(Place {
            node: maker.id,
            behind: None,
        }))
    }

    /// The steps that let nothing through.
    pub(super) fn shut_ones(&self) -> impl Iterator<Item = QueueId> {
        let kinds = self.scopes.kinds().iter();
        let kinds = kinds.filter(|kind| kind.shut).map(|kind| kind.queue);
        self.barriers.shut_ones().chain(kinds)
    }

    /// Whether what waits may be free by now, since this was asked.
    pub(super) fn take_opened(&mut self) -> bool {
        let barriers = self.barriers.take_opened();
        self.scopes.take_opened() || barriers
    }

    /// The task whose group something belongs to that `maker` leaves for `to`, if that gathers so.
    pub(in crate::engine) fn owner(
        &mut self,
        state: &Reader,
        queue: QueueId,
        maker: &Ready,
        to: QueueId,
    ) -> Result<Option<TaskId>, state::Error> {
        let Some(kind) = self.scopes.kind_of(to) else {
            return Ok(None);
        };
        match self.home(state, queue, maker, kind)? {
            Belongs::To(owner) => Ok(Some(owner)),
            Belongs::Nowhere | Belongs::Behind(_) => Ok(None),
        }
    }

    /// To whose group of that kind something belongs that the task leaves.
    pub(in crate::engine) fn home(
        &mut self,
        state: &Reader,
        queue: QueueId,
        maker: &Ready,
        kind: KindId,
    ) -> Result<Belongs, state::Error> {
        if self.scopes.kinds()[kind].owner == queue {
            return Ok(Belongs::To(maker.id));
        }
        let place = self.place(state, maker.parent, queue)?;
        Ok(self.scopes.belongs(place, kind))
    }

    /// The same of what a task has left.
    pub(super) fn home_of(
        &mut self,
        state: &Reader,
        maker: TaskId,
        kind: KindId,
    ) -> Result<Belongs, state::Error> {
        let node = self.node(state, maker)?;
        let place = node.map(|node| Place { node, behind: None });
        Ok(self.scopes.belongs(place, kind))
    }

    /// One more task of `queue` is to be done, a child of `maker`, which is one of `from`.
    pub(in crate::engine) fn created_by(
        &mut self,
        state: &Reader,
        (from, maker): (QueueId, &Ready),
        queue: QueueId,
    ) -> Result<(), state::Error> {
        let line = self.barriers.along(maker.line, queue);
        self.barriers.created(queue, line, 1);
        if !self.barriers.is_empty() {
            self.keep(maker.id, maker.line);
        }
        if !self.scopes.is_empty() {
            let place = self.place_below(state, from, maker)?;
            self.scopes.created(place, self.counted(queue, line), 1);
        }
        Ok(())
    }

    /// A task is not to be done itself, but so many pairs in its place; it owns no group then, each of these may.
    pub(in crate::engine) fn paired(
        &mut self,
        state: &Reader,
        queue: QueueId,
        task: &Ready,
        pairs: u64,
    ) -> Result<(), state::Error> {
        let line = self.barriers.along(task.line, queue);
        self.barriers.created(queue, line, pairs);
        self.keep(task.id, task.line);
        self.barriers.ended(queue, task.line);
        let place = self.place(state, task.parent, queue)?;
        self.scopes.created(place, self.counted(queue, line), pairs);
        self.scopes.ended(place, self.counted(queue, task.line));
        Ok(())
    }

    /// A task that works on a group is to be done.
    pub(in crate::engine) fn created_for(
        &mut self,
        state: &Reader,
        queue: QueueId,
        (task, owner): (TaskId, Option<TaskId>),
    ) -> Result<Line, state::Error> {
        let line = match owner {
            Some(_) => self.through(state, task)?,
            None => self.barriers.along(Line::default(), queue),
        };
        self.barriers.created(queue, line, 1);
        let place = self.place(state, owner, queue)?;
        self.scopes.created(place, self.counted(queue, line), 1);
        Ok(line)
    }

    /// What stands above a task that is about to start.
    pub(in crate::engine) fn above_of(
        &mut self,
        state: &Reader,
        step: &StepPlan,
        ready: &Ready,
    ) -> Result<Line, state::Error> {
        let gathers = matches!(step.gather, Some(Gather::Below(_))) && ready.form == Form::List;
        match ready.parent {
            Some(_) if gathers => self.through(state, ready.id),
            Some(parent) => self.below(state, parent, step.queue),
            None => Ok(self.barriers.along(Line::default(), step.queue)),
        }
    }

    /// All that a task left is recorded.
    pub(in crate::engine) fn ended(
        &mut self,
        state: &Reader,
        queue: QueueId,
        ready: &Ready,
    ) -> Result<(), state::Error> {
        self.barriers.ended(queue, ready.line);
        if !self.scopes.is_empty() {
            let place = self.place(state, ready.parent, queue)?;
            if self.scopes.is_owner(queue) {
                self.scopes.open(ready.id, queue, place, true);
            }
            self.scopes.recorded(ready.id);
            self.scopes.ended(place, self.counted(queue, ready.line));
            self.scopes.let_go(place);
        }
        Ok(())
    }

    /// A task failed for the last time in this run.
    pub(in crate::engine) fn failed(
        &mut self,
        state: &Reader,
        queue: QueueId,
        ready: &Ready,
    ) -> Result<(), state::Error> {
        self.barriers.failed(queue, ready.line, 1);
        let place = self.place(state, ready.parent, queue)?;
        self.scopes
            .failed(place, self.counted(queue, ready.line), 1);
        Ok(())
    }

    /// Whether a task of that step must wait, as what it comes from may change yet.
    pub(in crate::engine) fn is_held(
        &mut self,
        state: &Reader,
        queue: QueueId,
        ready: &Ready,
    ) -> Result<bool, state::Error> {
        if self.barriers.is_held(ready.line) {
            return Ok(true);
        }
        let place = self.place(state, ready.parent, queue)?;
        Ok(self.scopes.is_held(place))
    }

    /// Has barriers wait for the groups that are not complete by now, and for no others.
    pub(in crate::engine) fn settle(&mut self, state: &Reader) -> Result<(), state::Error> {
        for owner in self.scopes.take_changed() {
            for kind in 0..self.scopes.kinds().len() {
                self.settle_one(state, owner, kind)?;
            }
        }
        Ok(())
    }

    fn settle_one(
        &mut self,
        state: &Reader,
        owner: TaskId,
        kind: KindId,
    ) -> Result<(), state::Error> {
        let queue = self.scopes.kinds()[kind].queue;
        if !self.barriers.are_fed_by(queue) {
            return Ok(());
        }
        let known = self.expected.remove(&(owner, kind));
        let stands = self.scopes.incomplete_one(owner, kind);
        let is = match (stands, &known) {
            (None, _) => None,
            (Some(Incomplete { failed, held_at }), known) => Some(Expected {
                queue,
                line: match known {
                    Some(known) => known.line,
                    None => self.below(state, owner, queue)?,
                },
                failed,
                held_at,
            }),
        };
        if is != known {
            is.iter().for_each(|is| self.barriers.expects(is));
            known.iter().for_each(|was| self.barriers.settled(was));
        }
        if let Some(is) = is {
            self.expected.insert((owner, kind), is);
        }
        Ok(())
    }

    /// Nothing goes on: the barrier that no longer waits for what may wait for it, if there is one.
    pub(in crate::engine) fn give_way(&mut self) -> Option<BarrierId> {
        let scopes = &self.scopes;
        self.barriers.give_way(|barrier| scopes.waits_at(barrier))
    }

    /// Has the groups looked at which have what they gather and no task, if nothing is left to be done
    /// below their owners.
    pub(in crate::engine) fn look_at_groups(
        &mut self,
        state: &Reader,
        steps: &[Arc<StepPlan>],
        runset: &state::Runset,
    ) -> Result<(), state::Error> {
        for kind in self.scopes.kinds().to_vec() {
            let step = &steps[kind.queue];
            let mut owners = state.owners_of_open_groups(runset, &step.name)?;
            if step.empty {
                owners.extend(state.without_group(runset, &steps[kind.owner].name, &step.name)?);
            }
            for owner in owners {
                self.node(state, owner)?;
                self.scopes.recorded(owner);
            }
        }
        Ok(())
    }
}
