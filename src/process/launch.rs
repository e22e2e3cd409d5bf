//! A program that is started with files in place of some of its descriptors.
//!
//! They are opened by the child, not here: what this process has open for writing, even for a
//! moment, is also open in every child that another thread is starting just then.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::fcntl::OFlag;
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::SigSet;
use nix::sys::stat::Mode;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal};

use super::{Groups, Pipes, RunError};
use crate::sys::{self, descriptors};

/// What becomes of a descriptor before the program starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opening {
    /// The file at this path, for reading.
    Read(i32, CString),
    /// The file at this path, for writing, empty; made if it is not there.
    Write(i32, CString),
    /// The file at this path, for writing at its end; made if it is not there.
    Append(i32, CString),
    /// The same as the second one is at that moment.
    Same(i32, i32),
}

/// A program ready to be started, again and again.
#[derive(Debug)]
pub struct Launch {
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
}

/// What a member of a pipeline is started with.
struct Place<'a> {
    /// What it reads, unless nothing.
    input: Option<&'a OwnedFd>,
    /// What it writes to, unless that is kept.
    output: Option<&'a OwnedFd>,
}

impl Launch {
    /// Ready to start `program` with these words, the first of which is its name, and variables.
    /// Unless `openings` say otherwise, nothing is its input, and its outputs are connected to the
    /// pipes.
    pub fn new(
        program: &Path,
        words: Vec<CString>,
        variables: &BTreeMap<OsString, OsString>,
        openings: &[Opening],
        pipes: &Pipes,
    ) -> io::Result<Self> {
        let pipes = [
            pipes.stdout.write.as_raw_fd(),
            pipes.stderr.write.as_raw_fd(),
        ];
        let place = Place {
            input: None,
            output: None,
        };
        Ok(Self {
            program: CString::new(program.as_os_str().as_bytes())?,
            words,
            names: variables.keys().cloned().collect(),
            variables: variables
                .iter()
                .map(|(name, value)| pair(name, value))
                .collect::<Result<_, _>>()?,
            alone: place.files(pipes, openings)?,
            how: attributes()?,
            openings: openings.to_vec(),
            pipes,
        })
    }

    /// Changes the value of one of its variables.
    pub fn set(&mut self, name: &str, value: &OsStr) -> io::Result<()> {
        let name = OsStr::new(name);
        if let Ok(at) = self.names.binary_search_by(|one| one.as_os_str().cmp(name)) {
            self.variables[at] = pair(name, value)?;
        }
        Ok(())
    }

    /// Starts it with what is returned as its input.
    pub(super) fn spawn_fed(&self) -> io::Result<(Pid, OwnedFd)> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        let place = Place {
            input: Some(&read),
            output: None,
        };
        let files = place.files(self.pipes, &self.openings)?;
        Ok((self.spawn(&files)?, write))
    }

    fn spawn(&self, files: &PosixSpawnFileActions) -> io::Result<Pid> {
        let _limit = descriptors::for_a_child();
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
pub(super) fn spawn(pipeline: &[Launch]) -> Result<Groups, RunError> {
    if let [launch] = pipeline {
        let pid = launch.spawn(&launch.alone).map_err(RunError::Spawn)?;
        return Ok(pid.into());
    }
    let mut started: Option<Groups> = None;
    let mut input: Option<OwnedFd> = None;
    for (number, launch) in pipeline.iter().enumerate() {
        let last = number + 1 == pipeline.len();
        match next_to(launch, input.as_ref(), last) {
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
                    let _ = super::reap(pid);
                }
                let program = launch.program.to_string_lossy();
                let error = io::Error::new(error.kind(), format!("{program}: {error}"));
                return Err(RunError::Io(error));
            }
        }
    }
    started.ok_or(RunError::Refused)
}

/// Starts a member of a pipeline; with what the next one reads, unless it is the `last`.
fn next_to(
    launch: &Launch,
    input: Option<&OwnedFd>,
    last: bool,
) -> io::Result<(Pid, Option<OwnedFd>)> {
    let (read, write) = if last {
        (None, None)
    } else {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        (Some(read), Some(write))
    };
    let place = Place {
        input,
        output: write.as_ref(),
    };
    let files = place.files(launch.pipes, &launch.openings)?;
    Ok((launch.spawn(&files)?, read))
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
