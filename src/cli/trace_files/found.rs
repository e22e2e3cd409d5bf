//! What was used, told apart: what a step may use, what it could declare, and the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use super::super::place::{is_of_the_system, plain};
use crate::manifest::Step;
use crate::model::glob::Glob;
use crate::sys::Use;
use crate::text::{Shown as _, visible};

/// What the step says that its version knows of.
pub(super) fn declared(step: &Step) -> Vec<&Glob> {
    step.files.iter().map(|file| &file.value).collect()
}

/// What a step may use.
pub(super) struct World<'a> {
    /// Where its scripts start.
    pub folder: PathBuf,
    /// Folders of this program's own.
    pub own: Vec<PathBuf>,
    /// What it declares.
    pub declared: Vec<&'a Glob>,
}

/// What was used beyond that.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Files below the folder, by their paths in it.
    beside: BTreeSet<String>,
    /// The same that were made or written to.
    written: BTreeSet<String>,
    /// Folders below it that were looked into.
    folders: BTreeSet<String>,
    /// Files elsewhere.
    elsewhere: BTreeSet<PathBuf>,
}

impl World<'_> {
    /// Tells it apart.
    pub(super) fn sort(&self, uses: BTreeMap<PathBuf, Use>) -> Found {
        let mut found = Found::default();
        for (path, how) in uses {
            let path = plain(&path);
            let is_in = |folder: &Path| path.starts_with(folder);
            if self.own.iter().any(|own| is_in(own)) {
                continue;
            }
            // What is gone again was no dependency.
            let Ok(about) = fs::metadata(&path) else {
                continue;
            };
            let inner = match path.strip_prefix(&self.folder) {
                Ok(inner) => Some(inner.to_owned()),
                // By way of a link.
                Err(_) => fs::canonicalize(&path)
                    .ok()
                    .and_then(|path| Some(path.strip_prefix(&self.folder).ok()?.to_owned())),
            };
            let Some(inner) = inner else {
                if about.is_file() && !is_of_the_system(&path) {
                    found.elsewhere.insert(path);
                }
                continue;
            };
            let Some(inner) = inner.to_str().filter(|inner| !inner.is_empty()) else {
                continue;
            };
            let is_declared = self.declared.iter().any(|glob| glob.tells_of(inner));
            if about.is_dir() {
                if how != Use::Look && !is_declared {
                    found.folders.insert(inner.to_owned());
                }
            } else if how == Use::Write {
                found.written.insert(inner.to_owned());
            } else if !is_declared {
                found.beside.insert(inner.to_owned());
            }
        }
        found
    }
}

/// Files of a folder that are named one by one; of more the folder is.
const EACH: usize = 8;

/// The entries of `files`: paths, and patterns where there are many in one folder.
fn entries(beside: &BTreeSet<String>) -> Vec<String> {
    let mut folders: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for path in beside {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        folders.entry(folder).or_default().push(name);
    }
    let mut entries = Vec::new();
    for (folder, names) in folders {
        let front = match folder {
            "" => String::new(),
            folder => format!("{}/", escaped(folder)),
        };
        if folder.is_empty() || names.len() <= EACH {
            entries.extend(names.iter().map(|name| format!("{front}{}", escaped(name))));
            continue;
        }
        let extension = |name: &&str| name.rsplit_once('.').map(|(_, end)| end.to_owned());
        let mut ends: Vec<_> = names.iter().map(extension).collect();
        ends.dedup();
        match ends.as_slice() {
            [Some(end)] => entries.push(format!("{front}*.{}", escaped(end))),
            _ => entries.push(format!("{front}*")),
        }
    }
    entries
}

/// The name as a pattern that stands for it alone.
fn escaped(name: &str) -> String {
    let mut pattern = String::new();
    for c in name.chars() {
        if "*?[]{}\\".contains(c) {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}

/// What to tell of it.
pub(super) fn in_words(step: &Step, found: &Found) -> String {
    let mut text = String::new();
    let name = visible(step.name.as_str());
    if found.beside.is_empty() && found.folders.is_empty() {
        let _ = writeln!(
            text,
            "{name}: nothing beside the manifest that is not in its `files`"
        );
    } else {
        let _ = writeln!(
            text,
            "{name}: used beside the manifest, but not in its `files`"
        );
        let paths = found.beside.iter().cloned();
        let folders = found
            .folders
            .iter()
            .map(|path| format!("{path}/ (looked into)"));
        for path in paths.chain(folders) {
            let _ = writeln!(text, "  {}", visible(&path));
        }
    }
    if !found.beside.is_empty() {
        let declared: Vec<String> = declared(step)
            .iter()
            .map(|glob| glob.text().to_owned())
            .collect();
        let all = declared.into_iter().chain(entries(&found.beside));
        let list: Vec<String> = all.map(|entry| format!("{entry:?}")).collect();
        let _ = writeln!(
            text,
            "its line in the manifest:\nfiles = [{}]",
            list.join(", ")
        );
    }
    if !found.written.is_empty() {
        let _ = writeln!(text, "written there, where no step should write:");
        for path in &found.written {
            let _ = writeln!(text, "  {}", visible(path));
        }
    }
    if !found.elsewhere.is_empty() {
        let _ = writeln!(text, "used elsewhere, where `files` cannot reach:");
        for path in &found.elsewhere {
            let _ = writeln!(text, "  {}", path.shown());
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_files_of_a_folder_are_a_pattern() {
        let beside = |paths: &[String]| entries(&paths.iter().cloned().collect());
        let many = |end: &str| (0..9).map(|n| format!("lib/{n}{end}")).collect::<Vec<_>>();
        assert_eq!(beside(&many(".py")), ["lib/*.py"]);
        assert_eq!(beside(&[many(".py"), many(".txt")].concat()), ["lib/*"]);
        assert_eq!(
            beside(&["a*b".to_owned(), "lib/x.py".to_owned()]),
            ["a\\*b", "lib/x.py"]
        );
    }

    #[test]
    fn uses_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let folder = fs::canonicalize(folder.path()).unwrap();
        for path in ["m/lib/a", "m/lib/b", "m/log", "m/db/x", "else", "m/known"] {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let known = Glob::parse("known").unwrap();
        let world = World {
            folder: folder.join("m"),
            own: vec![folder.join("m/db")],
            declared: vec![&known],
        };
        let uses = [
            ("m/lib/../lib/a", Use::Read),
            ("m/lib/b", Use::Look),
            ("m/lib", Use::Read),
            ("m", Use::Read),
            ("m/log", Use::Write),
            ("m/db/x", Use::Read),
            ("m/gone", Use::Read),
            ("m/known", Use::Read),
            ("else", Use::Read),
        ];
        let mut uses: BTreeMap<_, _> = uses
            .into_iter()
            .map(|(path, how)| (folder.join(path), how))
            .collect();
        uses.insert("/etc/passwd".into(), Use::Read);
        let set = |paths: &[&str]| paths.iter().map(ToString::to_string).collect();
        assert_eq!(
            world.sort(uses),
            Found {
                beside: set(&["lib/a", "lib/b"]),
                written: set(&["log"]),
                folders: set(&["lib"]),
                elsewhere: [folder.join("else")].into(),
            }
        );
    }
}
