//! Names of steps, and of the files that tasks leave.

use std::fmt;
use std::sync::Arc;

use crate::text::{acts, quoted};

/// The name of a step: what an output's file name can route to.
///
/// One path component: not empty, not `.` or `..`, no `/`, no characters that act on a terminal or
/// on the text around them, no white space at either end, at most 200 bytes (a file name may have
/// 255, and outputs add to it).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepName(Arc<str>);

/// Why a text cannot name a step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// The text is empty.
    #[error("a step's name cannot be empty")]
    Empty,
    /// The text is `.` or `..`.
    #[error("`{0}` is a folder, not a name")]
    Dots(String),
    /// A character that cannot be part of a file name, or would confuse those who read it.
    #[error("{0:?} cannot be part of a file name")]
    Char(char),
    /// White space at the start or the end.
    #[error("white space at the start or the end")]
    Space,
    /// Too long for a file name with something around it; the length in bytes.
    #[error("it has {0} bytes, and file names have room for 200")]
    Long(usize),
}

impl StepName {
    /// The longest name, in bytes.
    pub const MAX: usize = 200;

    /// Checks `text` and makes a name of it.
    pub fn new(text: &str) -> Result<Self, BadName> {
        if text.is_empty() {
            return Err(BadName::Empty);
        }
        if text == "." || text == ".." {
            return Err(BadName::Dots(text.to_owned()));
        }
        if let Some(c) = text.chars().find(|c| *c == '/' || acts(*c)) {
            return Err(BadName::Char(c));
        }
        if text.trim() != text {
            return Err(BadName::Space);
        }
        if text.len() > Self::MAX {
            return Err(BadName::Long(text.len()));
        }
        Ok(Self(text.into()))
    }

    /// The name most like `text`.
    #[must_use]
    pub fn nearest(text: &str) -> Self {
        let plain: String = text
            .chars()
            .map(|c| if c == '/' || acts(c) { '_' } else { c })
            .collect();
        let plain = plain.trim();
        let end = plain.floor_char_boundary(Self::MAX);
        Self::new(plain[..end].trim_end()).unwrap_or_else(|_| Self("_".into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::ops::Deref for StepName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl serde::Serialize for StepName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

impl std::borrow::Borrow<str> for StepName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StepName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for StepName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// The name of a file that a task left: one part of a path, as a file system gives it. Put behind
/// a folder, it leads nowhere else.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileName(Box<str>);

/// Why a text cannot be the name of a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadFileName {
    /// The text is empty.
    #[error("no file is called \"\"")]
    Empty,
    /// The text is `.` or `..`, or has a character that separates folders or ends the name.
    #[error("{} leads to another folder", quoted(.0))]
    Leads(String),
    /// More than any file system has room for; the length in bytes.
    #[error("a name of {0} bytes is longer than that of any file")]
    Long(usize),
}

impl FileName {
    /// The longest name, in bytes: 255 characters, on the systems that count these.
    pub const MAX: usize = 4 * 255;

    /// Checks `text` and makes a name of it.
    pub fn new(text: &str) -> Result<Self, BadFileName> {
        if text.is_empty() {
            return Err(BadFileName::Empty);
        }
        if text.len() > Self::MAX {
            return Err(BadFileName::Long(text.len()));
        }
        if text == "." || text == ".." || text.contains(['/', '\0']) {
            return Err(BadFileName::Leads(text.to_owned()));
        }
        Ok(Self(text.into()))
    }
}

impl std::ops::Deref for FileName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl serde::Serialize for FileName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

impl From<FileName> for Box<str> {
    fn from(name: FileName) -> Self {
        name.0
    }
}

impl From<FileName> for String {
    fn from(name: FileName) -> Self {
        name.0.into()
    }
}

impl fmt::Debug for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(StepName::new("a b.c").unwrap().as_str(), "a b.c");
        assert_eq!(StepName::new(""), Err(BadName::Empty));
        assert_eq!(StepName::new(".."), Err(BadName::Dots("..".into())));
        assert_eq!(StepName::new("a/b"), Err(BadName::Char('/')));
        assert_eq!(StepName::new("a\0"), Err(BadName::Char('\0')));
        assert_eq!(StepName::new("a\u{202e}b"), Err(BadName::Char('\u{202e}')));
        assert!(StepName::new("👩\u{200d}👧").is_ok());
        assert_eq!(StepName::new(" a"), Err(BadName::Space));
        assert_eq!(StepName::new(&"x".repeat(201)), Err(BadName::Long(201)));
    }

    #[test]
    fn the_nearest_name() {
        for (text, near) in [
            ("a b.c", "a b.c"),
            (" a/b\n", "a_b_"),
            ("..", "_"),
            ("", "_"),
            (&"é".repeat(150), &"é".repeat(100)),
        ] {
            assert_eq!(StepName::nearest(text).as_str(), near);
        }
    }

    #[test]
    fn names_of_files() {
        for name in ["a", "...", "..a", "a b\\", " \u{202e}\n", &"x".repeat(1020)] {
            assert_eq!(&*FileName::new(name).unwrap(), name);
            let whole = std::path::Path::new("/folder").join(name);
            assert_eq!(whole.parent(), Some(std::path::Path::new("/folder")));
        }
        for name in ["", ".", "..", "/", "/a", "a/", "a/b", "../a", "./a", "a\0"] {
            assert!(FileName::new(name).is_err(), "{name:?}");
        }
        assert_eq!(
            FileName::new(&"x".repeat(1021)),
            Err(BadFileName::Long(1021))
        );
    }
}
