//! An [`Invocation`] becomes a process.
//!
//! The files in place of its descriptors are opened by the child, not here: what this process has open for writing, even for a
//! moment, is also open in every child that another thread is starting just then.

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use nix::fcntl::OFlag;
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::SigSet;
use nix::sys::stat::Mode;
use rustix::process::{Pid, Signal};

use super::{Groups, Invocation, Limits, Opening, Pipes, RunError};
use crate::sys::{self, descriptors};

/// An [`Invocation`] ready to be started, again and again.
#[derive(Debug)]
pub(crate) struct SpawnSpec {
    program: CString,
    words: Vec<CString>,
    /// In order of their names, as the standard library gives them.
    names: Vec<OsString>,
    variables: Vec<CString>,
    openings: Vec<Opening>,
    /// For the outputs.
    pipes: [RawFd; 2],
    /// What it takes to start it alone.
    alone: PosixSpawnFileActions,
    how: PosixSpawnAttr,
    limits: Limits,
}

/// What a member of a pipeline is started with.
struct Place<'a> {
    /// What it reads, unless nothing.
    input: Option<&'a OwnedFd>,
    /// What it writes to, unless that is kept.
    output: Option<&'a OwnedFd>,
}

impl SpawnSpec {
    pub(super) fn new(invocation: Invocation, pipes: &Pipes) -> io::Result<Self> {
        let Invocation {
            program,
            words,
            variables,
            folder: _,
            openings,
            limits,
        } = invocation;
        let pipes = [
            pipes.stdout.write.as_raw_fd(),
            pipes.stderr.write.as_raw_fd(),
        ];
        let place = Place {
            input: None,
            output: None,
        };
        let pairs = variables.iter().map(|(name, value)| pair(name, value));
        Ok(Self {
            program: CString::new(program.into_os_string().into_vec())?,
            words,
            variables: pairs.collect::<Result<_, _>>()?,
            names: variables.into_keys().collect(),
            alone: place.files(pipes, &openings)?,
            how: attributes()?,
            openings,
            pipes,
            limits,
        })
    }

    /// What its process may take.
    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// Changes the value of one of its variables.
    pub(crate) fn set(&mut self, name: &str, value: &OsStr) -> io::Result<()> {
        let name = OsStr::new(name);
        if let Ok(at) = self.names.binary_search_by(|one| one.as_os_str().cmp(name)) {
            self.variables[at] = pair(name, value)?;
        }
        Ok(())
    }

    /// Starts it with what is returned as its input.
    pub(super) fn spawn_fed(&self) -> io::Result<(Pid, OwnedFd)> {
        let (read, write) = sys::pipe()?;
        let place = Place {
            input: Some(&read),
            output: None,
        };
        let files = place.files(self.pipes, &self.openings)?;
        Ok((self.spawn(&files)?, write))
    }

    fn spawn(&self, files: &PosixSpawnFileActions) -> io::Result<Pid> {
        let _limit = descriptors::for_a_child();
        let _starting = sys::starting_a_child();
        let pid = posix_spawn(
            self.program.as_c_str(),
            files,
            &self.how,
            &self.words,
            &self.variables,
        )?;
        Pid::from_raw(pid.as_raw()).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }
}

/// Starts them all, each to read what the one before it writes. If one cannot be started, those
/// before it are killed: [`RunError::Spawn`] means that there were none.
pub(super) fn spawn(pipeline: &[SpawnSpec]) -> Result<Groups, RunError> {
    if let [spec] = pipeline {
        let pid = spec.spawn(&spec.alone).map_err(RunError::Spawn)?;
        return Ok(pid.into());
    }
    let mut started: Option<Groups> = None;
    let mut input: Option<OwnedFd> = None;
    for (number, spec) in pipeline.iter().enumerate() {
        let last = number + 1 == pipeline.len();
        match next_to(spec, input.as_ref(), last) {
            Ok((pid, read)) => {
                match &mut started {
                    Some(groups) => groups.push(pid),
                    none => *none = Some(pid.into()),
                }
                // What it reads is now open in it alone.
                input = read;
            }
            Err(error) => {
                let Some(groups) = started else {
                    return Err(RunError::Spawn(error));
                };
                groups.signal(Signal::KILL);
                for pid in groups.leaders() {
                    let _ = sys::wait(pid);
                }
                let program = spec.program.to_string_lossy();
                let error = io::Error::new(error.kind(), format!("{program}: {error}"));
                return Err(RunError::Io(error));
            }
        }
    }
    started.ok_or(RunError::Refused)
}

/// Starts a member of a pipeline; with what the next one reads, unless it is the `last`.
fn next_to(
    spec: &SpawnSpec,
    input: Option<&OwnedFd>,
    last: bool,
) -> io::Result<(Pid, Option<OwnedFd>)> {
    let (read, write) = if last {
        (None, None)
    } else {
        let (read, write) = sys::pipe()?;
        (Some(read), Some(write))
    };
    let place = Place {
        input,
        output: write.as_ref(),
    };
    let files = place.files(spec.pipes, &spec.openings)?;
    Ok((spec.spawn(&files)?, read))
}

impl Place<'_> {
    fn files(&self, pipes: [RawFd; 2], openings: &[Opening]) -> io::Result<PosixSpawnFileActions> {
        let mut files = PosixSpawnFileActions::init()?;
        let mode = Mode::from_bits_truncate(0o666);
        let read = OFlag::O_RDONLY;
        let write = OFlag::O_WRONLY | OFlag::O_CREAT;
        match self.input {
            Some(input) => files.add_dup2(input.as_raw_fd(), 0)?,
            None => files.add_open(0, c"/dev/null", read, mode)?,
        }
        files.add_dup2(self.output.map_or(pipes[0], AsRawFd::as_raw_fd), 1)?;
        files.add_dup2(pipes[1], 2)?;
        for opening in openings {
            match opening {
                Opening::Read(fd, path) => files.add_open(*fd, path.as_c_str(), read, mode)?,
                Opening::Write(fd, path) => {
                    files.add_open(*fd, path.as_c_str(), write | OFlag::O_TRUNC, mode)?;
                }
                Opening::Append(fd, path) => {
                    files.add_open(*fd, path.as_c_str(), write | OFlag::O_APPEND, mode)?;
                }
                Opening::Same(fd, other) => files.add_dup2(*other, *fd)?,
            }
        }
        Ok(files)
    }
}

/// A session of its own, and nothing of what this process does about signals, or was started with.
fn attributes() -> io::Result<PosixSpawnAttr> {
    let mut attributes = PosixSpawnAttr::init()?;
    let alone = match sys::SPAWN_SETSID {
        Some(flag) => PosixSpawnFlags::from_bits_retain(flag),
        None => PosixSpawnFlags::POSIX_SPAWN_SETPGROUP,
    };
    attributes.set_flags(
        alone | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF | PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK,
    )?;
    attributes.set_pgroup(nix::unistd::Pid::from_raw(0))?;
    attributes.set_sigmask(&SigSet::empty())?;
    let mut default = SigSet::all();
    // Nobody can do anything about these.
    default.remove(nix::sys::signal::Signal::SIGKILL);
    default.remove(nix::sys::signal::Signal::SIGSTOP);
    attributes.set_sigdefault(&default)?;
    Ok(attributes)
}

/// `NAME=value`.
fn pair(name: &OsStr, value: &OsStr) -> io::Result<CString> {
    let bytes = [name.as_bytes(), b"=", value.as_bytes()].concat();
    Ok(CString::new(bytes)?)
}
