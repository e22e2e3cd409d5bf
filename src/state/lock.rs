//! One writer at a time.
//!
//! What is locked is the db folder itself: whoever removes a file in it does not take the lock
//! away. The file `lock` in it is locked too, which is what older versions of this program look at,
//! and holds the number of the process. Before each commit the writer looks whether what it locked
//! is still what everyone else finds at that place.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::{FileType, FlockOperation};
use rustix::io::Errno;
use rustix::process::Pid;

use super::{Layout, beside};
use crate::folder::Entry;
use crate::sys::{self, Identity, Shortage};
use crate::text::Shown as _;

/// The right to write, held until all clones are dropped, and by no process that is gone.
#[derive(Debug, Clone)]
pub(crate) struct Lock(Arc<Held>);

#[derive(Debug)]
struct Held {
    folder: Locked,
    file: Mutex<Locked>,
    database: OnceLock<Identity>,
}

/// What is locked as long as it is open.
#[derive(Debug)]
struct Locked {
    open: File,
    identity: Identity,
}

/// Who writes to a db folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Holder {
    /// Its number, if it left one.
    pub pid: Option<u32>,
    /// Whether it is no run, but one that removes what is not needed, and ends soon.
    pub removes: bool,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "process {pid}"),
            None => f.write_str("another process"),
        }
    }
}

/// The right to write was not to be had, or is lost.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LockError {
    /// Another process has it.
    #[error("{} is in use by {holder}", db.shown())]
    Held {
        /// The db folder.
        db: PathBuf,
        /// Who has it.
        holder: Holder,
    },
    /// The folder or the lock file cannot be locked.
    #[error("cannot lock {}: {source}", path.shown())]
    Io {
        /// Which of them.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A folder is in the place of the lock file.
    #[error("{} is a folder, and the program's lock file belongs there", .0.shown())]
    Folder(PathBuf),
    /// The folder or the database is gone, or another one is in its place.
    #[error("{} is not what it was when this run began: it was moved, removed or replaced", .0.shown())]
    Moved(PathBuf),
}

impl LockError {
    /// Whether what is recorded can be read all the same, as far as this tells.
    pub(crate) fn leaves_reading(&self) -> bool {
        match self {
            Self::Held { .. } => true,
            Self::Io { source, .. } => matches!(
                Errno::from_io_error(source),
                Some(Errno::ACCESS | Errno::PERM | Errno::ROFS)
            ),
            Self::Folder(_) | Self::Moved(_) => false,
        }
    }

    /// What to do about it.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Held { holder, .. } if holder.removes => {
                Some("wait for that `gc` or `evict` to end, or use another -db")
            }
            Self::Held { .. } => Some("wait for that run to end, or use another -db"),
            Self::Io { source, .. } => match Errno::from_io_error(source)? {
                Errno::ACCESS | Errno::PERM | Errno::ROFS => Some(
                    "the db folder has to be writable for that: check its owner and mode, or name another one with -db",
                ),
                Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS | Errno::BADF => {
                    Some("that file system knows no locks: name a folder on another one with -db")
                }
                _ => Shortage::of(source).map(Shortage::hint),
            },
            Self::Folder(_) => Some("move that folder away and run again: the file is made anew"),
            Self::Moved(_) => Some(
                "what was done up to then is in the database that was moved; put it back, or go on with the \
                 one that is there now: -run",
            ),
        }
    }
}

impl Lock {
    /// The process that holds the lock of that db folder; asks without taking it.
    ///
    /// None also where the system does not tell.
    pub(crate) fn holder(layout: &Layout) -> Option<Holder> {
        let folder = File::open(layout.root()).ok()?;
        sys::is_marked(&folder).then(|| named(layout))
    }

