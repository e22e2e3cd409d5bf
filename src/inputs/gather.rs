//! Entries as they are found.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::lines::{self, BadLines};
use super::rows::{BadSheet, Format, Sheet};
use super::{Entry, Error, Outside, Source};
use crate::files::{self, Keep, Known, Root};
use crate::manifest::diagnostic::{Diagnostic, line_of};
use crate::manifest::{Input, InputKind, Placed};
use crate::model::digest::Digest;
use crate::model::entry::EntryName;
use crate::model::glob::Glob;
use crate::model::name::{FileName, StepName};
use crate::text::quoted;

/// Bytes of a sheet.
const LONGEST: u64 = 1 << 30;

pub(super) fn line_bytes(text: &str) -> Vec<u8> {
    format!("{text}\n").into_bytes()
}

/// Where to point for the input as a whole: at what it names.
pub(super) fn place(input: &Input) -> Range<usize> {
    match input.kind() {
        Some(InputKind::Files(globs)) => globs[0].at.clone(),
        Some(InputKind::Rows(named) | InputKind::Lines(named)) => named.at.clone(),
        None => input.at.at.clone(),
    }
}

pub(super) fn of_file(error: &files::Error, at: Range<usize>) -> Diagnostic {
    Diagnostic::at(at, error.to_string()).hint(error.hint())
}

/// Finds entries, and what is wrong with them.
pub(super) struct Gatherer<'a> {
    pub outside: &'a Outside<'a>,
    pub root: &'a Root,
    pub entries: Vec<Entry>,
    pub errors: Vec<Diagnostic>,
    pub bare: Vec<(String, Range<usize>)>,
}

impl Gatherer<'_> {
    pub(super) fn files(
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

    pub(super) fn rows(&mut self, number: usize, input: &Input, sheet: &Placed<String>) {
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

    pub(super) fn lines(
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
    pub(super) fn check_identities(&mut self) {
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
