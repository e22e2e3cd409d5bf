//! Another terminal's run, live: bars that stay up to date, on a terminal, or a line for each change.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::bars::Running;
use super::board::Told;
use crate::out::{self, Stream};
use crate::text::amount::count;
use crate::text::colour::count_of;
use crate::text::time::{exact, short};
use crate::text::visible;

/// See the module.
#[derive(Default)]
pub(crate) struct Following {
    bars: Option<(u32, String, Running)>,
    last: Option<String>,
}

impl Following {
    /// Whether it draws.
    pub(crate) fn draws() -> bool {
        Stream::Out.can_move() && Stream::Err.can_move() && !out::is_for_github()
    }

    /// The bars show that.
    pub(crate) fn show(&mut self, told: &Told) {
        let is_same =
            |(pid, runset, _): &(u32, String, Running)| *pid == told.pid && *runset == told.runset;
        if !self.bars.as_ref().is_some_and(is_same) {
            self.bars = None;
            let age = Duration::from_millis(told.at);
            let began = Instant::now().checked_sub(age).unwrap_or_else(Instant::now);
            let running = Running::since(told.model(), Stream::Err.has_colours(), began);
            self.bars = running.map(|running| (told.pid, told.runset.clone(), running));
        }
        if let Some((_, _, running)) = &self.bars {
            running.set(told.model());
        }
    }

    /// Nothing is shown any more.
    pub(crate) fn clear(&mut self) {
        self.bars = None;
    }

    /// A line, if it says something else than the one before, but for the time that goes by.
    pub(crate) fn line(&mut self, told: &Told) -> Option<String> {
        let line = in_words(told);
        let is_new = self.last.as_ref() != Some(&line);
        is_new.then(|| {
            self.last = Some(line.clone());
            format!("{} {line}\n", exact(Duration::from_secs(told.at / 1000)))
        })
    }
}

/// `runset r: 10 of 25 tasks finished, 3 run, 1 failed, 2 wait to be tried again`.
fn in_words(told: &Told) -> String {
    let sum = |of: fn(&super::board::StepTold) -> u64| told.steps.iter().map(of).sum::<u64>();
    let mut words = format!(
        "runset {}: {} of {} finished, {} run",
        visible(&told.runset),
        sum(|step| step.finished),
        count(sum(|step| step.total), "task"),
        told.running
    );
    for (node, tasks) in &told.nodes {
        let _ = write!(words, ", {tasks} of them on {}", visible(node));
    }
    let failed = sum(|step| step.failed);
    if failed > 0 {
        words.push_str(", ");
        words.push_str(&count_of(failed, "failed"));
    }
    let waiting = told.retries.iter().filter(|at| **at > told.at).count();
    if waiting > 0 {
        let _ = write!(words, ", {waiting} wait to be tried again");
    }
    if let Some(slow) = slow(told) {
        let _ = write!(words, ", slow: {slow}");
    }
    words
}

/// `work #12, usually 20s`: the first task that is slow beside others of its step.
fn slow(told: &Told) -> Option<String> {
    let (task, usual) = told.slow()?;
    let step = told.steps.get(task.step)?;
    Some(format!(
        "{} #{}, usually {}",
        visible(&step.step),
        task.task,
        short(usual)
    ))
}

/// `5 tasks: 3 here, 2 on n1; the longest for 1m02s: work #12`: what runs at the moment, where something does.
pub(crate) fn running(told: &Told) -> Option<String> {
    let oldest = told.tasks.first()?;
    let mut places = Vec::new();
    if !told.nodes.is_empty() {
        if told.here() > 0 {
            places.push(format!("{} here", told.here()));
        }
        places.extend(
            told.nodes
                .iter()
                .map(|(node, tasks)| format!("{tasks} on {}", visible(node))),
        );
    }
    let colon = if places.is_empty() { "" } else { ": " };
    let step = told.steps.get(oldest.step);
    let slow = match told.slow() {
        Some((task, usual)) if task.task == oldest.task => {
            format!(" (slow: usually {})", short(usual))
        }
        Some(_) | None => String::new(),
    };
    Some(format!(
        "{}{colon}{}; the longest for {}: {} #{}{slow}",
        count(told.running, "task"),
        places.join(", "),
        short(told.age(oldest)),
        step.map_or_else(String::new, |step| visible(&step.step)),
        oldest.task
    ))
}

