//! Objects that are not in the store: files outside, which are lent from where they lie. They are as
//! the store was told as long as a look at them tells so; otherwise they are read, and refused if they
//! hash to something else.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Seek as _};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLockReadGuard};

use super::hash::hash;
use super::{Error, Evidence, Reader, io_error, is_absent};
use crate::folder::kind;
use crate::model::digest::Digest;
use crate::model::file::{Lent, Stat};
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
    /// The folders on the way there, as they were before.
    ways: Vec<Stat>,
}

impl Loan {
    /// Where the file is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether nothing was done to the file since it was lent, nor to a folder on the way by which another
    /// one may have been there meanwhile.
    fn is_as_it_was(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|now| Evidence::of(&now) == self.evidence)
            && ways(&self.path).is_ok_and(|now| {
                let mut folders = now.iter().zip(&self.ways);
                folders.all(|(now, then)| !now.was_moved(then))
            })
    }
}

/// The folders that `path` leads through, which no link is part of.
fn ways(path: &Path) -> io::Result<Vec<Stat>> {
    let folders = path.ancestors().skip(1);
    let seen = folders.map(|folder| sys::seen_at(rustix::fs::CWD, folder));
    let stats = seen.map(|seen| {
        let (_, seen) = seen?;
        Ok(Stat {
            device: seen.device,
            inode: seen.inode,
            size: seen.size,
            modified: seen.modified,
            changed: seen.changed,
            executable: seen.executable,
        })
    });
    stats.collect()
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
            let ways = ways(&path)?;
            // A FIFO would be waited for.
            let metadata = fs::metadata(&path)?;
            let file = metadata.is_file().then(|| File::open(&path)).transpose()?;
            Ok((path, ways, metadata, file))
        });
        let (path, ways, mut file) = match opened {
            Ok((path, ways, _, Some(file))) => (path, ways, file),
            Ok((_, _, metadata, None)) => return Err(outside(kind(sys::file_type(&metadata)))),
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
            ways,
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

    /// Whether a file outside that is to be the object is it, or with `quick` is as large; none if there is
    /// none.
    pub(crate) fn lent_as_it_was(&self, digest: &Digest, quick: bool) -> Option<Result<(), Error>> {
        let lent = self.lent().get(digest).cloned()?;
        if !quick {
            return Some(self.open_lent(digest).map(drop));
        }
        let outside = |what| Error::Outside {
            path: lent.path.clone(),
            what,
        };
        Some(match fs::metadata(&lent.path) {
            Ok(now) if !now.is_file() => Err(outside(kind(sys::file_type(&now)))),
            Ok(now) if now.len() != lent.stat.size => Err(outside("another file by now")),
            Ok(_) => Ok(()),
            Err(error) if is_absent(&error) => Err(outside("gone")),
            Err(error) => Err(io_error("look at", &lent.path)(error)),
        })
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
    fn a_folder_on_the_way_that_was_moved_away_and_back_may_have_had_another_file() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("objects"), dir.path()).unwrap();
        let [way, aside] = ["way", "aside"].map(|name| dir.path().join(name));
        fs::create_dir_all(way.join("in")).unwrap();
        let path = way.join("in/big");
        fs::write(&path, "one").unwrap();
        let digest = Digest::of(b"one");
        store.lend([(digest, lent(&path, true))]);
        let loans = [store.borrow(&digest).unwrap().unwrap()];
        // What comes and goes beside it is of no interest.
        fs::write(way.join("in/other"), "").unwrap();
        fs::write(way.join("other"), "").unwrap();
        assert!(store.touched(&loans).unwrap().is_none());
        let now = [store.borrow(&digest).unwrap().unwrap()];
        let made = fs::metadata(&way).unwrap().ctime_nsec();
        // Until the clock of the file system has moved on.
        while fs::metadata(&way).unwrap().ctime_nsec() == made {
            fs::rename(&way, &aside).unwrap();
            fs::rename(&aside, &way).unwrap();
        }
        assert_eq!(store.touched(&now).unwrap(), Some(path.as_path()));
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
