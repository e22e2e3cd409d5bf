//! Who carries out tasks on other machines, or did.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::Failure;
use crate::state::{Reader, Runset, Standing};
use crate::sys;
use crate::text::amount::{count, doing};
use crate::text::time::short;
use crate::text::visible;

/// Machines that are named; of more their number is told.
const NAMED: usize = 16;

/// By executor.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Elsewhere(BTreeMap<String, Crew>);

/// The workers of an executor.
#[derive(Debug, Default, PartialEq, Eq)]
struct Crew {
    /// Those that are there.
    here: u64,
    /// Those that were called for and are not there yet.
    waiting: u64,
    /// Since when the first one of them was called for.
    waits: Duration,
    /// Why one of them waits, where that is known.
    waits_for: Option<String>,
    /// Those that were called for and never came, with why that was told last.
    never: u64,
    why: Option<String>,
    /// By name.
    nodes: BTreeMap<String, Machine>,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Machine {
    /// Workers that are there.
    here: u64,
    /// Tries that ended there.
    ended: u64,
    /// Tries that were lost there.
    lost: u64,
}

impl Elsewhere {
    pub(super) fn of(state: &Reader, runset: &Runset, running: bool) -> Result<Self, Failure> {
        let now = sys::now().as_millisecond();
        Ok(Self::from(
            state.workers(Some(runset))?,
            running.then_some(now),
        ))
    }

    /// `now`: if somebody runs, in milliseconds since 1970. Else nobody is there any more, whatever is recorded.
    fn from(workers: Vec<Standing>, now: Option<i64>) -> Self {
        let mut crews: BTreeMap<String, Crew> = BTreeMap::new();
        for worker in workers {
            let crew = crews.entry(worker.executor).or_default();
            let is_there = worker.gone.is_none() && now.is_some();
            match worker.node {
                Some(node) => {
                    let machine = crew.nodes.entry(node).or_default();
                    machine.ended += worker.ended.unsigned_abs();
                    machine.lost += worker.lost.unsigned_abs();
                    machine.here += u64::from(is_there);
                    crew.here += u64::from(is_there);
                }
                None if is_there => {
                    crew.waiting += 1;
                    let waits = now.unwrap_or_default().saturating_sub(worker.called).max(0);
                    let waits = Duration::from_millis(waits.unsigned_abs());
                    crew.waits = crew.waits.max(waits);
                    crew.waits_for = worker.why.or(crew.waits_for.take());
                }
                None => {
                    crew.never += 1;
                    crew.why = worker.why.or(crew.why.take());
                }
            }
        }
        Self(crews)
    }

    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for (name, crew) in &self.0 {
            let mut words = Vec::new();
            if crew.here > 0 {
                words.push(format!("{} at work", count(crew.here, "worker")));
            }
            if crew.waiting > 0 {
                let wait = ("waits for a place", "wait for a place");
                let waiting = doing(crew.waiting, "worker", wait);
                let why = crew.waits_for.as_ref();
                let why = why.map_or_else(String::new, |why| format!(" ({})", visible(why)));
                words.push(format!("{waiting} since {}{why}", short(crew.waits)));
            }
            let mut machines: Vec<_> = crew.nodes.iter().collect();
            machines.sort_by_key(|(_, machine)| {
                std::cmp::Reverse((machine.here, machine.lost, machine.ended))
            });
            let rest = machines.split_off(machines.len().min(NAMED));
            machines.sort_by_key(|(node, _)| *node);
            words.extend(
                machines
                    .iter()
                    .map(|(node, machine)| machine.in_words(node)),
            );
            if !rest.is_empty() {
                let tasks: u64 = rest.iter().map(|(_, machine)| machine.ended).sum();
                words.push(format!(
                    "{} on {}",
                    count(tasks, "task"),
                    count(rest.len(), "other machine")
                ));
            }
            if words.is_empty() {
                let why = crew.why.as_deref().unwrap_or("nothing says why");
                words.push(format!("no worker ever came: {}", visible(why)));
            }
            let _ = writeln!(text, "executor {}: {}", visible(name), words.join("; "));
        }
        text
    }

    pub(super) fn to_json(&self) -> Value {
        let crews = self.0.iter().map(|(name, crew)| {
            let nodes = crew.nodes.iter().map(|(node, machine)| {
                json!({
                    "node": node,
                    "workers": machine.here,
                    "tasks": machine.ended,
                    "lost": machine.lost,
                })
            });
            json!({
                "executor": name,
                "workers": crew.here,
                "waiting": crew.waiting,
                "waiting_seconds": (crew.waiting > 0).then_some(crew.waits.as_secs_f64()),
                "waiting_why": crew.waits_for,
                "never_came": crew.never,
                "nodes": nodes.collect::<Vec<_>>(),
            })
        });
        crews.collect()
    }
}

impl Machine {
    /// `n7: 40 tasks, 3 lost and run again`.
    fn in_words(&self, node: &str) -> String {
        let lost = match self.lost {
            0 => String::new(),
            lost => format!(", {lost} lost there"),
        };
        format!("{} {}{lost}", visible(node), count(self.ended, "task"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(executor: &str, node: Option<&str>, gone: bool, tries: (i64, i64)) -> Standing {
        Standing {
            row: 1,
            executor: executor.to_owned(),
            called: 1000,
            came: node.map(|_| 2000),
            node: node.map(str::to_owned),
            slots: None,
            gone: gone.then_some(9000),
            why: gone.then(|| "it ended".to_owned()),
            ended: tries.0,
            lost: tries.1,
        }
    }

    #[test]
    fn who_is_there_and_what_each_machine_did_is_told() {
        let waits = Standing {
            why: Some("PartitionDown".to_owned()),
            ..standing("slurm", None, false, (0, 0))
        };
        assert_eq!(
            Elsewhere::from(vec![waits], Some(36_000)).text(),
            "executor slurm: 1 worker waits for a place since 35.0s (PartitionDown)\n"
        );
        let workers = || {
            vec![
                standing("slurm", Some("n1"), true, (20, 3)),
                standing("slurm", Some("n1"), false, (1, 0)),
                standing("slurm", Some("n2"), false, (7, 0)),
                standing("slurm", None, false, (0, 0)),
                standing("lab", None, true, (0, 0)),
            ]
        };
        assert_eq!(
            Elsewhere::from(workers(), Some(36_000)).text(),
            "executor lab: no worker ever came: it ended\n\
             executor slurm: 2 workers at work; 1 worker waits for a place since 35.0s; n1 21 tasks, 3 lost there; n2 7 tasks\n"
        );
        // A run that was killed told nobody that its workers are gone.
        assert_eq!(
            Elsewhere::from(workers(), None).text(),
            "executor lab: no worker ever came: it ended\nexecutor slurm: n1 21 tasks, 3 lost there; n2 7 tasks\n"
        );
        assert_eq!(Elsewhere::from(Vec::new(), Some(5)).text(), "");
        let many =
            (0..40).map(|number| standing("ssh", Some(&format!("n{number:02}")), true, (2, 0)));
        let text = Elsewhere::from(many.collect(), None).text();
        assert!(
            text.starts_with("executor ssh: n00 2 tasks; n01 "),
            "{text}"
        );
        assert!(
            text.ends_with("; n15 2 tasks; 48 tasks on 24 other machines\n"),
            "{text}"
        );
    }
}
