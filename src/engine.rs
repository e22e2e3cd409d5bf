//! The scheduler: which task is next, and what its end changes.
//!
//! It is passive: no thread, no process and no signal is in here, and no clock is read to decide
//! anything. An executor ([`crate::exec`]) pulls: it hands back what it has done and takes its next
//! job, in one [turn](Scheduler::turn). What happens is told as [`Event`]s; nothing is printed.
//!
//! ```text
//!               ┌────────────── back: a shortage, the end of a pause ──────────────┐
//!               ▼                                                                  │
//! database ─▶ ready ─┬─▶ parked behind an equal one in flight ─▶ ready             │
//!                    ├─▶ refused (a ring), reused ──────────────────────▶ recorded │
//!                    ├─▶ examined (outputs to be reused are looked at) ─▶ reused, or:
//!                    └─▶ in hand of an executor ─▶ done, failed ────────▶ recorded │
//!                                                └▶ failed, to be tried again ─────┘
//! ```

mod away;
mod dry_run;
mod elsewhere;
mod gather;
mod job;
mod key;
mod lookahead;
mod lost;
mod makers;
mod outputs;
mod places;
mod readers;
mod record;
mod recording;
mod recover;
mod relief;
mod remake;
mod reuse;
mod rings;
mod selection;
mod sharing;
mod step;
mod still;
mod stuck;
mod untaken;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) use away::Who;
pub(crate) use dry_run::{DryRun, Earlier, Reason, dry_run};
pub(crate) use gather::{context, given_by, key_of_pair, list_of, reshape, standing};
pub(crate) use job::{Ended, Grant, Job, Outcome, Reply, Short, Stop, Turn};
pub(crate) use key::key_of;
pub(crate) use lost::{Lost, Redone, Tops, look, restore};
pub(crate) use outputs::{Collected, Output, Outputs};
pub(crate) use recover::recover;
pub(crate) use selection::Selection;
pub(crate) use sharing::{Elsewhere, Found, News, Question, Success};
pub(crate) use step::{ReuseRule, ReuseScope, StepPlan, identity, reuse_rule, share_terms};
pub(crate) use stuck::{Stuck, stuck, stuck_for};
pub(crate) use untaken::untaken;

use crate::model::event::{Event, Failure, Lacking, Summary};
use crate::model::name::StepName;
use crate::model::plan::{Key, Lane, Next, Plan, QueueId, Ready};
use crate::model::resources::Supply;
use crate::model::route::Router;
use crate::model::task::TaskId;
use crate::state::{self, Equal, Runset, State};
use crate::store;
use gather::Gathers;
use readers::Readers;
use remake::Remakes;
use reuse::Settled;
use rings::Rings;
use selection::Part;

/// Told what happens, by whichever thread makes it happen.
pub(crate) type Listener<'a> = dyn FnMut(&Event) + Send + 'a;

/// How to run.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Most tasks at once.
    pub parallel: usize,
    /// Whether the first failure stops the start of more.
    pub fail_fast: bool,
    /// What there is for the tasks that run here.
    pub supply: Supply,
    /// In how many other places tasks may run.
    pub places: usize,
}

/// Ends a run that goes wrong in a way that no task is to blame for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The state could not be read or written. What was committed is kept.
    #[error(transparent)]
    State(#[from] state::Error),
    /// The list of what a step gathers could not be kept.
    #[error("cannot keep the list of what is gathered: {0}")]
    List(#[from] store::Error),
    /// A list of outputs could not be read back.
    #[error("cannot read back a task's list of outputs: {0}")]
    Spill(std::io::Error),
    /// A thread of an executor could not be started, or panicked.
    #[error("a worker broke down{}", .0.as_ref().map_or_else(String::new, |e| format!(": {e}")))]
    Worker(Option<std::io::Error>),
}

/// Longest time that an end of a task waits to be written to the file.
const GROUP: Duration = Duration::from_millis(20);
/// Tasks that are settled without an executor (reused, put behind an equal one) in one go; then
/// others get their turn.
const STRETCH: usize = 64;

/// One run of one runset.
pub(crate) struct Scheduler<'a> {
    state: &'a mut State,
    store: &'a store::Store,
    steps: &'a [Arc<StepPlan>],
    router: &'a Router,
    runset: &'a Runset,
    /// The runset's name, for the jobs.
    runset_name: Arc<str>,
    listener: &'a mut Listener<'a>,
    settings: Settings,
    plan: Plan,
    /// What executors have, and nothing else: what is not in here is not recorded.
    in_hand: HashMap<TaskId, InHand>,
    /// The places of those that no task has, in the run's supply.
    gpus: Vec<usize>,
    /// Ends that are recorded in part, of which executors have the rest.
    recordings: usize,
    summary: Summary,
    /// When the oldest result that was used again was made, in milliseconds since 1970.
    oldest: Option<i64>,
    /// Tasks that failed and are to be tried again.
    retrying: HashMap<TaskId, Failure>,
    /// No more tasks start.
    stopping: bool,
    /// Whether it was told that fewer run at once.
    scarce: bool,
    /// When it began.
    began: Instant,
    /// The time of the present turn.
    now: Instant,
    /// When the open group of writes began.
    group_began: Instant,
    /// Final outputs seen.
    compared: usize,
    /// The place of each step, by name.
    queues: HashMap<StepName, QueueId>,
    rings: Rings,
    /// Equal tasks that were found to be usable: where very many are equal, each search is long.
    found: HashMap<Key, Equal>,
    /// Who takes what steps leave, besides those that it is routed to.
    readers: Arc<Readers>,
    /// What steps gather; none where none does.
    gathers: Option<Box<Gathers>>,
    /// Tasks that run again for bytes that were dropped.
    remakes: Remakes,
    /// What the run is of, if not of all.
    part: Option<Box<Part>>,
    /// How often it has held still.
    stills: u64,
    /// Who has results of others, if somebody has.
    elsewhere: Option<Box<elsewhere::Asked<'a>>>,
}

