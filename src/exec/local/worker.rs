//! A worker: runs one task after the other.

use crate::text::time::exact;
use std::ffi::OsStr;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::collect::{OutputError, Source, Terms, collect};
use super::early::Start;
use super::execution::{Execution, Fault};
use super::hints;
use super::kept::Kept;
use super::launch::cache::{LaunchCache, Prepared, TaskEnvironment};
use super::launch::served::Servers;
use super::launch::step::{Runnable, TaskLaunch};
use super::launch::warm::{self, Shells};
use super::listener::Listener;
use super::live::{Live, Tell};
use super::oom::Kills;
use super::scratch::notes;
use super::state_dir::{Basis, LiveState};
use super::transcript::Record;
use super::workspace::Workspace;
use crate::engine::{Ended, Outcome, Outputs};
use crate::files::{Begun, Trouble, Watch};
use crate::folder::Folder;
use crate::model::event::Launch;
use crate::model::task::TaskId;
use crate::process::{self, Handle, Pipes, RunError, Sink, StopReason, Stream};
use crate::state::{Finished, Logs};
use crate::store::{self, Session, SharedOutput, Store};
use crate::sys::descriptors::Need;
use crate::sys::{self, DiskReads, Divided, Fate, Orphans, Part, Shortage, Usage, is_full};
use crate::text::{Shown as _, amount, visible};

/// Where workers work.
#[derive(Debug)]
pub(in crate::exec) struct Site<'a> {
    /// Where objects go.
    pub store: &'a Store,
    /// The folder for the workers' folders.
    pub scratch: Arc<Folder>,
    /// Tells what tasks left running.
    pub orphans: Orphans,
    /// Where folders of failed tasks go, if they are kept.
    pub keep: Option<Arc<Kept>>,
    /// By what tasks have no more memory than they are given, if by anything.
    pub fence: Option<Arc<Divided>>,
    /// Whom the kernel kills for want of memory.
    pub kills: Kills,
    /// Whether there was no room on the disk, for anybody. What ended for that has made some.
    pub full: AtomicBool,
}

impl Site<'_> {
    /// Whether there is no room, for a script with these last words.
    fn is_full(&self, words: &str) -> bool {
        self.full.load(Ordering::Relaxed) || is_full(self.scratch.path(), words)
    }
}

/// Told that of a task's outputs with these names that at the index is large, and about to be hashed.
pub(in crate::exec) type Offer<'a> =
    &'a (dyn Fn(TaskId, &[Box<str>], usize, &Arc<SharedOutput>) + Sync);

/// What a worker of these steps has open at a time.
pub(crate) fn need(steps: &[Arc<Runnable>]) -> Need {
    /// With more steps, some will want one: to ask all of them takes a while.
    const ASKED: usize = 50;
    // No more than one of a step.
    let warm = steps.iter().filter(|step| step.warm().is_some());
    let served = steps.iter().filter(|step| step.sandbox.is_some());
    let shells = match steps.len() {
        0..=ASKED => warm.take(warm::KEPT).count(),
        _ => warm::KEPT,
    } + served.take(warm::KEPT).count();
    let shells = shells as u64;
    Need {
        // Where it reads what tasks write; the folders. What it says to its shells, and they to it.
        movable: 2 + 2 + 2 * shells,
        // Where tasks write. Whether its shells have ended.
        fixed: 2 + shells,
        // Whether a task has ended; an object and its copy.
        passing: 3,
    }
}

/// How often a task is run whose files are written meanwhile, and are the same in the end.
const TRIES: usize = 3;

/// Runs one task after the other, in the thread that made it.
pub(in crate::exec) struct Worker<'a> {
    site: &'a Site<'a>,
    /// None where what tasks write is kept and not told.
    tell: Option<Tell<'a>>,
    offer: Offer<'a>,
    handle: &'a Handle,
    number: i64,
    workspace: Workspace,
    disk: DiskReads,
    /// Connected to `pipes`.
    shells: Shells,
    /// Connected to `pipes`.
    servers: Servers,
    /// Kept from task to task while nothing else can hold them.
    pipes: Option<Pipes>,
    /// Connected to `pipes`.
    commands: LaunchCache,
    /// What runs the script of the task at hand.
    launched: Option<Launch>,
    /// Whether no warm shell may run it.
    alone: bool,
    /// In which objects are made of what it left.
    session: Option<Session>,
    /// Where it has no more memory than it is given.
    part: Option<Part>,
    /// What came of that, where the task at hand had that.
    seen: Option<Fate>,
    /// What the task at hand took.
    used: Usage,
}

