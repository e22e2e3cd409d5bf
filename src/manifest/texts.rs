//! The text of a manifest and those of its parts, one behind the other: a place in them is a range of
//! bytes of the whole.

use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::diagnostic::{self, Diagnostic, line_of};
use crate::text::Shown as _;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Texts {
    all: String,
    files: Vec<PartText>,
}

/// One of the files.
#[derive(Debug, Clone, PartialEq, Eq)]
struct PartText {
    path: PathBuf,
    /// The folder that its paths begin in, below that of the manifest, with a `/` at its end; empty if
    /// it is that one.
    folder: String,
    /// Its bytes of the whole.
    range: Range<usize>,
}

impl Texts {
    /// The manifest alone.
    pub(crate) fn new(path: &Path, text: &str) -> Self {
        let mut texts = Self {
            all: String::new(),
            files: Vec::new(),
        };
        texts.push(path, String::new(), text);
        texts
    }

    /// Adds a part, whose paths begin in `folder`.
    pub(crate) fn push(&mut self, path: &Path, folder: String, text: &str) {
        let start = self.all.len();
        self.all.push_str(text);
        self.files.push(PartText {
            path: path.to_owned(),
            folder,
            range: start..self.all.len(),
        });
        // So that no end of one is the beginning of the next.
        self.all.push('\n');
    }

    /// All, one behind the other.
    pub(crate) fn all(&self) -> &str {
        &self.all
    }

    /// How many files there are.
    pub(crate) fn len(&self) -> usize {
        self.files.len()
    }

    /// The paths of the files, the manifest's first.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|file| &*file.path)
    }

    /// The text of a file, the folder that its paths begin in, and where it begins in the whole.
    pub(super) fn file(&self, number: usize) -> (&str, &str, usize) {
        let file = &self.files[number];
        (
            &self.all[file.range.clone()],
            &file.folder,
            file.range.start,
        )
    }

    /// The number of the file that has the byte.
    pub(super) fn of(&self, at: usize) -> usize {
        let behind = self.files.partition_point(|file| file.range.start <= at);
        behind.saturating_sub(1)
    }

    /// The file and the line of a byte.
    pub(crate) fn line(&self, at: usize) -> (&Path, usize) {
        let number = self.of(at);
        let (text, _, start) = self.file(number);
        (&self.files[number].path, line_of(text, at - start))
    }

    /// Where a byte is, for a message: `on line 3`, with the file where there are several.
    pub(crate) fn line_words(&self, at: usize) -> String {
        let (path, line) = self.line(at);
        match self.files.len() {
            1 => format!("on line {line}"),
            _ => format!("on line {line} of {}", path.shown()),
        }
    }

    /// The diagnostics as plain text, each with its file ([`diagnostic::render`]).
    pub(crate) fn render(&self, diagnostics: &[Diagnostic]) -> String {
        self.render_as("error", diagnostics)
    }

    /// The same of `what`, such as warnings.
    pub(crate) fn render_as(&self, what: &str, diagnostics: &[Diagnostic]) -> String {
        diagnostic::render_each(what, diagnostics, |one| {
            let number = one.span.as_ref().map_or(0, |span| self.of(span.start));
            let (text, _, start) = self.file(number);
            let mut local = one.clone();
            local.span = one
                .span
                .clone()
                .map(|span| span.start - start..span.end - start);
            (self.files[number].path.to_string_lossy(), text, local)
        })
    }
}

/// The same table with its places moved by so many bytes.
pub(super) fn moved(table: DeTable<'_>, by: usize) -> DeTable<'_> {
    if by == 0 {
        return table;
    }
    let entries = table.into_iter();
    let entries = entries.map(|(key, value)| {
        let span = key.span();
        let key = Spanned::new(span.start + by..span.end + by, key.into_inner());
        (key, moved_value(value, by))
    });
    entries.collect()
}

#[allow(clippy::wildcard_enum_match_arm)] // TOML's kinds of values are another's.
fn moved_value(value: Spanned<DeValue<'_>>, by: usize) -> Spanned<DeValue<'_>> {
    let span = value.span();
    let value = match value.into_inner() {
        DeValue::Array(items) => {
            let mut array = DeArray::new();
            items
                .into_iter()
                .for_each(|item| array.push(moved_value(item, by)));
            DeValue::Array(array)
        }
        DeValue::Table(table) => DeValue::Table(moved(table, by)),
        plain => plain,
    };
    Spanned::new(span.start + by..span.end + by, value)
}
