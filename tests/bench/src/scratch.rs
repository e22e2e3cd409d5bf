//! The folder that everything happens in: empty before and gone afterwards.
//!
//! What was measured stays until the end where there is room: on ext4, files made soon after many
//! others were deleted are slow to make (recently deleted inodes are passed over one by one for a
//! minute), and that would be paid by whoever comes next.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::failure::{Failure, Fallible, on};
use super::own;

/// The folder; removed when it is dropped.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    /// Trees that are no longer needed.
    done: Vec<PathBuf>,
    /// How many trees had to be removed before the end.
    removed: usize,
    _lock: File,
}

/// The file in it that shows whose it is, and that one process has locked.
const LOCK: &str = ".task-pipeline-peers";

impl Scratch {
    /// Takes the folder for this process alone, and removes what a killed one left in it: a
    /// folder in `place`, by default in the target folder.
    pub fn take(place: Option<&Path>) -> Fallible<Self> {
        let place = match place {
            Some(place) => place.to_owned(),
            None => own::target()?,
        };
        let path = place.join("task-pipeline-peers");
        let path = std::path::absolute(&path).map_err(on("find", &path))?;
        let lock_path = path.join(LOCK);
        if path.exists() && !lock_path.exists() {
            return Err(Failure::new(
                format!("{} is there and not of this measurement", path.display()),
                "move it away, or name another folder with --scratch",
            ));
        }
        fs::create_dir_all(&path).map_err(on("make the folder", &path))?;
        let lock = File::create(&lock_path).map_err(on("create", &lock_path))?;
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).map_err(
            |_| {
                Failure::new(
                    format!("another measurement is running in {}", path.display()),
                    "wait for its end: two at once would measure each other",
                )
            },
        )?;
        let scratch = Self {
            path,
            done: Vec::new(),
            removed: 0,
            _lock: lock,
        };
        scratch.empty()?;
        Ok(scratch)
    }

    /// Its path, absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A tree in it is no longer needed.
    pub fn done(&mut self, path: PathBuf) {
        self.done.push(path);
    }

    /// How many trees were removed between measurements, for want of room.
    pub fn removed(&self) -> usize {
        self.removed
    }

    /// Makes room for so many bytes and files, by removing what is no longer needed if it must be;
    /// an error if that is not enough.
    pub fn make_room(&mut self, title: &str, needs: (u64, u64)) -> Fallible<()> {
        if self.has_room(title, needs).is_err() {
            for path in std::mem::take(&mut self.done) {
                remove(&path)?;
                self.removed += 1;
            }
        }
        self.has_room(title, needs)
    }

    fn has_room(&self, title: &str, (bytes, files): (u64, u64)) -> Fallible<()> {
        let (free, free_files) = room(&self.path)?;
        let full = free < bytes || free_files < files;
        if full {
            return Err(Failure::Full {
                what: format!(
                    "\"{title}\": it needs up to {} MiB and {files} files in {}, and there are {} MiB and {}",
                    bytes >> 20,
                    self.path.display(),
                    free >> 20,
                    free_files
                ),
            });
        }
        Ok(())
    }

    /// Removes all in it but the lock.
    fn empty(&self) -> Fallible<()> {
        let entries = fs::read_dir(&self.path).map_err(on("read the folder", &self.path))?;
        for entry in entries {
            let path = entry.map_err(on("read the folder", &self.path))?.path();
            if path.is_dir() {
                remove(&path)?;
            } else if path.file_name().is_some_and(|name| name != LOCK) {
                fs::remove_file(&path).map_err(on("remove", &path))?;
            }
        }
        Ok(())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // The lock goes last: without it the folder would be nobody's.
        let removed = self.empty().and_then(|()| remove(&self.path));
        if let Err(failure) = removed {
            eprintln!("peers: {failure}");
        }
    }
}

/// Free bytes and files where `path` is.
fn room(path: &Path) -> Fallible<(u64, u64)> {
    let room = rustix::fs::statvfs(path)
        .map_err(std::io::Error::from)
        .map_err(on("look at", path))?;
    let bytes = room.f_bavail.saturating_mul(room.f_frsize);
    // Some file systems make inodes as needed and say 0.
    let files = if room.f_files > 0 {
        room.f_favail
    } else {
        u64::MAX
    };
    Ok((bytes, files))
}

/// Whether there is as good as no room where `path` is.
pub fn is_full(path: &Path) -> bool {
    room(path).is_ok_and(|(bytes, files)| bytes < 1 << 20 || files == 0)
}

/// Removes a folder with all in it, if it is there.
fn remove(path: &Path) -> Fallible<()> {
    for _ in 0..5 {
        match fs::remove_dir_all(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            // A process that is being ended may still have written something.
            Err(error) if error.kind() == std::io::ErrorKind::DirectoryNotEmpty => {
                std::thread::sleep(std::time::Duration::from_millis(200));
            }
            // What is in a Nix store is in folders that nothing may be removed from.
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => writable(path),
            other => return other.map_err(on("remove", path)),
        }
    }
    fs::remove_dir_all(path).map_err(on("remove", path))
}

/// Makes a folder and all below it the owner's to change, as far as that can be done.
fn writable(folder: &Path) {
    let _ = fs::set_permissions(folder, fs::Permissions::from_mode(0o755));
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            writable(&entry.path());
        }
    }
}
