//! Which task comes next: queues, limits, equal tasks in flight, pauses before a retry.
//!
//! The state database holds every pending task; a plan holds a short stretch of each step's queue
//! and a cursor behind it, so that its size does not depend on how many tasks there are.

mod queues;
mod scarcity;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use crate::model::digest::Digest;
use crate::model::gather::Line;
use crate::model::list::Form;
use crate::model::resources::Demand;
use crate::model::task::{TaskId, TaskState};
use queues::{Queue, Queues};
pub use scarcity::Relief;
use scarcity::Scarcity;

/// The place of a step in the plan: its place in the manifest.
pub type QueueId = usize;

/// A task that could start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    /// Its row.
    pub id: TaskId,
    /// The object that it works on.
    pub input: Digest,
    /// What that is.
    pub form: Form,
    /// The task that left it; none for a start task.
    pub parent: Option<TaskId>,
    /// The file name under which its parent left that object; none for a start task.
    pub name: Option<Box<str>>,
    /// Its recorded state: pending or failed.
    pub state: TaskState,
    /// Executes even where an equal task's outputs could be taken.
    pub forced: bool,
    /// Executions in this run that failed so far.
    pub attempt: u32,
    /// What stands above it that waits for others; known once it is about to start.
    pub line: Line,
    /// What it is about, for a step whose script reads that; known once it is about to start.
    pub key: Option<Box<str>>,
    /// What it gets besides its input, as a list; none without, and before it is known.
    pub context: Option<Box<Digest>>,
    /// How often what it takes was raised, as that was not enough.
    pub raised: u8,
}

/// The tasks of a step that take the same: the step, and how often that was raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lane(QueueId, u8);

impl From<QueueId> for Lane {
    fn from(queue: QueueId) -> Self {
        Self(queue, 0)
    }
}

impl From<(QueueId, &Ready)> for Lane {
    fn from((queue, ready): (QueueId, &Ready)) -> Self {
        Self(queue, ready.raised)
    }
}

/// What makes two tasks equal: the step, the input, what comes with it, and its name where the script
/// can tell it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// The step.
    pub queue: QueueId,
    /// The input object.
    pub input: Digest,
    /// What that is.
    pub form: Form,
    /// The input's name, for a step whose script reads it.
    pub name: Option<Box<str>>,
    /// What the task is about, for a step whose script reads that.
    pub key: Option<Box<str>>,
    /// What it gets besides its input.
    pub context: Option<Box<Digest>>,
}

/// The answer to "what now?".
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Decide on this task: reuse, park or start it.
    Take(QueueId, Ready),
    /// Read at most `count` pending tasks of the step with a row after `after`, and [`Plan::fill`].
    Refill {
        /// The step.
        queue: QueueId,
        /// Rows up to here are in the plan or have been taken.
        after: TaskId,
        /// The most to read.
        count: usize,
    },
    /// Nothing can start before something ends or a pause is over.
    Wait,
}

/// The least and the most tasks of one step that are read at once and held in memory.
const STRETCH: [usize; 2] = [64, 4096];

/// The schedule of one run.
#[derive(Debug)]
pub struct Plan {
    queues: Queues,
    limit: usize,
    scarcity: Scarcity,
    /// Tasks of one step that are read at once and held in memory: some times as many as may run,
    /// so that mostly it is known what follows those ([`Plan::ahead`]).
    stretch: usize,
    running: usize,
    flights: HashMap<Key, Vec<Ready>>,
    pauses: BinaryHeap<Reverse<(u64, TaskId, QueueId)>>,
    pausing: HashMap<TaskId, Ready>,
    /// Tasks of whose results somebody else is asked.
    asking: HashMap<TaskId, (Ready, Key)>,
}

impl Plan {
    /// A plan that starts at most `limit` tasks at once, and of each step at most its own limit.
    ///
    /// `steps`: per step its limit, and whether the database has pending tasks of it.
    pub fn new(limit: usize, steps: impl IntoIterator<Item = (Option<usize>, bool)>) -> Self {
        let queue =
            |(limit, more): (Option<usize>, bool)| Queue::new(limit.unwrap_or(usize::MAX), more);
        Self {
            queues: Queues::new(steps.into_iter().map(queue).collect()),
            limit,
            scarcity: Scarcity::new(limit),
            stretch: limit.saturating_mul(4).clamp(STRETCH[0], STRETCH[1]),
            running: 0,
            flights: HashMap::new(),
            pauses: BinaryHeap::new(),
            pausing: HashMap::new(),
            asking: HashMap::new(),
        }
    }

