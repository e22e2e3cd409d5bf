//! `-migrate-tainted -sample N`: what comes of some tainted tasks under the version that their step
//! has now. They run in a state of their own; what is recorded is whether they left the same.

use std::process::ExitCode;
use std::sync::Arc;

use super::call::Call;
use super::error::{Failure, signal_status};
use super::select;
use crate::engine::{Scheduler, Settings, StepPlan};
use crate::exec::Executor as _;
use crate::exec::local::{Channel, Local, Scratch};
use crate::model::digest::Digest;
use crate::model::event::{Event, Summary};
use crate::model::list::Form;
use crate::model::name::StepName;
use crate::model::route::Router;
use crate::model::sample::{Left, Sample, Sampled, Unequal, differences};
use crate::model::task::{TaskCounts, TaskId};
use crate::state::{self, Drawn, Evidence, Reader, Runset, State, StepId};
use crate::store::{self, Store};
use crate::sys;
use crate::text::amount;

/// Outputs of a task that are told.
const OUTPUTS: usize = 3;

/// The finished tasks of one version of a step that has another one now.
pub(super) struct Older {
    /// The step as it is now.
    pub step: Arc<StepPlan>,
    /// The version.
    pub from: StepId,
    /// Its number.
    pub version: i64,
    /// How many.
    pub tainted: i64,
    /// Whether one of the two gathers what comes to it and the other does not, or gets other steps'
    /// outputs besides: what a task works on is another thing then.
    pub regrouped: bool,
    /// Whether a larger sample than the one at hand found outputs that differ.
    differed: bool,
}

impl Older {
    /// Why nothing can be said of them.
    pub(super) fn regrouped_in_words(&self) -> String {
        format!(
            "step {} takes other things together in the versions {} and {} (`gather`, `with`), so their \
             tasks cannot be compared",
            self.step.name, self.version, self.step.version
        )
    }
}

/// Whether a task that works on an object can run again: none of its bytes were evicted. What cannot be read is
/// there, for the task to tell.
pub(super) fn is_there(store: &store::Reader) -> impl Fn(&Digest, Form) -> bool {
    |object, form| !store.lacks(object, form).unwrap_or(false)
}

