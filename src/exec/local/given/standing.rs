//! A folder that was filled for one task and is to serve the next one that is to get the same.

use std::io;

use crate::folder::{Entry, Folder};
use crate::model::digest::Digest;
use crate::model::name::StepName;
use crate::sys::Look;

/// Links for which a folder is kept: of fewer it is made again as fast.
pub(super) const WORTH: usize = 16;

/// A folder with one in it for each of some steps, which hold nothing but links. What a link leads to stays the
/// same as long as the folder that it is in does.
#[derive(Debug)]
pub(in crate::exec::local) struct Standing {
    /// The list by which it was filled.
    list: Digest,
    /// The steps.
    steps: Vec<StepName>,
    /// How it was then, and how the folders in it were.
    top: Look,
    inner: Vec<Look>,
}

impl Standing {
    /// Of one that was just filled.
    pub(super) fn of(top: &Folder, list: &Digest, steps: &[StepName]) -> io::Result<Self> {
        let mut inner = Vec::with_capacity(steps.len());
        for step in steps {
            inner.push(date(&top.entry(step.as_str()).open_folder()?)?);
        }
        Ok(Self {
            list: *list,
            steps: steps.to_vec(),
            top: date(top)?,
            inner,
        })
    }

    /// Whether it has what another task is to get.
    pub(in crate::exec::local) fn has(&self, list: &Digest, steps: &[StepName]) -> bool {
        self.list == *list && self.steps == steps
    }

    /// Whether nothing was done to it since.
    pub(in crate::exec::local) fn is_as_it_was(&self, top: Entry) -> bool {
        let is_same = |folder: &Folder, was: &Look| {
            folder.look().is_ok_and(|is| {
                (is.identity, is.mode, is.changed, is.modified)
                    == (was.identity, was.mode, was.changed, was.modified)
            })
        };
        let Ok(top) = top.open_folder() else {
            return false;
        };
        let mut inner = self.steps.iter().zip(&self.inner);
        is_same(&top, &self.top)
            && inner.all(|(step, was)| {
                let folder = top.entry(step.as_str()).open_folder();
                folder.is_ok_and(|folder| is_same(&folder, was))
            })
    }
}

/// Dates a folder so that whatever is put into it or taken out of it shows. By its last change alone it might not:
/// file systems date changes by clocks that move every few milliseconds.
fn date(folder: &Folder) -> io::Result<Look> {
    let (seconds, _) = folder.look()?.modified;
    folder.set_modified(seconds - 1)?;
    folder.look()
}
