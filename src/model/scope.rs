//! What is still to be done below tasks whose descendants another step gathers.
//!
//! A task whose step's descendants are gathered is an *owner*: it has a group for each step that gathers
//! so, complete once nothing below it is left that may lead there. What follows from the task that
//! works on a group does not count for that group, nor for those of steps further up in the manifest,
//! so that of two steps which gather below the same task the later one takes in what the first one
//! leaves. Owners stand below owners; each counts itself in the next one above as long as anything is
//! left of it, so that the end of a task changes few numbers however many stand above it.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::model::barrier::Before;
use crate::model::gather::BarrierId;
use crate::model::gather::KindId;
use crate::model::plan::QueueId;
use crate::model::task::TaskId;

/// Such a step.
#[derive(Debug, Clone)]
pub struct Kind {
    /// The step itself.
    pub queue: QueueId,
    /// The step whose tasks have a group each.
    pub owner: QueueId,
    /// Whether it gathers although something failed for good.
    pub partial: bool,
    /// Which steps' tasks may lead to it.
    pub fed_by: Vec<bool>,
    /// The first barrier that waits for all that comes of it: what is of that level or above may not lead
    /// to it any more.
    pub too_late: Option<BarrierId>,
    /// Whether it gathers nothing, in this run.
    pub shut: bool,
}

/// What counts of a task.
#[derive(Debug, Clone, Copy)]
pub struct Counted {
    /// Its step.
    pub queue: QueueId,
    /// The last barrier above it.
    pub level: Option<BarrierId>,
}

/// Where a task counts: below this one, and there as, or behind, the one that works on what that
/// step gathers, if it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// An owner, or a task that works on a group.
    pub node: TaskId,
    /// Whose group it is, of the owner.
    pub behind: Option<KindId>,
}

/// A task below which others count.
#[derive(Debug)]
struct Node {
    queue: QueueId,
    above: Option<Place>,
    /// Whether the task itself is not all recorded.
    begun: bool,
    /// For each counter, what its group waits for: tasks, and nodes below with any.
    inner: Box<[Before]>,
    /// The same with what does not count for the group.
    all: Box<[Before]>,
}

/// The group that something belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Belongs {
    /// That of this owner.
    To(TaskId),
    /// None: no task of the step is above.
    Nowhere,
    /// One of an owner, whose task it comes from, or which was to be complete before what it comes from.
    Behind(KindId),
}

/// What is counted below each owner.
#[derive(Debug)]
struct Counter {
    kind: KindId,
    /// Of what leads to the kind, that which waits at this barrier; all, without.
    held_at: Option<BarrierId>,
    /// The steps whose tasks count.
    of: Vec<bool>,
}

/// How a group stands that is not complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incomplete {
    /// Whether it is known that it will not be complete in this run.
    pub failed: bool,
    /// The barriers that some of what it waits for waits at.
    pub held_at: Box<[BarrierId]>,
}

/// Tasks that are known though there is nothing left below them: which it takes time to find out again.
const MANY: usize = if cfg!(test) { 2 } else { 16_384 };

/// All that is left below owners.
#[derive(Debug, Default)]
pub struct Scopes {
    kinds: Vec<Kind>,
    /// Of each kind the one of all that leads to it, in their order; then others.
    counters: Vec<Counter>,
    nodes: HashMap<TaskId, Node>,
    /// Those that are to be looked at.
    due: BTreeSet<TaskId>,
    /// Whether a group has become complete since that was asked for.
    opened: bool,
    /// Owners whose groups may stand otherwise since that was asked for.
    changed: HashSet<TaskId>,
}

/// By how much a number of [`Before`] changes.
#[derive(Debug, Clone, Copy)]
struct Change {
    left: i64,
    failed: i64,
}

impl Change {
    fn apply(self, to: &mut Before) -> Self {
        let was = *to;
        to.left = to.left.saturating_add_signed(self.left);
        to.failed = to.failed.saturating_add_signed(self.failed);
        let step = |was: u64, is: u64| i64::from(is > 0) - i64::from(was > 0);
        Self {
            left: step(was.left, to.left),
            failed: step(was.failed, to.failed),
        }
    }

    fn is_none(self) -> bool {
        self.left == 0 && self.failed == 0
    }
}

impl Kind {
    /// Whether nothing of that level may lead to it any more.
    pub fn is_too_late(&self, level: Option<BarrierId>) -> bool {
        self.too_late
            .is_some_and(|at| level.is_some_and(|level| level >= at))
    }
}