impl<'a> Worker<'a> {
    /// Worker `number`, counted from 0. Others can end its task by `handle`.
    pub(in crate::exec) fn new(
        site: &'a Site<'a>,
        number: usize,
        handle: &'a Handle,
        tell: Option<Tell<'a>>,
        offer: Offer<'a>,
    ) -> Self {
        Self {
            site,
            tell,
            offer,
            handle,
            number: i64::try_from(number).unwrap_or(i64::MAX),
            workspace: Workspace::new(Arc::clone(&site.scratch), number),
            disk: DiskReads::default(),
            shells: Shells::default(),
            servers: Servers::default(),
            pipes: None,
            commands: LaunchCache::default(),
            launched: None,
            alone: false,
            session: None,
            part: None,
            seen: None,
            used: Usage::default(),
        }
    }

    /// What the task at hand keeps from try to try, for others.
    pub(in crate::exec) fn live_state(&self) -> LiveState {
        self.workspace.state().live()
    }

    /// Executes a task and makes objects of what it left.
    pub(in crate::exec) fn execute(&mut self, job: TaskLaunch) -> Ended {
        self.carry_out(&mut Execution::new(job, None))
    }

    /// The same for a task whose input is not an object yet; none if the end of it does not count.
    pub(super) fn execute_early(&mut self, start: &Start, job: TaskLaunch) -> Option<Ended> {
        let mut execution = Execution::new(job, Some(start));
        let ended = self.carry_out(&mut execution);
        start.shared.abandon();
        start.claim.wait().then_some(ended)
    }

    fn carry_out(&mut self, execution: &mut Execution) -> Ended {
        let started = sys::now().as_millisecond();
        let clock = Instant::now();
        let site = self.site;
        let mask = execution.job.step.mask.as_ref();
        let mut record = Record::new(&site.scratch, self.number, mask);
        // What is lent is lent once, and the task of a warm shell that dies is started again.
        self.alone = execution.early.is_some();
        let mut tried = self.try_execute(execution, &mut record);
        if matches!(tried, Err(Fault::Lost)) {
            // In a shell of its own, which tells how it ends.
            self.alone = true;
            record = Record::new(&site.scratch, self.number, mask);
            tried = self.try_execute(execution, &mut record);
        }
        for _ in 1..TRIES {
            let Err(Fault::Touched(what)) = &tried else {
                break;
            };
            execution.warning = Some(format!("{what}: it was run again"));
            // That is an object by now.
            execution.early = None;
            record = Record::new(&site.scratch, self.number, mask);
            tried = self.try_execute(execution, &mut record);
        }
        let outcome = tried.unwrap_or_else(Outcome::from);
        let session = self.session.take();
        let session = session.unwrap_or_else(|| site.store.session());
        let (outcome, logs) = match record.keep(self.site.store) {
            Ok(logs) => (outcome, logs),
            // What came first is the cause.
            Err(_) if matches!(outcome, Outcome::Short(_)) => (outcome, Logs::default()),
            Err(error) => {
                let fault = Fault::of(error.shortage(), error.to_string());
                (fault.into(), Logs::default())
            }
        };
        if matches!(&outcome, Outcome::Short(short) if short.of == Shortage::Room) {
            site.full.store(true, Ordering::Relaxed);
        }
        Ended {
            task: execution.job.ready.id,
            outcome,
            finished: Finished {
                started,
                elapsed: number(clock.elapsed().as_micros()),
                worker: self.number,
                cpu: self.used.cpu.map(|cpu| number(cpu.as_micros())),
                peak: self.used.peak.map(number),
            },
            launch: self.launched.take(),
            logs,
            warning: execution.warning.take(),
            session,
            kept: execution.kept.take(),
            checkpoint: execution.checkpoint,
        }
    }

