//! Room on the disk that is set aside while there is plenty, for those who free some when there is none: to record
//! what goes takes a little.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;

use rustix::fs::{FallocateFlags, FileType};

use super::{Error, Layout, LockError};
use crate::folder::Entry;
use crate::sys::Shortage;

/// Bytes. A small group of writes takes a quarter of it.
const SIZE: u64 = 512 << 10;

/// Where fewer bytes are free, the disk is for others.
const PLENTY: u64 = 32 * SIZE;

/// How much room whoever opens a db folder can count on, for temporary files too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// As much as it takes.
    Plenty,
    /// Next to none: what is temporary is in memory, and few rows are written at a time.
    Little,
}

/// Sets it aside, if it is not there and there is plenty. Where that fails, or the file system cannot set anything aside,
/// there is none.
pub(super) fn keep(layout: &Layout) {
    let path = layout.reserve();
    let is_kept = fs::symlink_metadata(&path)
        .is_ok_and(|found| found.len() == SIZE && found.blocks() * 512 >= SIZE);
    if !is_kept && has_plenty(layout) {
        let entry = Entry::from(&path);
        if set_aside(entry).is_err() {
            let _ = give_back(layout);
        }
    }
}

fn set_aside(entry: Entry) -> io::Result<()> {
    let file = match entry.look() {
        // What has another name would take the room of what is there.
        Ok(look) if look.kind != FileType::RegularFile || look.links != 1 => return Ok(()),
        _ => entry.open_to_write()?,
    };
    file.set_len(SIZE)?;
    Ok(rustix::fs::fallocate(
        &file,
        FallocateFlags::empty(),
        0,
        SIZE,
    )?)
}

fn has_plenty(layout: &Layout) -> bool {
    rustix::fs::statvfs(layout.root())
        .is_ok_and(|room| room.f_bavail.saturating_mul(room.f_frsize) >= PLENTY)
}

/// Gives the room back, for others as well; whether there was any.
pub(super) fn give_back(layout: &Layout) -> bool {
    let path = layout.reserve();
    let is_file = fs::symlink_metadata(&path).is_ok_and(|found| found.is_file());
    is_file && fs::remove_file(path).is_ok()
}

impl Error {
    /// Whether a disk is full, or a quota used up.
    pub(crate) fn is_full(&self) -> bool {
        let full = |source: &io::Error| {
            matches!(Shortage::of(source), Some(Shortage::Room | Shortage::Quota))
        };
        match self {
            Self::Full(_) => true,
            Self::Failed(first) => first.is_full(),
            Self::Io { source, .. }
            | Self::Copy { source, .. }
            | Self::Locked(LockError::Io { source, .. }) => full(source),
            Self::Occupied { .. }
            | Self::NotAFolder(_)
            | Self::Absent(_)
            | Self::Changing(_)
            | Self::Corrupt { .. }
            | Self::Unsound { .. }
            | Self::Condition { .. }
            | Self::LinkToNothing { .. }
            | Self::Foreign(_)
            | Self::NoFile { .. }
            | Self::Above { .. }
            | Self::Shared(_)
            | Self::Emptied(_)
            | Self::Newer { .. }
            | Self::TooLong(_)
            | Self::ReadOnly(_)
            | Self::Sqlite { .. }
            | Self::Illegal(_)
            | Self::Lost(_)
            | Self::Abandoned(_)
            | Self::Locked(LockError::Held { .. } | LockError::Folder(_) | LockError::Moved(_)) => {
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(layout: &Layout) -> Option<u64> {
        let found = fs::symlink_metadata(layout.reserve()).ok()?;
        Some(found.blocks() * 512)
    }

    #[test]
    fn it_takes_room_until_it_is_given_back() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        assert!(!give_back(&layout));
        keep(&layout);
        assert!(taken(&layout).unwrap() >= SIZE);
        // A copy may have its size and take nothing.
        let hollow = fs::File::create(layout.reserve()).unwrap();
        hollow.set_len(SIZE).unwrap();
        keep(&layout);
        assert!(taken(&layout).unwrap() >= SIZE);
        assert!(give_back(&layout));
        assert_eq!(taken(&layout), None);
    }

    #[test]
    fn what_lies_in_its_place_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        let other = dir.path().join("other");
        fs::write(&other, "mine").unwrap();
        for link in [true, false] {
            if link {
                std::os::unix::fs::symlink(&other, layout.reserve()).unwrap();
            } else {
                fs::hard_link(&other, layout.reserve()).unwrap();
            }
            keep(&layout);
            assert_eq!(fs::read(&other).unwrap(), b"mine");
            fs::remove_file(layout.reserve()).unwrap();
        }
    }
}
