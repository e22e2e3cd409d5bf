//! A folder in the place of another one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::folder::remove_all;
use crate::staged::Staged;

/// Has the folder that was made at `new` take its place, whole; what is there goes. What of that the new
/// one does not have: paths, sorted.
pub(super) fn folder(making: &Staged, new: &Path, place: &Path) -> io::Result<Vec<String>> {
    if place.symlink_metadata().is_err() {
        return making.release(new, place).map(|()| Vec::new());
    }
    making.exchange(new, place)?;
    let gone = only_in(new, place);
    remove_all(new);
    Ok(gone)
}

/// What is in the folder `old` and not in the other: files, by their paths with the folder's name.
fn only_in(old: &Path, new: &Path) -> Vec<String> {
    let mut gone = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(old.join(&folder));
        for entry in entries.into_iter().flatten().flatten() {
            let path = folder.join(entry.file_name());
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(path);
            } else if new.join(&path).symlink_metadata().is_err() {
                let whole = Path::new(new.file_name().unwrap_or_default()).join(path);
                gone.push(whole.to_string_lossy().into_owned());
            }
        }
    }
    gone.sort_unstable();
    gone
}
