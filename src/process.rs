//! Child processes: each in a session of its own, run and watched by one thread, seen and ended by
//! others. Nothing in here knows of steps or tasks.
//!
//! A session of its own has no terminal: who asks for a password there fails at once, and is not
//! stopped for ever as one in the background would be.

mod capture;
mod ended;
mod group;
mod launch;
mod warm;

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions};

pub use capture::{Pipes, Sink, Stream};
pub use ended::{Cut, Ended, Manners, Tells, describe, signal_name};
pub use group::Groups;
pub use launch::{Launch, Opening};
pub use warm::Warm;

use crate::sys::ExitWatch;

/// Between the polite signal and the one that no process can refuse.
pub const GRACE: Duration = Duration::from_secs(5);

/// What a handle knows of the child at the moment.
#[derive(Debug, Default)]
enum Phase {
    #[default]
    Idle,
    Running {
        groups: Groups,
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
    /// Runs prepared programs, each of which reads what the one before it writes, and waits for
    /// their end. Also how each of them ended.
    ///
    /// What comes through `pipes` meanwhile goes to `sink`. After `timeout` they are asked to
    /// end, and killed [`GRACE`] later.
    pub fn launch(
        &self,
        pipeline: &[Launch],
        pipes: &mut Pipes,
        timeout: Option<Duration>,
        sink: &mut dyn Sink,
    ) -> Result<(Ended, Vec<ExitStatus>), RunError> {
        let groups = {
            let mut phase = self.lock();
            if matches!(*phase, Phase::Refused) {
                return Err(RunError::Refused);
            }
            let groups = launch::spawn(pipeline)?;
            *phase = Phase::Running {
                groups: groups.clone(),
                cut: None,
            };
            groups
        };
        sink.started();
        let watched = self.watch(&groups, pipes, timeout, sink);
        if watched.is_err() {
            self.signal(Signal::KILL);
        }
        // The lock is held while the children are reaped: the groups' numbers belong to nobody else
        // until the handle has forgotten them.
        let mut phase = self.lock();
        let statuses: Vec<ExitStatus> = groups.leaders().map(reap).collect::<io::Result<_>>()?;
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
            left: groups.alive(),
        };
        Ok((ended, statuses))
    }

    /// Asks running children and all in their groups to end; a child that is not running yet never will be.
    pub fn end(&self) {
        let mut phase = self.lock();
        match &mut *phase {
            Phase::Running { groups, cut } => {
                cut.get_or_insert(Cut::Asked);
                groups.ask_to_end();
            }
            Phase::Idle => *phase = Phase::Refused,
            Phase::Refused => {}
        }
    }

    /// Sends `signal` to running children and all in their groups.
    pub fn signal(&self, signal: Signal) {
        if let Phase::Running { groups, .. } = &*self.lock() {
            groups.signal(signal);
        }
    }

    /// Returns when all children have ended and wait to be reaped.
    fn watch(
        &self,
        children: &Groups,
        pipes: &mut Pipes,
        timeout: Option<Duration>,
        sink: &mut dyn Sink,
    ) -> io::Result<()> {
        let mut limit = Limit::new(timeout);
        for child in children.leaders() {
            let watch = ExitWatch::of(child);
            while !pipes.wait(&watch, limit.next, sink)? {
                limit.enforce(self);
            }
        }
        Ok(())
    }

    fn cut(&self, why: Cut) {
        if let Phase::Running { groups, cut } = &mut *self.lock() {
            cut.get_or_insert(why);
            groups.ask_to_end();
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

#[cfg(test)]
mod tests;
