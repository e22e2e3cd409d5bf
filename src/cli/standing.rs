//! Where the pipeline stands: what is recorded, and what to do next.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use super::error::Failure;
use super::fit::Fit;
use super::run::print;
use crate::core::event::Summary;
use crate::core::manifest::Manifest;
use crate::core::name::StepName;
use crate::core::task::Tally;
use crate::core::text::{Shown as _, visible};
use crate::pipeline::{Source, Steps};
use crate::report::table;
use crate::state::{self, LockError, Runset, State, StepId};

/// Counts of a runset, by the steps of the manifest, all their versions together.
pub fn by_step(
    manifest: &Manifest,
    state: &State,
    runset: &Runset,
) -> Result<Vec<(StepName, Tally)>, state::Error> {
    let counts = by_name(state, &state.tallies(runset.id)?)?;
    let of = |name: &StepName| counts.get(name.as_str()).copied().unwrap_or_default();
    Ok(manifest
        .steps
        .iter()
        .map(|step| (step.name.clone(), of(&step.name)))
        .collect())
}

/// Counts by step, all versions together.
fn by_name(
    state: &State,
    counts: &HashMap<StepId, Tally>,
) -> Result<HashMap<StepName, Tally>, state::Error> {
    let mut totals: HashMap<StepName, Tally> = HashMap::new();
    for (id, name) in state.names_of_versions()? {
        if let Some(tally) = counts.get(&id) {
            *totals.entry(name).or_default() += *tally;
        }
    }
    Ok(totals)
}

/// Adds to a run's summary what only the state knows.
pub fn complete(
    mut summary: Summary,
    manifest: &Manifest,
    state: &State,
    steps: &Steps,
    runset: &Runset,
) -> Result<Summary, state::Error> {
    let counts = state.tallies(runset.id)?;
    summary.steps = by_step(manifest, state, runset)?;
    summary.pending = summary.steps.iter().map(|(_, tally)| tally.pending).sum();
    summary.finals = counts.get(&StepId::FINAL).map_or(0, Tally::total);
    summary.tainted = steps.tainted(state, runset)?;
    summary.orphaned = orphaned(manifest, state, &counts)?;
    Ok(summary)
}

/// Unfinished tasks of steps that are no longer in the manifest.
pub fn orphaned(
    manifest: &Manifest,
    state: &State,
    counts: &HashMap<StepId, Tally>,
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

/// A line about the packages of `steps`, where there are any, by a call that asks no Nix.
pub fn unresolved(steps: &[StepName]) -> String {
    if steps.is_empty() {
        return String::new();
    }
    let names: Vec<&str> = steps.iter().map(StepName::as_str).collect();
    format!(
        "not resolved yet, taken to stay as they are: the packages of {}\n",
        names.join(", ")
    )
}

/// Prints where the pipeline stands and what to do next. `unresolved`: steps whose packages are
/// not resolved.
pub fn print_standing(
    source: &Source,
    state: &State,
    steps: &Steps,
    unresolved: &[StepName],
    runset: Option<&Runset>,
) -> Result<(), Failure> {
    let manifest = &source.manifest;
    let mut text = self::unresolved(unresolved);
    let Some(runset) = runset else {
        let start = &manifest.start().name;
        let _ = writeln!(text, "nothing ran yet\nnext: -run starts at {start}");
        return print(&text);
    };
    let summary = Summary {
        runset: runset.name.clone(),
        ..Summary::default()
    };
    let summary = complete(summary, manifest, state, steps, runset)?;
    let _ = writeln!(text, "runset {}", visible(&runset.name));
    text.push_str(&table::counts(&summary.steps));
    let _ = writeln!(text, "{}", table::count(summary.finals, "final output"));
    let fit = Fit::of(source, state, runset)?;
    text.push_str(&next(&summary, &fit));
    print(&text)
}

/// What to do next, one line.
fn next(summary: &Summary, fit: &Fit) -> String {
    let sum = |what: fn(&Tally) -> i64| -> i64 {
        summary.steps.iter().map(|(_, tally)| what(tally)).sum()
    };
    let (pending, failed) = (sum(|t| t.pending), sum(|t| t.failed));
    let tainted: i64 = summary.tainted.iter().map(|(_, count, _)| count).sum();
    let mut text = String::new();
    if tainted > 0 {
        let _ = writeln!(
            text,
            "{}: {}",
            table::count(tainted, "tainted task"),
            table::tainted(&summary.tainted)
        );
    }
    if !summary.orphaned.is_empty() {
        let _ = writeln!(text, "not run: {}", table::orphaned(&summary.orphaned));
    }
    let words = match fit.warning() {
        Some(words) => words,
        None => next_step(pending + failed > 0, tainted > 0).to_owned(),
    };
    let _ = writeln!(text, "next: {words}");
    text
}

/// What to do about unfinished and about tainted tasks.
pub fn next_step(unfinished: bool, tainted: bool) -> &'static str {
    match (unfinished, tainted) {
        (true, true) => "-run goes on; -migrate-tainted -run also does the tainted tasks again",
        (true, false) => "-run goes on",
        (false, true) => "-migrate-tainted -run does the tainted tasks again",
        (false, false) => "nothing is left to do; -run -fresh starts over as a new runset",
    }
}

/// The same where nothing may be written, because another process runs the pipeline or because of
/// the folder's mode: only what is recorded.
pub fn as_recorded(source: &Source, db: &Path, why: &LockError) -> Result<ExitCode, Failure> {
    let state = State::open_for_reading(db)?;
    let Some(runset) = state.newest_runset()? else {
        print("nothing is recorded yet\n")?;
        return Ok(ExitCode::SUCCESS);
    };
    let about = match why {
        LockError::Held { holder, .. } => format!("which {holder} is running"),
        LockError::Io { .. } | LockError::Moved(_) => {
            format!("as it is recorded: {} may not be written to", db.shown())
        }
    };
    let mut text = format!("runset {}, {about}\n", visible(&runset.name));
    text.push_str(&table::counts(&by_step(&source.manifest, &state, &runset)?));
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}
