//! Tasks to be done that no run can do, as what they work on was dropped, and the step that left it is gone.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Error;
use super::dry_run::{Again, Hindrance};
use super::key::key_of;
use super::makers::Makers;
use super::reuse::{key, look};
use super::step::StepPlan;
use crate::model::name::StepName;
use crate::model::plan::Ready;
use crate::model::route::Router;
use crate::model::task::TaskId;
use crate::state::{Reader, Runset};
use crate::store;
use crate::text::{amount, visible};

/// Tasks looked at together.
const STRETCH: usize = 256;

/// Tasks of a step that stay as they are until another step is in the manifest again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stuck {
    /// The step.
    pub step: StepName,
    /// The other one.
    pub gone: StepName,
    /// How many.
    pub tasks: u64,
}

impl Stuck {
    /// What is the matter.
    pub(crate) fn in_words(&self) -> String {
        format!(
            "{}: {} cannot be done: what {} on was evicted, and the manifest no longer has step {} that left it",
            visible(self.step.as_str()),
            amount::count(self.tasks, "task"),
            if self.tasks == 1 {
                "it works"
            } else {
                "they work"
            },
            visible(self.gone.as_str()),
        )
    }
}

/// All of them in the runset, but for those of which it is not certain yet what they get of other steps.
pub(crate) fn stuck(
    state: &Reader,
    store: &store::Reader,
    steps: &[Arc<StepPlan>],
    router: &Router,
    runset: &Runset,
) -> Result<Vec<Stuck>, Error> {
    let mut stuck = Vec::new();
    if !store.is_any_evicted() {
        return Ok(stuck);
    }
    let makers = Makers {
        state,
        store,
        steps,
        runset,
        made: None,
    };
    let versions = state.names_of_versions()?;
    let mut again = Again::default();
    for step in steps {
        let mut counts: BTreeMap<StepName, u64> = BTreeMap::new();
        // A version that is not recorded yet takes over what is to be done.
        let versions = versions.iter().filter(|(_, name)| **name == step.name);
        for (version, _) in versions {
            let mut last = TaskId(0);
            loop {
                let tasks = state.unfinished(runset, *version, last, STRETCH)?;
                let Some(newest) = tasks.last() else {
                    break;
                };
                last = newest.id;
                for ready in tasks {
                    if let Some(gone) = lacks(&makers, router, &mut again, step, ready)? {
                        *counts.entry(gone).or_default() += 1;
                    }
                }
            }
        }
        stuck.extend(counts.into_iter().map(|(gone, tasks)| Stuck {
            step: step.name.clone(),
            gone,
            tasks,
        }));
    }
    Ok(stuck)
}

/// The step for want of which that task cannot be done, if there is such.
pub(crate) fn stuck_for(
    state: &Reader,
    store: &store::Reader,
    steps: &[Arc<StepPlan>],
    router: &Router,
    runset: &Runset,
    task: TaskId,
) -> Result<Option<StepName>, Error> {
    if !store.is_any_evicted() {
        return Ok(None);
    }
    let makers = Makers {
        state,
        store,
        steps,
        runset,
        made: None,
    };
    let version = state.origin(task)?.and_then(|origin| origin.step);
    let Some(version) = version else {
        return Ok(None);
    };
    let names = state.names_of_versions()?;
    let name = names.get(&version);
    let step = steps.iter().find(|step| Some(&step.name) == name);
    let tasks = state.unfinished(runset, version, TaskId(task.0 - 1), 1)?;
    let ready = tasks.into_iter().find(|ready| ready.id == task);
    match (step, ready) {
        (Some(step), Some(ready)) => lacks(&makers, router, &mut Again::default(), step, ready),
        (Some(_) | None, Some(_) | None) => Ok(None),
    }
}

/// The step for want of which a task cannot have its bytes, if it needs them.
fn lacks(
    makers: &Makers,
    router: &Router,
    again: &mut Again,
    step: &StepPlan,
    mut ready: Ready,
) -> Result<Option<StepName>, Error> {
    if !step.with.is_empty() && ready.context.is_none() {
        return Ok(None);
    }
    let wanted = makers.of(step.queue, &ready)?;
    let Some(Hindrance::Gone(gone)) = again.count(makers, &wanted, |_| {})? else {
        return Ok(None);
    };
    if step.reads_key {
        ready.key = Some(key_of(makers.state, router, ready.id)?.into());
    }
    let is_reused = match key(step, &ready) {
        Some(key) => {
            let runset = &makers.runset.name;
            look(makers.state, step, &key, step.scope, runset)?.is_some()
        }
        None => false,
    };
    Ok(gone.filter(|_| !is_reused))
}
