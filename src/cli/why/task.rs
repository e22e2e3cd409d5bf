//! Why a task ran, will run or was reused.

use std::fmt::Write as _;

use super::super::error::Failure;
use super::super::options::Places;
use super::super::planned::{Planned, planned};
use super::super::select;
use super::super::tasks::state_in_words;
use super::case::{Case, cache};
use crate::engine;
use crate::files::Texts;
use crate::model::gather::Role;
use crate::model::identity::Tools;
use crate::model::name::StepName;
use crate::model::task::TaskState;
use crate::state::{Reader, StepVersion, TaskRow};
use crate::text::amount;
use crate::text::time::short_micros;
use crate::text::visible;

/// Why the task is as it is.
pub(super) fn task_text(places: &Places, state: &Reader, row: &TaskRow) -> Result<String, Failure> {
    let Some(step) = &row.step else {
        return final_text(places, state, row);
    };
    if row.role == Role::Member {
        return member_text(state, row, &step.name);
    }
    let versions = state.versions(&step.name)?;
    let texts = Texts::new(select::store(state)?);
    let case = Case {
        state,
        texts: &texts,
        row,
        step,
        versions: &versions,
        cache: cache(places, &step.name),
        acceptance: state.acceptance(row.id)?,
    };
    let hash = row.object.hex();
    let input = match &row.name {
        Some(name) => format!(" on {}{} ({})", visible(name), row.form.slash(), &hash[..8]),
        None => row
            .group()
            .map_or_else(String::new, |key| format!(" ({})", visible(key))),
    };
    let mut text = format!(
        "#{} {} v{}{input}: {}\n",
        row.id,
        visible(&step.name),
        step.version,
        state_in_words(row)
    );
    let entry = match (row.parent, &row.name) {
        (None, Some(_)) => state.entry_of(row.own_row())?,
        _ => None,
    };
    if row.role == Role::Gather && row.live {
        let members = state.members_of(row.id)?;
        let _ = writeln!(text, "  gathered: {}", amount::count(members, "output"));
    }
    if let Some(entry) = &entry {
        let _ = writeln!(text, "  from outside: {entry}");
    }
    if let Some(with) = case.with() {
        let _ = writeln!(text, "  with: {with}");
    }
    if let Some(acceptance) = &case.acceptance {
        let _ = writeln!(text, "  {}", acceptance.in_words(step.version));
    }
    match row.state {
        TaskState::Reused => {
            case.reused(&mut text);
            let source = row.reused_from.unwrap_or(row.id);
            if let Some(origin) = state.shared_by(source)? {
                let _ = writeln!(text, "  task #{source} has them of {}", visible(&origin));
            }
        }
        TaskState::Done => {
            if let Some(origin) = state.shared_by(row.id)? {
                case.shared(&origin, &mut text);
            } else {
                case.ran(&mut text)?;
                if let Some((tries, error)) = state.flaky(row.id)? {
                    let error = error.lines().next().unwrap_or_default();
                    let _ = writeln!(
                        text,
                        "  succeeded at try {tries}; the one before: {}",
                        visible(error)
                    );
                }
            }
        }
        TaskState::Failed => {
            case.ran(&mut text)?;
            case.failed(&mut text);
        }
        TaskState::Pending => match stuck(places, state, row, &versions)? {
            Some(gone) => {
                let gone = visible(gone.as_str());
                let _ = writeln!(
                    text,
                    "  cannot run: what it works on was evicted, and the manifest no longer has step {gone} that left it"
                );
            }
            None => case.pending(&mut text)?,
        },
    }
    elsewhere(state, row, &mut text)?;
    if !row.live {
        superseded(state, row, &mut text)?;
    } else if row.tainted || !row.state.is_finished() {
        case.newer(&mut text);
    }
    Ok(text)
}

/// The step for want of which the task cannot be done, if there is such.
fn stuck(
    places: &Places,
    state: &Reader,
    row: &TaskRow,
    versions: &[StepVersion],
) -> Result<Option<StepName>, Failure> {
    let store = select::store(state)?;
    if !row.live || !store.is_any_evicted() {
        return Ok(None);
    }
    let mut identities = versions.iter().filter_map(|one| one.identity.as_ref());
    let host = identities.any(|identity| identity.tools == Tools::HostInstead);
    // What is wrong with a manifest others tell.
    let (Some(runset), Ok(Planned::Steps(plan))) =
        (state.runset(&row.runset)?, planned(places, host))
    else {
        return Ok(None);
    };
    let (steps, router) = (&plan.steps.all, &plan.source.router);
    Ok(engine::stuck_for(
        state, &store, steps, router, &runset, row.id,
    )?)
}

