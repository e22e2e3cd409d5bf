//! Without a Nix to ask: store paths need none. Inside a Nix build, its own inputs are in the store
//! and stay there for as long as it runs.

use std::collections::BTreeMap;

use super::path::{self, Unreadable};
use super::store_path::StoreDir;
use super::wanted::{All, Source};
use super::{Environment, Package};
use crate::model::name::StepName;

/// Whether this process runs inside a Nix build. A shell of `nix develop` has the variables of a
/// build, but a Nix beside it.
pub(super) fn inside_a_build() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    set("NIX_BUILD_TOP") && !set("IN_NIX_SHELL")
}

/// The environments of all steps, if every package is a store path that is there, and no
/// derivation.
pub(super) fn environments(
    all: &All,
    store: &StoreDir,
) -> Result<Option<BTreeMap<StepName, Environment>>, Unreadable> {
    let mut environments = BTreeMap::new();
    for (step, places) in &all.by_step {
        let Some(environment) = environment(all, places, store)? else {
            return Ok(None);
        };
        environments.insert(step.clone(), environment);
    }
    Ok(Some(environments))
}

/// The same of the packages at `places`.
pub(super) fn environment(
    all: &All,
    places: &[usize],
    store: &StoreDir,
) -> Result<Option<Environment>, Unreadable> {
    let mut packages = Vec::new();
    for place in places {
        let wanted = &all.wanted[*place];
        match &wanted.source {
            Source::Store { path, .. } if !path.is_derivation() && path.exists() => {
                packages.push(Package {
                    installable: wanted.text.clone(),
                    store_paths: vec![path.as_str().to_owned()],
                    pin: None,
                });
            }
            Source::Pinned { .. }
            | Source::Fixed(_)
            | Source::Folder { .. }
            | Source::Store { .. } => return Ok(None),
        }
    }
    let paths = packages.iter().map(|one| one.store_paths.as_slice());
    let path = path::additions(store, paths)?;
    Ok(Some(Environment { packages, path }))
}
