//! What a task's end changes: its row, its outputs' rows, what can start now.

mod slices;

use std::sync::Arc;
use std::time::Duration;

use super::job::{Ended, Outcome, Turn};
use super::recording::{How, Recording};
use super::step::StepPlan;
use super::{Error, InHand, Scheduler};
use crate::model::digest::Digest;
use crate::model::event::{Cause, Event, Failure, Launch, Span};
use crate::model::gather::Gather;
use crate::model::plan::{Lane, QueueId, Ready};
use crate::model::task::{TaskId, TaskState};
use crate::state::{Basis, Finished, Logs};
use crate::sys;
use crate::text::amount::bytes;

/// Final outputs whose name is compared with the steps' names.
const COMPARED: usize = 1000;
/// Names that are close to a step's, for the summary.
const NEAR: usize = 5;

impl Scheduler<'_> {
    /// A task fails without being executed.
    pub(super) fn refuse(
        &mut self,
        step: &StepPlan,
        ready: &Ready,
        error: String,
    ) -> Result<(), Error> {
        self.begin_group()?;
        let span = not_executed();
        let finished = Finished {
            started: span.started,
            elapsed: 0,
            worker: 0,
            cpu: None,
            peak: None,
        };
        self.state.fail(
            self.runset,
            step.id,
            ready.id,
            ready.state,
            &error,
            &finished,
        )?;
        self.give_up(step, ready, error, span)
    }

    /// Records how a task went; what is left to be recorded of that.
    pub(super) fn ended(&mut self, ended: Ended) -> Result<Option<Turn>, Error> {
        // What nobody has in hand any more was recorded, or is somebody else's by now.
        let Some(task) = self.in_hand.remove(&ended.task) else {
            return Ok(None);
        };
        self.begin_group()?;
        let InHand {
            step,
            ready,
            key,
            gpus,
        } = task;
        let mut ready = Arc::unwrap_or_clone(ready);
        let lane = Lane::from((step.queue, &ready));
        self.gpus.extend(gpus);
        self.tried(&ended)?;
        if self.remakes.is(ready.id) {
            self.plan.ended(lane, None);
            return self.remade(ended, (step, ready));
        }
        let span = span(&ended.finished, ended.launch);
        if self.is_dead(&step, &ready, Some(span)) {
            self.plan.ended(lane, key.as_ref());
            return Ok(None);
        }
        if self.is_outdated(&step, &ready) {
            ready.context = None;
            self.comes_again(&step, ready, span);
            self.plan.ended(lane, key.as_ref());
            return Ok(None);
        }
        if let Some(tree) = &ended.checkpoint {
            self.state
                .put_checkpoint(ready.id, basis(&step, &ready), tree)?;
        }
        let mut ended = ended;
        if let Outcome::Success(outputs) = &mut ended.outcome
            && let Some(error) = self.comes_back(&step, &ready, outputs)?
        {
            ended.outcome = Outcome::Failure(error);
        }
        // What an interrupt ends may well leave something behind.
        let cancelled = matches!(ended.outcome, Outcome::Cancelled);
        if let Some(warning) = ended.warning.filter(|_| !cancelled) {
            self.tell(&Event::Warning(&format!(
                "task {} of {} {warning}",
                ready.id, step.name
            )));
        }
        let kept = ended.kept;
        match ended.outcome {
            Outcome::Success(outputs) => {
                let how = How::Executed {
                    finished: ended.finished,
                    logs: ended.logs,
                    span,
                    _session: ended.session,
                };
                return self.go_on(Recording::new(step, ready, key, how, outputs));
            }
            Outcome::Failure(ref error)
            | Outcome::OutOfMemory(ref error)
            | Outcome::Stale(ref error) => {
                let error = error.clone();
                let stale = matches!(ended.outcome, Outcome::Stale(_));
                // It was tried elsewhere as often as is of use.
                let lost = matches!(Cause::of(&error), Cause::Lost);
                let out_of_memory = matches!(ended.outcome, Outcome::OutOfMemory(_));
                self.state.fail(
                    self.runset,
                    step.id,
                    ready.id,
                    ready.state,
                    &error,
                    &ended.finished,
                )?;
                self.keep_logs(&ready, ended.logs)?;
                if stale {
                    self.plan.close(step.queue);
                    self.give_up(&step, &ready, error, span)?;
                } else if let Some(memory) = self.more(&step, &ready).filter(|_| out_of_memory) {
                    let error = format!("{error}\nit is tried again with {}", bytes(memory));
                    self.raise(&step, ready, &error, span);
                } else if ready.attempt < step.retries && !lost && !self.stopping {
                    self.retry(&step, ready, &error, span);
                } else {
                    self.give_up(&step, &ready, error, span)?;
                    self.tell_kept(&step, &ready, kept);
                }
                self.plan.ended(lane, key.as_ref());
                self.plan.got_through();
            }
            Outcome::Cancelled => {
                self.comes_again(&step, ready, span);
                self.plan.ended(lane, key.as_ref());
            }
            Outcome::Short(short) => {
                let id = ready.id;
                self.comes_again(&step, ready, span);
                self.plan.ended(lane, key.as_ref());
                self.relieve(id, &step.name, short);
            }
        }
        Ok(None)
    }

    /// A task that goes on elsewhere keeps this tree for its next try, wherever that is.
    pub(crate) fn keeps(&mut self, task: TaskId, tree: &Digest) -> Result<(), Error> {
        let Some(InHand { step, ready, .. }) = self.in_hand.get(&task) else {
            return Ok(());
        };
        let (step, ready) = (Arc::clone(step), Arc::clone(ready));
        if !self.remakes.is(task) && self.is_outdated(&step, &ready) {
            return Ok(());
        }
        self.begin_group()?;
        Ok(self
            .state
            .put_checkpoint(task, basis(&step, &ready), tree)?)
    }

    pub(super) fn keep_logs(&mut self, ready: &Ready, logs: Logs) -> Result<(), Error> {
        let failed_before = ready.state == TaskState::Failed;
        Ok(self.state.put_logs(ready.id, failed_before, logs)?)
    }

    /// A task was given up, and waits as it was.
    fn comes_again(&mut self, step: &StepPlan, ready: Ready, span: Span) {
        self.tell(&Event::Cancelled {
            task: ready.id,
            step: &step.name,
            span: Some(span),
        });
        self.plan.back(step.queue, ready);
    }

    /// Whether the task was superseded since it started: nothing of it counts, and what is done in its
    /// place is another task.
    fn is_dead(&mut self, step: &StepPlan, ready: &Ready, span: Option<Span>) -> bool {
        let gathers = self.gathers.as_mut();
        let is_dead = gathers.is_some_and(|gathers| gathers.buried(ready.id));
        if is_dead {
            self.retrying.remove(&ready.id);
            self.tell(&Event::Cancelled {
                task: ready.id,
                step: &step.name,
                span,
            });
        }
        is_dead
    }

    /// The memory that a task is given the next time, if what it had was not enough.
    pub(super) fn more(&self, step: &StepPlan, ready: &Ready) -> Option<u64> {
        let rungs = self.settings.rungs(step)?;
        let next = rungs.get(usize::from(ready.raised) + 1).copied();
        next.filter(|_| !self.stopping)
    }

    /// Tries a task again with more memory. That is none of the tries that its step has.
    fn raise(&mut self, step: &StepPlan, mut ready: Ready, error: &str, span: Span) {
        let node = self.node(&span);
        let key = self.group_of(step, ready.id);
        self.tell(&Event::Failed {
            task: ready.id,
            step: &step.name,
            error,
            key: key.as_deref(),
            span,
            node: node.as_deref(),
            retry: Some(Duration::ZERO),
        });
        let failure = failure(step, &ready, error.to_owned(), node, key);
        self.retrying.insert(ready.id, failure);
        ready.raised += 1;
        ready.state = TaskState::Failed;
        let now = self.millis();
        self.plan.pause(step.queue, ready, now);
    }

    fn retry(&mut self, step: &StepPlan, mut ready: Ready, error: &str, span: Span) {
        let pause = step.pauses.after(ready.attempt, ready.id);
        let node = self.node(&span);
        let key = self.group_of(step, ready.id);
        self.tell(&Event::Failed {
            task: ready.id,
            step: &step.name,
            error,
            key: key.as_deref(),
            span,
            node: node.as_deref(),
            retry: Some(pause),
        });
        let failure = failure(step, &ready, error.to_owned(), node, key);
        self.retrying.insert(ready.id, failure);
        ready.attempt += 1;
        ready.state = TaskState::Failed;
        let due = self.millis() + u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        self.plan.pause(step.queue, ready, due);
    }

    /// Tells what became of what a failed task left.
    pub(super) fn tell_kept(
        &mut self,
        step: &StepPlan,
        ready: &Ready,
        kept: Option<Result<String, String>>,
    ) {
        match kept {
            // As it was asked for, it is nothing to be warned of.
            Some(Ok(words)) => self.tell(&Event::Kept {
                task: ready.id,
                step: &step.name,
                words: &words,
            }),
            Some(Err(words)) => self.tell(&Event::Warning(&format!(
                "task {} of {}: {words}",
                ready.id, step.name
            ))),
            None => {}
        }
    }

    /// The key of what a task of a step gathers, where there are several. What cannot be read is not told.
    pub(super) fn group_of(&self, step: &StepPlan, task: TaskId) -> Option<String> {
        if matches!(step.gather, None | Some(Gather::All)) {
            return None;
        }
        let origin = self.state.origin(task).ok()??;
        origin.key.filter(|key| !key.is_empty())
    }

    fn give_up(
        &mut self,
        step: &StepPlan,
        ready: &Ready,
        error: String,
        span: Span,
    ) -> Result<(), Error> {
        let node = self.node(&span);
        let key = self.group_of(step, ready.id);
        self.tell(&Event::Failed {
            task: ready.id,
            step: &step.name,
            error: &error,
            key: key.as_deref(),
            span,
            node: node.as_deref(),
            retry: None,
        });
        self.retrying.remove(&ready.id);
        self.failed(failure(step, ready, error, node, key));
        self.nothing_from(step.queue, ready)
    }

    pub(super) fn route(&self, name: &str) -> Option<QueueId> {
        self.queues.get(self.router.route(name)?).copied()
    }

    /// A final output that is close to a step's name may be a mistake.
    pub(super) fn compare(&mut self, name: &str) {
        self.compared += 1;
        if self.compared > COMPARED {
            return;
        }
        match self.router.near(name) {
            Some(step) if self.summary.near.len() < NEAR => {
                self.summary.near.push((name.to_owned(), step.clone()));
            }
            Some(_) => self.summary.near_more += 1,
            None => {}
        }
    }
}

