//! Where things are in a db folder.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::model::task::TaskId;

/// What follows the database's name in those of the files beside it.
pub(super) const ENDINGS: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// The files of a db folder.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    /// Of the folder `root`.
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// The folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The `SQLite` file.
    pub(crate) fn database(&self) -> PathBuf {
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

    /// Whether there are objects: a database that has nothing in it beside them was another one.
    pub(super) fn has_objects(&self) -> bool {
        fs::read_dir(self.objects()).is_ok_and(|mut objects| objects.next().is_some())
    }

    /// Whether the file of the database has no byte although there are objects.
    pub(super) fn is_emptied(&self) -> bool {
        fs::metadata(self.database()).is_ok_and(|file| file.len() == 0) && self.has_objects()
    }

    /// Whether the file of the database is there and has nothing in it but zeros, as file systems
    /// leave one that was made shortly before the power went. No page is longer.
    pub(super) fn is_blank(&self) -> bool {
        const LONGEST: u64 = 65_536;
        let path = self.database();
        fs::metadata(&path).is_ok_and(|file| file.is_file() && file.len() <= LONGEST)
            && fs::read(&path).is_ok_and(|bytes| bytes.iter().all(|byte| *byte == 0))
    }

    /// What was committed to it last, until that is brought to the file itself.
    pub(super) fn log(&self) -> PathBuf {
        self.root.join("db-wal")
    }

    /// The object store.
    pub(crate) fn objects(&self) -> PathBuf {
        self.root.join("objects")
    }

    /// Links that keep store paths from Nix's garbage collection.
    pub(crate) fn roots(&self) -> PathBuf {
        self.root.join("gcroots")
    }

    /// Folders of running tasks.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// What failed tasks left, where that is kept: a folder a task.
    pub(crate) fn failed(&self) -> PathBuf {
        self.root.join("failed")
    }

    /// What this one left.
    pub(crate) fn kept(&self, task: TaskId) -> PathBuf {
        self.failed().join(task.to_string())
    }

    /// All that is the program's own in the folder, and what it is.
    pub(crate) fn own(&self) -> impl Iterator<Item = (PathBuf, &'static str)> {
        let files = ENDINGS.map(|ending| {
            let mut path = self.database().into_os_string();
            path.push(ending);
            (path.into(), "the database")
        });
        let others = [
            (self.lock(), "the db's lock"),
            (self.new_question(), "a question to a run"),
            (self.wanted(), "a question to a run"),
            (self.running(), "a question to a run"),
            (self.now(), "what a run tells of itself"),
            (self.reserve(), "the room that is set aside for gc"),
            (self.objects(), "the folder of objects"),
            (self.scratch(), "the folder of running tasks"),
            (self.roots(), "the folder of links to packages"),
            (self.failed(), "the folder of what failed tasks left"),
        ];
        files.into_iter().chain(others)
    }

    /// Whether something of that name in the folder is no reason to think that the folder has
    /// another purpose: the program's own, what file systems put there, or hidden.
    pub(super) fn is_own(&self, name: &OsStr) -> bool {
        let own = [
            self.objects(),
            self.roots(),
            self.scratch(),
            self.failed(),
            self.new_question(),
            self.wanted(),
            self.running(),
            self.reserve(),
            self.now(),
        ];
        name.as_encoded_bytes().starts_with(b".")
            || name == "lost+found"
            || own.iter().any(|path| path.file_name() == Some(name))
            || (self.lock().file_name() == Some(name) && self.is_lock_file())
            // The database itself was moved away, as a hint may have said.
            || (name.as_encoded_bytes().starts_with(b"db-") && self.has_objects())
    }

    /// Whether what is there says nothing but which process has locked the folder.
    fn is_lock_file(&self) -> bool {
        const LONGEST: u64 = 32;
        let is_number = |text: String| text.trim().bytes().all(|byte| byte.is_ascii_digit());
        let path = self.lock();
        fs::symlink_metadata(&path).is_ok_and(|found| found.is_file() && found.len() < LONGEST)
            && fs::read_to_string(&path).is_ok_and(is_number)
    }

    /// A question to a run, which is being written.
    pub(super) fn new_question(&self) -> PathBuf {
        self.root.join("gc-new")
    }

    /// A question to a run, which nobody has heard ([`super::Question`]).
    pub(super) fn wanted(&self) -> PathBuf {
        self.root.join("gc-wanted")
    }

    /// The same, heard.
    pub(super) fn running(&self) -> PathBuf {
        self.root.join("gc-running")
    }

    /// What a run tells of itself while it goes on.
    pub(crate) fn now(&self) -> PathBuf {
        self.root.join("now")
    }

    /// Room for those who free some ([`super::reserve`]).
    pub(super) fn reserve(&self) -> PathBuf {
        self.root.join("reserve")
    }

    pub(super) fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }
}
