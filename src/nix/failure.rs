//! Why a call of Nix failed: its own words, cut to what matters, and what kind of trouble it is.

use std::collections::BTreeMap;
use std::fmt;

use super::progress::Heard;
use super::store_path::short_name;

/// Most lines of Nix's words that are shown.
const LINES: usize = 14;

/// A failed call of Nix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What kind of trouble it is.
    pub kind: Kind,
    /// Nix's own words, cut to what matters; lines without indentation in common.
    pub words: String,
    /// The builds that failed: derivation, and the last lines of its log.
    pub builds: BTreeMap<String, Vec<String>>,
}

/// The kinds of trouble that are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The flake has no such attribute.
    UnknownAttribute,
    /// The name is in no registry, or the repository or folder is not there.
    UnknownFlake,
    /// A download failed.
    Network,
    /// Nixpkgs refuses: unfree, broken, insecure.
    Refused,
    /// A builder failed.
    Build,
    /// What was downloaded or built is not what its hash says.
    HashMismatch,
    /// The store path is neither in the store nor to be had.
    NoSuchPath,
    /// No daemon answers.
    Daemon,
    /// No room on the disk.
    NoSpace,
    /// `^outputs` with a Nix that does not know it.
    OutputsUnsupported,
    /// Nix was interrupted.
    Interrupted,
    /// Anything else.
    Other,
}

const SIGNS: [(&str, Kind); 22] = [
    ("interrupted by the user", Kind::Interrupted),
    ("cannot connect to socket at", Kind::Daemon),
    ("cannot open connection to remote store", Kind::Daemon),
    ("No space left on device", Kind::NoSpace),
    ("does not provide attribute", Kind::UnknownAttribute),
    ("in the flake registries", Kind::UnknownFlake),
    ("does not contain a '/flake.nix'", Kind::UnknownFlake),
    ("does not contain a 'flake.nix'", Kind::UnknownFlake),
    ("is not a flake", Kind::UnknownFlake),
    ("refusing to evaluate", Kind::Refused),
    ("is marked as broken", Kind::Refused),
    ("hash mismatch", Kind::HashMismatch),
    ("NAR hash mismatch", Kind::HashMismatch),
    ("unable to download", Kind::Network),
    ("Could not resolve host", Kind::Network),
    ("Couldn't resolve host", Kind::Network),
    ("don't know how to build these paths", Kind::NoSuchPath),
    ("is not valid", Kind::NoSuchPath),
    ("No such file or directory", Kind::UnknownFlake),
    ("does not exist", Kind::UnknownFlake),
    ("failed with exit code", Kind::Build),
    ("builder failed", Kind::Build),
];

impl Failure {
    /// What the messages of a failed call mean.
    pub fn of(heard: &Heard) -> Self {
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
        let kind = if builds.is_empty() || all.contains("hash mismatch") {
            kind_of(&words, &text)
        } else {
            Kind::Build
        };
        Self {
            kind,
            words,
            builds,
        }
    }

    /// A failure that was found without asking Nix.
    pub fn new(kind: Kind, words: String) -> Self {
        Self {
            kind,
            words,
            builds: BTreeMap::new(),
        }
    }

