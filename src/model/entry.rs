//! What comes into a pipeline from outside, and how one tells it from all else that does.

use std::fmt;

use crate::text::quoted;

/// An entry of an input. As text it is what the database has for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryName {
    /// A file, by its path below the manifest's folder.
    File(String),
    /// A row of a sheet.
    Row {
        /// The sheet, by its path below the manifest's folder.
        sheet: String,
        /// The row's name.
        name: String,
    },
    /// A line that a command wrote.
    Line {
        /// Which of the commands, from 0 in the order of the manifest.
        command: usize,
        /// The line.
        text: String,
    },
}

/// Between the parts: no sheet's path has one.
const SEPARATOR: char = '\t';

impl EntryName {
    /// What all rows of a sheet begin with, as texts.
    pub fn of_sheet(sheet: &str) -> String {
        format!("row{SEPARATOR}{sheet}{SEPARATOR}")
    }

    /// What all lines of a command begin with.
    pub fn of_lines(command: usize) -> String {
        format!("line{SEPARATOR}{command}{SEPARATOR}")
    }

    /// As the database has it.
    pub fn to_text(&self) -> String {
        match self {
            Self::File(path) => format!("file{SEPARATOR}{path}"),
            Self::Row { sheet, name } => Self::of_sheet(sheet) + name,
            Self::Line { command, text } => Self::of_lines(*command) + text,
        }
    }

    /// What [`EntryName::to_text`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(SEPARATOR)?;
        match kind {
            "file" => Some(Self::File(rest.to_owned())),
            "row" => {
                let (sheet, name) = rest.split_once(SEPARATOR)?;
                Some(Self::Row {
                    sheet: sheet.to_owned(),
                    name: name.to_owned(),
                })
            }
            "line" => {
                let (command, text) = rest.split_once(SEPARATOR)?;
                Some(Self::Line {
                    command: command.parse().ok()?,
                    text: text.to_owned(),
                })
            }
            _ => None,
        }
    }
}

/// The key of a file that one of `globs` names: its path below what is fixed of that pattern, without
/// extensions and with `_` for `/`.
pub fn key_of_file<'a>(globs: impl Iterator<Item = &'a str>, path: &str) -> String {
    let fixed = |glob: &'a str| {
        let plain = glob.find(['*', '?', '[']).unwrap_or(glob.len());
        if plain == glob.len() && glob != path {
            // All that is in the folder.
            let folder = path.strip_prefix(glob.trim_end_matches('/'))?;
            return folder.strip_prefix('/');
        }
        let folder = glob[..plain].rfind('/').map_or(0, |at| at + 1);
        path.strip_prefix(&glob[..folder])
    };
    let below = globs.filter_map(fixed).min_by_key(|below| below.len());
    let below = below.unwrap_or(path);
    let file = below.rfind('/').map_or(0, |at| at + 1);
    let hidden = below[file..].len() - below[file..].trim_start_matches('.').len();
    let name = file + hidden;
    let end = below[name..]
        .find('.')
        .map_or(below.len(), |dot| name + dot);
    below[..end].replace('/', "_")
}

/// In words.
impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file {}", quoted(path)),
            Self::Row { sheet, name } => write!(f, "row {} of {}", quoted(name), quoted(sheet)),
            Self::Line { text, .. } => write!(f, "line {} of a command's output", quoted(text)),
        }
    }
}

/// For programs.
impl serde::Serialize for EntryName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap as _;
        let mut map = serializer.serialize_map(None)?;
        match self {
            Self::File(path) => map.serialize_entry("file", path)?,
            Self::Row { sheet, name } => {
                map.serialize_entry("sheet", sheet)?;
                map.serialize_entry("row", name)?;
            }
            Self::Line { text, .. } => map.serialize_entry("line", text)?,
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_files() {
        for (globs, path, key) in [
            (&["data/**/*.csv"][..], "data/a/b.tar.gz", "a_b"),
            (&["data/*.csv"], "data/b.csv", "b"),
            (&["data/b.csv"], "data/b.csv", "b"),
            (&["data"], "data/x/b.csv", "x_b"),
            (&["*", "data/x*/*"], "data/x1/.b.csv", "x1_.b"),
            (&["**"], "a/b", "a_b"),
        ] {
            assert_eq!(key_of_file(globs.iter().copied(), path), key, "{globs:?}");
        }
    }

    #[test]
    fn as_text_and_back() {
        for (name, text, words) in [
            (
                EntryName::File("a/b\tc".into()),
                "file\ta/b\tc",
                "file `a/b\\tc`",
            ),
            (
                EntryName::Row {
                    sheet: "a.csv".into(),
                    name: "x\ty".into(),
                },
                "row\ta.csv\tx\ty",
                "row `x\\ty` of `a.csv`",
            ),
            (
                EntryName::Line {
                    command: 1,
                    text: "a\tb".into(),
                },
                "line\t1\ta\tb",
                "line `a\\tb` of a command's output",
            ),
        ] {
            assert_eq!(name.to_text(), text);
            assert_eq!(EntryName::parse(text), Some(name.clone()));
            assert_eq!(name.to_string(), words);
        }
        assert_eq!(EntryName::parse("file"), None);
        assert_eq!(EntryName::parse("row\ta"), None);
        assert_eq!(EntryName::parse("x\ty"), None);
    }
}
