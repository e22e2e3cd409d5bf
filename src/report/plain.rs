//! Short lines, for logs and for terminals that can do no more.

mod summary;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::rate::Rate;
use super::{sampled, table};
use crate::model::event::{Event, Left, Presence, Routed, Span};
use crate::model::identity::Change;
use crate::model::name::StepName;
use crate::model::task::{TaskCounts, TaskId};
use crate::out;
use crate::text::amount;
use crate::text::colour::{Mark, marked};
use crate::text::time::short;
use crate::text::{self, visible, with_hints};
use summary::left_undone;
pub(super) use summary::{flaky, from_cache, summary};

/// Lines on standard error.
pub(super) struct Plain {
    /// Also starts, outputs and what tasks write.
    pub verbose: bool,
    /// Only failures and warnings.
    pub quiet: bool,
    /// How many ends of tasks were told just now.
    pub rate: Rate,
}

impl Plain {
    /// Tells one event.
    pub(super) fn event(&mut self, event: &Event) {
        if self.quiet && !event.is_urgent() && !matches!(event, Event::Summary(_)) {
            return;
        }
        let (before, is_told) = if self.verbose {
            (String::new(), true)
        } else {
            self.rate.next(event, Instant::now())
        };
        out::tell(&before);
        if let (Event::Summary(summary), true) = (event, self.quiet) {
            out::tell(&left_undone(summary));
        } else if is_told {
            tell(event, self.verbose && !self.quiet);
        }
    }
}

fn tell(event: &Event, verbose: bool) {
    let words = in_words(event, verbose);
    if matches!(event, Event::Failed { .. }) {
        out::tell_in_length(&words);
    } else {
        out::tell(&words);
    }
}

/// The event's lines, each with its end; empty for what is told only with `verbose`.
#[allow(clippy::too_many_lines)] // A table, read from top to bottom.
pub(super) fn in_words(event: &Event, verbose: bool) -> String {
    match event {
        Event::Manifest { path, steps, start } => {
            let start = start.map_or_else(String::new, |start| format!(", starting at {start}"));
            format!(
                "{}: {}{start}\n",
                visible(path),
                amount::count(*steps, "step")
            )
        }
        Event::Database { path, created } => {
            format!(
                "{}: {}\n",
                visible(path),
                if *created { "new db" } else { "db opened" }
            )
        }
        Event::Environment(line) => format!("{}\n", visible(line)),
        Event::Version {
            step,
            version,
            again,
            changes,
        } => registered(step, *version, *again, changes, verbose),
        Event::Tainted {
            step,
            count,
            changes,
        } => tainted(step, *count, changes),
        Event::Migrated {
            step,
            count,
            version,
        } => format!(
            "{step}: {} to be done again by version {version}\n",
            amount::count(*count, "task")
        ),
        Event::NothingTainted { runset } => {
            format!("runset {}: nothing is tainted\n", visible(runset))
        }
        Event::Sampling { runset, steps } => sampling(runset, steps),
        Event::Sampled(told) => sampled::in_words(told),
        Event::Accepted {
            step,
            count,
            version,
            from,
            sample,
            ..
        } => format!(
            "{step}: {} of version {from} taken over by version {version}, on {sample}\n",
            amount::count(*count, "task")
        ),
        Event::GivenBack {
            step,
            count,
            version,
        } => format!(
            "{step}: {} again of version {version}, which made them\n",
            amount::count(*count, "accepted task")
        ),
        Event::Freed { words, .. } => format!("removed {words}\n"),
        Event::Evicted { words, .. } => format!("{words}\n"),
        Event::Results {
            folder,
            files,
            new,
            changed,
            removed,
            kept,
            equal,
        } => results(folder, *files, [*new, *changed, *removed], (*kept, *equal)),
        Event::Kept { task, step, words } => format!("task {task} of {step}: {words}\n"),
        Event::Pushed { to, results, bytes } => format!(
            "{} put in {to} for others ({})\n",
            amount::count(*results, "result"),
            amount::bytes(*bytes)
        ),
        Event::Rerouted {
            from,
            to,
            count,
            done,
        } => rerouted(*from, *to, *count, *done),
        Event::Runset {
            name,
            seeded,
            params,
            steps,
        } => runset(name, *seeded, params, steps),
        Event::Inputs(compared) => format!("inputs: {compared}\n"),
        Event::Gathered {
            step,
            tasks,
            outputs,
        } => {
            let into = match tasks {
                1 => String::new(),
                many => format!(" in {many} groups"),
            };
            format!(
                "{step}: {} gathered{into}\n",
                amount::count(*outputs, "output")
            )
        }
        Event::Interrupted {
            signal,
            tasks,
            kills,
        } => {
            let tasks = amount::count(*tasks, "running task");
            if *kills {
                format!("{signal}: killing {tasks}\n")
            } else {
                format!("{signal}: ending {tasks}; once more ends at once\n")
            }
        }
        Event::Warning(text) => format!("warning: {}\n", with_hints(text)),
        Event::Summary(all) => summary(all),
        Event::Paired { .. }
        | Event::Started { .. }
        | Event::Given { .. }
        | Event::Output { .. }
        | Event::Cancelled { .. }
        | Event::Worker { .. }
        | Event::Lost { .. }
            if !verbose =>
        {
            String::new()
        }
        Event::Worker {
            executor, presence, ..
        } => format!("{}: {}\n", visible(executor), worker(presence)),
        Event::Lost {
            task,
            step,
            node,
            elapsed,
            why,
            ..
        } => format!(
            "{step} #{task}: lost after {}{}: {}\n",
            short(*elapsed),
            on(*node),
            visible(why)
        ),
        Event::Paired { task, step, tasks } => {
            let tasks = amount::count(*tasks, "task");
            format!("{step} #{task}: {tasks} in its place, one for each file of the other step\n")
        }
        Event::Started {
            task,
            step,
            version,
            input_name,
            input,
            form,
            attempt,
        } => {
            let again = match attempt {
                0 => String::new(),
                _ => format!(", try {}", attempt + 1),
            };
            format!(
                "{step} #{task}: started, version {version}, input {} {}{again}\n",
                input_name.map_or_else(|| "(none)".to_owned(), |name| visible(name) + form.slash()),
                &input.hex()[..8],
            )
        }
        Event::Given { task, step, node } => format!("{step} #{task}: given out{}\n", on(*node)),
        Event::Output {
            task, step, bytes, ..
        } => begun(&format!("{step} #{task}| "), bytes),
        Event::Done {
            task,
            step,
            reused,
            shared,
            span,
            node,
            outputs,
        } => {
            let names = if verbose {
                names(outputs)
            } else {
                String::new()
            };
            format!(
                "{step} #{task}: {}{names}",
                done(*reused, *shared, (span, *node), outputs)
            )
        }
        Event::Failed {
            task,
            step,
            key,
            error,
            span,
            node,
            retry,
        } => format!(
            "{step} #{task}{}: {}",
            of_group(*key),
            failed(error, (span, *node), *retry)
        ),
        Event::Remade {
            task,
            step,
            span,
            node,
            same: _,
        } => format!(
            "{step} #{task}: ran again for what was evicted, {}{}\n",
            short(span.elapsed),
            on(*node)
        ),
        Event::Cancelled { task, step, .. } => format!("{step} #{task}: ended, still to be done\n"),
    }
}

