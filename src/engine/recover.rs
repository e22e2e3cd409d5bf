//! After a power cut: tasks whose objects did not reach the disk are executed again.

use std::collections::BTreeSet;

use crate::model::digest::Digest;
use crate::model::list::Form;
use crate::model::task::TaskId;
use crate::state::{self, Doubtful, Reader, State};
use crate::store;
use crate::sys;

/// Rows looked at in one go.
const STRETCH: i64 = 1000;
/// Rows that may wait to be looked at; beyond that everything is synced before more is done.
const SURPLUS: i64 = 100_000;

/// Looks at what was recorded last, if the machine was booted since. How many tasks have to be
/// executed again.
///
/// Where the system has nothing that tells boots apart, everything is synced here.
pub(crate) fn recover(state: &mut State, store: &store::Reader) -> Result<u64, state::Error> {
    let durable = state.durable()?;
    let boot = sys::boot_id();
    let last = state.last_boot()?;
    let rebooted = last.is_some() && last != boot;
    let mut again = 0;
    if rebooted {
        drop_damaged(store);
        for maker in damaged(state, store, durable)? {
            state.redo(maker)?;
            again += 1;
        }
    }
    let known = boot.as_deref().unwrap_or("unknown");
    if rebooted || boot.is_none() {
        sync(state, known)?;
    } else if last.is_none() {
        state.set_durable(known, durable)?;
    }
    state.commit()?;
    Ok(again)
}

/// Keeps those few that would have to be looked at, before more of them are made.
pub(super) fn keep_few(state: &mut State) -> Result<(), state::Error> {
    if state.newest_task()?.0 - state.durable()?.0 <= SURPLUS {
        return Ok(());
    }
    let boot = state.last_boot()?;
    sync(state, boot.as_deref().unwrap_or("unknown"))?;
    state.commit()
}

/// First the disk, then the word that it is there.
fn sync(state: &mut State, boot: &str) -> Result<(), state::Error> {
    let newest = state.newest_task()?;
    if state.sync_objects().is_ok() {
        return state.set_durable(boot, newest);
    }
    let durable = state.durable()?;
    state.set_durable(boot, durable)
}

/// The makers of objects that are not whole.
fn damaged(
    state: &Reader,
    store: &store::Reader,
    durable: TaskId,
) -> Result<BTreeSet<TaskId>, state::Error> {
    let mut makers = BTreeSet::new();
    let mut after = durable;
    loop {
        let rows = state.doubtful(after, STRETCH)?;
        let Some(last) = rows.last() else {
            return Ok(makers);
        };
        after = last.task;
        for row in rows {
            if let Some(maker) = row.maker
                && !makers.contains(&maker)
                && !is_whole(store, &row)
            {
                makers.insert(maker);
            }
        }
    }
}

/// Bytes that had been dropped and were made again may not have come to the disk: they count as dropped still.
fn drop_damaged(store: &store::Reader) {
    for object in store.back() {
        if store
            .verify_stored(&object)
            .is_err_and(|error| error.is_loss())
        {
            // What cannot be removed is found by whoever uses it.
            let _ = store.drop_bytes(&object, false);
        }
    }
}

/// Whether all bytes of it are as they were stored.
fn is_whole(store: &store::Reader, row: &Doubtful) -> bool {
    let is_right = |digest: &Digest| match store.verify_stored(digest) {
        Ok(_) | Err(store::Error::Evicted(_)) => true,
        Err(_) => false,
    };
    is_right(&row.object) && (row.form != Form::Folder || store.all_in(&row.object, is_right))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::model::name::StepName;
    use crate::model::plan::Ready;
    use crate::model::task::TaskState;
    use crate::state::{Finished, NewTask, Runset, StepId};
    use crate::store::Store;

    /// A start task with two outputs, one of which a task of the same step worked on.
    fn recorded(state: &mut State, store: &Store) -> (Runset, StepId) {
        let step =
            crate::manifest::Manifest::parse("[[step]]\nname = 's'\nstart = true\nscript = ':'")
                .unwrap()
                .steps
                .remove(0);
        let identity =
            crate::engine::identity(&step, crate::model::identity::Tools::Host, &|_| None);
        let name = StepName::new("s").unwrap();
        let known = state.known_steps().unwrap();
        let step = state.register(&known, &name, &identity, true, None, 0);
        let step = step.unwrap().id;
        let runset = state.create_runset("r", 0).unwrap();
        let finished = Finished {
            started: 0,
            elapsed: 0,
            worker: 0,
            cpu: None,
            peak: None,
        };
        let start = state.seed(&runset, step).unwrap();
        let mut parent = start;
        for text in ["one", "two"] {
            state
                .succeed(&runset, step, parent, TaskState::Pending, &finished)
                .unwrap();
            let object = store.insert_bytes(text.as_bytes()).unwrap();
            parent = state
                .insert_task(
                    &runset,
                    &NewTask {
                        form: Form::File,
                        object,
                        step: Some(step),
                        parent: Some(parent),
                        name: Some(text),
                        forced: false,
                    },
                )
                .unwrap();
        }
        (runset, step)
    }

    fn pending(state: &Reader, (runset, step): &(Runset, StepId)) -> Vec<Ready> {
        state.unfinished(runset, *step, TaskId(0), 9).unwrap()
    }

    #[test]
    fn only_after_another_boot_and_only_what_is_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let (mut state, _lock, _) = State::open(&dir.path().join("db")).unwrap();
        let store = Store::open(&dir.path().join("objects"), dir.path()).unwrap();
        assert_eq!(recover(&mut state, &store).unwrap(), 0);
        let place = recorded(&mut state, &store);
        assert_eq!(pending(&state, &place).len(), 1);
        let two = store.path(&crate::model::digest::Digest::of(b"two"));
        fs::remove_file(&two).unwrap();
        fs::write(&two, "").unwrap();
        assert_eq!(recover(&mut state, &store).unwrap(), 0, "the same boot");

        state.set_durable("another boot", TaskId(0)).unwrap();
        assert_eq!(recover(&mut state, &store).unwrap(), 1);
        let again = pending(&state, &place);
        assert_eq!(
            again.len(),
            1,
            "what was to work on the damaged object is gone"
        );
        assert_eq!(again[0].name.as_deref(), Some("one"));
        assert!(again[0].forced);

        state.set_durable("another boot", TaskId(99)).unwrap();
        assert_eq!(recover(&mut state, &store).unwrap(), 0, "all was synced");
    }
}
