//! Making and moving pins: the lock file's side of things.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use crate::model::name::StepName;

use super::command::CallError;
use super::diagnose;
use super::lock::{self, Lock};
use super::pins::{self, Generated};
use super::store_path::StoreDir;
use super::tools::Tools;
use super::wanted::{All, Source};
use super::{Error, Packages, Pins, Progress, base_of, warning_once};

/// Which pins [`lock_update`] makes anew.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Update<'a> {
    /// Only those that are missing.
    Missing,
    /// All.
    All,
    /// Those with these names, and those that are missing. A name is a flake reference, its
    /// repository, its name in the registry, or a package of the manifest.
    Named(&'a [String]),
}

/// What [`lock_update`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LockReport {
    /// The lock file.
    pub path: PathBuf,
    /// Whether it was written; not if nothing changed.
    pub written: bool,
    /// The pins that changed, sorted by reference.
    pub moved: Vec<Moved>,
    /// References that could not be pinned: git trees with changes that are not committed.
    pub unpinned: Vec<String>,
}

/// A pin that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Moved {
    /// The flake reference.
    pub reference: String,
    /// What it was pinned to, in words; none: it is new.
    pub from: Option<String>,
    /// What it is pinned to, in words; none: no package uses it any more.
    pub to: Option<String>,
}

/// One package, as [`inspect`] sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Inspected {
    /// The text in the manifest.
    pub installable: String,
    /// The flake reference or path that it comes from.
    pub reference: String,
    /// Whether that is pinned.
    pub pin: PinState,
}

/// How far a package is fixed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PinState {
    /// The lock file pins it; in words, to what.
    Pinned(String),
    /// The lock file is to pin it and does not yet.
    Missing,
    /// A plain folder, followed as it stands.
    Followed,
    /// The text alone fixes it: a store path, or a revision and a hash.
    Fixed,
}

/// The pins in effect.
#[derive(Debug, Default)]
pub(super) struct Pinned {
    /// Those that fix their reference.
    pub firm: Pins,
    /// Those that only tell what was found: git trees with changes that are not committed.
    pub loose: Pins,
}

impl Pinned {
    /// The pins of `references` in `lock`.
    pub(super) fn of<'r>(lock: &Lock, references: impl Iterator<Item = &'r str>) -> Self {
        let firm = references
            .filter_map(|reference| Some((reference.to_owned(), lock.get(reference)?.clone())))
            .collect();
        Self {
            firm,
            loose: Pins::new(),
        }
    }

    /// Both kinds.
    pub(super) fn all(&self) -> Pins {
        let mut all = self.firm.clone();
        all.extend(self.loose.clone());
        all
    }
}

/// The lock file that belongs to `manifest`.
pub(crate) fn lock_file(manifest: &Path) -> PathBuf {
    lock::path_beside(manifest)
}

/// Makes the lock file, or moves pins in it; pins that no package uses are removed.
pub(crate) fn lock_update(
    packages: &Packages<'_>,
    update: Update<'_>,
    stop: &AtomicBool,
    progress: &mut dyn FnMut(Progress),
) -> Result<LockReport, Error> {
    let store = StoreDir::of_environment()?;
    let base = base_of(packages.manifest)?;
    let all = All::of(packages, &base, &store)?;
    let file = lock::path_beside(packages.manifest);
    let before = Lock::read(&file)?;
    let mut lock = before.clone().unwrap_or_default();
    let chosen = chosen(&all, &lock, packages, update)?;
    let mut unpinned = Vec::new();
    if !chosen.is_empty() {
        lock::check_place(&file, &store)?;
        let tools = Tools::new(&base, &store, stop);
        let refresh = !matches!(update, Update::Missing);
        let progress = &mut warning_once(progress);
        let made = pin(&all, &tools, &chosen, refresh, progress)?;
        for (reference, pin) in made.firm {
            lock.insert(&reference, pin);
        }
        for reference in made.loose.into_keys() {
            lock.remove(&reference);
            unpinned.push(reference);
        }
    }
    drop_unused(&mut lock, &all);
    // Nothing is to be pinned, and nothing was.
    let needless = before.is_none() && chosen.is_empty();
    let written = !needless && before.as_ref() != Some(&lock);
    if written {
        lock::check_place(&file, &store)?;
        lock.write(&file)?;
    }
    Ok(LockReport {
        path: file,
        written,
        moved: moved(&before.unwrap_or_default(), &lock),
        unpinned,
    })
}

fn moved(before: &Lock, after: &Lock) -> Vec<Moved> {
    let mut references: Vec<&str> = before.references().chain(after.references()).collect();
    references.sort_unstable();
    references.dedup();
    references
        .into_iter()
        .filter(|reference| before.get(reference) != after.get(reference))
        .map(|reference| Moved {
            reference: reference.to_owned(),
            from: before.get(reference).map(|pin| pin.words_for(reference)),
            to: after.get(reference).map(|pin| pin.words_for(reference)),
        })
        .collect()
}

fn chosen<'a>(
    all: &'a All,
    lock: &Lock,
    packages: &Packages<'_>,
    update: Update<'_>,
) -> Result<Vec<&'a str>, Error> {
    let references = all.references();
    let mut chosen: Vec<&str> = references
        .keys()
        .copied()
        .filter(|reference| matches!(update, Update::All) || lock.get(reference).is_none())
        .collect();
    let Update::Named(names) = update else {
        return Ok(chosen);
    };
    for name in names {
        let mut known = false;
        for (reference, places) in &references {
            let package = places.iter().any(|place| all.wanted[*place].text == *name);
            let nixpkgs = name == "nixpkgs" && *reference == packages.nixpkgs;
            if package || nixpkgs || names_of(reference).contains(&name.as_str()) {
                known = true;
                chosen.push(reference);
            }
        }
        if !known {
            return Err(Error::UnknownPin {
                name: name.clone(),
                known: references.keys().map(ToString::to_string).collect(),
            });
        }
    }
    chosen.sort_unstable();
    chosen.dedup();
    Ok(chosen)
}

