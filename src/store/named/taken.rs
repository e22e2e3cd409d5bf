//! Names that are taken, none of which is in memory.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use crate::model::digest::Digest;
use crate::store::{Error, io_error};

/// Bytes of a block, and of a name's mark in it.
const BLOCK: usize = 4096;
const MARK: usize = 16;
/// Marks in a block if all are as full as they are made for; there is room for twice as many.
const USUAL: u64 = (BLOCK / MARK / 2) as u64;

/// A set of names, by the first bytes of their hashes, in a file that has no name.
#[derive(Debug)]
pub(super) struct Taken {
    folder: PathBuf,
    /// None while the set is empty.
    file: Option<File>,
    blocks: u64,
}

impl Taken {
    /// For not many more than `most` names.
    pub(super) fn new(folder: &Path, most: u64) -> Self {
        Self {
            folder: folder.to_owned(),
            file: None,
            blocks: most / USUAL + 1,
        }
    }

    /// Adds a name; whether it is new.
    pub(super) fn insert(&mut self, name: &str) -> Result<bool, Error> {
        if self.file.is_none() {
            let file = tempfile::tempfile_in(&self.folder);
            let file = file.and_then(|file| {
                file.set_len(self.blocks * BLOCK as u64)?;
                Ok(file)
            });
            let file = file.map_err(io_error("make a file in", &*self.folder))?;
            self.file = Some(file);
        }
        self.find(name, true).map(|found| !found)
    }

    pub(super) fn contains(&self, name: &str) -> Result<bool, Error> {
        self.find(name, false)
    }

    /// Whether the name is there; if it is not, `add` does so.
    fn find(&self, name: &str, add: bool) -> Result<bool, Error> {
        let Some(file) = &self.file else {
            return Ok(false);
        };
        let Digest(hash) = Digest::of(name.as_bytes());
        let [mark, place] = [0, MARK].map(|at| {
            let mut half = [0; MARK];
            half.copy_from_slice(&hash[at..][..MARK]);
            half
        });
        let first = u128::from_ne_bytes(place) % u128::from(self.blocks);
        let mut block = u64::try_from(first).unwrap_or_default();
        for _ in 0..self.blocks {
            let begin = block * BLOCK as u64;
            let mut marks = [0; BLOCK];
            let read = file.read_exact_at(&mut marks, begin);
            read.map_err(io_error("read a file in", &*self.folder))?;
            for (known, at) in marks.chunks_exact(MARK).zip((begin..).step_by(MARK)) {
                if known == mark {
                    return Ok(true);
                }
                if known == [0; MARK] {
                    if add {
                        let wrote = file.write_all_at(&mark, at);
                        wrote.map_err(io_error("write to a file in", &*self.folder))?;
                    }
                    return Ok(false);
                }
            }
            block = (block + 1) % self.blocks;
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_there_also_where_blocks_are_full() {
        let dir = tempfile::tempdir().unwrap();
        for most in [0, 200, 1000] {
            let mut taken = Taken::new(dir.path(), most);
            assert!(!taken.contains("0").unwrap());
            for round in 0..2 {
                for name in 0..250 {
                    assert_eq!(taken.insert(&name.to_string()).unwrap(), round == 0);
                }
            }
            for name in 0..500 {
                assert_eq!(taken.contains(&name.to_string()).unwrap(), name < 250);
            }
        }
    }
}
