//! How far steps that wait for others are, from what is recorded.

use std::sync::Arc;

use super::lines::Lines;
use crate::engine::step::StepPlan;
use crate::model::event::{Awaited, Waiting};
use crate::model::gather::{Gather, Which};
use crate::model::route::Router;
use crate::model::task::TaskId;
use crate::state::{self, Reader, Runset};

/// Those that wait for something, in the order of the manifest.
pub(crate) fn standing(
    state: &Reader,
    steps: &[Arc<StepPlan>],
    router: &Router,
    runset: &Runset,
) -> Result<Vec<Waiting>, state::Error> {
    let Some(mut lines) = Lines::of(state, steps, router)? else {
        return Ok(Vec::new());
    };
    lines.count(state, steps, runset, true)?;
    let mut waiting = Vec::new();
    for step in steps {
        waiting.extend(with(state, step, &lines, runset)?);
        let (before, open) = if let Some(barrier) = lines.barriers.of(step.queue) {
            (lines.barriers.before(barrier), 0)
        } else if let Some(kind) = lines.scopes.kind_of(step.queue) {
            let open = to_come(state, runset, step, lines.scopes.incomplete(kind))?;
            (lines.waits[kind], open)
        } else {
            continue;
        };
        let astray = state.astray_of(runset, &step.name)?;
        if before.is_nothing() && astray == 0 {
            continue;
        }
        let gathered = state.gathered(runset, &step.name)?;
        waiting.push(Waiting {
            step: step.name.clone(),
            what: Awaited::Members {
                by_key: step.gather != Some(Gather::All),
                partial: step.partial,
                groups: gathered.groups + open,
                complete: gathered.complete,
                members: gathered.members,
                astray,
            },
            pending: before.left,
            failed: before.failed,
        });
    }
    Ok(waiting)
}

/// Whether a step's tasks wait for what they get of others.
fn with(
    state: &Reader,
    step: &StepPlan,
    lines: &Lines,
    runset: &Runset,
) -> Result<Option<Waiting>, state::Error> {
    let barrier = lines.barriers.with(step.queue);
    let before = barrier.map(|barrier| lines.barriers.before(barrier));
    let Some(before) = before.filter(|before| !before.is_nothing()) else {
        return Ok(None);
    };
    let tasks = state.unfinished_of(runset, step.id)?;
    Ok((tasks > 0).then(|| Waiting {
        step: step.name.clone(),
        what: Awaited::With {
            steps: step.with.clone(),
            tasks,
        },
        pending: before.left,
        failed: before.failed,
    }))
}

/// Of how many of these owners nothing has come to the step yet.
fn to_come(
    state: &Reader,
    runset: &Runset,
    step: &StepPlan,
    owners: impl Iterator<Item = TaskId>,
) -> Result<u64, state::Error> {
    let mut count = 0;
    for owner in owners {
        let group = state.find_group(runset, &step.name, Which::below(owner, ""))?;
        let is_there = match group {
            Some(group) => state.has_members(group)? || state.gathers(group)?.is_some(),
            None => false,
        };
        count += u64::from(!is_there);
    }
    Ok(count)
}
