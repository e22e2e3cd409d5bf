//! From a script's file to an object.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{Access, FileType};
use rustix::io::Errno;

use super::hash::{Inserted, LARGE, hash, hash_until};
use super::read::read_small;
use super::{Error, SMALL, Store, io_error, no_place};
use crate::folder::{Entry, kind};
use crate::model::digest::Digest;
use crate::sys::{self, Identity, Look, Shortage, Writers};

/// The rights to execute.
const EXECUTE: u32 = 0o111;
/// Bytes that are copied between two looks at whether anybody wants them.
const PART: u64 = 64 << 20;

/// Why a file did not become an object.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InsertError {
    /// It is something else than a regular file; what.
    #[error("is {0}, not a regular file")]
    NotAFile(&'static str),
    /// It is a file of somewhere else that was mounted there.
    #[error("is a mount point, not a regular file")]
    Mounted,
    /// Its mode does not let it be read, and is not changed, as the file has another name.
    #[error("has mode {mode:04o}, so it cannot be read, and another name as well (a hard link)")]
    Closed {
        /// Its mode.
        mode: u32,
    },
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

impl InsertError {
    /// What there was too little of, if it was that.
    pub(crate) fn shortage(&self) -> Option<Shortage> {
        match self {
            Self::Store(error) => error.shortage(),
            Self::NotAFile(_)
            | Self::Mounted
            | Self::Closed { .. }
            | Self::BeingWritten
            | Self::Overtaken => None,
        }
    }
}

/// A regular file that nothing has open for writing; opened, so that its size is known before
/// its bytes are read.
#[derive(Debug)]
pub(crate) struct Candidate<'a> {
    pub(super) entry: Entry<'a>,
    pub(super) file: File,
    pub(super) size: u64,
    pub(super) identity: Identity,
    pub(super) executable: bool,
    /// Whether its own bytes may still change, so that a copy must become the object.
    pub(super) shared: bool,
    /// The object of the same bytes, if it was looked for and is there.
    twin: Option<Box<Digest>>,
}

impl Candidate<'_> {
    /// Which file it is.
    pub(crate) fn identity(&self) -> Identity {
        self.identity
    }

    /// In bytes.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Whether anybody may execute it.
    pub(crate) fn is_executable(&self) -> bool {
        self.executable
    }
}

