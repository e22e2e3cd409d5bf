//! The threads of a run, and whose turn it is.
//!
//! One lock guards the engine. A worker holds it while it records an end and takes its next task;
//! the thread that started the run, while it does what the clock or a signal asks for. Whoever
//! leaves more to start than it takes wakes one other worker, or adds one: as many threads as are
//! of use come to be, and in a queue of short tasks none has to wait for another.

mod away;
mod still;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Condvar, LockResult, Mutex, MutexGuard, PoisonError};
use std::thread::Scope;
use std::time::{Duration, Instant};

use super::Local;
use super::channel::{Bell, Message};
use super::early::{Early, Start};
use super::launch::step::{Runnable, TaskLaunch};
use super::oom::Kills;
use super::worker::{Site, Worker};
use crate::engine::{Ended, Error, Job, Reply, Scheduler, Stop, Turn};
use crate::exec::away::Away;
use crate::model::event::Event;
use crate::model::task::TaskId;
use crate::process::{Handle, Roll};
use crate::store::SharedOutput;
use crate::sys::Orphans;
use still::{GLANCE, Still};

/// What the lock guards.
struct Dispatch<'a> {
    scheduler: Scheduler<'a>,
    /// A task that starts before its time.
    early: Option<Early>,
    /// Jobs for workers here that somebody else was given.
    at_hand: VecDeque<Box<Job>>,
    /// Of workers who went.
    free: Vec<Seat>,
    /// Workers that wait for work.
    idle: usize,
    /// No worker gets another task.
    over: bool,
    failure: Option<Error>,
    /// Until when the thread that keeps time sleeps, unless it is woken.
    alarm: Option<Instant>,
}

/// What a worker is known by.
#[derive(Debug, Clone)]
struct Seat {
    number: usize,
    handle: Handle,
}

/// What a worker is to do.
enum Work {
    Job(Box<Job>),
    Early(Start),
}

struct Pool<'a, 'c> {
    dispatch: Mutex<Dispatch<'a>>,
    called: Condvar,
    /// Others who want the lock from a worker that does much under it.
    waiting: AtomicUsize,
    bell: &'c Bell,
    keeper: &'c SyncSender<Message>,
    /// With a handle for each worker.
    tasks: &'c Roll,
    live: bool,
    /// What those who are asked to end have for it.
    grace: Duration,
    site: Site<'c>,
    steps: &'c [Arc<Runnable>],
    away: Option<&'c dyn Away>,
    /// See [`Local::runsets`].
    runsets: usize,
}

/// Has workers take turns until the run is over, and gives the scheduler back if nothing went wrong.
/// Otherwise what was not committed is taken back.
pub(super) fn drive<'a>(local: &Local, scheduler: Scheduler<'a>) -> Result<Scheduler<'a>, Error> {
    let channel = local.channel;
    let pool = Pool {
        bell: &channel.bell,
        keeper: &channel.sender,
        tasks: channel.emergency.tasks(),
        called: Condvar::new(),
        waiting: AtomicUsize::new(0),
        live: local.live,
        grace: local.grace,
        runsets: local.runsets,
        steps: &local.steps,
        away: local.away,
        site: Site {
            store: local.store,
            scratch: Arc::clone(&local.scratch),
            keep: local.keep.clone(),
            fence: local.fence.clone(),
            kills: Kills::watch(),
            orphans: Orphans::watch(),
            full: AtomicBool::new(false),
        },
        dispatch: Mutex::new(Dispatch {
            scheduler,
            early: None,
            at_hand: VecDeque::new(),
            free: Vec::new(),
            idle: 0,
            over: false,
            failure: None,
            alarm: None,
        }),
    };
    std::thread::scope(|scope| {
        pool.hear_news(scope);
        let kept = AssertUnwindSafe(|| pool.keep_time(scope, &channel.receiver));
        // The others would wait for this thread for ever.
        let kept = catch_unwind(kept).map_err(|_| Error::Worker(None));
        let mut dispatch = pool.lock();
        match kept {
            Ok(()) => pool.finish(&mut dispatch),
            Err(error) => pool.fail(&mut dispatch, error),
        }
        if dispatch.failure.is_some() {
            pool.stop_all(Stop::Kill);
        }
    });
    pool.site.store.end_noting();
    channel.emergency.tasks().clear();
    // Whoever panicked last is noticed too.
    drop(pool.lock());
    let dispatch = pool.dispatch.into_inner();
    let dispatch = dispatch.unwrap_or_else(PoisonError::into_inner);
    dispatch.failure.map_or(Ok(dispatch.scheduler), Err)
}

