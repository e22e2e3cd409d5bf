//! Where scripts start, what lies elsewhere, and the steps that a manifest has.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use super::error::Failure;
use super::{select, words};
use crate::manifest::Manifest;
use crate::prepare::Source;
use crate::text::Shown as _;

/// The folder given with -workdir, absolute.
pub(super) fn working_folder(folder: &Path) -> Result<PathBuf, Failure> {
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

/// The manifest that the words name, or that is in this folder, if it can be read.
pub(super) fn manifest_at_hand(words: &[OsString]) -> Option<Manifest> {
    let path = words::manifest_of(words).unwrap_or_else(|| "workflow.toml".into());
    Source::load(&path).ok().map(|source| source.manifest)
}

/// Scripts cannot start in that folder.
pub(super) fn no_start_in(folder: &Path, why: &dyn std::fmt::Display) -> Failure {
    Failure::usage(format!("scripts cannot start in {}: {why}", folder.shown()))
}

/// Fails unless the manifest has a step of that name.
pub(super) fn known_step(source: &Source, name: &str) -> Result<(), Failure> {
    if source.manifest.step(name).is_some() {
        return Ok(());
    }
    let names = source.manifest.steps.iter().map(|step| step.name.as_str());
    Err(select::unknown_step(
        name,
        &source.path.to_string_lossy(),
        names,
    ))
}

/// What belongs to the system, or to packages.
const SYSTEM: [&str; 14] = [
    "/nix",
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/etc",
    "/proc",
    "/dev",
    "/sys",
    "/run",
    "/var/cache",
];

/// Whether the path, an absolute one, is there.
pub(super) fn is_of_the_system(path: &Path) -> bool {
    SYSTEM.iter().any(|folder| path.starts_with(folder))
}

/// The path without `.` and `..`.
pub(super) fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(plain.pop()),
            Component::Normal(_) | Component::RootDir | Component::Prefix(_) => plain.push(part),
        }
    }
    plain
}
