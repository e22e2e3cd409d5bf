//! Folders in which files are inputs, or declared by a step: who puts results there changes the pipeline by its
//! own results.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::error::Failure;
use super::options::Places;
use super::place::plain;
use crate::export::Wanted;
use crate::manifest::InputKind;
use crate::model::glob::Glob;
use crate::model::list::Form;
use crate::prepare::Source;
use crate::store;
use crate::text::{Shown as _, quoted, visible};

/// What the manifest names of the files in a folder.
pub(super) struct Covered {
    /// Whose patterns, and which.
    sets: Vec<(String, Vec<Glob>)>,
    /// How the folder begins below the manifest's, with a `/` at its end: by its name and by what links lead to.
    folders: Vec<String>,
}

impl Covered {
    /// Of the folder `to`, from the root on or from here.
    pub(super) fn of(source: &Source, to: &Path) -> Self {
        let mut sets: Vec<(String, Vec<Glob>)> = Vec::new();
        for step in &source.manifest.steps {
            let globs = step.files.iter().map(|glob| glob.value.clone()).collect();
            sets.push((
                format!("the `files` of step {}", visible(&step.name)),
                globs,
            ));
        }
        for input in &source.manifest.inputs {
            if let Some(InputKind::Files(globs)) = input.kind() {
                let globs = globs
                    .iter()
                    .filter_map(|glob| Glob::parse(&glob.value).ok());
                sets.push(("the `files` of an [[input]]".to_owned(), globs.collect()));
            }
        }
        sets.retain(|(_, globs)| !globs.is_empty());
        Self {
            sets,
            folders: inner(&source.folder, to),
        }
    }

    /// Whether nothing of the folder can be named.
    pub(super) fn is_nothing(&self) -> bool {
        self.sets.is_empty() || self.folders.is_empty()
    }

    /// Whose file `name` in the folder would be: its path below the manifest's folder, and who names it.
    pub(super) fn whose(&self, name: &str) -> Option<(String, &str)> {
        self.folders.iter().find_map(|folder| {
            let path = format!("{folder}{name}");
            let (whose, _) = self.sets.iter().find(|(_, globs)| has(globs, &path))?;
            Some((path, &**whose))
        })
    }

    /// Who looks for files in the folder itself, whatever they are called.
    pub(super) fn looks_in(&self) -> Option<&str> {
        self.folders.iter().find_map(|folder| {
            let folder = folder.trim_end_matches('/');
            let looks = |globs: &[Glob]| {
                let mut takes = globs.iter().filter(|glob| !glob.takes_out());
                let mut out = globs.iter().filter(|glob| glob.takes_out());
                takes.any(|glob| glob.looks_in(folder)) && !out.any(|glob| glob.covers(folder))
            };
            let (whose, _) = self.sets.iter().find(|(_, globs)| looks(globs))?;
            Some(&**whose)
        })
    }

    /// The pattern that takes the folder out of others, quoted; none of the manifest's own folder.
    pub(super) fn taken_out(&self) -> Option<String> {
        let folder = self.folders.first()?.trim_end_matches('/');
        (!folder.is_empty()).then(|| format!("\"!{folder}\""))
    }
}

/// Fails if one of the selected outputs would be, in the folder `to`, what the manifest names.
pub(super) fn check(
    places: &Places,
    store: &store::Reader,
    outputs: &BTreeMap<String, Wanted>,
    to: &Path,
) -> Result<(), Failure> {
    // Results can be had without a manifest that is right.
    let Ok(manifest) = places.manifest() else {
        return Ok(());
    };
    let Ok(mut source) = Source::load(&manifest) else {
        return Ok(());
    };
    if let Some(folder) = &places.workdir {
        source.folder.clone_from(folder);
    }
    let covered = Covered::of(&source, to);
    if covered.is_nothing() {
        return Ok(());
    }
    let mut found = None;
    for (name, output) in outputs {
        let mut look = |name: &str| {
            if found.is_none() {
                found = covered.whose(name);
            }
        };
        look(name);
        // What cannot be read cannot be exported.
        if output.form == Form::Folder
            && let Ok(tree) = store.tree(&output.object)
        {
            for entry in tree.flatten() {
                look(&format!("{name}/{}", entry.name));
            }
        }
    }
    let Some((path, whose)) = found else {
        return Ok(());
    };
    let out = covered
        .taken_out()
        .map(|pattern| format!(", or add {pattern} to these"))
        .unwrap_or_default();
    Err(Failure::usage(format!(
        "{} would be one of {whose}: an export to {} changes what the pipeline works on",
        quoted(&path),
        to.shown()
    ))
    .hint(format!(
        "nothing was written; name another folder with -to{out}"
    )))
}

fn has(globs: &[Glob], path: &str) -> bool {
    globs
        .iter()
        .any(|glob| !glob.takes_out() && glob.matches(path))
        && !globs
            .iter()
            .any(|glob| glob.takes_out() && glob.covers(path))
}

/// How `to` begins below the folder, with a `/` at its end, by its name and by what links lead to.
fn inner(folder: &Path, to: &Path) -> Vec<String> {
    let Ok(named) = std::path::absolute(to).map(|to| plain(&to)) else {
        return Vec::new();
    };
    let there = named.ancestors().find_map(|above| {
        let rest = named.strip_prefix(above).ok()?;
        Some(above.canonicalize().ok()?.join(rest))
    });
    let folders = [Some(folder.to_owned()), folder.canonicalize().ok()];
    let mut inner: Vec<String> = Vec::new();
    for path in [Some(named), there].into_iter().flatten() {
        for folder in folders.iter().flatten() {
            let rest: Option<PathBuf> = path.strip_prefix(folder).ok().map(Path::to_owned);
            let Some(rest) = rest.as_deref().and_then(Path::to_str) else {
                continue;
            };
            let rest = if rest.is_empty() {
                String::new()
            } else {
                format!("{rest}/")
            };
            if !inner.contains(&rest) {
                inner.push(rest);
            }
        }
    }
    inner
}
