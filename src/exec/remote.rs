//! The executor of other machines: workers that a command starts, whatever that is, and that are talked to
//! through its standard input and output.
//!
//! Each place has stations, each of which is a command that starts one worker. One thread of a station starts it
//! and hears what it says; another one talks to it. What comes is checked here: every object is hashed, and only
//! what is whole and was asked for becomes the end of a job.

mod beside;
mod book;
mod coming;
mod deadline;
mod ends;
mod hearing;
mod late;
#[cfg(test)]
mod model;
mod process;
mod pulse;
mod station;
mod talk;
mod trial;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Scope;
use std::time::{Duration, Instant};

use super::away::{Away, News, Whereabouts};
use super::local::Kept;
use crate::engine::{self, Collected, Job, Stop};
use crate::folder::Folder;
use crate::model::plan::QueueId;
use crate::store::{Session, Store};
use crate::sys::Divided;
use crate::wire::message::{Lease, StepSpec, TaskSpec, Terms, ToWorker};
use beside::Beside;
use book::{Act, Book, WorkerId};
pub(crate) use deadline::MARGIN;
use pulse::Pulse;
use station::Station;
use talk::Say;
pub(crate) use trial::{Tried, trial};

/// What a worker has to answer when its tasks are to be ended.
const ANSWER: Duration = Duration::from_secs(2);

/// What time it is, for those who wait for workers.
type Clock = Box<dyn Fn() -> Instant + Send + Sync>;

/// How the workers of a place are started.
#[derive(Debug)]
pub(crate) struct Crew {
    /// What the executor is called.
    pub name: String,
    /// For each worker, what it is called and the command that starts it.
    pub stations: Vec<(String, Vec<OsString>)>,
    /// The option by which the command, as its second word, is kept from machines with these names; none where
    /// it knows none.
    pub without: Option<&'static str>,
    /// Whether its workers are processes of this machine, which can have parts of this run's control group.
    pub here: bool,
    /// Whether its workers wait in a queue for their places, for as long as that takes.
    pub queues: bool,
    /// The command that says, a line each, why those wait.
    pub why: Option<Vec<OsString>>,
    /// After how long without anything to do a worker goes; none if it stays.
    pub idle: Option<Duration>,
    /// The longest time that one of its tasks may take, as far as they have a limit.
    pub longest: Option<Duration>,
    /// What to do where none of them works, with `HOST` for the name of a worker.
    pub hint: String,
    /// The URL of a cache of Nix that its machines may reach.
    pub nix_cache: Option<String>,
}

/// A step whose tasks are carried out elsewhere.
#[derive(Debug)]
pub(crate) struct Posted {
    /// The place.
    pub place: usize,
    /// What workers need to know of it.
    pub spec: StepSpec,
    /// Where its secrets are, in the order of their variables.
    pub secrets: Vec<PathBuf>,
}

/// See the module.
pub(crate) struct Remote<'a> {
    store: &'a Store,
    /// For files that are not complete.
    folder: &'a Folder,
    beside: Option<Beside>,
    crews: &'a [Crew],
    /// By their places in the manifest.
    steps: &'a [Option<Posted>],
    terms: Terms,
    /// The number of the first worker, in what is recorded: those at home have lower ones.
    first: i64,
    /// Variables of this process that no worker has, for a secret is in them.
    hidden: &'a BTreeSet<OsString>,
    /// This run's control group, if it is divided.
    fence: Option<Arc<Divided>>,
    /// Where folders of failed tasks go, if they are kept.
    keep: Option<Arc<Kept>>,
    clock: Clock,
    /// Whether this run itself stood still.
    pulse: Pulse,
    state: Mutex<State>,
    /// Somebody is to be started, or all is over.
    called: Condvar,
    news: Mutex<Inbox>,
    came: Condvar,
}

#[derive(Default)]
struct Inbox {
    news: VecDeque<News>,
    closed: bool,
}

struct State {
    book: Book<Box<Job>>,
    /// By place.
    stations: Vec<Vec<Station>>,
    links: HashMap<WorkerId, Link>,
    /// When what is given out was, in milliseconds since 1970.
    given: HashMap<Lease, i64>,
    /// The room that was told, by place.
    told: Vec<u64>,
    /// When it was asked last why workers wait, and what came of that, by place.
    asked: Vec<Option<(Instant, String)>>,
    /// How much was wanted of each place last.
    wanted: Vec<u64>,
    next: WorkerId,
    /// On which machines a task of which step could not be carried out, as far as that was told.
    unable: BTreeSet<(String, QueueId)>,
    /// What was told of machines, of whichever said it first.
    warned: BTreeSet<String>,
    /// Workers whose time is too short for another task; they go when they have ended what they have.
    late: BTreeSet<WorkerId>,
    /// Nothing more is given out.
    stopped: bool,
    /// When those are ended who do not answer.
    end_at: Option<Instant>,
    over: bool,
}

