//! The page's parts in words and tables: summary, steps, failures, environments, tasks.

use maud::{Markup, PreEscaped, html};

use super::table::{Column, Table};
use super::{Failure, Log, Page, Task, VersionPart, in_groups};
use crate::model::environment::Environment;
use crate::model::task::TaskState;
use crate::text::amount::{bytes, grouped, grouped_count};
use crate::text::time::{point, short_micros};
use crate::text::width::{cut_middle, head};
use crate::text::{plain, visible};
use crate::view::graph::Node;

/// Bytes of an error's text, and of its first line in the table of tasks.
const ERROR: usize = 50_000;
const FIRST_LINE: usize = 1000;
/// Rows of the table of edges.
const EDGES: usize = 2000;
/// Lines about accepted tasks.
const ACCEPTED: usize = 100;
/// Bytes of one script, and of all that is told of environments.
const SCRIPT: usize = 20_000;
const ENVIRONMENTS: usize = 300_000;

/// How the runset stands, in one list.
pub(super) fn summary(page: &Page) -> Markup {
    let steps = || page.graph.nodes.iter().filter(|node| !node.sink);
    let sum = |what: fn(&Node) -> i64| -> i64 { steps().map(what).sum() };
    let (failed, tainted) = (sum(|n| n.tally.failed), sum(|n| n.tainted));
    let pending = sum(|n| n.tally.pending);
    let finals: i64 = page
        .graph
        .nodes
        .iter()
        .filter(|node| node.sink)
        .map(|node| node.tally.total())
        .sum();
    let spent = page
        .spreads
        .iter()
        .fold(0_u64, |sum, s| sum.saturating_add(s.durations.sum));
    let state = match (failed, pending, tainted) {
        (0, 0, 0) => "Everything is done.".to_owned(),
        (0, 0, _) => format!(
            "Done, but {} from another version.",
            grouped_count(tainted, "task")
        ),
        (0, _, _) => format!("{} still to be executed.", grouped_count(pending, "task")),
        _ => format!("{} failed.", grouped_count(failed, "task")),
    };
    let kind = match (failed, pending, tainted) {
        (0, 0, 0) => "fine",
        (0, 0, _) => "tainted",
        (0, _, _) => "pending",
        _ => "failed",
    };
    let (done, reused) = (sum(|n| n.tally.done), sum(|n| n.tally.reused));
    // What is 0, and what was just said, says nothing.
    let counts = [
        ("Done", done, done != page.all_tasks),
        ("Reused", reused, reused != page.all_tasks),
        ("Pending", pending, kind != "pending"),
        ("Tainted", tainted, kind != "tainted"),
        ("Flaky", page.all_flaky, true),
    ];
    let mut facts = vec![("Tasks", grouped(page.all_tasks))];
    let counts = counts
        .into_iter()
        .filter(|(_, count, new)| *count > 0 && *new);
    facts.extend(counts.map(|(name, count, _)| (name, grouped(count))));
    facts.push(("Final outputs", grouped(finals)));
    let spent = short_micros(i64::try_from(spent).unwrap_or(i64::MAX));
    facts.push(("Time spent", spent));
    facts.extend(page.created.map(|created| ("Seeded", point(created))));
    html! {
        p class={ "state " (kind) } { (state) }
        dl.facts {
            @for (name, value) in &facts {
                div class=[(value.len() > 20).then_some("wide")] { dt { (name) } dd { (value) } }
            }
        }
    }
}

