//! Lists of any kind, line by line.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::PathBuf;

use super::super::{Error, Reader, io_error};
use crate::model::digest::Digest;
use crate::model::list;
use crate::model::tree::{self, Entry, HEADER};

/// What is in a list, entry by entry: however much that is, little of it is in memory.
#[derive(Debug)]
pub(crate) struct Listed<R = BufReader<File>> {
    lines: R,
    /// What is being done.
    action: &'static str,
    path: PathBuf,
    line: String,
    /// Whether an entry was read.
    begun: bool,
}

impl<R: BufRead> Listed<R> {
    /// The list that is read there; fails if it is none.
    pub(crate) fn of(mut lines: R, action: &'static str, path: PathBuf) -> Result<Self, Error> {
        let mut head = [0; HEADER.len()];
        let read = lines.read_exact(&mut head);
        let listed = Self {
            lines,
            action,
            path,
            line: String::new(),
            begun: false,
        };
        if read.is_err() || head != *HEADER.as_bytes() {
            return Err(listed.wrong("it is none"));
        }
        Ok(listed)
    }

    /// The list is not as it should be.
    pub(super) fn wrong(&self, what: &'static str) -> Error {
        Error::Io {
            action: self.action,
            path: self.path.clone(),
            source: io::Error::new(io::ErrorKind::InvalidData, what),
        }
    }

    /// The next entry, whatever its name is.
    pub(super) fn read(&mut self) -> Result<Option<Entry>, Error> {
        self.line.clear();
        let read = (&mut self.lines).take(1 << 16).read_line(&mut self.line);
        if read.map_err(io_error("read", &self.path))? == 0 {
            return Ok(None);
        }
        self.begun = true;
        let line = self.line.strip_suffix('\n');
        let entry = line.and_then(tree::line);
        entry.map(Some).ok_or_else(|| self.wrong("it is none"))
    }

    fn read_file(&mut self) -> Result<Option<Entry>, Error> {
        let first = !self.begun;
        let entry = match self.read()? {
            Some(main) if first && list::is_main(&main) => self.read()?,
            other => other,
        };
        if entry.as_ref().is_some_and(|entry| !list::is_file(entry)) {
            return Err(self.wrong("it is none"));
        }
        Ok(entry)
    }
}

/// The files and folders that come in `INPUT_DIR`.
impl<R: BufRead> Iterator for Listed<R> {
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read_file().transpose()
    }
}

impl Reader {
    /// What was brought together in that list, in its order.
    pub(crate) fn list(&self, digest: &Digest) -> Result<Listed, Error> {
        self.lines(digest, "read the list of files")
    }

    pub(super) fn lines(&self, digest: &Digest, action: &'static str) -> Result<Listed, Error> {
        let path = self.path(digest);
        let lines = BufReader::new(self.open_verified(digest)?);
        Listed::of(lines, action, path)
    }
}
