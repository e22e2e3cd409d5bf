//! What a run came to, in lines.

use std::fmt::Write as _;
use std::time::Duration;

use super::super::table;
use super::{begun, of_group, on};
use crate::model::event::Summary;
use crate::text::amount;
use crate::text::colour::{Mark, count_of, marked};
use crate::text::time::short;
use crate::text::visible;

/// The tasks whose results came from a shared cache, where there are any.
pub(in crate::report) fn from_cache(tasks: u64) -> String {
    match tasks {
        0 => String::new(),
        tasks => format!("{tasks} from a cache, "),
    }
}

/// `2 tasks succeeded at a later try: fetch #12 (try 3), fetch #15 (try 2)`.
pub(in crate::report) fn flaky(summary: &Summary) -> String {
    const NAMED: usize = 5;
    let named = summary.late.iter().take(NAMED);
    let named: Vec<String> = named
        .map(|(failed, tries)| format!("{} #{} (try {tries})", failed.step, failed.task))
        .collect();
    let more = summary.flaky > named.len() as u64;
    format!(
        "{} succeeded at a later try: {}{}",
        amount::count(summary.flaky, "task"),
        named.join(", "),
        if more { ", …" } else { "" }
    )
}

/// `lost on other machines: 3 tries with n7`; of many machines the first ones.
pub(in crate::report) fn lost(summary: &Summary) -> Option<String> {
    const NAMED: usize = 8;
    if summary.lost.is_empty() {
        return None;
    }
    let mut words: Vec<String> = summary
        .lost
        .iter()
        .take(NAMED)
        .map(|(node, lost)| {
            let tries = if *lost == 1 { "try" } else { "tries" };
            format!("{lost} {tries} with {}", visible(node))
        })
        .collect();
    let rest: u64 = summary.lost.values().skip(NAMED).sum();
    if rest > 0 {
        words.push(format!("{rest} with others"));
    }
    Some(format!("lost on other machines: {}", words.join(", ")))
}

/// Steps that are not given all their secrets, and what to do.
fn lacking(summary: &Summary) -> String {
    let mut text = String::new();
    for lacking in &summary.lacking {
        let options = lacking
            .secrets
            .iter()
            .map(|name| format!(" -secret {name}=FILE"));
        let _ = writeln!(text, "{lacking}\nhint:{}", options.collect::<String>());
    }
    text
}

/// Why a run did not end well although no task of it failed: of failures there were lines as they came.
pub(super) fn left_undone(summary: &Summary) -> String {
    let astray = summary.waiting.iter().filter(|one| one.is_astray());
    let astray: Vec<_> = astray.cloned().collect();
    table::waiting(&astray) + &lacking(summary)
}

/// Final outputs that may have been meant for a step.
fn near(summary: &Summary) -> String {
    let mut text = String::new();
    for (name, step) in &summary.near {
        let name = visible(name);
        let _ = writeln!(text, "final output {name}: did you mean the step {step}?");
    }
    if summary.near_more > 0 {
        let _ = writeln!(
            text,
            "and {} with names close to a step's",
            amount::count(summary.near_more, "more final output")
        );
    }
    text
}

/// The end of a run, the failures last.
pub(in crate::report) fn summary(summary: &Summary) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "runset {}: {} run, {} reused, {}{}, {} pending, {} in {}",
        visible(&summary.runset),
        summary.executed,
        summary.reused,
        from_cache(summary.shared),
        count_of(summary.failed, "failed"),
        summary.pending,
        amount::count(summary.finals, "final output"),
        short(summary.elapsed),
    );
    if summary.finals > 0 && !summary.published {
        let what = amount::count(summary.finals, "final output");
        let _ = writeln!(
            text,
            "`task-pipeline export{} -to DIR` writes the {what} as files",
            summary.places
        );
    }
    if summary.remade > 0 {
        let _ = writeln!(
            text,
            "{} ran again, as what they had left was evicted and is needed",
            amount::count(summary.remade, "task")
        );
    }
    if let Some(lost) = lost(summary) {
        let _ = writeln!(text, "{lost}");
    }
    // Of the present session everybody knows.
    if let Some(age) = summary
        .oldest_reused
        .filter(|age| *age >= Duration::from_mins(1))
    {
        let _ = writeln!(
            text,
            "the oldest result that was reused is {} old",
            short(age)
        );
    }
    text.push_str(&near(summary));
    text.push_str(&table::untaken(&summary.untaken));
    text.push_str(&table::waiting(&summary.waiting));
    text.push_str(&lacking(summary));
    if let Some(left_out) = &summary.left_out {
        let _ = writeln!(text, "{left_out}");
    }
    if !summary.orphaned.is_empty() {
        let _ = writeln!(
            text,
            "{}; if a step has another name now, -run -start with the step before it makes its \
             inputs anew",
            table::not_run(&summary.orphaned, &summary.gathering)
        );
    }
    if !summary.tainted.is_empty() {
        let _ = writeln!(
            text,
            "tainted: {}; -migrate-tainted -run does them again",
            table::tainted(&summary.tainted)
        );
    }
    if summary.flaky > 0 {
        let _ = writeln!(text, "flaky: {}", flaky(summary));
    }
    for failure in &summary.failures {
        let input = match &failure.input_name {
            Some(name) => format!(" on {}{}", visible(name), failure.form.slash()),
            None => of_group(failure.key.as_deref()),
        };
        let node = on(failure.node.as_deref());
        let (step, task) = (&failure.step, failure.task);
        let _ = writeln!(
            text,
            "failed: {step} #{task}{input}{}",
            match node.as_str() {
                "" => String::new(),
                node => format!(",{node}"),
            }
        );
        text.push_str(&begun("  ", failure.error.as_bytes()));
    }
    let shown = summary.failures.len() as u64;
    if summary.failed > shown {
        let _ = writeln!(
            text,
            "and {}: `task-pipeline tasks{} -state failed` lists them",
            marked(
                Mark::Bad,
                &format!("{} more failed", summary.failed - shown)
            ),
            summary.places
        );
    }
    text
}