/// The same for programs.
pub(crate) fn running_json(told: &Told) -> Value {
    json!({
        "count": told.running,
        "here": told.here(),
        "nodes": told.nodes.iter().map(|(node, tasks)| json!({ "node": node, "tasks": tasks })).collect::<Vec<_>>(),
        "tasks": told.tasks.iter().map(|task| json!({
            "task": task.task,
            "step": told.steps.get(task.step).map(|step| &step.step),
            "input_name": task.input,
            "node": task.node,
            "seconds": told.age(task).as_secs_f64(),
        })).collect::<Vec<_>>(),
    })
}

/// All that is told, for programs.
pub(crate) fn told_json(told: &Told) -> Value {
    let left = told.model().left();
    let waiting = told.retries.iter().filter(|at| **at > told.at);
    json!({
        "schema": 1,
        "runset": told.runset,
        "state": "running",
        "running": told.pid,
        "seconds": Duration::from_millis(told.at).as_secs_f64(),
        "steps": told.steps.iter().map(|step| json!({
            "step": step.step,
            "tasks": step.total,
            "finished": step.finished,
            "failed": step.failed,
            "running": step.running,
        })).collect::<Vec<_>>(),
        "running_tasks": running_json(told),
        "retries": {
            "count": waiting.clone().count(),
            "next_seconds": waiting.min().map(|at| Duration::from_millis(at - told.at).as_secs_f64()),
        },
        "left": left.map(|left| json!({ "seconds": left.time.as_secs_f64(), "at_least": left.at_least })),
    })
}

#[cfg(test)]
mod tests {
    use super::super::board::{StepTold, TaskTold};
    use super::*;

    fn told() -> Told {
        Told {
            pid: 5,
            runset: "r".to_owned(),
            at: 62_000,
            steps: vec![StepTold {
                step: "work".to_owned(),
                total: 25,
                finished: 10,
                running: 3,
                ..StepTold::default()
            }],
            running: 3,
            tasks: vec![TaskTold {
                task: 12,
                ..TaskTold::default()
            }],
            ..Told::default()
        }
    }

    #[test]
    fn a_slow_task_is_told_once() {
        let (mut following, mut told) = (Following::default(), told());
        told.steps[0].usual = Some(5_000_000);
        told.steps[0].known = 9;
        told.at = 14_000;
        let line = following.line(&told).unwrap();
        assert!(!line.contains("slow"), "{line}");
        told.at = 16_000;
        assert_eq!(
            following.line(&told).unwrap(),
            "16s runset r: 10 of 25 tasks finished, 3 run, slow: work #12, usually 5.0s\n"
        );
        told.at = 30_000;
        assert_eq!(following.line(&told), None);
        assert_eq!(
            running(&told).unwrap(),
            "3 tasks; the longest for 30.0s: work #12 (slow: usually 5.0s)"
        );
    }

    #[test]
    fn a_line_for_each_change() {
        let (mut following, mut told) = (Following::default(), told());
        assert_eq!(
            following.line(&told).unwrap(),
            "1m2s runset r: 10 of 25 tasks finished, 3 run\n"
        );
        told.at += 9000;
        assert_eq!(following.line(&told), None);
        told.nodes.insert("n1".to_owned(), 2);
        told.retries = vec![70_000, 90_000];
        assert_eq!(
            following.line(&told).unwrap(),
            "1m11s runset r: 10 of 25 tasks finished, 3 run, 2 of them on n1, 1 wait to be tried again\n"
        );
    }

    #[test]
    fn what_runs_and_where() {
        let mut told = told();
        assert_eq!(
            running(&told).unwrap(),
            "3 tasks; the longest for 1m02s: work #12"
        );
        told.nodes.insert("n1".to_owned(), 2);
        assert_eq!(
            running(&told).unwrap(),
            "3 tasks: 1 here, 2 on n1; the longest for 1m02s: work #12"
        );
        assert_eq!(running_json(&told)["nodes"][0]["tasks"], 2);
        assert_eq!(told_json(&told)["steps"][0]["finished"], 10);
        told.tasks.clear();
        assert_eq!(running(&told), None);
    }
}
