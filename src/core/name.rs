//! Names of steps.

use std::fmt;
use std::sync::Arc;

use super::text::acts;

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
    #[error("{0} bytes, and file names have room for 200")]
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

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
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
}
