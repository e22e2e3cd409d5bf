//! What a run leaves besides what is in the db: the folder of results that `[publish]` or `-publish` names, the file
//! for CI; where they are, and whether they can be there.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::covered::Covered;
use super::error::Failure;
use super::options::{Actions, Places};
use super::own;
use super::place::plain;
use crate::export::publish::{self, Error, INDEX, Target};
use crate::prepare::Source;
use crate::staged::{self, Own, Staged};
use crate::text::{Shown as _, quoted};

/// What a run leaves, and where it was started.
#[derive(Debug, Default)]
pub(super) struct Leaves {
    /// Where results are to stand as files.
    pub(super) results: Option<Place>,
    /// Where what became of the tasks goes, for CI.
    pub(super) junit: Option<PathBuf>,
    /// The options that name the db and the manifest, for who calls again.
    pub(super) places: String,
    /// Where the program was started: scripts start elsewhere.
    pub(super) here: PathBuf,
}

impl Leaves {
    /// What the call and the manifest want. Fails before anything runs if something cannot be where it should.
    pub(super) fn of(places: &Places, actions: &Actions, source: &Source) -> Result<Self, Failure> {
        let junit = actions.junit.as_deref().filter(|_| !actions.dry_run);
        let junit = junit.map(|path| file(places, path));
        let results = if actions.run {
            place(places, actions.publish.as_deref(), source)?.filter(|_| !actions.dry_run)
        } else {
            None
        };
        if let Some(place) = &results {
            publish::check_rights(&place.folder).map_err(|error| {
                let failure = place.failure(error);
                failure.hint("name another folder for results with -publish or in [publish]")
            })?;
        }
        Ok(Self {
            results,
            junit: junit.transpose()?,
            places: places.as_typed(),
            here: std::env::current_dir().unwrap_or_default(),
        })
    }
}

fn file(places: &Places, path: &Path) -> Result<PathBuf, Failure> {
    if own::is_standard_output(path) {
        return Ok(path.to_owned());
    }
    own::check_file(places, path)?;
    let place = staged::place(path).and_then(|place| Staged::file(&place, "junit").map(|_| place));
    place.map_err(|error| not_written(path, &error))
}

/// The file for CI cannot be there.
pub(super) fn not_written(path: &Path, error: &io::Error) -> Failure {
    let elsewhere = "name a file in a folder that is there and can be written: -junit FILE.xml";
    Failure::not_written(path, error, elsewhere)
}

/// Where results go.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// The folder, from the root on.
    pub(super) folder: PathBuf,
    /// As the user has called it.
    pub(super) named: PathBuf,
    manifest: PathBuf,
    db: PathBuf,
    own: Arc<Own>,
}

