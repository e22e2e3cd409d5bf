//! How many tasks a runset has, by step.

use std::collections::HashMap;

use crate::manifest::{Manifest, Step};
use crate::model::event::Summary;
use crate::model::name::StepName;
use crate::model::task::TaskCounts;
use crate::prepare::Steps;
use crate::state::{self, Reader, Runset, StepId};

/// Counts of a runset, by the steps of the manifest, all their versions together.
pub(super) fn by_step(
    manifest: &Manifest,
    state: &Reader,
    runset: &Runset,
) -> Result<Vec<(StepName, TaskCounts)>, state::Error> {
    let counts = by_name(state, &state.tallies(runset.id)?)?;
    let of = |name: &StepName| counts.get(name.as_str()).copied().unwrap_or_default();
    Ok(manifest
        .steps
        .iter()
        .map(|step| (step.name.clone(), of(&step.name)))
        .collect())
}

/// Counts by step, all versions together.
pub(super) fn by_name(
    state: &Reader,
    counts: &HashMap<StepId, TaskCounts>,
) -> Result<HashMap<StepName, TaskCounts>, state::Error> {
    let mut totals: HashMap<StepName, TaskCounts> = HashMap::new();
    for (id, name) in state.names_of_versions()? {
        if let Some(tally) = counts.get(&id) {
            *totals.entry(name).or_default() += *tally;
        }
    }
    Ok(totals)
}

/// Adds to a run's summary what only the state knows.
pub(super) fn complete(
    mut summary: Summary,
    manifest: &Manifest,
    state: &Reader,
    steps: &Steps,
    runset: &Runset,
) -> Result<Summary, state::Error> {
    let counts = state.tallies(runset.id)?;
    summary.steps = by_step(manifest, state, runset)?;
    summary.pending = summary.steps.iter().map(|(_, tally)| tally.pending).sum();
    summary.finals = counts.get(&StepId::FINAL).map_or(0, TaskCounts::total);
    summary.tainted = steps.tainted(state, runset)?;
    summary.orphaned = orphaned(manifest, state, &counts)?;
    summary.gathering = gathering(manifest);
    Ok(summary)
}

/// The steps that gather, or get what others leave.
pub(super) fn gathering(manifest: &Manifest) -> Vec<StepName> {
    let waits = |step: &&Step| step.gather.is_some() || !step.with.is_empty();
    let steps = manifest.steps.iter().filter(waits);
    steps.map(|step| step.name.clone()).collect()
}

/// Unfinished tasks of steps that are no longer in the manifest.
pub(super) fn orphaned(
    manifest: &Manifest,
    state: &Reader,
    counts: &HashMap<StepId, TaskCounts>,
) -> Result<Vec<(String, i64)>, state::Error> {
    let totals = by_name(state, counts)?;
    let mut orphaned = Vec::new();
    for name in state.step_names()? {
        if let Some(tally) = totals.get(&name)
            && tally.pending + tally.failed > 0
            && manifest.step(&name).is_none()
        {
            orphaned.push((name.to_string(), tally.pending + tally.failed));
        }
    }
    Ok(orphaned)
}
