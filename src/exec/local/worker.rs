//! A worker: runs one task after the other.

mod judge;
mod run;
mod site;

use std::ffi::OsStr;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::early::Start;
use super::execution::{Execution, Fault};
use super::launch::cache::LaunchCache;
use super::launch::served::Servers;
use super::launch::step::TaskLaunch;
use super::launch::warm::Shells;
use super::live::Tell;
use super::state_dir::{Basis, LiveState};
use super::transcript::Record;
use super::workspace::Workspace;
use judge::{explain, stale, watched, words_of};
pub(in crate::exec) use site::Site;
pub(crate) use site::need;

use crate::engine::{Ended, Outcome};
use crate::model::event::Launch;
use crate::model::plan::QueueId;
use crate::model::task::TaskId;
use crate::process::{Handle, Pipes, RunError};
use crate::state::{Finished, Logs};
use crate::store::{self, Session, SharedOutput};
use crate::sys::{self, DiskReads, Fate, Part, Shortage, Usage};

/// Told that of a task's outputs with these names that at the index is large, and about to be hashed.
pub(in crate::exec) type Offer<'a> =
    &'a (dyn Fn(TaskId, &[Box<str>], usize, &Arc<SharedOutput>) + Sync);

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
    /// For the tasks that are in no sandbox.
    open: Connected,
    /// For those that are, by their steps; the one used last is the last. Scripts may do more to pipes than can be undone,
    /// and what those in a sandbox do is none of the others' business.
    boxed: Vec<(QueueId, Connected)>,
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

/// Pipes, and what is connected to them.
#[derive(Debug, Default)]
pub(super) struct Connected {
    /// Kept from task to task while nothing else can hold them.
    pipes: Option<Pipes>,
    shells: Shells,
    servers: Servers,
    commands: LaunchCache,
}

/// Steps in sandboxes for which that is kept.
const KEPT: usize = 16;

/// That of the job's task.
fn connected<'c>(
    open: &'c mut Connected,
    boxed: &'c mut Vec<(QueueId, Connected)>,
    job: &TaskLaunch,
) -> &'c mut Connected {
    if job.step.sandbox.is_none() {
        return open;
    }
    let queue = job.step.queue;
    let known = boxed.iter().position(|(of, _)| *of == queue);
    let own = if let Some(at) = known {
        boxed.remove(at)
    } else {
        if boxed.len() == KEPT {
            boxed.remove(0);
        }
        (queue, Connected::default())
    };
    boxed.push(own);
    let last = boxed.len() - 1;
    &mut boxed[last].1
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
            open: Connected::default(),
            boxed: Vec::new(),
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

    /// Whether it keeps no files for the next task.
    pub(in crate::exec) fn is_empty(&self) -> bool {
        self.workspace.is_empty()
    }

    /// Does away with the files that it keeps for the next task: the room is needed.
    pub(in crate::exec) fn clear(&mut self) {
        self.workspace.clear();
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
        let connected = connected(&mut self.open, &mut self.boxed, job);
        if let Some(pipes) = &mut connected.pipes {
            // What is started without a shell, or in a warm one, are mostly plain commands.
            let is_plain = matches!(self.launched, Some(Launch::Direct | Launch::Warm));
            // If that cannot be, they are as they are.
            let _ = pipes.settle(!is_plain || job.step.sandbox.is_some());
        }
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
        self.workspace.finish(quiet, emptied);
        if !quiet {
            self.open = Connected::default();
            self.boxed.clear();
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
                if self.site.keep.is_none() {
                    // Perhaps the disk is full of that.
                    self.workspace.drop_outputs();
                }
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
            let words = keep.words(kept, &job.step.name, job.ready.id);
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
}

/// As it is recorded.
fn number(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

/// For those who look for a shell: the host's PATH.
pub(crate) fn host_path() -> Option<std::ffi::OsString> {
    std::env::var_os(OsStr::new("PATH"))
}
