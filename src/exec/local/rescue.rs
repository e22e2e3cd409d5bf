//! What tasks of a killed run would have kept for their next try: it is taken over before the run's folder goes.

use super::collect::{self, Source};
use super::scratch::Scratch;
use super::state_dir::{Basis, task_of};
use crate::folder::{Folder, is_self, shown};
use crate::model::task::TaskId;
use crate::state::{self, State};
use crate::store::Store;

/// Records what those tasks keep that are still to be done, or made again, as they were. Warnings, each of which begins with
/// a task.
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
    let Some(found) = state.killed_basis(task)? else {
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
