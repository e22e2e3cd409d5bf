//! Files and folders as they are.

use std::fs::{self, Metadata};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
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

/// Rights as the calls of this system take them, whose numbers are not of one size everywhere.
pub(crate) fn mode(bits: u32) -> Mode {
    Mode::from_raw_mode(number(bits & 0o7777))
}

/// What the metadata are of.
pub(crate) fn file_type(data: &Metadata) -> FileType {
    FileType::from_raw_mode(number(data.mode()))
}

/// A pipe that no child gets unless it is given one of the ends: for reading, for writing.
pub(crate) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = io::pipe()?;
    Ok((read.into(), write.into()))
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
    /// The bytes that it takes on the disk.
    pub taken: u64,
    /// Which one it is.
    pub identity: Identity,
    /// When it last changed in any way, which no program can set: seconds and nanoseconds.
    pub changed: (i64, i64),
    /// When it was last written to, as it says.
    pub modified: (i64, i64),
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
            taken: number::<_, u64>(stat.st_blocks).saturating_mul(512),
            identity: Identity {
                device: number(stat.st_dev),
                inode: stat.st_ino,
            },
            changed: (number(stat.st_ctime), number(stat.st_ctime_nsec)),
            modified: (number(stat.st_mtime), number(stat.st_mtime_nsec)),
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

/// Has what this process and its children make be their own to use: no umask takes rights of the owner.
pub(crate) fn keep_rights_of_owner() {
    let umask = rustix::process::umask(Mode::RWXU | Mode::RWXG | Mode::RWXO);
    rustix::process::umask(umask - Mode::RWXU);
}

/// What can be seen of what a path leads to, from a folder on; links are followed.
pub(crate) fn seen_at(folder: BorrowedFd, path: impl Arg) -> rustix::io::Result<(FileType, Seen)> {
    let stat = rustix::fs::statat(folder, path, rustix::fs::AtFlags::empty())?;
    Ok((FileType::from_raw_mode(stat.st_mode), Seen::of(&stat)))
}

/// The same of what is there itself: a link is not followed.
pub(crate) fn seen_itself_at(
    folder: BorrowedFd,
    path: impl Arg,
) -> rustix::io::Result<(FileType, Seen)> {
    let stat = rustix::fs::statat(folder, path, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)?;
    Ok((FileType::from_raw_mode(stat.st_mode), Seen::of(&stat)))
}

/// The same of an open file or folder.
pub(crate) fn seen(file: BorrowedFd) -> rustix::io::Result<(FileType, Seen)> {
    let stat = rustix::fs::fstat(file)?;
    Ok((FileType::from_raw_mode(stat.st_mode), Seen::of(&stat)))
}

/// What a look tells of whether a file is still as it was. Times in nanoseconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    /// The device that it is on.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
    /// In bytes.
    pub size: u64,
    /// When its bytes changed, or what a program has set.
    pub modified: i64,
    /// When it last changed in any way.
    pub changed: i64,
    /// Whether anybody may execute it.
    pub executable: bool,
}

impl Seen {
    fn of(stat: &rustix::fs::Stat) -> Self {
        Self {
            device: number(stat.st_dev),
            inode: stat.st_ino,
            size: number(stat.st_size),
            modified: nanoseconds(number(stat.st_mtime), number(stat.st_mtime_nsec)),
            changed: nanoseconds(number(stat.st_ctime), number(stat.st_ctime_nsec)),
            executable: number::<_, u32>(stat.st_mode) & 0o111 != 0,
        }
    }
}

fn nanoseconds(seconds: i64, rest: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(rest)
}
