//! What tasks get besides their inputs, and who gets an output so.

use std::collections::HashMap;

use super::super::error::Failure;
use super::super::options::Places;
use super::super::select;
use crate::engine::given_by;
use crate::exec::local::Given;
use crate::model::digest::Digest;
use crate::model::list::{self, Form};
use crate::model::name::StepName;
use crate::model::route::Router;
use crate::model::tree::Entry;
use crate::prepare;
use crate::state::{Reader, Runset, TaskRow, Told};
use crate::store;

/// What a step left in a runset, by the paths that tasks have it at.
type Source = HashMap<Box<str>, Told>;

/// Finds what tasks got besides their inputs.
pub(super) struct Gifts<'a> {
    state: &'a Reader,
    store: store::Reader,
    places: &'a Places,
    /// By runset and step.
    sources: HashMap<(String, String), Source>,
}

impl<'a> Gifts<'a> {
    pub(super) fn new(places: &'a Places, state: &'a Reader) -> Result<Self, Failure> {
        Ok(Self {
            state,
            store: select::store(state)?,
            places,
            sources: HashMap::new(),
        })
    }

    /// Of a pair, the one output of another step in it.
    pub(super) fn alone(&self, row: &TaskRow) -> Option<Entry> {
        row.pair_of?;
        let mut files = self.list(row)?;
        files.pop().filter(|_| files.is_empty())
    }

    fn list(&self, row: &TaskRow) -> Option<Vec<Entry>> {
        let list = Given::of(&self.store, row.context.as_ref()?, Form::List).ok()?;
        Some(list.files)
    }

    /// The outputs of other steps that a task got besides its input, with the paths that it has them at; the
    /// first ones of many. What a superseded one got may have been made anew since.
    pub(super) fn got(
        &mut self,
        row: &TaskRow,
        most: usize,
    ) -> Result<Vec<(Box<str>, TaskRow)>, Failure> {
        let mut got = Vec::new();
        if !row.live || row.stands_for_pairs() {
            return Ok(got);
        }
        let Some(runset) = self.state.runset(&row.runset)? else {
            return Ok(got);
        };
        for file in self.list(row).unwrap_or_default() {
            if got.len() >= most {
                break;
            }
            let step = file.name.split('/').next().map(StepName::new);
            let Some(Ok(step)) = step else {
                continue;
            };
            let source = self.source(&runset, &step)?;
            let told = source.get(&file.name);
            let told = told.filter(|told| told.object == file.digest);
            let Some(task) = told.map(|told| told.task) else {
                continue;
            };
            if let Some(row) = self.state.task(task)? {
                got.push((file.name, row));
            }
        }
        Ok(got)
    }

    /// The hash of the list that has that output alone.
    pub(super) fn list_of(
        &mut self,
        runset: &Runset,
        maker: &StepName,
        output: &TaskRow,
    ) -> Result<Option<Digest>, Failure> {
        let source = self.source(runset, maker)?;
        let own = source.iter().find(|(_, told)| told.task == output.id);
        Ok(own.map(|(path, told)| {
            let alone = list::alone(path, told.object, told.form);
            Digest::of(alone.as_bytes())
        }))
    }

    /// What the step left in the runset.
    fn source(&mut self, runset: &Runset, step: &StepName) -> Result<&Source, Failure> {
        let which = (runset.name.clone(), step.to_string());
        if !self.sources.contains_key(&which) {
            let router = self.router()?;
            let outputs = given_by(self.state, &router, runset, step)?;
            self.sources
                .insert(which.clone(), outputs.into_iter().collect());
        }
        Ok(&self.sources[&which])
    }

    /// Where names lead: by the manifest, or by what is recorded if there is none at hand.
    fn router(&self) -> Result<Router, Failure> {
        let source = self.places.manifest().ok();
        let source = source.and_then(|path| prepare::Source::load(&path).ok());
        Ok(match source {
            Some(source) => source.router,
            None => Router::new(self.state.step_names()?),
        })
    }
}
