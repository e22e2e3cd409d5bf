//! The threads of a run, and whose turn it is.
//!
//! One lock guards the engine. A worker holds it while it records an end and takes its next task;
//! the thread that started the run, while it does what the clock or a signal asks for. Whoever
//! leaves more to start than it takes wakes one other worker, or adds one: as many threads as are
//! of use come to be, and in a queue of short tasks none has to wait for another.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Condvar, LockResult, Mutex, MutexGuard, PoisonError};
use std::thread::Scope;
use std::time::{Duration, Instant};

use super::channel::{Channel, Message};
use super::worker::{Ended, Job, Site, Worker};
use super::{Engine, Error, Turn};
use crate::core::event::Event;
use crate::core::plan::LaneId;
use crate::core::task::TaskId;
use crate::process::{GRACE, Handle, Roll};
use crate::store::Loan;
use crate::sys::Strays;

/// What the lock guards.
struct Desk<'a> {
    engine: Engine<'a>,
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

struct Crew<'a, 'c> {
    desk: Mutex<Desk<'a>>,
    called: Condvar,
    /// Others who want the lock from a worker that does much under it.
    waiting: AtomicUsize,
    keeper: &'c SyncSender<Message>,
    /// With a handle for each worker.
    tasks: &'c Roll,
    live: bool,
    site: Site<'a>,
}

/// Runs the engine to its end, and gives it back if nothing went wrong. Otherwise what was not
/// committed is taken back.
pub fn run<'a>(engine: Engine<'a>, channel: &Channel) -> Result<Engine<'a>, Error> {
    let crew = Crew {
        keeper: &channel.sender,
        tasks: channel.emergency.tasks(),
        called: Condvar::new(),
        waiting: AtomicUsize::new(0),
        live: engine.settings.live,
        site: Site {
            store: engine.store,
            router: engine.router,
            scratch: Arc::clone(&engine.settings.scratch),
            strays: Strays::watch(),
            full: AtomicBool::new(false),
        },
        desk: Mutex::new(Desk {
            engine,
            free: Vec::new(),
            idle: 0,
            over: false,
            failure: None,
            alarm: None,
        }),
    };
    std::thread::scope(|scope| {
        let kept = AssertUnwindSafe(|| crew.keep_time(scope, &channel.receiver));
        // The others would wait for this thread for ever.
        let kept = catch_unwind(kept).map_err(|_| Error::Worker(None));
        let mut desk = crew.lock();
        match kept {
            Ok(()) => crew.finish(&mut desk),
            Err(error) => crew.fail(&mut desk, error),
        }
        if desk.failure.is_some() {
            crew.tasks.kill();
        }
    });
    channel.emergency.tasks().clear();
    // Whoever panicked last is noticed too.
    drop(crew.lock());
    let desk = crew.desk.into_inner();
    let desk = desk.unwrap_or_else(PoisonError::into_inner);
    desk.failure.map_or(Ok(desk.engine), Err)
}

impl<'a, 'c> Crew<'a, 'c> {
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
        loop {
            let mut desk = self.lock();
            if last.is_some_and(|last| last <= Instant::now()) {
                self.tasks.kill();
                last = None;
            }
            if desk.over {
                return;
            }
            let due = desk.engine.tick();
            if let Err(error) = due.and_then(|()| self.call(&mut desk, scope)) {
                return self.fail(&mut desk, error);
            }
            if desk.engine.is_over() {
                return;
            }
            desk.alarm = desk.engine.due().into_iter().chain(last).min();
            let patience = desk.alarm.map_or(Duration::from_hours(1), |alarm| {
                alarm.saturating_duration_since(Instant::now())
            });
            drop(desk);
            match receiver.recv_timeout(patience) {
                Ok(Message::Signal(signal)) => {
                    let mut desk = self.lock();
                    if desk.engine.interrupt(signal) {
                        self.tasks.kill();
                    } else {
                        self.tasks.end();
                        last = Some(Instant::now() + GRACE);
                    }
                }
                Ok(Message::Broken) => return self.fail(&mut self.lock(), Error::Worker(None)),
                Ok(Message::Look)
                | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
        }
    }

