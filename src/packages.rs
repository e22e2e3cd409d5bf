//! Packages → store paths → PATH, through the programs of Nix.
//!
//! ```text
//! wanted      the packages of all steps, each text once, and what kind of thing it is
//! lock, pin   the lock file beside the manifest; agree: whether a pin leads where its reference says
//! pins        pins as inputs of a generated flake
//! folder      whether a flake in a plain folder has changed; git: the same in a repository
//! key         what decides an environment, as a digest: the key of the cache
//! closure     all that packages need, for those who see nothing else
//! kept        what the cache gave, checked: whoever wrote it may not be trusted
//! resolve     the order of things: pins, cache, what vanished, roots
//! build       one call for everything that no earlier run resolved
//! diagnose    a call for everything failed: which packages are to blame
//! path        the folders that `nix shell` puts in front of PATH
//! roots       links that keep store paths from being collected
//! sealed      inside a Nix build: store paths as they are, without Nix
//! regular     reading files that somebody else may have made
//! tools       the programs, looked for when they are needed
//! command     every call of `nix` and `nix-store`; child, progress, failure: what they say
//! copy        to the store of another machine
//! store_path  paths in the store
//! ```
//!
//! A flake reference with a scheme, and a name of the flake registry, is pinned by the lock file. A
//! plain folder (`.`, `./tools`, `/srv/flake`) is followed as it stands: it belongs to the checkout
//! as the manifest and its scripts do, and its own `flake.lock` pins what it uses. (Its content
//! cannot be pinned: the lock file may lie in it.) A store path fixes itself. The name `nixpkgs` is
//! none of the registry: it stands for `[nix] nixpkgs`, as a bare name's flake does.
//!
//! PATH is what `nix shell` of Nix 2.20 or later gives: packages in the order of the manifest,
//! whatever the Nix at hand. It is computed from the store at each run and never kept.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use crate::model::digest::Digest;
pub(crate) use crate::model::environment::{Environment, Package};
use crate::model::installable::Installable;
use crate::model::name::StepName;
use store_path::StoreDir;

mod agree;
mod build;
mod cached;
mod child;
mod closure;
mod command;
pub(crate) mod copy;
mod diagnose;
mod error;
mod failure;
mod folder;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz;
mod git;
mod key;
mod lock;
mod path;
mod pin;
mod pins;
mod progress;
mod regular;
mod resolve;
mod roots;
mod sealed;
mod store_path;
mod tools;
mod update;
mod wanted;

pub(crate) use closure::{Closure, closure, known_closure};
pub(crate) use error::{BadPackage, Error};
pub(crate) use resolve::{known, resolve};
pub(crate) use roots::look::LookedAt;
pub(crate) use update::{PinState, Update, inspect, lock_file, lock_update};

/// The packages of a manifest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Packages<'a> {
    /// The steps that have packages, with these in order.
    pub steps: &'a [(StepName, &'a [Installable])],
    /// The flake that bare names are looked up in: `[nix] nixpkgs`.
    pub nixpkgs: &'a str,
    /// The manifest's path; the lock file is beside it, relative references start from its folder.
    pub manifest: &'a Path,
}

/// What [`resolve`] is asked for.
pub(crate) struct Request<'a> {
    /// The steps that have packages, with these in order.
    pub steps: Vec<(StepName, &'a [Installable])>,
    /// The flake that bare names are looked up in: `[nix] nixpkgs`.
    pub nixpkgs: &'a str,
    /// The manifest's path; the lock file is beside it, relative references start from its folder.
    pub manifest: &'a Path,
    /// The folder for GC roots, under the database's: `<db>/gcroots`.
    pub roots: &'a Path,
    /// Fail if the lock file is missing or lacks a reference, instead of pinning it.
    pub locked: bool,
    /// Set: end what runs and give [`Error::Interrupted`].
    pub stop: &'a AtomicBool,
}

impl Request<'_> {
    /// The packages alone.
    pub(crate) fn packages(&self) -> Packages<'_> {
        Packages {
            steps: &self.steps,
            nixpkgs: self.nixpkgs,
            manifest: self.manifest,
        }
    }
}

/// What earlier runs resolved.
pub(crate) trait Cache {
    /// What was put under `key`, or what somebody else put there: it is checked before use.
    fn get(&self, key: &Digest) -> Option<Vec<Package>>;

    /// The store paths that were put under `key`, or what somebody else put there.
    fn paths(&self, key: &Digest) -> Option<Vec<String>>;

    /// Keeps store paths under `key`.
    fn put_paths(
        &mut self,
        key: &Digest,
        paths: &[String],
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>>;

    /// Keeps a step's packages under `key`.
    fn put(
        &mut self,
        key: &Digest,
        packages: &[Package],
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>>;
}

/// What goes on meanwhile, for the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Progress {
    /// A short line: `building jq-1.7 (2 of 3)`, `downloading …`, `pinning …`.
    Line(String),
    /// A warning: of Nix, which begins with `nix:`, or about what was found.
    Warning(String),
    /// A line of a build's log.
    Log {
        /// What is built: name and version.
        package: String,
        /// The line, without colours.
        line: String,
    },
}

/// What [`resolve`] gives.
#[derive(Debug, Default)]
pub(crate) struct Resolved {
    /// By step, what its packages are.
    pub environments: BTreeMap<StepName, Environment>,
    /// The store paths that GC roots hold for them: packages, and the sources of pinned flakes.
    pub held: BTreeSet<String>,
}

/// Tells `progress` each warning once: Nix is called several times about the same things.
fn warning_once(progress: &mut dyn FnMut(Progress)) -> impl FnMut(Progress) {
    let mut warned = BTreeSet::new();
    move |told| match &told {
        Progress::Warning(text) if !warned.insert(text.clone()) => {}
        Progress::Line(_) | Progress::Warning(_) | Progress::Log { .. } => progress(told),
    }
}

/// Removes the GC roots under `roots` that hold nothing of `keep` (store paths), so that a
/// collection may take what older versions of the steps used. Gives the number removed, or with
/// `removes` false how many it would be.
pub(crate) fn prune_roots(
    roots: &Path,
    keep: &BTreeSet<String>,
    removes: bool,
) -> Result<usize, Error> {
    let store = StoreDir::of_environment()?;
    Ok(roots::prune(roots, keep, &store, removes)?)
}

/// Looks at the GC roots under `roots`, and whether they hold `paths`; changes nothing, and starts no program.
pub(crate) fn look_at_roots(roots: &Path, paths: &[String]) -> LookedAt {
    StoreDir::of_environment().map_or_else(
        |_| LookedAt::default(),
        |store| roots::look::look(roots, paths, &store),
    )
}

/// The folder that relative references start from.
fn base_of(manifest: &Path) -> Result<PathBuf, Error> {
    let folder = match manifest.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    folder.canonicalize().map_err(|source| Error::Io {
        doing: "find the folder",
        path: folder.to_owned(),
        source,
    })
}

type Pins = BTreeMap<String, pin::Pin>;
