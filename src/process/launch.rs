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

use super::{Pipes, RunError};

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
    alone: (PosixSpawnFileActions, PosixSpawnAttr),
}

/// What a member of a pipeline is started with.
struct Place<'a> {
    /// The process group; none for the first, which leads it.
    group: Option<Pid>,
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
            group: None,
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
            alone: (place.files(pipes, openings)?, place.attributes()?),
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

    fn spawn(&self, files: &PosixSpawnFileActions, how: &PosixSpawnAttr) -> io::Result<Pid> {
        let pid = posix_spawn(
            self.program.as_c_str(),
            files,
            how,
            &self.words,
            &self.variables,
        )?;
        Pid::from_raw(pid.as_raw()).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }
}

/// Starts them all, each to read what the one before it writes, in a process group that the first
/// leads. If one cannot be started, those before it are killed: [`RunError::Spawn`] means that
/// there were none.
pub(super) fn spawn(pipeline: &[Launch]) -> Result<Vec<Pid>, RunError> {
    if let [launch] = pipeline {
        let (files, attributes) = &launch.alone;
        let pid = launch.spawn(files, attributes).map_err(RunError::Spawn)?;
        return Ok(vec![pid]);
    }
    let mut pids = Vec::with_capacity(pipeline.len());
    let mut input: Option<OwnedFd> = None;
    for (number, launch) in pipeline.iter().enumerate() {
        let last = number + 1 == pipeline.len();
        match next_to(launch, pids.first().copied(), input.as_ref(), last) {
            Ok((pid, read)) => {
                pids.push(pid);
                // What it reads is now open in it alone.
                input = read;
            }
            Err(error) => {
                let Some(group) = pids.first() else {
                    return Err(RunError::Spawn(error));
                };
                let _ = rustix::process::kill_process_group(*group, Signal::KILL);
                for pid in pids {
                    let _ = super::reap(pid);
                }
                let program = launch.program.to_string_lossy();
                let error = io::Error::new(error.kind(), format!("{program}: {error}"));
                return Err(RunError::Io(error));
            }
        }
    }
    Ok(pids)
}

/// Starts a member of a pipeline; with what the next one reads, unless it is the `last`.
fn next_to(
    launch: &Launch,
    group: Option<Pid>,
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
        group,
        input,
        output: write.as_ref(),
    };
    let files = place.files(launch.pipes, &launch.openings)?;
    let pid = launch.spawn(&files, &place.attributes()?)?;
    Ok((pid, read))
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

    fn attributes(&self) -> io::Result<PosixSpawnAttr> {
        let mut attributes = PosixSpawnAttr::init()?;
        attributes.set_flags(
            PosixSpawnFlags::POSIX_SPAWN_SETPGROUP
                | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF
                | PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK,
        )?;
        let group = self.group.map_or(0, |group| group.as_raw_nonzero().get());
        attributes.set_pgroup(nix::unistd::Pid::from_raw(group))?;
        attributes.set_sigmask(&SigSet::empty())?;
        // Rust programs ignore it; what is ignored stays so in children.
        let mut default = SigSet::empty();
        default.add(nix::sys::signal::Signal::SIGPIPE);
        attributes.set_sigdefault(&default)?;
        Ok(attributes)
    }
}

/// `NAME=value`.
fn pair(name: &OsStr, value: &OsStr) -> io::Result<CString> {
    let bytes = [name.as_bytes(), b"=", value.as_bytes()].concat();
    Ok(CString::new(bytes)?)
}
