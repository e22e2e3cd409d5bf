//! The folder of one run, for what its tasks need while they run.

use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;

use crate::folder::{Folder, remove_all};
use crate::store;

/// See the module. Dropped, the folder is gone.
#[derive(Debug)]
pub struct Scratch {
    parent: Folder,
    name: String,
    folder: Arc<Folder>,
}

/// A name that no object's folder has.
const AMONG: &str = ".tmp";
const PROBE: &str = ".probe";

impl Scratch {
    /// Makes one, and removes what killed runs left. It lies in `parent`; or, where nothing can be
    /// renamed from there to `objects`, as these are on another disk, in a folder among them.
    ///
    /// The caller must hold the state's lock: nothing of another run may be alive.
    pub fn new(parent: &Path, objects: &Path) -> Result<Self, store::Error> {
        store::make(objects)?;
        // Scripts may go elsewhere with `cd`, and links are followed here once and for all.
        let objects = &fs::canonicalize(objects).map_err(store::io_error("find", objects))?;
        let parent = &std::path::absolute(parent).map_err(store::io_error("find", parent))?;
        let among = &objects.join(AMONG);
        remove_all(parent);
        remove_all(among);
        let scratch = Self::within(parent)?;
        let objects = Folder::open(objects).map_err(store::io_error("open the folder", objects))?;
        if scratch.is_beside(&objects)? {
            return Ok(scratch);
        }
        drop(scratch);
        Self::within(among)
    }

    fn within(parent: &Path) -> Result<Self, store::Error> {
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

    /// Whether files can be renamed from here to there, which is tried: disks are not all that
    /// stands between folders, but also mounts, subvolumes and quotas.
    fn is_beside(&self, there: &Folder) -> Result<bool, store::Error> {
        let (from, to) = (self.folder.entry(PROBE), there.entry(PROBE));
        from.create().map_err(store::io_error("make", from))?;
        match from.rename(to, false) {
            Ok(()) => to.remove().map(|()| true),
            Err(Errno::XDEV) => from.remove().map(|()| false),
            Err(error) => return Err(store::io_error("rename to", to)(error.into())),
        }
        .map_err(store::io_error("remove", to))
    }

    /// The folder.
    pub fn folder(&self) -> &Arc<Folder> {
        &self.folder
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        remove_all(self.parent.entry(&self.name));
        if self.parent.path().ends_with(AMONG) {
            let _ = fs::remove_dir(self.parent.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lies_where_objects_can_be_renamed_from() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (parent, objects) = (here.path().join("tmp"), here.path().join("objects"));
        fs::create_dir_all(parent.join("run-of-old/w0-0")).unwrap();
        let scratch = Scratch::new(&parent, &objects).unwrap();
        assert!(scratch.folder().path().starts_with(&parent));
        assert_eq!(fs::read_dir(&parent).unwrap().count(), 1);
        drop(scratch);
        // As is tried where there are two disks: see the tests of the program.
        std::os::unix::fs::symlink(there.path(), here.path().join("link")).unwrap();
        let scratch = Scratch::new(&parent, &here.path().join("link")).unwrap();
        assert!(scratch.folder().path().starts_with(&parent));
        drop(scratch);
        let left = |folder: &Path| fs::read_dir(folder).unwrap().count();
        assert_eq!([left(&parent), left(&objects), left(there.path())], [0; 3]);
    }

    #[test]
    fn a_link_to_nothing_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let objects = dir.path().join("objects");
        std::os::unix::fs::symlink("/no/such/disk", &objects).unwrap();
        let error = Scratch::new(&dir.path().join("tmp"), &objects).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("is a link to /no/such/disk"), "{error}");
        assert!(error.contains("hint: "), "{error}");
    }
}
