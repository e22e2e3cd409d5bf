//! What lies where an object belongs and is none.

use std::fs;
use std::path::Path;
use std::sync::PoisonError;

use super::{Error, Store, no_place};
use crate::folder::{Entry, Folder};
use crate::model::digest::Digest;

/// The folder in the store for it.
pub(super) const ASIDE: &str = "aside";

impl Store {
    /// Has the folder of the object at `to`, with nothing in the object's own place that no file can
    /// be renamed to. What is in the way is kept, beside the objects: nobody knows whose it is.
    pub(super) fn make_way(&self, digest: &Digest, to: &Path) -> Result<(), Error> {
        let Some(folder) = to.parent() else {
            return Ok(());
        };
        // One at a time: what another worker has made meanwhile is not in the way.
        let _alone = self.way.lock().unwrap_or_else(PoisonError::into_inner);
        for above in folder.parent().into_iter().chain([folder]) {
            // Also a link to a folder: what is stored stays beneath the store's own.
            if fs::symlink_metadata(above).is_ok_and(|found| !found.is_dir()) {
                self.put_aside(above, digest)?;
            }
        }
        fs::create_dir_all(folder).map_err(no_place("make the folder", folder))?;
        if fs::symlink_metadata(to).is_ok_and(|found| found.is_dir()) {
            self.put_aside(to, digest)?;
        }
        Ok(())
    }

    fn put_aside(&self, what: &Path, digest: &Digest) -> Result<(), Error> {
        let folder = self.root.join(ASIDE);
        fs::create_dir_all(&folder).map_err(no_place("make the folder", &folder))?;
        let folder = Folder::open(&folder).map_err(no_place("open the folder", &folder))?;
        let mut to = digest.to_string();
        let mut number = 1;
        while folder.entry(&to).look().is_ok() {
            number += 1;
            to = format!("{digest}.{number}");
        }
        Entry::from(what)
            .rename(folder.entry(&to), false)
            .map_err(|error| no_place("put aside", what)(error.into()))
    }
}
