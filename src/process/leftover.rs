//! Processes that a run left behind when it was killed.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::sys::{Marks, Process};

/// How long a killed process may take to be gone: the kernel may be waiting for a disk.
const DEATH: Duration = Duration::from_secs(10);
/// Between two looks for those that were started meanwhile.
const LOOK: Duration = Duration::from_millis(10);
/// How often none may be found until there is none: one that becomes another program is nobody for a
/// moment.
const LOOKS: u32 = 2;

/// What came of it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    /// How many were ended.
    pub ended: usize,
    /// The numbers of those that did not end.
    pub alive: Vec<i32>,
}

/// Ends all processes with the marks, and waits until they are gone. Those that do not end within
/// `grace` are killed.
pub(crate) fn end_marked(marks: &Marks, grace: Duration) -> Ended {
    let began = Instant::now();
    let (mut ended, mut empty) = (0, 0);
    let mut known: Vec<Process> = Vec::new();
    loop {
        let before = known.len();
        known.retain(Process::is_alive);
        ended += before - known.len();
        let new = Process::marked(marks, &known);
        let takes = began.elapsed();
        if takes <= grace {
            for process in &new {
                process.signal(Signal::TERM);
                process.signal(Signal::CONT);
            }
        }
        known.extend(new);
        empty = if known.is_empty() { empty + 1 } else { 0 };
        if empty == LOOKS || takes > grace + DEATH {
            let alive = known.iter().map(Process::id).collect();
            return Ended { ended, alive };
        }
        if takes > grace {
            known
                .iter()
                .for_each(|process| process.signal(Signal::KILL));
        }
        Process::wait_for_any(&known, LOOK);
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;
