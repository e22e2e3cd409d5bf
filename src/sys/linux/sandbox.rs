//! The sandbox: namespaces of its own for users, mounts, processes, network, shared memory and names.
//!
//! Three processes: the one that was started, which stays outside; the first in there, which makes what
//! is seen and waits; and the program. The kernel ends all of a process namespace with its first process, so
//! nothing outlives the program. All three are in the group of the first, so that signals to it reach
//! the program; the other two are deaf to them.

mod filter;
mod serve;
mod sight;

use std::ffi::{CString, OsString};
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Pid, Signal, WaitOptions};
use rustix::thread::{CapabilitiesSecureBits, CapabilitySet, CapabilitySets, UnshareFlags};

pub(crate) use serve::serve;

use crate::sys::sandbox::{FAILED, TASK, View, tell};

/// What errors without a path are about.
const HERE: &str = "the sandbox";

/// What could not be done.
struct Trouble {
    doing: &'static str,
    path: PathBuf,
    error: io::Error,
}

fn trouble<E: Into<io::Error>>(
    doing: &'static str,
    path: impl Into<PathBuf>,
) -> impl FnOnce(E) -> Trouble {
    move |error| Trouble {
        doing,
        path: path.into(),
        error: error.into(),
    }
}

impl Trouble {
    fn tell(&self) -> u8 {
        tell(self.doing, &self.path, &self.error)
    }
}

/// Runs the program with its words in a sandbox, and ends as it does. Without a program, the sandbox is made and that
/// is all.
pub(crate) fn sandboxed(view: &View, folder: &Path, words: &[OsString]) -> u8 {
    match outside(view, folder, words) {
        Ok(status) => status,
        Err(trouble) => trouble.tell(),
    }
}

/// The part of the process that was started.
fn outside(view: &View, folder: &Path, words: &[OsString]) -> Result<u8, Trouble> {
    let words: Vec<CString> = words
        .iter()
        .map(|word| CString::new(word.as_bytes()))
        .collect::<Result<_, _>>()
        .map_err(|error| trouble("start", folder)(io::Error::from(error)))?;
    let run = rustix::process::getppid();
    close_all();
    // What is asked to end is the program.
    let all = SigSet::all();
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&all), None)
        .map_err(|errno| trouble("block signals of", folder)(io::Error::from(errno)))?;
    let folder = fs::canonicalize(folder).map_err(trouble("find", folder))?;
    let copied = copied(view)?;
    let (status, told) = super::super::pipe().map_err(trouble("make a pipe for", &*folder))?;
    unshare(
        view.network,
        UnshareFlags::NEWPID | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS,
    )?;
    end_with(run)?;
    let inner = Inner {
        view,
        folder: &folder,
        copied: &copied,
    };
    let Some(first) = fork().map_err(trouble("fork in", &*folder))? else {
        drop(status);
        leave(match inner.alone(&words, told) {
            Ok(()) => 0,
            Err(trouble) => trouble.tell(),
        });
    };
    drop(told);
    let mut code = [0; 4];
    let told = File::from(status).read_exact(&mut code).is_ok();
    let own = wait(first);
    Ok(end_as(if told {
        ExitStatus::from_raw(i32::from_ne_bytes(code))
    } else {
        own
    }))
}

/// The bytes of what is copied, and where they are to be.
fn copied(view: &View) -> Result<Vec<(&Path, Vec<u8>)>, Trouble> {
    let files = view.copied.iter();
    files
        .map(|(from, at)| Ok((&**at, fs::read(from).map_err(trouble("read", from))?)))
        .collect()
}

