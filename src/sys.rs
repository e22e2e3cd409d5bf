//! What one kind of system offers and another does not, behind the same functions.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as system;

#[cfg(not(target_os = "linux"))]
mod other;
#[cfg(not(target_os = "linux"))]
use other as system;

mod cgroup;
pub(crate) mod descriptors;
mod file;
mod marked;
pub(crate) mod sandbox;
mod shortage;
mod spawning;
mod wait;

use std::fs::File;
use std::io;
use std::num::NonZero;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use rustix::fs::OFlags;
use rustix::process::Pid;

pub(crate) use cgroup::{Fate, Obstacle};
pub(crate) use file::{
    Identity, Look, Seen, file_type, keep_rights_of_owner, look, look_at, mode, pipe, seen,
    seen_at, seen_itself_at, set_mode_at, umask,
};
pub(crate) use marked::{Marks, Process};
pub(crate) use shortage::{Shortage, is_full};
pub(crate) use spawning::{starting_a_child, until_it_can_be_executed};
pub(crate) use system::{Divided, Part, uptime};
pub(crate) use wait::{Usage, wait};

/// The flag with which `posix_spawn` starts a process in a session of its own, where it has one.
pub(crate) const SPAWN_SETSID: Option<i32> = system::SPAWN_SETSID;

/// The flag with which reading a file does not note that it was read, where there is one. Only a
/// file's owner may use it.
pub(crate) const NO_ATIME: OFlags = system::NO_ATIME;

/// How long what a program is started with may be, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ArgumentLimits {
    /// A single argument or variable with its end.
    pub one: usize,
    /// All of them.
    pub all: usize,
}

impl ArgumentLimits {
    /// Those of this system, for programs that this process starts.
    pub(crate) fn here() -> Self {
        system::argument_limits()
    }
}

/// The time; where the clock says one that no calendar here has, the nearest that it has.
pub(crate) fn now() -> Timestamp {
    timestamp(SystemTime::now())
}

fn timestamp(time: SystemTime) -> Timestamp {
    Timestamp::try_from(time).unwrap_or(if time < SystemTime::UNIX_EPOCH {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}

/// An error of making a file or folder with a name of no meaning, in the system's words alone: that
/// name and its folder are added by whoever made it, and tell the user nothing.
pub(crate) fn plain_words(error: io::Error) -> io::Error {
    const CODE: &str = "(os error ";
    if error.raw_os_error().is_some() {
        return error;
    }
    let words = error.to_string();
    let code = words
        .split_once(CODE)
        .and_then(|(_, rest)| rest.split(')').next());
    match code.and_then(|code| code.parse().ok()) {
        Some(code) => io::Error::from_raw_os_error(code),
        None => error,
    }
}

/// A use of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Used {
    /// Its path, absolute.
    pub path: PathBuf,
    /// How it was used.
    pub how: Use,
}

/// How a file was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Use {
    /// It was asked whether it is there, and what it is.
    Look,
    /// It was opened for reading, or executed.
    #[cfg_attr(
        not(all(target_os = "linux", target_env = "gnu")),
        expect(dead_code, reason = "nobody can look")
    )]
    Read,
    /// It was made, or opened for writing.
    Write,
}

/// What is seen of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(
    not(all(target_os = "linux", target_env = "gnu")),
    expect(dead_code, reason = "nobody can look")
)]
pub(crate) enum Sight {
    /// It runs: the process that leads its group.
    Begins(rustix::process::Pid),
    /// A use of a file that succeeded.
    Used(Used),
    /// Its first process ends: the number will soon be another's. May come twice.
    Ends,
}

/// Runs a command to its end, in a process group of its own, and tells each use of a file, by it and by
/// all that it starts, that succeeds. What it leaves running is ended. No privileges are needed.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(crate) fn observe(
    command: std::process::Command,
    tell: &mut dyn FnMut(Sight),
) -> io::Result<std::process::ExitStatus> {
    system::observe(command, tell)
}

/// The same: this system has no means for it that every user may use.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn observe(
    _: std::process::Command,
    _: &mut dyn FnMut(Sight),
) -> io::Result<std::process::ExitStatus> {
    Err(io::ErrorKind::Unsupported.into())
}

/// What is known of other openings of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writers {
    /// Nothing has it open for writing.
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "nobody can tell")
    )]
    None,
    /// Something has it open for writing.
    Some,
    /// This system or file system cannot tell.
    Unknown,
}

/// Whether any process, this one included, has `file` open for writing, or mapped so.
///
/// `file` must be open for reading only.
pub(crate) fn writers(file: &File) -> Writers {
    system::writers(file)
}

