//! Whether steps can run in their sandboxes: asked before anything runs.

use std::fs;
use std::path::Path;

use super::check;
use super::error::Failure;
use crate::exec::local::{Problem, Sandbox};
use crate::manifest::diagnostic::Diagnostic;
use crate::prepare::{Source, Steps};
use crate::text::quoted;

/// Fails if one of the steps could not. `place`: a folder in which another can be made; `db`: the program's own.
pub(super) fn check(
    source: &Source,
    steps: &Steps,
    place: &Path,
    db: &Path,
) -> Result<(), Failure> {
    // What is not seen of this machine is known here alone, wherever the script fails for it.
    for sandbox in steps.runnable.iter().filter_map(|one| one.sandbox.as_ref()) {
        if let Some(step) = source.manifest.step(sandbox.step().as_str()) {
            sandbox.lacks(check::unseen_files(source, step, db));
        }
    }
    // Whether a machine elsewhere makes one, that finds out for itself.
    let here = steps.runnable.iter().zip(&steps.posted);
    let here = here.filter(|(_, posted)| posted.is_none());
    let mut sandboxes = here.filter_map(|(one, _)| one.sandbox.as_ref());
    let Some(first) = sandboxes.next() else {
        return Ok(());
    };
    let place = place.join("probe");
    fs::create_dir(&place)
        .map_err(|error| Failure::cannot("make a folder to try a sandbox in", &error))?;
    let probed = first.probe(&place);
    let _ = fs::remove_dir_all(&place);
    probed.map_err(|problem| refused(first, &problem))?;
    let mut wrong = Vec::new();
    for sandbox in std::iter::once(first).chain(sandboxes) {
        let steps = source.manifest.steps.iter().zip(&source.manifest.places);
        let of_step = steps
            .into_iter()
            .find(|(step, _)| step.name == *sandbox.step());
        let Some((_, places)) = of_step else {
            continue;
        };
        let objects = db.join("objects");
        let shown = sandbox.shows(&[db, &objects]).map(Problem::Shown);
        if let Some(problem) = sandbox.problem().or(shown.as_ref()) {
            let at = places
                .sandbox
                .clone()
                .unwrap_or_else(|| places.step.clone());
            let error = Diagnostic::at(at, words(sandbox, problem)).hint(problem.hint());
            wrong.push(error);
        }
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(source.diagnose(&wrong).into())
    }
}

/// What is wrong with the sandbox.
fn words(sandbox: &Sandbox, problem: &Problem) -> String {
    format!(
        "step {} cannot run in a sandbox: {}",
        quoted(sandbox.step().as_str()),
        problem.words()
    )
}

/// The failure that it is.
pub(super) fn refused(sandbox: &Sandbox, problem: &Problem) -> Failure {
    Failure::usage(words(sandbox, problem)).hint(problem.hint())
}
