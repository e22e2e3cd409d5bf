//! Files and folders as they are.

use std::fs::{self, Metadata};
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::OnceLock;

use nix::NixPath;
use rustix::fs::{FileType, Mode};
use rustix::path::Arg;

use super::system;

/// What tells one file from all others, as long as it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(super) device: u64,
    pub(super) inode: u64,
}

impl Identity {
    /// Of what is found at `path`, through links.
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        fs::metadata(path).map(|data| Self::of(&data))
    }

    /// Of an open file, or of a folder.
    pub(crate) fn of(data: &Metadata) -> Self {
        Self {
            device: data.dev(),
            inode: data.ino(),
        }
    }

    /// Whether it is on the same file system.
    pub(crate) fn is_beside(&self, other: &Self) -> bool {
        self.device == other.device
    }
}

/// What a look at a file or folder tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    /// What it is.
    pub kind: FileType,
    /// Rights and the three bits above them.
    pub mode: u32,
    /// Its names.
    pub links: u64,
    /// Its owner.
    pub owner: u32,
    /// In bytes.
    pub size: u64,
    /// Which one it is.
    pub identity: Identity,
    /// When it last changed in any way, which no program can set: seconds and nanoseconds.
    pub changed: (i64, i64),
    /// Whether something is mounted there, as far as this system tells.
    pub mounted: bool,
}

impl Look {
    pub(super) fn of(stat: &rustix::fs::Stat) -> Self {
        Self {
            kind: FileType::from_raw_mode(stat.st_mode),
            mode: number::<_, u32>(stat.st_mode) & 0o7777,
            links: number(stat.st_nlink),
            owner: stat.st_uid,
            size: number(stat.st_size),
            identity: Identity {
                device: number(stat.st_dev),
                inode: stat.st_ino,
            },
            changed: (number(stat.st_ctime), number(stat.st_ctime_nsec)),
            mounted: false,
        }
    }
}

/// These fields have other types on other systems.
fn number<T: TryInto<U>, U: Default>(field: T) -> U {
    field.try_into().unwrap_or_default()
}

/// A look at an open file or folder.
pub(crate) fn look(file: BorrowedFd) -> io::Result<Look> {
    system::look(file)
}

/// A look at what has that name in a folder. A link is not followed.
pub(crate) fn look_at(folder: BorrowedFd, name: impl Arg) -> io::Result<Look> {
    system::look_at(folder, name)
}

/// Changes the mode of what has that name in a folder. A link is not followed.
pub(crate) fn set_mode_at(
    folder: BorrowedFd,
    name: &(impl NixPath + ?Sized),
    mode: u32,
) -> io::Result<()> {
    use nix::sys::stat::{FchmodatFlags, Mode, fchmodat};
    let mode = Mode::from_bits_truncate(number(mode));
    Ok(fchmodat(
        folder,
        name,
        mode,
        FchmodatFlags::NoFollowSymlink,
    )?)
}

/// The bits that the mode of what this process makes does not get.
pub(crate) fn umask() -> u32 {
    static UMASK: OnceLock<u32> = OnceLock::new();
    *UMASK.get_or_init(|| {
        system::umask().unwrap_or_else(|| {
            // There is no way to ask but to set it.
            let umask = rustix::process::umask(Mode::from_bits_truncate(0o077));
            rustix::process::umask(umask);
            number(umask.bits())
        })
    })
}