/// The folder that is wanted, if one is. Fails if no results can be put there.
fn place(places: &Places, given: Option<&Path>, source: &Source) -> Result<Option<Place>, Failure> {
    let named = given.or(source.manifest.publish.dir.as_deref().map(Path::new));
    let Some(named) = named else {
        return Ok(None);
    };
    if given.is_some_and(own::is_standard_output) {
        return Err(Failure::usage("-publish: `-` is no folder").hint(
            "`export` writes the results to standard output, as a tar; `cat NAME` writes one",
        ));
    }
    let whole = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let folder = match given {
        Some(given) => whole(given),
        None => whole(&source.folder.join(named)),
    };
    let place = Place {
        // A link to a folder is as good as one.
        folder: folder.canonicalize().unwrap_or(folder),
        named: named.to_owned(),
        manifest: whole(&source.path),
        db: whole(&places.db),
        own: Arc::new(own::own(places)),
    };
    if let Some(what) = place.own.at_folder(&place.folder) {
        let words = format!("{what} is there, which the program keeps for itself");
        return Err(refused(&place, &words));
    }
    for (path, what) in [(&place.manifest, "manifest"), (&place.db, "db")] {
        if path.to_str().is_none() {
            let words = format!("its list of results names the {what}, whose path is not UTF-8");
            return Err(refused(&place, &words)
                .hint("rename that folder or file; or leave [publish] and -publish out, and use `export -to DIR`"));
        }
    }
    let home = place.manifest.parent().map(Path::canonicalize);
    match home {
        Some(Ok(home)) if home == place.folder => {
            return Err(refused(&place, "it is the folder of the manifest"));
        }
        _ if place.folder.parent().is_none() => {
            return Err(refused(&place, "it is the root of all folders"));
        }
        Some(Ok(home)) if home.starts_with(&place.folder) => {
            return Err(refused(&place, "the folder of the manifest is in it"));
        }
        Some(Ok(_) | Err(_)) | None => {}
    }
    let db = place.db.canonicalize().unwrap_or_else(|_| plain(&place.db));
    if place.folder.starts_with(&db) || plain(&place.folder).starts_with(&db) {
        return Err(refused(&place, "it is in the db folder"));
    }
    publish::check(&place.target("", false, &source.stop)).map_err(|error| place.failure(error))?;
    // Of names that nobody knows yet, those without anything that a pattern could ask for.
    let covered = Covered::of(source, &place.folder);
    let named = covered.whose("\u{1}").map(|(_, by)| by);
    if let Some(by) = named.or_else(|| covered.looks_in()) {
        return Err(Place::is_covered(
            &covered,
            &place.named.shown().to_string(),
            by,
        ));
    }
    Ok(Some(place))
}

impl Place {
    pub(super) fn target<'a>(
        &'a self,
        runset: &'a str,
        removes: bool,
        stop: &'a AtomicBool,
    ) -> Target<'a> {
        Target {
            folder: &self.folder,
            manifest: &self.manifest,
            db: &self.db,
            runset,
            own: &self.own,
            removes,
            stop,
        }
    }

    pub(super) fn is_covered(covered: &Covered, path: &str, whose: &str) -> Failure {
        let out = covered
            .taken_out()
            .map(|pattern| format!(", or add {pattern} to these"))
            .unwrap_or_default();
        Failure::usage(format!(
            "{} would be among {whose}: results there change what the pipeline works on",
            quoted(path)
        ))
        .hint(format!("name another folder for results{out}"))
    }

    pub(super) fn failure(&self, error: Error) -> Failure {
        let folder = self.named.shown();
        match error {
            Error::State(error) => error.into(),
            Error::Store(error) => error.into(),
            Error::NotAFolder(_) => {
                Failure::usage(&error).hint("name another one with -publish or in [publish]")
            }
            Error::Index { .. } => Failure::usage(&error).hint(format!(
                "remove that file: what stands in {folder} then counts as not put there by a run, and stays"
            )),
            Error::Other { .. } => Failure::usage(&error).hint(format!(
                "name another folder, or remove {INDEX} there: its results stay then, and are not kept up to date"
            )),
            Error::Twice(_) | Error::Within(..) => Failure::usage(&error).hint(
                "give them paths of their own: publish = \"qc/{key}/{name}\" in the [[step]] that leaves them",
            ),
            Error::Reserved(_) => Failure::usage(&error)
                .hint("give it another path: publish = \"own/{name}\" in the [[step]] that leaves it, or publish = false"),
            Error::Own { .. } => Failure::usage(&error).hint("name another folder for results"),
            Error::Interrupted => Failure::usage(format!("interrupted: not all results are in {folder}"))
                .hint("the next run puts the others there"),
            Error::Io { ref source, .. } => Failure::usage(&error).hint_at(source),
        }
    }
}

fn refused(place: &Place, why: &str) -> Failure {
    Failure::usage(format!(
        "no results can be put into {}: {why}",
        place.named.shown()
    ))
    .hint("name another folder with -publish or in [publish], as dir = \"results\"")
}

/// Fails if the folder that the manifest names can have no results.
pub(super) fn check(places: &Places, source: &Source) -> Result<(), Failure> {
    place(places, None, source).map(drop)
}
