//! What whoever takes final outputs has to know of them: that they are not all, or of older steps.

use super::counts;
use super::error::Failure;
use super::fit::Fit;
use super::options::Places;
use super::status;
use crate::files::Known;
use crate::inputs::{Inputs, Outside};
use crate::model::event::Compared;
use crate::model::name::StepName;
use crate::model::task::TaskCounts;
use crate::prepare::Source;
use crate::report::table;
use crate::state::{self, Lock, Reader, Rerouted, Runset};
use crate::text::amount;
use crate::text::visible;

/// A line for each thing.
pub(super) fn of(places: &Places, state: &Reader, runset: &Runset) -> Result<Vec<String>, Failure> {
    let mut lines = Vec::new();
    let (total, tainted) = standing(state, runset)?;
    let name = visible(&runset.name);
    if total.failed + total.pending > 0 {
        lines.push(format!(
            "runset {name} is not finished ({} failed, {} pending): these are not all of its results; {}",
            total.failed,
            total.pending,
            what_goes_on(places, state, runset, total.failed + total.pending)?
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
    if !running {
        lines.extend(of_manifest(places, state, runset)?);
    }
    Ok(lines)
}

/// What a run would do about that many tasks that are not finished: nothing about those whose steps the
/// manifest does not have.
fn what_goes_on(
    places: &Places,
    state: &Reader,
    runset: &Runset,
    left: i64,
) -> Result<String, Failure> {
    let source = places.manifest().ok();
    let Some(source) = source.and_then(|path| Source::load(&path).ok()) else {
        return Ok("-run goes on".to_owned());
    };
    let orphaned = counts::orphaned(&source.manifest, state, &state.tallies(runset.id)?)?;
    if orphaned.is_empty() {
        return Ok("-run goes on".to_owned());
    }
    let gone = table::orphaned(&orphaned);
    let others = left - orphaned.iter().map(|(_, count)| count).sum::<i64>();
    Ok(if others > 0 {
        format!("-run goes on with {others} of them; {gone}")
    } else {
        format!("-run does nothing about that: {gone}")
    })
}

/// What the manifest has otherwise by now: where things begin, go, and come in.
fn of_manifest(places: &Places, state: &Reader, runset: &Runset) -> Result<Vec<String>, Failure> {
    let mut lines = Vec::new();
    let Ok(manifest) = places.manifest() else {
        return Ok(lines);
    };
    let Ok(mut source) = Source::load(&manifest) else {
        let words =
            "the manifest has errors, so that nobody knows what changed since; check tells them";
        return Ok(vec![words.to_owned()]);
    };
    if let Some(folder) = &places.workdir {
        source.folder.clone_from(folder);
    }
    let newest = state.newest_runset()?;
    if newest.is_none_or(|newest| newest.name != runset.name) {
        return Ok(lines);
    }
    lines.extend(Fit::of(&source, state, runset)?.warning());
    let sign = state::sign(source.manifest.steps.iter().map(|step| &step.name));
    for Rerouted { from, to, count } in state.would_be_rerouted(runset, &source.router, &sign)? {
        lines.push(table::rerouted(from.as_ref(), to.as_ref(), count));
    }
    if source.manifest.inputs.is_empty() && !state.has_entries(runset)? {
        return Ok(lines);
    }
    let outside = Outside {
        tell: None,
        manifest: &source.manifest,
        texts: &source.texts,
        router: &source.router,
        folder: &source.folder,
        db: state.layout().root(),
        programs: &[],
        params: &[],
        stop: &source.stop,
    };
    let mut known = Known::new(state.contents()?);
    match Inputs::seen(&outside, &mut known, state, runset) {
        Ok(Compared {
            new: 0,
            changed: 0,
            gone: 0,
            ..
        }) => {}
        Ok(compared) => {
            let compared = Compared {
                unchanged: 0,
                ..compared
            };
            lines.push(format!(
                "inputs since the last run: {compared}; -run acts on that"
            ));
        }
        Err(_) => lines.push(
            "inputs cannot be compared with those of the last run; -run -dry-run tells why"
                .to_owned(),
        ),
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