/// A task that an executor has.
#[derive(Debug)]
struct InHand {
    step: Arc<StepPlan>,
    ready: Arc<Ready>,
    /// What equal tasks have in common with it.
    key: Option<Key>,
    /// The GPUs that are its own.
    gpus: Vec<usize>,
}

impl<'a> Scheduler<'a> {
    /// To run what is pending in `runset`.
    pub(crate) fn new(
        state: &'a mut State,
        store: &'a store::Store,
        steps: &'a [Arc<StepPlan>],
        router: &'a Router,
        runset: &'a Runset,
        settings: Settings,
        listener: &'a mut Listener<'a>,
    ) -> Result<Self, Error> {
        let tallies = state.tallies(runset.id)?;
        let queues = steps.iter().map(|step| {
            let tally = tallies.get(&step.id).copied().unwrap_or_default();
            (step.parallel, tally.pending + tally.failed > 0)
        });
        let now = Instant::now();
        let mut plan = Plan::new(places::limit(&settings), queues);
        places::share(&mut plan, &settings, steps);
        Ok(Self {
            plan,
            // Those with the least numbers are given out first.
            gpus: (0..settings.supply.gpus.len()).rev().collect(),
            readers: Arc::new(Readers::of(steps)),
            gathers: gather::Lines::of(state, steps, router)?
                .map(|lines| Box::new(Gathers::new(lines))),
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
            oldest: None,
            in_hand: HashMap::new(),
            recordings: 0,
            retrying: HashMap::new(),
            stopping: false,
            scarce: false,
            began: now,
            now,
            group_began: now,
            compared: 0,
            queues: steps
                .iter()
                .map(|step| (step.name.clone(), step.queue))
                .collect(),
            rings: Rings::default(),
            found: HashMap::new(),
            remakes: Remakes::default(),
            part: None,
            stills: 0,
            elsewhere: None,
        })
    }

    /// Before the first turn.
    pub(crate) fn begin(&mut self) -> Result<(), Error> {
        if self.plan.has_ready() {
            recover::keep_few(self.state)?;
        }
        let now = crate::sys::now().as_millisecond();
        self.state.keep_workers(self.runset, now)?;
        self.begin_remaking()?;
        self.begin_gathering()
    }

    /// After the last one, if nothing went wrong: what the run came to.
    pub(crate) fn end(mut self) -> Result<Summary, Error> {
        self.summary.oldest_reused = self.oldest.map(|executed| {
            let age = crate::sys::now().as_millisecond().saturating_sub(executed);
            Duration::from_millis(u64::try_from(age).unwrap_or(0))
        });
        // The end came before their next try.
        for (_, failure) in std::mem::take(&mut self.retrying) {
            self.failed(failure);
        }
        self.end_remaking()?;
        if self.summary.executed + self.summary.reused + self.summary.failed > 0 {
            lost::note(self.state, self.store, self.runset)?;
        }
        if self.gathers.is_some() {
            self.summary.waiting =
                gather::standing(self.state, self.steps, self.router, self.runset)?;
        }
        self.summary.untaken = untaken(self.state, self.steps, self.runset)?;
        self.summary.left_out = self.left_out()?;
        self.state.end_of_run()?;
        self.summary.elapsed = self.began.elapsed();
        Ok(self.summary)
    }

