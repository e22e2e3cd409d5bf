//! Who runs children, and how others reach them.

use std::io;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{Ended, GRACE, Groups, Pipes, RunError, Sink, SpawnSpec, StopReason, spawn};
use crate::sys::{self, ExitWatch, Usage};

/// What a handle knows of its children at the moment.
#[derive(Debug, Default)]
pub(super) enum Phase {
    #[default]
    Idle,
    Running {
        groups: Groups,
        cut: Option<StopReason>,
    },
    /// Asked to end before they were spawned.
    Refused,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) phase: Phase,
    /// Whether they are to be stopped.
    halted: bool,
    /// For how long they were, all in all.
    lost: Duration,
}

impl State {
    /// Children run in these groups.
    pub(super) fn run(&mut self, groups: Groups) {
        if self.halted {
            groups.signal(Signal::STOP);
        }
        self.phase = Phase::Running { groups, cut: None };
    }

    /// None does any more; why they were made to end, if they were.
    pub(super) fn over(&mut self) -> Option<StopReason> {
        match std::mem::take(&mut self.phase) {
            Phase::Running { cut, .. } => cut,
            Phase::Idle | Phase::Refused => None,
        }
    }

    fn signal(&self, signal: Signal) {
        if let Phase::Running { groups, .. } = &self.phase {
            groups.signal(signal);
        }
    }
}

/// The time of children, and what happens when it is over.
pub(super) struct Limit {
    /// When to act next, as far as is known.
    pub(super) next: Option<Instant>,
    /// Whether they were asked to end.
    asked: bool,
    /// What the handle's children had lost when `next` was set.
    lost: Duration,
}

impl Limit {
    pub(super) fn new(timeout: Option<Duration>, handle: &Handle) -> Self {
        Self {
            next: timeout.map(|timeout| Instant::now() + timeout),
            asked: false,
            // Nobody asks without a limit.
            lost: timeout.map_or(Duration::ZERO, |_| handle.lock().lost),
        }
    }

    /// Asks the children to end once their time is over, and kills them after the handle's grace.
    pub(super) fn enforce(&mut self, handle: &Handle) {
        if !self.is_over(handle) {
            return;
        }
        if self.asked {
            handle.signal(Signal::KILL);
            self.next = None;
        } else {
            self.asked = true;
            self.next = Some(Instant::now() + handle.grace);
            handle.cut(StopReason::Timeout);
        }
    }

    /// Asks the children to end now, if they were not asked yet.
    pub(super) fn end(&mut self, handle: &Handle) {
        if !self.asked {
            self.asked = true;
            self.next = Some(Instant::now() + handle.grace);
            handle.end();
            self.lost = handle.lock().lost;
        }
    }

    fn is_over(&mut self, handle: &Handle) -> bool {
        let Some(next) = self.next.as_mut().filter(|next| **next <= Instant::now()) else {
            return false;
        };
        let state = handle.lock();
        *next += state.lost.saturating_sub(self.lost);
        self.lost = state.lost;
        !state.halted && *next <= Instant::now()
    }

    /// When children that were asked to end will be killed.
    pub(super) fn grace(&self) -> Option<Instant> {
        self.next.filter(|_| self.asked)
    }
}

/// Lets other threads end the children that one thread runs.
#[derive(Debug, Clone)]
pub(crate) struct Handle {
    state: Arc<Mutex<State>>,
    /// Between the signal that asks children to end and the one that kills them.
    pub(super) grace: Duration,
}

impl Default for Handle {
    fn default() -> Self {
        Self::new(GRACE)
    }
}

impl Handle {
    /// For children that have so long to end when their time is over.
    pub(crate) fn new(grace: Duration) -> Self {
        Self {
            state: Arc::default(),
            grace,
        }
    }

