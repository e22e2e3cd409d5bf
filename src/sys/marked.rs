//! Processes of any parent, by what those of a run have.

use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;

use super::system;

/// What processes of a run have that no others have.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    /// Variables that name something in one of the folders.
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "nobody can look for them")
    )]
    pub variables: &'static [&'static str],
    /// The folders.
    pub folders: Vec<PathBuf>,
    /// Pipes that they have open, by their inodes.
    pub pipes: Vec<u64>,
}

/// A process of any parent. Where the system can do that, no other one that gets its number is
/// mistaken for it.
#[derive(Debug)]
pub(crate) struct Process(system::Process);

impl Process {
    /// Those with the marks, and all in the sessions that these lead, or that those `known` already
    /// were found in, which are alive; without the latter. Not this process, nor one that it
    /// descends from, nor one with a terminal. None where the system cannot tell.
    pub(crate) fn marked(marks: &Marks, known: &[Self]) -> Vec<Self> {
        let known: Vec<_> = known.iter().map(|process| &process.0).collect();
        system::marked(marks, &known)
            .into_iter()
            .map(Self)
            .collect()
    }

    /// Its number.
    pub(crate) fn id(&self) -> i32 {
        self.0.id()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        self.0.signal(signal);
    }

    /// Whether it has not ended yet.
    pub(crate) fn is_alive(&self) -> bool {
        self.0.is_alive()
    }

    /// Waits until one of them has ended, or no longer.
    pub(crate) fn wait_for_any(processes: &[Self], patience: Duration) {
        let processes: Vec<_> = processes.iter().map(|process| &process.0).collect();
        system::wait_for_any(&processes, patience);
    }
}
