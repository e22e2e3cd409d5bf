//! Room on the disk of this machine: what is done for a task that has none.
//!
//! What nobody uses goes, and the task is tried again. Where that is not enough, it waits until another one here
//! has ended; nobody begins meanwhile. One that is alone, and has no room even so, cannot be carried out here.

use std::path::Path;
use std::sync::PoisonError;

use super::Node;
use crate::text::Shown as _;
use crate::wire::message::ToOwner;

/// Tasks, as far as room is concerned.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// Those that are carried out, without those that wait for room.
    busy: usize,
    /// Those that were short of it, and are not over.
    short: usize,
    /// How many have ended so far.
    ends: u64,
}

impl Room {
    /// A task begins.
    pub(super) fn begin(&mut self) {
        self.busy += 1;
    }

    /// It is over.
    pub(super) fn end(&mut self) {
        self.busy -= 1;
        self.ends += 1;
    }

    /// Whether some task is short of room: nobody else is to begin.
    pub(super) fn is_short(&self) -> bool {
        self.short > 0
    }
}

/// A task that was short of room.
#[derive(Debug, Default)]
pub(super) struct Short {
    /// Whether it was tried again with all gone that could go.
    cleared: bool,
    /// Whether it was alone then.
    alone: bool,
    /// Whether somebody has ended since it was short first.
    waited: bool,
}

impl Node<'_> {
    /// A task has no room; nobody else begins until it is [over](Self::is_short_no_more).
    pub(super) fn is_short(&self) -> Short {
        self.lock().room.short += 1;
        Short::default()
    }

    /// It is over, one way or the other.
    pub(super) fn is_short_no_more(&self, _: Short) {
        self.lock().room.short -= 1;
        self.called.notify_all();
    }

    /// Makes room, as far as there is any to be made; whether the task may be tried again.
    pub(super) fn has_room_now(&self, short: &mut Short) -> bool {
        let mut queue = self.lock();
        // They have it sent again.
        queue.tasks.iter().for_each(|task| task.ahead.release());
        let freed = self.shelf.clear();
        if queue.over || short.alone {
            return false;
        }
        if queue.room.busy > 1 {
            if freed && !std::mem::replace(&mut short.cleared, true) {
                return true;
            }
            let seen = queue.room.ends;
            // Of all who wait one is left who does not, and ends.
            queue.room.busy -= 1;
            drop(queue);
            self.line.say(&ToOwner::Warning(format!(
                "there is not room for all its tasks on the disk of {}: fewer run there at once
                 hint: make room there, or have its worker use another disk with `-scratch DIR`",
                self.site.scratch.path().shown()
            )));
            queue = self.lock();
            while queue.room.ends == seen && !queue.over {
                let waited = self.called.wait(queue);
                queue = waited.unwrap_or_else(PoisonError::into_inner);
            }
            queue.room.busy += 1;
            short.waited = true;
            let over = queue.over;
            drop(queue);
            self.shelf.clear();
            return !over;
        }
        drop(queue);
        self.shelf.clear_all();
        short.alone = true;
        freed || short.waited
    }
}

/// How many bytes are kept for tasks to come, of so many at most: no more than half of what the disk has free.
pub(super) fn most(most: u64, place: &Path) -> u64 {
    let room = rustix::fs::statvfs(place);
    let half = room.map(|room| room.f_bavail.saturating_mul(room.f_frsize) / 2);
    half.map_or(most, |half| half.min(most))
}
