//! What lies where the files of the database belong.
//!
//! A folder from somebody else may have anything there. `SQLite` writes to these files, to its
//! shared memory even for one who only reads: each is to be a file, and no file that has a name
//! somewhere else, too.

use std::fs;
use std::os::unix::fs::MetadataExt;

use rustix::fs::FileType;

use super::{Error, Layout};
use crate::folder::kind;

/// What follows the database's name in those of the files beside it.
const ENDINGS: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// Fails if something else than the database and its own files is in their places.
pub(super) fn check(layout: &Layout) -> Result<(), Error> {
    for ending in ENDINGS {
        let mut path = layout.database().into_os_string();
        path.push(ending);
        // What cannot be looked at cannot be opened either.
        let Ok(data) = fs::symlink_metadata(&path) else {
            continue;
        };
        let path = path.into();
        if !data.is_file() {
            let found = kind(FileType::from_raw_mode(data.mode()));
            return Err(Error::NoFile { path, found });
        }
        if data.nlink() > 1 {
            return Err(Error::Shared(path));
        }
    }
    Ok(())
}
