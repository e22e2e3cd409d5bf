//! The engine: which task is next, and what its end changes.
//!
//! Workers (threads of a [`crew`]) take turns: the one whose task has ended locks the engine,
//! records the end, takes its next task and goes on, so that between two tasks of a worker no
//! other thread has to wake up. The thread that started the run only keeps time and hears
//! signals. The engine never prints: what happens is told as [`Event`]s. Another kind of executor
//! would take the place of [`worker`]: jobs in, [`worker::Ended`] out.

mod channel;
mod commands;
mod crew;
mod direct;
mod early;
mod forecast;
mod live;
mod lost;
mod outputs;
mod record;
mod recover;
mod relief;
mod rings;
mod scratch;
mod step;
mod transcript;
mod warm;
mod worker;
mod workspace;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use channel::{Channel, Emergency, Message};
pub use forecast::{Forecast, Reason, forecast};
pub use lost::{Lost, Redone, look, restore};
pub use recover::recover;
pub use scratch::Scratch;
pub use step::{Memo, Runnable, identity, memo, program, variables};
pub use warm::warmth;
pub use worker::{host_path, in_words, need};

use crate::core::event::{Event, Failure, Summary};
use crate::core::name::StepName;
use crate::core::plan::{LaneId, Next, Plan};
use crate::core::route::Router;
use crate::core::task::TaskId;
use crate::folder::Folder;
use crate::state::{self, Runset, State};
use crate::store::Store;
use early::Early;
use record::{Examination, Settled};
use rings::Rings;
use worker::Job;

/// Told what happens, by whichever thread makes it happen.
pub type Listener<'a> = dyn FnMut(&Event) + Send + 'a;

/// How to run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Most tasks at once.
    pub parallel: usize,
    /// Whether the first failure stops the start of more.
    pub fail_fast: bool,
    /// Whether what tasks write is told while they run.
    pub live: bool,
    /// A folder of this run alone, on the store's file system.
    pub scratch: Arc<Folder>,
}

/// Ends a run that goes wrong in a way that no task is to blame for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The state could not be read or written. What was committed is kept.
    #[error(transparent)]
    State(#[from] state::Error),
    /// A list of outputs could not be read back.
    #[error("cannot read back a task's list of outputs: {0}")]
    Spill(std::io::Error),
    /// A thread could not be started, or panicked.
    #[error("a worker broke down{}", .0.as_ref().map_or_else(String::new, |e| format!(": {e}")))]
    Worker(Option<std::io::Error>),
}

/// Longest time that an end of a task waits to be written to the file.
const GROUP: Duration = Duration::from_millis(20);
/// Tasks that are settled without a worker (reused, put behind an equal one) in one go; then
/// others get their turn.
const STRETCH: usize = 64;

/// One run of one runset.
pub struct Engine<'a> {
    state: &'a mut State,
    store: &'a Store,
    steps: &'a [Arc<Runnable>],
    router: &'a Router,
    runset: &'a Runset,
    /// The runset's name, for the jobs.
    runset_name: Arc<str>,
    listener: &'a mut Listener<'a>,
    settings: Settings,
    plan: Plan,
    summary: Summary,
    /// Why no more tasks start.
    stopping: bool,
    /// Whether it was told that fewer run at once.
    scarce: bool,
    clock: Instant,
    /// When the open group of writes began.
    group_began: Instant,
    /// Final outputs seen.
    compared: usize,
    /// The place of each step, by name.
    lanes: HashMap<StepName, LaneId>,
    early: Early,
    rings: Rings,
    /// Tasks for which large objects were read.
    examined: HashSet<TaskId>,
}

/// What a worker is to do.
enum Turn {
    /// This task.
    Do(Box<Job>),
    /// Read these objects; then a task is decided on.
    Examine(Examination),
    /// Ask again: there is more to settle, and others may want their turn.
    Again,
    /// Wait until something ends or begins.
    Wait,
}

impl<'a> Engine<'a> {
    /// To run what is pending in `runset`.
    pub fn new(
        state: &'a mut State,
        store: &'a Store,
        steps: &'a [Arc<Runnable>],
        router: &'a Router,
        runset: &'a Runset,
        settings: Settings,
        listener: &'a mut Listener<'a>,
    ) -> Result<Self, Error> {
        let tallies = state.tallies(runset.id)?;
        let lanes = steps.iter().map(|step| {
            let tally = tallies.get(&step.id).copied().unwrap_or_default();
            (step.parallel, tally.pending + tally.failed > 0)
        });
        let now = Instant::now();
        Ok(Self {
            plan: Plan::new(settings.parallel, lanes),
            summary: Summary {
                runset: runset.name.clone(),
                ..Summary::default()
            },
            state,
            store,
            steps,
            router,
            runset,
            runset_name: runset.name.as_str().into(),
            listener,
            settings,
            stopping: false,
            scarce: false,
            clock: now,
            group_began: now,
            compared: 0,
            lanes: steps
                .iter()
                .map(|step| (step.name.clone(), step.lane))
                .collect(),
            early: Early::default(),
            rings: Rings::default(),
            examined: HashSet::new(),
        })
    }

