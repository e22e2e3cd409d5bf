//! Tasks that end without being executed.

use std::sync::Arc;

use super::job::{Examination, Turn};
use super::outputs::Output;
use super::recording::{How, Recording, read};
use super::step::{ReuseRule, ReuseScope, StepPlan};
use super::{Error, Scheduler};
use crate::model::plan::{Key, Lane, Ready};
use crate::model::promise::Comparison;
use crate::model::task::TaskId;
use crate::state::{self, Equal, Reader};
use crate::store::Condition;

/// Outputs that are looked at while others wait for their turn; more are looked at beside them.
const FEW: usize = 32;

/// Equal tasks that are kept in memory.
const KEPT: usize = 1024;

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
pub(super) fn key(step: &StepPlan, ready: &Ready) -> Option<Key> {
    if ready.forced || step.reuse_rule == ReuseRule::Never {
        return None;
    }
    Some(Key {
        queue: step.queue,
        input: ready.input,
        form: ready.form,
        name: ready
            .name
            .clone()
            .filter(|_| step.reuse_rule == ReuseRule::ContentAndName),
        key: ready.key.clone(),
        context: ready.context.clone(),
    })
}

/// The task in `scope` whose outputs those that `key` stands for may take.
pub(super) fn look(
    state: &Reader,
    step: &StepPlan,
    key: &Key,
    scope: ReuseScope,
    runset: &str,
) -> Result<Option<Equal>, state::Error> {
    let name = (step.reuse_rule == ReuseRule::ContentAndName).then_some(key.name.as_deref());
    let about = step.reads_key.then_some(key.key.as_deref());
    state.finished_equal(
        &step.equal,
        (&key.input, key.form, key.context.as_deref()),
        name,
        about,
        scope.look(runset),
    )
}

fn compare(compared: &mut Option<Comparison>, outputs: &[Output]) {
    if let Some(compared) = compared {
        outputs.iter().for_each(|output| compared.saw(&output.name));
    }
}

/// Whether the step may leave all these today.
fn fit(step: &StepPlan, outputs: &[Output]) -> bool {
    outputs.iter().all(|output| step.takes(output.form))
}

/// Whether the step may leave just these today.
pub(super) fn fits(step: &StepPlan, outputs: &[Output]) -> bool {
    let mut compared = step.outputs.as_ref().map(Comparison::new);
    compare(&mut compared, outputs);
    fit(step, outputs) && keeps_promise(&mut compared)
}

/// Whether all that was left is what the step promises today: its promise is no part of its version,
/// so an older result may break it.
fn keeps_promise(compared: &mut Option<Comparison>) -> bool {
    compared
        .take()
        .is_none_or(|compared| compared.end().is_ok())
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
            Some(key) => self.equal(step, key)?,
            None => None,
        };
        let Some(source) = source else {
            return Ok(Settled::No(ready, key));
        };
        let Some((outputs, more)) = read(self.state, source.task, TaskId(0))? else {
            return Ok(Settled::No(ready, key));
        };
        if self.would_come_back(step, &ready, source.task)? {
            return Ok(Settled::No(ready, key));
        }
        if !fit(step, &outputs) {
            return Ok(Settled::No(ready, key));
        }
        let mut compared = step.outputs.as_ref().map(Comparison::new);
        compare(&mut compared, &outputs);
        if more.is_none() && !keeps_promise(&mut compared) {
            return Ok(Settled::No(ready, key));
        }
        let step = Arc::clone(step);
        let condition = match more {
            None => self.condition(&outputs),
            Some(_) => Condition::Unknown,
        };
        match condition {
            Condition::Whole => {
                // A slice at most: it ends here.
                let mut recording = Recording::new(step, ready, key, How::Reused(source), outputs);
                self.record(&mut recording)?;
                Ok(Settled::Yes)
            }
            Condition::Broken => Ok(Settled::No(ready, key)),
            Condition::Unknown => Ok(Settled::Examine(Box::new(Examination {
                step,
                made: self.state.made(source.task)?,
                whole: false,
                begun: false,
                more,
                compared,
                ready,
                key,
                source,
                outputs,
                stills: self.stills,
            }))),
        }
    }

    /// The task whose outputs those that `key` stands for may take.
    fn equal(&mut self, step: &StepPlan, key: &Key) -> Result<Option<Equal>, Error> {
        if let Some(found) = self.found.get(key) {
            return Ok(Some(*found));
        }
        let found = look(self.state, step, key, step.scope, &self.runset.name)?;
        if let Some(found) = found {
            if self.found.len() >= KEPT {
                self.found.clear();
            }
            self.found.insert(key.clone(), found);
        }
        Ok(found)
    }

    /// How those outputs are, if that is known at once.
    fn condition(&self, outputs: &[Output]) -> Condition {
        if outputs.len() > FEW {
            return Condition::Unknown;
        }
        let mut all = Condition::Whole;
        for output in outputs {
            match self.store.condition_as(&output.digest, output.form, None) {
                Condition::Whole => {}
                Condition::Broken => return Condition::Broken,
                Condition::Unknown => all = Condition::Unknown,
            }
        }
        all
    }

    /// Outputs were looked at: what is to be done next for that task, if anything.
    pub(super) fn examined(
        &mut self,
        mut examination: Box<Examination>,
    ) -> Result<Option<Turn>, Error> {
        let lane = Lane::from((examination.step.queue, &examination.ready));
        let source = examination.source;
        if examination.stills != self.stills {
            // Somebody may have removed it meanwhile. If not, all that it left is there.
            examination.stills = self.stills;
            examination.whole &= self.state.task(source.task)?.is_some();
        }
        if self.stopping && examination.more.is_some() {
            self.plan.ended(lane, examination.key.as_ref());
            return Ok(None);
        }
        if let Some(after) = examination.more.filter(|_| examination.whole) {
            self.begin_group()?;
            match read(self.state, source.task, after)? {
                Some((outputs, _)) if !fit(&examination.step, &outputs) => {
                    examination.whole = false;
                }
                Some((outputs, more)) => {
                    compare(&mut examination.compared, &outputs);
                    (examination.outputs, examination.more) = (outputs, more);
                    examination.begun = true;
                    return Ok(Some(Turn::Examine(examination)));
                }
                None => examination.whole = false,
            }
        }
        examination.whole &= keeps_promise(&mut examination.compared);
        let Examination {
            step, ready, key, ..
        } = *examination;
        if examination.whole {
            let outputs = examination.outputs;
            let recording = if examination.begun {
                Recording::of_all(step, ready, key, source)
            } else {
                Recording::new(step, ready, key, How::Reused(source), outputs)
            };
            return self.go_on(recording);
        }
        if self.stopping {
            self.plan.ended(lane, key.as_ref());
            return Ok(None);
        }
        if !step.lacks.is_empty() {
            self.plan.ended(lane, key.as_ref());
            self.lacks_secrets(&step);
            return Ok(None);
        }
        let Some(ready) = self.with_bytes(step.queue, ready)? else {
            self.plan.ended(lane, key.as_ref());
            return Ok(None);
        };
        let job = self.hand_out(step, ready, key)?;
        Ok(Some(Turn::Do(Box::new(job))))
    }
}
