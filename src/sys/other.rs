//! Systems that are not Linux: nothing is certain, so what needs certainty is copied or made anew.

use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{AtFlags, OFlags};
use rustix::path::Arg;
use rustix::process::{Pid, Signal};

use super::{Look, Marks, Writers};

pub const NO_ATIME: OFlags = OFlags::empty();

pub fn look(file: BorrowedFd) -> io::Result<Look> {
    Ok(Look::of(&rustix::fs::fstat(file)?))
}

pub fn look_at(folder: BorrowedFd, name: impl Arg) -> io::Result<Look> {
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    Ok(Look::of(&rustix::fs::statat(folder, name, flags)?))
}

pub fn argument_limits() -> super::ArgumentLimits {
    // ARG_MAX of macOS; a single argument has no limit of its own.
    super::ArgumentLimits {
        one: usize::MAX,
        all: 1 << 20,
    }
}

pub fn umask() -> Option<u32> {
    None
}

/// From macOS's `spawn.h`.
pub const SPAWN_SETSID: Option<i32> = if cfg!(target_os = "macos") {
    Some(0x0400)
} else {
    None
};

pub fn writers(_file: &File) -> Writers {
    Writers::Unknown
}

#[derive(Debug)]
pub enum Lease {}

impl Lease {
    pub fn take(_file: &File) -> Option<Self> {
        None
    }

    pub fn is_whole(&self) -> bool {
        match *self {}
    }

    pub fn patience(&self) -> Duration {
        match *self {}
    }
}

pub fn clone_file(_from: &File, _to: &File) -> bool {
    false
}

pub fn read_ahead(_file: &File, _length: u64) {}

pub fn sync(_folder: &File) -> io::Result<()> {
    rustix::fs::sync();
    Ok(())
}

pub fn is_unchangeable(_path: &Path) -> bool {
    false
}

pub fn mark(_folder: &File) {}

pub fn is_marked(_folder: &File) -> bool {
    false
}

pub fn had_output() -> bool {
    true
}

pub fn had_error() -> bool {
    true
}

pub fn open_descriptors() -> Option<u64> {
    None
}

pub fn boot_id() -> Option<String> {
    None
}

pub fn ending_signals() -> Vec<i32> {
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

pub fn ignored() -> Option<u64> {
    None
}

pub fn can_be_continued() -> bool {
    true
}

pub fn adopt_orphans() {}

#[derive(Debug, Default)]
pub struct DiskReads;

impl DiskReads {
    pub fn were_there(&mut self) -> bool {
        false
    }
}

#[derive(Debug)]
pub struct Orphans;

impl Orphans {
    pub fn watch() -> Self {
        Self
    }

    pub fn can_tell(&self) -> bool {
        false
    }

    pub fn left_in(&self, _group: Pid) -> bool {
        true
    }

    pub fn certainly_none(&self) -> bool {
        false
    }
}

#[derive(Debug)]
pub struct ExitWatch(Pid);

impl ExitWatch {
    pub fn of(pid: Pid) -> Self {
        Self(pid)
    }

    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    pub fn has_ended(&self) -> bool {
        super::is_zombie(self.0)
    }
}

#[derive(Debug)]
pub enum Process {}

impl Process {
    pub fn id(&self) -> i32 {
        match *self {}
    }

    pub fn signal(&self, _signal: Signal) {
        match *self {}
    }

    pub fn is_alive(&self) -> bool {
        match *self {}
    }
}

pub fn marked(_marks: &Marks, _known: &[&Process]) -> Vec<Process> {
    Vec::new()
}

pub fn wait_for_any(_processes: &[&Process], _patience: Duration) {}
