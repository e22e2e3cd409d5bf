//! What a call without a subcommand works with, and which runsets it is about.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::sync::Arc;

use super::error::Failure;
use super::executor::Pilots;
use super::fit::Fit;
use super::options::Actions;
use super::results::Leaves;
use super::signals::Inbox;
use super::{params, select};
use crate::cache::Settings;
use crate::engine::{self, Lost, Redone};
use crate::files::Known;
use crate::inputs::Inputs;
use crate::model::event::{Compared, Event, Summary};
use crate::model::name::StepName;
use crate::model::resources::Supply;
use crate::prepare::{Source, Steps};
use crate::report::Reporter;
use crate::state::{self, Astray, Awaited, Lock, Migrated, Rerouted, Runset, State, StepId};
use crate::store::{self, Store};
use crate::sys::{self, Divided};
use crate::text::visible;

/// Everything that a call works with.
pub(super) struct Call<'a> {
    pub(super) actions: &'a Actions,
    pub(super) source: &'a Source,
    pub(super) state: State,
    /// None where nothing is written: in a dry run.
    pub(super) _lock: Option<Lock>,
    pub(super) steps: Steps,
    /// Steps whose packages are not resolved, in a call that only looks.
    pub(super) unresolved: Vec<StepName>,
    pub(super) reporter: Reporter,
    pub(super) live: bool,
    /// What the run has for its tasks.
    pub(super) has: Supply,
    /// With whom results are shared.
    pub(super) cache: Settings,
    /// By what they have no more memory than they are given, if by anything.
    pub(super) fence: Option<Arc<Divided>>,
    pub(super) inbox: &'a Inbox,
    /// What came of the comparison of what comes in from outside.
    pub(super) compared: Option<Compared>,
    /// Results that a run leaves as they are, and that a migration would not.
    pub(super) stale: usize,
    /// What came of the runset that ran last.
    pub(super) last: Option<Summary>,
    /// What it leaves besides.
    pub(super) leaves: Leaves,
    /// Workers that Slurm found nodes for.
    pub(super) pilots: Option<Pilots>,
}

/// What came in from outside.
pub(super) struct Found {
    pub(super) inputs: Inputs,
    pub(super) known: Known,
}

