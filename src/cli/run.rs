//! The call without a subcommand: register, migrate, seed, run, sum up.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use super::arguments::{Actions, Arguments};
use super::error::{Failure, signal_status};
use super::fit::Fit;
use super::{chosen, dry_run, leftover, mended, signals, standing};
use crate::core::event::{Event, Summary};
use crate::core::name::StepName;
use crate::core::text::{self, Shown as _};
use crate::engine::{self, Lost, Redone, Scheduler, Settings};
use crate::exec::Executor as _;
use crate::exec::local::{self, Channel, Local, Scratch};
use crate::out;
use crate::pipeline::{Known, Source, Steps, Supply};
use crate::report::Reporter;
use crate::state::{self, Lock, Runset, State, StepId};
use crate::store::Store;
use crate::sys::{self, Shortage, descriptors};

/// Everything that a call works with.
pub(super) struct Call<'a> {
    pub(super) actions: &'a Actions,
    pub(super) source: &'a Source,
    pub(super) state: State,
    /// None where nothing is written: in a dry run.
    _lock: Option<Lock>,
    pub(super) steps: Steps,
    /// Steps whose packages are not resolved, in a call that only looks.
    pub(super) unresolved: Vec<StepName>,
    reporter: Reporter,
    live: bool,
}

/// Does what the options say.
pub fn main(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let actions = &arguments.actions;
    check_usage(actions)?;
    let mut source = Source::load(&arguments.places.manifest()?)?;
    if let Some(folder) = &arguments.places.workdir {
        source.folder = working_folder(folder)?;
    }
    if let Some(name) = &actions.start {
        known_step(&source, name)?;
    }
    let mut reporter = Reporter::new(arguments.output.style());
    if let Some(path) = &arguments.output.trace {
        reporter.trace_to(path).map_err(|error| {
            Failure::usage(error).hint("name a file in a folder that you can write to")
        })?;
    }
    reporter.event(&Event::Manifest {
        path: &source.path.to_string_lossy(),
        steps: source.manifest.steps.len(),
        start: &source.manifest.start().name,
    });
    let channel = Channel::default();
    let inbox = signals::listen(&channel)?;
    let db = &arguments.places.db;
    let supply = Supply {
        host: arguments.supply.host_env,
        locked: arguments.supply.locked,
        stop: &inbox.stop,
    };
    if actions.dry_run {
        let mut state = State::private_copy(db)?;
        let known = Known::of(&source, &mut state, supply)?;
        let steps = Steps::foresee(&source, &mut state, &known, &mut |event| {
            reporter.event(event);
        })?;
        let call = Call {
            actions,
            source: &source,
            state,
            _lock: None,
            steps,
            unresolved: known.unresolved,
            reporter,
            live: false,
        };
        return dry_run::main(call);
    }
    let (mut state, lock, created) = match State::open(db) {
        Err(state::Error::Locked(error)) if !acts(actions) && error.leaves_reading() => {
            return standing::as_recorded(&source, db, &error);
        }
        other => other?,
    };
    state.set_sync(actions.sync.into())?;
    reporter.event(&Event::Database {
        path: &db.to_string_lossy(),
        created,
    });
    for words in mended::words(state.mended()) {
        reporter.event(&Event::Warning(&words));
    }
    let mut unresolved = Vec::new();
    let mut listener = |event: &Event| reporter.event(event);
    let steps = if acts(actions) {
        Steps::register(&source, &mut state, supply, &mut listener)
            .map_err(|error| Failure::from(error).or_signal(inbox.signal()))?
    } else {
        let known = Known::of(&source, &mut state, supply)?;
        if !known.unresolved.is_empty() {
            // A version is recorded once all is known that makes it.
            state = State::private_copy(db)?;
        }
        let steps = Steps::foresee(&source, &mut state, &known, &mut listener)?;
        unresolved = known.unresolved;
        steps
    };
    let mut call = Call {
        actions,
        source: &source,
        state,
        _lock: Some(lock),
        steps,
        unresolved,
        reporter,
        live: arguments.output.verbose,
    };
    let done = call.act(&channel);
    call.reporter.finish();
    done
}

fn acts(actions: &Actions) -> bool {
    actions.run || actions.migrate_tainted
}

fn check_usage(actions: &Actions) -> Result<(), Failure> {
    let all = actions.runset.as_deref() == Some(ALL);
    if all && (actions.fresh || actions.start.is_some()) {
        return Err(
            Failure::usage("-runset all does not go with -fresh or -start")
                .hint("name one runset, or leave -runset out for the newest"),
        );
    }
    if actions.runset.as_deref() == Some("") {
        return Err(Failure::usage("the name given with -runset is empty"));
    }
    Ok(())
}

