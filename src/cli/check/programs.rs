//! Packages that say little, or the same as others of their step.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use crate::manifest::diagnostic::Diagnostic;
use crate::manifest::{Step, StepPlaces};
use crate::model::environment::Environment;
use crate::model::installable::Installable;
use crate::prepare::{Known, PackageOptions, Source};
use crate::state::State;
use crate::text::quoted;

/// Programs that are named in one warning.
const NAMED: usize = 3;

/// References with nothing behind their `#`.
pub(super) fn references(source: &Source) -> Vec<Diagnostic> {
    let steps = source.manifest.steps.iter().zip(&source.manifest.places);
    let empty = steps.flat_map(|(step, places)| {
        let packages = step.packages.iter().map(Installable::text);
        packages
            .filter(|text| text.ends_with('#'))
            .map(move |text| {
                let message = format!(
                    "step {}: {} names no package after its `#`",
                    quoted(step.name.as_str()),
                    quoted(text)
                );
                let hint = format!(
                    "if you mean the flake's default package, write {:?}",
                    text.trim_end_matches('#')
                );
                at_packages(places, message).hint(hint)
            })
    });
    empty.collect()
}

fn at_packages(places: &StepPlaces, message: String) -> Diagnostic {
    let place = places.packages.clone();
    Diagnostic::at(place.unwrap_or_else(|| places.step.clone()), message)
}

/// Programs that two packages of a step bring, as far as runs on the db have resolved them.
pub(super) fn twice(source: &Source, db: &Path) -> Vec<Diagnostic> {
    if source
        .manifest
        .steps
        .iter()
        .all(|step| step.packages.len() < 2)
    {
        return Vec::new();
    }
    // Without a db, or with one that cannot be read, nothing is resolved.
    let Ok(mut state) = State::private_copy_of_steps(db) else {
        return Vec::new();
    };
    let supply = PackageOptions {
        host: false,
        locked: false,
        stop: &AtomicBool::new(false),
    };
    let Ok(known) = Known::of(source, &mut state, supply) else {
        return Vec::new();
    };
    let steps = source.manifest.steps.iter().zip(&source.manifest.places);
    steps
        .filter_map(|(step, places)| Some((step, places, known.environment(&step.name)?)))
        .flat_map(|(step, places, environment)| {
            let found = in_both(environment).into_iter();
            found.map(|(pair, programs)| at_packages(places, words(step, &pair, &programs)))
        })
        .collect()
}

fn words(step: &Step, [first, second]: &[String; 2], programs: &[String]) -> String {
    let first_few = programs.iter().take(NAMED).map(|name| quoted(name));
    let mut list = first_few.collect::<Vec<_>>().join(", ");
    if programs.len() > NAMED {
        list = format!("{list} and {} more", programs.len() - NAMED);
    }
    format!(
        "step {}: {} and {} both provide {list}; the script gets {} from {}",
        quoted(step.name.as_str()),
        quoted(first),
        quoted(second),
        if programs.len() == 1 { "that" } else { "those" },
        quoted(first),
    )
}

/// Per pair of packages, of which the first wins, the programs that both bring and that differ.
fn in_both(environment: &Environment) -> BTreeMap<[String; 2], Vec<String>> {
    let mut first: BTreeMap<String, (String, PathBuf)> = BTreeMap::new();
    let mut both: BTreeMap<[String; 2], Vec<String>> = BTreeMap::new();
    for folder in &environment.path {
        let package = owner(environment, folder);
        let mut names: Vec<_> = fs::read_dir(folder)
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        names.sort();
        for name in names {
            let path = Path::new(folder).join(&name);
            let file = fs::canonicalize(&path).unwrap_or(path);
            match first.get(&name) {
                None => drop(first.insert(name, (package.clone(), file))),
                Some((winner, other)) if *winner != package && *other != file => {
                    let pair = [winner.clone(), package.clone()];
                    both.entry(pair).or_default().push(name);
                }
                Some(_) => {}
            }
        }
    }
    both
}

/// The package, as the manifest names it, that a folder of PATH belongs to.
fn owner(environment: &Environment, folder: &str) -> String {
    let mut packages = environment.packages.iter();
    let is_of = |path: &String| {
        folder
            .strip_prefix(path.as_str())
            .is_some_and(|rest| rest.starts_with('/'))
    };
    let package = packages.find(|package| package.store_paths.iter().any(is_of));
    package.map_or_else(|| folder.to_owned(), |package| package.installable.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::environment::Package;

    #[test]
    fn the_first_package_wins() {
        let store = tempfile::tempdir().unwrap();
        let package = |name: &str, programs: &[&str]| {
            let path = store.path().join(name);
            fs::create_dir_all(path.join("bin")).unwrap();
            for program in programs {
                fs::write(path.join("bin").join(program), name).unwrap();
            }
            path.to_str().unwrap().to_owned()
        };
        let paths = [package("a", &["x", "y"]), package("b", &["y", "z"])];
        std::os::unix::fs::symlink(format!("{}/bin/x", paths[0]), format!("{}/bin/x", paths[1]))
            .unwrap();
        let environment = Environment {
            packages: ["pa", "pb"]
                .iter()
                .zip(&paths)
                .map(|(name, path)| Package {
                    installable: (*name).to_owned(),
                    store_paths: vec![path.clone()],
                    pin: None,
                })
                .collect(),
            path: paths.iter().map(|path| format!("{path}/bin")).collect(),
        };
        let found = in_both(&environment);
        let pair = ["pa".to_owned(), "pb".to_owned()];
        assert_eq!(found, [(pair, vec!["y".to_owned()])].into());
    }
}
