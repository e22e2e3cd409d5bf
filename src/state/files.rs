//! What lies where the files of the database belong.
//!
//! A folder from somebody else may have anything there. `SQLite` writes to these files, to its
//! shared memory even for one who only reads: each is to be a file, and no file that has a name
//! somewhere else, too.

use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::layout::ENDINGS;
use super::{Error, Layout};
use crate::folder::kind;
use crate::sys;
use crate::text::{amount, visible};

/// Bytes of the smallest database.
const HEAD: u64 = 512;

/// Fails if there is no database in the folder but what this program did not make: a db takes up a
/// folder of its own. A folder that cannot be listed, or is not there, holds nothing.
pub(super) fn check_alone(layout: &Layout) -> Result<(), Error> {
    const NAMED: usize = 3;
    let database = fs::symlink_metadata(layout.database()).ok();
    // With objects beside it, it is in the place of a database.
    let is_folder =
        database.as_ref().is_some_and(fs::Metadata::is_dir) && !layout.objects().is_dir();
    if database.is_some() && !is_folder {
        return check(layout);
    }
    check_below(layout)?;
    let Ok(entries) = fs::read_dir(layout.root()) else {
        return Ok(());
    };
    let names = entries.flatten().map(|entry| entry.file_name());
    let mut others: Vec<String> = names
        .filter(|name| !layout.is_own(name) || is_folder && name == "db")
        .map(|name| visible(&name.to_string_lossy()))
        .collect();
    if others.is_empty() {
        return Ok(());
    }
    others.sort_unstable();
    let more = others.len().saturating_sub(NAMED);
    others.truncate(NAMED);
    let mut found = others.join(", ");
    if more > 0 {
        let _ = write!(found, " and {more} more");
    }
    Err(Error::Occupied {
        path: layout.root().to_owned(),
        found,
    })
}

/// Fails if what is in the place of the database is a db itself: its folder's name was left out.
fn check_below(layout: &Layout) -> Result<(), Error> {
    let db = layout.database();
    // No link is followed: that is told as one.
    let is_folder = fs::symlink_metadata(&db).is_ok_and(|data| data.is_dir());
    if is_folder && Layout::new(&db).database().is_file() {
        let path = layout.root().to_owned();
        return Err(Error::Above { path, db });
    }
    Ok(())
}

/// Fails if the database is no file, or its head says that another `SQLite` is to use it. No connection may be open: to
/// close the file takes away its locks.
pub(crate) fn check_head(root: &Path) -> Result<(), Error> {
    let layout = Layout::new(root);
    check(&layout)?;
    let path = layout.database();
    of_another(&path).map_or(Ok(()), |reason| Err(Error::Corrupt { path, reason }))
}

/// Whether its head says that only a later `SQLite` reads or writes it; for this one it is no database, or read-only.
pub(super) fn of_another(path: &Path) -> Option<String> {
    let mut head = [0; 20];
    let mut file = fs::File::open(path).ok()?;
    file.read_exact(&mut head).ok()?;
    let [write, read] = [head[18], head[19]];
    (head.starts_with(b"SQLite format 3\0") && write.max(read) > 2).then(|| {
        format!(
            "bytes 18 and 19 of its head are {write} and {read}, and SQLite writes 1 or 2 there: they were damaged, or \
             a later SQLite wrote it"
        )
    })
}

/// Fails if something else than the database and its own files is in their places.
pub(super) fn check(layout: &Layout) -> Result<(), Error> {
    for ending in ENDINGS {
        let mut path = layout.database().into_os_string();
        path.push(ending);
        // What cannot be looked at cannot be opened either.
        let Ok(data) = fs::symlink_metadata(&path) else {
            continue;
        };
        let path = path.into();
        if !data.is_file() {
            check_below(layout)?;
            let found = kind(sys::file_type(&data));
            return Err(Error::NoFile { path, found });
        }
        if data.nlink() > 1 {
            return Err(Error::Shared(path));
        }
        // `SQLite` would begin anew there; of an empty one that is told.
        if ending.is_empty() && (1..HEAD).contains(&data.len()) {
            let reason = format!(
                "it has {}, fewer than the head of one",
                amount::count(data.len(), "byte")
            );
            return Err(Error::Corrupt { path, reason });
        }
    }
    Ok(())
}
