//! What becomes of a worker's folder when a script has ended.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::FileType;

use super::super::given::Leads;
use super::super::kept::Kept;
use super::{INPUT, InputKind, OUTPUT, TEMPORARY, Workspace};
use crate::folder::{self, Entry, Folder, remove_all};
use crate::model::task::TaskId;
use crate::store::{self, SharedOutput};
use crate::sys::{self, Look};

impl Workspace {
    /// The folder with the outputs of a script that has ended, or what is in its place.
    ///
    /// A script may remove the folder and make a new one there: whatever it puts into that is an
    /// output just as well. What lies elsewhere is not to be touched, by whatever way it leads
    /// here.
    pub(in crate::exec::local) fn collect(
        &mut self,
    ) -> Result<Result<Arc<Folder>, &'static str>, store::Error> {
        self.left = Entry::from(&self.output).look().ok();
        let (Some(made), Some(look)) = (&self.made, self.left) else {
            return Ok(Err("nothing"));
        };
        let rights = made.output_look.mode;
        let missing = look.mode & rights != rights;
        let failed = store::io_error("change the mode of", &self.output);
        if look.identity == made.output_look.identity {
            if missing {
                made.output.set_mode(rights).map_err(failed)?;
            }
            return Ok(Ok(Arc::clone(&made.output)));
        }
        let entry = made.folder.entry(OUTPUT);
        Ok(match look.kind {
            _ if look.mounted || !look.identity.is_beside(&made.output_look.identity) => {
                Err("a mount point")
            }
            FileType::Directory if entry.look().ok() == Some(look) => {
                if missing {
                    entry.set_mode(rights).map_err(failed)?;
                }
                let open = store::io_error("open the folder", entry);
                Ok(Arc::new(entry.open_folder().map_err(open)?))
            }
            FileType::Directory => Err("another folder"),
            kind @ (FileType::RegularFile
            | FileType::Symlink
            | FileType::Fifo
            | FileType::Socket
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Unknown) => Err(folder::kind(kind)),
        })
    }

    /// The script is through with its input: a large one goes at once, while its outputs are
    /// hashed.
    pub(in crate::exec::local) fn release_input(&mut self) {
        let large = |look: Look| look.kind == FileType::RegularFile && look.size >= store::LARGE;
        if let Some(input) = self.input_entry()
            && input.look().is_ok_and(large)
        {
            self.released = store::remove(input).is_ok();
        }
    }

    /// The script is through with an input that was lent to it, and no process is left of it.
    pub(in crate::exec::local) fn give_back(&mut self, shared: &SharedOutput) {
        if let Some(input) = self.input_entry() {
            shared.give_back(input);
            self.released = true;
        }
    }

    /// Moves the folders of a failed task to where they are kept; where that is. The next task gets new ones.
    pub(in crate::exec::local) fn set_aside(
        &mut self,
        kept: &Kept,
        task: TaskId,
    ) -> io::Result<PathBuf> {
        let path = kept.take(task, self.scratch.entry(&self.name()))?;
        self.made = None;
        self.standing = None;
        self.leads = Leads::default();
        self.input_kind = InputKind::File;
        self.generation += 1;
        self.rename();
        Ok(path)
    }

    /// Whether there is anything in there or may be.
    pub(in crate::exec::local) fn is_empty(&self) -> bool {
        self.made.is_none() && self.state.path().is_none()
    }

    /// Removes what stays for the next task, of one that may not even have begun.
    pub(in crate::exec::local) fn clear(&mut self) {
        self.state.remove();
        self.discard();
    }

    /// Removes what a task has left that nobody wants.
    pub(in crate::exec::local) fn drop_outputs(&mut self) {
        if let Some(made) = &self.made {
            for name in [OUTPUT, TEMPORARY] {
                remove_all(made.folder.entry(name));
            }
        }
    }

    /// Clears up after a task. `quiet`: no process of any earlier task is alive; `emptied`: all
    /// that was in the output folder was taken out of it.
    pub(in crate::exec::local) fn finish(&mut self, quiet: bool, emptied: bool) {
        if !self.remove_input() || !quiet || !self.is_as_made(emptied) {
            self.discard();
        }
    }

    fn is_as_made(&self, emptied: bool) -> bool {
        let Some(made) = &self.made else {
            return false;
        };
        let input = made.folder.entry(INPUT);
        let temporary = made.folder.entry(TEMPORARY);
        (is_own(input, &made.output_look) || self.is_gone(input))
            && self
                .look_at_output()
                .is_ok_and(|look| is_same(&look, &made.output_look))
            && (emptied || made.output.is_empty().unwrap_or(false))
            && temporary.look().is_ok_and(|look| {
                is_same(&look, &made.temporary_look)
                    && (self.is_untouched(&look, &made.temporary_look) || is_empty(temporary))
            })
    }

    /// The output folder as it is, or as it was when its outputs were about to be taken.
    fn look_at_output(&self) -> io::Result<Look> {
        match self.left {
            Some(look) => Ok(look),
            None => Entry::from(&self.output).look(),
        }
    }

    /// Whether the next input will be a new file, as nothing has been put in the place of this one.
    fn is_gone(&self, input: Entry) -> bool {
        self.released
            && input
                .look()
                .is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    }

    /// Whether the folder's last change is the one that made it. File systems date changes by
    /// clocks that move every few milliseconds, so a change must be older than that to tell.
    fn is_untouched(&self, temporary: &Look, made: &Look) -> bool {
        let (seconds, nanoseconds) = made.changed;
        let changed = Duration::from_secs(seconds.unsigned_abs())
            + Duration::from_nanos(nanoseconds.unsigned_abs());
        temporary.changed == made.changed && changed + Duration::from_millis(100) < self.began
    }
}

/// Whether the next input can be written over this one. Removing it and making another would
/// be simpler, but ext4 looks at every file removed within a minute before it makes a new one.
fn is_own(input: Entry, beside: &Look) -> bool {
    input.look().is_ok_and(|look| {
        look.kind == FileType::RegularFile
            && look.links == 1
            && !look.mounted
            && look.owner == beside.owner
            && look.mode == 0o666 & !sys::umask()
    })
}

/// Whether it is the folder that was made, with the rights that it was made with.
fn is_same(look: &Look, made: &Look) -> bool {
    look.identity == made.identity && look.mode == made.mode
}

fn is_empty(folder: Entry) -> bool {
    folder
        .open_folder()
        .and_then(|folder| folder.is_empty())
        .unwrap_or(false)
}
