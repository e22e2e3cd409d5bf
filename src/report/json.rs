//! Events for programs: one JSON object a line on standard error (`-log-format json`).
//!
//! Every line has these members first:
//!
//! | member | meaning |
//! |---|---|
//! | `schema` | [`SCHEMA`]; a greater number means that a member changed its meaning or went away |
//! | `time` | when it was told: RFC 3339, UTC, milliseconds |
//! | `event` | what happened, one of the names below |
//!
//! Members and events may be added without a new schema number: readers pass over what they do not
//! know. Members that do not apply are left out. Times of day are RFC 3339 texts, lengths of time
//! are seconds (`…_seconds`, with fractions). Text that is not UTF-8 has U+FFFD in place of the
//! bytes that are wrong.
//!
//! | event | members |
//! |---|---|
//! | `manifest` | `path`, `steps` (how many), `start` (the start step, if there is one) |
//! | `database` | `path`, `created` |
//! | `environment` | `line`: what Nix is doing |
//! | `version` | `step`, `version`, `again` (if it had that version before), `changes`: a step is new (no changes) or differs |
//! | `tainted` | `step`, `count`, `changes`: finished tasks of another version |
//! | `migrated` | `step`, `count`, `version`: tainted tasks to be done again |
//! | `nothing_tainted` | `runset` |
//! | `sampling` | `runset`, `steps`: tainted tasks are run as a sample, of which nothing is recorded; per step as in `runset` |
//! | `sampled` | `runset`, `step`, `version`, `from` (the version that the tasks are of), `tasks` (that were run), `tainted` (of how many), `differing`, `failed`, `equal` (whether neither is there), `differences` (of the first five tasks), `next`: what came of a sample |
//! | `accepted` | `runset`, `step`, `count`, `version`, `from`, `tasks`, `tainted`, `sampled_at`: tainted tasks are taken over as they are, on a sample of `tasks` of `tainted` |
//! | `given_back` | `step`, `count`, `version`: accepted tasks count again for the version that made them |
//! | `evicted` | `objects`, `bytes`: what was dropped, as `keep` says |
//! | `freed` | `runsets`, `rows`, `objects`, `bytes`: what was removed, as `keep_runsets` says |
//! | `results` | `folder`, `files`, `new`, `changed`, `removed`, `kept`, `equal`: the final outputs, at the end of a run |
//! | `kept` | `task`, `step`, `message`: where what a failed task left is kept, with `-keep-failed` |
//! | `pushed` | `to`, `results`, `bytes`: results were put where others find them |
//! | `rerouted` | `from`, `to` (left out where that is final), `count`, `done`: outputs have another route by now; whether a migration has acted on that |
//! | `runset` | `name`, `seeded`, `steps`: a run begins; per step `step`, `pending`, `failed`, `done`, `reused` |
//! | `inputs` | `new`, `changed`, `gone`, `unchanged`: what comes in was compared with what came before, how many of each |
//! | `gathered` | `step`, `tasks`, `outputs`: a step has all that it gathers, for so many tasks |
//! | `started` | `task`, `step`, `version`, `input_name`, `input` (its SHA-256), `kind` (what that is: `file`, `folder`, `list`), `attempt` (from 0): handed to the workers |
//! | `output` | `task`, `step`, `stream` (`stdout` or `stderr`), `text`: whole lines, without an end where the task paused or ended in one, or it is very long; only with `-verbose` |
//! | `done` | `task`, `step`, `reused_from`, `shared_by`, `started`, `elapsed_seconds`, `worker`, `launch`, `cpu_seconds`, `peak_memory`, `outputs` |
//! | `failed` | `task`, `step`, `key` (the group, of a step that gathers by key), `cause`, `error`, `started`, `elapsed_seconds`, `worker`, `launch`, `cpu_seconds`, `peak_memory`, `retry_in_seconds` (if it is tried again) |
//! | `remade` | `task`, `step`, `started`, `elapsed_seconds`, `worker`, `launch`, `cpu_seconds`, `peak_memory`, `same`: it ran again for bytes that were dropped |
//! | `cancelled` | `task`, `step`, `started`, `elapsed_seconds`, `worker`, `launch`, `cpu_seconds`, `peak_memory`: given up because the run ends, or to be started again; stays pending |
//! | `warning` | `message` |
//! | `interrupted` | `signal`, `running` (tasks that are being ended) |
//! | `summary` | `runset`, `executed`, `reused`, `shared`, `oldest_reused_seconds`, `failed`, `pending`, `final_outputs`, `elapsed_seconds`, `steps`, `tainted`, `near`, `untaken`, `orphaned`, `failures`, `signal`: a run is over |
//! | `error` | `kind`, `message`, `hint`, `exit_status`: the program ends without having done what was asked |
//!
//! `launch` is what ran the script: `direct` (the
//! runner itself started its programs), `shell` (a shell of its own), `warm` (a subshell of one that
//! runs many tasks). A `done` that is `reused_from` another task has the `launch` `reused`.
//!
//! `outputs` has `total`, `final`, `steps` (per step `step` and `count`) and `names`: the first
//! eight, each with `name`, `kind` (`file` or `folder`) and, unless it is final, `step`. `near` are final outputs (`name`)
//! whose name is close to that of a `step`, `untaken` are patterns of `from` that nothing matched, `orphaned` unfinished tasks (`count`) of a `step` that
//! is not in the manifest. The `kind` of an error is `usage` (command line, manifest, state),
//! `environment` (a package cannot be had) or `signal`.
//!
//! With `-quiet` there are only `failed`, `warning`, `tainted`, `rerouted`, `interrupted` and `error`.

