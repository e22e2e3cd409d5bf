//! What comes into a pipeline from outside: the entries of the manifest's inputs, compared with those
//! that a runset has.
//!
//! Everything is found out before anything changes: files are walked, sheets read, commands run. The
//! comparison goes through entries and records at once, in the order of their identities, so that
//! what is as it was costs no statement. What differs is put into the store, and then into the state
//! by its caller, in one group of writes.

mod compare;
mod error;
mod gather;
mod lines;
mod rows;

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

pub(crate) use compare::Difference;
pub(crate) use error::Error;

use crate::files::{self, Keep, Known, Root};
use crate::manifest::diagnostic::Diagnostic;
use crate::manifest::{InputKind, Manifest};
use crate::model::digest::Digest;
use crate::model::name::StepName;
use crate::model::route::Router;
use crate::state::{Entries, Reader, Runset, StepId};
use crate::store::Store;
use compare::Merge;
use gather::{Gatherer, line_bytes, of_file, place};
use rows::Sheet;

/// What is asked for entries.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outside<'a> {
    /// Whose inputs.
    pub manifest: &'a Manifest,
    /// Its text, for messages.
    pub text: &'a str,
    /// Where entries go whose input names no step.
    pub router: &'a Router,
    /// Where files are, and commands run.
    pub folder: &'a Path,
    /// The folder of the database, in which no file is an input.
    pub db: &'a Path,
    /// Set when the user wants an end.
    pub stop: &'a AtomicBool,
}

/// A file, a row or a line that came in.
#[derive(Debug)]
pub(crate) struct Entry {
    /// What tells it from all others: its kind, and its path, sheet and name, or text.
    identity: Box<str>,
    /// Its file name as an input.
    name: Box<str>,
    /// The step that takes it.
    step: StepName,
    /// Its bytes.
    object: Digest,
    /// How many these are.
    size: u64,
    /// The input that it is of.
    input: usize,
    source: Source,
}

#[derive(Debug)]
enum Source {
    File(Box<str>),
    Row(Arc<Sheet>, usize),
    Line(Box<str>),
}

/// All entries that there are.
#[derive(Debug)]
pub(crate) struct Inputs {
    /// In ascending order of their identities.
    entries: Vec<Entry>,
    root: Root,
    /// Of each input that has nothing, though that is not said to be right: how the identities of its
    /// entries begin, and its place.
    bare: Vec<(String, Range<usize>)>,
    /// The places of the inputs.
    places: Vec<Range<usize>>,
}

impl Inputs {
    /// Finds all that comes in. `store`: where files that are read are put at once, if there is one to
    /// write to.
    pub(crate) fn gather(
        outside: &Outside,
        known: &mut Known,
        store: Option<&Store>,
    ) -> Result<Self, Error> {
        let root = Root::open(outside.folder, Some(outside.db)).map_err(Error::Folder)?;
        let mut gatherer = Gatherer {
            outside,
            root: &root,
            entries: Vec::new(),
            errors: Vec::new(),
            bare: Vec::new(),
        };
        let keep = store.map_or(Keep::Nothing, Keep::All);
        let inputs = || outside.manifest.inputs.iter().enumerate();
        for (number, input) in inputs() {
            match input.kind() {
                Some(InputKind::Files(globs)) => gatherer.files(number, input, globs, known, keep),
                Some(InputKind::Rows(sheet)) => gatherer.rows(number, input, sheet),
                Some(InputKind::Lines(_)) | None => {}
            }
        }
        // A command may take its time, and do more than look.
        for (number, input) in inputs() {
            if let Some(InputKind::Lines(command)) = input.kind()
                && gatherer.errors.is_empty()
            {
                gatherer.lines(number, input, command)?;
            }
        }
        gatherer.entries.sort_by(|a, b| a.identity.cmp(&b.identity));
        gatherer.check_identities();
        let Gatherer {
            entries,
            errors,
            bare,
            ..
        } = gatherer;
        if !errors.is_empty() {
            return Err(Error::Bad(errors));
        }
        Ok(Self {
            entries,
            root,
            bare,
            places: inputs().map(|(_, input)| place(input)).collect(),
        })
    }