impl<'a, 'c> Pool<'a, 'c> {
    /// Commits, ends pauses, hears signals, until the run is over.
    fn keep_time<'scope, 'env>(
        &'env self,
        scope: &'scope Scope<'scope, 'env>,
        receiver: &Receiver<Message>,
    ) where
        'a: 'scope,
        'c: 'scope,
    {
        // When those who were asked to end are made to.
        let mut last: Option<Instant> = None;
        let mut still: Option<Still> = None;
        loop {
            let mut dispatch = self.lock();
            self.end_late(&mut last);
            if dispatch.over {
                return;
            }
            if let Some(asked) = still.take_if(|still| still.is_due()) {
                match self.hold_still(&mut dispatch, asked, receiver, &mut last) {
                    Ok(not_yet) => still = not_yet,
                    Err(error) => return self.fail(&mut dispatch, error),
                }
            }
            let due = dispatch.scheduler.tick(Instant::now());
            if let Err(error) = due.and_then(|()| self.call(&mut dispatch, scope)) {
                return self.fail(&mut dispatch, error);
            }
            if dispatch.scheduler.is_over() {
                return;
            }
            let look = still.as_ref().map(|_| Instant::now() + GLANCE);
            let due = dispatch.scheduler.due();
            dispatch.alarm = due.into_iter().chain(last).chain(look).min();
            let patience = dispatch.alarm.map_or(Duration::from_hours(1), |alarm| {
                alarm.saturating_duration_since(Instant::now())
            });
            drop(dispatch);
            match receiver.recv_timeout(patience) {
                Ok(Message::Signal(signal)) => {
                    self.interrupt(&mut self.lock(), signal, &mut last);
                }
                Ok(Message::Asked) => {
                    self.bell.heard();
                    if still.is_none() {
                        still = self.asked();
                    }
                }
                Ok(Message::Broken) => return self.fail(&mut self.lock(), Error::Worker(None)),
                Ok(Message::Look)
                | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
        }
    }

    /// A signal came in; when those are to be ended who are asked to end now.
    fn interrupt(&self, dispatch: &mut Dispatch, signal: i32, last: &mut Option<Instant>) {
        match dispatch.scheduler.interrupt(signal) {
            Stop::Ask => {
                self.stop_all(Stop::Ask);
                *last = Some(Instant::now() + self.grace);
            }
            Stop::Kill => self.stop_all(Stop::Kill),
        }
    }

    /// Ends those who were asked to, and had their time.
    fn end_late(&self, last: &mut Option<Instant>) {
        if last.is_some_and(|last| last <= Instant::now()) {
            self.stop_all(Stop::Kill);
            *last = None;
        }
    }

    /// Wakes or adds a worker if there is something for one.
    fn call<'scope, 'env>(
        &'env self,
        dispatch: &mut Dispatch<'a>,
        scope: &'scope Scope<'scope, 'env>,
    ) -> Result<(), Error>
    where
        'a: 'scope,
        'c: 'scope,
    {
        if !dispatch.is_open() {
            return Ok(());
        }
        if dispatch.idle > 0 {
            self.called.notify_one();
            return Ok(());
        }
        if self.workers(dispatch) >= dispatch.most() {
            return Ok(());
        }
        let seat = dispatch.free.last().cloned().unwrap_or_else(|| Seat {
            number: self.tasks.count(),
            handle: Handle::new(self.grace),
        });
        let own = seat.clone();
        let started = std::thread::Builder::new()
            .name(format!("worker {}", seat.number))
            .spawn_scoped(scope, move || {
                let work = AssertUnwindSafe(|| self.work(scope, &own));
                if catch_unwind(work).is_err() {
                    // Otherwise the run would wait for this worker for ever.
                    let _ = self.keeper.send(Message::Broken);
                }
            });
        match started {
            Ok(_) if dispatch.free.pop().is_some() => {}
            Ok(_) => self.tasks.add(seat.handle),
            // Fewer do as well.
            Err(_) if self.workers(dispatch) > 0 => {}
            Err(error) => return Err(Error::Worker(Some(error))),
        }
        Ok(())
    }

    /// What a worker does.
    fn work<'scope, 'env>(&'env self, scope: &'scope Scope<'scope, 'env>, seat: &Seat)
    where
        'a: 'scope,
        'c: 'scope,
    {
        let tell = |event: &Event| {
            self.waiting.fetch_add(1, Ordering::Relaxed);
            let mut dispatch = self.lock();
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            dispatch.scheduler.tell(event);
        };
        let tell: Option<&dyn Fn(&Event)> = self.live.then_some(&tell);
        let offer = |task: TaskId, names: &[Box<str>], index: usize, shared: &Arc<SharedOutput>| {
            // What an early task writes could not be told at the right time.
            if !self.live {
                self.offer(scope, task, (names, index), shared);
            }
        };
        let mut worker = Worker::new(&self.site, seat.number, &seat.handle, tell, &offer);
        let mut ended = None;
        while let Some(work) = self.turn(scope, seat, ended) {
            ended = match work {
                Work::Job(job) => Some(worker.execute(TaskLaunch::new(&job, self.steps))),
                Work::Early(start) => {
                    worker.execute_early(&start, TaskLaunch::new(&start.job, self.steps))
                }
            };
        }
    }

    /// Has another worker start on one of a task's outputs, which have these names, while its hash is
    /// taken, if that is of use.
    fn offer<'scope, 'env>(
        &'env self,
        scope: &'scope Scope<'scope, 'env>,
        task: TaskId,
        (names, index): (&[Box<str>], usize),
        shared: &Arc<SharedOutput>,
    ) where
        'a: 'scope,
        'c: 'scope,
    {
        let mut dispatch = self.lock();
        if dispatch.over || dispatch.early.is_some() {
            return;
        }
        let offered = match dispatch
            .scheduler
            .look_ahead(task, names, index, shared.size())
        {
            Ok(Some(job)) => {
                dispatch.early = Some(Early::new(task, job, Arc::clone(shared)));
                self.call(&mut dispatch, scope)
            }
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = offered {
            self.fail(&mut dispatch, error);
        }
    }

    /// A worker's turn: records how its task went, and takes the next one.
    fn turn<'scope, 'env>(
        &'env self,
        scope: &'scope Scope<'scope, 'env>,
        seat: &Seat,
        ended: Option<Ended>,
    ) -> Option<Work>
    where
        'a: 'scope,
        'c: 'scope,
    {
        let mut dispatch = self.lock();
        let mut reply = ended.map(Reply::Ended);
        while !dispatch.over {
            if reply.is_none()
                && let Some(job) = dispatch.at_hand.pop_front()
            {
                return Some(Work::Job(job));
            }
            if reply.is_none()
                && let Some(start) = dispatch.take_early(&seat.handle)
            {
                return Some(Work::Early(start));
            }
            let turn = match dispatch.turn(reply.take()) {
                Ok(turn @ (Turn::Do(_) | Turn::Examine(_) | Turn::Record(_))) => {
                    self.call(&mut dispatch, scope).map(|()| turn)
                }
                other => other,
            };
            match turn {
                Ok(Turn::Do(job)) => {
                    self.set_alarm(&mut dispatch);
                    if let Some(job) = self.give_away(job) {
                        return Some(Work::Job(job));
                    }
                }
                Ok(Turn::Examine(mut examination)) => {
                    self.set_alarm(&mut dispatch);
                    drop(dispatch);
                    examination.look(self.site.store);
                    reply = Some(Reply::Examined(examination));
                    dispatch = self.lock();
                }
                Ok(Turn::Record(recording)) => {
                    reply = Some(Reply::Recording(recording));
                    dispatch = self.let_others(dispatch);
                }
                Ok(Turn::Over) => self.finish(&mut dispatch),
                // What it holds is what others are short of.
                Ok(Turn::Wait) if self.are_too_many(&dispatch) => {
                    dispatch.free.push(seat.clone());
                    return None;
                }
                Ok(Turn::Wait) => {
                    self.set_alarm(&mut dispatch);
                    self.call_others(&mut dispatch);
                    dispatch.idle += 1;
                    dispatch = self.whole(self.called.wait(dispatch));
                    dispatch.idle -= 1;
                }
                Ok(Turn::Again) => dispatch = self.let_others(dispatch),
                Err(error) => self.fail(&mut dispatch, error),
            }
        }
        None
    }

    /// Something went wrong, and before another one has the lock all writing is over.
    fn fail(&self, dispatch: &mut Dispatch, error: Error) {
        dispatch.scheduler.abandon();
        dispatch.failure.get_or_insert(error);
        self.finish(dispatch);
    }

    fn workers(&self, dispatch: &Dispatch) -> usize {
        self.tasks.count() - dispatch.free.len()
    }

    fn are_too_many(&self, dispatch: &Dispatch) -> bool {
        dispatch.scheduler.is_scarce() && self.workers(dispatch) > dispatch.most()
    }

    /// No worker gets another task; all learn of it.
    fn finish(&self, dispatch: &mut Dispatch) {
        if let Some(early) = dispatch.early.take() {
            early.refuse();
        }
        if !std::mem::replace(&mut dispatch.over, true) {
            self.called.notify_all();
            if let Some(away) = self.away {
                away.close();
            }
            let _ = self.keeper.try_send(Message::Look);
        }
    }

    /// Wakes the thread that keeps time if it would oversleep.
    fn set_alarm(&self, dispatch: &mut Dispatch) {
        if let Some(due) = dispatch.scheduler.due()
            && dispatch.alarm.is_none_or(|alarm| due < alarm)
        {
            dispatch.alarm = Some(due);
            let _ = self.keeper.try_send(Message::Look);
        }
    }

    /// Gives the lock to one who waits for it.
    fn let_others<'g>(
        &'g self,
        dispatch: MutexGuard<'g, Dispatch<'a>>,
    ) -> MutexGuard<'g, Dispatch<'a>> {
        const PATIENCE: Duration = Duration::from_millis(5);
        if self.waiting.load(Ordering::Relaxed) == 0 {
            return dispatch;
        }
        drop(dispatch);
        let began = Instant::now();
        while self.waiting.load(Ordering::Relaxed) > 0 && began.elapsed() < PATIENCE {
            std::thread::yield_now();
        }
        self.lock_quietly()
    }

    fn lock(&self) -> MutexGuard<'_, Dispatch<'a>> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let dispatch = self.lock_quietly();
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        dispatch
    }

