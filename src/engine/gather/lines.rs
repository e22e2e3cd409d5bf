//! What stands above tasks, and how much of a runset is before each barrier.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::known::Known;
use crate::engine::step::StepPlan;
use crate::model::barrier::{Barrier, Barriers, Before, Expected, leading};
use crate::model::gather::{Gather, KindId, Line, Role};
use crate::model::name::StepName;
use crate::model::plan::QueueId;
use crate::model::route::Router;
use crate::model::scope::{Counted, Kind, Scopes};
use crate::model::task::TaskId;
use crate::model::waits::Waits;
use crate::state::{self, Buried, Reader, Runset, StepId};

/// Tasks of which it is kept what stands above their children, in each of two generations.
const KEPT: usize = if cfg!(test) { 4 } else { 65_536 };

/// The barriers of a pipeline, with what is known of the tasks of a runset.
#[derive(Debug)]
pub(in crate::engine) struct Lines {
    pub barriers: Barriers,
    pub scopes: Scopes,
    /// For each kind of these, what its groups wait for in all, once that is counted.
    pub waits: Vec<Before>,
    /// Where children of tasks count in `scopes`.
    pub(super) known: Known,
    /// Groups that barriers wait for.
    pub(super) expected: HashMap<(TaskId, KindId), Expected>,
    /// The step of this run that each version is one of.
    versions: HashMap<StepId, QueueId>,
    young: HashMap<TaskId, Line>,
    old: HashMap<TaskId, Line>,
}

impl Lines {
    /// None where no step gathers, nor gets what others leave.
    pub(in crate::engine) fn of(
        state: &Reader,
        steps: &[Arc<StepPlan>],
        router: &Router,
    ) -> Result<Option<Self>, state::Error> {
        let waits = |step: &Arc<StepPlan>| step.gather.is_some() || !step.with.is_empty();
        if !steps.iter().any(waits) {
            return Ok(None);
        }
        let edges: Vec<Vec<QueueId>> = steps
            .iter()
            .map(|step| feeds(step, steps, router))
            .collect();
        let barriers = barriers(steps, router, &edges);
        let kinds = kinds(steps, &edges, &barriers);
        let waits = Waits::of(&barriers, &kinds);
        let held = waits.direct.iter().map(|(kind, at)| {
            let mut of = vec![false; steps.len()];
            barriers[*at].queues().for_each(|queue| of[queue] = true);
            (*kind, *at, of)
        });
        let scopes = Scopes::new(kinds.clone(), held.collect());
        let gathering = kinds.iter().map(|kind| kind.queue).collect();
        let barriers = Barriers::new(barriers, gathering, waits.round);
        if barriers.is_empty() && scopes.is_empty() {
            return Ok(None);
        }
        let queues: HashMap<&str, QueueId> = steps
            .iter()
            .map(|step| (step.name.as_str(), step.queue))
            .collect();
        let versions = state.names_of_versions()?.into_iter();
        let versions = versions
            .filter_map(|(id, name)| Some((id, *queues.get(name.as_str())?)))
            .collect();
        Ok(Some(Self {
            barriers,
            waits: vec![Before::default(); scopes.kinds().len()],
            scopes,
            known: Known::default(),
            expected: HashMap::new(),
            versions,
            young: HashMap::new(),
            old: HashMap::new(),
        }))
    }

    /// Counts what is to be done in the runset; `lost`: whether what failed stays so.
    pub(in crate::engine) fn count(
        &mut self,
        state: &Reader,
        steps: &[Arc<StepPlan>],
        runset: &Runset,
        lost: bool,
    ) -> Result<(), state::Error> {
        for step in steps.iter().filter(|step| step.gather.is_some()) {
            if state.not_gathered(runset, &self.versions_of(step.queue))? == 0 {
                continue;
            }
            if let Some(barrier) = self.barriers.of(step.queue) {
                self.barriers.shut(barrier);
            }
            if let Some(kind) = self.scopes.kind_of(step.queue) {
                self.scopes.shut(kind);
            }
        }
        state.each_unfinished(runset, |some| {
            // What no step of the manifest does is not waited for.
            let Some(queue) = self.versions.get(&some.step).copied() else {
                return Ok(());
            };
            let line = match (some.role, some.parent) {
                (Role::Gather, Some(_)) => self.through(state, some.one)?,
                (_, parent) => self.above(state, queue, parent)?,
            };
            let place = self.place(state, some.parent, queue)?;
            self.barriers.created(queue, line, some.count);
            let counted = self.counted(queue, line);
            self.scopes.created(place, counted, some.count);
            if lost {
                for kind in self.scopes.waiting(place, counted) {
                    self.waits[kind].left += some.count.saturating_sub(some.failed);
                    self.waits[kind].failed += some.failed;
                }
                self.barriers.failed(queue, line, some.failed);
                self.scopes.failed(place, counted, some.failed);
            }
            Ok(())
        })
    }

