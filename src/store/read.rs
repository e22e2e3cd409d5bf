//! From an object to its bytes.

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};

use rustix::fs::FileType;

use super::hash::hash;
use super::{Error, Reader, SMALL, io_error, is_absent};
use crate::folder::{Entry, Folder, kind};
use crate::model::digest::Digest;
use crate::sys;

/// Reads a file that should have `size` bytes; with fewer or more, as many as there are up to one
/// more, which then hash to something else.
pub(super) fn read_small(file: &mut File, size: u64) -> io::Result<Vec<u8>> {
    let size = usize::try_from(size).unwrap_or(0);
    let mut bytes = vec![0; size + 1];
    let mut length = 0;
    // The byte behind it was asked for: with `size` bytes, the file was at its end.
    while length < size.max(1) {
        match file.read(&mut bytes[length..])? {
            0 => break,
            more => length += more,
        }
    }
    bytes.truncate(length);
    Ok(bytes)
}

/// Takes off what a longer file had behind `size`.
fn cut(file: &File, size: u64) -> io::Result<()> {
    if file.metadata()?.len() == size {
        return Ok(());
    }
    file.set_len(size)
}

/// A store whose folder is held open: for many small objects, one after the other.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    store: &'a Reader,
    root: Option<Folder>,
}

/// Objects for which the folder is opened.
const WORTH: usize = 4;
/// Bytes that are read without a look at how many there are.
const TINY: usize = 4096;

impl Held<'_> {
    /// The same as [`Reader::check_stored`].
    pub(crate) fn check(&self, digest: &Digest) -> Result<(), Error> {
        if self.is_tiny_and_whole(digest) {
            return Ok(());
        }
        self.store.check_stored(digest)
    }

    /// Whether the object is there, tiny, and right. Nothing else has its bytes than a file, unless these
    /// are none.
    fn is_tiny_and_whole(&self, digest: &Digest) -> bool {
        let Some(root) = &self.root else {
            return false;
        };
        let mut bytes = [0; TINY];
        let opened = root.entry(&*Reader::place(digest)).open();
        let read = opened.and_then(|mut object| object.read(&mut bytes));
        read.is_ok_and(|read| (1..TINY).contains(&read) && Digest::of(&bytes[..read]) == *digest)
    }
}

