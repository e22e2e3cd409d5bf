//! Child processes: each in a group of its own, run and watched by one thread, seen and ended by
//! others. Nothing in here knows of steps or tasks.

mod capture;
mod launch;
mod warm;

use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions};

pub use capture::{Pipes, Sink, Stream};
pub use launch::{Launch, Opening};
pub use warm::Warm;

use crate::sys::ExitWatch;

/// Between the polite signal and the one that no process can refuse.
pub const GRACE: Duration = Duration::from_secs(5);

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Its exit status or signal.
    pub status: ExitStatus,
    /// Why it was made to end, if it was.
    pub cut: Option<Cut>,
    /// The child's process group, if some of its processes outlive it.
    pub left: Option<Group>,
}

impl Ended {
    /// Success without a child.
    pub fn at_once() -> Self {
        Self {
            status: ExitStatus::default(),
            cut: None,
            left: None,
        }
    }

    /// What a shell would make of the ends of its children, the members of a pipeline: it tells of
    /// a death by a signal, and exits with 128 more than the signal's number.
    #[must_use]
    pub fn as_a_shell_would(
        self,
        members: &[ExitStatus],
        manners: Manners,
        mut tell: impl FnMut(&str),
    ) -> Self {
        let failed = members.iter().rev().find(|status| !status.success());
        let last = members.last().copied().unwrap_or_default();
        let counts = *failed.filter(|_| manners.pipefail).unwrap_or(&last);
        match manners.tells {
            Tells::Each => {
                let deaths = members.iter().copied().filter_map(death);
                deaths.for_each(|words| tell(&words));
            }
            Tells::WhatCounts => {
                death(counts).into_iter().for_each(|words| tell(&words));
            }
            Tells::Nothing => {}
        }
        let status = match counts.signal() {
            Some(signal) => ExitStatus::from_raw((128 + signal) << 8),
            None => counts,
        };
        Self { status, ..self }
    }
}

/// How a shell treats the members of a pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manners {
    /// Whether the last one that failed counts, and not the last one.
    pub pipefail: bool,
    /// Whose deaths it tells of.
    pub tells: Tells,
}

/// Whose deaths by a signal a shell tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tells {
    /// Every member's.
    Each,
    /// That of the one that counts.
    WhatCounts,
    /// Nobody's.
    Nothing,
}

/// How shells tell of a child's death, as a line; not of those that a user causes.
fn death(status: ExitStatus) -> Option<String> {
    let words = words_for(status.signal()?)?;
    let core = if status.core_dumped() {
        " (core dumped)"
    } else {
        ""
    };
    Some(format!("{words}{core}\n"))
}

fn words_for(signal: i32) -> Option<&'static str> {
    Some(match Signal::from_named_raw(signal)? {
        Signal::HUP => "Hangup",
        Signal::QUIT => "Quit",
        Signal::ILL => "Illegal instruction",
        Signal::TRAP => "Trace/breakpoint trap",
        Signal::ABORT => "Aborted",
        Signal::BUS => "Bus error",
        Signal::FPE => "Floating point exception",
        Signal::KILL => "Killed",
        Signal::USR1 => "User defined signal 1",
        Signal::SEGV => "Segmentation fault",
        Signal::USR2 => "User defined signal 2",
        Signal::ALARM => "Alarm clock",
        Signal::TERM => "Terminated",
        Signal::XCPU => "CPU time limit exceeded",
        Signal::XFSZ => "File size limit exceeded",
        Signal::SYS => "Bad system call",
        _ => return None,
    })
}

/// Why a child was made to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Its time was over.
    Timeout,
    /// [`Handle::end`] was called.
    Asked,
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
    Running {
        group: Pid,
        cut: Option<Cut>,
    },
    /// Asked to end before it was spawned.
    Refused,
}

/// A child's time, and what happens when it is over.
struct Limit {
    /// When to act next.
    next: Option<Instant>,
    /// Whether the child was asked to end.
    asked: bool,
}

impl Limit {
    fn new(timeout: Option<Duration>) -> Self {
        Self {
            next: timeout.map(|timeout| Instant::now() + timeout),
            asked: false,
        }
    }

