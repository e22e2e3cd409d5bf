//! Child processes: each in a group of its own, waited for by one thread, ended by another.
//! Nothing in here knows of steps or tasks.

use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitOptions};

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Its exit status or signal.
    pub status: ExitStatus,
    /// The child's process group, if some of its processes outlive it.
    pub left: Option<Group>,
}

/// A process group whose leader has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group(Pid);

impl Group {
    /// Kills what is left of it, and where orphans come to this process (Linux), waits until
    /// the last of them is gone.
    pub fn kill(self) {
        while rustix::process::kill_process_group(self.0, Signal::KILL).is_ok()
            && let Ok(Some(_)) = rustix::process::waitpgid(self.0, WaitOptions::empty())
        {}
    }

    /// Whether a process of the group is alive.
    fn is_alive(self) -> bool {
        // Ended orphans of ours still count as members until they are reaped.
        while rustix::process::test_kill_process_group(self.0).is_ok() {
            let reaped = rustix::process::waitpgid(self.0, WaitOptions::NOHANG);
            if !matches!(reaped, Ok(Some(_))) {
                return true;
            }
        }
        false
    }
}

/// What a handle knows of the child at the moment.
#[derive(Debug, Default)]
enum Phase {
    #[default]
    Idle,
    Running(Pid, Instant),
    /// Asked to end before it was spawned.
    Refused,
}

/// Lets other threads see and signal the child that one thread runs.
#[derive(Debug, Clone, Default)]
pub struct Handle(Arc<Mutex<Phase>>);

/// Why a child did not run.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// [`Handle::refuse`] came first.
    #[error("was not started")]
    Refused,
    /// The system could not start it.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Handle {
    /// Spawns `command` as the leader of a new process group and waits for its end.
    pub fn run(&self, command: &mut Command) -> Result<Ended, SpawnError> {
        let mut child = {
            let mut phase = self.lock();
            if matches!(*phase, Phase::Refused) {
                return Err(SpawnError::Refused);
            }
            let child = command.process_group(0).spawn()?;
            if let Some(pid) = Pid::from_raw(child.id().cast_signed()) {
                *phase = Phase::Running(pid, Instant::now());
            }
            child
        };
        let pid = Pid::from_child(&child);
        // The child stays a zombie, so that its number is not given to another process before
        // the handle has forgotten it.
        while let Err(rustix::io::Errno::INTR) = rustix::process::waitid(
            WaitId::Pid(pid),
            WaitIdOptions::EXITED | WaitIdOptions::NOWAIT,
        ) {}
        let mut phase = self.lock();
        *phase = Phase::Idle;
        let status = child.wait()?;
        drop(phase);
        let left = Some(Group(pid)).filter(|group| group.is_alive());
        Ok(Ended { status, left })
    }

    /// Sends `signal` to the child's whole group. False if there is none running.
    pub fn signal(&self, signal: Signal) -> bool {
        match *self.lock() {
            Phase::Running(pid, _) => rustix::process::kill_process_group(pid, signal).is_ok(),
            Phase::Idle | Phase::Refused => false,
        }
    }

    /// A child that is not running yet never will be.
    pub fn refuse(&self) {
        let mut phase = self.lock();
        if matches!(*phase, Phase::Idle) {
            *phase = Phase::Refused;
        }
    }

    /// Since when the child runs.
    pub fn running_since(&self) -> Option<Instant> {
        match *self.lock() {
            Phase::Running(_, since) => Some(since),
            Phase::Idle | Phase::Refused => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Phase> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The ending in words: `exit status 3`, `killed by SIGTERM`.
pub fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("killed by {}", signal_name(signal)),
        (None, None) => status.to_string(),
    }
}

/// `SIGTERM` for 15.
pub fn signal_name(signal: i32) -> String {
    signal_hook::low_level::signal_name(signal)
        .map_or_else(|| format!("signal {signal}"), str::to_owned)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn endings_in_words() {
        let end = |script: &str| describe(Handle::default().run(&mut sh(script)).unwrap().status);
        assert_eq!(end("exit 3"), "exit status 3");
        assert_eq!(end("kill -9 $$"), "killed by SIGKILL");
    }

    #[test]
    fn the_whole_group_is_signalled() {
        let handle = Handle::default();
        let other = handle.clone();
        let end = std::thread::spawn(move || other.run(&mut sh("sleep 60 & sleep 60")).unwrap());
        while handle.running_since().is_none() {
            std::thread::yield_now();
        }
        std::thread::sleep(Duration::from_millis(50));
        assert!(handle.signal(Signal::TERM));
        let end = end.join().unwrap();
        assert_eq!(describe(end.status), "killed by SIGTERM");
        assert!(!handle.signal(Signal::TERM));
    }

    #[test]
    fn what_is_left_is_seen_and_killed() {
        let handle = Handle::default();
        let end = handle.run(&mut sh("sleep 60 >/dev/null 2>&1 &")).unwrap();
        let left = end.left.unwrap();
        left.kill();
        assert_eq!(handle.run(&mut sh(":")).unwrap().left, None);
    }

    #[test]
    fn a_refused_child_never_runs() {
        let handle = Handle::default();
        handle.refuse();
        assert!(matches!(handle.run(&mut sh(":")), Err(SpawnError::Refused)));
    }
}
