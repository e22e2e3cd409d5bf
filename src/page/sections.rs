//! The page's parts in words and tables: summary, steps, failures, environments, tasks.

use std::fmt::Write as _;

use super::markup::{count, cut, duration, escape, escape_lines, head, number, time};
use super::table::{Column, Table};
use super::{Failure, Log, Page, Task, VersionPart, in_groups};
use crate::core::task::State;
use crate::core::text::plain;

/// Bytes of an error's text.
const ERROR: usize = 3000;
/// Rows of the table of edges.
const EDGES: usize = 2000;
/// Bytes of one script, and of all that is told of environments.
const SCRIPT: usize = 20_000;
const ENVIRONMENTS: usize = 300_000;

/// How the runset stands, in one list.
pub fn summary(page: &Page) -> String {
    let steps = || page.graph.nodes.iter().filter(|node| !node.sink);
    let sum = |what: fn(&crate::core::graph::Node) -> i64| -> i64 { steps().map(what).sum() };
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
            "Done, but {} from an older version.",
            count(tainted, "task")
        ),
        (0, _, _) => format!("{} still to be executed.", count(pending, "task")),
        _ => format!("{} failed.", count(failed, "task")),
    };
    let kind = if failed > 0 { "failed" } else { "fine" };
    let mut out = format!("<p class=\"state {kind}\">{state}</p><dl class=\"facts\">");
    let mut fact = |name: &str, value: &str| {
        let wide = if value.len() > 20 {
            " class=\"wide\""
        } else {
            ""
        };
        let _ = write!(out, "<div{wide}><dt>{name}</dt><dd>{value}</dd></div>");
    };
    fact("Tasks", &number(page.all_tasks));
    fact("Done", &number(sum(|n| n.tally.done)));
    fact("Reused", &number(sum(|n| n.tally.reused)));
    fact("Failed", &number(failed));
    fact("Pending", &number(pending));
    fact("Tainted", &number(tainted));
    fact("Final outputs", &number(finals));
    fact(
        "Time spent",
        &duration(i64::try_from(spent).unwrap_or(i64::MAX)),
    );
    if let Some(created) = page.created {
        fact("Seeded", &time(created));
    }
    out + "</dl>"
}

/// The table of steps.
pub fn steps(page: &Page) -> String {
    let columns = [
        ("Step", Column::Text),
        ("Version", Column::Number),
        ("State", Column::Text),
        ("Done", Column::Number),
        ("Reused", Column::Number),
        ("Failed", Column::Number),
        ("Pending", Column::Number),
        ("Tainted", Column::Number),
        ("Time spent", Column::Number),
    ];
    let mut table = Table::new("steps", "Steps", false, &columns);
    for at in page.graph.in_order() {
        let node = &page.graph.nodes[at];
        if node.sink {
            continue;
        }
        let version = node.versions.iter().find(|version| version.current);
        let version = version.map(|version| version.number);
        let start = if node.start { " (start)" } else { "" };
        let gone = if node.gone {
            " (not in the manifest)"
        } else {
            ""
        };
        let status = node.status();
        table
            .text(&format!("{}{start}{gone}", node.name))
            .number(&node.version().unwrap_or_else(|| "–".to_owned()), version)
            .markup(&badge(status.word(), status.mark()));
        for value in [
            node.tally.done,
            node.tally.reused,
            node.tally.failed,
            node.tally.pending,
            node.tainted,
        ] {
            table.number(&number(value), Some(value));
        }
        let spent = page.spreads.get(at).map_or(0, |s| s.durations.sum);
        let spent = i64::try_from(spent).unwrap_or(i64::MAX);
        table.number(&duration(spent), Some(spent));
    }
    groups(page) + &table.finish()
}

/// That steps are shown in groups, if they are.
pub fn groups(page: &Page) -> String {
    match page.grouped {
        Some(steps) => format!(
            "<p class=\"note\">{}. <code>task-pipeline status</code> lists each.</p>",
            in_groups(steps, &page.graph)
        ),
        None => String::new(),
    }
}

