//! Which groups are complete, and which one something belongs to.

use super::super::key::key_of;
use super::super::step::StepPlan;
use crate::model::gather::{Gather, Which};
use crate::model::route::Router;
use crate::model::task::TaskId;
use crate::state::{self, Group, Runset, State};

/// Groups that are in memory at once.
const SLICE: usize = if cfg!(test) { 3 } else { 512 };

/// Groups of a step that are complete and have no task, behind that one; none if there are no more.
pub(in super::super) fn complete_groups(
    state: &mut State,
    runset: &Runset,
    step: &StepPlan,
    (gather, after): (Gather, Option<&Group>),
) -> Result<Vec<Group>, state::Error> {
    let which = match gather {
        Gather::All => Which::ALL,
        Gather::ByKey => Which::of_key(""),
        // Of these each is complete by itself.
        Gather::Below(_) => return Ok(Vec::new()),
    };
    let mut groups = state.open_groups(runset, &step.name, (which, after), SLICE)?;
    if step.empty && gather == Gather::All && groups.is_empty() {
        let id = state.group_of(runset, &step.name, Which::ALL)?;
        if state.gathers(id)?.is_none() {
            groups.push(Group {
                id,
                key: Box::default(),
                owner: None,
            });
        }
    }
    Ok(groups)
}

/// The group of what descends from `owner`, if it has all that it gathers, and no task.
pub(in super::super) fn complete_group(
    state: &mut State,
    router: &Router,
    runset: &Runset,
    step: &StepPlan,
    owner: TaskId,
) -> Result<Option<Group>, state::Error> {
    let key = |state: &State| key_of(state, router, owner).map(String::into_boxed_str);
    let id = match state.find_group(runset, &step.name, Which::below(owner, ""))? {
        Some(id) if state.gathers(id)?.is_some() => return Ok(None),
        Some(id) if step.empty || state.has_members(id)? => id,
        None if step.empty => {
            let key = key(state)?;
            state.group_of(runset, &step.name, Which::below(owner, &key))?
        }
        Some(_) | None => return Ok(None),
    };
    Ok(Some(Group {
        id,
        key: key(state)?,
        owner: Some(owner),
    }))
}

/// The group of a step that something with that key belongs to, which descends from `owner`, if that
/// makes a difference.
pub(in super::super) fn group_for(
    state: &mut State,
    router: &Router,
    runset: &Runset,
    (step, gather): (&StepPlan, Gather),
    (key, owner): (&str, Option<TaskId>),
) -> Result<state::GroupId, state::Error> {
    let which = match (gather, owner) {
        (Gather::All, _) => Which::ALL,
        (Gather::ByKey, _) => Which::of_key(key),
        (Gather::Below(_), None) => Which::ASTRAY,
        (Gather::Below(_), Some(owner)) => {
            let known = state.find_group(runset, &step.name, Which::below(owner, ""))?;
            if let Some(known) = known {
                return Ok(known);
            }
            let key = key_of(state, router, owner)?;
            return state.group_of(runset, &step.name, Which::below(owner, &key));
        }
    };
    state.group_of(runset, &step.name, which)
}
