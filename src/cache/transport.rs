//! How what is in a cache gets here and there.

pub(super) mod folder;
pub(super) mod remote;

use std::io::{self, Read, Write};

/// Why something was not to be had, or could not be put there.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// Whoever keeps it refuses it; in his words.
    #[error("{0}")]
    Refused(String),
    /// He does not answer, or cannot.
    #[error("{0}")]
    Gone(String),
    /// What was to be put there could not be read here.
    #[error("{0}")]
    Here(io::Error),
}

/// Why a place cannot be asked, whatever it has.
#[derive(Debug, thiserror::Error)]
#[error("{words}")]
pub(crate) struct NoPlace {
    /// What is wrong.
    pub words: String,
    /// What to do.
    pub hint: &'static str,
}

/// Writes what is to be put somewhere.
pub(super) type Body<'b> = &'b mut dyn FnMut(&mut dyn Write) -> io::Result<()>;

/// Files under names with `/` in them. Each appears when it is complete.
pub(super) trait Transport: Send + Sync {
    /// A file of at most `most` bytes; none if there is none, or if it is longer.
    fn read(&self, name: &str, most: usize) -> Result<Option<Vec<u8>>, Fault>;
    /// A file of any size; none if there is none.
    fn open(&self, name: &str) -> Result<Option<Box<dyn Read + Send>>, Fault>;
    /// Whether there is a file, as far as one can tell.
    fn has(&self, name: &str) -> Result<bool, Fault>;
    /// Puts a file there; false if it is to be a `new` one, and one is there already.
    fn put(&self, name: &str, new: bool, body: Body) -> Result<bool, Fault>;
}
