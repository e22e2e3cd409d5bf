//! Who carries out what: pure, so that all that can go wrong is tried in memory.
//!
//! A job is given to a worker under a *lease*, a number that is never given twice. Only the worker that has it can
//! end it, and it ends once: whatever comes late, twice or from a worker that was given up finds no lease.
//! Nothing of it is written anywhere. A run that dies leaves its jobs as they were, and its workers end with it.
//!
//! A worker gets more than it has room for where tasks are short, so that none has to wait for the way there and
//! back; where others have nothing to do, it is asked to give back what it has not begun.

mod deal;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use crate::wire::message::Lease;

/// A worker, counted from 0 over the whole run.
pub(super) type WorkerId = usize;

/// How often a job is lost with its worker until it is the job's own fault.
pub(super) const LOSSES: u32 = 3;
/// How often a job outlasts its worker until it is taken to outlast any.
pub(super) const OUTLASTED: u32 = 3;
/// How often in a row something is lost on a machine until it gets no more tasks.
pub(super) const BAD: u32 = 3;
/// A job that nobody has.
#[derive(Debug)]
struct Waiting<J> {
    job: J,
    units: u64,
    gpus: u64,
    losses: u32,
    /// How often the time of its worker was over before it was.
    outlasted: u32,
    /// Where it was lost last.
    not_at: Option<String>,
    /// Whether that machine could not do its part.
    unable: bool,
}

impl<J> Waiting<J> {
    /// Whether it counts for its own fault if it is lost once more.
    fn is_last_try(&self) -> bool {
        self.losses + 1 >= LOSSES
    }
}

/// A job that a worker has.
#[derive(Debug)]
struct Held<J> {
    worker: WorkerId,
    waiting: Waiting<J>,
    /// What it takes of the worker: all, where it was lost before with others beside it.
    taken: u64,
    /// Whether it was asked to give it back.
    asked: bool,
}

#[derive(Debug)]
struct Worker {
    place: usize,
    node: String,
    slots: u64,
    taken: u64,
    /// How many GPUs it has, and how many of these its tasks have or wait for.
    gpus: u64,
    dealt: u64,
    leases: BTreeSet<Lease>,
    /// The one that is to have nobody beside it.
    alone: Option<Lease>,
    /// It gets nothing more.
    leaving: bool,
}

#[derive(Debug)]
struct Place<J> {
    waiting: VecDeque<Waiting<J>>,
    /// Whether further workers are on their way.
    coming: bool,
    /// Microseconds that tasks took, on average of late; none before the first.
    pace: Option<u64>,
    /// What became of tasks, by the names of machines.
    nodes: BTreeMap<String, Node>,
}

/// A machine, by what became of the tasks there.
#[derive(Debug, Default)]
struct Node {
    /// How often in a row something was lost there.
    losses: u32,
    /// Whether a task ended there.
    proved: bool,
    /// It gets nothing more.
    left_out: bool,
}

/// What is to be said to a worker.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// It gets what has that lease.
    Send(WorkerId, Lease),
    /// It is to give that back if it has not begun.
    Cancel(WorkerId, Lease),
}

/// What was lost at a worker.
#[derive(Debug)]
pub(super) struct Lost<J> {
    /// How many jobs are to be carried out elsewhere.
    pub again: usize,
    /// What had begun, as far as is known.
    pub begun: Vec<Lease>,
    /// Those that were lost too often.
    pub for_good: Vec<J>,
    /// Those that outlast whoever has them.
    pub too_long: Vec<J>,
    /// Whether its machine gets no more tasks from now on.
    pub left_out: bool,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Book<J> {
    places: Vec<Place<J>>,
    workers: BTreeMap<WorkerId, Worker>,
    leases: HashMap<Lease, Held<J>>,
    next: Lease,
}

impl<J> Book<J> {
    /// Of so many places.
    pub(super) fn new(places: usize) -> Self {
        let place = || Place {
            waiting: VecDeque::new(),
            coming: false,
            pace: None,
            nodes: BTreeMap::new(),
        };
        Self {
            places: (0..places).map(|_| place()).collect(),
            workers: BTreeMap::new(),
            leases: HashMap::new(),
            next: 1,
        }
    }

    /// A worker has come; whether it is to get anything.
    pub(super) fn join(&mut self, id: WorkerId, place: usize, node: String, slots: u64) -> bool {
        let known = self.places[place].nodes.entry(node.clone()).or_default();
        let left_out = known.left_out;
        let worker = Worker {
            place,
            node,
            slots,
            taken: 0,
            gpus: 0,
            dealt: 0,
            leases: BTreeSet::new(),
            alone: None,
            leaving: left_out,
        };
        self.workers.insert(id, worker);
        !left_out
    }

    /// The machines of a place that get nothing more.
    pub(super) fn left_out(&self, place: usize) -> impl Iterator<Item = &str> {
        let nodes = self.places[place].nodes.iter();
        let out = nodes.filter(|(_, node)| node.left_out);
        out.map(|(name, _)| name.as_str())
    }