/// Takes leave of the host's namespaces for users, mounts, perhaps network and `more`, as the user that this process has.
#[allow(unsafe_code)]
fn unshare(network: bool, more: UnshareFlags) -> Result<(), Trouble> {
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    let mut flags = UnshareFlags::NEWUSER | UnshareFlags::NEWNS | more;
    if !network {
        flags |= UnshareFlags::NEWNET;
    }
    // SAFETY: what is dangerous is a table of descriptors of one thread's own, which is not asked for.
    let left = unsafe { rustix::thread::unshare_unsafe(flags) };
    left.map_err(trouble("make namespaces for", "a user"))?;
    let (user, group) = (user.as_raw(), group.as_raw());
    for (file, text) in [
        ("/proc/self/setgroups", "deny".to_owned()),
        ("/proc/self/uid_map", format!("{user} {user} 1")),
        ("/proc/self/gid_map", format!("{group} {group} 1")),
    ] {
        fs::write(file, text).map_err(trouble("write to", file))?;
    }
    Ok(())
}

/// What the first process in there works with.
struct Inner<'a> {
    view: &'a View,
    folder: &'a Path,
    copied: &'a [(&'a Path, Vec<u8>)],
}

impl Inner<'_> {
    /// The part of the first process in there, where nothing was made before.
    fn alone(&self, words: &[CString], told: OwnedFd) -> Result<(), Trouble> {
        hide()?;
        self.make()?;
        if !self.view.network {
            raise_loopback().map_err(trouble("raise the loopback of", HERE))?;
        }
        self.run(words, None, told)
    }

    /// Runs the program, with these variables or those of this process.
    fn run(
        &self,
        words: &[CString],
        variables: Option<&[CString]>,
        told: OwnedFd,
    ) -> Result<(), Trouble> {
        let here = Path::new(HERE);
        rustix::system::sethostname(b"localhost").map_err(trouble("name", here))?;
        give_up_rights().map_err(trouble("give up the rights of", here))?;
        let task = fs::metadata(TASK).map_err(trouble("look at", TASK))?;
        let lets = filter::Lets {
            network: self.view.network,
            setgid: task.mode() & libc::S_ISGID != 0,
        };
        filter::guard(lets).map_err(trouble("filter the calls of", here))?;
        let Some((program, words)) = words.split_first() else {
            return Ok(());
        };
        let child = fork().map_err(trouble("fork in", here))?;
        let Some(child) = child else {
            leave(self.start(program, words, variables));
        };
        let status = wait(child);
        // Nobody listens if that fails.
        let _ = File::from(told).write_all(&status.into_raw().to_ne_bytes());
        Ok(())
    }

    /// Becomes the program; or the exit status if that fails.
    fn start(&self, program: &CString, words: &[CString], variables: Option<&[CString]>) -> u8 {
        let shown = Path::new(std::ffi::OsStr::from_bytes(program.to_bytes()));
        if let Err(error) = std::env::set_current_dir(&self.view.folder) {
            return tell("go to", &self.view.folder, &error);
        }
        close_all();
        let error = become_program(program, words, variables);
        let text = format!("cannot start {shown:?}: {error}\n");
        let _ = rustix::io::write(rustix::stdio::stderr(), text.as_bytes());
        if error.kind() == io::ErrorKind::NotFound {
            127
        } else {
            126
        }
    }
}

/// Ends this process, and with it what it has in sandboxes, with the thread that started it: a run that is killed leaves
/// nothing running there. `run`: whose child it was when it began.
fn end_with(run: Option<Pid>) -> Result<(), Trouble> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(trouble("tie to its parent", HERE))?;
    if rustix::process::getppid() == run {
        return Ok(());
    }
    Err(trouble("tie to its parent", HERE)(Errno::SRCH))
}

/// Ends this process with its parent, and hides what it has of the host, its program above all, from all in there.
fn hide() -> Result<(), Trouble> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(trouble("tie to its parent", HERE))?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(trouble("hide", HERE))
}