    /// This failure, told about one of its builds alone.
    #[must_use]
    pub fn of_build(&self, derivation: &str) -> Self {
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
    pub fn hint(&self) -> Option<String> {
        Some(match self.kind {
            Kind::UnknownAttribute => {
                "look the name up: `nix search FLAKE WORD`, or https://search.nixos.org/packages"
                    .to_owned()
            }
            Kind::UnknownFlake => {
                "check the part before `#`; a repository is written `github:OWNER/REPO`, a folder \
                 begins with `./` or `/`, and its files must be known to git (`git add`)"
                    .to_owned()
            }
            Kind::Network => {
                "is there a network? what was downloaded once is found again without one".to_owned()
            }
            Kind::Refused => "Nixpkgs asks for consent: name a flake that gives it \
                 (`import nixpkgs { config.allowUnfree = true; }`), or choose another package"
                .to_owned(),
            Kind::Build => match self.builds.keys().next() {
                Some(derivation) => format!("the whole log: nix log {derivation}"),
                None => return None,
            },
            Kind::HashMismatch => {
                "what the pin names has changed; `task-pipeline lock --update` moves pins"
                    .to_owned()
            }
            Kind::NoSuchPath => {
                "a store path must be in this machine's store or in a binary cache that it uses"
                    .to_owned()
            }
            Kind::Daemon => {
                "start Nix's daemon (`systemctl start nix-daemon`), or unset NIX_REMOTE".to_owned()
            }
            Kind::NoSpace => "make room: `nix-store --gc` removes what nothing uses".to_owned(),
            Kind::OutputsUnsupported => {
                "leave out `^…`, or use a newer Nix (2.13 or later)".to_owned()
            }
            Kind::Interrupted | Kind::Other => return None,
        })
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
        .filter(|line| !noise(line))
        .collect();
    let indent = |line: &&str| line.len() - line.trim_start().len();
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

/// The earliest sign in the words that are shown counts; then any in the whole text.
fn kind_of(words: &str, text: &str) -> Kind {
    let earliest = |text: &str| {
        SIGNS
            .iter()
            .filter_map(|(sign, kind)| Some((text.find(sign)?, *kind)))
            .min_by_key(|(at, _)| *at)
            .map(|(_, kind)| kind)
    };
    earliest(words)
        .or_else(|| earliest(text))
        .unwrap_or(Kind::Other)
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
mod tests {
    use super::*;

    fn failure(errors: &[&str]) -> Failure {
        Failure::of(&Heard {
            errors: errors.iter().map(ToString::to_string).collect(),
            ..Heard::default()
        })
    }

    #[test]
    fn nix_2_8_attribute_with_its_suggestion() {
        let failure = failure(&[
            "error: flake 'path:/f' does not provide attribute 'packages.x86_64-linux.zedd' or 'zedd'\n       Did you mean zed?",
        ]);
        assert_eq!(failure.kind, Kind::UnknownAttribute);
        assert_eq!(
            failure.words,
            "flake 'path:/f' does not provide attribute 'packages.x86_64-linux.zedd' or 'zedd'\nDid you mean zed?"
        );
    }

    #[test]
    fn since_2_26_context_comes_first() {
        let failure = failure(&[
            "error:\n       … while evaluating the attribute 'x'\n         at /f/flake.nix:1:1:\n            1| {\n\n       error: Package ‘x’ has an unfree license (‘unfree’), refusing to evaluate.\n\n       a) To temporarily allow unfree packages\n(use '--show-trace' to show detailed location information)",
        ]);
        assert_eq!(failure.kind, Kind::Refused);
        assert!(
            failure
                .words
                .starts_with("Package ‘x’ has an unfree license")
        );
        assert!(!failure.words.contains("--show-trace"));
    }

    #[test]
    fn builds_of_all_versions() {
        let drv = "/nix/store/0c0n1xjwdkkzg5y0b9hmkvlkdbzjbfgw-jq-1.7.drv";
        for text in [
            format!("error: builder for '{drv}' failed with exit code 3"),
            format!(
                "error: builder for '{drv}' failed with exit code 3;\n       last 1 log lines:\n       > oops\n       For full logs, run:\n         nix log {drv}"
            ),
            format!(
                "error: Cannot build '{drv}'.\n       Reason: builder failed with exit code 3.\n       Output paths:\n         /nix/store/x"
            ),
        ] {
            let failure = failure(&[
                &text,
                "error: 1 dependencies of derivation '/nix/store/y.drv' failed to build",
            ]);
            assert_eq!(failure.kind, Kind::Build);
            assert_eq!(failure.builds.keys().collect::<Vec<_>>(), [drv]);
            assert_eq!(
                failure.hint(),
                Some(format!("the whole log: nix log {drv}"))
            );
        }
    }

    #[test]
    fn kinds() {
        for (text, kind) in [
            (
                "error: cannot find flake 'flake:x' in the flake registries",
                Kind::UnknownFlake,
            ),
            (
                "error: unable to download 'https://x': Couldn't resolve host name (6)",
                Kind::Network,
            ),
            (
                "error: cannot connect to socket at '/s': No such file or directory",
                Kind::Daemon,
            ),
            (
                "error: getting status of '/nosuch': No such file or directory",
                Kind::UnknownFlake,
            ),
            ("error: interrupted by the user", Kind::Interrupted),
            ("error: something new", Kind::Other),
        ] {
            assert_eq!(failure(&[text]).kind, kind, "{text}");
        }
        assert_eq!(failure(&[]).words, "Nix gave no reason");
    }

    #[test]
    fn nix_store_names_the_path_before_the_error() {
        let failure = Failure::of(&Heard {
            plain: [
                "don't know how to build these paths:",
                "  /nix/store/x",
                "error: build of '/nix/store/x' failed",
            ]
            .map(String::from)
            .into(),
            ..Heard::default()
        });
        assert_eq!(failure.kind, Kind::NoSuchPath);
        assert_eq!(
            failure.words,
            "don't know how to build these paths:\n  /nix/store/x"
        );
    }
}
