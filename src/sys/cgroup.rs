//! What can be told of control groups, by which the memory of tasks is limited where there are some.

use std::time::Duration;

/// Why memory cannot be limited here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Obstacle {
    /// No hierarchy of version 2.
    #[error("there are no control groups of version 2 here")]
    NoGroups,
    /// It has no memory in it.
    #[error("the control group of this process has no memory controller")]
    NoMemory,
    /// It is somebody else's.
    #[error("the control group of this process is not delegated to it")]
    NotDelegated,
    /// Others are in it.
    #[error("other processes are in the control group of this one")]
    Shared,
    /// A call failed.
    #[error("its control group cannot be divided: {0}")]
    Failed(String),
}

impl Obstacle {
    /// What to do.
    pub(crate) fn hint() -> &'static str {
        "a service with Delegate=yes has one, and so has \
         `systemd-run --user --scope -p Delegate=yes task-pipeline -run`"
    }
}

/// What came of a task in a group of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Fate {
    /// How many of its processes were killed for want of memory, be it its own, that of a group above it, or
    /// the machine's.
    pub killed: u64,
    /// Whether it wanted more than it was given.
    pub over: bool,
    /// The time that CPUs worked for all that was in it, also for what nobody waited for.
    pub cpu: Option<Duration>,
    /// The most that it had, in bytes, where the kernel tells.
    pub peak: Option<u64>,
}
