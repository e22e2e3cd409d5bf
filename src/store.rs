//! The object store: immutable blobs under the SHA-256 of their bytes.
//!
//! An object lies at `objects/AB/CD/EFGH…`, mode 0444 less what
//! the umask takes. It comes into being by one rename of a
//! file that is complete and that nothing can write to any more, so that no partial object is
//! ever visible. Renaming over an existing object of the same name puts the same bytes in place,
//! and mends one that was damaged.

mod aside;
mod audit;
mod evicted;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz;
mod hash;
mod insert;
mod lent;
mod linked;
mod look;
mod named;
mod read;
mod receive;
mod shards;
mod shared;
mod sweep;
mod tree;
mod unrecorded;

use std::collections::{HashMap, HashSet};
use std::fs::{self, Metadata};
use std::io;
use std::ops::Deref;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError, RwLock};

use rustix::io::Errno;

pub(crate) use audit::{Depth, Found, Stray};
pub(crate) use hash::{Inserted, LARGE, hash_until};
pub(crate) use insert::{InsertError, remove};
pub(crate) use lent::Loan;
pub(crate) use linked::{AMONG, PROBE, claim, is_of_run, name_of_run};
pub(crate) use look::Condition;
pub(crate) use named::Gathered;
pub(crate) use read::Held;
pub(crate) use receive::ReceiveError;
pub(crate) use shared::SharedOutput;
pub(crate) use sweep::{Amount, Removes, Swept};
pub(crate) use tree::TreeWriter;
pub(crate) use unrecorded::{Earlier, Session};

use crate::folder::{Entry, kind};
use crate::model::digest::Digest;
use crate::model::file::Lent;
use crate::sys::{self, Shortage};
use crate::text::Shown as _;
use shards::Shards;
use unrecorded::Unrecorded;

/// A folder of objects, for one who reads them.
#[derive(Debug)]
pub(crate) struct Reader {
    root: PathBuf,
    /// For objects too large to hash again and again: the evidence that the file is still the one
    /// whose bytes were hashed.
    known: Mutex<HashMap<Digest, Evidence>>,
    /// Large objects that were read and found to be something else. What is put in their place is
    /// in `known`.
    broken: Mutex<HashSet<Digest>>,
    /// Files outside that are objects where they lie.
    lent: RwLock<HashMap<Digest, Lent>>,
    /// Those whose bytes were dropped, in order.
    evicted: RwLock<Vec<Digest>>,
}

/// A folder of objects, for one who also adds some. Shared by the workers of a run.
#[derive(Debug)]
pub(crate) struct Store {
    reader: Reader,
    /// Where copies are made, on the same file system.
    scratch: PathBuf,
    shards: Shards,
    /// Held by whoever puts aside what is in the way of an object.
    way: Mutex<()>,
    /// Whether the last file that was to become an object was one already.
    repeats: AtomicBool,
    /// Who owns what is made here.
    owner: u32,
    /// Of every object: nobody may write to it, and whoever the umask keeps out may not read it.
    mode: u32,
    /// Objects that are in no row yet.
    unrecorded: Unrecorded,
}

impl Deref for Store {
    type Target = Reader;

    fn deref(&self) -> &Reader {
        &self.reader
    }
}

