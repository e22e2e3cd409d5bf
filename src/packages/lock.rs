//! The lock file beside the manifest: what each flake reference was pinned to.
//!
//! ```toml
//! version = 1
//!
//! [[pin]]
//! reference = "github:NixOS/nixpkgs/nixos-unstable"
//! lastModified = 1784356753
//! narHash = "sha256-…"
//! owner = "NixOS"
//! …
//! ```
//!
//! A pin's values are those of a node's `locked` in a `flake.lock`, as Nix wrote them. For a
//! reference that is relative to the manifest, the absolute path is left out, so that the file is
//! right in every checkout.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::agree;
use super::pin::Pin;
use super::regular;
use super::store_path::StoreDir;
use crate::staged::Staged;
use crate::text::visible;

use crate::text::Shown as _;

/// The format that is written; a newer one is refused.
const VERSION: u32 = 1;

const HEAD: &str = "\
# What the packages of the manifest beside this file are pinned to; to be committed.
# Made by `task-pipeline lock`; `task-pipeline lock --update [NAME]` moves pins.
";

/// The pins by reference, as the manifest writes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Lock {
    pins: BTreeMap<String, Pin>,
}

/// Why the lock file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LockError {
    /// The file system says no.
    #[error("cannot {doing} the lock file {}: {source}", path.shown())]
    Io {
        /// `read` or `write`.
        doing: &'static str,
        /// The lock file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no lock file.
    #[error("the lock file {} is damaged: {why}", path.shown())]
    Damaged {
        /// The lock file.
        path: PathBuf,
        /// What is wrong, with line and column where they are known.
        why: String,
    },
    /// A pin leads elsewhere than its reference.
    #[error("the lock file {}, line {line}: `{}` is pinned to {}, {why}", path.shown(), visible(reference), visible(place))]
    Elsewhere {
        /// The lock file.
        path: PathBuf,
        /// The line of the value that leads elsewhere.
        line: usize,
        /// The flake reference.
        reference: String,
        /// Where the pin leads.
        place: String,
        /// What is not as the reference says.
        why: String,
    },
    /// It would lie in the Nix store.
    #[error("the lock file {} would lie in the Nix store, where nothing may be written", path.shown())]
    InStore {
        /// The lock file.
        path: PathBuf,
    },
    /// A newer task-pipeline made it.
    #[error("the lock file {} has format {found}; this task-pipeline knows up to {VERSION}", path.shown())]
    Newer {
        /// The lock file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
}

impl LockError {
    /// The next step.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                "make room on that disk and run again"
            }
            Self::Io { source, .. } if source.kind() == io::ErrorKind::QuotaExceeded => {
                "make room within the quota and run again"
            }
            Self::Io { doing: "write", .. } => {
                "the lock file lies beside the manifest; make it where that can be written \
                 (`task-pipeline lock`) and keep it with the manifest"
            }
            Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "check the file's owner and mode"
            }
            Self::Io { .. } => {
                "move away what is there; restore the file from version control, or pin anew: \
                 `task-pipeline lock`"
            }
            Self::Damaged { .. } => {
                "restore it from version control, or delete it and pin anew: `task-pipeline lock`"
            }
            Self::Elsewhere { .. } => {
                "a pin has to lead where the manifest says; restore the file from version control, or \
                 delete this entry and pin anew: `task-pipeline lock`"
            }
            Self::InStore { .. } => {
                "make it where the manifest can be written to, and bring both into the store together"
            }
            Self::Newer { .. } => "use a newer task-pipeline, or delete the file and pin anew",
        }
    }
}

#[derive(Deserialize)]
struct Head {
    version: Option<Spanned<toml::Value>>,
}