    /// How they differ from what is recorded of the runset.
    pub(crate) fn compare(&self, state: &Reader, runset: &Runset) -> Result<Difference, Error> {
        let names = state.names_of_versions()?;
        let mut merge = Merge::new(&self.entries);
        state.each_entry(runset, |recorded| {
            let step = recorded.step.and_then(|step| names.get(&step));
            merge.recorded(recorded, step);
        })?;
        let difference = merge.finish();
        let errors: Vec<Diagnostic> = self
            .bare
            .iter()
            .filter_map(|(begin, at)| {
                let gone = difference.gone.iter();
                let gone = gone.filter(|(identity, _)| identity.starts_with(begin));
                let count = gone.count();
                let what = match count {
                    1 => "1 entry".to_owned(),
                    many => format!("{many} entries"),
                };
                let message =
                    format!("nothing comes in here any more: the results of {what} would go");
                (count > 0).then(|| Diagnostic::at(at.clone(), message).hint(EMPTY))
            })
            .collect();
        if errors.is_empty() {
            Ok(difference)
        } else {
            Err(Error::Bad(errors))
        }
    }

    /// Fails if an input has nothing that had something in this runset.
    pub(crate) fn check_bare(&self, state: &Reader, runset: &Runset) -> Result<(), Error> {
        if self.bare.is_empty() {
            return Ok(());
        }
        self.compare(state, runset).map(drop)
    }

    /// Puts into the store what is to be made of the difference.
    pub(crate) fn keep(
        &mut self,
        difference: &Difference,
        known: &mut Known,
        store: &Store,
    ) -> Result<(), Error> {
        for (at, _) in &difference.made {
            self.put(*at, known, store)?;
        }
        Ok(())
    }

    /// Puts into the store again what is gone of these objects, if it is an entry's.
    pub(crate) fn restore(
        &mut self,
        wanted: &[Digest],
        known: &mut Known,
        store: &Store,
    ) -> Result<(), Error> {
        let mut places: HashMap<Digest, usize> = HashMap::new();
        for object in wanted.iter().filter(|object| **object != Digest::EMPTY) {
            let size = store.size(object);
            if places.is_empty() {
                let all = self.entries.iter().enumerate();
                places = all.map(|(at, entry)| (entry.object, at)).collect();
            }
            if let Some(at) = places.get(object)
                && size != Some(self.entries[*at].size)
            {
                self.put(*at, known, store)?;
            }
        }
        Ok(())
    }

    /// The difference as the state takes it; `step` gives the current versions.
    pub(crate) fn changes<'a>(
        &'a self,
        difference: &'a Difference,
        step: impl Fn(&StepName) -> Option<StepId>,
    ) -> Entries<'a> {
        compare::entries(difference, &self.entries, step)
    }

    /// Whether one of them goes to that step.
    pub(crate) fn feed(&self, step: &str) -> bool {
        self.entries.iter().any(|entry| &*entry.step == step)
    }

    fn put(&mut self, at: usize, known: &mut Known, store: &Store) -> Result<(), Error> {
        let entry = &mut self.entries[at];
        let stored = match &entry.source {
            Source::Row(sheet, row) => store.insert_bytes(&sheet.bytes(&sheet.rows[*row])),
            Source::Line(text) => store.insert_bytes(&line_bytes(text)),
            Source::File(_) if store.size(&entry.object) == Some(entry.size) => return Ok(()),
            Source::File(path) => {
                if store.contains(&entry.object) {
                    // Of another size, so that it is none; what is there would be taken for it. If it
                    // cannot be removed, the task says what is wrong with it.
                    let _ = std::fs::remove_file(store.path(&entry.object));
                }
                let read = files::read(&self.root, path, known, Keep::All(store));
                let (stat, content) = read.map_err(|error| {
                    Error::Bad(vec![of_file(&error, self.places[entry.input].clone())])
                })?;
                (entry.object, entry.size) = (content.digest, stat.size);
                if store.contains(&entry.object) {
                    return Ok(());
                }
                let error = files::Error::Changing(path.to_string());
                let at = self.places[entry.input].clone();
                return Err(Error::Bad(vec![of_file(&error, at)]));
            }
        };
        stored.map(drop).map_err(Error::Store)
    }
}

const EMPTY: &str =
    "if that is meant, set `empty = true`; if not, look whether a disk or a file is missing";

#[cfg(test)]
mod tests;
