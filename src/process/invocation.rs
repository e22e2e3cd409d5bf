//! A process to be started, as one value.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Pipes, SpawnSpec};

/// Environment variables.
pub(crate) type Variables = BTreeMap<OsString, OsString>;

/// All that decides what a process does. Whoever runs a script makes one of these, whether a shell
/// has a part in it or not; [`Self::within`] is where all of them can be put into something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Invocation {
    /// The program's file.
    pub program: PathBuf,
    /// Its name, and its arguments.
    pub words: Vec<CString>,
    /// All of its environment.
    pub variables: Variables,
    /// Where it starts. This process is there itself by then, and what it starts begins there.
    pub folder: PathBuf,
    /// What becomes of its descriptors, in this order. Before that, nothing is its input, and its
    /// outputs are connected to the pipes.
    pub openings: Vec<Opening>,
    /// What it may take.
    pub limits: Limits,
}

/// What a process may take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Its time. Then it is asked to end, and killed where it does not: see [`Handle::new`](super::Handle::new).
    pub time: Option<Duration>,
}

/// What becomes of a descriptor before the program starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Opening {
    /// The file at this path, for reading.
    Read(i32, CString),
    /// The file at this path, for writing, empty; made if it is not there.
    Write(i32, CString),
    /// The file at this path, for writing at its end; made if it is not there.
    Append(i32, CString),
    /// The same as the second one is at that moment.
    Same(i32, i32),
}

impl Invocation {
    /// The same as the last arguments of another program, which is to become it or to wait for it:
    /// a sandbox, `nice`, `srun`. The name that the program is called by is lost.
    pub(crate) fn within(self, program: &Path, arguments: &[&OsStr]) -> io::Result<Self> {
        let outer = std::iter::once(program.as_os_str()).chain(arguments.iter().copied());
        let inner = std::iter::once(self.program.as_os_str());
        let words = outer.chain(inner).map(|word| CString::new(word.as_bytes()));
        let mut words: Vec<CString> = words.collect::<Result<_, _>>()?;
        words.extend(self.words.into_iter().skip(1));
        Ok(Self {
            program: program.to_owned(),
            words,
            ..self
        })
    }

    /// Ready to be started, again and again, with its outputs connected to `pipes`.
    pub(crate) fn prepare(self, pipes: &Pipes) -> io::Result<SpawnSpec> {
        debug_assert!(
            !std::env::current_dir().is_ok_and(|here| here != self.folder),
            "nothing is started elsewhere"
        );
        SpawnSpec::new(self, pipes)
    }
}
