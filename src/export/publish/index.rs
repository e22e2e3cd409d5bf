//! What the program has put into a folder of results, as a file in it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Error, io_error};
use crate::staged::Staged;
use crate::text::quoted;

/// Its name.
pub(crate) const INDEX: &str = ".task-pipeline.json";
/// The form of it.
const SCHEMA: u32 = 1;

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Index {
    pub schema: u32,
    /// Whose results these are: the path of the manifest.
    pub manifest: PathBuf,
    /// Where it keeps its state.
    pub db: PathBuf,
    /// The runset that they are of.
    pub runset: String,
    /// By path below the folder.
    pub files: BTreeMap<String, Put>,
}

/// Whether the path leads to something below the folder that it starts in.
fn is_below(path: &str) -> bool {
    let mut parts = Path::new(path).components().peekable();
    parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_)))
}

/// One output that stands there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Put {
    /// SHA-256 of its bytes, or of the list of what is in a folder.
    pub hash: String,
    /// Whether it is a folder.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub folder: bool,
    /// The step that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// The number of that step's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// How it looked when it was put there: as long as it looks so, nobody has changed it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub seen: String,
    /// The hash of what is about to take its place: it may have done so.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub next: String,
}

impl Index {
    /// That of the folder; an empty one, if it has none.
    pub(super) fn read(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(INDEX);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(io_error("read", &path)(error)),
        };
        let wrong = |reason: String| Error::Index {
            path: path.clone(),
            reason,
        };
        let index: Self =
            serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
        if index.schema != SCHEMA {
            return Err(wrong(format!("it has the form {}", index.schema)));
        }
        // Whoever can write a file can make one, and what it names may be removed.
        if let Some(name) = index.files.keys().find(|name| !is_below(name)) {
            return Err(wrong(format!(
                "it names {}, which is not in there",
                quoted(name)
            )));
        }
        Ok(index)
    }

    /// Whether it is that of another pipeline which is still there.
    pub(super) fn is_of_another(&self, manifest: &Path, db: &Path) -> bool {
        !self.manifest.as_os_str().is_empty()
            && self.manifest != manifest
            && self.db != db
            && self.manifest.exists()
    }

    /// Whether it lists results of that pipeline.
    pub(super) fn is_of(&self, manifest: &Path, db: &Path) -> bool {
        !self.files.is_empty() && (self.manifest == manifest || self.db == db)
    }

    /// Writes it, complete or not at all.
    pub(super) fn write(&mut self, folder: &Path) -> Result<(), Error> {
        self.schema = SCHEMA;
        let path = folder.join(INDEX);
        let write = || {
            let mut file = Staged::file(&path, "index")?;
            let mut text = serde_json::to_vec_pretty(self)?;
            text.push(b'\n');
            file.write_all(&text)?;
            file.open().sync_data()?;
            file.complete(&path)
        };
        write().map_err(io_error("write", &path))
    }
}
