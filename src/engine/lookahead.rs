//! What the end of the only running task will give to do.

use std::sync::Arc;

use super::job::{Grant, Job};
use super::step::{ReuseRule, StepPlan};
use super::{Error, Scheduler};
use crate::model::digest::Digest;
use crate::model::gather::Line;
use crate::model::list::Form;
use crate::model::plan::Ready;
use crate::model::task::{TaskId, TaskState};

/// Finished tasks of a step whose inputs' sizes are looked at; with more, nothing is foreseen.
const COMPARED: usize = 64;

impl Scheduler<'_> {
    /// The job that the success of `parent` will give out, if its outputs have these names, of which
    /// that at `index`, with so many bytes, is some task's input, and if nothing else can come first.
    /// All but the input's hash, which nobody knows yet.
    ///
    /// This is a question: nothing is changed, and that job is given out when `parent` has ended, or
    /// something else is.
    pub(crate) fn look_ahead(
        &mut self,
        parent: TaskId,
        names: &[Box<str>],
        index: usize,
        size: u64,
    ) -> Result<Option<Box<Job>>, Error> {
        let alone = self.in_hand.contains_key(&parent) && self.plan.is_quiet_but_for_one();
        if self.stopping || !alone || self.remakes.is(parent) {
            return Ok(None);
        }
        // What is taken by others besides, or given to them, has rows between those of the outputs.
        let maker = self.in_hand.get(&parent).map(|parent| parent.step.queue);
        if maker.is_some_and(|maker| self.readers.is_read(maker) || self.is_given(maker)) {
            return Ok(None);
        }
        let name = &names[index];
        let mut routed = names.iter().filter(|name| self.route(name).is_some());
        if routed.next() != Some(name) || routed.next().is_some() {
            return Ok(None);
        }
        let Some(queue) = self.route(name) else {
            return Ok(None);
        };
        let step = Arc::clone(&self.steps[queue]);
        if step.gather.is_some()
            || !step.with.is_empty()
            || step.reads_key
            || step.checkpoint.is_kept()
            || !step.lacks.is_empty()
            || !step.resources.is_nothing()
            || self.settings.place(&step).is_some()
            || self.plan.is_closed(queue)
            || self.asks_for(&step)
            || self.may_be_equal(&step, size)?
            || self.rings.is_full(self.state, self.steps, &step, parent)?
        {
            return Ok(None);
        }
        Ok(Some(Box::new(Job {
            step,
            ready: Arc::new(Ready {
                // Each output gets a row, in their order.
                id: TaskId(self.state.next_task()?.0 + i64::try_from(index).unwrap_or(i64::MAX)),
                input: Digest::EMPTY,
                form: Form::File,
                parent: Some(parent),
                name: Some(name.clone()),
                state: TaskState::Pending,
                forced: false,
                attempt: 0,
                line: Line::default(),
                key: None,
                context: None,
                raised: 0,
            }),
            runset: Arc::clone(&self.runset_name),
            more: false,
            ahead: None,
            grant: Grant::default(),
        })))
    }

    /// Whether a finished task of the step, which could stand for a new one, had an input of so many
    /// bytes.
    fn may_be_equal(&self, step: &StepPlan, size: u64) -> Result<bool, Error> {
        if step.reuse_rule == ReuseRule::Never {
            return Ok(false);
        }
        let inputs = self.state.finished_inputs(&step.equal, COMPARED)?;
        Ok(inputs.len() >= COMPARED
            || inputs
                .iter()
                .any(|input| self.store.size_of(input).is_none_or(|other| other == size)))
    }
}
