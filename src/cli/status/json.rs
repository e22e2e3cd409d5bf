//! The same for programs.

use serde_json::{Value, json};

use super::{Status, StepStatus, report};
use crate::model::event::{Awaited, Waiting};
use crate::model::name::StepName;
use crate::state::Rerouted;

impl Status {
    pub(super) fn to_json(&self) -> Value {
        let total = self.total();
        json!({
            "schema": 1,
            "runset": self.runset,
            "state": self.word(),
            "running": self.running.and_then(|holder| holder.pid),
            "tasks": total,
            "tainted": self.tainted(),
            "final_outputs": self.finals,
            "lost": { "final_outputs": self.lost.finals, "inputs": self.lost.inputs },
            "changed": self.changed.iter().map(|(step, changes)| json!({
                "step": step.as_str(),
                "changes": changes.iter().map(ToString::to_string).collect::<Vec<_>>(),
            })).collect::<Vec<_>>(),
            "rerouted": self.rerouted.iter().map(|Rerouted { from, to, count }| json!({
                "from": from.as_ref().map(StepName::as_str),
                "to": to.as_ref().map(StepName::as_str),
                "count": count,
            })).collect::<Vec<_>>(),
            "would_fail": self.untold,
            "untaken": self.untaken.iter().map(|one| json!({
                "step": one.step.as_str(),
                "from": one.source.to_string(),
                "outputs": one.outputs,
                "names": one.names,
            })).collect::<Vec<_>>(),
            "waiting": self.waiting.iter().map(waiting).collect::<Vec<_>>(),
            "running_tasks": self.told.as_ref().map(report::running_json),
            "executors": self.elsewhere.to_json(),
            "next": self.next(),
            "steps": self.steps.iter().map(StepStatus::to_json).collect::<Vec<_>>(),
        })
    }
}

fn waiting(one: &Waiting) -> Value {
    let mut told = json!({ "step": one.step.as_str() });
    match &one.what {
        Awaited::Members {
            groups,
            complete,
            members,
            ..
        } => {
            told["groups"] = json!(groups);
            told["complete"] = json!(complete);
            told["members"] = json!(members);
        }
        Awaited::With { steps, tasks } => {
            told["with"] = steps.iter().map(StepName::as_str).collect();
            told["tasks"] = json!(tasks);
        }
    }
    told["waits_for"] = json!({ "pending": one.pending, "failed": one.failed });
    told
}