/// Keeps a file's bytes as they are: whoever opens it for writing, or cuts it off, waits until the
/// lease is given up (dropped), or until [`Lease::patience`] is over.
#[derive(Debug)]
pub(crate) struct Lease(system::Lease);

impl Lease {
    /// For `file`, open for reading only. None where something has it open for writing, and where
    /// this system or file system knows no leases.
    pub(crate) fn take(file: &File) -> Option<Self> {
        system::Lease::take(file).map(Self)
    }

    /// Whether nobody has asked for the file since. Once somebody has, it stays so.
    pub(crate) fn is_whole(&self) -> bool {
        self.0.is_whole()
    }

    /// How long others are made to wait at most.
    pub(crate) fn patience(&self) -> Duration {
        self.0.patience()
    }
}

/// Gives the file `to` the bytes of `from` without copying them, where the file system can do that.
pub(crate) fn clone_file(from: &File, to: &File) -> bool {
    system::clone_file(from, to)
}

/// Where this thread goes, and its mask of modes, is its own from now on; what it starts is with it. Not for the
/// first thread. Fails where a system has no such thing.
pub(crate) fn part_from_others() -> io::Result<()> {
    system::part_from_others()
}

/// A file in memory, which nobody can write to and whose path this process's children can open, as often as
/// they want, for as long as it is open here. Its owner alone may read it. None where there is no such thing.
pub(crate) fn in_memory(bytes: &[u8]) -> io::Result<Option<(OwnedFd, PathBuf)>> {
    system::in_memory(bytes)
}

/// Has the system read the first `length` bytes of the file into memory, without waiting for them.
pub(crate) fn read_ahead(file: &File, length: u64) {
    system::read_ahead(file, length);
}

/// Writes to the disk what the file system of `folder` has in memory.
pub(crate) fn sync(folder: &File) -> io::Result<()> {
    system::sync(folder)
}

/// Whether nobody can write to the file, by whatever way: its whole file system was mounted for
/// reading, and no other machine has it too. False where the system does not tell.
pub(crate) fn is_unchangeable(path: &Path) -> bool {
    system::is_unchangeable(path)
}

/// The kind of the file system that a path is on, if other machines may have mounted it as well. None
/// where the system does not tell.
pub(crate) fn network(path: &Path) -> Option<String> {
    system::network(path)
}

/// Marks the open folder, for as long as this is open: [`is_marked`] is true for everyone who opens
/// it. Nothing is hindered by it.
pub(crate) fn mark(folder: &File) {
    system::mark(folder);
}

/// Whether a process that lives has marked the folder. False where the system cannot tell.
pub(crate) fn is_marked(folder: &File) -> bool {
    system::is_marked(folder)
}

/// Whether this process was started with a standard output. True where the system does not tell.
pub(crate) fn had_output() -> bool {
    system::had_output()
}

/// The same of standard error.
pub(crate) fn had_error() -> bool {
    system::had_error()
}

/// Descriptors that are open, where the system tells.
fn open_descriptors() -> Option<u64> {
    system::open_descriptors()
}

/// The name of this machine, as far as it has one; Slurm's own name for it comes first.
pub(crate) fn node_name() -> String {
    let of_slurm = std::env::var("SLURMD_NODENAME");
    if let Some(name) = of_slurm.ok().filter(|name| !name.is_empty()) {
        return name;
    }
    let name = rustix::system::uname();
    name.nodename().to_string_lossy().into_owned()
}

/// Threads that can work at once.
pub(crate) fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    // Asking reads some files.
    *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, NonZero::get))
}

/// What programs this machine runs, as Nix calls it: `x86_64-linux`.
pub(crate) fn kind_of_machine() -> String {
    let system = match std::env::consts::OS {
        "macos" => "darwin",
        other => other,
    };
    format!("{}-{system}", std::env::consts::ARCH)
}

/// Bytes of memory that this process and its children may use, where the system tells.
pub(crate) fn memory() -> Option<u64> {
    system::memory()
}

/// Whether the control group of this process could be divided, so that each task has memory of its own.
/// Changes nothing.
pub(crate) fn can_divide() -> Result<(), Obstacle> {
    system::can_divide()
}

/// Leaves the control group in this folder as it was before a run divided it that was killed. Does nothing where
/// another run is in it, or where it is none.
pub(crate) fn give_back(folder: &Path) {
    system::give_back(folder);
}

/// Processes that the kernel has killed for want of memory since the machine was started, if it tells.
pub(crate) fn kills() -> Option<u64> {
    system::kills()
}