impl Call<'_> {
    /// The tainted tasks of a runset: steps in the order of the manifest, versions oldest first.
    pub(super) fn older(&self, runset: &Runset) -> Result<Vec<Older>, Failure> {
        let finished = self.state.finished(runset.id)?;
        let mut all = Vec::new();
        for step in &self.steps.all {
            let of_step = finished.iter().filter(|one| one.name == step.name);
            let mut tainted = of_step.filter(|one| !step.equal.contains(&one.step));
            let Some(first) = tainted.next() else {
                continue;
            };
            let versions = self.state.versions(step.name.as_str())?;
            let takes = |id: StepId| {
                let version = versions.iter().find(|version| version.id == id);
                let identity = version.and_then(|version| version.identity.as_ref());
                identity.map(|identity| (identity.gather, &identity.with, identity.each))
            };
            for one in std::iter::once(first).chain(tainted) {
                let version = versions.iter().find(|version| version.id == one.step);
                all.push(Older {
                    step: Arc::clone(step),
                    from: one.step,
                    version: version.map_or(0, |version| version.version),
                    tainted: one.count,
                    regrouped: takes(one.step) != takes(step.id),
                    differed: false,
                });
            }
        }
        Ok(all)
    }

    /// Runs at most `most` tainted tasks of each version and compares what they leave.
    pub(super) fn sample(&mut self, channel: &Channel, most: usize) -> Result<ExitCode, Failure> {
        let runsets = self.selected()?;
        if runsets.is_empty() {
            return Err(select::nothing_ran(self.state.layout()));
        }
        self.check_fit(&runsets)?;
        self.state.commit()?;
        self.with_store(channel, |call, store, scratch| {
            let mut equal = true;
            for runset in &runsets {
                match call.sample_of(runset, most, (store, scratch, channel)) {
                    Ok(Ok(all)) => equal &= all,
                    Ok(Err(signal)) => {
                        call.state.end()?;
                        return Ok(ExitCode::from(signal_status(signal)));
                    }
                    Err(failure) => {
                        call.state.end()?;
                        return Err(failure);
                    }
                }
            }
            call.state.end()?;
            Ok(ExitCode::from(u8::from(!equal)))
        })
    }

    /// Whether all that ran left the same; or the signal that ended it.
    fn sample_of(
        &mut self,
        runset: &Runset,
        most: usize,
        (store, scratch, channel): (&Store, &Scratch, &Channel),
    ) -> Result<Result<bool, i32>, Failure> {
        let mut groups = Vec::new();
        let mut drawn = Vec::new();
        let known = self.state.evidence(runset.id)?;
        for older in self.older(runset)? {
            if let [secret, ..] = &older.step.lacks[..] {
                let message = format!("step {} is not given {secret}", older.step.name);
                return Err(Failure::usage(message).hint(format!("-secret {secret}=FILE")));
            }
            if older.regrouped {
                let words = older.regrouped_in_words();
                self.reporter.event(&Event::Warning(&words));
                continue;
            }
            let tasks = self
                .state
                .draw(runset, older.from, most, &is_there(store))?;
            if tasks.is_empty() {
                // It says nothing, neither for nor against.
                self.reporter.event(&Event::Warning(&format!(
                    "step {}: none of its {} of version {} can be tried: the bytes of what they read were evicted; \
                     -migrate-tainted -run makes them again",
                    older.step.name,
                    amount::count(older.tainted, "task"),
                    older.version
                )));
                continue;
            }
            drawn.extend(tasks.iter().map(|task| Drawn {
                task: *task,
                step: older.step.id,
            }));
            let differed = known.iter().any(|one| {
                let is_same = (one.from, one.to) == (older.from, older.step.id);
                is_same
                    && one.unequal > 0
                    && usize::try_from(one.sample.tasks).is_ok_and(|earlier| earlier > tasks.len())
            });
            if differed {
                // A smaller sample does not see again what a larger one saw.
                self.reporter.event(&Event::Warning(&format!(
                    "a larger sample of step {} found outputs that differ: that still stands",
                    older.step.name
                )));
            } else {
                // Should this not come to its end, nothing speaks for anything.
                self.state
                    .drop_evidence(runset.id, older.from, older.step.id)?;
            }
            groups.push((Older { differed, ..older }, tasks));
        }
        self.state.commit()?;
        if groups.is_empty() {
            self.reporter.event(&Event::NothingTainted {
                runset: &runset.name,
            });
            return Ok(Ok(true));
        }
        let mut apart = self.state.apart(runset, &drawn)?;
        self.reporter.event(&Event::Sampling {
            runset: &runset.name,
            steps: &counts(&groups),
        });
        let mut local = self.local(channel, store, scratch);
        let summary = self.run_apart(&mut apart, runset, store, &mut local)?;
        if let Some(short) = summary.shortage {
            return Err(Failure::usage(short.error).lined().hint(short.hint));
        }
        if let Some(signal) = summary.signal {
            self.reporter.event(&Event::Warning(
                "the sample did not come to its end, and nothing of it counts",
            ));
            return Ok(Err(signal));
        }
        let mut equal = true;
        for (older, tasks) in &groups {
            let told = self.compare(&apart, runset, older, tasks)?;
            equal &= told.is_equal();
            let sample = Sample {
                tasks: told.tasks,
                tainted: told.tainted,
                made: sys::now().as_millisecond(),
            };
            let evidence = Evidence {
                from: older.from,
                to: older.step.id,
                sample,
                unequal: told.differing + told.failed,
                newest: self.state.newest_finished(runset, older.from)?.0,
            };
            if !older.differed {
                self.state.put_evidence(runset.id, &evidence)?;
            }
            self.reporter.event(&Event::Sampled(&told));
        }
        self.state.commit()?;
        Ok(Ok(equal))
    }

    fn run_apart(
        &mut self,
        apart: &mut State,
        runset: &Runset,
        store: &Store,
        local: &mut Local,
    ) -> Result<Summary, Failure> {
        let settings = Settings {
            parallel: self.parallel(),
            fail_fast: false,
            supply: self.has.clone(),
            places: 0,
        };
        // Whatever they leave goes no further.
        let nowhere = Router::new([]);
        let reporter = &mut self.reporter;
        let router = &self.source.router;
        let mut listener = |event: &Event| {
            let elsewhere;
            let mut event = *event;
            if let Event::Done { outputs, .. } = &mut event {
                elsewhere = outputs.of_sample(|name| router.route(name));
                *outputs = &elsewhere;
            }
            reporter.event(&event);
        };
        let scheduler = Scheduler::new(
            apart,
            store,
            &self.steps.all,
            &nowhere,
            runset,
            settings,
            &mut listener,
        )?;
        Ok(local.run(scheduler)?)
    }

    /// What the tasks left, as it ran apart, and what is recorded of them.
    fn compare(
        &self,
        apart: &Reader,
        runset: &Runset,
        older: &Older,
        tasks: &[TaskId],
    ) -> Result<Sampled, Failure> {
        let mut told = Sampled {
            runset: runset.name.clone(),
            step: older.step.name.clone(),
            version: older.step.version,
            from: older.version,
            tasks: i64::try_from(tasks.len()).unwrap_or(i64::MAX),
            tainted: older.tainted,
            differing: 0,
            failed: 0,
            shown: Vec::new(),
            next: String::new(),
        };
        for task in tasks {
            let Some(one) = unequal(&self.state, apart, *task)? else {
                continue;
            };
            match one.error {
                Some(_) => told.failed += 1,
                None => told.differing += 1,
            }
            if told.shown.len() < Sampled::SHOWN {
                told.shown.push(one);
            }
        }
        told.next = self.next(&told);
        Ok(told)
    }

    fn next(&self, told: &Sampled) -> String {
        let runset = self.of_runset();
        if told.is_equal() {
            let all = match told.tainted {
                1 => "it".to_owned(),
                many => format!("all {many}"),
            };
            format!(
                "-migrate-tainted{runset} -accept {} takes {all} over",
                told.step
            )
        } else {
            format!("-migrate-tainted{runset} -run does all of them again")
        }
    }

    /// The option that names the runset as it was named.
    pub(super) fn of_runset(&self) -> String {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        match &self.actions.runset {
            Some(name) if name.chars().all(is_plain) => format!(" -runset {name}"),
            Some(name) => format!(" -runset '{}'", name.replace('\'', "'\\''")),
            None => String::new(),
        }
    }
}