    fn try_execute(
        &mut self,
        execution: &mut Execution,
        record: &mut Record<'a>,
    ) -> Result<Outcome, Fault> {
        let job = &execution.job;
        let files = match watched(job) {
            Ok(files) => files,
            Err(trouble) => return stale(trouble, &words_of(job, "before"), ""),
        };
        let begun = match self.make_ready(execution) {
            // However far it came.
            Err(_) if self.handle.is_ended() => Ok(false),
            other => other,
        };
        let begun = begun.map_err(|error| {
            if let store::Error::Damaged { digest, .. } = &error {
                self.site.store.put_damaged_aside(digest);
            }
            Fault::of(error.shortage(), explain(&error, job))
        });
        if !begun? {
            return Ok(execution.is_off());
        }
        let run = self.run(job, record);
        let store = self.site.store;
        self.session.get_or_insert_with(|| store.session());
        let (outcome, left) = match run {
            Ok(ended) => {
                self.used = ended.used;
                // That of all its processes together, where the kernel tells.
                if let Some(seen) = &self.seen {
                    self.used.peak = seen.peak.or(ended.used.peak);
                    self.used.cpu = seen.cpu.or(ended.used.cpu);
                }
                let left = ended.left.as_ref();
                let quiet = left.is_none();
                match execution.early {
                    Some(early) if quiet && self.site.orphans.certainly_none() => {
                        self.workspace.give_back(&early.shared);
                    }
                    early => {
                        if self.site.keep.is_none() {
                            self.workspace.release_input();
                        }
                        if let Some(early) = early {
                            early.shared.abandon();
                        }
                    }
                }
                // Outputs are looked at before the rest of the group is killed: one that it
                // still writes must be noticed.
                let outcome = if execution.counts() {
                    self.judge(job, &ended, (record, files), quiet)
                } else {
                    Ok(Outcome::Cancelled)
                };
                if let Some(left) = left {
                    left.kill();
                    self.part = None;
                    // What the kernel kills with it may not be gone yet.
                    if self.seen.is_none_or(|seen| seen.killed == 0) {
                        execution.warning = Some(
                            "left processes running in the background; they were ended".to_owned(),
                        );
                    }
                }
                (outcome, left.is_some())
            }
            Err(RunError::Refused) => (Ok(Outcome::Cancelled), false),
            Err(RunError::Lost) => (Err(Fault::Lost), true),
            Err(RunError::Spawn(error)) => {
                let words = format!("cannot start the script: {error}");
                (Err(Fault::of(Shortage::of(&error), words)), true)
            }
            Err(RunError::Io(error)) => {
                let words = format!("cannot run the script: {error}");
                (Err(Fault::of(Shortage::of(&error), words)), true)
            }
        };
        self.keep_what_it_left(execution, &outcome, left);
        let quiet = self.site.orphans.certainly_none() && !left;
        let emptied = matches!(outcome, Ok(Outcome::Success(_)));
        // What one task left there the next must not see.
        let tidy = execution.job.step.sandbox.is_none() || self.workspace.is_tidy();
        self.workspace.finish(quiet && tidy, emptied);
        if !quiet {
            self.pipes = None;
            self.commands.clear();
            self.shells = Shells::default();
            self.servers = Servers::default();
        }
        match outcome {
            Err(_) | Ok(Outcome::Failure(_) | Outcome::Stale(_)) if execution.was_disturbed() => {
                Ok(execution.is_off())
            }
            other => other,
        }
    }

    /// Keeps what is wanted of a task that may not have succeeded. `left`: see [`Self::keep_state`].
    fn keep_what_it_left(
        &mut self,
        execution: &mut Execution,
        outcome: &Result<Outcome, Fault>,
        left: bool,
    ) {
        if execution.job.step.checkpoint {
            if let Some(why) = self.workspace.state_mut().lost() {
                execution.warning = Some(format!("begins with an empty STATE_DIR: {why}"));
            }
            if !matches!(outcome, Ok(Outcome::Success(_))) {
                self.keep_state(execution, left);
            }
        }
        if let Some(keep) = &self.site.keep
            && matches!(
                outcome,
                Err(Fault::Task(_) | Fault::Memory(_)) | Ok(Outcome::Failure(_))
            )
            && !execution.was_disturbed()
        {
            let kept = self.workspace.set_aside(keep, execution.job.ready.id);
            let job = &execution.job;
            let words = Kept::words(kept, &job.step.name, job.ready.id);
            execution.kept = Some(words);
        }
    }

