//! What tasks get besides their inputs: all that other steps left (`with`).

use std::collections::HashMap;

use super::list_given;
use crate::engine::key::key_of;
use crate::engine::step::StepPlan;
use crate::engine::{Error, Scheduler};
use crate::model::digest::Digest;
use crate::model::event::Event;
use crate::model::gather::BarrierId;
use crate::model::list::{self, Member};
use crate::model::name::StepName;
use crate::model::plan::{QueueId, Ready};
use crate::model::route::{Router, first_part};
use crate::model::task::TaskState;
use crate::state::{self, NewPair, Reader, Runset, Told};

/// The list of what these steps have left in the runset, as an object has it.
pub(crate) fn context(
    state: &Reader,
    router: &Router,
    runset: &Runset,
    with: &[StepName],
) -> Result<String, state::Error> {
    let mut steps = Vec::with_capacity(with.len());
    for step in with {
        let outputs = state.outputs_of(runset, step)?;
        steps.push((step.as_str(), members(state, router, &outputs)?));
    }
    Ok(list::context(steps))
}

/// What a step has left in the runset, with the path that each has in that list.
pub(crate) fn given_by(
    state: &Reader,
    router: &Router,
    runset: &Runset,
    step: &StepName,
) -> Result<Vec<(Box<str>, Told)>, state::Error> {
    let outputs = state.outputs_of(runset, step)?;
    let paths = list::paths(step.as_str(), members(state, router, &outputs)?);
    Ok(paths.into_iter().zip(outputs).collect())
}

fn members(state: &Reader, router: &Router, outputs: &[Told]) -> Result<Vec<Member>, state::Error> {
    let mut alike: HashMap<&str, usize> = HashMap::new();
    for output in outputs {
        *alike.entry(&output.name).or_default() += 1;
    }
    let mut members = Vec::with_capacity(outputs.len());
    for output in outputs {
        // Where nothing else has the name, no key is asked for.
        let key = match alike.get(&*output.name) {
            Some(2..) => key_of(state, router, output.parent)?,
            Some(_) | None => String::new(),
        };
        members.push(Member {
            name: output.name.to_string().into(),
            key: key.into(),
            digest: output.object,
            form: output.form,
        });
    }
    Ok(members)
}

/// What a pair is about: the input's key, and that of the name which the one file, `STEP/NAME`, has in
/// the list; the former alone, if that is nothing but a route.
pub(crate) fn key_of_pair(router: &Router, about: &str, path: &str) -> String {
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    let key = match router.route(name) {
        None => Some(first_part(name)),
        Some(_) => router.key(name),
    };
    key.map_or_else(|| about.to_owned(), |key| format!("{about}_{key}"))
}

