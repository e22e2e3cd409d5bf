//! What comes in from outside, in a run: found before anything changes, compared, and taken in.

use super::call::{Call, Found};
use super::error::Failure;
use super::place::no_start_in;
use crate::files::Known;
use crate::inputs::{Difference, Error, Inputs, Outside};
use crate::manifest::Step;
use crate::model::event::Event;
use crate::prepare::Source;
use crate::state::Runset;
use crate::store::Store;
use crate::text::{Shown as _, quoted};

impl Call<'_> {
    /// Finds what comes in; none where the manifest has no inputs, and `runset` never had any.
    /// `store`: none in a dry run.
    pub(super) fn find_inputs(
        &mut self,
        runset: Option<&Runset>,
        store: Option<&Store>,
    ) -> Result<Option<Found>, Failure> {
        if self.source.manifest.inputs.is_empty() {
            let Some(runset) = runset else {
                return Ok(None);
            };
            if !self.state.has_entries(runset)? {
                return Ok(None);
            }
            // Whoever names another pipeline's db by mistake loses nothing of it.
            self.check_fit(std::slice::from_ref(runset))?;
        }
        let mut known = match self.steps.known_files.take() {
            Some(known) => known,
            None => Known::new(self.state.contents()?),
        };
        let db = self.state.layout().root().to_owned();
        let outside = Outside {
            tell: self.source.tell,
            manifest: &self.source.manifest,
            texts: &self.source.texts,
            router: &self.source.router,
            folder: &self.source.folder,
            db: &db,
            programs: &self.steps.programs,
            params: &self.source.params.all(),
            stop: &self.inbox.stop,
        };
        match Inputs::gather(&outside, &mut known, store) {
            Ok(inputs) => {
                for (at, words) in inputs.said() {
                    let words = words.trim().replace('\n', "; ");
                    let (path, line) = self.source.texts.line(at.start);
                    self.reporter.event(&Event::Warning(&format!(
                        "{}:{line}: the command ended well, and said on standard error: {words}",
                        path.shown()
                    )));
                }
                Ok(Some(Found { inputs, known }))
            }
            Err(error) => Err(self.no_inputs(error)),
        }
    }

    /// Whether nothing is missing that came in for the newest runset: before a new one is made.
    pub(super) fn check_inputs(&self, found: &Found) -> Result<(), Failure> {
        let Some(newest) = self.state.newest_runset()? else {
            return Ok(());
        };
        let checked = found.inputs.check_bare(&self.state, &newest);
        checked.map_err(|error| self.no_inputs(error))
    }

    /// Compares it with what the runset has, takes in what differs, and tells. In the open group of
    /// writes.
    pub(super) fn compare_inputs(
        &mut self,
        runset: &Runset,
        found: &mut Found,
        store: Option<&Store>,
    ) -> Result<(), Failure> {
        let difference = found.inputs.compare(&self.state, runset);
        let difference = difference.map_err(|error| self.no_inputs(error))?;
        let compared = difference.counts();
        if compared.gone > 0 && compared.changed + compared.unchanged == 0 {
            // Whoever names another pipeline's db by mistake loses nothing of it.
            self.check_fit(std::slice::from_ref(runset))?;
        }
        if let Some(store) = store {
            let kept = found.inputs.keep(&difference, &mut found.known, store);
            kept.map_err(|error| self.no_inputs(error))?;
            let all = found.inputs.lent();
            let new: Vec<_> = {
                let lent = store.lent();
                let is_new = |(digest, one): &&(_, _)| lent.get(digest) != Some(one);
                all.iter().filter(is_new).collect()
            };
            self.state
                .put_lent(new.iter().map(|(digest, lent)| (digest, lent)))?;
            store.lend(new.into_iter().cloned());
            let (contents, anew) = found.known.to_record();
            if anew || !contents.is_empty() {
                self.state.put_contents(contents, anew)?;
            }
        }
        self.take_in(runset, &found.inputs, &difference)?;
        if store.is_some() {
            self.reporter.event(&Event::Inputs(&compared));
        }
        self.compared = Some(compared);
        Ok(())
    }

    fn take_in(
        &mut self,
        runset: &Runset,
        inputs: &Inputs,
        difference: &Difference,
    ) -> Result<(), Failure> {
        if difference.is_none() {
            return Ok(());
        }
        let changes = inputs.changes(difference, |name| {
            self.steps.named(name.as_str()).map(|step| step.id)
        });
        Ok(self.state.change_entries(runset, &changes)?)
    }

    /// Puts back into the store what tasks are to work on and is gone from there, and what came in otherwise. See
    /// [`Inputs::put_back`].
    pub(super) fn restore_inputs(
        &mut self,
        runset: &Runset,
        found: &mut Found,
        store: &Store,
        (all, since): (bool, Option<i64>),
    ) -> Result<(), Failure> {
        let wanted = self.state.unfinished_roots(runset)?;
        let Found { inputs, known } = found;
        let restored = inputs.restore(&wanted, known, store);
        restored.map_err(|error| self.no_inputs(error))?;
        let back = inputs.put_back(all, since, known, store);
        let back = back.map_err(|error| self.no_inputs(error))?;
        if let Some((first, more)) = back.split_first() {
            let more = match more.len() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            self.reporter.event(&Event::Warning(&format!(
                "gone from the store or altered there: what came in as {}{more}: it was taken in again",
                quoted(first)
            )));
        }
        Ok(())
    }

    /// Whether inputs are what the step works on, and not an empty one to start with.
    pub(super) fn is_fed(&self, step: &str, found: Option<&Found>) -> bool {
        let manifest = &self.source.manifest;
        let named = |name: &str| {
            let mut steps = manifest.inputs.iter().flat_map(|input| &input.steps);
            steps.any(|step| step.as_str() == name)
        };
        let is = |what: fn(&Step) -> bool| manifest.step(step).is_some_and(what);
        !is(|step| step.start)
            && (manifest.start().is_none()
                || is(|step| {
                    step.gather.is_some() || !step.from.is_empty() || !step.with.is_empty()
                })
                || named(step)
                || found.is_some_and(|found| found.inputs.feed(step)))
    }

    fn no_inputs(&self, error: Error) -> Failure {
        no_inputs(self.source, error).or_signal(self.inbox.signal())
    }
}

/// What comes in cannot be had.
pub(super) fn no_inputs(source: &Source, error: Error) -> Failure {
    match error {
        Error::Bad(errors) => source.diagnose(&errors).into(),
        Error::Interrupted => Failure::usage("interrupted"),
        Error::Folder(error) => no_start_in(&source.folder, &error),
        Error::State(error) => error.into(),
        Error::Store(error) => error.into(),
    }
}
