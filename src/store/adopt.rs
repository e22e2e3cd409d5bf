//! From a script's file to an object.

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, OFlags, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::hash::{LARGE, hash};
use super::{Error, SMALL, Store, io_error};
use crate::core::digest::Digest;
use crate::sys::{self, Writers};

/// An object that was just stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Adopted {
    /// Its name.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// Why a file did not become an object.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// It is something else than a regular file; what.
    #[error("is {0}, not a regular file")]
    NotAFile(&'static str),
    /// Its bytes may still change.
    #[error("is still open for writing by a process that the script left behind")]
    BeingWritten,
    /// The task that it is the input of wrote to it, and its own bytes are lost.
    #[error("was written to by the task that read it, before it could be stored")]
    Overtaken,
    /// A file operation failed.
    #[error(transparent)]
    Store(#[from] Error),
}

/// A regular file that nothing has open for writing; opened, so that its size is known before
/// its bytes are read.
#[derive(Debug)]
pub struct Candidate<'a> {
    pub(super) path: &'a Path,
    pub(super) file: File,
    pub(super) size: u64,
    /// Whether its own bytes may still change, so that a copy must become the object.
    pub(super) shared: bool,
}

impl<'a> Candidate<'a> {
    /// Opens the file at `path`. `quiet`: see [`Store::adopt`].
    pub fn open(path: &'a Path, quiet: bool) -> Result<Self, AdoptError> {
        let (file, metadata) = open_regular(path)?;
        let shared = match lasting_writers(&file, quiet) {
            Writers::Some => return Err(AdoptError::BeingWritten),
            Writers::Unknown if !quiet => true,
            Writers::None | Writers::Unknown => metadata.nlink() != 1,
        };
        Ok(Self {
            path,
            file,
            size: metadata.len(),
            shared,
        })
    }

    /// In bytes.
    pub fn size(&self) -> u64 {
        self.size
    }
}

impl Store {
    /// Makes an object of the file at `path`, which is gone from there afterwards.
    ///
    /// The file is renamed into the store where that is safe. It is copied where another name
    /// for it exists (a hard link: a write through that name would change the object), where it
    /// lies on another file system, and where the system cannot tell whether something still has
    /// it open for writing. It is refused where something has.
    ///
    /// `quiet`: every process that could have inherited an opening of the file is known to be
    /// gone, which decides on systems that cannot tell themselves.
    pub fn adopt(&self, path: &Path, quiet: bool) -> Result<Adopted, AdoptError> {
        self.keep(Candidate::open(path, quiet)?)
    }

    /// Makes an object of the file, see [`Store::adopt`].
    pub fn keep(&self, candidate: Candidate) -> Result<Adopted, AdoptError> {
        let Candidate {
            path, file, size, ..
        } = candidate;
        if candidate.shared {
            return Ok(self.adopt_copy(path, file)?);
        }
        let adopted = hash(&file, size).map_err(io_error("read", path))?;
        self.take_over(path, adopted)
    }

    /// Gives a file that nothing else can reach its place, by a rename if that is possible.
    pub(super) fn take_over(&self, path: &Path, adopted: Adopted) -> Result<Adopted, AdoptError> {
        match self.place(path, &adopted.digest) {
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::CrossesDevices => {
                let (file, _) = open_regular(path)?;
                Ok(self.adopt_copy(path, file)?)
            }
            Err(error) => Err(error.into()),
            Ok(()) => {
                self.remember_large(&adopted);
                Ok(adopted)
            }
        }
    }

    /// Makes an object of `bytes`.
    pub fn put(&self, bytes: &[u8]) -> Result<Digest, Error> {
        let digest = Digest::of(bytes);
        // Tasks often say the same, and a file that is made only to be removed is dear.
        if self.is_small_and_whole(&digest) {
            return Ok(digest);
        }
        let mut copy = tempfile::NamedTempFile::new_in(&self.scratch)
            .map_err(io_error("make a file in", &self.scratch))?;
        io::Write::write_all(&mut copy, bytes).map_err(io_error("write", copy.path()))?;
        self.place_copy(copy, &digest)?;
        Ok(digest)
    }

    fn adopt_copy(&self, path: &Path, mut file: File) -> Result<Adopted, Error> {
        let mut copy = tempfile::NamedTempFile::new_in(&self.scratch)
            .map_err(io_error("make a file in", &self.scratch))?;
        io::copy(&mut file, copy.as_file_mut()).map_err(io_error("copy", path))?;
        let (read, metadata) = File::open(copy.path())
            .and_then(|file| file.metadata().map(|metadata| (file, metadata)))
            .map_err(io_error("open", copy.path()))?;
        let adopted = hash(&read, metadata.len()).map_err(io_error("read", copy.path()))?;
        self.place_copy(copy, &adopted.digest)?;
        fs::remove_file(path).map_err(io_error("remove", path))?;
        self.remember_large(&adopted);
        Ok(adopted)
    }

