//! The folder of one run, for what its tasks need while they run.

use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::folder::{Folder, remove_all};
use crate::store;

/// See the module. Dropped, the folder is gone.
#[derive(Debug)]
pub struct Scratch {
    parent: Folder,
    name: String,
    folder: Arc<Folder>,
}

impl Scratch {
    /// Makes one in `parent`, and removes what killed runs left there.
    ///
    /// The caller must hold the state's lock: nothing of another run may be alive.
    pub fn new(parent: &Path) -> Result<Self, store::Error> {
        // Scripts may go elsewhere with `cd`.
        let parent = &std::path::absolute(parent).map_err(store::io_error("find", parent))?;
        remove_all(parent);
        fs::create_dir_all(parent).map_err(store::io_error("make the folder", parent))?;
        let opened = Folder::open(parent).map_err(store::io_error("open the folder", parent))?;
        loop {
            // A name that no script of an earlier run has heard of.
            let random = RandomState::new().build_hasher().finish() & 0xff_ffff;
            let name = format!("run-{random:06x}");
            match opened.make(&name) {
                Ok(folder) => {
                    return Ok(Self {
                        parent: opened,
                        name,
                        folder: Arc::new(folder),
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(store::io_error("make a folder in", parent)(error)),
            }
        }
    }

    /// The folder.
    pub fn folder(&self) -> &Arc<Folder> {
        &self.folder
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        remove_all(self.parent.entry(&self.name));
    }
}
