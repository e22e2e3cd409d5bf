//! Folders held open, and the files in them.
//!
//! A script can rename, replace or mount over whatever its own user can: a path that this process
//! made a moment ago may lead anywhere by now. So what scripts can reach is dealt with by its name
//! in a folder that was opened when it was made, and no link is ever followed.

mod descent;
mod remove;

use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT};
use rustix::io::Errno;

pub(crate) use descent::Descent;
pub(crate) use remove::remove_all;

use crate::sys::{self, Look};

/// A folder that is held open.
#[derive(Debug)]
pub(crate) struct Folder {
    fd: OwnedFd,
    path: PathBuf,
}

const OPEN: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

impl Folder {
    /// The folder at `path`, which is no link.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            fd: rustix::fs::openat(CWD, path, OPEN, Mode::empty())?,
            path: path.to_owned(),
        })
    }

    /// Makes a folder in this one, where there is nothing of that name yet.
    pub(crate) fn make(&self, name: impl AsRef<OsStr>) -> io::Result<Self> {
        self.make_with(name.as_ref(), Mode::from_bits_truncate(0o777))
    }

    /// The same, into which nobody comes but the user and the group.
    pub(crate) fn make_closed(&self, name: impl AsRef<OsStr>) -> io::Result<Self> {
        self.make_with(name.as_ref(), Mode::from_bits_truncate(0o770))
    }

    fn make_with(&self, name: &OsStr, mode: Mode) -> io::Result<Self> {
        rustix::fs::mkdirat(&self.fd, name, mode)?;
        let opened = rustix::fs::openat(&self.fd, name, OPEN, Mode::empty());
        if opened.is_err() {
            // Whoever tries again, once there are descriptors again, is to find nothing.
            let _ = rustix::fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR);
        }
        Ok(Self {
            fd: opened?,
            path: self.path.join(name),
        })
    }

    /// The same folder, to be held for long.
    #[must_use]
    pub(crate) fn keep(self) -> Self {
        Self {
            fd: sys::descriptors::keep(self.fd),
            ..self
        }
    }

    /// Where it was when it was opened.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A look at the folder itself, wherever it is by now.
    pub(crate) fn look(&self) -> io::Result<Look> {
        sys::look(self.fd.as_fd())
    }

    /// Changes its mode.
    pub(crate) fn set_mode(&self, mode: u32) -> io::Result<()> {
        Ok(rustix::fs::fchmod(&self.fd, sys::mode(mode))?)
    }

    /// Sets when it was last written to, in whole seconds since 1970.
    pub(crate) fn set_modified(&self, seconds: i64) -> io::Result<()> {
        let none = Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        };
        let time = Timespec {
            tv_sec: seconds,
            tv_nsec: 0,
        };
        let times = Timestamps {
            last_access: none,
            last_modification: time,
        };
        Ok(rustix::fs::futimens(&self.fd, &times)?)
    }

    /// What has that name in it, or would have.
    pub(crate) fn entry<'a>(&'a self, name: &'a (impl AsRef<OsStr> + ?Sized)) -> Entry<'a> {
        Entry {
            folder: Some(self),
            name: Path::new(name),
        }
    }

    /// The names in it, each with what is known of its kind without a look at it.
    pub(crate) fn names(&self) -> io::Result<Dir> {
        Ok(Dir::new(rustix::fs::openat(
            &self.fd,
            c".",
            OPEN,
            Mode::empty(),
        )?)?)
    }

    /// Whether there is nothing in it.
    pub(crate) fn is_empty(&self) -> io::Result<bool> {
        for entry in self.names()? {
            if !is_self(entry?.file_name()) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Whether the name stands for the folder itself or its parent.
pub(crate) fn is_self(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}

/// A name in a folder that is held open; or a path, of what no script can have replaced.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'a> {
    folder: Option<&'a Folder>,
    name: &'a Path,
}

impl<'a, P: AsRef<Path> + ?Sized> From<&'a P> for Entry<'a> {
    fn from(path: &'a P) -> Self {
        Self {
            folder: None,
            name: path.as_ref(),
        }
    }
}