    /// What the task keeps for its next try becomes an object. `left`: whether some of its processes may be there.
    fn keep_state(&mut self, execution: &mut Execution, left: bool) {
        let stays = left || !self.site.orphans.certainly_none();
        match self.workspace.state_mut().take(self.site.store, stays) {
            Ok(None) => {}
            Ok(Some(kept)) => {
                execution.checkpoint = Some(kept.tree);
                if let Some(without) = kept.without {
                    let words = format!("keeps its STATE_DIR without some of it: {without}");
                    execution.warning.get_or_insert(words);
                }
            }
            Err(error) => {
                let words = format!("does not keep what is in its STATE_DIR: {error}");
                execution.warning.get_or_insert(words);
            }
        }
    }

    /// Gives the task what it works on; whether that is still to be had.
    fn make_ready(&mut self, execution: &Execution) -> Result<bool, store::Error> {
        let (store, job) = (self.site.store, &execution.job);
        let (dir, workspace) = (job.step.input_dir, &mut self.workspace);
        let with = job.step.with_dir.as_ref().zip(job.ready.context.as_ref());
        let with_steps = with.map(|(with, list)| (&**list, &*with.steps));
        workspace.expect(with_steps, job.step.sandbox.is_some());
        if let Some(early) = execution.early {
            return workspace.begin_early(store, &early.shared, dir);
        }
        let handle = self.handle;
        let go_on = || {
            if handle.is_ended() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            Ok(())
        };
        let input = (&job.ready.input, job.ready.form);
        workspace.begin(store, input, dir, &go_on)?;
        if job.step.checkpoint {
            let kept = execution.checkpoint.or(job.grant.checkpoint);
            let basis = Basis {
                task: job.ready.id,
                version: job.step.version,
                input: &job.ready.input,
                context: job.ready.context.as_deref(),
            };
            workspace.begin_state(store, basis, kept.as_ref(), &go_on)?;
        }
        if let Some((with, list)) = with {
            workspace.give(store, list, &with.steps, &go_on)?;
        }
        Ok(true)
    }

    fn run(
        &mut self,
        job: &TaskLaunch,
        record: &mut Record<'a>,
    ) -> Result<process::Ended, RunError> {
        let mut live = self
            .tell
            .map(|tell| Live::new(tell, job.ready.id, &job.step.name));
        let ended = self.launch(job, record, &mut live);
        record.end(&mut |stream, bytes| {
            if let Some(live) = &mut live {
                live.wrote(stream, bytes);
            }
        });
        if let Some(live) = &mut live {
            live.end();
        }
        ended
    }