    /// Has tasks take of these amounts: those of each step at first, and each time that it is raised.
    /// Before the first start.
    pub fn share(&mut self, amounts: Vec<u64>, demands: impl IntoIterator<Item = Vec<Demand>>) {
        self.queues.share(amounts, demands);
    }

    /// There is so much from now on of the kind with that number, of those that are shared.
    pub fn set_amount(&mut self, kind: usize, amount: u64) {
        self.queues.set_amount(kind, amount);
    }

    /// What to do now.
    ///
    /// Among steps that may start one, that with the fewest running tasks comes first, so that a
    /// slow step and a fast one share the workers; of equals the later in the manifest, so that
    /// what was begun flows on to its end.
    pub fn decide(&mut self) -> Next {
        if !self.has_room() {
            return Next::Wait;
        }
        let Some((id, raised)) = self.queues.first() else {
            return Next::Wait;
        };
        let taken = self.queues.change(id, |queue| queue.take(raised));
        match taken {
            Some(ready) => Next::Take(id, ready),
            None => Next::Refill {
                queue: id,
                after: self.queues.of(id).cursor,
                count: self.stretch,
            },
        }
    }

    /// The answer to [`Next::Refill`]: `rows` in ascending order; fewer than asked for means that
    /// there are no more.
    pub fn fill(&mut self, queue: QueueId, rows: impl IntoIterator<Item = Ready>) {
        let stretch = self.stretch;
        self.queues.change(queue, |queue| {
            let mut count = 0;
            for ready in rows {
                count += 1;
                queue.cursor = ready.id;
                queue.ready.push_back(ready);
            }
            queue.more = count >= stretch;
        });
    }

    /// A task was added to the database; rows only ever grow.
    pub fn created(&mut self, queue: QueueId, ready: Ready) {
        let stretch = self.stretch;
        self.queues.change(queue, |queue| {
            if !queue.more && queue.ready.len() < stretch {
                queue.cursor = ready.id;
                queue.ready.push_back(ready);
            } else {
                queue.more = true;
            }
        });
    }

    /// Tasks were added to the database, and are to be read from there.
    pub fn added(&mut self, queue: QueueId) {
        self.queues.change(queue, |queue| queue.more = true);
    }

    /// A taken task starts. With a `key`, equal tasks can be parked behind it.
    pub fn start(&mut self, lane: impl Into<Lane>, key: Option<Key>) {
        let Lane(queue, raised) = lane.into();
        self.running += 1;
        self.queues.give(queue, raised.into());
        self.queues.change(queue, |queue| queue.running += 1);
        if let Some(key) = key {
            self.flights.insert(key, Vec::new());
        }
    }

    /// Has so many tasks of the step wait for an answer, or have had one, before the first of them starts: nothing that
    /// runs waits for an answer then.
    pub fn ask_ahead(&mut self, queue: QueueId, tasks: usize) {
        self.queues.change(queue, |queue| queue.ahead = tasks);
    }

    /// A taken task waits until somebody else has said whether he has its result. Equal ones can be parked behind it.
    pub fn ask(&mut self, ready: Ready, key: Key) {
        self.queues.change(key.queue, |queue| queue.asking += 1);
        self.flights.entry(key.clone()).or_default();
        self.asking.insert(ready.id, (ready, key));
    }

    /// The answer is there, for a task that waits for one.
    pub fn answered(&mut self, task: TaskId) -> Option<(Ready, Key)> {
        let (ready, key) = self.asking.remove(&task)?;
        self.queues.change(key.queue, |queue| queue.asking -= 1);
        Some((ready, key))
    }

    /// Tasks that wait for an answer.
    pub fn asking(&self) -> usize {
        self.asking.len()
    }

    /// Those that are parked behind a task with that key come up again.
    pub fn unpark(&mut self, key: &Key) {
        let parked = self.flights.remove(key).unwrap_or_default();
        self.queues.change(key.queue, |queue| {
            queue.held -= parked.len();
            for ready in parked {
                queue.comes_again(ready);
            }
        });
    }

    /// Puts `ready` behind a running equal task; gives it back if there is none.
    pub fn park(&mut self, key: &Key, ready: Ready) -> Option<Ready> {
        match self.flights.get_mut(key) {
            Some(parked) => {
                parked.push(ready);
                self.queues.change(key.queue, |queue| queue.held += 1);
                None
            }
            None => Some(ready),
        }
    }

    /// A started task ended; those parked behind it come up again.
    pub fn ended(&mut self, lane: impl Into<Lane>, key: Option<&Key>) {
        let Lane(queue, raised) = lane.into();
        self.running -= 1;
        self.queues.take_back(queue, raised.into());
        let parked = key.and_then(|key| self.flights.remove(key));
        self.queues.change(queue, |queue| {
            queue.running -= 1;
            if let Some(parked) = parked {
                queue.held -= parked.len();
                for ready in parked {
                    queue.comes_again(ready);
                }
            }
        });
    }