/// Of which group a task is, of those that a step gathers.
fn of_group(key: Option<&str>) -> String {
    key.map_or_else(String::new, |key| format!(" ({})", visible(key)))
}

fn results(folder: &str, files: u64, changes: [u64; 3], (kept, equal): (u64, u64)) -> String {
    let stay = format!(
        "keeps {} of earlier runs, until nothing fails",
        amount::count(kept, "file")
    );
    if files == 0 && kept > 0 && changes == [0; 3] {
        return format!("{} {stay}\n", visible(folder));
    }
    let stay = match kept {
        0 => String::new(),
        _ => format!("; it {stay}"),
    };
    let one = match equal {
        0 => String::new(),
        _ => format!(
            "; of {} those that are equal in name and bytes are one",
            amount::count(files + equal, "final output")
        ),
    };
    let files = amount::count(files, "result");
    let changes: Vec<String> = changes
        .into_iter()
        .zip(["new", "changed", "removed"])
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    let changes = match &*changes.join(", ") {
        "" => "none of them new".to_owned(),
        changes => changes.to_owned(),
    };
    format!("{files} in {}: {changes}{one}{stay}\n", visible(folder))
}

/// How far a worker is.
fn worker(presence: &Presence) -> String {
    match presence {
        Presence::Called => "a worker is called for".to_owned(),
        Presence::Waits { why } => format!("a worker waits for a place: {}", visible(why)),
        Presence::Here {
            node,
            slots,
            waited,
        } => format!(
            "a worker has come on {} after {}, for {} at once",
            visible(node),
            short(*waited),
            amount::count(*slots, "task")
        ),
        Presence::Gone { node, why } => {
            format!("a worker is gone{}: {}", on(*node), visible(why))
        }
    }
}

