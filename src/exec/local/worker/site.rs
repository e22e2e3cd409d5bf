//! Where workers work, and what they have open there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::kept::Kept;
use super::super::launch::step::Runnable;
use super::super::launch::warm;
use super::super::oom::Kills;
use crate::folder::Folder;
use crate::store::Store;
use crate::sys::descriptors::Need;
use crate::sys::{Divided, Orphans, is_full};

/// Where workers work.
#[derive(Debug)]
pub(in crate::exec) struct Site<'a> {
    /// Where objects go.
    pub store: &'a Store,
    /// The folder for the workers' folders.
    pub scratch: Arc<Folder>,
    /// Tells what tasks left running.
    pub orphans: Orphans,
    /// Where folders of failed tasks go, if they are kept.
    pub keep: Option<Arc<Kept>>,
    /// By what tasks have no more memory than they are given, if by anything.
    pub fence: Option<Arc<Divided>>,
    /// Whom the kernel kills for want of memory.
    pub kills: Kills,
    /// Whether there was no room on the disk, for anybody. What ended for that has made some.
    pub full: AtomicBool,
}

impl Site<'_> {
    /// Whether there is no room, for a script with these last words.
    pub(super) fn is_full(&self, words: &str) -> bool {
        self.full.load(Ordering::Relaxed) || is_full(self.scratch.path(), words)
    }
}

/// What a worker of these steps has open at a time.
pub(crate) fn need(steps: &[Arc<Runnable>]) -> Need {
    /// With more steps, some will want one: to ask all of them takes a while.
    const ASKED: usize = 50;
    // No more than one of a step.
    let warm = steps.iter().filter(|step| step.warm().is_some());
    let served = steps.iter().filter(|step| step.sandbox.is_some());
    let shells = match steps.len() {
        0..=ASKED => warm.take(warm::KEPT).count(),
        _ => warm::KEPT,
    } + served.take(warm::KEPT).count();
    let shells = shells as u64;
    Need {
        // Where it reads what tasks write; the folders. What it says to its shells, and they to it.
        movable: 2 + 2 + 2 * shells,
        // Where tasks write. Whether its shells have ended.
        fixed: 2 + shells,
        // Whether a task has ended; an object and its copy.
        passing: 3,
    }
}