/// A worker that can be talked to.
struct Link {
    say: Sender<Say>,
    /// Of which steps it knows.
    knows: Vec<bool>,
    place: usize,
    station: usize,
    /// When something was heard of it last.
    heard: Instant,
    /// Since when it has nothing to do.
    idle: Option<Instant>,
    /// When its place is taken away, as long as that is to be seen to.
    until: Option<Instant>,
    /// When it came, in milliseconds since 1970.
    came: i64,
}

/// What a job leaves, while it comes in.
#[derive(Debug)]
struct Arriving<'a> {
    outputs: Collected<'a>,
    session: Session,
}

impl<'a> Remote<'a> {
    /// Nobody works yet. Files that are not complete are in `folder`, on the store's file system. The first worker has the number
    /// `first` in what is recorded. No worker has the variables `hidden` of this process.
    pub(crate) fn new(
        store: &'a Store,
        folder: &'a Folder,
        crews: &'a [Crew],
        steps: &'a [Option<Posted>],
        (terms, first): (Terms, usize),
        (hidden, keep): (&'a BTreeSet<OsString>, Option<Arc<Kept>>),
    ) -> Self {
        let stations = crews.iter().map(|crew| {
            let stations = crew.stations.iter();
            stations.map(|_| Station::default()).collect()
        });
        let state = State {
            book: Book::new(crews.len()),
            stations: stations.collect(),
            links: HashMap::new(),
            given: HashMap::new(),
            told: vec![0; crews.len()],
            asked: vec![None; crews.len()],
            wanted: vec![0; crews.len()],
            next: 0,
            unable: BTreeSet::new(),
            warned: BTreeSet::new(),
            late: BTreeSet::new(),
            stopped: false,
            end_at: None,
            over: false,
        };
        Self {
            store,
            folder,
            beside: Beside::new(folder),
            crews,
            steps,
            terms,
            first: i64::try_from(first).unwrap_or(i64::MAX),
            hidden,
            keep,
            fence: None,
            clock: Box::new(Instant::now),
            pulse: Pulse::default(),
            state: Mutex::new(state),
            called: Condvar::new(),
            news: Mutex::default(),
            came: Condvar::new(),
        }
    }

    /// Workers that are processes of this machine each have a part of this control group.
    pub(crate) fn divide(mut self, fence: Option<Arc<Divided>>) -> Self {
        self.fence = fence;
        self
    }

    /// Starts workers as they are wanted, until [`Remote::end`]. All threads have ended when the scope has.
    pub(crate) fn serve<'scope, 'env>(
        &'env self,
        scope: &'scope Scope<'scope, 'env>,
    ) -> std::io::Result<()>
    where
        'a: 'scope,
    {
        std::thread::Builder::new()
            .name("stations".into())
            .spawn_scoped(scope, move || self.start_as_called(scope))
            .map(drop)
    }

    /// All workers end, with whatever they are at.
    pub(crate) fn end(&self) {
        let mut state = self.lock();
        state.over = true;
        for link in state.links.values() {
            let _ = link
                .say
                .send(Say::Message(ToWorker::Bye("the run is over".to_owned())));
            let _ = link.say.send(Say::End);
        }
        for station in state.stations.iter().flatten() {
            station.end_if_starting();
        }
        drop(state);
        self.called.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, news: News) {
        let mut inbox = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        inbox.news.push_back(news);
        drop(inbox);
        self.came.notify_one();
    }

    /// The number that a worker has in what is recorded.
    fn number(&self, worker: WorkerId) -> i64 {
        let worker = i64::try_from(worker).unwrap_or(i64::MAX);
        self.first.saturating_add(worker)
    }

    /// Tells how far a worker is.
    fn tell_of(&self, worker: WorkerId, place: usize, whereabouts: Whereabouts) {
        self.tell(News::Worker(self.number(worker), place, whereabouts));
    }

    fn warn(&self, words: String) {
        self.tell(News::Warning(words));
    }

    /// Gives out what can be, and tells what room there is if that has changed.
    fn settle(&self, state: &mut State) {
        for (place, stations) in state.stations.iter_mut().enumerate() {
            // What was lost with the last worker of all: nobody else asks for another one.
            if !state.stopped
                && state.book.waiting(place) > 0
                && !state.book.is_manned(place)
                && station::call(stations, 1)
            {
                self.called.notify_all();
            }
            state
                .book
                .set_coming(place, station::is_any_coming(stations));
        }
        if state.stopped {
            // Whatever comes back from workers, too.
            for place in 0..self.crews.len() {
                for job in state.book.take_waiting(place) {
                    self.ended(job.ready.id, engine::Outcome::Cancelled);
                }
            }
        } else {
            for act in state.book.assign() {
                self.act(state, &act);
            }
        }
        state.let_go();
        for place in 0..self.crews.len() {
            let room = state.book.room(place);
            if std::mem::replace(&mut state.told[place], room) != room {
                self.tell(News::Room(place, room));
            }
        }
    }

    fn act(&self, state: &mut State, act: &Act) {
        match act {
            Act::Cancel(worker, lease) => {
                if let Some(link) = state.links.get(worker) {
                    let _ = link.say.send(Say::Message(ToWorker::Cancel(*lease)));
                }
            }
            Act::Send(worker, lease) => {
                let (Some(job), Some(link)) = (state.book.job(*lease), state.links.get_mut(worker))
                else {
                    return;
                };
                let queue = job.step.queue;
                let number = u32::try_from(queue).unwrap_or(u32::MAX);
                if !std::mem::replace(&mut link.knows[queue], true)
                    && let Some(step) = &self.steps[queue]
                {
                    let step = Box::new(step.spec.clone());
                    let _ = link.say.send(Say::Message(ToWorker::Step(number, step)));
                }
                let ready = &job.ready;
                let task = TaskSpec {
                    lease: *lease,
                    step: number,
                    task: ready.id.0,
                    runset: job.runset.to_string(),
                    input: ready.input,
                    form: ready.form.number(),
                    name: ready.name.as_deref().map(str::to_owned),
                    key: ready.key.as_deref().map(str::to_owned),
                    context: ready.context.as_deref().copied(),
                    checkpoint: job.grant.checkpoint,
                    memory: job.grant.memory,
                    attempt: ready.attempt,
                };
                state
                    .given
                    .insert(*lease, crate::sys::now().as_millisecond());
                self.tell(News::Given(self.number(*worker), ready.id));
                // Who is gone is told by the thread that hears it.
                let _ = link.say.send(Say::Message(ToWorker::Task(Box::new(task))));
            }
        }
    }
}

impl Away for Remote<'_> {
    fn place(&self, step: QueueId) -> Option<usize> {
        Some(self.steps.get(step)?.as_ref()?.place)
    }

