//! Sheets: which rows they have, and where in the text.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use serde_json::Value;

use crate::manifest::Template;
use crate::model::digest::Digest;
use crate::text::suggest;
use crate::text::{amount, quoted};

/// How a sheet is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Fields between commas, some in quotes (RFC 4180).
    Csv,
    /// Fields between tabs; quotes are characters like others.
    Tsv,
    /// A JSON object on each line.
    JsonLines,
}

impl Format {
    /// That of a file, by its name.
    pub(crate) fn of(path: &str) -> Self {
        match path.rsplit_once('.') {
            Some((_, "tsv")) => Self::Tsv,
            Some((_, "jsonl")) => Self::JsonLines,
            _ => Self::Csv,
        }
    }
}

/// What is to be found in the rows of a sheet.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    /// Their names.
    pub name: Option<&'a Template>,
    /// The columns that name files.
    pub paths: &'a Arc<[Box<str>]>,
    /// The folder that these begin in.
    pub folder: &'a str,
}

impl Wanted<'_> {
    fn path(&self, named: &str) -> Box<str> {
        if self.folder.is_empty() || named.starts_with('/') {
            named.into()
        } else {
            format!("{}/{named}", self.folder).into()
        }
    }

    fn columns(&self) -> impl Iterator<Item = &str> {
        let named = self.name.into_iter().flat_map(Template::columns);
        named.chain(self.paths.iter().map(|column| &**column))
    }
}

/// A sheet that was read.
#[derive(Debug)]
pub(crate) struct Sheet {
    text: String,
    /// The header; empty where rows need none.
    header: Range<usize>,
    /// The columns that name files.
    pub columns: Arc<[Box<str>]>,
    /// In the order of the text.
    pub rows: Vec<Row>,
}

/// One row.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// The number of its first line, from 1.
    pub line: usize,
    /// Its name: that of the template, else digits of a hash of its text.
    pub name: String,
    /// The files that it names, one for each such column.
    pub files: Box<[Box<str>]>,
    /// Its text, without the end of its last line.
    text: Range<usize>,
}

/// Why a sheet cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadSheet {
    /// The line, where it is one, from 1.
    pub line: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl BadSheet {
    fn new(line: usize, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            line: Some(line),
            message: message.into(),
            hint: hint.into(),
        }
    }
}

impl Sheet {
    /// Reads a sheet. A byte order mark and line ends of either kind are passed over, empty lines too.
    pub(crate) fn read(bytes: Vec<u8>, format: Format, wanted: &Wanted) -> Result<Self, BadSheet> {
        let text = String::from_utf8(bytes).map_err(|error| {
            let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = before.split(|b| *b == b'\n').count();
            let hint = "save the sheet as UTF-8";
            BadSheet::new(line, "it is no UTF-8 text", hint)
        })?;
        let mut sheet = Self {
            text,
            header: 0..0,
            columns: Arc::clone(wanted.paths),
            rows: Vec::new(),
        };
        match format {
            Format::Csv | Format::Tsv => sheet.read_table(format, wanted)?,
            Format::JsonLines => sheet.read_lines(wanted)?,
        }
        sheet.check_names(wanted.name.is_some())?;
        Ok(sheet)
    }

    /// The bytes of a row as an input: after the header, where there is one.
    pub(crate) fn bytes(&self, row: &Row) -> Vec<u8> {
        let (header, row) = (
            &self.text[self.header.clone()],
            &self.text[row.text.clone()],
        );
        let mut bytes = Vec::with_capacity(header.len() + row.len() + 2);
        for part in [header, row] {
            if !part.is_empty() {
                bytes.extend_from_slice(part.as_bytes());
                bytes.push(b'\n');
            }
        }
        bytes
    }

