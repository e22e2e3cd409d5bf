//! What lies where an object belongs and is none.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use super::{Error, Store, io_error, no_place};
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
        self.put_aside_as(what, OsStr::new(&*digest.hex()))
            .map(drop)
    }

    /// Puts what is in the place of an object aside, whatever it is: nothing is there then. Where it is now.
    pub(crate) fn put_object_aside(&self, digest: &Digest) -> Result<PathBuf, Error> {
        self.put_aside_as(&self.path(digest), OsStr::new(&*digest.hex()))
    }

    /// The same with an object whose bytes are found to be others when they are used, so that it counts as
    /// gone and is made again. One that was put right meanwhile stays; what cannot be moved does, too.
    pub(crate) fn put_damaged_aside(&self, digest: &Digest) {
        if matches!(self.check_stored(digest), Err(Error::Damaged { .. })) {
            let _ = self.put_object_aside(digest);
        }
    }

    /// The same with something that lies among objects and is none.
    pub(crate) fn put_stray_aside(&self, path: &Path) -> Result<PathBuf, Error> {
        self.put_aside_as(path, path.file_name().unwrap_or(OsStr::new("nameless")))
    }

    fn put_aside_as(&self, what: &Path, name: &OsStr) -> Result<PathBuf, Error> {
        let folder = self.root.join(ASIDE);
        fs::create_dir_all(&folder).map_err(no_place("make the folder", &folder))?;
        let folder = Folder::open(&folder).map_err(no_place("open the folder", &folder))?;
        let mut to = name.to_owned();
        let mut number = 1;
        while folder.entry(&to).look().is_ok() {
            number += 1;
            name.clone_into(&mut to);
            to.push(format!(".{number}"));
        }
        let to = folder.entry(&to);
        Entry::from(what)
            .rename(to, false)
            .map_err(|error| no_place("put aside", what)(error.into()))?;
        Ok(to.path())
    }

    /// Gives an object's file the mode that all have.
    pub(crate) fn give_mode(&self, digest: &Digest) -> Result<(), Error> {
        let path = self.path(digest);
        let entry = Entry::from(&path);
        entry
            .set_mode(self.mode)
            .map_err(io_error("change the mode of", entry))
    }
}
