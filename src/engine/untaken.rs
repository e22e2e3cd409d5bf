//! Patterns of `from` that took nothing, found when all is done: before that something may still come.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::step::StepPlan;
use crate::model::untaken::Untaken;
use crate::state::{self, Reader, Runset, StepId};

/// What steps take by a pattern that none of the outputs matches of the step that it names, where all is
/// done in the runset. Not of steps whose `outputs` say what they leave: the manifest is checked for that.
///
/// Reads of a step's outputs as many as it takes for each pattern to match one.
pub(crate) fn untaken(
    state: &Reader,
    steps: &[Arc<StepPlan>],
    runset: &Runset,
) -> Result<Vec<Untaken>, state::Error> {
    let mut untaken = Vec::new();
    let mut done = None;
    for maker in steps.iter().filter(|maker| maker.outputs.is_none()) {
        let asked = steps.iter().flat_map(|step| {
            let of_maker = step.from.iter().filter(|source| source.step == maker.name);
            let needed = of_maker.filter(|source| {
                let pattern = source.pattern.as_ref();
                pattern.is_some_and(|pattern| !pattern.is_optional())
            });
            needed.map(|source| Untaken::new(&step.name, source))
        });
        let mut asked: Vec<Untaken> = asked.collect();
        if asked.is_empty() {
            continue;
        }
        let done = match done {
            Some(done) => done,
            None => *done.insert(is_done(state, steps, runset)?),
        };
        if !done {
            break;
        }
        state.names_left_by(runset, &maker.name, |name| {
            asked.retain_mut(|one| !one.is_it(name));
            if asked.is_empty() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        untaken.extend(asked.into_iter().filter(|one| one.outputs > 0));
    }
    Ok(untaken)
}

/// Whether no task of these steps, whatever their version, is to be done.
fn is_done(state: &Reader, steps: &[Arc<StepPlan>], runset: &Runset) -> Result<bool, state::Error> {
    let tallies = state.tallies(runset.id)?;
    let left = |id: StepId| {
        let tally = tallies.get(&id).copied().unwrap_or_default();
        tally.pending + tally.failed > 0
    };
    let versions = state.names_of_versions()?;
    Ok(!versions
        .iter()
        .any(|(id, name)| left(*id) && steps.iter().any(|step| step.name == *name)))
}
