//! Steps that gather: what waits for all that comes to them, and when that is there.
//!
//! An output that is routed to such a step is a member of a group, and no task. When nothing that
//! may lead to the step is left to be done ([`crate::model::barrier`]), its groups are complete: each
//! that has no task gets one, whose input is the list of its members, in the transaction of the end
//! that completed them. A group that gains or loses a member afterwards loses its task, with all that
//! came of it. Tasks below a group that may still change do not start.

mod lines;
mod reshape;
mod standing;

use std::collections::HashSet;

pub(super) use lines::Lines;
pub(crate) use reshape::reshape;
pub(crate) use standing::standing;

use super::key::key_of;
use super::outputs::{Output, Outputs};
use super::step::StepPlan;
use super::{Error, Scheduler};
use crate::model::barrier::BarrierId;
use crate::model::digest::Digest;
use crate::model::event::Event;
use crate::model::gather::{Gather, Line};
use crate::model::list::{self, Form};
use crate::model::plan::{QueueId, Ready};
use crate::model::task::{TaskId, TaskState};
use crate::state::{self, Group, NewGather, NewMember, Runset, State};
use crate::text::{quoted, visible};

/// What a run knows of what is gathered.
#[derive(Debug)]
pub(super) struct Gathers {
    pub lines: Lines,
    /// Tasks that wait until what stands above them is certain.
    held: Vec<(QueueId, Ready)>,
    /// Tasks that were to be done, and are dead.
    dead: HashSet<TaskId>,
}

impl Gathers {
    pub(super) fn new(lines: Lines) -> Self {
        Self {
            lines,
            held: Vec::new(),
            dead: HashSet::new(),
        }
    }
}

