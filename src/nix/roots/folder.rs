//! A folder that is worked on by its descriptor: a link in its place, or in a name below it, is
//! never followed.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::RootsError;

/// Most bytes that are read of a file: more than any path has.
const LONGEST: u64 = 64 * 1024;

/// An open folder.
#[derive(Debug)]
pub struct Folder {
    open: OwnedFd,
    path: PathBuf,
}

const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

fn error(doing: &'static str, path: &Path) -> impl FnOnce(Errno) -> RootsError {
    let path = path.to_owned();
    move |errno| match errno {
        // A link, or a file, where a folder is asked for.
        Errno::LOOP | Errno::NOTDIR | Errno::MLINK => RootsError::Elsewhere { path },
        errno => RootsError::Io {
            doing,
            path,
            source: errno.into(),
        },
    }
}

impl Folder {
    /// The folder at `path` in the db folder, made where it is missing. The user names the db
    /// folder, by a link or not; what is in it somebody else may have made.
    pub fn of_db(path: &Path) -> Result<Self, RootsError> {
        let parent = path.parent().unwrap_or(Path::new("."));
        let name = path.file_name().unwrap_or_default();
        let real = parent.canonicalize().map_err(|source| RootsError::Io {
            doing: "find",
            path: parent.to_owned(),
            source,
        })?;
        let open = rustix::fs::open(&real, FOLDER, Mode::empty()).map_err(error("open", &real))?;
        Self { open, path: real }.make(name)
    }

    /// Its absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder called `name` in it, made where it is missing.
    pub fn make(&self, name: impl AsRef<OsStr>) -> Result<Self, RootsError> {
        let name = name.as_ref();
        let path = self.path.join(name);
        match rustix::fs::mkdirat(&self.open, name, Mode::from_raw_mode(0o777)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(error("create", &path)(errno)),
        }
        let open = rustix::fs::openat(&self.open, name, FOLDER, Mode::empty())
            .map_err(error("open", &path))?;
        Ok(Self { open, path })
    }

    /// The folder called `name` in it; none if that is something else.
    pub fn below(&self, name: &OsStr) -> Result<Option<Self>, RootsError> {
        let path = self.path.join(name);
        match rustix::fs::openat(&self.open, name, FOLDER, Mode::empty()) {
            Ok(open) => Ok(Some(Self { open, path })),
            Err(Errno::LOOP | Errno::NOTDIR | Errno::MLINK | Errno::NOENT) => Ok(None),
            Err(errno) => Err(error("open", &path)(errno)),
        }
    }

    /// The names in it.
    pub fn names(&self) -> Result<Vec<OsString>, RootsError> {
        let read = || -> Result<Vec<OsString>, Errno> {
            let mut names = Vec::new();
            for entry in rustix::fs::Dir::read_from(&self.open)? {
                let name = entry?.file_name().to_bytes().to_vec();
                if name != b"." && name != b".." {
                    names.push(OsString::from_vec(name));
                }
            }
            Ok(names)
        };
        read().map_err(error("read", &self.path))
    }

    /// What the link called `name` leads to, if that is a link.
    pub fn link(&self, name: &OsStr) -> Option<PathBuf> {
        let target = rustix::fs::readlinkat(&self.open, name, Vec::new()).ok()?;
        Some(PathBuf::from(OsStr::from_bytes(target.to_bytes())))
    }

    /// Removes what is called `name` and is no folder.
    pub fn remove(&self, name: &OsStr) -> Result<(), RootsError> {
        rustix::fs::unlinkat(&self.open, name, AtFlags::empty())
            .map_err(error("remove", &self.path.join(name)))
    }

    /// Removes the folder called `name`, unless something is left in it.
    pub fn remove_if_empty(&self, name: &OsStr) {
        let _ = rustix::fs::unlinkat(&self.open, name, AtFlags::REMOVEDIR);
    }

    /// What the file called `name` says; nothing if it is no file; none if it is not there.
    pub fn read(&self, name: &str) -> Option<Vec<u8>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let open = match rustix::fs::openat(&self.open, name, flags, Mode::empty()) {
            Ok(open) => open,
            Err(Errno::NOENT) => return None,
            Err(_) => return Some(Vec::new()),
        };
        let file = File::from(open);
        let mut bytes = Vec::new();
        let regular = file.metadata().is_ok_and(|meta| meta.is_file());
        if regular && file.take(LONGEST).read_to_end(&mut bytes).is_err() {
            bytes.clear();
        }
        Some(bytes)
    }

    /// Writes the file called `name` anew: what was there before goes, and nothing is written
    /// through it.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), RootsError> {
        let path = self.path.join(name);
        match rustix::fs::unlinkat(&self.open, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(error("replace", &path)(errno)),
        }
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o666);
        let open =
            rustix::fs::openat(&self.open, name, flags, mode).map_err(error("write", &path))?;
        let written: io::Result<()> = File::from(open).write_all(bytes);
        written.map_err(|source| RootsError::Io {
            doing: "write",
            path,
            source,
        })
    }
}
