//! Where one worker is started, heard, and started again if it is lost.

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsString;
use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _, SeekFrom};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{PoisonError, mpsc};
use std::thread::Scope;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::beside::{self, Beside};
use super::book::WorkerId;
use super::deadline;
use super::talk::{self, Say};
use super::{Arriving, Link, Remote, State};
use crate::engine::Output;
use crate::exec::away::News;
use crate::exec::transfer::Incoming;
use crate::model::digest::Digest;
use crate::model::list::Form;
use crate::process;
use crate::sys;
use crate::text::time::exact;
use crate::wire::frame;
use crate::wire::message::{Hello, Lease, Terms, ToOwner, ToWorker};

/// How often in a row a worker may fail to come to anything at a station.
const TRIES: u32 = 3;
/// The most bytes of a command's last words.
const WORDS: u64 = 2000;

/// A station, as others see it.
#[derive(Debug, Default)]
pub(super) struct Station {
    phase: Phase,
    /// How often in a row nothing came of it.
    failures: u32,
    /// The process group of its command.
    group: Option<Pid>,
    /// Whether its worker was sent away.
    retired: bool,
    /// Whether its worker had too little time left, and was sent away for another one.
    pub(super) late: bool,
}

/// What goes on at a station.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    /// Nothing.
    #[default]
    Idle,
    /// A worker is to be started.
    Called,
    /// One is being started.
    Starting,
    /// One is there.
    Manned,
    /// Nothing ever will.
    Closed,
}

impl Station {
    /// Ends whoever has not answered yet.
    pub(super) fn end_if_starting(&self) {
        if self.phase == Phase::Starting {
            self.kill();
        }
    }

