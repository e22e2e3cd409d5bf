//! `[[input]]`: what comes into the pipeline from outside.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, json_schema};
use toml::de::{DeTable, DeValue};

use super::field::{Field, Place};
use super::read;
use super::template::Template;
use super::unknown;
use super::value::{Item, Reader};
use crate::manifest::diagnostic::Diagnostic;
use crate::model::installable::Installable;
use crate::model::name::{FileName, StepName};
use crate::text::quoted;

/// A value, and where in the manifest it stands. Equal to one of another place.
#[derive(Debug, Clone)]
pub(crate) struct Placed<T> {
    /// What it is.
    pub value: T,
    /// The bytes of the manifest.
    pub at: Range<usize>,
}

impl<T: PartialEq> PartialEq for Placed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for Placed<T> {}

/// An input as the manifest describes it: one of `files`, `rows` and `lines`. The schema's properties
/// of an input are these, with their comments.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
pub(crate) struct Input {
    /// Files below the manifest's folder, each of them an input: a glob (`*`, `**`, `?`, `[…]`) or an array of
    /// globs.
    #[schemars(schema_with = "globs", example = "data/**/*.csv")]
    pub files: Vec<Placed<String>>,
    /// A sheet below the manifest's folder (.csv, .tsv or .jsonl), each row of it an input: the header and the row,
    /// or for JSON only the row.
    #[schemars(with = "String", regex(pattern = SHEET), example = &"samples.csv")]
    pub rows: Option<Placed<String>>,
    /// Columns of the sheet that name files, relative to the sheet's folder: the input is then the row with these
    /// files, which the script finds in `$INPUT_DIR` under the names of the columns.
    #[schemars(
        with = "Vec<String>",
        length(min = 1),
        inner(regex(pattern = r"^[^/]+$"))
    )]
    #[schemars(extend("uniqueItems" = true), example = ["fastq_1", "fastq_2"])]
    pub paths: Arc<[Box<str>]>,
    /// A command that each run starts in the manifest's folder; each line that it writes is an input.
    #[schemars(with = "String", regex(pattern = r"\S"), example = &"ls -1 incoming")]
    pub lines: Option<Placed<String>>,
    /// Packages whose programs the command can call, as for a step.
    #[schemars(with = "Vec<String>", inner(regex(pattern = r"^[^\s-]\S*$")))]
    #[schemars(extend("default" = []), example = ["curl", "nixpkgs#jq"])]
    pub packages: Vec<Installable>,
    /// The step that takes the inputs, or an array of steps that each take all of them. Without it, their names
    /// route them, as with outputs.
    #[schemars(rename = "step", schema_with = "step_names", example = &"fetch")]
    pub steps: Vec<StepName>,
    /// The file names of the rows, with columns in braces. Without it, rows are identified by their text.
    #[schemars(with = "String", regex(pattern = r"^[^{}]*(\{[^{}]+\}[^{}]*)+$"))]
    #[schemars(example = &"{sample}")]
    pub name: Option<Template>,
    /// Whether the files that it names are copied into the db. If not, scripts get a link to the file where it
    /// lies, and a task fails if the file changes in the meantime.
    #[schemars(extend("default" = true), example = false)]
    pub copy: bool,
    /// Whether there may be no inputs; the results of earlier ones are then dropped.
    #[schemars(extend("default" = false), example = true)]
    pub empty: bool,
    /// Where its table stands in the manifest.
    #[schemars(skip)]
    pub at: Placed<()>,
}

/// The sheets that can be read.
const SHEET: &str = r"^(?!/)(?!(.*/)?\.\.(/|$)).*\.(csv|tsv|jsonl)$";

