//! Steps that feed themselves, directly or by way of others, and do not come to rest.
//!
//! A ring may go round as long as its inputs change: it comes to rest when an output has a name
//! that no step takes. Two things show that it will not, and fail the task at which they do:
//!
//! - an equal task stands above it, so that it would be given its own input again, for ever;
//! - its step occurs above it as often as the manifest allows (`rounds`).
//!
//! What stands above a task is asked of all its ancestors, not of some equal task: that may well be
//! in another branch. Of those that were asked for last the answer is kept ([`Trail`]), so that
//! the next one down the line only adds itself.

use std::collections::HashMap;
use std::sync::Arc;

use super::step::{ReuseRule, StepPlan};
use crate::model::gather::Role;
use crate::model::name::StepName;
use crate::model::plan::{Key, QueueId, Ready};
use crate::model::task::TaskId;
use crate::model::trail::{Trail, hash};
use crate::state::{self, Origin, Reader, StepId};
use crate::text::amount::count;
use crate::text::{quoted, visible};

/// Tasks of which it is kept what stands above their children, in each of two generations.
const KEPT: usize = if cfg!(test) { 4 } else { 4096 };

#[derive(Debug, Default)]
pub(super) struct Rings {
    /// What counts of each step version that was ever registered; filled when first asked.
    versions: HashMap<StepId, Version>,
    young: HashMap<TaskId, Trail>,
    old: HashMap<TaskId, Trail>,
}

#[derive(Debug)]
struct Version {
    name: StepName,
    /// Stands for the name.
    hash: u64,
    /// The step of this run whose tasks are equal to its own.
    equal: Option<Alike>,
}

/// What tasks that are equal have in common.
#[derive(Debug, Clone, Copy)]
struct Alike {
    queue: QueueId,
    /// The input's name, too.
    name: bool,
    /// What they are about, too.
    key: bool,
}

impl Rings {
    /// Why the task must not be executed, nor take the outputs of an equal one, if so.
    pub(super) fn refuse(
        &mut self,
        state: &Reader,
        steps: &[Arc<StepPlan>],
        step: &StepPlan,
        ready: &Ready,
        key: Option<&Key>,
    ) -> Result<Option<String>, state::Error> {
        let Some(parent) = ready.parent else {
            return Ok(None);
        };
        let trail = self.trail(state, steps, parent)?;
        if let Some(key) = key
            && trail.count(hash(key)) > 0
            && let Some((equal, ring)) =
                self.ring(state, ready, |version, above| version.is_equal(above, key))?
        {
            return Ok(Some(format!(
                "goes round in a circle, {ring}: task #{equal} before it already ran {} on the \
                 same input\n\
                 hint: let the script give its output another name once nothing changes any more, or, if each \
                 execution gives something else, set `cache = false` in the step",
                visible(step.name.as_str())
            )));
        }
        let rounds = trail.count(hash(step.name.as_str()));
        if rounds < step.rounds {
            return Ok(None);
        }
        let of_step = |version: &Version, _: &Origin| version.name == step.name;
        let ring = self.ring(state, ready, of_step)?;
        let name = visible(step.name.as_str());
        let stand = if rounds == 1 { "stands" } else { "stand" };
        Ok(Some(format!(
            "goes round for ever, {}: {} of {name} {stand} above this one\n\
             hint: its input {} was routed to {name} by its name; let the script give the last output a name \
             without the step's name in it, or, if the rounds are intended, set `rounds` in the step to more than \
             {rounds}",
            ring.map_or(String::new(), |(_, ring)| ring),
            count(rounds, "task"),
            quoted(ready.name.as_deref().unwrap_or_default()),
        )))
    }

    /// Whether `step` occurs as often as it may above a child of `parent`.
    pub(super) fn is_full(
        &mut self,
        state: &Reader,
        steps: &[Arc<StepPlan>],
        step: &StepPlan,
        parent: TaskId,
    ) -> Result<bool, state::Error> {
        let trail = self.trail(state, steps, parent)?;
        Ok(trail.count(hash(step.name.as_str())) >= step.rounds)
    }

