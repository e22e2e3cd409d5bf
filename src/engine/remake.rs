//! Bytes that were dropped are made again as soon as a script needs them.
//!
//! A task that is about to start and lacks some waits, and the tasks that left what it lacks run again, each after
//! those that leave what *it* lacks: nothing further up runs. Their rows stay as they are, if they leave what they
//! left. If not, their step is not deterministic: they are superseded once the run is over with all else.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::job::{Ended, Outcome, Turn};
use super::key::key_of;
use super::lost::Tops;
use super::makers::{Makers, again};
use super::outputs::Outputs;
use super::record::{basis, failure, span};
use super::step::StepPlan;
use super::{Error, Scheduler};
use crate::model::digest::Digest;
use crate::model::event::{Cause, Event, Span};
use crate::model::list::Form;
use crate::model::name::FileName;
use crate::model::plan::{QueueId, Ready};
use crate::model::task::TaskId;
use crate::state::Origin;
use crate::text::{amount, quoted, visible};

/// Names that are told.
const NAMED: usize = 3;

/// What is to be made again.
#[derive(Debug, Default)]
pub(super) struct Remakes {
    /// Tasks that wait for bytes, and those that make them.
    nodes: HashMap<TaskId, Node>,
    /// Tasks that are superseded once the run is over.
    pub(super) others: BTreeSet<TaskId>,
    /// Tasks that take over final outputs without bytes, and have not ended.
    pub(super) finals: HashSet<TaskId>,
    /// Those that cannot run again, and are told.
    hopeless: HashSet<TaskId>,
    /// By the step, who left what its tasks get besides their inputs and is lost; looked for once.
    pub(super) lost: HashMap<QueueId, BTreeSet<TaskId>>,
}

/// A task that waits for bytes, or makes some.
#[derive(Debug)]
struct Node {
    queue: QueueId,
    ready: Ready,
    /// Whether it has ended before, and runs again.
    makes: bool,
    /// How many others it waits for.
    waits: usize,
    /// Those that wait for it.
    then: Vec<TaskId>,
}

/// Who is to make something again.
enum Maker {
    /// This task, which is in the plan of this run.
    Node(QueueId, Box<Ready>),
    /// Nobody, as it was.
    Other,
}

impl Remakes {
    /// Whether the task has ended before, and runs again.
    pub(super) fn is(&self, task: TaskId) -> bool {
        self.nodes.get(&task).is_some_and(|node| node.makes)
    }

    /// What those work on that make something again or wait for it: of the former the rows say that they have ended.
    pub(super) fn needs(&self) -> impl Iterator<Item = Digest> {
        let nodes = self.nodes.values();
        nodes.flat_map(|node| {
            let context = node.ready.context.as_deref();
            std::iter::once(node.ready.input).chain(context.copied())
        })
    }
}