mod event;
mod fill;
mod parts;

use crate::model::event::{Cause, Compared, Event, Summary};
use crate::model::name::StepName;
use crate::out;
use crate::sys;
use event::JsonEvent;
use fill::{counts, in_words, of_sampled, of_tainted, ran};
use parts::{AtWork, Outputs, Over};

/// The version of this format.
pub(crate) const SCHEMA: u32 = 1;
/// What stands in place of what launched a task where nothing was launched.
pub(super) const REUSED: &str = "reused";
/// As what a task was started that has the outputs of somebody else.
pub(super) const SHARED: &str = "shared";

/// Lines of JSON on standard error.
pub(crate) struct Lines {
    /// Only failures and warnings.
    pub quiet: bool,
}

impl Lines {
    /// Tells one event.
    pub(crate) fn event(&self, event: &Event) {
        if !self.quiet || event.is_urgent() {
            out::tell(&line(event, sys::now()));
        }
    }
}

/// An error that ends the program, as a line with its end.
pub(crate) fn error(kind: &str, message: &str, hint: Option<&str>, exit_status: u8) -> String {
    let told = JsonEvent::Error {
        kind,
        message,
        hint,
        exit_status,
    };
    told.line(sys::now())
}

/// The event as a line with its end.
fn line(event: &Event, now: jiff::Timestamp) -> String {
    told(event).line(now)
}

