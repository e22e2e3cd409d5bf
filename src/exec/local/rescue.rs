//! What tasks of a killed run would have kept for their next try: it is taken over before the run's folder goes.

use super::collect::{self, Source};
use super::scratch::Scratch;
use crate::folder::{Folder, is_self, shown};
use crate::model::digest::Digest;
use crate::model::task::TaskId;
use crate::state::{self, State};
use crate::store::Store;

/// Before the number of the task, in the name of the folder.
const STATE: &str = "state-";
/// Digits of the sign in it.
const DIGITS: usize = 16;

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

/// Whether a folder has such a name.
pub(super) fn is_state(name: &str) -> bool {
    task_of(name).is_some()
}

fn task_of(name: &str) -> Option<TaskId> {
    let (task, sign) = name.strip_prefix(STATE)?.split_once('-')?;
    let is_sign = sign.len() == DIGITS && sign.bytes().all(|byte| byte.is_ascii_hexdigit());
    task.parse().ok().filter(|_| is_sign).map(TaskId)
}

/// Records what those tasks keep that are still to be done as they were. Warnings, each of which begins with a task.
pub(crate) fn rescue(
    scratch: &Scratch,
    store: &Store,
    state: &mut State,
) -> Result<Vec<String>, state::Error> {
    let mut warnings = Vec::new();
    for folder in scratch.rescued() {
        let names = folder.names().into_iter().flatten().flatten();
        let names = names.filter(|name| !is_self(name.file_name()));
        let names = names.filter_map(|name| shown(name.file_name()).to_str().map(str::to_owned));
        for name in names.collect::<Vec<_>>() {
            if let Some(task) = task_of(&name)
                && let Err(why) = one(folder, &name, task, (store, state))?
            {
                warnings.push(format!(
                    "task {task} does not keep what the killed run had in its STATE_DIR: {why}"
                ));
            }
        }
    }
    Ok(warnings)
}

fn one(
    folder: &std::sync::Arc<Folder>,
    name: &str,
    task: TaskId,
    (store, state): (&Store, &mut State),
) -> Result<Result<(), String>, state::Error> {
    let Some(found) = state.unfinished_basis(task)? else {
        return Ok(Ok(()));
    };
    let basis = Basis {
        task,
        version: found.version,
        input: &found.input,
        context: found.context.as_ref(),
    };
    if basis.name() != name {
        return Ok(Ok(()));
    }
    let source = Source {
        store,
        folder,
        quiet: false,
        offer: &|_, _, _| (),
    };
    let _session = store.session();
    let kept = match collect::keep(source, name, false) {
        Ok(kept) => kept,
        Err(error) => return Ok(Err(error.to_string())),
    };
    state.put_checkpoint(task, found.basis(), &kept.tree)?;
    state.commit()?;
    Ok(kept.without.map_or(Ok(()), Err))
}