    /// Whether a worker gets nothing more and has nothing any more.
    pub(super) fn has_left(&self, worker: WorkerId) -> bool {
        let worker = self.workers.get(&worker);
        worker.is_some_and(|worker| worker.leaving && worker.leases.is_empty())
    }

    /// Something was lost on a machine for the first time, so that it may be the machine's fault; whether it gets no
    /// more tasks from now on. Where no other one has proved itself, it may be that of all tasks.
    fn blame(&mut self, place: usize, node: &str) -> bool {
        let nodes = &mut self.places[place].nodes;
        let mut others = nodes.iter().filter(|(name, _)| *name != node);
        let has_better = others.any(|(_, other)| other.proved && !other.left_out);
        let Some(known) = nodes.get_mut(node) else {
            return false;
        };
        known.losses += 1;
        if known.left_out || known.losses < BAD || !has_better {
            return false;
        }
        known.left_out = true;
        for worker in self.workers.values_mut() {
            if worker.place == place && worker.node == node {
                worker.leaving = true;
            }
        }
        true
    }

    /// It has so many GPUs.
    pub(super) fn has_gpus(&mut self, id: WorkerId, gpus: u64) {
        if let Some(worker) = self.workers.get_mut(&id) {
            worker.gpus = gpus;
        }
    }

    /// A job is to be carried out in that place, where it takes so much room.
    #[cfg(test)]
    pub(super) fn give(&mut self, place: usize, job: J, units: u64) {
        self.give_with(place, job, units, 0);
    }

    /// The same for one that takes so many GPUs, too.
    pub(super) fn give_with(&mut self, place: usize, job: J, units: u64, gpus: u64) {
        self.places[place].waiting.push_back(Waiting {
            job,
            units,
            gpus,
            losses: 0,
            outlasted: 0,
            not_at: None,
            unable: false,
        });
    }

    /// How much room there is for jobs in a place.
    pub(super) fn room(&self, place: usize) -> u64 {
        let workers = self.workers.values();
        let there = workers.filter(|worker| worker.place == place && !worker.leaving);
        there.map(|worker| self.most(worker)).sum()
    }

    /// Whether somebody works in a place.
    pub(super) fn is_manned(&self, place: usize) -> bool {
        let mut workers = self.workers.values();
        workers.any(|worker| worker.place == place && !worker.leaving)
    }

    /// Jobs of a place that nobody has.
    pub(super) fn waiting(&self, place: usize) -> usize {
        self.places[place].waiting.len()
    }

    /// Room in a place that nothing takes or waits for.
    pub(super) fn free(&self, place: usize) -> u64 {
        let workers = self.workers.values();
        let there = workers.filter(|worker| worker.place == place && !worker.leaving);
        let room: u64 = there
            .map(|worker| worker.slots.saturating_sub(worker.taken))
            .sum();
        let waiting = self.places[place].waiting.iter();
        room.saturating_sub(waiting.map(|waiting| waiting.units).sum())
    }

    /// Jobs of a place that nobody has; they are forgotten.
    pub(super) fn take_waiting(&mut self, place: usize) -> Vec<J> {
        let waiting = self.places[place].waiting.drain(..);
        waiting.map(|waiting| waiting.job).collect()
    }

    /// Jobs that a worker has.
    pub(super) fn in_hand(&self, worker: WorkerId) -> usize {
        let worker = self.workers.get(&worker);
        worker.map_or(0, |worker| worker.leases.len())
    }

    /// The job with that lease.
    pub(super) fn job(&self, lease: Lease) -> Option<&J> {
        Some(&self.leases.get(&lease)?.waiting.job)
    }

    /// The leases of a worker, with their jobs.
    pub(super) fn held(&self, worker: WorkerId) -> impl Iterator<Item = (Lease, &J)> {
        let worker = self.workers.get(&worker);
        let leases = worker.into_iter().flat_map(|worker| &worker.leases);
        leases.filter_map(|lease| Some((*lease, self.job(*lease)?)))
    }

    /// The same, to note something that it is to have if it is carried out again.
    pub(super) fn job_mut(&mut self, lease: Lease) -> Option<&mut J> {
        Some(&mut self.leases.get_mut(&lease)?.waiting.job)
    }

    /// A worker ended a job, after so many microseconds; none if it was not its own.
    pub(super) fn done(&mut self, worker: WorkerId, lease: Lease, elapsed: u64) -> Option<J> {
        let held = self.take(worker, lease)?;
        let of = &self.workers[&worker];
        let place = &mut self.places[of.place];
        if let Some(node) = place.nodes.get_mut(&of.node) {
            node.losses = 0;
            node.proved = true;
        }
        place.pace = Some(match place.pace {
            None => elapsed,
            Some(before) => before - before / 8 + elapsed / 8,
        });
        Some(held.waiting.job)
    }

    /// A worker gives a job back that it did not begin.
    pub(super) fn given_back(&mut self, worker: WorkerId, lease: Lease) {
        if let Some(held) = self.take(worker, lease) {
            let place = self.workers[&worker].place;
            self.places[place].waiting.push_front(held.waiting);
        }
    }