impl Head {
    /// The number of the format; else what is wrong with it.
    fn number(self, text: &str) -> Result<u32, String> {
        let Some(version) = self.version else {
            return Err("it has no `version`".to_owned());
        };
        let line = line_at(text, version.span().start);
        let number = version.into_inner().as_integer();
        let number = number.and_then(|number| u32::try_from(number).ok());
        number
            .filter(|number| *number > 0)
            .ok_or_else(|| format!("line {line}: `version` is no whole number from 1 on"))
    }
}

/// The line of that byte, from 1.
fn line_at(text: &str, at: usize) -> usize {
    text.get(..at).unwrap_or_default().matches('\n').count() + 1
}

#[derive(Deserialize)]
struct Read {
    #[serde(default)]
    pin: Vec<Spanned<Entry>>,
}

#[derive(Serialize)]
struct Document {
    version: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pin: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    reference: String,
    #[serde(flatten)]
    pin: Pin,
}

/// Where the lock file of `manifest` is: `workflow.toml` → `workflow.lock`.
pub(super) fn path_beside(manifest: &Path) -> PathBuf {
    manifest.with_extension("lock")
}

/// Refuses the file at `path` if it would lie in the store: there root alone could write it, and
/// must not.
pub(super) fn check_place(path: &Path, store: &StoreDir) -> Result<(), LockError> {
    let folder = path.parent().and_then(|folder| folder.canonicalize().ok());
    if folder.is_some_and(|folder| store.contains(&folder)) {
        return Err(LockError::InStore {
            path: path.to_owned(),
        });
    }
    Ok(())
}

impl Lock {
    /// Reads the file at `path`; none if there is no such file.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, LockError> {
        let text = match regular::read_text(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                return Err(LockError::Io {
                    doing: "read",
                    path: path.to_owned(),
                    source,
                });
            }
        };
        Self::parse(&text, path).map(Some)
    }

    pub(super) fn parse(text: &str, path: &Path) -> Result<Self, LockError> {
        let damaged = |why: String| LockError::Damaged {
            path: path.to_owned(),
            why,
        };
        // Without the line itself: the file of a stranger may be a link to what is private.
        let toml = |error: toml::de::Error| {
            let line = line_at(text, error.span().map_or(0, |span| span.start));
            damaged(format!("line {line}: {}", error.message()))
        };
        // The version first: a newer format may look different in all else.
        let head: Head = toml::from_str(text).map_err(toml)?;
        let version = head.number(text).map_err(damaged)?;
        if version > VERSION {
            return Err(LockError::Newer {
                path: path.to_owned(),
                found: version,
            });
        }
        let read: Read = toml::from_str(text).map_err(toml)?;
        let mut pins = BTreeMap::new();
        for entry in read.pin {
            let start = entry.span().start;
            let Entry { reference, pin } = entry.into_inner();
            let line = |key| line_of(text, start, key);
            if let Some((key, why)) = pin.flaw() {
                let named = visible(&reference);
                let line = line(key);
                return Err(damaged(format!("line {line}: the pin of `{named}` {why}")));
            }
            if let Some(found) = agree::disagreement(&reference, &pin) {
                return Err(LockError::Elsewhere {
                    path: path.to_owned(),
                    line: line(found.key),
                    place: pin.place().unwrap_or_else(|| "no place".to_owned()),
                    why: found.in_words(&pin),
                    reference,
                });
            }
            if pins.contains_key(&reference) {
                let line = line("reference");
                return Err(damaged(format!(
                    "line {line}: `{reference}` is pinned twice"
                )));
            }
            pins.insert(reference, pin);
        }
        Ok(Self { pins })
    }

    /// Writes the file at `path`, whole or not at all.
    pub(super) fn write(&self, path: &Path) -> Result<(), LockError> {
        let failed = |source: io::Error| LockError::Io {
            doing: "write",
            path: path.to_owned(),
            source,
        };
        let text = self
            .render()
            .map_err(|error| failed(io::Error::other(error)))?;
        let write = || {
            let mut file = Staged::file(path, "lock")?;
            file.write_all(text.as_bytes())?;
            file.open().sync_all()?;
            file.complete(path)
        };
        write().map_err(failed)
    }

    pub(super) fn render(&self) -> Result<String, toml::ser::Error> {
        let document = Document {
            version: VERSION,
            pin: self
                .pins
                .iter()
                .map(|(reference, pin)| Entry {
                    reference: reference.clone(),
                    pin: pin.clone(),
                })
                .collect(),
        };
        Ok(format!("{HEAD}{}", toml::to_string(&document)?))
    }

    /// What `reference` is pinned to.
    pub(super) fn get(&self, reference: &str) -> Option<&Pin> {
        self.pins.get(reference)
    }

    /// Pins `reference`; the earlier pin.
    pub(super) fn insert(&mut self, reference: &str, pin: Pin) -> Option<Pin> {
        self.pins.insert(reference.to_owned(), pin)
    }

    /// Removes the pin of `reference`.
    pub(super) fn remove(&mut self, reference: &str) -> Option<Pin> {
        self.pins.remove(reference)
    }

    /// The references that are pinned, sorted.
    pub(super) fn references(&self) -> impl Iterator<Item = &str> {
        self.pins.keys().map(String::as_str)
    }
}

