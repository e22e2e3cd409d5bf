//! All that a step's packages need: what a script in a sandbox sees of the store.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use super::key::Key;
use super::store_path::StoreDir;
use super::tools::Tools;
use super::{Cache, Environment, Error, base_of, sealed};
use crate::model::digest::Digest;
use crate::model::name::StepName;

/// Store paths that packages need, themselves included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Closure {
    /// These.
    Paths(Vec<String>),
    /// The whole store, in this folder: inside a Nix build there is nothing else in it, and no Nix to ask.
    Store(PathBuf),
}

/// That of an environment, as far as an earlier run has asked Nix.
pub(crate) fn known_closure(
    environment: &Environment,
    cache: &dyn Cache,
) -> Result<Option<Closure>, Error> {
    let store = StoreDir::of_environment()?;
    if sealed::inside_a_build() {
        return Ok(Some(Closure::Store(store.as_str().into())));
    }
    let (key, _) = key(environment, &store);
    let is_there = |path: &String| {
        store
            .parse(path)
            .is_ok_and(|parsed| parsed.as_str() == path)
            && Path::new(path).symlink_metadata().is_ok()
    };
    let paths = cache.paths(&key);
    Ok(paths
        .filter(|paths| paths.iter().all(is_there))
        .map(Closure::Paths))
}

/// That of the environment `of` a step. Nix is asked once for each set of packages.
pub(crate) fn closure(
    of: &StepName,
    environment: &Environment,
    manifest: &Path,
    cache: &mut dyn Cache,
    stop: &AtomicBool,
) -> Result<Closure, Error> {
    if let Some(known) = known_closure(environment, cache)? {
        return Ok(known);
    }
    let store = StoreDir::of_environment()?;
    let base = base_of(manifest)?;
    let (key, packages) = key(environment, &store);
    let steps = [of.clone()];
    let tools = Tools::new(&base, &store, stop);
    let nix = tools.nix(&steps)?;
    let mut paths = nix
        .requisites(&packages)
        .map_err(|call| Error::of_call(call, &steps))?;
    paths.sort();
    cache.put_paths(&key, &paths).map_err(Error::Cache)?;
    Ok(Closure::Paths(paths))
}

/// What decides the closure, and the store paths that it begins with.
fn key(environment: &Environment, store: &StoreDir) -> (Digest, Vec<String>) {
    let packages = environment.packages.iter();
    let mut paths: Vec<String> = packages
        .flat_map(|package| package.store_paths.iter().cloned())
        .collect();
    paths.sort();
    paths.dedup();
    let mut key = Key::new(store.as_str());
    for path in &paths {
        key.text(b'c', path);
    }
    (key.finish(), paths)
}
