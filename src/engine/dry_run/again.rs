//! Tasks that have ended and would run again, for bytes that were dropped.

use std::collections::{BTreeSet, HashSet};

use super::super::Error;
use super::super::makers::Makers;
use super::DryRun;
use crate::model::gather::Line;
use crate::model::plan::Ready;
use crate::model::task::{TaskId, TaskState};
use crate::state::Origin;

/// Those that are known by now: each runs once, however many need what it left.
#[derive(Debug, Default)]
pub(super) struct Again {
    known: HashSet<TaskId>,
}

impl Again {
    /// Counts those of `wanted`, and above them, that would run again and had no reason to before. `told` is in the order of
    /// the steps.
    pub(super) fn count(
        &mut self,
        makers: &Makers,
        mut wanted: BTreeSet<TaskId>,
        told: &mut [DryRun],
    ) -> Result<(), Error> {
        while let Some(maker) = wanted.pop_first() {
            if !self.known.insert(maker) {
                continue;
            }
            let Some(origin) = makers.state.origin(maker)? else {
                continue;
            };
            let Some(step) = makers.step(&origin) else {
                if let Some(told) = of_other_version(makers, &origin, told)? {
                    told.anew += 1;
                }
                continue;
            };
            told[step.queue].again += 1;
            let ready = Ready {
                id: maker,
                input: origin.input,
                form: origin.form,
                parent: origin.parent,
                name: None,
                state: TaskState::Done,
                forced: true,
                attempt: 0,
                line: Line::default(),
                key: None,
                context: origin.context.map(Box::new),
                raised: 0,
            };
            wanted.extend(makers.of(step.queue, &ready)?);
        }
        Ok(())
    }
}

/// What is told of the step that has another version by now; none if it is gone.
fn of_other_version<'t>(
    makers: &Makers,
    origin: &Origin,
    told: &'t mut [DryRun],
) -> Result<Option<&'t mut DryRun>, Error> {
    let names = makers.state.names_of_versions()?;
    let name = origin.step.and_then(|step| names.get(&step));
    let step = name.and_then(|name| makers.steps.iter().find(|step| step.name == *name));
    Ok(step.and_then(|step| told.get_mut(step.queue)))
}