    /// Runs until nothing is left that can start, or until a signal comes in.
    pub fn run(self, channel: &Channel) -> Result<Summary, Error> {
        if self.plan.has_ready() {
            recover::keep_few(self.state)?;
        }
        let mut own = crew::run(self, channel)?;
        if own.summary.executed + own.summary.reused + own.summary.failed > 0 {
            lost::note(own.state, own.store, own.runset)?;
        }
        own.state.end_of_run()?;
        own.summary.elapsed = own.clock.elapsed();
        Ok(own.summary)
    }

    /// Whether the run is over: nothing runs, and nothing will.
    fn is_over(&mut self) -> bool {
        self.plan.running() == 0
            && (self.stopping || !self.plan.is_pausing() && !self.plan.is_open())
    }

    /// Whether something may start.
    fn is_open(&self) -> bool {
        let early = !self.early.is_empty() && self.plan.has_room();
        !self.stopping && (early || self.plan.is_open())
    }

    /// When the clock makes something due: a commit, the end of a pause.
    fn due(&mut self) -> Option<Instant> {
        let commit = self.state.is_grouped().then(|| self.group_began + GROUP);
        let now = self.now();
        let pause = self
            .plan
            .wake(now)
            .map(|due| self.clock + Duration::from_millis(due));
        commit.into_iter().chain(pause).min()
    }

    /// Does what the clock made due.
    fn tick(&mut self) -> Result<(), Error> {
        let now = self.now();
        self.plan.wake(now);
        if self.state.is_grouped() && self.group_began.elapsed() >= GROUP {
            self.state.commit()?;
        }
        Ok(())
    }

    /// Milliseconds since the start.
    fn now(&self) -> u64 {
        u64::try_from(self.clock.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// A signal came in: nothing more starts. Whether it is not the first.
    fn interrupt(&mut self, signal: i32) -> bool {
        let again = self.summary.signal.replace(signal).is_some();
        self.stopping = true;
        (self.listener)(&Event::Interrupted {
            signal: &crate::process::signal_name(signal),
            tasks: self.plan.running(),
        });
        again
    }

    fn begin_group(&mut self) -> Result<(), Error> {
        if !self.state.is_grouped() {
            self.group_began = Instant::now();
            self.state.group()?;
        }
        Ok(())
    }

    /// Settles what needs no worker, up to the first task that does.
    fn next(&mut self) -> Result<Turn, Error> {
        for _ in 0..STRETCH {
            if self.stopping {
                return Ok(Turn::Wait);
            }
            if let Some(job) = self.next_early() {
                return Ok(Turn::Do(job));
            }
            match self.plan.decide() {
                Next::Wait => return Ok(Turn::Wait),
                // Reads, too, are cheaper in a transaction than each with locks of its own.
                Next::Refill { lane, after, count } => {
                    self.begin_group()?;
                    let step = &self.steps[lane];
                    let rows = self.state.unfinished(self.runset, step.id, after, count)?;
                    self.plan.fill(lane, rows);
                }
                Next::Take(lane, ready) => {
                    let step = Arc::clone(&self.steps[lane]);
                    let key = record::key(&step, &ready);
                    self.begin_group()?;
                    let Some(ready) = (match &key {
                        Some(key) => self.plan.park(key, ready),
                        None => Some(ready),
                    }) else {
                        continue;
                    };
                    match self.settle(&step, &ready, key.as_ref())? {
                        Settled::Yes => continue,
                        Settled::No => {}
                        Settled::Examine(objects) => {
                            self.plan.start(lane, key.clone());
                            return Ok(Turn::Examine(Examination {
                                lane,
                                ready,
                                key,
                                objects,
                            }));
                        }
                    }
                    self.plan.start(lane, key.clone());
                    (self.listener)(&Event::Started {
                        task: ready.id,
                        step: &step.name,
                        version: step.version,
                        input_name: ready.name.as_deref(),
                        input: ready.input,
                        attempt: ready.attempt,
                    });
                    return Ok(Turn::Do(Box::new(Job {
                        step,
                        ready,
                        key,
                        runset: Arc::clone(&self.runset_name),
                        more: self.plan.has_waiting(lane),
                        ahead: self.plan.ahead(lane),
                        loan: None,
                    })));
                }
            }
        }
        Ok(Turn::Again)
    }

    /// Something went wrong, perhaps amid the end of a task: nothing more is recorded.
    fn abandon(&mut self) {
        self.state.abandon();
        self.stopping = true;
    }

    /// Notes a failure for the summary.
    fn failed(&mut self, failure: Failure) {
        /// More would hide what they are to show.
        const SHOWN: usize = 20;
        self.summary.failed += 1;
        if self.summary.failures.len() < SHOWN {
            self.summary.failures.push(failure);
        }
        if self.settings.fail_fast {
            self.stopping = true;
        }
    }
}

#[cfg(test)]
mod tests;