    pub(super) fn place_copy(
        &self,
        copy: tempfile::NamedTempFile,
        digest: &Digest,
    ) -> Result<(), Error> {
        copy.as_file()
            .set_permissions(Permissions::from_mode(0o444))
            .map_err(io_error("change the mode of", copy.path()))?;
        let copy = copy.into_temp_path();
        self.place(&copy, digest)?;
        // It is no longer under its temporary name, so there is nothing to remove.
        copy.keep()
            .map(drop)
            .or_else(|error| {
                if error.error.kind() == io::ErrorKind::NotFound {
                    Ok(())
                } else {
                    Err(error.error)
                }
            })
            .map_err(io_error("keep", &self.path(digest)))
    }

    /// Renames a complete file to its place; makes the two folders above it when they are missing.
    fn place(&self, from: &Path, digest: &Digest) -> Result<(), Error> {
        let to = self.path(digest);
        self.shards.prepare(digest, &to)?;
        let rename = || renameat_with(CWD, from, CWD, &to, RenameFlags::NOREPLACE);
        let renamed = match rename() {
            // Something has removed a folder that was known to be there.
            Err(Errno::NOENT) => {
                if let Some(folder) = to.parent() {
                    fs::create_dir_all(folder).map_err(io_error("make the folder", folder))?;
                }
                rename()
            }
            other => other,
        };
        match renamed {
            Ok(()) => Ok(()),
            // ext4 writes out at once what is renamed over a file, which costs more than reading
            // a small one; and of a large one it may be known that nothing has touched it.
            Err(Errno::EXIST)
                if self.is_known_at(digest, &to) || self.is_small_and_whole(digest) =>
            {
                fs::remove_file(from).map_err(io_error("remove", from))
            }
            // Some file systems cannot do without replacing.
            Err(Errno::EXIST | Errno::INVAL | Errno::NOSYS) => {
                fs::rename(from, &to).map_err(io_error("rename to", &to))
            }
            Err(error) => Err(io_error("rename to", &to)(error.into())),
        }
    }

    fn is_known_at(&self, digest: &Digest, path: &Path) -> bool {
        fs::symlink_metadata(path).is_ok_and(|metadata| self.is_known(digest, &metadata))
    }

    pub(super) fn remember_large(&self, adopted: &Adopted) {
        if adopted.size > SMALL
            && let Ok(metadata) = fs::symlink_metadata(self.path(&adopted.digest))
        {
            self.remember(adopted.digest, &metadata);
        }
    }
}

/// Whether something has the file open for writing, and goes on having it.
///
/// A child that another thread is starting holds, until its exec, whatever this process had open
/// when it was forked: the file of a log just written, for instance. If every process that could
/// write to the file is gone, it is worth waiting for that.
fn lasting_writers(file: &File, quiet: bool) -> Writers {
    const PATIENCE: Duration = Duration::from_secs(2);
    let began = Instant::now();
    loop {
        match sys::writers(file) {
            Writers::Some if quiet && began.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(1));
            }
            other => return other,
        }
    }
}

/// Removes a file of the store's owner; what it holds is freed by another thread if it is large.
pub fn remove(path: &Path) -> io::Result<()> {
    let file = File::open(path);
    fs::remove_file(path)?;
    if let Ok(file) = file
        && let Ok(metadata) = file.metadata()
    {
        close(file, metadata.len());
    }
    Ok(())
}

/// Closes a file. If it has no name left, that frees what it holds, for which a large one gets a
/// thread.
fn close(file: File, size: u64) {
    if size >= LARGE && file.metadata().is_ok_and(|metadata| metadata.nlink() == 0) {
        // Without the thread the file is dropped with the closure.
        let freeing = std::thread::Builder::new().name("free".to_owned());
        let _ = freeing.spawn(move || drop(file));
    }
}

/// Opens a regular file for reading, and takes from everyone the right to open it for writing.
fn open_regular(path: &Path) -> Result<(File, Metadata), AdoptError> {
    let open = || {
        OpenOptions::new()
            .read(true)
            .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed())
            .open(path)
    };
    let file = match open() {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            fs::set_permissions(path, Permissions::from_mode(0o444)).and_then(|()| open())
        }
        other => other,
    };
    let file = match file {
        Ok(file) => file,
        Err(source) => {
            return Err(match fs::symlink_metadata(path) {
                Ok(metadata) if !metadata.is_file() => {
                    AdoptError::NotAFile(kind(metadata.file_type()))
                }
                _ => io_error("open", path)(source).into(),
            });
        }
    };
    let metadata = file.metadata().map_err(io_error("look at", path))?;
    if !metadata.is_file() {
        return Err(AdoptError::NotAFile(kind(metadata.file_type())));
    }
    if metadata.mode() & 0o7777 != 0o444 {
        file.set_permissions(Permissions::from_mode(0o444))
            .map_err(io_error("change the mode of", path))?;
    }
    Ok((file, metadata))
}

/// What something that is no regular file is called.
pub fn kind(file_type: fs::FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    if file_type.is_dir() {
        "a folder"
    } else if file_type.is_symlink() {
        "a symbolic link"
    } else if file_type.is_fifo() {
        "a FIFO"
    } else if file_type.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}
