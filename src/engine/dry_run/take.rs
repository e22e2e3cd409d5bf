//! What comes of a task that takes over the outputs of an equal one.

use std::collections::BTreeSet;

use super::super::Error;
use super::super::gather::group_for;
use super::super::key::key_of;
use super::super::readers::{Readers, Taker, key_taken};
use super::super::step::StepPlan;
use super::DryRunner;
use crate::model::digest::Digest;
use crate::model::gather::Gather;
use crate::model::list::Form;
use crate::model::name::FileName;
use crate::model::plan::{QueueId, Ready};
use crate::model::promise::Comparison;
use crate::model::task::TaskId;
use crate::state::{Equal, NewMember, NewReader, NewTask};

/// An object, and what it is.
type Object = (Digest, Form);

/// Whether an equal task left what the step promises today.
fn keeps_promise(step: &StepPlan, outputs: &[(Option<FileName>, Object)]) -> bool {
    let Some(patterns) = &step.outputs else {
        return true;
    };
    let mut compared = Comparison::new(patterns);
    let names = outputs.iter().filter_map(|(name, _)| name.as_deref());
    names.for_each(|name| compared.saw(name));
    compared.end().is_ok()
}

impl DryRunner<'_> {
    /// Takes over the outputs of `source`, if all are there.
    pub(super) fn take(
        &mut self,
        step: &StepPlan,
        ready: &Ready,
        source: Equal,
    ) -> Result<bool, Error> {
        let mut outputs = Vec::new();
        self.state.each_output(source.task, |name, object, form| {
            outputs.push((name.cloned(), (object, form)));
        })?;
        let fits = |(name, (object, form)): &(Option<FileName>, Object)| {
            name.is_some() && step.takes(*form) && self.store.is_there_as(object, *form)
        };
        if !outputs.iter().all(fits) || !keeps_promise(step, &outputs) {
            return Ok(false);
        }
        self.state
            .reuse(self.runset, step.id, ready.id, ready.state, &source)?;
        self.told[step.queue].reuse += 1;
        if let Some(context) = &ready.context {
            self.state.put_context(ready.id, context)?;
        }
        if !outputs.is_empty() {
            if let Some(lines) = &self.lines {
                for barrier in lines.barriers.given_by(step.queue) {
                    self.contexts.remove(&barrier);
                }
            }
            let buried = self.state.gives_more(self.runset, &step.name)?;
            self.bury(&buried)?;
        }
        let mut lacks = false;
        for (name, object) in &outputs {
            let name = name.as_deref();
            let route = name.and_then(|name| self.router.route(name));
            let to = route.and_then(|to| self.steps.iter().find(|step| step.name == *to));
            lacks |= to.is_none() && self.makers().lacks(&object.0, object.1);
            if let (Some(to), Some(name)) = (to, name)
                && let Some(gather) = to.gather
            {
                let key = match self.router.key(name) {
                    Some(key) => key.to_owned(),
                    None => key_of(self.state, self.router, ready.id)?,
                };
                let maker = (step.queue, ready);
                let own = self.add_member((to, gather, &key), maker, (name, *object), None)?;
                self.add_readers(step, ready, (name, *object), own, Some(to.queue))?;
                continue;
            }
            if let (Some(lines), Some(to)) = (&mut self.lines, to) {
                lines.created_by(self.state, (step.queue, ready), to.queue)?;
            }
            let task = NewTask {
                object: object.0,
                form: object.1,
                step: route.and_then(|to| self.by_name.get(to)).copied(),
                parent: Some(ready.id),
                name,
                forced: false,
            };
            let own = self.state.insert_task(self.runset, &task)?;
            if let Some(name) = name {
                self.add_readers(step, ready, (name, *object), own, to.map(|to| to.queue))?;
            }
        }
        if let Some(lines) = &mut self.lines {
            lines.ended(self.state, step.queue, ready)?;
        }
        if lacks {
            self.make_again(&BTreeSet::from([ready.id]))?;
        }
        Ok(true)
    }

    fn add_readers(
        &mut self,
        step: &StepPlan,
        maker: &Ready,
        (name, object): (&str, Object),
        own: TaskId,
        route: Option<QueueId>,
    ) -> Result<(), Error> {
        let readers = Readers::of(self.steps);
        for Taker { queue, pattern } in readers.of_output(step.queue, name, route) {
            let to = &self.steps[queue];
            if let Some(gather) = to.gather {
                let key = key_taken(self.state, self.router, name, pattern, maker.id)?;
                let maker = (step.queue, maker);
                self.add_member((to, gather, &key), maker, (name, object), Some(own))?;
                continue;
            }
            let key = pattern.and_then(|pattern| pattern.star(name));
            let reader = NewReader {
                object: object.0,
                form: object.1,
                step: to.id,
                parent: maker.id,
                name,
                key: key.as_deref(),
                output: own,
            };
            self.state.insert_reader(self.runset, &reader)?;
            if let Some(lines) = &mut self.lines {
                lines.created_by(self.state, (step.queue, maker), queue)?;
            }
        }
        Ok(())
    }

    fn add_member(
        &mut self,
        (step, gather, key): (&StepPlan, Gather, &str),
        (queue, maker): (QueueId, &Ready),
        (name, object): (&str, Object),
        own: Option<TaskId>,
    ) -> Result<TaskId, Error> {
        let owner = match &mut self.lines {
            Some(lines) => lines.owner(self.state, queue, maker, step.queue)?,
            None => None,
        };
        let group = group_for(
            self.state,
            self.router,
            self.runset,
            (step, gather),
            (key, owner),
        )?;
        let member = NewMember {
            object: object.0,
            form: object.1,
            step: step.id,
            group,
            parent: maker.id,
            name,
            key,
            output: own,
        };
        let (task, buried) = self.state.add_member(self.runset, &member)?;
        self.bury(&buried)?;
        Ok(task)
    }
}
