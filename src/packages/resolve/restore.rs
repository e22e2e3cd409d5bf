//! Store paths that have vanished since they were resolved.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::super::command::CallError;
use super::super::{Environment, Error, Progress, roots};
use super::Session;
use crate::model::name::StepName;
use crate::text::amount::doing;

impl Session<'_> {
    /// Brings back store paths of known environments that are gone; an environment that cannot be
    /// brought back as it was is taken out, to be made anew.
    pub(super) fn restore(
        &self,
        found: &mut BTreeMap<StepName, Environment>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), Error> {
        let steps: Vec<StepName> = found.keys().cloned().collect();
        let mut tried = BTreeSet::new();
        loop {
            let gone = self.gone(found.values());
            let gone: Vec<String> = gone.difference(&tried).cloned().collect();
            if gone.is_empty() {
                break;
            }
            self.bring_back(&gone, &steps, progress)?;
            tried.extend(gone);
            // What a package propagates can be read now that it is there.
            for environment in found.values_mut() {
                *environment = self.environment(std::mem::take(&mut environment.packages))?;
            }
        }
        found.retain(|_, environment| self.gone([&*environment]).is_empty());
        Ok(())
    }

    pub(super) fn bring_back(
        &self,
        gone: &[String],
        steps: &[StepName],
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), Error> {
        let nix = self.tools.nix(steps)?;
        progress(Progress::Line(format!(
            "restoring {} vanished",
            doing(gone.len(), "store path", ("that has", "that have"))
        )));
        let invalid = nix
            .invalid(gone)
            .map_err(|call| Error::of_call(call, steps))?;
        let (unknown, damaged): (Vec<_>, Vec<_>) = gone
            .iter()
            .cloned()
            .partition(|path| invalid.contains(path));
        // One by one: what can be had must not fail with what cannot.
        for path in unknown {
            let realised = nix.realise(&[path], None, progress);
            unless_refused(realised.map(|_| ()), steps)?;
        }
        if !damaged.is_empty() {
            unless_refused(nix.repair(&damaged, progress), steps)?;
        }
        Ok(())
    }

    /// The store paths of `environments` at which there is nothing.
    pub(super) fn gone<'e>(
        &self,
        environments: impl IntoIterator<Item = &'e Environment>,
    ) -> BTreeSet<String> {
        environments
            .into_iter()
            .flat_map(|environment| {
                let packages = environment.packages.iter();
                roots::tops(
                    self.store,
                    packages
                        .flat_map(|p| &p.store_paths)
                        .chain(&environment.path),
                )
            })
            .filter(|path| Path::new(path).symlink_metadata().is_err())
            .collect()
    }

    /// No task runs with a path that is not there: the host's program of that name would run.
    pub(super) fn check(&self, found: &BTreeMap<StepName, Environment>) -> Result<(), Error> {
        let Some(path) = self.gone(found.values()).pop_first() else {
            return Ok(());
        };
        let uses = |environment: &Environment| self.gone([environment]).contains(&path);
        Err(Error::Vanished {
            steps: found
                .iter()
                .filter(|(_, environment)| uses(environment))
                .map(|(step, _)| step.clone())
                .collect(),
            path,
        })
    }
}

/// A refusal is no error here; anything else that keeps Nix from answering is.
fn unless_refused(result: Result<(), CallError>, steps: &[StepName]) -> Result<(), Error> {
    match result {
        Ok(()) | Err(CallError::Failed(_)) => Ok(()),
        Err(call) => Err(Error::of_call(call, steps)),
    }
}
