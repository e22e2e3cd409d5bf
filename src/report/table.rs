//! Counts in words and columns.

use crate::text::amount;
use crate::text::colour::count_of;
use std::fmt::Write as _;

use crate::model::event::Waiting;
use crate::model::identity::Change;
use crate::model::name::StepName;
use crate::model::param;
use crate::model::task::TaskCounts;
use crate::model::untaken::Untaken;
use crate::text::visible;

/// A line a step with what is recorded.
pub(crate) fn counts(steps: &[(StepName, TaskCounts)]) -> String {
    let width = steps
        .iter()
        .map(|(name, _)| name.as_str().chars().count())
        .max()
        .unwrap_or(0);
    steps.iter().fold(String::new(), |mut text, (name, tally)| {
        let _ = writeln!(text, "  {:width$}  {}", name.as_str(), in_words(tally));
        text
    })
}

/// `3 done, 1 failed`.
pub(crate) fn in_words(tally: &TaskCounts) -> String {
    let words: Vec<String> = [
        (tally.done, "done"),
        (tally.reused, "reused"),
        (tally.failed, "failed"),
        (tally.pending, "pending"),
    ]
    .iter()
    .filter(|(number, _)| *number != 0)
    .map(|(number, word)| count_of(*number, word))
    .collect();
    if words.is_empty() {
        "no tasks".to_owned()
    } else {
        words.join(", ")
    }
}

/// `process 3 (script), upload 1 (packages (curl))`.
pub(crate) fn tainted(tainted: &[(StepName, i64, Vec<Change>)]) -> String {
    let words: Vec<String> = tainted
        .iter()
        .map(|(step, count, why)| format!("{step} {count} ({})", changes(why)))
        .collect();
    words.join(", ")
}

/// `12 unfinished tasks are of steps that the manifest does not have: sort 10, merge 2`.
pub(crate) fn orphaned(orphaned: &[(String, i64)]) -> String {
    let total: i64 = orphaned.iter().map(|(_, count)| count).sum();
    let are = if total == 1 { "is" } else { "are" };
    let words: Vec<String> = orphaned
        .iter()
        .map(|(step, count)| format!("{} {count}", visible(step)))
        .collect();
    format!(
        "{} {are} of steps that the manifest does not have: {}",
        amount::count(total, "unfinished task"),
        words.join(", ")
    )
}

/// The same as what a run leaves out. `gathering`: the steps that would wait for it, were it of the manifest.
pub(crate) fn not_run(orphans: &[(String, i64)], gathering: &[StepName]) -> String {
    let names: Vec<&str> = gathering.iter().map(StepName::as_str).collect();
    let wait = match names.len() {
        0 => String::new(),
        1 => format!("; {} does not wait for that", names[0]),
        _ => format!("; {} do not wait for that", names.join(", ")),
    };
    format!("not run: {}{wait}", orphaned(orphans))
}

/// `2 outputs that were final go to step merge`; no step stands for final outputs.
pub(crate) fn rerouted(from: Option<&StepName>, to: Option<&StepName>, count: i64) -> String {
    let were = if count == 1 { "was" } else { "were" };
    let outputs = amount::count(count, "output");
    let from = match from {
        Some(from) => format!("that went to step {from}"),
        None => format!("that {were} final"),
    };
    let goes = match (to, count) {
        (Some(to), 1) => format!("goes to step {to}"),
        (Some(to), _) => format!("go to step {to}"),
        (None, 1) => "is final".to_owned(),
        (None, _) => "are final".to_owned(),
    };
    format!("{outputs} {from} {goes}")
}

/// `mode=fast, threshold=0.7`.
pub(crate) fn params(given: &[(&str, &str)]) -> String {
    let words = given
        .iter()
        .map(|(name, value)| format!("{name}={}", visible(&param::shown(value))));
    words.collect::<Vec<_>>().join(", ")
}

/// A line for each pattern of `from` that nothing matches.
pub(crate) fn untaken(untaken: &[Untaken]) -> String {
    untaken.iter().fold(String::new(), |mut text, one| {
        let _ = writeln!(text, "{one}");
        text
    })
}

/// `merge: 12 of 14 groups gathered, waits for 1 pending, 1 failed`, a line a step.
pub(crate) fn waiting(waiting: &[Waiting]) -> String {
    waiting.iter().fold(String::new(), |mut text, one| {
        let _ = writeln!(text, "{}: {one}", visible(one.step.as_str()));
        text
    })
}

/// `script, variables (A)`.
pub(crate) fn changes(changes: &[Change]) -> String {
    if changes.is_empty() {
        return "another version".to_owned();
    }
    let words = changes.iter().map(|change| visible(&change.to_string()));
    words.collect::<Vec<_>>().join(", ")
}