    /// An executor's turn: records what it hands back, and gives it something to do. After an error
    /// nothing more is recorded.
    pub(crate) fn turn(&mut self, now: Instant, reply: Option<Reply>) -> Result<Turn, Error> {
        self.now = now;
        let turn = match reply {
            None => Ok(None),
            Some(Reply::Ended(ended)) => self.ended(ended),
            Some(Reply::Examined(examination)) => self.examined(examination),
            Some(Reply::Recording(recording)) => self.handed_back(recording),
        };
        let turn = turn.and_then(|turn| turn.map_or_else(|| self.next(), Ok));
        if turn.is_err() {
            self.abandon();
        }
        turn
    }

    /// Does what the clock has made due. After an error nothing more is recorded.
    pub(crate) fn tick(&mut self, now: Instant) -> Result<(), Error> {
        self.now = now;
        self.plan.wake(self.millis());
        let heard = self.hear();
        if heard.is_err() {
            self.abandon();
        }
        heard?;
        if self.due_commit().is_some_and(|due| due <= now) {
            let committed = self.state.commit();
            if committed.is_err() {
                self.abandon();
            }
            committed?;
        }
        Ok(())
    }

    /// When a tick makes a difference.
    pub(crate) fn due(&mut self) -> Option<Instant> {
        let commit = self.due_commit();
        let pause = self.plan.wake(self.millis());
        let pause = pause.map(|due| self.began + Duration::from_millis(due));
        let news = self.due_news();
        commit.into_iter().chain(pause).chain(news).min()
    }

    /// When the open group is to be committed; not as long as a part of a task's end is in it.
    fn due_commit(&self) -> Option<Instant> {
        (self.state.is_grouped() && self.recordings == 0).then(|| self.group_began + GROUP)
    }

    /// Whether the run is over: nothing runs, and nothing will.
    pub(crate) fn is_over(&self) -> bool {
        self.plan.running() == 0
            && (self.stopping
                || !self.plan.is_pausing() && !self.plan.is_open() && !self.waits_for_a_place())
    }

    /// Whether a turn would give something to do.
    pub(crate) fn is_open(&self) -> bool {
        !self.stopping && self.plan.is_open()
    }

    /// Most jobs at once that are carried out here, at the moment.
    pub(crate) fn limit(&self) -> usize {
        self.plan.limit().min(self.settings.parallel)
    }

    /// Whether fewer jobs are given out at once than could be, as the machine is short of something.
    pub(crate) fn is_scarce(&self) -> bool {
        self.plan.is_scarce()
    }

    /// A signal came in: nothing more starts. What is to become of what runs.
    pub(crate) fn interrupt(&mut self, signal: i32) -> Stop {
        let again = self.summary.signal.replace(signal).is_some();
        self.stopping = true;
        self.tell(&Event::Interrupted {
            signal: &crate::sys::signal_name(signal),
            tasks: self.plan.running(),
            kills: again,
        });
        if again { Stop::Kill } else { Stop::Ask }
    }

    /// Something went wrong, perhaps amid the end of a task: nothing more is recorded.
    pub(crate) fn abandon(&mut self) {
        self.state.abandon();
        self.stopping = true;
    }

    /// Tells what happens.
    pub(crate) fn tell(&mut self, event: &Event) {
        (self.listener)(event);
    }

