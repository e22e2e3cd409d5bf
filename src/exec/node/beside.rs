//! A disk that this machine and the run's both see: large objects are read where they lie, and those that a task
//! has left are put where the run finds them.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::model::digest::Digest;
use crate::store::Store;
use crate::wire::message::{BESIDE, Meeting, PROBE, ToOwner};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Beside {
    /// Where the run finds files.
    folder: Option<PathBuf>,
    /// Whether it said that it does.
    is_seen: AtomicBool,
}

impl Beside {
    /// Looks whether this machine sees the run's disk; what the run is told, if it does.
    pub(super) fn meet(meeting: Option<&Meeting>) -> (Self, Option<ToOwner>) {
        let Some(meeting) = meeting else {
            return (Self::default(), None);
        };
        let folder = PathBuf::from(&meeting.folder);
        let read = fs::read_to_string(folder.join(PROBE));
        if read.ok().as_ref() != Some(&meeting.nonce) {
            return (Self::default(), None);
        }
        // It may be read-only here, or another user's.
        let made = put(&folder, &mut meeting.nonce.as_bytes()).ok();
        let own = Self {
            folder: made.as_ref().map(|_| folder),
            is_seen: AtomicBool::new(false),
        };
        (own, Some(ToOwner::Beside(made)))
    }

    /// The run sees what is put there.
    pub(super) fn is_seen(&self) {
        self.is_seen.store(true, Ordering::Relaxed);
    }

    /// Puts an object there; under which name. None where it had better go through the connection.
    pub(super) fn put(&self, store: &Store, digest: &Digest) -> Option<String> {
        let folder = self.folder.as_deref()?;
        if !self.is_seen.load(Ordering::Relaxed) {
            return None;
        }
        let mut file = File::open(store.path(digest)).ok()?;
        if file.metadata().ok()?.len() < BESIDE {
            return None;
        }
        put(folder, &mut file).ok()
    }
}

/// Makes a file there; its name.
fn put(folder: &Path, from: &mut impl io::Read) -> io::Result<String> {
    let mut file = tempfile::Builder::new()
        .prefix("from-")
        .suffix("-x")
        .permissions(fs::Permissions::from_mode(0o644))
        .tempfile_in(folder)?;
    io::copy(from, &mut file)?;
    let path = file.into_temp_path();
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.unwrap_or_default().to_owned();
    path.keep()?;
    Ok(name)
}