fn badge(word: &str, mark: char) -> String {
    format!("<span class=\"badge {word}\"><span aria-hidden=\"true\">{mark}</span> {word}</span>")
}

/// The graph's edges as a table: the picture's text alternative.
pub fn edges(page: &Page) -> String {
    let columns = [
        ("From", Column::Text),
        ("To", Column::Text),
        ("Outputs", Column::Number),
        ("In the script", Column::Text),
    ];
    let mut table = Table::new("edges", "What goes from step to step", false, &columns);
    let all = page.graph.edges().count();
    for edge in page.graph.edges().take(EDGES) {
        table
            .text(&page.graph.nodes[edge.from].name)
            .text(&page.graph.nodes[edge.to].name)
            .number(&number(edge.observed), Some(edge.observed))
            .text(if edge.declared { "yes" } else { "no" });
    }
    let note = if all > EDGES {
        format!(
            "<p class=\"note\">The first {} of {} are shown.</p>",
            number(signed(EDGES)),
            number(signed(all))
        )
    } else {
        String::new()
    };
    format!(
        "<details><summary>The graph as a table</summary>{note}{}</details>",
        table.finish()
    )
}

fn signed(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Failed tasks with the ends of their logs.
pub fn failures(page: &Page) -> String {
    if page.failures.is_empty() {
        return "<p>No task failed.</p>".to_owned();
    }
    let mut out = String::new();
    let shown = i64::try_from(page.failures.len()).unwrap_or(i64::MAX);
    if shown < page.all_failures {
        let _ = write!(
            out,
            "<p class=\"note\">{} of {} are shown, the first of each step.</p>",
            number(shown),
            count(page.all_failures, "failed task")
        );
    }
    for (place, failure) in page.failures.iter().enumerate() {
        one_failure(&mut out, failure, place < 5);
    }
    out
}

fn one_failure(out: &mut String, failure: &Failure, open: bool) {
    let task = &failure.task;
    let error = plain(task.error.as_deref().unwrap_or_default());
    let first = error.lines().next().unwrap_or_default();
    let _ = write!(
        out,
        "<details class=\"failure\"{}><summary>task {}, {} v{}: {}</summary>",
        if open { " open" } else { "" },
        task.id,
        escape(&cut(&task.name, 60)),
        task.version,
        escape(&cut(first, 120))
    );
    if !task.input.is_empty() {
        let _ = write!(
            out,
            "<p>input <code>{}</code></p>",
            escape(&cut(&task.input, 200))
        );
    }
    if says_more(&error, &failure.logs) {
        let (text, more) = head(&error, ERROR);
        let more = if more { "\n[…]" } else { "" };
        let _ = write!(
            out,
            "<pre tabindex=\"0\">{}{more}</pre>",
            escape_lines(text)
        );
    }
    for log in &failure.logs {
        one_log(out, log);
    }
    out.push_str("</details>");
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

fn one_log(out: &mut String, log: &Log) {
    let cut = if log.cut > 0 {
        format!(
            " (the first {} are left out)",
            super::markup::bytes(log.cut)
        )
    } else {
        String::new()
    };
    let _ = write!(out, "<h4>{}{cut}</h4>", log.stream);
    let _ = match &log.tail {
        Ok(text) => write!(
            out,
            "<pre tabindex=\"0\" role=\"region\" aria-label=\"{}\">{}</pre>",
            log.stream,
            escape_lines(plain(text).trim_end())
        ),
        Err(error) => write!(out, "<p class=\"note\">{}</p>", escape(error)),
    };
}

/// Scripts, variables and packages of the steps' versions.
pub fn environments(page: &Page) -> String {
    let mut out = String::new();
    for (place, part) in page.versions.iter().enumerate() {
        if out.len() > ENVIRONMENTS {
            let _ = write!(
                out,
                "<p class=\"note\">{} more are left out.</p>",
                page.versions.len() - place
            );
            break;
        }
        version(&mut out, part);
    }
    if out.is_empty() {
        out.push_str("<p>No step is registered.</p>");
    }
    out
}

fn version(out: &mut String, part: &VersionPart) {
    let older = if part.current { "" } else { " (older)" };
    let _ = write!(
        out,
        "<details><summary>{} v{}{older}: {}</summary><dl>",
        escape(&cut(&part.step, 60)),
        part.number,
        escape(&part.tools)
    );
    let mut line = |name: &str, value: &str| {
        let _ = write!(out, "<dt>{name}</dt><dd>{value}</dd>");
    };
    if let Some(created) = part.created {
        line("Registered", &time(created));
    }
    if !part.changes.is_empty() {
        line("Changed", &escape(&part.changes));
    }
    if !part.shell.is_empty() {
        line("Shell", &format!("<code>{}</code>", escape(&part.shell)));
    }
    for (name, value) in &part.variables {
        let (value, more) = head(value, 2000);
        let more = if more { "…" } else { "" };
        line(
            "Variable",
            &format!("<code>{}={}{more}</code>", escape(name), escape(value)),
        );
    }
    out.push_str("</dl>");
    if let Some(environment) = &part.environment {
        let columns = [
            ("Package", Column::Fixed),
            ("Pinned to", Column::Fixed),
            ("Store paths", Column::Fixed),
        ];
        let caption = format!("Packages of {} v{}", part.step, part.number);
        let id = format!("packages-{}", out.len());
        let mut table = Table::new(&id, &caption, false, &columns);
        for package in &environment.packages {
            let paths: Vec<String> = package.store_paths.iter().map(|p| escape(p)).collect();
            table
                .text(&package.installable)
                .text(package.pin.as_deref().unwrap_or("fixed by its text"))
                .markup(&format!("<code>{}</code>", paths.join("<br>")));
        }
        out.push_str(&table.finish());
    }
    let (script, more) = head(&part.script, SCRIPT);
    let more = if more { "\n[…]" } else { "" };
    let _ = write!(
        out,
        "<h4>Script</h4><pre tabindex=\"0\">{}{more}</pre></details>",
        escape_lines(script.trim_matches('\n'))
    );
}

/// The table of tasks, as much of it as fits into `most` bytes.
pub fn tasks(page: &Page, most: usize) -> String {
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
        row(&mut table, task);
    }
    let note = if rows < page.all_tasks {
        format!(
            "<p class=\"note\">The page holds {} of {}: failed ones first, then the slowest. \
             <code>task-pipeline tasks</code> lists all.</p>",
            number(rows),
            count(page.all_tasks, "task")
        )
    } else {
        String::new()
    };
    note + &table.finish()
}

fn row(table: &mut Table, task: &Task) {
    let (word, mark) = match task.state {
        _ if task.tainted => ("tainted", '!'),
        State::Pending => ("pending", '…'),
        State::Failed => ("failed", '✗'),
        State::Done => ("done", '✓'),
        State::Reused => ("reused", '✓'),
    };
    let error = plain(task.error.as_deref().unwrap_or_default());
    let or_dash = |words: Option<String>| words.unwrap_or_else(|| "–".to_owned());
    table
        .number(&task.id.to_string(), Some(task.id))
        .text(&cut(&task.name, 60))
        .number(&format!("v{}", task.version), Some(task.version))
        .markup(&badge(word, mark))
        .text(&cut(&task.input, 60))
        .markup(&format!(
            "<code>{}</code>",
            escape(head(&task.object, 12).0)
        ))
        .number(&or_dash(task.started.map(time)), task.started)
        .number(&or_dash(task.elapsed.map(duration)), task.elapsed)
        .number(
            &or_dash(task.worker.map(|worker| worker.to_string())),
            task.worker,
        )
        .text(&cut(error.lines().next().unwrap_or_default(), 100));
}