/// Changes whenever a file's bytes do: writing to it moves its change time, which no program can
/// set, and another file has another number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Evidence {
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl Evidence {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// Asked before each file of what may take long: fails once nobody waits for it any more.
pub(crate) type GoOn<'a> = &'a (dyn Fn() -> io::Result<()> + Sync);

/// For what is done whoever waits.
pub(crate) const TO_THE_END: GoOn = &|| Ok(());

/// A failure to store or fetch an object.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file operation failed.
    #[error("cannot {action} {}: {source}", path.shown())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Objects cannot be put into the store's own folders, whatever they are.
    #[error("cannot {action} {}: {source}", path.shown())]
    Place {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// In the place of the store's folder is something else.
    #[error("{} is {found}, not a folder", path.shown())]
    NotAFolder {
        /// The place.
        path: PathBuf,
        /// What is there.
        found: &'static str,
    },
    /// The store's folder is a link that leads nowhere.
    #[error("{} is a link to {}, which is not there", path.shown(), target.shown())]
    LinkToNothing {
        /// The link.
        path: PathBuf,
        /// What it says.
        target: PathBuf,
    },
    /// The store's folder is a link to one that is not for objects alone.
    #[error("{} is a link to {}, where there is {}, which belongs to no store of objects", path.shown(), target.shown(), found.shown())]
    LinkToOther {
        /// The link.
        path: PathBuf,
        /// What it says.
        target: PathBuf,
        /// What is there.
        found: PathBuf,
    },
    /// The store's folder is that of another db, too.
    #[error("{} leads to {}, where the objects of the db {} are", path.shown(), target.shown(), db.shown())]
    OfAnother {
        /// The link.
        path: PathBuf,
        /// The folder.
        target: PathBuf,
        /// The db folder that it belongs to.
        db: PathBuf,
    },
    /// Somebody put another file in the place of one that was being written.
    #[error("{} was replaced by another file while it was written", .0.shown())]
    Replaced(PathBuf),
    /// There is no such object.
    #[error("object {digest} is missing: there is no {}", path.shown())]
    Missing {
        /// The object.
        digest: Digest,
        /// Where it should be.
        path: PathBuf,
    },
    /// Its bytes were dropped, as they can be made again.
    #[error("the bytes of object {0} were evicted: all is known of it but these")]
    Evicted(Digest),
    /// What is there is no file.
    #[error("object {digest} is damaged: {} is {found}, not a file", path.shown())]
    NotAFile {
        /// The object.
        digest: Digest,
        /// Where it should be.
        path: PathBuf,
        /// What is there.
        found: &'static str,
    },
    /// A file outside that is to be the object is not, by now.
    #[error("{} is {what}", path.shown())]
    Outside {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        what: &'static str,
    },
    /// The file's bytes are not those that it is named after.
    #[error("object {digest} is damaged: the bytes of {} now hash to {found}", path.shown())]
    Damaged {
        /// The object.
        digest: Digest,
        /// Where it is.
        path: PathBuf,
        /// What its bytes hash to.
        found: Digest,
    },
}

impl Error {
    /// Whether it says that the object itself is gone or is another one, and not only that this
    /// could not be found out.
    pub(crate) fn is_loss(&self) -> bool {
        match self {
            Self::Missing { .. } | Self::NotAFile { .. } | Self::Damaged { .. } => true,
            Self::Io { .. }
            | Self::Place { .. }
            | Self::NotAFolder { .. }
            | Self::Replaced(_)
            | Self::Outside { .. }
            | Self::Evicted(_)
            | Self::LinkToNothing { .. }
            | Self::LinkToOther { .. }
            | Self::OfAnother { .. } => false,
        }
    }

    /// Whether something has the place already that was to be taken.
    pub(crate) fn is_taken(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::AlreadyExists)
    }

    /// What there was too little of, if it was that.
    pub(crate) fn shortage(&self) -> Option<Shortage> {
        match self {
            Self::Io { source, .. } => Shortage::of(source),
            Self::Place { source, .. } => Some(Shortage::of(source).unwrap_or(Shortage::Place)),
            Self::NotAFolder { .. }
            | Self::LinkToNothing { .. }
            | Self::LinkToOther { .. }
            | Self::OfAnother { .. }
            | Self::Replaced(_)
            | Self::Outside { .. }
            | Self::Evicted(_)
            | Self::Missing { .. }
            | Self::NotAFile { .. }
            | Self::Damaged { .. } => None,
        }
    }

    /// What to do about it.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::LinkToNothing { .. } => {
                Some("mount the disk that it is on, or make that folder, and run again")
            }
            Self::LinkToOther { .. } => Some(
                "let the link lead to an empty folder, or to one that holds objects and nothing else",
            ),
            Self::OfAnother { .. } => Some(
                "each would remove what the other needs: put a copy of that folder in the link's place (cp -a), or remove the \
                 db that is no longer wanted",
            ),
            Self::Missing { .. } | Self::NotAFile { .. } | Self::Damaged { .. } => {
                Some("restore it from a backup, or run again: what is needed of it is made again")
            }
            Self::Outside { .. } => {
                Some("run again: inputs are compared then, and what has changed is another task")
            }
            Self::Evicted(_) => Some(
                "-run makes them again where it needs them; -run -start STEP, with the step that left them, does so at once, \
                 if that is as it was then",
            ),
            Self::NotAFolder { .. } => {
                Some("move it away: a folder is made in its place, or put the right one there")
            }
            Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Some("check the owner and mode of the db folder and of what is in it")
            }
            Self::Io { .. } | Self::Place { .. } | Self::Replaced(_) => {
                self.shortage().map(Shortage::hint)
            }
        }
    }
}

