//! Who reads what this process writes.

use std::borrow::Cow;
use std::fs::File;
use std::hash::{BuildHasher as _, RandomState};
use std::io::Read as _;
use std::sync::OnceLock;

use crate::text::command;

/// As far as the environment tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    /// People, or programs that were written for it.
    Anyone,
    /// GitHub Actions, and those who do as it does.
    GitHub,
    /// Another CI that takes lines for commands.
    Ci,
}

impl Reader {
    /// That of this process.
    pub(super) fn of_this() -> Self {
        static READER: OnceLock<Reader> = OnceLock::new();
        *READER.get_or_init(|| {
            let is = |name, wanted: &str| {
                std::env::var_os(name).is_some_and(|value| value.eq_ignore_ascii_case(wanted))
            };
            if is("GITHUB_ACTIONS", "true") {
                Self::GitHub
            } else if is("TF_BUILD", "true") || std::env::var_os("TEAMCITY_VERSION").is_some() {
                Self::Ci
            } else {
                Self::Anyone
            }
        })
    }

    /// The text without commands.
    pub(super) fn calm(self, text: &str) -> Cow<'_, str> {
        match self {
            Self::Anyone => Cow::Borrowed(text),
            Self::GitHub | Self::Ci => command::calm(text),
        }
    }
}

/// A word that nobody can guess.
pub(super) fn token() -> String {
    let mut bytes = [0; 16];
    let read = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    if read.is_err() {
        // The standard library's keys are as random.
        let hash = |part| RandomState::new().hash_one(part);
        let both = u128::from(hash(0)) << 64 | u128::from(hash(1));
        bytes = both.to_le_bytes();
    }
    format!("{:032x}", u128::from_le_bytes(bytes))
}
