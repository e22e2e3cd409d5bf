//! The packages of all steps: each text once, with what it is and who asks for it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::model::installable::{Installable, Kind};
use crate::model::name::StepName;
use crate::text::Shown as _;

use super::store_path::{StoreDir, StorePath};
use super::{Error, Packages, Pins, pins};

/// One package, by its text in the manifest.
#[derive(Debug)]
pub(super) struct Wanted {
    /// The text.
    pub text: String,
    /// What it is.
    pub source: Source,
    /// The steps that ask for it.
    pub steps: Vec<StepName>,
}

/// Where a package comes from.
#[derive(Debug)]
pub(super) enum Source {
    /// From a flake that the lock file pins.
    Pinned {
        /// The flake reference.
        reference: String,
        /// `#attribute^outputs`; may be empty.
        selector: String,
    },
    /// From a flake whose reference fixes it: the installable.
    Fixed(String),
    /// From a flake in a plain folder.
    Folder {
        /// The folder, absolute.
        path: PathBuf,
        /// The installable.
        text: String,
    },
    /// A path in the store.
    Store {
        /// The path.
        path: StorePath,
        /// For a derivation: the outputs that are chosen; none: all.
        outputs: Vec<String>,
    },
}

/// The packages of all steps.
pub(super) struct All {
    /// Each text once.
    pub wanted: Vec<Wanted>,
    /// By step: which, in the manifest's order.
    pub by_step: Vec<(StepName, Vec<usize>)>,
}

impl All {
    /// Sorts out `packages`. `base` is what relative paths are relative to.
    pub(super) fn of(
        packages: &Packages<'_>,
        base: &Path,
        store: &StoreDir,
    ) -> Result<Self, Error> {
        let mut wanted: Vec<Wanted> = Vec::new();
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        let mut by_step = Vec::new();
        for (step, installables) in packages.steps {
            let mut entries = Vec::new();
            for installable in *installables {
                let text = installable.text();
                let place = if let Some(place) = places.get(text) {
                    *place
                } else {
                    wanted.push(Wanted {
                        text: text.to_owned(),
                        source: source(installable, packages.nixpkgs, base, store)?,
                        steps: Vec::new(),
                    });
                    places.insert(text, wanted.len() - 1);
                    wanted.len() - 1
                };
                if wanted[place].steps.last() != Some(step) {
                    wanted[place].steps.push(step.clone());
                }
                entries.push(place);
            }
            by_step.push((step.clone(), entries));
        }
        Ok(Self { wanted, by_step })
    }

    /// The references that the lock file is to pin, each with the places that use it.
    pub(super) fn references(&self) -> BTreeMap<&str, Vec<usize>> {
        let mut references: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (place, wanted) in self.wanted.iter().enumerate() {
            if let Source::Pinned { reference, .. } = &wanted.source {
                references.entry(reference).or_default().push(place);
            }
        }
        references
    }

    /// The steps that ask for one of `places`, in the manifest's order.
    pub(super) fn steps_of(&self, places: &[usize]) -> Vec<StepName> {
        self.by_step
            .iter()
            .filter(|(_, entries)| entries.iter().any(|entry| places.contains(entry)))
            .map(|(step, _)| step.clone())
            .collect()
    }
}

fn source(
    installable: &Installable,
    nixpkgs: &str,
    base: &Path,
    store: &StoreDir,
) -> Result<Source, Error> {
    let full = installable.within(nixpkgs).map_err(|why| Error::Nixpkgs {
        package: installable.text().to_owned(),
        nixpkgs: nixpkgs.to_owned(),
        why,
    })?;
    if full.is_fixed() {
        return Ok(Source::Fixed(full.text().to_owned()));
    }
    if full.kind() != Kind::Folder {
        return Ok(Source::Pinned {
            reference: full.reference().to_owned(),
            selector: full.selector().to_owned(),
        });
    }
    let folder = full.reference().split('?').next().unwrap_or_default();
    let path = pins::clean(&base.join(folder));
    // A link into the store (`./result`) is what it points to, as for `nix shell`.
    let path = match path.canonicalize() {
        Ok(target) if store.contains(&target) => target,
        _ => path,
    };
    if store.contains(&path) && !full.selector().starts_with('#') {
        let outputs = full.outputs().filter(|outputs| *outputs != "*");
        return Ok(Source::Store {
            path: store.parse(&path.to_string_lossy())?,
            outputs: outputs.map_or_else(Vec::new, |outputs| {
                outputs.split(',').map(ToOwned::to_owned).collect()
            }),
        });
    }
    Ok(Source::Folder {
        path,
        text: full.text().to_owned(),
    })
}

impl Wanted {
    /// The pin, in words for people.
    pub(super) fn pin_in_words(&self, pins: &Pins) -> Option<String> {
        match &self.source {
            Source::Pinned { reference, .. } => {
                let pin = pins.get(reference)?;
                Some(format!("{reference}: {}", pin.words_for(reference)))
            }
            Source::Folder { path, .. } => {
                let state = super::folder::words(path);
                Some(format!(
                    "{} at {}",
                    path.shown(),
                    state.as_deref().unwrap_or("its present state")
                ))
            }
            Source::Fixed(_) | Source::Store { .. } => None,
        }
    }
}