    /// A task that was taken waits again, as it was.
    pub fn back(&mut self, queue: QueueId, ready: Ready) {
        self.queues.change(queue, |queue| queue.comes_again(ready));
    }

    /// Whether one more script may run, of whatever step.
    pub fn has_room(&self) -> bool {
        self.running < self.limit && !self.scarcity.is_resting()
    }

    /// Most scripts at once, at the moment.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Whether fewer run at once than are meant to.
    pub fn is_scarce(&self) -> bool {
        self.scarcity.is_felt(self.limit)
    }

    /// The machine was short of something that a task needed, which ended and waits again.
    pub fn short(&mut self, now: u64) -> Relief {
        self.scarcity.met(self.running, &mut self.limit, now)
    }

    /// A task had all that it needed.
    pub fn got_through(&mut self) {
        self.scarcity.is_over();
    }

    /// Whether one task runs, and until it ends no other can start.
    pub fn is_quiet_but_for_one(&self) -> bool {
        self.running == 1
            && !self.queues.is_any_open()
            && !self.is_pausing()
            && self.flights.values().all(Vec::is_empty)
    }

    /// Whether some step has a task that only waits for others to make room.
    pub fn has_ready(&self) -> bool {
        self.queues.first().is_some()
    }

    /// Tries `ready` again at `due` (milliseconds on the clock that [`Plan::wake`] is given).
    pub fn pause(&mut self, queue: QueueId, ready: Ready, due: u64) {
        self.queues.change(queue, |queue| queue.held += 1);
        self.pauses.push(Reverse((due, ready.id, queue)));
        self.pausing.insert(ready.id, ready);
    }

    /// No more tasks of the step start; those that run go on.
    pub fn close(&mut self, queue: QueueId) {
        self.queues.change(queue, |queue| queue.limit = 0);
        let pausing = &mut self.pausing;
        self.pauses.retain(|Reverse((_, id, of))| {
            let goes = *of == queue;
            if goes {
                pausing.remove(id);
            }
            !goes
        });
    }

    /// Tasks of a step that was closed may start again, so many at once.
    pub fn open(&mut self, queue: QueueId, limit: Option<usize>) {
        self.queues
            .change(queue, |queue| queue.limit = limit.unwrap_or(usize::MAX));
    }

    /// Whether no more of them start.
    pub fn is_closed(&self, queue: QueueId) -> bool {
        self.queues.of(queue).limit == 0
    }

    /// Ends the pauses that are over at `now`; the next one's end, if any.
    pub fn wake(&mut self, now: u64) -> Option<u64> {
        let eased = self.scarcity.ease(&mut self.limit, now);
        self.end_pauses(now).into_iter().chain(eased).min()
    }

    fn end_pauses(&mut self, now: u64) -> Option<u64> {
        while let Some(&Reverse((due, id, queue))) = self.pauses.peek() {
            if due > now {
                return Some(due);
            }
            self.pauses.pop();
            if let Some(ready) = self.pausing.remove(&id) {
                self.queues.change(queue, |queue| {
                    queue.held -= 1;
                    queue.comes_again(ready);
                });
            }
        }
        None
    }

    /// Whether [`Plan::decide`] has something else to say than [`Next::Wait`].
    pub fn is_open(&self) -> bool {
        self.has_room() && self.has_ready()
    }

    /// Whether tasks wait that could start if there was more of what they take.
    pub fn has_any(&self) -> bool {
        self.queues.is_any_open()
    }

    /// Whether tasks of the step wait, as far as is known without a look at the database.
    pub fn has_waiting(&self, queue: QueueId) -> bool {
        self.queues.of(queue).has_waiting()
    }

    /// How many of them are known to wait: of those that are in the database alone, one stands for all.
    pub fn count_waiting(&self, queue: QueueId) -> usize {
        self.queues.of(queue).count_waiting()
    }

    /// The input of the task of the step that starts when all that run now have ended, as far as is
    /// known without a look at the database.
    pub fn ahead(&self, queue: QueueId) -> Option<Digest> {
        let ready = &self.queues.of(queue).ready;
        let next = ready.get(self.limit.checked_sub(1)?)?;
        Some(next.input)
    }

    /// Tasks started and not ended.
    pub fn running(&self) -> usize {
        self.running
    }

    /// Whether some tasks wait for a retry or an answer, or all for better times.
    pub fn is_pausing(&self) -> bool {
        !self.pausing.is_empty() || !self.asking.is_empty() || self.scarcity.is_resting()
    }
}

#[cfg(test)]
mod tests;