impl Scheduler<'_> {
    /// Finds final outputs without bytes, which an earlier run took over and did not make again.
    pub(super) fn begin_remaking(&mut self) -> Result<(), Error> {
        for maker in self.makers().of_finals()? {
            self.make_finals_again(maker)?;
        }
        Ok(())
    }

    /// Whether bytes of a final output that is taken over were dropped.
    pub(super) fn is_without_bytes(&self, digest: &Digest, form: Form) -> bool {
        self.makers().lacks(digest, form)
    }

    /// Final outputs have their bytes: what a task took over is made again.
    pub(super) fn make_finals_again(&mut self, maker: TaskId) -> Result<(), Error> {
        self.add_makers(vec![(maker, None)])
    }

    /// The task if it lacks nothing; else it waits, and what it lacks is made again.
    pub(super) fn with_bytes(
        &mut self,
        queue: QueueId,
        ready: Ready,
    ) -> Result<Option<Ready>, Error> {
        if !self.store.is_any_evicted() {
            return Ok(Some(ready));
        }
        let makers = self.makers().of(queue, &ready)?;
        if makers.is_empty() {
            return Ok(Some(ready));
        }
        let task = ready.id;
        let node = Node {
            queue,
            ready,
            makes: false,
            waits: makers.len(),
            then: Vec::new(),
        };
        self.remakes.nodes.insert(task, node);
        let wanted = makers.into_iter().map(|maker| (maker, Some(task)));
        self.add_makers(wanted.collect())?;
        Ok(None)
    }

    pub(super) fn makers(&self) -> Makers<'_> {
        Makers {
            state: self.state,
            store: self.store,
            steps: self.steps,
            runset: self.runset,
            made: None,
        }
    }

    /// Has these run again, each for one that waits for it, and those above them that they need.
    fn add_makers(&mut self, mut wanted: Vec<(TaskId, Option<TaskId>)>) -> Result<(), Error> {
        while let Some((maker, then)) = wanted.pop() {
            if let Some(node) = self.remakes.nodes.get_mut(&maker) {
                node.then.extend(then);
                continue;
            }
            let Maker::Node(queue, ready) = self.maker(maker)? else {
                self.drop_those(then.into_iter().collect());
                continue;
            };
            let above = self.makers().of(queue, &ready)?;
            let node = Node {
                queue,
                ready: *ready,
                makes: true,
                waits: above.len(),
                then: then.into_iter().collect(),
            };
            self.remakes.nodes.insert(maker, node);
            if above.is_empty() {
                self.run_again(maker);
            }
            wanted.extend(above.into_iter().map(|above| (above, Some(maker))));
        }
        Ok(())
    }

    /// The task as it would run again; if nothing runs as it did then, that is told.
    fn maker(&mut self, task: TaskId) -> Result<Maker, Error> {
        if self.remakes.others.contains(&task) || self.remakes.hopeless.contains(&task) {
            return Ok(Maker::Other);
        }
        let Some(origin) = self.state.origin(task)? else {
            return Ok(Maker::Other);
        };
        let Some(step) = self.makers().step(&origin).cloned() else {
            self.other_version(task, &origin)?;
            return Ok(Maker::Other);
        };
        if !self.is_input_there(task, &origin)? {
            // What it worked on was not dropped, but is lost: that is made again another way.
            let mut tops = BTreeSet::new();
            Tops::new(self.state, self.store).of(task, &mut tops)?;
            self.remakes.others.extend(tops);
            self.remakes.others.insert(task);
            return Ok(Maker::Other);
        }
        if origin.context.is_some() && self.is_context_lost(step.queue)? {
            return Ok(Maker::Other);
        }
        let key = if step.reads_key {
            Some(key_of(self.state, self.router, task)?.into())
        } else {
            None
        };
        let ready = Ready {
            key,
            ..again(task, origin)
        };
        Ok(Maker::Node(step.queue, Box::new(ready)))
    }

    /// Its step has another version by now, or there is none.
    fn other_version(&mut self, task: TaskId, origin: &Origin) -> Result<(), Error> {
        let names = self.state.names_of_versions()?;
        let name = origin.step.and_then(|step| names.get(&step));
        let shown = name.map_or_else(String::new, |name| visible(name.as_str()));
        let is_here = name.is_some_and(|name| self.queues.contains_key(name));
        if is_here {
            self.remakes.others.insert(task);
            self.tell(&Event::Warning(&format!(
                "what task {task} of {shown} left was evicted, and {shown} has another version by now: \
                 the task and what followed from it are superseded, and done again"
            )));
        } else {
            self.remakes.hopeless.insert(task);
            self.tell(&Event::Warning(&format!(
                "what task {task} of {shown} left was evicted, and cannot be made again: the manifest no longer has \
                 this step\nhint: put the step back, and run again"
            )));
        }
        Ok(())
    }

    /// It runs again as soon as there is room.
    fn run_again(&mut self, task: TaskId) {
        let Some(node) = self.remakes.nodes.get(&task) else {
            return;
        };
        let (queue, ready) = (node.queue, node.ready.clone());
        if self.is_left_out(queue) && self.plan.is_closed(queue) {
            // What a part of a run needs is made again, whoever left it.
            self.plan.open(queue, self.steps[queue].parallel);
        }
        self.plan.back(queue, ready);
    }

    /// A task that ran again has ended.
    pub(super) fn remade(
        &mut self,
        ended: Ended,
        (step, mut ready): (Arc<StepPlan>, Ready),
    ) -> Result<Option<Turn>, Error> {
        let span = span(&ended.finished, ended.launch);
        let kept = ended.kept;
        if let Some(tree) = &ended.checkpoint {
            let basis = basis(&step, &ready);
            self.state.put_checkpoint(ready.id, basis, tree)?;
        }
        if let Outcome::OutOfMemory(error) = &ended.outcome
            && self.more(&step, &ready).is_some()
        {
            self.remade_with_more((&step, ready), error, span);
            return Ok(None);
        }
        match ended.outcome {
            Outcome::Success(outputs) => {
                self.plan.got_through();
                if step.checkpoint.is_kept() {
                    self.state.drop_checkpoint(ready.id)?;
                }
                self.compare_again(&step, &ready, outputs, span)?;
            }
            Outcome::Failure(error) | Outcome::OutOfMemory(error)
                if ready.attempt < step.retries
                    && !matches!(Cause::of(&error), Cause::Lost)
                    && !self.stopping =>
            {
                let after = step.pauses.after(ready.attempt, ready.id);
                let node = self.node(&span);
                let key = self.group_of(&step, ready.id);
                self.tell(&Event::Failed {
                    task: ready.id,
                    step: &step.name,
                    error: &error,
                    key: key.as_deref(),
                    span,
                    node: node.as_deref(),
                    retry: Some(after),
                });
                ready.attempt += 1;
                let due = self.millis() + u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
                if let Some(node) = self.remakes.nodes.get_mut(&ready.id) {
                    node.ready = ready.clone();
                }
                self.plan.pause(step.queue, ready, due);
            }
            Outcome::Failure(error) | Outcome::OutOfMemory(error) | Outcome::Stale(error) => {
                let error = format!(
                    "{error}\nhint: it had succeeded before; it ran again because what it had left was evicted and \
                     is needed"
                );
                let node = self.node(&span);
                let key = self.group_of(&step, ready.id);
                self.tell(&Event::Failed {
                    task: ready.id,
                    step: &step.name,
                    error: &error,
                    key: key.as_deref(),
                    span,
                    node: node.as_deref(),
                    retry: None,
                });
                self.tell_kept(&step, &ready, kept);
                self.drop_those(vec![ready.id]);
                self.remakes.hopeless.insert(ready.id);
                self.summary.not_remade.insert(ready.id, error.clone());
                self.failed(failure(&step, &ready, error, node, key));
            }
            Outcome::Cancelled => self.remade_later(&step, ready.id, span),
            Outcome::Short(short) => {
                self.remade_later(&step, ready.id, span);
                self.run_again(ready.id);
                self.relieve(ready.id, &step.name, short);
            }
        }
        Ok(None)
    }

    /// It was killed for the memory that it took, and has more the next time.
    fn remade_with_more(&mut self, (step, mut ready): (&StepPlan, Ready), error: &str, span: Span) {
        let node = self.node(&span);
        let key = self.group_of(step, ready.id);
        self.tell(&Event::Failed {
            task: ready.id,
            step: &step.name,
            error,
            key: key.as_deref(),
            span,
            node: node.as_deref(),
            retry: Some(Duration::ZERO),
        });
        ready.raised += 1;
        if let Some(node) = self.remakes.nodes.get_mut(&ready.id) {
            node.ready = ready.clone();
        }
        let now = self.millis();
        self.plan.pause(step.queue, ready, now);
    }

    fn remade_later(&mut self, step: &StepPlan, task: TaskId, span: Span) {
        self.tell(&Event::Cancelled {
            task,
            step: &step.name,
            span: Some(span),
        });
    }

    /// Whether it left what it had left.
    fn compare_again(
        &mut self,
        step: &StepPlan,
        ready: &Ready,
        outputs: Outputs,
        span: Span,
    ) -> Result<(), Error> {
        let mut before: Vec<(Option<FileName>, Digest, Form)> = Vec::new();
        self.state.each_output(ready.id, |name, digest, form| {
            before.push((name.cloned(), digest, form));
        })?;
        let mut before: HashMap<Box<str>, (Digest, Form)> = before
            .into_iter()
            .filter_map(|(name, digest, form)| Some((name?.into(), (digest, form))))
            .collect();
        let mut differing = Vec::new();
        for output in outputs {
            let output = output.map_err(Error::Spill)?;
            if before.remove(&output.name) != Some((output.digest, output.form)) {
                differing.push(output.name);
            }
        }
        differing.extend(before.into_keys());
        let same = differing.is_empty();
        let node = self.node(&span);
        self.tell(&Event::Remade {
            task: ready.id,
            step: &step.name,
            span,
            node: node.as_deref(),
            same,
        });
        self.summary.remade += 1;
        if same {
            self.have_bytes(ready.id);
            return Ok(());
        }
        differing.sort_unstable();
        let names: Vec<String> = differing
            .iter()
            .take(NAMED)
            .map(|name| quoted(name))
            .collect();
        let more = if differing.len() > NAMED { ", …" } else { "" };
        let name = visible(step.name.as_str());
        self.tell(&Event::Warning(&format!(
            "{name} is not deterministic: task {} ran again, because what it had left was evicted, and left other \
             bytes than before ({}{more}): it is superseded with everything that followed, which is done again\n\
             hint: with cache = false in {name}, what it leaves is not evicted",
            ready.id,
            names.join(", ")
        )));
        self.begin_group()?;
        self.state.put_unsteady(step.id, ready.id)?;
        self.remakes.others.insert(ready.id);
        self.drop_those(vec![ready.id]);
        Ok(())
    }

    /// What the task left has its bytes again: who waited for them goes on.
    fn have_bytes(&mut self, task: TaskId) {
        let Some(made) = self.remakes.nodes.remove(&task) else {
            return;
        };
        for waiting in made.then {
            let Some(node) = self.remakes.nodes.get_mut(&waiting) else {
                continue;
            };
            node.waits -= 1;
            if node.waits > 0 {
                continue;
            }
            if node.makes {
                self.run_again(waiting);
            } else if let Some(node) = self.remakes.nodes.remove(&waiting) {
                self.plan.back(node.queue, node.ready);
            }
        }
    }

    /// These do not have their bytes in this run, nor do those that wait for them: what is to be done stays so.
    fn drop_those(&mut self, mut tasks: Vec<TaskId>) {
        while let Some(task) = tasks.pop() {
            if let Some(node) = self.remakes.nodes.remove(&task) {
                self.summary.without_bytes += u64::from(!node.makes);
                tasks.extend(node.then);
            }
        }
    }

    /// After the last turn: supersedes what left something else when it ran again, and notes what has its bytes again.
    pub(super) fn end_remaking(&mut self) -> Result<(), Error> {
        if !self.store.is_any_evicted() {
            return Ok(());
        }
        let others: Vec<TaskId> = std::mem::take(&mut self.remakes.others)
            .into_iter()
            .collect();
        if !others.is_empty() && !self.stopping {
            let current: Vec<_> = self.steps.iter().map(|step| step.id).collect();
            let (again, _) = self.state.redo_all(self.runset, &current, &others, true)?;
            self.state.commit()?;
            self.summary.superseded = again;
        }
        if self.summary.executed + self.summary.remade > 0 {
            let back = self.store.back();
            if !back.is_empty() && self.state.sync_objects().is_ok() {
                self.state.drop_evicted(&back)?;
                self.store.set_evicted(self.state.evicted()?);
            }
        }
        let waiting = self.remakes.nodes.values().filter(|node| !node.makes);
        self.summary.without_bytes += waiting.count() as u64;
        if self.summary.without_bytes > 0 && self.summary.superseded == 0 && !self.stopping {
            let count = amount::count(self.summary.without_bytes, "task");
            self.tell(&Event::Warning(&format!(
                "{count} to be done: what they work on was evicted, and could not be made again"
            )));
        }
        Ok(())
    }
}
