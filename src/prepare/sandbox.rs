//! What scripts in a sandbox see of the host.

use std::ffi::OsString;
use std::path::PathBuf;

use super::Source;
use super::declared::Taken;
use crate::exec::local::{Sandbox, Scene, secret_in_a_sandbox};
use crate::manifest::Step;
use crate::model::identity::Identity;
use crate::packages::Closure;

/// The sandbox of a step, whose scripts are given to `program`; none if it has none.
pub(super) fn of_step(
    source: &Source,
    step: &Step,
    identity: &Identity,
    (files, closure): (Option<&Taken>, Option<&Closure>),
    program: &Result<PathBuf, String>,
) -> Option<Sandbox> {
    if !step.sandbox {
        return None;
    }
    let files = files.iter().flat_map(|files| files.watch.paths());
    let scene = Scene {
        step: &step.name,
        tools: &identity.tools,
        closure: closure.map(paths),
        network: step.network,
        folder: source.folder.clone(),
        files: files
            .map(|path| (source.folder.join(&*path), PathBuf::from(&*path)))
            .collect(),
        secrets: source.secrets.of_step(&step.secrets),
    };
    Some(scene.sandbox(program))
}

/// What is shown of the store.
pub(super) fn paths(closure: &Closure) -> Vec<PathBuf> {
    match closure {
        Closure::Paths(paths) => paths.iter().map(PathBuf::from).collect(),
        Closure::Store(folder) => vec![folder.clone()],
    }
}

/// The variables of a step's secrets, with the paths that its scripts see.
pub(super) fn secrets_of(source: &Source, step: &Step) -> Vec<(String, OsString)> {
    let mut secrets = source.secrets.of_step(&step.secrets);
    if step.sandbox {
        for (variable, path) in &mut secrets {
            *path = secret_in_a_sandbox(variable).into();
        }
    }
    secrets
}