    fn crew(&self, place: usize) -> (&str, usize) {
        let crew = &self.crews[place];
        (&crew.name, crew.stations.len())
    }

    fn give(&self, job: Box<Job>) {
        let Some(posted) = &self.steps[job.step.queue] else {
            return;
        };
        let mut state = self.lock();
        if state.stopped || station::is_given_up(&state.stations[posted.place]) {
            drop(state);
            return self.ended(job.ready.id, engine::Outcome::Cancelled);
        }
        let gpus = posted.spec.gpus as u64;
        let wanted = &mut state.wanted[posted.place];
        *wanted = wanted.saturating_sub(1);
        state
            .book
            .give_with(posted.place, job, posted.spec.units, gpus);
        self.settle(&mut state);
    }

    fn want(&self, place: usize, jobs: usize) {
        let mut state = self.lock();
        let free = state.book.free(place);
        let units = u64::try_from(jobs).unwrap_or(u64::MAX);
        state.wanted[place] = units;
        if units > free && station::call(&mut state.stations[place], units - free) {
            drop(state);
            self.called.notify_all();
        }
    }

    fn next(&self) -> Option<News> {
        let mut inbox = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(news) = inbox.news.pop_front() {
                return Some(news);
            }
            if inbox.closed {
                return None;
            }
            let waited = self.came.wait(inbox);
            inbox = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn open(&self) {
        let mut inbox = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        inbox.closed = false;
        drop(inbox);
        let told = self.lock().told.clone();
        for (place, room) in told.into_iter().enumerate() {
            self.tell(News::Room(place, room));
        }
    }

    fn close(&self) {
        let mut inbox = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        inbox.closed = true;
        drop(inbox);
        self.came.notify_all();
    }

    fn stop(&self, stop: Stop) {
        let mut state = self.lock();
        state.stopped = true;
        self.settle(&mut state);
        let kill = stop == Stop::Kill;
        for link in state.links.values() {
            let _ = link.say.send(Say::Message(ToWorker::Stop { kill }));
        }
        if kill {
            // Nobody waits for who does not answer.
            state.end_at = Some((self.clock)() + ANSWER);
            drop(state);
            self.called.notify_all();
        }
    }
}
