//! Linux.

mod cgroup;
mod machine;
mod mounts;
#[cfg(target_env = "gnu")]
mod observe;
mod processes;
mod sandbox;
mod start;

use std::fs::File;
use std::io::{self, ErrorKind, Write as _};
use std::num::NonZero;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::Duration;

use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::resource::{UsageWho, getrusage};
use rustix::fs::{
    Advice, AtFlags, FileType, MemfdFlags, Mode, OFlags, SealFlags, Statx, StatxAttributes,
    StatxFlags,
};
use rustix::io::Errno;
use rustix::path::Arg;
use rustix::process::{Pid, PidfdFlags};

use super::{Identity, Look, Writers, descriptors};
pub(crate) use cgroup::{Divided, Part};
pub(super) use cgroup::{can_divide, give_back, kills};
pub(super) use machine::{gpus, memory};
pub(super) use mounts::{is_unchangeable, network};
#[cfg(target_env = "gnu")]
pub(super) use observe::observe;
pub(super) use processes::{Process, can_be_continued, marked, wait_for_any};
pub(super) use sandbox::{sandboxed, serve};
pub(super) use start::{had_error, had_output};

pub(super) fn part_from_others() -> io::Result<()> {
    Ok(nix::sched::unshare(nix::sched::CloneFlags::CLONE_FS)?)
}

pub(super) fn in_memory(bytes: &[u8]) -> io::Result<Option<(OwnedFd, PathBuf)>> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut file = File::from(rustix::fs::memfd_create(c"task-pipeline", flags)?);
    file.write_all(bytes)?;
    rustix::fs::fchmod(&file, Mode::RUSR)?;
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    rustix::fs::fcntl_add_seals(&file, seals)?;
    let file = descriptors::keep(OwnedFd::from(file));
    // By this process's number, as children may close what they inherit.
    let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
    Ok(Some((file, path.into())))
}

pub(super) const NO_ATIME: OFlags = OFlags::NOATIME;

pub(super) fn look(file: BorrowedFd) -> io::Result<Look> {
    let flags = AtFlags::EMPTY_PATH;
    match rustix::fs::statx(file, c"", flags, StatxFlags::BASIC_STATS) {
        Ok(found) => Ok(of(&found)),
        // Linux before 4.11, or a filter before that.
        Err(Errno::NOSYS) => Ok(Look::of(&rustix::fs::fstat(file)?)),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn look_at(folder: BorrowedFd, name: impl Arg) -> io::Result<Look> {
    name.into_with_c_str(|name| {
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        match rustix::fs::statx(folder, name, flags, StatxFlags::BASIC_STATS) {
            Ok(found) => Ok(of(&found)),
            Err(Errno::NOSYS) => Ok(Look::of(&rustix::fs::statat(folder, name, flags)?)),
            Err(error) => Err(error),
        }
    })
    .map_err(io::Error::from)
}

fn of(found: &Statx) -> Look {
    Look {
        kind: FileType::from_raw_mode(found.stx_mode.into()),
        mode: u32::from(found.stx_mode) & 0o7777,
        links: found.stx_nlink.into(),
        owner: found.stx_uid,
        size: found.stx_size,
        taken: found.stx_blocks.saturating_mul(512),
        identity: Identity {
            device: rustix::fs::makedev(found.stx_dev_major, found.stx_dev_minor),
            inode: found.stx_ino,
        },
        changed: (found.stx_ctime.tv_sec, found.stx_ctime.tv_nsec.into()),
        modified: (found.stx_mtime.tv_sec, found.stx_mtime.tv_nsec.into()),
        mounted: found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT),
    }
}

/// As the kernel counts (`fs/exec.c`): a quarter of the stack, three quarters of 8 MiB at most.
pub(super) fn argument_limits() -> super::ArgumentLimits {
    const LEAST: u64 = 128 << 10;
    const MOST: u64 = 6 << 20;
    let stack = rustix::process::getrlimit(rustix::process::Resource::Stack).current;
    let all = stack.map_or(MOST, |stack| (stack / 4).clamp(LEAST, MOST));
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE);
    let page = page.ok().flatten().and_then(|page| page.try_into().ok());
    super::ArgumentLimits {
        one: 32 * page.unwrap_or(4096_usize),
        all: usize::try_from(all).unwrap_or(usize::MAX),
    }
}

/// Linux 4.7 tells.
pub(super) fn umask() -> Option<u32> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let mut lines = status.lines();
    let umask = lines.find_map(|line| line.strip_prefix("Umask:"))?;
    u32::from_str_radix(umask.trim(), 8).ok()
}

pub(super) const SPAWN_SETSID: Option<i32> = Some(libc::POSIX_SPAWN_SETSID as i32);