impl Entry<'_> {
    /// To tell where it is.
    pub(crate) fn path(&self) -> PathBuf {
        match self.folder {
            Some(folder) => folder.path.join(self.name),
            None => self.name.to_owned(),
        }
    }

    fn folder(&self) -> BorrowedFd<'_> {
        self.folder.map_or(CWD, |folder| folder.fd.as_fd())
    }

    /// A look at what is there; a link is not followed.
    pub(crate) fn look(&self) -> io::Result<Look> {
        sys::look_at(self.folder(), self.name)
    }

    /// Opens it for reading, be it what it may: a FIFO is not waited for.
    ///
    /// Of a file of our own it is not noted that it was read: for one that was just made or moved
    /// that would be a change of its inode, which a file system with a journal writes down.
    pub(crate) fn open(&self) -> io::Result<File> {
        let how = OFlags::RDONLY | OFlags::NONBLOCK;
        match self.open_with(how | sys::NO_ATIME) {
            Err(error) if error.raw_os_error() == Some(Errno::PERM.raw_os_error()) => {
                self.open_with(how)
            }
            other => other,
        }
    }

    /// Opens it for writing, and makes it unless it is there; what it holds stays.
    pub(crate) fn open_to_write(&self) -> io::Result<File> {
        self.open_with(OFlags::WRONLY | OFlags::CREATE)
    }

    /// Makes the file, where there is nothing yet.
    pub(crate) fn create(&self) -> io::Result<File> {
        self.open_with(OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL)
    }

    fn open_with(&self, how: OFlags) -> io::Result<File> {
        let how = how | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_bits_truncate(0o666);
        Ok(rustix::fs::openat(self.folder(), self.name, how, mode)?.into())
    }

    /// The folder that is there.
    pub(crate) fn open_folder(&self) -> io::Result<Folder> {
        Ok(Folder {
            fd: rustix::fs::openat(self.folder(), self.name, OPEN, Mode::empty())?,
            path: self.path(),
        })
    }

    /// Changes the mode of a file or folder that has no other name. A link is not followed.
    pub(crate) fn set_mode(&self, mode: u32) -> io::Result<()> {
        sys::set_mode_at(self.folder(), self.name, mode)
    }

    /// Removes the name of a file.
    pub(crate) fn remove(&self) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(
            self.folder(),
            self.name,
            AtFlags::empty(),
        )?)
    }

    /// Removes the folder, if nothing is in it.
    pub(crate) fn remove_folder(&self) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(
            self.folder(),
            self.name,
            AtFlags::REMOVEDIR,
        )?)
    }

    /// What the link that is there leads to.
    pub(crate) fn target(&self) -> io::Result<PathBuf> {
        let target = rustix::fs::readlinkat(self.folder(), self.name, Vec::new())?;
        Ok(OsStr::from_bytes(target.to_bytes()).into())
    }

    /// Renames it to `to`; with `keep` only if nothing is there.
    pub(crate) fn rename(&self, to: Entry, keep: bool) -> rustix::io::Result<()> {
        let (from, into) = (self.folder(), to.folder());
        if keep {
            let flags = rustix::fs::RenameFlags::NOREPLACE;
            rustix::fs::renameat_with(from, self.name, into, to.name, flags)
        } else {
            rustix::fs::renameat(from, self.name, into, to.name)
        }
    }

    /// Makes a symbolic link, where there is nothing yet.
    pub(crate) fn lead_to(&self, target: &Path) -> io::Result<()> {
        Ok(rustix::fs::symlinkat(target, self.folder(), self.name)?)
    }

    /// Gives the file a second name.
    pub(crate) fn link(&self, to: Entry) -> io::Result<()> {
        Ok(rustix::fs::linkat(
            self.folder(),
            self.name,
            to.folder(),
            to.name,
            AtFlags::empty(),
        )?)
    }
}

/// What something is called.
pub(crate) fn kind(kind: FileType) -> &'static str {
    match kind {
        FileType::RegularFile => "a file",
        FileType::Directory => "a folder",
        FileType::Symlink => "a symbolic link",
        FileType::Fifo => "a FIFO",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice | FileType::Unknown => "a device",
    }
}

/// A name as it is, for messages.
pub(crate) fn shown(name: &CStr) -> &OsStr {
    OsStr::from_bytes(name.to_bytes())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn no_link_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("real")).unwrap();
        fs::write(at("real/file"), "as it was").unwrap();
        symlink("real", at("folder")).unwrap();
        symlink("real/file", at("file")).unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        assert!(Folder::open(&at("folder")).is_err());
        assert!(folder.entry("folder").open_folder().is_err());
        let file = folder.entry("file");
        assert!(file.open().is_err() && file.open_to_write().is_err() && file.create().is_err());
        assert_eq!(file.look().unwrap().kind, FileType::Symlink);
        // Changes nothing, or the link itself.
        let mode = || fs::metadata(at("real/file")).unwrap().permissions();
        let before = mode();
        let _ = file.set_mode(0o400);
        assert_eq!(mode(), before);
        file.remove().unwrap();
        assert_eq!(fs::read(at("real/file")).unwrap(), b"as it was");
    }

    #[test]
    fn what_is_in_a_folder_that_was_renamed_is_still_found() {
        let dir = tempfile::tempdir().unwrap();
        let parent = Folder::open(dir.path()).unwrap();
        let folder = parent.make("a").unwrap();
        assert!(parent.make("a").is_err());
        fs::rename(dir.path().join("a"), dir.path().join("b")).unwrap();
        fs::create_dir(dir.path().join("a")).unwrap();
        assert!(folder.is_empty().unwrap());
        folder.entry("file").create().unwrap();
        assert!(!folder.is_empty().unwrap());
        assert!(dir.path().join("b/file").exists());
    }
}
