//! The steps' queues, and which of them may start a task: whatever there is to know for a decision is
//! found without a look at all of them.
//!
//! Queues whose tasks take the same are one class: what there is is enough for all of them or for none.
//! A class that waits for more than is left lets others go first only for a while: once these were given
//! as much as there is in all, what becomes free is kept for it. So large tasks come to run behind many
//! small ones; and as a task gets all that it takes at once, none waits for another that waits.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, VecDeque};

use super::{QueueId, Ready};
use crate::model::resources::Demand;
use crate::model::task::TaskId;

/// Most tasks of one step that wait in memory for an equal one or for a retry.
pub(super) const HELD: usize = 256;

/// Most tasks of one step of whose results somebody else is asked at a time.
pub(super) const ASKING: usize = 1024;

/// As much as there is, of what others are given while one waits.
const WHOLE: u64 = 1 << 10;

#[derive(Debug)]
pub(super) struct Queue {
    pub limit: usize,
    pub running: usize,
    /// Tasks parked or pausing, which therefore are in memory and in no queue.
    pub held: usize,
    /// Tasks that wait for an answer, and are in no queue.
    pub asking: usize,
    /// So many that wait for an answer, or had one, are wanted before the first of these is taken.
    pub ahead: usize,
    /// Come back from a park or a pause: before all others, also when too many are held.
    pub again: VecDeque<Ready>,
    pub ready: VecDeque<Ready>,
    pub cursor: TaskId,
    /// Whether the database may have more behind the cursor.
    pub more: bool,
    /// What its tasks take.
    class: usize,
    /// Tasks that take more by now, by how often that was raised, less one.
    raised: Vec<(usize, VecDeque<Ready>)>,
}

impl Queue {
    pub(super) fn new(limit: usize, more: bool) -> Self {
        Self {
            limit,
            running: 0,
            held: 0,
            asking: 0,
            ahead: 0,
            again: VecDeque::new(),
            ready: VecDeque::new(),
            cursor: TaskId(0),
            more,
            class: 0,
            raised: Vec::new(),
        }
    }

    /// Whether a task of the step that takes so much may start, as far as is known without a look at the
    /// database and at what there is left.
    fn is_open(&self, raised: usize) -> bool {
        if self.running >= self.limit {
            return false;
        }
        if let Some(at) = raised.checked_sub(1) {
            return !self.raised[at].1.is_empty();
        }
        let ready = || !self.ready.is_empty() || self.more;
        !self.again.is_empty() || self.has_place() && ready()
    }

    /// Whether one more can be held or asked for, as one that is taken may have to be.
    fn has_place(&self) -> bool {
        self.held < HELD && self.asking < ASKING
    }

    /// Whether those that come next are to be asked for before one that was starts.
    fn is_asked_ahead(&self) -> bool {
        self.asking + self.again.len() < self.ahead
            && self.has_place()
            && (self.more || !self.ready.is_empty())
    }

    fn class(&self, raised: usize) -> usize {
        match raised.checked_sub(1) {
            Some(at) => self.raised[at].0,
            None => self.class,
        }
    }

    /// A task that was taken comes back.
    pub(super) fn comes_again(&mut self, ready: Ready) {
        match usize::from(ready.raised).checked_sub(1) {
            Some(at) => self.raised[at].1.push_back(ready),
            None => self.again.push_back(ready),
        }
    }

    /// The next task that takes so much, if it is in memory.
    pub(super) fn take(&mut self, raised: usize) -> Option<Ready> {
        match raised.checked_sub(1) {
            Some(at) => self.raised[at].1.pop_front(),
            None if self.is_asked_ahead() => self.ready.pop_front(),
            None => self.again.pop_front().or_else(|| self.ready.pop_front()),
        }
    }

    /// How many tasks wait; one stands for all that are in the database alone.
    pub(super) fn count_waiting(&self) -> usize {
        let raised = self.raised.iter().map(|(_, tasks)| tasks.len());
        let known = self.again.len() + self.ready.len() + raised.sum::<usize>();
        known + usize::from(self.more)
    }

