//! What comes into a pipeline from outside: the entries of the manifest's inputs, compared with those
//! that a runset has.
//!
//! Everything is found out before anything changes: files are walked, sheets read, commands run. The
//! comparison goes through entries and records at once, in the order of their identities, so that
//! what is as it was costs no statement. What differs is put into the store, and then into the state
//! by its caller, in one group of writes.

mod compare;
mod error;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz;
mod gather;
mod lines;
mod look;
mod rows;
mod sheets;

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

pub(crate) use compare::Difference;
pub(crate) use error::Error;

use crate::files::{self, Keep, Known, Root};
use crate::manifest::diagnostic::Diagnostic;
use crate::manifest::{InputKind, Manifest, Texts};
use crate::model::digest::Digest;
use crate::model::file::Lent;
use crate::model::list::Form;
use crate::model::name::StepName;
use crate::model::route::Router;
use crate::state::{Entries, Reader, Runset, StepId};
use crate::store::{self, Store};
use crate::sys;
use compare::Merge;
use gather::{Gatherer, line_bytes, of_file, place};
use rows::Sheet;

/// What is asked for entries.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outside<'a> {
    /// Whose inputs.
    pub manifest: &'a Manifest,
    /// Its texts, for messages.
    pub texts: &'a Texts,
    /// Where entries go whose input names no step.
    pub router: &'a Router,
    /// Where files are, and commands run.
    pub folder: &'a Path,
    /// The folder of the database, in which no file is an input.
    pub db: &'a Path,
    /// Where the command of an input finds programs before those of the host, by the input's place in
    /// the manifest; none if that is not known yet.
    pub programs: &'a [Option<Vec<String>>],
    /// The pipeline's parameters, for commands.
    pub params: &'a [(&'a str, &'a str)],
    /// Set when the user wants an end.
    pub stop: &'a Arc<AtomicBool>,
    /// Told of files that take long to read.
    pub tell: Option<files::Tell>,
}

/// A file, a row or a line that came in.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// What tells it from all others that come to its step: its kind, and its path, sheet and name, or
    /// text.
    identity: Box<str>,
    /// What its task is about, where that is not its name.
    key: Option<Box<str>>,
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

#[derive(Debug, Clone)]
enum Source {
    File(Box<str>),
    Row(Arc<Sheet>, usize, Box<[Listed]>),
    Line(Box<str>),
}

/// A file that a row names, as it was found.
#[derive(Debug, Clone, Copy)]
struct Listed {
    digest: Digest,
    /// In bytes.
    size: u64,
}

impl Entry {
    /// What its object is.
    fn form(&self) -> Form {
        match &self.source {
            Source::Row(_, _, files) if !files.is_empty() => Form::List,
            Source::Row(..) | Source::File(_) | Source::Line(_) => Form::File,
        }
    }

    /// The objects that it has in the store, with their sizes in bytes.
    fn copies(&self, copied: bool) -> impl Iterator<Item = (&Digest, u64)> {
        let (own, files) = match &self.source {
            Source::File(_) => (copied, &[][..]),
            Source::Row(_, _, files) if copied => (true, &files[..]),
            Source::Line(_) | Source::Row(..) => (true, &[][..]),
        };
        let own = own.then_some((&self.object, self.size));
        let files = files.iter().map(|file| (&file.digest, file.size));
        own.into_iter().chain(files)
    }

    /// Whether all that it is made of is in the store, but for what stays where it lies.
    fn is_in(&self, store: &Store, copied: bool) -> bool {
        if !copied && matches!(self.source, Source::File(_)) {
            return true;
        }
        store.size(&self.object) == Some(self.size)
            && match &self.source {
                Source::Row(sheet, row, files) if !files.is_empty() => {
                    let bytes = sheet.bytes(&sheet.rows[*row]);
                    let mut files = files.iter();
                    store.size(&Digest::of(&bytes)) == Some(bytes.len() as u64)
                        && files.all(|file| !copied || store.size(&file.digest) == Some(file.size))
                }
                Source::Row(..) | Source::File(_) | Source::Line(_) => true,
            }
    }
}