/// The table of steps.
pub(super) fn steps(page: &Page) -> Markup {
    type Count = fn(&Node) -> i64;
    let counts: [(&str, Count); 5] = [
        ("Done", |node| node.tally.done),
        ("Reused", |node| node.tally.reused),
        ("Failed", |node| node.tally.failed),
        ("Pending", |node| node.tally.pending),
        ("Tainted", |node| node.tainted),
    ];
    let rows = || {
        let order = page.graph.in_order().into_iter();
        order
            .map(|at| (at, &page.graph.nodes[at]))
            .filter(|(_, node)| !node.sink)
    };
    // Of what no step has any there is no column.
    let is_there =
        |(name, count): &(&str, Count)| *name == "Done" || rows().any(|(_, node)| count(node) != 0);
    let counts: Vec<(&str, Count)> = counts.into_iter().filter(is_there).collect();
    let mut columns = vec![
        ("Step", Column::Text),
        ("Version", Column::Number),
        ("State", Column::Text),
    ];
    columns.extend(counts.iter().map(|(name, _)| (*name, Column::Number)));
    columns.push(("Time spent", Column::Number));
    let mut table = Table::new("steps", "Steps", false, &columns);
    for (at, node) in rows() {
        let version = node.versions.iter().find(|version| version.current);
        let version = version.map(|version| version.number);
        let start = if node.start { " (start)" } else { "" };
        let gone = if node.gone {
            " (not in the manifest)"
        } else {
            ""
        };
        let fed = match node.inputs.as_slice() {
            [] => String::new(),
            inputs => format!(" (← {})", inputs.join("; ")),
        };
        let status = node.status();
        let number = node.version().unwrap_or_else(|| "–".to_owned());
        let place = page
            .versions
            .iter()
            .position(|part| part.current && part.step == node.name);
        table.target(format!("step-{at}"));
        match place {
            Some(place) => table.text(html! {
                a href={ "#version-" (place) } { (node.name) } (start) (gone) (fed)
            }),
            None => table.text(format!("{}{start}{gone}{fed}", node.name)),
        };
        table
            .number(&number, version)
            .text(badge(status.word(), status.mark()));
        for (_, count) in &counts {
            let value = count(node);
            let shown = if value == 0 {
                "–".to_owned()
            } else {
                grouped(value)
            };
            table.number(&shown, Some(value));
        }
        let spent = page.spreads.get(at).map_or(0, |s| s.durations.sum);
        let spent = i64::try_from(spent).unwrap_or(i64::MAX);
        table.number(&short_micros(spent), Some(spent));
    }
    html! {
        (groups(page))
        (table.finish())
        @for words in page.taken.iter().take(ACCEPTED) { p.note { (visible(words)) "." } }
        @for words in page.accepted.iter().take(ACCEPTED) { p.note { (visible(words)) "." } }
        @if page.accepted.len() > ACCEPTED {
            p.note { "And more; " code { "task-pipeline status" } " lists all." }
        }
    }
}

/// That steps are shown in groups, if they are.
pub(super) fn groups(page: &Page) -> Markup {
    html! {
        @if let Some(steps) = page.grouped {
            p.note {
                (in_groups(steps, &page.graph)) ". "
                code { "task-pipeline status" } " lists each."
            }
        }
    }
}

fn badge(word: &str, mark: char) -> Markup {
    html! {
        span class={ "badge " (word) } { span aria-hidden="true" { (mark) } " " (word) }
    }
}

/// The graph's edges as a table: the picture's text alternative.
pub(super) fn edges(page: &Page) -> Markup {
    let columns = [
        ("From", Column::Text),
        ("To", Column::Text),
        ("Outputs", Column::Number),
        ("In the script", Column::Text),
        ("With each input", Column::Text),
    ];
    let mut table = Table::new("edges", "What goes from step to step", false, &columns);
    let all = page.graph.edges().count();
    for edge in page.graph.edges().take(EDGES) {
        table
            .text(&page.graph.nodes[edge.from].name)
            .text(&page.graph.nodes[edge.to].name)
            .number(&grouped(edge.observed), Some(edge.observed))
            .text(if edge.declared { "yes" } else { "no" })
            .text(if edge.with { "yes" } else { "no" });
    }
    html! {
        details {
            summary { "The graph as a table" }
            @if all > EDGES {
                p.note {
                    "The first " (grouped(signed(EDGES))) " of " (grouped(signed(all))) " are shown."
                }
            }
            (table.finish())
        }
    }
}

