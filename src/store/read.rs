//! From an object to its bytes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use super::adopt::hash;
use super::{Error, SMALL, Store, io_error};
use crate::core::digest::Digest;

impl Store {
    /// Writes the object's bytes to a new file at `to`, its own: whatever is done to that file,
    /// the object stays. The object's bytes are checked against its name, unless nothing can
    /// have changed them since they were last hashed. Returns the size in bytes.
    pub fn copy_out(&self, digest: &Digest, to: &Path) -> Result<u64, Error> {
        let (mut object, metadata, path) = self.open_object(digest)?;
        let make = || {
            let mut new = OpenOptions::new();
            new.write(true)
                .create_new(true)
                .open(to)
                .map_err(io_error("make", to))
        };
        if metadata.len() <= SMALL {
            let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0) + 1);
            object
                .read_to_end(&mut bytes)
                .map_err(io_error("read", &path))?;
            self.check(digest, Digest::of(&bytes))?;
            make()?.write_all(&bytes).map_err(io_error("write", to))?;
        } else {
            self.verify_open(digest, &mut object, &metadata)?;
            io::copy(&mut object, &mut make()?).map_err(io_error("copy an object to", to))?;
        }
        Ok(metadata.len())
    }

    /// Opens the object for reading, after a check of its bytes.
    pub fn open_verified(&self, digest: &Digest) -> Result<File, Error> {
        let (mut object, metadata, _) = self.open_object(digest)?;
        self.verify_open(digest, &mut object, &metadata)?;
        Ok(object)
    }

    fn open_object(
        &self,
        digest: &Digest,
    ) -> Result<(File, fs::Metadata, std::path::PathBuf), Error> {
        let path = self.path(digest);
        let object = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Error::Missing {
                    digest: *digest,
                    path,
                });
            }
            Err(source) => return Err(io_error("open", &path)(source)),
        };
        let metadata = object.metadata().map_err(io_error("look at", &path))?;
        Ok((object, metadata, path))
    }

    fn verify_open(
        &self,
        digest: &Digest,
        object: &mut File,
        metadata: &fs::Metadata,
    ) -> Result<(), Error> {
        if self.is_known(digest, metadata) {
            return Ok(());
        }
        let path = self.path(digest);
        let again = object.try_clone().map_err(io_error("open", &path))?;
        let found = hash(again, metadata.len()).map_err(io_error("read", &path))?;
        self.check(digest, found.digest)?;
        object.rewind().map_err(io_error("read", &path))?;
        self.remember(*digest, metadata);
        Ok(())
    }

    fn check(&self, digest: &Digest, found: Digest) -> Result<(), Error> {
        if found == *digest {
            return Ok(());
        }
        Err(Error::Damaged {
            digest: *digest,
            path: self.path(digest),
            found,
        })
    }
}
