//! Which task comes next: queues, limits, equal tasks in flight, pauses before a retry.
//!
//! The state database holds every pending task; a plan holds a short stretch of each step's queue
//! and a cursor behind it, so that its size does not depend on how many tasks there are.

mod scarcity;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};

use super::digest::Digest;
use super::task::{State, TaskId};
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
    /// Whether a task of it runs whose input is not known yet: it may be equal to any other.
    closed: bool,
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
            && !self.closed
            && (!self.again.is_empty() || self.held < HELD && (!self.queue.is_empty() || self.more))
    }
}

/// The schedule of one run.
#[derive(Debug)]
pub struct Plan {
    lanes: Vec<Lane>,
    limit: usize,
    scarcity: Scarcity,
    /// Tasks of one step that are read at once and held in memory: some times as many as may run,
    /// so that mostly it is known what follows those ([`Plan::ahead`]).
    stretch: usize,
    running: usize,
    /// Tasks whose script has ended and which are not recorded yet.
    settling: usize,
    /// Rows that are about to be added of tasks that have started already.
    early: HashSet<TaskId>,
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
            closed: false,
            held: 0,
            again: VecDeque::new(),
            queue: VecDeque::new(),
            cursor: TaskId(0),
            more,
        };
        Self {
            lanes: steps.into_iter().map(lane).collect(),
            limit,
            scarcity: Scarcity::new(limit),
            stretch: limit.saturating_mul(4).clamp(STRETCH[0], STRETCH[1]),
            running: 0,
            settling: 0,
            early: HashSet::new(),
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
        let best = (0..self.lanes.len())
            .rev()
            .filter(|&id| self.lanes[id].is_open())
            .min_by_key(|&id| self.lanes[id].running);
        let Some(id) = best else {
            return Next::Wait;
        };
        let lane = &mut self.lanes[id];
        if let Some(ready) = lane.again.pop_front() {
            return Next::Take(id, ready);
        }
        match lane.queue.pop_front() {
            Some(ready) => Next::Take(id, ready),
            None => Next::Refill {
                lane: id,
                after: lane.cursor,
                count: self.stretch,
            },
        }
    }

    /// The answer to [`Next::Refill`]: `rows` in ascending order; fewer than asked for means that
    /// there are no more.
    pub fn fill(&mut self, lane: LaneId, rows: impl IntoIterator<Item = Ready>) {
        let lane = &mut self.lanes[lane];
        let mut count = 0;
        for ready in rows {
            count += 1;
            lane.cursor = ready.id;
            if !self.early.contains(&ready.id) {
                lane.queue.push_back(ready);
            }
        }
        lane.more = count >= self.stretch;
    }

    /// A task was added to the database; rows only ever grow.
    pub fn created(&mut self, lane: LaneId, ready: Ready) {
        let lane = &mut self.lanes[lane];
        if !lane.more && lane.queue.len() < self.stretch {
            lane.cursor = ready.id;
            lane.queue.push_back(ready);
        } else {
            lane.more = true;
        }
    }

    /// A taken task starts. With a `key`, equal tasks can be parked behind it.
    pub fn start(&mut self, lane: LaneId, key: Option<Key>) {
        self.lanes[lane].running += 1;
        self.running += 1;
        if let Some(key) = key {
            self.flights.insert(key, Vec::new());
        }
    }

    /// Puts `ready` behind a running equal task; gives it back if there is none.
    pub fn park(&mut self, key: &Key, ready: Ready) -> Option<Ready> {
        match self.flights.get_mut(key) {
            Some(parked) => {
                parked.push(ready);
                self.lanes[key.lane].held += 1;
                None
            }
            None => Some(ready),
        }
    }

    /// A started task ended; those parked behind it come up again.
    pub fn ended(&mut self, lane: LaneId, key: Option<&Key>) {
        self.script_ended(lane);
        self.settled(lane, key);
    }

    /// A started task's script has ended, so that another may start in its place; what came of it
    /// is told later, by [`Plan::settled`].
    pub fn script_ended(&mut self, lane: LaneId) {
        self.running -= 1;
        self.settling += 1;
        self.lanes[lane].running -= 1;
    }

    /// A task whose script has ended is recorded; those parked behind it come up again.
    pub fn settled(&mut self, lane: LaneId, key: Option<&Key>) {
        self.settling -= 1;
        let parked = key.and_then(|key| self.flights.remove(key));
        let lane = &mut self.lanes[lane];
        if let Some(parked) = parked {
            lane.held -= parked.len();
            lane.again.extend(parked);
        }
    }

    /// Whether no task of the step runs or waits, so that one may be expected.
    pub fn expects(&self, lane: LaneId) -> bool {
        let lane = &self.lanes[lane];
        lane.running == 0
            && !lane.closed
            && !lane.more
            && lane.held == 0
            && lane.queue.is_empty()
            && lane.again.is_empty()
    }

    /// A task of the step, which will have the row `id`, is to start before its input is known:
    /// no other one starts meanwhile.
    pub fn close(&mut self, lane: LaneId, id: TaskId) {
        self.lanes[lane].closed = true;
        self.early.insert(id);
    }

    /// The input of such a task is known, or the task will not be. If it `runs`, equal ones can be
    /// parked behind it.
    pub fn reopen(&mut self, lane: LaneId, runs: Option<Key>) {
        self.lanes[lane].closed = false;
        if let Some(key) = runs {
            self.flights.insert(key, Vec::new());
        }
    }

    /// A task that was taken waits again: it started early and its row is there now, or there was
    /// something to be found out for it.
    pub fn back(&mut self, lane: LaneId, ready: Ready) {
        self.lanes[lane].again.push_back(ready);
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

    /// Whether some step has a task that only waits for others to make room.
    pub fn has_ready(&self) -> bool {
        self.lanes.iter().any(Lane::is_open)
    }

    /// Tries `ready` again at `due` (milliseconds on the clock that [`Plan::wake`] is given).
    pub fn pause(&mut self, lane: LaneId, ready: Ready, due: u64) {
        self.lanes[lane].held += 1;
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
                self.lanes[lane].held -= 1;
                self.lanes[lane].again.push_back(ready);
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
        let lane = &self.lanes[lane];
        !lane.again.is_empty() || !lane.queue.is_empty() || lane.more
    }

    /// The input of the task of the step that starts when all that run now have ended, as far as is
    /// known without a look at the database.
    pub fn ahead(&self, lane: LaneId) -> Option<Digest> {
        let next = self.lanes[lane].queue.get(self.limit.checked_sub(1)?)?;
        Some(next.input)
    }

    /// Tasks whose script has ended and that are not recorded.
    pub fn settling(&self) -> usize {
        self.settling
    }

    /// Tasks started and not recorded.
    pub fn running(&self) -> usize {
        self.running + self.settling
    }

    /// Whether some tasks wait for a retry, or all for better times.
    pub fn is_pausing(&self) -> bool {
        !self.pausing.is_empty() || self.scarcity.is_resting()
    }
}

#[cfg(test)]
#[path = "plan/tests.rs"]
mod tests;
