//! Folders of failed tasks that are kept: for a look, and for a shell that begins with them.

use std::io;
use std::path::{Path, PathBuf};

use crate::folder::{Entry, Folder, is_self, remove_all, shown};
use crate::model::task::TaskId;

/// The folder that they are in, each named by its task's number.
#[derive(Debug)]
pub(crate) struct Kept(Folder);

impl Kept {
    /// The folder at `path`; made where it is missing.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        // Of what is there, opening it tells the most.
        let _ = std::fs::create_dir(path);
        let path = std::path::absolute(path)?;
        Ok(Self(Folder::open(&path)?.keep()))
    }

    /// Moves a task's folder there, in place of what was kept of it before; where that is.
    pub(super) fn take(&self, task: TaskId, folder: Entry) -> io::Result<PathBuf> {
        let number = task.to_string();
        remove_all(self.0.entry(&number));
        folder.rename(self.0.entry(&number), false)?;
        Ok(self.0.entry(&number).path())
    }
}

/// Removes what is kept in the folder at `path` of tasks that are not wanted, and the folder if it is empty then. How
/// many; with `removes` false, how many it would be.
pub(crate) fn prune_kept(path: &Path, removes: bool, wanted: impl Fn(TaskId) -> bool) -> usize {
    let Ok(folder) = Folder::open(path) else {
        return 0;
    };
    let mut count = 0;
    let names = folder.names().into_iter().flatten().flatten();
    for name in names.filter(|name| !is_self(name.file_name())) {
        let name = shown(name.file_name());
        let number = name.to_str().and_then(|name| name.parse().ok());
        // What is no number is not this program's.
        if number.is_some_and(|number| !wanted(TaskId(number))) {
            count += usize::from(!removes || remove_all(folder.entry(name)));
        }
    }
    if removes {
        let _ = std::fs::remove_dir(path);
    }
    count
}
