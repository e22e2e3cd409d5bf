//! A runset is brought into the shape that the manifest has now.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::sync::Arc;

use super::group_for;
use super::lines::Lines;
use super::with::{given_by, key_of_pair};
use crate::engine::key::key_of;
use crate::engine::readers::{Readers, key_taken};
use crate::engine::step::StepPlan;
use crate::model::digest::Digest;
use crate::model::gather::{Gather, Which};
use crate::model::list;
use crate::model::name::StepName;
use crate::model::plan::QueueId;
use crate::model::promise::Pattern;
use crate::model::route::Router;
use crate::model::scope::Belongs;
use crate::model::task::TaskId;
use crate::state::{self, Groups, Home, NewMember, NewReader, Reader, Runset, Shape, State, Told};

/// Has what came to steps that gather be members, and what came to others be tasks. What is finished
/// stays as it is.
pub(crate) fn reshape(
    state: &mut State,
    runset: &Runset,
    steps: &[Arc<StepPlan>],
    router: &Router,
) -> Result<(), state::Error> {
    take(state, runset, steps, router)?;
    let gathers = steps.iter().any(|step| step.gather.is_some());
    if !gathers && !state.has_gathered(runset)? {
        return Ok(());
    }
    let mut lines = Lines::of(state, steps, router)?;
    for step in steps {
        let shape = Shape {
            name: &step.name,
            step: step.id,
            gather: step.gather.map(|gather| match gather {
                Gather::All => Groups::All,
                Gather::ByKey => Groups::Key,
                Gather::Below(owner) => Groups::Below(&steps[owner].name),
            }),
            empty: step.empty,
        };
        state.reshape(runset, &shape, &mut |reader, task| {
            home(reader, router, lines.as_mut(), step, task)
        })?;
    }
    Ok(())
}

/// Where an output belongs that came to a step which gathers.
fn home(
    state: &Reader,
    router: &Router,
    lines: Option<&mut Lines>,
    step: &StepPlan,
    task: TaskId,
) -> Result<Home, state::Error> {
    let key = key_of(state, router, task)?;
    let (owner, group) = match step.gather {
        None | Some(Gather::All) => (Which::ALL.owner, String::new()),
        Some(Gather::ByKey) => (Which::of_key(&key).owner, key.clone()),
        Some(Gather::Below(_)) => {
            let maker = state.origin(task)?.and_then(|origin| origin.parent);
            match owner_above(state, lines, step.queue, maker)? {
                Some(owner) => (owner.0, key_of(state, router, owner)?),
                None => (Which::ASTRAY.owner, String::new()),
            }
        }
    };
    Ok(Home { owner, group, key })
}

/// The task whose descendants that step gathers, above something that `maker` left.
fn owner_above(
    state: &Reader,
    lines: Option<&mut Lines>,
    to: QueueId,
    maker: Option<TaskId>,
) -> Result<Option<TaskId>, state::Error> {
    let Some((lines, maker)) = lines.zip(maker) else {
        return Ok(None);
    };
    let Some(kind) = lines.scopes.kind_of(to) else {
        return Ok(None);
    };
    match lines.home_of(state, maker, kind)? {
        Belongs::To(owner) => Ok(Some(owner)),
        Belongs::Nowhere | Belongs::Behind(_) => Ok(None),
    }
}

/// What is asked for in the place of routes, in some words: equal for what is equal.
fn sign(steps: &[Arc<StepPlan>]) -> String {
    let mut words = state::sign(steps.iter().map(|step| &step.name));
    for step in steps {
        for source in &step.from {
            let _ = write!(words, "\n{} < {source}", step.name);
        }
        if let Some(gather) = step.gather.filter(|_| !step.from.is_empty()) {
            let _ = write!(words, " gathered {gather:?}");
        }
    }
    Digest::of(words.as_bytes()).to_string()
}

