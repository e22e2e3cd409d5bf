//! A runset is brought into the shape that the manifest has now.

use std::sync::Arc;

use super::key_of;
use crate::engine::step::StepPlan;
use crate::model::route::Router;
use crate::state::{self, Runset, Shape, State};

/// Has what came to steps that gather be members, and what came to others be tasks. What is finished
/// stays as it is.
pub(crate) fn reshape(
    state: &mut State,
    runset: &Runset,
    steps: &[Arc<StepPlan>],
    router: &Router,
) -> Result<(), state::Error> {
    let gathers = steps.iter().any(|step| step.gather.is_some());
    if !gathers && !state.has_gathered(runset)? {
        return Ok(());
    }
    for step in steps {
        let shape = Shape {
            name: &step.name,
            step: step.id,
            gather: step.gather,
        };
        state.reshape(runset, &shape, &|reader, task| key_of(reader, router, task))?;
    }
    Ok(())
}
