//! Pictures and pages of a pipeline, as text: from what is known to SVG, HTML, DOT and the like.
//! Pure: nothing is read or written here.

mod charts;
mod code;
mod html;
mod sections;
mod svg;
mod table;
mod text;
mod timeline;

use std::collections::BTreeSet;

use crate::model::environment::Environment;
use crate::model::task::TaskState;
use crate::view::graph::Graph;
use crate::view::spread::Spread;
use crate::view::timeline::Span;

pub(crate) use code::{dot, mermaid};
pub(crate) use html::render;
pub(crate) use svg::standalone;
pub(crate) use text::text;

/// `10000 steps in 3 groups of like names`.
pub(crate) fn in_groups(steps: usize, graph: &Graph) -> String {
    format!("{steps} steps in {} groups of like names", graph.steps())
}

/// All that a page tells.
#[derive(Debug, Clone, Default)]
pub(crate) struct Page {
    /// The pipeline's name.
    pub name: String,
    /// The runset, or words for all of them.
    pub runset: String,
    /// The db folder.
    pub db: String,
    /// When the page was made, in milliseconds since 1970.
    pub made: i64,
    /// When the runset was seeded, in milliseconds since 1970, if that is known.
    pub created: Option<i64>,
    /// After how many seconds a browser is to load it again, if it will have changed by then.
    pub again: Option<u32>,
    /// The steps, or groups of very many, and what went from one to the other.
    pub graph: Graph,
    /// How many steps there are, if they are shown in groups.
    pub grouped: Option<usize>,
    /// For each step of the graph, by index, what is known of its tasks.
    pub spreads: Vec<Spreads>,
    /// All executions of which it is known when they began.
    pub spans: Vec<Span>,
    /// Tries that were lost on other machines.
    pub lost: Vec<Span>,
    /// Other machines that carried out tasks, in the order of their names.
    pub machines: Vec<Machine>,
    /// Tasks for the table: failed ones, then the slowest.
    pub tasks: Vec<Task>,
    /// How many live tasks there are.
    pub all_tasks: i64,
    /// Failed tasks with their logs.
    pub failures: Vec<Failure>,
    /// How many live tasks failed.
    pub all_failures: i64,
    /// Tasks that succeeded at a later try, some of very many.
    pub flaky: Vec<Flaky>,
    /// How many did.
    pub all_flaky: i64,
    /// What the steps' versions are.
    pub versions: Vec<VersionPart>,
    /// What steps ask for beside what their tasks took, in words.
    pub taken: Vec<String>,
    /// Which tasks count for a version that did not make them, in words.
    pub accepted: Vec<String>,
}

/// Another machine.
#[derive(Debug, Clone, Default)]
pub(crate) struct Machine {
    /// Its name.
    pub name: String,
    /// The executors that had workers there.
    pub executors: BTreeSet<String>,
    /// When each worker there was called for, and when it came, in microseconds since 1970.
    pub waits: Vec<(i64, i64)>,
}

/// How long a step's tasks took, and how large what they left is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Spreads {
    /// Microseconds per execution.
    pub durations: Spread,
    /// Bytes per output.
    pub sizes: Spread,
}

/// A row of the table of tasks.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    /// Its row in the database.
    pub id: i64,
    /// The step's name.
    pub name: String,
    /// The step's version.
    pub version: i64,
    /// Its state.
    pub state: TaskState,
    /// Whether it is finished and its step has another version now.
    pub tainted: bool,
    /// The file name of its input.
    pub input: String,
    /// The input's hash, in hexadecimal digits.
    pub object: String,
    /// Milliseconds since 1970.
    pub started: Option<i64>,
    /// Microseconds.
    pub elapsed: Option<i64>,
    /// From 0.
    pub worker: Option<i64>,
    /// How it failed.
    pub error: Option<String>,
}

/// A failed task.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    /// The task.
    pub task: Task,
    /// What it wrote to standard output and standard error.
    pub logs: Vec<Log>,
}

/// A task that succeeded at a later try than the first.
#[derive(Debug, Clone)]
pub(crate) struct Flaky {
    /// Its row in the database.
    pub id: i64,
    /// The step's name.
    pub name: String,
    /// The file name of its input.
    pub input: String,
    /// At which try, from 2 on.
    pub tries: i64,
    /// How the one before failed.
    pub error: String,
}

/// What a task wrote on one stream.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    /// The stream, in words.
    pub stream: &'static str,
    /// The end of it, or why it cannot be had.
    pub tail: Result<String, String>,
    /// Bytes that are not shown.
    pub cut: u64,
}

/// A version of a step, in full.
#[derive(Debug, Clone)]
pub(crate) struct VersionPart {
    /// The step's name.
    pub step: String,
    /// Counts from 1.
    pub number: i64,
    /// Whether it is the one that the step has now.
    pub current: bool,
    /// When it was registered, in milliseconds since 1970, if that is known.
    pub created: Option<i64>,
    /// The script.
    pub script: String,
    /// The shell, its words joined.
    pub shell: String,
    /// Variables.
    pub variables: Vec<(String, String)>,
    /// Words for where programs come from.
    pub tools: String,
    /// Packages with their pins.
    pub environment: Option<Environment>,
    /// What changed since the version before, in words.
    pub changes: String,
}