impl Scopes {
    /// For these steps, with nothing counted yet; and for these pairs it is counted what of those waits at
    /// the barrier, which are the tasks of these steps.
    pub fn new(kinds: Vec<Kind>, held: Vec<(KindId, BarrierId, Vec<bool>)>) -> Self {
        let all = kinds.iter().enumerate().map(|(kind, own)| Counter {
            kind,
            held_at: None,
            of: own.fed_by.clone(),
        });
        let held = held.into_iter().map(|(kind, at, of)| Counter {
            kind,
            held_at: Some(at),
            of: of
                .iter()
                .zip(&kinds[kind].fed_by)
                .map(|(of, fed)| *of && *fed)
                .collect(),
        });
        Self {
            counters: all.chain(held).collect(),
            kinds,
            ..Self::default()
        }
    }

    /// Whether no step gathers so.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// The steps.
    pub fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    /// Has one gather nothing, in this run.
    pub fn shut(&mut self, kind: KindId) {
        self.kinds[kind].shut = true;
    }

    /// Which of these a step is.
    pub fn kind_of(&self, queue: QueueId) -> Option<KindId> {
        self.kinds.iter().position(|kind| kind.queue == queue)
    }

    /// Whether what descends from the tasks of that step is gathered.
    pub fn is_owner(&self, queue: QueueId) -> bool {
        self.kinds.iter().any(|kind| kind.owner == queue)
    }

    /// Whether it is known what is left below the task.
    pub fn has(&self, task: TaskId) -> bool {
        self.nodes.contains_key(&task)
    }

    /// Begins to count below a task of that step, which counts in that place itself. `begun`: it is
    /// not recorded as a whole.
    pub fn open(&mut self, task: TaskId, queue: QueueId, above: Option<Place>, begun: bool) {
        let none = || vec![Before::default(); self.counters.len()].into_boxed_slice();
        let (inner, all) = (none(), none());
        self.changed.insert(task);
        self.nodes.entry(task).or_insert_with(|| Node {
            queue,
            above,
            begun,
            inner,
            all,
        });
    }

    fn change(&mut self, place: Option<Place>, task: Counted, change: Change) {
        for counter in 0..self.counters.len() {
            let Counter { kind, of, .. } = &self.counters[counter];
            if of[task.queue] && !self.kinds[*kind].is_too_late(task.level) {
                self.change_one(place, counter, change);
            }
        }
    }

    fn change_one(&mut self, mut place: Option<Place>, counter: usize, mut change: Change) {
        let kind = self.counters[counter].kind;
        while let Some(Place { node: task, behind }) = place {
            let Some(node) = self.nodes.get_mut(&task) else {
                return;
            };
            if behind.is_none_or(|behind| behind < kind) {
                if !change.apply(&mut node.inner[counter]).is_none() {
                    self.changed.insert(task);
                }
                if node.inner[counter].left == 0 {
                    self.due.insert(task);
                    self.opened = true;
                }
            }
            change = change.apply(&mut node.all[counter]);
            if node.all[counter].left == 0 {
                self.due.insert(task);
            }
            if change.is_none() {
                return;
            }
            place = node.above;
        }
    }

    /// So many more tasks of that step are to be done there.
    pub fn created(&mut self, place: Option<Place>, task: Counted, count: u64) {
        let left = i64::try_from(count).unwrap_or(i64::MAX);
        self.change(place, task, Change { left, failed: 0 });
    }

    /// One was finished, or is not to be done any more.
    pub fn ended(&mut self, place: Option<Place>, task: Counted) {
        let change = Change {
            left: -1,
            failed: 0,
        };
        self.change(place, task, change);
    }

    /// So many failed for the last time in this run.
    pub fn failed(&mut self, place: Option<Place>, task: Counted, count: u64) {
        let failed = i64::try_from(count).unwrap_or(i64::MAX);
        let left = -failed;
        self.change(place, task, Change { left, failed });
    }

    /// A task has all its outputs: its own groups may be complete. They are looked at.
    pub fn recorded(&mut self, task: TaskId) {
        if let Some(node) = self.nodes.get_mut(&task) {
            node.begun = false;
            self.due.insert(task);
            self.changed.insert(task);
        }
    }

    /// Whether nothing more can come to that group of the owner, in this run.
    fn is_open(&self, task: TaskId, kind: KindId) -> bool {
        if self.kinds[kind].shut {
            return false;
        }
        let Some(node) = self.nodes.get(&task) else {
            return true;
        };
        let Before { left, failed } = node.inner[kind];
        !node.begun && left == 0 && (failed == 0 || self.kinds[kind].partial)
    }

    /// An owner some of whose groups may be complete by now, with the lowest ones first.
    pub fn next_due(&mut self) -> Option<TaskId> {
        while let Some(task) = self.due.pop_last() {
            let Some(node) = self.nodes.get(&task) else {
                continue;
            };
            if self.is_owner(node.queue) && !node.begun {
                return Some(task);
            }
            self.close(task);
        }
        None
    }

