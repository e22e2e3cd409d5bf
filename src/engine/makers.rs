//! Who left the bytes that a task works on, and were dropped; and whether all else that it works on is there.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use super::gather::list_of;
use super::lost::Tops;
use super::step::StepPlan;
use super::{Error, Scheduler};
use crate::model::digest::Digest;
use crate::model::gather::{Line, Role};
use crate::model::list::Form;
use crate::model::name::StepName;
use crate::model::plan::{QueueId, Ready};
use crate::model::task::{TaskId, TaskState};
use crate::state::{Origin, Place, Reader, Runset};
use crate::store::{self, Condition};

/// Final outputs that are looked at in one go.
const STRETCH: usize = 4096;

/// What becomes of a task whose bytes are needed.
#[derive(Debug)]
pub(super) enum Fate {
    /// It runs again, as one of that step, which would do just the same now.
    Again(Arc<StepPlan>),
    /// What it worked on was not dropped, but is lost: that is made again another way.
    Lost,
    /// Its step has another version by now.
    Other,
    /// There is no such step any more.
    Gone(Option<StepName>),
}

/// Where to look.
#[derive(Debug, Clone, Copy)]
pub(super) struct Makers<'a> {
    pub state: &'a Reader,
    pub store: &'a store::Reader,
    pub steps: &'a [Arc<StepPlan>],
    pub runset: &'a Runset,
    /// What an earlier runset's part of the same dry run would make again.
    pub made: Option<&'a HashSet<Digest>>,
}

impl Makers<'_> {
    /// Whether bytes that were dropped are missing in that.
    pub(super) fn lacks(&self, digest: &Digest, form: Form) -> bool {
        let lacks = match self.made {
            Some(made) => self.store.lacks_without(digest, form, made),
            None => self.store.lacks(digest, form),
        };
        lacks.unwrap_or(false)
    }

    /// The same; also of a list that a dry run makes and nobody stores, where each thing in it has to be looked at.
    fn may_lack(&self, digest: &Digest, form: Form) -> bool {
        let is_unknown = || form == Form::List && self.store.is_any_evicted();
        self.lacks(digest, form) || is_unknown() && !self.store.contains(digest)
    }

    /// Those who left what the task lacks.
    pub(super) fn of(&self, queue: QueueId, ready: &Ready) -> Result<BTreeSet<TaskId>, Error> {
        let mut makers = BTreeSet::new();
        if self.may_lack(&ready.input, ready.form) {
            let origin = self.state.origin(ready.id)?;
            match origin {
                Some(origin) if origin.role == Role::Gather => {
                    self.state.each_gathered(ready.id, |member, form, maker| {
                        if self.lacks(&member, form) {
                            makers.extend(maker);
                        }
                    })?;
                }
                Some(origin) => makers.extend(self.maker_of(&origin)?),
                None => {}
            }
        }
        if let Some(context) = ready.context.as_deref()
            && self.may_lack(context, Form::List)
        {
            for step in &self.steps[queue].with {
                for output in self.state.outputs_of(self.runset, step)? {
                    if self.lacks(&output.object, output.form) {
                        makers.insert(output.parent);
                    }
                }
            }
        }
        Ok(makers)
    }

    /// Those who left what tasks of the step get besides their inputs, where it is lost: it was not dropped.
    pub(super) fn of_lost(&self, queue: QueueId) -> Result<BTreeSet<TaskId>, Error> {
        let mut makers = BTreeSet::new();
        for step in &self.steps[queue].with {
            for output in self.state.outputs_of(self.runset, step)? {
                if !self.store.is_there_as(&output.object, output.form) {
                    makers.insert(output.parent);
                }
            }
        }
        Ok(makers)
    }

    /// Those who left final outputs without bytes, which an earlier run took over and did not make again.
    pub(super) fn of_finals(&self) -> Result<BTreeSet<TaskId>, Error> {
        let (mut makers, mut place) = (BTreeSet::new(), Place::default());
        if !self.store.is_any_evicted() {
            return Ok(makers);
        }
        loop {
            let (_, next) = self
                .state
                .finals_behind(self.runset, &place, STRETCH, |found| {
                    if self.lacks(&found.object, found.form) {
                        makers.extend(found.maker);
                    }
                })?;
            match next {
                Some(next) => place = next,
                None => return Ok(makers),
            }
        }
    }

    /// Who left the input: of a pair that of the row that stands for all pairs.
    fn maker_of(&self, origin: &Origin) -> Result<Option<TaskId>, Error> {
        let Some(parent) = origin.parent else {
            return Ok(None);
        };
        if origin.role == Role::Reader
            && let Some(own) = self.state.origin(parent)?
            && own.role == Role::Member
            && own.input == origin.input
        {
            return Ok(own.parent);
        }
        Ok(Some(parent))
    }

    /// The step that did the task, if it would do just the same now.
    pub(super) fn step(&self, origin: &Origin) -> Option<&Arc<StepPlan>> {
        let version = origin.step?;
        self.steps.iter().find(|step| step.equal.contains(&version))
    }

    /// What becomes of a task whose bytes are needed, but for what it got besides its input.
    pub(super) fn fate(&self, task: TaskId, origin: &Origin) -> Result<Fate, Error> {
        let Some(step) = self.step(origin) else {
            let mut names = self.state.names_of_versions()?;
            let name = origin.step.and_then(|step| names.remove(&step));
            let is_here = |name: &StepName| self.steps.iter().any(|step| step.name == *name);
            return Ok(match name {
                Some(name) if is_here(&name) => Fate::Other,
                name => Fate::Gone(name),
            });
        };
        Ok(if self.is_input_there(task, origin)? {
            Fate::Again(Arc::clone(step))
        } else {
            Fate::Lost
        })
    }

    /// Whether all that the task worked on is there, or was dropped. A list that is not can be written again, if it
    /// is what is recorded.
    fn is_input_there(&self, task: TaskId, origin: &Origin) -> Result<bool, Error> {
        if origin.role != Role::Gather {
            let is_empty = origin.input == Digest::EMPTY;
            return Ok(is_empty || self.store.is_there_as(&origin.input, origin.form));
        }
        if self.store.condition(&origin.input, None) == Condition::Broken {
            let group = self.state.group_of_task(task)?;
            let list = group.map(|group| list_of(self.state, None, group));
            if list
                .transpose()?
                .is_none_or(|(list, _)| list != origin.input)
            {
                return Ok(false);
            }
        }
        let mut all = true;
        self.state.each_gathered(task, |member, form, _| {
            all = all && self.store.is_there_as(&member, form);
        })?;
        Ok(all)
    }
}

