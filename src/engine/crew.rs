//! The threads of a run, and whose turn it is.
//!
//! One lock guards the engine. A worker holds it while it records an end and takes its next task;
//! the thread that started the run, while it does what the clock or a signal asks for. Whoever
//! leaves more to start than it takes wakes one other worker, or adds one: as many threads as are
//! of use come to be, and in a queue of short tasks none has to wait for another.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Scope;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::worker::{Ended, Job, Site, Worker};
use super::{Engine, Error, Turn};
use crate::core::event::Event;
use crate::core::plan::LaneId;
use crate::core::task::TaskId;
use crate::process::{GRACE, Handle};
use crate::store::Loan;

/// What the thread that started the run hears.
#[derive(Debug)]
pub enum Message {
    /// A signal came in.
    Signal(i32),
    /// Something is due earlier than expected, or the run is over.
    Look,
    /// A worker panicked.
    Broken,
}

/// Signals that end a run come in here, from any thread.
#[derive(Debug)]
pub struct Channel {
    sender: SyncSender<Message>,
    receiver: Receiver<Message>,
}

impl Default for Channel {
    fn default() -> Self {
        let (sender, receiver) = mpsc::sync_channel(64);
        Self { sender, receiver }
    }
}

impl Channel {
    /// For the thread that gets the signals.
    pub fn sender(&self) -> SyncSender<Message> {
        self.sender.clone()
    }
}

/// What the lock guards.
struct Desk<'a> {
    engine: Engine<'a>,
    /// One a worker.
    handles: Vec<Handle>,
    /// Workers that wait for work.
    idle: usize,
    /// No worker gets another task.
    over: bool,
    failure: Option<Error>,
    /// Until when the thread that keeps time sleeps, unless it is woken.
    alarm: Option<Instant>,
}

struct Crew<'a, 'c> {
    desk: Mutex<Desk<'a>>,
    called: Condvar,
    /// Others who want the lock from a worker that does much under it.
    waiting: AtomicUsize,
    keeper: &'c SyncSender<Message>,
    /// Most workers.
    most: usize,
    live: bool,
    site: Site<'a>,
}

/// Runs the engine to its end, and gives it back with how that was.
pub fn run<'a>(engine: Engine<'a>, channel: &Channel) -> (Engine<'a>, Result<(), Error>) {
    let crew = Crew {
        keeper: &channel.sender,
        called: Condvar::new(),
        waiting: AtomicUsize::new(0),
        most: engine.settings.parallel,
        live: engine.settings.live,
        site: Site {
            store: engine.store,
            router: engine.router,
            scratch: engine.settings.scratch.clone(),
        },
        desk: Mutex::new(Desk {
            engine,
            handles: Vec::new(),
            idle: 0,
            over: false,
            failure: None,
            alarm: None,
        }),
    };
    let kept = std::thread::scope(|scope| {
        let kept = crew.keep_time(scope, &channel.receiver);
        let mut desk = crew.lock();
        crew.finish(&mut desk);
        if kept.is_err() || desk.failure.is_some() {
            desk.kill();
        }
        kept
    });
    let desk = crew.desk.into_inner();
    let desk = desk.unwrap_or_else(PoisonError::into_inner);
    (desk.engine, desk.failure.map_or(kept, Err))
}

