//! Objects behind a link: on another disk, where its owner wants them; or, in a folder from somebody
//! else, wherever that one wants files to be made and removed. So a link is followed to what is a
//! store of objects already, or is empty.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use super::{Error, aside::ASIDE, io_error};
use crate::folder::Entry;

/// Folders that a run makes among objects where they are on another disk than the db. No object's
/// folder has that name.
pub(crate) const AMONG: &str = ".tmp";
/// What names of the folders of runs begin with.
const RUN: &str = "run-";
/// Hexadecimal digits that follow.
const DIGITS: usize = 6;
/// A file that is renamed to learn whether that can be done.
pub(crate) const PROBE: &str = ".probe";
/// Which db folder the objects are of.
pub(super) const OWNER: &str = ".owner";
/// On a disk of its own.
pub(super) const FOUND: &str = "lost+found";

/// The name of a run's folder, by a number of which the last digits count.
pub(crate) fn name_of_run(number: u64) -> String {
    format!("{RUN}{:0DIGITS$x}", number & 0xff_ffff)
}

/// Whether a folder of that name is a run's. Whatever has another name is somebody else's, and stays.
pub(crate) fn is_of_run(name: &OsStr) -> bool {
    let digits = name.as_encoded_bytes().strip_prefix(RUN.as_bytes());
    digits.is_some_and(|digits| digits.len() == DIGITS && digits.iter().copied().all(is_digit))
}

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'a'..=b'f')
}

/// To be called before anything is written to or removed from the objects in `root`, which is in its db folder.
///
/// Fails if `root` is a link to a folder that is not for objects alone, or that another db has: a copy of a db folder has
/// a copy of the link. The folder says whose it is, as long as that db is there and leads to it.
pub(crate) fn claim(root: &Path) -> Result<(), Error> {
    let Ok(target) = fs::read_link(root) else {
        return Ok(());
    };
    let found = stranger(root).map_err(io_error("read", root))?;
    if let Some(found) = found {
        return Err(Error::LinkToOther {
            path: root.to_owned(),
            target,
            found,
        });
    }
    let absolute = |path: &Path| fs::canonicalize(path).map_err(io_error("look at", path));
    let (objects, db) = (absolute(root)?, absolute(root.parent().unwrap_or(root))?);
    // That db has its objects in itself.
    let around = objects.parent().filter(|_| objects.ends_with(OBJECTS));
    let owner = objects.join(OWNER);
    let noted = read_owner(&owner);
    let others = around.into_iter().chain(noted.as_deref());
    for other in others {
        if !is_same(other, &db) && leads_to(other, &objects) {
            return Err(Error::OfAnother {
                path: root.to_owned(),
                target: objects.clone(),
                db: other.to_owned(),
            });
        }
    }
    if noted.as_deref() != Some(&*db) {
        // Where that cannot be written, as on a full disk, nothing else is worse for it.
        let beside = objects.join(format!("{OWNER}.new"));
        // Whoever made the folder may have put a link in its place: only a new file is written to.
        let _ = fs::remove_file(&beside);
        let made = fs::File::create_new(&beside);
        let written = made.and_then(|mut file| file.write_all(db.as_os_str().as_encoded_bytes()));
        let _ = written.and_then(|()| fs::rename(&beside, &owner));
    }
    Ok(())
}

/// What the folder of objects is called in a db folder.
const OBJECTS: &str = "objects";
/// Bytes that a path has at most.
const LONGEST: u64 = 4096;

fn read_owner(path: &Path) -> Option<PathBuf> {
    let file = Entry::from(path).open().ok()?;
    let mut bytes = Vec::new();
    file.take(LONGEST).read_to_end(&mut bytes).ok()?;
    Some(OsString::from_vec(bytes).into())
}

/// Whether both lead to one folder, be it mounted at two places.
fn is_same(one: &Path, other: &Path) -> bool {
    let look = |path| Entry::from(path).look().map(|look| look.identity);
    one == other || look(one).is_ok_and(|one| look(other).is_ok_and(|other| one == other))
}

/// Whether there is a db whose objects are in that folder.
fn leads_to(db: &Path, objects: &Path) -> bool {
    db.join("db").is_file()
        && fs::canonicalize(db.join(OBJECTS)).is_ok_and(|found| found == objects)
}

/// Something in the folder that no store has.
fn stranger(root: &Path) -> std::io::Result<Option<PathBuf>> {
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        let name = entry.file_name();
        let own = if name == ASIDE || name == FOUND || is_owner(&name) {
            true
        } else if name == PROBE {
            entry.metadata()?.len() == 0
        } else if name == AMONG {
            only_runs(&entry.path())
        } else {
            is_of_objects(&name)
        };
        if !own {
            return Ok(Some(name.into()));
        }
    }
    Ok(None)
}

/// Whether that is the note of whose the objects are, or one that was being written.
pub(super) fn is_owner(name: &OsStr) -> bool {
    let rest = name.as_encoded_bytes().strip_prefix(OWNER.as_bytes());
    rest.is_some_and(|rest| rest.is_empty() || rest == b".new")
}

pub(super) fn is_of_objects(name: &OsStr) -> bool {
    name.len() == 2 && name.as_encoded_bytes().iter().copied().all(is_digit)
}

/// Whether all that would be removed with it is what killed runs left.
fn only_runs(path: &Path) -> bool {
    // A link goes, and not what is there.
    Entry::from(path).open_folder().is_err()
        || fs::read_dir(path).is_ok_and(|mut entries| {
            entries.all(|entry| entry.is_ok_and(|entry| is_of_run(&entry.file_name())))
        })
}
