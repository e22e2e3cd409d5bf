//! Files and folders that appear when they are complete: they are made beside their place, under
//! a name of their own, and then take it.
//!
//! Nothing of it stays where that does not come to its end. An error takes it away, and so does a
//! signal that ends the program ([`discard`]). What a killed program left is taken away by the next
//! one that makes something there: as long as its maker lives, it is locked.

mod own;

use std::ffi::OsStr;
use std::fs::{self, DirEntry, File};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{CWD, FlockOperation, OFlags, RenameFlags, flock, renameat_with};
use rustix::io::Errno;

use crate::sys::{self, Identity};

pub(crate) use own::Own;

/// Something that is not complete yet. Dropped, it is gone.
#[derive(Debug)]
pub(crate) struct Staged {
    path: PathBuf,
    open: File,
}

/// What this program is making.
static UNFINISHED: Mutex<Unfinished> = Mutex::new(Unfinished {
    over: false,
    paths: Vec::new(),
});

#[derive(Debug)]
struct Unfinished {
    /// Nothing is completed any more.
    over: bool,
    paths: Vec<PathBuf>,
}

/// In folders of others, all that this program has for its own begins so.
pub(crate) const OWN: &str = ".task-pipeline";
/// Letters and digits that tell one from the other.
const RANDOM: usize = 6;
/// How often it is tried again where somebody takes for a leftover what was made just now.
const TRIES: usize = 16;

impl Staged {
    /// A file beside `place`, which it is to take. `what` stands in its name.
    pub(crate) fn file(place: &Path, what: &str) -> io::Result<Self> {
        Self::new(beside(place), what, |builder, folder| {
            let file = builder
                .permissions(fs::Permissions::from_mode(0o666))
                .tempfile_in(folder)?;
            file.keep().map_err(|error| error.error)
        })
    }

    /// A folder in `folder`, which only its owner may enter.
    pub(crate) fn folder(folder: &Path, what: &str) -> io::Result<Self> {
        Self::new(folder, what, |builder, folder| {
            let made = builder.tempdir_in(folder)?.keep();
            Ok((File::open(&made)?, made))
        })
    }

    fn new(
        folder: &Path,
        what: &str,
        make: impl Fn(&mut tempfile::Builder, &Path) -> io::Result<(File, PathBuf)>,
    ) -> io::Result<Self> {
        let folder = std::path::absolute(folder)?;
        let prefix = format!("{OWN}-{what}-");
        sweep(&folder, &prefix);
        for _ in 0..TRIES {
            let mut unfinished = unfinished()?;
            let mut builder = tempfile::Builder::new();
            builder.prefix(&prefix).rand_bytes(RANDOM);
            let (open, path) = make(&mut builder, &folder).map_err(sys::plain_words)?;
            // On a file system without locks nobody takes it for a leftover, nor ever removes one.
            if lock(&open).unwrap_or(true) && is_at(&open, &path) {
                unfinished.paths.push(path.clone());
                return Ok(Self { path, open });
            }
        }
        Err(io::ErrorKind::ResourceBusy.into())
    }

    /// Where it is made.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What to write to, of a file.
    pub(crate) fn open(&self) -> &File {
        &self.open
    }

    /// Has the file take its place.
    pub(crate) fn complete(self, place: &Path) -> io::Result<()> {
        self.release(&self.path, place)
    }

    /// Has what was made at `from`, in this folder, take its place.
    #[allow(clippy::unused_self)] // Once it is dropped, what is in the folder is gone.
    pub(crate) fn release(&self, from: &Path, place: &Path) -> io::Result<()> {
        let _unfinished = unfinished()?;
        fs::rename(from, place)
    }

    /// The same where there is something already, a folder perhaps: that is at `from` afterwards. At once, if
    /// the file system can do that.
    pub(crate) fn exchange(&self, from: &Path, place: &Path) -> io::Result<()> {
        let _unfinished = unfinished()?;
        match renameat_with(CWD, from, CWD, place, RenameFlags::EXCHANGE) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
            other => return Ok(other?),
        }
        let old = self.path.join("old");
        fs::rename(place, &old)?;
        fs::rename(from, place)?;
        fs::rename(&old, from)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if let Ok(mut unfinished) = unfinished() {
            unfinished.paths.retain(|path| *path != self.path);
            // Who may not remove it could not have made it.
            let _ = remove(&self.path);
        }
    }
}

impl io::Write for Staged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.open.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Where a file that the user names is to be, links followed; an error if what is there must not be
/// replaced, or where it cannot be found out what is there.
pub(crate) fn place(path: &Path) -> io::Result<PathBuf> {
    let about = match fs::metadata(path) {
        Ok(about) => about,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return std::path::absolute(path),
        // Of a link too, where the system does not let it be followed.
        Err(error) => return Err(error),
    };
    if about.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !about.is_file() {
        return Err(io::Error::other("there is something that is no plain file"));
    }
    File::options().append(true).open(path)?;
    // What a link leads to is replaced, not the link.
    fs::canonicalize(path)
}

/// Takes away all that is not complete, and lets nothing become so: the program is about to end.
pub(crate) fn discard() {
    let mut unfinished = UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner);
    unfinished.over = true;
    for path in std::mem::take(&mut unfinished.paths) {
        // Other threads may still be at one part of it each.
        for _ in 0..TRIES {
            if remove(&path).is_ok() {
                break;
            }
        }
    }
}

