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
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The format that is written; a newer one is refused.
const VERSION: u32 = 1;

const HEAD: &str = "\
# What the packages of the manifest beside this file are pinned to; to be committed.
# Made by `task-pipeline lock`; `task-pipeline lock --update [NAME]` moves pins.
";

/// The pins by reference, as the manifest writes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lock {
    pins: BTreeMap<String, Pin>,
}

/// What one reference is pinned to: the values of a `locked` node of Nix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pin(pub BTreeMap<String, Scalar>);

/// One value of a pin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Scalar {
    /// true or false.
    Bool(bool),
    /// A number.
    Number(i64),
    /// A text.
    Text(String),
}

/// Why the lock file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// The file system says no.
    #[error("cannot {doing} the lock file {}: {source}", path.display())]
    Io {
        /// `read` or `write`.
        doing: &'static str,
        /// The lock file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no lock file.
    #[error("the lock file {} is damaged: {why}", path.display())]
    Damaged {
        /// The lock file.
        path: PathBuf,
        /// What is wrong, with line and column where they are known.
        why: String,
    },
    /// A newer task-pipeline made it.
    #[error("the lock file {} has format {found}; this task-pipeline knows up to {VERSION}", path.display())]
    Newer {
        /// The lock file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
}

impl LockError {
    /// The next step.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Io { doing: "write", .. } => {
                "the lock file lies beside the manifest; make it where that can be written \
                 (`task-pipeline lock`) and keep it with the manifest"
            }
            Self::Io { .. } => "check the file's permissions",
            Self::Damaged { .. } => {
                "restore it from version control, or delete it and pin anew: `task-pipeline lock`"
            }
            Self::Newer { .. } => "use a newer task-pipeline, or delete the file and pin anew",
        }
    }
}

#[derive(Deserialize)]
struct Head {
    version: u32,
}

#[derive(Serialize, Deserialize)]
struct Document {
    version: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pin: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    reference: String,
    #[serde(flatten)]
    pin: Pin,
}

/// Where the lock file of `manifest` is: `workflow.toml` → `workflow.lock`.
pub fn path_beside(manifest: &Path) -> PathBuf {
    manifest.with_extension("lock")
}

