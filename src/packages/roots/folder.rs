//! The folder of the roots: by descriptors that follow no link, with errors that say what was tried.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use super::RootsError;
use crate::folder::{Folder, is_self, shown};

/// Most bytes that are read of a file: more than any path has.
const LONGEST: u64 = 64 * 1024;

pub(super) fn error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RootsError {
    let path = path.to_owned();
    move |source| {
        if is_no_folder(&source) {
            RootsError::Elsewhere { path }
        } else {
            RootsError::Io {
                doing,
                path,
                source,
            }
        }
    }
}

/// A link, or a file, where a folder is to be opened.
fn is_no_folder(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::LOOP | Errno::NOTDIR | Errno::MLINK))
}

/// The folder at `path` in the db folder, made where it is missing. The user names the db folder,
/// by a link or not; what is in it somebody else may have made.
pub(super) fn of_db(path: &Path) -> Result<Folder, RootsError> {
    let parent = path.parent().unwrap_or(Path::new("."));
    let real = parent.canonicalize().map_err(error("find", parent))?;
    let db = Folder::open(&real).map_err(error("open", &real))?;
    make(&db, path.file_name().unwrap_or_default())
}

/// The folder called `name` in `folder`, made where it is missing.
pub(super) fn make(folder: &Folder, name: &OsStr) -> Result<Folder, RootsError> {
    let entry = folder.entry(name);
    match folder.make(name) {
        Ok(made) => Ok(made),
        Err(there) if there.kind() == io::ErrorKind::AlreadyExists => {
            entry.open_folder().map_err(error("open", &entry.path()))
        }
        Err(failed) => Err(error("create", &entry.path())(failed)),
    }
}

/// The folder called `name` in `folder`; none if that is something else.
pub(super) fn below(folder: &Folder, name: &OsStr) -> Result<Option<Folder>, RootsError> {
    let entry = folder.entry(name);
    match entry.open_folder() {
        Ok(open) => Ok(Some(open)),
        Err(other) if is_no_folder(&other) || other.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(failed) => Err(error("open", &entry.path())(failed)),
    }
}

/// The names in `folder`.
pub(super) fn names(folder: &Folder) -> Result<Vec<OsString>, RootsError> {
    let read = || -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in folder.names()? {
            let entry = entry?;
            if !is_self(entry.file_name()) {
                names.push(shown(entry.file_name()).to_owned());
            }
        }
        Ok(names)
    };
    read().map_err(error("read", folder.path()))
}

/// What the file called `name` says; nothing if it is no file; none if it is not there.
pub(super) fn read(folder: &Folder, name: &str) -> Option<Vec<u8>> {
    let file = match folder.entry(name).open() {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(_) => return Some(Vec::new()),
    };
    let mut bytes = Vec::new();
    let regular = file.metadata().is_ok_and(|meta| meta.is_file());
    if regular && file.take(LONGEST).read_to_end(&mut bytes).is_err() {
        bytes.clear();
    }
    Some(bytes)
}

/// Writes the file called `name` anew: what was there before goes, and nothing is written through
/// it.
pub(super) fn write(folder: &Folder, name: &str, bytes: &[u8]) -> Result<(), RootsError> {
    let entry = folder.entry(name);
    let replaced = match entry.remove() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    };
    replaced
        .and_then(|()| entry.create())
        .and_then(|mut file| file.write_all(bytes))
        .map_err(error("write", &entry.path()))
}