impl Reader {
    /// Writes the object's bytes to the file `to`, made if it is not there: whatever is done
    /// to that file, the object stays. The object's bytes are checked against its name, unless
    /// nothing can have changed them since they were last hashed. Returns the size in bytes.
    pub(crate) fn copy_out<'a>(
        &self,
        digest: &Digest,
        to: impl Into<Entry<'a>>,
    ) -> Result<u64, Error> {
        self.copy(digest, to.into(), false)
    }

    /// The same to a file that is not there yet.
    pub(crate) fn copy_new(&self, digest: &Digest, to: Entry) -> Result<u64, Error> {
        self.copy(digest, to, true)
    }

    fn copy(&self, digest: &Digest, to: Entry, new: bool) -> Result<u64, Error> {
        let (mut object, metadata, path) = self.open_stored(digest)?;
        let size = metadata.len();
        // Not truncated before: ext4 writes a file out at once that was.
        let make = || {
            let made = if new { to.create() } else { to.open_to_write() };
            made.map_err(io_error("make", to))
        };
        if size <= SMALL {
            let bytes = read_small(&mut object, size).map_err(io_error("read", &path))?;
            self.check(digest, Digest::of(&bytes))?;
            let mut copy = make()?;
            copy.write_all(&bytes)
                .and_then(|()| if new { Ok(()) } else { cut(&copy, size) })
                .map_err(io_error("write", to))?;
        } else {
            self.verify_open(digest, &mut object, &metadata)?;
            let mut copy = make()?;
            io::copy(&mut object, &mut copy)
                .and_then(|_| cut(&copy, size))
                .map_err(io_error("copy an object to", to))?;
        }
        Ok(size)
    }

    /// Has the system read the object, or the beginning of a large one, if it is not in memory:
    /// whoever opens it soon does not wait for the disk.
    pub(crate) fn read_ahead(&self, digest: &Digest) {
        if let Ok((object, ..)) = self.open_stored(digest) {
            crate::sys::read_ahead(&object, SMALL);
        }
    }

    /// The objects that are there and whose hash starts with `prefix` (four or more lower-case
    /// hexadecimal digits), in order.
    pub(crate) fn starting(&self, prefix: &str) -> Vec<Digest> {
        let (Some(one), Some(two), Some(rest)) =
            (prefix.get(..2), prefix.get(2..4), prefix.get(4..))
        else {
            return Vec::new();
        };
        // What cannot be listed is as good as not there.
        let names = fs::read_dir(self.root.join(one).join(two));
        let mut found: Vec<Digest> = names
            .into_iter()
            .flatten()
            .filter_map(|entry| {
                let name = entry.ok()?.file_name();
                let name = name.to_str().filter(|name| name.starts_with(rest))?;
                format!("{one}{two}{name}").parse().ok()
            })
            .collect();
        let lent = self.lent();
        found.extend(lent.keys().filter(|lent| lent.hex().starts_with(prefix)));
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Opens the object for reading, after a check of its bytes; one that is lent where it lies.
    pub(crate) fn open_verified(&self, digest: &Digest) -> Result<File, Error> {
        match self.verify_stored(digest) {
            Err(missing @ Error::Missing { .. }) => match self.open_lent(digest)? {
                Some((file, _)) => Ok(file),
                None => Err(missing),
            },
            other => other,
        }
    }

    /// The same for one that is in the store itself.
    pub(crate) fn verify_stored(&self, digest: &Digest) -> Result<File, Error> {
        let (mut object, metadata, _) = self.open_stored(digest)?;
        self.verify_open(digest, &mut object, &metadata)?;
        Ok(object)
    }

    /// Whether the object is there, small enough to be looked at, and right.
    pub(super) fn is_small_and_whole(&self, digest: &Digest) -> bool {
        self.open_stored(digest)
            .is_ok_and(|(mut object, metadata, _)| {
                metadata.len() <= SMALL
                    && read_small(&mut object, metadata.len())
                        .is_ok_and(|bytes| Digest::of(&bytes) == *digest)
            })
    }

    /// Fails unless the object is in the store itself, with the bytes that it is named after.
    pub(crate) fn check_stored(&self, digest: &Digest) -> Result<(), Error> {
        let (mut object, metadata, path) = self.open_stored(digest)?;
        if metadata.len() > SMALL {
            return self.verify_open(digest, &mut object, &metadata);
        }
        let bytes = read_small(&mut object, metadata.len()).map_err(io_error("read", &path))?;
        self.check(digest, Digest::of(&bytes))
    }

    /// For a look at that many objects.
    pub(crate) fn hold(&self, objects: usize) -> Held<'_> {
        // Where that is not worth it, or does not work, whole paths are looked at.
        let worth = objects >= WORTH;
        let root = worth.then(|| Folder::open(&self.root).ok()).flatten();
        Held { store: self, root }
    }

    pub(super) fn open_stored(
        &self,
        digest: &Digest,
    ) -> Result<(File, fs::Metadata, std::path::PathBuf), Error> {
        let path = self.path(digest);
        let not_a_file = |path, kind_of: FileType| Error::NotAFile {
            digest: *digest,
            path,
            found: kind(kind_of),
        };
        let object = match Entry::from(&path).open() {
            Ok(file) => file,
            Err(source) if is_absent(&source) && Entry::from(&path).look().is_err() => {
                if self.is_evicted(digest) {
                    return Err(Error::Evicted(*digest));
                }
                return Err(Error::Missing {
                    digest: *digest,
                    path,
                });
            }
            Err(source) => {
                return Err(match Entry::from(&path).look() {
                    Ok(look) if look.kind != FileType::RegularFile => not_a_file(path, look.kind),
                    _ => io_error("open", &path)(source),
                });
            }
        };
        let metadata = object.metadata().map_err(io_error("look at", &path))?;
        if !metadata.is_file() {
            return Err(not_a_file(path, sys::file_type(&metadata)));
        }
        Ok((object, metadata, path))
    }

    pub(super) fn verify_open(
        &self,
        digest: &Digest,
        object: &mut File,
        metadata: &fs::Metadata,
    ) -> Result<(), Error> {
        if self.is_known(digest, metadata) {
            return Ok(());
        }
        let path = self.path(digest);
        let found = hash(object, metadata.len()).map_err(io_error("read", &path))?;
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