    /// Whether tasks wait, as far as is known without a look at the database.
    pub(super) fn has_waiting(&self) -> bool {
        !self.again.is_empty()
            || !self.ready.is_empty()
            || self.more
            || self.raised.iter().any(|(_, tasks)| !tasks.is_empty())
    }
}

/// The fewest running tasks first, then the last in the manifest, then what takes most.
type Place = (usize, Reverse<QueueId>, Reverse<usize>);

/// Queues whose tasks take the same.
#[derive(Debug, Default)]
struct Class {
    demand: Demand,
    /// Those that may start a task, if there is enough left.
    open: BTreeSet<Place>,
    /// What others were given of what these wait for, since they do.
    passed: u64,
}

impl Class {
    /// One of its queues may start a task with so many running, or may not: before, and by now.
    fn moves(
        &mut self,
        (id, raised): (QueueId, usize),
        before: Option<usize>,
        after: Option<usize>,
    ) {
        let place = |running: usize| (running, Reverse(id), Reverse(raised));
        if let Some(running) = before {
            self.open.remove(&place(running));
        }
        if let Some(running) = after {
            self.open.insert(place(running));
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Queues {
    all: Vec<Queue>,
    /// At least one.
    classes: Vec<Class>,
    /// How much there is of each kind, and how much of it is taken: more than there is, where some of it
    /// went away.
    amounts: Vec<u64>,
    taken: Vec<u64>,
    /// The class for which is kept what becomes free.
    kept_for: Option<usize>,
}

impl Queues {
    pub(super) fn new(all: Vec<Queue>) -> Self {
        let mut queues = Self {
            classes: vec![Class::default()],
            all,
            amounts: Vec::new(),
            taken: Vec::new(),
            kept_for: None,
        };
        queues.open_all();
        queues
    }

    /// Has tasks take of these amounts: those of each queue at first, and each time that it is raised.
    pub(super) fn share(
        &mut self,
        amounts: Vec<u64>,
        demands: impl IntoIterator<Item = Vec<Demand>>,
    ) {
        self.taken = vec![0; amounts.len()];
        self.amounts = amounts;
        self.classes.clear();
        let mut numbers: HashMap<Demand, usize> = HashMap::new();
        let classes = &mut self.classes;
        let mut number = |demand: Demand| {
            *numbers.entry(demand).or_insert_with_key(|demand| {
                classes.push(Class {
                    demand: demand.clone(),
                    ..Class::default()
                });
                classes.len() - 1
            })
        };
        for (queue, demands) in self.all.iter_mut().zip(demands) {
            let mut demands = demands.into_iter();
            queue.class = number(demands.next().unwrap_or_default());
            queue.raised = demands
                .map(|demand| (number(demand), VecDeque::new()))
                .collect();
        }
        self.open_all();
    }

    /// There is so much of that kind from now on.
    pub(super) fn set_amount(&mut self, kind: usize, amount: u64) {
        self.amounts[kind] = amount;
    }

    fn open_all(&mut self) {
        for (id, queue) in self.all.iter().enumerate() {
            if queue.is_open(0) {
                let place = (queue.running, Reverse(id), Reverse(0));
                self.classes[queue.class].open.insert(place);
            }
        }
    }

    /// A queue, to look at.
    pub(super) fn of(&self, id: QueueId) -> &Queue {
        &self.all[id]
    }

    /// The only way to change one.
    pub(super) fn change<T>(&mut self, id: QueueId, change: impl FnOnce(&mut Queue) -> T) -> T {
        let queue = &mut self.all[id];
        if !queue.raised.is_empty() {
            return self.change_all(id, change);
        }
        let before = queue.is_open(0).then_some(queue.running);
        let done = change(queue);
        let after = queue.is_open(0).then_some(queue.running);
        if before != after {
            self.classes[queue.class].moves((id, 0), before, after);
        }
        done
    }

    /// The same, with tasks that take more by now.
    fn change_all<T>(&mut self, id: QueueId, change: impl FnOnce(&mut Queue) -> T) -> T {
        let queue = &mut self.all[id];
        let open = |queue: &Queue| -> Vec<Option<usize>> {
            let all = 0..=queue.raised.len();
            all.map(|raised| queue.is_open(raised).then_some(queue.running))
                .collect()
        };
        let before = open(queue);
        let done = change(queue);
        let after = open(queue);
        for (raised, (before, after)) in before.into_iter().zip(after).enumerate() {
            if before != after {
                self.classes[queue.class(raised)].moves((id, raised), before, after);
            }
        }
        done
    }

    /// The step whose task is to start next, and how often what it takes was raised.
    pub(super) fn first(&self) -> Option<(QueueId, usize)> {
        let step = |place: &Place| (place.1.0, place.2.0);
        if self.amounts.is_empty() {
            return self.classes[0].open.first().map(step);
        }
        let kept_for = self.kept();
        if let Some(class) = kept_for.filter(|class| self.is_enough(*class, None)) {
            return self.classes[class].open.first().map(step);
        }
        let fitting = self
            .classes
            .iter()
            .enumerate()
            .filter_map(|(number, class)| {
                let first = class.open.first()?;
                self.is_enough(number, kept_for).then_some(first)
            });
        fitting.min().map(step)
    }

    /// Whether a task waits, be there enough left for it or not.
    pub(super) fn is_any_open(&self) -> bool {
        self.classes.iter().any(|class| !class.open.is_empty())
    }

    /// The class for which is kept what becomes free, if it still waits.
    fn kept(&self) -> Option<usize> {
        self.kept_for
            .filter(|class| !self.classes[*class].open.is_empty())
    }

    /// Whether there is enough left for a task of the class, and for one of that for which is kept what it
    /// waits for.
    fn is_enough(&self, class: usize, kept_for: Option<usize>) -> bool {
        let kept = |kind: usize| {
            let kept_for = kept_for.filter(|kept_for| *kept_for != class);
            let demand = kept_for.map_or(&[][..], |kept_for| &self.classes[kept_for].demand);
            let of_kind = demand.iter().find(|(other, _)| *other == kind);
            of_kind.map_or(0, |(_, amount)| *amount)
        };
        let mut demand = self.classes[class].demand.iter();
        demand.all(|(kind, amount)| {
            let asked = amount.saturating_add(kept(*kind));
            self.taken[*kind].saturating_add(asked) <= self.amounts[*kind]
        })
    }

    /// A task starts: it gets what it takes.
    pub(super) fn give(&mut self, id: QueueId, raised: usize) {
        if self.amounts.is_empty() {
            return;
        }
        let class = self.all[id].class(raised);
        if self.classes[class].demand.is_empty() {
            return;
        }
        for (kind, amount) in &self.classes[class].demand {
            self.taken[*kind] = self.taken[*kind].saturating_add(*amount);
        }
        if self.kept_for == Some(class) {
            self.kept_for = None;
        }
        self.classes[class].passed = 0;
        self.pass(class);
    }

    /// What waits for something that a task of this class was given has waited longer.
    fn pass(&mut self, by: usize) {
        for class in 0..self.classes.len() {
            if class == by {
                continue;
            }
            if self.classes[class].open.is_empty() || self.is_enough(class, None) {
                self.classes[class].passed = 0;
                continue;
            }
            let given = self.classes[by].demand.iter().filter_map(|(kind, amount)| {
                let waits = self.classes[class].demand.iter();
                waits.clone().find(|(other, _)| other == kind)?;
                let all = u128::from(self.amounts[*kind].max(1));
                let part = (u128::from(*amount) * u128::from(WHOLE)).div_ceil(all);
                Some(u64::try_from(part).unwrap_or(WHOLE))
            });
            let given = given.max().unwrap_or(0);
            self.classes[class].passed += given;
        }
        if self.kept().is_none() {
            let waiting = 0..self.classes.len();
            let longest = waiting.max_by_key(|class| self.classes[*class].passed);
            self.kept_for = longest.filter(|class| self.classes[*class].passed >= WHOLE);
        }
    }

    /// A task ended: what it took is there for others.
    pub(super) fn take_back(&mut self, id: QueueId, raised: usize) {
        if self.amounts.is_empty() {
            return;
        }
        let class = self.all[id].class(raised);
        for (kind, amount) in &self.classes[class].demand {
            self.taken[*kind] = self.taken[*kind].saturating_sub(*amount);
        }
    }
}
