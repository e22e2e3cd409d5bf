//! What a run would do, found out on a copy of the state by what a run decides with.

mod again;
mod take;
mod told;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::Error;
use super::elsewhere::question;
use super::gather::{
    Lines, complete_group, complete_groups, context, key_of_pair, list_given, list_of,
};
use super::key::key_of;
use super::makers::Makers;
use super::reuse::{key, look};
use super::rings::Rings;
use super::selection::{Part, Selection};
use super::sharing::Question;
use super::step::{ReuseScope, StepPlan};
use crate::model::digest::Digest;
use crate::model::gather::BarrierId;
use crate::model::list::{self, Form};
use crate::model::name::StepName;
use crate::model::plan::{Key, QueueId, Ready};
use crate::model::route::Router;
use crate::model::task::{TaskId, TaskState};
use crate::state::{Buried, Group, NewGather, NewPair, Runset, State, StepId};
use crate::store;
pub(super) use again::{Again, Hindrance};
pub(crate) use told::{DryRun, Earlier, Reason};

/// Tasks looked at together.
const STRETCH: usize = 256;

/// Tells, for each of `steps`, what a run of `runset` would do. Reuse is carried out, in `state`:
/// it must be a copy. `selection`: the part that is to run, if not all is. `others_have`: whether somebody else has a
/// result. `earlier`: what the same run would do before, in other runsets; this one is added.
pub(crate) fn dry_run(
    state: &mut State,
    store: &store::Reader,
    steps: &[Arc<StepPlan>],
    router: &Router,
    (runset, selection): (&Runset, Option<Selection>),
    earlier: &mut Earlier,
    others_have: &mut dyn FnMut(&Question) -> bool,
) -> Result<Vec<DryRun>, Error> {
    let lines = Lines::of(state, steps, router)?;
    let mut forecaster = DryRunner {
        lines,
        held: Vec::new(),
        contexts: HashMap::new(),
        state,
        store,
        steps,
        by_name: steps.iter().map(|step| (&step.name, step.id)).collect(),
        router,
        runset,
        seen: HashSet::new(),
        rings: Rings::default(),
        told: vec![DryRun::default(); steps.len()],
        part: selection.map(Part::new),
        again: Again::default(),
        decided: HashSet::new(),
        hindered: BTreeMap::new(),
        before: None,
        earlier,
        others_have,
    };
    forecaster.finals()?;
    forecaster.all()?;
    forecaster.keep_for_later()?;
    Ok(forecaster.told)
}

struct DryRunner<'a> {
    state: &'a mut State,
    store: &'a store::Reader,
    steps: &'a [Arc<StepPlan>],
    by_name: HashMap<&'a StepName, StepId>,
    router: &'a Router,
    runset: &'a Runset,
    /// Tasks that would be executed.
    seen: HashSet<Key>,
    rings: Rings,
    told: Vec<DryRun>,
    /// What steps gather; none where none does.
    lines: Option<Lines>,
    held: Vec<(QueueId, Ready)>,
    part: Option<Part>,
    /// What tasks get at a barrier besides their inputs.
    contexts: HashMap<BarrierId, Digest>,
    again: Again,
    /// Tasks that are to be done still, of which it is told what becomes of them.
    decided: HashSet<TaskId>,
    /// How many wait for bytes that are made again only by what takes the place of others.
    hindered: BTreeMap<QueueId, u64>,
    /// The newest task before some were superseded for the sake of bytes.
    before: Option<TaskId>,
    earlier: &'a mut Earlier,
    others_have: &'a mut dyn FnMut(&Question) -> bool,
}

