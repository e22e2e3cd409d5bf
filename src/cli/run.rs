//! The call without a subcommand: register, migrate, seed, run, sum up.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use super::arguments::Arguments;
use super::call::Call;
use super::error::Failure;
use super::executor::Pilots;
use super::options::Actions;
use super::place::{known_step, working_folder};
use super::results::Leaves;
use super::signals::Inbox;
use super::{
    cache, check, copied, dry_run, executor, mended, own, params, resources, secrets, select,
    signals, summary,
};
use crate::cache::Settings;
use crate::exec::local::Channel;
use crate::model::event::Event;
use crate::model::name::StepName;
use crate::model::resources::Supply;
use crate::out;
use crate::prepare::{Known, PackageOptions, Source, Steps};
use crate::report::Reporter;
use crate::state::{self, Layout, Lock, State};
use crate::sys;
use crate::text::{Shown as _, amount, visible};

/// Does what the options say.
pub(super) fn main(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let actions = &arguments.actions;
    let (mut source, has, pilots, cache) = source(arguments)?;
    let mut reporter = Reporter::new(arguments.output.style());
    trace(&mut reporter, arguments)?;
    let given = params::given(&arguments.params, &source.manifest, &mut |words| {
        reporter.event(&Event::Warning(&words));
    })?;
    tell_manifest(&source, &mut reporter);
    let leaves = Leaves::of(&arguments.places, actions, &source)?;
    let channel = Channel::default();
    let inbox = signals::listen(&channel)?;
    source.stop = Arc::clone(&inbox.stop);
    source.tell = arguments.output.tells_people().then_some(tell_of_reading);
    let db = &arguments.places.db;
    let supply = PackageOptions {
        host: arguments.supply.host_env,
        locked: arguments.supply.locked,
        stop: &inbox.stop,
    };
    if actions.dry_run {
        let state = State::private_copy(db)?;
        source.params = params::of_runsets(&source, &given, &state, actions)?;
        return try_out(
            state,
            &source,
            supply,
            actions,
            (has, cache),
            reporter,
            &inbox,
        );
    }
    let (mut state, lock) = match open(db, acts(actions), &mut reporter) {
        Err(state::Error::Locked(error)) if !acts(actions) && error.leaves_reading() => {
            return summary::as_recorded(&source, db, &error);
        }
        other => other?,
    };
    state.set_sync(actions.sync.into())?;
    tell_of_db(db, &state, &mut reporter);
    if let Some(words) = copied::words(db).filter(|_| acts(actions)) {
        reporter.event(&Event::Warning(&words));
    }
    source.params = params::of_runsets(&source, &given, &state, actions)?;
    let mut unresolved = Vec::new();
    let mut registered = Vec::new();
    let mut listener = |event: &Event| {
        if let Event::Version { step, .. } = event {
            registered.push((*step).clone());
        }
        reporter.event(event);
    };
    let steps = if acts(actions) {
        let remember = params::to_remember(&source, &state, actions)?;
        Steps::register(&source, &mut state, &remember, supply, &mut listener)
            .map_err(|error| Failure::from(error).or_signal(inbox.signal()))?
    } else {
        let known = Known::of(&source, &mut state, supply)?;
        if !known.unresolved.is_empty() || arguments.params.are_there() {
            // A version is recorded once all is known that makes it, and of a run that is given it.
            state = State::private_copy(db)?;
        }
        let steps = Steps::without_registering(&source, &mut state, &known, &mut listener)?;
        unresolved = known.unresolved;
        steps
    };
    tell_unseen(&source, arguments, &registered, &mut reporter);
    let mut call = Call {
        actions,
        source: &source,
        state,
        _lock: lock,
        steps,
        unresolved,
        reporter,
        live: arguments.output.verbose,
        has,
        cache,
        fence: None,
        inbox: &inbox,
        compared: None,
        stale: 0,
        last: None,
        leaves,
        pilots,
    };
    let mut done = call.act(&channel);
    if actions.run {
        done = match (done, Failure::unless_gone(call.write_junit())) {
            (done, Ok(())) => done,
            (Ok(_), Err(failure)) => Err(failure),
            // Both have happened, and may have one cause.
            (Err(first), Err(failure)) => {
                call.reporter.event(&Event::Warning(&failure.in_words()));
                Err(first)
            }
        };
        call.tell_finish(&done);
    }
    call.reporter.finish();
    done
}

/// Says what a run would do, of a copy of the db.
fn try_out(
    mut state: State,
    source: &Source,
    supply: PackageOptions,
    actions: &Actions,
    (has, cache): (Supply, Settings),
    mut reporter: Reporter,
    inbox: &Inbox,
) -> Result<ExitCode, Failure> {
    let known = Known::of(source, &mut state, supply)?;
    let steps = Steps::without_registering(source, &mut state, &known, &mut |event| {
        reporter.event(event);
    })?;
    dry_run::main(Call {
        actions,
        source,
        state,
        _lock: None,
        steps,
        unresolved: known.unresolved,
        reporter,
        live: false,
        has,
        cache,
        fence: None,
        inbox,
        compared: None,
        stale: 0,
        last: None,
        leaves: Leaves::default(),
        pilots: None,
    })
}

