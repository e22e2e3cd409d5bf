//! Rows of sheets, with the files that they name.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use super::gather::{Gatherer, Wrong, nowhere, place};
use super::rows::{BadSheet, Format, Row, Sheet, Wanted};
use super::{Entry, Listed, Source};
use crate::files::{self, Keep, Known};
use crate::manifest::diagnostic::Diagnostic;
use crate::manifest::{Input, Placed};
use crate::model::digest::Digest;
use crate::model::entry::EntryName;
use crate::model::list;
use crate::model::name::FileName;
use crate::text::quoted;

/// Bytes of a sheet.
const LONGEST: u64 = 1 << 30;

impl Gatherer<'_> {
    pub(super) fn rows(
        &mut self,
        number: usize,
        input: &Input,
        sheet: &Placed<String>,
        known: &mut Known,
        keep: Keep,
    ) {
        let path = &sheet.value;
        let wanted = Wanted {
            name: input.name.as_ref(),
            paths: &input.paths,
            folder: path.rsplit_once('/').map_or("", |(folder, _)| folder),
        };
        let read = read_sheet(self.outside.folder, path)
            .and_then(|bytes| Sheet::read(bytes, Format::of(path), &wanted).map(Arc::new));
        let rows = match read {
            Ok(rows) => rows,
            Err(bad) => {
                let whole = self.outside.folder.join(path);
                let is_absent = std::fs::symlink_metadata(whole)
                    .is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound);
                let error = of_sheet(sheet, bad);
                if is_absent {
                    self.absent.push(error);
                } else {
                    self.errors.push(error);
                }
                return;
            }
        };
        let begin = EntryName::of_sheet(path);
        let (mut wrong, mut absent) = (Wrong::default(), Wrong::default());
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
            let Some((step, others)) = self.steps(input, &row.name) else {
                let what = format!("line {} of {path}", row.line);
                wrong.note(|| nowhere(input, &what, &row.name));
                continue;
            };
            let to = self.outside.manifest.step(step.as_str());
            if !input.paths.is_empty() && to.is_some_and(|to| to.gather.is_some()) {
                wrong.note(|| gathered(input, &row.name, step.as_str()));
                continue;
            }
            let files = match self.named(input, row, known, keep) {
                Ok(files) => files,
                Err(error) => {
                    let is_absent = matches!(error, files::Error::Absent(_));
                    let which = if is_absent { &mut absent } else { &mut wrong };
                    which.note(|| of_sheet(sheet, of_named(row, &error)));
                    continue;
                }
            };
            let bytes = object(&rows, row, &files);
            let entry = Entry {
                identity: format!("{begin}{}", row.name).into(),
                key: None,
                name: row.name.as_str().into(),
                step,
                object: Digest::of(&bytes),
                size: bytes.len() as u64,
                input: number,
                source: Source::Row(Arc::clone(&rows), at, files),
            };
            self.add(entry, others);
        }
        self.errors.extend(wrong.finish());
        self.absent.extend(absent.finish());
        if rows.rows.is_empty() && !input.empty {
            self.bare.push((begin, sheet.at.clone()));
        }
    }

    /// The files that a row names.
    fn named(
        &mut self,
        input: &Input,
        row: &Row,
        known: &mut Known,
        keep: Keep,
    ) -> Result<Box<[Listed]>, files::Error> {
        let mut files = Vec::with_capacity(row.files.len());
        for path in &row.files {
            let stat = files::look(self.root, path)?;
            let (digest, size) = self.content(input, path, stat, known, keep)?;
            files.push(Listed { digest, size });
        }
        Ok(files.into())
    }
}

/// The bytes of a row's object: the row, or the list of it and its files.
pub(super) fn object(sheet: &Sheet, row: &Row, files: &[Listed]) -> Vec<u8> {
    let bytes = sheet.bytes(row);
    if files.is_empty() {
        return bytes;
    }
    let named = sheet.columns.iter().zip(files);
    let named = named.map(|(column, file)| (column.clone(), file.digest));
    list::with_main(Digest::of(&bytes), named).into_bytes()
}

/// What gathers has files, and no files with each of these.
fn gathered(input: &Input, name: &str, step: &str) -> Diagnostic {
    let message = format!(
        "the row {}, which has files (`paths`), goes to step {}, which gathers: it could not tell whose files are whose",
        quoted(name),
        quoted(step)
    );
    Diagnostic::at(place(input), message).hint(
        "send it to a step that works on each row with its files, and gather what that leaves",
    )
}

fn of_named(row: &Row, error: &files::Error) -> BadSheet {
    let hint = match error {
        files::Error::Absent(_) => {
            "check the spelling: paths in a sheet begin in the folder that it is in"
        }
        files::Error::Nothing(_)
        | files::Error::Folders { .. }
        | files::Error::TakenOut { .. }
        | files::Error::Own(_)
        | files::Error::BrokenLink { .. }
        | files::Error::Circle(_)
        | files::Error::NotUtf8(_)
        | files::Error::Special { .. }
        | files::Error::TooMany { .. }
        | files::Error::Changing(_)
        | files::Error::Stopped
        | files::Error::Io { .. }
        | files::Error::Store(_) => error.hint(),
    };
    BadSheet {
        line: Some(row.line),
        message: error.to_string(),
        hint: hint.to_owned(),
    }
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
                    "check the spelling: paths begin in the manifest's folder, or where -workdir says"
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