/// Its tries on other machines; of many the last ones.
fn elsewhere(state: &Reader, row: &TaskRow, text: &mut String) -> Result<(), Failure> {
    const TOLD: usize = 8;
    let tries = state.attempts(row.id)?;
    let before = tries.len().saturating_sub(TOLD);
    if before > 0 {
        let _ = writeln!(text, "  {} before these", amount::count(before, "try"));
    }
    for one in &tries[before..] {
        let place = format!(
            "machine {} (executor {})",
            visible(one.node.as_deref().unwrap_or("of no known name")),
            visible(&one.executor)
        );
        let took = short_micros(one.elapsed);
        let _ = match &one.lost {
            Some(why) => writeln!(
                text,
                "  lost after {took} on {place}: {}; that is no failure of the task",
                visible(why)
            ),
            None if row.started == Some(one.started) && row.reused_from.is_none() => {
                writeln!(text, "  ran for {took} on {place}")
            }
            None => writeln!(text, "  tried for {took} on {place}"),
        };
    }
    Ok(())
}

fn member_text(state: &Reader, row: &TaskRow, step: &str) -> Result<String, Failure> {
    let step = visible(step);
    let name = visible(row.name.as_deref().unwrap_or_default()) + row.form.slash();
    if row.context.is_some() {
        return Ok(format!(
            "#{} is {name}, on which {step} works with each output of another step: tasks that are its \
             children\n",
            row.id
        ));
    }
    let mut text = format!("#{} is {name}, which {step} gathers", row.id);
    let _ = match state.gathered_by(row.id)? {
        Some(task) => writeln!(text, ": it is part of the input of task #{task}"),
        None if row.live => writeln!(text, ": it waits for the others"),
        None => writeln!(text),
    };
    if !row.live {
        superseded(state, row, &mut text)?;
    }
    Ok(text)
}

fn final_text(places: &Places, state: &Reader, row: &TaskRow) -> Result<String, Failure> {
    let name = visible(row.name.as_deref().unwrap_or_default()) + row.form.slash();
    let is = if row.live { "is" } else { "was" };
    let mut text = format!(
        "#{} {is} the final output {name}: no part of that name {is} a step's\n",
        row.id
    );
    if let Some(old) = row.supersedes
        && let Some(step) = state.task(old)?.and_then(|old| old.step)
    {
        let _ = writeln!(
            text,
            "  it went to step {} before, as task #{old}; -migrate-tainted acted on that",
            visible(&step.name)
        );
    }
    if !row.live {
        superseded(state, row, &mut text)?;
    }
    if let Some(parent) = row.parent
        && let Some(parent) = state.task(parent)?
        && parent.step.is_some()
    {
        text.push_str(&task_text(places, state, &parent)?);
    }
    Ok(text)
}

fn superseded(state: &Reader, row: &TaskRow, text: &mut String) -> Result<(), Failure> {
    let mut at = row.clone();
    loop {
        if let Some(new) = state.superseded_by(at.id)? {
            let whose = if at.id == row.id {
                "its place".to_owned()
            } else {
                format!("the place of task #{}, further up", at.id)
            };
            let _ = writeln!(text, "  superseded: task #{new} took {whose}");
            return Ok(());
        }
        let parent = at.pair_of.or(at.parent).filter(|parent| *parent < at.id);
        let above = parent.map(|parent| state.task(parent)).transpose()?;
        if let Some(Some(parent)) = above {
            at = parent;
            continue;
        }
        if at.role == Role::Gather {
            text.push_str("  superseded: what it had gathered is not all that there is now\n");
            return Ok(());
        }
        // Whatever was superseded has a successor, but for what came in from outside.
        if at.name.is_some() {
            text.push_str("  superseded: what it comes from does not come in any more\n");
        }
        return Ok(());
    }
}