/// The db; of one that is not there, and is not to be made, an empty copy.
fn open(
    db: &Path,
    makes: bool,
    reporter: &mut Reporter,
) -> Result<(State, Option<Lock>), state::Error> {
    if !makes && !Layout::new(db).database().exists() {
        return Ok((State::private_copy(db)?, None));
    }
    let (state, lock, created) = State::open(db)?;
    if !created {
        state.check_sound()?;
    }
    reporter.event(&Event::Database {
        path: &db.to_string_lossy(),
        created,
    });
    Ok((state, Some(lock)))
}

fn tell_manifest(source: &Source, reporter: &mut Reporter) {
    reporter.event(&Event::Manifest {
        path: &source.path.to_string_lossy(),
        steps: source.manifest.steps.len(),
        start: source.manifest.start().map(|step| &step.name),
    });
}

/// Tells what was wrong in the database, and that locks may not reach as far as the db does.
fn tell_of_db(db: &Path, state: &State, reporter: &mut Reporter) {
    for words in mended::words(state.mended()) {
        reporter.event(&Event::Warning(&words));
    }
    if let Some(kind) = sys::network(db) {
        reporter.event(&Event::Warning(&format!(
            "{} is on a network file system ({kind}), whose locks may hold on this machine alone: run, and ask, from \
             one machine at a time; a -db on a disk of this machine is faster, too",
            db.shown()
        )));
    }
}

/// Of a file that takes long to read.
fn tell_of_reading(path: &str, size: u64) {
    out::tell(&format!(
        "reading {}, {}\n",
        visible(path),
        amount::bytes(size)
    ));
}

/// Tells what steps depend on and no version of them knows.
fn tell_unseen(
    source: &Source,
    arguments: &Arguments,
    registered: &[StepName],
    reporter: &mut Reporter,
) {
    let runs = acts(&arguments.actions);
    let mut listener = |event: &Event| reporter.event(event);
    check::tell(source, &arguments.places, registered, runs, &mut listener);
}

/// The manifest, fit for what is asked, and what there is for its tasks.
fn source(arguments: &Arguments) -> Result<(Source, Supply, Option<Pilots>, Settings), Failure> {
    let mut source = asked(arguments)?;
    if let Some(folder) = &arguments.places.workdir {
        source.folder = working_folder(folder)?;
    }
    let actions = &arguments.actions;
    let mut pilots = None;
    if actions.run && !actions.dry_run {
        let executor = actions.executor.as_deref();
        pilots = Some(executor::give(executor, &arguments.places.db, &mut source)?);
    } else {
        executor::steps_here(actions.executor.as_deref(), &source.manifest)?;
    }
    let has = resources::supply(&arguments.resources, &source.manifest)?;
    if actions.run || actions.sample.is_some() {
        resources::check_here(&has, &source)?;
    }
    secrets::give(&arguments.secrets, &mut source)?;
    if arguments.actions.strict {
        check::strict(&source, &arguments.places)?;
    }
    if let Some(page) = Reporter::page() {
        own::check_file(&arguments.places, &page)?;
    }
    let cache = if arguments.actions.run {
        cache::settings(&arguments.cache, &mut source)?
    } else {
        Settings::default()
    };
    Ok((source, has, pilots, cache))
}

/// The manifest, which has all that the options name of its steps and inputs.
pub(super) fn asked(arguments: &Arguments) -> Result<Source, Failure> {
    check_usage(&arguments.actions)?;
    let source = Source::load(&arguments.places.manifest()?)?;
    let actions = &arguments.actions;
    for name in actions
        .start
        .iter()
        .chain(&actions.accept)
        .chain(actions.part.steps())
    {
        known_step(&source, name)?;
    }
    actions.part.check(&source)?;
    Ok(source)
}

/// Begins the trace that is asked for, if one is.
fn trace(reporter: &mut Reporter, arguments: &Arguments) -> Result<(), Failure> {
    let Some(path) = &arguments.output.trace else {
        return Ok(());
    };
    if own::is_standard_output(path) {
        reporter.print_trace();
        return Ok(());
    }
    own::check_file(&arguments.places, path)?;
    reporter.trace_to(path).map_err(|error| {
        let hint = error.lacks_room();
        Failure::usage(error).hint(hint.unwrap_or("name a file in a folder that you can write to"))
    })
}

fn acts(actions: &Actions) -> bool {
    actions.run || actions.migrate_tainted
}

fn check_usage(actions: &Actions) -> Result<(), Failure> {
    let all = actions.runset.as_deref() == Some(select::ALL);
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

impl Call<'_> {
    fn act(&mut self, channel: &Channel) -> Result<ExitCode, Failure> {
        if self.actions.run {
            return self.run(channel);
        }
        if let Some(most) = self.actions.sample {
            return self.sample(channel, usize::try_from(most).unwrap_or(usize::MAX));
        }
        if !self.actions.accept.is_empty() {
            self.accept(&self.actions.accept)?;
        } else if self.actions.migrate_tainted {
            let runsets = self.selected()?;
            for runset in &runsets {
                self.migrate(runset)?;
            }
            self.state.end()?;
            self.check_fit(&runsets)?;
        } else {
            self.state.end()?;
            let runset = self.selected()?.pop();
            if let Some(runset) = &runset {
                self.tell_astray(runset)?;
            }
            summary::print_standing(
                self.source,
                &self.state,
                &self.steps,
                &self.unresolved,
                runset.as_ref(),
            )?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn run(&mut self, channel: &Channel) -> Result<ExitCode, Failure> {
        let done = self.execute(channel)?;
        self.publish(done)?;
        if done == ExitCode::SUCCESS {
            self.keep_few_runsets();
            self.keep_finals();
        }
        Ok(done)
    }
}
