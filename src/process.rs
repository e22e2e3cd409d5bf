//! Child processes: each in a session of its own, run and watched by one thread, seen and ended by
//! others. Nothing in here knows of steps or tasks.
//!
//! A session of its own has no terminal: who asks for a password there fails at once, and is not
//! stopped for ever as one in the background would be.

mod capture;
mod ended;
mod group;
mod handle;
mod invocation;
mod leftover;
mod observe;
mod spawn;
mod warm;

use std::io;
use std::time::Duration;

pub(crate) use capture::{Pipes, Sink, Stream};
pub(crate) use ended::{Ended, ExitSemantics, SignalMessages, StopReason, describe};
pub(crate) use group::Groups;
pub(crate) use handle::{Handle, Roll};
pub(crate) use invocation::{Invocation, Limits, Opening, Variables};
pub(crate) use leftover::{Ended as Leftover, end_marked};
pub(crate) use spawn::SpawnSpec;
pub(crate) use warm::Warm;

/// Between the polite signal and the one that no process can refuse, unless a handle gives another
/// time.
pub(crate) const GRACE: Duration = Duration::from_secs(5);

/// What a POSIX shell is given to become a program in the control group that its first argument, a file, leads into.
pub(crate) const ENTER: &str = r#"echo 0 > "$0" && exec "$@""#;

/// Variables of a login by ssh. Bash reads `~/.bashrc` where it finds one of the first two, also for a script.
pub(crate) const OF_SSH: [&str; 5] = [
    "SSH_CLIENT",
    "SSH2_CLIENT",
    "SSH_CONNECTION",
    "SSH_TTY",
    "SSH_ORIGINAL_COMMAND",
];

/// Why a child did not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// [`Handle::end`] came first.
    #[error("was not started")]
    Refused,
    /// The warm shell that had it died, not because it was asked to end: nobody knows what became
    /// of it. Nothing is left running.
    #[error("the shell died")]
    Lost,
    /// The system could not start it.
    #[error(transparent)]
    Spawn(io::Error),
    /// The system could not watch it, or could not start all of a pipeline.
    #[error(transparent)]
    Io(#[from] io::Error),
}

#[cfg(test)]
mod tests;
