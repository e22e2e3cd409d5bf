//! How far steps that gather are, from what is recorded.

use std::sync::Arc;

use super::lines::Lines;
use crate::engine::step::StepPlan;
use crate::model::event::Waiting;
use crate::model::gather::Gather;
use crate::model::route::Router;
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
    for (at, barrier) in lines.barriers.all() {
        let before = lines.barriers.before(at);
        let step = &steps[barrier.queue];
        let Some(gather) = step.gather else {
            continue;
        };
        if before.is_nothing() {
            continue;
        }
        let gathered = state.gathered(runset, &step.name)?;
        waiting.push(Waiting {
            step: step.name.clone(),
            by_key: gather == Gather::ByKey,
            groups: gathered.groups,
            complete: gathered.complete,
            members: gathered.members,
            pending: before.left,
            failed: before.failed,
        });
    }
    Ok(waiting)
}
