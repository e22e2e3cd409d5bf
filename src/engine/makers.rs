//! Who left the bytes that a task works on, and were dropped.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Error;
use super::step::StepPlan;
use crate::model::digest::Digest;
use crate::model::gather::Role;
use crate::model::list::Form;
use crate::model::plan::{QueueId, Ready};
use crate::model::task::TaskId;
use crate::state::{Origin, Place, Reader, Runset};
use crate::store;

/// Final outputs that are looked at in one go.
const STRETCH: usize = 4096;

/// Where to look.
#[derive(Debug, Clone, Copy)]
pub(super) struct Makers<'a> {
    pub state: &'a Reader,
    pub store: &'a store::Reader,
    pub steps: &'a [Arc<StepPlan>],
    pub runset: &'a Runset,
}

impl Makers<'_> {
    /// Whether bytes that were dropped are missing in that.
    pub(super) fn lacks(&self, digest: &Digest, form: Form) -> bool {
        self.store.lacks(digest, form).unwrap_or(false)
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
}
