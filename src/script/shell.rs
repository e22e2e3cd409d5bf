//! The shells whose ways are known well enough to do some of their work otherwise.

/// A shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shell {
    /// The Debian Almquist shell.
    Dash,
    /// The GNU shell, as `sh` too.
    Bash,
}

impl Shell {
    /// By the file name of the program, links resolved.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "dash" => Some(Self::Dash),
            "bash" => Some(Self::Bash),
            _ => None,
        }
    }
}
