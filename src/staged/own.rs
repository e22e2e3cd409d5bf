//! What a program keeps for itself: nothing that its user has written is put in its place, or among
//! what is in it.
//!
//! Things are told apart by what they are and not by how they are spelled: a path may lead to one over
//! links and `..`, and a folder may be mounted in two places.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::sys::Identity;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Own {
    things: Vec<Thing>,
    folders: Vec<Thing>,
}

/// A file or folder, also one that is not there yet.
#[derive(Debug)]
struct Thing {
    place: Place,
    what: &'static str,
}

/// Where something is, or would be.
#[derive(Debug)]
struct Place {
    path: PathBuf,
    identity: Option<Identity>,
    /// Of the folder that it is in.
    folder: Option<Identity>,
}

impl Own {
    /// Adds a file, or a folder with all that is in it. A link counts, and so does what it leads to.
    pub(crate) fn add(&mut self, path: &Path, what: &'static str) {
        for place in [Place::of(entry(path)), Place::of(resolved(path))] {
            self.things.push(Thing { place, what });
        }
    }

    /// Adds a folder that others may have files in, but where no folder of files is to be.
    pub(crate) fn add_folder(&mut self, path: &Path, what: &'static str) {
        let place = Place::of(resolved(path));
        self.folders.push(Thing { place, what });
    }

    /// What a file at `path` would take the place of, be among, or be in the way of; a link there is
    /// followed.
    pub(crate) fn at_file(&self, path: &Path) -> Option<&'static str> {
        [entry(path), resolved(path)].into_iter().find_map(|path| {
            let file = Place::of(path);
            let in_the_way = |thing: &&Thing| thing.place.path.starts_with(&file.path);
            let mut all = self.folders.iter().chain(&self.things);
            // A folder that is there is an error of its own.
            let above = all.find(|thing| !file.path.is_dir() && in_the_way(thing));
            above.map_or_else(|| self.around(&file.path), |thing| Some(thing.what))
        })
    }

    /// What files in the folder `path` would be among.
    pub(crate) fn at_folder(&self, path: &Path) -> Option<&'static str> {
        let path = resolved(path);
        let folder = Place::of(path.clone());
        let own = self.folders.iter().find(|own| own.place.is(&folder));
        own.map(|own| own.what).or_else(|| self.around(&path))
    }

    /// What the file `name` in the folder `path` would take the place of; or a `whole` folder of that name, with
    /// all that is in it. `identity`: of what is there.
    pub(crate) fn in_folder(
        &self,
        path: &Path,
        name: &OsStr,
        identity: Option<Identity>,
        whole: bool,
    ) -> Option<&'static str> {
        let place = Place {
            path: path.join(name),
            identity,
            folder: Identity::at(path).ok(),
        };
        let is_in = |own: &&Thing| {
            let mut above = own.place.path.ancestors().skip(1);
            let is_there = |above: &Path| Identity::at(above).ok() == place.identity;
            whole && place.identity.is_some() && above.any(is_there)
        };
        let mut things = self.things.iter();
        let found = things.find(|own| own.place.is(&place) || is_in(own));
        found.map(|own| own.what)
    }

    /// The thing that is this path, or that it lies in.
    fn around(&self, path: &Path) -> Option<&'static str> {
        path.ancestors().find_map(|path| {
            let place = Place::of(path.to_owned());
            let mut things = self.things.iter();
            things.find(|own| own.place.is(&place)).map(|own| own.what)
        })
    }
}

impl Place {
    fn of(path: PathBuf) -> Self {
        let above = path.parent().unwrap_or(&path);
        Self {
            identity: Identity::at(&path).ok(),
            folder: Identity::at(above).ok(),
            path,
        }
    }

    /// Whether the other is the same. What was here may be gone by now, and something new have its identity.
    fn is(&self, other: &Self) -> bool {
        let both = |one: Option<Identity>, other, path: &Path| {
            one.is_some() && one == other && Identity::at(path).ok() == one
        };
        let above = self.path.parent().unwrap_or(&self.path);
        self.path == other.path
            || both(self.identity, other.identity, &self.path)
            || self.path.file_name() == other.path.file_name()
                && both(self.folder, other.folder, above)
    }
}

