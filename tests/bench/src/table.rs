//! The table, in Markdown.

use std::fmt::Write;

use super::contender::{ALL, Kind};
use super::durability::TITLE;
use super::statistics::{cpu, median, memory, ratio, typical, wall};
use super::suite::{Outcome, Results};
use super::{boxed, flat_table, goal};

/// All results.
pub fn markdown(results: &Results) -> String {
    let mut text = String::new();
    heading(&mut text, results);
    let kinds: Vec<Kind> = ALL
        .into_iter()
        .filter(|kind| every(results).any(|one| one.samples.contains_key(kind)))
        .collect();
    if !results.works.is_empty() {
        text.push_str("\nWall time, median; in brackets this program's as a multiple of it, the median of pairs:\n\n");
        times(&mut text, results, &kinds, wall, true);
        text.push_str("\nCPU time of the runner and all that it ran:\n\n");
        times(&mut text, results, &kinds, cpu, false);
    }
    scale(&mut text, results, &kinds);
    if let Some(flat) = &results.flat {
        flat_table::markdown(flat, &mut text);
    }
    durability(&mut text, results);
    boxed::markdown(&results.sandbox, &mut text);
    if let Some(cost) = &results.environment {
        cost.markdown(&mut text);
    }
    results.machines.markdown(&mut text);
    text
}

fn every(results: &Results) -> impl Iterator<Item = &Outcome> {
    results.works.iter()
}

fn heading(text: &mut String, results: &Results) {
    let size = if results.quick { " (short)" } else { "" };
    let _ = writeln!(text, "Measured{size} with:\n");
    for line in &results.machine {
        let _ = writeln!(text, "- {line}");
    }
    let programs: Vec<String> = results
        .contenders
        .iter()
        .filter(|one| !matches!(one.kind, Kind::Floor | Kind::Warm))
        .map(|one| format!("{} {}", one.kind.name(), one.version))
        .collect();
    let _ = writeln!(text, "- {}", programs.join(", "));
    if !results.skipped.is_empty() {
        let _ = writeln!(text, "- left out: {}", results.skipped.join("; "));
    }
}

fn times(
    text: &mut String,
    results: &Results,
    kinds: &[Kind],
    of: fn(&super::measure::Sample) -> f64,
    goals: bool,
) {
    let mut any = false;
    for outcome in every(results) {
        let cells = kinds.iter().map(|&kind| {
            let time = typical(outcome, kind, of).filter(|time| *time > 0.0)?;
            let beside = match kind {
                Kind::Own => None,
                _ => ratio(outcome, kind, of),
            };
            Some(
                seconds(time)
                    + &beside.map_or(String::new(), |r| format!(" ({})", times_as_long(r))),
            )
        });
        let cells: Vec<Option<String>> = cells.collect();
        if cells.iter().any(Option::is_some) {
            if !std::mem::replace(&mut any, true) {
                columns(text, "work", kinds, goals.then_some("goal: met?"));
            }
            let goal = goals.then(|| goal::verdict(outcome));
            row(text, &outcome.title, cells, goal.as_deref());
        }
    }
}

/// Time, memory and state by the number of tasks.
#[allow(clippy::cast_precision_loss)] // Far below 2^53.
fn scale(text: &mut String, results: &Results, kinds: &[Kind]) {
    let works: Vec<&Outcome> = results.works.iter().filter(|one| one.scales).collect();
    if works.is_empty() {
        return;
    }
    text.push_str("\nBy the number of tasks (`tr` a file): wall time a task, and peak memory:\n\n");
    columns(text, "tasks", kinds, None);
    for outcome in &works {
        let cells = kinds.iter().map(|&kind| {
            let time = typical(outcome, kind, wall)? / outcome.tasks as f64;
            let memory = typical(outcome, kind, memory)? / f64::from(1 << 20);
            Some(format!("{:.0} µs, {memory:.1} MiB", time * 1e6))
        });
        row(text, &outcome.tasks.to_string(), cells.collect(), None);
    }
    text.push_str("\nThis program's state on disk, objects aside:\n\n");
    text.push_str("| tasks | bytes a task | bytes a row (tasks and final outputs) | goal: met? |\n|---|---|---|---|\n");
    for outcome in &works {
        if let Some(state) = outcome.state {
            let state = state as f64;
            let tasks = outcome.tasks as f64;
            let _ = writeln!(
                text,
                "| {tasks} | {:.0} | {:.0} | ≤ {:.0}: {} |",
                state / tasks,
                state / (2.0 * tasks - 1.0),
                goal::STATE,
                if state / tasks <= goal::STATE {
                    "yes"
                } else {
                    "**no**"
                },
            );
        }
    }
}

/// What each level of durability costs.
fn durability(text: &mut String, results: &Results) {
    let typical = |samples: &[super::measure::Sample]| median(samples.iter().map(wall));
    let Some(lazy) = results.durability.first() else {
        return;
    };
    let _ = writeln!(
        text,
        "\nBy when results are brought to the disk ({TITLE}):\n\n\
         | `-sync` | wall time | beside `{}` |\n|---|---|---|",
        lazy.name
    );
    for level in &results.durability {
        let pairs = level.samples.iter().zip(&lazy.samples);
        let beside = median(pairs.map(|(one, lazy)| one.wall / lazy.wall));
        if let (Some(time), Some(beside)) = (typical(&level.samples), beside) {
            let _ = writeln!(
                text,
                "| `{}` | {} | {beside:.2} |",
                level.name,
                seconds(time)
            );
        }
    }
}

fn columns(text: &mut String, first: &str, kinds: &[Kind], last: Option<&str>) {
    let names = kinds.iter().map(|kind| kind.name()).chain(last);
    let names: Vec<&str> = names.collect();
    let _ = writeln!(text, "| {first} | {} |", names.join(" | "));
    let _ = writeln!(text, "|---|{}", "---|".repeat(names.len()));
}

fn row(text: &mut String, first: &str, cells: Vec<Option<String>>, last: Option<&str>) {
    let cells: Vec<String> = cells
        .into_iter()
        .map(|cell| cell.unwrap_or_else(|| "–".to_owned()))
        .chain(last.map(str::to_owned))
        .collect();
    let _ = writeln!(text, "| {first} | {} |", cells.join(" | "));
}

/// A ratio; with more digits where two would be nothing.
fn times_as_long(ratio: f64) -> String {
    match ratio {
        0.1.. => format!("{ratio:.2}"),
        0.01.. => format!("{ratio:.3}"),
        _ => format!("{ratio:.4}"),
    }
}

/// Three digits and a unit.
pub fn seconds(time: f64) -> String {
    if time < 0.1 {
        format!("{:.1} ms", time * 1e3)
    } else if time < 1.0 {
        format!("{:.0} ms", time * 1e3)
    } else {
        format!("{time:.2} s")
    }
}
