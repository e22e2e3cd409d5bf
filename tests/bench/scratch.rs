//! The folder that everything happens in: one under `target`, empty before and gone afterwards.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::failure::{Failure, Fallible, on};

/// The folder; removed when it is dropped.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    _lock: File,
}

impl Scratch {
    /// Takes the folder for this process alone, and removes what a killed one left in it.
    pub fn take() -> Fallible<Self> {
        let tmp = Path::new(env!("CARGO_TARGET_TMPDIR"));
        fs::create_dir_all(tmp).map_err(on("make the folder", tmp))?;
        let lock_path = tmp.join("peers.lock");
        let lock = File::create(&lock_path).map_err(on("create", &lock_path))?;
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).map_err(
            |_| {
                Failure::new(
                    "another measurement is running in this target folder",
                    "wait for its end: two at once would measure each other",
                )
            },
        )?;
        let path = tmp.join("peers");
        remove(&path)?;
        fs::create_dir(&path).map_err(on("make the folder", &path))?;
        Ok(Self { path, _lock: lock })
    }

    /// Its path, absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// An error if there is not enough room for so many bytes and files.
    pub fn has_room(&self, title: &str, (bytes, files): (u64, u64)) -> Fallible<()> {
        let room = rustix::fs::statvfs(&self.path)
            .map_err(std::io::Error::from)
            .map_err(on("look at", &self.path))?;
        let free = room.f_bavail.saturating_mul(room.f_frsize);
        // Some file systems make inodes as needed and say 0.
        let full = free < bytes || (room.f_files > 0 && room.f_favail < files);
        if full {
            return Err(Failure::Full {
                what: format!(
                    "\"{title}\": it needs up to {} MiB and {files} files in {}, and there are {} MiB and {}",
                    bytes >> 20,
                    self.path.display(),
                    free >> 20,
                    room.f_favail
                ),
            });
        }
        Ok(())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(failure) = remove(&self.path) {
            eprintln!("peers: {failure}");
        }
    }
}

/// Removes a folder with all in it, if it is there.
pub fn remove(path: &Path) -> Fallible<()> {
    for _ in 0..5 {
        match fs::remove_dir_all(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            // A process that is being ended may still have written something.
            Err(error) if error.kind() == std::io::ErrorKind::DirectoryNotEmpty => {
                std::thread::sleep(std::time::Duration::from_millis(200));
            }
            other => return other.map_err(on("remove", path)),
        }
    }
    fs::remove_dir_all(path).map_err(on("remove", path))
}
