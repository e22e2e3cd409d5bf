//! Which files a program and all that it starts use, by ptrace(2), as strace does it.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::sys::{Sight, Use, Used};

/// Bytes of a path at most.
const LONGEST: usize = 4096;

/// A system call with a path, whose end is waited for.
struct Call {
    path: PathBuf,
    how: Use,
}

/// Runs the command to its end and tells each use of a file that succeeds.
pub(in crate::sys) fn observe(
    mut command: Command,
    tell: &mut dyn FnMut(Sight),
) -> io::Result<ExitStatus> {
    observable(&mut command);
    let child = command.spawn()?;
    let root = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
    // It stops when the program is in place of this one.
    waitpid(root, Some(WaitPidFlag::__WALL))?;
    ptrace::setoptions(
        root,
        Options::PTRACE_O_TRACESYSGOOD
            | Options::PTRACE_O_TRACEFORK
            | Options::PTRACE_O_TRACEVFORK
            | Options::PTRACE_O_TRACECLONE
            | Options::PTRACE_O_TRACEEXEC
            | Options::PTRACE_O_TRACEEXIT
            | Options::PTRACE_O_EXITKILL,
    )?;
    if let Some(leader) = rustix::process::Pid::from_raw(root.as_raw()) {
        tell(Sight::Begins(leader));
    }
    go_on(root, None)?;
    let mut tracer = Tracer {
        root,
        known: HashSet::from([root]),
        calls: HashMap::new(),
        ended: None,
    };
    while !tracer.known.is_empty() {
        match waitpid(None, Some(WaitPidFlag::__WALL)) {
            Ok(status) => tracer.stopped(status, tell)?,
            Err(Errno::EINTR) => {}
            Err(Errno::ECHILD) => break,
            Err(error) => return Err(error.into()),
        }
    }
    tracer
        .ended
        .ok_or_else(|| io::Error::other("its end went unseen"))
}

/// Has the program stop as soon as it is there, for this thread to look.
#[allow(unsafe_code)]
fn observable(command: &mut Command) {
    command.process_group(0);
    let ask = || ptrace::traceme().map_err(io::Error::from);
    // SAFETY: between fork and exec the function makes one system call, and touches no memory that
    // another thread could have locked.
    unsafe {
        command.pre_exec(ask);
    }
}

