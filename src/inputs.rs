//! What comes into a pipeline from outside: the entries of the manifest's inputs, compared with those
//! that a runset has.
//!
//! Everything is found out before anything changes: files are walked, sheets read, commands run. The
//! comparison goes through entries and records at once, in the order of their identities, so that
//! what is as it was costs no statement. What differs is put into the store, and then into the state
//! by its caller, in one group of writes.

mod compare;
mod error;
mod lines;
mod rows;

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

pub(crate) use compare::Difference;
pub(crate) use error::Error;

use crate::files::{self, Keep, Known, Root};
use crate::manifest::diagnostic::{Diagnostic, line_of};
use crate::manifest::{Input, InputKind, Manifest, Placed};
use crate::model::digest::Digest;
use crate::model::entry::EntryName;
use crate::model::glob::Glob;
use crate::model::name::{FileName, StepName};
use crate::model::route::Router;
use crate::state::{Entries, Reader, Runset, StepId};
use crate::store::Store;
use crate::text::quoted;
use compare::Merge;
use lines::BadLines;
use rows::{BadSheet, Format, Sheet};

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

/// Bytes of a sheet.
const LONGEST: u64 = 1 << 30;

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

fn line_bytes(text: &str) -> Vec<u8> {
    format!("{text}\n").into_bytes()
}

/// Where to point for the input as a whole: at what it names.
fn place(input: &Input) -> Range<usize> {
    match input.kind() {
        Some(InputKind::Files(globs)) => globs[0].at.clone(),
        Some(InputKind::Rows(named) | InputKind::Lines(named)) => named.at.clone(),
        None => input.at.at.clone(),
    }
}

fn of_file(error: &files::Error, at: Range<usize>) -> Diagnostic {
    Diagnostic::at(at, error.to_string()).hint(error.hint())
}

struct Gatherer<'a> {
    outside: &'a Outside<'a>,
    root: &'a Root,
    entries: Vec<Entry>,
    errors: Vec<Diagnostic>,
    bare: Vec<(String, Range<usize>)>,
}

impl Gatherer<'_> {
    fn files(
        &mut self,
        number: usize,
        input: &Input,
        globs: &[Placed<String>],
        known: &mut Known,
        keep: Keep,
    ) {
        let mut wanted: Vec<(&Placed<String>, Glob)> = globs
            .iter()
            .filter_map(|glob| Some((glob, Glob::parse(&glob.value).ok()?)))
            .collect();
        let looked = loop {
            match files::find(self.root, wanted.iter().map(|(_, glob)| glob)) {
                Ok(looked) => break looked,
                Err(errors) => {
                    let nothing = |error: &files::Error| matches!(error, files::Error::Nothing(_));
                    if input.empty && errors.iter().all(|(_, error)| nothing(error)) {
                        let without: Vec<usize> = errors.iter().map(|(at, _)| *at).collect();
                        let mut at = 0..;
                        wanted.retain(|_| at.next().is_none_or(|at| !without.contains(&at)));
                        continue;
                    }
                    for (at, error) in errors {
                        let error = of_file(&error, wanted[at].0.at.clone());
                        self.errors.push(error);
                    }
                    return;
                }
            }
        };
        let mut wrong = Wrong::default();
        for found in looked.files {
            let digest = match known.get(&found.stat) {
                Some(content) => Ok((content.digest, found.stat.size)),
                None => files::read(self.root, &found.path, known, keep)
                    .map(|(stat, content)| (content.digest, stat.size)),
            };
            let (object, size) = match digest {
                Ok(digest) => digest,
                Err(error) => {
                    wrong.note(|| of_file(&error, place(input)));
                    continue;
                }
            };
            let name = found.path.rsplit('/').next().unwrap_or_default();
            let Some(step) = self.step(input, name) else {
                wrong.note(|| nowhere(input, &found.path, name));
                continue;
            };
            self.entries.push(Entry {
                identity: EntryName::File(found.path.to_string()).to_text().into(),
                name: name.into(),
                step,
                object,
                size,
                input: number,
                source: Source::File(found.path),
            });
        }
        self.errors.extend(wrong.finish());
    }

    fn rows(&mut self, number: usize, input: &Input, sheet: &Placed<String>) {
        let path = &sheet.value;
        let read = read_sheet(self.outside.folder, path).and_then(|bytes| {
            Sheet::read(bytes, Format::of(path), input.name.as_ref()).map(Arc::new)
        });
        let rows = match read {
            Ok(rows) => rows,
            Err(bad) => {
                self.errors.push(of_sheet(sheet, bad));
                return;
            }
        };
        let begin = EntryName::of_sheet(path);
        let mut wrong = Wrong::default();
        for (at, row) in rows.rows.iter().enumerate() {
            if let Err(why) = FileName::new(&row.name) {
                let bad = BadSheet {
                    line: Some(row.line),
                    message: format!("its name cannot be a file's: {why}"),
                    hint: "let `name` use other columns".to_owned(),
                };
                wrong.note(|| of_sheet(sheet, bad));
                continue;
            }
            let Some(step) = self.step(input, &row.name) else {
                let what = format!("line {} of {path}", row.line);
                wrong.note(|| nowhere(input, &what, &row.name));
                continue;
            };
            let bytes = rows.bytes(row);
            self.entries.push(Entry {
                identity: format!("{begin}{}", row.name).into(),
                name: row.name.as_str().into(),
                step,
                object: Digest::of(&bytes),
                size: bytes.len() as u64,
                input: number,
                source: Source::Row(Arc::clone(&rows), at),
            });
        }
        self.errors.extend(wrong.finish());
        if rows.rows.is_empty() && !input.empty {
            self.bare.push((begin, sheet.at.clone()));
        }
    }

    fn lines(
        &mut self,
        number: usize,
        input: &Input,
        command: &Placed<String>,
    ) -> Result<(), Error> {
        let lines = match lines::of(&command.value, self.outside.folder, self.outside.stop) {
            Ok(lines) => lines,
            Err(BadLines::Interrupted) => return Err(Error::Interrupted),
            Err(bad) => {
                let error = Diagnostic::at(command.at.clone(), bad.to_string());
                self.errors.push(error.hint(bad.hint()));
                return Ok(());
            }
        };
        let begin = EntryName::of_lines();
        let mut wrong = Wrong::default();
        if lines.is_empty() && !input.empty {
            self.bare.push((begin.clone(), command.at.clone()));
        }
        for line in lines {
            let Some(step) = self.step(input, &line.name) else {
                wrong.note(|| {
                    nowhere(
                        input,
                        &format!("the line {}", quoted(&line.text)),
                        &line.name,
                    )
                });
                continue;
            };
            let bytes = line_bytes(&line.text);
            self.entries.push(Entry {
                identity: format!("{begin}{}", line.text).into(),
                name: line.name.into(),
                step,
                object: Digest::of(&bytes),
                size: bytes.len() as u64,
                input: number,
                source: Source::Line(line.text.into()),
            });
        }
        self.errors.extend(wrong.finish());
        Ok(())
    }

    /// The step that takes an entry of this name.
    fn step(&self, input: &Input, name: &str) -> Option<StepName> {
        let named = input.step.as_ref();
        named.or_else(|| self.outside.router.route(name)).cloned()
    }

    /// No entry comes in by two inputs.
    fn check_identities(&mut self) {
        let mut wrong: HashMap<usize, Wrong> = HashMap::new();
        let inputs = &self.outside.manifest.inputs;
        for pair in self.entries.windows(2) {
            let [one, other] = pair else {
                continue;
            };
            if one.identity != other.identity {
                continue;
            }
            let line = line_of(self.outside.text, place(&inputs[one.input]).start);
            wrong.entry(other.input).or_default().note(|| {
                let message = format!(
                    "{} comes in by the input on line {line} as well",
                    EntryName::parse(&other.identity).map_or_else(String::new, |name| name.to_string())
                );
                Diagnostic::at(place(&inputs[other.input]), message).hint(
                    "each entry is one task; what a second step needs of it, let the first one leave",
                )
            });
        }
        let wrong = wrong.into_values().filter_map(Wrong::finish);
        self.errors.extend(wrong);
    }
}