impl Lock {
    /// Reads the file at `path`; none if there is no such file.
    pub fn read(path: &Path) -> Result<Option<Self>, LockError> {
        let text = match fs::read_to_string(path) {
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

    fn parse(text: &str, path: &Path) -> Result<Self, LockError> {
        let damaged = |why: String| LockError::Damaged {
            path: path.to_owned(),
            why,
        };
        let toml = |error: toml::de::Error| damaged(error.to_string().trim_end().to_owned());
        // The version first: a newer format may look different in all else.
        let Head { version } = toml::from_str(text).map_err(toml)?;
        if version > VERSION {
            return Err(LockError::Newer {
                path: path.to_owned(),
                found: version,
            });
        }
        let document: Document = toml::from_str(text).map_err(toml)?;
        let mut pins = BTreeMap::new();
        for Entry { reference, pin } in document.pin {
            if pin.text("narHash").is_none() || pin.text("type").is_none() {
                return Err(damaged(format!("the pin of `{reference}` is not whole")));
            }
            if pins.insert(reference.clone(), pin).is_some() {
                return Err(damaged(format!("`{reference}` is pinned twice")));
            }
        }
        Ok(Self { pins })
    }

    /// Writes the file at `path`, whole or not at all.
    pub fn write(&self, path: &Path) -> Result<(), LockError> {
        let failed = |source: io::Error| LockError::Io {
            doing: "write",
            path: path.to_owned(),
            source,
        };
        let text = self
            .render()
            .map_err(|error| failed(io::Error::other(error)))?;
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let mut builder = tempfile::Builder::new();
        builder.prefix(".workflow.lock-");
        // Readable by all that may read the manifest (the umask applies).
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut file = builder.tempfile_in(folder).map_err(failed)?;
        file.write_all(text.as_bytes()).map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        file.persist(path).map_err(|error| failed(error.error))?;
        Ok(())
    }

    fn render(&self) -> Result<String, toml::ser::Error> {
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
    pub fn get(&self, reference: &str) -> Option<&Pin> {
        self.pins.get(reference)
    }

    /// Pins `reference`; the earlier pin.
    pub fn insert(&mut self, reference: &str, pin: Pin) -> Option<Pin> {
        self.pins.insert(reference.to_owned(), pin)
    }

    /// Removes the pin of `reference`.
    pub fn remove(&mut self, reference: &str) -> Option<Pin> {
        self.pins.remove(reference)
    }

    /// The references that are pinned, sorted.
    pub fn references(&self) -> impl Iterator<Item = &str> {
        self.pins.keys().map(String::as_str)
    }
}

impl Pin {
    /// The text of one value.
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.0.get(key) {
            Some(Scalar::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// What it pins, for people: `61b7c44c4073 of 2026-07-18`, or a hash where there is no
    /// revision.
    pub fn words(&self) -> String {
        let what = match (self.text("rev"), self.text("narHash")) {
            (Some(rev), _) => rev.chars().take(12).collect(),
            (None, Some(hash)) => hash.chars().take(19).collect(),
            (None, None) => "nothing".to_owned(),
        };
        match self.date() {
            Some(date) => format!("{what} of {date}"),
            None => what,
        }
    }

    fn date(&self) -> Option<String> {
        let Some(Scalar::Number(seconds)) = self.0.get("lastModified") else {
            return None;
        };
        let time = jiff::Timestamp::from_second(*seconds).ok()?;
        Some(time.strftime("%Y-%m-%d").to_string())
    }

    /// One text that is different for each different pin.
    pub fn canonical(&self) -> String {
        serde_json::to_string(&self.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pin(rev: &str) -> Pin {
        Pin(BTreeMap::from([
            ("lastModified".into(), Scalar::Number(1_784_356_753)),
            ("narHash".into(), Scalar::Text("sha256-x".into())),
            ("rev".into(), Scalar::Text(rev.into())),
            ("submodules".into(), Scalar::Bool(true)),
            ("type".into(), Scalar::Text("git".into())),
        ]))
    }

    #[test]
    fn written_and_read_it_is_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = path_beside(&dir.path().join("workflow.toml"));
        assert_eq!(path, dir.path().join("workflow.lock"));
        assert_eq!(Lock::read(&path).unwrap(), None);
        let mut lock = Lock::default();
        lock.insert("z", pin("2"));
        lock.insert("github:o/r/main", pin("1"));
        lock.write(&path).unwrap();
        assert_eq!(Lock::read(&path).unwrap(), Some(lock));
        insta::assert_snapshot!(fs::read_to_string(&path).unwrap(), @r#"
        # What the packages of the manifest beside this file are pinned to; to be committed.
        # Made by `task-pipeline lock`; `task-pipeline lock --update [NAME]` moves pins.
        version = 1

        [[pin]]
        reference = "github:o/r/main"
        lastModified = 1784356753
        narHash = "sha256-x"
        rev = "1"
        submodules = true
        type = "git"

        [[pin]]
        reference = "z"
        lastModified = 1784356753
        narHash = "sha256-x"
        rev = "2"
        submodules = true
        type = "git"
        "#);
        let names: Vec<_> = fs::read_dir(dir.path()).unwrap().collect();
        assert_eq!(names.len(), 1, "nothing is left beside it: {names:?}");
    }

    #[test]
    fn words() {
        assert_eq!(
            pin("61b7c44c4073f0b8").words(),
            "61b7c44c4073 of 2026-07-18"
        );
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
        assert!(error("pin = 1").contains("missing field `version`"));
        assert!(error("version = 1\n[[pin]]\nreference = \"a\"").contains("`a` is not whole"));
        let one = "[[pin]]\nreference = \"a\"\nnarHash = \"x\"\ntype = \"path\"\n";
        assert!(error(&format!("version = 1\n{one}{one}")).contains("`a` is pinned twice"));
        let text = error("version = 1\n<<<<<<< HEAD");
        assert!(text.contains("line 2, column"), "{text}");
    }
}
