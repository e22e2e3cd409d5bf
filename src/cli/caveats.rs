//! What whoever takes final outputs has to know of them: that they are not all, or of older steps.

use super::error::Failure;
use super::options::Places;
use super::status;
use crate::model::name::StepName;
use crate::model::task::TaskCounts;
use crate::report::table;
use crate::state::{Lock, Reader, Runset};
use crate::text::amount;
use crate::text::visible;

/// A line for each thing.
pub(super) fn of(places: &Places, state: &Reader, runset: &Runset) -> Result<Vec<String>, Failure> {
    let mut lines = Vec::new();
    let (total, tainted) = standing(state, runset)?;
    let name = visible(&runset.name);
    if total.failed + total.pending > 0 {
        lines.push(format!(
            "runset {name} is not finished ({} failed, {} pending): these are not all of its results; -run goes on",
            total.failed, total.pending
        ));
    }
    if !tainted.is_empty() {
        let steps = tainted
            .iter()
            .map(|(step, count)| format!("{step} {count}"));
        let steps: Vec<String> = steps.collect();
        let count: i64 = tainted.iter().map(|(_, count)| count).sum();
        lines.push(format!(
            "{} of runset {name} {} of older versions ({}), and so may be what came of them; \
             -migrate-tainted -run does them again",
            amount::count(count, "task"),
            if count == 1 { "is" } else { "are" },
            steps.join(", ")
        ));
    }
    let running = Lock::holder(state.layout()).is_some();
    let changed = status::Next::of(places, state, running, false)?.changed;
    if !changed.is_empty() {
        let steps = changed.iter().map(|(step, changes)| {
            let why = match changes.as_slice() {
                [] => "new".to_owned(),
                some => table::changes(some),
            };
            format!("{} ({why})", visible(step.as_str()))
        });
        let steps: Vec<String> = steps.collect();
        lines.push(format!("changed since the last run: {}", steps.join(", ")));
    }
    Ok(lines)
}

/// The tasks of all steps, and how many finished ones of a step are of another version than it has now.
fn standing(
    state: &Reader,
    runset: &Runset,
) -> Result<(TaskCounts, Vec<(StepName, i64)>), Failure> {
    let counts = state.tallies(runset.id)?;
    let (mut total, mut tainted) = (TaskCounts::default(), Vec::new());
    for name in state.step_names()? {
        let versions = state.versions(&name)?;
        let current = versions.iter().find(|version| version.current);
        let mut older = 0;
        for version in &versions {
            let tally = counts.get(&version.id).copied().unwrap_or_default();
            total += tally;
            if current.is_some_and(|current| current.fingerprint != version.fingerprint) {
                older += tally.finished();
            }
        }
        if older > 0 {
            tainted.push((name, older));
        }
    }
    Ok((total, tainted))
}
