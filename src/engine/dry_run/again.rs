//! Tasks that have ended and would run again, for bytes that were dropped.

use std::collections::HashSet;

use super::super::Error;
use super::super::makers::Makers;
use crate::model::gather::Line;
use crate::model::plan::{QueueId, Ready};
use crate::model::task::{TaskId, TaskState};

/// Those that are known by now: each runs once, however many need what it left.
#[derive(Debug, Default)]
pub(super) struct Again {
    known: HashSet<TaskId>,
}

impl Again {
    /// The steps of those that would run for that task, and had no reason to before.
    pub(super) fn for_one(
        &mut self,
        makers: &Makers,
        queue: QueueId,
        ready: &Ready,
    ) -> Result<Vec<QueueId>, Error> {
        let mut queues = Vec::new();
        if !makers.store.is_any_evicted() {
            return Ok(queues);
        }
        let mut wanted = makers.of(queue, ready)?;
        while let Some(maker) = wanted.pop_first() {
            if !self.known.insert(maker) {
                continue;
            }
            let Some(origin) = makers.state.origin(maker)? else {
                continue;
            };
            // Of another version: it is done again as a new one, which a run finds out.
            let Some(step) = makers.step(&origin) else {
                continue;
            };
            queues.push(step.queue);
            let ready = Ready {
                id: maker,
                input: origin.input,
                form: origin.form,
                parent: origin.parent,
                name: None,
                state: TaskState::Done,
                forced: true,
                attempt: 0,
                line: Line::default(),
                key: None,
                context: origin.context.map(Box::new),
                raised: 0,
            };
            wanted.extend(makers.of(step.queue, &ready)?);
        }
        Ok(queues)
    }
}
