//! An executor is tried: one worker of it is started, carries out a task on some bytes, and is asked what holds there.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::{BufReader, BufWriter, Write as _};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::Crew;
use super::beside::Beside;
use super::process::{end, ended, meet, start};
use crate::exec::transfer::{self, Incoming};
use crate::folder::Folder;
use crate::model::digest::Digest;
use crate::model::identity::Identity;
use crate::model::list::Form;
use crate::store::Store;
use crate::text::time::{exact, short};
use crate::text::{Shown as _, amount};
use crate::wire::frame;
use crate::wire::message::{
    End, Hello, Lease, Outcome, StepSpec, TaskSpec, Terms, ToOwner, ToWorker,
};

/// How many bytes go there and back: more than a buffer on the way has.
const BYTES: usize = 4 << 20;
/// The task's script. Most of what it needs is on every machine, and a shell is one of it.
const SCRIPT: &str = "n=$(wc -c < \"$INPUT_FILE\")\ncat \"$INPUT_FILE\" > \"$OUTPUT_DIR/\"$((n))";
/// By what that is told.
const LEASE: Lease = 1;

/// Whom it tells what holds: in a word what it is about, and how it is.
pub(crate) type Tell<'t> = &'t mut dyn FnMut(&str, &str);

/// The group of the command that is being tried, for whoever ends that.
pub(crate) type Tried = Mutex<Option<Pid>>;

/// Tries a worker of a crew, or where they are started in several ways, as on several machines, one of each. Files are
/// made in `folder`.
///
/// # Errors
///
/// Where one does not work: why, with the last words of the worker's command.
pub(crate) fn trial(
    crew: &Crew,
    terms: &Terms,
    (folder, tried): (&Path, &Tried),
    tell: Tell,
) -> Result<(), String> {
    let mut stations: Vec<&(String, Vec<OsString>)> = Vec::new();
    for station in &crew.stations {
        if stations.iter().all(|(_, known)| *known != station.1) {
            stations.push(station);
        }
    }
    match stations.as_slice() {
        [] => Err("it has no workers".to_owned()),
        [(_, command)] => try_one(crew, command, terms, (folder, tried), tell),
        several => {
            let mut failed = Vec::new();
            for (label, command) in several {
                tell("machine", label);
                if let Err(why) = try_one(crew, command, terms, (folder, tried), tell) {
                    tell("fails", &why);
                    failed.push(label.as_str());
                }
            }
            if failed.is_empty() {
                return Ok(());
            }
            Err(format!(
                "of {} machines, {} does not work: see above",
                several.len(),
                failed.join(", ")
            ))
        }
    }
}