impl DryRunner<'_> {
    /// Final outputs have their bytes, whatever else there is to do.
    fn finals(&mut self) -> Result<(), Error> {
        let wanted = self.makers().of_finals()?;
        self.make_again(&wanted).map(drop)
    }

    fn makers(&self) -> Makers<'_> {
        Makers {
            state: self.state,
            store: self.store,
            steps: self.steps,
            runset: self.runset,
            made: Some(&self.earlier.made),
        }
    }

    /// What these left is needed, and was dropped; what hinders that it is made again, if anything.
    fn make_again(&mut self, wanted: &BTreeSet<TaskId>) -> Result<Option<Hindrance>, Error> {
        let mut again = std::mem::take(&mut self.again);
        let mut told = std::mem::take(&mut self.told);
        let counted = again.count(&self.makers(), wanted, |queue| told[queue].again += 1);
        (self.again, self.told) = (again, told);
        counted
    }

    /// Until nothing more is superseded for the sake of bytes.
    fn all(&mut self) -> Result<(), Error> {
        loop {
            self.until_all_is_decided()?;
            if !self.supersede()? {
                break;
            }
        }
        for (queue, count) in std::mem::take(&mut self.hindered) {
            self.told[queue].stays(None, count);
        }
        Ok(())
    }

    /// As a run does once all else is done; whether there was anything.
    fn supersede(&mut self) -> Result<bool, Error> {
        let others = self.again.take_others();
        if others.is_empty() {
            return Ok(false);
        }
        let current: Vec<StepId> = self.steps.iter().map(|step| step.id).collect();
        self.before = Some(self.state.newest_task()?);
        let (again, _) = self.state.redo_all(self.runset, &current, &others, true)?;
        self.state.commit()?;
        if again == 0 {
            return Ok(false);
        }
        self.lines = Lines::of(self.state, self.steps, self.router)?;
        self.held.clear();
        self.contexts.clear();
        self.hindered.clear();
        for told in &mut self.told {
            (told.held, told.gathers) = (0, false);
        }
        Ok(true)
    }

    /// Until reuse brings up no more tasks.
    fn until_all_is_decided(&mut self) -> Result<(), Error> {
        let mut cursors = vec![TaskId(0); self.steps.len()];
        if let Some(lines) = &mut self.lines {
            lines.count(self.state, self.steps, self.runset, false)?;
            lines.look_at_groups(self.state, self.steps, self.runset)?;
        }
        self.gather()?;
        loop {
            let mut found = false;
            for (step, cursor) in self.steps.iter().zip(&mut cursors) {
                let tasks = self
                    .state
                    .unfinished(self.runset, step.id, *cursor, STRETCH)?;
                for ready in tasks {
                    found = true;
                    *cursor = ready.id;
                    if self.decided.contains(&ready.id) {
                        continue;
                    }
                    self.decide_in_time(step, ready)?;
                }
            }
            if !found && !self.gather()? {
                return Ok(());
            }
        }
    }

    /// Makes the tasks of what is complete; whether there is more to decide now.
    fn gather(&mut self) -> Result<bool, Error> {
        let mut passed = false;
        loop {
            passed |= self.complete_scopes()?;
            let Some(lines) = &mut self.lines else {
                break;
            };
            lines.settle(self.state)?;
            let Some(barrier) = lines.barriers.pass() else {
                break;
            };
            passed = true;
            let at = lines.barriers.at(barrier);
            let step = &self.steps[at.queue];
            if !at.gathers() {
                let list = self.given_at(barrier, &step.with)?;
                let buried = self.state.gives_this(self.runset, &step.with, &list)?;
                self.bury(&buried)?;
                continue;
            }
            let Some(gather) = step.gather else {
                continue;
            };
            let mut last: Option<Group> = None;
            loop {
                let behind = (gather, last.as_ref());
                let mut groups = complete_groups(self.state, self.runset, step, behind)?;
                for group in &groups {
                    self.make_task(step, group)?;
                }
                let Some(group) = groups.pop() else {
                    break;
                };
                last = Some(group);
            }
        }
        let held = std::mem::take(&mut self.held);
        for (queue, ready) in held {
            self.told[queue].held -= 1;
            self.decide_in_time(&self.steps[queue], ready)?;
        }
        if let Some(lines) = &self.lines {
            let gathering = lines
                .barriers
                .all()
                .filter(|(_, barrier)| barrier.gathers());
            for (at, barrier) in gathering {
                self.told[barrier.queue].gathers = !lines.barriers.before(at).is_nothing();
            }
            for (at, kind) in lines.scopes.kinds().iter().enumerate() {
                self.told[kind.queue].gathers = lines.scopes.incomplete(at).next().is_some();
            }
        }
        Ok(passed)
    }

    fn complete_scopes(&mut self) -> Result<bool, Error> {
        let mut passed = false;
        while let Some(lines) = &mut self.lines
            && let Some(owner) = lines.scopes.next_due()
        {
            for kind in 0..lines.scopes.kinds().len() {
                let Some(lines) = &self.lines else {
                    break;
                };
                if !lines.scopes.complete(owner).contains(&kind) {
                    continue;
                }
                let step = &self.steps[lines.scopes.kinds()[kind].queue];
                let group = complete_group(self.state, self.router, self.runset, step, owner)?;
                if let Some(group) = group {
                    self.make_task(step, &group)?;
                    passed = true;
                }
            }
            if let Some(lines) = &mut self.lines {
                lines.scopes.close(owner);
            }
        }
        Ok(passed)
    }

    fn make_task(&mut self, step: &StepPlan, group: &Group) -> Result<(), Error> {
        let (list, _) = list_of(self.state, None, group.id)?;
        let new = NewGather {
            list,
            step: step.id,
            group,
        };
        let (task, _) = self.state.add_gather(self.runset, &new)?;
        if let Some(lines) = &mut self.lines {
            lines.created_for(self.state, step.queue, (task, group.owner))?;
        }
        Ok(())
    }

    /// Decides about a task, or keeps it for later.
    fn decide_in_time(&mut self, step: &Arc<StepPlan>, mut ready: Ready) -> Result<(), Error> {
        if let Some(part) = &mut self.part
            && (part.is_without(step.queue) || part.passes_over(self.state, &ready)?)
        {
            self.told[step.queue].left_out += 1;
            self.decided.insert(ready.id);
            return Ok(());
        }
        if step.reads_key {
            ready.key = Some(key_of(self.state, self.router, ready.id)?.into());
        }
        if let Some(lines) = &mut self.lines {
            ready.line = lines.above_of(self.state, step, &ready)?;
            if lines.is_held(self.state, step.queue, &ready)? {
                self.told[step.queue].held += 1;
                self.held.push((step.queue, ready));
                return Ok(());
            }
            if let Some(barrier) = lines.barriers.with(step.queue)
                && ready.context.is_none()
            {
                if step.each {
                    return self.pair(step, &ready);
                }
                ready.context = Some(Box::new(self.given_at(barrier, &step.with)?));
            }
        }
        self.decide(step, &ready)
    }

    /// What is given there, which is certain as soon as nothing is held.
    fn given_at(&mut self, barrier: BarrierId, with: &[StepName]) -> Result<Digest, Error> {
        if let Some(known) = self.contexts.get(&barrier) {
            return Ok(*known);
        }
        let list = list_given(self.state, self.router, self.runset, with, None)?;
        self.contexts.insert(barrier, list);
        Ok(list)
    }

    /// Puts its pairs in the place of a task, which come up in their turn.
    fn pair(&mut self, step: &StepPlan, ready: &Ready) -> Result<(), Error> {
        let text = context(self.state, self.router, self.runset, &step.with)?;
        let about = key_of(self.state, self.router, ready.id)?;
        let mut pairs = 0;
        for (name, alone) in list::each_alone(&text) {
            let key = key_of_pair(self.router, &about, &name);
            let pair = NewPair {
                own: ready.id,
                step: step.id,
                context: Digest::of(alone.as_bytes()),
                key: &key,
            };
            self.state.add_pair(self.runset, &pair)?;
            pairs += 1;
        }
        let task = (ready.id, step.id, ready.state);
        let list = Digest::of(text.as_bytes());
        self.state.stand_for_pairs(self.runset, task, &list)?;
        if let Some(lines) = &mut self.lines {
            lines.paired(self.state, step.queue, ready, pairs)?;
        }
        Ok(())
    }

    fn decide(&mut self, step: &StepPlan, ready: &Ready) -> Result<(), Error> {
        self.decided.insert(ready.id);
        let key = key(step, ready);
        let refused = self
            .rings
            .refuse(self.state, self.steps, step, ready, key.as_ref())?;
        if refused.is_some() {
            self.told[step.queue].refused += 1;
            if let Some(lines) = &mut self.lines {
                lines.failed(self.state, step.queue, ready)?;
            }
            return Ok(());
        }
        let Some(key) = key else {
            let reason = if ready.forced {
                Reason::Forced
            } else {
                Reason::NeverReused
            };
            return self.runs(step, ready, reason).map(drop);
        };
        let is_of_any = step.scope != ReuseScope::Runset;
        if self.seen.contains(&key) || is_of_any && self.earlier.seen.contains(&key) {
            self.told[step.queue].wait += 1;
            return Ok(());
        }
        let look = |scope| look(self.state, step, &key, scope, &self.runset.name);
        let reason = match look(step.scope)? {
            Some(source) => {
                if self.take(step, ready, source)? {
                    return Ok(());
                }
                Reason::Lost
            }
            None if step.scope != ReuseScope::Any && look(ReuseScope::Any)?.is_some() => {
                Reason::OutOfScope
            }
            None if ready.state == TaskState::Failed => Reason::Failed,
            None => Reason::New,
        };
        let question = question(step, ready, &key);
        if question.is_some_and(|question| (self.others_have)(&question)) {
            self.told[step.queue].shared += 1;
            self.seen.insert(key);
        } else if self.runs(step, ready, reason)? {
            self.seen.insert(key);
        }
        Ok(())
    }

    /// The next runset finds what this one would leave.
    fn keep_for_later(&mut self) -> Result<(), Error> {
        let mut made = Vec::new();
        for maker in self.again.able() {
            self.state
                .each_output(maker, |_, object, form| made.push((object, form)))?;
        }
        for (object, form) in made {
            self.earlier.made.insert(object);
            if form == Form::Folder {
                self.store.each_named(&object, |within, _| {
                    self.earlier.made.insert(within);
                })?;
            }
        }
        self.earlier.seen.extend(self.seen.drain());
        Ok(())
    }

    /// What is dead was held, and is not found any more.
    fn bury(&mut self, buried: &Buried) -> Result<(), Error> {
        if let Some(part) = &mut self.part {
            part.bury(buried);
        }
        let told = &mut self.told;
        self.held.retain(|(queue, ready)| {
            let is_dead = buried.unfinished.contains(&ready.id);
            told[*queue].held -= u64::from(is_dead);
            !is_dead
        });
        if let Some(lines) = &mut self.lines {
            lines.bury(self.state, buried)?;
        }
        Ok(())
    }

    /// Counts a task that no result is there for; whether it would be executed.
    fn runs(&mut self, step: &StepPlan, ready: &Ready, mut reason: Reason) -> Result<bool, Error> {
        if !step.lacks.is_empty() {
            self.told[step.queue].lacking += 1;
            return Ok(false);
        }
        let wanted = self.makers().of(step.queue, ready)?;
        match self.make_again(&wanted)? {
            None => {}
            Some(Hindrance::Gone(gone)) => {
                self.told[step.queue].stays(gone, 1);
                return Ok(false);
            }
            Some(Hindrance::Superseded) => {
                // What takes its place is looked at once that is there.
                self.decided.remove(&ready.id);
                *self.hindered.entry(step.queue).or_default() += 1;
                return Ok(false);
            }
        }
        if ready.forced && self.before.is_some_and(|before| ready.id > before) {
            let row = self.state.task(ready.id)?;
            let old = row.and_then(|row| row.supersedes);
            if !old.is_some_and(|old| self.again.is_lost(old)) {
                self.told[step.queue].anew += 1;
                return Ok(true);
            }
            reason = Reason::Lost;
        }
        let run = &mut self.told[step.queue].run;
        match run.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count += 1,
            None => run.push((reason, 1)),
        }
        run.sort_unstable();
        Ok(true)
    }
}
