//! Why a call of Nix failed: its own words, cut to what matters, and what kind of trouble it is.

use std::collections::BTreeMap;
use std::fmt;

mod kind;

pub(crate) use kind::Kind;
#[cfg(test)]
pub(crate) use kind::Refusal;

use super::progress::Heard;
use super::store_path::short_name;

/// Most lines of a program's words that are shown.
const TOLD: usize = 8;
/// How the lines begin that tell how far git is.
const PROGRESS: [&str; 9] = [
    "Cloning into",
    "From ",
    "Initialized empty Git",
    "Receiving objects",
    "Resolving deltas",
    "hint:",
    "remote: Compressing",
    "remote: Counting",
    "remote: Enumerating",
];
/// Where advice begins that is of no use here: the variables that it names reach no pinned flake.
const ADVICE: [&str; 3] = [
    "a) To temporarily allow",
    "You can install it anyway",
    "Alternatively you can configure",
];
/// Most lines of Nix's words that are shown.
const LINES: usize = 14;

/// A failed call of Nix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// What kind of trouble it is.
    pub kind: Kind,
    /// Nix's own words, cut to what matters; lines without indentation in common.
    pub words: String,
    /// The builds that failed: derivation, and the last lines of its log.
    pub builds: BTreeMap<String, Vec<String>>,
}

impl Failure {
    /// What the messages of a failed call mean.
    pub(crate) fn of(heard: &Heard) -> Self {
        let builds = failed_builds(heard);
        let all = heard.errors.join("\n");
        let plain: Vec<&str> = heard.plain.iter().map(String::as_str).collect();
        let text = if heard.errors.is_empty() {
            plain.join("\n")
        } else {
            all.clone()
        };
        let mut words = cut(&text);
        // `nix-store` says on a line before the error which paths there are no builders for.
        if let Some(at) = plain
            .iter()
            .position(|line| line.starts_with("don't know how to build"))
        {
            let paths = plain[at + 1..].iter();
            plain[at].clone_into(&mut words);
            for path in paths.take_while(|line| line.starts_with(' ')).take(LINES) {
                words.push('\n');
                words.push_str(path);
            }
        }
        let told = if builds.is_empty() && is_of_program(&words) {
            told_by_program(&heard.outside)
        } else {
            String::new()
        };
        let kind = if builds.is_empty() || all.contains("hash mismatch") {
            Kind::of(&[&told, &words, &text])
        } else {
            Kind::Build
        };
        if !told.is_empty() {
            words = format!("{}:\n{told}", words.trim_end_matches(['.', ':']));
        }
        Self {
            kind,
            words,
            builds,
        }
    }

    /// A failure that was found without asking Nix.
    pub(crate) fn new(kind: Kind, words: String) -> Self {
        Self {
            kind,
            words,
            builds: BTreeMap::new(),
        }
    }

    /// This failure, told about one of its builds alone.
    #[must_use]
    pub(crate) fn of_build(&self, derivation: &str) -> Self {
        let builds: BTreeMap<_, _> = self
            .builds
            .get_key_value(derivation)
            .map(|(drv, log)| (drv.clone(), log.clone()))
            .into_iter()
            .collect();
        Self {
            kind: self.kind,
            words: if self.kind == Kind::Build {
                format!("the build of {} failed", short_name(derivation))
            } else {
                self.words.clone()
            },
            builds,
        }
    }

    /// The next step, where there is one to name.
    pub(crate) fn hint(&self) -> Option<String> {
        self.kind.hint(self)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)?;
        for (derivation, log) in &self.builds {
            if !self.words.contains(short_name(derivation)) {
                write!(f, "\nthe build of {} failed", short_name(derivation))?;
            }
            if !log.is_empty() {
                f.write_str("; its log ends:")?;
            }
            for line in log {
                write!(f, "\n  > {line}")?;
            }
        }
        Ok(())
    }
}

/// Whether the words tell that another program failed, and not why.
fn is_of_program(words: &str) -> bool {
    words.starts_with("program '")
        || words.starts_with("hg failed with")
        || words.contains("Failed to fetch git repository")
        || words.contains("program 'git' failed")
}

/// What a program that Nix called (git, ssh, tar, hg) wrote last.
fn told_by_program(lines: &[String]) -> String {
    let telling = |line: &&String| !PROGRESS.iter().any(|start| line.starts_with(start));
    // A program that is called wrongly tells all that it can do.
    let lines: Vec<&str> = lines
        .iter()
        .take_while(|line| !line.starts_with("usage:"))
        .filter(telling)
        .map(|line| line.trim())
        .filter(|line| !line.is_empty())
        .collect();
    lines[lines.len().saturating_sub(TOLD)..].join("\n")
}

/// From the last line that begins with `error:` to the end, without what helps nobody here.
fn cut(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let start = lines
        .iter()
        .rposition(|line| line.trim_start().starts_with("error:"))
        .unwrap_or(lines.len().saturating_sub(LINES));
    let first = lines.get(start).copied().unwrap_or_default();
    let first = first.trim_start().strip_prefix("error:").unwrap_or(first);
    let noise = |line: &str| line.contains("--show-trace") || line.trim().is_empty();
    let rest: Vec<&str> = lines
        .iter()
        .skip(start + 1)
        .copied()
        .take_while(|line| !line.trim_start().starts_with("For full logs, run"))
        .take_while(|line| {
            !ADVICE
                .iter()
                .any(|start| line.trim_start().starts_with(start))
        })
        .filter(|line| !noise(line))
        .collect();
    // Spaces, each of one byte: others are no indentation of Nix's.
    let indent = |line: &&str| line.len() - line.trim_start_matches(' ').len();
    let common = rest.iter().map(indent).min().unwrap_or(0);
    let mut words = vec![first.trim()];
    words.extend(rest.iter().map(|line| line[common..].trim_end()));
    words.retain(|line| !line.is_empty());
    if words.len() > LINES {
        words.truncate(LINES - 1);
        words.push("…");
    }
    if words.is_empty() {
        words.push("Nix gave no reason");
    }
    words.join("\n")
}

/// The derivations whose own builder failed (not those that only needed them), with their logs.
fn failed_builds(heard: &Heard) -> BTreeMap<String, Vec<String>> {
    let mut builds = BTreeMap::new();
    let messages = heard.errors.iter().map(String::as_str);
    for message in messages.chain(heard.plain.iter().map(String::as_str)) {
        // Up to 2.30 `builder for 'DRV' failed with exit code 1` (or `due to signal`), then
        // `Cannot build 'DRV'.` with `Reason: builder failed with exit code 1.`
        let own = [
            "builder for '",
            "hash mismatch in fixed-output derivation '",
        ]
        .into_iter()
        .find_map(|start| quoted_after(message, start))
        .or_else(|| {
            message
                .contains("Reason: builder")
                .then(|| quoted_after(message, "Cannot build '"))
                .flatten()
        });
        if let Some(derivation) = own {
            let log = heard.logs.get(derivation);
            let log = log
                .map(|lines| lines.iter().cloned().collect())
                .unwrap_or_default();
            builds.insert(derivation.to_owned(), log);
        }
    }
    builds
}

fn quoted_after<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    let rest = &text[text.find(start)? + start.len()..];
    let (quoted, _) = rest.split_once('\'')?;
    quoted.strip_suffix(".drv").map(|_| quoted)
}

#[cfg(test)]
mod tests;
