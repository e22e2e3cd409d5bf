//! The folder of a worker, in one that others may have theirs in.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::exec::local::Scratch;
use crate::folder::remove_all;

/// What the names of such folders begin with.
const NAME: &str = "task-pipeline-worker-";
/// The same before somebody has the lock.
const NEW: &str = "task-pipeline-new-";
/// In each, locked as long as its worker lives, as is the folder itself: not every file system locks folders, and
/// who tidies up may remove a file that is old.
const LOCK: &str = "lock";
/// After that a folder that nobody has locked is left over.
const OLD: Duration = Duration::from_mins(10);
/// What processes have for it that a worker left that was killed, and that are to end.
const GRACE: Duration = Duration::from_secs(1);

/// See the module. Dropped, it is gone.
#[derive(Debug)]
pub(crate) struct Place {
    path: PathBuf,
    _locks: Locks,
}

/// Both are locked.
#[derive(Debug)]
struct Locks {
    /// None where folders cannot be.
    _folder: Option<File>,
    _file: Option<File>,
}

impl Locks {
    /// Those of a folder whose worker is dead; none where it may live.
    fn of_dead(path: &Path) -> Option<Self> {
        let folder = lock_folder(path).ok()?;
        let file = match File::open(path.join(LOCK)) {
            Ok(file) => {
                flock(&file, FlockOperation::NonBlockingLockExclusive).ok()?;
                Some(file)
            }
            // Whoever removed the folder was ended before he had.
            Err(error) if error.kind() == io::ErrorKind::NotFound && folder.is_some() => None,
            Err(_) => return None,
        };
        Some(Self {
            _folder: folder,
            _file: file,
        })
    }
}

/// Locks a folder, where there is such a thing; fails where another one has.
fn lock_folder(path: &Path) -> io::Result<Option<File>> {
    let folder = File::open(path)?;
    match flock(&folder, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(folder)),
        Err(Errno::WOULDBLOCK) => Err(Errno::WOULDBLOCK.into()),
        Err(_) => Ok(None),
    }
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
        let folder = lock_folder(made.path())?;
        let file = File::create(made.path().join(LOCK))?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        let name = made
            .path()
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        let path = parent.join(name.replacen(NEW, NAME, 1));
        // Nobody takes it for one of the dead.
        fs::rename(made.path(), &path)?;
        drop(made);
        let locks = Locks {
            _folder: folder,
            _file: Some(file),
        };
        Ok(Self {
            path,
            _locks: locks,
        })
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
        let name = entry.file_name();
        let begins = |with| name.to_str().is_some_and(|name| name.starts_with(with));
        let (is_of_worker, is_new) = (begins(NAME), begins(NEW));
        if !is_of_worker && !is_new {
            continue;
        }
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        let age = metadata.modified().map(|modified| modified.elapsed());
        let is_old = age.is_ok_and(|age| age.is_ok_and(|age| age > OLD));
        if metadata.uid() != own || !metadata.is_dir() || is_new && !is_old {
            continue;
        }
        let path = entry.path();
        if let Some(_locks) = Locks::of_dead(&path) {
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
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn folders_of_the_dead_go_and_those_of_the_living_stay() {
        let parent = tempfile::tempdir().unwrap();
        let other = parent.path().join("task-pipeline-worker");
        fs::create_dir(&other).unwrap();
        let one = Place::new(parent.path()).unwrap();
        // Its file went for its age.
        let aged = Place::new(parent.path()).unwrap();
        fs::remove_file(aged.path().join(LOCK)).unwrap();
        let make = |name: String, file: Option<&str>| {
            let path = parent.path().join(name);
            fs::create_dir(&path).unwrap();
            if let Some(file) = file {
                fs::write(path.join(file), "").unwrap();
            }
            path
        };
        // As if they were killed: at work, while their folders were removed, and before they had a name.
        let dead = [
            make(format!("{NAME}killed"), Some(LOCK)),
            make(format!("{NAME}removed"), Some("objects")),
            make(format!("{NEW}old"), None),
        ];
        let long_ago = SystemTime::now() - OLD * 2;
        File::open(&dead[2])
            .unwrap()
            .set_modified(long_ago)
            .unwrap();
        let begins = make(format!("{NEW}begins"), None);
        let two = Place::new(parent.path()).unwrap();
        let there = [one.path(), two.path(), aged.path(), &begins, &other].map(Path::is_dir);
        assert_eq!(
            (there, dead.map(|path| path.exists())),
            ([true; 5], [false; 3])
        );
        let paths = [one.path().to_owned(), two.path().to_owned()];
        drop((one, two));
        assert!(!paths.iter().any(|path| path.exists()));
    }
}
