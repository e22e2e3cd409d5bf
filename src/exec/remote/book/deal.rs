//! Who gets what.

use super::{Act, Book, Held, Waiting, Worker, WorkerId};

/// How many microseconds tasks take at most on average for more to be given than there is room for.
const SHORT: u64 = 200_000;

impl<J> Book<J> {
    /// What a worker takes at most.
    pub(super) fn most(&self, worker: &Worker) -> u64 {
        let is_short = |pace: u64| pace <= SHORT;
        if self.places[worker.place].pace.is_some_and(is_short) {
            worker.slots * 2
        } else {
            worker.slots
        }
    }

    /// Gives out what waits, to whoever has most room left.
    pub(in super::super) fn assign(&mut self) -> Vec<Act> {
        let mut acts = Vec::new();
        for place in 0..self.places.len() {
            while let Some((at, worker, taken)) = self.next(place) {
                let Some(waiting) = self.places[place].waiting.remove(at) else {
                    break;
                };
                let lease = self.next;
                self.next += 1;
                if let Some(of) = self.workers.get_mut(&worker) {
                    of.taken += taken;
                    of.dealt += waiting.gpus;
                    of.leases.insert(lease);
                    if waiting.is_last_try() {
                        of.alone = Some(lease);
                    }
                }
                let held = Held {
                    worker,
                    waiting,
                    taken,
                    asked: false,
                };
                self.leases.insert(lease, held);
                acts.push(Act::Send(worker, lease));
            }
            if self.places[place].waiting.is_empty() {
                acts.extend(self.level(place));
            }
        }
        acts
    }

    /// Which of those that wait in a place comes next, who is to have it, and how much it takes there.
    fn next(&self, place: usize) -> Option<(usize, WorkerId, u64)> {
        let waiting = &self.places[place].waiting;
        let first = waiting.front()?;
        if let Some((worker, taken)) = self.best(place, first) {
            return Some((0, worker, taken));
        }
        // Who waits for GPUs keeps nobody who needs none.
        let at = waiting.iter().position(|waiting| waiting.gpus == 0)?;
        let (worker, taken) = self.best(place, &waiting[at]).filter(|_| first.gpus > 0)?;
        Some((at, worker, taken))
    }

    /// Who is to have a job, and how much it takes there.
    fn best(&self, place: usize, job: &Waiting<J>) -> Option<(WorkerId, u64)> {
        let mut workers = self.workers.values();
        // Where there are too few anywhere, who gets it says so.
        let enough = |worker: &Worker| worker.place == place && worker.gpus >= job.gpus;
        let can_have = job.gpus > 0 && workers.any(|worker| !worker.leaving && enough(worker));
        let has_gpus = |worker: &Worker| {
            let most = worker.gpus * (self.most(worker) / worker.slots.max(1));
            !can_have || enough(worker) && worker.dealt + job.gpus <= most
        };
        let fits = |worker: &Worker| {
            if !has_gpus(worker) || worker.alone.is_some() {
                return None;
            }
            // It may end whoever is beside it: so that this is told from what others do, nobody is.
            if job.is_last_try() {
                return (worker.taken == 0).then_some(worker.slots);
            }
            // A task for more than there is takes all.
            let units = job.units.min(worker.slots);
            (worker.taken + units <= self.most(worker)).then_some(units)
        };
        let there = || {
            let workers = self.workers.iter();
            workers.filter(move |(_, worker)| worker.place == place && !worker.leaving)
        };
        let is_elsewhere = |worker: &Worker| job.not_at.as_ref() != Some(&worker.node);
        let others_come = job.unable && self.places[place].coming;
        let has_other = others_come || there().any(|(_, worker)| is_elsewhere(worker));
        let fitting = there()
            .filter(|(_, worker)| !has_other || is_elsewhere(worker))
            .filter_map(|(id, worker)| Some((*id, worker, fits(worker)?)));
        // The one that is filled least.
        let best = fitting.min_by(|(_, a, _), (_, b, _)| {
            let (a, b) = (a.taken * b.slots, b.taken * a.slots);
            a.cmp(&b)
        });
        best.map(|(id, _, units)| (id, units))
    }

    /// Who has nothing to do gets what another one has not begun.
    fn level(&mut self, place: usize) -> Vec<Act> {
        let there = |worker: &&Worker| worker.place == place && !worker.leaving;
        let workers = self.workers.values();
        let mut idle = workers
            .filter(there)
            .map(|worker| worker.slots.saturating_sub(worker.taken))
            .sum::<u64>();
        let mut acts = Vec::new();
        for (id, worker) in &self.workers {
            if worker.place != place {
                continue;
            }
            let mut over = worker.taken.saturating_sub(worker.slots);
            // What came last begins last.
            for lease in worker.leases.iter().rev() {
                let Some(held) = self.leases.get_mut(lease) else {
                    continue;
                };
                if over < held.taken || idle < held.taken {
                    break;
                }
                over -= held.taken;
                idle -= held.taken;
                if !std::mem::replace(&mut held.asked, true) {
                    acts.push(Act::Cancel(*id, *lease));
                }
            }
        }
        acts
    }
}
