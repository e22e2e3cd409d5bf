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
    /// Forgejo or Gitea, whose runners hear the same commands, but show an annotation as the line that it is, or
    /// not at all.
    Forgejo,
    /// GitLab.
    GitLab,
    /// Another CI that takes lines for commands.
    Ci,
}

impl Reader {
    /// That of this process.
    pub(super) fn of_this() -> Self {
        static READER: OnceLock<Reader> = OnceLock::new();
        *READER.get_or_init(|| {
            Self::of(|name| std::env::var_os(name).and_then(|value| value.into_string().ok()))
        })
    }

    /// Of a process with these variables.
    fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let is = |name| variable(name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
        if is("GITHUB_ACTIONS") && (is("FORGEJO_ACTIONS") || is("GITEA_ACTIONS")) {
            Self::Forgejo
        } else if is("GITHUB_ACTIONS") {
            Self::GitHub
        } else if is("GITLAB_CI") {
            Self::GitLab
        } else if is("TF_BUILD") || variable("TEAMCITY_VERSION").is_some() {
            Self::Ci
        } else {
            Self::Anyone
        }
    }

    /// The text without commands.
    pub(super) fn calm(self, text: &str) -> Cow<'_, str> {
        match self {
            // GitLab's markers have a carriage return and an escape in them, which no text has.
            Self::Anyone | Self::GitLab => Cow::Borrowed(text),
            Self::GitHub | Self::Forgejo | Self::Ci => command::calm(text),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_reads_is_told_by_variables() {
        for (variables, reader) in [
            (&[][..], Reader::Anyone),
            (&["GITHUB_ACTIONS=true"], Reader::GitHub),
            (&["GITHUB_ACTIONS=false"], Reader::Anyone),
            (
                &["GITHUB_ACTIONS=true", "GITEA_ACTIONS=true"],
                Reader::Forgejo,
            ),
            (
                &["GITHUB_ACTIONS=true", "FORGEJO_ACTIONS=true"],
                Reader::Forgejo,
            ),
            (&["FORGEJO_ACTIONS=true"], Reader::Anyone),
            (&["GITLAB_CI=true"], Reader::GitLab),
            (&["TF_BUILD=True"], Reader::Ci),
            (&["TEAMCITY_VERSION=2026"], Reader::Ci),
        ] {
            let of = |name: &str| {
                let mut pairs = variables.iter().filter_map(|pair| pair.split_once('='));
                let pair = pairs.find(|(known, _)| *known == name);
                pair.map(|(_, value)| value.to_owned())
            };
            assert_eq!(Reader::of(of), reader, "{variables:?}");
        }
    }
}
