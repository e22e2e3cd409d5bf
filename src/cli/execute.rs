//! Runsets are run: the store and a folder for the run, executors here and elsewhere, one runset after the other.

use std::process::ExitCode;
use std::sync::Arc;

use super::call::Call;
use super::error::{Failure, signal_status};
use super::place::no_start_in;
use super::{check, counts, executor, kept, leftover, programs, resources, sandbox};
use crate::cache::Cache;
use crate::engine::{self, Scheduler, Selection};
use crate::exec::Executor as _;
use crate::exec::local::{self, Channel, Kept, Local, Scratch, rescue};
use crate::exec::remote::{Posted, Remote};
use crate::model::event::{Event, Summary, Waiting};
use crate::state::Runset;
use crate::store::Store;
use crate::sys::{self, Shortage, descriptors};
use crate::text::amount;
use crate::text::typed::value_for_shell;
use crate::wire::message::Terms;

impl Call<'_> {
    pub(super) fn execute(&mut self, channel: &Channel) -> Result<ExitCode, Failure> {
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
            kept::prune(&call.state, true, None);
            call.reporter.show_at(&call.state.layout().now());
            let done = call.run_all(store, scratch, channel);
            kept::prune(&call.state, true, call.last.as_ref());
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
            let looked = match (&found, &runsets[..]) {
                (Some(_), [runset]) => self.state.looked(runset)?,
                _ => None,
            };
            self.restore(&runsets, store, sign.as_deref())?;
            if let (Some(found), [runset]) = (&mut found, &runsets[..]) {
                let all = looked.as_ref().map(|looked| &looked.sign) != sign.as_ref();
                let since = looked.map(|looked| looked.at);
                self.restore_inputs(runset, found, store, (all, since))?;
            }
        }
        drop(found);
        for runset in &runsets {
            self.state.set_ran(runset)?;
        }
        let steps = self.steps.all.iter().map(|step| step.id);
        self.state.set_registered(steps)?;
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
            summary.places.clone_from(&self.leaves.places);
            if self.actions.runset.is_some() {
                // Without it they would be about the newest one.
                summary.places += " -runset";
                summary.places += &value_for_shell(&runset.name, "NAME");
            }
            failed += summary.failed;
            for (_, tainted, _) in &summary.tainted {
                self.stale += usize::try_from(*tainted).unwrap_or_default();
            }
            self.warn(check::left_nothing(&self.source.manifest, &summary));
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
            .then(|| kept::folder(self.state.layout(), self.leaves.places.clone()).map(Arc::new))
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
        if self.reporter.estimates() {
            let names = before.iter().map(|(name, _)| name);
            self.reporter.expect(self.state.usual_times(names)?);
        }
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
