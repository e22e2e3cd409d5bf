//! Looking at the links, without changing anything and without Nix.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::{LINKS, PLACE, StoreDir, is_call, known_to_nix, tops};
use crate::text::Shown as _;

/// A link, or a package, that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WrongRoot {
    /// It.
    pub path: PathBuf,
    /// What is wrong with it.
    pub words: String,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LookedAt {
    /// Links.
    pub links: u64,
    /// What is wrong.
    pub wrong: Vec<WrongRoot>,
}

/// Looks at the links in the folder, and whether they hold `paths`, which steps use.
pub(in crate::packages) fn look(folder: &Path, paths: &[String], store: &StoreDir) -> LookedAt {
    let mut found = LookedAt::default();
    let parent = folder.parent().map(fs::canonicalize);
    let (Some(Ok(parent)), Some(name)) = (parent, folder.file_name()) else {
        return found;
    };
    let folder = parent.join(name);
    let registered = fs::read(folder.join(PLACE)).ok();
    let known = known_to_nix();
    let here = folder.as_os_str().as_encoded_bytes();
    let moved = registered.as_ref().is_some_and(|place| place != here);
    let mut held = BTreeSet::new();
    for call in names(&folder).into_iter().filter(|name| is_call(name)) {
        let call = folder.join(call);
        if !fs::symlink_metadata(&call).is_ok_and(|call| call.is_dir()) {
            continue;
        }
        for name in names(&call) {
            if !LINKS
                .iter()
                .any(|start| name.to_string_lossy().starts_with(start))
            {
                continue;
            }
            found.links += 1;
            let link = call.join(name);
            let is_known = known.as_ref().map_or(!moved, |known| known.contains(&link));
            let target = fs::read_link(&link).unwrap_or_default();
            let of_store = target.to_str().and_then(|target| store.parse(target).ok());
            let words = match of_store {
                None => format!("{} leads to no package", link.shown()),
                Some(_) if fs::symlink_metadata(&target).is_err() => {
                    let (link, target) = (link.shown(), target.shown());
                    format!("{link} holds {target}, which is not there")
                }
                Some(_) if !is_known => format!(
                    "{} holds nothing: Nix knows of no such link (was the db moved?)",
                    link.shown()
                ),
                Some(path) => {
                    held.insert(path.as_str().to_owned());
                    continue;
                }
            };
            found.wrong.push(WrongRoot { path: link, words });
        }
    }
    for path in tops(store, paths) {
        let words = if fs::symlink_metadata(&path).is_err() {
            format!("{path}, which a step uses, is not there")
        } else if registered.is_some() && !held.contains(&path) {
            format!("no link holds {path}, which a step uses: Nix may collect it")
        } else {
            continue;
        };
        let path = path.into();
        found.wrong.push(WrongRoot { path, words });
    }
    found
}

/// The names in a folder, in order; none of what is no folder.
fn names(folder: &Path) -> Vec<OsString> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_that_hold_nothing_and_packages_that_none_holds_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let at = |name: &str| root.join(name);
        let store = StoreDir::new(at("store").to_str().unwrap()).unwrap();
        let path = |name: &str| {
            let hash = "0".repeat(32);
            at("store").join(format!("{hash}-{name}"))
        };
        let of = |paths: &[PathBuf]| {
            let paths = paths.iter().map(|path| path.to_str().unwrap().to_owned());
            look(&at("db/gcroots"), &paths.collect::<Vec<_>>(), &store)
        };
        for name in ["here", "loose"] {
            fs::create_dir_all(path(name)).unwrap();
        }
        assert_eq!(
            of(&[path("here")]),
            LookedAt::default(),
            "nothing was ever held"
        );
        let call = at("db/gcroots/build-0123456789abcdef");
        fs::create_dir_all(&call).unwrap();
        fs::write(
            at("db/gcroots").join(PLACE),
            at("db/gcroots").to_str().unwrap(),
        )
        .unwrap();
        symlink(path("here"), call.join("path")).unwrap();
        symlink(path("gone"), call.join("path-1")).unwrap();
        symlink("/etc", call.join("env")).unwrap();
        symlink("/etc", call.join("other")).unwrap();
        let found = of(&[path("here"), path("loose"), path("lost")]);
        assert_eq!(found.links, 3);
        let words: Vec<&str> = found.wrong.iter().map(|one| &*one.words).collect();
        let has = |part: &str| words.iter().filter(|words| words.contains(part)).count();
        assert_eq!(has("leads to no package"), 1, "{words:?}");
        assert_eq!(has("-gone, which is not there"), 1, "{words:?}");
        assert_eq!(
            has("-loose, which a step uses: Nix may collect it"),
            1,
            "{words:?}"
        );
        assert_eq!(
            has("-lost, which a step uses, is not there"),
            1,
            "{words:?}"
        );
        assert!(!call.join("none").exists() && call.join("env").is_symlink());
        fs::write(at("db/gcroots").join(PLACE), "/elsewhere").unwrap();
        let moved = of(&[]);
        let words = moved.wrong.iter().map(|one| &*one.words);
        assert_eq!(
            words
                .filter(|words| words.contains("holds nothing"))
                .count(),
            1
        );
    }
}