/// What the line says: an arm for each event, and all that it holds.
#[allow(clippy::too_many_lines)] // A table, read from top to bottom.
fn told<'a>(event: &'a Event) -> JsonEvent<'a> {
    match event {
        Event::Manifest { path, steps, start } => JsonEvent::Manifest {
            path,
            steps: *steps,
            start: start.map(StepName::as_str),
        },
        Event::Database { path, created } => JsonEvent::Database {
            path,
            created: *created,
        },
        Event::Environment(line) => JsonEvent::Environment { line },
        Event::Version {
            step,
            version,
            again,
            changes,
        } => JsonEvent::Version {
            step: step.as_str(),
            version: *version,
            again: *again,
            changes: in_words(changes),
        },
        Event::Tainted {
            step,
            count,
            changes,
        } => JsonEvent::Tainted(of_tainted(step, *count, changes)),
        Event::Migrated {
            step,
            count,
            version,
        } => JsonEvent::Migrated {
            step: step.as_str(),
            count: *count,
            version: *version,
        },
        Event::NothingTainted { runset } => JsonEvent::NothingTainted { runset },
        Event::Sampling { runset, steps } => JsonEvent::Sampling {
            runset,
            steps: counts(steps),
        },
        Event::Sampled(sampled) => JsonEvent::Sampled(of_sampled(sampled)),
        Event::Accepted {
            runset,
            step,
            count,
            version,
            from,
            sample,
        } => JsonEvent::Accepted {
            runset,
            step: step.as_str(),
            count: *count,
            version: *version,
            from: *from,
            tasks: sample.tasks,
            tainted: sample.tainted,
            sampled_at: rfc3339(jiff::Timestamp::from_millisecond(sample.made).unwrap_or_default()),
        },
        Event::GivenBack {
            step,
            count,
            version,
        } => JsonEvent::GivenBack {
            step: step.as_str(),
            count: *count,
            version: *version,
        },
        Event::Evicted {
            objects,
            bytes,
            words: _,
        } => JsonEvent::Evicted {
            objects: *objects,
            bytes: *bytes,
        },
        Event::Results {
            folder,
            files,
            new,
            changed,
            removed,
            kept,
            equal,
        } => JsonEvent::Results {
            folder,
            files: *files,
            new: *new,
            changed: *changed,
            removed: *removed,
            kept: *kept,
            equal: *equal,
        },
        Event::Kept { task, step, words } => JsonEvent::Kept {
            task: *task,
            step: step.as_str(),
            message: words,
        },
        Event::Pushed { to, results, bytes } => JsonEvent::Pushed {
            to,
            results: *results,
            bytes: *bytes,
        },
        Event::Freed {
            runsets,
            rows,
            objects,
            bytes,
            words: _,
        } => JsonEvent::Freed {
            runsets: *runsets,
            rows: *rows,
            objects: *objects,
            bytes: *bytes,
        },
        Event::Rerouted {
            from,
            to,
            count,
            done,
        } => JsonEvent::Rerouted {
            from: from.map(StepName::as_str),
            to: to.map(StepName::as_str),
            count: *count,
            done: *done,
        },
        Event::Runset {
            name,
            seeded,
            params,
            steps,
        } => JsonEvent::Runset {
            name,
            seeded: *seeded,
            params: params.iter().copied().collect(),
            steps: counts(steps),
        },
        Event::Gathered {
            step,
            tasks,
            outputs,
        } => JsonEvent::Gathered {
            step: step.as_str(),
            tasks: *tasks,
            outputs: *outputs,
        },
        Event::Paired { task, step, tasks } => JsonEvent::Paired {
            task: *task,
            step: step.as_str(),
            tasks: *tasks,
        },
        Event::Inputs(compared) => {
            let Compared {
                new,
                changed,
                gone,
                unchanged,
            } = **compared;
            JsonEvent::Inputs {
                new,
                changed,
                gone,
                unchanged,
            }
        }
        Event::Warning(message) => JsonEvent::Warning { message },
        Event::Worker {
            executor,
            place: _,
            most,
            worker,
            presence,
        } => JsonEvent::Worker(AtWork::of(executor, *most, *worker, *presence)),
        Event::Lost {
            task,
            step,
            executor,
            node,
            elapsed,
            why,
        } => JsonEvent::Lost {
            task: *task,
            step: step.as_str(),
            executor,
            node: *node,
            elapsed_seconds: elapsed.as_secs_f64(),
            why,
        },
        Event::Given { task, step, node } => JsonEvent::Given {
            task: *task,
            step: step.as_str(),
            node: *node,
        },
        Event::Interrupted { signal, tasks, .. } => JsonEvent::Interrupted {
            signal,
            running: *tasks,
        },
        Event::Summary(summary) => JsonEvent::Summary(Over::of(summary)),
        Event::Started {
            task,
            step,
            version,
            input_name,
            input,
            form,
            attempt,
        } => JsonEvent::Started {
            task: *task,
            step: step.as_str(),
            version: *version,
            input_name: *input_name,
            input: input.hex().to_string(),
            kind: form.word(),
            attempt: *attempt,
        },
        Event::Output {
            task,
            step,
            stderr,
            bytes,
        } => JsonEvent::Output {
            task: *task,
            step: step.as_str(),
            stream: if *stderr { "stderr" } else { "stdout" },
            text: String::from_utf8_lossy(bytes).into_owned(),
        },
        Event::Done {
            task,
            step,
            reused,
            shared,
            span,
            node,
            outputs,
        } => JsonEvent::Done {
            task: *task,
            step: step.as_str(),
            reused_from: *reused,
            shared_by: *shared,
            ran: ran(span),
            node: *node,
            launch: match (reused, shared) {
                (Some(_), _) => Some(REUSED),
                (None, Some(_)) => Some(SHARED),
                (None, None) => None,
            },
            outputs: Outputs::of(outputs),
        },
        Event::Failed {
            task,
            step,
            key,
            error,
            span,
            node,
            retry,
        } => JsonEvent::Failed {
            task: *task,
            step: step.as_str(),
            key: *key,
            cause: Cause::of(error).word(),
            error,
            ran: ran(span),
            node: *node,
            retry_in_seconds: retry.map(|pause| pause.as_secs_f64()),
        },
        Event::Remade {
            task,
            step,
            span,
            node,
            same,
        } => JsonEvent::Remade {
            task: *task,
            step: step.as_str(),
            ran: ran(span),
            node: *node,
            same: *same,
        },
        Event::Cancelled { task, step, span } => JsonEvent::Cancelled {
            task: *task,
            step: step.as_str(),
            ran: span.as_ref().and_then(ran),
        },
    }
}

/// What the `summary` has.
pub(crate) fn summary(summary: &Summary) -> serde_json::Value {
    serde_json::to_value(Over::of(summary)).unwrap_or_default()
}

fn rfc3339(time: jiff::Timestamp) -> String {
    format!("{time:.3}")
}

#[cfg(test)]
mod tests;
