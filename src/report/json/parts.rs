//! What the objects of the lines are made of, as it is written.

use serde::Serialize;

use crate::model::event::{Awaited, Lacking, LeftOut, Presence, Waiting};
use crate::model::name::StepName;
use crate::model::task::{TaskCounts, TaskId};
use crate::model::untaken::Untaken;

/// Finished tasks of another version.
#[derive(Serialize)]
pub(super) struct Tainted<'a> {
    pub step: &'a str,
    pub count: i64,
    pub changes: Vec<String>,
}

/// A step's tasks by state.
#[derive(Serialize)]
pub(super) struct Counts<'a> {
    pub step: &'a str,
    #[serde(flatten)]
    pub tally: TaskCounts,
}

/// A step, and how many.
#[derive(Serialize)]
pub(super) struct Count<'a> {
    pub step: &'a str,
    pub count: u64,
}

/// A name, and the step that it goes to or resembles.
#[derive(Serialize)]
pub(super) struct Named<'a> {
    pub name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<&'a str>,
}

/// When and where a task ran.
#[derive(Serialize)]
pub(super) struct Ran {
    pub started: String,
    pub elapsed_seconds: f64,
    pub worker: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub launch: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_memory: Option<u64>,
}

/// What a task left.
#[derive(Serialize)]
pub(super) struct Outputs<'a> {
    pub total: u64,
    pub r#final: u64,
    pub steps: Vec<Count<'a>>,
    pub names: Vec<Left<'a>>,
}

/// An output by its name.
#[derive(Serialize)]
pub(super) struct Left<'a> {
    pub name: &'a str,
    pub kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<&'a str>,
}

/// How a run ended.
#[derive(Serialize)]
pub(super) struct Over<'a> {
    pub runset: &'a str,
    pub executed: u64,
    pub reused: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remade: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest_reused_seconds: Option<f64>,
    pub failed: u64,
    pub pending: i64,
    pub final_outputs: i64,
    pub elapsed_seconds: f64,
    pub steps: Vec<Counts<'a>>,
    pub tainted: Vec<Tainted<'a>>,
    pub near: Vec<Named<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub untaken: Vec<Unmatched<'a>>,
    pub orphaned: Vec<Count<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<LostThere<'a>>,
    pub failures: Vec<Failed<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<Gathers<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_out: Option<Without<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lacking: Vec<Lacks<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// How many succeeded at a later try, and the first of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flaky: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub late: Vec<Late<'a>>,
}

/// A task that succeeded at a later try, and how the try before failed.
#[derive(Serialize)]
pub(super) struct Late<'a> {
    pub tries: u32,
    #[serde(flatten)]
    pub failed: Failed<'a>,
}

/// A machine, and how many tasks were lost there.
#[derive(Serialize)]
pub(super) struct LostThere<'a> {
    pub node: &'a str,
    pub count: u64,
}

/// How far a worker elsewhere is.
#[derive(Serialize)]
pub(super) struct AtWork<'a> {
    executor: &'a str,
    most: usize,
    worker: i64,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    slots: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    waited_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
}

impl<'a> AtWork<'a> {
    pub(super) fn of(executor: &'a str, most: usize, worker: i64, presence: Presence<'a>) -> Self {
        let called = Self {
            executor,
            most,
            worker,
            state: "called",
            node: None,
            slots: None,
            waited_seconds: None,
            why: None,
        };
        match presence {
            Presence::Called => called,
            Presence::Waits { why } => Self {
                state: "waits",
                why: Some(why),
                ..called
            },
            Presence::Here {
                node,
                slots,
                waited,
            } => Self {
                state: "here",
                node: Some(node),
                slots: Some(slots),
                waited_seconds: Some(waited.as_secs_f64()),
                ..called
            },
            Presence::Gone { node, why } => Self {
                state: "gone",
                node,
                why: Some(why),
                ..called
            },
        }
    }
}

