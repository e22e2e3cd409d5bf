//! Looking at objects without changing anything.

use std::fs;
use std::io::{Read, Seek, SeekFrom};

use super::{Error, Store, io_error};
use crate::core::digest::Digest;

impl Store {
    /// The object's size in bytes, if it is there.
    pub fn size(&self, digest: &Digest) -> Option<u64> {
        fs::symlink_metadata(self.path(digest))
            .ok()
            .filter(fs::Metadata::is_file)
            .map(|metadata| metadata.len())
    }

    /// The last `most` bytes of the object, and its whole size in bytes. The bytes are not
    /// checked against its name.
    pub fn tail(&self, digest: &Digest, most: u64) -> Result<(Vec<u8>, u64), Error> {
        let (mut file, metadata, path) = self.open_object(digest)?;
        let size = metadata.len();
        file.seek(SeekFrom::Start(size.saturating_sub(most)))
            .map_err(io_error("read", &path))?;
        let mut bytes = Vec::new();
        file.take(most)
            .read_to_end(&mut bytes)
            .map_err(io_error("read", &path))?;
        Ok((bytes, size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_an_object() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::for_reading(folder.path());
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
