//! What the cache gave for a step, checked. The database may come from somebody else: what is
//! not just what an earlier run can have put there counts as not kept.

use super::Package;
use super::store_path::StoreDir;
use super::update::Pinned;
use super::wanted::{All, Source, Wanted};

/// The packages at `places`, if `kept` has exactly these, each as paths of this store. What they
/// are pinned to is told by the lock file.
pub(super) fn checked(
    kept: Vec<Package>,
    places: &[usize],
    all: &All,
    pinned: &Pinned,
    store: &StoreDir,
) -> Option<Vec<Package>> {
    if kept.len() != places.len() {
        return None;
    }
    kept.into_iter()
        .zip(places)
        .map(|(package, place)| one(package, &all.wanted[*place], pinned, store))
        .collect()
}

fn one(
    mut package: Package,
    wanted: &Wanted,
    pinned: &Pinned,
    store: &StoreDir,
) -> Option<Package> {
    let whole = |path: &String| {
        let parsed = store.parse(path).ok();
        parsed.is_some_and(|parsed| parsed.as_str() == path && !parsed.is_derivation())
    };
    let paths = &package.store_paths;
    let right = package.installable == wanted.text && !paths.is_empty() && paths.iter().all(whole);
    if !right {
        return None;
    }
    match &wanted.source {
        Source::Store { path, .. } if !path.is_derivation() && paths != &[path.as_str()] => None,
        // Its state then, which is nowhere else.
        Source::Folder { .. } => Some(package),
        Source::Pinned { .. } | Source::Fixed(_) | Source::Store { .. } => {
            package.pin = wanted.pin_in_words(&pinned.firm);
            Some(package)
        }
    }
}
