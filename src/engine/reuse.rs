//! Tasks that end without being executed.

use std::sync::Arc;

use super::job::{Examination, Job};
use super::outputs::Output;
use super::record::not_executed;
use super::step::{Memo, StepPlan};
use super::{Error, Scheduler};
use crate::model::plan::{Key, Ready};
use crate::model::task::TaskId;
use crate::store::Condition;

/// Outputs that are looked at while others wait for their turn; more are looked at beside them.
const FEW: usize = 32;

/// What becomes of a task before any executor has it.
pub(super) enum Settled {
    /// It has ended.
    Yes,
    /// It is to be executed.
    No(Ready, Option<Key>),
    /// That depends on these outputs of an equal one.
    Examine(Box<Examination>),
}

/// What equal tasks have in common with this one, if there can be any.
pub fn key(step: &StepPlan, ready: &Ready) -> Option<Key> {
    if ready.forced || step.memo == Memo::Never {
        return None;
    }
    Some(Key {
        lane: step.lane,
        input: ready.input,
        name: ready
            .name
            .clone()
            .filter(|_| step.memo == Memo::ContentAndName),
    })
}

impl Scheduler<'_> {
    /// Ends a task without executing it, if that can be.
    pub(super) fn settle(
        &mut self,
        step: &Arc<StepPlan>,
        ready: Ready,
        key: Option<Key>,
    ) -> Result<Settled, Error> {
        let refused = self
            .rings
            .refuse(self.state, self.steps, step, &ready, key.as_ref())?;
        if let Some(error) = refused {
            self.refuse(step, &ready, error)?;
            return Ok(Settled::Yes);
        }
        let source = match &key {
            Some(key) => {
                let name = (step.memo == Memo::ContentAndName).then_some(key.name.as_deref());
                self.state.finished_equal(&step.equal, &ready.input, name)?
            }
            None => None,
        };
        let Some(source) = source else {
            return Ok(Settled::No(ready, key));
        };
        let mut outputs = Vec::new();
        let mut nameless = false;
        self.state.each_output(source, |name, digest| match name {
            Some(name) => outputs.push(Output {
                name: (**name).into(),
                digest,
            }),
            // It may have had any, and its route with it.
            None => nameless = true,
        })?;
        if nameless {
            return Ok(Settled::No(ready, key));
        }
        match self.condition(&outputs) {
            Condition::Whole => {
                self.reuse(step, &ready, source, outputs)?;
                Ok(Settled::Yes)
            }
            Condition::Broken => Ok(Settled::No(ready, key)),
            Condition::Unknown => Ok(Settled::Examine(Box::new(Examination {
                step: Arc::clone(step),
                made: self.state.made(source)?,
                whole: false,
                ready,
                key,
                source,
                outputs,
            }))),
        }
    }

    /// How those outputs are, if that is known at once.
    fn condition(&self, outputs: &[Output]) -> Condition {
        let mut all = Condition::Whole;
        for (count, output) in outputs.iter().enumerate() {
            if count >= FEW {
                return Condition::Unknown;
            }
            match self.store.condition(&output.digest, None) {
                Condition::Whole => {}
                Condition::Broken => return Condition::Broken,
                Condition::Unknown => all = Condition::Unknown,
            }
        }
        all
    }

    /// Takes over the outputs of an equal task.
    fn reuse(
        &mut self,
        step: &StepPlan,
        ready: &Ready,
        source: TaskId,
        outputs: Vec<Output>,
    ) -> Result<(), Error> {
        self.begin_group()?;
        self.state
            .reuse(self.runset, step.id, ready.id, ready.state, source)?;
        self.summary.reused += 1;
        let routed = self.add_outputs(ready.id, outputs.into())?;
        self.tell_done(step, ready.id, Some(source), not_executed(), &routed);
        Ok(())
    }

    /// Outputs were looked at; the task, if it is to be executed after all.
    pub(super) fn examined(&mut self, examination: Examination) -> Result<Option<Box<Job>>, Error> {
        let Examination {
            step, ready, key, ..
        } = examination;
        if examination.whole {
            self.reuse(&step, &ready, examination.source, examination.outputs)?;
        } else if !self.stopping {
            return Ok(Some(Box::new(self.hand_out(step, ready, key))));
        }
        self.plan.ended(step.lane, key.as_ref());
        Ok(None)
    }
}
