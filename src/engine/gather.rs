//! Steps that gather: what waits for all that comes to them, and when that is there.
//!
//! An output that is routed to such a step is a member of a group, and no task. When nothing that
//! may lead to the step is left to be done ([`crate::model::barrier`]), its groups are complete: each
//! that has no task gets one, whose input is the list of its members, in the transaction of the end
//! that completed them. A group that gains or loses a member afterwards loses its task, with all that
//! came of it. Tasks below a group that may still change do not start.

mod descent;
mod groups;
mod known;
mod lines;
mod list;
mod refuse;
mod reshape;
mod standing;
mod with;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

pub(super) use groups::{complete_group, complete_groups, group_for};
pub(super) use lines::Lines;
pub(crate) use list::{list_given, list_of};
pub(crate) use reshape::reshape;
pub(crate) use standing::standing;
pub(crate) use with::{context, given_by, key_of_pair};

use super::key::key_of;
use super::outputs::Output;
use super::step::StepPlan;
use super::{Error, Scheduler};
use crate::model::digest::Digest;
use crate::model::event::Event;
use crate::model::gather::{BarrierId, Gather, KindId};
use crate::model::list::Form;
use crate::model::plan::{QueueId, Ready};
use crate::model::task::{TaskId, TaskState};
use crate::state::{Buried, Group, NewGather, NewMember};
use crate::text::{amount, visible};

/// What a run knows of what is gathered.
#[derive(Debug)]
pub(super) struct Gathers {
    pub lines: Lines,
    /// Tasks that wait until what stands above them is certain.
    held: Vec<(QueueId, Ready)>,
    /// Tasks that were to be done, and are dead.
    dead: HashSet<TaskId>,
    /// What tasks get at a barrier besides their inputs, once that is certain.
    contexts: HashMap<BarrierId, Digest>,
    /// All lists that tasks were given, which may be in their rows only when these have ended.
    pub given: Vec<Digest>,
    /// Steps that left something in this run for others to get, where these were told.
    gave: HashSet<QueueId>,
}

impl Gathers {
    pub(super) fn new(lines: Lines) -> Self {
        Self {
            lines,
            held: Vec::new(),
            dead: HashSet::new(),
            contexts: HashMap::new(),
            given: Vec::new(),
            gave: HashSet::new(),
        }
    }

    /// Whether the task was to be done, and is dead; asked once.
    pub(super) fn buried(&mut self, task: TaskId) -> bool {
        self.dead.remove(&task)
    }
}

