//! The folder that a task keeps from try to try, as long as a try goes on.
//!
//! Should the run be killed, a note beside the workspace tells the next run which folder in there it is: any script can make
//! one that is called so.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::FileType;

use super::collect::{self, Kept, OutputError, Source};
use crate::folder::{Entry, Folder, remove_all};
use crate::model::digest::Digest;
use crate::model::task::TaskId;
use crate::store::{self, GoOn, Store};

/// Before the number of the task, in the name of the folder.
const STATE: &str = "state-";
/// Digits of the sign in it.
const DIGITS: usize = 16;
/// In the name of a note.
const BETWEEN: char = '+';

/// What a try works on; what it keeps is of no use to one that works on something else.
#[derive(Debug, Clone, Copy)]
pub(super) struct Basis<'a> {
    /// The task.
    pub task: TaskId,
    /// The number of the step's version.
    pub version: i64,
    /// The input.
    pub input: &'a Digest,
    /// The list of what the task gets besides.
    pub context: Option<&'a Digest>,
}

impl Basis<'_> {
    /// What the folder is called: the next run knows by it whose it is.
    pub(super) fn name(&self) -> String {
        let mut bytes = self.version.to_le_bytes().to_vec();
        bytes.extend(self.input.0);
        bytes.extend(self.context.into_iter().flat_map(|context| context.0));
        let sign = Digest::of(&bytes).to_string();
        format!("{STATE}{}-{}", self.task, &sign[..DIGITS])
    }
}

/// The name of the note on a folder of that name in the workspace.
fn note_on(workspace: &str, name: &str) -> String {
    format!("{workspace}{BETWEEN}{name}")
}

/// The workspace and the folder that a note of that name is on, if it is one.
pub(super) fn noted(note: &str) -> Option<(&str, &str)> {
    let (workspace, name) = note.split_once(BETWEEN)?;
    task_of(name).map(|_| (workspace, name))
}

/// The task whose folder has that name, if one has.
pub(super) fn task_of(name: &str) -> Option<TaskId> {
    let (task, sign) = name.strip_prefix(STATE)?.split_once('-')?;
    let is_sign = sign.len() == DIGITS && sign.bytes().all(|byte| byte.is_ascii_hexdigit());
    task.parse().ok().filter(|_| is_sign).map(TaskId)
}

/// See the module. It is in the task's workspace.
#[derive(Debug, Default)]
pub(super) struct StateDir {
    path: Option<PathBuf>,
    /// Why what was kept in an earlier try is not in there.
    lost: Option<String>,
    /// Where the note is, and what it is called.
    note: Option<(Arc<Folder>, String)>,
    live: LiveState,
}

/// The same for one who takes what is in it over while the try goes on.
#[derive(Debug, Clone, Default)]
pub(in crate::exec) struct LiveState(Arc<Mutex<Option<Place>>>);

/// The workspace, and what the folder is called in there.
type Place = (Arc<Folder>, String);

impl StateDir {
    /// `STATE_DIR`, where there is one.
    pub(super) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// What it is called in the workspace.
    pub(super) fn name(&self) -> Option<&str> {
        self.path.as_deref()?.file_name()?.to_str()
    }

    /// See [`LiveState`].
    pub(super) fn live(&self) -> LiveState {
        self.live.clone()
    }

    /// Why it is empty, where it should not be; told once.
    pub(super) fn lost(&mut self) -> Option<String> {
        self.lost.take()
    }

    /// Makes the folder, with what was kept in the last try. A tree that cannot be had is nobody's failure: the try
    /// begins with nothing, and that is told. The workspace is in `scratch`, and called `called`.
    pub(super) fn begin(
        &mut self,
        store: &Store,
        (scratch, called, workspace): (&Arc<Folder>, &str, &Arc<Folder>),
        basis: Basis,
        kept: Option<&Digest>,
        go_on: GoOn,
    ) -> Result<(), store::Error> {
        let name = basis.name();
        let note = note_on(called, &name);
        let made = scratch.entry(&note).create();
        made.map_err(store::io_error("make", scratch.entry(&note)))?;
        self.note = Some((Arc::clone(scratch), note));
        let place = workspace.entry(&name);
        self.path = Some(place.path());
        remove_all(place);
        self.fill(store, (workspace, place, &name), kept, go_on)?;
        *self.live.lock() = Some((Arc::clone(workspace), name));
        Ok(())
    }

    fn fill(
        &mut self,
        store: &Store,
        (workspace, place, name): (&Folder, Entry, &str),
        kept: Option<&Digest>,
        go_on: GoOn,
    ) -> Result<(), store::Error> {
        if let Some(tree) = kept {
            match store.unfold(tree, workspace, name, go_on) {
                Ok(_) => return Ok(()),
                Err(error) if error.shortage().is_some() => return Err(error),
                Err(error) => {
                    go_on().map_err(store::io_error("make", place))?;
                    self.lost = Some(error.to_string());
                    remove_all(place);
                }
            }
        }
        let made = workspace.make(name);
        made.map_err(store::io_error("make the folder", place))?;
        Ok(())
    }

    /// Makes an object of what is in it, and does away with it; none where there is no folder. `stays`: see
    /// [`collect::keep`].
    pub(super) fn take(&mut self, store: &Store, stays: bool) -> Result<Option<Kept>, OutputError> {
        self.path = None;
        let Some((workspace, name)) = self.live.lock().take() else {
            self.forget();
            return Ok(None);
        };
        let kept = keep(store, &workspace, &name, stays);
        remove_all(workspace.entry(&name));
        self.forget();
        kept
    }

    /// Removes the note.
    fn forget(&mut self) {
        if let Some((scratch, note)) = self.note.take() {
            remove_all(scratch.entry(&note));
        }
    }

    /// Does away with it; whether it is gone.
    pub(super) fn remove(&mut self) -> bool {
        if self.path.take().is_none() {
            self.forget();
            return true;
        }
        let live = self.live.lock().take();
        let is_gone = live.is_none_or(|(workspace, name)| remove_all(workspace.entry(&name)));
        self.forget();
        is_gone
    }
}

impl LiveState {
    fn lock(&self) -> MutexGuard<'_, Option<Place>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes an object of what is in there now, and has `tell` do what is to be done with it before the try can end.
    /// Nothing happens where no try goes on, or where it writes at the same time.
    pub(in crate::exec) fn look(&self, store: &Store, tell: impl FnOnce(Digest)) {
        let live = self.lock();
        if let Some((workspace, name)) = &*live
            && let Ok(Some(kept)) = keep(store, workspace, name, true)
        {
            tell(kept.tree);
        }
    }
}

fn keep(
    store: &Store,
    workspace: &Arc<Folder>,
    name: &str,
    stays: bool,
) -> Result<Option<Kept>, OutputError> {
    let look = workspace.entry(name).look();
    if !look.is_ok_and(|look| look.kind == FileType::Directory && !look.mounted) {
        return Ok(None);
    }
    let source = Source {
        store,
        folder: workspace,
        quiet: !stays,
        offer: &|_, _, _| (),
    };
    collect::keep(source, name, stays).map(Some)
}