/// Lets a stopped thread run to its next system call. One that is gone is no error.
fn go_on(thread: Pid, signal: Option<Signal>) -> io::Result<()> {
    match ptrace::syscall(thread, signal) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

struct Tracer {
    root: Pid,
    known: HashSet<Pid>,
    calls: HashMap<Pid, Call>,
    ended: Option<ExitStatus>,
}

impl Tracer {
    #[allow(clippy::wildcard_enum_match_arm)] // Another's.
    fn stopped(&mut self, status: WaitStatus, tell: &mut dyn FnMut(Sight)) -> io::Result<()> {
        match status {
            WaitStatus::Exited(thread, code) => self.gone(thread, code << 8, tell),
            WaitStatus::Signaled(thread, signal, _) => self.gone(thread, signal as i32, tell),
            WaitStatus::PtraceSyscall(thread) => {
                self.known.insert(thread);
                self.call(thread, tell);
                go_on(thread, None)?;
            }
            WaitStatus::PtraceEvent(thread, _, event) => {
                self.known.insert(thread);
                if thread == self.root && event == libc::PTRACE_EVENT_EXIT {
                    tell(Sight::Ends);
                }
                go_on(thread, None)?;
            }
            WaitStatus::Stopped(thread, signal) => {
                // A new one begins with a stop that nobody sent.
                let is_new = self.known.insert(thread) && signal == Signal::SIGSTOP;
                go_on(thread, (!is_new).then_some(signal))?;
            }
            _ => {}
        }
        Ok(())
    }

    fn gone(&mut self, thread: Pid, status: i32, tell: &mut dyn FnMut(Sight)) {
        self.known.remove(&thread);
        self.calls.remove(&thread);
        if thread == self.root {
            // One that is killed may not have stopped before.
            tell(Sight::Ends);
            self.ended = Some(ExitStatus::from_raw(status));
            // What it leaves behind is ended with it.
            for left in &self.known {
                let _ = kill(*left, Signal::SIGKILL);
            }
        }
    }

    /// A thread stands before or behind a system call.
    fn call(&mut self, thread: Pid, tell: &mut dyn FnMut(Sight)) {
        match at(thread) {
            Some(At::Entry(number, arguments)) => {
                if let Some(call) = begun(thread, number, arguments) {
                    self.calls.insert(thread, call);
                }
            }
            Some(At::Exit(succeeded)) => {
                if let Some(Call { path, how }) = self.calls.remove(&thread)
                    && succeeded
                {
                    tell(Sight::Used(Used { path, how }));
                }
            }
            None => {}
        }
    }
}

/// Where a thread stopped.
enum At {
    /// Number and arguments.
    Entry(i64, [u64; 6]),
    /// Whether it succeeded.
    Exit(bool),
}

/// What the kernel calls this architecture; 0 where that is not looked at.
const ARCHITECTURE: u32 = if cfg!(target_arch = "x86_64") {
    0xC000_003E
} else if cfg!(target_arch = "aarch64") {
    0xC000_00B7
} else {
    0
};

#[allow(unsafe_code)]
fn at(thread: Pid) -> Option<At> {
    let info = ptrace::syscall_info(thread).ok()?;
    // Programs of another architecture count otherwise.
    if ARCHITECTURE != 0 && info.arch != ARCHITECTURE {
        return None;
    }
    match info.op {
        libc::PTRACE_SYSCALL_INFO_ENTRY => {
            // SAFETY: the kernel says that this is what it has filled in; all of it are numbers.
            let entry = unsafe { info.u.entry };
            Some(At::Entry(i64::try_from(entry.nr).ok()?, entry.args))
        }
        libc::PTRACE_SYSCALL_INFO_EXIT => {
            // SAFETY: as above.
            let exit = unsafe { info.u.exit };
            Some(At::Exit(exit.is_error == 0))
        }
        _ => None,
    }
}

/// What a system call does with which of its arguments: the folder, the path, the use.
fn begun(thread: Pid, number: i64, arguments: [u64; 6]) -> Option<Call> {
    let opened = |flags: u64| {
        let flags = i32::try_from(flags & 0xffff_ffff).unwrap_or(0);
        if flags & libc::O_ACCMODE != libc::O_RDONLY || flags & libc::O_CREAT != 0 {
            Use::Write
        } else {
            Use::Read
        }
    };
    let (folder, path, how) = match number {
        libc::SYS_openat => (Some(0), 1, opened(arguments[2])),
        libc::SYS_openat2 => {
            let mut flags = [0; 8];
            memory(thread)?
                .read_exact_at(&mut flags, arguments[2])
                .ok()?;
            (Some(0), 1, opened(u64::from_ne_bytes(flags)))
        }
        libc::SYS_execveat => (Some(0), 1, Use::Read),
        libc::SYS_execve => (None, 0, Use::Read),
        libc::SYS_newfstatat
        | libc::SYS_statx
        | libc::SYS_readlinkat
        | libc::SYS_faccessat
        | libc::SYS_faccessat2 => (Some(0), 1, Use::Look),
        libc::SYS_chdir => (None, 0, Use::Look),
        _ => old(number, &arguments, opened)?,
    };
    let path = text(thread, arguments[path])?;
    if path.is_empty() {
        return None;
    }
    // The upper half of a number of 32 bits is anything.
    let folder = folder.map(|at: usize| arguments[at] & 0xffff_ffff);
    let folder = match folder {
        Some(number) if number != u64::from(libc::AT_FDCWD.cast_unsigned()) => {
            format!("/proc/{thread}/fd/{number}")
        }
        _ => format!("/proc/{thread}/cwd"),
    };
    let path = PathBuf::from(OsString::from_vec(path));
    let path = if path.is_absolute() {
        path
    } else {
        fs::read_link(Path::new(&folder)).ok()?.join(path)
    };
    Some(Call { path, how })
}

type Arguments = (Option<usize>, usize, Use);

/// System calls that newer architectures do without.
#[cfg(target_arch = "x86_64")]
fn old(number: i64, arguments: &[u64; 6], opened: impl Fn(u64) -> Use) -> Option<Arguments> {
    Some(match number {
        libc::SYS_open => (None, 0, opened(arguments[1])),
        libc::SYS_creat => (None, 0, Use::Write),
        libc::SYS_stat | libc::SYS_lstat | libc::SYS_access | libc::SYS_readlink => {
            (None, 0, Use::Look)
        }
        _ => return None,
    })
}

#[cfg(not(target_arch = "x86_64"))]
fn old(_: i64, _: &[u64; 6], _: impl Fn(u64) -> Use) -> Option<Arguments> {
    None
}

fn memory(thread: Pid) -> Option<File> {
    File::open(format!("/proc/{thread}/mem")).ok()
}

/// The text that ends with a NUL, at that place of the thread's memory.
fn text(thread: Pid, mut at: u64) -> Option<Vec<u8>> {
    /// What is behind the end of a page may not be there.
    const PAGE: usize = 4096;
    let memory = memory(thread)?;
    let mut text = Vec::new();
    while text.len() < LONGEST {
        let mut part = [0; PAGE];
        let length = PAGE - usize::try_from(at % PAGE as u64).ok()?;
        let read = memory.read_at(&mut part[..length], at).ok()?;
        if read == 0 {
            return None;
        }
        if let Some(end) = part[..read].iter().position(|byte| *byte == 0) {
            text.extend_from_slice(&part[..end]);
            return Some(text);
        }
        text.extend_from_slice(&part[..read]);
        at += read as u64;
    }
    None
}