    /// What stands above the children of `task`, itself included.
    fn trail(
        &mut self,
        state: &Reader,
        steps: &[Arc<StepPlan>],
        task: TaskId,
    ) -> Result<Trail, state::Error> {
        if let Some(trail) = self.young.get(&task) {
            return Ok(trail.clone());
        }
        if self.versions.is_empty() {
            self.versions = versions(state, steps)?;
        }
        // Those whose own part is not in `trail` yet; the last of them stands highest.
        let mut missing = Vec::new();
        let mut trail = Trail::default();
        let mut next = Some(task);
        while let Some(at) = next {
            if let Some(known) = self.young.get(&at).or_else(|| self.old.get(&at)) {
                trail = known.clone();
                break;
            }
            let Some(origin) = state.origin(at)? else {
                break;
            };
            next = origin.parent;
            missing.push(self.hashes(origin));
        }
        for hashes in missing.into_iter().rev() {
            trail = hashes
                .into_iter()
                .flatten()
                .fold(trail, |trail, hash| trail.with(hash));
        }
        if self.young.len() >= KEPT {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(task, trail.clone());
        Ok(trail)
    }

    /// What a task adds to the trail: its step, and what tasks equal to it have in common.
    fn hashes(&self, origin: Origin) -> [Option<u64>; 2] {
        // What stands for the pairs below it is no task.
        let step = origin.step.filter(|_| origin.role != Role::Member);
        let Some(version) = step.and_then(|step| self.versions.get(&step)) else {
            return [None; 2];
        };
        let key = version.equal.map(|alike| Key {
            queue: alike.queue,
            input: origin.input,
            form: origin.form,
            name: origin.name.filter(|_| alike.name).map(Into::into),
            key: origin.key.filter(|_| alike.key).map(Into::into),
            context: origin.context.map(Box::new),
        });
        [Some(version.hash), key.map(hash)]
    }

    /// The nearest task above that `is_it`, and the steps from there down to the task itself.
    fn ring(
        &self,
        state: &Reader,
        ready: &Ready,
        is_it: impl Fn(&Version, &Origin) -> bool,
    ) -> Result<Option<(TaskId, String)>, state::Error> {
        let mut between: Vec<&str> = Vec::new();
        let mut next = ready.parent;
        while let Some(at) = next {
            let Some(origin) = state.origin(at)? else {
                break;
            };
            let step = origin.step.filter(|_| origin.role != Role::Member);
            let version = step.and_then(|step| self.versions.get(&step));
            if let Some(version) = version {
                if is_it(version, &origin) {
                    between.push(&version.name);
                    between.reverse();
                    between.push(&version.name);
                    return Ok(Some((at, arrows(&between))));
                }
                between.push(&version.name);
            }
            next = origin.parent;
        }
        Ok(None)
    }
}

impl Version {
    /// Whether a task of this version is one that `key` stands for.
    fn is_equal(&self, origin: &Origin, key: &Key) -> bool {
        self.equal.is_some_and(|alike| {
            alike.queue == key.queue
                && origin.input == key.input
                && origin.form == key.form
                && origin.context.as_ref() == key.context.as_deref()
                && (!alike.name || origin.name.as_deref() == key.name.as_deref())
                && (!alike.key || origin.key.as_deref() == key.key.as_deref())
        })
    }
}

/// Every version, as far as this run's steps are concerned.
fn versions(
    state: &Reader,
    steps: &[Arc<StepPlan>],
) -> Result<HashMap<StepId, Version>, state::Error> {
    let names = state.names_of_versions()?;
    let version = |(id, name): (StepId, StepName)| {
        let version = Version {
            hash: hash(name.as_str()),
            name,
            equal: None,
        };
        (id, version)
    };
    let mut versions: HashMap<StepId, Version> = names.into_iter().map(version).collect();
    for step in steps
        .iter()
        .filter(|step| step.reuse_rule != ReuseRule::Never)
    {
        for id in &step.equal {
            if let Some(version) = versions.get_mut(id) {
                version.equal = Some(Alike {
                    queue: step.queue,
                    name: step.reuse_rule == ReuseRule::ContentAndName,
                    key: step.reads_key,
                });
            }
        }
    }
    Ok(versions)
}

/// Steps one after the other; of a long way its ends.
fn arrows(steps: &[&str]) -> String {
    const ENDS: usize = 4;
    let shown = |steps: &[&str]| {
        let names: Vec<String> = steps.iter().map(|name| visible(name)).collect();
        names.join(" → ")
    };
    match steps.len().checked_sub(2 * ENDS) {
        None | Some(0 | 1) => shown(steps),
        Some(more) => format!(
            "{} → … {more} more … → {}",
            shown(&steps[..ENDS]),
            shown(&steps[ENDS + more..])
        ),
    }
}

#[cfg(test)]
mod tests;
