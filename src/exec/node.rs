//! A worker elsewhere: carries out what a run gives it through standard input, with the same means as a run
//! does here, and tells what came of it on standard output.
//!
//! It plans nothing and knows no manifest and no db. It has a store of its own, of what its tasks need and
//! leave. Its tasks and itself end with the stream, or when nothing was heard for too long: the run has given
//! it up then.

mod beside;
mod fetch;
mod folders;
mod keeper;
mod line;
mod packages;
mod place;
mod ready;
mod room;
mod secrets;
mod shelf;
mod slot;
mod steps;
mod told;
mod watchdog;

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::Read;
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::local::{Channel, Emergency, Kept, Kills, Message, Problem, Scratch, Site};
use super::nudge::Nudged;
use crate::store::Store;
use crate::sys::{self, Divided, Obstacle, Orphans};
use crate::text::amount;
use crate::wire::frame;
use crate::wire::message::{Hello, Lease, TaskSpec, Terms, ToOwner, ToWorker};
use beside::Beside;
use fetch::Fetch;
use folders::Folders;
pub(crate) use keeper::Keeper;
use line::Line;
pub(crate) use line::Output;
use packages::Packages;
pub(crate) use place::Place;
use room::Room;
use secrets::Secrets;
use shelf::{Shelf, Use};
use steps::{Known, Steps};
use watchdog::Watchdog;

/// What a worker is.
#[derive(Debug)]
pub(crate) struct Options {
    /// How much room there is for tasks.
    pub slots: u64,
    /// The GPUs that tasks can have, by their names.
    pub gpus: Vec<String>,
    /// The most bytes of objects that are kept for tasks to come.
    pub cache: u64,
    /// When its place is taken away, where that is known: no task begins that may take longer.
    pub until: Option<Instant>,
}

/// Why a worker cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// What the owner says makes no sense.
    #[error("cannot go on: {0}")]
    Frame(#[from] frame::Error),
    /// The owner does not want it.
    #[error("the run does not take this worker: {0}")]
    Refused(String),
    /// Nothing was heard.
    #[error("nothing was heard of the run for {0:?}: its tasks were ended")]
    Silence(Duration),
    /// A folder or file of its own cannot be made.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// The thread for a task cannot be started.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}

/// How long a worker waits to hear whether it is taken on.
const FIRST: Duration = Duration::from_mins(2);

/// A task with its step.
struct Task<'a> {
    spec: Box<TaskSpec>,
    known: Known,
    /// What came of its input before it begins.
    ahead: Use<'a>,
}

/// What slots take from.
#[derive(Default)]
struct Queue<'a> {
    tasks: VecDeque<Task<'a>>,
    /// Room that is not taken.
    free: u64,
    /// GPUs that no task has.
    gpus: Vec<String>,
    /// Slots that there are, and those that wait.
    slots: usize,
    idle: usize,
    /// Who is short of room on the disk, and how it is with the others.
    room: Room,
    over: bool,
}

struct Node<'a> {
    site: Site<'a>,
    line: Line<'a>,
    fetch: Fetch<'a>,
    packages: Packages<'a>,
    beside: Beside,
    folders: Folders,
    secrets: Secrets<'a>,
    /// The variables of this machine.
    host: Vec<(OsString, OsString)>,
    /// Whether it makes sandboxes, once that was tried.
    sandboxes: OnceLock<Result<(), Problem>>,
    shelf: &'a Shelf<'a>,
    queue: Mutex<Queue<'a>>,
    called: Condvar,
    emergency: &'a Emergency,
    keeper: &'a Keeper,
    terms: Terms,
    most: u64,
    /// How many GPUs there are.
    gpus: usize,
    until: Option<Instant>,
}

/// Serves a run until it is over. `place`: a folder of this worker alone.
pub(crate) fn serve(
    options: &Options,
    (emergency, keeper): (&Emergency, &Keeper),
    place: &Path,
    input: impl Read + AsFd,
    output: &Output,
) -> Result<(), Error> {
    let line = Line::new(output);
    let mut input = Nudged::new(input, || line.say(&ToOwner::Ping));
    line.greet();
    line.say(&ToOwner::Hello(Hello {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        node: sys::node_name(),
        slots: options.slots,
        nix: crate::packages::copy::has_nix(),
        gpus: options.gpus.len() as u64,
        left: options.until.map(|until| {
            let left = until.saturating_duration_since(Instant::now());
            u64::try_from(left.as_millis()).unwrap_or(u64::MAX)
        }),
    }));
    let watch = Watchdog::new(emergency, keeper, FIRST);
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("silence".into())
            .spawn_scoped(scope, || watch.keep(line))
            .map_err(Error::Thread)?;
        let served = serve_within(
            options,
            (emergency, keeper, &watch),
            place,
            &mut input,
            line,
        );
        watch.end();
        served
    })
}

