//! What it takes here to carry out a task: the step's folder, secrets and sandbox, and what the task works on.

use std::sync::{Arc, PoisonError};

use super::fetch::Unready;
use super::folders::{Folders, Whereabouts};
use super::secrets::Given;
use super::shelf::Use;
use super::steps::Known;
use super::{Node, Task};
use crate::exec::local::{Problem, Runnable, Sandbox};
use crate::model::identity::Tools;
use crate::text::Shown as _;

impl Node<'_> {
    /// How the step's script is run here; or why it cannot be.
    fn ready(&self, known: &Known, used: &Use) -> Result<Arc<Runnable>, Unready> {
        let mut ready = known.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((step, _)) = &*ready {
            return Ok(Arc::clone(step));
        }
        let files = known.spec.identity.files.as_ref().map(|files| &files.tree);
        if let Some(files) = files {
            self.fetch.folder(files, used)?;
        }
        let folder = self.folders.with(self.site.store, files)?;
        let names = Folders::names(self.site.store, files)?;
        if let Tools::Nix(environment) = &known.spec.identity.tools {
            self.packages.have(known.number, environment)?;
        }
        // Whoever may write there, as the owner of all, is found out.
        let watch = files.map(|files| {
            let watch = Folders::watch(&folder, files, &names).map(Arc::new);
            watch.ok_or("the step's files there are not as they were: a script has changed them")
        });
        let watch = watch.transpose()?;
        let runnable = |secrets: &Given| known.runnable((&folder, &names), secrets, &self.host);
        let step = runnable(&Given::default())?;
        // Another machine may have it.
        step.program.as_ref().map_err(Clone::clone)?;
        if let Some(sandbox) = &step.sandbox {
            self.try_sandbox(sandbox)?;
        }
        // Nothing is in the way of the task: it is about to start.
        let secrets = self.secrets.of(known.number, &known.spec.secrets)?;
        let mut step = runnable(&secrets)?;
        step.files = watch;
        let step = Arc::new(step);
        *ready = Some((Arc::clone(&step), secrets));
        Ok(step)
    }

    /// Whether this machine makes such a sandbox.
    fn try_sandbox(&self, sandbox: &Sandbox) -> Result<(), String> {
        let told = |problem: &Problem| {
            format!(
                "no script of step {} can run in a sandbox there: {}\nhint: {}",
                sandbox.step(),
                problem.words(),
                problem.hint()
            )
        };
        if let Some(problem) = sandbox.problem() {
            return Err(told(problem));
        }
        let tried = self.sandboxes.get_or_init(|| {
            let made = tempfile::tempdir_in(self.site.scratch.path());
            let place = made.map_err(|error| Problem::Refused(error.to_string()))?;
            sandbox.probe(place.path())
        });
        tried.as_ref().map_err(told).copied()
    }

    /// Has all here that a task takes, and the slot where its script starts.
    pub(super) fn prepare(
        &self,
        task: &Task,
        place: &Whereabouts,
        used: &Use,
    ) -> Result<Arc<Runnable>, Unready> {
        let step = self.ready(&task.known, used)?;
        self.fetch.all_of(&task.spec, &step, used)?;
        let gone = place.go(&step.folder);
        gone.map_err(|error| format!("cannot start in {}: {error}", step.folder.shown()))?;
        Ok(step)
    }
}