impl Scheduler<'_> {
    /// What is given there, as an object in the store.
    fn given_at(&mut self, barrier: BarrierId) -> Result<Option<Digest>, Error> {
        let Some(gathers) = &self.gathers else {
            return Ok(None);
        };
        if let Some(known) = gathers.contexts.get(&barrier) {
            return Ok(Some(*known));
        }
        let queue = gathers.lines.barriers.at(barrier).queue;
        let with = &self.steps[queue].with;
        let list = list_given(self.state, self.router, self.runset, with, Some(self.store))?;
        if let Some(gathers) = &mut self.gathers {
            gathers.contexts.insert(barrier, list);
            gathers.given.push(list);
        }
        Ok(Some(list))
    }

    /// All that is given there is: whoever got something else does its work again.
    pub(super) fn give(&mut self, barrier: BarrierId) -> Result<(), Error> {
        let Some(list) = self.given_at(barrier)? else {
            return Ok(());
        };
        let Some(gathers) = &self.gathers else {
            return Ok(());
        };
        let queue = gathers.lines.barriers.at(barrier).queue;
        let with = &self.steps[queue].with;
        let buried = self.state.gives_this(self.runset, with, &list)?;
        self.bury(&buried)
    }

    /// A step that others are given the outputs of leaves one more.
    pub(in crate::engine) fn gives_more(&mut self, queue: QueueId) -> Result<(), Error> {
        let Some(gathers) = &mut self.gathers else {
            return Ok(());
        };
        let given: Vec<BarrierId> = gathers.lines.barriers.given_by(queue).collect();
        // Whether anybody got what there was in this run, or may have got it in an earlier one.
        let mut got = !given.is_empty() && gathers.gave.insert(queue);
        for barrier in given {
            got |= gathers.contexts.remove(&barrier).is_some();
        }
        if !got {
            return Ok(());
        }
        let step = std::sync::Arc::clone(&self.steps[queue]);
        let buried = self.state.gives_more(self.runset, &step.name)?;
        self.bury(&buried)
    }

    /// Puts its pairs in the place of a task about to start, if it is to work with each of the files that
    /// another step left; else gives it back.
    pub(super) fn pair(&mut self, step: &StepPlan, ready: Ready) -> Result<Option<Ready>, Error> {
        if !step.each || ready.context.is_some() {
            return Ok(Some(ready));
        }
        let barrier = self
            .gathers
            .as_ref()
            .and_then(|gathers| gathers.lines.barriers.with(step.queue));
        let Some(barrier) = barrier else {
            return Ok(Some(ready));
        };
        let Some(list) = self.given_at(barrier)? else {
            return Ok(Some(ready));
        };
        self.begin_group()?;
        let text = context(self.state, self.router, self.runset, &step.with)?;
        let about = key_of(self.state, self.router, ready.id)?;
        let mut pairs = 0;
        for (name, alone) in list::each_alone(&text) {
            let alone = self.store.insert_bytes(alone.as_bytes());
            let alone = alone.map_err(Error::List)?;
            let key = key_of_pair(self.router, &about, &name);
            let pair = NewPair {
                own: ready.id,
                step: step.id,
                context: alone,
                key: &key,
            };
            let id = self.state.add_pair(self.runset, &pair)?;
            pairs += 1;
            let pair = Ready {
                id,
                parent: Some(ready.id),
                context: Some(Box::new(alone)),
                raised: 0,
                key: None,
                state: TaskState::Pending,
                ..ready.clone()
            };
            self.plan.created(step.queue, pair);
        }
        let task = (ready.id, step.id, ready.state);
        self.state.stand_for_pairs(self.runset, task, &list)?;
        self.tell(&Event::Paired {
            task: ready.id,
            step: &step.name,
            tasks: pairs,
        });
        if let Some(gathers) = &mut self.gathers {
            gathers
                .lines
                .paired(self.state, step.queue, &ready, pairs)?;
            self.let_through()?;
        }
        Ok(None)
    }

    /// Notes with a task about to start what it gets besides its input.
    pub(super) fn with_context(
        &mut self,
        step: &StepPlan,
        mut ready: Ready,
    ) -> Result<Ready, Error> {
        if step.with.is_empty() || ready.context.is_some() {
            return Ok(ready);
        }
        let gathers = self.gathers.as_ref();
        let barrier = gathers.and_then(|gathers| gathers.lines.barriers.with(step.queue));
        if let Some(barrier) = barrier {
            ready.context = self.given_at(barrier)?.map(Box::new);
        }
        Ok(ready)
    }

    /// Whether the task got something besides its input that is not all by now.
    pub(in crate::engine) fn is_outdated(&self, step: &StepPlan, ready: &Ready) -> bool {
        let (Some(got), Some(gathers)) = (&ready.context, &self.gathers) else {
            return false;
        };
        let barrier = gathers.lines.barriers.with(step.queue);
        let given = barrier.map(|barrier| gathers.contexts.get(&barrier));
        // What a pair got is one file of that.
        !step.each && given.is_some_and(|given| given != Some(&**got))
    }

    /// Whether others are given what the step leaves.
    pub(in crate::engine) fn is_given(&self, queue: QueueId) -> bool {
        let gathers = self.gathers.as_ref();
        gathers.is_some_and(|gathers| gathers.lines.barriers.given_by(queue).next().is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_a_pair_is_without_a_route() {
        let names = ["pair", "index"].map(|name| StepName::new(name).unwrap());
        let router = Router::new(names);
        let key = |path: &str| key_of_pair(&router, "x", path);
        assert_eq!(key("index/a.b.txt"), "x_a");
        assert_eq!(key("index/1_pair"), "x_1");
        assert_eq!(key("index/1_a_pair.txt"), "x_1_a");
        assert_eq!(key("index/pair.txt"), "x");
    }
}