fn signed(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Failed tasks with the ends of their logs.
pub(super) fn failures(page: &Page) -> Markup {
    let shown = i64::try_from(page.failures.len()).unwrap_or(i64::MAX);
    html! {
        @if shown == 0 { p { "No task failed." } }
        @else if shown < page.all_failures {
            p.note {
                (grouped(shown)) " of " (grouped_count(page.all_failures, "failed task"))
                " are shown, the first of each step."
            }
        }
        @for (place, failure) in page.failures.iter().enumerate() {
            (one_failure(failure, place < 3))
        }
        (flaky(page))
    }
}

/// Tasks that succeeded at a later try.
fn flaky(page: &Page) -> Markup {
    let columns = [
        ("Task", Column::Number),
        ("Step", Column::Text),
        ("Input", Column::Text),
        ("Succeeded at try", Column::Number),
        ("The one before", Column::Text),
    ];
    let mut table = Table::new("flaky", "Flaky tasks", false, &columns);
    for task in &page.flaky {
        let error = plain(&task.error);
        table
            .number(&task.id.to_string(), Some(task.id))
            .text(cut_middle(&task.name, 60))
            .text(cut_middle(&visible(&task.input), 60))
            .number(&task.tries.to_string(), Some(task.tries))
            .text(head(error.lines().next().unwrap_or_default(), FIRST_LINE).0);
    }
    let shown = signed(page.flaky.len());
    html! {
        @if page.all_flaky > 0 {
            h3 { "Flaky" }
            p.note {
                (grouped_count(page.all_flaky, "task")) " succeeded at a later try"
                @if shown < page.all_flaky { ", of which the first " (grouped(shown)) " are shown" }
                "."
            }
            (table.finish())
        }
    }
}

fn one_failure(failure: &Failure, open: bool) -> Markup {
    let task = &failure.task;
    let error = plain(task.error.as_deref().unwrap_or_default());
    let first = error.lines().next().unwrap_or_default();
    let (first, cut) = head(first, ERROR);
    let (text, more) = head(&error, ERROR);
    html! {
        details.failure id={ "failure-" (task.id) } open[open] {
            summary {
                (task.name) " #" (task.id) " v" (task.version) ": " (first) @if cut { "…" }
            }
            p {
                @if !task.input.is_empty() { "input " code { (visible(&task.input)) } ", " }
                a href={ "#task-" (task.id) } { "#" (task.id) " among the tasks" }
            }
            @if says_more(&error, &failure.logs) {
                pre tabindex="0" { (text) @if more { "\n[…]" } }
            }
            @for log in &failure.logs { (one_log(log, task.id)) }
        }
    }
}

/// Whether an error has lines beyond the first that stand in no log.
fn says_more(error: &str, logs: &[Log]) -> bool {
    let logs: Vec<String> = logs
        .iter()
        .filter_map(|log| log.tail.as_ref().ok())
        .map(|text| plain(text))
        .collect();
    error
        .lines()
        .skip(1)
        .any(|line| !logs.iter().any(|log| log.contains(line.trim())))
}

fn one_log(log: &Log, task: i64) -> Markup {
    html! {
        h3 {
            (log.stream)
            @if log.cut > 0 {
                ", the end of it; the " (bytes(log.cut)) " before that are told by "
                code { "task-pipeline log " (task) }
            }
        }
        @match &log.tail {
            Ok(text) => {
                pre tabindex="0" role="region" aria-label={ (log.stream) " of task " (task) } { (plain(text).trim_end()) }
            }
            Err(error) => { p.note { (error) } }
        }
    }
}

/// Scripts, variables and packages of the steps' versions.
pub(super) fn environments(page: &Page) -> Markup {
    let mut out = String::new();
    let mut left = page.versions.len();
    for (place, part) in page.versions.iter().enumerate() {
        if out.len() > ENVIRONMENTS {
            break;
        }
        left -= 1;
        out.push_str(&version(part, place).0);
    }
    html! {
        (PreEscaped(out))
        @if page.versions.is_empty() { p { "No step is registered." } }
        @if left > 0 { p.note { (left) " more are left out." } }
    }
}

fn version(part: &VersionPart, place: usize) -> Markup {
    let line = |name: &str, value: Markup| html! { dt { (name) } dd { (value) } };
    let (script, more) = head(&part.script, SCRIPT);
    html! {
        details id={ "version-" (place) } {
            summary {
                (cut_middle(&part.step, 60)) " v" (part.number)
                @if !part.current { " (not current)" }
                ": " (part.tools)
            }
            dl {
                @if let Some(created) = part.created {
                    (line("Registered", html! { (point(created)) }))
                }
                @if !part.changes.is_empty() { (line("Changed", html! { (visible(&part.changes)) })) }
                @if !part.shell.is_empty() { (line("Shell", html! { code { (part.shell) } })) }
                @for (name, value) in &part.variables {
                    @let (value, more) = head(value, 2000);
                    (line("Variable", html! {
                        code { (name) "=" (visible(value)) @if more { "…" } }
                    }))
                }
            }
            @if let Some(environment) = &part.environment {
                (packages(part, environment, place))
            }
            h3 { "Script" }
            pre tabindex="0" { (script.trim_matches('\n')) @if more { "\n[…]" } }
        }
    }
}

/// The packages of the version that is at `place`.
fn packages(part: &VersionPart, environment: &Environment, place: usize) -> Markup {
    let columns = [
        ("Package", Column::Fixed),
        ("Pinned to", Column::Fixed),
        ("Store paths", Column::Fixed),
    ];
    let caption = format!("Packages of {} v{}", part.step, part.number);
    let id = format!("packages-{place}");
    let mut table = Table::new(&id, &caption, false, &columns);
    for package in &environment.packages {
        table
            .text(&package.installable)
            .text(package.pin.as_deref().unwrap_or("fixed by its text"))
            .text(html! {
                code {
                    @for (at, path) in package.store_paths.iter().enumerate() {
                        @if at > 0 { br; }
                        (path)
                    }
                }
            });
    }
    table.finish()
}

/// The table of tasks, as much of it as fits into `most` bytes.
pub(super) fn tasks(page: &Page, most: usize) -> Markup {
    let columns = [
        ("Task", Column::Number),
        ("Step", Column::Text),
        ("Version", Column::Number),
        ("State", Column::Text),
        ("Input", Column::Text),
        ("Object", Column::Text),
        ("Began", Column::Number),
        ("Took", Column::Number),
        ("Worker", Column::Number),
        ("Error", Column::Text),
    ];
    let mut table = Table::new("tasks", "Tasks", true, &columns);
    let mut rows: i64 = 0;
    for task in &page.tasks {
        if table.written() > most {
            break;
        }
        rows += 1;
        let told = page
            .failures
            .iter()
            .any(|failure| failure.task.id == task.id);
        row(&mut table, task, told);
    }
    html! {
        @if rows < page.all_tasks {
            p.note {
                "The page holds " (grouped(rows)) " of " (grouped_count(page.all_tasks, "task"))
                ": failed ones first, then the slowest. "
                code { "task-pipeline tasks" } " lists all."
            }
        }
        (table.finish())
    }
}

/// The row of a task; `told`: whether it is among the failures.
fn row(table: &mut Table<'_>, task: &Task, told: bool) {
    let (word, mark) = match task.state {
        _ if task.tainted => ("tainted", '!'),
        TaskState::Pending => ("pending", '…'),
        TaskState::Failed => ("failed", '✗'),
        TaskState::Done => ("done", '✓'),
        TaskState::Reused => ("reused", '✓'),
    };
    let error = plain(task.error.as_deref().unwrap_or_default());
    let or_dash = |words: Option<String>| words.unwrap_or_else(|| "–".to_owned());
    let first = error.lines().next().unwrap_or_default();
    let (first, cut) = head(first, FIRST_LINE);
    table
        .target(format!("task-{}", task.id))
        .number(&task.id.to_string(), Some(task.id))
        .text(cut_middle(&task.name, 60))
        .number(&format!("v{}", task.version), Some(task.version))
        .text(badge(word, mark))
        .text(cut_middle(&visible(&task.input), 60))
        .text(html! { code { (head(&task.object, 12).0) } })
        .number(&or_dash(task.started.map(point)), task.started)
        .number(&or_dash(task.elapsed.map(short_micros)), task.elapsed)
        .number(
            &or_dash(task.worker.map(|worker| worker.to_string())),
            task.worker,
        )
        .text(html! {
            @if told { a href={ "#failure-" (task.id) } { (first) } } @else { (first) }
            @if cut { "…" }
        });
}
