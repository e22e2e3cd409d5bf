//! `tasks`: the tasks of a runset.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::columns::{self, Column, free, number, words};
use super::error::Failure;
use super::options::{Places, whole};
use super::output;
use super::select::{self, InRunset};
use crate::model::gather::Role;
use crate::model::task::TaskState;
use crate::state::{Filter, Reader, TaskRow, Which};
use crate::text::time::short;
use crate::text::{colour, visible};

/// Options of `tasks`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Only tasks of this step
    #[arg(long, value_name = "STEP")]
    step: Option<String>,
    /// Only tasks in this state
    #[arg(long, value_enum, value_name = "STATE")]
    state: Option<Asked>,
    /// No more than N tasks, the oldest ones
    #[arg(long, value_name = "N", value_parser = whole(0..=u32::MAX))]
    limit: Option<u32>,
    #[command(flatten)]
    runset: InRunset,
    /// One JSON object per line instead of a table
    #[arg(long)]
    json: bool,
}

/// A state that can be asked for.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Asked {
    /// Not executed yet.
    Pending,
    /// The last execution failed.
    Failed,
    /// Executed successfully.
    Done,
    /// Took over the outputs of an equal task.
    Reused,
    /// Finished, but its step has another version now.
    Tainted,
    /// Replaced by another task, or follows from one that was.
    Superseded,
}

const COLUMNS: [Column; 7] = [
    number("task"),
    free("step"),
    words("version"),
    words("state"),
    number("time"),
    free("input"),
    free("error"),
];

/// Rows whose columns are laid out together: more would take memory and hide the first for long.
const TOGETHER: usize = 10_000;

/// Prints them, oldest first.
pub(super) fn main(places: &Places, options: &Options) -> Result<ExitCode, Failure> {
    let state = Reader::open(&places.db)?;
    if let Some(step) = &options.step {
        select::known_step(&state, step)?;
    }
    let runset = options.runset.find(&state)?;
    let filter = Filter {
        runset: runset.as_ref().map(|runset| runset.name.as_str()),
        step: options.step.as_deref(),
        which: options.state.map_or(Which::Live, which),
        limit: options.limit,
    };
    let mut printer = Printer {
        json: options.json,
        width: columns::width(),
        rows: Vec::new(),
        lines: String::new(),
        titled: false,
    };
    state.each_task(&filter, |row| printer.add(&row))?;
    printer.flush()?;
    if !printer.titled && !options.json {
        output::print("no such tasks\n")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn which(asked: Asked) -> Which {
    match asked {
        Asked::Pending => Which::In(TaskState::Pending),
        Asked::Failed => Which::In(TaskState::Failed),
        Asked::Done => Which::In(TaskState::Done),
        Asked::Reused => Which::In(TaskState::Reused),
        Asked::Tainted => Which::Tainted,
        Asked::Superseded => Which::Superseded,
    }
}

struct Printer {
    json: bool,
    width: Option<usize>,
    rows: Vec<Vec<String>>,
    lines: String,
    titled: bool,
}

impl Printer {
    fn add(&mut self, row: &TaskRow) -> Result<(), Failure> {
        if self.json {
            self.lines.push_str(&to_json(row).to_string());
            self.lines.push('\n');
        } else {
            self.rows.push(cells(row));
        }
        if self.rows.len() >= TOGETHER || self.lines.len() >= 64 * 1024 {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Failure> {
        if self.json {
            let lines = std::mem::take(&mut self.lines);
            return output::print_json(lines);
        }
        if self.rows.is_empty() {
            return Ok(());
        }
        let text = columns::table(&COLUMNS, &self.rows, self.width);
        self.rows.clear();
        let untitled = text.split_once('\n').map_or("", |(_, rest)| rest);
        let part = if self.titled { untitled } else { &text };
        self.titled = true;
        output::print(part)
    }
}

fn cells(row: &TaskRow) -> Vec<String> {
    let step = row.step.as_ref();
    vec![
        row.id.to_string(),
        step.map_or_else(String::new, |step| visible(&step.name)),
        step.map_or_else(String::new, |step| format!("v{}", step.version)),
        match row.made_by {
            Some(version) => format!("{}, by v{version}", state_in_words(row)),
            None => colour::word(state_in_words(row)),
        },
        elapsed(row).map_or_else(String::new, short),
        input(row),
        row.error
            .as_deref()
            .and_then(|error| error.lines().next())
            .map_or_else(String::new, visible),
    ]
}

/// The name of its input; of a pair, with the key that tells it from others on the same input. Of what gathers by key
/// that alone.
fn input(row: &TaskRow) -> String {
    if let Some(key) = row.group() {
        return format!("({})", visible(key));
    }
    let name = row.name.as_deref().map_or_else(String::new, visible) + row.form.slash();
    match row.key.as_ref().filter(|_| row.pair_of.is_some()) {
        Some(key) => format!("{name} ({})", visible(key)),
        None => name,
    }
}

/// How long the last execution took.
pub(super) fn elapsed(row: &TaskRow) -> Option<Duration> {
    row.elapsed
        .map(|micros| Duration::from_micros(micros.unsigned_abs()))
}

/// The state as people are told it.
pub(super) fn state_in_words(row: &TaskRow) -> &'static str {
    if !row.live {
        return "superseded";
    }
    if row.tainted {
        return "tainted";
    }
    match row.state {
        TaskState::Pending => "pending",
        TaskState::Failed => "failed",
        TaskState::Done => "done",
        TaskState::Reused => "reused",
    }
}

/// All that is recorded of a task.
pub(super) fn to_json(row: &TaskRow) -> Value {
    json!({
        "task": row.id,
        "step": row.step.as_ref().map(|step| &step.name),
        "version": row.step.as_ref().map(|step| step.version),
        "made_by_version": row.made_by,
        "final_output": row.step.is_none(),
        "role": match row.role {
            Role::Task => "task",
            Role::Member => "member",
            Role::Reader => "reader",
            Role::Gather => "gather",
        },
        "kind": row.form.word(),
        "state": row.state,
        "live": row.live,
        "tainted": row.tainted,
        "runset": row.runset,
        "name": row.name,
        "key": row.key,
        "object": row.object.to_string(),
        "parent": row.parent,
        "context": row.context.map(|context| context.to_string()),
        "supersedes": row.supersedes,
        "reused_from": row.reused_from,
        "forced": row.forced,
        "executed_ms": row.executed,
        "started_ms": row.started,
        "seconds": elapsed(row).map(|time| time.as_secs_f64()),
        "worker": row.worker,
        "node": row.node,
        "cpu_seconds": row.cpu.map(|cpu| Duration::from_micros(cpu.unsigned_abs()).as_secs_f64()),
        "peak_memory": row.peak,
        "error": row.error,
    })
}
