//! Folders of this program, in which no file is ever found.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::BorrowedFd;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags};

use crate::sys;

/// What a database begins with.
const HEAD: &[u8; 16] = b"SQLite format 3\0";

/// The db folder and that of its objects, wherever a link to it leads: device and number.
pub(super) fn of(db: &Path) -> Vec<(u64, u64)> {
    let folders = [db.to_owned(), db.join("objects")];
    let seen = folders
        .iter()
        .filter_map(|path| sys::seen_at(CWD, path).ok());
    let folders = seen.filter(|(kind, _)| *kind == FileType::Directory);
    folders.map(|(_, seen)| (seen.device, seen.inode)).collect()
}

/// Whether a folder that has something called `db` and `objects` is one of a pipeline, whatever its name.
pub(super) fn is_db(folder: BorrowedFd) -> bool {
    let is_folder =
        |name| sys::seen_at(folder, name).is_ok_and(|(kind, _)| kind == FileType::Directory);
    // A FIFO is not waited for.
    let how = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let begins = || {
        let opened = rustix::fs::openat(folder, "db", how, Mode::empty()).ok()?;
        let mut head = [0; HEAD.len()];
        File::from(opened).read_exact(&mut head).ok()?;
        Some(head == *HEAD)
    };
    is_folder("objects") && begins() == Some(true)
}
