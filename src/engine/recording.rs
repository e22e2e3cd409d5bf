//! The end of a task that succeeded, recorded a slice of its outputs at a time.
//!
//! A task may leave so many outputs that others should not wait until all have their rows. So an
//! executor is handed what is not recorded yet, and hands it back when others had their turn. What
//! became of an output may start meanwhile. The rows of a task are in the file all or none: as long
//! as one is missing, the group that they are in is not committed, and with it what others record.
//! That the task is finished is written last, so that no equal one takes over a part.

use std::sync::Arc;

use super::job::Turn;
use super::outputs::{Output, Outputs};
use super::record::not_executed;
use super::step::StepPlan;
use super::{Error, Scheduler, reuse};
use crate::model::event::{Event, Routed, Span};
use crate::model::plan::{Key, Ready};
use crate::model::task::{TaskId, TaskState};
use crate::state::{self, Finished, Logs, NewTask, State};

/// Outputs that are read or written in one go.
pub(super) const SLICE: usize = if cfg!(test) { 10 } else { 512 };

#[derive(Debug)]
pub(crate) struct Recording {
    step: Arc<StepPlan>,
    ready: Ready,
    /// What equal tasks have in common with it.
    key: Option<Key>,
    how: How,
    outputs: Outputs,
    /// Where `outputs` of a task that is reused go on.
    more: Option<TaskId>,
    routed: Routed,
}

/// How a task came to its outputs.
#[derive(Debug)]
pub(super) enum How {
    /// It was executed.
    Executed {
        finished: Finished,
        logs: Logs,
        span: Span,
    },
    /// It takes over what this one left.
    Reused(TaskId),
}

impl Recording {
    /// Of a task that left these outputs.
    pub(super) fn new(
        step: Arc<StepPlan>,
        ready: Ready,
        key: Option<Key>,
        how: How,
        outputs: impl Into<Outputs>,
    ) -> Box<Self> {
        Box::new(Self {
            step,
            ready,
            key,
            how,
            outputs: outputs.into(),
            more: None,
            routed: Routed::default(),
        })
    }

    /// Of a task that takes over whatever another one left, however much that is.
    pub(super) fn of_all(
        step: Arc<StepPlan>,
        ready: Ready,
        key: Option<Key>,
        source: TaskId,
    ) -> Box<Self> {
        let mut recording = Self::new(step, ready, key, How::Reused(source), Vec::new());
        recording.more = Some(TaskId(0));
        recording
    }

    fn next(&mut self, state: &State) -> Result<Option<Output>, Error> {
        if let How::Reused(source) = self.how
            && self.outputs.is_read()
            && let Some(after) = self.more
        {
            // They were read before, when they were looked at.
            let (outputs, more) =
                reuse::read(state, source, after)?.ok_or(state::Error::Lost(source))?;
            (self.outputs, self.more) = (outputs.into(), more);
        }
        self.outputs.next().transpose().map_err(Error::Spill)
    }
}

impl Scheduler<'_> {
    /// Records a slice of what counts as running; it ends, or is to be handed back.
    pub(super) fn go_on(&mut self, mut recording: Box<Recording>) -> Result<Option<Turn>, Error> {
        if !self.record(&mut recording)? {
            self.recordings += 1;
            return Ok(Some(Turn::Record(recording)));
        }
        self.plan
            .ended(recording.step.queue, recording.key.as_ref());
        if matches!(recording.how, How::Executed { .. }) {
            self.plan.got_through();
        }
        Ok(None)
    }

    /// An executor hands back what is not recorded yet.
    pub(super) fn handed_back(&mut self, recording: Box<Recording>) -> Result<Option<Turn>, Error> {
        self.recordings -= 1;
        self.go_on(recording)
    }

    /// Records a slice; whether it was the last.
    pub(super) fn record(&mut self, recording: &mut Recording) -> Result<bool, Error> {
        self.begin_group()?;
        for _ in 0..SLICE {
            let Some(output) = recording.next(self.state)? else {
                self.record_end(recording)?;
                return Ok(true);
            };
            self.add_output(recording.ready.id, output, &mut recording.routed)?;
        }
        Ok(false)
    }

    fn record_end(&mut self, recording: &mut Recording) -> Result<(), Error> {
        let Recording { step, ready, .. } = recording;
        let (task, state) = (ready.id, ready.state);
        let (reused, span) = match &mut recording.how {
            How::Executed {
                finished,
                logs,
                span,
            } => {
                self.state
                    .succeed(self.runset, step.id, task, state, finished)?;
                self.keep_logs(ready, std::mem::take(logs))?;
                self.summary.executed += 1;
                (None, *span)
            }
            How::Reused(source) => {
                self.state
                    .reuse(self.runset, step.id, task, state, *source)?;
                self.summary.reused += 1;
                (Some(*source), not_executed())
            }
        };
        self.tell(&Event::Done {
            task,
            step: &step.name,
            reused,
            span,
            outputs: &recording.routed,
        });
        Ok(())
    }

    /// Adds a task for an output that has a route, or a final output.
    fn add_output(
        &mut self,
        parent: TaskId,
        output: Output,
        routed: &mut Routed,
    ) -> Result<(), Error> {
        let queue = self.route(&output.name);
        let id = self.state.insert_task(
            self.runset,
            &NewTask {
                object: output.digest,
                step: queue.map(|queue| self.steps[queue].id),
                parent: Some(parent),
                name: Some(&output.name),
                forced: false,
            },
        )?;
        routed.add(&output.name, queue.map(|queue| &self.steps[queue].name));
        match queue {
            Some(queue) => {
                let ready = Ready {
                    id,
                    input: output.digest,
                    parent: Some(parent),
                    name: Some(output.name),
                    state: TaskState::Pending,
                    forced: false,
                    attempt: 0,
                };
                self.plan.created(queue, ready);
            }
            None => self.compare(&output.name),
        }
        Ok(())
    }
}
