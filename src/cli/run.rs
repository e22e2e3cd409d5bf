//! The call without a subcommand: register, migrate, seed, run, sum up.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use super::arguments::Arguments;
use super::call::Call;
use super::error::{Failure, signal_status};
use super::executor::Pilots;
use super::options::Actions;
use super::place::{known_step, no_start_in, working_folder};
use super::results::Leaves;
use super::signals::Inbox;
use super::{
    cache, check, copied, counts, dry_run, executor, kept, leftover, mended, own, params, programs,
    resources, sandbox, secrets, select, signals, summary,
};
use crate::cache::{Cache, Settings};
use crate::engine::{self, Scheduler, Selection};
use crate::exec::Executor as _;
use crate::exec::local::{self, Channel, Kept, Local, Scratch, rescue};
use crate::exec::remote::{Posted, Remote};
use crate::model::event::{Event, Summary, Waiting};
use crate::model::name::StepName;
use crate::model::resources::Supply;
use crate::out;
use crate::prepare::{Known, PackageOptions, Source, Steps};
use crate::report::Reporter;
use crate::state::{self, Layout, Lock, Runset, State};
use crate::store::Store;
use crate::sys::{self, Shortage, descriptors};
use crate::text::{Shown as _, amount, visible};
use crate::wire::message::Terms;

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
        let junit = call.write_junit();
        done = done.and_then(|code| junit.map(|()| code));
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
    check_usage(&arguments.actions)?;
    let mut source = Source::load(&arguments.places.manifest()?)?;
    if let Some(folder) = &arguments.places.workdir {
        source.folder = working_folder(folder)?;
    }
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
    let mut pilots = None;
    if actions.run && !actions.dry_run {
        let executor = actions.executor.as_deref();
        pilots = Some(executor::give(executor, &arguments.places.db, &mut source)?);
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
        Failure::usage(error).hint("name a file in a folder that you can write to")
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

    fn execute(&mut self, channel: &Channel) -> Result<ExitCode, Failure> {
        self.with_store(channel, |call, store, scratch| {
            let again = engine::recover(&mut call.state, store)?;
            if again > 0 {
                call.reporter.event(&Event::Warning(&format!(
                    "the machine went down before all was on the disk: {} again",
                    match again {
                        1 => "1 task runs".to_owned(),
                        many => format!("{many} tasks run"),
                    }
                )));
            }
            kept::prune(&call.state, true);
            let done = call.run_all(store, scratch, channel);
            kept::prune(&call.state, true);
            done
        })
    }

    /// Does what executes tasks, in a folder of its own.
    pub(super) fn with_store(
        &mut self,
        channel: &Channel,
        execute: impl FnOnce(&mut Self, &Arc<Store>, &Scratch) -> Result<ExitCode, Failure>,
    ) -> Result<ExitCode, Failure> {
        sys::adopt_orphans();
        self.go_where_scripts_start()?;
        let layout = self.state.layout().clone();
        let scratch = Scratch::new(&layout.scratch(), &layout.objects(), self.actions.grace)?;
        channel.emergency().is_in(&scratch);
        self.warn(leftover::of_a_killed_run(scratch.leftover()));
        let place = scratch.folder().path();
        programs::check(self.source, &self.steps)?;
        sandbox::check(self.source, &self.steps, place, layout.root())?;
        let reporter = &mut self.reporter;
        let mut tell = |event: &Event| reporter.event(event);
        resources::tell_capped(&self.has, &self.source.manifest, &mut tell);
        self.fence = resources::fence(self.source, &mut tell);
        if let Some(fence) = &self.fence {
            scratch.note_group(fence.folder());
        }
        let store = Arc::new(Store::open(&layout.objects(), place)?);
        store.lend(self.state.lent()?);
        store.set_evicted(self.state.evicted()?);
        for words in rescue(&scratch, &store, &mut self.state)? {
            self.warn(Some(words));
        }
        let done = execute(self, &store, &scratch);
        self.warn(leftover::of_this_run(&scratch.close()));
        done
    }

    /// This machine's executor.
    pub(super) fn local<'c>(
        &self,
        channel: &'c Channel,
        store: &'c Store,
        scratch: &Scratch,
    ) -> Local<'c> {
        Local {
            channel,
            store,
            steps: Arc::clone(&self.steps.runnable),
            scratch: Arc::clone(scratch.folder()),
            live: self.live,
            grace: self.actions.grace,
            fence: self.fence.clone(),
            keep: None,
            runsets: 0,
            away: None,
        }
    }

    fn run_all(
        &mut self,
        store: &Arc<Store>,
        scratch: &Scratch,
        channel: &Channel,
    ) -> Result<ExitCode, Failure> {
        let mut cache = self.begin_cache(store, channel)?;
        let done = self.run_runsets(store, scratch, channel, cache.as_mut());
        if let Some(cache) = cache {
            self.end_cache(cache, done.is_ok());
        }
        done
    }

    fn run_runsets(
        &mut self,
        store: &Store,
        scratch: &Scratch,
        channel: &Channel,
        cache: Option<&mut Cache>,
    ) -> Result<ExitCode, Failure> {
        let has_inputs = !self.source.manifest.inputs.is_empty();
        let sign = has_inputs.then(|| store.sign());
        let (runsets, seeded, mut found) = self.runsets_to_run(Some(store))?;
        self.check_fit(&runsets)?;
        let mut selections = self.selections(&runsets)?.into_iter();
        let settings = engine::Settings {
            parallel: self.parallel(),
            fail_fast: self.actions.fail_fast,
            supply: self.has.clone(),
            places: self.source.executors.crews.len(),
        };
        let mut local = self.local(channel, store, scratch);
        local.keep = self.keep_failed()?;
        local.runsets = runsets.len();
        if !seeded {
            self.restore(&runsets, store, sign.as_deref())?;
            if let (Some(found), [runset]) = (&mut found, &runsets[..]) {
                self.restore_inputs(runset, found, store)?;
            }
        }
        drop(found);
        for runset in &runsets {
            self.state.set_ran(runset)?;
        }
        let now = sys::now().as_millisecond();
        self.state
            .end_workers(now, "its run ended before that was told")?;
        let of = (&runsets[..], &mut selections as &mut dyn Iterator<Item = _>);
        let source = self.source;
        if source.executors.crews.is_empty() {
            return self.run_each(of, seeded, &settings, &mut local, cache);
        }
        let pilots = self.pilots.take();
        if let Some(pilots) = &pilots {
            pilots.cancel();
        }
        let posted = std::mem::take(&mut self.steps.posted);
        self.lend_declared(&posted, store);
        let memory = resources::limits_memory(source, true);
        let keep = local.keep.clone();
        let terms = Terms {
            memory,
            keep: keep.is_some(),
            ..executor::terms(self.actions.grace, self.live)
        };
        let folder = scratch.folder();
        let hidden = source.secrets.hidden();
        let crews = &source.executors.crews;
        // One at home may have one more than run at once.
        let first = settings.parallel.saturating_add(1);
        let terms = (terms, first);
        let remote = Remote::new(store, folder, crews, &posted, terms, (hidden, keep));
        let remote = remote.divide(self.fence.clone());
        let done = std::thread::scope(|scope| {
            remote
                .serve(scope)
                .map_err(|error| engine::Error::Worker(Some(error)))?;
            local.away = Some(&remote);
            let done = self.run_each(of, seeded, &settings, &mut local, cache);
            remote.end();
            done
        });
        if let Some(pilots) = &pilots {
            pilots.cancel();
        }
        let now = sys::now().as_millisecond();
        let ended = self.state.end_workers(now, "the run was over");
        let ended = ended.and_then(|()| self.state.end());
        let done = done?;
        ended?;
        Ok(done)
    }

    /// Has the files that steps elsewhere declare, and that are no objects as they are large, for who asks for them.
    fn lend_declared(&self, posted: &[Option<Posted>], store: &Store) {
        let steps = self.steps.runnable.iter().zip(posted);
        let watches = steps
            .filter(|(_, posted)| posted.is_some())
            .filter_map(|(step, _)| step.files.as_ref());
        for watch in watches {
            let mut lent = watch.lent(&self.source.folder);
            lent.retain(|(digest, _)| {
                !store.contains(digest) && !store.lent().contains_key(digest)
            });
            store.lend(lent);
        }
    }

    /// Runs the tasks of each of these runsets, or the selected ones.
    fn run_each(
        &mut self,
        (runsets, selections): (&[Runset], &mut dyn Iterator<Item = Option<Selection>>),
        seeded: bool,
        settings: &engine::Settings,
        local: &mut Local,
        mut cache: Option<&mut Cache>,
    ) -> Result<ExitCode, Failure> {
        let mut failed = 0;
        for runset in runsets {
            let selection = selections.next().flatten();
            let mut summary = self.run_one(
                runset,
                seeded,
                settings,
                selection.as_ref(),
                local,
                cache.as_deref_mut(),
            )?;
            summary.published = self.leaves.results.is_some();
            failed += summary.failed;
            for (_, tainted, _) in &summary.tainted {
                self.stale += usize::try_from(*tainted).unwrap_or_default();
            }
            self.reporter.event(&Event::Summary(&summary));
            self.last = Some(summary.clone());
            if let Some(short) = summary.shortage {
                return Err(Failure::usage(short.error).lined().hint(short.hint));
            }
            if let Some(signal) = summary.signal {
                return Ok(ExitCode::from(signal_status(signal)));
            }
            if failed > 0 && self.actions.fail_fast {
                break;
            }
            let astray = summary.waiting.iter().any(Waiting::is_astray);
            let left_out = summary.left_out.as_ref();
            let is_left = astray || !summary.lacking.is_empty() || summary.without_bytes > 0;
            if summary.failed == 0 && (is_left || self.tell_held(runset, left_out)?) {
                failed += 1;
            }
        }
        if self.actions.strict && self.stale > 0 {
            let stay = ("stays as it is", "stay as they are");
            let left = amount::doing(self.stale, "result", stay);
            return Err(Failure::strict(format!(
                "{left}, of another version or route than today's (-strict)"
            ))
            .hint("-migrate-tainted -run has them done again"));
        }
        Ok(ExitCode::from(u8::from(failed > 0)))
    }

    /// Where folders of failed tasks go, if they are to be kept.
    fn keep_failed(&self) -> Result<Option<Arc<Kept>>, Failure> {
        let wanted = self.actions.keep_failed;
        wanted
            .then(|| kept::folder(self.state.layout()).map(Arc::new))
            .transpose()
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

    fn run_one(
        &mut self,
        runset: &Runset,
        seeded: bool,
        settings: &engine::Settings,
        selection: Option<&Selection>,
        local: &mut Local,
        mut cache: Option<&mut Cache>,
    ) -> Result<Summary, Failure> {
        self.state.give_back_superseded()?;
        let before = counts::by_step(&self.source.manifest, &self.state, runset)?;
        self.reporter.event(&Event::Runset {
            name: &runset.name,
            seeded,
            params: &self.source.params.all_given(),
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
        let mut before = Summary::default();
        let summary = loop {
            let mut scheduler = Scheduler::new(
                &mut self.state,
                local.store,
                &self.steps.all,
                &self.source.router,
                runset,
                settings.clone(),
                &mut listener,
            )?;
            if let Some(selection) = selection {
                scheduler.select(selection.clone());
            }
            if let Some(cache) = &mut cache {
                scheduler.share(*cache);
            }
            let mut summary = local.run(scheduler)?;
            summary.add_earlier(&before);
            let is_over = summary.signal.is_some() || summary.shortage.is_some();
            if summary.superseded == 0 || is_over {
                break summary;
            }
            // What was found to be superseded only as it ran again is done now.
            before = summary;
        };
        Ok(counts::complete(
            summary,
            &self.source.manifest,
            &self.state,
            &self.steps,
            runset,
        )?)
    }

    /// Tasks that can run at once: as many as are wanted, if so many files can be open.
    pub(super) fn parallel(&mut self) -> usize {
        let wanted = match self.actions.parallel {
            Some(most) => usize::try_from(most).unwrap_or(usize::MAX),
            None => usize::try_from(self.has.cpus).unwrap_or(usize::MAX),
        };
        let (fitting, limit) = descriptors::make_room(wanted, local::need(&self.steps.runnable));
        if fitting < wanted {
            self.reporter.event(&Event::Warning(&format!(
                "{} at once, and not {wanted}: no more than {limit} files can be \
                 open\nhint: {}",
                amount::doing(fitting, "task", ("runs", "run")),
                Shortage::Descriptors.hint()
            )));
        }
        fitting
    }
}
