//! What `nix shell` puts in front of PATH, computed without it: as Nix 2.20 and later order it.

use std::collections::{BTreeSet, VecDeque};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::store_path::StoreDir;
use crate::text::Shown as _;

/// The file of `path` could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}: {source}", path.shown())]
pub(crate) struct Unreadable {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

/// The folders for `packages` (the store paths of each): `P/bin` of every store path and of all
/// that `nix-support/propagated-user-env-packages` leads to, breadth first, each once.
pub(super) fn additions<'a>(
    store: &StoreDir,
    packages: impl Iterator<Item = &'a [String]>,
) -> Result<Vec<String>, Unreadable> {
    let mut queue: VecDeque<String> = packages
        .flat_map(|outputs| outputs.iter().cloned().collect::<BTreeSet<_>>())
        .collect();
    let mut done = BTreeSet::new();
    let mut folders = Vec::new();
    while let Some(path) = queue.pop_front() {
        if done.contains(&path) {
            continue;
        }
        folders.push(format!("{path}/bin"));
        queue.extend(propagated(store, &path)?);
        done.insert(path);
    }
    Ok(folders)
}

fn propagated(store: &StoreDir, path: &str) -> Result<Vec<String>, Unreadable> {
    let file = Path::new(path).join("nix-support/propagated-user-env-packages");
    match fs::read_to_string(&file) {
        // What is no store path is none of Nix's either; it would stop there.
        Ok(text) => Ok(text
            .split_ascii_whitespace()
            .filter_map(|word| store.parse(word).ok())
            .map(|path| path.as_str().to_owned())
            .collect()),
        Err(source)
            if matches!(
                source.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(Vec::new())
        }
        Err(source) => Err(Unreadable { path: file, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_the_order_of_the_packages_breadth_first() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().to_str().unwrap();
        let store = StoreDir::new(root).unwrap();
        let path = |letter: char, name: &str| {
            let path = format!("{root}/{}-{name}", letter.to_string().repeat(32));
            fs::create_dir_all(format!("{path}/nix-support")).unwrap();
            path
        };
        let (a, b, c, d) = (
            path('a', "a"),
            path('b', "b"),
            path('c', "c"),
            path('d', "d"),
        );
        let file = format!("{b}/nix-support/propagated-user-env-packages");
        fs::write(file, format!(" {d}\n{a} ")).unwrap();
        let packages = [vec![c.clone(), b.clone()], vec![a.clone()], vec![b.clone()]];
        let bins = |paths: [&String; 4]| paths.map(|path| format!("{path}/bin")).to_vec();
        let folders = additions(&store, packages.iter().map(Vec::as_slice)).unwrap();
        assert_eq!(folders, bins([&b, &c, &a, &d]));
    }
}