    fn read_table(&mut self, format: Format, wanted: &Wanted) -> Result<(), BadSheet> {
        let begin = if self.text.starts_with('\u{feff}') {
            3
        } else {
            0
        };
        let text = &self.text[begin..];
        let (delimiter, quoting) = match format {
            Format::Tsv => (b'\t', false),
            Format::Csv | Format::JsonLines => (b',', true),
        };
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .quoting(quoting)
            .from_reader(text.as_bytes());
        let mut lines = Lines::default();
        let mut columns: Option<Vec<String>> = None;
        let mut record = csv::StringRecord::new();
        let mut paths: Vec<usize> = Vec::new();
        let mut rows = Vec::new();
        let mut header = 0..0;
        loop {
            let from = offset(reader.position());
            let more = reader.read_record(&mut record).map_err(|error| {
                let hint = "write it anew with a program that knows the format";
                BadSheet::new(lines.at(text, from), error.to_string(), hint)
            })?;
            if !more {
                break;
            }
            let range = without_ends(text, from..offset(reader.position()));
            let line = lines.at(text, range.start);
            if quoting && let Some(message) = misquoted(&text[range.clone()]) {
                let hint = "a field in quotes ends with one, and a quote in it is written twice: \"a \"\"b\"\"\"";
                return Err(BadSheet::new(line, message, hint));
            }
            let range = begin + range.start..begin + range.end;
            let Some(columns) = &columns else {
                // A row is handed on behind it, and would lose it there.
                if self.text[range.clone()].starts_with('\u{feff}') {
                    let message =
                        "a byte order mark stands before the header, and not at the start";
                    let hint = "save the sheet anew, as UTF-8 without such marks";
                    return Err(BadSheet::new(line, message, hint));
                }
                let names = columns_of(&record, line)?;
                check_columns(wanted, &names, line)?;
                let place = |path: &str| names.iter().position(|name| name == path);
                paths = wanted.paths.iter().filter_map(|path| place(path)).collect();
                columns = Some(names);
                header = range;
                continue;
            };
            if record.len() != columns.len() {
                let message = format!(
                    "{} in this row, and {} in the header",
                    amount::count(record.len(), "field"),
                    columns.len()
                );
                let hint = match format {
                    Format::Csv => {
                        "a field with a comma or a line end in it stands in quotes: \"a, b\""
                    }
                    Format::Tsv | Format::JsonLines => "each row has as many tabs as the header",
                };
                return Err(BadSheet::new(line, message, hint));
            }
            let value = |column: &str| {
                let at = columns.iter().position(|known| known == column)?;
                record.get(at)
            };
            let own = match wanted.name.map(|name| name.fill(value)) {
                Some(Ok(own)) => own,
                Some(Err(_)) | None => digits(&self.text[range.clone()]),
            };
            let mut files = Vec::with_capacity(paths.len());
            for at in &paths {
                match record.get(*at) {
                    Some("") | None => return Err(no_file(&columns[*at], line)),
                    Some(named) => files.push(wanted.path(named)),
                }
            }
            rows.push(Row {
                line,
                name: own,
                files: files.into(),
                text: range,
            });
        }
        if columns.is_none() {
            let hint = "the first line names the columns: sample,fastq_1,fastq_2";
            return Err(BadSheet::new(1, "it is empty, without a header", hint));
        }
        self.header = header;
        self.rows = rows;
        Ok(())
    }

    fn read_lines(&mut self, wanted: &Wanted) -> Result<(), BadSheet> {
        let mut at = if self.text.starts_with('\u{feff}') {
            3
        } else {
            0
        };
        let mut rows = Vec::new();
        for (number, whole) in self.text[at..].split_inclusive('\n').enumerate() {
            let (line, from) = (number + 1, at);
            at += whole.len();
            let range = without_ends(&self.text, from..at);
            let text = &self.text[range.clone()];
            if text.trim().is_empty() {
                continue;
            }
            let row: Value = serde_json::from_str(text).map_err(|error| {
                let hint = "each line is one JSON object: {\"sample\": \"a\"}";
                BadSheet::new(line, format!("it is no JSON: {error}"), hint)
            })?;
            let Value::Object(row) = row else {
                let hint = "each line is one JSON object: {\"sample\": \"a\"}";
                return Err(BadSheet::new(line, "it is no JSON object", hint));
            };
            let own = match wanted.name {
                None => digits(text),
                Some(name) => name
                    .fill(|column| of_json(row.get(column)?))
                    .map_err(|column| {
                        let message = format!("it has no text or number {}", quoted(column));
                        let hint = "`name` takes texts, numbers, true and false";
                        BadSheet::new(line, message, hint)
                    })?,
            };
            let mut files = Vec::with_capacity(wanted.paths.len());
            for column in wanted.paths.iter() {
                files.push(match row.get(&**column) {
                    Some(Value::String(named)) if named.is_empty() => {
                        return Err(no_file(column, line));
                    }
                    Some(Value::String(named)) => wanted.path(named),
                    Some(_) | None => {
                        let column = quoted(column);
                        let message = format!("it has no text {column}, which has to name a file");
                        return Err(BadSheet::new(line, message, NO_FILE));
                    }
                });
            }
            rows.push(Row {
                line,
                name: own,
                files: files.into(),
                text: range,
            });
        }
        self.rows = rows;
        Ok(())
    }

