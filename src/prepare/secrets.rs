//! Secrets: what a run is given for its scripts and nobody else.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use crate::model::secret;
use crate::sys;
use crate::text::mask::{Mask, without_ends};

/// Those that a run is given. Their files are there as long as this is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Secrets {
    given: BTreeMap<String, Arc<Secret>>,
    /// Variables of the host that no script has.
    hidden: BTreeSet<OsString>,
    mask: Option<Arc<Mask>>,
}

/// Where one is.
#[derive(Debug)]
struct Secret {
    path: PathBuf,
    /// Closed, the file is gone.
    _file: OwnedFd,
}

/// What cannot be a secret.
#[derive(Debug)]
pub(crate) enum BadSecret {
    /// It is found everywhere.
    Short,
    /// It cannot be kept in memory.
    Memory(io::Error),
    /// There are no files in memory.
    Nowhere,
}

impl fmt::Display for BadSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => write!(
                f,
                "it has fewer than {} bytes, and could not be kept out of what scripts write",
                Mask::LEAST
            ),
            Self::Memory(error) => write!(f, "it cannot be kept in memory: {error}"),
            Self::Nowhere => f.write_str("this system has no files in memory"),
        }
    }
}

impl BadSecret {
    /// What to do about it.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::Short => "take a longer one",
            Self::Memory(_) => "see what limits memory and open files",
            Self::Nowhere => "secrets are never on a disk; run steps with `secrets` on Linux",
        }
    }
}

impl Secrets {
    /// Takes one in, in place of one that was given before.
    pub(crate) fn give(&mut self, name: &str, bytes: &[u8]) -> Result<(), BadSecret> {
        if without_ends(bytes).len() < Mask::LEAST {
            return Err(BadSecret::Short);
        }
        let kept = sys::in_memory(bytes).map_err(BadSecret::Memory)?;
        let (file, path) = kept.ok_or(BadSecret::Nowhere)?;
        let secret = Secret { path, _file: file };
        self.given.insert(name.to_owned(), Arc::new(secret));
        let mut mask = self.mask.as_deref().cloned().unwrap_or_default();
        mask.add(bytes);
        self.mask = Some(Arc::new(mask));
        Ok(())
    }

    /// No script is to have that variable of the host.
    pub(crate) fn hide(&mut self, variable: OsString) {
        self.hidden.insert(variable);
    }

    /// The variables of the host that no script has.
    pub(crate) fn hidden(&self) -> &BTreeSet<OsString> {
        &self.hidden
    }

    /// Whether one of that name is given.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.given.contains_key(name)
    }

    /// What is to be kept out of what scripts write; none where nothing is given.
    pub(crate) fn mask(&self) -> Option<&Arc<Mask>> {
        self.mask.as_ref()
    }

    /// Those of a step that are given: their variables, with the paths.
    pub(super) fn of_step(&self, names: &[String]) -> Vec<(String, OsString)> {
        let given = names.iter().filter_map(|name| {
            let secret = self.given.get(name)?;
            Some((secret::variable(name), secret.path.clone().into()))
        });
        given.collect()
    }

    /// Those of a step that are not.
    pub(super) fn lacking(&self, names: &[String]) -> Box<[String]> {
        let lacking = names.iter().filter(|name| !self.has(name));
        lacking.cloned().collect()
    }
}
