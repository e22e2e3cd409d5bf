//! GC roots for what is used; and what is done where no Nix can be asked for them.

use std::collections::{BTreeMap, BTreeSet};

use super::super::build::call_name;
use super::super::error::steps_in_words;
use super::super::roots::Roots;
use super::super::sealed;
use super::super::store_path::StorePath;
use super::super::wanted::Source;
use super::super::{Environment, Error, Progress};
use super::Session;
use crate::model::name::StepName;

impl Session<'_> {
    /// Registers GC roots for the known environments where they are missing.
    pub(super) fn hold(
        &self,
        found: &BTreeMap<StepName, Environment>,
        roots: &mut Roots,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), Error> {
        let loose: BTreeSet<String> = found
            .values()
            .flat_map(|environment| &environment.packages)
            .flat_map(|package| &package.store_paths)
            .filter(|path| !roots.hold(path))
            .cloned()
            .collect();
        let steps: Vec<StepName> = found.keys().cloned().collect();
        match self.root("again", &Vec::from_iter(loose), &steps, roots, progress) {
            Err(error) => warn_of_absence(&error, &steps, progress).ok_or(error),
            Ok(()) => Ok(()),
        }
    }

    /// The environments of the steps at `missing`, where Nix cannot be asked and need not be: their
    /// packages are store paths that are there.
    pub(super) fn without_nix(
        &self,
        missing: &[usize],
        error: Error,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<(usize, Environment)>, Error> {
        if error.absence().is_none() {
            return Err(error);
        }
        let mut made = Vec::new();
        for at in missing {
            let places = &self.all.by_step[*at].1;
            match sealed::environment(self.all, places, self.store)? {
                Some(environment) => made.push((*at, environment)),
                None => return Err(error),
            }
        }
        let steps = missing.iter().map(|at| self.all.by_step[*at].0.clone());
        let steps: Vec<StepName> = steps.collect();
        warn_of_absence(&error, &steps, progress);
        Ok(made)
    }

    /// Registers GC roots for valid store paths.
    pub(super) fn root(
        &self,
        kind: &str,
        paths: &[String],
        steps: &[StepName],
        roots: &mut Roots,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), Error> {
        if paths.is_empty() {
            return Ok(());
        }
        let place = roots.place(&call_name(kind, paths.iter().map(String::as_str)), "path")?;
        self.tools
            .nix(steps)?
            .realise(paths, Some(&place), progress)
            .map_err(|call| Error::of_call(call, steps))?;
        roots.note(paths);
        Ok(())
    }

    /// Roots for the sources of pinned flakes: they are found in the store again without a network.
    pub(super) fn hold_sources(
        &self,
        places: &[usize],
        steps: &[StepName],
        roots: &mut Roots,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), Error> {
        let mut sources = self.sources(places.iter().copied());
        sources.retain(|source| !roots.hold(source));
        self.root("sources", &Vec::from_iter(sources), steps, roots, progress)
    }

    /// The sources of the pinned flakes of the packages at `places`, where they are in the store: a
    /// newer Nix may keep them elsewhere.
    pub(super) fn sources(&self, places: impl Iterator<Item = usize>) -> BTreeSet<String> {
        places
            .filter_map(|place| match &self.all.wanted[place].source {
                Source::Pinned { reference, .. } => self.pinned.firm.get(reference),
                Source::Fixed(_) | Source::Folder { .. } | Source::Store { .. } => None,
            })
            .filter_map(|pin| self.store.source(pin.text("narHash")?))
            .filter(StorePath::exists)
            .map(|source| source.as_str().to_owned())
            .collect()
    }
}

/// Tells that packages are used as they are, if `error` is just that Nix cannot be asked.
fn warn_of_absence(
    error: &Error,
    steps: &[StepName],
    progress: &mut dyn FnMut(Progress),
) -> Option<()> {
    let why = error.absence()?;
    let hint = error.hint().map(|hint| format!("\nhint: {hint}"));
    progress(Progress::Warning(format!(
        "Nix cannot be asked ({why}): the packages of {} are used as they are in the store, and \
         nothing keeps them from its garbage collection{}",
        steps_in_words(steps),
        hint.unwrap_or_default()
    )));
    Some(())
}