/// An error once the program is about to end: to be asked before each part that is added to a folder. Who
/// adds faster than [`discard`] removes would keep that from ever being done.
pub(crate) fn go_on() -> io::Result<()> {
    unfinished().map(drop)
}

fn unfinished() -> io::Result<MutexGuard<'static, Unfinished>> {
    let unfinished = UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner);
    if unfinished.over {
        return Err(io::ErrorKind::Interrupted.into());
    }
    Ok(unfinished)
}

/// Removes the file or folder; nor is it a failure if it is gone.
fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Takes away what others left that were killed. What cannot be looked at stays.
fn sweep(folder: &Path, prefix: &str) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| is_staged(&entry.file_name(), prefix)) {
        // Locked as long as it is being removed: nobody takes it for his own.
        if let Some(_open) = left_behind(&entry) {
            let _ = remove(&entry.path());
        }
    }
}

fn is_staged(name: &OsStr, prefix: &str) -> bool {
    let random = name.to_str().and_then(|name| name.strip_prefix(prefix));
    random.is_some_and(|random| {
        random.len() == RANDOM && random.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

/// The entry, open, if it is this user's and nobody is making it.
fn left_behind(entry: &DirEntry) -> Option<File> {
    let found = entry.metadata().ok()?;
    let ours = found.uid() == rustix::process::geteuid().as_raw();
    if !ours || !(found.is_dir() || found.is_file()) {
        return None;
    }
    let path = entry.path();
    let open = File::options()
        .read(true)
        .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
        .open(&path)
        .ok()?;
    (lock(&open).unwrap_or(false) && is_at(&open, &path)).then_some(open)
}

/// Whether nobody else had it locked.
fn lock(open: &File) -> Result<bool, Errno> {
    match flock(open, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether what is open is what is found there.
fn is_at(open: &File, path: &Path) -> bool {
    let own = open.metadata().map(|data| Identity::of(&data));
    matches!((own, Identity::at(path)), (Ok(own), Ok(found)) if own == found)
}

/// The folder that `place` is in.
fn beside(place: &Path) -> &Path {
    match place.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_complete_takes_its_place_and_what_is_not_goes() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("page");
        fs::write(&place, "before").unwrap();
        let mut page = Staged::file(&place, "report").unwrap();
        page.write_all(b"half").unwrap();
        assert_eq!(names(dir.path()).len(), 2);
        drop(page);
        assert_eq!(names(dir.path()), ["page"]);
        assert_eq!(fs::read(&place).unwrap(), b"before");

        let mut page = Staged::file(&place, "report").unwrap();
        page.write_all(b"whole").unwrap();
        page.complete(&place).unwrap();
        assert_eq!(names(dir.path()), ["page"]);
        assert_eq!(fs::read(&place).unwrap(), b"whole");

        let folder = Staged::folder(dir.path(), "export").unwrap();
        fs::create_dir(folder.path().join("files")).unwrap();
        let out = dir.path().join("out");
        folder.release(&folder.path().join("files"), &out).unwrap();
        drop(folder);
        assert_eq!(names(dir.path()), ["out", "page"]);

        fs::write(out.join("old"), "").unwrap();
        let folder = Staged::folder(dir.path(), "export").unwrap();
        let made = folder.path().join("files");
        fs::create_dir(&made).unwrap();
        fs::write(made.join("new"), "").unwrap();
        folder.exchange(&made, &out).unwrap();
        assert_eq!(
            (names(&out), names(&made)),
            (vec!["new".to_owned()], vec!["old".to_owned()])
        );
        drop(folder);
        assert_eq!(names(dir.path()), ["out", "page"]);
    }

    #[test]
    fn leftovers_go_and_nothing_else_does() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at(".task-pipeline-export-Ab3dE9/files")).unwrap();
        fs::write(at(".task-pipeline-export-Ab3dE9/files/half"), "").unwrap();
        fs::write(at(".task-pipeline-export-file01"), "").unwrap();
        let others = [
            ".task-pipeline-export-of mine",
            ".task-pipeline-export-longer7",
            ".task-pipeline-report-Ab3dE9",
            ".export-Ab3dE9",
            "Ab3dE9",
        ];
        for name in others {
            fs::create_dir(at(name)).unwrap();
        }
        fs::write(at("precious"), "").unwrap();
        std::os::unix::fs::symlink("precious", at(".task-pipeline-export-Linked")).unwrap();
        let first = Staged::folder(dir.path(), "export").unwrap();
        let second = Staged::folder(dir.path(), "export").unwrap();
        assert!(first.path().exists(), "its maker lives");
        drop((first, second));
        let mut left = names(dir.path());
        left.retain(|name| !others.contains(&name.as_str()));
        assert_eq!(left, [".task-pipeline-export-Linked", "precious"]);
        assert_eq!(names(dir.path()).len(), 2 + others.len());
    }

    /// The one makes, the other takes for leftovers what is there.
    #[test]
    fn makers_do_not_disturb_each_other() {
        let dir = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for number in 0..4 {
                let folder = dir.path();
                scope.spawn(move || {
                    for _ in 0..50 {
                        let place = folder.join(format!("place {number}"));
                        let mut file = Staged::file(&place, "report").unwrap();
                        file.write_all(b"x").unwrap();
                        file.complete(&place).unwrap();
                    }
                });
            }
        });
        assert_eq!(names(dir.path()).len(), 4);
    }
}
