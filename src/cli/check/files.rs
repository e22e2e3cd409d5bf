//! Files that a step names and that its version does not know of: beside the manifest, and elsewhere.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::super::place::{is_of_the_system, plain};
use crate::manifest::diagnostic::Diagnostic;
use crate::manifest::{Step, StepPlaces};
use crate::model::glob::{Glob, Part};
use crate::script::survey::{self, Role, Spot, Survey};
use crate::text::{quoted, visible};

/// Where scripts start, and what is there that nobody could declare.
pub(super) struct Folder<'a> {
    /// The folder.
    pub path: &'a Path,
    /// The db folder, which is the program's own.
    pub db: Option<PathBuf>,
}

/// Where a word leads.
#[derive(Debug, PartialEq, Eq)]
enum Lead {
    /// To this below the folder, as `files` would say it.
    Beside(String),
    /// Out of it.
    Elsewhere(String),
}

/// A path that a step names.
struct Named {
    lead: Lead,
    span: Range<usize>,
    /// Where it stands, if not in the script.
    within: String,
}

/// One warning per file, folder or glob that a step names and that none of `declared` has.
pub(super) fn unseen(
    step: &Step,
    declared: &[&Glob],
    places: &StepPlaces,
    text: &str,
    survey: &Survey,
    folder: &Folder,
) -> Vec<Diagnostic> {
    let found = named(step, declared, places, text, survey, folder);
    in_words(step, declared, found)
}

/// Their paths, those beside the manifest as `files` would say them.
pub(super) fn unseen_paths(
    step: &Step,
    declared: &[&Glob],
    places: &StepPlaces,
    text: &str,
    survey: &Survey,
    folder: &Folder,
) -> Vec<String> {
    let found = named(step, declared, places, text, survey, folder);
    let paths = found.into_iter().map(|one| match one.lead {
        Lead::Beside(path) | Lead::Elsewhere(path) => path,
    });
    paths.collect()
}

fn named(
    step: &Step,
    declared: &[&Glob],
    places: &StepPlaces,
    text: &str,
    survey: &Survey,
    folder: &Folder,
) -> Vec<Named> {
    let mut found: Vec<Named> = Vec::new();
    let mut note = |spots: &[Spot], within: &str, span: &dyn Fn(&Spot) -> Range<usize>| {
        for spot in spots {
            if let Some(lead) = folder.lead(spot, declared)
                && !found.iter().any(|other| other.lead == lead)
            {
                found.push(Named {
                    lead,
                    span: span(spot),
                    within: within.to_owned(),
                });
            }
        }
    };
    note(&survey.words, "", &|spot| {
        places.in_script(text, spot.at..spot.at + length(&step.script, spot.at))
    });
    let (program, arguments) = step.shell.split_first().unzip();
    let program = program.filter(|program| program.contains('/'));
    for word in program.into_iter().chain(arguments.into_iter().flatten()) {
        note(&survey::of_value(word).words, " in `shell`", &|_| {
            places.shell.clone().unwrap_or_else(|| places.step.clone())
        });
    }
    for value in step.env.values() {
        note(&survey::of_value(value).words, " in `env`", &|_| {
            places.env.clone().unwrap_or_else(|| places.step.clone())
        });
    }
    for file in &step.files {
        if let Some(found) = folder.script(file.value.text()) {
            let within = format!(" in `{}`", visible(file.value.text()));
            note(&found.words, &within, &|_| file.at.clone());
        }
    }
    found
}

