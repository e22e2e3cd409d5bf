//! One writer at a time.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use super::Layout;
use crate::core::text::Shown as _;

/// The right to write, held until dropped, and by no process that is gone.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// The right to write was not to be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("{} is in use by {}", db.shown(), match pid { Some(pid) => format!("process {pid}"), None => "another process".to_owned() })]
    Held {
        /// The db folder.
        db: PathBuf,
        /// Who has it.
        pid: Option<u32>,
    },
    /// The lock file cannot be used.
    #[error("cannot lock {}: {source}", path.shown())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
}

impl LockError {
    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Held { .. } => Some("wait for that run to end, or use another -db"),
            Self::Io { .. } => None,
        }
    }
}

impl Lock {
    /// The process that holds the lock of that db folder; asks without taking it.
    ///
    /// None also where the system does not tell (it is `/proc/locks` that does).
    pub fn holder(layout: &Layout) -> Option<u32> {
        let path = layout.lock();
        let inode = format!(":{}", std::fs::metadata(&path).ok()?.ino());
        let locks = std::fs::read_to_string("/proc/locks").ok()?;
        let held = locks.lines().any(|line| {
            line.contains(" FLOCK ") && line.split_whitespace().any(|word| word.ends_with(&inode))
        });
        if !held {
            return None;
        }
        std::fs::read_to_string(&path).ok()?.trim().parse().ok()
    }

    /// Takes the lock of the db folder `db`, whose lock file is `path`; does not wait.
    pub fn take(db: &Path, path: &Path) -> Result<Self, LockError> {
        let io = |source| LockError::Io {
            path: path.to_owned(),
            source,
        };
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)
            .map_err(io)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut text = String::new();
                let _ = file.read_to_string(&mut text);
                return Err(LockError::Held {
                    db: db.to_owned(),
                    pid: text.trim().parse().ok(),
                });
            }
            Err(error) => return Err(io(error.into())),
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(io)?;
        Ok(Self { _file: file })
    }
}
