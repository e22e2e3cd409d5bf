//! What one task gets besides its input: what it got, or would get now.

use super::super::error::Failure;
use crate::engine::{context, key_of, key_of_pair};
use crate::exec::local::Given;
use crate::manifest::Step;
use crate::model::list::{Form, List};
use crate::model::name::StepName;
use crate::model::tree::Entry;
use crate::prepare::Source;
use crate::state::{Reader, TaskRow};
use crate::store;
use crate::text::visible;

/// What other steps left, for one task.
pub(super) struct Gift {
    /// Each as `STEP/NAME`.
    pub files: Vec<Entry>,
    /// Of a task that stands for pairs, as it did not start yet, how many there are; of these it is the first.
    pub pairs: usize,
}

impl Gift {
    /// For a task of that step, as the manifest has that now.
    pub(super) fn of(
        state: &Reader,
        store: &store::Reader,
        source: &Source,
        task: &TaskRow,
        step: &Step,
    ) -> Result<Self, Failure> {
        let got = task.context.as_ref();
        if let Some(list) = got
            && is_as_now(state, task, step)?
        {
            let files = Given::of(store, list, Form::List)?.files;
            return Ok(Self { files, pairs: 0 });
        }
        let text = match state.runset(&task.runset)? {
            Some(runset) => context(state, &source.router, &runset, &step.with)?,
            None => String::new(),
        };
        let mut files = List::read(text.as_bytes()).map_or_else(Vec::new, |list| list.files);
        if !step.each {
            return Ok(Self { files, pairs: 0 });
        }
        let pairs = files.len();
        files.truncate(1);
        if files.is_empty() {
            let name = visible(step.with.first().map_or("", |with| with.as_str()));
            return Err(Failure::usage(format!(
                "task #{} works with each output of {name}, and there is none yet",
                task.id
            ))
            .hint(format!("-run -until {name} makes what is needed")));
        }
        Ok(Self { files, pairs })
    }

    /// What the task is about.
    pub(super) fn key(
        &self,
        state: &Reader,
        source: &Source,
        task: &TaskRow,
    ) -> Result<String, Failure> {
        match self.files.first().filter(|_| self.pairs > 0) {
            None => Ok(key_of(state, &source.router, task.id)?),
            Some(file) => {
                let about = key_of(state, &source.router, task.own_row())?;
                Ok(key_of_pair(&source.router, &about, &file.name))
            }
        }
    }
}

/// Whether the version that the task is of gets the same as the step does now.
fn is_as_now(state: &Reader, task: &TaskRow, step: &Step) -> Result<bool, Failure> {
    let Some(of) = &task.step else {
        return Ok(false);
    };
    let versions = state.versions(&of.name)?;
    let version = versions.iter().find(|version| version.id == of.id);
    let identity = version.and_then(|version| version.identity.as_ref());
    Ok(identity.is_some_and(|identity| {
        let names = step.with.iter().map(StepName::as_str);
        identity.each == step.each && names.eq(identity.with.iter().map(String::as_str))
    }))
}
