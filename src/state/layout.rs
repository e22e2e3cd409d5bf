//! Where things are in a db folder.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

/// The files of a db folder.
#[derive(Debug, Clone)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// Of the folder `root`.
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The `SQLite` file.
    pub fn database(&self) -> PathBuf {
        self.root.join("db")
    }

    /// The same as `SQLite` is to be told: what begins with `file:` would be an address for it.
    pub(super) fn file_name(&self) -> PathBuf {
        let path = self.database();
        if path.as_os_str().as_encoded_bytes().starts_with(b"file:") {
            Path::new(".").join(path)
        } else {
            path
        }
    }

    /// Whether the file of the database has nothing in it although there are objects.
    pub(super) fn is_emptied(&self) -> bool {
        fs::metadata(self.database()).is_ok_and(|file| file.len() == 0)
            && fs::read_dir(self.objects()).is_ok_and(|mut objects| objects.next().is_some())
    }

    /// What was committed to it last, until that is brought to the file itself.
    pub(super) fn log(&self) -> PathBuf {
        self.root.join("db-wal")
    }

    /// The object store.
    pub fn objects(&self) -> PathBuf {
        self.root.join("objects")
    }

    /// Links that keep store paths from Nix's garbage collection.
    pub fn roots(&self) -> PathBuf {
        self.root.join("gcroots")
    }

    /// Folders of running tasks.
    pub fn scratch(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// Whether something of that name in the folder is no reason to think that the folder has
    /// another purpose: the program's own, what file systems put there, or hidden.
    pub(super) fn is_own(&self, name: &OsStr) -> bool {
        let own = [self.objects(), self.roots(), self.scratch(), self.lock()];
        let bytes = name.as_encoded_bytes();
        let is_of_database = bytes.starts_with(b"db-");
        is_of_database
            || bytes.starts_with(b".")
            || name == "lost+found"
            || own.iter().any(|path| path.file_name() == Some(name))
    }

    pub(super) fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }
}