/// How many GPUs are found.
pub(crate) fn gpus() -> usize {
    system::gpus()
}

/// What tells one boot of the machine from the next, where the system has such a thing.
pub(crate) fn boot_id() -> Option<String> {
    system::boot_id()
}

/// The signals that end a process which does nothing about them and that mean no fault of its own.
pub(crate) fn ending_signals() -> Vec<i32> {
    system::ending_signals()
}

/// The signals that this process ignores at the moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ignored(Option<u64>);

impl Ignored {
    /// Asks the system.
    pub(crate) fn now() -> Self {
        Self(system::ignored())
    }

    /// Whether the signal is one of them; none where the system cannot tell.
    pub(crate) fn has(self, signal: i32) -> Option<bool> {
        self.0.map(|mask| mask >> (signal - 1) & 1 == 1)
    }
}

/// Whether somebody would notice that this process is stopped: a shell with job control started it.
pub(crate) fn can_be_continued() -> bool {
    system::can_be_continued()
}

/// Makes this process the parent of every process that its children leave behind, so that
/// [`orphans`] can tell whether there are any.
pub(crate) fn adopt_orphans() {
    system::adopt_orphans();
}

/// The reads of one thread that went to the disk, because what was read was not in memory.
#[derive(Debug, Default)]
pub(crate) struct DiskReads(system::DiskReads);

impl DiskReads {
    /// Whether there were some since this was last asked, by the same thread. False where the
    /// system cannot tell.
    pub(crate) fn were_there(&mut self) -> bool {
        self.0.were_there()
    }
}

/// A look at what finished tasks left running.
#[derive(Debug)]
pub(crate) struct Orphans(system::Orphans);

impl Orphans {
    /// Prepares the look. Only the thread that started the process gets orphans, and it must
    /// start no child itself.
    pub(crate) fn watch() -> Self {
        Self(system::Orphans::watch())
    }

    /// Whether this system can tell.
    pub(crate) fn can_tell(&self) -> bool {
        self.0.can_tell()
    }

    /// Whether an orphan is alive that belongs to this process group. Orphans that have ended are
    /// reaped on the way.
    pub(crate) fn left_in(&self, group: Pid) -> bool {
        self.0.left_in(group)
    }

    /// True if it is certain that no process descends from a finished task.
    pub(crate) fn certainly_none(&self) -> bool {
        self.0.certainly_none()
    }
}

/// Tells when a child has ended, without reaping it.
#[derive(Debug)]
pub(crate) struct ExitWatch(system::ExitWatch);

impl ExitWatch {
    /// Watches the child `pid` of this process.
    pub(crate) fn of(pid: Pid) -> Self {
        Self(system::ExitWatch::of(pid))
    }

    /// Becomes readable when the child has ended, where the system has such a thing.
    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.0.fd()
    }

    /// Without a descriptor: how long to wait between two calls of [`ExitWatch::has_ended`].
    pub(crate) fn interval(&self) -> Option<Duration> {
        self.fd().is_none().then_some(Duration::from_millis(2))
    }

    /// Whether the child has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.0.has_ended()
    }
}

/// Whether the child is a zombie; it stays one.
fn is_zombie(pid: Pid) -> bool {
    use rustix::process::{WaitId, WaitIdOptions, waitid};
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    matches!(
        waitid(WaitId::Pid(pid), options),
        Ok(Some(_)) | Err(rustix::io::Errno::CHILD)
    )
}

/// `SIGTERM` for 15.
pub(crate) fn signal_name(signal: i32) -> String {
    signal_hook::low_level::signal_name(signal)
        .map_or_else(|| format!("signal {signal}"), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_clock_has_a_time() {
        let year = Duration::from_hours(24 * 366);
        let epoch = SystemTime::UNIX_EPOCH;
        for time in [epoch, epoch - year * 10, epoch + year * 7000] {
            assert_eq!(SystemTime::from(timestamp(time)), time);
        }
        assert_eq!(timestamp(epoch + year * 8100), Timestamp::MAX);
        assert_eq!(timestamp(epoch + year * 100_000), Timestamp::MAX);
        assert_eq!(timestamp(epoch - year * 100_000), Timestamp::MIN);
    }

    #[test]
    fn names_of_passing_files_are_no_part_of_an_error() {
        let error = tempfile::tempfile_in("/nowhere/at/all").unwrap_err();
        assert_eq!(plain_words(error).raw_os_error(), Some(2));
        let made = tempfile::Builder::new().tempdir_in("/nowhere").unwrap_err();
        assert_eq!(
            plain_words(made).to_string(),
            "No such file or directory (os error 2)"
        );
    }
}
