//! Why packages could not be had.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::model::installable::BadInstallable;
use crate::model::name::StepName;
use crate::text::Shown as _;

use super::command::CallError;
use super::failure::Failure;
use super::lock::LockError;
use super::path::Unreadable;
use super::roots::RootsError;
use super::store_path::BadStorePath;

/// Why packages could not be resolved or pinned.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A call of Nix gave no answer, and no package is to blame.
    #[error("{}{call}", for_steps(steps))]
    Call {
        /// The steps that it was for.
        steps: Vec<StepName>,
        /// What happened.
        call: CallError,
    },
    /// Packages that cannot be had: all of them.
    #[error("{}", list(.0))]
    Packages(Vec<BadPackage>),
    /// With `locked`: the lock file is missing or lacks references.
    #[error("{}", not_locked(lock, *exists, references))]
    NotLocked {
        /// The lock file.
        lock: PathBuf,
        /// Whether there is one.
        exists: bool,
        /// What it does not pin: the flake reference, and the steps that use it.
        references: Vec<(String, Vec<StepName>)>,
    },
    /// The lock file could not be read or written.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A GC root could not be looked at or made.
    #[error(transparent)]
    Roots(#[from] RootsError),
    /// A package's `propagated-user-env-packages` could not be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The store's folder, or a path said to be in it, is none.
    #[error(transparent)]
    Store(#[from] BadStorePath),
    /// A bare name cannot be looked up in `[nix] nixpkgs`.
    #[error("the package `{package}` cannot be looked up in nixpkgs = \"{nixpkgs}\": {why}")]
    Nixpkgs {
        /// The bare name.
        package: String,
        /// The setting.
        nixpkgs: String,
        /// What is wrong with the two together.
        why: BadInstallable,
    },
    /// Nothing that the lock file pins has this name.
    #[error("no pin is called `{name}`: {}", pins(known))]
    UnknownPin {
        /// The name that was given.
        name: String,
        /// The references that are pinned.
        known: Vec<String>,
    },
    /// Nix says that a store path is there, and it is not.
    #[error(
        "{path} is missing, and Nix did not bring it back (used by {})",
        steps_in_words(steps)
    )]
    Vanished {
        /// The store path.
        path: String,
        /// The steps that use it.
        steps: Vec<StepName>,
    },
    /// The file system says no.
    #[error("cannot {doing} {}: {source}", path.shown())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The cache could not keep an environment.
    #[error("cannot keep a resolved environment: {0}")]
    Cache(Box<dyn std::error::Error + Send + Sync>),
    /// The stop flag was set, or Nix was interrupted.
    #[error("interrupted while the packages were looked up")]
    Interrupted,
}

/// A package, or several of one flake, that cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadPackage {
    /// The texts in the manifest.
    pub packages: Vec<String>,
    /// The steps that ask for them.
    pub steps: Vec<StepName>,
    /// Why they cannot be had.
    pub failure: Failure,
}

