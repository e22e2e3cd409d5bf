//! A program that is started with files in place of some of its descriptors.
//!
//! They are opened by the child, not here: what this process has open for writing, even for a
//! moment, is also open in every child that another thread is starting just then.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::fcntl::OFlag;
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::stat::Mode;
use rustix::process::Pid;

use super::Pipes;

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
    files: PosixSpawnFileActions,
    attributes: PosixSpawnAttr,
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
        let mut files = PosixSpawnFileActions::init()?;
        let mode = Mode::from_bits_truncate(0o666);
        let read = OFlag::O_RDONLY;
        let write = OFlag::O_WRONLY | OFlag::O_CREAT;
        files.add_open(0, c"/dev/null", read, mode)?;
        files.add_dup2(pipes.stdout.write.as_raw_fd(), 1)?;
        files.add_dup2(pipes.stderr.write.as_raw_fd(), 2)?;
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
        let mut attributes = PosixSpawnAttr::init()?;
        attributes.set_flags(
            PosixSpawnFlags::POSIX_SPAWN_SETPGROUP
                | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF
                | PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK,
        )?;
        attributes.set_pgroup(nix::unistd::Pid::from_raw(0))?;
        attributes.set_sigmask(&SigSet::empty())?;
        // Rust programs ignore it; what is ignored stays so in children.
        let mut default = SigSet::empty();
        default.add(Signal::SIGPIPE);
        attributes.set_sigdefault(&default)?;
        Ok(Self {
            program: CString::new(program.as_os_str().as_bytes())?,
            words,
            names: variables.keys().cloned().collect(),
            variables: variables
                .iter()
                .map(|(name, value)| pair(name, value))
                .collect::<Result<_, _>>()?,
            files,
            attributes,
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

    /// Starts it, as the leader of a process group of its own.
    pub(super) fn spawn(&self) -> io::Result<Pid> {
        let pid = posix_spawn(
            self.program.as_c_str(),
            &self.files,
            &self.attributes,
            &self.words,
            &self.variables,
        )?;
        Pid::from_raw(pid.as_raw()).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }
}

/// `NAME=value`.
fn pair(name: &OsStr, value: &OsStr) -> io::Result<CString> {
    let bytes = [name.as_bytes(), b"=", value.as_bytes()].concat();
    Ok(CString::new(bytes)?)
}
