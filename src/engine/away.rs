//! What is recorded and told of those who carry out tasks elsewhere.

use std::sync::Arc;
use std::time::Duration;

use super::job::{Ended, Outcome};
use super::{Error, Scheduler};
use crate::model::event::{Event, Presence, Span};
use crate::model::plan::QueueId;
use crate::model::task::TaskId;
use crate::state::Try;
use crate::sys;

/// The longest name of a machine that is recorded, in characters.
const LONGEST: usize = 255;

/// A worker elsewhere.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Who<'a> {
    /// The number that it has in the run.
    pub worker: i64,
    /// Its executor.
    pub executor: &'a str,
    /// The place of that, of which several may have one name.
    pub place: usize,
    /// Most workers of that place.
    pub most: usize,
}

impl Scheduler<'_> {
    fn tell_of(&mut self, who: Who, presence: Presence) {
        self.tell(&Event::Worker {
            executor: who.executor,
            place: who.place,
            most: who.most,
            worker: who.worker,
            presence,
        });
    }

    /// A worker was called for.
    pub(crate) fn worker_called(&mut self, who: Who) -> Result<(), Error> {
        self.begin_group()?;
        let now = sys::now().as_millisecond();
        self.state
            .worker_called(self.runset, who.worker, who.executor, now)?;
        self.tell_of(who, Presence::Called);
        Ok(())
    }

    /// It waits for its place: what those say of that who give it.
    pub(crate) fn worker_waits(&mut self, who: Who, why: &str) -> Result<(), Error> {
        self.begin_group()?;
        self.state.worker_waits(who.worker, why)?;
        self.tell_of(who, Presence::Waits { why });
        Ok(())
    }

    /// It has come, for so many tasks at once.
    pub(crate) fn worker_came(&mut self, who: Who, node: &str, slots: u64) -> Result<(), Error> {
        self.begin_group()?;
        let node: String = node.chars().take(LONGEST).collect();
        let now = sys::now().as_millisecond();
        let called = self.state.worker(who.worker);
        let called = called.map_or(now, |(_, called)| called);
        self.state.worker_came(who.worker, &node, slots, now)?;
        let here = Presence::Here {
            node: &node,
            slots,
            waited: millis(now.saturating_sub(called)),
        };
        self.tell_of(who, here);
        Ok(())
    }

    /// It is gone, or never came.
    pub(crate) fn worker_gone(&mut self, who: Who, why: &str) -> Result<(), Error> {
        self.begin_group()?;
        let now = sys::now().as_millisecond();
        let node = self.state.node_of(who.worker);
        self.state.worker_gone(who.worker, why, now)?;
        let node = node.as_deref();
        self.tell_of(who, Presence::Gone { node, why });
        Ok(())
    }

    /// A task that it had is lost there, which was given out at `given` (milliseconds since 1970).
    pub(crate) fn lost_there(
        &mut self,
        worker: i64,
        task: TaskId,
        given: i64,
        why: &str,
    ) -> Result<(), Error> {
        self.begin_group()?;
        let passed = sys::now().as_millisecond().saturating_sub(given).max(0);
        let lost = Try {
            worker,
            started: given,
            elapsed: passed.saturating_mul(1000),
            lost: Some(why),
        };
        self.state.put_attempt(task, lost)?;
        let node = self.state.node_of(worker);
        let executor = self.state.worker(worker);
        let (Some(in_hand), Some((executor, _))) = (self.in_hand.get(&task), executor) else {
            return Ok(());
        };
        let step = Arc::clone(&in_hand.step);
        if let Some(node) = &node {
            *self.summary.lost.entry(node.to_string()).or_default() += 1;
        }
        self.tell(&Event::Lost {
            task,
            step: &step.name,
            executor: &executor,
            node: node.as_deref(),
            elapsed: millis(passed),
            why,
        });
        Ok(())
    }

    /// A task went to a worker.
    pub(crate) fn given_there(&mut self, worker: i64, task: TaskId) {
        let node = self.state.node_of(worker);
        if let Some(in_hand) = self.in_hand.get(&task) {
            let step = Arc::clone(&in_hand.step);
            self.tell(&Event::Given {
                task,
                step: &step.name,
                node: node.as_deref(),
            });
        }
    }

    /// The step of a task that an executor has.
    pub(crate) fn step_of(&self, task: TaskId) -> Option<QueueId> {
        Some(self.in_hand.get(&task)?.step.queue)
    }

    /// A try of a task ended, wherever that was.
    pub(super) fn tried(&mut self, ended: &Ended) -> Result<(), Error> {
        if self.settings.places == 0 || matches!(ended.outcome, Outcome::Cancelled) {
            return Ok(());
        }
        let finished = &ended.finished;
        let tried = Try {
            worker: finished.worker,
            started: finished.started,
            elapsed: finished.elapsed,
            lost: None,
        };
        Ok(self.state.put_attempt(ended.task, tried)?)
    }

    /// The machine where something ran, if it was not this one.
    pub(super) fn node(&self, span: &Span) -> Option<Arc<str>> {
        if self.settings.places == 0 {
            return None;
        }
        self.state.node_of(span.worker?)
    }
}

fn millis(millis: i64) -> Duration {
    Duration::from_millis(millis.max(0).unsigned_abs())
}
