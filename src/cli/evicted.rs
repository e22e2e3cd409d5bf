//! What to do about bytes that were evicted: who makes them again, as far as that is certain.

use std::path::Path;

use super::error::Failure;
use crate::model::digest::Digest;
use crate::model::task::TaskId;
use crate::state::{self, Reader, TaskRow};
use crate::store;
use crate::text::typed::value_for_shell;

/// Rows with the same object that are looked at.
const MOST: u32 = 64;

/// The failure; if it is for bytes that were dropped, perhaps only since they were asked for, with what makes them again.
/// `left_by`: the task that left what they are in, where that is known.
pub(super) fn told(db: &Path, failure: Failure, left_by: Option<TaskId>) -> Failure {
    let Some(object) = failure.object() else {
        return failure;
    };
    let hint = Reader::open(db).and_then(|state| hint(&state, &object, left_by));
    match hint {
        Ok(Some(hint)) => Failure::usage(store::Error::Evicted(object)).hint(hint),
        Ok(None) | Err(_) => failure,
    }
}

fn hint(
    state: &Reader,
    object: &Digest,
    left_by: Option<TaskId>,
) -> Result<Option<String>, state::Error> {
    if !state.is_evicted(object)? {
        return Ok(None);
    }
    let mut rows = state.rows_of(object, MOST)?;
    rows.extend(state.past_rows_of(object, MOST)?);
    let mut makers = Vec::new();
    for maker in rows.iter().filter_map(|row| row.parent).chain(left_by) {
        makers.extend(state.task(maker)?);
    }
    let newest = state.newest_runset()?.map(|runset| runset.name);
    let is_newest = |task: &TaskRow| newest.as_ref() == Some(&task.runset);
    // Of several those that need least.
    makers.sort_by_key(|task| (!task.live, task.tainted, !is_newest(task)));
    let made = makers
        .iter()
        .find_map(|task| Some((task, task.step.as_ref()?)));
    let Some((task, step)) = made else {
        return Ok(Some(
            "-run makes them again where it needs them; -run -start STEP, with the step that left them, does so at once, \
             if that is as it was then"
                .to_owned(),
        ));
    };
    let name = step.name.as_str();
    let mut call = format!("`-run -start{}", value_for_shell(name, "STEP"));
    if !is_newest(task) {
        call = format!("{call} -runset{}", value_for_shell(&task.runset, "NAME"));
    }
    call.push('`');
    let id = task.id;
    let is_current = state.current_versions()?.contains(&step.id);
    Ok(Some(if task.live && !task.tainted {
        format!(
            "-run makes them again where it needs them; {call} does so at once, if {name} is as it was when task #{id} left them"
        )
    } else if is_current {
        format!(
            "task #{id} of {name} left them, and was superseded: only {name} with the same input makes them again"
        )
    } else {
        format!(
            "task #{id} left them with version {} of {name}, and {name} has another one by now: with {name} as it was then, and \
             the same input, {call} makes them again",
            step.version
        )
    }))
}
