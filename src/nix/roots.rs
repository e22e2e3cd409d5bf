//! GC roots: links under the database's folder that keep store paths from being collected.
//!
//! Nix knows such a link by its absolute path (through a link of its own in `gcroots/auto`), so a
//! folder that was moved protects nothing until its links are registered again.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::store_path::StoreDir;

/// The file that says under which absolute path the links were registered.
const PLACE: &str = "registered-at";

/// The roots under one folder: a folder for each call of Nix that made some.
#[derive(Debug)]
pub struct Roots {
    folder: PathBuf,
    /// What the links point to.
    held: BTreeSet<PathBuf>,
}

/// The file system says no.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {}: {source}", path.display())]
pub struct RootsError {
    /// What was tried.
    pub doing: &'static str,
    /// On what.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

fn error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RootsError {
    let path = path.to_owned();
    move |source| RootsError {
        doing,
        path,
        source,
    }
}

impl Roots {
    /// Looks at the folder, which is made where it is missing. Links that Nix no longer knows,
    /// because the folder was moved or copied, are removed: they hold nothing.
    pub fn open(folder: &Path) -> Result<Self, RootsError> {
        fs::create_dir_all(folder).map_err(error("create", folder))?;
        let folder = folder.canonicalize().map_err(error("find", folder))?;
        let place = folder.join(PLACE);
        let here = folder.as_os_str().as_encoded_bytes();
        let moved = fs::read(&place).is_ok_and(|bytes| bytes != here);
        let known = known_to_nix();
        let mut held = BTreeSet::new();
        for call in subfolders(&folder)? {
            for (link, target) in links(&call)? {
                let known = known.as_ref().map_or(!moved, |known| known.contains(&link));
                if known {
                    held.insert(target);
                } else {
                    fs::remove_file(&link).map_err(error("remove", &link))?;
                }
            }
            // Only goes if nothing is left in it.
            let _ = fs::remove_dir(&call);
        }
        if moved || !place.exists() {
            fs::write(&place, here).map_err(error("write", &place))?;
        }
        Ok(Self { folder, held })
    }

    /// Whether a link holds `path`.
    pub fn hold(&self, path: &str) -> bool {
        self.held.contains(Path::new(path))
    }

    /// Notes that a link holds each of `paths` now.
    pub fn note<'p>(&mut self, paths: impl IntoIterator<Item = &'p String>) {
        self.held.extend(paths.into_iter().map(PathBuf::from));
    }

    /// A place for the links of one call, by a name that no other call has: the start of their
    /// names.
    pub fn place(&self, call: &str, name: &str) -> Result<PathBuf, RootsError> {
        let folder = self.folder.join(call);
        fs::create_dir_all(&folder).map_err(error("create", &folder))?;
        Ok(folder.join(name))
    }
}

/// Removes the links below `folder` that hold nothing of `keep` (store paths), so that the next
/// collection may take what no step uses any more. Gives the number of links removed.
pub fn prune(folder: &Path, keep: &BTreeSet<String>) -> Result<usize, RootsError> {
    if !folder.exists() {
        return Ok(0);
    }
    let mut removed = 0;
    for call in subfolders(folder)? {
        for (link, target) in links(&call)? {
            if !keep.contains(target.to_string_lossy().as_ref()) {
                fs::remove_file(&link).map_err(error("remove", &link))?;
                removed += 1;
            }
        }
        let _ = fs::remove_dir(&call);
    }
    Ok(removed)
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

fn subfolders(folder: &Path) -> Result<Vec<PathBuf>, RootsError> {
    let entries = fs::read_dir(folder).map_err(error("read", folder))?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(error("read", folder))?.path();
        if path.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
            found.push(path);
        }
    }
    Ok(found)
}

fn links(folder: &Path) -> Result<Vec<(PathBuf, PathBuf)>, RootsError> {
    let entries = fs::read_dir(folder).map_err(error("read", folder))?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(error("read", folder))?.path();
        if let Ok(target) = fs::read_link(&path) {
            found.push((path, target));
        }
    }
    Ok(found)
}

/// The top-level store paths that `paths` are in; those that are in no store are left out.
pub fn tops<'p>(store: &StoreDir, paths: impl IntoIterator<Item = &'p String>) -> BTreeSet<String> {
    paths
        .into_iter()
        .filter_map(|path| store.parse(path).ok())
        .map(|path| path.as_str().to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pruned_of_what_nothing_uses() {
        let dir = tempfile::tempdir().unwrap();
        for (call, name, target) in [("a", "1", "/s/x"), ("a", "2", "/s/y"), ("b", "1", "/s/y")] {
            fs::create_dir_all(dir.path().join(call)).unwrap();
            std::os::unix::fs::symlink(target, dir.path().join(call).join(name)).unwrap();
        }
        let keep = BTreeSet::from(["/s/x".to_owned()]);
        assert_eq!(prune(dir.path(), &keep).unwrap(), 2);
        assert!(dir.path().join("a/1").symlink_metadata().is_ok());
        assert!(!dir.path().join("b").exists());
        assert_eq!(prune(&dir.path().join("none"), &keep).unwrap(), 0);
    }
}
