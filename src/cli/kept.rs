//! Folders of failed tasks, which `-keep-failed` keeps until these succeed.

use super::error::Failure;
use crate::exec::local::{Kept, prune_kept};
use crate::model::event::Summary;
use crate::model::task::TaskState;
use crate::state::{Layout, State};
use crate::text::Shown as _;

/// Where they go; made where it is missing. `places`: see [`Kept::open`].
pub(super) fn folder(layout: &Layout, places: String) -> Result<Kept, Failure> {
    let path = layout.failed();
    Kept::open(&path, places).map_err(|error| {
        Failure::usage(format!(
            "cannot keep what failed tasks leave in {}: {error}",
            path.shown()
        ))
        .hint("leave out -keep-failed, or move away what is there")
    })
}

/// Removes those of tasks that failed once and have not now, which the rows of those in `besides` do not say. How many; with
/// `removes` false, how many it would be.
pub(super) fn prune(state: &State, removes: bool, besides: Option<&Summary>) -> usize {
    prune_kept(&state.layout().failed(), removes, |task| {
        if besides.is_some_and(|summary| summary.not_remade.contains_key(&task)) {
            return true;
        }
        match state.task(task) {
            Ok(row) => row.is_some_and(|row| row.live && row.state == TaskState::Failed),
            Err(_) => true,
        }
    })
}
