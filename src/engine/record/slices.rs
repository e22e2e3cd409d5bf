//! The rows of a task with very many outputs are written in slices, between which others go on.

use super::super::job::Turn;
use super::super::outputs::Output;
use super::super::recording::{How, Recording, SLICE};
use super::super::{Error, Scheduler};
use super::not_executed;
use crate::model::event::{Event, Routed};
use crate::model::gather::Line;
use crate::model::plan::{Lane, QueueId, Ready};
use crate::model::task::{TaskId, TaskState};
use crate::state::NewTask;

impl Scheduler<'_> {
    /// Records a slice of what counts as running; it ends, or is to be handed back.
    pub(in crate::engine) fn go_on(
        &mut self,
        mut recording: Box<Recording>,
    ) -> Result<Option<Turn>, Error> {
        if !self.record(&mut recording)? {
            self.recordings += 1;
            return Ok(Some(Turn::Record(recording)));
        }
        let lane = Lane::from((recording.step.queue, &recording.ready));
        self.plan.ended(lane, recording.key.as_ref());
        if matches!(recording.how, How::Executed { .. }) {
            self.plan.got_through();
        }
        Ok(None)
    }

    /// An executor hands back what is not recorded yet.
    pub(in crate::engine) fn handed_back(
        &mut self,
        recording: Box<Recording>,
    ) -> Result<Option<Turn>, Error> {
        self.recordings -= 1;
        self.go_on(recording)
    }

    /// Records a slice; whether it was the last.
    pub(in crate::engine) fn record(&mut self, recording: &mut Recording) -> Result<bool, Error> {
        self.begin_group()?;
        for _ in 0..SLICE {
            if self.is_dead(&recording.step, &recording.ready, recording.span()) {
                return Ok(true);
            }
            let Some(output) = recording.next(self.state)? else {
                self.record_end(recording)?;
                return Ok(true);
            };
            let (queue, maker) = (recording.step.queue, &recording.ready);
            self.add_output(queue, maker, output, &mut recording.routed)?;
        }
        Ok(false)
    }

    fn record_end(&mut self, recording: &mut Recording) -> Result<(), Error> {
        let Recording { step, ready, .. } = recording;
        let (task, state) = (ready.id, ready.state);
        let failed = match state {
            TaskState::Failed => self.retrying.remove(&task),
            TaskState::Pending | TaskState::Done | TaskState::Reused => None,
        };
        let mut shared = None;
        let (reused, span) = match &mut recording.how {
            How::Executed {
                finished,
                logs,
                span,
                ..
            } => {
                self.state
                    .succeed(self.runset, step.id, task, state, finished)?;
                self.keep_logs(ready, std::mem::take(logs))?;
                self.summary.executed += 1;
                if let Some(failed) = failed.filter(|_| ready.attempt > 0) {
                    let tries = ready.attempt + 1;
                    self.state.put_flaky(task, tries, &failed.error)?;
                    self.summary.passed_late(failed, tries);
                }
                self.give_elsewhere(step, ready, recording.key.as_ref(), finished)?;
                (None, *span)
            }
            How::Shared(found) => {
                self.state.share(
                    self.runset,
                    step.id,
                    task,
                    state,
                    (found.executed, &found.origin),
                )?;
                self.summary.shared += 1;
                self.made_at(Some(found.executed));
                shared = Some(&*found.origin);
                (None, not_executed())
            }
            How::Reused(source) => {
                self.state
                    .reuse(self.runset, step.id, task, state, source)?;
                self.summary.reused += 1;
                self.made_at(source.executed);
                (Some(source.made_by), not_executed())
            }
        };
        if let Some(context) = &ready.context {
            self.state.put_context(task, context)?;
        }
        if step.checkpoint.is_kept() {
            self.state.drop_checkpoint(task)?;
        }
        if step.reads_key {
            self.state.put_key(task, ready.key.as_deref())?;
        }
        let node = self.node(&span);
        self.tell(&Event::Done {
            task,
            step: &step.name,
            reused,
            shared,
            span,
            node: node.as_deref(),
            outputs: &recording.routed,
        });
        if self.remakes.finals.remove(&task) {
            self.make_finals_again(task)?;
        }
        let (queue, ready) = (recording.step.queue, &recording.ready);
        self.gathered_from(queue, ready)
    }

    /// A result is used again that was made then.
    fn made_at(&mut self, executed: Option<i64>) {
        self.oldest = match (self.oldest, executed) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }

    /// Adds what an output is to be: its own row, and those of steps that take it besides.
    fn add_output(
        &mut self,
        maker_queue: QueueId,
        maker: &Ready,
        output: Output,
        routed: &mut Routed,
    ) -> Result<(), Error> {
        self.gives_more(maker_queue)?;
        let route = self.route(&output.name);
        if !self.readers.is_read(maker_queue) {
            return self
                .add_own(route, (maker_queue, maker), output, routed)
                .map(drop);
        }
        let own = self.add_own(route, (maker_queue, maker), output.clone(), routed)?;
        self.add_readers((maker_queue, maker), &output, (own, route), routed)
    }

    /// Adds a task for an output that has a route, a member for one that is gathered, or a final
    /// output.
    fn add_own(
        &mut self,
        queue: Option<QueueId>,
        (from, maker): (QueueId, &Ready),
        output: Output,
        routed: &mut Routed,
    ) -> Result<TaskId, Error> {
        let parent = maker.id;
        if let Some(queue) = queue
            && let Some(gather) = self.steps[queue].gather
        {
            routed.add_gathered(&output.name, output.form, &self.steps[queue].name);
            return self.add_member(gather, queue, (from, maker), &output);
        }
        let id = self.state.insert_task(
            self.runset,
            &NewTask {
                object: output.digest,
                form: output.form,
                step: queue.map(|queue| self.steps[queue].id),
                parent: Some(parent),
                name: Some(&output.name),
                forced: false,
            },
        )?;
        routed.add(
            &output.name,
            output.form,
            queue.map(|queue| &self.steps[queue].name),
        );
        if let Some(queue) = queue {
            let ready = Ready {
                id,
                input: output.digest,
                form: output.form,
                parent: Some(parent),
                name: Some(output.name),
                state: TaskState::Pending,
                forced: false,
                attempt: 0,
                line: Line::default(),
                key: None,
                context: None,
                raised: 0,
            };
            self.counts(from, maker, queue)?;
            self.plan.created(queue, ready);
        } else {
            if self.is_without_bytes(&output.digest, output.form) {
                self.remakes.finals.insert(parent);
            }
            self.compare(&output.name);
        }
        Ok(id)
    }
}