    /// Where objects are.
    #[cfg(test)]
    pub(crate) fn store(&self) -> &'a store::Store {
        self.store
    }

    /// Milliseconds since the start.
    fn millis(&self) -> u64 {
        let since = self.now.saturating_duration_since(self.began);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    fn begin_group(&mut self) -> Result<(), Error> {
        if !self.state.is_grouped() {
            self.group_began = self.now;
            self.state.group()?;
        }
        Ok(())
    }

    /// Settles what needs no executor, up to the first task that does.
    fn next(&mut self) -> Result<Turn, Error> {
        for _ in 0..STRETCH {
            if self.stopping {
                return Ok(self.nothing());
            }
            match self.plan.decide() {
                Next::Wait if self.is_over() && self.give_way()? => {}
                Next::Wait => return Ok(self.nothing()),
                // Reads, too, are cheaper in a transaction than each with locks of its own.
                Next::Refill {
                    queue,
                    after,
                    count,
                } => {
                    self.begin_group()?;
                    let step = &self.steps[queue];
                    let rows = self.state.unfinished(self.runset, step.id, after, count)?;
                    self.plan.fill(queue, rows);
                }
                Next::Take(queue, ready) => {
                    let step = Arc::clone(&self.steps[queue]);
                    self.begin_group()?;
                    if self.remakes.is(ready.id) {
                        self.plan.start(Lane::from((queue, &ready)), None);
                        let job = self.hand_out(step, ready, None)?;
                        return Ok(Turn::Do(Box::new(job)));
                    }
                    if self.passes_over(queue, &ready)? {
                        continue;
                    }
                    let Some(ready) = self.pass_barriers(queue, ready)? else {
                        continue;
                    };
                    let key = reuse::key(&step, &ready);
                    let Some(ready) = (match &key {
                        Some(key) => self.plan.park(key, ready),
                        None => Some(ready),
                    }) else {
                        continue;
                    };
                    match self.settle(&step, ready, key)? {
                        Settled::Yes => {}
                        Settled::Examine(examination) => {
                            let lane = Lane::from((queue, &examination.ready));
                            self.plan.start(lane, examination.key.clone());
                            return Ok(Turn::Examine(examination));
                        }
                        Settled::No(ready, key) => {
                            let Some((ready, key)) = self.ask_elsewhere(&step, ready, key) else {
                                continue;
                            };
                            if !step.lacks.is_empty() {
                                self.lacks_secrets(&step);
                                continue;
                            }
                            let Some(ready) = self.with_bytes(queue, ready)? else {
                                continue;
                            };
                            self.plan.start(Lane::from((queue, &ready)), key.clone());
                            let job = self.hand_out(step, ready, key)?;
                            return Ok(Turn::Do(Box::new(job)));
                        }
                    }
                }
            }
        }
        Ok(Turn::Again)
    }

    fn nothing(&self) -> Turn {
        if self.is_over() {
            Turn::Over
        } else {
            Turn::Wait
        }
    }

    /// Gives a task that counts as running to an executor.
    fn hand_out(
        &mut self,
        step: Arc<StepPlan>,
        ready: Ready,
        key: Option<Key>,
    ) -> Result<Job, Error> {
        self.tell(&Event::Started {
            task: ready.id,
            step: &step.name,
            version: step.version,
            input_name: ready.name.as_deref(),
            input: ready.input,
            form: ready.form,
            attempt: ready.attempt,
        });
        if let Some(key) = &key {
            // What it leaves is newer.
            self.found.remove(key);
        }
        let gpus = match usize::try_from(step.resources.gpus) {
            // Elsewhere they are dealt out by whoever has them.
            Ok(_) if self.settings.place(&step).is_some() => Vec::new(),
            Ok(0) | Err(_) => Vec::new(),
            Ok(count) => self.gpus.split_off(self.gpus.len().saturating_sub(count)),
        };
        let ready = Arc::new(ready);
        let mut grant = self.grant(&step, &ready, &gpus);
        if step.checkpoint.is_kept() {
            grant.checkpoint = self
                .state
                .checkpoint(ready.id, record::basis(&step, &ready))?;
        }
        let job = Job {
            grant,
            step: Arc::clone(&step),
            ready: Arc::clone(&ready),
            runset: Arc::clone(&self.runset_name),
            more: self.plan.has_waiting(step.queue),
            ahead: self.plan.ahead(step.queue),
        };
        let in_hand = InHand {
            step,
            ready,
            key,
            gpus,
        };
        self.in_hand.insert(in_hand.ready.id, in_hand);
        Ok(job)
    }

    /// What a task is given that is not the same for all of its step.
    fn grant(&self, step: &StepPlan, ready: &Ready, gpus: &[usize]) -> Grant {
        if gpus.is_empty() && step.resources.memory.is_none() {
            return Grant::default();
        }
        let supply = &self.settings.supply;
        let memory = self.settings.rungs(step).map(|rungs| {
            let at = usize::from(ready.raised).min(rungs.len() - 1);
            rungs[at]
        });
        let mut gpus: Vec<usize> = gpus.to_vec();
        gpus.sort_unstable();
        let gpus: Vec<&str> = gpus.iter().map(|at| &*supply.gpus[*at]).collect();
        Grant {
            memory,
            gpus: (!gpus.is_empty()).then(|| gpus.join(",").into()),
            checkpoint: None,
        }
    }

    /// Notes that a task stays to be done, as the step is not given all that its script needs.
    fn lacks_secrets(&mut self, step: &StepPlan) {
        let lacking = &mut self.summary.lacking;
        match lacking.iter_mut().find(|one| one.step == step.name) {
            Some(known) => known.tasks += 1,
            None => lacking.push(Lacking {
                step: step.name.clone(),
                tasks: 1,
                secrets: step.lacks.to_vec(),
            }),
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