/// What a try of the task works on.
pub(super) fn basis<'a>(step: &StepPlan, ready: &'a Ready) -> Basis<'a> {
    Basis {
        step: step.id,
        input: &ready.input,
        context: ready.context.as_deref(),
    }
}

pub(super) fn failure(
    step: &StepPlan,
    ready: &Ready,
    error: String,
    node: Option<Arc<str>>,
    key: Option<String>,
) -> Failure {
    Failure {
        task: ready.id,
        step: step.name.clone(),
        input_name: ready.name.as_deref().map(str::to_owned),
        key,
        form: ready.form,
        node,
        error,
    }
}

pub(super) fn span(finished: &Finished, launch: Option<Launch>) -> Span {
    Span {
        started: finished.started,
        elapsed: Duration::from_micros(finished.elapsed.unsigned_abs()),
        worker: Some(finished.worker),
        launch,
        cpu: finished
            .cpu
            .map(|cpu| Duration::from_micros(cpu.unsigned_abs())),
        peak: finished.peak.map(i64::unsigned_abs),
    }
}

/// The span of a task that ends without having been executed, now.
pub(super) fn not_executed() -> Span {
    Span {
        started: sys::now().as_millisecond(),
        elapsed: Duration::ZERO,
        worker: None,
        launch: None,
        cpu: None,
        peak: None,
    }
}