impl Error {
    /// The next steps, one a line.
    pub(crate) fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Call { call, .. } => return call_hint(call),
            Self::Packages(bad) => {
                let mut hints: Vec<String> =
                    bad.iter().filter_map(|bad| bad.failure.hint()).collect();
                let mut seen = std::collections::BTreeSet::new();
                hints.retain(|hint| seen.insert(hint.clone()));
                if hints.is_empty() {
                    return None;
                }
                hints.join("\n")
            }
            Self::NotLocked { .. } => {
                "pin it with `task-pipeline lock`, and commit the lock file with the manifest"
                    .to_owned()
            }
            Self::Lock(lock) => lock.hint().to_owned(),
            Self::Nixpkgs { why, .. } => {
                return why
                    .suggestion
                    .as_ref()
                    .map(|meant| format!("did you mean `{meant}`?"));
            }
            Self::Vanished { .. } => {
                "the store is damaged: `nix-store --verify --check-contents --repair`".to_owned()
            }
            Self::Roots(roots) => roots.hint().to_owned(),
            Self::Io { path, .. } if path.starts_with(tempfile::env::temp_dir()) => {
                "set TMPDIR to a folder that you can write to".to_owned()
            }
            Self::Io { .. } => "check the folder's permissions".to_owned(),
            Self::Store(_) => "is NIX_STORE_DIR set, and right?".to_owned(),
            Self::Unreadable(_) | Self::UnknownPin { .. } | Self::Cache(_) | Self::Interrupted => {
                return None;
            }
        })
    }

    /// Whether the command line or the manifest is wrong, and no package.
    pub(crate) fn is_usage(&self) -> bool {
        matches!(self, Self::UnknownPin { .. } | Self::Nixpkgs { .. })
    }

    /// Why Nix cannot be asked, if that is all that is wrong.
    pub(super) fn absence(&self) -> Option<String> {
        match self {
            Self::Call { call, .. } => match call {
                CallError::Missing(_) | CallError::TooOld(_) | CallError::Run { .. } => {
                    Some(call.to_string())
                }
                CallError::Failed(failure) if failure.kind.is_of_daemon() => {
                    Some(failure.words.clone())
                }
                CallError::Failed(_) | CallError::Garbage { .. } | CallError::Interrupted => None,
            },
            Self::Packages(bad) => {
                let all = bad.iter().all(|bad| bad.failure.kind.is_of_daemon());
                let first = bad.first().filter(|_| all)?;
                Some(first.failure.words.clone())
            }
            Self::NotLocked { .. }
            | Self::Lock(_)
            | Self::Roots(_)
            | Self::Unreadable(_)
            | Self::Store(_)
            | Self::Nixpkgs { .. }
            | Self::UnknownPin { .. }
            | Self::Vanished { .. }
            | Self::Io { .. }
            | Self::Cache(_)
            | Self::Interrupted => None,
        }
    }

    /// For a call that was made for `steps`.
    pub(super) fn of_call(call: CallError, steps: &[StepName]) -> Self {
        match call {
            CallError::Interrupted => Self::Interrupted,
            CallError::Missing(_)
            | CallError::TooOld(_)
            | CallError::Run { .. }
            | CallError::Failed(_)
            | CallError::Garbage { .. } => Self::Call {
                steps: steps.to_vec(),
                call,
            },
        }
    }
}

fn pins(known: &[String]) -> String {
    if known.is_empty() {
        "the manifest has no package that is pinned".to_owned()
    } else {
        format!("there are {}", known.join(", "))
    }
}

fn call_hint(call: &CallError) -> Option<String> {
    Some(match call {
        CallError::Missing(_) => {
            "get Nix from https://nixos.org/download (Debian: `apt install nix-bin`), or run these \
             steps with the programs of this machine: `-host-env`"
        }
        CallError::TooOld(_) => {
            "get a newer one from https://nixos.org/download, or run these steps with the programs \
             of this machine: `-host-env`"
        }
        CallError::Garbage { .. } => {
            "is the `nix` that is first on PATH the real one? `nix --version` says which it is"
        }
        CallError::Failed(failure) => return failure.hint(),
        CallError::Run { .. } | CallError::Interrupted => return None,
    }
    .to_owned())
}

/// `step `a``, `steps `a`, `b``.
pub(super) fn steps_in_words(steps: &[StepName]) -> String {
    let names: Vec<String> = steps.iter().map(|step| format!("`{step}`")).collect();
    let noun = if names.len() == 1 { "step" } else { "steps" };
    format!("{noun} {}", names.join(", "))
}

fn for_steps(steps: &[StepName]) -> String {
    if steps.is_empty() {
        return String::new();
    }
    format!("the packages of {} cannot be had: ", steps_in_words(steps))
}

fn list(bad: &[BadPackage]) -> String {
    match bad {
        [one] => one.to_string(),
        several => {
            let mut text = format!("{} packages cannot be had:", several.len());
            for bad in several {
                text.push_str("\n- ");
                text.push_str(&bad.to_string().replace('\n', "\n  "));
            }
            text
        }
    }
}

impl fmt::Display for BadPackage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self
            .packages
            .iter()
            .map(|name| format!("`{name}`"))
            .collect();
        let noun = if names.len() == 1 {
            "package"
        } else {
            "packages"
        };
        let steps = steps_in_words(&self.steps);
        write!(
            f,
            "{noun} {} of {steps}: {}",
            names.join(", "),
            self.failure
        )
    }
}

fn not_locked(
    lock: &std::path::Path,
    exists: bool,
    references: &[(String, Vec<StepName>)],
) -> String {
    let names: Vec<String> = references
        .iter()
        .map(|(reference, steps)| format!("`{reference}` ({})", steps_in_words(steps)))
        .collect();
    let what = names.join(", ");
    let lock = lock.shown();
    if exists {
        format!("the lock file {lock} is stale: it does not pin {what}")
    } else {
        format!("the lock file {lock} is missing; to be pinned: {what}")
    }
}