impl Scheduler<'_> {
    /// Whether all that the task worked on is there, or was dropped. A list is written again if it is not: it follows
    /// from what is recorded.
    pub(super) fn is_input_there(&mut self, task: TaskId, origin: &Origin) -> Result<bool, Error> {
        if origin.role == Role::Gather
            && self.store.condition(&origin.input, None) == Condition::Broken
            && let Some(group) = self.state.group_of_task(task)?
        {
            self.list_of(group)?;
        }
        self.makers().is_input_there(task, origin)
    }

    /// Whether something of what tasks of the step get besides their inputs is lost: it is made again, and they are
    /// done again with it.
    pub(super) fn is_context_lost(&mut self, queue: QueueId) -> Result<bool, Error> {
        if !self.remakes.lost.contains_key(&queue) {
            let mut tops = BTreeSet::new();
            for maker in self.makers().of_lost(queue)? {
                Tops::new(self.state, self.store).of(maker, &mut tops)?;
            }
            self.remakes.others.extend(&tops);
            self.remakes.lost.insert(queue, tops);
        }
        Ok(!self.remakes.lost[&queue].is_empty())
    }
}

/// The task as it would run again, but for its key.
pub(super) fn again(task: TaskId, origin: Origin) -> Ready {
    Ready {
        id: task,
        input: origin.input,
        form: origin.form,
        parent: origin.parent,
        name: origin.name.map(Into::into),
        state: TaskState::Done,
        forced: true,
        attempt: 0,
        line: Line::default(),
        key: None,
        context: origin.context.map(Box::new),
        raised: 0,
    }
}
