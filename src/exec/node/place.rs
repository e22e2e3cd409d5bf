//! The folder of a worker, in one that others may have theirs in.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use crate::exec::local::Scratch;
use crate::folder::remove_all;

/// What the names of such folders begin with.
const NAME: &str = "task-pipeline-worker-";
/// The same before somebody has the lock.
const NEW: &str = "task-pipeline-new-";
/// In each, locked as long as its worker lives.
const LOCK: &str = "lock";
/// What processes have for it that a worker left that was killed, and that are to end.
const GRACE: Duration = Duration::from_secs(1);

/// See the module. Dropped, it is gone.
#[derive(Debug)]
pub(crate) struct Place {
    path: PathBuf,
    _lock: File,
}

impl Place {
    /// Makes one in `parent`, once what workers left there that are dead has ended and is gone.
    ///
    /// # Errors
    ///
    /// Where nothing can be made there.
    pub(crate) fn new(parent: &Path) -> io::Result<Self> {
        let parent = &fs::canonicalize(parent)?;
        clear(parent);
        let made = tempfile::Builder::new().prefix(NEW).tempdir_in(parent)?;
        let lock = File::create(made.path().join(LOCK))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        let name = made
            .path()
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        let path = parent.join(name.replacen(NEW, NAME, 1));
        // Nobody takes it for one of the dead.
        fs::rename(made.path(), &path)?;
        drop(made);
        Ok(Self { path, _lock: lock })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        remove_all(&*self.path);
    }
}

/// Ends and removes what dead workers left.
fn clear(parent: &Path) {
    let own = rustix::process::geteuid().as_raw();
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let is_of_worker = entry
            .file_name()
            .to_str()
            .is_some_and(|name| name.starts_with(NAME));
        let is_own = || entry.metadata().is_ok_and(|metadata| metadata.uid() == own);
        if !is_of_worker || !is_own() {
            continue;
        }
        let path = entry.path();
        // Who lives has it.
        if let Ok(lock) = File::open(path.join(LOCK))
            && flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok()
        {
            let (scratch, objects) = (path.join("scratch"), path.join("objects"));
            if scratch.exists() {
                drop(Scratch::new(&scratch, &objects, GRACE));
            }
            remove_all(&*path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_the_dead_go_and_those_of_the_living_stay() {
        let parent = tempfile::tempdir().unwrap();
        let other = parent.path().join("task-pipeline-worker");
        fs::create_dir(&other).unwrap();
        let one = Place::new(parent.path()).unwrap();
        let dead = Place::new(parent.path()).unwrap();
        fs::write(dead.path().join("x"), "x").unwrap();
        let path = dead.path().to_owned();
        // As if it was killed.
        let copy = parent.path().join(format!("{NAME}copy"));
        fs::create_dir(&copy).unwrap();
        fs::write(copy.join(LOCK), "").unwrap();
        let two = Place::new(parent.path()).unwrap();
        let there = [one.path(), two.path(), &path, &other].map(Path::is_dir);
        assert_eq!((there, copy.exists()), ([true; 4], false));
        let paths = [one.path().to_owned(), two.path().to_owned()];
        drop((one, two));
        assert!(!paths.iter().any(|path| path.exists()));
    }
}
