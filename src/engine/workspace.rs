//! A worker's folder: the private input, the output folder and the temporary one of its task.
//!
//! They serve one task after the other, for making and removing folders costs as much as a
//! quarter of starting a shell. That is only done while it is certain that no process of an
//! earlier task is alive, that they are empty, and that their modes are as they were made.
//! Otherwise the next task gets new ones under a name that no earlier script has heard of.

use std::fs::{self, DirBuilder, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::core::digest::Digest;
use crate::store::{self, Loan, Store};

const MODE: u32 = 0o755;

/// See the module.
#[derive(Debug)]
pub struct Workspace {
    root: PathBuf,
    generation: u32,
    made: bool,
    /// When the temporary folder last changed: as long as it has not, it is empty.
    untouched: Option<SystemTime>,
    /// When the present task began.
    began: SystemTime,
    /// Whether its input was removed.
    released: bool,
    input: PathBuf,
    output: PathBuf,
    temporary: PathBuf,
}

impl Workspace {
    /// In `root`, a folder of this worker alone that is yet to be made.
    pub fn new(root: PathBuf) -> Self {
        let mut own = Self {
            root,
            generation: 0,
            made: false,
            untouched: None,
            began: SystemTime::UNIX_EPOCH,
            released: false,
            input: PathBuf::new(),
            output: PathBuf::new(),
            temporary: PathBuf::new(),
        };
        own.rename();
        own
    }

    /// `INPUT_FILE`.
    pub fn input(&self) -> &Path {
        &self.input
    }

    /// `OUTPUT_DIR`.
    pub fn output(&self) -> &Path {
        &self.output
    }

    /// `TMPDIR`.
    pub fn temporary(&self) -> &Path {
        &self.temporary
    }

    /// A place for a file of the worker's own, on the store's file system.
    pub fn own_file(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Makes all three ready for a task that works on `input`.
    pub fn begin(&mut self, store: &Store, input: &Digest) -> Result<(), store::Error> {
        self.prepare()?;
        if *input == Digest::EMPTY {
            let _ = fs::remove_file(&self.input);
            OpenOptions::new()
                .write(true)
                .create_new(true)
                .open(&self.input)
                .map_err(store::io_error("make", &self.input))?;
        } else {
            store.copy_out(input, &self.input)?;
        }
        Ok(())
    }

    /// The same for a task whose input is lent to it; whether that is still to be had.
    pub fn begin_early(&mut self, loan: &Loan) -> Result<bool, store::Error> {
        self.prepare()?;
        loan.lend(&self.input)
    }

    fn prepare(&mut self) -> Result<(), store::Error> {
        if !self.made {
            let mut folders = DirBuilder::new();
            folders.recursive(true).mode(MODE);
            for folder in [&self.output, &self.temporary] {
                folders
                    .create(folder)
                    .and_then(|()| fs::set_permissions(folder, Permissions::from_mode(MODE)))
                    .map_err(store::io_error("make the folder", folder))?;
            }
            self.untouched = fs::symlink_metadata(&self.temporary)
                .ok()
                .map(|m| changed(&m));
            self.made = true;
        }
        self.began = SystemTime::now();
        self.released = false;
        Ok(())
    }

    /// The script is through with its input: a large one goes at once, while its outputs are
    /// hashed.
    pub fn release_input(&mut self) {
        let input = fs::symlink_metadata(&self.input);
        if input.is_ok_and(|m| m.is_file() && m.len() >= store::LARGE) {
            self.released = store::remove(&self.input).is_ok();
        }
    }

    /// The script is through with an input that was lent to it, and no process is left of it.
    pub fn give_back(&mut self, loan: &Loan) {
        loan.give_back(&self.input);
        self.released = true;
    }

    /// Clears up after a task. `quiet`: no process of any earlier task is alive; `emptied`: all
    /// that was in the output folder was taken out of it.
    pub fn finish(&mut self, quiet: bool, emptied: bool) {
        let clean = quiet
            && (self.is_input_own() || self.is_input_gone())
            && is_as_made(&self.output, |_| emptied)
            && is_as_made(&self.temporary, |m| self.is_untouched(m));
        if !clean {
            self.discard();
        }
    }

    /// Whether the next input will be a new file, as nothing has been put in the place of this one.
    fn is_input_gone(&self) -> bool {
        self.released
            && fs::symlink_metadata(&self.input)
                .is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    }

    /// Whether the next input can be written over this one. Removing it and making another would
    /// be simpler, but ext4 looks at every file removed within a minute before it makes a new one.
    fn is_input_own(&self) -> bool {
        fs::symlink_metadata(&self.input).is_ok_and(|metadata| {
            metadata.is_file()
                && metadata.nlink() == 1
                && metadata.uid() == rustix::process::geteuid().as_raw()
                && metadata.permissions().mode() & 0o7777 & !0o022 == 0o644
        })
    }

    /// Whether the folder's last change is the one that made it. File systems date changes by
    /// clocks that move every few milliseconds, so a change must be older than that to tell.
    fn is_untouched(&self, temporary: &Metadata) -> bool {
        let changed = changed(temporary);
        Some(changed) == self.untouched && changed + Duration::from_millis(100) < self.began
    }

    /// Removes everything and goes on under a new name.
    fn discard(&mut self) {
        if let Some(folder) = self.output.parent() {
            remove_all(folder);
        }
        self.generation += 1;
        self.made = false;
        self.rename();
    }

    fn rename(&mut self) {
        let folder = self.root.join(self.generation.to_string());
        self.input = folder.join("input");
        self.output = folder.join("out");
        self.temporary = folder.join("tmp");
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        remove_all(&self.root);
    }
}

/// Whether the folder is there, has the mode that it was made with, and is empty, which may be
/// `known` without reading it.
fn is_as_made(folder: &Path, known: impl Fn(&Metadata) -> bool) -> bool {
    fs::symlink_metadata(folder).is_ok_and(|metadata| {
        metadata.is_dir()
            && metadata.permissions().mode() & 0o7777 == MODE
            && (known(&metadata)
                || fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none()))
    })
}

/// Moves with every change of a folder's entries, and no program can set it.
fn changed(metadata: &Metadata) -> SystemTime {
    let seconds = Duration::from_secs(metadata.ctime().unsigned_abs());
    let rest = Duration::from_nanos(metadata.ctime_nsec().unsigned_abs());
    SystemTime::UNIX_EPOCH + seconds + rest
}

/// Removes a folder with all that is in it, also where a script took away its own rights.
///
/// What cannot be removed stays: the next run tries again, and no later task sees it.
pub fn remove_all(folder: &Path) {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_up(folder);
            let _ = fs::remove_dir_all(folder);
        }
        _ => {}
    }
}