fn serve_within(
    options: &Options,
    (emergency, keeper, watch): (&Emergency, &Keeper, &Watchdog),
    place: &Path,
    input: &mut Nudged<impl Read + AsFd, impl FnMut()>,
    line: Line,
) -> Result<(), Error> {
    let terms = loop {
        match hear(input, watch)? {
            None => return Ok(()),
            Some((ToWorker::Welcome(terms), _)) => break *terms,
            Some((ToWorker::Bye(why), _)) => return Err(Error::Refused(why)),
            Some(_) => {}
        }
    };
    watch.set(Duration::from_millis(terms.silence));
    sys::adopt_orphans();
    let grace = Duration::from_millis(terms.grace);
    let objects = place.join("objects");
    let scratch = Scratch::new(&place.join("scratch"), &objects, grace)?;
    let store = Store::open(&objects, scratch.folder().path())?;
    // Nothing needs no asking for.
    store.insert_bytes(&[])?;
    let fence = terms.memory.then(Divided::here);
    if let Some(Err(why)) = &fence {
        line.say(&ToOwner::Warning(format!(
            "memory is counted, and nothing keeps a task from taking more: {why}\nhint: {}",
            Obstacle::hint()
        )));
    }
    if let Some(Ok(fence)) = &fence {
        scratch.note_group(fence.folder());
    }
    let kept = place.join("failed");
    let kept = terms
        .keep
        .then(|| Kept::open(&kept, String::new()))
        .transpose();
    let kept = kept.map_err(crate::store::io_error("make a folder in", place))?;
    let site = Site {
        store: &store,
        scratch: Arc::clone(scratch.folder()),
        orphans: Orphans::watch(),
        keep: kept.map(Arc::new),
        fence: fence.and_then(Result::ok).map(Arc::new),
        kills: Kills::watch(),
        full: AtomicBool::new(false),
    };
    let (beside, told) = Beside::meet(terms.meeting.as_ref());
    if let Some(told) = told {
        line.say(&told);
    }
    let folders = Folders::new(place);
    let folders = folders.map_err(crate::store::io_error("make folders in", place))?;
    let most = room::most(options.cache, place);
    let shelf = Shelf::new(&store, most);
    let node = Node {
        folders,
        secrets: Secrets::new(line),
        host: std::env::vars_os().collect(),
        sandboxes: OnceLock::new(),
        fetch: Fetch::new(&store, scratch.folder(), line),
        packages: Packages::new(line, place, terms.nix_cache.clone()),
        beside,
        shelf: &shelf,
        site,
        line,
        queue: Mutex::new(Queue {
            free: options.slots,
            gpus: options.gpus.clone(),
            ..Queue::default()
        }),
        called: Condvar::new(),
        emergency,
        keeper,
        terms,
        most: options.slots,
        gpus: options.gpus.len(),
        until: options.until,
    };
    std::thread::scope(|scope| {
        let keeping = std::thread::Builder::new().name("keeper".into());
        keeping
            .spawn_scoped(scope, || keeper.keep(|lease, live| node.look(lease, live)))
            .map_err(Error::Thread)?;
        let heard = node.listen(scope, input, watch);
        node.end();
        keeper.close();
        heard
    })
}

/// The next message; none at the end.
fn hear(
    input: &mut Nudged<impl Read + AsFd, impl FnMut()>,
    watch: &Watchdog,
) -> Result<Option<(ToWorker, Vec<u8>)>, Error> {
    let heard = input.read();
    watch.heard();
    match heard {
        // As good as an end.
        Err(frame::Error::Io(_)) => Ok(None),
        other => Ok(other?),
    }
}