fn registered(
    step: &StepName,
    version: i64,
    again: bool,
    changes: &[Change],
    verbose: bool,
) -> String {
    match version {
        _ if again => format!(
            "{step} is version {version} again, changed: {}\n",
            table::changes(changes)
        ),
        1 if !verbose => String::new(),
        1 => format!("{step}: registered\n"),
        _ => format!(
            "{step}: version {version}, changed: {}\n",
            table::changes(changes)
        ),
    }
}

fn tainted(step: &StepName, count: i64, changes: &[Change]) -> String {
    let (have, it) = match count {
        1 => ("1 finished task has".to_owned(), "it"),
        _ => (format!("{count} finished tasks have"), "them"),
    };
    format!(
        "{step}: {} ({}); -migrate-tainted does {it} again\n",
        marked(Mark::Warn, &format!("{have} another version")),
        table::changes(changes)
    )
}

fn rerouted(from: Option<&StepName>, to: Option<&StepName>, count: i64, done: bool) -> String {
    let words = table::rerouted(from, to, count);
    if done {
        format!("{words} now\n")
    } else {
        format!("{words} by today's steps: -migrate-tainted acts on that\n")
    }
}

fn sampling(runset: &str, steps: &[(StepName, TaskCounts)]) -> String {
    let tasks = steps.iter().map(|(_, tally)| tally.pending).sum::<i64>();
    let run = if tasks == 1 { "runs" } else { "run" };
    format!(
        "runset {}: {} {run} to see what comes of it; nothing of that is recorded\n",
        visible(runset),
        amount::count(tasks, "tainted task")
    )
}

fn runset(
    name: &str,
    seeded: bool,
    params: &[(&str, &str)],
    steps: &[(StepName, TaskCounts)],
) -> String {
    let mut all = TaskCounts::default();
    steps.iter().for_each(|(_, tally)| all += *tally);
    let name = visible(name);
    let mut text = if seeded {
        format!("runset {name}: new\n")
    } else {
        format!("runset {name}: {}\n", table::in_words(&all))
    };
    if !params.is_empty() {
        let _ = writeln!(text, "parameters: {}", table::params(params));
    }
    text
}

/// ` on n7`, of what ran on another machine.
pub(super) fn on(node: Option<&str>) -> String {
    node.map_or_else(String::new, |node| format!(" on {}", visible(node)))
}

fn done(
    reused: Option<TaskId>,
    shared: Option<&str>,
    (span, node): (&Span, Option<&str>),
    outputs: &Routed,
) -> String {
    let routes = routes(outputs);
    match (reused, shared) {
        (Some(source), _) => format!("reused from #{source}{routes}\n"),
        (None, Some(origin)) => format!("made by {}{routes}\n", visible(origin)),
        (None, None) => format!("done in {}{}{routes}\n", short(span.elapsed), on(node)),
    }
}

fn failed(error: &str, (span, node): (&Span, Option<&str>), retry: Option<Duration>) -> String {
    let (first, rest) = error.split_once('\n').unwrap_or((error, ""));
    let mut text = format!(
        "{} after {}{}: {}\n",
        marked(Mark::Bad, "failed"),
        short(span.elapsed),
        on(node),
        visible(first)
    );
    text.push_str(&begun("  ", rest.as_bytes()));
    if let Some(pause) = retry.filter(|pause| !pause.is_zero()) {
        let _ = writeln!(text, "  again in {}", short(pause));
    }
    text
}

/// What others wrote, each line after `front`.
fn begun(front: &str, bytes: &[u8]) -> String {
    let mut text = String::new();
    for line in text::said(bytes) {
        let _ = writeln!(text, "{front}{line}");
    }
    text
}

/// ` → process 3, final 1`.
fn routes(outputs: &Routed) -> String {
    let mut words: Vec<String> = outputs
        .all_steps()
        .map(|(step, count)| match count {
            1 => step.to_string(),
            _ => format!("{step} {count}"),
        })
        .collect();
    match outputs.finals {
        0 => {}
        1 => words.push("final output".to_owned()),
        many => words.push(format!("{many} final outputs")),
    }
    if outputs.apart > 0 {
        words.push(amount::count(outputs.apart, "output"));
    }
    if words.is_empty() {
        ", no output".to_owned()
    } else {
        format!(" → {}", words.join(", "))
    }
}

fn names(outputs: &Routed) -> String {
    let mut text = String::new();
    for Left { name, form, step } in &outputs.names {
        let route = step.as_ref().map_or("final output", StepName::as_str);
        let _ = writeln!(text, "  {}{} → {route}", visible(name), form.slash());
    }
    let more = outputs.total() - outputs.names.len() as u64;
    if more > 0 {
        let _ = writeln!(text, "  and {more} more");
    }
    text
}