/// What people call a reference: `github:NixOS/nixpkgs/nixos-unstable` is `nixpkgs`.
fn names_of(reference: &str) -> Vec<&str> {
    let mut names = vec![reference];
    let path = reference.split('?').next().unwrap_or(reference);
    match path.split_once(':') {
        Some(("github" | "gitlab" | "sourcehut", rest)) => names.extend(rest.split('/').nth(1)),
        Some(("flake", rest)) => names.extend(rest.split('/').next()),
        Some((_, rest)) => {
            let last = rest.trim_end_matches('/').rsplit('/').next();
            names.extend(last.map(|last| last.strip_suffix(".git").unwrap_or(last)));
        }
        None => names.extend(path.split('/').next()),
    }
    names
}

/// Removes the pins that no package uses.
pub(super) fn drop_unused(lock: &mut Lock, all: &All) {
    let used = all.references();
    let unused: Vec<String> = lock
        .references()
        .filter(|reference| !used.contains_key(reference))
        .map(ToOwned::to_owned)
        .collect();
    for reference in unused {
        lock.remove(&reference);
    }
}

/// Asks Nix what `references` stand for now.
pub(super) fn pin(
    all: &All,
    tools: &Tools<'_>,
    references: &[&str],
    refresh: bool,
    progress: &mut dyn FnMut(Progress),
) -> Result<Pinned, Error> {
    let users = all.references();
    let places_of = |reference: &str| users.get(reference).cloned().unwrap_or_default();
    let places: Vec<usize> = references.iter().flat_map(|r| places_of(r)).collect();
    let steps = all.steps_of(&places);
    let nix = tools.nix(&steps)?;
    let mut ask = |references: &[&str]| -> Result<Result<Pins, CallError>, Error> {
        let flake =
            Generated::unlocked(references.iter().copied(), tools.base()).map_err(temporary)?;
        if let Err(call) = nix.lock(flake.reference(), refresh, progress) {
            return Ok(Err(call));
        }
        flake.pins().map(Ok).map_err(temporary)
    };
    let failure = match ask(references)? {
        Ok(pins) => return Ok(sort(pins)),
        Err(CallError::Failed(failure)) => failure,
        Err(call) => return Err(Error::of_call(call, &steps)),
    };
    if let [reference] = references {
        let bad = diagnose::together(all, &places_of(reference), failure);
        return Err(Error::Packages(vec![bad]));
    }
    // Which of them it was.
    let mut bad = Vec::new();
    for reference in references {
        match ask(&[reference])? {
            Ok(_) => {}
            Err(CallError::Failed(failure)) => {
                bad.push(diagnose::together(all, &places_of(reference), failure));
            }
            Err(call) => return Err(Error::of_call(call, &steps)),
        }
    }
    if bad.is_empty() {
        return Err(Error::of_call(CallError::Failed(failure), &steps));
    }
    Err(Error::Packages(bad))
}

fn sort(pins: Pins) -> Pinned {
    let (firm, loose): (BTreeMap<_, _>, BTreeMap<_, _>) =
        pins.into_iter().partition(|(_, pin)| pins::is_firm(pin));
    Pinned { firm, loose }
}

/// The generated flake lies in the folder for temporary files.
pub(super) fn temporary(source: io::Error) -> Error {
    Error::Io {
        doing: "use the folder for temporary files",
        path: std::env::temp_dir(),
        source,
    }
}

/// How the packages of each step are pinned, by the lock file alone: no process of Nix is started
/// and nothing is written.
pub(crate) fn inspect(packages: &Packages<'_>) -> Result<Vec<(StepName, Vec<Inspected>)>, Error> {
    let store = StoreDir::of_environment()?;
    let base = base_of(packages.manifest)?;
    let all = All::of(packages, &base, &store)?;
    let pins = Lock::read(&lock::path_beside(packages.manifest))?.unwrap_or_default();
    let look = |place: &usize| {
        let wanted = &all.wanted[*place];
        let (reference, pin) = match &wanted.source {
            Source::Pinned { reference, .. } => (
                reference.clone(),
                pins.get(reference)
                    .map_or(PinState::Missing, |pin| PinState::Pinned(pin.words())),
            ),
            Source::Fixed(text) => (text.clone(), PinState::Fixed),
            Source::Folder { path, .. } => {
                (path.to_string_lossy().into_owned(), PinState::Followed)
            }
            Source::Store { path, .. } => (path.as_str().to_owned(), PinState::Fixed),
        };
        Inspected {
            installable: wanted.text.clone(),
            reference,
            pin,
        }
    };
    Ok(all
        .by_step
        .iter()
        .map(|(step, places)| (step.clone(), places.iter().map(look).collect()))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (reference, name) in [
            ("github:NixOS/nixpkgs/nixos-unstable", "nixpkgs"),
            ("nixpkgs/nixos-24.05", "nixpkgs"),
            ("flake:nixpkgs", "nixpkgs"),
            ("git+https://h/o/tools.git?ref=main", "tools"),
            ("path:./tools/", "tools"),
        ] {
            assert_eq!(names_of(reference), [reference, name]);
        }
    }
}
