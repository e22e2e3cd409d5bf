//! Which store paths stay held: those that the manifests on this db use, and those of versions that
//! still have something to do.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::{Error, Source, environments};
use crate::engine::Listener;
use crate::model::environment::Package;
use crate::model::event::Event;
use crate::model::identity::Tools;
use crate::packages;
use crate::state::State;

/// Records that the manifest uses `held`, and lets go of what nothing uses any more.
pub(super) fn keep(
    source: &Source,
    state: &mut State,
    held: &BTreeSet<String>,
    listener: &mut Listener,
) -> Result<(), Error> {
    let manifest = fs::canonicalize(&source.path).ok();
    let manifest = manifest
        .as_deref()
        .and_then(Path::to_str)
        .unwrap_or_default();
    let before = state.held()?.remove(manifest);
    if before.as_ref() != Some(held) && !(before.is_none() && held.is_empty()) {
        state.set_held(manifest, held)?;
    }
    let keep = wanted(state)?;
    // What stays costs room and nothing else.
    if let Err(error) = packages::prune_roots(&state.layout().roots(), &keep, true) {
        listener(&Event::Warning(&error.to_string()));
    }
    Ok(())
}

/// Lets go of what no manifest and no version uses that has something to do: how many GC roots, and how many
/// records of what packages are. With `dry`, of a copy of the database, the roots stay.
pub(crate) fn release(state: &mut State, dry: bool) -> Result<(usize, usize), Error> {
    let keep = wanted(state)?;
    let mut records = 0;
    for (key, value) in state.environments()? {
        let is_held =
            |package: &Package| package.store_paths.iter().all(|path| keep.contains(path));
        let held = environments::packages(&value).is_some_and(|all| all.iter().all(is_held));
        if !held {
            state.drop_environment(&key)?;
            records += 1;
        }
    }
    state.commit()?;
    let roots = packages::prune_roots(&state.layout().roots(), &keep, !dry)?;
    Ok((roots, records))
}

/// The store paths that are; manifests that are gone use none any more.
fn wanted(state: &mut State) -> Result<BTreeSet<String>, Error> {
    let mut keep = BTreeSet::new();
    for (manifest, held) in state.held()? {
        // Of one whose path cannot be written down nothing is known.
        if manifest.is_empty() || Path::new(&manifest).exists() {
            keep.extend(held);
        } else {
            state.set_held(&manifest, &BTreeSet::new())?;
        }
    }
    for identity in state.unfinished_identities()? {
        if let Tools::Nix(environment) = identity.tools {
            let paths = |package: Package| package.store_paths;
            keep.extend(environment.packages.into_iter().flat_map(paths));
        }
    }
    Ok(keep)
}
