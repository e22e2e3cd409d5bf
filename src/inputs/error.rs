//! Why entries cannot be had.

use crate::manifest::diagnostic::Diagnostic;
use crate::{state, store};

/// A failure before anything has changed.
#[derive(Debug)]
pub(crate) enum Error {
    /// Something about them is wrong: each with its place in the manifest.
    Bad(Vec<Diagnostic>),
    /// The folder cannot be opened.
    Folder(std::io::Error),
    /// The run is to end.
    Interrupted,
    /// What is recorded cannot be read.
    State(state::Error),
    /// What came in cannot be kept.
    Store(store::Error),
}

impl From<state::Error> for Error {
    fn from(error: state::Error) -> Self {
        Self::State(error)
    }
}