/// For `map_err`: an [`Error::Io`].
pub(crate) fn io_error<'a>(
    action: &'static str,
    on: impl Into<Entry<'a>>,
) -> impl FnOnce(io::Error) -> Error + 'a {
    let on = on.into();
    move |source| Error::Io {
        action,
        path: on.path(),
        source,
    }
}

/// For `map_err`: an [`Error::Place`].
fn no_place<'a>(
    action: &'static str,
    on: impl Into<Entry<'a>>,
) -> impl FnOnce(io::Error) -> Error + 'a {
    let on = on.into();
    move |source| Error::Place {
        action,
        path: on.path(),
        source,
    }
}

/// Whether a failure to look at a path says that nothing can be there: neither a file nor anything
/// that would have to be opened up first.
fn is_absent(error: &io::Error) -> bool {
    let kinds = [
        io::ErrorKind::NotFound,
        io::ErrorKind::NotADirectory,
        io::ErrorKind::InvalidFilename,
    ];
    kinds.contains(&error.kind()) || Errno::from_io_error(error) == Some(Errno::LOOP)
}

/// Makes a store's folder if it is not there, for one who writes to it.
pub(crate) fn make(root: &Path) -> Result<(), Error> {
    make_folder(root)?;
    linked::claim(root)
}

/// Makes a folder of the db if it is not there; what is there instead is named.
pub(crate) fn make_folder(root: &Path) -> Result<(), Error> {
    match fs::create_dir_all(root) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => match fs::read_link(root) {
            Ok(target) => Err(Error::LinkToNothing {
                path: root.to_owned(),
                target,
            }),
            Err(_) => Err(match Entry::from(root).look() {
                Ok(look) => Error::NotAFolder {
                    path: root.to_owned(),
                    found: kind(look.kind),
                },
                Err(_) => no_place("make the folder", root)(error),
            }),
        },
        other => other.map_err(no_place("make the folder", root)),
    }
}

/// Objects of at most this size (bytes) are read whole and hashed at every use.
const SMALL: u64 = 64 * 1024;
/// Entries of evidence kept; beyond it all are dropped and gathered again.
const KNOWN: usize = 4096;

impl Store {
    /// Opens the folder `root`, and makes it if it is not there. Copies are made in `scratch`,
    /// which must be a folder on the same file system.
    pub(crate) fn open(root: &Path, scratch: &Path) -> Result<Self, Error> {
        make(root)?;
        Ok(Self {
            reader: Reader::new(root),
            // Not on every file system that of this process.
            owner: Entry::from(scratch)
                .look()
                .map_err(io_error("look at", scratch))?
                .owner,
            scratch: scratch.to_owned(),
            shards: Shards::default(),
            way: Mutex::default(),
            repeats: AtomicBool::default(),
            mode: 0o444 & !sys::umask(),
            unrecorded: Unrecorded::default(),
        })
    }
}

impl Store {
    /// Where copies are made.
    pub(crate) fn scratch(&self) -> &Path {
        &self.scratch
    }
}

impl Reader {
    /// The folder `root`, which is not made if it is not there.
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            known: Mutex::default(),
            broken: Mutex::default(),
            lent: RwLock::default(),
            evicted: RwLock::default(),
        }
    }

    /// Where the object is, or would be.
    pub(crate) fn path(&self, digest: &Digest) -> PathBuf {
        self.root.join(Self::place(digest))
    }

    /// Where it is in the store.
    fn place(digest: &Digest) -> String {
        let hex = digest.hex();
        let mut path = String::with_capacity(67);
        path.push_str(&hex[..2]);
        path.push('/');
        path.push_str(&hex[2..4]);
        path.push('/');
        path.push_str(&hex[4..]);
        path
    }

    /// Whether there is a file for the object; its bytes are not looked at.
    pub(crate) fn contains(&self, digest: &Digest) -> bool {
        fs::symlink_metadata(self.path(digest)).is_ok_and(|m| m.is_file())
    }

    /// Fails unless there is a file for the object that can be opened; its bytes are not looked at.
    pub(crate) fn find(&self, digest: &Digest) -> Result<(), Error> {
        self.open_stored(digest).map(drop)
    }

    fn remember(&self, digest: Digest, metadata: &Metadata) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KNOWN {
            known.clear();
        }
        known.insert(digest, Evidence::of(metadata));
    }

    fn is_known(&self, digest: &Digest, metadata: &Metadata) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(digest) == Some(&Evidence::of(metadata))
    }
}

#[cfg(test)]
mod tests;