/// Programs that talk to themselves do it over the loopback, which is down at first.
#[allow(unsafe_code)]
fn raise_loopback() -> io::Result<()> {
    use rustix::net::{AddressFamily, SocketType};
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    // SAFETY: all of it are numbers, for which zero is one.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(*b"lo") {
        *to = from.cast_signed();
    }
    let flags = libc::IFF_UP | libc::IFF_RUNNING;
    request.ifr_ifru.ifru_flags = libc::c_short::try_from(flags).unwrap_or_default();
    // SAFETY: the kernel reads one such request, which stays where it is meanwhile.
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Neither this process nor what it starts has rights over the namespaces, or can get any: not as root, and not
/// by programs that give some.
#[allow(unsafe_code)]
fn give_up_rights() -> io::Result<()> {
    // SAFETY: numbers in, a number out; a keyring of its own in place of the user's. Where it fails there are none.
    unsafe { libc::syscall(libc::SYS_keyctl, libc::KEYCTL_JOIN_SESSION_KEYRING, 0) };
    rustix::thread::set_no_new_privs(true)?;
    rustix::thread::set_capabilities_secure_bits(
        CapabilitiesSecureBits::NO_ROOT
            | CapabilitiesSecureBits::NO_ROOT_LOCKED
            | CapabilitiesSecureBits::NO_SETUID_FIXUP
            | CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED
            | CapabilitiesSecureBits::KEEP_CAPS_LOCKED
            | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE
            | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE_LOCKED,
    )?;
    let none = CapabilitySet::empty();
    rustix::thread::set_capabilities(
        None,
        CapabilitySets {
            effective: none,
            permitted: none,
            inheritable: none,
        },
    )?;
    Ok(())
}

/// In the child, none.
#[allow(unsafe_code)]
fn fork() -> io::Result<Option<Pid>> {
    // SAFETY: this process has one thread, so that its child has all that it has.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        child => Ok(Pid::from_raw(child)),
    }
}

/// Ends the process as it is.
#[allow(unsafe_code)]
fn leave(status: u8) -> ! {
    // SAFETY: it does not come back, and what the parent registered for its end is not the child's.
    unsafe { libc::_exit(status.into()) }
}

/// Waits for the end of that child, and takes leave of others that came to this process.
fn wait(child: Pid) -> ExitStatus {
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((ended, status))) if ended == child => {
                return ExitStatus::from_raw(status.as_raw());
            }
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return ExitStatus::from_raw(i32::from(FAILED) << 8),
        }
    }
}

/// Nothing of what this process was started with passes but standard input and outputs: a folder that is
/// open is a way out.
#[allow(unsafe_code)]
fn close_all() {
    // SAFETY: nothing here uses a descriptor after that.
    unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) };
}

/// Becomes the program with these variables, or those of this process; or why not.
#[allow(unsafe_code)]
fn become_program(
    program: &CString,
    words: &[CString],
    variables: Option<&[CString]>,
) -> io::Error {
    // SAFETY: the default does nothing in this process; Rust's runtime has it ignored.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    let mut name_and_words = Vec::from([program.clone()]);
    name_and_words.extend_from_slice(words);
    let none = SigSet::empty();
    if let Err(errno) = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&none), None) {
        return errno.into();
    }
    let done = match variables {
        None => nix::unistd::execv(program, &name_and_words),
        Some(variables) => nix::unistd::execve(program, &name_and_words, variables),
    };
    match done {
        Ok(never) => match never {},
        Err(errno) => errno.into(),
    }
}

/// Ends this process as another one has ended, or gives its exit status.
#[allow(unsafe_code)]
fn end_as(status: ExitStatus) -> u8 {
    let Some(signal) = status.signal() else {
        return u8::try_from(status.code().unwrap_or_default()).unwrap_or(FAILED);
    };
    let no_core = rustix::process::Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let _ = rustix::process::setrlimit(rustix::process::Resource::Core, no_core);
    // SAFETY: what it does by default, and nothing else, happens on the signal.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
    // SAFETY: it is sent to this process.
    unsafe { libc::raise(signal) };
    128 + u8::try_from(signal).unwrap_or_default()
}
