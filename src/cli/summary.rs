//! Where the pipeline stands: what is recorded, and what to do next.

use crate::text::amount;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use super::counts;
use super::error::Failure;
use super::fit::Fit;
use super::output::print;
use super::select;
use crate::engine::{self, Stuck};
use crate::model::event::Summary;
use crate::model::name::StepName;
use crate::model::task::TaskCounts;
use crate::prepare::{Source, Steps};
use crate::report::table;
use crate::state::{LockError, Reader, Runset};
use crate::text::{Shown as _, visible};

/// A line about the packages of `steps`, where there are any, by a call that asks no Nix.
pub(super) fn unresolved(steps: &[StepName]) -> String {
    if steps.is_empty() {
        return String::new();
    }
    let names: Vec<&str> = steps.iter().map(StepName::as_str).collect();
    format!(
        "packages not resolved yet, assumed to be unchanged: those of {}\n",
        names.join(", ")
    )
}

/// Prints where the pipeline stands and what to do next. `unresolved`: steps whose packages are
/// not resolved.
pub(super) fn print_standing(
    source: &Source,
    state: &Reader,
    steps: &Steps,
    unresolved: &[StepName],
    runset: Option<&Runset>,
) -> Result<(), Failure> {
    let manifest = &source.manifest;
    let mut text = self::unresolved(unresolved);
    let Some(runset) = runset else {
        let next = match manifest.start() {
            Some(start) => format!("-run starts at {}", start.name),
            None => "-run takes in the inputs".to_owned(),
        };
        let _ = writeln!(text, "nothing has run yet\nnext: {next}");
        return print(&text);
    };
    let summary = Summary {
        runset: runset.name.clone(),
        ..Summary::default()
    };
    let summary = counts::complete(summary, manifest, state, steps, runset)?;
    let _ = writeln!(text, "runset {}", visible(&runset.name));
    text.push_str(&table::counts(&summary.steps));
    let _ = writeln!(text, "{}", amount::count(summary.finals, "final output"));
    text.push_str(&table::waiting(&engine::standing(
        state,
        &steps.all,
        &source.router,
        runset,
    )?));
    let fit = Fit::of(source, state, runset)?;
    let store = select::store(state)?;
    let stuck = engine::stuck(state, &store, &steps.all, &source.router, runset)?;
    for stuck in &stuck {
        let _ = writeln!(text, "{}", stuck.in_words());
    }
    text.push_str(&next(&summary, &fit, &stuck));
    print(&text)
}

/// What to do next, one line.
fn next(summary: &Summary, fit: &Fit, stuck: &[Stuck]) -> String {
    let sum = |what: fn(&TaskCounts) -> i64| -> i64 {
        summary.steps.iter().map(|(_, tally)| what(tally)).sum()
    };
    let (pending, failed) = (sum(|t| t.pending), sum(|t| t.failed));
    let tainted: i64 = summary.tainted.iter().map(|(_, count, _)| count).sum();
    let mut text = String::new();
    if tainted > 0 {
        let _ = writeln!(
            text,
            "{}: {}",
            amount::count(tainted, "tainted task"),
            table::tainted(&summary.tainted)
        );
    }
    if !summary.orphaned.is_empty() {
        let _ = writeln!(
            text,
            "{}",
            table::not_run(&summary.orphaned, &summary.gathering)
        );
    }
    let words = fit
        .warning()
        .or_else(|| put_back(stuck, pending + failed, false));
    let words = match words {
        Some(words) => words,
        None => next_step(pending + failed > 0, tainted > 0, fit.has_inputs()).to_owned(),
    };
    if failed > 0 {
        text.push_str(FAILURES);
    }
    let _ = writeln!(text, "next: {words}");
    text
}

/// Where what failed can be read.
pub(super) const FAILURES: &str = "failures: log -failed\n";

/// What to do if nothing of what is left to be done, `left`, can be. `lost`: whether there is something else to do.
pub(super) fn put_back(stuck: &[Stuck], left: i64, lost: bool) -> Option<String> {
    let tasks: u64 = stuck.iter().map(|stuck| stuck.tasks).sum();
    if tasks == 0 || lost || left > i64::try_from(tasks).unwrap_or(i64::MAX) {
        return None;
    }
    let names: BTreeSet<String> = stuck
        .iter()
        .map(|stuck| visible(stuck.gone.as_str()))
        .collect();
    let names: Vec<String> = names.into_iter().collect();
    let steps = if names.len() == 1 { "step" } else { "steps" };
    Some(format!(
        "put {steps} {} back into the manifest; then -run carries on",
        names.join(", ")
    ))
}

/// What to do about unfinished and about tainted tasks. `inputs`: something may come in that nobody has
/// looked at.
pub(super) fn next_step(unfinished: bool, tainted: bool, inputs: bool) -> &'static str {
    match (unfinished, tainted) {
        (true, true) => "-run carries on; -migrate-tainted -run also does the tainted tasks again",
        (true, false) => "-run carries on",
        (false, true) => "-migrate-tainted -run does the tainted tasks again",
        (false, false) if inputs => {
            "nothing is left to do, unless inputs have changed; -run finds out"
        }
        (false, false) => "nothing is left to do; -run -fresh starts over as a new runset",
    }
}

/// The same where nothing may be written, because another process runs the pipeline or because of
/// the folder's mode: only what is recorded.
pub(super) fn as_recorded(
    source: &Source,
    db: &Path,
    why: &LockError,
) -> Result<ExitCode, Failure> {
    let state = Reader::open(db)?;
    let Some(runset) = state.newest_runset()? else {
        print("nothing is recorded yet\n")?;
        return Ok(ExitCode::SUCCESS);
    };
    let about = match why {
        LockError::Folder(_) => why.to_string(),
        LockError::Held { holder, .. } => format!("which {holder} is running"),
        LockError::Io { .. } | LockError::Moved(_) => {
            format!("as it is recorded: {} may not be written to", db.shown())
        }
    };
    let mut text = format!("runset {}, {about}\n", visible(&runset.name));
    text.push_str(&table::counts(&counts::by_step(
        &source.manifest,
        &state,
        &runset,
    )?));
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}
