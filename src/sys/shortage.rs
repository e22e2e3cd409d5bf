//! What this process can be short of, through no fault of the work that it does.

use std::io;
use std::path::Path;

use rustix::io::Errno;
use rustix::process::Resource;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shortage {
    /// Files that this process may have open.
    Descriptors,
    /// Files that all processes may have open.
    AllDescriptors,
    /// Processes and threads.
    Processes,
    /// Memory.
    Memory,
    /// Room on a disk.
    Room,
    /// Room within a quota.
    Quota,
    /// The size that a file may have.
    FileSize,
    /// A disk that takes any write.
    Writes,
    /// A place in the folder of objects: something else is there, or the right to write.
    Place,
}

impl Shortage {
    /// The one that an error tells of, if it does.
    pub(crate) fn of(error: &io::Error) -> Option<Self> {
        // Some errors are told in other words by the time that they come here.
        match Errno::from_io_error(error) {
            Some(Errno::MFILE) => return Some(Self::Descriptors),
            Some(Errno::NFILE) => return Some(Self::AllDescriptors),
            _ => {}
        }
        #[allow(clippy::wildcard_enum_match_arm)] // Another's.
        match error.kind() {
            io::ErrorKind::WouldBlock => Some(Self::Processes),
            io::ErrorKind::OutOfMemory => Some(Self::Memory),
            io::ErrorKind::StorageFull => Some(Self::Room),
            io::ErrorKind::QuotaExceeded => Some(Self::Quota),
            io::ErrorKind::FileTooLarge => Some(Self::FileSize),
            io::ErrorKind::ReadOnlyFilesystem => Some(Self::Writes),
            _ => None,
        }
    }

    /// Whether a limit of this process is so small that this may be what it met: for where the one who met it does
    /// not say what it was told.
    pub(crate) fn is_likely(self) -> bool {
        const FEW: u64 = 64;
        let limit = |of| rustix::process::getrlimit(of).current;
        match self {
            Self::Descriptors => limit(Resource::Nofile).is_some_and(|most| most < FEW),
            Self::FileSize => limit(Resource::Fsize).is_some(),
            Self::AllDescriptors
            | Self::Processes
            | Self::Memory
            | Self::Room
            | Self::Quota
            | Self::Writes
            | Self::Place => false,
        }
    }

    /// Whether there is enough again once less is done at a time.
    pub(crate) fn passes(self) -> bool {
        match self {
            Self::Descriptors | Self::AllDescriptors | Self::Processes | Self::Memory => true,
            Self::Room | Self::Quota | Self::FileSize | Self::Writes | Self::Place => false,
        }
    }

    /// Whether files that go make it less.
    pub(crate) fn is_of_disk(self) -> bool {
        match self {
            Self::Room | Self::Quota => true,
            Self::Descriptors
            | Self::AllDescriptors
            | Self::Processes
            | Self::Memory
            | Self::FileSize
            | Self::Writes
            | Self::Place => false,
        }
    }

    /// What to do about a file that somebody asked for, if the place where it is to be is right and only has too little room.
    pub(crate) fn room_for(error: &io::Error) -> Option<&'static str> {
        let shortage = Self::of(error)?;
        let is_room = shortage.is_of_disk() || shortage == Self::FileSize;
        is_room.then(|| shortage.hint())
    }

    /// What to do about it.
    pub(crate) fn hint(self) -> &'static str {
        match self {
            Self::Descriptors => "give a smaller -parallel, or raise the limit (ulimit -n)",
            Self::AllDescriptors => {
                "give a smaller -parallel; all programs together have too many files open"
            }
            Self::Processes => "give a smaller -parallel, or raise the limit (ulimit -u)",
            Self::Memory => "give a smaller -parallel, or end what takes the memory",
            Self::Room => "make room on that disk and run again",
            Self::Quota => "make room within the quota and run again",
            Self::FileSize => "raise the limit of file sizes (ulimit -f), or use another disk",
            Self::Place => {
                "check the owner and mode of that folder, and what lies in its place, and run again"
            }
            Self::Writes => "mount that disk for writing and run again",
        }
    }
}

/// Whether there is as good as no room on the disk of this folder, for one whose last words these are. Who
/// met that may have done so a moment ago, while something else took the last of it.
pub(crate) fn is_full(folder: &Path, words: &str) -> bool {
    const LEAST: u64 = 64 << 10;
    /// Where somebody says that there is none.
    const LITTLE: u64 = 16 << 20;
    let least = if words.contains("No space left on device") {
        LITTLE
    } else {
        LEAST
    };
    rustix::fs::statvfs(folder).is_ok_and(|room| {
        let own = if rustix::process::geteuid().is_root() {
            // Some of the room may be kept for it.
            room.f_bfree
        } else {
            room.f_bavail
        };
        // Some file systems make inodes as needed and say 0.
        own.saturating_mul(room.f_frsize) < least || (room.f_files > 0 && room.f_favail == 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortages_are_told_from_failures() {
        let of = |errno: Errno| Shortage::of(&errno.into());
        for (errno, shortage) in [
            (Errno::MFILE, Shortage::Descriptors),
            (Errno::NFILE, Shortage::AllDescriptors),
            (Errno::AGAIN, Shortage::Processes),
            (Errno::NOMEM, Shortage::Memory),
            (Errno::NOSPC, Shortage::Room),
            (Errno::DQUOT, Shortage::Quota),
            (Errno::FBIG, Shortage::FileSize),
            (Errno::ROFS, Shortage::Writes),
        ] {
            assert_eq!(of(errno), Some(shortage));
            assert!(!shortage.hint().is_empty());
        }
        for errno in [
            Errno::NOENT,
            Errno::ACCESS,
            Errno::IO,
            Errno::XDEV,
            Errno::TOOBIG,
        ] {
            assert_eq!(of(errno), None);
        }
        let told = io::Error::new(io::Error::from(Errno::AGAIN).kind(), "sh: try again");
        assert_eq!(Shortage::of(&told), Some(Shortage::Processes));
    }

    #[test]
    fn a_disk_with_room_is_not_full() {
        for words in ["", "cp: No space left on device"] {
            assert!(!is_full(&std::env::temp_dir(), words));
            assert!(!is_full(Path::new("/no/such/folder"), words));
        }
    }
}