/// The line of the value `key` in the table whose head is at byte `start` of `text`; without it,
/// the head's.
fn line_of(text: &str, start: usize, key: &str) -> usize {
    let (before, table) = text.split_at_checked(start).unwrap_or((text, ""));
    let is_key = |line: &str| {
        let rest = line.trim_start().strip_prefix(key);
        rest.is_some_and(|rest| rest.trim_start().starts_with('='))
    };
    let mut lines = table.lines().enumerate();
    let _head = lines.next();
    let at = lines
        .take_while(|(_, line)| !line.trim_start().starts_with('['))
        .find(|(_, line)| is_key(line));
    before.matches('\n').count() + 1 + at.map_or(0, |(at, _)| at)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::pin::Scalar;
    use super::*;

    const HASH: &str = "sha256-KMAknNQgQcVvj9grEHSfLmmz6+TmjqNYIoh6NUsr4uE=";

    fn pin(rev: &str) -> Pin {
        Pin(BTreeMap::from([
            ("lastModified".into(), Scalar::Number(1_784_356_753)),
            ("narHash".into(), Scalar::Text(HASH.into())),
            ("rev".into(), Scalar::Text(rev.repeat(40))),
            ("submodules".into(), Scalar::Bool(true)),
            ("type".into(), Scalar::Text("git".into())),
            ("url".into(), Scalar::Text("https://h/r".into())),
        ]))
    }

    #[test]
    fn what_is_no_lock_file_is_not_quoted() {
        let private = "version = 1\nroot:x:0:0:private\n";
        let error = Lock::parse(private, Path::new("lock")).unwrap_err();
        let said = error.to_string();
        assert!(
            said.contains("line 2: ") && !said.contains("private"),
            "{said}"
        );
    }

    #[test]
    fn written_and_read_it_is_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = path_beside(&dir.path().join("workflow.toml"));
        assert_eq!(path, dir.path().join("workflow.lock"));
        assert_eq!(Lock::read(&path).unwrap(), None);
        let mut lock = Lock::default();
        lock.insert("z", pin("2"));
        lock.insert("git+https://h/r", pin("1"));
        lock.write(&path).unwrap();
        assert_eq!(Lock::read(&path).unwrap(), Some(lock));
        insta::assert_snapshot!(fs::read_to_string(&path).unwrap(), @r#"
        # What the packages of the manifest beside this file are pinned to; to be committed.
        # Made by `task-pipeline lock`; `task-pipeline lock --update [NAME]` moves pins.
        version = 1

        [[pin]]
        reference = "git+https://h/r"
        lastModified = 1784356753
        narHash = "sha256-KMAknNQgQcVvj9grEHSfLmmz6+TmjqNYIoh6NUsr4uE="
        rev = "1111111111111111111111111111111111111111"
        submodules = true
        type = "git"
        url = "https://h/r"

        [[pin]]
        reference = "z"
        lastModified = 1784356753
        narHash = "sha256-KMAknNQgQcVvj9grEHSfLmmz6+TmjqNYIoh6NUsr4uE="
        rev = "2222222222222222222222222222222222222222"
        submodules = true
        type = "git"
        url = "https://h/r"
        "#);
        let names: Vec<_> = fs::read_dir(dir.path()).unwrap().collect();
        assert_eq!(names.len(), 1, "nothing is left beside it: {names:?}");
    }

    #[test]
    fn words() {
        assert_eq!(
            pin("6").words(),
            "git+https://h/r at 666666666666 of 2026-07-18"
        );
        let reference = "git+https://h/r?ref=main";
        assert_eq!(pin("6").words_for(reference), "666666666666 of 2026-07-18");
        assert_eq!(pin("6").words_for("tools"), pin("6").words());
    }

    #[test]
    fn where_there_is_no_room_another_place_is_no_help() {
        let of = |errno: i32| LockError::Io {
            doing: "write",
            path: "workflow.lock".into(),
            source: io::Error::from_raw_os_error(errno),
        };
        let full = rustix::io::Errno::NOSPC.raw_os_error();
        let denied = rustix::io::Errno::ACCESS.raw_os_error();
        assert_eq!(of(full).hint(), "make room on that disk and run again");
        assert!(of(denied).hint().contains("beside the manifest"));
    }

    #[test]
    fn what_is_no_lock_file() {
        let error = |text: &str| {
            Lock::parse(text, Path::new("w.lock"))
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            error("version = 2\nother = 1"),
            "the lock file w.lock has format 2; this task-pipeline knows up to 1"
        );
        assert!(error("pin = 1").contains("is damaged: it has no `version`"));
        for version in ["-1", "0", "'1'", "1.5", "{}", "4294967296"] {
            let said = error(&format!("# none\nversion = {version}"));
            let wanted = "line 2: `version` is no whole number from 1 on";
            assert!(said.contains(wanted), "{said}");
        }
        assert!(error("version = 1\n[[pin]]\nreference = \"a\"").contains("`a` is not whole"));
        let pin = |reference: &str, values: &str| {
            format!("\n[[pin]]\nreference = \"{reference}\"\nnarHash = \"{HASH}\"\n{values}\n")
        };
        let one = pin("a", "type = \"path\"");
        let said = error(&format!("version = 1\n{one}{one}"));
        assert!(said.contains("line 9: `a` is pinned twice"), "{said}");
        for (values, say) in [
            ("type = 1", "line 4: the pin of `b` is not whole"),
            (
                "type = \"git\"\nrev = \"main\"",
                "line 7: the pin of `b` has no revision",
            ),
            ("type = \"git\"\nrev = 1.5", "line"),
            ("type = \"git\"\nrev = [1]", "line"),
        ] {
            let said = error(&format!("version = 1\n{}", pin("b", values)));
            assert!(said.contains(say), "{said}");
        }
        let broken = pin("c", "type = \"path\"").replace("sha256-", "sha256-*");
        let said = error(&format!("version = 1\n{one}{broken}"));
        assert!(
            said.contains("line 10: the pin of `c` has no hash"),
            "{said}"
        );
        let evil = pin("github:NixOS/nixpkgs", "path = \"/evil\"\ntype = \"path\"");
        assert_eq!(
            error(&format!("version = 1\n{one}{evil}")),
            "the lock file w.lock, line 12: `github:NixOS/nixpkgs` is pinned to path:/evil, and \
             `type` is \"path\" in place of \"github\""
        );
        let text = error("version = 1\n<<<<<<< HEAD");
        assert!(text.contains("line 2: "), "{text}");
    }
}