fn open_up(folder: &Path) {
    let _ = fs::set_permissions(folder, Permissions::from_mode(0o700));
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture() -> (tempfile::TempDir, Store, Workspace) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("objects"), dir.path()).unwrap();
        let mut workspace = Workspace::new(dir.path().join("w0"));
        workspace.begin(&store, &Digest::EMPTY).unwrap();
        (dir, store, workspace)
    }

    /// Ends the task and begins the next; whether it got the same folders, which must be empty.
    fn next(store: &Store, workspace: &mut Workspace, quiet: bool) -> bool {
        let before = workspace.output().to_owned();
        workspace.finish(quiet, false);
        workspace.begin(store, &Digest::EMPTY).unwrap();
        for folder in [workspace.output(), workspace.temporary()] {
            assert!(is_as_made(folder, |_| false));
        }
        assert_eq!(fs::read(workspace.input()).unwrap(), b"");
        before == workspace.output()
    }

    #[test]
    fn folders_are_kept_only_while_nothing_can_reach_them() {
        let (_dir, store, mut workspace) = fixture();
        assert!(next(&store, &mut workspace, true));
        assert!(!next(&store, &mut workspace, false));
    }

    #[test]
    fn folders_are_kept_only_as_they_were_made() {
        let (_dir, store, mut workspace) = fixture();
        fs::write(workspace.temporary().join("x"), "").unwrap();
        assert!(!next(&store, &mut workspace, true));
        fs::write(workspace.output().join("x"), "").unwrap();
        assert!(!next(&store, &mut workspace, true));
        fs::set_permissions(workspace.output(), Permissions::from_mode(0o500)).unwrap();
        assert!(!next(&store, &mut workspace, true));
        fs::remove_file(workspace.input()).unwrap();
        assert!(!next(&store, &mut workspace, true));
        fs::remove_dir(workspace.output()).unwrap();
        assert!(!next(&store, &mut workspace, true));
    }

    #[test]
    fn a_large_input_goes_early_and_nothing_may_come_in_its_place() {
        let (_dir, store, mut workspace) = fixture();
        workspace.release_input();
        assert!(workspace.input().exists());
        for fake in [false, true] {
            let large = fs::File::create(workspace.input()).unwrap();
            large.set_len(store::LARGE).unwrap();
            workspace.release_input();
            assert!(!workspace.input().exists());
            if fake {
                std::os::unix::fs::symlink("elsewhere", workspace.input()).unwrap();
            }
            assert_eq!(next(&store, &mut workspace, true), !fake);
        }
    }

    #[test]
    fn nothing_is_left_in_the_end() {
        let (dir, _store, workspace) = fixture();
        let inner = workspace.temporary().join("a/b");
        fs::create_dir_all(&inner).unwrap();
        fs::set_permissions(inner.parent().unwrap(), Permissions::from_mode(0o0)).unwrap();
        drop(workspace);
        assert!(!dir.path().join("w0").exists());
    }
}
