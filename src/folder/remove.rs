//! Removing a folder with all that is in it, and nothing else.

use std::ffi::CStr;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::os::fd::AsFd;

use rustix::fs::{AtFlags, FileType, RenameFlags, renameat_with, unlinkat};
use rustix::io::Errno;

use super::{Entry, Folder, is_self};

/// Removes a folder with all that is in it, also where a script took away its own rights.
///
/// Links are removed, not followed; what is mounted somewhere in it stays, and so do the folders
/// that lead there. Whether all is gone.
///
/// Subfolders are moved up into the folder itself before they are emptied. So two of them are open
/// at a time however deep they lie; and as the kernel moves no mount point, none is entered.
pub(crate) fn remove_all<'a>(entry: impl Into<Entry<'a>>) -> bool {
    let entry = entry.into();
    match entry.look() {
        Err(error) => return error.kind() == io::ErrorKind::NotFound,
        Ok(look) if look.mounted => return false,
        Ok(look) if look.kind != FileType::Directory => return entry.remove().is_ok(),
        Ok(look) if look.mode & RIGHTS != RIGHTS => drop(entry.set_mode(RIGHTS)),
        Ok(_) => {}
    }
    if let Ok(top) = entry.open_folder() {
        Removal::of(top).empty();
    }
    unlinkat(entry.folder(), entry.name, AtFlags::REMOVEDIR).is_ok()
}

/// What it takes to empty a folder.
const RIGHTS: u32 = 0o700;

struct Removal {
    top: Folder,
    /// What folders are called that were moved up, with a number behind. Nothing else is called so.
    prefix: String,
    /// How many were.
    moved: u64,
}

impl Removal {
    fn of(top: Folder) -> Self {
        let random = RandomState::new().build_hasher().finish();
        Self {
            top,
            prefix: format!(".{random:016x}-"),
            moved: 0,
        }
    }

    fn empty(mut self) {
        let Ok(top) = self.top.names().and_then(|names| {
            let folder = self.top.fd.try_clone()?;
            Ok((names, folder))
        }) else {
            return;
        };
        self.clear(top.0, &top.1);
        let mut next = 0;
        while next < self.moved {
            let name = format!("{}{next}", self.prefix);
            next += 1;
            let Ok(folder) = self.top.entry(&name).open_folder() else {
                continue;
            };
            if let Ok(names) = folder.names() {
                self.clear(names, &folder.fd);
            }
            let _ = unlinkat(&self.top.fd, &name, AtFlags::REMOVEDIR);
        }
    }

    /// Removes all that can be removed at once, and moves the rest up.
    fn clear(&mut self, names: rustix::fs::Dir, folder: &impl AsFd) {
        for entry in names.map_while(Result::ok) {
            let name = entry.file_name();
            if is_self(name) || name.to_bytes().starts_with(self.prefix.as_bytes()) {
                continue;
            }
            let is_folder = match entry.file_type() {
                FileType::Directory => true,
                // Some file systems do not tell.
                FileType::Unknown => unlinkat(folder, name, AtFlags::empty()).is_err(),
                FileType::RegularFile
                | FileType::Symlink
                | FileType::Fifo
                | FileType::Socket
                | FileType::CharacterDevice
                | FileType::BlockDevice => {
                    let _ = unlinkat(folder, name, AtFlags::empty());
                    false
                }
            };
            if is_folder && unlinkat(folder, name, AtFlags::REMOVEDIR).is_err() {
                self.move_up(folder, name);
            }
        }
    }

    fn move_up(&mut self, folder: &impl AsFd, name: &CStr) {
        let to = format!("{}{}", self.prefix, self.moved);
        let rename = || renameat_with(folder, name, &self.top.fd, &to, RenameFlags::empty());
        let moved = match rename() {
            // It takes the right to write to the folder.
            Err(Errno::ACCESS) if may_be_changed(folder, name) => {
                let _ = crate::sys::set_mode_at(folder.as_fd(), name, RIGHTS);
                rename()
            }
            other => other,
        };
        if moved.is_err() {
            return;
        }
        self.moved += 1;
        let moved = self.top.entry(&to);
        if moved.look().is_ok_and(|look| look.mode & RIGHTS != RIGHTS) {
            let _ = moved.set_mode(RIGHTS);
        }
    }
}

/// Whether it is a folder with nothing mounted there, whose mode would be changed instead.
fn may_be_changed(folder: &impl AsFd, name: &CStr) -> bool {
    crate::sys::look_at(folder.as_fd(), name)
        .is_ok_and(|look| look.kind == FileType::Directory && !look.mounted)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn all_that_is_in_it_goes_and_what_links_lead_to_stays() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("outside/folder")).unwrap();
        fs::write(at("outside/file"), "kept").unwrap();
        fs::create_dir_all(at("all/a/b/c")).unwrap();
        fs::create_dir_all(at("all/empty")).unwrap();
        for folder in ["all", "all/a", "all/a/b", "all/a/b/c"] {
            fs::write(at(folder).join("file"), "").unwrap();
            symlink(at("outside"), at(folder).join("link")).unwrap();
            symlink("nowhere", at(folder).join("broken")).unwrap();
            fs::hard_link(at("outside/file"), at(folder).join("hard")).unwrap();
        }
        for (folder, mode) in [
            ("all/a/b/c", 0o555),
            ("all/a/b", 0),
            ("all/a", 0o111),
            ("all", 0o400),
        ] {
            fs::set_permissions(at(folder), Permissions::from_mode(mode)).unwrap();
        }
        assert!(remove_all(&at("all")));
        assert!(!at("all").exists());
        assert_eq!(fs::read(at("outside/file")).unwrap(), b"kept");
        assert!(at("outside/folder").exists());
        symlink(at("outside"), at("all")).unwrap();
        assert!(remove_all(&at("all")), "the link itself");
        assert!(at("outside/folder").exists() && fs::symlink_metadata(at("all")).is_err());
        assert!(remove_all(&at("all")), "what is not there is gone");
    }

    #[test]
    fn a_tree_of_any_depth_goes() {
        let dir = tempfile::tempdir().unwrap();
        let mut folder = Folder::open(dir.path()).unwrap().make("all").unwrap();
        // Deeper than a path can tell.
        for _ in 0..900 {
            folder = folder.make("down").unwrap();
        }
        drop(folder);
        assert!(remove_all(&dir.path().join("all")));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_removal_that_was_interrupted_is_no_obstacle_to_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let all = dir.path().join("all");
        for n in 0..3 {
            fs::create_dir_all(all.join(format!(".0123456789abcdef-{n}/x/y"))).unwrap();
        }
        let mut removal = Removal::of(Folder::open(&all).unwrap());
        removal.prefix = ".0123456789abcdef-".to_owned();
        removal.empty();
        assert!(remove_all(&all));
    }
}