/// What is to run, by step.
fn counts(groups: &[(Older, Vec<TaskId>)]) -> Vec<(StepName, TaskCounts)> {
    let mut counts: Vec<(StepName, TaskCounts)> = Vec::new();
    for (older, tasks) in groups {
        let tasks = i64::try_from(tasks.len()).unwrap_or(i64::MAX);
        match counts.last_mut() {
            Some((name, tally)) if *name == older.step.name => tally.pending += tasks,
            _ => counts.push((
                older.step.name.clone(),
                TaskCounts {
                    pending: tasks,
                    ..TaskCounts::default()
                },
            )),
        }
    }
    counts
}

/// How what the task left apart differs from what is recorded of it; none if it does not.
pub(super) fn unequal(
    recorded: &Reader,
    apart: &Reader,
    task: TaskId,
) -> Result<Option<Unequal>, state::Error> {
    let row = apart.task(task)?;
    let finished = row.as_ref().is_some_and(|row| row.state.is_finished());
    let mut one = Unequal {
        task,
        input_name: None,
        form: Form::File,
        error: None,
        outputs: Vec::new(),
        more: 0,
    };
    if let Some(row) = row {
        one.form = row.form;
        one.input_name = row.name.map(String::from);
        one.error = row.error;
    }
    if !finished {
        // Whatever ended the run of the step, it is told of the task that met it.
        one.error = one.error.or(Some("was not run".to_owned()));
        return Ok(Some(one));
    }
    let (Some(old), Some(new)) = (left(recorded, task)?, left(apart, task)?) else {
        one.error = Some("what it left before is recorded without names".to_owned());
        return Ok(Some(one));
    };
    one.outputs = differences(old, new);
    if one.outputs.is_empty() {
        return Ok(None);
    }
    one.more = one.outputs.len().saturating_sub(OUTPUTS);
    one.outputs.truncate(OUTPUTS);
    Ok(Some(one))
}

/// What a task left; none if that has no names.
fn left(state: &Reader, task: TaskId) -> Result<Option<Left>, state::Error> {
    let mut all = Left::new();
    let mut nameless = false;
    state.each_output(task, |name, digest, form| match name {
        // A file and a folder of one name are not the same.
        Some(name) if form == Form::Folder => all.push((format!("{}/", &**name), digest)),
        Some(name) => all.push((name.to_string(), digest)),
        None => nameless = true,
    })?;
    Ok((!nameless).then_some(all))
}