    /// Runs prepared programs, each of which reads what the one before it writes, and waits for
    /// their end. Also how each of them ended.
    ///
    /// What comes through `pipes` meanwhile goes to `sink`. The limits of the first are those of
    /// all.
    pub(crate) fn launch(
        &self,
        pipeline: &[SpawnSpec],
        pipes: &mut Pipes,
        sink: &mut dyn Sink,
    ) -> Result<(Ended, Vec<ExitStatus>), RunError> {
        let groups = {
            let mut state = self.lock();
            if matches!(state.phase, Phase::Refused) {
                return Err(RunError::Refused);
            }
            let groups = spawn::spawn(pipeline)?;
            state.run(groups.clone());
            groups
        };
        sink.started();
        let timeout = pipeline.first().and_then(|spec| spec.limits().time);
        let watched = self.watch(&groups, pipes, timeout, sink);
        if watched.is_err() {
            self.signal(Signal::KILL);
        }
        // The lock is held while the children are reaped: the groups' numbers belong to nobody else
        // until the handle has forgotten them.
        let mut state = self.lock();
        let mut used = Usage::default();
        let statuses = groups.leaders().map(|leader| {
            let (status, usage) = sys::wait(leader)?;
            used.add(usage);
            Ok(status)
        });
        let statuses: Vec<ExitStatus> = statuses.collect::<io::Result<_>>()?;
        let cut = state.over();
        drop(state);
        watched?;
        pipes.drain(sink)?;
        let ended = Ended {
            status: statuses.last().copied().unwrap_or_default(),
            cut,
            left: groups.alive(),
            used,
        };
        Ok((ended, statuses))
    }

    /// Asks running children and all in their groups to end; one that is not running yet never
    /// will be.
    pub(crate) fn end(&self) {
        let mut state = self.lock();
        match &mut state.phase {
            Phase::Running { groups, cut } => {
                cut.get_or_insert(StopReason::Asked);
                groups.ask_to_end();
            }
            Phase::Idle => state.phase = Phase::Refused,
            Phase::Refused => {}
        }
    }

    /// Whether children that are not running yet never will be.
    pub(crate) fn is_ended(&self) -> bool {
        matches!(self.lock().phase, Phase::Refused)
    }

    /// Sends `signal` to running children and all in their groups.
    pub(crate) fn signal(&self, signal: Signal) {
        self.lock().signal(signal);
    }

    /// Stops running children and all in their groups, and those that come.
    fn halt(&self) {
        let mut state = self.lock();
        state.halted = true;
        state.signal(Signal::STOP);
    }

    /// Has them go on after so much time, which they did not have.
    fn resume(&self, lost: Duration) {
        let mut state = self.lock();
        state.halted = false;
        state.lost += lost;
        state.signal(Signal::CONT);
    }

    /// Returns when all children have ended and wait to be reaped.
    fn watch(
        &self,
        children: &Groups,
        pipes: &mut Pipes,
        timeout: Option<Duration>,
        sink: &mut dyn Sink,
    ) -> io::Result<()> {
        let mut limit = Limit::new(timeout, self);
        for child in children.leaders() {
            let watch = ExitWatch::of(child);
            while !pipes.wait(&watch, limit.next, sink)? {
                limit.enforce(self);
            }
        }
        Ok(())
    }

    fn cut(&self, why: StopReason) {
        if let Phase::Running { groups, cut } = &mut self.lock().phase {
            cut.get_or_insert(why);
            groups.ask_to_end();
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The handles of many threads, for who wants to reach all their children.
#[derive(Debug, Clone, Default)]
pub(crate) struct Roll(Arc<Mutex<Vec<Handle>>>);

impl Roll {
    /// Adds one.
    pub(crate) fn add(&self, handle: Handle) {
        self.lock().push(handle);
    }

    /// Forgets all.
    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    /// Asks all children to end; none will be started.
    pub(crate) fn end(&self) {
        self.lock().iter().for_each(Handle::end);
    }

    /// Kills all children; none will be started.
    pub(crate) fn kill(&self) {
        for handle in &*self.lock() {
            handle.end();
            handle.signal(Signal::KILL);
        }
    }

    /// Stops all children for as long as `stop` takes. It is no part of their time.
    pub(crate) fn halt_while(&self, stop: impl FnOnce()) {
        let handles = self.lock();
        handles.iter().for_each(Handle::halt);
        let began = Instant::now();
        stop();
        let lost = began.elapsed();
        handles.iter().for_each(|handle| handle.resume(lost));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Handle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
