//! What a slot does: takes one task after the other, carries it out, and says what came of it.

use std::cell::Cell;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::fetch::Unready;
use super::folders::Whereabouts;
use super::shelf::Use;
use super::told::{self, Teller};
use super::{Node, Task};
use crate::engine::{self, Grant};
use crate::exec::local::{LiveState, TaskLaunch, Worker};
use crate::model::digest::Digest;
use crate::model::event::Event;
use crate::model::list::Form;
use crate::model::plan::Ready;
use crate::model::task::{TaskId, TaskState};
use crate::process::Handle;
use crate::sys;
use crate::wire::frame;
use crate::wire::message::{Lease, ToOwner};

impl<'a> Node<'a> {
    /// What a slot does.
    pub(super) fn work(&self, number: usize) {
        let handle = Handle::new(Duration::from_millis(self.terms.grace));
        self.emergency.tasks().add(handle.clone());
        let lease = Cell::new(0);
        let tell = |event: &Event| {
            if let Event::Output { stderr, bytes, .. } = event {
                let (lease, stderr) = (lease.get(), *stderr);
                for bytes in bytes.chunks(frame::PIECE) {
                    let wrote = ToOwner::Wrote { lease, stderr };
                    self.line.say_with(&wrote, bytes);
                }
            }
        };
        let tell: Option<&dyn Fn(&Event)> = self.terms.live.then_some(&tell);
        // Nobody here starts on what is not complete.
        let offer = |_: TaskId, _: &[Box<str>], _: usize, _: &Arc<_>| {};
        let mut worker = Worker::new(&self.site, number, &handle, tell, &offer);
        let place = Whereabouts::default();
        while let Some((task, gpus)) = self.next(&mut worker) {
            lease.set(task.spec.lease);
            let units = task.known.units;
            if self.is_in_time(&task) {
                self.carry_out(&mut worker, &place, task, &gpus);
            } else {
                self.line.say(&ToOwner::GivenBack(task.spec.lease));
            }
            self.shelf.trim();
            let mut queue = self.lock();
            queue.room.end(!worker.is_empty());
            queue.free += units;
            queue.gpus.extend(gpus);
            drop(queue);
            self.called.notify_all();
        }
    }

    /// Whether a task ends before this worker has to, however long it takes.
    fn is_in_time(&self, task: &Task) -> bool {
        let most = task.known.spec.timeout.map(Duration::from_millis);
        let left = self.until.zip(most);
        left.is_none_or(|(until, most)| until.saturating_duration_since(Instant::now()) >= most)
    }

    /// The next task, and its GPUs.
    fn next(&self, worker: &mut Worker) -> Option<(Task<'a>, Vec<String>)> {
        let mut queue = self.lock();
        loop {
            if queue.over {
                return None;
            }
            if let Some(first) = queue.tasks.front()
                && first.known.units <= queue.free
                && first.known.spec.gpus <= queue.gpus.len()
                && !queue.room.is_short()
                && let Some(task) = queue.tasks.pop_front()
            {
                queue.free -= task.known.units;
                queue.room.begin(!worker.is_empty());
                let gpus = queue.gpus.drain(..task.known.spec.gpus).collect();
                return Some((task, gpus));
            }
            if queue.room.is_short() && !worker.is_empty() {
                drop(queue);
                worker.clear();
                queue = self.lock();
                queue.room.cleared();
                self.called.notify_all();
                continue;
            }
            queue.idle += 1;
            let waited = self.called.wait(queue);
            queue = waited.unwrap_or_else(PoisonError::into_inner);
            queue.idle -= 1;
        }
    }

    /// Carries a task out, again where there was no room for it and may be some now.
    fn carry_out(
        &self,
        worker: &mut Worker,
        place: &Whereabouts,
        mut task: Task<'a>,
        gpus: &[String],
    ) {
        let lease = task.spec.lease;
        let mut short = None;
        // What it keeps for its next try.
        let mut kept = Vec::new();
        loop {
            let used = self.shelf.begin();
            let Some((checkpoint, why)) = self.try_out(worker, place, &task, gpus, &used) else {
                break;
            };
            // Whoever it waits for needs the room.
            worker.clear();
            task.ahead.release();
            if let Some(tree) = checkpoint {
                task.spec.checkpoint = Some(tree);
                kept.push(used);
            } else {
                drop(used);
            }
            if !self.has_room_now(short.get_or_insert_with(|| self.is_short())) {
                self.cannot(lease, why);
                break;
            }
            if !self.is_in_time(&task) {
                self.line.say(&ToOwner::GivenBack(lease));
                break;
            }
        }
        if let Some(short) = short {
            self.is_short_no_more(short);
        }
    }