    /// Asks the child to end once its time is over, and kills it [`GRACE`] later.
    fn enforce(&mut self, handle: &Handle) {
        if self.next.is_none_or(|next| next > Instant::now()) {
            return;
        }
        if self.asked {
            handle.signal(Signal::KILL);
            self.next = None;
        } else {
            self.asked = true;
            self.next = Some(Instant::now() + GRACE);
            handle.cut(Cut::Timeout);
        }
    }

    /// When a child that was asked to end will be killed.
    fn grace(&self) -> Option<Instant> {
        self.next.filter(|_| self.asked)
    }
}

/// Lets other threads end the child that one thread runs.
#[derive(Debug, Clone, Default)]
pub struct Handle(Arc<Mutex<Phase>>);

/// Why a child did not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// [`Handle::end`] came first.
    #[error("was not started")]
    Refused,
    /// The system could not start it.
    #[error(transparent)]
    Spawn(io::Error),
    /// The system could not watch it, or could not start all of a pipeline.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Handle {
    /// Spawns `command` as the leader of a new process group and waits for its end.
    ///
    /// What comes through `pipes` meanwhile goes to `sink`. After `timeout` the group is asked to
    /// end, and killed [`GRACE`] later.
    pub fn run(
        &self,
        command: &mut Command,
        pipes: &mut Pipes,
        timeout: Option<Duration>,
        sink: &mut dyn Sink,
    ) -> Result<Ended, RunError> {
        let mut spawn = || match command.process_group(0).spawn() {
            Ok(child) => Ok(vec![Pid::from_child(&child)]),
            Err(error) => Err(RunError::Spawn(error)),
        };
        let (ended, _) = self.run_spawned(&mut spawn, pipes, timeout, sink)?;
        Ok(ended)
    }

    /// The same of prepared programs, each of which reads what the one before it writes. Also how
    /// each of them ended.
    pub fn launch(
        &self,
        pipeline: &[Launch],
        pipes: &mut Pipes,
        timeout: Option<Duration>,
        sink: &mut dyn Sink,
    ) -> Result<(Ended, Vec<ExitStatus>), RunError> {
        self.run_spawned(&mut || launch::spawn(pipeline), pipes, timeout, sink)
    }

    fn run_spawned(
        &self,
        spawn: &mut dyn FnMut() -> Result<Vec<Pid>, RunError>,
        pipes: &mut Pipes,
        timeout: Option<Duration>,
        sink: &mut dyn Sink,
    ) -> Result<(Ended, Vec<ExitStatus>), RunError> {
        let (group, children) = {
            let mut phase = self.lock();
            if matches!(*phase, Phase::Refused) {
                return Err(RunError::Refused);
            }
            let children = spawn()?;
            let group = *children.first().ok_or(RunError::Refused)?;
            *phase = Phase::Running { group, cut: None };
            (group, children)
        };
        sink.started();
        let watched = self.watch(&children, pipes, timeout, sink);
        if watched.is_err() {
            self.signal(Signal::KILL);
        }
        // The lock is held while the children are reaped: the group's number belongs to nobody else
        // until the handle has forgotten it.
        let mut phase = self.lock();
        let statuses: Vec<ExitStatus> =
            children.into_iter().map(reap).collect::<io::Result<_>>()?;
        let cut = match std::mem::take(&mut *phase) {
            Phase::Running { cut, .. } => cut,
            Phase::Idle | Phase::Refused => None,
        };
        drop(phase);
        watched?;
        pipes.drain(sink)?;
        let ended = Ended {
            status: statuses.last().copied().unwrap_or_default(),
            cut,
            left: Some(Group(group)).filter(|group| group.is_alive()),
        };
        Ok((ended, statuses))
    }

    /// Asks a running child's whole group to end; a child that is not running yet never will be.
    pub fn end(&self) {
        let mut phase = self.lock();
        match &mut *phase {
            Phase::Running { group, cut } => {
                cut.get_or_insert(Cut::Asked);
                // A failure means that it is ending already.
                let _ = rustix::process::kill_process_group(*group, Signal::TERM);
            }
            Phase::Idle => *phase = Phase::Refused,
            Phase::Refused => {}
        }
    }

    /// Sends `signal` to a running child's whole group.
    pub fn signal(&self, signal: Signal) {
        if let Phase::Running { group, .. } = *self.lock() {
            let _ = rustix::process::kill_process_group(group, signal);
        }
    }

    /// Returns when all children have ended and wait to be reaped.
    fn watch(
        &self,
        children: &[Pid],
        pipes: &mut Pipes,
        timeout: Option<Duration>,
        sink: &mut dyn Sink,
    ) -> io::Result<()> {
        let mut limit = Limit::new(timeout);
        for child in children {
            let watch = ExitWatch::of(*child);
            while !pipes.wait(&watch, limit.next, sink)? {
                limit.enforce(self);
            }
        }
        Ok(())
    }

    fn cut(&self, why: Cut) {
        if let Phase::Running { group, cut } = &mut *self.lock() {
            cut.get_or_insert(why);
            let _ = rustix::process::kill_process_group(*group, Signal::TERM);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Phase> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for the end of a child.
fn reap(child: Pid) -> io::Result<ExitStatus> {
    loop {
        match rustix::process::waitpid(Some(child), WaitOptions::empty()) {
            Ok(Some((_, status))) => return Ok(ExitStatus::from_raw(status.as_raw())),
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
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
    use super::*;

    fn run(handle: &Handle, script: &str, timeout: Option<Duration>) -> (Ended, Vec<u8>, Vec<u8>) {
        let mut pipes = Pipes::new().unwrap();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        pipes.connect(&mut command).unwrap();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let end = handle
            .run(
                &mut command,
                &mut pipes,
                timeout,
                &mut |stream, bytes: &[u8]| match stream {
                    Stream::Stdout => out.extend_from_slice(bytes),
                    Stream::Stderr => err.extend_from_slice(bytes),
                },
            )
            .unwrap();
        (end, out, err)
    }

    fn end(script: &str) -> String {
        describe(run(&Handle::default(), script, None).0.status)
    }

    #[test]
    fn endings_in_words() {
        assert_eq!(end("exit 3"), "exit status 3");
        assert_eq!(end("kill -9 $$"), "killed by SIGKILL");
    }

    #[test]
    fn all_that_is_written_arrives() {
        let script = "echo a; echo b >/dev/stderr; echo c >/dev/stdout; seq 1 100000; echo d >&2";
        let (_, out, err) = run(&Handle::default(), script, None);
        assert_eq!(err, b"b\nd\n");
        assert!(out.starts_with(b"a\nc\n1\n") && out.ends_with(b"\n100000\n"));
    }

    #[test]
    fn the_whole_group_is_ended() {
        let handle = Handle::default();
        let other = handle.clone();
        let thread = std::thread::spawn(move || run(&other, "sleep 60 & sleep 60", None));
        while !matches!(*handle.lock(), Phase::Running { .. }) {
            std::thread::yield_now();
        }
        std::thread::sleep(Duration::from_millis(50));
        handle.end();
        let (end, ..) = thread.join().unwrap();
        assert_eq!(describe(end.status), "killed by SIGTERM");
        assert_eq!(end.cut, Some(Cut::Asked));
    }

    #[test]
    fn time_is_limited() {
        let (end, out, _) = run(
            &Handle::default(),
            "trap 'echo bye; exit 0' TERM; sleep 60 & wait",
            Some(Duration::from_millis(100)),
        );
        assert_eq!(end.cut, Some(Cut::Timeout));
        assert_eq!(out, b"bye\n");
    }

    #[test]
    fn what_is_left_is_seen_and_killed() {
        let handle = Handle::default();
        let (end, ..) = run(&handle, "sleep 60 >/dev/null 2>&1 &", None);
        end.left.unwrap().kill();
        assert_eq!(run(&handle, ":", None).0.left, None);
    }

    #[test]
    fn a_refused_child_never_runs() {
        let handle = Handle::default();
        handle.end();
        let mut pipes = Pipes::new().unwrap();
        let mut command = Command::new("/bin/true");
        let end = handle.run(&mut command, &mut pipes, None, &mut |_, _: &[u8]| {});
        assert!(matches!(end, Err(RunError::Refused)));
    }
}
