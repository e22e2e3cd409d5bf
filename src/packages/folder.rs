//! Flakes in plain folders are followed as they stand; this tells whether one has changed without
//! asking Nix.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

use sha2::{Digest as _, Sha256};

use super::git;
use crate::model::digest::Digest;
use crate::text::Shown as _;

/// A digest of all that Nix takes from the folder at `path`, or none where that cannot be told.
///
/// In a git repository that is the commit and the tracked files; elsewhere everything in the folder
/// (names, kinds, sizes, times), except what lies in `except`. No program is started for it.
pub(super) fn state(path: &Path, except: &[&Path]) -> Option<Digest> {
    let path = path.canonicalize().ok()?;
    let mut hash = Sha256::new();
    if let Some(top) = git::top(&path) {
        git::feed(top, &mut hash)?;
    } else {
        // Without a flake here, Nix looks for one in the folders above.
        path.join("flake.nix").symlink_metadata().ok()?;
        walk(&path, except, &mut hash)?;
    }
    Some(Digest(hash.finalize().into()))
}

/// The commit of the repository that `path` lies in, and whether it has other changes. Only for a
/// folder that Nix has just been given: `git` runs, with the settings of the repository.
pub(super) fn words(path: &Path) -> Option<String> {
    let head = String::from_utf8(run_git(path, &["rev-parse", "HEAD"])?).ok()?;
    let changes = run_git(path, &["diff", "HEAD", "--name-only"])?;
    let commit: String = head.chars().take(12).collect();
    Some(if changes.is_empty() {
        commit
    } else {
        format!("{commit} with changes that are not committed")
    })
}

/// From this size on it is told what Nix copies.
const LARGE: u64 = 32 << 20;

/// Why it is a burden that Nix copies the folder at `path` into its store, where it is one: it is no
/// git repository and holds the database's folder `db`, or much else.
pub(super) fn burden(path: &Path, db: Option<&Path>) -> Option<String> {
    let path = path.canonicalize().ok()?;
    if git::top(&path).is_some() {
        return None;
    }
    let flake = path
        .ancestors()
        .find(|folder| folder.join("flake.nix").exists())?;
    let what = if db.is_some_and(|db| db.starts_with(flake)) {
        "the db in it, too".to_owned()
    } else {
        let size = size(flake);
        if size < LARGE {
            return None;
        }
        format!("{} MB", size / 1_000_000)
    };
    Some(format!(
        "{} is no git repository: Nix copies all of it ({what}) into its store whenever something \
         in it has changed; make it one and `git add` what belongs to the flake, or give flake.nix \
         a folder of its own",
        flake.shown()
    ))
}

/// The bytes in a folder, as far as it can be read.
fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => size(&entry.path()),
            Ok(meta) => meta.len(),
            Err(_) => 0,
        })
        .sum()
}

fn run_git(path: &Path, arguments: &[&str]) -> Option<Vec<u8>> {
    let output = Command::new("git")
        .current_dir(git::top(path)?)
        .env("GIT_OPTIONAL_LOCKS", "0")
        .args(["-c", "core.fsmonitor=false"])
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output.status.success().then_some(output.stdout)
}

fn walk(folder: &Path, except: &[&Path], hash: &mut Sha256) -> Option<()> {
    let mut entries: Vec<_> = fs::read_dir(folder).ok()?.collect::<Result<_, _>>().ok()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if except.contains(&path.as_path()) {
            continue;
        }
        let meta = entry.metadata().ok()?;
        let name = entry.file_name();
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name.as_bytes());
        hash.update(meta.mode().to_le_bytes());
        if meta.is_dir() {
            hash.update(b"(");
            walk(&path, except, hash)?;
            hash.update(b")");
        } else {
            hash.update(meta.ino().to_le_bytes());
            hash.update(meta.size().to_le_bytes());
            for number in [
                meta.mtime(),
                meta.mtime_nsec(),
                meta.ctime(),
                meta.ctime_nsec(),
            ] {
                hash.update(number.to_le_bytes());
            }
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_changes_with_its_files_but_not_with_what_is_excepted() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let db = root.join("db");
        fs::create_dir(&db).unwrap();
        let state = || state(&root, &[&db]);
        assert_eq!(state(), None, "no flake");
        fs::write(root.join("flake.nix"), "{ }").unwrap();
        let before = state();
        assert!(before.is_some());
        fs::write(db.join("x"), "").unwrap();
        assert_eq!(state(), before);
        fs::write(root.join("flake.nix"), "{  }").unwrap();
        let after = state();
        assert_ne!(after, before);
        fs::create_dir(root.join("new")).unwrap();
        assert_ne!(state(), after);
    }

    #[test]
    fn a_repository_changes_with_its_tracked_files() {
        let dir = tempfile::tempdir().unwrap();
        let git = |arguments: &str| {
            let words: Vec<&str> = arguments.split(' ').collect();
            let set = ["-c", "user.name=a", "-c", "user.email=a"];
            let out = Command::new("git")
                .current_dir(&dir)
                .args(set)
                .args(&words)
                .output();
            assert!(out.unwrap().status.success(), "git {arguments}");
        };
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        let state = || state(dir.path(), &[]);
        git("init -q");
        assert_eq!(state(), None, "no commit yet");
        write("flake.nix", "{ }");
        git("add .");
        git("commit -qm one");
        let clean = state();
        assert!(clean.is_some());
        write("untracked", "");
        assert_eq!(state(), clean);
        write("flake.nix", "{  }");
        let dirty = state();
        assert_ne!(dirty, clean);
        assert!(words(dir.path()).unwrap().ends_with("not committed"));
        git("add untracked");
        assert_ne!(state(), dirty);
        git("reset -q --hard");
        assert_eq!(state(), clean);
        git("commit -q --allow-empty -m two");
        assert_ne!(state(), clean);
    }
}