/// The groups of a step that are complete and have no task.
pub(super) fn complete_groups(
    state: &mut State,
    runset: &Runset,
    step: &StepPlan,
    gather: Gather,
) -> Result<Vec<Group>, state::Error> {
    let mut groups = state.open_groups(runset, &step.name)?;
    if step.empty && gather == Gather::All && groups.is_empty() {
        let id = state.group_of(runset, &step.name, gather, "")?;
        if state.gathers(id)?.is_none() {
            groups.push(Group {
                id,
                key: Box::default(),
            });
        }
    }
    Ok(groups)
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
        let shut: Vec<QueueId> = gathers.lines.barriers.shut_ones().collect();
        for queue in shut {
            let name = visible(self.steps[queue].name.as_str());
            self.tell(&Event::Warning(&format!(
                "{name} gathers nothing: what came to it before it did was worked on one by one\n\
                 hint: -migrate-tainted -run gathers that, too"
            )));
        }
        self.restore_lists()?;
        self.let_through()
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

    /// The list of a group's members, as an object in the store, and how many there are.
    fn list_of(&mut self, group: state::GroupId) -> Result<(Digest, u64), Error> {
        let members = self.state.members(group)?;
        let count = members.len() as u64;
        let text = list::of(members);
        let list = self.store.insert_bytes(text.as_bytes());
        Ok((list.map_err(Error::List)?, count))
    }

    /// Makes the tasks of all that has become complete.
    pub(super) fn let_through(&mut self) -> Result<(), Error> {
        while let Some(barrier) = self.pass() {
            self.begin_group()?;
            self.make_tasks(barrier)?;
        }
        self.release();
        Ok(())
    }

    fn pass(&mut self) -> Option<BarrierId> {
        self.gathers.as_mut()?.lines.barriers.pass()
    }

    fn make_tasks(&mut self, barrier: BarrierId) -> Result<(), Error> {
        let Some(gathers) = &self.gathers else {
            return Ok(());
        };
        let queue = gathers.lines.barriers.at(barrier).queue;
        let step = std::sync::Arc::clone(&self.steps[queue]);
        let Some(gather) = step.gather else {
            return Ok(());
        };
        let groups = complete_groups(self.state, self.runset, &step, gather)?;
        if groups.is_empty() {
            return Ok(());
        }
        let (tasks, mut outputs) = (groups.len() as u64, 0);
        for group in groups {
            let (list, count) = self.list_of(group.id)?;
            outputs += count;
            let new = NewGather {
                list,
                step: step.id,
                group: &group,
            };
            let id = self.state.add_gather(self.runset, &new)?;
            let Some(gathers) = &mut self.gathers else {
                continue;
            };
            let line = gathers.lines.barriers.along(Line::default(), queue);
            gathers.lines.barriers.created(queue, line, 1);
            let ready = Ready {
                id,
                input: list,
                form: Form::List,
                parent: None,
                name: None,
                state: TaskState::Pending,
                forced: false,
                attempt: 0,
                line,
                key: None,
            };
            self.plan.created(queue, ready);
        }
        self.tell(&Event::Gathered {
            step: &step.name,
            tasks,
            outputs,
        });
        Ok(())
    }

    /// Gives back to their queues what no longer has to wait.
    fn release(&mut self) {
        let Some(gathers) = &mut self.gathers else {
            return;
        };
        let barriers = &gathers.lines.barriers;
        let free = |(_, ready): &mut (QueueId, Ready)| !barriers.is_held(ready.line);
        for (queue, ready) in gathers.held.extract_if(.., free) {
            self.plan.back(queue, ready);
        }
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
        if gathers.dead.remove(&ready.id) {
            return Ok(None);
        }
        ready.line = match ready.parent {
            Some(parent) => gathers.lines.below(self.state, parent, queue)?,
            None => gathers.lines.barriers.along(Line::default(), queue),
        };
        if gathers.lines.barriers.is_held(ready.line) {
            gathers.held.push((queue, ready));
            return Ok(None);
        }
        Ok(Some(ready))
    }

    /// A task has its outputs; the last that is recorded of it.
    pub(super) fn gathered_from(&mut self, queue: QueueId, ready: &Ready) -> Result<(), Error> {
        if let Some(gathers) = &mut self.gathers {
            gathers.lines.barriers.ended(queue, ready.line);
            self.let_through()?;
        }
        Ok(())
    }

    /// A task failed for the last time in this run.
    pub(super) fn nothing_from(&mut self, queue: QueueId, ready: &Ready) -> Result<(), Error> {
        if let Some(gathers) = &mut self.gathers {
            gathers.lines.barriers.failed(queue, ready.line, 1);
            self.let_through()?;
        }
        Ok(())
    }

    /// One more task of `queue` is to be done, a child of one with that line.
    pub(super) fn counts(&mut self, queue: QueueId, maker: &Ready) {
        if let Some(gathers) = &mut self.gathers {
            let line = gathers.lines.barriers.along(maker.line, queue);
            gathers.lines.barriers.created(queue, line, 1);
            gathers.lines.keep(maker.id, maker.line);
        }
    }

    /// Adds an output to what the step gathers.
    pub(super) fn add_member(
        &mut self,
        gather: Gather,
        queue: QueueId,
        maker: &Ready,
        output: &Output,
    ) -> Result<TaskId, Error> {
        let key = match self.router.key(&output.name) {
            Some(key) => key.to_owned(),
            None => key_of(self.state, self.router, maker.id)?,
        };
        self.add_member_with(gather, queue, maker, output, (&key, None))
    }

    /// The same of one with that key, and perhaps with another row of its own.
    pub(super) fn add_member_with(
        &mut self,
        gather: Gather,
        queue: QueueId,
        maker: &Ready,
        output: &Output,
        (key, own): (&str, Option<TaskId>),
    ) -> Result<TaskId, Error> {
        let step = std::sync::Arc::clone(&self.steps[queue]);
        let group = self.state.group_of(self.runset, &step.name, gather, key)?;
        let member = NewMember {
            object: output.digest,
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

    /// These were to be done, and are not any more.
    fn bury(&mut self, dead: &[TaskId]) -> Result<(), Error> {
        if let Some(part) = &mut self.part {
            part.bury(dead);
        }
        let Some(gathers) = &mut self.gathers else {
            return Ok(());
        };
        gathers.lines.bury(self.state, dead)?;
        gathers.held.retain(|(_, ready)| !dead.contains(&ready.id));
        gathers.dead.extend(dead);
        Ok(())
    }

    /// Why a task that stands below what waits for it may not leave these, if it may not.
    pub(super) fn comes_back(
        &self,
        step: &StepPlan,
        ready: &Ready,
        outputs: &mut Outputs,
    ) -> Result<Option<String>, Error> {
        if !self.is_below_any(ready) {
            return Ok(None);
        }
        let mut found = None;
        outputs
            .each_name(|name| {
                if found.is_none() {
                    found = self.goes_back(step, ready, name);
                }
            })
            .map_err(Error::Spill)?;
        Ok(found)
    }

    /// Whether one that took over what `source` left would fail for it.
    pub(super) fn would_come_back(
        &self,
        step: &StepPlan,
        ready: &Ready,
        source: TaskId,
    ) -> Result<bool, Error> {
        if !self.is_below_any(ready) {
            return Ok(false);
        }
        let mut found = false;
        self.state.each_output(source, |name, _| {
            found |= name.is_some_and(|name| self.goes_back(step, ready, name).is_some());
        })?;
        Ok(found)
    }

    /// Whether any barrier stands above the task.
    pub(super) fn is_below_any(&self, ready: &Ready) -> bool {
        let gathers = self.gathers.as_ref();
        gathers.is_some_and(|gathers| gathers.lines.barriers.level(ready.line).is_some())
    }

    /// Why that output cannot be gathered, if so.
    pub(super) fn goes_back(&self, step: &StepPlan, ready: &Ready, name: &str) -> Option<String> {
        let barriers = &self.gathers.as_ref()?.lines.barriers;
        let level = barriers.level(ready.line)?;
        let route = self.route(name);
        let takers = self.readers.of_output(step.queue, name, route);
        let mut goes_to = route
            .into_iter()
            .chain(takers.iter().map(|taker| taker.queue));
        let (queue, barrier) = goes_to.find_map(|queue| {
            let barrier = barriers.of(queue)?;
            (level >= barrier).then_some((queue, barrier))
        })?;
        let gathers = visible(self.steps[queue].name.as_str());
        let own = visible(step.name.as_str());
        let last = visible(self.steps[barriers.at(level).queue].name.as_str());
        let (why, cure) = if level > barrier {
            (
                format!("{own} works on what came from {last}, which had waited for {gathers}"),
                format!(
                    "steps gather in the order of the manifest: move {last} up, before {gathers}, or \
                     let the output have another name"
                ),
            )
        } else {
            let works = if own == gathers {
                format!("{own} itself left it")
            } else {
                format!("{own} works on what came from {gathers}")
            };
            (
                format!("{works}, which had gathered all by then"),
                "let the output have another name, or a step that stands further down in the manifest \
                 gather it"
                    .to_owned(),
            )
        };
        Some(format!(
            "left {}, which goes to {gathers}; but {why}\nhint: {cure}",
            quoted(name)
        ))
    }
}
