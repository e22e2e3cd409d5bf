//! Who takes what steps leave, besides those that it is routed to.

use std::collections::HashMap;
use std::sync::Arc;

use super::key::key_of;
use super::outputs::Output;
use super::step::StepPlan;
use super::{Error, Scheduler};
use crate::model::event::Routed;
use crate::model::gather::Line;
use crate::model::plan::{QueueId, Ready};
use crate::model::promise::Pattern;
use crate::model::route::{Router, first_part};
use crate::model::task::{TaskId, TaskState};
use crate::state::{self, NewReader, Reader};

/// By the step that leaves it: who takes it, of which names.
#[derive(Debug, Default)]
pub(super) struct Readers(HashMap<QueueId, Vec<(QueueId, Option<Pattern>)>>);

/// One who takes an output.
#[derive(Debug)]
pub(super) struct Taker<'a> {
    pub queue: QueueId,
    /// The pattern that says so.
    pub pattern: Option<&'a Pattern>,
}

impl Readers {
    pub(super) fn of(steps: &[Arc<StepPlan>]) -> Self {
        let mut readers: HashMap<QueueId, Vec<(QueueId, Option<Pattern>)>> = HashMap::new();
        for step in steps {
            for source in &step.from {
                let maker = steps.iter().find(|other| other.name == source.step);
                if let Some(maker) = maker {
                    let taken = readers.entry(maker.queue).or_default();
                    taken.push((step.queue, source.pattern.clone()));
                }
            }
        }
        Self(readers)
    }

    /// Whether anybody takes what the step leaves.
    pub(super) fn is_read(&self, maker: QueueId) -> bool {
        !self.0.is_empty() && self.0.contains_key(&maker)
    }

    /// Those that take an output of that name, each once, and not the one that it is routed to.
    pub(super) fn of_output(
        &self,
        maker: QueueId,
        name: &str,
        route: Option<QueueId>,
    ) -> Vec<Taker<'_>> {
        let mut takers: Vec<Taker> = Vec::new();
        for (queue, pattern) in self.0.get(&maker).into_iter().flatten() {
            let known = takers.iter().any(|taker| taker.queue == *queue);
            let matches = pattern.as_ref().is_none_or(|pattern| pattern.matches(name));
            if matches && !known && Some(*queue) != route {
                takers.push(Taker {
                    queue: *queue,
                    pattern: pattern.as_ref(),
                });
            }
        }
        takers
    }
}

/// The key of an output that is taken by that pattern: what its first star stands for, else what
/// stands before the route, else the key of what left it; without a route what stands before the
/// first dot.
pub(super) fn key_taken(
    state: &Reader,
    router: &Router,
    name: &str,
    pattern: Option<&Pattern>,
    maker: TaskId,
) -> Result<String, state::Error> {
    if let Some(star) = pattern.and_then(|pattern| pattern.star(name)) {
        return Ok(star);
    }
    if router.route(name).is_none() {
        return Ok(first_part(name).to_owned());
    }
    match router.key(name) {
        Some(key) => Ok(key.to_owned()),
        None => key_of(state, router, maker),
    }
}

impl Scheduler<'_> {
    /// Adds a task for each step that takes the output besides the one that it is routed to.
    pub(super) fn add_readers(
        &mut self,
        (from, maker): (QueueId, &Ready),
        output: &Output,
        (own, route): (TaskId, Option<QueueId>),
        routed: &mut Routed,
    ) -> Result<(), Error> {
        let readers = Arc::clone(&self.readers);
        for Taker { queue, pattern } in readers.of_output(from, &output.name, route) {
            if let Some(gather) = self.steps[queue].gather {
                let name = &output.name;
                let key = key_taken(self.state, self.router, name, pattern, maker.id)?;
                self.add_member_with((gather, queue), (from, maker), output, (&key, Some(own)))?;
                continue;
            }
            let key = pattern.and_then(|pattern| pattern.star(&output.name));
            let id = self.state.insert_reader(
                self.runset,
                &NewReader {
                    object: output.digest,
                    form: output.form,
                    step: self.steps[queue].id,
                    parent: maker.id,
                    name: &output.name,
                    key: key.as_deref(),
                    output: own,
                },
            )?;
            routed.add_taken(&self.steps[queue].name);
            self.counts(from, maker, queue)?;
            let ready = Ready {
                id,
                input: output.digest,
                form: output.form,
                parent: Some(maker.id),
                name: Some(output.name.clone()),
                state: TaskState::Pending,
                forced: false,
                attempt: 0,
                line: Line::default(),
                key: None,
                context: None,
                raised: 0,
            };
            self.plan.created(queue, ready);
        }
        Ok(())
    }
}
