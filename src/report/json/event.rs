//! The objects of the lines, as they are written.

use std::collections::BTreeMap;

use serde::Serialize;

use super::parts::{AtWork, Counts, Outputs, Over, Ran, Sampled, Tainted};
use super::{SCHEMA, rfc3339};
use crate::model::task::TaskId;
use crate::text;

#[derive(Serialize)]
struct Line<'a> {
    schema: u32,
    time: String,
    #[serde(flatten)]
    told: &'a JsonEvent<'a>,
}

/// What the lines say, as the module's table has it.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum JsonEvent<'a> {
    Manifest {
        path: &'a str,
        steps: usize,
        #[serde(skip_serializing_if = "Option::is_none")]
        start: Option<&'a str>,
    },
    Database {
        path: &'a str,
        created: bool,
    },
    Environment {
        line: &'a str,
    },
    Version {
        step: &'a str,
        version: i64,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        again: bool,
        changes: Vec<String>,
    },
    Tainted(Tainted<'a>),
    Migrated {
        step: &'a str,
        count: i64,
        version: i64,
    },
    NothingTainted {
        runset: &'a str,
    },
    Sampling {
        runset: &'a str,
        steps: Vec<Counts<'a>>,
    },
    Sampled(Sampled<'a>),
    Accepted {
        runset: &'a str,
        step: &'a str,
        count: i64,
        version: i64,
        from: i64,
        tasks: i64,
        tainted: i64,
        sampled_at: String,
    },
    GivenBack {
        step: &'a str,
        count: i64,
        version: i64,
    },
    Evicted {
        objects: u64,
        bytes: u64,
    },
    Results {
        folder: &'a str,
        files: u64,
        new: u64,
        changed: u64,
        removed: u64,
        kept: u64,
        equal: u64,
    },
    Kept {
        task: TaskId,
        step: &'a str,
        message: &'a str,
    },
    Pushed {
        to: &'a str,
        results: u64,
        bytes: u64,
    },
    Freed {
        runsets: u64,
        rows: u64,
        objects: u64,
        bytes: u64,
    },
    Rerouted {
        #[serde(skip_serializing_if = "Option::is_none")]
        from: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        to: Option<&'a str>,
        count: i64,
        done: bool,
    },
    Runset {
        name: &'a str,
        seeded: bool,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        params: BTreeMap<&'a str, &'a str>,
        steps: Vec<Counts<'a>>,
    },
    Inputs {
        new: u64,
        changed: u64,
        gone: u64,
        unchanged: u64,
    },
    Gathered {
        step: &'a str,
        tasks: u64,
        outputs: u64,
    },
    Paired {
        task: TaskId,
        step: &'a str,
        tasks: u64,
    },
    Started {
        task: TaskId,
        step: &'a str,
        version: i64,
        #[serde(skip_serializing_if = "Option::is_none")]
        input_name: Option<&'a str>,
        input: String,
        kind: &'static str,
        attempt: u32,
    },
    Output {
        task: TaskId,
        step: &'a str,
        stream: &'static str,
        text: String,
    },
    Done {
        task: TaskId,
        step: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        reused_from: Option<TaskId>,
        #[serde(skip_serializing_if = "Option::is_none")]
        shared_by: Option<&'a str>,
        #[serde(flatten)]
        ran: Option<Ran>,
        #[serde(skip_serializing_if = "Option::is_none")]
        node: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        launch: Option<&'static str>,
        outputs: Outputs<'a>,
    },
    Failed {
        task: TaskId,
        step: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        key: Option<&'a str>,
        cause: &'static str,
        error: &'a str,
        #[serde(flatten)]
        ran: Option<Ran>,
        #[serde(skip_serializing_if = "Option::is_none")]
        node: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_in_seconds: Option<f64>,
    },
    Remade {
        task: TaskId,
        step: &'a str,
        #[serde(flatten)]
        ran: Option<Ran>,
        #[serde(skip_serializing_if = "Option::is_none")]
        node: Option<&'a str>,
        same: bool,
    },
    Cancelled {
        task: TaskId,
        step: &'a str,
        #[serde(flatten)]
        ran: Option<Ran>,
    },
    Warning {
        message: &'a str,
    },
    Worker(AtWork<'a>),
    Given {
        task: TaskId,
        step: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        node: Option<&'a str>,
    },
    Lost {
        task: TaskId,
        step: &'a str,
        executor: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        node: Option<&'a str>,
        elapsed_seconds: f64,
        why: &'a str,
    },
    Interrupted {
        signal: &'a str,
        running: usize,
    },
    Summary(Over<'a>),
    Error {
        kind: &'a str,
        message: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        hint: Option<&'a str>,
        exit_status: u8,
    },
}

impl JsonEvent<'_> {
    /// The line with its end.
    pub(super) fn line(&self, now: jiff::Timestamp) -> String {
        let line = Line {
            schema: SCHEMA,
            time: rfc3339(now),
            told: self,
        };
        // No map here has keys that are not text, and nothing fails to be written to memory.
        let mut text = text::json(serde_json::to_string(&line).unwrap_or_default());
        text.push('\n');
        text
    }
}
