//! What a task's end changes: its row, its outputs' rows, what can start now.

use std::sync::Arc;
use std::time::Duration;

use super::outputs::Outputs;
use super::step::{Memo, Runnable};
use super::worker::{Ended, Outcome};
use super::{Engine, Error};
use crate::core::digest::Digest;
use crate::core::event::{Event, Failure, Launch, Routed, Span};
use crate::core::plan::{Key, LaneId, Ready};
use crate::core::task::{State as TaskState, TaskId};
use crate::state::{Finished, NewTask};
use crate::store::Condition;
use crate::sys;

/// Final outputs whose name is compared with the steps' names.
const COMPARED: usize = 1000;
/// Names that are close to a step's, for the summary.
const NEAR: usize = 5;

/// Whether a task has ended without being executed.
pub(super) enum Settled {
    /// It has.
    Yes,
    /// It is to be executed.
    No,
    /// That depends on what these large objects hold.
    Examine(Vec<Digest>),
}

/// Objects to be read by a worker, as that takes time, and the task that waits for it.
pub(super) struct Examination {
    pub lane: LaneId,
    pub ready: Ready,
    pub key: Option<Key>,
    pub objects: Vec<Digest>,
}

/// What equal tasks have in common with this one, if there can be any.
pub fn key(step: &Runnable, ready: &Ready) -> Option<Key> {
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

impl Engine<'_> {
    /// Ends a task without executing it, if that can be.
    pub(super) fn settle(
        &mut self,
        step: &Runnable,
        ready: &Ready,
        key: Option<&Key>,
    ) -> Result<Settled, Error> {
        if let Some(error) = self
            .rings
            .refuse(self.state, self.steps, step, ready, key)?
        {
            self.refuse(step, ready, error)?;
            return Ok(Settled::Yes);
        }
        match key {
            Some(key) => self.reuse(step, ready, key),
            None => Ok(Settled::No),
        }
    }

    /// Takes over the outputs of an equal task, if there is one whose outputs are all there.
    fn reuse(&mut self, step: &Runnable, ready: &Ready, key: &Key) -> Result<Settled, Error> {
        let name = (step.memo == Memo::ContentAndName).then_some(key.name.as_deref());
        let Some(source) = self.state.finished_equal(&step.equal, &ready.input, name)? else {
            return Ok(Settled::No);
        };
        let mut outputs = Outputs::default();
        let mut broken = false;
        let mut unknown = Vec::new();
        let store = self.store;
        self.state.each_output(source, |name, digest| {
            match store.condition(&digest, None) {
                Condition::Whole => {}
                Condition::Broken => broken = true,
                Condition::Unknown => unknown.push(digest),
            }
            match name {
                Some(name) => outputs.push(name, digest),
                // It may have had any, and its route with it.
                None => broken = true,
            }
        })?;
        if !unknown.is_empty() && !broken && !self.examined.remove(&ready.id) {
            let made = self.state.made(source)?;
            unknown.retain(|digest| store.condition(digest, made) == Condition::Unknown);
            if !unknown.is_empty() {
                return Ok(Settled::Examine(unknown));
            }
        }
        if broken {
            return Ok(Settled::No);
        }
        self.begin_group()?;
        self.state
            .reuse(self.runset, step.id, ready.id, ready.state, source)?;
        self.summary.reused += 1;
        self.add_outputs(ready.id, outputs, &mut Vec::new())
            .map(|routed| self.tell_done(step, ready.id, Some(source), not_executed(), &routed))?;
        Ok(Settled::Yes)
    }

    /// Large objects were read that decide about a task: it is decided on again.
    pub(super) fn examined(&mut self, examination: Examination) {
        self.examined.insert(examination.ready.id);
        self.plan.ended(examination.lane, examination.key.as_ref());
        self.plan.back(examination.lane, examination.ready);
    }

    /// A task fails without being executed.
    fn refuse(&mut self, step: &Runnable, ready: &Ready, error: String) -> Result<(), Error> {
        self.begin_group()?;
        let span = not_executed();
        let finished = Finished {
            started: span.started,
            elapsed: 0,
            worker: 0,
        };
        self.state.fail(
            self.runset,
            step.id,
            ready.id,
            ready.state,
            &error,
            &finished,
        )?;
        self.give_up(step, ready, error, span);
        Ok(())
    }

    /// Records how a task went.
    pub(super) fn ended(&mut self, ended: Ended) -> Result<(), Error> {
        let Some(mut ended) = self.hold(ended)? else {
            return Ok(());
        };
        self.begin_group()?;
        let short = ended.take_short();
        self.comes_again(&ended, short.is_some());
        let cancelled = matches!(ended.outcome, Outcome::Cancelled);
        let (id, step, key) = (
            ended.job.ready.id,
            Arc::clone(&ended.job.step),
            ended.job.key.clone(),
        );
        let known = self.record(ended)?;
        if self.early.has_settled(id) {
            self.plan.settled(step.lane, key.as_ref());
        } else {
            self.plan.ended(step.lane, key.as_ref());
        }
        match short {
            Some(short) => self.relieve(id, &step.name, short),
            None if cancelled => {}
            None => self.plan.got_through(),
        }
        self.known(id, &known)
    }

    /// Writes it down and tells it; the rows of tasks that started early on one of its outputs.
    fn record(&mut self, ended: Ended) -> Result<Vec<(TaskId, Digest)>, Error> {
        let step = Arc::clone(&ended.job.step);
        let ready = ended.job.ready;
        let span = span(&ended.finished, ended.launch);
        let mut known = Vec::new();
        // What an interrupt ends may well leave something behind.
        let cancelled = matches!(ended.outcome, Outcome::Cancelled);
        if let Some(warning) = ended.warning.filter(|_| !cancelled) {
            (self.listener)(&Event::Warning(&format!(
                "task {} of {} {warning}",
                ready.id, step.name
            )));
        }
        match ended.outcome {
            Outcome::Cancelled | Outcome::Short(_) => (self.listener)(&Event::Cancelled {
                task: ready.id,
                step: &step.name,
                span: Some(span),
            }),
            Outcome::Success(outputs) => {
                self.state
                    .succeed(self.runset, step.id, ready.id, ready.state, &ended.finished)?;
                self.state
                    .put_logs(ready.id, ready.state == TaskState::Failed, ended.logs)?;
                self.summary.executed += 1;
                let routed = self.add_outputs(ready.id, outputs, &mut known)?;
                self.tell_done(&step, ready.id, None, span, &routed);
            }
            Outcome::Failure(error) => {
                self.state.fail(
                    self.runset,
                    step.id,
                    ready.id,
                    ready.state,
                    &error,
                    &ended.finished,
                )?;
                self.state
                    .put_logs(ready.id, ready.state == TaskState::Failed, ended.logs)?;
                if ready.attempt < step.retries && !self.stopping {
                    self.retry(&step, ready, &error, span);
                } else {
                    self.give_up(&step, &ready, error, span);
                }
            }
        }
        Ok(known)
    }

    fn retry(&mut self, step: &Runnable, mut ready: Ready, error: &str, span: Span) {
        // 1 s, 2 s, 4 s … one minute: what is overloaded gets time to recover.
        let pause = Duration::from_secs(1 << ready.attempt.min(6)).min(Duration::from_mins(1));
        (self.listener)(&Event::Failed {
            task: ready.id,
            step: &step.name,
            error,
            span,
            retry: Some(pause),
        });
        ready.attempt += 1;
        ready.state = TaskState::Failed;
        let due = self.now() + u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        self.plan.pause(step.lane, ready, due);
    }

    fn give_up(&mut self, step: &Runnable, ready: &Ready, error: String, span: Span) {
        (self.listener)(&Event::Failed {
            task: ready.id,
            step: &step.name,
            error: &error,
            span,
            retry: None,
        });
        self.failed(Failure {
            task: ready.id,
            step: step.name.clone(),
            input_name: ready.name.as_deref().map(str::to_owned),
            error,
        });
    }

    fn tell_done(
        &mut self,
        step: &Runnable,
        task: TaskId,
        reused: Option<TaskId>,
        span: Span,
        outputs: &Routed,
    ) {
        (self.listener)(&Event::Done {
            task,
            step: &step.name,
            reused,
            span,
            outputs,
        });
    }

    /// Adds a task for every output that has a route, and a final output for every other. `early`
    /// gets those tasks that have started already.
    fn add_outputs(
        &mut self,
        parent: TaskId,
        outputs: Outputs,
        early: &mut Vec<(TaskId, Digest)>,
    ) -> Result<Routed, Error> {
        let mut routed = Routed::default();
        for output in outputs.into_iter() {
            let output = output.map_err(Error::Spill)?;
            let lane = self.route(&output.name);
            let started = self.early.started(parent, &output.name);
            let id = self.state.insert_task(
                self.runset,
                &NewTask {
                    object: output.digest,
                    step: lane.map(|lane| self.steps[lane].id),
                    parent: Some(parent),
                    name: Some(&output.name),
                    forced: false,
                    row: started,
                },
            )?;
            routed.add(&output.name, lane.map(|lane| &self.steps[lane].name));
            match lane {
                Some(_) if started.is_some() => early.push((id, output.digest)),
                Some(lane) => self
                    .plan
                    .created(lane, ready(id, parent, output.digest, output.name)),
                None => self.compare(&output.name),
            }
        }
        Ok(routed)
    }

    pub(super) fn route(&self, name: &str) -> Option<LaneId> {
        self.lanes.get(self.router.route(name)?).copied()
    }

    /// A final output that is close to a step's name may be a mistake.
    fn compare(&mut self, name: &str) {
        self.compared += 1;
        if self.compared > COMPARED || self.summary.near.len() >= NEAR {
            return;
        }
        if let Some(step) = self.router.near(name) {
            self.summary.near.push((name.to_owned(), step.clone()));
        }
    }
}

fn span(finished: &Finished, launch: Option<Launch>) -> Span {
    Span {
        started: finished.started,
        elapsed: Duration::from_micros(finished.elapsed.unsigned_abs()),
        worker: Some(finished.worker),
        launch,
    }
}

/// The span of a task that ends without having been executed, now.
fn not_executed() -> Span {
    Span {
        started: sys::now().as_millisecond(),
        elapsed: Duration::ZERO,
        worker: None,
        launch: None,
    }
}

fn ready(id: TaskId, parent: TaskId, input: Digest, name: Box<str>) -> Ready {
    Ready {
        id,
        input,
        parent: Some(parent),
        name: Some(name),
        state: TaskState::Pending,
        forced: false,
        attempt: 0,
    }
}