/// The first of many mistakes of one input, and how many there are.
#[derive(Default)]
struct Wrong {
    first: Option<Diagnostic>,
    more: usize,
}

impl Wrong {
    fn note(&mut self, what: impl FnOnce() -> Diagnostic) {
        if self.first.is_some() {
            self.more += 1;
        } else {
            self.first = Some(what());
        }
    }

    fn finish(self) -> Option<Diagnostic> {
        let mut first = self.first?;
        if self.more > 0 {
            first.message = format!("{} (and {} more like it)", first.message, self.more);
        }
        Some(first)
    }
}

fn nowhere(input: &Input, what: &str, name: &str) -> Diagnostic {
    let message = format!(
        "{what} goes to no step: {} ends in the name of none",
        quoted(name)
    );
    Diagnostic::at(place(input), message).hint("say which one takes it: step = \"…\"")
}

fn of_sheet(sheet: &Placed<String>, bad: BadSheet) -> Diagnostic {
    let message = match bad.line {
        Some(line) => format!("{}, line {line}: {}", sheet.value, bad.message),
        None => bad.message,
    };
    Diagnostic::at(sheet.at.clone(), message).hint(bad.hint)
}

fn read_sheet(folder: &Path, path: &str) -> Result<Vec<u8>, BadSheet> {
    let bad = |message: String, hint: &str| BadSheet {
        line: None,
        message,
        hint: hint.to_owned(),
    };
    let mut bytes = Vec::new();
    let whole = folder.join(path);
    let read = std::fs::metadata(&whole).and_then(|data| {
        // A FIFO would be waited for.
        if !data.is_file() {
            return Err(std::io::Error::other("it is no file"));
        }
        File::open(&whole)?
            .take(LONGEST + 1)
            .read_to_end(&mut bytes)
    });
    match read {
        Err(error) => {
            let message = format!("cannot read {}: {error}", quoted(path));
            let hint = match (error.kind(), std::fs::read_link(&whole)) {
                (std::io::ErrorKind::NotFound, Ok(_)) => "it is a link that leads nowhere: mend it",
                (std::io::ErrorKind::NotFound, Err(_)) => {
                    "check the spelling: paths begin in the manifest's folder"
                }
                _ => "check what it is, its owner and its mode",
            };
            Err(bad(message, hint))
        }
        Ok(_) if bytes.len() as u64 > LONGEST => {
            let message = format!("{} has more than {} MiB", quoted(path), LONGEST >> 20);
            Err(bad(
                message,
                "split the sheet, or let a step take it as a file",
            ))
        }
        Ok(_) => Ok(bytes),
    }
}

#[cfg(test)]
mod tests;
