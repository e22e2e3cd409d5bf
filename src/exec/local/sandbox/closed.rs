//! What is closed to others in a folder of the host: scripts of root in a sandbox are its owner, whatever rights they lack, so
//! it is covered there.
//!
//! A look at all of `/etc` takes longer than a sandbox: what was found is used as long as its folders are as they were.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::sys::sandbox::Covered;

/// What was found at some time.
#[derive(Debug, Default)]
pub(super) struct Closed {
    /// The folders that were looked into, and when they had changed last.
    folders: Vec<(PathBuf, Stamp)>,
    found: Vec<Covered>,
}

/// In seconds and nanoseconds, of what is in it and of itself; and which one it is.
type Stamp = [i64; 5];

fn stamp(folder: &Path) -> Option<Stamp> {
    let data = fs::symlink_metadata(folder).ok()?;
    let inode = data.ino().cast_signed();
    Some([
        data.mtime(),
        data.mtime_nsec(),
        data.ctime(),
        data.ctime_nsec(),
        inode,
    ])
}

/// The last that was found in this process.
static LAST: Mutex<Option<Closed>> = Mutex::new(None);

/// What is closed to others in that folder of the system, as it is now.
pub(super) fn closed(folder: &Path) -> Vec<Covered> {
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    match &*last {
        Some(known) if known.is_of(folder) && known.is_fresh() => known.found.clone(),
        _ => last.insert(Closed::look(folder)).found.clone(),
    }
}

impl Closed {
    fn is_of(&self, folder: &Path) -> bool {
        self.folders
            .first()
            .is_some_and(|(first, _)| first == folder)
    }

    /// Whether nothing came, went or was renamed in its folders since.
    fn is_fresh(&self) -> bool {
        let mut folders = self.folders.iter();
        folders.all(|(folder, was)| stamp(folder).as_ref() == Some(was))
    }

    fn look(folder: &Path) -> Self {
        let mut closed = Self::default();
        let mut todo = vec![folder.to_owned()];
        while let Some(folder) = todo.pop() {
            // Before: what comes meanwhile is looked for again.
            if let Some(stamp) = stamp(&folder) {
                closed.folders.push((folder.clone(), stamp));
            }
            // What cannot be listed here, scripts cannot list.
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                // Of a link, what counts is where it leads.
                let Ok(found) = entry.metadata() else {
                    continue;
                };
                let mode = found.mode();
                let covers = if found.is_dir() {
                    if mode & 0o001 != 0 {
                        todo.push(entry.path());
                        continue;
                    }
                    true
                } else {
                    found.is_file() && mode & 0o004 == 0
                };
                if covers {
                    closed.found.push(Covered {
                        at: entry.path(),
                        folder: found.is_dir(),
                    });
                }
            }
        }
        closed
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn names(closed: &Closed) -> Vec<String> {
        let found = closed.found.iter();
        let name = |one: &Covered| one.at.file_name().unwrap().to_str().unwrap().to_owned();
        let mut names: Vec<String> = found.map(name).collect();
        names.sort();
        names
    }

    #[test]
    fn what_comes_later_in_any_of_its_folders_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, mode: u32| {
            let path = dir.path().join(name);
            fs::write(&path, "").unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        let folder = |name: &str, mode: u32| {
            let path = dir.path().join(name);
            fs::create_dir(&path).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        folder("open", 0o755);
        folder("private", 0o700);
        put("shadow", 0o640);
        put("open/group", 0o644);
        put("private/key", 0o644);
        std::os::unix::fs::symlink("shadow", dir.path().join("link")).unwrap();
        let first = Closed::look(dir.path());
        assert_eq!(names(&first), ["private", "shadow"]);
        assert!(first.is_of(dir.path()) && first.is_fresh());
        put("open/key", 0o600);
        assert!(!first.is_fresh());
        let second = Closed::look(dir.path());
        assert_eq!(names(&second), ["key", "private", "shadow"]);
        fs::set_permissions(dir.path().join("open"), fs::Permissions::from_mode(0o700)).unwrap();
        assert!(!second.is_fresh());
        assert_eq!(
            names(&Closed::look(dir.path())),
            ["open", "private", "shadow"]
        );
    }
}