/// By a read lease: the kernel grants one only where no description open for writing exists, in any
/// process. It is given back at once.
pub(super) fn writers(file: &File) -> Writers {
    match lease(file, libc::F_SETLEASE, libc::F_RDLCK) {
        Ok(_) => {
            let _ = lease(file, libc::F_SETLEASE, libc::F_UNLCK);
            Writers::None
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => Writers::Some,
        Err(_) => Writers::Unknown,
    }
}

/// fcntl(2) for leases. Every lease belongs to the open description, not to the descriptor.
#[allow(unsafe_code)]
fn lease(file: &File, command: libc::c_int, argument: libc::c_int) -> io::Result<libc::c_int> {
    // SAFETY: fcntl with an integer argument touches no memory of this process, and `file` keeps
    // the descriptor open. No crate offers a safe call for leases.
    match unsafe { libc::fcntl(file.as_raw_fd(), command, argument) } {
        -1 => Err(io::Error::last_os_error()),
        value => Ok(value),
    }
}

/// From `linux/fcntl.h`; the crate has it for some architectures alone, and it is the same on all
/// that Rust's standard library runs on.
const F_SETSIG: libc::c_int = 10;

#[derive(Debug)]
pub(super) struct Lease {
    file: File,
    patience: Duration,
}

impl Lease {
    pub(super) fn take(file: &File) -> Option<Self> {
        let seconds = std::fs::read_to_string("/proc/sys/fs/lease-break-time").ok()?;
        let patience = Duration::from_secs(seconds.trim().parse().ok()?);
        let file = file.try_clone().ok()?;
        // The kernel tells the holder that somebody waits by SIGIO, which would end it. SIGURG
        // does nothing to a process that does not ask for it.
        lease(&file, F_SETSIG, libc::SIGURG).ok()?;
        lease(&file, libc::F_SETLEASE, libc::F_RDLCK).ok()?;
        Some(Self { file, patience })
    }

    pub(super) fn is_whole(&self) -> bool {
        matches!(lease(&self.file, libc::F_GETLEASE, 0), Ok(libc::F_RDLCK))
    }

    pub(super) fn patience(&self) -> Duration {
        self.patience
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Other descriptors of the same description would keep it.
        let _ = lease(&self.file, libc::F_SETLEASE, libc::F_UNLCK);
    }
}

pub(super) fn clone_file(from: &File, to: &File) -> bool {
    rustix::fs::ioctl_ficlone(to, from).is_ok()
}

pub(super) fn read_ahead(file: &File, length: u64) {
    // Only a hint: who reads the file says what is wrong with it.
    let _ = rustix::fs::fadvise(file, 0, NonZero::new(length), Advice::WillNeed);
}

pub(super) fn sync(folder: &File) -> io::Result<()> {
    Ok(rustix::fs::syncfs(folder)?)
}

/// By a read lock, which whoever asks for a write lock is told of. A folder can be opened for
/// reading alone, so that nobody can have one.
pub(super) fn mark(folder: &File) {
    // Where it fails, nobody is told.
    let _ = fcntl(folder, FcntlArg::F_OFD_SETLK(&whole(libc::F_RDLCK)));
}

pub(super) fn is_marked(folder: &File) -> bool {
    let mut lock = whole(libc::F_WRLCK);
    fcntl(folder, FcntlArg::F_OFD_GETLK(&mut lock)).is_ok()
        && lock.l_type != libc::c_short::try_from(libc::F_UNLCK).unwrap_or(-1)
}

/// A lock on the whole of a file.
fn whole(kind: libc::c_int) -> libc::flock {
    libc::flock {
        l_type: libc::c_short::try_from(kind).unwrap_or(-1),
        l_whence: libc::c_short::try_from(libc::SEEK_SET).unwrap_or(-1),
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

pub(super) fn open_descriptors() -> Option<u64> {
    Some(std::fs::read_dir("/proc/self/fd").ok()?.count() as u64)
}

pub(super) fn boot_id() -> Option<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned())
}

/// Since the start of this machine, with the time that it slept.
pub(crate) fn uptime() -> Duration {
    let seconds = rustix::system::sysinfo().uptime;
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

pub(super) fn ending_signals() -> Vec<i32> {
    let named = [
        libc::SIGABRT,
        libc::SIGALRM,
        libc::SIGHUP,
        libc::SIGINT,
        libc::SIGIO,
        libc::SIGPROF,
        libc::SIGPWR,
        libc::SIGQUIT,
        libc::SIGSTKFLT,
        libc::SIGTERM,
        libc::SIGUSR1,
        libc::SIGUSR2,
        libc::SIGVTALRM,
        libc::SIGXCPU,
    ];
    let real_time = libc::SIGRTMIN()..=libc::SIGRTMAX();
    named.into_iter().chain(real_time).collect()
}

pub(super) fn ignored() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

pub(super) fn adopt_orphans() {
    // Where it fails, `certainly_none` never says so: folders are then made anew for every task.
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
}

/// Blocks, as the system counts them.
#[derive(Debug, Default)]
pub(super) struct DiskReads(i64);

impl DiskReads {
    pub(super) fn were_there(&mut self) -> bool {
        let blocks = getrusage(UsageWho::RUSAGE_THREAD).map_or(0, |usage| usage.block_reads());
        std::mem::replace(&mut self.0, blocks) != blocks
    }
}

#[derive(Debug)]
pub(super) struct Orphans(Option<File>);

impl Orphans {
    pub(super) fn watch() -> Self {
        let own = rustix::process::getpid();
        if !matches!(rustix::process::child_subreaper(), Ok(Some(_))) {
            return Self(None);
        }
        let path = format!("/proc/self/task/{}/children", own.as_raw_nonzero());
        Self(File::open(path).ok())
    }

    pub(super) fn can_tell(&self) -> bool {
        let file = self.0.as_ref();
        file.is_some_and(|file| file.read_at(&mut [0; 1], 0).is_ok())
    }

    pub(super) fn left_in(&self, group: Pid) -> bool {
        if self.certainly_none() {
            return false;
        }
        let own = rustix::process::getpid().as_raw_nonzero();
        std::fs::read_to_string(format!("/proc/self/task/{own}/children"))
            .unwrap_or_default()
            .split_whitespace()
            .filter_map(|word| word.parse().ok().and_then(Pid::from_raw))
            .filter(|pid| rustix::process::getpgid(Some(*pid)) == Ok(group))
            // One that has ended is none.
            .any(|pid| {
                let options = rustix::process::WaitOptions::NOHANG;
                matches!(rustix::process::waitpid(Some(pid), options), Ok(None))
            })
    }

    /// The `children` file lists orphans only: each worker's own children stand in the file of
    /// the worker's thread. Those that have ended are reaped on the way.
    pub(super) fn certainly_none(&self) -> bool {
        let Some(file) = &self.0 else { return false };
        let mut list = [0; 512];
        let Ok(length) = file.read_at(&mut list, 0) else {
            return false;
        };
        if length == 0 {
            return true;
        }
        for word in list[..length].split(|byte| *byte == b' ') {
            let pid = std::str::from_utf8(word)
                .ok()
                .and_then(|word| word.parse().ok());
            if let Some(pid) = pid.and_then(Pid::from_raw) {
                let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::NOHANG);
            }
        }
        matches!(file.read_at(&mut list[..1], 0), Ok(0))
    }
}

/// By a pidfd (Linux 5.3), or by looking.
#[derive(Debug)]
pub(super) struct ExitWatch {
    pid: Pid,
    fd: Option<OwnedFd>,
}

impl ExitWatch {
    pub(super) fn of(pid: Pid) -> Self {
        Self {
            pid,
            fd: rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok(),
        }
    }

    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.fd.as_ref().map(AsFd::as_fd)
    }

    pub(super) fn has_ended(&self) -> bool {
        super::is_zombie(self.pid)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;

    use super::*;

    #[test]
    fn a_writer_is_seen_until_it_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let writer = OpenOptions::new()
            .create_new(true)
            .append(true)
            .open(&path)
            .unwrap();
        let reader = File::open(&path).unwrap();
        assert_eq!(writers(&reader), Writers::Some);
        drop(writer);
        assert_eq!(writers(&reader), Writers::None);
        OpenOptions::new().write(true).open(&path).unwrap();
    }

    #[test]
    fn a_file_that_is_not_in_memory_is_read_ahead() {
        let mut reads = DiskReads::default();
        let mut file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut file, b"as it was").unwrap();
        file.sync_all().unwrap();
        let forget = || rustix::fs::fadvise(&file, 0, None, Advice::DontNeed).unwrap();
        let read = || assert_eq!(file.read_at(&mut [0; 9], 0).unwrap(), 9);
        forget();
        reads.were_there();
        read();
        // Files of a tmpfs are never on a disk.
        let on_disk = reads.were_there();
        read();
        assert!(!reads.were_there());
        forget();
        read_ahead(&file, 9);
        assert_eq!(reads.were_there(), on_disk);
        read();
        assert!(!reads.were_there());
    }

    #[test]
    fn who_opens_a_leased_file_for_writing_waits() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, "as it was").unwrap();
        let reader = File::open(&path).unwrap();
        let lease = Lease::take(&reader).unwrap();
        assert!(lease.is_whole());
        assert_eq!(std::fs::read(&path).unwrap(), b"as it was");
        assert!(lease.is_whole(), "others may read");
        let writer = std::thread::spawn({
            let path = path.clone();
            move || std::fs::write(path, "changed").unwrap()
        });
        let began = std::time::Instant::now();
        while lease.is_whole() {
            assert!(began.elapsed() < Duration::from_secs(20));
            std::thread::yield_now();
        }
        assert_eq!(std::fs::read(&path).unwrap(), b"as it was");
        drop(lease);
        writer.join().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"changed");
    }

    #[test]
    fn there_is_no_lease_on_a_file_that_is_being_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let _writer = File::create(&path).unwrap();
        assert!(Lease::take(&File::open(&path).unwrap()).is_none());
    }
}