    /// No two rows have one name.
    fn check_names(&self, named: bool) -> Result<(), BadSheet> {
        let mut first: HashMap<&str, usize> = HashMap::with_capacity(self.rows.len());
        for row in &self.rows {
            if let Some(other) = first.insert(&row.name, row.line) {
                return Err(if named {
                    let message = format!("it has the name {} of line {other}", quoted(&row.name));
                    let hint = "let `name` use columns that tell the rows apart";
                    BadSheet::new(row.line, message, hint)
                } else {
                    let message = format!("it is the same as line {other}");
                    let hint = "leave one of them out, or name the rows: name = \"{column}\"";
                    BadSheet::new(row.line, message, hint)
                });
            }
        }
        Ok(())
    }
}

/// Digits that stand for a text: the beginning of its hash.
pub(super) fn digits(text: &str) -> String {
    Digest::of(text.as_bytes()).hex()[..16].to_owned()
}

fn of_json(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn columns_of(record: &csv::StringRecord, line: usize) -> Result<Vec<String>, BadSheet> {
    let mut names: Vec<String> = Vec::with_capacity(record.len());
    for column in record {
        if column.trim().is_empty() {
            let message = format!("column {} of the header has no name", names.len() + 1);
            let hint = "the first line names the columns: sample,fastq_1,fastq_2";
            return Err(BadSheet::new(line, message, hint));
        }
        if names.iter().any(|known| known == column) {
            let message = format!("two columns of the header are called {}", quoted(column));
            let hint = "each column has a name of its own";
            return Err(BadSheet::new(line, message, hint));
        }
        names.push(column.to_owned());
    }
    Ok(names)
}

const NO_FILE: &str = "rows without such a file belong into a sheet of their own";

fn no_file(column: &str, line: usize) -> BadSheet {
    let message = format!("{} is empty, and has to name a file", quoted(column));
    BadSheet::new(line, message, NO_FILE)
}

fn check_columns(wanted: &Wanted, columns: &[String], line: usize) -> Result<(), BadSheet> {
    for column in wanted.columns() {
        if columns.iter().any(|known| known == column) {
            continue;
        }
        // The sheet is what is looked at: the key that names the column is elsewhere in the manifest.
        let is_in_name = |name: &Template| name.columns().any(|one| one == column);
        let key = if wanted.name.is_some_and(is_in_name) {
            "name"
        } else {
            "paths"
        };
        let message = format!(
            "the header has no column {}, which `{key}` names",
            quoted(column)
        );
        let hint = match suggest::closest(column, columns.iter().map(String::as_str)) {
            Some(close) => format!("did you mean {}?", quoted(close)),
            None => format!(
                "the first line is the header; it has: {}",
                columns.join(", ")
            ),
        };
        return Err(BadSheet::new(line, message, hint));
    }
    Ok(())
}

fn offset(position: &csv::Position) -> usize {
    usize::try_from(position.byte()).unwrap_or(usize::MAX)
}

/// The range without line ends around it.
/// What is wrong with the quotes of a record, without its line end. A quote that is not closed takes in all
/// rows behind it.
fn misquoted(record: &str) -> Option<&'static str> {
    let mut rest = record;
    loop {
        if let Some(mut inside) = rest.strip_prefix('"') {
            loop {
                let Some(at) = inside.find('"') else {
                    return Some("a quote that begins in this row is not closed");
                };
                inside = &inside[at + 1..];
                match inside.strip_prefix('"') {
                    Some(more) => inside = more,
                    None => break,
                }
            }
            rest = inside;
            if !rest.is_empty() && !rest.starts_with(',') {
                return Some("text follows the quote that ends a field of this row");
            }
        }
        match rest.find(',') {
            Some(at) => rest = &rest[at + 1..],
            None => return None,
        }
    }
}

fn without_ends(text: &str, range: Range<usize>) -> Range<usize> {
    let whole = text.get(range.clone()).unwrap_or_default();
    let ends = ['\r', '\n'];
    let start = range.start + (whole.len() - whole.trim_start_matches(ends).len());
    let length = whole.trim_matches(ends).len();
    start..start + length
}

/// Numbers of lines, asked for in the order of the text.
#[derive(Default)]
struct Lines {
    at: usize,
    before: usize,
}

impl Lines {
    /// That of the line at `offset`, from 1.
    fn at(&mut self, text: &str, offset: usize) -> usize {
        let between = text.as_bytes().get(self.at..offset).unwrap_or_default();
        self.before += between.split(|b| *b == b'\n').count() - 1;
        self.at = self.at.max(offset);
        self.before + 1
    }
}

#[cfg(test)]
mod tests;