impl Scheduler<'_> {
    /// Counts what is to be done, and makes the tasks of what is complete.
    pub(super) fn begin_gathering(&mut self) -> Result<(), Error> {
        let Some(gathers) = &mut self.gathers else {
            return Ok(());
        };
        gathers
            .lines
            .count(self.state, self.steps, self.runset, false)?;
        gathers
            .lines
            .look_at_groups(self.state, self.steps, self.runset)?;
        let shut: Vec<QueueId> = gathers.lines.shut_ones().collect();
        for queue in shut {
            let name = visible(self.steps[queue].name.as_str());
            self.tell(&Event::Warning(&format!(
                "{name} gathers nothing: what came to it before it had `gather` was worked on one by one\n\
                 hint: -migrate-tainted -run gathers that, too"
            )));
        }
        self.tell_astray()?;
        self.restore_lists()?;
        self.let_through()
    }

    /// Tells of what came to steps before these gathered as they do, and belongs to no group.
    fn tell_astray(&mut self) -> Result<(), Error> {
        let gathers = self.gathers.iter();
        let kinds: Vec<_> = gathers
            .flat_map(|gathers| gathers.lines.scopes.kinds().to_vec())
            .collect();
        for kind in kinds {
            let step = &self.steps[kind.queue].name;
            let astray = self.state.astray_of(self.runset, step)?;
            if astray > 0 {
                let (step, owner) = (visible(step), visible(&self.steps[kind.owner].name));
                self.tell(&Event::Warning(&format!(
                    "{} came to {step}, which gathers what descends from each task of {owner}, and \
                     {} from none: left out\n\
                     hint: use gather = true in {step}, for everything in a runset together, or have them go elsewhere",
                    amount::count(astray, "output"),
                    if astray == 1 { "descends" } else { "descend" },
                )));
            }
        }
        Ok(())
    }

    /// Writes lists again that are gone from the store: they follow from what is recorded.
    fn restore_lists(&mut self) -> Result<(), Error> {
        for (group, list) in self.state.unfinished_lists(self.runset)? {
            if self.store.condition(&list, None) == crate::store::Condition::Broken {
                self.list_of(group)?;
            }
        }
        Ok(())
    }

    /// Makes the tasks of all that has become complete.
    pub(super) fn let_through(&mut self) -> Result<(), Error> {
        loop {
            self.complete_scopes()?;
            if let Some(gathers) = &mut self.gathers {
                gathers.lines.settle(self.state)?;
            }
            let Some(barrier) = self.pass() else {
                break;
            };
            self.begin_group()?;
            self.make_tasks(barrier)?;
        }
        self.release()
    }

    /// Nothing runs, and nothing could: has something go on that waits for what waits for it, whether there
    /// is such.
    pub(super) fn give_way(&mut self) -> Result<bool, Error> {
        while let Some(gathers) = &mut self.gathers
            && let Some(barrier) = gathers.lines.give_way()
        {
            self.begin_group()?;
            self.make_tasks(barrier)?;
            self.let_through()?;
            if self.plan.is_open() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn pass(&mut self) -> Option<BarrierId> {
        self.gathers.as_mut()?.lines.barriers.pass()
    }

    /// Makes the tasks of groups below whose owners nothing is left to be done.
    fn complete_scopes(&mut self) -> Result<(), Error> {
        while let Some(gathers) = &mut self.gathers
            && let Some(owner) = gathers.lines.scopes.next_due()
        {
            let kinds = gathers.lines.scopes.complete(owner);
            for kind in kinds {
                self.complete_scope(owner, kind)?;
            }
            if let Some(gathers) = &mut self.gathers {
                gathers.lines.scopes.close(owner);
            }
        }
        Ok(())
    }

    fn complete_scope(&mut self, owner: TaskId, kind: KindId) -> Result<(), Error> {
        let Some(gathers) = &self.gathers else {
            return Ok(());
        };
        // The task of an earlier group may have to be waited for by now.
        if !gathers.lines.scopes.complete(owner).contains(&kind) {
            return Ok(());
        }
        let step = Arc::clone(&self.steps[gathers.lines.scopes.kinds()[kind].queue]);
        self.begin_group()?;
        let group = complete_group(self.state, self.router, self.runset, &step, owner)?;
        let Some(group) = group else {
            return Ok(());
        };
        let outputs = self.make_task(&step, &group)?;
        self.tell(&Event::Gathered {
            step: &step.name,
            tasks: 1,
            outputs,
        });
        Ok(())
    }

    fn make_tasks(&mut self, barrier: BarrierId) -> Result<(), Error> {
        let Some(gathers) = &self.gathers else {
            return Ok(());
        };
        let at = gathers.lines.barriers.at(barrier);
        if !at.gathers() {
            return self.give(barrier);
        }
        let queue = at.queue;
        let step = Arc::clone(&self.steps[queue]);
        let Some(gather) = step.gather else {
            return Ok(());
        };
        let (mut tasks, mut outputs) = (0, 0);
        let mut last: Option<Group> = None;
        loop {
            let behind = (gather, last.as_ref());
            let mut groups = complete_groups(self.state, self.runset, &step, behind)?;
            for group in &groups {
                outputs += self.make_task(&step, group)?;
                tasks += 1;
            }
            let Some(group) = groups.pop() else {
                break;
            };
            last = Some(group);
        }
        if tasks == 0 {
            return Ok(());
        }
        self.tell(&Event::Gathered {
            step: &step.name,
            tasks,
            outputs,
        });
        Ok(())
    }

    /// Makes the task of a group; how much it works on.
    fn make_task(&mut self, step: &StepPlan, group: &Group) -> Result<u64, Error> {
        let (list, count) = self.list_of(group.id)?;
        let new = NewGather {
            list,
            step: step.id,
            group,
        };
        let (id, forced) = self.state.add_gather(self.runset, &new)?;
        if let Some(gathers) = &mut self.gathers {
            let line = gathers
                .lines
                .created_for(self.state, step.queue, (id, group.owner))?;
            let ready = Ready {
                id,
                input: list,
                form: Form::List,
                parent: group.owner,
                name: None,
                state: TaskState::Pending,
                forced,
                attempt: 0,
                line,
                key: None,
                context: None,
                raised: 0,
            };
            self.plan.created(step.queue, ready);
        }
        Ok(count)
    }

    /// Gives back to their queues what no longer has to wait.
    fn release(&mut self) -> Result<(), Error> {
        let Some(gathers) = &mut self.gathers else {
            return Ok(());
        };
        if !gathers.lines.take_opened() {
            return Ok(());
        }
        for (queue, ready) in std::mem::take(&mut gathers.held) {
            if gathers.lines.is_held(self.state, queue, &ready)? {
                gathers.held.push((queue, ready));
            } else {
                self.plan.back(queue, ready);
            }
        }
        Ok(())
    }

    /// The task, if it may start as far as what stands above it goes.
    pub(super) fn pass_barriers(
        &mut self,
        queue: QueueId,
        mut ready: Ready,
    ) -> Result<Option<Ready>, Error> {
        if self.steps[queue].reads_key && ready.key.is_none() {
            ready.key = Some(key_of(self.state, self.router, ready.id)?.into());
        }
        let Some(gathers) = &mut self.gathers else {
            return Ok(Some(ready));
        };
        if gathers.buried(ready.id) {
            return Ok(None);
        }
        let step = Arc::clone(&self.steps[queue]);
        ready.line = gathers.lines.above_of(self.state, &step, &ready)?;
        if gathers.lines.is_held(self.state, queue, &ready)? {
            gathers.held.push((queue, ready));
            return Ok(None);
        }
        match self.pair(&step, ready)? {
            Some(ready) => self.with_context(&step, ready).map(Some),
            None => Ok(None),
        }
    }

    /// A task has its outputs; the last that is recorded of it.
    pub(super) fn gathered_from(&mut self, queue: QueueId, ready: &Ready) -> Result<(), Error> {
        if let Some(gathers) = &mut self.gathers {
            gathers.lines.ended(self.state, queue, ready)?;
            self.let_through()?;
        }
        Ok(())
    }

    /// A task failed for the last time in this run.
    pub(super) fn nothing_from(&mut self, queue: QueueId, ready: &Ready) -> Result<(), Error> {
        if let Some(gathers) = &mut self.gathers {
            gathers.lines.failed(self.state, queue, ready)?;
            self.let_through()?;
        }
        Ok(())
    }

    /// One more task of `queue` is to be done, a child of `maker`, which is one of `from`.
    pub(super) fn counts(
        &mut self,
        from: QueueId,
        maker: &Ready,
        queue: QueueId,
    ) -> Result<(), Error> {
        if let Some(gathers) = &mut self.gathers {
            gathers.lines.created_by(self.state, (from, maker), queue)?;
        }
        Ok(())
    }

    /// Adds an output to what `to` gathers.
    pub(super) fn add_member(
        &mut self,
        gather: Gather,
        to: QueueId,
        maker: (QueueId, &Ready),
        output: &Output,
    ) -> Result<TaskId, Error> {
        let key = match self.router.key(&output.name) {
            Some(key) => key.to_owned(),
            None => key_of(self.state, self.router, maker.1.id)?,
        };
        self.add_member_with((gather, to), maker, output, (&key, None))
    }

    /// The same of one with that key, and perhaps with another row of its own.
    pub(super) fn add_member_with(
        &mut self,
        (gather, to): (Gather, QueueId),
        (queue, maker): (QueueId, &Ready),
        output: &Output,
        (key, own): (&str, Option<TaskId>),
    ) -> Result<TaskId, Error> {
        let step = Arc::clone(&self.steps[to]);
        let owner = match &mut self.gathers {
            Some(gathers) => gathers.lines.owner(self.state, queue, maker, to)?,
            None => None,
        };
        let group = group_for(
            self.state,
            self.router,
            self.runset,
            (&step, gather),
            (key, owner),
        )?;
        let member = NewMember {
            object: output.digest,
            form: output.form,
            step: step.id,
            group,
            parent: maker.id,
            name: &output.name,
            key,
            output: own,
        };
        let (task, dead) = self.state.add_member(self.runset, &member)?;
        self.bury(&dead)?;
        Ok(task)
    }

    /// Some were to be done, and are not any more; others are to be done in the place of some.
    fn bury(&mut self, buried: &Buried) -> Result<(), Error> {
        if buried.unfinished.is_empty() && buried.made.is_empty() {
            return Ok(());
        }
        if let Some(part) = &mut self.part {
            part.bury(buried);
        }
        let Some(gathers) = &mut self.gathers else {
            return Ok(());
        };
        let more = gathers.lines.bury(self.state, buried)?;
        let dead = &buried.unfinished;
        gathers.held.retain(|(_, ready)| !dead.contains(&ready.id));
        gathers.dead.extend(dead);
        more.into_iter().for_each(|queue| self.plan.added(queue));
        Ok(())
    }
}
