//! Objects that come from elsewhere.

use std::io::{self, Read, Write as _};

use super::hash::Hasher;
use super::{Error, Store, io_error};
use crate::model::digest::Digest;

/// What is read at once (bytes).
const PIECE: usize = 128 * 1024;

/// Why nothing was received.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReceiveError {
    /// It could not be read where it came from.
    #[error("{0}")]
    Source(io::Error),
    /// It is something else than what was asked for.
    #[error("its bytes are not those that it is named after")]
    Other,
    /// It could not be kept here.
    #[error(transparent)]
    Store(#[from] Error),
}

impl Store {
    /// Whether the object is there, with the bytes that it is named after. It stays as long as a session lives that began
    /// before.
    pub(crate) fn has(&self, digest: &Digest) -> bool {
        self.note(digest);
        self.check_stored(digest).is_ok()
    }

    /// Makes the object of what `from` gives, which has at most `most` bytes; how many these are. What is something else
    /// leaves nothing behind.
    pub(crate) fn receive(
        &self,
        digest: &Digest,
        from: &mut dyn Read,
        most: u64,
    ) -> Result<u64, ReceiveError> {
        let mut copy = tempfile::NamedTempFile::new_in(self.scratch())
            .map_err(io_error("make a file in", self.scratch()))?;
        let mut hasher = Hasher::default();
        let mut piece = vec![0; PIECE];
        let mut size = 0_u64;
        loop {
            let length = match from.read(&mut piece) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other.map_err(ReceiveError::Source)?,
            };
            if length == 0 {
                break;
            }
            size += length as u64;
            if size > most {
                return Err(ReceiveError::Other);
            }
            hasher.add(&piece[..length]);
            let written = copy.write_all(&piece[..length]);
            written.map_err(io_error("write", copy.path()))?;
        }
        let inserted = hasher.end();
        if inserted.digest != *digest {
            return Err(ReceiveError::Other);
        }
        self.place_copy(copy, digest)?;
        self.remember_large(&inserted);
        Ok(size)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    struct Broken;

    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("broken off"))
        }
    }

    #[test]
    fn what_is_wanted_becomes_an_object_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let scratch = dir.path().join("scratch");
        fs::create_dir(&scratch).unwrap();
        let store = Store::open(&dir.path().join("objects"), &scratch).unwrap();
        let bytes = vec![7; 3 * PIECE + 5];
        let digest = Digest::of(&bytes);
        let size = bytes.len() as u64;
        assert!(!store.has(&digest));
        let receive = |bytes: &[u8], most| store.receive(&digest, &mut &*bytes, most);
        let is_other = |got| matches!(got, Err(ReceiveError::Other));
        assert!(is_other(receive(&bytes[1..], size)));
        assert!(is_other(receive(&bytes, size - 1)));
        assert!(is_other(receive(b"", size)));
        // What breaks off says why.
        let broken = store.receive(&digest, &mut (&bytes[..9]).chain(Broken), size);
        assert!(matches!(broken, Err(ReceiveError::Source(_))));
        assert!(!store.has(&digest));
        assert_eq!(fs::read_dir(&scratch).unwrap().count(), 0);
        assert_eq!(receive(&bytes, size).unwrap(), size);
        assert!(store.has(&digest));
        assert_eq!(fs::read(store.path(&digest)).unwrap(), bytes);
        assert_eq!(fs::read_dir(&scratch).unwrap().count(), 0);
    }
}