    /// Whether a worker has such a job.
    pub(super) fn has(&self, worker: WorkerId, is_such: impl Fn(&J) -> bool) -> bool {
        let worker = self.workers.get(&worker);
        let mut leases = worker.into_iter().flat_map(|worker| &worker.leases);
        leases.any(|lease| self.job(*lease).is_some_and(&is_such))
    }

    /// How many leases are open.
    #[cfg(test)]
    pub(super) fn leases(&self) -> usize {
        self.leases.len()
    }

    /// Whether further workers are on their way to a place.
    pub(super) fn set_coming(&mut self, place: usize, coming: bool) {
        self.places[place].coming = coming;
    }

    /// The machine that a worker is on.
    pub(super) fn node(&self, worker: WorkerId) -> Option<&str> {
        Some(&self.workers.get(&worker)?.node)
    }

    /// Nobody can carry a job out that a worker has; none if it was not its own.
    pub(super) fn give_up(&mut self, worker: WorkerId, lease: Lease) -> Option<J> {
        Some(self.take(worker, lease)?.waiting.job)
    }

    /// A worker could not do its part; none if it was not its own.
    pub(super) fn unable(&mut self, worker: WorkerId, lease: Lease) -> Option<Lost<J>> {
        let held = self.take(worker, lease)?;
        let of = &self.workers[&worker];
        let (place, node) = (of.place, of.node.clone());
        let left_out = held.waiting.losses == 0 && self.blame(place, &node);
        let mut lost = Lost {
            again: 0,
            begun: vec![lease],
            for_good: Vec::new(),
            too_long: Vec::new(),
            left_out,
        };
        let mut waiting = held.waiting;
        waiting.losses += 1;
        (waiting.not_at, waiting.unable) = (Some(node), true);
        if waiting.losses >= LOSSES {
            lost.for_good.push(waiting.job);
        } else {
            lost.again = 1;
            self.places[place].waiting.push_front(waiting);
        }
        Some(lost)
    }

    fn take(&mut self, worker: WorkerId, lease: Lease) -> Option<Held<J>> {
        if self.leases.get(&lease)?.worker != worker {
            return None;
        }
        let held = self.leases.remove(&lease)?;
        let of = self.workers.get_mut(&worker)?;
        of.leases.remove(&lease);
        of.alone = of.alone.filter(|alone| *alone != lease);
        of.taken -= held.taken;
        of.dealt -= held.waiting.gpus;
        Some(held)
    }

    /// A worker gets nothing more.
    pub(super) fn leaves(&mut self, worker: WorkerId) {
        if let Some(worker) = self.workers.get_mut(&worker) {
            worker.leaving = true;
        }
    }

    /// The same as [`Self::gone_with`] where nothing is known of time.
    #[cfg(test)]
    pub(super) fn gone(&mut self, worker: WorkerId, left: bool) -> Lost<J> {
        self.gone_with(worker, left, |_, _| false)
    }

    /// A worker is gone, with all that it had. `left`: it was ended by somebody, which is no task's fault. `outlasts`: whether a job that it had was given to it early on, and goes on as its time is over.
    pub(super) fn gone_with(
        &mut self,
        worker: WorkerId,
        left: bool,
        outlasts: impl Fn(Lease, &J) -> bool,
    ) -> Lost<J> {
        let mut lost = Lost {
            again: 0,
            begun: Vec::new(),
            for_good: Vec::new(),
            too_long: Vec::new(),
            left_out: false,
        };
        let Some(gone) = self.workers.remove(&worker) else {
            return lost;
        };
        let (mut began, mut is_first) = (0, false);
        // The first come first again.
        let mut again = Vec::new();
        for lease in gone.leases {
            let Some(mut held) = self.leases.remove(&lease) else {
                continue;
            };
            // What came first began first; what had no room had not begun.
            let has_begun = began + held.taken <= gone.slots;
            began += held.taken;
            if has_begun {
                lost.begun.push(lease);
            }
            if has_begun && !left {
                is_first |= held.waiting.losses == 0;
                held.waiting.losses += 1;
                held.waiting.not_at = Some(gone.node.clone());
                held.waiting.unable = false;
            }
            if has_begun && outlasts(lease, &held.waiting.job) {
                held.waiting.outlasted += 1;
            }
            if held.waiting.losses >= LOSSES {
                lost.for_good.push(held.waiting.job);
            } else if held.waiting.outlasted >= OUTLASTED {
                lost.too_long.push(held.waiting.job);
            } else {
                again.push(held.waiting);
            }
        }
        lost.again = again.len();
        // What was lost elsewhere before may be what ends workers.
        lost.left_out = is_first && self.blame(gone.place, &gone.node);
        for waiting in again.into_iter().rev() {
            self.places[gone.place].waiting.push_front(waiting);
        }
        lost
    }
}

#[cfg(test)]
mod tests;