/// The path with no link in it, as far as it leads to something; the rest is as it was.
fn resolved(path: &Path) -> PathBuf {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for above in whole.ancestors() {
        if let Ok(there) = fs::canonicalize(above) {
            let rest = whole.strip_prefix(above).unwrap_or(Path::new(""));
            return if rest.as_os_str().is_empty() {
                there
            } else {
                there.join(rest)
            };
        }
    }
    whole
}

/// The same where a link at its end stays.
fn entry(path: &Path) -> PathBuf {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    match (whole.parent(), whole.file_name()) {
        (Some(folder), Some(name)) => resolved(folder).join(name),
        _ => resolved(&whole),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn own(root: &Path) -> Own {
        let mut own = Own::default();
        own.add(&root.join("db/db"), "the database");
        own.add(&root.join("db/lock"), "the lock");
        own.add(&root.join("db/objects"), "the store");
        own.add_folder(&root.join("db"), "the db");
        own.add(&root.join("pipeline.toml"), "the manifest");
        own
    }

    #[test]
    fn a_file_is_found_out_however_its_path_is_spelled() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("db/objects/ab/cd")).unwrap();
        fs::create_dir_all(at("far/store")).unwrap();
        fs::write(at("db/db"), "").unwrap();
        fs::write(at("pipeline.toml"), "").unwrap();
        symlink("db/db", at("link")).unwrap();
        symlink("db", at("folder")).unwrap();
        symlink("pipeline.toml", at("manifest")).unwrap();
        let own = own(dir.path());
        for (path, what) in [
            ("db/db", "the database"),
            ("db/../db/./db", "the database"),
            ("far/../db/db", "the database"),
            ("far/store/../../db/db", "the database"),
            ("link", "the database"),
            ("folder/db", "the database"),
            ("folder/lock", "the lock"),
            ("db/objects/ab/cd/new", "the store"),
            ("folder/objects/new", "the store"),
            ("manifest", "the manifest"),
        ] {
            assert_eq!(own.at_file(&at(path)), Some(what), "{path}");
        }
        for path in [
            "page.html",
            "db/page.html",
            "far/db",
            "db/db-of-mine",
            "new/db",
        ] {
            assert_eq!(own.at_file(&at(path)), None, "{path}");
        }
        for (path, what) in [
            ("db", Some("the db")),
            ("folder/.", Some("the db")),
            ("db/objects", Some("the store")),
            ("db/objects/new/er", Some("the store")),
            ("db/out", None),
            (".", None),
            ("far", None),
        ] {
            assert_eq!(own.at_folder(&at(path)), what, "{path}");
        }
        let file = |name: &str| own.in_folder(&at("manifest/.."), name.as_ref(), None, false);
        assert_eq!(file("pipeline.toml"), None, "there is no such folder");
        let file = |name: &str| own.in_folder(&at("far/.."), name.as_ref(), None, false);
        assert_eq!(file("pipeline.toml"), Some("the manifest"));
        assert_eq!(file("result"), None);
    }

    #[test]
    fn what_a_link_leads_to_counts_as_well() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("db")).unwrap();
        fs::create_dir_all(at("disk/store")).unwrap();
        symlink("../disk/store", at("db/objects")).unwrap();
        let own = own(dir.path());
        for path in ["db/objects", "db/objects/x", "disk/store/x"] {
            assert_eq!(own.at_file(&at(path)), Some("the store"), "{path}");
        }
        assert_eq!(own.at_folder(&at("disk/store")), Some("the store"));
        assert_eq!(own.at_folder(&at("disk")), None);
    }

    #[test]
    fn what_has_the_identity_of_something_that_is_gone_is_free() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("db/objects")).unwrap();
        let own = own(dir.path());
        assert_eq!(own.at_folder(&at("db/objects")), Some("the store"));
        // As if it were removed, and a file system gave its number to the next one.
        fs::rename(at("db/objects"), at("results")).unwrap();
        assert_eq!(own.at_folder(&at("results")), None);
        assert_eq!(own.at_file(&at("results/new")), None);
    }

    #[test]
    fn what_is_not_there_yet_is_kept_free() {
        let dir = tempfile::tempdir().unwrap();
        let own = own(dir.path());
        assert_eq!(own.at_file(&dir.path().join("db/lock")), Some("the lock"));
        assert!(own.at_file(&dir.path().join("db")).is_some());
        assert_eq!(own.at_folder(&dir.path().join("db")), Some("the db"));
    }
}
