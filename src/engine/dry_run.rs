//! What a run would do, found out on a copy of the state by what a run decides with.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::Error;
use super::reuse::{key, look};
use super::rings::Rings;
use super::step::{ReuseScope, StepPlan};
use crate::model::digest::Digest;
use crate::model::name::{FileName, StepName};
use crate::model::plan::{Key, Ready};
use crate::model::promise::Comparison;
use crate::model::route::Router;
use crate::model::task::{TaskId, TaskState};
use crate::state::{Equal, NewTask, Runset, State, StepId};
use crate::store::{self, Condition};

/// Why a task would be executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    /// It executes in any case: a start task, or one that was asked for.
    Forced,
    /// Results of its step are never used again.
    NeverReused,
    /// It failed last time, and no equal task succeeded.
    Failed,
    /// No equal task was executed yet.
    New,
    /// An equal task was, but `cache` says that its result is not to be used: too old, or of another
    /// runset.
    OutOfScope,
    /// An equal task was, but objects that it left are gone, or it left what the step does not promise.
    Lost,
}

/// What a run would do with the tasks of one step that are there to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DryRun {
    /// How many would be executed, by reason.
    pub run: Vec<(Reason, u64)>,
    /// How many would take the outputs of an equal task.
    pub reuse: u64,
    /// How many would wait for an equal task of the same run, and then take its outputs.
    pub wait: u64,
    /// How many would fail because they go round for ever.
    pub refused: u64,
}

/// Tasks looked at together.
const STRETCH: usize = 256;

/// Tells, for each of `steps`, what a run of `runset` would do. Reuse is carried out, in `state`:
/// it must be a copy.
pub(crate) fn dry_run(
    state: &mut State,
    store: &store::Reader,
    steps: &[Arc<StepPlan>],
    router: &Router,
    runset: &Runset,
) -> Result<Vec<DryRun>, Error> {
    let nothing = DryRun {
        run: Vec::new(),
        reuse: 0,
        wait: 0,
        refused: 0,
    };
    let mut forecaster = DryRunner {
        state,
        store,
        steps,
        by_name: steps.iter().map(|step| (&step.name, step.id)).collect(),
        router,
        runset,
        seen: HashSet::new(),
        rings: Rings::default(),
        told: vec![nothing; steps.len()],
    };
    forecaster.all()?;
    Ok(forecaster.told)
}

/// Whether an equal task left what the step promises today.
fn keeps_promise(step: &StepPlan, outputs: &[(Option<FileName>, Digest)]) -> bool {
    let Some(patterns) = &step.outputs else {
        return true;
    };
    let mut compared = Comparison::new(patterns);
    let names = outputs.iter().filter_map(|(name, _)| name.as_deref());
    names.for_each(|name| compared.saw(name));
    compared.end().is_ok()
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
}

impl DryRunner<'_> {
    /// Until reuse brings up no more tasks.
    fn all(&mut self) -> Result<(), Error> {
        let mut cursors = vec![TaskId(0); self.steps.len()];
        loop {
            let mut found = false;
            for (step, cursor) in self.steps.iter().zip(&mut cursors) {
                let tasks = self
                    .state
                    .unfinished(self.runset, step.id, *cursor, STRETCH)?;
                for ready in tasks {
                    found = true;
                    *cursor = ready.id;
                    self.decide(step, &ready)?;
                }
            }
            if !found {
                return Ok(());
            }
        }
    }

    fn decide(&mut self, step: &StepPlan, ready: &Ready) -> Result<(), Error> {
        let key = key(step, ready);
        let refused = self
            .rings
            .refuse(self.state, self.steps, step, ready, key.as_ref())?;
        if refused.is_some() {
            self.told[step.queue].refused += 1;
            return Ok(());
        }
        let Some(key) = key else {
            let reason = if ready.forced {
                Reason::Forced
            } else {
                Reason::NeverReused
            };
            self.runs(step, reason);
            return Ok(());
        };
        if self.seen.contains(&key) {
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
        self.seen.insert(key);
        self.runs(step, reason);
        Ok(())
    }

    /// Takes over the outputs of `source`, if all are there.
    fn take(&mut self, step: &StepPlan, ready: &Ready, source: Equal) -> Result<bool, Error> {
        let mut outputs = Vec::new();
        self.state.each_output(source.task, |name, object| {
            outputs.push((name.cloned(), object));
        })?;
        let fits = |(name, object): &(Option<FileName>, Digest)| {
            name.is_some() && self.store.condition(object, None) != Condition::Broken
        };
        if !outputs.iter().all(fits) || !keeps_promise(step, &outputs) {
            return Ok(false);
        }
        self.state
            .reuse(self.runset, step.id, ready.id, ready.state, &source)?;
        self.told[step.queue].reuse += 1;
        for (name, object) in &outputs {
            let name = name.as_deref();
            let route = name.and_then(|name| self.router.route(name));
            let task = NewTask {
                object: *object,
                step: route.and_then(|to| self.by_name.get(to)).copied(),
                parent: Some(ready.id),
                name,
                forced: false,
            };
            self.state.insert_task(self.runset, &task)?;
        }
        Ok(true)
    }

    fn runs(&mut self, step: &StepPlan, reason: Reason) {
        let run = &mut self.told[step.queue].run;
        match run.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count += 1,
            None => run.push((reason, 1)),
        }
        run.sort_unstable();
    }
}