/// The folder given with -workdir, absolute.
fn working_folder(folder: &Path) -> Result<PathBuf, Failure> {
    let no_start = |why: &dyn std::fmt::Display| {
        no_start_in(folder, why).hint("give -workdir a folder that exists")
    };
    let path = folder.canonicalize().map_err(|error| no_start(&error))?;
    if path.is_dir() {
        Ok(path)
    } else {
        Err(no_start(&"it is not a folder"))
    }
}

fn no_start_in(folder: &Path, why: &dyn std::fmt::Display) -> Failure {
    Failure::usage(format!("scripts cannot start in {}: {why}", folder.shown()))
}

/// Stands for every runset.
pub const ALL: &str = "all";

fn known_step(source: &Source, name: &str) -> Result<(), Failure> {
    if source.manifest.step(name).is_some() {
        return Ok(());
    }
    let names = source.manifest.steps.iter().map(|step| step.name.as_str());
    Err(chosen::unknown_step(
        name,
        &source.path.to_string_lossy(),
        names,
    ))
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
            "\nhint: what task {task} made cannot be made again, as the manifest has no such step any \
             more: put the step back, or restore the objects from a backup"
        );
    }
    Some(text)
}

impl Call<'_> {
    fn act(&mut self, channel: &Channel) -> Result<ExitCode, Failure> {
        if self.actions.run {
            return self.run(channel);
        }
        if self.actions.migrate_tainted {
            let runsets = self.chosen()?;
            for runset in &runsets {
                self.migrate(runset)?;
            }
            self.state.end()?;
            self.check_fit(&runsets)?;
        } else {
            self.state.end()?;
            let runset = self.chosen()?.pop();
            standing::print_standing(
                self.source,
                &self.state,
                &self.steps,
                &self.unresolved,
                runset.as_ref(),
            )?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The runsets to act on that exist.
    fn chosen(&self) -> Result<Vec<Runset>, Failure> {
        match self.actions.runset.as_deref() {
            None => Ok(self.state.newest_runset()?.into_iter().collect()),
            Some(ALL) => Ok(self.state.runsets()?),
            Some(name) => match self.state.runset(name)? {
                Some(runset) => Ok(vec![runset]),
                None if self.actions.run => Ok(Vec::new()),
                None => Err(chosen::unknown_runset(&self.state, name)?),
            },
        }
    }

    /// Supersedes what is tainted, and tells.
    fn migrate(&mut self, runset: &Runset) -> Result<(), Failure> {
        let current = self.steps.current();
        let made = self.state.migrate_tainted(runset, &current)?;
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
        if made.is_empty() {
            self.reporter.event(&Event::NothingTainted {
                runset: &runset.name,
            });
        }
        Ok(())
    }

    fn run(&mut self, channel: &Channel) -> Result<ExitCode, Failure> {
        sys::adopt_orphans();
        self.go_where_scripts_start()?;
        let layout = self.state.layout().clone();
        let scratch = Scratch::new(&layout.scratch(), &layout.objects())?;
        channel.emergency().is_in(&scratch);
        self.warn(leftover::of_a_killed_run(scratch.leftover()));
        let store = Store::open(&layout.objects(), scratch.folder().path())?;
        let again = engine::recover(&mut self.state, &store)?;
        if again > 0 {
            self.reporter.event(&Event::Warning(&format!(
                "the machine went down before all was on the disk: {} again",
                match again {
                    1 => "1 task runs".to_owned(),
                    many => format!("{many} tasks run"),
                }
            )));
        }
        let done = self.run_all(&store, &scratch, channel);
        self.warn(leftover::of_this_run(&scratch.close()));
        done
    }

    fn run_all(
        &mut self,
        store: &Store,
        scratch: &Scratch,
        channel: &Channel,
    ) -> Result<ExitCode, Failure> {
        let (runsets, seeded) = self.runsets_to_run()?;
        self.check_fit(&runsets)?;
        let settings = Settings {
            parallel: self.parallel(),
            fail_fast: self.actions.fail_fast,
        };
        let mut local = Local {
            channel,
            scratch: Arc::clone(scratch.folder()),
            live: self.live,
        };
        if !seeded {
            self.restore(&runsets, store)?;
        }
        let mut failed = 0;
        for runset in &runsets {
            let summary = self.run_one(runset, seeded, store, &settings, &mut local)?;
            failed += summary.failed;
            self.reporter.event(&Event::Summary(&summary));
            if let Some(short) = summary.shortage {
                return Err(Failure::usage(short.error).hint(short.hint));
            }
            if let Some(signal) = summary.signal {
                return Ok(ExitCode::from(signal_status(signal)));
            }
            if failed > 0 && self.actions.fail_fast {
                break;
            }
        }
        Ok(ExitCode::from(u8::from(failed > 0)))
    }

    fn warn(&mut self, words: Option<String>) {
        if let Some(words) = words {
            self.reporter.event(&Event::Warning(&words));
        }
    }

    /// Has made again what is gone from the store, or was altered there, and tells.
    pub(super) fn restore(&mut self, runsets: &[Runset], store: &Store) -> Result<(), Failure> {
        let current = self.steps.current();
        for runset in runsets {
            let (lost, redone) = engine::restore(&mut self.state, store, runset, &current)?;
            if let Some(warning) = lost_in_words(&lost, &redone) {
                self.reporter.event(&Event::Warning(&warning));
            }
        }
        Ok(())
    }

    /// Children start where this process is.
    fn go_where_scripts_start(&mut self) -> Result<(), Failure> {
        let folder = &self.source.folder;
        self.state
            .find_from_everywhere()
            .and_then(|()| std::env::set_current_dir(folder))
            .map_err(|error| {
                no_start_in(folder, &error).hint("check the owners and modes of its parents")
            })
    }

    /// The runsets to run, seeded where there was none; whether one was.
    pub(super) fn runsets_to_run(&mut self) -> Result<(Vec<Runset>, bool), Failure> {
        let existing = if self.actions.fresh {
            self.refuse_existing()?;
            Vec::new()
        } else {
            self.chosen()?
        };
        let start = match &self.actions.start {
            Some(name) => self.steps.named(name),
            None => self.steps.named(self.source.manifest.start().name.as_str()),
        };
        let start = start.map_or(StepId::FINAL, |step| step.id);
        if existing.is_empty() {
            let now = sys::now();
            let name = match self.actions.runset.as_deref() {
                Some(name) if name != ALL => name.to_owned(),
                _ => now.strftime("%Y%m%dT%H%M%SZ").to_string(),
            };
            let runset = self.state.create_runset(&name, now.as_millisecond())?;
            self.state.seed(&runset, start)?;
            self.state.commit()?;
            if self.actions.migrate_tainted {
                // Says that there is nothing.
                self.migrate(&runset)?;
            }
            return Ok((vec![runset], true));
        }
        for runset in &existing {
            if self.actions.migrate_tainted {
                self.migrate(runset)?;
            }
            self.state
                .update_unfinished(runset, &self.steps.current())?;
            if self.actions.start.is_some() {
                self.restart(runset, start)?;
            }
        }
        self.state.commit()?;
        Ok((existing, false))
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

    /// Has the step's tasks run again, or gives it a first one.
    fn restart(&mut self, runset: &Runset, step: StepId) -> Result<(), Failure> {
        let again = self.state.restart(runset, step)?;
        let tally = self.state.tallies(runset.id)?.get(&step).copied();
        if again == 0 && tally.unwrap_or_default().total() == 0 {
            self.state.seed(runset, step)?;
        }
        Ok(())
    }

    fn run_one(
        &mut self,
        runset: &Runset,
        seeded: bool,
        store: &Store,
        settings: &Settings,
        local: &mut Local,
    ) -> Result<Summary, Failure> {
        let before = standing::by_step(&self.source.manifest, &self.state, runset)?;
        self.reporter.event(&Event::Runset {
            name: &runset.name,
            seeded,
            steps: &before,
        });
        for (step, count, changes) in self.steps.tainted(&self.state, runset)? {
            self.reporter.event(&Event::Tainted {
                step: &step,
                count,
                changes: &changes,
            });
        }
        let reporter = &mut self.reporter;
        let mut listener = |event: &Event| reporter.event(event);
        let scheduler = Scheduler::new(
            &mut self.state,
            store,
            &self.steps.all,
            &self.source.router,
            runset,
            settings.clone(),
            &mut listener,
        )?;
        let summary = local.run(scheduler)?;
        Ok(standing::complete(
            summary,
            &self.source.manifest,
            &self.state,
            &self.steps,
            runset,
        )?)
    }

    /// Tasks that can run at once: as many as are wanted, if so many files can be open.
    fn parallel(&mut self) -> usize {
        let wanted = match self.actions.parallel {
            Some(most) => usize::try_from(most).unwrap_or(usize::MAX),
            None => std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
        };
        let (fitting, limit) = descriptors::make_room(wanted, local::need(&self.steps.all));
        if fitting < wanted {
            self.reporter.event(&Event::Warning(&format!(
                "{fitting} tasks run at once, and not {wanted}: no more than {limit} files can be \
                 open\nhint: {}",
                Shortage::Descriptors.hint()
            )));
        }
        fitting
    }
}

/// Prints what programs read: JSON values, a line or more.
pub fn print_json(text: String) -> Result<(), Failure> {
    print_as_it_is(&text::json(text))
}

/// Prints what is safe by itself, and is no prose: pages, graphs, help.
pub fn print_as_it_is(text: &str) -> Result<(), Failure> {
    let mut out = out::Data::begin();
    out.write_all(text.as_bytes())
        .and_then(|()| out.end())
        .map_err(|error| Failure::output(&error))
}

/// Prints text for people. A reader that has gone away is no failure.
pub fn print(text: &str) -> Result<(), Failure> {
    out::print(text).map_err(|error| Failure::output(&error))
}