fn in_words(step: &Step, declared: &[&Glob], found: Vec<Named>) -> Vec<Diagnostic> {
    let beside = found.iter().filter_map(|one| match &one.lead {
        Lead::Beside(path) => Some(format!("{path:?}")),
        Lead::Elsewhere(_) => None,
    });
    let list = beside.collect::<Vec<_>>().join(", ");
    let hint = if declared.is_empty() {
        format!("add `files = [{list}]` to the step")
    } else {
        format!("add {list} to the step's `files`")
    };
    let hint = format!("{hint}; put `!` before a name if no result depends on it");
    let name = quoted(step.name.as_str());
    let but = if step.sandbox {
        "its sandbox does not show it"
    } else {
        "a change of it does not make a new version"
    };
    let told = found.into_iter().map(|Named { lead, span, within }| match lead {
        Lead::Beside(path) => {
            let message = format!(
                "step {name} uses {}{within}, which is not in its `files`: {but}",
                quoted(&path)
            );
            Diagnostic::at(span, message).hint(hint.clone())
        }
        Lead::Elsewhere(path) => {
            let message = format!(
                "step {name} uses {}{within}, which is not beside the manifest, where `files` could name it: \
                 {but}",
                quoted(&path)
            );
            Diagnostic::at(span, message).hint(
                "put a link to it in the manifest's folder, and use and name the link: `files` follow links",
            )
        }
    });
    told.collect()
}

/// Bytes of the word as it stands there.
pub(super) fn length(script: &str, at: usize) -> usize {
    let rest = script.get(at..).unwrap_or_default();
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
    match quote {
        Some(quote) => rest[1..].find(quote).map_or(1, |end| end + 2),
        None => rest
            .find(|c: char| c.is_whitespace() || ";&|<>()".contains(c))
            .unwrap_or(rest.len()),
    }
}

impl Folder<'_> {
    /// Where the word leads, if there is something that is in none of `declared`.
    fn lead(&self, spot: &Spot, declared: &[&Glob]) -> Option<Lead> {
        if spot.role == Role::Written {
            return None;
        }
        let full = plain(&self.path.join(&spot.path));
        // In a text a bare word may be about anything.
        let bare = spot.role == Role::Mentioned && !spot.path.contains(['/', '.']);
        if let Ok(inner) = full.strip_prefix(self.path) {
            let path = inner.to_str().filter(|path| !path.is_empty())?;
            if spot.glob && !full.exists() {
                return self.of_pattern(path, declared).map(Lead::Beside);
            }
            return (self.has(path, !bare, declared)).then(|| Lead::Beside(path.to_owned()));
        }
        let fixed = full
            .components()
            .take_while(|part| !spot.glob || !part.as_os_str().as_encoded_bytes().contains(&b'*'));
        let full: PathBuf = fixed.collect();
        self.is_elsewhere(&full)
            .then(|| Lead::Elsewhere(full.to_string_lossy().into_owned()))
    }

    /// What a file there uses, if it is a script: what a step calls or sources uses files, too.
    fn script(&self, path: &str) -> Option<Survey> {
        const LONGEST: u64 = 64 << 10;
        let full = self.path.join(path);
        let about = fs::metadata(&full).ok()?;
        if !about.is_file() || about.len() > LONGEST {
            return None;
        }
        let text = fs::read_to_string(full).ok()?;
        let folder = path.rfind('/').map_or("", |end| &path[..=end]);
        if Path::new(path).extension().is_some_and(|end| end == "py") {
            return Some(survey::imports(&text, folder));
        }
        let first = text.lines().next().and_then(|line| line.strip_prefix("#!"));
        let is_shell = match first {
            Some(words) => {
                let words = words.split_whitespace().chain(["-c"]);
                let words: Vec<String> = words.map(str::to_owned).collect();
                survey::is_shell(survey::started(&words))
            }
            None => Path::new(path)
                .extension()
                .is_some_and(|end| end == "sh" || end == "bash"),
        };
        is_shell.then(|| survey::of(&beside(text, folder)))
    }

    /// Whether something is there, outside the folder, that a result could depend on.
    fn is_elsewhere(&self, path: &Path) -> bool {
        const OF_ALL: [&str; 4] = ["/tmp", "/var/tmp", "/dev/shm", "/home"];
        let is_known = is_of_the_system(path)
            || self.path.starts_with(path)
            || OF_ALL.iter().any(|folder| path == Path::new(folder));
        if is_known || self.is_own(path) {
            return false;
        }
        fs::metadata(path).is_ok_and(|about| about.is_file() || about.is_dir())
            // Another way to the same folder.
            && !fs::canonicalize(path).is_ok_and(|path| path.starts_with(self.path))
    }

    fn is_own(&self, path: &Path) -> bool {
        self.db.as_ref().is_some_and(|db| path.starts_with(db))
    }

    /// Whether a file is there, or a folder if that may be meant, that is in none of `declared`.
    fn has(&self, path: &str, may_be_folder: bool, declared: &[&Glob]) -> bool {
        let full = self.path.join(path);
        let Ok(about) = fs::metadata(&full) else {
            return false;
        };
        // Of a folder some may be declared: which of it is read nobody knows.
        let begins = |glob: &&Glob| format!("{}/", glob.text()).starts_with(&format!("{path}/"));
        let is_folder = about.is_dir();
        (about.is_file() || is_folder && may_be_folder)
            && !self.is_own(&full)
            && !is_declared(path, declared)
            && !(is_folder && declared.iter().any(begins))
    }

    /// The pattern, if it stands for something that is in none of `declared`; or the folder in which
    /// what it stands for begins.
    fn of_pattern(&self, path: &str, declared: &[&Glob]) -> Option<String> {
        if declared.iter().any(|glob| glob.pattern() == path) {
            return None;
        }
        let is_fixed = |part: &&str| !part.contains(['*', '?', '[']);
        let base: Vec<&str> = path.split('/').take_while(is_fixed).collect();
        let (base, last) = (base.join("/"), path.get(base.join("/").len()..)?);
        let last = last.trim_start_matches('/');
        if last.contains('/') {
            return if base.is_empty() {
                let parts: Vec<&str> = last.split('/').collect();
                self.fits("", &parts, declared).then(|| path.to_owned())
            } else {
                // What is in it nobody knows.
                self.has(&base, true, declared).then_some(base)
            };
        }
        let glob = Glob::parse(last).ok()?;
        let [Part::Some(names)] = glob.parts() else {
            return None;
        };
        let entries = fs::read_dir(self.path.join(&base)).into_iter().flatten();
        entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| names.matches(name.as_bytes()))
            .map(|name| match &*base {
                "" => name,
                base => format!("{base}/{name}"),
            })
            .any(|path| !self.is_own(&self.path.join(&path)) && !is_declared(&path, declared))
            .then(|| path.to_owned())
    }
}

