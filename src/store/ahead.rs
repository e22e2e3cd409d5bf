//! A private copy of a large new object for the task that will read it, made while it is hashed.
//!
//! Hashing takes longer than reading and writing, so where there is another core the copy costs no
//! time. There is one such copy at most; a task that reads another object, or finds this one
//! changed, makes its own, so that a failure to make one is no failure.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{MutexGuard, PoisonError};

use rustix::fs::{CWD, OFlags, RenameFlags, renameat_with};

use super::adopt::Adopted;
use super::hash::{LARGE, hash, hash_and};
use super::read::cut;
use super::{Evidence, Store};
use crate::core::digest::Digest;
use crate::sys;

/// So many others go without a copy because of one that nobody takes.
const PATIENCE: u32 = 4;

/// What is known of the copy.
#[derive(Debug, Default)]
pub(super) enum Ahead {
    #[default]
    None,
    /// A thread writes it.
    Making,
    Made {
        digest: Digest,
        evidence: Evidence,
        /// Those that went without.
        passed: u32,
    },
}

/// A copy whose original is not an object yet. Dropped, it does not count.
#[derive(Debug)]
pub(super) struct Spare<'a> {
    store: &'a Store,
    evidence: Option<Evidence>,
}

impl Spare<'_> {
    /// The original is now this object.
    pub fn named(mut self, digest: Digest) {
        if let Some(evidence) = self.evidence.take() {
            *self.store.ahead() = Ahead::Made {
                digest,
                evidence,
                passed: 0,
            };
        }
    }
}

impl Drop for Spare<'_> {
    fn drop(&mut self) {
        let mut ahead = self.store.ahead();
        if matches!(*ahead, Ahead::Making) {
            let _ = fs::remove_file(self.store.copy_path());
            *ahead = Ahead::None;
        }
    }
}

impl Store {
    /// Hashes the file, and copies it meanwhile if there is a core for it and no other copy waits
    /// for its reader.
    pub(super) fn hash_and_copy(&self, file: &File) -> (io::Result<Adopted>, Option<Spare<'_>>) {
        if !self.may_copy() {
            return (hash(file, LARGE), None);
        }
        let mut spare = Spare {
            store: self,
            evidence: None,
        };
        let Ok(mut copy) = Copying::begin(file, &self.copy_path()) else {
            return (hash(file, LARGE), None);
        };
        let adopted = hash_and(file, |piece| copy.add(piece));
        if let Ok(adopted) = &adopted {
            spare.evidence = copy.end(adopted.size).ok();
        }
        let right = spare.evidence.is_some();
        (adopted, right.then_some(spare))
    }

    /// Puts the copy of the object at `to`, if there is one.
    pub(super) fn give_copy(&self, digest: &Digest, to: &Path) -> bool {
        let mut ahead = self.ahead();
        let right = match &*ahead {
            Ahead::Made {
                digest: of,
                evidence,
                ..
            } if of == digest => *evidence,
            _ => return false,
        };
        *ahead = Ahead::None;
        let from = self.copy_path();
        let as_made = fs::symlink_metadata(&from).is_ok_and(|now| Evidence::of(&now) == right);
        // What was at `to` may be written over by the next copy. To rename over it would have ext4
        // write the copy out at once.
        as_made
            && (renameat_with(CWD, &from, CWD, to, RenameFlags::EXCHANGE).is_ok()
                || fs::rename(&from, to).is_ok())
    }

    fn may_copy(&self) -> bool {
        if sys::cores() < 2 {
            return false;
        }
        let mut ahead = self.ahead();
        match &mut *ahead {
            Ahead::Making => return false,
            Ahead::Made { passed, .. } if *passed < PATIENCE => {
                *passed += 1;
                return false;
            }
            Ahead::None | Ahead::Made { .. } => {}
        }
        *ahead = Ahead::Making;
        true
    }

    fn copy_path(&self) -> PathBuf {
        self.scratch.join("next-input")
    }

