//! Results that others have: asked for before a task is executed, and offered after.
//!
//! Whoever has them is asked without waiting: a task that nobody here has the result of is put aside, and others go on. Its
//! answer comes in with a later [`Scheduler::tick`], and so do those that are not asked for any more. What is found is whole:
//! its objects are in the store when it is told of.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use super::outputs::Outputs;
use super::recording::{How, Recording, read};
use super::sharing::{Elsewhere, Found, News, Question, Success};
use super::step::{ReuseScope, StepPlan};
use super::{Error, Scheduler};
use crate::model::event::Event;
use crate::model::name::StepName;
use crate::model::plan::{Key, Ready};
use crate::model::shared::{MOST_OUTPUTS, ResultKey};
use crate::model::task::TaskId;
use crate::state::Finished;
use crate::sys;

/// Who is asked, and what is known of that.
pub(super) struct Asked<'a> {
    who: &'a mut (dyn Elsewhere + Send),
    /// Tasks that were asked for, and whose results nobody has.
    missed: HashSet<TaskId>,
    /// Whether it was told that a result has too many outputs for others.
    told: bool,
}

/// Tasks of a step that are asked for before the first one of them starts.
const AHEAD: usize = 1024;
/// Answers between which others have their turn.
const AT_ONCE: usize = 32;

impl<'a> Scheduler<'a> {
    /// Has others be asked for results, and given them.
    pub(crate) fn share(&mut self, who: &'a mut (dyn Elsewhere + Send)) {
        for step in self.steps.iter().filter(|step| step.share.is_some()) {
            self.plan.ask_ahead(step.queue, AHEAD);
        }
        self.elsewhere = Some(Box::new(Asked {
            who,
            missed: HashSet::new(),
            told: false,
        }));
    }

    /// Whether others are asked for results of the step.
    pub(super) fn asks_for(&self, step: &StepPlan) -> bool {
        self.elsewhere.is_some() && step.share.is_some()
    }

    /// The task that is to be executed, unless its result is asked for.
    pub(super) fn ask_elsewhere(
        &mut self,
        step: &StepPlan,
        ready: Ready,
        key: Option<Key>,
    ) -> Option<(Ready, Option<Key>)> {
        let (Some(asked), Some(key)) = (&mut self.elsewhere, key.as_ref()) else {
            return Some((ready, key));
        };
        let Some(question) = question(step, &ready, key) else {
            return Some((ready, Some(key.clone())));
        };
        let tried = ready.attempt > 0 || ready.raised > 0;
        if asked.missed.remove(&ready.id) || tried {
            return Some((ready, Some(key.clone())));
        }
        if !asked.who.ask(question) {
            for step in self.steps {
                self.plan.ask_ahead(step.queue, 0);
            }
            return Some((ready, Some(key.clone())));
        }
        self.plan.ask(ready, key.clone());
        None
    }

    /// Does what follows from answers that have come in.
    pub(super) fn hear(&mut self) -> Result<(), Error> {
        let Some(asked) = &mut self.elsewhere else {
            return Ok(());
        };
        for news in asked.who.news(AT_ONCE) {
            match news {
                News::Warning(words) => self.tell(&Event::Warning(&words)),
                News::Answer(task, found) => self.answered(task, found)?,
            }
        }
        Ok(())
    }

    /// When answers are to be listened to that are there already.
    pub(super) fn due_news(&self) -> Option<Instant> {
        let asked = self.elsewhere.as_ref()?;
        asked.who.has_news().then_some(self.now)
    }

    fn answered(&mut self, task: TaskId, found: Option<Box<Found>>) -> Result<(), Error> {
        let Some((mut ready, key)) = self.plan.answered(task) else {
            // Of a run that is over.
            return Ok(());
        };
        let step = Arc::clone(&self.steps[key.queue]);
        if self.is_outdated(&step, &ready) {
            ready.context = None;
            self.plan.back(key.queue, ready);
            self.plan.unpark(&key);
            return Ok(());
        }
        let found = match found.filter(|_| !self.stopping) {
            Some(found) if self.may_leave(&step, &ready, &found)? => found,
            Some(_) | None => {
                if let Some(asked) = &mut self.elsewhere {
                    asked.missed.insert(task);
                }
                self.plan.back(key.queue, ready);
                self.plan.unpark(&key);
                return Ok(());
            }
        };
        let mut found = found;
        let outputs = std::mem::take(&mut found.outputs);
        let mut recording = Recording::new(step, ready, None, How::Shared(found), outputs);
        // They are not so many that others could not wait.
        while !self.record(&mut recording)? {}
        self.plan.unpark(&key);
        Ok(())
    }

    /// Whether the task could have left that today.
    fn may_leave(&mut self, step: &StepPlan, ready: &Ready, found: &Found) -> Result<bool, Error> {
        if !super::reuse::fits(step, &found.outputs) {
            return Ok(false);
        }
        let mut outputs = Outputs::from(found.outputs.clone());
        Ok(self.comes_back(step, ready, &mut outputs)?.is_none())
    }

    /// Lets others have what a task left, if they are to have it.
    pub(super) fn give_elsewhere(
        &mut self,
        step: &StepPlan,
        ready: &Ready,
        key: Option<&Key>,
        finished: &Finished,
    ) -> Result<(), Error> {
        let Some(asked) = self.elsewhere.as_mut().filter(|asked| asked.who.gives()) else {
            return Ok(());
        };
        let Some(key) = key.and_then(|key| result_key(step, key)) else {
            return Ok(());
        };
        let mut outputs = Vec::new();
        let mut after = TaskId(0);
        loop {
            let Some((some, more)) = read(self.state, ready.id, after)? else {
                return Ok(());
            };
            outputs.extend(some);
            if outputs.len() > MOST_OUTPUTS {
                if !std::mem::replace(&mut asked.told, true) {
                    let words = too_many(&step.name, ready.id);
                    self.tell(&Event::Warning(&words));
                }
                return Ok(());
            }
            match more {
                Some(more) => after = more,
                None => break,
            }
        }
        asked.who.give(Success {
            key,
            outputs,
            executed: finished.executed(),
        });
        Ok(())
    }
}

fn too_many(step: &StepName, task: TaskId) -> String {
    format!(
        "the result of {step} #{task} is not shared, nor are others like it, because it has more than \
         {MOST_OUTPUTS} outputs\nhint: a \
         folder is one output, however many files are in it (`folders = true`); with `share = false` you are not \
         told again"
    )
}

/// What others are asked for a task; none whose results are not shared.
pub(super) fn question(step: &StepPlan, ready: &Ready, key: &Key) -> Option<Question> {
    Some(Question {
        task: ready.id,
        key: result_key(step, key)?,
        within: match step.scope {
            ReuseScope::Since(since) => (since, sys::now().as_millisecond()),
            // What somebody's clock had ahead is no reason to do it again.
            ReuseScope::Any | ReuseScope::Runset => (i64::MIN, i64::MAX),
        },
    })
}

/// What the result of tasks with that key depends on, if it is shared.
fn result_key(step: &StepPlan, key: &Key) -> Option<ResultKey> {
    let terms = step.share.as_ref()?;
    let about = key.key.as_deref().filter(|_| step.reads_key);
    let input = (&key.input, key.form);
    Some(terms.key(input, key.context.as_deref(), key.name.as_deref(), about))
}
