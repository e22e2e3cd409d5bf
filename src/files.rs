//! Files of the host that a pipeline depends on: found by patterns, hashed, and looked at again.
//!
//! A file that looks as it did when it was read is not read again ([`Known`]). What was found is a
//! [`Snapshot`]; whether all is still so is asked of a [`Watch`], by whoever has to know.

mod error;
mod find;
mod known;
mod links;
mod look;
mod own;
mod pattern;
mod read;
mod snapshot;
mod target;
mod texts;
mod watch;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, Mode, OFlags};

pub(crate) use error::Error;
pub(crate) use find::find;
pub(crate) use known::Known;
pub(crate) use read::Keep;
pub(crate) use read::read;
pub(crate) use snapshot::Snapshot;
pub(crate) use target::look;
pub(crate) use texts::Texts;
pub(crate) use watch::{Begun, Trouble, Watch};

use crate::model::file::Stat;
use crate::sys::{self, Seen};

/// The folder below which files are looked for.
#[derive(Debug)]
pub(crate) struct Root {
    fd: OwnedFd,
    /// Folders in it in which no file is ever found: the device and the number.
    skip: Vec<(u64, u64)>,
    /// Set when nobody wants what is read any more.
    stop: Arc<AtomicBool>,
    tell: Option<Tell>,
}

/// Told a file's path and size (bytes) before one is read that takes long.
pub(crate) type Tell = fn(&str, u64);

impl Root {
    /// Opens it.
    #[cfg(test)]
    pub(crate) fn open(path: &Path, skip: Option<&Path>) -> io::Result<Self> {
        Self::open_until(path, skip, Arc::default())
    }

    /// Opens it. In `skip`, which is the program's own folder, no file is found. Reading fails once
    /// `stop` is set.
    pub(crate) fn open_until(
        path: &Path,
        skip: Option<&Path>,
        stop: Arc<AtomicBool>,
    ) -> io::Result<Self> {
        let fd = rustix::fs::openat(CWD, path, FOLDER, Mode::empty())?;
        Ok(Self {
            fd: sys::descriptors::keep(fd),
            skip: skip.map(own::of).unwrap_or_default(),
            stop,
            tell: None,
        })
    }

    /// Whoever waits learns of what takes long.
    pub(crate) fn telling(self, tell: Option<Tell>) -> Self {
        Self { tell, ..self }
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

fn stat(seen: &Seen) -> Stat {
    Stat {
        device: seen.device,
        inode: seen.inode,
        size: seen.size,
        modified: seen.modified,
        changed: seen.changed,
        executable: seen.executable,
    }
}

/// The time in nanoseconds since 1970.
pub(crate) fn now() -> i64 {
    i64::try_from(sys::now().as_nanosecond()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
