//! Systems that are not Linux: nothing is certain, so what needs certainty is copied or made anew.

use std::fs::File;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, OFlags};
use rustix::path::Arg;
use rustix::process::{Pid, Signal};

use super::{Fate, Look, Marks, Obstacle, Writers};

pub(super) fn sandboxed(_: &super::sandbox::View, folder: &Path, _: &[std::ffi::OsString]) -> u8 {
    super::sandbox::tell("start in", folder, &io::ErrorKind::Unsupported.into())
}

pub(super) use sandboxed as serve;

pub(super) fn part_from_others() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn in_memory(_bytes: &[u8]) -> io::Result<Option<(OwnedFd, PathBuf)>> {
    Ok(None)
}

pub(super) const NO_ATIME: OFlags = OFlags::empty();

pub(super) fn look(file: BorrowedFd) -> io::Result<Look> {
    Ok(Look::of(&rustix::fs::fstat(file)?))
}

pub(super) fn look_at(folder: BorrowedFd, name: impl Arg) -> io::Result<Look> {
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    Ok(Look::of(&rustix::fs::statat(folder, name, flags)?))
}

pub(super) fn argument_limits() -> super::ArgumentLimits {
    // ARG_MAX of macOS; a single argument has no limit of its own.
    super::ArgumentLimits {
        one: usize::MAX,
        all: 1 << 20,
    }
}

pub(super) fn umask() -> Option<u32> {
    None
}

/// From macOS's `spawn.h`.
pub(super) const SPAWN_SETSID: Option<i32> = if cfg!(target_os = "macos") {
    Some(0x0400)
} else {
    None
};

pub(super) fn writers(_file: &File) -> Writers {
    Writers::Unknown
}

#[derive(Debug)]
pub(super) enum Lease {}

impl Lease {
    pub(super) fn take(_file: &File) -> Option<Self> {
        None
    }

    pub(super) fn is_whole(&self) -> bool {
        match *self {}
    }

    pub(super) fn patience(&self) -> Duration {
        match *self {}
    }
}

pub(super) fn clone_file(_from: &File, _to: &File) -> bool {
    false
}

pub(super) fn read_ahead(_file: &File, _length: u64) {}

pub(super) fn sync(_folder: &File) -> io::Result<()> {
    rustix::fs::sync();
    Ok(())
}

pub(super) fn is_unchangeable(_path: &Path) -> bool {
    false
}

pub(super) fn network(_path: &Path) -> Option<String> {
    None
}

pub(super) fn mark(_folder: &File) {}

pub(super) fn is_marked(_folder: &File) -> bool {
    false
}

pub(super) fn had_output() -> bool {
    true
}

pub(super) fn had_error() -> bool {
    true
}

pub(super) fn open_descriptors() -> Option<u64> {
    None
}

pub(super) fn memory() -> Option<u64> {
    None
}

pub(super) fn gpus() -> usize {
    0
}

pub(super) fn boot_id() -> Option<String> {
    None
}

/// Since it was asked first.
pub(crate) fn uptime() -> Duration {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    FIRST.get_or_init(Instant::now).elapsed()
}

pub(super) fn ending_signals() -> Vec<i32> {
    vec![
        libc::SIGABRT,
        libc::SIGALRM,
        libc::SIGHUP,
        libc::SIGINT,
        libc::SIGPROF,
        libc::SIGQUIT,
        libc::SIGTERM,
        libc::SIGUSR1,
        libc::SIGUSR2,
        libc::SIGVTALRM,
        libc::SIGXCPU,
    ]
}

pub(super) fn ignored() -> Option<u64> {
    None
}

pub(super) fn can_be_continued() -> bool {
    true
}

pub(super) fn adopt_orphans() {}

#[derive(Debug, Default)]
pub(super) struct DiskReads;

impl DiskReads {
    pub(super) fn were_there(&mut self) -> bool {
        false
    }
}

#[derive(Debug)]
pub(super) struct Orphans;

impl Orphans {
    pub(super) fn watch() -> Self {
        Self
    }

    pub(super) fn can_tell(&self) -> bool {
        false
    }

    pub(super) fn left_in(&self, _group: Pid) -> bool {
        true
    }

    pub(super) fn certainly_none(&self) -> bool {
        false
    }
}

#[derive(Debug)]
pub(super) struct ExitWatch(Pid);

impl ExitWatch {
    pub(super) fn of(pid: Pid) -> Self {
        Self(pid)
    }

    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    pub(super) fn has_ended(&self) -> bool {
        super::is_zombie(self.0)
    }
}

#[derive(Debug)]
pub(super) enum Process {}

impl Process {
    pub(super) fn id(&self) -> i32 {
        match *self {}
    }

    pub(super) fn signal(&self, _signal: Signal) {
        match *self {}
    }

    pub(super) fn is_alive(&self) -> bool {
        match *self {}
    }
}

pub(super) fn marked(_marks: &Marks, _known: &[&Process]) -> Vec<Process> {
    Vec::new()
}

pub(super) fn wait_for_any(_processes: &[&Process], _patience: Duration) {}

/// There are no control groups.
#[derive(Debug)]
pub(crate) enum Divided {}

impl Divided {
    pub(crate) fn here() -> Result<Self, Obstacle> {
        Err(Obstacle::NoGroups)
    }

    pub(crate) fn part(&self, _name: &str) -> Part {
        match *self {}
    }

    pub(crate) fn folder(&self) -> &Path {
        match *self {}
    }
}

/// There is none.
#[derive(Debug)]
pub(crate) enum Part {}

impl Part {
    pub(crate) fn door(&self) -> PathBuf {
        match *self {}
    }

    pub(crate) fn open(&self) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn begin(&self, _bytes: u64) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn end(&self) -> Fate {
        match *self {}
    }
}

pub(super) fn can_divide() -> Result<(), Obstacle> {
    Err(Obstacle::NoGroups)
}

pub(super) fn give_back(_folder: &Path) {}

pub(super) fn kills() -> Option<u64> {
    None
}
