//! What `nix shell` calls an installable: one entry of a step's `packages`.

/// A package as the manifest names it; the text is kept verbatim.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Installable(String);

/// Why a text is no installable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadInstallable {
    /// The text is empty.
    #[error("a package's name cannot be empty")]
    Empty,
    /// White space or a control character.
    #[error("{0:?} cannot be part of a package's name")]
    Char(char),
}

impl Installable {
    /// Checks `text` and makes an installable of it.
    pub fn parse(text: &str) -> Result<Self, BadInstallable> {
        if text.is_empty() {
            return Err(BadInstallable::Empty);
        }
        match text.chars().find(|c| c.is_whitespace() || c.is_control()) {
            Some(c) => Err(BadInstallable::Char(c)),
            None => Ok(Self(text.to_owned())),
        }
    }

    /// The text as it was given.
    pub fn text(&self) -> &str {
        &self.0
    }
}