    /// Ends its command, now.
    pub(super) fn kill(&self) {
        if let Some(group) = self.group {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Whether a worker is on its way.
pub(super) fn is_any_coming(stations: &[Station]) -> bool {
    let mut stations = stations.iter();
    stations.any(|station| matches!(station.phase, Phase::Called | Phase::Starting))
}

/// Whether nobody will ever work there.
pub(super) fn is_given_up(stations: &[Station]) -> bool {
    let mut all = stations.iter();
    all.all(|station| station.phase == Phase::Closed)
}

/// Calls for workers, where there is room missing for so many; whether any is to be started.
pub(super) fn call(stations: &mut [Station], units: u64) -> bool {
    let coming = |station: &&Station| matches!(station.phase, Phase::Called | Phase::Starting);
    let coming = stations.iter().filter(coming).count();
    // How much room they have is not known before they come.
    let missing = usize::try_from(units).unwrap_or(usize::MAX);
    let missing = missing.saturating_sub(coming);
    let idle = stations
        .iter_mut()
        .filter(|station| station.phase == Phase::Idle);
    let mut any = false;
    for station in idle.take(missing) {
        station.phase = Phase::Called;
        any = true;
    }
    any
}

/// What a worker comes to.
struct Came {
    /// Whether it ended a task, or was not needed any more.
    was_of_use: bool,
    /// Whether its machine gets no more tasks.
    left_out: bool,
    /// How it ended, in words.
    how: String,
}

impl<'a> Remote<'a> {
    /// Starts a thread for each station that is called.
    pub(super) fn start_as_called<'scope, 'env>(&'env self, scope: &'scope Scope<'scope, 'env>)
    where
        'a: 'scope,
    {
        let mut state = self.lock();
        loop {
            if state.over {
                return;
            }
            for place in 0..state.stations.len() {
                for number in 0..state.stations[place].len() {
                    let station = &mut state.stations[place][number];
                    if station.phase != Phase::Called {
                        continue;
                    }
                    station.phase = Phase::Starting;
                    let started = std::thread::Builder::new()
                        .name(format!("station {place} {number}"))
                        .spawn_scoped(scope, move || self.man(place, number));
                    if let Err(error) = started {
                        station.phase = Phase::Closed;
                        self.warn(format!("cannot start a thread for a worker: {error}"));
                    }
                }
            }
            let tick = self.look_after(&mut state);
            let waited = self.called.wait_timeout(state, tick);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Ends workers that say nothing, or have nothing to do; when to look again.
    fn look_after(&self, state: &mut State) -> Duration {
        let silence = Duration::from_millis(self.terms.silence);
        let now = Instant::now();
        let kill = state.end_at.is_some_and(|end_at| end_at <= now);
        let State {
            book,
            links,
            stations,
            ..
        } = state;
        let mut retired = Vec::new();
        for (worker, link) in links {
            if kill || now.duration_since(link.heard) > silence {
                // Its thread hears the end of it.
                stations[link.place][link.station].kill();
            }
            if book.has_left(*worker) {
                let _ = link.say.send(Say::End);
            }
            if book.in_hand(*worker) > 0 || book.waiting(link.place) > 0 {
                link.idle = None;
                continue;
            }
            let since = *link.idle.get_or_insert(now);
            let most = self.crews[link.place].idle;
            if most.is_some_and(|most| now.duration_since(since) >= most) {
                retired.push(*worker);
                stations[link.place][link.station].retired = true;
                let bye = ToWorker::Bye("there is nothing to do".to_owned());
                let _ = link.say.send(Say::Message(bye));
                let _ = link.say.send(Say::End);
            }
        }
        for worker in &retired {
            book.leaves(*worker);
        }
        if !retired.is_empty() {
            self.settle(state);
        }
        let tick = (silence / 4).min(self.watch_deadlines(state, now));
        match state.end_at {
            Some(end_at) if !kill => tick.min(end_at - now),
            _ => tick,
        }
    }

    /// Has a worker at a station, as long as one is wanted.
    fn man(&self, place: usize, number: usize) {
        loop {
            let came = self.have_one(place, number);
            let mut state = self.lock();
            let over = state.over || state.stopped;
            let waits = state.book.waiting(place) > 0 || state.book.is_manned(place);
            let station = &mut state.stations[place][number];
            station.group = None;
            let was_late = std::mem::take(&mut station.late);
            station.failures = if came.was_of_use || was_late {
                0
            } else {
                station.failures + 1
            };
            let crew = &self.crews[place];
            let (label, command) = &crew.stations[number];
            let same = crew.stations.iter().map(|(_, other)| other == command);
            let is_only = same.clone().filter(|same| *same).count() == 1;
            if over || std::mem::take(&mut station.retired) {
                station.phase = Phase::Idle;
                self.settle(&mut state);
                return;
            }
            // Whoever comes to that machine again gets nothing, which was told.
            if came.left_out && is_only {
                station.failures = TRIES;
            }
            if station.failures < TRIES {
                station.phase = Phase::Starting;
                drop(state);
                if !came.was_of_use {
                    // Whatever it is, it may pass.
                    std::thread::sleep(Duration::from_millis(200));
                }
                continue;
            }
            station.phase = Phase::Closed;
            // What comes to nothing here comes to nothing there.
            let all = &mut state.stations[place];
            for (station, same) in all.iter_mut().zip(same) {
                if same && station.phase == Phase::Idle {
                    station.phase = Phase::Closed;
                }
            }
            let nobody = is_given_up(all);
            if call(all, 1) {
                self.called.notify_all();
            }
            self.settle(&mut state);
            let given = if nobody {
                state.book.take_waiting(place)
            } else {
                Vec::new()
            };
            drop(state);
            let how = format!(
                "{}: no worker comes to work at {label}: {}",
                crew.name, came.how
            );
            if nobody {
                self.tell(News::Nobody(how, crew.hint));
                // The run waits for what it gave away.
                for job in given {
                    self.ended(job.ready.id, crate::engine::Outcome::Cancelled);
                }
            } else if waits && !came.left_out {
                self.warn(how);
            }
            return;
        }
    }

    /// The command that starts a worker, not on a machine where too much was lost, where it can be told so.
    fn command(&self, place: usize, number: usize) -> Vec<OsString> {
        let crew = &self.crews[place];
        let (_, command) = &crew.stations[number];
        let mut command = command.clone();
        let state = self.lock();
        let out: Vec<&str> = state.book.left_out(place).collect();
        if let (Some(option), false) = (crew.without, out.is_empty()) {
            command.insert(1, format!("{option}={}", out.join(",")).into());
        }
        command
    }

    /// Starts one worker, and hears it to its end.
    fn have_one(&self, place: usize, number: usize) -> Came {
        let command = &self.command(place, number);
        let failed = |how: String| Came {
            was_of_use: false,
            left_out: false,
            how,
        };
        let words = match tempfile::tempfile_in(self.folder.path()) {
            Ok(words) => words,
            Err(error) => return failed(format!("cannot make a file: {error}")),
        };
        let mut child = match start(command, self.hidden, &words) {
            Ok(child) => child,
            Err(error) => {
                let program = command
                    .first()
                    .map_or_else(String::new, |word| word.to_string_lossy().into_owned());
                return failed(format!("cannot start {program:?}: {error}"));
            }
        };
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return failed("its pipes are missing".to_owned());
        };
        self.lock().stations[place][number].group =
            i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let mut from = BufReader::with_capacity(2 * frame::PIECE, stdout);
        let met = meet(&mut from);
        let (ended, was_of_use, left_out) = match met {
            Err(why) => (why, false, false),
            Ok(hello) => self.keep(place, number, &hello, stdin, from),
        };
        // Who has said nothing more may still be there.
        let status = end(&mut child);
        self.lock().stations[place][number].phase = Phase::Starting;
        Came {
            was_of_use,
            left_out,
            how: self::ended(&ended, status, words),
        }
    }

    /// Has a worker do what there is, to its end: how it ended, and whether it was of use.
    fn keep(
        &self,
        place: usize,
        number: usize,
        hello: &Hello,
        stdin: ChildStdin,
        mut from: BufReader<ChildStdout>,
    ) -> (String, bool, bool) {
        if let Some(why) = deadline::is_too_near(hello, self.crews[place].longest) {
            return (why, false, false);
        }
        let (say, says) = mpsc::channel();
        let silence = Duration::from_millis(self.terms.silence);
        let terms = Terms {
            meeting: self.beside.as_ref().and_then(Beside::meeting),
            nix_cache: self.crews[place].nix_cache.clone(),
            ..self.terms.clone()
        };
        let _ = say.send(Say::Message(ToWorker::Welcome(Box::new(terms))));
        let (worker, is_welcome) = {
            let mut state = self.lock();
            if state.over {
                return ("the run is over".to_owned(), true, false);
            }
            let id = state.next;
            state.next += 1;
            let first = i64::try_from(id).unwrap_or(i64::MAX);
            let link = Link {
                say: say.clone(),
                first,
                knows: vec![false; self.steps.len()],
                place,
                station: number,
                heard: Instant::now(),
                idle: None,
                until: deadline::of(hello),
            };
            let has_deadline = link.until.is_some();
            state.links.insert(id, link);
            if has_deadline {
                // Who looks after it does not know when to look again.
                self.called.notify_all();
            }
            state.stations[place][number].phase = Phase::Manned;
            let node = hello.node.clone();
            let is_welcome = state.book.join(id, place, node, hello.slots.max(1));
            state.book.has_gpus(id, hello.gpus);
            if !is_welcome {
                let bye = "too much was lost on this machine".to_owned();
                let _ = say.send(Say::Message(ToWorker::Bye(bye)));
                let _ = say.send(Say::End);
            }
            self.settle(&mut state);
            (id, is_welcome)
        };
        let (ended, tasks) = std::thread::scope(|scope| {
            let talker = std::thread::Builder::new().name("to a worker".into());
            let talker = talker.spawn_scoped(scope, move || {
                talk::talk(self.store, stdin, &says, silence / 3)
            });
            let mut hearing = Hearing::new(self, worker);
            let ended = match talker {
                Err(error) => format!("cannot start a thread: {error}"),
                Ok(_) => loop {
                    let message = frame::read(&mut from);
                    hearing.heard();
                    match message {
                        Ok(Some((message, bytes))) => {
                            if let Err(why) = hearing.hear(&say, message, &bytes) {
                                self.lock().stations[place][number].kill();
                                break why;
                            }
                        }
                        Ok(None) => break "it ended".to_owned(),
                        Err(error) => {
                            // It may go on, and hear nothing of what is said to it.
                            self.lock().stations[place][number].kill();
                            break error.to_string();
                        }
                    }
                },
            };
            let ended = if hearing.last.elapsed() > silence {
                format!("nothing was heard of it for {}", exact(silence))
            } else {
                hearing.leaving.clone().unwrap_or(ended)
            };
            let left = hearing.leaving.is_some();
            self.gone(place, worker, &hello.node, (&ended, left));
            let _ = say.send(Say::End);
            (ended, hearing.ended)
        });
        let left_out = self
            .lock()
            .book
            .left_out(place)
            .any(|out| out == hello.node);
        // The next one comes elsewhere.
        let was_of_use = tasks > 0 || (left_out && is_welcome);
        (ended, was_of_use, left_out)
    }
}

/// Hears a worker's first words.
pub(super) fn meet(from: &mut BufReader<ChildStdout>) -> Result<Hello, String> {
    let told = |error: frame::Error| match error {
        frame::Error::NoGreeting(last) if last.is_empty() => "it said nothing".to_owned(),
        frame::Error::NoGreeting(last) => format!("no worker answered, but: {last}"),
        other @ (frame::Error::Io(_)
        | frame::Error::Protocol(_)
        | frame::Error::TooLong(_)
        | frame::Error::Message(_)) => other.to_string(),
    };
    frame::read_greeting(from).map_err(told)?;
    let hello = match frame::read(from).map_err(told)? {
        Some((ToOwner::Hello(hello), _)) => hello,
        Some(_) => return Err("it did not say who it is".to_owned()),
        None => return Err("it ended at once".to_owned()),
    };
    let own = env!("CARGO_PKG_VERSION");
    if hello.version != own {
        return Err(format!(
            "the program there is version {}, here it is {own}",
            hello.version
        ));
    }
    Ok(hello)
}

/// Starts the command of a station.
pub(super) fn start(
    command: &[OsString],
    hidden: &BTreeSet<OsString>,
    words: &File,
) -> std::io::Result<Child> {
    let [program, arguments @ ..] = command else {
        return Err(std::io::ErrorKind::NotFound.into());
    };
    let _starting = sys::starting_a_child();
    let mut started = Command::new(program);
    for variable in hidden {
        started.env_remove(variable);
    }
    started
        .args(arguments)
        // Signals that come to this program's group are not for it.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(words.try_clone()?)
        .spawn()
}

/// Waits for the end of a command, which has a moment for it.
pub(super) fn end(child: &mut Child) -> Option<ExitStatus> {
    const MOMENT: Duration = Duration::from_secs(2);
    let due = Instant::now() + MOMENT;
    while Instant::now() < due {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(group, Signal::KILL);
    }
    child.wait().ok()
}

/// How a worker ended, with how its command did, and its last words: one line, as it is told within one.
pub(super) fn ended(why: &str, status: Option<ExitStatus>, words: File) -> String {
    let status = status.filter(|status| !status.success());
    let status = status.map_or_else(String::new, |status| {
        format!("; its command ended with {}", process::describe(status))
    });
    let last = last_words(words);
    let lines: Vec<&str> = last.lines().map(str::trim).collect();
    let last = lines[lines.len().saturating_sub(3)..].join("; ");
    let last = if last.is_empty() {
        last
    } else {
        format!(": {last}")
    };
    format!("{why}{status}{last}")
}

/// The end of what a command wrote.
fn last_words(mut words: File) -> String {
    let length = words.metadata().map_or(0, |metadata| metadata.len());
    let mut last = Vec::new();
    let read = words
        .seek(SeekFrom::Start(length.saturating_sub(WORDS)))
        .and_then(|_| words.read_to_end(&mut last));
    match read {
        Ok(_) => String::from_utf8_lossy(&last).trim().to_owned(),
        Err(_) => String::new(),
    }
}

/// What comes from one worker.
struct Hearing<'r, 'a> {
    remote: &'r Remote<'a>,
    worker: WorkerId,
    arriving: HashMap<Lease, Arriving<'a>>,
    incoming: Incoming<'a, Lease>,
    /// Whether it can read large objects where they lie.
    reads: bool,
    /// Why it takes no more tasks.
    leaving: Option<String>,
    /// Tasks that it ended.
    ended: u64,
    /// When it said something last.
    last: Instant,
}

impl<'r, 'a> Hearing<'r, 'a> {
    fn new(remote: &'r Remote<'a>, worker: WorkerId) -> Self {
        let mark = worker.to_string();
        Self {
            incoming: Incoming::new(remote.store, remote.folder, mark),
            remote,
            worker,
            arriving: HashMap::new(),
            reads: false,
            leaving: None,
            ended: 0,
            last: Instant::now(),
        }
    }

    /// It said something.
    fn heard(&mut self) {
        // Others look at that now and then.
        const OFTEN: Duration = Duration::from_millis(100);
        let now = Instant::now();
        if now.duration_since(self.last) > OFTEN
            && let Some(link) = self.remote.lock().links.get_mut(&self.worker)
        {
            link.heard = now;
        }
        self.last = now;
    }

    fn arriving(&mut self, lease: Lease) -> &mut Arriving<'a> {
        let remote = self.remote;
        self.arriving
            .entry(lease)
            .or_insert_with(|| remote.arriving())
    }

    /// Says where the worker can read these objects; of those that it had better get the bytes go.
    fn show(&self, say: &mpsc::Sender<Say>, digests: &[Digest]) {
        let mut rest = Vec::new();
        for digest in digests {
            let there = beside::path_of(self.remote.store, digest);
            match there.as_deref().and_then(Path::to_str) {
                None => rest.push(*digest),
                Some(path) => {
                    let there = ToWorker::There(*digest, path.to_owned());
                    let _ = say.send(Say::Message(there));
                }
            }
        }
        let _ = say.send(Say::Objects(rest));
    }

    /// Does what a message says; why nothing more is heard.
    fn hear(
        &mut self,
        say: &mpsc::Sender<Say>,
        message: ToOwner,
        bytes: &[u8],
    ) -> Result<(), String> {
        let remote = self.remote;
        match message {
            ToOwner::Hello(_) | ToOwner::Ping => {}
            ToOwner::Beside(made) => {
                self.reads = remote.beside.is_some();
                let made = made.zip(remote.beside.as_ref());
                if made.is_some_and(|(name, beside)| beside.has(&name)) {
                    let _ = say.send(Say::Message(ToWorker::Seen));
                }
            }
            ToOwner::Need(digests) if self.reads => self.show(say, &digests),
            ToOwner::Need(digests) | ToOwner::NeedBytes(digests) => {
                let _ = say.send(Say::Objects(digests));
            }
            ToOwner::Secrets(step) => {
                let files = remote.secrets_for(self.worker, step)?;
                let _ = say.send(Say::Secrets(step, files));
            }
            ToOwner::Lacks(step) => {
                let _ = say.send(Say::Needs(step, remote.packages_of(step)));
            }
            ToOwner::NeedPackages(step, paths) => {
                let _ = say.send(Say::Packages(step, paths));
            }
            ToOwner::Wrote { lease, stderr } => {
                let state = remote.lock();
                if let Some(job) = state.book.job(lease) {
                    let news = News::Wrote {
                        task: job.ready.id,
                        step: job.step.queue,
                        stderr,
                        bytes: bytes.to_owned(),
                    };
                    remote.tell(news);
                }
            }
            ToOwner::Piece { lease, last } => {
                self.arriving(lease);
                let found = self.incoming.add(lease, bytes, last.is_some());
                let found = found.map_err(|error| error.to_string())?;
                if found != last {
                    return Err("an object came with other bytes than its name says".to_owned());
                }
            }
            ToOwner::Placed {
                lease,
                digest,
                name,
            } => {
                self.arriving(lease);
                let beside = remote.beside.as_ref();
                let beside = beside.ok_or("an object came where nobody looks")?;
                beside.take(remote.store, &digest, &name)?;
            }
            ToOwner::Output {
                lease,
                name,
                digest,
                form,
            } => {
                let form = Form::of(form).ok_or("an output of no known kind came")?;
                if !remote.store.contains(&digest) {
                    return Err(format!("the bytes of output {name:?} did not come"));
                }
                let output = Output {
                    name: name.into(),
                    digest,
                    form,
                };
                let pushed = self.arriving(lease).outputs.push(output);
                pushed.map_err(|error| error.to_string())?;
            }
            ToOwner::Kept(lease, tree) => remote.keeps(lease, tree)?,
            ToOwner::Done(lease, end) => {
                self.ended += 1;
                let arrived = self.arriving.remove(&lease);
                remote.done(self.worker, lease, *end, arrived)?;
            }
            ToOwner::GivenBack(lease) => {
                let mut state = remote.lock();
                state.book.given_back(self.worker, lease);
                remote.settle(&mut state);
            }
            ToOwner::Warning(words) => remote.warn_of(self.worker, &words),
            ToOwner::Leaving(why) => {
                let mut state = remote.lock();
                state.book.leaves(self.worker);
                remote.settle(&mut state);
                drop(state);
                self.leaving = Some(why);
            }
        }
        Ok(())
    }
}