    /// What counts of a task of `queue` with that line.
    pub(super) fn counted(&self, queue: QueueId, line: Line) -> Counted {
        let level = self.barriers.level(line);
        Counted { queue, level }
    }

    fn versions_of(&self, queue: QueueId) -> Vec<StepId> {
        let versions = self.versions.iter().filter(|(_, of)| **of == queue);
        versions.map(|(id, _)| *id).collect()
    }

    /// What stands above a task of `queue`.
    fn above(
        &mut self,
        state: &Reader,
        queue: QueueId,
        parent: Option<TaskId>,
    ) -> Result<Line, state::Error> {
        match parent {
            Some(parent) => self.below(state, parent, queue),
            None => Ok(self.barriers.along(Line::default(), queue)),
        }
    }

    /// The step of this run that a version is one of.
    pub(super) fn queue_of(&self, version: StepId) -> Option<QueueId> {
        self.versions.get(&version).copied()
    }

    /// What stands above a task of `queue` that is a child of `parent`.
    pub(in crate::engine) fn below(
        &mut self,
        state: &Reader,
        parent: TaskId,
        queue: QueueId,
    ) -> Result<Line, state::Error> {
        let line = self.through(state, parent)?;
        Ok(self.barriers.along(line, queue))
    }

    /// What stands above the children of `task`.
    pub(in crate::engine) fn through(
        &mut self,
        state: &Reader,
        task: TaskId,
    ) -> Result<Line, state::Error> {
        let mut missing = Vec::new();
        let mut line = Line::default();
        let mut next = Some(task);
        while let Some(at) = next {
            if let Some(known) = self.young.get(&at).or_else(|| self.old.get(&at)) {
                line = *known;
                break;
            }
            let Some(origin) = state.origin(at)? else {
                break;
            };
            next = origin.parent;
            let queue = origin.step.and_then(|step| self.versions.get(&step));
            let gathers = origin.role == Role::Gather && next.is_some();
            missing.push((at, queue.copied(), gathers));
        }
        for (at, queue, gathers) in missing.into_iter().rev() {
            if let Some(queue) = queue {
                line = self.barriers.along(line, queue);
            }
            // What it gathered may have waited for more than the task that all of it descends from.
            if gathers && self.barriers.give() {
                for maker in state.makers_of_members(at)? {
                    let other = self.through(state, maker)?;
                    line = self.barriers.both(line, other);
                }
            }
            self.keep(at, line);
        }
        Ok(line)
    }