/// All entries that there are.
#[derive(Debug)]
pub(crate) struct Inputs {
    /// In ascending order of their identities, and then of the steps' names.
    entries: Vec<Entry>,
    root: Root,
    /// Of each input that has nothing, though that is not said to be right: how the identities of its
    /// entries begin, and its place.
    bare: Vec<(String, Range<usize>)>,
    /// The places of the inputs, and whether their files are copied.
    places: Vec<(Range<usize>, bool)>,
    /// Files that are objects where they lie.
    lent: Vec<(Digest, Lent)>,
    /// What commands that ended well said on standard error, with their places.
    said: Vec<(Range<usize>, String)>,
}

impl Inputs {
    /// Finds all that comes in. `store`: where files that are read are put at once, if there is one to
    /// write to.
    pub(crate) fn gather(
        outside: &Outside,
        known: &mut Known,
        store: Option<&Store>,
    ) -> Result<Self, Error> {
        Self::gather_with(outside, known, store, true)
    }

    fn root(outside: &Outside) -> Result<Root, Error> {
        let stop = Arc::clone(outside.stop);
        let root = Root::open_until(outside.folder, Some(outside.db), stop);
        Ok(root.map_err(Error::Folder)?.telling(outside.tell))
    }

    fn gather_with(
        outside: &Outside,
        known: &mut Known,
        store: Option<&Store>,
        commands: bool,
    ) -> Result<Self, Error> {
        let root = Self::root(outside)?;
        let mut gatherer = Gatherer::new(outside, &root, store.map(Store::scratch));
        gatherer.without_commands(known, store)?;
        gatherer.nothing_is_absent();
        let inputs = || outside.manifest.inputs.iter().enumerate();
        // A command may take its time, and do more than look.
        for (number, input) in inputs() {
            if let Some(InputKind::Lines(command)) = input.kind()
                && commands
                && gatherer.errors.is_empty()
            {
                gatherer.lines(number, input, command)?;
            }
        }
        gatherer.sort();
        gatherer.check_identities();
        let Gatherer {
            entries,
            errors,
            bare,
            said,
            lent,
            ..
        } = gatherer;
        if !errors.is_empty() {
            return Err(Error::Bad(errors));
        }
        Ok(Self {
            entries,
            root,
            bare,
            said,
            lent,
            places: inputs()
                .map(|(_, input)| (place(input), input.copy))
                .collect(),
        })
    }

    /// Files that are objects where they lie: all that came in.
    pub(crate) fn lent(&self) -> &[(Digest, Lent)] {
        &self.lent
    }

    /// What tells each entry from all others.
    pub(crate) fn identities(&self) -> impl Iterator<Item = &str> + Clone {
        self.entries.iter().map(|entry| &*entry.identity)
    }

