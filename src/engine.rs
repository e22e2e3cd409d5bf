//! The engine: one loop that gives tasks to workers and records their ends.
//!
//! Workers (threads) run scripts and make objects of what these leave; the loop alone writes the
//! state. It never prints: what happens is told as [`Event`]s. Another kind of executor would
//! take the place of [`worker`]: jobs in, [`worker::Ended`] out.

mod forecast;
mod outputs;
mod record;
mod recover;
mod step;
mod transcript;
mod warm;
mod worker;
mod workspace;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

pub use forecast::{Forecast, Reason, forecast};
pub use recover::recover;
pub use step::{Memo, Runnable, identity, memo, program, variables};
pub use warm::warmth;
pub use worker::{Message, host_path, in_words};
pub use workspace::remove_all;

use tempfile::TempDir;

use crate::core::event::{Event, Failure, Summary};
use crate::core::name::StepName;
use crate::core::plan::{LaneId, Next, Plan};
use crate::core::route::Router;
use crate::process::Handle;
use crate::state::{self, Runset, State};
use crate::store::{self, Store};
use worker::{Job, Shared};

/// Told what happens.
pub type Listener<'a> = dyn FnMut(&Event) + 'a;

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
    pub scratch: PathBuf,
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

/// Signals that end a run come in here, from any thread.
#[derive(Debug)]
pub struct Channel {
    sender: SyncSender<Message>,
    receiver: Receiver<Message>,
}

impl Default for Channel {
    fn default() -> Self {
        // Few: a worker with much to tell waits until it has been told.
        let (sender, receiver) = mpsc::sync_channel(64);
        Self { sender, receiver }
    }
}

impl Channel {
    /// For the thread that gets the signals.
    pub fn sender(&self) -> SyncSender<Message> {
        self.sender.clone()
    }
}

/// Longest time that an end of a task waits to be written to the file.
const GROUP: Duration = Duration::from_millis(20);
/// Tasks shorter than this are handed out ahead, so that no worker waits for the next.
const SHORT: Duration = Duration::from_millis(50);

/// Makes a folder in `parent` for one run, and removes what killed runs left there.
///
/// The caller must hold the state's lock: nothing of another run may be alive.
pub fn scratch(parent: &Path) -> Result<TempDir, store::Error> {
    remove_all(parent);
    fs::create_dir_all(parent).map_err(store::io_error("make the folder", parent))?;
    tempfile::Builder::new()
        .prefix("run-")
        .tempdir_in(parent)
        .map_err(store::io_error("make a folder in", parent))
}