impl Folder<'_> {
    /// Whether something in `folder` that is in none of `declared` has a path of these parts.
    fn fits(&self, folder: &str, parts: &[&str], declared: &[&Glob]) -> bool {
        let Some((first, rest)) = parts.split_first() else {
            return self.has(folder.trim_end_matches('/'), true, declared);
        };
        if !first.contains(['*', '?', '[']) {
            return self.fits(&format!("{folder}{first}/"), rest, declared);
        }
        let Ok(glob) = Glob::parse(first) else {
            return false;
        };
        let [Part::Some(names)] = glob.parts() else {
            return false;
        };
        let entries = fs::read_dir(self.path.join(folder)).into_iter().flatten();
        entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| names.matches(name.as_bytes()))
            .any(|name| self.fits(&format!("{folder}{name}/"), rest, declared))
    }
}

/// The script with the folder that it lies in where it asks for that.
fn beside(mut text: String, folder: &str) -> String {
    const ASKED: [&str; 4] = [
        "$(dirname \"$0\")",
        "$(dirname $0)",
        "${0%/*}",
        "$(dirname \"${BASH_SOURCE[0]}\")",
    ];
    let folder = match folder.trim_end_matches('/') {
        "" => ".",
        folder => folder,
    };
    for asked in ASKED {
        if text.contains(asked) {
            text = text.replace(asked, folder);
        }
    }
    text
}

fn is_declared(path: &str, declared: &[&Glob]) -> bool {
    declared.iter().any(|glob| glob.tells_of(path))
}

#[cfg(test)]
mod tests;