    /// Takes the lock of the db folder; waits for nobody, or, if it `waits`, for one who only removes what nothing needs.
    pub(crate) fn take(layout: &Layout, waits: bool) -> Result<Self, LockError> {
        let mut since = Instant::now();
        loop {
            let taken = Self::take_now(layout);
            if !waits || !matches!(taken, Err(LockError::Held { .. })) {
                return taken;
            }
            if beside::at_work(layout, false).is_some() {
                since = Instant::now();
            } else if since.elapsed() > A_MOMENT {
                return taken;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn take_now(layout: &Layout) -> Result<Self, LockError> {
        let root = layout.root();
        let folder = File::open(root).map_err(failed(root))?;
        let folder = exclusive(folder, root, layout)?;
        sys::mark(&folder.open);
        let lock = Self(Arc::new(Held {
            folder,
            file: Mutex::new(lock_file(layout)?),
            database: OnceLock::new(),
        }));
        lock.check(layout)?;
        match beside::at_work(layout, true) {
            None => Ok(lock),
            Some(holder) => Err(LockError::Held {
                db: root.to_owned(),
                holder,
            }),
        }
    }

    /// The database is there, or was made: from now on it has to stay.
    pub(super) fn add_database(&self, layout: &Layout) -> Result<(), LockError> {
        let path = layout.database();
        let database = Identity::at(&path).map_err(failed(&path))?;
        // Nobody did so before.
        let _ = self.0.database.set(database);
        Ok(())
    }

    /// Fails unless what was locked is still what is found there. A lock file that somebody
    /// removed is made again.
    pub(super) fn check(&self, layout: &Layout) -> Result<(), LockError> {
        let held = &*self.0;
        is_still(held.folder.identity, layout.root())?;
        if let Some(database) = held.database.get() {
            is_still(*database, &layout.database())?;
        }
        let mut file = held.file.lock().unwrap_or_else(PoisonError::into_inner);
        if is_still(file.identity, &layout.lock()).is_err() {
            *file = lock_file(layout)?;
        }
        Ok(())
    }
}

fn is_still(own: Identity, path: &Path) -> Result<(), LockError> {
    match Identity::at(path) {
        Ok(found) if found == own => Ok(()),
        _ => Err(LockError::Moved(path.to_owned())),
    }
}

/// Locks the file in the folder, made if it is not there, and writes this process's number in it.
fn lock_file(layout: &Layout) -> Result<Locked, LockError> {
    let path = layout.lock();
    let file = own_file(&path).map_err(|error| {
        if error.kind() == io::ErrorKind::IsADirectory {
            LockError::Folder(path.clone())
        } else {
            failed(&path)(error)
        }
    })?;
    let locked = exclusive(file, &path, layout)?;
    let mut file = &locked.open;
    let number = format!("{}\n", std::process::id());
    // In the room that the one before had: there may be no other.
    let written = file
        .rewind()
        .and_then(|()| file.write_all(number.as_bytes()))
        .and_then(|()| file.set_len(number.len() as u64));
    match written {
        // Locked it is all the same; only who has it is not told.
        Err(error) if matches!(Shortage::of(&error), Some(Shortage::Room | Shortage::Quota)) => {}
        written => written.map_err(failed(&path))?,
    }
    Ok(locked)
}

/// Opens the file for writing, made if it is not there. Anything else in its place goes first, and
/// nothing is written through it: to where a link leads, or to a file that has another name, too.
fn own_file(path: &Path) -> io::Result<File> {
    let entry = Entry::from(path);
    match entry.look() {
        Ok(look) if look.kind == FileType::RegularFile && look.links == 1 => entry.open_to_write(),
        Ok(look) if look.kind == FileType::Directory => Err(io::ErrorKind::IsADirectory.into()),
        Ok(_) => entry.remove().and_then(|()| entry.create()),
        // With no other name, unless it was made just now.
        Err(_) => entry.open_to_write(),
    }
}

fn exclusive(open: File, path: &Path, layout: &Layout) -> Result<Locked, LockError> {
    let began = Instant::now();
    while let Err(error) = rustix::fs::flock(&open, FlockOperation::NonBlockingLockExclusive) {
        if error != Errno::WOULDBLOCK {
            return Err(failed(path)(error.into()));
        }
        let holder = named(layout);
        if !holder.pid.is_some_and(is_gone) || began.elapsed() > LAST_MOMENT {
            let db = layout.root().to_owned();
            return Err(LockError::Held { db, holder });
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let data = open.metadata().map_err(failed(path))?;
    Ok(Locked {
        identity: Identity::of(&data),
        open,
    })
}

/// Between having the lock and saying what for, and between no longer saying so and giving it back.
const A_MOMENT: Duration = Duration::from_millis(250);

/// A run that is killed while it starts a child has the lock until that is another program.
const LAST_MOMENT: Duration = Duration::from_secs(2);

fn is_gone(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| rustix::process::test_kill_process(pid) == Err(Errno::SRCH))
}

/// The number that is in the lock file.
fn named(layout: &Layout) -> Holder {
    let mut text = String::new();
    let removes = beside::at_work(layout, false).is_some();
    let path = layout.lock();
    let entry = Entry::from(&path);
    let is_file = entry
        .look()
        .is_ok_and(|look| look.kind == FileType::RegularFile);
    if !is_file {
        return Holder { pid: None, removes };
    }
    let read = entry
        .open()
        .and_then(|file| file.take(20).read_to_string(&mut text));
    Holder {
        pid: read.ok().and_then(|_| text.trim().parse().ok()),
        removes,
    }
}

fn failed(path: &Path) -> impl Fn(io::Error) -> LockError {
    move |source| LockError::Io {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::{Error, State};
    use super::*;

    fn commits(state: &mut State) -> Result<(), Error> {
        state.create_runset("r", 0)?;
        state.commit()
    }

    /// The first failure of a state that writes no more.
    fn is_moved(error: &Error, path: &Path) -> bool {
        let error = match error {
            Error::Failed(first) => first,
            other => other,
        };
        matches!(error, Error::Locked(LockError::Moved(moved)) if moved == path)
    }

    #[test]
    fn removing_the_lock_file_lets_nobody_in() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        let (mut state, lock, _) = State::open(dir.path()).unwrap();
        let own = Some(Holder {
            pid: Some(std::process::id()),
            removes: false,
        });
        assert_eq!(Lock::holder(&layout), own);
        fs::remove_file(layout.lock()).unwrap();
        assert_eq!(
            Lock::holder(&layout),
            Some(Holder {
                pid: None,
                removes: false,
            })
        );
        let refused = State::open(dir.path()).unwrap_err();
        assert!(refused.to_string().contains("another process"), "{refused}");
        commits(&mut state).unwrap();
        assert_eq!(Lock::holder(&layout), own, "the file is there again");
        // An older version looks at that file alone.
        let file = File::open(layout.lock()).unwrap();
        let taken = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive);
        assert_eq!(taken, Err(Errno::WOULDBLOCK));
        drop((state, lock, file));
        State::open_again(dir.path());
    }

    #[test]
    fn an_older_version_that_took_the_lock_files_place_ends_this_one() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        let (mut state, _lock, _) = State::open(dir.path()).unwrap();
        fs::remove_file(layout.lock()).unwrap();
        let other = File::create(layout.lock()).unwrap();
        rustix::fs::flock(&other, FlockOperation::NonBlockingLockExclusive).unwrap();
        assert!(commits(&mut state).is_err());
        assert!(state.runset("r").unwrap().is_none());
    }

    #[test]
    fn nothing_is_committed_to_what_is_somewhere_else_by_now() {
        for replaced in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let (root, away) = (dir.path().join("db"), dir.path().join("away"));
            let (mut state, lock, _) = State::open(&root).unwrap();
            fs::rename(&root, &away).unwrap();
            if replaced {
                // Nobody has that one.
                State::open(&root).unwrap();
            }
            let error = commits(&mut state).unwrap_err();
            assert!(is_moved(&error, &root), "{error}");
            assert!(commits(&mut state).is_err(), "not even later");
            drop((state, lock));
            let (state, _lock) = State::open_again(&away);
            assert!(state.runset("r").unwrap().is_none());
        }
    }

    #[test]
    fn nothing_is_committed_to_a_database_that_was_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let (mut state, _lock, _) = State::open(dir.path()).unwrap();
        let database = Layout::new(dir.path()).database();
        fs::copy(&database, dir.path().join("backup")).unwrap();
        fs::rename(dir.path().join("backup"), &database).unwrap();
        let error = commits(&mut state).unwrap_err();
        assert!(is_moved(&error, &database), "{error}");
    }

    #[test]
    fn what_a_dead_process_holds_for_a_moment_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        let first = Lock::take(&layout, false).unwrap();
        let began = Instant::now();
        let refused = Lock::take(&layout, false);
        assert!(matches!(refused, Err(LockError::Held { .. })));
        assert!(began.elapsed() < LAST_MOMENT);
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        fs::write(layout.lock(), child.id().to_string()).unwrap();
        let thread = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            drop(first);
        });
        Lock::take(&layout, false).unwrap();
        thread.join().unwrap();
    }
}