impl<'a> Node<'a> {
    /// Does what is said, up to the end.
    fn listen<'scope, 'env>(
        &'env self,
        scope: &'scope std::thread::Scope<'scope, 'env>,
        input: &mut Nudged<impl Read + AsFd, impl FnMut()>,
        watch: &Watchdog,
    ) -> Result<(), Error>
    where
        'a: 'scope,
    {
        let mut steps = Steps::default();
        while let Some((message, bytes)) = hear(input, watch)? {
            match message {
                ToWorker::Welcome(_) | ToWorker::Ping => {}
                ToWorker::Bye(_) => return Ok(()),
                ToWorker::Step(number, step) => {
                    if let Some(files) = &step.identity.files {
                        self.fetch.begin(&files.tree);
                    }
                    steps.add(number, step);
                }
                ToWorker::Task(spec) => {
                    let Some(mut known) = steps.of(spec.step) else {
                        let why = format!("step {} was never told", spec.step);
                        self.line.say(&told::unable(spec.lease, why));
                        continue;
                    };
                    if known.spec.gpus > self.gpus {
                        let (asked, has) = (known.spec.gpus, self.gpus);
                        let why = format!(
                            "a task takes {}, and the machine has {has}",
                            amount::count(asked, "GPU")
                        );
                        self.line.say(&told::unable(spec.lease, why));
                        continue;
                    }
                    known.units = known.units.min(self.most);
                    let ahead = self.shelf.begin();
                    if !self.lock().room.is_short() {
                        ahead.hold(&[spec.input]);
                        self.fetch.begin(&spec.input);
                    }
                    self.enqueue(scope, Task { spec, known, ahead })?;
                }
                ToWorker::Piece { digest, last } => self.fetch.piece(digest, &bytes, last),
                ToWorker::There(digest, path) => self.fetch.there(digest, path.into()),
                ToWorker::Seen => self.beside.is_seen(),
                ToWorker::Needs(step, all) => self.packages.needs(step, all),
                ToWorker::Packages { step, last } => self.packages.piece(step, &bytes, last),
                ToWorker::NoPackages(step, why) => self.packages.absent(step, why),
                ToWorker::Absent(digest, why) => self.fetch.absent(digest, why),
                ToWorker::Secret { step, place, last } => {
                    self.secrets.piece(step, place, &bytes, last);
                }
                ToWorker::Cancel(lease) => self.cancel(lease),
                ToWorker::Stop { kill: false } => self.emergency.tasks().end(),
                ToWorker::Stop { kill: true } => self.emergency.tasks().kill(),
            }
        }
        Ok(())
    }

    fn enqueue<'scope, 'env>(
        &'env self,
        scope: &'scope std::thread::Scope<'scope, 'env>,
        task: Task<'a>,
    ) -> Result<(), Error>
    where
        'a: 'scope,
    {
        let mut queue = self.lock();
        queue.tasks.push_back(task);
        if queue.idle > 0 || queue.slots as u64 >= self.most {
            self.called.notify_one();
            return Ok(());
        }
        let number = queue.slots;
        queue.slots += 1;
        let started = std::thread::Builder::new()
            .name(format!("slot {number}"))
            .spawn_scoped(scope, move || {
                let work = AssertUnwindSafe(|| self.work(number));
                if catch_unwind(work).is_err() {
                    // The run would wait for its task for ever.
                    self.emergency.tasks().kill();
                    self.emergency.clear();
                    std::process::exit(101);
                }
            });
        if started.is_err() {
            queue.slots -= 1;
        }
        match started {
            Err(error) if queue.slots == 0 => Err(Error::Thread(error)),
            _ => Ok(()),
        }
    }

    /// A task that has not begun is given back.
    fn cancel(&self, lease: Lease) {
        let mut queue = self.lock();
        let before = queue.tasks.len();
        queue.tasks.retain(|task| task.spec.lease != lease);
        let was_there = queue.tasks.len() < before;
        drop(queue);
        if was_there {
            self.line.say(&ToOwner::GivenBack(lease));
        }
    }

    /// Nothing more begins, and what runs is ended.
    fn end(&self) {
        let mut queue = self.lock();
        queue.over = true;
        queue.tasks.clear();
        drop(queue);
        self.called.notify_all();
        self.fetch.end();
        self.secrets.end();
        self.packages.end();
        let tasks = self.emergency.tasks();
        tasks.end();
        let due = Instant::now() + Duration::from_millis(self.terms.grace);
        let mut queue = self.lock();
        while queue.free < self.most && Instant::now() < due {
            let left = due.saturating_duration_since(Instant::now());
            let waited = self.called.wait_timeout(queue, left);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(queue);
        tasks.kill();
    }

    fn lock(&self) -> MutexGuard<'_, Queue<'a>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Signals that come to a worker: its time is over.
pub(crate) fn leave_on_signal(channel: &Channel, keeper: &Keeper, output: &Output) {
    // Slurm gives half a minute.
    const MOST: Duration = Duration::from_secs(25);
    // The process ends with its tasks, which the run has done elsewhere.
    if let Some(Message::Signal(signal)) = channel.next() {
        keeper.leaves();
        let why = format!("it was ended by {}", sys::signal_name(signal));
        Line::new(output).say(&ToOwner::Leaving(why));
        let emergency = channel.emergency();
        if keeper.is_any() {
            emergency.tasks().end();
            keeper.wait(MOST);
        }
        emergency.tasks().kill();
        emergency.clear();
        std::process::exit(128 + signal);
    }
}
