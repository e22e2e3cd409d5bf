//! What is at a path, by way of links.

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode};
use rustix::io::Errno;

use super::error::{Error, io_error};
use super::{FOLDER, Root, stat};
use crate::folder::kind;
use crate::model::file::Stat;
use crate::sys;

/// A file, or a folder, as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found<P = Box<str>> {
    /// Below the root, with `/` between names.
    pub path: P,
    /// How it looked.
    pub stat: Stat,
}

/// A folder, whose name may be anything.
pub(crate) type FoundFolder = Found<Box<[u8]>>;

/// Looks at the file at `path`.
pub(crate) fn look(root: &Root, path: &str) -> Result<Stat, Error> {
    let bytes = path.as_bytes();
    let special = |kind| Error::Special {
        path: path.to_owned(),
        kind,
    };
    match target(root.fd(), bytes).map_err(io_error("look at", bytes))? {
        Target::File(stat) => Ok(stat),
        Target::Folder => Err(special(kind(FileType::Directory))),
        Target::Other(found) => Err(special(kind(found))),
        Target::BrokenLink => Err(broken_link(root.fd(), bytes, path.to_owned())?),
        Target::Circle => Err(Error::Circle(path.to_owned())),
        Target::Nothing => Err(Error::Absent(path.to_owned())),
    }
}

/// What something of a name is.
pub(super) enum Target {
    /// A file.
    File(Stat),
    /// A folder.
    Folder,
    /// Neither.
    Other(FileType),
    /// A link to nothing.
    BrokenLink,
    /// A link that leads round.
    Circle,
    /// There is none.
    Nothing,
}

/// Opens a folder.
pub(super) fn open(folder: BorrowedFd, name: &[u8]) -> rustix::io::Result<OwnedFd> {
    let name = if name.is_empty() { b"." } else { name };
    rustix::fs::openat(folder, name, FOLDER, Mode::empty())
}

/// The error that it is one.
pub(super) fn broken_link(folder: BorrowedFd, name: &[u8], path: String) -> Result<Error, Error> {
    let target = rustix::fs::readlinkat(folder, name, Vec::new());
    let target = target.map_err(io_error("read the link", path.as_bytes()))?;
    Ok(Error::BrokenLink {
        path,
        target: target.to_string_lossy().into_owned(),
    })
}

/// What that is in the folder.
pub(super) fn target(folder: BorrowedFd, name: &[u8]) -> rustix::io::Result<Target> {
    match sys::seen_at(folder, name) {
        Ok((FileType::RegularFile, seen)) => Ok(Target::File(stat(&seen))),
        Ok((FileType::Directory, _)) => Ok(Target::Folder),
        Ok((other, _)) => Ok(Target::Other(other)),
        Err(Errno::LOOP) => Ok(Target::Circle),
        Err(Errno::NOENT | Errno::NOTDIR) => {
            let link = sys::look_at(folder, name).is_ok_and(|look| look.kind == FileType::Symlink);
            Ok(if link {
                Target::BrokenLink
            } else {
                Target::Nothing
            })
        }
        Err(error) => Err(error),
    }
}