/// Has each step that takes what others leave have a task for it, or a member, and none for what it
/// does not take. To find that out takes a look at all outputs of these, so nobody looks as long as
/// the same is asked for.
fn take(
    state: &mut State,
    runset: &Runset,
    steps: &[Arc<StepPlan>],
    router: &Router,
) -> Result<(), state::Error> {
    let known = state.taken_as(runset)?;
    if known.is_none() && !steps.iter().any(|step| step.each || !step.from.is_empty()) {
        return Ok(());
    }
    let sign = sign(steps);
    if known.as_deref() == Some(&*sign) {
        return Ok(());
    }
    let readers = Readers::of(steps);
    let mut lines = Lines::of(state, steps, router)?;
    for step in steps.iter().filter(|step| step.each) {
        pair_again(state, runset, step, router)?;
    }
    for step in steps {
        let mut wanted = HashMap::new();
        let sources: BTreeSet<&StepName> = step.from.iter().map(|source| &source.step).collect();
        for source in sources {
            let Some(maker) = steps.iter().find(|other| other.name == *source) else {
                continue;
            };
            for output in state.outputs_of(runset, source)? {
                let route = router.route(&output.name);
                let route = route.and_then(|to| steps.iter().find(|other| other.name == *to));
                let takers = readers.of_output(maker.queue, &output.name, route.map(|to| to.queue));
                if let Some(taker) = takers.into_iter().find(|taker| taker.queue == step.queue) {
                    let pattern = taker.pattern.cloned();
                    wanted.insert((output.parent, output.name.to_string()), (output, pattern));
                }
            }
        }
        let mut gone = Vec::new();
        for taken in state.taken_by(runset, &step.name)? {
            let place = (taken.parent, taken.name.to_string());
            let Some((output, pattern)) = wanted.remove(&place) else {
                gone.push(taken.task);
                continue;
            };
            // One that is what the step took otherwise stays until that is migrated.
            if taken.gathered == step.gather.is_some() {
                let key = key_by(state, router, step, &output, pattern.as_ref())?;
                if taken.key.as_deref() != key.as_deref() {
                    gone.push(taken.task);
                    wanted.insert(place, (output, pattern));
                }
            }
        }
        state.leave(runset, &gone)?;
        let mut wanted: Vec<_> = wanted.into_values().collect();
        wanted.sort_by_key(|(output, _)| output.task);
        for (output, pattern) in wanted {
            let taken = (&output, pattern.as_ref());
            add(state, runset, (step, router), lines.as_mut(), taken)?;
        }
    }
    state.set_taken_as(runset, &sign)
}

/// Has pairs made again whose key is another one by today's names of steps.
fn pair_again(
    state: &mut State,
    runset: &Runset,
    step: &StepPlan,
    router: &Router,
) -> Result<(), state::Error> {
    let mut paths = HashMap::new();
    for other in &step.with {
        for (path, told) in given_by(state, router, runset, other)? {
            let alone = list::alone(&path, told.object, told.form);
            paths.insert(Digest::of(alone.as_bytes()), path);
        }
    }
    let mut gone = Vec::new();
    for pair in state.pairs_of(runset, &step.name)? {
        let Some(path) = paths.get(&pair.context) else {
            continue;
        };
        let about = key_of(state, router, pair.own)?;
        if *pair.key != *key_of_pair(router, &about, path) {
            gone.push(pair.own);
        }
    }
    gone.dedup();
    state.unpair(runset, &gone)
}

/// The key that an output is given which a step takes by that pattern.
fn key_by(
    state: &Reader,
    router: &Router,
    step: &StepPlan,
    output: &Told,
    pattern: Option<&Pattern>,
) -> Result<Option<String>, state::Error> {
    if step.gather.is_none() {
        return Ok(pattern.and_then(|pattern| pattern.star(&output.name)));
    }
    key_taken(state, router, &output.name, pattern, output.parent).map(Some)
}

fn add(
    state: &mut State,
    runset: &Runset,
    (step, router): (&StepPlan, &Router),
    lines: Option<&mut Lines>,
    (output, pattern): (&Told, Option<&Pattern>),
) -> Result<(), state::Error> {
    let key = key_by(state, router, step, output, pattern)?;
    let Some(gather) = step.gather else {
        let reader = NewReader {
            object: output.object,
            form: output.form,
            step: step.id,
            parent: output.parent,
            name: &output.name,
            key: key.as_deref(),
            output: output.task,
        };
        return state.insert_reader(runset, &reader).map(drop);
    };
    let key = key.unwrap_or_default();
    let owner = owner_above(state, lines, step.queue, Some(output.parent))?;
    let group = group_for(state, router, runset, (step, gather), (&key, owner))?;
    let member = NewMember {
        object: output.object,
        form: output.form,
        step: step.id,
        group,
        parent: output.parent,
        name: &output.name,
        key: &key,
        output: Some(output.task),
    };
    state.add_member(runset, &member).map(drop)
}
