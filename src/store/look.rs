//! Looking at objects without changing anything.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::sync::PoisonError;

use super::{Error, Reader, SMALL, io_error, is_absent};
use crate::model::digest::Digest;

/// Whether an object is as it was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    /// It is.
    Whole,
    /// It is gone, or something else is in its place.
    Broken,
    /// It is large, and something was done to it since it was made: its bytes have to be read.
    Unknown,
}

impl Reader {
    /// How the object is, without reading more than a little. `made`: when the task that left it had
    /// ended, in microseconds since 1970, if that is known.
    ///
    /// Of a small object every byte is looked at. Of a large one it is known if it was read already,
    /// or if nothing was done to its file since it was made: no program can set that time. One whose
    /// bytes were dropped is as it was, too.
    pub(crate) fn condition(&self, digest: &Digest, made: Option<i64>) -> Condition {
        let metadata = match fs::symlink_metadata(self.path(digest)) {
            Ok(metadata) => metadata,
            Err(error) if is_absent(&error) && self.is_evicted(digest) => return Condition::Whole,
            Err(_) => return Condition::Broken,
        };
        if metadata.is_file() && metadata.len() > SMALL {
            return self.condition_of_large(digest, &metadata, made);
        }
        if metadata.is_file() && self.is_small_and_whole(digest) {
            Condition::Whole
        } else {
            Condition::Broken
        }
    }

    fn condition_of_large(
        &self,
        digest: &Digest,
        metadata: &fs::Metadata,
        made: Option<i64>,
    ) -> Condition {
        let untouched = made.is_some_and(|made| changed(metadata) <= made);
        if untouched || self.is_known(digest, metadata) {
            return Condition::Whole;
        }
        if self.is_broken(digest) {
            Condition::Broken
        } else {
            Condition::Unknown
        }
    }

    /// When something was last done to the object's file, in microseconds since 1970; none if there
    /// is none.
    pub(crate) fn changed(&self, digest: &Digest) -> io::Result<Option<i64>> {
        match fs::symlink_metadata(self.path(digest)) {
            Ok(metadata) => Ok(metadata.is_file().then(|| changed(&metadata))),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Stands for how the store's upper folders are: it is another one once a folder with objects
    /// was added or removed.
    pub(crate) fn sign(&self) -> String {
        let mut text = String::new();
        // What is not an object comes and goes in the store's own folder.
        let _ = writeln!(text, "{:?}", fs::metadata(&self.root).map(|m| m.ino()).ok());
        for number in 0..=u8::MAX {
            let name = format!("{number:02x}");
            let time = fs::metadata(self.root.join(&name));
            let time = time.map(|m| (m.ino(), m.mtime(), m.mtime_nsec()));
            // That there is none is noted, too.
            let _ = writeln!(text, "{name} {:?}", time.ok());
        }
        Digest::of(text.as_bytes()).to_string()
    }

    /// Whether the object is as it was stored; it is read where that is not known. `made`: see
    /// [`Store::condition`].
    pub(crate) fn is_whole(&self, digest: &Digest, made: Option<i64>) -> bool {
        if self.condition(digest, made) == Condition::Unknown {
            self.examine(digest);
        }
        self.condition(digest, made) == Condition::Whole
    }

    /// Reads the object, so that [`Store::condition`] knows of it.
    pub(crate) fn examine(&self, digest: &Digest) {
        if self.verify_stored(digest).is_err() {
            let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
            broken.insert(*digest);
        }
    }

    fn is_broken(&self, digest: &Digest) -> bool {
        let broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        broken.contains(digest)
    }

    /// The object's size in bytes, if it is there.
    pub(crate) fn size(&self, digest: &Digest) -> Option<u64> {
        fs::symlink_metadata(self.path(digest))
            .ok()
            .filter(fs::Metadata::is_file)
            .map(|metadata| metadata.len())
    }

    /// The last `most` bytes of the object, and its whole size in bytes. All bytes are checked
    /// against its name: what else is there is not shown.
    pub(crate) fn tail(&self, digest: &Digest, most: u64) -> Result<(Vec<u8>, u64), Error> {
        let (mut file, metadata, path) = self.open_stored(digest)?;
        let size = metadata.len();
        self.verify_open(digest, &mut file, &metadata)?;
        file.seek(SeekFrom::Start(size.saturating_sub(most)))
            .map_err(io_error("read", &path))?;
        let mut bytes = Vec::new();
        file.take(most)
            .read_to_end(&mut bytes)
            .map_err(io_error("read", &path))?;
        Ok((bytes, size))
    }
}

fn changed(metadata: &fs::Metadata) -> i64 {
    metadata.ctime() * 1_000_000 + metadata.ctime_nsec() / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_an_object() {
        let folder = tempfile::tempdir().unwrap();
        let store = Reader::new(folder.path());
        let digest = Digest::of(b"0123456789");
        assert_eq!(store.size(&digest), None);
        assert!(store.tail(&digest, 4).is_err());
        let path = store.path(&digest);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, b"0123456789").unwrap();
        assert_eq!(store.size(&digest), Some(10));
        assert_eq!(store.tail(&digest, 4).unwrap(), (b"6789".to_vec(), 10));
        assert_eq!(store.tail(&digest, 99).unwrap().0.len(), 10);
    }
}