impl Call<'_> {
    /// The runsets to act on that exist.
    pub(super) fn selected(&self) -> Result<Vec<Runset>, Failure> {
        match self.actions.runset.as_deref() {
            None => Ok(self.state.newest_runset()?.into_iter().collect()),
            Some(select::ALL) => Ok(self.state.runsets()?),
            Some(name) => match self.state.runset(name)? {
                Some(runset) => Ok(vec![runset]),
                None if self.actions.run && !self.actions.fresh => {
                    select::not_misspelt(&self.state, name)?;
                    Ok(Vec::new())
                }
                None if self.actions.run => Ok(Vec::new()),
                None => Err(select::unknown_runset(&self.state, name)?),
            },
        }
    }

    /// Supersedes what is tainted, and outputs that go elsewhere by now, and tells.
    pub(super) fn migrate(&mut self, runset: &Runset) -> Result<(), Failure> {
        if Fit::of(self.source, &self.state, runset)?
            .check_kind()
            .is_err()
        {
            // Another pipeline's, which is told by who looks at all runsets.
            return Ok(());
        }
        let began = self.begin_where_the_manifest_says(runset)?;
        let current = self.steps.current();
        let given = self.state.give_back(runset, &current)?;
        let (sign, astray) = self.astray(runset)?;
        let Migrated {
            tainted: made,
            rerouted,
        } = self.state.migrate(runset, &current, &astray)?;
        self.state.set_routed_by(runset, Some(&sign))?;
        self.tell_given_back(&given)?;
        let by_id: HashMap<StepId, _> = self.steps.all.iter().map(|step| (step.id, step)).collect();
        for (id, count) in &made {
            let Some(step) = by_id.get(id) else {
                continue;
            };
            self.reporter.event(&Event::Migrated {
                step: &step.name,
                count: *count,
                version: step.version,
            });
        }
        self.tell_rerouted(&rerouted, true);
        if made.is_empty() && rerouted.is_empty() && given.is_empty() && !began {
            self.reporter.event(&Event::NothingTainted {
                runset: &runset.name,
            });
        }
        Ok(())
    }

    fn tell_given_back(&mut self, given: &[(StepId, i64)]) -> Result<(), Failure> {
        if given.is_empty() {
            return Ok(());
        }
        let names = self.state.names_of_versions()?;
        for (id, count) in given {
            let Some(step) = names.get(id) else {
                continue;
            };
            let versions = self.state.versions(step)?;
            let version = versions.iter().find(|version| version.id == *id);
            self.reporter.event(&Event::GivenBack {
                step,
                count: *count,
                version: version.map_or(0, |version| version.version),
            });
        }
        Ok(())
    }

    /// Takes out what began at steps that are no start step now, and begins at the one that is; whether there
    /// was anything to do.
    fn begin_where_the_manifest_says(&mut self, runset: &Runset) -> Result<bool, Failure> {
        let manifest = &self.source.manifest;
        let start = manifest.start().map(|step| &step.name);
        let Some(began) = self.state.begun_elsewhere(runset, start)? else {
            return Ok(false);
        };
        let fit = Fit::of(self.source, &self.state, runset)?;
        if fit.check().is_err() {
            return Ok(false);
        }
        let ended = self.state.end_begun_elsewhere(runset, start)?;
        if ended > 0 {
            let others = began.iter().filter(|step| Some(*step) != start);
            let others: Vec<&str> = others.map(StepName::as_str).collect();
            self.warn(Some(format!(
                "results that began at {} are superseded: the manifest does not start there",
                others.join(", ")
            )));
        }
        let mut begins = false;
        if let Some(start) = start
            && !began.contains(start)
            && let Some(step) = self.steps.named(start.as_str())
        {
            let step = step.id;
            self.state.seed(runset, step)?;
            self.warn(Some(format!(
                "the start step {start} never ran in this runset: it begins there"
            )));
            begins = true;
        }
        self.state.set_begun(runset, start)?;
        Ok(ended > 0 || begins)
    }

    /// What the steps' names stand for, and the outputs that went elsewhere than they go by these.
    fn astray(&self, runset: &Runset) -> Result<(String, Vec<Astray>), Failure> {
        let steps = self.steps.all.iter();
        let steps: HashMap<_, _> = steps.map(|step| (&step.name, step.id)).collect();
        let sign = state::sign(steps.keys().copied());
        let router = &self.source.router;
        let astray = self.state.astray(runset, router, &steps, &sign)?;
        Ok((sign, astray))
    }

    /// Tells of outputs that a migration would have go elsewhere. What comes now goes by the names
    /// that the steps have now.
    fn note_astray(&mut self, runset: &Runset) -> Result<(), Failure> {
        let (sign, astray) = self.astray(runset)?;
        self.stale += astray.len();
        let sign = astray.is_empty().then_some(sign.as_str());
        self.state.set_routed_by(runset, sign)?;
        let rerouted = self.state.rerouted(&astray)?;
        self.tell_rerouted(&rerouted, false);
        Ok(())
    }

    /// The same of one who runs nothing.
    pub(super) fn tell_astray(&mut self, runset: &Runset) -> Result<(), Failure> {
        let (_, astray) = self.astray(runset)?;
        let rerouted = self.state.rerouted(&astray)?;
        self.tell_rerouted(&rerouted, false);
        Ok(())
    }

    fn tell_rerouted(&mut self, rerouted: &[Rerouted], done: bool) {
        for Rerouted { from, to, count } in rerouted {
            self.reporter.event(&Event::Rerouted {
                from: from.as_ref(),
                to: to.as_ref(),
                count: *count,
                done,
            });
        }
    }

    pub(super) fn warn(&mut self, words: Option<String>) {
        if let Some(words) = words {
            self.reporter.event(&Event::Warning(&words));
        }
    }

    /// Has made again what is gone from the store, or was altered there, and tells. `sign`: that of
    /// the store before something came in from outside.
    pub(super) fn restore(
        &mut self,
        runsets: &[Runset],
        store: &store::Reader,
        sign: Option<&str>,
    ) -> Result<(), Failure> {
        let current = self.steps.current();
        for runset in runsets {
            let (lost, redone) = engine::restore(&mut self.state, store, runset, &current, sign)?;
            if let Some(warning) = lost_in_words(&lost, &redone) {
                self.reporter.event(&Event::Warning(&warning));
            }
        }
        Ok(())
    }

    /// The runsets to run, seeded where there was none; whether one was; and what comes in from
    /// outside, where that was compared. `store`: none in a dry run.
    pub(super) fn runsets_to_run(
        &mut self,
        store: Option<&Store>,
    ) -> Result<(Vec<Runset>, bool, Option<Found>), Failure> {
        let existing = if self.actions.fresh {
            self.refuse_existing()?;
            Vec::new()
        } else {
            self.selected()?
        };
        if let ([runset], None) = (&existing[..], &self.actions.start) {
            Fit::of(self.source, &self.state, runset)?.check_kind()?;
        }
        let newest = self.to_compare(&existing)?;
        if newest.is_none() && !existing.is_empty() && !self.source.manifest.inputs.is_empty() {
            self.warn(Some(
                "what comes in from outside is compared in a run of the newest runset alone"
                    .to_owned(),
            ));
        }
        let mut found = match &newest {
            None if !existing.is_empty() => None,
            newest => self.find_inputs(newest.as_ref(), store)?,
        };
        if let Some(found) = &found {
            self.check_part(found)?;
        }
        let begin = self.source.manifest.start().map(|step| step.name.as_str());
        let start = self.actions.start.as_deref().or(begin);
        let fed = start.is_some_and(|name| self.is_fed(name, found.as_ref()));
        let start = start.and_then(|name| self.steps.named(name));
        let start = start.map(|step| step.id);
        if existing.is_empty() {
            if let Some(found) = &found {
                self.check_inputs(found)?;
            }
            self.tell_begins_within(fed);
            let runset = self.seed(start.filter(|_| !fed))?;
            if let Some(found) = &mut found {
                self.compare_inputs(&runset, found, store)?;
            }
            if let Some(start) = start.filter(|_| fed) {
                self.restart(&runset, start, fed)?;
            }
            self.reshape(&runset)?;
            self.state.commit()?;
            if self.actions.migrate_tainted {
                // Says that there is nothing.
                self.migrate(&runset)?;
            }
            return Ok((vec![runset], true, found));
        }
        for runset in &existing {
            if let Some(found) = &mut found {
                self.compare_inputs(runset, found, store)?;
            }
            if self.actions.migrate_tainted {
                self.migrate(runset)?;
            } else {
                self.note_astray(runset)?;
            }
            self.state
                .update_unfinished(runset, &self.steps.current())?;
            if let Some(start) = start.filter(|_| self.actions.start.is_some()) {
                self.restart(runset, start, fed)?;
            }
            self.reshape(runset)?;
        }
        self.state.commit()?;
        Ok((existing, false, found))
    }

    fn reshape(&mut self, runset: &Runset) -> Result<(), Failure> {
        let router = &self.source.router;
        Ok(engine::reshape(
            &mut self.state,
            runset,
            &self.steps.all,
            router,
        )?)
    }

    /// The runset whose entries are compared with what comes in: the newest, if it is the only one.
    fn to_compare(&self, runsets: &[Runset]) -> Result<Option<Runset>, Failure> {
        let [runset] = runsets else {
            return Ok(None);
        };
        let newest = self.state.newest_runset()?;
        let all = self.actions.runset.as_deref() == Some(select::ALL);
        Ok(newest.filter(|newest| !all && newest.id == runset.id))
    }

    /// Records the parameters that a new runset is given, by this call and by those before that did not come so
    /// far. One that was there has them by now.
    fn give(&mut self, runset: &Runset, before: &Awaited) -> Result<(), Failure> {
        let given = &self.source.params.given;
        self.state.await_no_more()?;
        self.state
            .give_params(runset, &before.params, &BTreeSet::new())?;
        Ok(self
            .state
            .give_params(runset, &given.values, &given.forgotten)?)
    }

    /// Makes a runset that begins at `start`.
    fn seed(&mut self, start: Option<StepId>) -> Result<Runset, Failure> {
        let now = sys::now();
        let awaited = params::awaited(&self.state, self.actions)?;
        let wanted = params::wanted_name(self.actions).or(awaited.name.as_deref());
        let name = wanted.map_or_else(|| now.strftime("%Y%m%dT%H%M%SZ").to_string(), str::to_owned);
        let runset = self.state.create_runset(&name, now.as_millisecond())?;
        self.give(&runset, &awaited)?;
        if let Some(start) = start {
            self.state.seed(&runset, start)?;
        }
        let names = self.steps.all.iter().map(|step| &step.name);
        let sign = state::sign(names);
        self.state.set_routed_by(&runset, Some(&sign))?;
        let begins = self.source.manifest.start();
        let begins = begins.and_then(|step| self.steps.named(step.name.as_str()));
        if start.is_some_and(|start| begins.is_none_or(|step| step.id != start)) {
            self.state.set_begun_in_several(&runset)?;
        } else {
            self.state
                .set_begun(&runset, begins.map(|step| &step.name))?;
        }
        Ok(runset)
    }

    /// Tells of runsets that the manifest does not fit; fails if it fits none.
    pub(super) fn check_fit(&mut self, runsets: &[Runset]) -> Result<(), Failure> {
        let mut fitting = 0;
        let mut failure = Ok(());
        for runset in runsets {
            let fit = Fit::of(self.source, &self.state, runset)?;
            match fit.check() {
                Ok(()) => fitting += 1,
                error => failure = error,
            }
            if let Some(warning) = fit.warning() {
                self.reporter.event(&Event::Warning(&warning));
            }
            if fit.begins_right() {
                let start = self.source.manifest.start().map(|step| &step.name);
                self.state.set_begun(runset, start)?;
            }
        }
        if fitting == 0 { failure } else { Ok(()) }
    }

    fn refuse_existing(&self) -> Result<(), Failure> {
        match self.actions.runset.as_deref() {
            Some(name) if self.state.runset(name)?.is_some() => Err(Failure::usage(format!(
                "there is a runset `{name}` already"
            ))
            .hint(
                "-fresh makes a new one: give another name, or leave -fresh out to go on with it",
            )),
            _ => Ok(()),
        }
    }

    /// Tells of a new runset that begins at another step than the manifest says, and so with nothing that comes of
    /// those before it.
    fn tell_begins_within(&mut self, fed: bool) {
        let Some(name) = self.actions.start.as_deref().filter(|_| !fed) else {
            return;
        };
        let steps = &self.source.manifest.steps;
        let step = steps.iter().find(|step| step.name.as_str() == name);
        let begins = self.source.manifest.start().map(|step| &step.name);
        if let Some(step) = step.filter(|step| Some(&step.name) != begins) {
            let fresh = if self.actions.fresh { "-fresh " } else { "" };
            let again = match fresh {
                "" => String::new(),
                _ => format!(
                    "; `run -start {name}` without -fresh runs its tasks of the newest runset again"
                ),
            };
            let words = format!(
                "step {name} begins the new runset on an empty input: nothing comes there from the steps before it\n{}{again}",
                until(&step.name, fresh)
            );
            self.warn(Some(words));
        }
    }

    /// Has the step's tasks run again, or gives it a first one, unless that can only come in.
    fn restart(&mut self, runset: &Runset, step: StepId, fed: bool) -> Result<(), Failure> {
        let mut again = self.state.restart(runset, step)?;
        let gathers = self.steps.all.iter().find(|one| one.id == step);
        if let Some(step) = gathers.filter(|step| step.gather.is_some()) {
            let groups = self.state.force_groups(runset, &step.name, step.id)?;
            again += i64::try_from(groups).unwrap_or(i64::MAX);
        }
        let tally = self.state.tallies(runset.id)?.get(&step).copied();
        let is_none = again == 0 && tally.unwrap_or_default().total() == 0;
        if is_none && fed {
            let begins = self.steps.all.iter().find(|one| one.id == step);
            let told = begins.map(|step| {
                format!(
                    "step {} has no task in runset {} yet, and begins with what comes to it",
                    step.name,
                    visible(&runset.name)
                )
            });
            self.warn(told);
        } else if is_none {
            self.state.seed(runset, step)?;
            let begins = self.steps.all.iter().find(|one| one.id == step);
            let start = self.source.manifest.start().map(|step| &step.name);
            if let Some(step) = begins.filter(|step| Some(&step.name) != start) {
                self.warn(Some(format!(
                    "step {} had no task in runset {}: one begins there on an empty input, beside all else\n{}",
                    step.name,
                    visible(&runset.name),
                    until(&step.name, "")
                )));
                self.state.set_begun_in_several(runset)?;
            }
        }
        Ok(())
    }
}

/// What to do where a step has nothing of those before it.
fn until(step: &StepName, fresh: &str) -> String {
    format!("hint: `run {fresh}-until {step}` runs all that leads to it")
}

/// What is lost, and what becomes of it; none if nothing is.
fn lost_in_words(lost: &Lost, redone: &Redone) -> Option<String> {
    let what = lost.in_words()?;
    let mut text = format!(
        "{what}: {}",
        match redone.tasks {
            0 => "no task can make that again".to_owned(),
            1 => "1 task runs again".to_owned(),
            many => format!("{many} tasks run again"),
        }
    );
    if let Some(task) = redone.hopeless.first() {
        let _ = write!(
            text,
            "\nhint: what task {task} made cannot be made again, as the manifest no longer has this step: put the \
             step back, or restore the objects from a backup"
        );
    }
    Some(text)
}
