//! What nothing is written over: the db's own files and the manifest with its lock file, wherever a
//! user says that something is to be written.

use std::path::Path;

use super::error::Failure;
use super::options::Places;
use crate::packages;
use crate::prepare::Source;
use crate::staged::Own;
use crate::state::Layout;
use crate::text::Shown as _;

/// Stands for standard output where a file is named.
pub(super) const STANDARD_OUTPUT: &str = "-";

/// Whether standard output is meant.
pub(super) fn is_standard_output(path: &Path) -> bool {
    path == Path::new(STANDARD_OUTPUT)
}

/// All that is the program's own.
pub(super) fn own(places: &Places) -> Own {
    let mut own = Own::default();
    let layout = Layout::new(&places.db);
    for (path, what) in layout.own() {
        own.add(&path, what);
    }
    own.add_folder(layout.root(), "the db folder");
    if let Ok(manifest) = places.manifest() {
        own.add(&manifest, "the manifest");
        for part in Source::parts_of(&manifest) {
            own.add(&part, "a part of the manifest");
        }
        own.add(&packages::lock_file(&manifest), "the manifest's lock file");
    }
    own
}

/// Fails if a file at `path` would take the place of something of the program's own.
pub(super) fn check_file(places: &Places, path: &Path) -> Result<(), Failure> {
    match own(places).at_file(path) {
        Some(what) => {
            Err(refused(path, what).hint("nothing was run or written; name another file"))
        }
        None => Ok(()),
    }
}

/// The same for a folder of files, which is named so.
pub(super) fn check_folder(own: &Own, path: &Path, named: &str) -> Result<(), Failure> {
    match own.at_folder(path) {
        Some(what) => {
            let hint = format!("nothing was written; name another folder: {named}");
            Err(refused(path, what).hint(hint))
        }
        None => Ok(()),
    }
}

fn refused(path: &Path, what: &str) -> Failure {
    Failure::usage(format!(
        "cannot write to {}: {what} is there, which the program keeps for itself",
        path.shown()
    ))
}
