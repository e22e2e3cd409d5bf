//! Outputs that would go elsewhere today: a step came whose name fits theirs, or one left.
//!
//! To find them takes a look at every live output. So it is noted which names they were routed by,
//! and nobody looks as long as those are the names of the steps.

use std::collections::HashMap;

use super::cell::{file_name, located};
use super::{Context, Error, Reader, Runset, State, StepId};
use crate::model::digest::Digest;
use crate::model::name::StepName;
use crate::model::route::Router;
use crate::model::task::TaskId;

/// An output that has another route by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Astray {
    /// Its row.
    pub task: TaskId,
    /// The step version that it went to; none for a final output.
    pub from: Option<StepId>,
    /// The step version that it is to go to; none for a final output.
    pub to: Option<StepId>,
}

/// How many outputs have another route: from a step to another one, of which none stands for final
/// outputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rerouted {
    /// Where they went.
    pub from: Option<StepName>,
    /// Where they go.
    pub to: Option<StepName>,
    /// How many.
    pub count: i64,
}

/// Where an output went, and where it goes.
struct Way<'a> {
    task: TaskId,
    from: Option<StepId>,
    went: Option<&'a StepName>,
    goes: Option<&'a StepName>,
}

/// What outputs of a runset are routed by, in some words: equal for equal names of steps.
pub(crate) fn sign<'a>(names: impl Iterator<Item = &'a StepName>) -> String {
    let mut names: Vec<&str> = names.map(StepName::as_str).collect();
    names.sort_unstable();
    Digest::of(names.join("\n").as_bytes()).to_string()
}

/// In place of a sign: not all outputs are routed by the same names.
const MIXED: &str = "mixed";

impl Reader {
    /// The live outputs of `runset` that `router` leads elsewhere than they went; of `steps`, the
    /// current versions, each by its name. Nobody looks if all are known to be routed by what `sign`
    /// stands for. Of outputs without a recorded name nothing is known.
    pub(crate) fn astray(
        &self,
        runset: &Runset,
        router: &Router,
        steps: &HashMap<&StepName, StepId>,
        sign: &str,
    ) -> Result<Vec<Astray>, Error> {
        let mut astray = Vec::new();
        self.each_astray(runset, router, sign, &mut |way| {
            let to = way.goes.and_then(|goes| steps.get(goes)).copied();
            let (task, from) = (way.task, way.from);
            astray.push(Astray { task, from, to });
        })?;
        Ok(astray)
    }

    /// How many of these there are, by where they went and go. Of steps no version has to be recorded.
    pub(crate) fn would_be_rerouted(
        &self,
        runset: &Runset,
        router: &Router,
        sign: &str,
    ) -> Result<Vec<Rerouted>, Error> {
        let mut counts = Vec::new();
        self.each_astray(runset, router, sign, &mut |way| {
            add(&mut counts, way.went, way.goes, 1);
        })?;
        Ok(counts)
    }

    /// Tells each of them.
    fn each_astray(
        &self,
        runset: &Runset,
        router: &Router,
        sign: &str,
        tell: &mut dyn FnMut(&Way),
    ) -> Result<(), Error> {
        if self.routed_by(runset)?.as_deref() == Some(sign) {
            return Ok(());
        }
        let names = self.names_of_versions()?;
        self.connection
            .prepare_cached(
                "SELECT id, step_id, name FROM task
                 WHERE runset = ?1 AND live = 1 AND input_task_id IS NOT NULL
                   AND name IS NOT NULL AND output IS NULL ORDER BY id",
            )
            .and_then(|mut query| {
                let mut rows = query.query([&runset.name])?;
                while let Some(row) = rows.next()? {
                    let output = |row: &rusqlite::Row| {
                        let step: Option<i64> = row.get(1)?;
                        Ok((TaskId(row.get(0)?), step.map(StepId), file_name(row, 2)?))
                    };
                    let (task, step, name) = located("task", row, output)?;
                    let went = step.and_then(|step| names.get(&step));
                    let goes = name.as_deref().and_then(|name| router.route(name));
                    if went != goes {
                        tell(&Way {
                            task,
                            from: step,
                            went,
                            goes,
                        });
                    }
                }
                Ok(())
            })
            .during(&self.layout, "look where outputs went")
    }

    /// How many of these there are, by where they went and go.
    pub(crate) fn rerouted(&self, astray: &[Astray]) -> Result<Vec<Rerouted>, Error> {
        let names = self.names_of_versions()?;
        let mut counts = Vec::new();
        let name = |step: Option<StepId>| step.and_then(|step| names.get(&step));
        for one in astray {
            add(&mut counts, name(one.from), name(one.to), 1);
        }
        Ok(counts)
    }

    fn routed_by(&self, runset: &Runset) -> Result<Option<String>, Error> {
        self.meta(&key(runset))
    }
}

impl State {
    /// Notes that all outputs of the runset are routed by what `sign` stands for; with none, that
    /// they are not, and that those to come may be.
    pub(crate) fn set_routed_by(
        &mut self,
        runset: &Runset,
        sign: Option<&str>,
    ) -> Result<(), Error> {
        let sign = sign.unwrap_or(MIXED);
        if self.routed_by(runset)?.as_deref() == Some(sign) {
            return Ok(());
        }
        self.put_meta(&key(runset), sign)
    }
}

fn key(runset: &Runset) -> String {
    format!("routes of {}", runset.id.0)
}

/// Adds to those that went the same way.
pub(super) fn add(
    counts: &mut Vec<Rerouted>,
    from: Option<&StepName>,
    to: Option<&StepName>,
    count: i64,
) {
    let same = |known: &&mut Rerouted| known.from.as_ref() == from && known.to.as_ref() == to;
    match counts.iter_mut().find(same) {
        Some(known) => known.count += count,
        None => counts.push(Rerouted {
            from: from.cloned(),
            to: to.cloned(),
            count,
        }),
    }
}

#[cfg(test)]
mod tests;
