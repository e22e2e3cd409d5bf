//! Whatever is handed in as a sheet.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::Value;

use super::rows::{Format, Sheet, Wanted};
use crate::manifest::Template;

/// The name of the sheet, a template for names or nothing, and columns that name files, in words of a line of
/// their own; then the sheet.
pub(crate) fn sheet(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n');
    let (head, bytes) = bytes.split_at(end.map_or(bytes.len(), |end| end + 1));
    let Ok(head) = std::str::from_utf8(head) else {
        return;
    };
    let mut words = head.trim_end_matches('\n').splitn(3, ' ');
    let mut word = || words.next().unwrap_or_default();
    let (format, template, paths) = (Format::of(word()), Template::parse(word()).ok(), word());
    let paths = paths.split(' ').filter(|path| !path.is_empty());
    let paths: Arc<[Box<str>]> = paths.map(Into::into).collect();
    let wanted = Wanted {
        name: template.as_ref(),
        paths: &paths,
        folder: "sheets",
    };
    let read = Sheet::read(bytes.to_vec(), format, &wanted);
    if let Err(bad) = &read {
        let lines = bytes.split(|byte| *byte == b'\n').count();
        let is_one = |line| (1..=lines).contains(&line);
        assert!(bad.line.is_some_and(is_one), "{bad:?}");
        assert!(!bad.message.is_empty() && !bad.hint.is_empty());
    }
    let expected = expected(bytes, format, &wanted);
    let Ok(sheet) = read else {
        assert_eq!(expected, None, "the reader says {:?}", read.err());
        return;
    };
    let rows = sheet.rows.iter().map(|row| Expected {
        line: row.line,
        name: template.as_ref().map(|_| row.name.clone()),
        files: row.files.to_vec(),
    });
    assert_eq!(Some(rows.collect::<Vec<_>>()), expected);
    // Each row is a sheet by itself, of that row.
    for row in &sheet.rows {
        let own = Sheet::read(sheet.bytes(row), format, &wanted).expect("a row is a sheet");
        let [only] = &own.rows[..] else {
            panic!("one row is {}", own.rows.len());
        };
        assert_eq!((&only.name, &only.files), (&row.name, &row.files));
    }
}

/// What a row is to have.
#[derive(Debug, PartialEq)]
struct Expected {
    line: usize,
    /// Where there is a template.
    name: Option<String>,
    files: Vec<Box<str>>,
}

/// A row as it is read letter by letter.
struct Plain<'t> {
    line: usize,
    text: &'t str,
    fields: Vec<(String, Field)>,
}

enum Field {
    Text(String),
    /// What is none, and can be written as one.
    Other(String),
    Nothing,
}

fn expected(bytes: &[u8], format: Format, wanted: &Wanted) -> Option<Vec<Expected>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let plain = match format {
        Format::Csv => table(records(text, Some('"'), ',')?, wanted)?,
        Format::Tsv => table(records(text, None, '\t')?, wanted)?,
        Format::JsonLines => objects(text)?,
    };
    let mut rows = Vec::new();
    let (mut names, mut texts) = (HashSet::new(), HashSet::new());
    for row in plain {
        let field = |column: &str| {
            let field = row.fields.iter().find(|(name, _)| name == column);
            field.map(|(_, field)| field)
        };
        let name = match wanted.name {
            None => None,
            Some(template) => {
                let value = |column: &str| match field(column)? {
                    Field::Text(text) | Field::Other(text) => Some(text),
                    Field::Nothing => None,
                };
                Some(template.fill(value).ok()?)
            }
        };
        let mut files = Vec::new();
        for column in wanted.paths.iter() {
            match field(column)? {
                Field::Text(path) if path.starts_with('/') => files.push(path.as_str().into()),
                Field::Text(path) if !path.is_empty() => {
                    files.push(format!("sheets/{path}").into());
                }
                Field::Text(_) | Field::Other(_) | Field::Nothing => return None,
            }
        }
        let is_new = match &name {
            Some(name) => names.insert(name.clone()),
            None => texts.insert(row.text),
        };
        if !is_new {
            return None;
        }
        let line = row.line;
        rows.push(Expected { line, name, files });
    }
    Some(rows)
}

/// Records of a text: the line, the text, the fields; none where quotes are wrong.
type Record<'t> = (usize, &'t str, Vec<String>);

fn records(text: &str, quote: Option<char>, delimiter: char) -> Option<Vec<Record<'_>>> {
    let ends = |c: char| matches!(c, '\r' | '\n');
    let mut records = Vec::new();
    let (mut rest, mut line) = (text, 1);
    loop {
        let begin = rest.trim_start_matches(ends);
        line += rest[..rest.len() - begin.len()].matches('\n').count();
        if begin.is_empty() {
            return Some(records);
        }
        let (first, mut fields) = (line, Vec::new());
        rest = begin;
        loop {
            let mut field = String::new();
            if let Some(mut inside) = quote.and_then(|quote| rest.strip_prefix(quote)) {
                loop {
                    let (piece, after) = inside.split_once('"')?;
                    field.push_str(piece);
                    inside = after;
                    match inside.strip_prefix('"') {
                        Some(after) => inside = after,
                        None => break,
                    }
                    field.push('"');
                }
                rest = inside;
                if !rest.is_empty() && !rest.starts_with(|c| c == delimiter || ends(c)) {
                    return None;
                }
            }
            let end = rest.find(|c| c == delimiter || ends(c));
            let (piece, after) = rest.split_at(end.unwrap_or(rest.len()));
            field.push_str(piece);
            fields.push(field);
            rest = after;
            match rest.strip_prefix(delimiter) {
                Some(after) => rest = after,
                None => break,
            }
        }
        let text = &begin[..begin.len() - rest.len()];
        line += text.matches('\n').count();
        records.push((first, text, fields));
    }
}

/// The records of a table behind its header.
fn table<'t>(records: Vec<Record<'t>>, wanted: &Wanted) -> Option<Vec<Plain<'t>>> {
    let mut records = records.into_iter();
    let (_, text, header) = records.next()?;
    if text.starts_with('\u{feff}') {
        return None;
    }
    let different: HashSet<&String> = header.iter().collect();
    let is_named = |column: &String| !column.trim().is_empty();
    let has = |column: &str| header.iter().any(|name| name == column);
    let mut named = wanted.name.into_iter().flat_map(Template::columns);
    if different.len() < header.len()
        || !header.iter().all(is_named)
        || !named.all(has)
        || !wanted.paths.iter().all(|path| has(path))
    {
        return None;
    }
    records
        .map(|(line, text, fields)| {
            let is_whole = fields.len() == header.len();
            let fields = fields.into_iter().map(Field::Text);
            let fields = header.iter().cloned().zip(fields).collect();
            is_whole.then_some(Plain { line, text, fields })
        })
        .collect()
}

fn objects(text: &str) -> Option<Vec<Plain<'_>>> {
    let mut rows = Vec::new();
    for (at, line) in text.split('\n').enumerate() {
        let text = line.trim_matches('\r');
        if text.trim().is_empty() {
            continue;
        }
        let object: serde_json::Map<String, Value> = serde_json::from_str(text).ok()?;
        let fields = object.into_iter().map(|(column, value)| match value {
            Value::String(text) => (column, Field::Text(text)),
            Value::Number(_) | Value::Bool(_) => (column, Field::Other(value.to_string())),
            Value::Null | Value::Array(_) | Value::Object(_) => (column, Field::Nothing),
        });
        rows.push(Plain {
            line: at + 1,
            text,
            fields: fields.collect(),
        });
    }
    Some(rows)
}
