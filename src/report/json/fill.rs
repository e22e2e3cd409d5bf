//! What events hold, as the parts of lines.

use super::parts::{
    Count, Counts, Difference, Failed, Gathers, Lacks, Late, Left, LostThere, Named, Outputs, Over,
    Ran, Sampled, Tainted, Unequal, Unmatched, Without,
};
use super::rfc3339;
use crate::model;
use crate::model::digest::Digest;
use crate::model::event::{Cause, Failure, Launch, Routed, Span, Summary};
use crate::model::identity::Change;
use crate::model::name::StepName;
use crate::model::task::TaskCounts;

impl<'a> Outputs<'a> {
    pub(super) fn of(outputs: &'a Routed) -> Self {
        Self {
            total: outputs.total(),
            r#final: outputs.finals,
            steps: outputs
                .all_steps()
                .map(|(step, count)| Count {
                    step: step.as_str(),
                    count: *count,
                })
                .collect(),
            names: outputs
                .names
                .iter()
                .map(|left| Left {
                    name: &left.name,
                    kind: left.form.word(),
                    step: left.step.as_ref().map(StepName::as_str),
                })
                .collect(),
        }
    }
}

impl<'a> Over<'a> {
    pub(super) fn of(summary: &'a Summary) -> Self {
        let Summary {
            runset,
            executed,
            reused,
            shared,
            oldest_reused,
            remade,
            // Told as a warning.
            without_bytes: _,
            superseded: _,
            failed,
            pending,
            finals,
            // Told by `results`.
            published: _,
            elapsed,
            steps,
            tainted,
            near,
            // Of what is wrong with names the first ones tell.
            near_more: _,
            untaken,
            waiting,
            lacking,
            left_out,
            orphaned,
            // Known by the manifest.
            gathering: _,
            lost,
            failures,
            // These are failures, too.
            not_remade: _,
            signal,
            flaky,
            late,
            // It is the `error` at the end.
            shortage: _,
            places: _,
        } = summary;
        Self {
            runset,
            executed: *executed,
            reused: *reused,
            shared: Some(*shared).filter(|count| *count > 0),
            remade: Some(*remade).filter(|count| *count > 0),
            oldest_reused_seconds: oldest_reused.map(|age| age.as_secs_f64()),
            failed: *failed,
            pending: *pending,
            final_outputs: *finals,
            elapsed_seconds: elapsed.as_secs_f64(),
            steps: counts(steps),
            tainted: tainted
                .iter()
                .map(|(step, count, changes)| of_tainted(step, *count, changes))
                .collect(),
            near: near
                .iter()
                .map(|(name, step)| Named {
                    name,
                    step: Some(step.as_str()),
                })
                .collect(),
            untaken: untaken.iter().map(Unmatched::of).collect(),
            orphaned: orphaned
                .iter()
                .map(|(step, count)| Count {
                    step,
                    count: count.unsigned_abs(),
                })
                .collect(),
            lost: lost
                .iter()
                .map(|(node, count)| LostThere {
                    node,
                    count: *count,
                })
                .collect(),
            failures: failures.iter().map(of_failure).collect(),
            waiting: waiting.iter().map(Gathers::of).collect(),
            lacking: lacking.iter().map(Lacks::of).collect(),
            left_out: left_out.as_ref().map(Without::of),
            signal: *signal,
            flaky: Some(*flaky).filter(|count| *count > 0),
            late: late
                .iter()
                .map(|(failed, tries)| Late {
                    tries: *tries,
                    failed: of_failure(failed),
                })
                .collect(),
        }
    }
}

pub(super) fn of_sampled(sampled: &model::sample::Sampled) -> Sampled<'_> {
    let model::sample::Sampled {
        runset,
        step,
        version,
        from,
        tasks,
        tainted,
        differing,
        failed,
        shown,
        next,
    } = sampled;
    Sampled {
        runset,
        step: step.as_str(),
        version: *version,
        from: *from,
        tasks: *tasks,
        tainted: *tainted,
        differing: *differing,
        failed: *failed,
        equal: sampled.is_equal(),
        differences: shown
            .iter()
            .map(|one| Unequal {
                task: one.task,
                input_name: one.input_name.as_deref(),
                kind: one.form.word(),
                error: one.error.as_deref(),
                outputs: one.outputs.iter().map(of_difference).collect(),
            })
            .collect(),
        next,
    }
}

fn of_difference(one: &model::sample::Difference) -> Difference<'_> {
    let hash = |digest: &Option<Digest>| digest.map(|digest| digest.to_string());
    Difference {
        name: &one.name,
        old: hash(&one.old),
        new: hash(&one.new),
    }
}

fn of_failure(failure: &Failure) -> Failed<'_> {
    Failed {
        task: failure.task,
        step: failure.step.as_str(),
        input_name: failure.input_name.as_deref(),
        key: failure.key.as_deref(),
        kind: failure.form.word(),
        cause: Cause::of(&failure.error).word(),
        node: failure.node.as_deref(),
        error: &failure.error,
    }
}

pub(super) fn of_tainted<'a>(step: &'a StepName, count: i64, changes: &[Change]) -> Tainted<'a> {
    Tainted {
        step: step.as_str(),
        count,
        changes: in_words(changes),
    }
}

pub(super) fn in_words(changes: &[Change]) -> Vec<String> {
    changes.iter().map(ToString::to_string).collect()
}

pub(super) fn counts(steps: &[(StepName, TaskCounts)]) -> Vec<Counts<'_>> {
    steps
        .iter()
        .map(|(step, tally)| Counts {
            step: step.as_str(),
            tally: *tally,
        })
        .collect()
}

/// None if nothing was executed.
pub(super) fn ran(span: &Span) -> Option<Ran> {
    Some(Ran {
        started: rfc3339(jiff::Timestamp::from_millisecond(span.started).unwrap_or_default()),
        elapsed_seconds: span.elapsed.as_secs_f64(),
        worker: span.worker?,
        launch: span.launch.map(Launch::word),
        cpu_seconds: span.cpu.map(|cpu| cpu.as_secs_f64()),
        peak_memory: span.peak,
    })
}
