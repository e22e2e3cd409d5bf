//! Files beside the manifest that a script names and that its version does not know of.

use std::fs;
use std::path::{Component, Path};

use crate::manifest::diagnostic::Diagnostic;
use crate::manifest::{Step, StepPlaces};
use crate::model::glob::{Glob, Part};
use crate::script::survey::{Role, Spot, Survey};
use crate::text::quoted;

/// Where scripts start, and what is there that nobody could declare.
pub(super) struct Folder<'a> {
    /// The folder.
    pub path: &'a Path,
    /// The db folder, which is the program's own.
    pub db: Option<std::path::PathBuf>,
}

/// What a word of a script stands for.
struct Named<'a> {
    spot: &'a Spot,
    /// Below the folder, as `files` would say it.
    path: String,
}

/// One warning per file, folder or glob that a script names and that none of `declared` has.
pub(super) fn unseen(
    step: &Step,
    declared: &[&Glob],
    places: &StepPlaces,
    text: &str,
    survey: &Survey,
    folder: &Folder,
) -> Vec<Diagnostic> {
    let mut found: Vec<Named> = Vec::new();
    for spot in &survey.words {
        if spot.role != Role::Written
            && let Some(path) = folder.below(&spot.path)
            && !found.iter().any(|other| other.path == path)
            && folder.has(&path, spot.glob, declared)
        {
            found.push(Named { spot, path });
        }
    }
    let list: Vec<String> = found.iter().map(|one| format!("{:?}", one.path)).collect();
    let list = list.join(", ");
    let hint = if declared.is_empty() {
        format!("`files = [{list}]` makes one")
    } else {
        format!("add {list} to the step's `files`")
    };
    found
        .iter()
        .map(|one| {
            let message = format!(
                "step {} uses {}, which is in none of its `files`: a change of it makes no new version",
                quoted(step.name.as_str()),
                quoted(&one.path),
            );
            let span = one.spot.at..one.spot.at + length(&step.script, one.spot.at);
            Diagnostic::at(places.in_script(text, span), message).hint(hint.clone())
        })
        .collect()
}

/// Bytes of the word as it stands there.
fn length(script: &str, at: usize) -> usize {
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
    /// The path below the folder; none for one that leads elsewhere, or is the folder.
    fn below(&self, path: &str) -> Option<String> {
        let inner = if path.starts_with('/') {
            Path::new(path).strip_prefix(self.path).ok()?
        } else {
            Path::new(path)
        };
        let mut names: Vec<&str> = Vec::new();
        for part in inner.components() {
            match part {
                Component::CurDir => {}
                Component::Normal(name) => names.push(name.to_str()?),
                Component::ParentDir => drop(names.pop()?),
                Component::RootDir | Component::Prefix(_) => return None,
            }
        }
        (!names.is_empty()).then(|| names.join("/"))
    }

    /// Whether a file or folder is there, or one that the glob stands for, that is in none of `declared`.
    fn has(&self, path: &str, is_glob: bool, declared: &[&Glob]) -> bool {
        let full = self.path.join(path);
        let is_declared = |path: &str| declared.iter().any(|glob| glob.matches(path));
        if let Ok(about) = fs::metadata(&full) {
            let is_own = self.db.as_ref().is_some_and(|db| full.starts_with(db));
            // Of a folder some may be declared: which of it is read nobody knows.
            let begins =
                |glob: &&Glob| format!("{}/", glob.text()).starts_with(&format!("{path}/"));
            let is_folder = about.is_dir();
            return (about.is_file() || is_folder)
                && !is_own
                && !is_declared(path)
                && !(is_folder && declared.iter().any(begins));
        }
        if !is_glob || declared.iter().any(|glob| glob.text() == path) {
            return false;
        }
        // Globs of folders are not followed.
        let (base, last) = path.rsplit_once('/').unwrap_or(("", path));
        let Ok(glob) = Glob::parse(last) else {
            return false;
        };
        let [Part::Some(names)] = glob.parts() else {
            return false;
        };
        let entries = fs::read_dir(self.path.join(base)).into_iter().flatten();
        entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| names.matches(name.as_bytes()))
            .map(|name| match base {
                "" => name,
                base => format!("{base}/{name}"),
            })
            .any(|path| {
                let full = self.path.join(&path);
                let is_own = self.db.as_ref().is_some_and(|db| full.starts_with(db));
                !is_own && !is_declared(&path)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Manifest;
    use crate::script::survey;

    fn warnings(declared: &[&str], script: &str) -> (Vec<String>, String) {
        let folder = tempfile::tempdir().unwrap();
        for path in [
            "tool.sh", "t.html", "lib/a.py", "lib/b.py", "db/db", "a b", "x/.h",
        ] {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let text = format!("[[step]]\nname = 'a'\nstart = true\nscript = '''\n{script}'''\n");
        let manifest = Manifest::parse(&text).unwrap();
        let globs: Vec<Glob> = declared
            .iter()
            .map(|glob| Glob::parse(glob).unwrap())
            .collect();
        let script = script.replace("FOLDER", folder.path().to_str().unwrap());
        let found = unseen(
            &manifest.steps[0],
            &globs.iter().collect::<Vec<_>>(),
            &manifest.places[0],
            &text,
            &survey::of(&script),
            &Folder {
                path: folder.path(),
                db: Some(folder.path().join("db")),
            },
        );
        let hint = found.first().and_then(|one| one.hint.clone());
        let marked = |one: Diagnostic| text[one.span.unwrap()].to_owned();
        (
            found.into_iter().map(marked).collect(),
            hint.unwrap_or_default(),
        )
    }

    #[test]
    fn they_are_told_with_the_line_to_add() {
        let (marked, hint) = warnings(&[], "./tool.sh < \"t.html\"; cat lib/../lib/a.py 'a b' lib");
        assert_eq!(
            marked,
            ["./tool.sh", "\"t.html\"", "lib/../lib/a.py", "'a b'", "lib"]
        );
        assert_eq!(
            hint,
            "`files = [\"tool.sh\", \"t.html\", \"lib/a.py\", \"a b\", \"lib\"]` makes one"
        );
        let (marked, hint) = warnings(&["t.html"], "cat t.html tool.sh lib/*.py");
        assert_eq!(marked, ["tool.sh", "lib/*.py"]);
        assert_eq!(hint, "add \"tool.sh\", \"lib/*.py\" to the step's `files`");
        assert_eq!(warnings(&["lib/a*"], "cat lib/*.py").0, ["lib/*.py"]);
    }

    #[test]
    fn what_is_declared_or_elsewhere_is_not() {
        for (declared, script) in [
            (&["tool.sh", "lib"] as &[_], "./tool.sh lib/a.py lib"),
            (&["lib/*.py"], "cat lib/*.py; cat lib/a.py; ls lib"),
            (&["**/*.py"], "cat lib/a.py"),
            (
                &[],
                "tool.sh; cat ../x /etc/passwd nothing . ./ db/db db; echo t.html",
            ),
            (&[], "cat *.none x/* > t.html; cd $TMPDIR; cat t.html"),
        ] {
            assert_eq!(
                warnings(declared, script).0,
                Vec::<String>::new(),
                "{script}"
            );
        }
    }
}