/// One run of one runset.
pub struct Engine<'a> {
    state: &'a mut State,
    store: &'a Store,
    steps: &'a [Arc<Runnable>],
    router: &'a Router,
    runset: &'a Runset,
    listener: &'a mut Listener<'a>,
    settings: Settings,
    plan: Plan,
    summary: Summary,
    /// Why no more tasks start.
    stopping: bool,
    clock: Instant,
    /// When the open group of writes began.
    group_began: Instant,
    /// A moving average.
    task_time: Duration,
    /// Final outputs seen.
    compared: usize,
    /// The place of each step, by name.
    lanes: HashMap<StepName, LaneId>,
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
            listener,
            settings,
            stopping: false,
            clock: now,
            group_began: now,
            task_time: Duration::ZERO,
            compared: 0,
            lanes: steps
                .iter()
                .map(|step| (step.name.clone(), step.lane))
                .collect(),
        })
    }

    /// Runs until nothing is left that can start, or until a signal comes in.
    pub fn run(mut self, channel: &Channel) -> Result<Summary, Error> {
        let shared = Shared::new(
            self.store,
            self.settings.live,
            self.settings.scratch.clone(),
        );
        let ended = std::thread::scope(|scope| {
            let mut workers = Workers {
                scope,
                shared: &shared,
                sender: &channel.sender,
                handles: Vec::new(),
                threads: Vec::new(),
            };
            let ended = self.events(&mut workers, &channel.receiver);
            shared.close();
            if ended.is_err() {
                workers.kill();
            }
            // A worker that still has something to tell must not wait for a reader.
            while workers.threads.iter().any(|thread| !thread.is_finished()) {
                let _ = channel.receiver.recv_timeout(Duration::from_millis(1));
            }
            ended
        });
        // What ended before something went wrong is kept all the same.
        let committed = self.state.commit();
        ended?;
        committed?;
        self.summary.elapsed = self.clock.elapsed();
        Ok(self.summary)
    }

    fn events(&mut self, workers: &mut Workers, receiver: &Receiver<Message>) -> Result<(), Error> {
        let mut ending: Option<Instant> = None;
        loop {
            if !self.stopping {
                self.dispatch(workers)?;
            }
            if self.plan.running() == 0 && (self.stopping || !self.plan.is_pausing()) {
                return Ok(());
            }
            match receiver.recv_timeout(self.patience(ending)) {
                Ok(message) => self.message(message, workers, &mut ending)?,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
            while let Ok(message) = receiver.try_recv() {
                self.message(message, workers, &mut ending)?;
            }
            if ending.is_some_and(|end| end <= Instant::now()) {
                workers.kill();
                ending = None;
            }
            if self.state.is_grouped() && self.group_began.elapsed() >= GROUP {
                self.state.commit()?;
            }
        }
    }

    /// How long to wait for the next message.
    fn patience(&mut self, ending: Option<Instant>) -> Duration {
        let mut patience = Duration::from_hours(1);
        if self.state.is_grouped() {
            patience = patience.min(GROUP.saturating_sub(self.group_began.elapsed()));
        }
        if let Some(end) = ending {
            patience = patience.min(end.saturating_duration_since(Instant::now()));
        }
        let now = self.now();
        if let Some(due) = self.plan.wake(now) {
            patience = patience.min(Duration::from_millis(due.saturating_sub(now)));
        }
        patience
    }

    /// Milliseconds since the start.
    fn now(&self) -> u64 {
        u64::try_from(self.clock.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn message(
        &mut self,
        message: Message,
        workers: &mut Workers,
        ending: &mut Option<Instant>,
    ) -> Result<(), Error> {
        match message {
            Message::Output {
                task,
                lane,
                stderr,
                bytes,
            } => (self.listener)(&Event::Output {
                task,
                step: &self.steps[lane].name,
                stderr,
                bytes: &bytes,
            }),
            Message::Ended(ended) => {
                self.begin_group()?;
                self.ended(*ended)?;
                if self.stopping {
                    self.take_back(workers);
                }
            }
            Message::Signal(signal) => {
                let again = self.summary.signal.replace(signal).is_some();
                self.stopping = true;
                self.take_back(workers);
                (self.listener)(&Event::Interrupted {
                    signal: &crate::process::signal_name(signal),
                    tasks: self.plan.running(),
                });
                if again {
                    workers.kill();
                } else {
                    workers.end();
                    *ending = Some(Instant::now() + crate::process::GRACE);
                }
            }
            Message::Broken => return Err(Error::Worker(None)),
        }
        Ok(())
    }

    /// Jobs that no worker has begun are no longer to be done.
    fn take_back(&mut self, workers: &Workers) {
        for job in workers.shared.close() {
            self.plan.ended(job.step.lane, job.key.as_ref());
            (self.listener)(&Event::Cancelled {
                task: job.ready.id,
                step: &job.step.name,
                span: None,
            });
        }
    }

    fn begin_group(&mut self) -> Result<(), Error> {
        if !self.state.is_grouped() {
            self.group_began = Instant::now();
            self.state.group()?;
        }
        Ok(())
    }

    /// Hands out tasks while there is room.
    fn dispatch(&mut self, workers: &mut Workers) -> Result<(), Error> {
        let now = self.now();
        self.plan.wake(now);
        // Not with -fail-fast: a worker would begin the next before a failure is known.
        let ahead =
            if self.task_time < SHORT && self.summary.executed > 0 && !self.settings.fail_fast {
                self.settings.parallel
            } else {
                0
            };
        self.plan.allow(self.settings.parallel + ahead);
        loop {
            match self.plan.decide() {
                Next::Wait => return Ok(()),
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
                    if let Some(key) = &key
                        && self.reuse(&step, &ready, key)?
                    {
                        continue;
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
                    workers.push(
                        Job {
                            step,
                            ready,
                            key,
                            runset: self.runset.name.as_str().into(),
                        },
                        self.settings.parallel,
                        self.plan.running(),
                    )?;
                }
            }
        }
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

/// The threads, started when there is work for them.
struct Workers<'scope, 'env> {
    scope: &'scope std::thread::Scope<'scope, 'env>,
    shared: &'env Shared<'env>,
    sender: &'env SyncSender<Message>,
    handles: Vec<Handle>,
    threads: Vec<std::thread::ScopedJoinHandle<'scope, ()>>,
}

impl Workers<'_, '_> {
    /// `busy`: tasks handed out, this one included.
    fn push(&mut self, job: Job, most: usize, busy: usize) -> Result<(), Error> {
        self.shared.push(job);
        if self.handles.len() < most && self.handles.len() < busy {
            let number = self.handles.len();
            let handle = Handle::default();
            self.handles.push(handle.clone());
            let (shared, sender) = (self.shared, self.sender);
            let thread = std::thread::Builder::new()
                .name(format!("worker {number}"))
                .spawn_scoped(self.scope, move || {
                    worker::work(shared, number, &handle, sender);
                })
                .map_err(|error| Error::Worker(Some(error)))?;
            self.threads.push(thread);
        }
        Ok(())
    }

    fn end(&self) {
        self.handles.iter().for_each(Handle::end);
    }

    fn kill(&self) {
        self.end();
        for handle in &self.handles {
            handle.signal(rustix::process::Signal::KILL);
        }
    }
}