    fn launch(
        &mut self,
        job: &TaskLaunch,
        record: &mut Record<'a>,
        live: &mut Option<Live>,
    ) -> Result<process::Ended, RunError> {
        let pipes = match &mut self.pipes {
            Some(pipes) => pipes,
            none => {
                let pipes = none.insert(Pipes::new()?);
                // Where it fails, processes are known by their variables.
                let _ = notes::add(&self.site.scratch, pipes);
                pipes
            }
        };
        (self.seen, self.used) = (None, Usage::default());
        let part = match (&self.site.fence, job.grant.memory) {
            (Some(fence), Some(bytes)) => {
                let number = self.number;
                let part = (self.part).get_or_insert_with(|| fence.part(&number.to_string()));
                part.begin(bytes)?;
                Some(&*part)
            }
            (None, _) | (_, None) => None,
        };
        let mut sink = Listener {
            job,
            record,
            live: live.as_mut(),
            store: self.site.store,
            disk: &mut self.disk,
        };
        let kept = self.commands.of(job.step.queue);
        let own = TaskEnvironment::new(&self.workspace, job);
        if let Some(direct) = job.step.direct().filter(|_| part.is_none()) {
            let is_short = |error: &io::Error| Shortage::of(error).is_some();
            // What is not short, the shell can say best.
            match kept.plain(job, direct, &own, pipes) {
                Err(error) if is_short(&error) => return Err(RunError::Spawn(error)),
                Ok(None) | Err(_) => {}
                Ok(Some(Prepared::Done)) => {
                    self.launched = Some(Launch::Direct);
                    return Ok(process::Ended::at_once());
                }
                Ok(Some(Prepared::Start(specs))) => {
                    self.launched = Some(Launch::Direct);
                    match self.handle.launch(specs, pipes, &mut sink) {
                        Err(RunError::Spawn(error)) if !is_short(&error) => {}
                        Ok((ended, stages)) if direct.waits && ended.cut.is_none() => {
                            let tell = |words: &str| sink.wrote(Stream::Stderr, words.as_bytes());
                            return Ok(ended.of_a_shell(&stages, direct.semantics, tell));
                        }
                        other => return other.map(|(ended, _)| ended),
                    }
                }
            }
        }
        if !self.alone && part.is_none() {
            let orphans = &self.site.orphans;
            let warm = self
                .shells
                .run(job, &own, self.handle, pipes, orphans, &mut sink)?;
            if let Some(ended) = warm {
                self.launched = Some(Launch::Warm);
                return Ok(ended);
            }
            let served = (self.servers).run(job, &own, self.handle, pipes, orphans, &mut sink)?;
            if let Some(ended) = served {
                self.launched = Some(Launch::Shell);
                return Ok(ended);
            }
        }
        self.launched = Some(Launch::Shell);
        let door = part.map(Part::door);
        let spec = std::slice::from_ref(kept.shell(job, &own, door.as_deref(), pipes)?);
        let ended = self.handle.launch(spec, pipes, &mut sink);
        self.seen = part.map(Part::end);
        if let Some(seen) = &self.seen {
            self.site.kills.count(seen);
        }
        ended.map(|(ended, _)| ended)
    }

    /// Makes objects of what a script left.
    fn make_objects(&mut self, job: &TaskLaunch, quiet: bool) -> Result<Outputs, OutputError> {
        let folder = self.workspace.collect()?.map_err(OutputError::Replaced)?;
        let source = Source {
            store: self.site.store,
            folder: &folder,
            quiet,
            offer: &|names, index, shared| (self.offer)(job.ready.id, names, index, shared),
        };
        let terms = Terms {
            promised: job.step.outputs.as_ref(),
            folders: job.step.folders,
            spill: self.site.scratch.path(),
        };
        collect(source, terms)
    }

    /// What an ended script's task comes to.
    fn judge(
        &mut self,
        job: &TaskLaunch,
        ended: &process::Ended,
        (record, files): (&Record, Option<(&Watch, Begun)>),
        quiet: bool,
    ) -> Result<Outcome, Fault> {
        let (site, seen) = (self.site, self.seen);
        let failed = |how: String| {
            let last = record.stderr.last_words();
            let sandbox = job.step.sandbox.as_ref();
            let hint = sandbox.and_then(|sandbox| sandbox.hint(&last));
            let hint = hint.map_or_else(String::new, |hint| format!("\n{hint}"));
            // One that was killed here says nothing by it.
            let (memory, status) = match ended.cut {
                None => (
                    site.kills.hint(ended.status, seen.as_ref()),
                    hints::of(ended.status, &last).unwrap_or_default(),
                ),
                Some(_) => (None, String::new()),
            };
            let memory = memory.unwrap_or_default();
            Err(Fault::Task(how + &last + &hint + memory + &status))
        };
        if ended.cut == Some(StopReason::Asked) {
            return Ok(Outcome::Cancelled);
        }
        // It has ended, and nothing was made of what it left: no task can have that as its input yet.
        if let Some((files, begun)) = files
            && let Err(trouble) = files.verify(begun)
        {
            return stale(
                trouble,
                &words_of(job, "while"),
                &record.stderr.last_words(),
            );
        }
        let touched = self.workspace.touched(self.site.store);
        let touched = touched.map_err(|error| Fault::of(error.shortage(), explain(&error, job)))?;
        if let Some(touched) = touched {
            return Err(Fault::Touched(format!(
                "{touched} {}",
                words_of(job, "while")
            )));
        }
        match ended.cut {
            Some(StopReason::Asked) => Ok(Outcome::Cancelled),
            Some(StopReason::Timeout) => {
                let limit = job.step.timeout.unwrap_or_default();
                failed(format!("timed out after {}", exact(limit)))
            }
            None if ended.status.success() => match self.make_objects(job, quiet) {
                Ok(outputs) => Ok(Outcome::Success(outputs)),
                Err(error) => match error.shortage() {
                    None => failed(error.to_string()),
                    short => Err(Fault::of(short, error.to_string())),
                },
            },
            None if self.seen.is_some_and(|seen| seen.over && seen.killed > 0) => {
                let had = job.grant.memory.map_or_else(String::new, amount::bytes);
                let last = record.stderr.last_words();
                Err(Fault::Memory(format!(
                    "out of memory: killed at {had}{last}"
                )))
            }
            None => {
                let how = process::describe(ended.status);
                // It may well have failed for that, as every other one would.
                let words = record.stderr.last_words();
                if self.site.is_full(&words) {
                    let folder = self.site.scratch.path().shown();
                    let error = format!("{how}, and the disk of {folder} is full{words}");
                    return Err(Fault::of(Some(Shortage::Room), error));
                }
                failed(how)
            }
        }
    }
}

