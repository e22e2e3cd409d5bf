//! Why files cannot be had.

use std::io;

use crate::store;
use crate::sys::Shortage;
use crate::text::quoted;

/// A failure to find or to read files.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// There is no such file.
    #[error("{} matches no file", quoted(.0))]
    Nothing(String),
    /// What it matches are folders.
    #[error(
        "{} matches no file, only folders, such as {}",
        quoted(glob),
        quoted(folder)
    )]
    Folders {
        /// The pattern.
        glob: String,
        /// The first of them.
        folder: String,
    },
    /// All that is there is taken out.
    #[error("{} finds nothing but what {} takes out", quoted(glob), quoted(by))]
    TakenOut {
        /// The pattern.
        glob: String,
        /// What takes out of it, or one of those.
        by: String,
    },
    /// There is no file of that name.
    #[error("there is no file {}", quoted(.0))]
    Absent(String),
    /// It leads into the folder in which no file is found.
    #[error("{} leads into the db folder, of which nothing is a file of the pipeline", quoted(.0))]
    Own(String),
    /// A link leads to nothing.
    #[error("{} is a link to {}, which is not there", quoted(path), quoted(target))]
    BrokenLink {
        /// The link.
        path: String,
        /// What it says.
        target: String,
    },
    /// A link leads to a folder that it lies in, or links lead to each other.
    #[error("{} goes round in a circle of links", quoted(.0))]
    Circle(String),
    /// Scripts could not be told of it.
    #[error("the name {} is not UTF-8", quoted(.0))]
    NotUtf8(String),
    /// It is neither a file nor a folder.
    #[error("{} is {kind}, not a file", quoted(path))]
    Special {
        /// What it is called.
        path: String,
        /// What it is.
        kind: &'static str,
    },
    /// There are more than anybody means.
    #[error("{} matches more than {most} files", quoted(glob))]
    TooMany {
        /// The pattern.
        glob: String,
        /// How many may be.
        most: usize,
    },
    /// It does not stand still.
    #[error("{} changes while it is read", quoted(.0))]
    Changing(String),
    /// Nobody wants them any more.
    #[error("interrupted")]
    Stopped,
    /// A file operation failed.
    #[error("cannot {action} {}: {source}", quoted(path))]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: String,
        /// Why it failed.
        source: io::Error,
    },
    /// Its bytes could not be kept.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Error {
    /// What to do about it.
    pub(super) fn advice(&self) -> &'static str {
        match self {
            Self::Nothing(_) => {
                "check the spelling: patterns begin in the manifest's folder, or where -workdir says; `*` \
                 does not match hidden files, and `**/` looks into folders"
            }
            Self::Folders { .. } => {
                "add `/*` at its end for the files in these folders, or `/**` for all below them"
            }
            Self::TakenOut { .. } => {
                "remove the one or the other: what is named is a dependency, or it is none"
            }
            Self::Absent(_) => "check the spelling",
            Self::Own(_) => "name files beside it: what the db holds changes with every run",
            Self::BrokenLink { .. } => "mend or remove the link",
            Self::Circle(_) => "remove the link, or name the files without going through it",
            Self::NotUtf8(_) => "rename it",
            Self::Special { .. } => "name only files; what a script waits for is no content",
            Self::TooMany { .. } => "name the files more closely",
            Self::Changing(_) => "run again when it is complete",
            Self::Stopped => "run again",
            Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "check its owner and mode, and those of the folders above it"
            }
            Self::Io { .. } => "run again when it can be read",
            Self::Store(_) => "check the db folder",
        }
    }

    /// What to do about it.
    pub(crate) fn hint(&self) -> &'static str {
        let shortage = self.shortage().map(Shortage::hint);
        let stored = match self {
            Self::Store(error) => error.hint(),
            Self::Nothing(_)
            | Self::Folders { .. }
            | Self::TakenOut { .. }
            | Self::Absent(_)
            | Self::Own(_)
            | Self::BrokenLink { .. }
            | Self::Circle(_)
            | Self::NotUtf8(_)
            | Self::Special { .. }
            | Self::TooMany { .. }
            | Self::Changing(_)
            | Self::Stopped
            | Self::Io { .. } => None,
        };
        shortage.or(stored).unwrap_or_else(|| self.advice())
    }

    /// What there was too little of, if it was that.
    pub(crate) fn shortage(&self) -> Option<Shortage> {
        match self {
            Self::Io { source, .. } => Shortage::of(source),
            Self::Store(error) => error.shortage(),
            Self::Nothing(_)
            | Self::Folders { .. }
            | Self::TakenOut { .. }
            | Self::Absent(_)
            | Self::Own(_)
            | Self::BrokenLink { .. }
            | Self::Circle(_)
            | Self::NotUtf8(_)
            | Self::Special { .. }
            | Self::TooMany { .. }
            | Self::Changing(_)
            | Self::Stopped => None,
        }
    }
}

/// For `map_err`: an [`Error::Io`].
pub(super) fn io_error<E: Into<io::Error>>(
    action: &'static str,
    path: &[u8],
) -> impl FnOnce(E) -> Error {
    let path = String::from_utf8_lossy(path).into_owned();
    move |source| Error::Io {
        action,
        path: if path.is_empty() {
            ".".to_owned()
        } else {
            path
        },
        source: source.into(),
    }
}
