//! Objects that are not in the store: files outside, which are lent from where they lie. They are as
//! the store was told as long as a look at them tells so; otherwise they are read, and refused if they
//! hash to something else.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io::Seek as _;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLockReadGuard};

use super::hash::hash;
use super::{Error, Evidence, Reader, io_error, is_absent};
use crate::folder::kind;
use crate::model::digest::Digest;
use crate::model::file::Lent;
use crate::sys;

/// A file that is lent to somebody.
#[derive(Debug, Clone)]
pub(crate) struct Loan {
    digest: Digest,
    /// As it was found, for messages.
    name: PathBuf,
    /// Where it is, whatever becomes of links on the way.
    path: PathBuf,
    evidence: Evidence,
}

impl Loan {
    /// Where the file is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether nothing was done to the file since it was lent.
    fn is_as_it_was(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|now| Evidence::of(&now) == self.evidence)
    }
}

fn is_of(evidence: &Evidence, lent: &Lent) -> bool {
    let (seconds, nanoseconds) = evidence.changed;
    let changed = seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(nanoseconds);
    let stat = &lent.stat;
    (evidence.device, evidence.inode, evidence.size, changed)
        == (stat.device, stat.inode, stat.size, stat.changed)
}

impl Reader {
    /// From now on these are lent, beside those that were.
    pub(crate) fn lend(&self, lent: impl IntoIterator<Item = (Digest, Lent)>) {
        let mut all = self.lent.write().unwrap_or_else(PoisonError::into_inner);
        all.extend(lent);
    }

    /// What is lent.
    pub(crate) fn lent(&self) -> RwLockReadGuard<'_, HashMap<Digest, Lent>> {
        self.lent.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file that stands for the object, if that is not in the store: it has the object's bytes.
    pub(crate) fn borrow(&self, digest: &Digest) -> Result<Option<Loan>, Error> {
        if self.lent().is_empty() || self.contains(digest) {
            return Ok(None);
        }
        let opened = self.open_lent(digest)?;
        Ok(opened.map(|(_, loan)| loan))
    }

    /// The same, open for reading.
    pub(super) fn open_lent(&self, digest: &Digest) -> Result<Option<(File, Loan)>, Error> {
        let Some(lent) = self.lent().get(digest).cloned() else {
            return Ok(None);
        };
        let name = lent.path.clone();
        let outside = |what| Error::Outside {
            path: name.clone(),
            what,
        };
        let opened = fs::canonicalize(&name).and_then(|path| {
            // A FIFO would be waited for.
            let metadata = fs::metadata(&path)?;
            let file = metadata.is_file().then(|| File::open(&path)).transpose()?;
            Ok((path, metadata, file))
        });
        let (path, mut file) = match opened {
            Ok((path, _, Some(file))) => (path, file),
            Ok((_, metadata, None)) => return Err(outside(kind(sys::file_type(&metadata)))),
            Err(error) if is_absent(&error) => return Err(outside("gone")),
            Err(error) => return Err(io_error("open", &name)(error)),
        };
        let metadata = file.metadata().map_err(io_error("look at", &name))?;
        let evidence = Evidence::of(&metadata);
        if !self.is_known_lent(digest, &metadata, &lent) {
            let found = hash(&file, metadata.len()).map_err(io_error("read", &name))?;
            if found.digest != *digest {
                return Err(outside("another file by now"));
            }
            file.rewind().map_err(io_error("read", &name))?;
            self.remember(*digest, &metadata);
        }
        let loan = Loan {
            digest: *digest,
            name,
            path,
            evidence,
        };
        Ok(Some((file, loan)))
    }

    /// That of these files, which were lent a while ago, to which something was done since, though it
    /// has the bytes that it had; fails if it has others.
    pub(crate) fn touched<'l>(&self, loans: &'l [Loan]) -> Result<Option<&'l Path>, Error> {
        let Some(touched) = loans.iter().find(|loan| !loan.is_as_it_was()) else {
            return Ok(None);
        };
        self.open_lent(&touched.digest)?;
        Ok(Some(&touched.name))
    }

    fn is_known_lent(&self, digest: &Digest, metadata: &Metadata, lent: &Lent) -> bool {
        (lent.settled && is_of(&Evidence::of(metadata), lent)) || self.is_known(digest, metadata)
    }

    /// The size of the object in bytes, be it in the store or lent.
    pub(crate) fn size_of(&self, digest: &Digest) -> Option<u64> {
        self.size(digest)
            .or_else(|| self.lent().get(digest).map(|lent| lent.stat.size))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::fs::MetadataExt as _;

    use super::*;
    use crate::model::file::Stat;
    use crate::store::Store;

    fn lent(path: &Path, settled: bool) -> Lent {
        let seen = fs::metadata(path).unwrap();
        Lent {
            path: path.to_owned(),
            settled,
            stat: Stat {
                device: seen.dev(),
                inode: seen.ino(),
                size: seen.size(),
                modified: 0,
                changed: seen.ctime() * 1_000_000_000 + seen.ctime_nsec(),
                executable: false,
            },
        }
    }

    #[test]
    fn a_file_outside_is_an_object_as_long_as_it_has_its_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("objects"), dir.path()).unwrap();
        let path = dir.path().join("big");
        fs::write(&path, "one").unwrap();
        let digest = Digest::of(b"one");
        assert!(store.borrow(&digest).unwrap().is_none());
        for settled in [true, false] {
            store.lend([(digest, lent(&path, settled))]);
            let loan = store.borrow(&digest).unwrap().unwrap();
            assert_eq!(loan.path(), fs::canonicalize(&path).unwrap());
            assert!(loan.is_as_it_was());
            let mut text = String::new();
            let mut file = store.open_verified(&digest).unwrap();
            file.read_to_string(&mut text).unwrap();
            assert_eq!(text, "one");
        }
        assert_eq!(
            (store.size(&digest), store.size_of(&digest)),
            (None, Some(3))
        );
        assert!(!store.contains(&digest));
        let loan = store.borrow(&digest).unwrap().unwrap();
        fs::write(dir.path().join("new"), "two").unwrap();
        fs::rename(dir.path().join("new"), &path).unwrap();
        assert!(!loan.is_as_it_was());
        let error = store.borrow(&digest).unwrap_err();
        assert!(!error.is_loss());
        assert!(
            error.to_string().ends_with("big is another file by now"),
            "{error}"
        );
        fs::remove_file(&path).unwrap();
        let error = store.open_verified(&digest).unwrap_err();
        assert!(error.to_string().ends_with("big is gone"), "{error}");
    }

    #[test]
    fn what_is_stored_is_not_lent_and_what_is_lent_is_not_stored() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("objects"), dir.path()).unwrap();
        let path = dir.path().join("big");
        fs::write(&path, "one").unwrap();
        let digest = Digest::of(b"one");
        store.lend([(digest, lent(&path, true))]);
        assert!(store.open_stored(&digest).is_err());
        store.insert_bytes(b"one").unwrap();
        assert!(store.contains(&digest));
        assert!(store.borrow(&digest).unwrap().is_none());
    }
}
