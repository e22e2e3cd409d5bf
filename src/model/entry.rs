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
    Line(String),
}

/// Between the parts: no sheet's path has one.
const SEPARATOR: char = '\t';

impl EntryName {
    /// What all rows of a sheet begin with, as texts.
    pub fn of_sheet(sheet: &str) -> String {
        format!("row{SEPARATOR}{sheet}{SEPARATOR}")
    }

    /// What all lines of commands begin with.
    pub fn of_lines() -> String {
        format!("line{SEPARATOR}")
    }

    /// As the database has it.
    pub fn to_text(&self) -> String {
        match self {
            Self::File(path) => format!("file{SEPARATOR}{path}"),
            Self::Row { sheet, name } => Self::of_sheet(sheet) + name,
            Self::Line(text) => Self::of_lines() + text,
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
            "line" => Some(Self::Line(rest.to_owned())),
            _ => None,
        }
    }
}

/// In words.
impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file {}", quoted(path)),
            Self::Row { sheet, name } => write!(f, "row {} of {}", quoted(name), quoted(sheet)),
            Self::Line(text) => write!(f, "line {} of a command's output", quoted(text)),
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
            Self::Line(text) => map.serialize_entry("line", text)?,
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
                EntryName::Line("a\tb".into()),
                "line\ta\tb",
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