impl Store {
    /// Opens a file that is to become an object. `quiet`: every process that
    /// could have inherited an opening of the file is known to be gone.
    pub(crate) fn candidate<'a>(
        &self,
        entry: impl Into<Entry<'a>>,
        quiet: bool,
    ) -> Result<Candidate<'a>, InsertError> {
        let entry = entry.into();
        let (mut file, look) = open_regular(entry)?;
        let twin = self
            .twin(&mut file, &look)
            .map_err(io_error("read", entry))?;
        // Whoever is still there could open it, or give it another name, at any moment.
        let shared = !quiet || look.links != 1 || look.owner != self.owner;
        // First nobody may open it for writing any more, then nobody has.
        if !shared && twin.is_none() && look.mode != self.mode {
            self.set_mode(&file)
                .map_err(io_error("change the mode of", entry))?;
        }
        if lasting_writers(&file, quiet) == Writers::Some {
            return Err(InsertError::BeingWritten);
        }
        Ok(Candidate {
            entry,
            file,
            size: look.size,
            identity: look.identity,
            executable: look.mode & EXECUTE != 0,
            shared,
            twin: twin.map(Box::new),
        })
    }

    /// The object of a small file's bytes, if it is there: looked for where the one before was
    /// there, too. A run over what another has made makes most of it again, and then neither the
    /// file's mode nor its place need to change, each of which is written down by the file system.
    fn twin(&self, file: &mut File, look: &Look) -> io::Result<Option<Digest>> {
        if look.size > SMALL || !self.repeats.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let digest = Digest::of(&read_small(file, look.size)?);
        self.note(&digest);
        if self.is_small_and_whole(&digest) {
            return Ok(Some(digest));
        }
        self.repeats.store(false, Ordering::Relaxed);
        file.rewind()?;
        Ok(None)
    }

    /// Makes an object of the file, which is gone from its place afterwards.
    ///
    /// The file is renamed into the store where that is safe. It is copied, and neither its mode
    /// nor its bytes change, where another name for it exists (a hard link), where it belongs to
    /// another user, and where a process may be left that could write to it; also where it lies on
    /// another file system. It is refused where something has it open for writing.
    pub(crate) fn insert(&self, candidate: Candidate) -> Result<Inserted, InsertError> {
        let Candidate {
            entry, mut file, ..
        } = candidate;
        if let Some(digest) = candidate.twin {
            entry.remove().map_err(io_error("remove", entry))?;
            return Ok(Inserted {
                digest: *digest,
                size: candidate.size,
            });
        }
        if candidate.shared {
            return Ok(self.insert_copy(entry, file)?);
        }
        let inserted = hash(&file, candidate.size).map_err(io_error("read", entry))?;
        // That takes long enough for a large one to get another name.
        if inserted.size > SMALL && sys::look(file.as_fd()).is_ok_and(|look| look.links != 1) {
            file.rewind().map_err(io_error("read", entry))?;
            return Ok(self.insert_copy(entry, file)?);
        }
        self.take_over(entry, inserted)
    }

    /// Gives an open file the mode of objects.
    pub(super) fn set_mode(&self, file: &File) -> io::Result<()> {
        Ok(rustix::fs::fchmod(file, sys::mode(self.mode))?)
    }

    /// Gives a file that nothing else can reach its place, by a rename if that is possible.
    pub(super) fn take_over(
        &self,
        entry: Entry,
        inserted: Inserted,
    ) -> Result<Inserted, InsertError> {
        match self.place(entry, &inserted.digest) {
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::CrossesDevices => {
                let (file, _) = open_regular(entry)?;
                Ok(self.insert_copy(entry, file)?)
            }
            Err(error) => Err(error.into()),
            Ok(()) => {
                self.remember_large(&inserted);
                Ok(inserted)
            }
        }
    }

    /// Makes an object of `bytes`.
    pub(crate) fn insert_bytes(&self, bytes: &[u8]) -> Result<Digest, Error> {
        let digest = Digest::of(bytes);
        self.note(&digest);
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

    fn insert_copy(&self, entry: Entry, mut file: File) -> Result<Inserted, Error> {
        static NEVER: AtomicBool = AtomicBool::new(false);
        let inserted = self.keep_copy(entry, &mut file, &NEVER, |_| ())?;
        entry.remove().map_err(io_error("remove", entry))?;
        Ok(inserted)
    }

    /// Makes an object of what is still to be read of the file, which stays as it is where it is.
    /// Fails once `stop` is set. All that is in it is shown to `see`.
    pub(crate) fn keep_copy(
        &self,
        entry: Entry,
        file: &mut File,
        stop: &AtomicBool,
        see: impl FnMut(&[u8]) + Send,
    ) -> Result<Inserted, Error> {
        let mut copy = tempfile::NamedTempFile::new_in(&self.scratch)
            .map_err(io_error("make a file in", &self.scratch))?;
        let mut next = || {
            if stop.load(Ordering::Relaxed) {
                return Err(io::Error::other("nobody wants it any more"));
            }
            io::copy(&mut (&mut *file).take(PART), copy.as_file_mut())
        };
        while next().map_err(io_error("copy", entry))? > 0 {}
        let (read, metadata) = File::open(copy.path())
            .and_then(|file| file.metadata().map(|metadata| (file, metadata)))
            .map_err(io_error("open", copy.path()))?;
        let inserted = hash_until(&read, metadata.len(), stop, see);
        let inserted = inserted.map_err(io_error("read", copy.path()))?;
        self.place_copy(copy, &inserted.digest)?;
        self.remember_large(&inserted);
        Ok(inserted)
    }

    pub(super) fn place_copy(
        &self,
        copy: tempfile::NamedTempFile,
        digest: &Digest,
    ) -> Result<(), Error> {
        self.set_mode(copy.as_file())
            .map_err(io_error("change the mode of", copy.path()))?;
        let copy = copy.into_temp_path();
        self.place(Entry::from(&copy), digest)?;
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
    fn place(&self, from: Entry, digest: &Digest) -> Result<(), Error> {
        self.note(digest);
        let to = self.path(digest);
        if !self.shards.prepare(digest, &to)? {
            self.make_way(digest, &to)?;
        }
        let rename = |keep| from.rename(Entry::from(&to), keep);
        let renamed = match rename(true) {
            // A folder that was known to be there is gone, or is none.
            Err(Errno::NOENT | Errno::NOTDIR) => {
                self.make_way(digest, &to)?;
                rename(true)
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
                self.repeats.store(true, Ordering::Relaxed);
                return from.remove().map_err(io_error("remove", from));
            }
            // Some file systems cannot do without replacing.
            Err(Errno::EXIST | Errno::INVAL | Errno::NOSYS) => match rename(false) {
                Err(Errno::ISDIR) => {
                    self.make_way(digest, &to)?;
                    rename(false)
                }
                other => other,
            },
            other => other,
        }
        .map_err(|error| match to.parent() {
            Some(folder)
                if rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK).is_err() =>
            {
                no_place("write to the folder", folder)(error.into())
            }
            _ => io_error("rename to", &to)(error.into()),
        })
    }

    fn is_known_at(&self, digest: &Digest, path: &std::path::Path) -> bool {
        fs::symlink_metadata(path).is_ok_and(|metadata| self.is_known(digest, &metadata))
    }

    pub(super) fn remember_large(&self, inserted: &Inserted) {
        if inserted.size > SMALL
            && let Ok(metadata) = fs::symlink_metadata(self.path(&inserted.digest))
        {
            self.remember(inserted.digest, &metadata);
        }
    }
}