fn try_one(
    crew: &Crew,
    command: &[OsString],
    terms: &Terms,
    (folder, tried): (&Path, &Tried),
    tell: Tell,
) -> Result<(), String> {
    let told = |error: std::io::Error| format!("cannot make files in {}: {error}", folder.shown());
    let held = Folder::open(folder).map_err(told)?;
    let store = Store::open(&folder.join("objects"), folder).map_err(|error| error.to_string())?;
    let words: Vec<_> = command.iter().map(|word| word.to_string_lossy()).collect();
    tell("command", &words.join(" "));
    let said = tempfile::tempfile_in(folder).map_err(told)?;
    let began = Instant::now();
    let lock = || tried.lock().unwrap_or_else(PoisonError::into_inner);
    // Who ends all of it either finds it, or comes before it is started.
    let mut current = lock();
    let mut child = start(command, &BTreeSet::new(), &said).map_err(|error| {
        let program = words.first().map_or("", |word| word);
        format!("cannot start {program:?}: {error}")
    })?;
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    *current = group;
    drop(current);
    let (Some(to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
        return Err("its pipes are missing".to_owned());
    };
    let from = BufReader::with_capacity(2 * frame::PIECE, from);
    let silence = Duration::from_millis(terms.silence);
    let (heard, signs) = mpsc::channel();
    let is_silent = AtomicBool::new(false);
    let result = std::thread::scope(|scope| {
        scope.spawn(|| {
            let signs = signs;
            // Until it answers it may wait in a queue, for as long as that takes.
            if crew.queues && signs.recv().is_err() {
                return;
            }
            let mut length = 0;
            loop {
                match signs.recv_timeout(silence) {
                    Ok(()) => continue,
                    Err(mpsc::RecvTimeoutError::Disconnected) => return,
                    Err(mpsc::RecvTimeoutError::Timeout) => {}
                }
                // What it tells its user shows that it is at something.
                let now = said.metadata().map_or(0, |said| said.len());
                if std::mem::replace(&mut length, now) == now {
                    break;
                }
            }
            is_silent.store(true, Ordering::Relaxed);
            if let Some(group) = group {
                let _ = kill_process_group(group, Signal::KILL);
            }
        });
        let beside = Beside::new(&held);
        let mut trial = Trial {
            store: &store,
            folder: &held,
            beside,
            terms,
            heard,
            tell,
        };
        trial.goes(from, BufWriter::new(to), began)
    });
    let status = end(&mut child);
    *lock() = None;
    if is_silent.into_inner() && result.is_err() {
        let why = format!("it said nothing for {}", exact(silence));
        return Err(ended(&why, None, said));
    }
    result.map_err(|why| ended(&why, status, said))
}

struct Trial<'t, 's> {
    store: &'s Store,
    folder: &'s Folder,
    beside: Option<Beside>,
    terms: &'s Terms,
    /// Is told each time that something is heard.
    heard: mpsc::Sender<()>,
    tell: Tell<'t>,
}

impl Trial<'_, '_> {
    fn goes(
        &mut self,
        mut from: BufReader<ChildStdout>,
        mut to: BufWriter<ChildStdin>,
        began: Instant,
    ) -> Result<(), String> {
        let hello = meet(&mut from)?;
        let _ = self.heard.send(());
        self.meets(&hello, began.elapsed());
        let gone = |error: std::io::Error| format!("it hears nothing more: {error}");
        let input = bytes();
        let input = self.store.insert_bytes(&input);
        let input = input.map_err(|error| error.to_string())?;
        let terms = Terms {
            meeting: self.beside.as_ref().and_then(Beside::meeting),
            ..self.terms.clone()
        };
        for message in [
            ToWorker::Welcome(Box::new(terms)),
            ToWorker::Step(0, Box::new(step())),
            ToWorker::Task(Box::new(task(input))),
        ] {
            frame::write(&mut to, &message, &[]).map_err(gone)?;
        }
        to.flush().map_err(gone)?;
        let (mut sees, mut sent, mut left) = (None, Instant::now(), None);
        let mut incoming = Incoming::new(self.store, self.folder, "trial".to_owned());
        let done = loop {
            let message = frame::read(&mut from).map_err(|error| error.to_string())?;
            let _ = self.heard.send(());
            let Some((message, bytes)) = message else {
                return Err("it ended before its task did".to_owned());
            };
            match message {
                ToOwner::Beside(made) => {
                    let made = made.zip(self.beside.as_ref());
                    sees = Some(made.is_some_and(|(name, beside)| beside.has(&name)));
                }
                ToOwner::Need(objects) | ToOwner::NeedBytes(objects) => {
                    sent = Instant::now();
                    self.give(&mut to, &objects)?;
                }
                ToOwner::Piece { last, .. } => {
                    let found = incoming.add(0, &bytes, last.is_some());
                    if found.map_err(|error| error.to_string())? != last {
                        return Err("bytes came back as others than it said".to_owned());
                    }
                }
                ToOwner::Output { name, digest, .. } => left = Some((name.clone(), digest)),
                ToOwner::Done(_, end) => break end,
                ToOwner::Leaving(why) => return Err(why),
                // Nothing of this is to come of that task, or it says nothing.
                ToOwner::Hello(_)
                | ToOwner::Ping
                | ToOwner::Secrets(_)
                | ToOwner::Lacks(_)
                | ToOwner::NeedPackages(..)
                | ToOwner::Wrote { .. }
                | ToOwner::Placed { .. }
                | ToOwner::Kept(..)
                | ToOwner::Warning(_)
                | ToOwner::GivenBack(_) => {}
            }
        };
        let whole = sent.elapsed();
        self.judge(sees, *done, left.as_ref(), (input, whole))?;
        let bye = ToWorker::Bye("it was tried".to_owned());
        let _ = frame::write(&mut to, &bye, &[]).and_then(|()| to.flush());
        Ok(())
    }

    /// Sends what the worker asks for.
    fn give(&self, to: &mut BufWriter<ChildStdin>, objects: &[Digest]) -> Result<(), String> {
        for digest in objects {
            let piece = |bytes: &[u8], last| {
                let digest = *digest;
                frame::write(to, &ToWorker::Piece { digest, last }, bytes)
            };
            transfer::send(self.store, digest, piece).map_err(|error| error.to_string())?;
        }
        to.flush()
            .map_err(|error| format!("it hears nothing more: {error}"))
    }

    /// Says what came of the task.
    fn judge(
        &mut self,
        sees: Option<bool>,
        done: End,
        left: Option<&(String, Digest)>,
        (input, whole): (Digest, Duration),
    ) -> Result<(), String> {
        (self.tell)(
            "disk",
            match sees {
                None => "it does not see this machine's: all bytes go through the connection",
                Some(false) => {
                    "it can read this machine's: large inputs do not go through the connection"
                }
                Some(true) => {
                    "it sees this machine's: large files do not go through the connection"
                }
            },
        );
        match done.outcome {
            Outcome::Success => {}
            Outcome::Failure(why) | Outcome::OutOfMemory(why) | Outcome::Unable(why) => {
                return Err(format!("a task does not work there: {why}"));
            }
            Outcome::Cancelled => return Err("a task was ended there".to_owned()),
        }
        let elapsed = Duration::from_micros(u64::try_from(done.elapsed).unwrap_or(0));
        let words = format!(
            "a script of a few words ended as it should, in {}",
            short(elapsed)
        );
        (self.tell)("task", &words);
        if left != Some(&(BYTES.to_string(), input)) {
            let left = left.map_or("nothing".to_owned(), |(name, _)| format!("{name:?}"));
            return Err(format!(
                "a task left {left}, and not the bytes that it was given"
            ));
        }
        let words = format!(
            "{} went there and came back as they were, in {}",
            amount::bytes(BYTES as u64),
            short(whole)
        );
        (self.tell)("bytes", &words);
        Ok(())
    }

    fn meets(&mut self, hello: &Hello, after: Duration) {
        let words = format!("{} answers after {}", hello.node, short(after));
        (self.tell)("worker", &words);
        let words = format!("{}, as here", hello.version);
        (self.tell)("version", &words);
        let room = i64::try_from(hello.slots).unwrap_or(i64::MAX);
        let words = format!("{} at once", amount::count(room, "task"));
        (self.tell)("slots", &words);
        if hello.gpus > 0 {
            let gpus = i64::try_from(hello.gpus).unwrap_or(i64::MAX);
            (self.tell)("gpus", &amount::count(gpus, "GPU"));
        }
        (self.tell)(
            "packages",
            if hello.nix {
                "there is a Nix: what a step's packages need is copied where it is missing"
            } else {
                "there is no Nix: steps with packages work if these are there, in /nix/store, already"
            },
        );
    }
}

/// Bytes that nothing on the way can make smaller, or takes for something else.
fn bytes() -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.flatten().take(BYTES).collect()
}

pub(super) fn step() -> StepSpec {
    StepSpec {
        name: "try".to_owned(),
        version: 1,
        identity: Identity {
            script: SCRIPT.to_owned(),
            shell: ["sh", "-e", "-c"].map(str::to_owned).into(),
            ..Identity::default()
        },
        kept: BTreeMap::new(),
        params: Vec::new(),
        declared: Vec::new(),
        resources: Vec::new(),
        outputs: None,
        folders: false,
        checkpoint: None,
        timeout: None,
        gpus: 0,
        warm: Some(false),
        measured: false,
        input_dir: false,
        with_dir: None,
        secrets: Vec::new(),
        sandbox: None,
        units: 1,
    }
}

fn task(input: Digest) -> TaskSpec {
    TaskSpec {
        lease: LEASE,
        step: 0,
        task: 1,
        runset: "try".to_owned(),
        input,
        form: Form::File.number(),
        name: Some("bytes".to_owned()),
        key: None,
        context: None,
        checkpoint: None,
        memory: None,
        attempt: 1,
    }
}