impl<'a, 'c> Crew<'a, 'c> {
    /// Commits, ends pauses, hears signals, until the run is over.
    fn keep_time<'scope, 'env>(
        &'env self,
        scope: &'scope Scope<'scope, 'env>,
        receiver: &Receiver<Message>,
    ) -> Result<(), Error>
    where
        'a: 'scope,
        'c: 'scope,
    {
        // When those who were asked to end are made to.
        let mut last: Option<Instant> = None;
        loop {
            let mut desk = self.lock();
            desk.engine.tick()?;
            if last.is_some_and(|last| last <= Instant::now()) {
                desk.kill();
                last = None;
            }
            if desk.over || desk.engine.is_over() {
                return Ok(());
            }
            self.call(&mut desk, scope)?;
            desk.alarm = desk.engine.due().into_iter().chain(last).min();
            let patience = desk.alarm.map_or(Duration::from_hours(1), |alarm| {
                alarm.saturating_duration_since(Instant::now())
            });
            drop(desk);
            match receiver.recv_timeout(patience) {
                Ok(Message::Signal(signal)) => {
                    let mut desk = self.lock();
                    if desk.engine.interrupt(signal) {
                        desk.kill();
                    } else {
                        desk.handles.iter().for_each(Handle::end);
                        last = Some(Instant::now() + GRACE);
                    }
                }
                Ok(Message::Broken) => return Err(Error::Worker(None)),
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
        let number = desk.handles.len();
        // Those that make objects of large outputs keep nobody else from working.
        if number >= self.most.saturating_add(desk.engine.plan.settling()) {
            return Ok(());
        }
        let handle = Handle::default();
        let own = handle.clone();
        let started = std::thread::Builder::new()
            .name(format!("worker {number}"))
            .spawn_scoped(scope, move || {
                let work = AssertUnwindSafe(|| self.work(scope, number, &own));
                if catch_unwind(work).is_err() {
                    // Otherwise the run would wait for this worker for ever.
                    let _ = self.keeper.send(Message::Broken);
                }
            });
        match started {
            Ok(_) => desk.handles.push(handle),
            // Fewer do as well.
            Err(_) if number > 0 => {}
            Err(error) => return Err(Error::Worker(Some(error))),
        }
        Ok(())
    }

    /// What a worker does.
    fn work<'scope, 'env>(
        &'env self,
        scope: &'scope Scope<'scope, 'env>,
        number: usize,
        handle: &Handle,
    ) where
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
        let mut worker = Worker::new(&self.site, number, handle, tell, &offer);
        let mut ended = None;
        while let Some(job) = self.turn(scope, ended) {
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
            desk.failure = Some(error);
            self.finish(&mut desk);
            false
        })
    }

    /// A worker's turn: records how its task went, and takes the next one.
    fn turn<'scope, 'env>(
        &'env self,
        scope: &'scope Scope<'scope, 'env>,
        ended: Option<Ended>,
    ) -> Option<Box<Job>>
    where
        'a: 'scope,
        'c: 'scope,
    {
        let mut desk = self.lock();
        let recorded = ended.map_or(Ok(()), |ended| desk.record(ended));
        let mut outcome = recorded.map(|()| Turn::Again);
        loop {
            if desk.over {
                return None;
            }
            outcome = match outcome.and_then(|_| desk.engine.next()) {
                Ok(Turn::Do(job)) => match self.call(&mut desk, scope) {
                    Ok(()) => {
                        self.set_alarm(&mut desk);
                        return Some(job);
                    }
                    Err(error) => Err(error),
                },
                other => other,
            };
            match &outcome {
                Ok(Turn::Wait) if !desk.engine.is_over() => {
                    self.set_alarm(&mut desk);
                    desk.idle += 1;
                    desk = self
                        .called
                        .wait(desk)
                        .unwrap_or_else(PoisonError::into_inner);
                    desk.idle -= 1;
                }
                Ok(Turn::Wait) => self.finish(&mut desk),
                Ok(_) => desk = self.let_others(desk),
                Err(_) => {
                    desk.failure = outcome.err();
                    self.finish(&mut desk);
                    return None;
                }
            }
        }
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
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Desk<'_> {
    fn record(&mut self, ended: Ended) -> Result<(), Error> {
        if self.failure.is_some() {
            return Ok(());
        }
        self.engine.ended(ended)
    }

    fn kill(&self) {
        for handle in &self.handles {
            handle.end();
            handle.signal(Signal::KILL);
        }
    }
}
