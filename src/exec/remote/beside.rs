//! Large objects that need not go through the connection, as a worker and the run see the same disk.
//!
//! Each proves to the other that it does: the run has a file for the worker to read, and the worker makes one for the
//! run to read. Nothing is believed for that: what is read there is hashed like all that comes.

use std::fs;
use std::hash::{BuildHasher, Hasher as _, RandomState};
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::folder::Folder;
use crate::model::digest::Digest;
use crate::store::{Reader, Store};
use crate::wire::message::{BESIDE, Meeting, PROBE};

/// What the folder is called, in that of the run.
const FOLDER: &str = "beside";

/// The folder in which they meet.
#[derive(Debug)]
pub(super) struct Beside {
    folder: Folder,
    meeting: Meeting,
    /// Whether what was put there was not what it was said to be.
    failed: AtomicBool,
}

impl Beside {
    /// Makes it in the folder of the run; none where that cannot be, or its path is no text.
    pub(super) fn new(parent: &Folder) -> Option<Self> {
        let nonce = format!("{:016x}", RandomState::new().build_hasher().finish());
        let folder = parent.make(FOLDER).ok()?;
        let mut probe = folder.entry(PROBE).create().ok()?;
        probe.write_all(nonce.as_bytes()).ok()?;
        let path = folder.path().to_str()?.to_owned();
        Some(Self {
            folder: folder.keep(),
            meeting: Meeting {
                folder: path,
                nonce,
            },
            failed: AtomicBool::new(false),
        })
    }

    /// What a worker is told.
    pub(super) fn meeting(&self) -> Option<Meeting> {
        let is_right = !self.failed.load(Ordering::Relaxed);
        is_right.then(|| self.meeting.clone())
    }

    /// Whether a worker has made that file.
    pub(super) fn has(&self, name: &str) -> bool {
        let Some(name) = own(name) else {
            return false;
        };
        let mut found = String::new();
        let entry = self.folder.entry(name);
        let read = entry
            .open()
            .and_then(|file| file.take(100).read_to_string(&mut found));
        let _ = entry.remove();
        read.is_ok() && found == self.meeting.nonce
    }

    /// Makes an object of a file that a worker has put there, which is to be that one.
    pub(super) fn take(&self, store: &Store, digest: &Digest, name: &str) -> Result<(), String> {
        let found = match own(name) {
            None => Err("it has no such name".to_owned()),
            Some(name) => store
                .candidate(self.folder.entry(name), true)
                .and_then(|candidate| store.insert(candidate))
                .map_err(|error| error.to_string()),
        };
        let why = match found {
            Ok(inserted) if inserted.digest == *digest => return Ok(()),
            Ok(inserted) => format!("its bytes hash to {}", inserted.digest),
            Err(why) => why,
        };
        // From now on all goes through connections.
        self.failed.store(true, Ordering::Relaxed);
        Err(format!(
            "an object that was put into {} is not there as it should be: {why}",
            self.meeting.folder
        ))
    }
}

/// Where an object lies that a worker had better read by itself.
pub(super) fn path_of(store: &Reader, digest: &Digest) -> Option<PathBuf> {
    let path = store.path(digest);
    let found = fs::symlink_metadata(&path).ok()?;
    (found.is_file() && found.len() >= BESIDE).then_some(path)
}

/// A name that a worker gives to files.
fn own(name: &str) -> Option<&str> {
    let is_plain = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    (is_plain && !name.is_empty() && name != PROBE).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_there_is_taken_for_what_it_hashes_to() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        let store = Store::open(&place.path().join("objects"), place.path()).unwrap();
        let beside = Beside::new(&folder).unwrap();
        let meeting = beside.meeting().unwrap();
        let file = |name: &str| PathBuf::from(&meeting.folder).join(name);
        assert_eq!(fs::read_to_string(file(PROBE)).unwrap(), meeting.nonce);

        for (name, bytes, right) in [
            ("a-1", &*meeting.nonce, true),
            ("a-2", "another", false),
            ("../probe", &*meeting.nonce, false),
        ] {
            fs::write(file(name), bytes).unwrap();
            assert_eq!(beside.has(name), right, "{name}");
        }
        assert!(!beside.has("none"));
        assert!(!beside.has(PROBE));

        fs::write(file("x"), "bytes").unwrap();
        beside.take(&store, &Digest::of(b"bytes"), "x").unwrap();
        assert!(store.contains(&Digest::of(b"bytes")));
        assert!(!file("x").exists());
        assert!(beside.meeting().is_some());
        fs::write(file("x"), "other bytes").unwrap();
        let error = beside
            .take(&store, &Digest::of(b"bytes2"), "x")
            .unwrap_err();
        assert!(error.contains("its bytes hash to"), "{error}");
        // Nobody goes on with it.
        assert!(beside.meeting().is_none());
    }
}