    /// What commands said on standard error though they ended well: a part of a pipe may have failed, of
    /// which `sh -e` knows nothing.
    pub(crate) fn said(&self) -> &[(Range<usize>, String)] {
        &self.said
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

    /// Puts into the store again what is gone of these objects, or was altered there, if it is an entry's.
    ///
    /// Of the first ones bytes are read, as far as that takes no time to speak of; of the others whoever uses
    /// them finds it, and puts them out of the way of the next look.
    pub(crate) fn restore(
        &mut self,
        wanted: &[Digest],
        known: &mut Known,
        store: &Store,
    ) -> Result<(), Error> {
        let mut places: HashMap<Digest, usize> = HashMap::new();
        let mut look = Look::default();
        for object in wanted.iter().filter(|object| **object != Digest::EMPTY) {
            if places.is_empty() {
                let all = self.entries.iter().enumerate();
                places = all.map(|(at, entry)| (entry.object, at)).collect();
            }
            let Some(at) = places.get(object) else {
                continue;
            };
            let entry = &self.entries[*at];
            let copied = self.places[entry.input].1;
            entry
                .copies(copied)
                .for_each(|(object, size)| look.remove_damaged(store, object, size));
            if !entry.is_in(store, copied) {
                self.put(*at, known, store)?;
            }
        }
        Ok(())
    }

    /// The same for what no task waits for, so that it is to be had when one does: `all` of it, or a few, each time others.
    /// Bytes are read again of what was touched after `since` (microseconds since 1970). The names of what came in again.
    pub(crate) fn put_back(
        &mut self,
        all: bool,
        since: Option<i64>,
        known: &mut Known,
        store: &Store,
    ) -> Result<Vec<String>, Error> {
        let count = self.entries.len();
        let (first, some) = match usize::try_from(sys::now().as_second()) {
            Ok(now) if !all && count > A_FEW => (now.wrapping_mul(A_FEW) % count, A_FEW),
            _ => (0, count),
        };
        let mut look = Look::default();
        let mut back = Vec::new();
        for at in (first..count).chain(0..first).take(some) {
            let entry = &self.entries[at];
            let copied = self.places[entry.input].1;
            for (object, size) in entry.copies(copied) {
                let touched = store.changed(object).ok().flatten();
                if touched.is_some_and(|touched| since.is_none_or(|since| touched > since)) {
                    look.remove_damaged(store, object, size);
                }
            }
            if !entry.is_in(store, copied) {
                back.push(entry.name.to_string());
                self.put(at, known, store)?;
            }
        }
        Ok(back)
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
        let (place, copied) = &self.places[entry.input];
        let mut files = Files {
            root: &self.root,
            place,
            known,
            store,
        };
        let bytes = match &mut entry.source {
            Source::File(_) if !copied => return Ok(()),
            Source::File(path) => {
                let file = Listed {
                    digest: entry.object,
                    size: entry.size,
                };
                let file = files.put(path, &file)?;
                (entry.object, entry.size) = (file.digest, file.size);
                return Ok(());
            }
            Source::Line(text) => line_bytes(text),
            Source::Row(sheet, row, listed) => {
                let row = &sheet.rows[*row];
                for (file, path) in listed.iter_mut().zip(&row.files).filter(|_| *copied) {
                    *file = files.put(path, file)?;
                }
                if !listed.is_empty() {
                    let bytes = sheet.bytes(row);
                    store.insert_bytes(&bytes).map_err(Error::Store)?;
                }
                sheets::object(sheet, row, listed)
            }
        };
        entry.object = store.insert_bytes(&bytes).map_err(Error::Store)?;
        entry.size = bytes.len() as u64;
        Ok(())
    }
}

/// Entries that are looked at in any run.
const A_FEW: usize = if cfg!(test) { 4 } else { 128 };

/// What may still be read of objects that come from outside, to see whether they are as they were.
struct Look {
    objects: u32,
    bytes: u64,
}

impl Default for Look {
    fn default() -> Self {
        Self {
            objects: 256,
            bytes: 1 << 28,
        }
    }
}

impl Look {
    /// Removes an object of that size, which comes in again, if its bytes are others.
    fn remove_damaged(&mut self, store: &Store, object: &Digest, size: u64) {
        if self.objects == 0 || size > self.bytes {
            return;
        }
        self.objects -= 1;
        self.bytes -= size;
        if matches!(
            store.check_stored(object),
            Err(store::Error::Damaged { .. })
        ) {
            // Where that fails, the task says what is wrong with it.
            let _ = std::fs::remove_file(store.path(object));
        }
    }
}

/// Puts files into the store.
struct Files<'a> {
    root: &'a Root,
    /// Of the input that they are of.
    place: &'a Range<usize>,
    known: &'a mut Known,
    store: &'a Store,
}

impl Files<'_> {
    /// The file at `path`, which was seen as `seen`; what it is now.
    fn put(&mut self, path: &str, seen: &Listed) -> Result<Listed, Error> {
        if self.store.size(&seen.digest) == Some(seen.size) {
            return Ok(*seen);
        }
        if self.store.contains(&seen.digest) {
            // Of another size, so that it is none; what is there would be taken for it. If it
            // cannot be removed, the task says what is wrong with it.
            let _ = std::fs::remove_file(self.store.path(&seen.digest));
        }
        let wrong = |error| {
            if matches!(error, files::Error::Stopped) {
                return Error::Interrupted;
            }
            Error::Bad(vec![of_file(&error, self.place.clone())])
        };
        let read = files::read(self.root, path, self.known, Keep::All(self.store));
        let (stat, content) = read.map_err(wrong)?;
        if !self.store.contains(&content.digest) {
            return Err(wrong(files::Error::Changing(path.to_owned())));
        }
        Ok(Listed {
            digest: content.digest,
            size: stat.size,
        })
    }
}

const EMPTY: &str =
    "if that is meant, set `empty = true`; if not, look whether a disk or a file is missing";

#[cfg(test)]
mod tests;
