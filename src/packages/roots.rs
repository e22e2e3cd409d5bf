//! GC roots: links under the database's folder that keep store paths from being collected.
//!
//! Nix knows such a link by its absolute path (through a link of its own in `gcroots/auto`), so a
//! folder that was moved protects nothing until its links are registered again.
//!
//! The db folder may come from somebody else: no link in it is followed, and nothing is removed
//! but links that can be of this module, by name and by what they lead to.

mod folder;
pub(super) mod look;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::store_path::StoreDir;
use crate::folder::Folder;
use crate::text::Shown as _;

/// The file that says under which absolute path the links were registered.
const PLACE: &str = "registered-at";
/// What the names of the folders begin with: the kinds of calls that make links.
const KINDS: [&str; 4] = ["again", "build", "sources", "store"];
/// What the names of links begin with.
const LINKS: [&str; 2] = ["env", "path"];

/// The roots under one folder: a folder for each call of Nix that made some.
#[derive(Debug)]
pub(super) struct Roots {
    folder: Folder,
    /// What the links point to.
    held: BTreeSet<PathBuf>,
}

/// The roots cannot be looked at or made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RootsError {
    /// The file system says no.
    #[error("cannot {doing} {}: {source}", path.shown())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A link or a file where a folder of the db is to be.
    #[error("{} is not a folder; links to what the packages are go there, and only there", path.shown())]
    Elsewhere {
        /// Where the folder is to be.
        path: PathBuf,
    },
}

impl RootsError {
    /// The next step.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::Io { .. } => "check the folder's permissions",
            Self::Elsewhere { .. } => "look at it and remove it; the next run makes the folder",
        }
    }
}

impl Roots {
    /// Looks at the folder, which is made where it is missing. Links that Nix no longer knows,
    /// because the folder was moved or copied, are removed: they hold nothing.
    pub(super) fn open(folder: &Path, store: &StoreDir) -> Result<Self, RootsError> {
        let folder = folder::of_db(folder)?;
        let here = folder.path().as_os_str().as_encoded_bytes();
        let registered = folder::read(&folder, PLACE);
        let moved = registered.as_ref().is_some_and(|bytes| bytes != here);
        let known = known_to_nix();
        let mut held = BTreeSet::new();
        each_link(&folder, store, |call, name, target| {
            let path = call.path().join(name);
            let keep = known.as_ref().map_or(!moved, |known| known.contains(&path));
            if keep {
                held.insert(target);
            }
            keep
        })?;
        if moved || registered.is_none() {
            folder::write(&folder, PLACE, here)?;
        }
        Ok(Self { folder, held })
    }

    /// Whether a link holds `path`.
    pub(super) fn hold(&self, path: &str) -> bool {
        self.held.contains(Path::new(path))
    }

    /// Notes that a link holds each of `paths` now.
    pub(super) fn note<'p>(&mut self, paths: impl IntoIterator<Item = &'p String>) {
        self.held.extend(paths.into_iter().map(PathBuf::from));
    }

    /// A place for the links of one call, by a name that no other call has: the start of their
    /// names.
    pub(super) fn place(&self, call: &str, name: &str) -> Result<PathBuf, RootsError> {
        let folder = folder::make(&self.folder, OsStr::new(call))?;
        Ok(folder.path().join(name))
    }
}

/// Removes the links below `folder` that hold nothing of `keep` (store paths), so that the next
/// collection may take what no step uses any more. Gives the number of links removed, or with `removes` false
/// how many would be.
pub(super) fn prune(
    folder: &Path,
    keep: &BTreeSet<String>,
    store: &StoreDir,
    removes: bool,
) -> Result<usize, RootsError> {
    // Nothing is made for it.
    if matches!(folder.symlink_metadata(), Err(error) if error.kind() == io::ErrorKind::NotFound) {
        return Ok(0);
    }
    let mut count = 0;
    each_link(&folder::of_db(folder)?, store, |_, _, target| {
        let keep = target.to_str().is_some_and(|path| keep.contains(path));
        count += usize::from(!keep);
        keep || !removes
    })?;
    Ok(count)
}

/// Calls `keep` for each link with the folder that it is in, its name and what it leads to;
/// those for which it is false are removed, and folders in which nothing is left.
fn each_link(
    folder: &Folder,
    store: &StoreDir,
    mut keep: impl FnMut(&Folder, &OsStr, PathBuf) -> bool,
) -> Result<(), RootsError> {
    for name in folder::names(folder)? {
        if !is_call(&name) {
            continue;
        }
        let Some(call) = folder::below(folder, &name)? else {
            continue;
        };
        for link in folder::names(&call)? {
            let Some(target) = own_link(&call, &link, store) else {
                continue;
            };
            if !keep(&call, &link, target) {
                let link = call.entry(&link);
                link.remove()
                    .map_err(folder::error("remove", &link.path()))?;
            }
        }
        // Only goes if nothing is left in it.
        let _ = folder.entry(&name).remove_folder();
    }
    Ok(())
}

/// Whether a folder of that name can be of this module: kind, `-`, 16 hexadecimal digits.
fn is_call(name: &OsStr) -> bool {
    let parts = name.to_str().and_then(|name| name.split_once('-'));
    parts.is_some_and(|(kind, digits)| {
        KINDS.contains(&kind)
            && digits.len() == 16
            && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
    })
}

/// What the link leads to, if it can be one that Nix made for this module.
fn own_link(call: &Folder, name: &OsStr, store: &StoreDir) -> Option<PathBuf> {
    let own = LINKS.iter().any(|start| {
        let rest = name.to_str().and_then(|name| name.strip_prefix(start));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    });
    if !own {
        return None;
    }
    let target = call.entry(name).target().ok()?;
    let parsed = store.parse(target.to_str()?).ok()?;
    (Path::new(parsed.as_str()) == target).then_some(target)
}

/// The links that Nix has registered, or none if its folder cannot be read from here.
fn known_to_nix() -> Option<BTreeSet<PathBuf>> {
    let state = std::env::var_os("NIX_STATE_DIR").filter(|value| !value.is_empty());
    let state = state.map_or_else(|| PathBuf::from("/nix/var/nix"), PathBuf::from);
    let mut known = BTreeSet::new();
    for entry in fs::read_dir(state.join("gcroots/auto")).ok()? {
        if let Ok(target) = fs::read_link(entry.ok()?.path()) {
            known.insert(target);
        }
    }
    Some(known)
}

/// The top-level store paths that `paths` are in; those that are in no store are left out.
pub(super) fn tops<'p>(
    store: &StoreDir,
    paths: impl IntoIterator<Item = &'p String>,
) -> BTreeSet<String> {
    paths
        .into_iter()
        .filter_map(|path| store.parse(path).ok())
        .map(|path| path.as_str().to_owned())
        .collect()
}

#[cfg(test)]
mod tests;
