//! The executor of other machines: workers that a command starts, whatever that is, and that are talked to
//! through its standard input and output.
//!
//! Each place has stations, each of which is a command that starts one worker. One thread of a station starts it
//! and hears what it says; another one talks to it. What comes is checked here: every object is hashed, and only
//! what is whole and was asked for becomes the end of a job.

mod beside;
mod book;
mod deadline;
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

use super::away::{Away, News};
use super::local::Kept;
use crate::engine::{self, Collected, Ended, Job, Stop};
use crate::folder::Folder;
use crate::model::digest::Digest;
use crate::model::event::Launch;
use crate::model::identity::Tools;
use crate::model::plan::QueueId;
use crate::model::task::TaskId;
use crate::state::{Finished, Logs};
use crate::store::{Session, Store};
use crate::text::amount;
use crate::wire::message::{End, Lease, Outcome, StepSpec, TaskSpec, Terms, ToWorker};
use beside::Beside;
use book::{Act, BAD, Book, LOSSES, WorkerId};
pub(crate) use deadline::MARGIN;
use station::Station;
use talk::Say;
pub(crate) use trial::trial;

/// How often it is told that a machine cannot carry out tasks of a step.
const TOLD: usize = 50;
/// What a worker has to answer when its tasks are to be ended.
const ANSWER: Duration = Duration::from_secs(2);

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
    /// After how long without anything to do a worker goes; none if it stays.
    pub idle: Option<Duration>,
    /// The longest time that one of its tasks may take, as far as they have a limit.
    pub longest: Option<Duration>,
    /// What to do where none of them works.
    pub hint: &'static str,
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
    /// Variables of this process that no worker has, for a secret is in them.
    hidden: &'a BTreeSet<OsString>,
    /// Where folders of failed tasks go, if they are kept.
    keep: Option<Arc<Kept>>,
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
    /// The room that was told, by place.
    told: Vec<u64>,
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
    /// The number that its first slot has in what is recorded.
    first: i64,
    /// Of which steps it knows.
    knows: Vec<bool>,
    place: usize,
    station: usize,
    /// When something was heard of it last.
    heard: Instant,
    /// Since when it has nothing to do.
    idle: Option<Instant>,
    /// When its place is taken away.
    until: Option<Instant>,
}

/// What a job leaves, while it comes in.
#[derive(Debug)]
struct Arriving<'a> {
    outputs: Collected<'a>,
    session: Session,
}

impl<'a> Remote<'a> {
    /// Nobody works yet. Files that are not complete are in `folder`, on the store's file system. No worker has the
    /// variables `hidden` of this process.
    pub(crate) fn new(
        store: &'a Store,
        folder: &'a Folder,
        crews: &'a [Crew],
        steps: &'a [Option<Posted>],
        terms: Terms,
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
            told: vec![0; crews.len()],
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
            hidden,
            keep,
            state: Mutex::new(state),
            called: Condvar::new(),
            news: Mutex::default(),
            came: Condvar::new(),
        }
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

    fn warn(&self, words: String) {
        self.tell(News::Warning(words));
    }