/// A pattern of `from` that nothing matches.
#[derive(Serialize)]
pub(super) struct Unmatched<'a> {
    pub step: &'a str,
    pub from: String,
    pub outputs: u64,
    pub names: Vec<&'a str>,
}

impl<'a> Unmatched<'a> {
    pub(super) fn of(untaken: &'a Untaken) -> Self {
        let Untaken {
            step,
            source,
            outputs,
            names,
        } = untaken;
        Self {
            step: step.as_str(),
            from: source.to_string(),
            outputs: *outputs,
            names: names.iter().map(String::as_str).collect(),
        }
    }
}

/// A step that is not given all its secrets.
#[derive(Serialize)]
pub(super) struct Lacks<'a> {
    pub step: &'a str,
    pub count: u64,
    pub secrets: &'a [String],
}

impl<'a> Lacks<'a> {
    pub(super) fn of(lacking: &'a Lacking) -> Self {
        let Lacking {
            step,
            tasks,
            secrets,
        } = lacking;
        Self {
            step: step.as_str(),
            count: *tasks,
            secrets,
        }
    }
}

/// What was no part of the run.
#[derive(Serialize)]
pub(super) struct Without<'a> {
    pub count: u64,
    pub options: &'a [&'static str],
}

impl<'a> Without<'a> {
    pub(super) fn of(left_out: &'a LeftOut) -> Self {
        let LeftOut { tasks, options } = left_out;
        Self {
            count: *tasks,
            options,
        }
    }
}

/// A step that waits.
#[derive(Serialize)]
pub(super) struct Gathers<'a> {
    pub step: &'a str,
    #[serde(flatten)]
    pub what: What<'a>,
    pub waits_for: WaitsFor,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde calls it so.
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// What it has.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum What<'a> {
    Members {
        groups: u64,
        complete: u64,
        members: u64,
        #[serde(skip_serializing_if = "is_zero")]
        astray: u64,
    },
    With {
        with: Vec<&'a str>,
        tasks: u64,
    },
}

/// What for.
#[derive(Serialize)]
pub(super) struct WaitsFor {
    pub pending: u64,
    pub failed: u64,
}

impl<'a> Gathers<'a> {
    pub(super) fn of(waiting: &'a Waiting) -> Self {
        Self {
            step: waiting.step.as_str(),
            what: match &waiting.what {
                Awaited::Members {
                    groups,
                    complete,
                    members,
                    astray,
                    ..
                } => What::Members {
                    groups: *groups,
                    complete: *complete,
                    members: *members,
                    astray: *astray,
                },
                Awaited::With { steps, tasks } => What::With {
                    with: steps.iter().map(StepName::as_str).collect(),
                    tasks: *tasks,
                },
            },
            waits_for: WaitsFor {
                pending: waiting.pending,
                failed: waiting.failed,
            },
        }
    }
}

/// A failed task.
#[derive(Serialize)]
pub(super) struct Failed<'a> {
    pub task: TaskId,
    pub step: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<&'a str>,
    pub kind: &'static str,
    pub cause: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<&'a str>,
    pub error: &'a str,
}

/// What came of a sample.
#[derive(Serialize)]
pub(super) struct Sampled<'a> {
    pub runset: &'a str,
    pub step: &'a str,
    pub version: i64,
    pub from: i64,
    pub tasks: i64,
    pub tainted: i64,
    pub differing: i64,
    pub failed: i64,
    pub equal: bool,
    pub differences: Vec<Unequal<'a>>,
    pub next: &'a str,
}

/// A task that did not leave the same as before.
#[derive(Serialize)]
pub(super) struct Unequal<'a> {
    pub task: TaskId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_name: Option<&'a str>,
    pub kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'a str>,
    pub outputs: Vec<Difference<'a>>,
}

/// An output that differs.
#[derive(Serialize)]
pub(super) struct Difference<'a> {
    pub name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<String>,
}
