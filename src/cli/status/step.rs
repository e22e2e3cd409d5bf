//! A step's row.

use serde_json::{Value, json};

use super::{StepStatus, environment, environment_json};
use crate::state::Accepted;
use crate::text::colour::Mark;
use crate::text::time::short;
use crate::text::{colour, visible};

impl StepStatus {
    /// What its tasks ask for beside what they took.
    pub(super) fn taken(&self) -> Option<String> {
        let (asked, taken) = self.taken.as_ref()?;
        asked.beside(taken.cpus(), taken.peak.map(i64::unsigned_abs))
    }

    /// The same for programs.
    pub(super) fn taken_json(&self) -> Value {
        let Some((asked, taken)) = &self.taken else {
            return Value::Null;
        };
        json!({
            "cpus": asked.cpus,
            "memory": asked.memory.map(|memory| [memory.least, memory.most]),
            "used_cpus": taken.cpus(),
            "peak_memory": taken.peak,
        })
    }

    pub(super) fn row(&self) -> Vec<String> {
        let count = |number: i64| match number {
            0 => "·".to_owned(),
            some => some.to_string(),
        };
        let marked = |number: i64, word: &str| match Mark::of(word) {
            Some(mark) if number != 0 => colour::marked(mark, &number.to_string()),
            Some(_) | None => count(number),
        };
        let spent = if self.spent.is_zero() {
            "·".to_owned()
        } else {
            short(self.spent)
        };
        vec![
            visible(&self.name),
            format!("v{}", self.version),
            count(self.tally.done),
            count(self.tally.reused),
            marked(self.tally.failed, "failed"),
            count(self.tally.pending),
            marked(self.tainted, "tainted"),
            spent,
            self.identity.as_ref().map_or_else(String::new, environment),
        ]
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "step": self.name,
            "version": self.version,
            "environment": self.identity.as_ref().map(environment_json),
            "pure": self.identity.as_ref().map(|identity| identity.pure),
            "done": self.tally.done,
            "reused": self.tally.reused,
            "failed": self.tally.failed,
            "pending": self.tally.pending,
            "tainted": self.tainted,
            "accepted": self.accepted.iter().map(|(version, Accepted { why, count, .. })| json!({
                "count": count,
                "version": version,
                "made_by_version": why.made_by_version,
                "sample": why.sample,
            })).collect::<Vec<_>>(),
            "seconds": self.spent.as_secs_f64(),
            "taken": self.taken_json(),
        })
    }
}
