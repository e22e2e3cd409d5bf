//! Which task comes next: queues, limits, equal tasks in flight, pauses before a retry.
//!
//! The state database holds every pending task; a plan holds a short stretch of each step's queue
//! and a cursor behind it, so that its size does not depend on how many tasks there are.

mod scarcity;

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap, VecDeque};

use crate::model::digest::Digest;
use crate::model::task::{State, TaskId};
pub use scarcity::Relief;
use scarcity::Scarcity;

/// The place of a step in the plan: its place in the manifest.
pub type LaneId = usize;

/// A task that could start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    /// Its row.
    pub id: TaskId,
    /// The object that it works on.
    pub input: Digest,
    /// The task that left it; none for a start task.
    pub parent: Option<TaskId>,
    /// The file name under which its parent left that object; none for a start task.
    pub name: Option<Box<str>>,
    /// Its recorded state: pending or failed.
    pub state: State,
    /// Executes even where an equal task's outputs could be taken.
    pub forced: bool,
    /// Executions in this run that failed so far.
    pub attempt: u32,
}

/// What makes two tasks equal: the step, the input, and its name where the script can tell it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// The step.
    pub lane: LaneId,
    /// The input object.
    pub input: Digest,
    /// The input's name, for a step whose script reads it.
    pub name: Option<Box<str>>,
}