/// Whether something has the file open for writing, and goes on having it.
///
/// A child that another thread is starting holds, until its exec, whatever this process had open
/// when it was forked: the file of a log just written, for instance. If every process that could
/// write to the file is gone, it is worth waiting for that.
fn lasting_writers(file: &File, quiet: bool) -> Writers {
    const PATIENCE: Duration = Duration::from_millis(if cfg!(test) { 500 } else { 2000 });
    let began = Instant::now();
    loop {
        match sys::writers(file) {
            Writers::Some if quiet && began.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(1));
            }
            found @ (Writers::None | Writers::Some | Writers::Unknown) => return found,
        }
    }
}

/// Removes a file; what it holds is freed by another thread if it is large.
pub(crate) fn remove(entry: Entry) -> io::Result<()> {
    let file = entry.open();
    entry.remove()?;
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
    if size >= LARGE && sys::look(file.as_fd()).is_ok_and(|look| look.links == 0) {
        // Without the thread the file is dropped with the closure.
        let freeing = std::thread::Builder::new().name("free".to_owned());
        let _ = freeing.spawn(move || drop(file));
    }
}

/// Opens a regular file for reading. If its mode is in the way, that is changed, unless the file
/// has other names and so belongs to others, too.
fn open_regular(entry: Entry) -> Result<(File, Look), InsertError> {
    let opened = match entry.open() {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => open_up(entry)?,
        other => other,
    };
    let file = match opened {
        Ok(file) => file,
        Err(source) => {
            return Err(match entry.look() {
                Ok(look) if look.kind != FileType::RegularFile => {
                    InsertError::NotAFile(kind(look.kind))
                }
                _ => io_error("open", entry)(source).into(),
            });
        }
    };
    let look = sys::look(file.as_fd()).map_err(io_error("look at", entry))?;
    if look.kind != FileType::RegularFile {
        return Err(InsertError::NotAFile(kind(look.kind)));
    }
    if look.mounted {
        return Err(InsertError::Mounted);
    }
    Ok((file, look))
}

/// Opens a file that its mode keeps from being read.
fn open_up(entry: Entry) -> Result<io::Result<File>, InsertError> {
    let look = entry.look().map_err(io_error("look at", entry))?;
    if look.kind != FileType::RegularFile || look.mounted {
        return Ok(Err(io::ErrorKind::PermissionDenied.into()));
    }
    if look.links != 1 {
        return Err(InsertError::Closed { mode: look.mode });
    }
    entry
        .set_mode(0o400 | (look.mode & EXECUTE))
        .map_err(io_error("change the mode of", entry))?;
    Ok(entry.open())
}