    /// The groups of the owner that are complete, if any of them has no task.
    pub fn complete(&self, task: TaskId) -> Vec<KindId> {
        let Some(node) = self.nodes.get(&task) else {
            return Vec::new();
        };
        let kinds = self.kinds.iter().enumerate();
        kinds
            .filter(|(at, kind)| kind.owner == node.queue && self.is_open(task, *at))
            .map(|(at, _)| at)
            .collect()
    }

    /// Owners whose groups may stand otherwise since this was asked.
    pub fn take_changed(&mut self) -> HashSet<TaskId> {
        std::mem::take(&mut self.changed)
    }

    /// How a group of that kind of the owner stands, if it is not complete and may be.
    pub fn incomplete_one(&self, task: TaskId, kind: KindId) -> Option<Incomplete> {
        let node = self.nodes.get(&task)?;
        if node.queue != self.kinds[kind].owner || self.kinds[kind].shut || self.is_open(task, kind)
        {
            return None;
        }
        let held = self.counters.iter().zip(&node.inner);
        let held = held.filter(|(counter, inner)| counter.kind == kind && inner.left > 0);
        Some(Incomplete {
            failed: !node.begun && node.inner[kind].left == 0,
            held_at: held.filter_map(|(counter, _)| counter.held_at).collect(),
        })
    }

    /// Whether any group waits for what waits at that barrier.
    pub fn waits_at(&self, barrier: BarrierId) -> bool {
        let counters = self.counters.iter().enumerate();
        let mut own = counters.filter(|(_, counter)| counter.held_at == Some(barrier));
        own.any(|(at, _)| self.nodes.values().any(|node| node.inner[at].left > 0))
    }

    /// Forgets a task below which there is nothing.
    pub fn close(&mut self, task: TaskId) {
        let is_quiet = |node: &Node| !node.begun && node.all.iter().all(|all| all.is_nothing());
        if self.nodes.get(&task).is_some_and(is_quiet) {
            self.nodes.remove(&task);
        }
    }

    /// A task in that place has ended: where very many are known, forgets the one that it counts below, if there is
    /// nothing left and it is not to be looked at. What is forgotten is as good as complete, and known anew when asked
    /// for.
    pub fn let_go(&mut self, place: Option<Place>) {
        let Some(Place { node, .. }) = place.filter(|_| self.nodes.len() > MANY) else {
            return;
        };
        if !self.due.contains(&node) {
            self.close(node);
        }
    }

    /// Whether a task there must not start, as what it comes from may change yet.
    pub fn is_held(&self, mut place: Option<Place>) -> bool {
        while let Some(Place { node, behind }) = place {
            if behind.is_some_and(|kind| !self.is_open(node, kind)) {
                return true;
            }
            place = self.nodes.get(&node).and_then(|node| node.above);
        }
        false
    }

    /// Whether any group became complete since this was asked.
    pub fn take_opened(&mut self) -> bool {
        std::mem::take(&mut self.opened)
    }

    /// Which group of a kind that belongs to which stands in this place.
    pub fn belongs(&self, mut place: Option<Place>, kind: KindId) -> Belongs {
        let owner = self.kinds[kind].owner;
        while let Some(Place { node: task, behind }) = place {
            let Some(node) = self.nodes.get(&task) else {
                break;
            };
            if node.queue == owner {
                return match behind.filter(|behind| *behind >= kind) {
                    Some(behind) => Belongs::Behind(behind),
                    None => Belongs::To(task),
                };
            }
            place = node.above;
        }
        Belongs::Nowhere
    }

    /// The kinds whose groups wait for a task of that step in that place.
    pub fn waiting(&self, mut place: Option<Place>, task: Counted) -> Vec<KindId> {
        let Counted { queue, level } = task;
        let mut waiting = BTreeSet::new();
        let leads = |kind: &KindId| {
            let kind = &self.kinds[*kind];
            kind.fed_by[queue] && !kind.is_too_late(level)
        };
        while let Some(Place { node, behind }) = place {
            let Some(node) = self.nodes.get(&node) else {
                break;
            };
            let of_node = |kind: &KindId| {
                let counts = behind.is_none_or(|behind| behind < *kind);
                self.kinds[*kind].owner == node.queue && counts
            };
            waiting.extend((0..self.kinds.len()).filter(|kind| leads(kind) && of_node(kind)));
            place = node.above;
        }
        let own = |kind: &KindId| self.kinds[*kind].owner == queue;
        waiting.extend((0..self.kinds.len()).filter(own));
        waiting.into_iter().collect()
    }

    /// Owners whose group of that kind is not complete.
    pub fn incomplete(&self, kind: KindId) -> impl Iterator<Item = TaskId> {
        let owner = self.kinds[kind].owner;
        let nodes = self.nodes.iter();
        nodes
            .filter(move |(task, node)| node.queue == owner && !self.is_open(**task, kind))
            .map(|(task, _)| *task)
    }
}

#[cfg(test)]
mod tests;
