//! Objects behind a link: on another disk, where its owner wants them; or, in a folder from somebody
//! else, wherever that one wants files to be made and removed. So a link is followed to what is a
//! store of objects already, or is empty.

use std::ffi::OsStr;
use std::fs;
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

/// Fails if `root` is a link to a folder that is not for objects alone.
pub(super) fn check(root: &Path) -> Result<(), Error> {
    let Ok(target) = fs::read_link(root) else {
        return Ok(());
    };
    match stranger(root).map_err(io_error("read", root))? {
        None => Ok(()),
        Some(found) => Err(Error::LinkToOther {
            path: root.to_owned(),
            target,
            found,
        }),
    }
}

/// Something in the folder that no store has.
fn stranger(root: &Path) -> std::io::Result<Option<PathBuf>> {
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        let name = entry.file_name();
        let own = if name == ASIDE || name == FOUND {
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
