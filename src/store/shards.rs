//! Which of the folders that objects lie in are known to be there.
//!
//! Until all 65 536 exist, nearly each new object needs one made. Knowing which are there saves
//! trying out a rename first.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Error, is_absent, no_place};
use crate::model::digest::Digest;

/// A bit for each folder `AB`, then one for each `AB/CD`.
#[derive(Debug)]
pub(crate) struct Shards(Box<[AtomicU64]>);

const OUTER: usize = 256;

impl Default for Shards {
    fn default() -> Self {
        let words = (OUTER + OUTER * OUTER) / 64;
        Self((0..words).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Shards {
    /// Makes the folder that is to hold the object at `path`, if it is not known to be there; false
    /// if something else is in its place, or in that of the folder above it.
    pub(crate) fn prepare(&self, digest: &Digest, path: &Path) -> Result<bool, Error> {
        let [outer, inner] = bits(digest);
        if self.has(inner) {
            return Ok(true);
        }
        let Some(folder) = path.parent() else {
            return Ok(true);
        };
        if !self.has(outer)
            && let Some(parent) = folder.parent()
        {
            if !make(parent)? {
                return Ok(false);
            }
            self.add(outer);
        }
        if !make(folder)? {
            return Ok(false);
        }
        self.add(inner);
        Ok(true)
    }

    fn has(&self, bit: usize) -> bool {
        self.0[bit / 64].load(Ordering::Relaxed) >> (bit % 64) & 1 == 1
    }

    fn add(&self, bit: usize) {
        self.0[bit / 64].fetch_or(1 << (bit % 64), Ordering::Relaxed);
    }
}

fn bits(digest: &Digest) -> [usize; 2] {
    let [a, b] = [digest.0[0], digest.0[1]].map(usize::from);
    [a, OUTER + a * OUTER + b]
}

/// Whether it is there now, as far as that is known, and neither a link to somewhere else nor no folder
/// at all.
fn make(folder: &Path) -> Result<bool, Error> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::symlink_metadata(folder).map(|found| found.is_dir())
        }
        // The one above it was another when it was last looked at.
        Err(error) if error.kind() != io::ErrorKind::NotFound && is_absent(&error) => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(folder).map(|()| true)
        }
        other => other.map(|()| true),
    }
    .map_err(no_place("make the folder", folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_folder_has_a_bit_of_its_own() {
        let mut all = std::collections::BTreeSet::new();
        for a in 0..=255 {
            for b in 0..=255 {
                let mut digest = Digest([0; 32]);
                (digest.0[0], digest.0[1]) = (a, b);
                let [outer, inner] = bits(&digest);
                assert_eq!(outer, usize::from(a));
                assert!(all.insert(inner));
            }
        }
        assert_eq!(all.last(), Some(&(Shards::default().0.len() * 64 - 1)));
        assert_eq!(all.first(), Some(&OUTER));
    }
}
