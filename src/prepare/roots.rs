//! Which store paths stay held: those that the manifests on this db use, and those of versions that
//! still have something to do.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::{Error, Source};
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
    held: BTreeSet<String>,
    listener: &mut Listener,
) -> Result<(), Error> {
    let manifest = fs::canonicalize(&source.path).ok();
    let manifest = manifest
        .as_deref()
        .and_then(Path::to_str)
        .unwrap_or_default();
    let mut recorded = state.held()?;
    let before = recorded.remove(manifest);
    if before.as_ref() != Some(&held) && !(before.is_none() && held.is_empty()) {
        state.set_held(manifest, &held)?;
    }
    let mut keep = held;
    for (other, held) in recorded {
        if Path::new(&other).exists() {
            keep.extend(held);
        } else {
            state.set_held(&other, &BTreeSet::new())?;
        }
    }
    for identity in state.unfinished_identities()? {
        if let Tools::Nix(environment) = identity.tools {
            let paths = |package: Package| package.store_paths;
            keep.extend(environment.packages.into_iter().flat_map(paths));
        }
    }
    // What stays costs room and nothing else.
    if let Err(error) = packages::prune_roots(&state.layout().roots(), &keep) {
        listener(&Event::Warning(&error.to_string()));
    }
    Ok(())
}