/// What an input's entries are made of.
#[derive(Debug, Clone, Copy)]
pub(crate) enum InputKind<'a> {
    /// Files by globs.
    Files(&'a [Placed<String>]),
    /// Rows of a sheet.
    Rows(&'a Placed<String>),
    /// Lines of a command's output.
    Lines(&'a Placed<String>),
}

impl Input {
    /// What its entries are made of; none where it says nothing, which the reader refuses.
    pub(crate) fn kind(&self) -> Option<InputKind<'_>> {
        match (&self.rows, &self.lines) {
            (Some(sheet), _) => Some(InputKind::Rows(sheet)),
            (None, Some(command)) => Some(InputKind::Lines(command)),
            (None, None) => (!self.files.is_empty()).then_some(InputKind::Files(&self.files)),
        }
    }

    /// Whether what comes in may go to that step.
    pub(crate) fn may_go_to(&self, step: &StepName) -> bool {
        self.steps.is_empty() || self.steps.contains(step)
    }

    /// A name that one of its entries may have, if they have something in common.
    pub(crate) fn likely_name(&self) -> Option<String> {
        const ANY: &str = "x";
        match self.kind()? {
            InputKind::Files(globs) => {
                let mut globs = globs.iter().filter(|glob| !glob.value.starts_with('!'));
                let name = globs.next()?.value.rsplit('/').next()?;
                Some(name.replace(['*', '?', '[', ']', '{', '}'], ANY))
            }
            InputKind::Rows(_) => self.name.as_ref()?.fill(|_| Some(ANY)).ok(),
            InputKind::Lines(_) => None,
        }
    }

    /// What it is, in a few words.
    pub(crate) fn in_words(&self) -> String {
        match self.kind() {
            Some(InputKind::Files(globs)) => {
                let globs: Vec<&str> = globs.iter().map(|glob| glob.value.as_str()).collect();
                globs.join(", ")
            }
            Some(InputKind::Rows(sheet)) => format!("rows of {}", sheet.value),
            Some(InputKind::Lines(command)) => format!("lines of {}", command.value),
            None => String::new(),
        }
    }
}

fn globs(_: &mut schemars::SchemaGenerator) -> Schema {
    let glob = r"^(?!/)(?!(.*/)?\.\.(/|$)).+$";
    json_schema!({
        "type": ["string", "array"],
        "items": { "type": "string", "pattern": glob },
        "minItems": 1,
        "pattern": glob,
    })
}

fn step_names(_: &mut schemars::SchemaGenerator) -> Schema {
    json_schema!({
        "type": ["string", "array"],
        "items": { "type": "string" },
        "minItems": 1,
        "uniqueItems": true,
    })
}

/// An `[[input]]` table: its place, and what it sets.
pub(super) struct Draft {
    header: Range<usize>,
    seen: Vec<(Field, Range<usize>)>,
    files: Vec<Placed<String>>,
    rows: Option<Placed<String>>,
    paths: Vec<Box<str>>,
    lines: Option<Placed<String>>,
    packages: Vec<Installable>,
    steps: Vec<Placed<StepName>>,
    name: Option<Template>,
    copy: bool,
    empty: bool,
}

impl Draft {
    /// Reads the table.
    pub(super) fn read(reader: &mut Reader<'_>, header: Range<usize>, table: &DeTable<'_>) -> Self {
        let mut draft = Self {
            header,
            seen: Vec::new(),
            files: Vec::new(),
            rows: None,
            paths: Vec::new(),
            lines: None,
            packages: Vec::new(),
            steps: Vec::new(),
            name: None,
            copy: true,
            empty: false,
        };
        let seen = unknown::each_key(
            reader,
            Place::Input,
            "an input",
            table,
            |reader, field, item| draft.field(reader, field, item),
        );
        draft.seen = seen;
        draft.one_kind(reader);
        draft
    }

    fn place(&self, field: Field) -> Option<Range<usize>> {
        let (_, span) = self.seen.iter().find(|(seen, _)| *seen == field)?;
        Some(span.clone())
    }

    fn field(&mut self, reader: &mut Reader<'_>, field: Field, item: &Item<'_>) {
        let what = format!("`{}`", field.key());
        match field {
            Field::Files => self.files = files(reader, &what, item),
            Field::Rows => self.rows = sheet(reader, &what, item),
            Field::Paths => self.paths = paths(reader, &what, item),
            Field::Lines => self.lines = command(reader, &what, item),
            Field::Packages => {
                self.packages = read::packages(reader, &what, item).unwrap_or_default();
            }
            Field::Step => self.steps = taking(reader, &what, item),
            Field::Name => self.name = template(reader, &what, item),
            Field::Copy => self.copy = reader.flag(&what, item).unwrap_or(true),
            Field::Empty => self.empty = reader.flag(&what, item).unwrap_or(false),
            // Of other tables.
            Field::Start
            | Field::Cpus
            | Field::Memory
            | Field::Gpus
            | Field::Uses
            | Field::Gather
            | Field::From
            | Field::With
            | Field::Each
            | Field::Partial
            | Field::Script
            | Field::Env
            | Field::Shell
            | Field::Pure
            | Field::Keep
            | Field::Params
            | Field::Secrets
            | Field::Outputs
            | Field::Folders
            | Field::Parallel
            | Field::Timeout
            | Field::Retries
            | Field::RetryDelay
            | Field::Rounds
            | Field::Cache
            | Field::ExecutorSecrets
            | Field::Share
            | Field::Publish
            | Field::Warm
            | Field::Checkpoint
            | Field::Executor
            | Field::Sandbox
            | Field::Network
            | Field::Nixpkgs
            | Field::KeepRunsets
            | Field::KeepBytes
            | Field::Urls
            | Field::Dir => {}
        }
    }

    /// It has one of the three kinds, and no more.
    fn one_kind(&self, reader: &mut Reader<'_>) {
        let kinds = [Field::Files, Field::Rows, Field::Lines];
        let mut there = kinds
            .into_iter()
            .filter_map(|field| Some((field, self.place(field)?)));
        let Some((first, _)) = there.next() else {
            let error = Diagnostic::at(self.header.clone(), "an input does not say what comes in");
            reader.missing(error.hint(
                "add files = \"data/*.csv\", rows = \"samples.csv\" or lines = \"a command\"",
            ));
            return;
        };
        for (more, at) in there {
            let message = format!("an input has `{}` and `{}`", first.key(), more.key());
            let hint = "give each an [[input]] of its own";
            reader.error(Diagnostic::at(at, message).hint(hint));
        }
        if first != Field::Rows
            && let Some(at) = self.place(Field::Name)
        {
            let what = first.key();
            let message = format!("`name` is for `rows`; `{what}` have names of their own");
            reader.error(Diagnostic::at(at, message).hint("leave it out"));
        }
        if first != Field::Lines
            && let Some(at) = self.place(Field::Packages)
        {
            let message = "`packages` are only for `lines`: no other kind of input runs a program";
            reader.error(Diagnostic::at(at, message).hint("leave it out"));
        }
        if first != Field::Files
            && !self.copy
            && self.place(Field::Paths).is_none()
            && let Some(at) = self.place(Field::Copy)
        {
            let what = first.key();
            let message = format!("`copy` is for files that come in, and `{what}` brings in none");
            let hint = "leave it out; it goes with `files`, and with `rows` that have `paths`";
            reader.error(Diagnostic::at(at, message).hint(hint));
        }
        if first != Field::Rows
            && let Some(at) = self.place(Field::Paths)
        {
            let message = "`paths` names columns of a sheet, and this input has none";
            let hint = "it goes with `rows`; for files by pattern, use `files`";
            reader.error(Diagnostic::at(at, message).hint(hint));
        }
    }

    /// The input, if its step is one of `steps`.
    pub(super) fn finish(
        self,
        reader: &mut Reader<'_>,
        steps: &dyn Fn(&str) -> Result<(), Option<String>>,
    ) -> Input {
        for step in &self.steps {
            let Err(close) = steps(step.value.as_str()) else {
                continue;
            };
            let message = format!("there is no step {}", quoted(step.value.as_str()));
            let error = Diagnostic::at(step.at.clone(), message);
            reader.error(error.hint(match close {
                Some(close) => format!("did you mean {}?", quoted(&close)),
                None => "name a step of this manifest".to_owned(),
            }));
        }
        Input {
            files: self.files,
            rows: self.rows,
            paths: self.paths.into(),
            lines: self.lines,
            packages: self.packages,
            steps: self.steps.into_iter().map(|step| step.value).collect(),
            name: self.name,
            copy: self.copy,
            empty: self.empty,
            at: Placed {
                value: (),
                at: self.header,
            },
        }
    }
}

/// The steps that take what comes in.
fn taking(reader: &mut Reader<'_>, what: &str, item: &Item<'_>) -> Vec<Placed<StepName>> {
    let DeValue::Array(items) = item.get_ref() else {
        if !matches!(item.get_ref(), DeValue::String(_)) {
            let hint = "for instance \"fetch\"".to_owned();
            reader.wrong_type(what, "a string or an array of strings", item, Some(hint));
            return Vec::new();
        }
        let at = reader.inside(item);
        let name = read::name(reader, what, item);
        return name.map(|value| Placed { value, at }).into_iter().collect();
    };
    if items.is_empty() {
        let error = Diagnostic::at(item.span(), format!("{what} is empty"));
        reader.error(error.hint("name a step, or leave the key out: then names lead to steps"));
    }
    let mut steps: Vec<Placed<StepName>> = Vec::new();
    for item in items {
        let at = reader.inside(item);
        let Some(value) = read::name(reader, &format!("an entry of {what}"), item) else {
            continue;
        };
        if steps.iter().any(|step| step.value == value) {
            let message = format!("{what} names {} twice", quoted(&value));
            reader.error(Diagnostic::at(at, message).hint("leave one of them out"));
            continue;
        }
        steps.push(Placed { value, at });
    }
    steps
}

fn files(reader: &mut Reader<'_>, what: &str, item: &Item<'_>) -> Vec<Placed<String>> {
    if let DeValue::Array(items) = item.get_ref() {
        if items.is_empty() {
            let error = Diagnostic::at(item.span(), format!("{what} is empty"));
            reader.error(error.hint("name files: [\"data/*.csv\"]"));
        }
        let entry = format!("an entry of {what}");
        let files = items.iter().filter_map(|item| below(reader, &entry, item));
        let files = files.collect();
        return some_come_in(reader, what, files, item);
    }
    if !matches!(item.get_ref(), DeValue::String(_)) {
        let hint = "for instance \"data/**/*.csv\"".to_owned();
        reader.wrong_type(what, "a string or an array of strings", item, Some(hint));
        return Vec::new();
    }
    let files = below(reader, what, item).into_iter().collect();
    some_come_in(reader, what, files, item)
}

/// The same patterns, if not all of them only take out.
fn some_come_in(
    reader: &mut Reader<'_>,
    what: &str,
    files: Vec<Placed<String>>,
    item: &Item<'_>,
) -> Vec<Placed<String>> {
    if !files.is_empty() && files.iter().all(|glob| glob.value.starts_with('!')) {
        let message = format!("{what} says only what does not come in");
        let hint = "name files: [\"data/*.csv\", \"!data/old.csv\"]";
        reader.error(Diagnostic::at(item.span(), message).hint(hint));
    }
    files
}

/// A pattern of files below the manifest's folder.
fn below(reader: &mut Reader<'_>, what: &str, item: &Item<'_>) -> Option<Placed<String>> {
    let value = reader.string(what, item)?;
    let at = reader.inside(item);
    let glob = read::glob(reader, &value, &at)?;
    let value = glob.text().to_owned();
    Some(Placed { value, at })
}

/// A path there.
fn path(reader: &mut Reader<'_>, what: &str, item: &Item<'_>) -> Option<Placed<String>> {
    let value = reader.string(what, item)?;
    let at = reader.inside(item);
    let (message, hint) = if value.starts_with('/') {
        (
            format!("{} does not begin in the manifest's folder", quoted(&value)),
            "name it relative to that folder, or put a link to it there",
        )
    } else if value.split('/').any(|part| part == "..") {
        (
            format!(
                "{} leads out of the manifest's folder: it contains `..`",
                quoted(&value)
            ),
            "put a link to it in that folder",
        )
    } else if value.chars().any(char::is_control) {
        (
            format!(
                "{} has a character that names here cannot have",
                quoted(&value)
            ),
            "name files without line ends, tabs and the like",
        )
    } else {
        let value = reader.folder.to_owned() + &value;
        return Some(Placed { value, at });
    };
    reader.error(Diagnostic::at(at, message).hint(hint));
    None
}

fn sheet(reader: &mut Reader<'_>, what: &str, item: &Item<'_>) -> Option<Placed<String>> {
    let sheet = path(reader, what, item)?;
    let ending = Path::new(&sheet.value).extension();
    let ending = ending.and_then(|ending| ending.to_str());
    if ending.is_some_and(|ending| matches!(ending, "csv" | "tsv" | "jsonl")) {
        return Some(sheet);
    }
    let message = format!(
        "{} is not a .csv, .tsv or .jsonl file",
        quoted(&sheet.value)
    );
    let hint = "only these have rows; `files` takes a file as a whole";
    reader.error(Diagnostic::at(sheet.at, message).hint(hint));
    None
}

/// Columns, each of which gives its name to a file.
fn paths(reader: &mut Reader<'_>, what: &str, item: &Item<'_>) -> Vec<Box<str>> {
    let hint = "name the columns that name files: [\"fastq_1\", \"fastq_2\"]";
    let Some(items) = reader.array(what, "an array of strings", item) else {
        return Vec::new();
    };
    if items.is_empty() {
        let error = Diagnostic::at(item.span(), format!("{what} is empty"));
        reader.error(error.hint(hint));
    }
    let entry = format!("an entry of {what}");
    let mut columns: Vec<Box<str>> = Vec::new();
    for item in items {
        let Some(column) = reader.string(&entry, item) else {
            continue;
        };
        let message = if columns.iter().any(|known| **known == *column) {
            format!("{what} has {} twice", quoted(&column))
        } else if let Err(why) = FileName::new(&column) {
            format!("a file cannot be named after this column: {why}")
        } else {
            columns.push(column.into());
            continue;
        };
        reader.error(Diagnostic::at(reader.inside(item), message).hint(hint));
    }
    columns
}

fn command(reader: &mut Reader<'_>, what: &str, item: &Item<'_>) -> Option<Placed<String>> {
    let value = reader.string(what, item)?;
    let at = reader.inside(item);
    if value.trim().is_empty() {
        let error = Diagnostic::at(at, format!("{what} is empty"));
        reader.error(error.hint("name a command that writes a line for each input"));
        return None;
    }
    Some(Placed { value, at })
}

fn template(reader: &mut Reader<'_>, what: &str, item: &Item<'_>) -> Option<Template> {
    let text = reader.string(what, item)?;
    match Template::parse(&text) {
        Ok(template) => Some(template),
        Err(why) => {
            let error = Diagnostic::at(reader.inside(item), format!("{what}: {why}"));
            reader
                .error(error.hint("write columns in braces: \"{sample}\", \"{plate}_{well}.txt\""));
            None
        }
    }
}
