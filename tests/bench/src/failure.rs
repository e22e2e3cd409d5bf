//! Why there is no table.

use std::io;
use std::path::Path;

/// What ends the whole measurement. Nothing is written then.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The user wants an end.
    #[error("interrupted by signal {0}: nothing is written")]
    Interrupted(i32),
    /// There is no room.
    #[error(
        "no space left for {what}\nhint: free some, or measure less with --quick or --only NAME"
    )]
    Full {
        /// What was to be written.
        what: String,
    },
    /// A file operation.
    #[error("cannot {what}: {source}")]
    Io {
        /// The operation and the path.
        what: String,
        /// Why.
        source: io::Error,
    },
    /// The call itself, or this program; with a hint.
    #[error("{message}\nhint: {hint}")]
    Wrong {
        /// What.
        message: String,
        /// What to do.
        hint: String,
    },
}

/// A result, or why there is no table.
pub type Fallible<T> = Result<T, Failure>;

impl Failure {
    /// A call of this program failed with the words `why`.
    pub fn of_call(message: String, why: &str) -> Self {
        let words = why.to_lowercase();
        if words.contains("no space left") || words.contains("disk is full") {
            return Self::Full { what: message };
        }
        Self::new(message, "nothing is written; put that right first")
    }

    /// With the next step.
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Wrong {
            message: message.into(),
            hint: hint.into(),
        }
    }
}

/// Words for a failed operation on `path`.
pub fn on<'a>(verb: &'a str, path: &'a Path) -> impl Fn(io::Error) -> Failure + 'a {
    move |source| {
        let what = format!("{verb} {}", path.display());
        if source.kind() == io::ErrorKind::StorageFull {
            Failure::Full { what }
        } else {
            Failure::Io { what, source }
        }
    }
}