    /// Wakes or adds a worker if there is something for one.
    fn call<'scope, 'env>(
        &'env self,
        desk: &mut Desk<'a>,
        scope: &'scope Scope<'scope, 'env>,
    ) -> Result<(), Error>
    where
        'a: 'scope,
        'c: 'scope,
    {
        if !desk.engine.is_open() {
            return Ok(());
        }
        if desk.idle > 0 {
            self.called.notify_one();
            return Ok(());
        }
        if self.workers(desk) >= desk.most() {
            return Ok(());
        }
        let seat = desk.free.last().cloned().unwrap_or_else(|| Seat {
            number: self.tasks.count(),
            handle: Handle::default(),
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
            Ok(_) if desk.free.pop().is_some() => {}
            Ok(_) => self.tasks.add(seat.handle),
            // Fewer do as well.
            Err(_) if self.workers(desk) > 0 => {}
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
            let mut desk = self.lock();
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            (desk.engine.listener)(event);
        };
        let tell: Option<&dyn Fn(&Event)> = self.live.then_some(&tell);
        let offer = |task: (TaskId, LaneId), name: &str, loan: &Arc<Loan>| {
            self.offer(scope, task, name, loan)
        };
        let mut worker = Worker::new(&self.site, seat.number, &seat.handle, tell, &offer);
        let mut ended = None;
        while let Some(job) = self.turn(scope, seat, ended) {
            ended = Some(worker.execute(*job));
        }
    }

    /// Has another worker read a file while its hash is taken, if that is of use.
    fn offer<'scope, 'env>(
        &'env self,
        scope: &'scope Scope<'scope, 'env>,
        task: (TaskId, LaneId),
        name: &str,
        loan: &Arc<Loan>,
    ) -> bool
    where
        'a: 'scope,
        'c: 'scope,
    {
        let mut desk = self.lock();
        if desk.over {
            return false;
        }
        let offered = match desk.engine.offer(task, name, loan) {
            Ok(true) => self.call(&mut desk, scope).map(|()| true),
            other => other,
        };
        offered.unwrap_or_else(|error| {
            self.fail(&mut desk, error);
            false
        })
    }

    /// A worker's turn: records how its task went, and takes the next one.
    fn turn<'scope, 'env>(
        &'env self,
        scope: &'scope Scope<'scope, 'env>,
        seat: &Seat,
        ended: Option<Ended>,
    ) -> Option<Box<Job>>
    where
        'a: 'scope,
        'c: 'scope,
    {
        let mut desk = self.lock();
        if let Some(ended) = ended
            && let Err(error) = desk.record(ended)
        {
            self.fail(&mut desk, error);
        }
        while !desk.over {
            let turn = match desk.engine.next() {
                Ok(turn @ (Turn::Do(_) | Turn::Examine(_))) => {
                    self.call(&mut desk, scope).map(|()| turn)
                }
                other => other,
            };
            match turn {
                Ok(Turn::Do(job)) => {
                    self.set_alarm(&mut desk);
                    return Some(job);
                }
                Ok(Turn::Examine(examination)) => {
                    self.set_alarm(&mut desk);
                    drop(desk);
                    let objects = examination.objects.iter();
                    objects.for_each(|object| self.site.store.examine(object));
                    desk = self.lock();
                    desk.engine.examined(examination);
                }
                Ok(Turn::Wait) if desk.engine.is_over() => self.finish(&mut desk),
                // What it holds is what others are short of.
                Ok(Turn::Wait) if self.are_too_many(&desk) => {
                    desk.free.push(seat.clone());
                    return None;
                }
                Ok(Turn::Wait) => {
                    self.set_alarm(&mut desk);
                    desk.idle += 1;
                    desk = self.whole(self.called.wait(desk));
                    desk.idle -= 1;
                }
                Ok(Turn::Again) => desk = self.let_others(desk),
                Err(error) => self.fail(&mut desk, error),
            }
        }
        None
    }

    /// Something went wrong, and before another one has the lock all writing is over.
    fn fail(&self, desk: &mut Desk, error: Error) {
        desk.engine.abandon();
        desk.failure.get_or_insert(error);
        self.finish(desk);
    }

    fn workers(&self, desk: &Desk) -> usize {
        self.tasks.count() - desk.free.len()
    }

    fn are_too_many(&self, desk: &Desk) -> bool {
        desk.engine.plan.is_scarce() && self.workers(desk) > desk.most()
    }

    /// No worker gets another task; all learn of it.
    fn finish(&self, desk: &mut Desk) {
        if !std::mem::replace(&mut desk.over, true) {
            self.called.notify_all();
            let _ = self.keeper.try_send(Message::Look);
        }
    }

    /// Wakes the thread that keeps time if it would oversleep.
    fn set_alarm(&self, desk: &mut Desk) {
        if let Some(due) = desk.engine.due()
            && desk.alarm.is_none_or(|alarm| due < alarm)
        {
            desk.alarm = Some(due);
            let _ = self.keeper.try_send(Message::Look);
        }
    }

    /// Gives the lock to one who waits for it.
    fn let_others<'g>(&'g self, desk: MutexGuard<'g, Desk<'a>>) -> MutexGuard<'g, Desk<'a>> {
        const PATIENCE: Duration = Duration::from_millis(5);
        if self.waiting.load(Ordering::Relaxed) == 0 {
            return desk;
        }
        drop(desk);
        let began = Instant::now();
        while self.waiting.load(Ordering::Relaxed) > 0 && began.elapsed() < PATIENCE {
            std::thread::yield_now();
        }
        self.lock_quietly()
    }

    fn lock(&self) -> MutexGuard<'_, Desk<'a>> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let desk = self.lock_quietly();
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        desk
    }

    fn lock_quietly(&self) -> MutexGuard<'_, Desk<'a>> {
        self.whole(self.desk.lock())
    }

    /// Whoever panicked while he had the lock may have recorded a part of a task's end.
    fn whole<'g>(&self, desk: LockResult<MutexGuard<'g, Desk<'a>>>) -> MutexGuard<'g, Desk<'a>> {
        desk.unwrap_or_else(|poisoned| {
            let mut desk = poisoned.into_inner();
            self.desk.clear_poison();
            self.fail(&mut desk, Error::Worker(None));
            desk
        })
    }
}

impl Desk<'_> {
    fn record(&mut self, ended: Ended) -> Result<(), Error> {
        if self.failure.is_some() {
            return Ok(());
        }
        self.engine.ended(ended)
    }

    /// Most workers at the moment. Those that make objects of large outputs keep nobody else from
    /// working.
    fn most(&self) -> usize {
        let plan = &self.engine.plan;
        plan.limit().saturating_add(plan.settling())
    }
}