    /// Notes what stands above the children of a task.
    pub(in crate::engine) fn keep(&mut self, task: TaskId, line: Line) {
        if self.young.len() >= KEPT {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(task, line);
    }

    /// These were to be done, and are dead; and others are to be done in the place of some. The steps
    /// that these are of.
    pub(in crate::engine) fn bury(
        &mut self,
        state: &Reader,
        Buried { unfinished, made }: &Buried,
    ) -> Result<HashSet<QueueId>, state::Error> {
        for task in unfinished {
            let line = self.through(state, *task)?;
            let Some(origin) = state.origin(*task)? else {
                continue;
            };
            if let Some(queue) = origin.step.and_then(|step| self.queue_of(step)) {
                self.barriers.ended(queue, line);
                let place = self.place(state, origin.parent, queue)?;
                let counted = self.counted(queue, line);
                self.scopes.ended(place, counted);
            }
        }
        let mut more = HashSet::new();
        for one in made {
            let Some(queue) = self.versions.get(&one.step).copied() else {
                continue;
            };
            let line = self.above(state, queue, one.parent)?;
            self.barriers.created(queue, line, 1);
            let place = self.place(state, one.parent, queue)?;
            let counted = self.counted(queue, line);
            self.scopes.created(place, counted, 1);
            more.insert(queue);
        }
        Ok(more)
    }
}

/// The barriers that the steps make: in the order of the manifest, but each behind those of the steps
/// that it names.
fn barriers(steps: &[Arc<StepPlan>], router: &Router, edges: &[Vec<QueueId>]) -> Vec<Barrier> {
    let mut all: Vec<Barrier> = Vec::new();
    let mut seen = vec![false; steps.len()];
    for step in steps {
        add_barriers(step, steps, router, &mut seen, &mut all);
    }
    let mut later = vec![false; steps.len()];
    for barrier in all.iter_mut().rev() {
        barrier.queues().for_each(|own| later[own] = true);
        let mut targets = barrier.with.clone();
        if barrier.gathers() {
            targets.push(barrier.queue);
        }
        barrier.fed_by = leading(edges, &targets, &later);
        // What these leave themselves is waited for.
        let given = barrier.with.iter();
        given.for_each(|source| barrier.fed_by[*source] = true);
    }
    all
}

/// Adds those of the steps that this one names, and then its own.
fn add_barriers(
    step: &StepPlan,
    steps: &[Arc<StepPlan>],
    router: &Router,
    seen: &mut [bool],
    all: &mut Vec<Barrier>,
) {
    if std::mem::replace(&mut seen[step.queue], true) {
        return;
    }
    let from = step.from.iter().map(|source| &source.step);
    let named = from.chain(&step.with);
    let named = named.filter_map(|name| steps.iter().find(|other| other.name == *name));
    let owner = match step.gather {
        Some(Gather::Below(owner)) => Some(&steps[owner]),
        Some(Gather::All | Gather::ByKey) | None => None,
    };
    for other in named.chain(owner) {
        add_barriers(other, steps, router, seen, all);
    }
    if !router.leads_to(&step.name) {
        return;
    }
    let barrier = |with: Vec<QueueId>| Barrier {
        queue: step.queue,
        others: Vec::new(),
        partial: step.partial && with.is_empty(),
        with,
        fed_by: Vec::new(),
    };
    let named = |other: &&Arc<StepPlan>| step.with.contains(&other.name);
    let with: Vec<QueueId> = steps
        .iter()
        .filter(named)
        .map(|other| other.queue)
        .collect();
    match all.iter_mut().find(|known| known.with == with) {
        _ if with.is_empty() => {}
        Some(known) => known.others.push(step.queue),
        None => all.push(barrier(with)),
    }
    if step.gather.is_some_and(Gather::is_barrier) {
        all.push(barrier(Vec::new()));
    }
}

/// The steps that gather what descends from each task of another one, in the order of the manifest.
fn kinds(steps: &[Arc<StepPlan>], edges: &[Vec<QueueId>], barriers: &[Barrier]) -> Vec<Kind> {
    let gathers_all = |step: &Arc<StepPlan>| step.gather.is_some_and(Gather::is_barrier);
    let ends = |own: &StepPlan| -> Vec<bool> {
        let waits = |step: &Arc<StepPlan>| gathers_all(step) || waits_for(step, own, steps);
        steps.iter().map(waits).collect()
    };
    let kind = |step: &Arc<StepPlan>| match step.gather? {
        Gather::All | Gather::ByKey => None,
        Gather::Below(owner) => Some(Kind {
            queue: step.queue,
            owner,
            partial: step.partial,
            fed_by: leading(edges, &[step.queue], &ends(step)),
            too_late: barriers.iter().position(|barrier| {
                !barrier.gathers() && waits_for(&steps[barrier.queue], step, steps)
            }),
            shut: false,
        }),
    };
    steps.iter().filter_map(kind).collect()
}

/// Whether tasks of `step` get what `source` leaves, or what is made of that for certain: nothing of
/// theirs can be for `source`.
fn waits_for(step: &StepPlan, source: &StepPlan, steps: &[Arc<StepPlan>]) -> bool {
    let mut seen = vec![false; steps.len()];
    let mut next: Vec<&StepName> = step.with.iter().collect();
    while let Some(name) = next.pop() {
        if *name == source.name {
            return true;
        }
        let named = steps.iter().find(|other| other.name == *name);
        let new = named.filter(|other| !std::mem::replace(&mut seen[other.queue], true));
        if let Some(other) = new {
            next.extend(other.from.iter().map(|source| &source.step));
            next.extend(&other.with);
        }
    }
    false
}

/// The steps that outputs of this one may go to, and those that gather what descends from its tasks.
fn feeds(step: &StepPlan, steps: &[Arc<StepPlan>], router: &Router) -> Vec<QueueId> {
    let may_feed = |other: &&Arc<StepPlan>| match &step.outputs {
        // Whoever gets what it leaves does its work again for that.
        _ if other.with.contains(&step.name) => true,
        None => true,
        Some(patterns) => {
            let mut patterns = patterns.iter();
            let mut sources = other.from.iter();
            patterns.any(|pattern| router.may_go(pattern, &other.name))
                || sources.any(|source| source.step == step.name)
                || other.gather == Some(Gather::Below(step.queue))
        }
    };
    let fed = steps.iter().filter(may_feed);
    fed.map(|other| other.queue).collect()
}