    /// The same once. Where there was no room for it nothing is told but given back: what it keeps for its next try, and
    /// what there was no room for.
    fn try_out(
        &self,
        worker: &mut Worker,
        place: &Whereabouts,
        task: &Task<'a>,
        gpus: &[String],
        used: &Use,
    ) -> Option<(Option<Digest>, String)> {
        let Task { spec, known, .. } = task;
        let step = match self.prepare(task, place, used) {
            Ok(step) => step,
            Err(Unready::Room(why)) => return Some((None, why)),
            Err(Unready::Other(why)) => {
                self.cannot(spec.lease, why);
                return None;
            }
        };
        let form = Form::of(spec.form).unwrap_or_default();
        let ready = Ready {
            id: TaskId(spec.task),
            input: spec.input,
            form,
            parent: None,
            name: spec.name.as_deref().map(Into::into),
            state: TaskState::Pending,
            forced: false,
            attempt: spec.attempt,
            line: crate::model::gather::Line::default(),
            key: spec.key.as_deref().map(Into::into),
            context: spec.context.map(Box::new),
            raised: 0,
        };
        let grant = Grant {
            memory: spec.memory,
            gpus: (!gpus.is_empty()).then(|| gpus.join(",").into()),
            checkpoint: spec.checkpoint,
        };
        // What filled the disk may be gone.
        self.site.full.store(false, Ordering::Relaxed);
        let live = worker.live_state();
        self.keeper.begin(spec.lease, known.checkpoint, live);
        let mut ended = worker.execute(TaskLaunch {
            step: &step,
            ready: &ready,
            runset: &spec.runset,
            more: true,
            ahead: None,
            grant: &grant,
        });
        let is_of_our_end = match &ended.outcome {
            engine::Outcome::Failure(error) => self.is_of_our_end(error),
            // Its folders may be gone already.
            engine::Outcome::Cancelled | engine::Outcome::Short(_) => {
                self.keeper.is_leaving(Duration::ZERO)
            }
            engine::Outcome::Success(_)
            | engine::Outcome::OutOfMemory(_)
            | engine::Outcome::Stale(_) => false,
        };
        if is_of_our_end {
            ended.outcome = engine::Outcome::Cancelled;
            if ended.checkpoint.is_none() {
                // It is lost with this worker, as all that are told nothing of.
                self.keeper.end(spec.lease);
                return None;
            }
        }
        if let engine::Outcome::Short(short) = &ended.outcome
            && short.of.is_of_disk()
        {
            let kept = ended.checkpoint.as_ref();
            if kept.is_none_or(|tree| self.fetch.folder(tree, used).is_ok()) {
                self.keeper.end(spec.lease);
                return Some((ended.checkpoint, short.error.clone()));
            }
        }
        let kept = self.site.keep.as_ref().filter(|_| ended.kept.is_some());
        let kept = kept.map(|keep| keep.fold(self.site.store, ready.id));
        let told = self.teller(spec.lease, used).end(ended, kept);
        if let Err(error) = told {
            self.cannot(
                spec.lease,
                format!("what the task left cannot be sent: {error}"),
            );
        }
        self.keeper.end(spec.lease);
        None
    }

    /// A task cannot be carried out here; of one that only ends with this worker nothing is told.
    fn cannot(&self, lease: Lease, why: String) {
        if !self.keeper.is_leaving(Duration::ZERO) {
            self.line.say(&told::unable(lease, why));
        }
    }

    /// Whether a task failed as this worker is to end: Slurm sends the signal for that to its tasks, too, and they
    /// may be over before this knows.
    fn is_of_our_end(&self, error: &str) -> bool {
        /// It is a matter of milliseconds, if nobody has much to do.
        const SOON: Duration = Duration::from_millis(500);
        let by_signal = [Signal::TERM, Signal::INT, Signal::HUP]
            .iter()
            .any(|signal| {
                let number = signal.as_raw();
                error.starts_with(&format!("killed by {}", sys::signal_name(number)))
                    || error.starts_with(&format!("exit status {}", 128 + number))
            });
        self.keeper
            .is_leaving(if by_signal { SOON } else { Duration::ZERO })
    }

    fn teller<'t>(&'t self, lease: Lease, used: &'t Use<'t>) -> Teller<'t> {
        Teller {
            line: self.line,
            store: self.site.store,
            beside: &self.beside,
            used,
            lease,
        }
    }

    /// Says what a task keeps that goes on.
    pub(super) fn look(&self, lease: Lease, live: &LiveState) {
        let used = self.shelf.begin();
        live.look(self.site.store, |tree| {
            // Where it cannot be sent there is a next time, or the end.
            let _ = self.teller(lease, &used).keeps(&tree);
        });
        drop(used);
        self.shelf.trim();
    }
}