    fn lock_quietly(&self) -> MutexGuard<'_, Dispatch<'a>> {
        self.whole(self.dispatch.lock())
    }

    /// Whoever panicked while he had the lock may have recorded a part of a task's end.
    fn whole<'g>(
        &self,
        dispatch: LockResult<MutexGuard<'g, Dispatch<'a>>>,
    ) -> MutexGuard<'g, Dispatch<'a>> {
        dispatch.unwrap_or_else(|poisoned| {
            let mut dispatch = poisoned.into_inner();
            self.dispatch.clear_poison();
            self.fail(&mut dispatch, Error::Worker(None));
            dispatch
        })
    }
}

impl Dispatch<'_> {
    /// A turn of the scheduler. Of a job that runs already, somebody else hands back the end.
    fn turn(&mut self, reply: Option<Reply>) -> Result<Turn, Error> {
        let ended = match &reply {
            Some(Reply::Ended(ended)) => Some(ended.task),
            Some(Reply::Examined(_) | Reply::Recording(_)) | None => None,
        };
        let turn = self.scheduler.turn(Instant::now(), reply)?;
        let due = |early: &mut Early| ended.is_some_and(|ended| early.is_child_of(ended));
        let Some(early) = self.early.take_if(due) else {
            return Ok(turn);
        };
        if let Turn::Do(job) = &turn {
            let claimed = early.claim(job);
            return Ok(if claimed { Turn::Again } else { turn });
        }
        early.refuse();
        Ok(turn)
    }

    fn take_early(&mut self, handle: &Handle) -> Option<Start> {
        self.early.as_mut()?.take(handle)
    }

    /// Whether there is something for one more worker.
    fn is_open(&self) -> bool {
        self.scheduler.is_open() || self.is_early_offered() || !self.at_hand.is_empty()
    }

    fn is_early_offered(&self) -> bool {
        self.early.as_ref().is_some_and(Early::is_offered)
    }

    /// Most workers at the moment. The one that takes a hash keeps another from nothing.
    fn most(&self) -> usize {
        let most = self.scheduler.limit();
        most.saturating_add(usize::from(self.is_early_offered()))
    }
}
