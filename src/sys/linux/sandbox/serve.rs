//! Sandboxes one after the other, for the tasks of one step: what is the same for all of them is made once.
//!
//! It is told on its standard input which folder a task has, and what its own variables are, and tells by a
//! FIFO how the script ended, as a warm shell does. Users and network are of one namespace for all: of a task
//! that has ended no process is left that could have anything in it. All else is each task's own.

use std::ffi::{CString, OsString};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::ExitStatus;

use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use rustix::process::Pid;
use rustix::thread::UnshareFlags;

use super::{
    Inner, Trouble, close_all, copied, end_with, hide, leave, raise_loopback, trouble, unshare,
};
use crate::sys::Usage;
use crate::sys::sandbox::{FAILED, View};

/// How many closed connections a network may remember.
const WAITING: &str = "/proc/sys/net/ipv4/tcp_max_tw_buckets";

/// Serves until nobody is there any more to say what: the exit status. `fifo`: where it tells.
pub(crate) fn serve(view: &View, fifo: &Path, words: &[OsString]) -> u8 {
    match Server::new(view, fifo, words).and_then(Server::run) {
        Ok(()) => 0,
        Err(trouble) => trouble.tell(),
    }
}

struct Server<'a> {
    view: &'a View,
    copied: Vec<(&'a Path, Vec<u8>)>,
    words: Vec<CString>,
    variables: Vec<CString>,
    answers: File,
    /// What came that is not of the task at hand.
    rest: Vec<u8>,
}

impl<'a> Server<'a> {
    /// Makes what is the same for all tasks, and says that it is there.
    fn new(view: &'a View, fifo: &Path, words: &[OsString]) -> Result<Self, Trouble> {
        let run = rustix::process::getppid();
        close_all();
        let all = SigSet::all();
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&all), None)
            .map_err(|errno| trouble("block signals of", fifo)(io::Error::from(errno)))?;
        let words = words.iter().map(|word| CString::new(word.as_bytes()));
        let words = words.collect::<Result<_, _>>();
        let variables = std::env::vars_os()
            .map(|(name, value)| CString::new([name.as_bytes(), b"=", value.as_bytes()].concat()));
        let variables = variables.collect::<Result<_, _>>();
        let bad = |error| trouble("start", fifo)(io::Error::from(error));
        let mut server = Self {
            view,
            copied: copied(view)?,
            words: words.map_err(bad)?,
            variables: variables.map_err(bad)?,
            answers: File::options()
                .write(true)
                .open(fifo)
                .map_err(trouble("open", fifo))?,
            rest: Vec::new(),
        };
        unshare(view.network, UnshareFlags::empty())?;
        if !view.network {
            // Else a port stays taken for a minute after the task that served there. Without it, it is so.
            let _ = std::fs::write(WAITING, "0");
        }
        end_with(run)?;
        server.inner(Path::new("/")).make_base()?;
        if !view.network {
            raise_loopback().map_err(trouble("raise the loopback of", fifo))?;
        }
        server.answer(b"0\n").map_err(trouble("write to", fifo))?;
        Ok(server)
    }

    fn inner<'i>(&'i self, folder: &'i Path) -> Inner<'i> {
        Inner {
            view: self.view,
            folder,
            copied: &self.copied,
        }
    }

    fn answer(&mut self, text: &[u8]) -> io::Result<()> {
        self.answers.write_all(text)
    }

    fn run(mut self) -> Result<(), Trouble> {
        while let Some((folder, own)) = self.next().map_err(trouble("read from", "the run"))? {
            let (status, used) = self.task(folder.as_ref(), &own)?;
            let used = used.to_line();
            let text = match status.signal() {
                // A line before that says that it is the number of a signal.
                Some(signal) => format!("signal\n{used}{}\n", 128 + signal),
                None => format!("{used}{}\n", status.code().unwrap_or(FAILED.into())),
            };
            self.answer(text.as_bytes())
                .map_err(trouble("write to", "the run"))?;
        }
        Ok(())
    }

    /// The next task's folder and its own variables; none when all is over.
    fn next(&mut self) -> io::Result<Option<(OsString, Vec<CString>)>> {
        let mut buffer = [0; 4096];
        let end = loop {
            let mut ends = self.rest.windows(2);
            if let Some(end) = ends.position(|two| two == b"\0\0") {
                break end;
            }
            match io::stdin().lock().read(&mut buffer) {
                Ok(0) => return Ok(None),
                Ok(length) => self.rest.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        };
        let message: Vec<u8> = self.rest.drain(..end + 2).take(end).collect();
        let mut parts = message.split(|byte| *byte == 0).map(<[u8]>::to_vec);
        let folder = OsString::from_vec(parts.next().unwrap_or_default());
        let own = parts.map(CString::new).collect::<Result<_, _>>()?;
        Ok(Some((folder, own)))
    }

    /// Runs a task to its end: how it ended, and what it took.
    fn task(&self, folder: &Path, own: &[CString]) -> Result<(ExitStatus, Usage), Trouble> {
        let failed = |error| trouble("make a process for", folder)(error);
        let (status, told) = super::super::super::pipe().map_err(failed)?;
        let Some(first) = fork_apart().map_err(failed)? else {
            drop(status);
            let ended = hide().and_then(|()| self.first(folder, own, told));
            leave(match ended {
                Ok(()) => 0,
                Err(trouble) => trouble.tell(),
            });
        };
        drop(told);
        let mut code = [0; 4];
        let told = File::from(status).read_exact(&mut code).is_ok();
        let (ended, used) = crate::sys::wait(first).map_err(failed)?;
        let status = if told {
            ExitStatus::from_raw(i32::from_ne_bytes(code))
        } else {
            ended
        };
        Ok((status, used))
    }

    /// The part of the first process in there.
    fn first(&self, folder: &Path, own: &[CString], told: OwnedFd) -> Result<(), Trouble> {
        self.inner(folder).make_on_base()?;
        // What this process is told on is no task's business.
        let nothing = File::open("/dev/null").map_err(trouble("open", "/dev/null"))?;
        rustix::stdio::dup2_stdin(&nothing).map_err(trouble("open", "/dev/null"))?;
        let name = |pair: &CString| {
            let bytes = pair.as_bytes();
            let end = bytes.iter().position(|byte| *byte == b'=');
            bytes[..end.unwrap_or(bytes.len())].to_vec()
        };
        let names: Vec<Vec<u8>> = own.iter().map(name).collect();
        let lasting = self.variables.iter();
        let lasting = lasting.filter(|pair| !names.contains(&name(pair)));
        let variables: Vec<CString> = lasting.chain(own).cloned().collect();
        self.inner(folder).run(&self.words, Some(&variables), told)
    }
}

/// As `fork`, with the child in namespaces of its own for mounts, processes, shared memory and names, the first
/// there.
#[allow(unsafe_code)]
fn fork_apart() -> io::Result<Option<Pid>> {
    let flags = libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::SIGCHLD;
    // SAFETY: without a stack of its own the child goes on with a copy of this one, as after `fork`; this process
    // has one thread.
    match unsafe { libc::syscall(libc::SYS_clone, libc::c_long::from(flags), 0, 0, 0, 0) } {
        -1 => Err(io::Error::last_os_error()),
        child => Ok(i32::try_from(child).ok().and_then(Pid::from_raw)),
    }
}