    /// Gives out what can be, and tells what room there is if that has changed.
    fn settle(&self, state: &mut State) {
        for (place, stations) in state.stations.iter().enumerate() {
            state
                .book
                .set_coming(place, station::is_any_coming(stations));
        }
        if !state.stopped {
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
                // Who is gone is told by the thread that hears it.
                let _ = link.say.send(Say::Message(ToWorker::Task(Box::new(task))));
            }
        }
    }

    /// A worker said that a job is over.
    fn done(
        &self,
        worker: WorkerId,
        lease: Lease,
        end: End,
        arrived: Option<Arriving<'a>>,
    ) -> Result<(), String> {
        if let Some(tree) = &end.checkpoint {
            self.check_tree(tree)?;
        }
        let mut state = self.lock();
        if let Outcome::Unable(why) = &end.outcome {
            let node = state.book.node(worker).unwrap_or_default().to_owned();
            let about = state.book.job(lease);
            let about = about.map(|job| (job.step.queue, job.step.name.to_string(), job.ready.id));
            let place = state.links.get(&worker).map_or(0, |link| link.place);
            if let (Some(lost), Some((queue, step, task))) =
                (state.book.unable(worker, lease), about)
            {
                if lost.left_out {
                    self.warn(format!(
                        "{}: {node} gets no more tasks, as {BAD} in a row could not be carried out there, the last \
                         one, {step} #{task}, as: {why}",
                        self.crews[place].name
                    ));
                } else if lost.again > 0
                    && state.unable.len() < TOLD
                    && state.unable.insert((node.clone(), queue))
                {
                    self.warn(format!(
                        "{node} cannot carry out {step} #{task}, which is tried again, elsewhere if there are others: {why}"
                    ));
                }
                for job in &lost.for_good {
                    self.fail(job, format!(
                        "lost: {LOSSES} workers could not carry it out, the last one on {node}: {why}"
                    ));
                }
            }
            self.settle(&mut state);
            return Ok(());
        }
        let elapsed = u64::try_from(end.elapsed).unwrap_or(0);
        let Some(job) = state.book.done(worker, lease, elapsed) else {
            return Ok(());
        };
        let number = state.links.get(&worker).map_or(0, |link| link.first);
        self.settle(&mut state);
        drop(state);
        let arrived = arrived.unwrap_or_else(|| self.arriving());
        let outcome = match end.outcome {
            Outcome::Success => {
                let outputs = arrived.outputs.end();
                engine::Outcome::Success(outputs.map_err(|error| error.to_string())?)
            }
            Outcome::Failure(error) => engine::Outcome::Failure(error),
            Outcome::OutOfMemory(error) => engine::Outcome::OutOfMemory(error),
            Outcome::Cancelled | Outcome::Unable(_) => engine::Outcome::Cancelled,
        };
        let kept = self.keep.as_ref().zip(end.kept).map(|(keep, kept)| {
            let kept = kept.and_then(|tree| {
                self.check_tree(&tree)?;
                let kept = keep.unfold(self.store, job.ready.id, &tree);
                kept.map_err(|error| error.to_string())
            });
            Kept::words(kept, &job.step.name, job.ready.id)
        });
        let launches = [Launch::Direct, Launch::Shell, Launch::Warm];
        self.tell(News::Ended(Box::new(Ended {
            task: job.ready.id,
            outcome,
            finished: Finished {
                started: end.started,
                elapsed: end.elapsed,
                worker: number,
                cpu: end.cpu,
                peak: end.peak,
            },
            launch: end.launch.and_then(|word| {
                let mut launches = launches.into_iter();
                launches.find(|launch| launch.word() == word)
            }),
            logs: Logs {
                stdout: end.stdout,
                stderr: end.stderr,
            },
            warning: end.warning,
            session: arrived.session,
            kept,
            checkpoint: end.checkpoint,
        })));
        Ok(())
    }

    /// A worker says something of its machine, which is told once.
    fn warn_of(&self, worker: WorkerId, words: &str) {
        let mut state = self.lock();
        let node = state.book.node(worker).unwrap_or_default().to_owned();
        if state.warned.len() < TOLD && state.warned.insert(words.to_owned()) {
            self.warn(format!("{node}: {words}"));
        }
    }

    /// Where the secrets of a step are; fails for a worker that has no task of it.
    fn secrets_for(&self, worker: WorkerId, step: u32) -> Result<Vec<PathBuf>, &'static str> {
        let queue = usize::try_from(step).unwrap_or(usize::MAX);
        let posted = self.steps.get(queue).and_then(Option::as_ref);
        let state = self.lock();
        let has_task = state.book.has(worker, |job| job.step.queue == queue);
        let files = posted.filter(|_| has_task);
        let files = files.map(|posted| posted.secrets.clone());
        files.ok_or("it asked for the secrets of a step that it has no task of")
    }

    /// A worker said that a job that goes on keeps this tree.
    fn keeps(&self, lease: Lease, tree: Digest) -> Result<(), String> {
        self.check_tree(&tree)?;
        let mut state = self.lock();
        if let Some(job) = state.book.job_mut(lease) {
            // It has it, too, should it be carried out again.
            job.grant.checkpoint = Some(tree);
            self.tell(News::Kept(job.ready.id, tree));
        }
        Ok(())
    }

    /// Fails unless all of it came.
    fn check_tree(&self, tree: &Digest) -> Result<(), String> {
        let is_there = self.store.contains(tree) && {
            let is_there = |digest: &Digest| self.store.contains(digest);
            self.store.all_in(tree, is_there)
        };
        if is_there {
            return Ok(());
        }
        Err("what a task keeps did not come".to_owned())
    }

    /// The store paths of a step's packages.
    fn packages_of(&self, step: u32) -> Vec<String> {
        let posted = self.steps.get(step as usize).and_then(Option::as_ref);
        let Some(Tools::Nix(environment)) = posted.map(|posted| &posted.spec.identity.tools) else {
            return Vec::new();
        };
        let packages = environment.packages.iter();
        packages
            .flat_map(|package| package.store_paths.iter().cloned())
            .collect()
    }

    fn arriving(&self) -> Arriving<'a> {
        Arriving {
            outputs: Collected::new(self.folder.path()),
            session: self.store.session(),
        }
    }

    /// A job that nobody can carry out.
    fn fail(&self, job: &Job, error: String) {
        self.ended(job.ready.id, engine::Outcome::Failure(error));
    }

    /// A job was not carried out at all.
    fn ended(&self, task: TaskId, outcome: engine::Outcome) {
        self.tell(News::Ended(Box::new(Ended {
            task,
            outcome,
            finished: Finished {
                started: crate::sys::now().as_millisecond(),
                elapsed: 0,
                worker: 0,
                cpu: None,
                peak: None,
            },
            launch: None,
            logs: Logs::default(),
            warning: None,
            session: self.store.session(),
            kept: None,
            checkpoint: None,
        })));
    }

    /// A worker is gone: what it had is done elsewhere.
    fn gone(&self, place: usize, worker: WorkerId, node: &str, (why, left): (&str, bool)) {
        let mut state = self.lock();
        state.links.remove(&worker);
        state.late.remove(&worker);
        let lost = state.book.gone(worker, left);
        let (over, stopped) = (state.over, state.stopped);
        if stopped {
            for job in state.book.take_waiting(place) {
                self.ended(job.ready.id, engine::Outcome::Cancelled);
            }
        }
        self.settle(&mut state);
        drop(state);
        for job in &lost.for_good {
            let why =
                format!("lost: {LOSSES} workers ended while it ran, the last one on {node}: {why}");
            self.fail(job, why);
        }
        let all = lost.again + lost.for_good.len();
        if !over && !stopped && all > 0 {
            let executor = &self.crews[place].name;
            self.warn(format!(
                "{executor}: {} lost with a worker on {node} ({why}): {}{}",
                amount::count(all, "task"),
                match (lost.again, lost.for_good.len()) {
                    (_, 0) => "run again elsewhere".to_owned(),
                    (again, failed) => format!("{again} run again elsewhere, {failed} failed"),
                },
                if lost.left_out {
                    format!(
                        "; {node} gets no more tasks, as {BAD} workers in a row were lost there"
                    )
                } else {
                    String::new()
                }
            ));
        }
    }
}

impl Away for Remote<'_> {
    fn place(&self, step: QueueId) -> Option<usize> {
        Some(self.steps.get(step)?.as_ref()?.place)
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
        state
            .book
            .give_with(posted.place, job, posted.spec.units, gpus);
        self.settle(&mut state);
    }

    fn want(&self, place: usize, jobs: usize) {
        let mut state = self.lock();
        let free = state.book.free(place);
        let units = u64::try_from(jobs).unwrap_or(u64::MAX);
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
        for place in 0..self.crews.len() {
            for job in state.book.take_waiting(place) {
                self.ended(job.ready.id, engine::Outcome::Cancelled);
            }
        }
        let kill = stop == Stop::Kill;
        for link in state.links.values() {
            let _ = link.say.send(Say::Message(ToWorker::Stop { kill }));
        }
        if kill {
            // Nobody waits for who does not answer.
            state.end_at = Some(Instant::now() + ANSWER);
            drop(state);
            self.called.notify_all();
        }
    }
}