    fn ahead(&self) -> MutexGuard<'_, Ahead> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A copy that is being made.
struct Copying {
    to: File,
    /// Nothing needs to be written: the file system lets both files have the same blocks until
    /// one is written to.
    cloned: bool,
    /// Bytes written, as long as that went well.
    written: io::Result<u64>,
}

impl Copying {
    fn begin(from: &File, path: &Path) -> io::Result<Self> {
        // What is there already is written over: ext4 writes out at once what is truncated.
        let to = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed())
            .open(path)?;
        let cloned = sys::clone_file(from, &to);
        Ok(Self {
            to,
            cloned,
            written: Ok(0),
        })
    }

    fn add(&mut self, piece: &[u8]) {
        if let Ok(written) = &mut self.written
            && !self.cloned
        {
            match self.to.write_all(piece) {
                Ok(()) => *written += piece.len() as u64,
                Err(error) => self.written = Err(error),
            }
        }
    }

    fn end(self, size: u64) -> io::Result<Evidence> {
        let written = self.written?;
        cut(&self.to, size)?;
        if !self.cloned && written != size {
            return Err(io::Error::other("not all was copied"));
        }
        Ok(Evidence::of(&self.to.metadata()?))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::super::Candidate;
    use super::*;

    /// A store that copies even on one core.
    fn fixture() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("objects"), dir.path()).unwrap();
        (dir, store)
    }

    fn bytes(fill: u8, more: usize) -> Vec<u8> {
        vec![fill; usize::try_from(LARGE).unwrap() + more]
    }

    fn keep(store: &Store, folder: &Path, bytes: &[u8]) -> Digest {
        let file = folder.join("output");
        fs::write(&file, bytes).unwrap();
        let candidate = Candidate::open(&file, true).unwrap();
        store.keep(candidate, true).unwrap().digest
    }

    #[test]
    fn the_copy_made_ahead_is_private_and_right() {
        let (dir, store) = fixture();
        let input = dir.path().join("input");
        let mut next = 0;
        for (fill, more) in [(1, 9), (2, 0), (3, 5)] {
            let bytes = bytes(fill, more);
            let digest = keep(&store, dir.path(), &bytes);
            if sys::cores() > 1 {
                next = fs::metadata(store.copy_path()).unwrap().ino();
            }
            store.copy_out(&digest, &input).unwrap();
            assert_eq!(fs::read(&input).unwrap(), bytes);
            if next != 0 {
                assert_eq!(fs::metadata(&input).unwrap().ino(), next);
            }
            fs::write(&input, "changed").unwrap();
            assert_eq!(fs::read(store.path(&digest)).unwrap(), bytes);
            store.copy_out(&digest, &input).unwrap();
            assert_eq!(fs::read(&input).unwrap(), bytes);
        }
    }

    #[test]
    fn a_copy_that_was_changed_is_not_given() {
        let (dir, store) = fixture();
        let bytes = bytes(1, 0);
        let digest = keep(&store, dir.path(), &bytes);
        let _ = fs::write(store.copy_path(), "changed");
        let input = dir.path().join("input");
        store.copy_out(&digest, &input).unwrap();
        assert_eq!(fs::read(&input).unwrap(), bytes);
    }

    #[test]
    fn one_that_nobody_takes_gives_way_in_the_end() {
        let (_dir, store) = fixture();
        let evidence = Evidence::of(&fs::symlink_metadata(".").unwrap());
        let copy = |store| Spare {
            store,
            evidence: Some(evidence),
        };
        if sys::cores() < 2 {
            return;
        }
        assert!(store.may_copy());
        assert!(!store.may_copy());
        copy(&store).named(Digest::EMPTY);
        for _ in 0..PATIENCE {
            assert!(!store.may_copy());
        }
        assert!(store.may_copy());
        drop(copy(&store));
        assert!(store.may_copy());
    }

    #[test]
    fn without_room_for_the_copy_there_is_none() {
        let (dir, store) = fixture();
        fs::create_dir(store.copy_path()).unwrap();
        let bytes = bytes(1, 0);
        let digest = keep(&store, dir.path(), &bytes);
        let input = dir.path().join("input");
        store.copy_out(&digest, &input).unwrap();
        assert_eq!(fs::read(&input).unwrap(), bytes);
    }
}
