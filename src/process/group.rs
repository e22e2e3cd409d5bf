//! The process groups of a task.

use rustix::process::{Pid, Signal, WaitOptions};

/// The process groups of a task, each named by the process that leads it, or did: one, or of a
/// pipeline that no shell has started one for each member. A member leads a session too, so that
/// it has no terminal, and nobody can join the group of another session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Groups {
    first: Pid,
    others: Vec<Pid>,
}

impl From<Pid> for Groups {
    fn from(leader: Pid) -> Self {
        Self {
            first: leader,
            others: Vec::new(),
        }
    }
}

impl Groups {
    /// Adds one.
    pub(super) fn push(&mut self, leader: Pid) {
        self.others.push(leader);
    }

    /// Their leaders.
    pub(super) fn leaders(&self) -> impl Iterator<Item = Pid> {
        std::iter::once(self.first).chain(self.others.iter().copied())
    }

    /// Sends a signal to all processes in them.
    pub(super) fn signal(&self, signal: Signal) {
        for leader in self.leaders() {
            // A failure means that they have ended.
            let _ = rustix::process::kill_process_group(leader, signal);
        }
    }

    /// Asks all processes in them to end. One that is stopped would not hear it.
    pub(super) fn ask_to_end(&self) {
        self.signal(Signal::TERM);
        self.signal(Signal::CONT);
    }

    /// Kills what is left of them, and where orphans come to this process (Linux), waits until
    /// the last of them is gone.
    pub(crate) fn kill(&self) {
        for leader in self.leaders() {
            while rustix::process::kill_process_group(leader, Signal::KILL).is_ok()
                && let Ok(Some(_)) = rustix::process::waitpgid(leader, WaitOptions::empty())
            {
            }
        }
    }

    /// Those in which a process is alive, if there are any. Their leaders must have been reaped.
    pub(super) fn alive(self) -> Option<Self> {
        let mut alive = self.leaders().filter(|leader| is_alive(*leader));
        let first = alive.next()?;
        let others = alive.collect();
        Some(Self { first, others })
    }
}

fn is_alive(leader: Pid) -> bool {
    // Ended orphans of ours still count as members until they are reaped.
    while rustix::process::test_kill_process_group(leader).is_ok() {
        let reaped = rustix::process::waitpgid(leader, WaitOptions::NOHANG);
        if !matches!(reaped, Ok(Some(_))) {
            return true;
        }
    }
    false
}
