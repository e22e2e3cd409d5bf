//! Folders of failed tasks that are kept: for a look, and for a shell that begins with them.

use std::fmt;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::collect::{self, Source};
use crate::folder::{Entry, Folder, is_self, remove_all, shown};
use crate::model::digest::Digest;
use crate::model::name::StepName;
use crate::model::task::TaskId;
use crate::store::{self, Store, TO_THE_END};
use crate::text::Shown as _;
use crate::text::typed::operand_for_shell;

/// See the module.
#[derive(Debug)]
pub(crate) struct Kept {
    /// The folder that they are in, each named by its task's number.
    folder: Arc<Folder>,
    /// The options that name the db and the manifest, as they are typed.
    places: String,
}

impl Kept {
    /// In the folder at `path`; made where it is missing. `places`: the options that name the db and the manifest, for
    /// whoever wants to see what is kept.
    pub(crate) fn open(path: &Path, places: String) -> io::Result<Self> {
        // Of what is there, opening it tells the most.
        // As for running tasks: programs in it may take their user's rights.
        let _ = std::fs::DirBuilder::new().mode(0o770).create(path);
        let path = std::path::absolute(path)?;
        Ok(Self {
            folder: Arc::new(Folder::open(&path)?.keep()),
            places,
        })
    }

    /// Makes an object of what is kept of a task, as far as there can be one, which is not kept any more then: for
    /// [`Self::unfold`] elsewhere.
    pub(in crate::exec) fn fold(&self, store: &Store, task: TaskId) -> Result<Digest, String> {
        let source = Source {
            store,
            folder: &self.folder,
            quiet: false,
            offer: &|_, _, _| (),
        };
        let kept = collect::keep(source, &task.to_string(), false);
        Ok(kept.map_err(|error| error.to_string())?.tree)
    }

    /// Keeps what was kept elsewhere of a task, in place of what was kept of it before; where that is.
    pub(in crate::exec) fn unfold(
        &self,
        store: &Store,
        task: TaskId,
        tree: &Digest,
    ) -> Result<PathBuf, store::Error> {
        let number = task.to_string();
        remove_all(self.folder.entry(&number));
        store.unfold(tree, &self.folder, &number, TO_THE_END)?;
        Ok(self.folder.entry(&number).path())
    }

    /// What is told of it, or why nothing is kept.
    pub(in crate::exec) fn words(
        &self,
        kept: Result<PathBuf, impl fmt::Display>,
        step: &StepName,
        task: TaskId,
    ) -> Result<String, String> {
        match kept {
            Ok(path) => Ok(format!(
                "what it left is kept in {}; `task-pipeline shell{}{} {task}` shows it",
                path.shown(),
                self.places,
                operand_for_shell(step.as_str())
            )),
            Err(error) => Err(format!("what it left cannot be kept: {error}")),
        }
    }

    /// Moves a task's folder there, in place of what was kept of it before; where that is.
    pub(super) fn take(&self, task: TaskId, folder: Entry) -> io::Result<PathBuf> {
        let number = task.to_string();
        remove_all(self.folder.entry(&number));
        folder.rename(self.folder.entry(&number), false)?;
        Ok(self.folder.entry(&number).path())
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