/// The answer to "what now?".
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Decide on this task: reuse, park or start it.
    Take(LaneId, Ready),
    /// Read at most `count` pending tasks of the step with a row after `after`, and [`Plan::fill`].
    Refill {
        /// The step.
        lane: LaneId,
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
/// Most tasks of one step that wait in memory for an equal one or for a retry.
const HELD: usize = 256;

#[derive(Debug)]
struct Lane {
    limit: usize,
    running: usize,
    /// Tasks parked or pausing, which therefore are in memory and in no queue.
    held: usize,
    /// Come back from a park or a pause: before all others, also when too many are held.
    again: VecDeque<Ready>,
    queue: VecDeque<Ready>,
    cursor: TaskId,
    /// Whether the database may have more behind the cursor.
    more: bool,
}

impl Lane {
    /// Whether a task of the step may start, as far as is known without a look at the database.
    fn is_open(&self) -> bool {
        self.running < self.limit
            && (!self.again.is_empty() || self.held < HELD && (!self.queue.is_empty() || self.more))
    }
}

/// The steps, and which of them may start a task: whatever there is to know for a decision is found
/// without a look at all of them.
#[derive(Debug)]
struct Lanes {
    all: Vec<Lane>,
    /// Those that may start one: the fewest running tasks first, then the last in the manifest.
    open: BTreeSet<(usize, Reverse<LaneId>)>,
}

impl Lanes {
    fn new(lanes: Vec<Lane>) -> Self {
        let open = lanes.iter().enumerate().filter(|(_, lane)| lane.is_open());
        Self {
            open: open.map(|(id, lane)| (lane.running, Reverse(id))).collect(),
            all: lanes,
        }
    }

    /// The only way to change one.
    fn change<T>(&mut self, id: LaneId, change: impl FnOnce(&mut Lane) -> T) -> T {
        let lane = &mut self.all[id];
        let before = lane.is_open().then_some(lane.running);
        let done = change(lane);
        let after = lane.is_open().then_some(lane.running);
        if before != after {
            if let Some(running) = before {
                self.open.remove(&(running, Reverse(id)));
            }
            if let Some(running) = after {
                self.open.insert((running, Reverse(id)));
            }
        }
        done
    }

    /// The step whose task is to start next.
    fn first(&self) -> Option<LaneId> {
        self.open.first().map(|&(_, Reverse(id))| id)
    }
}

/// The schedule of one run.
#[derive(Debug)]
pub struct Plan {
    lanes: Lanes,
    limit: usize,
    scarcity: Scarcity,
    /// Tasks of one step that are read at once and held in memory: some times as many as may run,
    /// so that mostly it is known what follows those ([`Plan::ahead`]).
    stretch: usize,
    running: usize,
    flights: HashMap<Key, Vec<Ready>>,
    pauses: BinaryHeap<Reverse<(u64, TaskId, LaneId)>>,
    pausing: HashMap<TaskId, Ready>,
}

impl Plan {
    /// A plan that starts at most `limit` tasks at once, and of each step at most its own limit.
    ///
    /// `steps`: per step its limit, and whether the database has pending tasks of it.
    pub fn new(limit: usize, steps: impl IntoIterator<Item = (Option<usize>, bool)>) -> Self {
        let lane = |(limit, more): (Option<usize>, bool)| Lane {
            limit: limit.unwrap_or(usize::MAX),
            running: 0,
            held: 0,
            again: VecDeque::new(),
            queue: VecDeque::new(),
            cursor: TaskId(0),
            more,
        };
        Self {
            lanes: Lanes::new(steps.into_iter().map(lane).collect()),
            limit,
            scarcity: Scarcity::new(limit),
            stretch: limit.saturating_mul(4).clamp(STRETCH[0], STRETCH[1]),
            running: 0,
            flights: HashMap::new(),
            pauses: BinaryHeap::new(),
            pausing: HashMap::new(),
        }
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
        let Some(id) = self.lanes.first() else {
            return Next::Wait;
        };
        let taken = self.lanes.change(id, |lane| {
            lane.again.pop_front().or_else(|| lane.queue.pop_front())
        });
        match taken {
            Some(ready) => Next::Take(id, ready),
            None => Next::Refill {
                lane: id,
                after: self.lanes.all[id].cursor,
                count: self.stretch,
            },
        }
    }

    /// The answer to [`Next::Refill`]: `rows` in ascending order; fewer than asked for means that
    /// there are no more.
    pub fn fill(&mut self, lane: LaneId, rows: impl IntoIterator<Item = Ready>) {
        let stretch = self.stretch;
        self.lanes.change(lane, |lane| {
            let mut count = 0;
            for ready in rows {
                count += 1;
                lane.cursor = ready.id;
                lane.queue.push_back(ready);
            }
            lane.more = count >= stretch;
        });
    }

    /// A task was added to the database; rows only ever grow.
    pub fn created(&mut self, lane: LaneId, ready: Ready) {
        let stretch = self.stretch;
        self.lanes.change(lane, |lane| {
            if !lane.more && lane.queue.len() < stretch {
                lane.cursor = ready.id;
                lane.queue.push_back(ready);
            } else {
                lane.more = true;
            }
        });
    }

    /// A taken task starts. With a `key`, equal tasks can be parked behind it.
    pub fn start(&mut self, lane: LaneId, key: Option<Key>) {
        self.running += 1;
        self.lanes.change(lane, |lane| lane.running += 1);
        if let Some(key) = key {
            self.flights.insert(key, Vec::new());
        }
    }

    /// Puts `ready` behind a running equal task; gives it back if there is none.
    pub fn park(&mut self, key: &Key, ready: Ready) -> Option<Ready> {
        match self.flights.get_mut(key) {
            Some(parked) => {
                parked.push(ready);
                self.lanes.change(key.lane, |lane| lane.held += 1);
                None
            }
            None => Some(ready),
        }
    }

    /// A started task ended; those parked behind it come up again.
    pub fn ended(&mut self, lane: LaneId, key: Option<&Key>) {
        self.running -= 1;
        let parked = key.and_then(|key| self.flights.remove(key));
        self.lanes.change(lane, |lane| {
            lane.running -= 1;
            if let Some(parked) = parked {
                lane.held -= parked.len();
                lane.again.extend(parked);
            }
        });
    }

    /// A task that was taken waits again, as it was.
    pub fn back(&mut self, lane: LaneId, ready: Ready) {
        self.lanes.change(lane, |lane| lane.again.push_back(ready));
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
            && !self.has_ready()
            && !self.is_pausing()
            && self.flights.values().all(Vec::is_empty)
    }

    /// Whether some step has a task that only waits for others to make room.
    pub fn has_ready(&self) -> bool {
        self.lanes.first().is_some()
    }

    /// Tries `ready` again at `due` (milliseconds on the clock that [`Plan::wake`] is given).
    pub fn pause(&mut self, lane: LaneId, ready: Ready, due: u64) {
        self.lanes.change(lane, |lane| lane.held += 1);
        self.pauses.push(Reverse((due, ready.id, lane)));
        self.pausing.insert(ready.id, ready);
    }

    /// Ends the pauses that are over at `now`; the next one's end, if any.
    pub fn wake(&mut self, now: u64) -> Option<u64> {
        let eased = self.scarcity.ease(&mut self.limit, now);
        self.end_pauses(now).into_iter().chain(eased).min()
    }

    fn end_pauses(&mut self, now: u64) -> Option<u64> {
        while let Some(&Reverse((due, id, lane))) = self.pauses.peek() {
            if due > now {
                return Some(due);
            }
            self.pauses.pop();
            if let Some(ready) = self.pausing.remove(&id) {
                self.lanes.change(lane, |lane| {
                    lane.held -= 1;
                    lane.again.push_back(ready);
                });
            }
        }
        None
    }

    /// Whether [`Plan::decide`] has something else to say than [`Next::Wait`].
    pub fn is_open(&self) -> bool {
        self.has_room() && self.has_ready()
    }

    /// Whether tasks of the step wait, as far as is known without a look at the database.
    pub fn has_waiting(&self, lane: LaneId) -> bool {
        let lane = &self.lanes.all[lane];
        !lane.again.is_empty() || !lane.queue.is_empty() || lane.more
    }

    /// The input of the task of the step that starts when all that run now have ended, as far as is
    /// known without a look at the database.
    pub fn ahead(&self, lane: LaneId) -> Option<Digest> {
        let next = self.lanes.all[lane].queue.get(self.limit.checked_sub(1)?)?;
        Some(next.input)
    }

    /// Tasks started and not ended.
    pub fn running(&self) -> usize {
        self.running
    }

    /// Whether some tasks wait for a retry, or all for better times.
    pub fn is_pausing(&self) -> bool {
        !self.pausing.is_empty() || self.scarcity.is_resting()
    }
}

#[cfg(test)]
#[path = "plan/tests.rs"]
mod tests;