/// As it is recorded.
fn number(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

/// When something happened to files.
fn words_of(job: &TaskLaunch, when: &str) -> String {
    format!("{when} {} ran", visible(job.step.name.as_str()))
}

/// The files that a task begins to read.
fn watched<'a>(job: &TaskLaunch<'a>) -> Result<Option<(&'a Watch, Begun)>, Trouble> {
    let files = job.step.files.as_deref();
    let begun = files.map(|files| Ok((files, files.verify_now_and_then()?)));
    begun.transpose()
}

/// What a task comes to whose files are not known to be as they were.
fn stale(trouble: Trouble, when: &str, last: &str) -> Result<Outcome, Fault> {
    match trouble {
        Trouble::Changed(what) => Ok(Outcome::Stale(format!(
            "{what} {when}: this run began with what was there before\n\
             hint: run again, which takes the files as they are then{last}"
        ))),
        Trouble::Touched(what) => Err(Fault::Touched(format!("{what} {when}"))),
        Trouble::Stopped => Ok(Outcome::Cancelled),
        Trouble::Short(short, error) => Err(Fault::of(
            Some(short),
            format!("cannot look again at the files that the step names: {error}"),
        )),
    }
}

/// Adds what can be done about an input that is not to be had.
fn explain(error: &store::Error, job: &TaskLaunch) -> String {
    match error {
        store::Error::Missing { .. }
        | store::Error::NotAFile { .. }
        | store::Error::Damaged { .. }
            if job.ready.parent.is_none() =>
        {
            let name = job.ready.name.as_deref().unwrap_or("it");
            format!(
                "{error}\nhint: run again: {name} is taken in again from where it came, if that is as it was; if \
                 this stays, `verify -repair` says what can be done"
            )
        }
        store::Error::Missing { .. }
        | store::Error::NotAFile { .. }
        | store::Error::Damaged { .. } => format!(
            "{error}\nhint: run again, and the task that made {} does so again; or restore it from a \
             backup",
            job.ready.name.as_deref().unwrap_or("it"),
        ),
        store::Error::Outside { .. } | store::Error::Evicted(_) => match error.hint() {
            Some(hint) => format!("{error}\nhint: {hint}"),
            None => error.to_string(),
        },
        store::Error::Io { .. }
        | store::Error::Place { .. }
        | store::Error::NotAFolder { .. }
        | store::Error::Replaced(_)
        | store::Error::LinkToNothing { .. }
        | store::Error::LinkToOther { .. } => error.to_string(),
    }
}

/// For those who look for a shell: the host's PATH.
pub(crate) fn host_path() -> Option<std::ffi::OsString> {
    std::env::var_os(OsStr::new("PATH"))
}
