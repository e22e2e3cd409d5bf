//! Room on the disk of this machine: what is done for a task that has none.
//!
//! What nobody uses goes, and the task is tried again. Where that is not enough, it waits until another one here
//! has ended; nobody begins meanwhile. One that is alone, and has no room even so, cannot be carried out here.

use std::path::Path;
use std::sync::{MutexGuard, PoisonError};

use super::{Node, Queue};
use crate::text::Shown as _;
use crate::wire::message::ToOwner;

/// Tasks, as far as room is concerned.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// Those that are carried out, without those that wait for room.
    busy: usize,
    /// Those that wait until another one ends.
    waiting: usize,
    /// Those that were short of it, and are not over.
    short: usize,
    /// How many have ended so far.
    ends: u64,
    /// Slots without a task that keep files for their next one.
    keep: usize,
}

impl Room {
    /// A task begins. `kept`: whether its slot has kept files for it.
    pub(super) fn begin(&mut self, kept: bool) {
        self.busy += 1;
        self.keep -= usize::from(kept);
    }

    /// A slot without a task keeps no files any more.
    pub(super) fn cleared(&mut self) {
        self.keep -= 1;
    }

    /// It is over. Those that wait go on: from now on, and not from when they get to it, as one that believed to be alone
    /// until then would take their room.
    ///
    /// `keeps`: whether its slot keeps files for the next one.
    pub(super) fn end(&mut self, keeps: bool) {
        self.busy -= 1;
        self.keep += usize::from(keeps);
        self.ends += 1;
        self.busy += std::mem::take(&mut self.waiting);
    }

    /// One of several waits for the end of another; until which it has not seen.
    fn wait(&mut self) -> u64 {
        self.busy -= 1;
        self.waiting += 1;
        self.ends
    }

    /// Whether it has to wait on.
    fn waits(&self, seen: u64) -> bool {
        self.ends == seen
    }

    /// It waits no more, though nobody has ended.
    fn go_on(&mut self) {
        self.busy += 1;
        self.waiting -= 1;
    }

    fn is_alone(&self) -> bool {
        self.busy == 1
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
}

impl<'a> Node<'a> {
    /// A task has no room; nobody else begins until it is [over](Self::is_short_no_more).
    pub(super) fn is_short(&self) -> Short {
        self.lock().room.short += 1;
        self.called.notify_all();
        Short::default()
    }

    /// It is over, one way or the other.
    pub(super) fn is_short_no_more(&self, _: Short) {
        self.lock().room.short -= 1;
        self.called.notify_all();
    }

    /// Makes room, as far as there is any to be made; whether the task may be tried again.
    pub(super) fn has_room_now(&self, short: &mut Short) -> bool {
        let queue = self.lock();
        // They have it sent again.
        queue.tasks.iter().for_each(|task| task.ahead.release());
        let freed = self.shelf.clear();
        if queue.over || short.alone {
            return false;
        }
        if queue.room.is_alone() {
            short.alone = true;
            self.leave_nothing(queue);
            return true;
        }
        if freed && !std::mem::replace(&mut short.cleared, true) {
            return true;
        }
        self.wait_for_another(queue)
    }

    /// Waits until another task has ended; whether one has, and not all is over.
    fn wait_for_another(&self, mut queue: MutexGuard<Queue>) -> bool {
        // Of all who wait one is left who does not, and ends.
        let seen = queue.room.wait();
        drop(queue);
        self.line.say(&ToOwner::Warning(format!(
            "there is not room for all its tasks on the disk of {}: fewer run there at once\n\
             hint: make room there, or have its worker use another disk with `-scratch DIR`",
            self.site.scratch.path().shown()
        )));
        let mut queue = self.until(self.lock(), |queue| !queue.room.waits(seen));
        if queue.room.waits(seen) {
            queue.room.go_on();
        }
        let over = queue.over;
        drop(queue);
        self.shelf.clear();
        !over
    }

    /// For a task that is alone: removes all that can come again, once all of that is there or gone.
    fn leave_nothing(&self, queue: MutexGuard<'_, Queue<'a>>) {
        drop(self.until(queue, |queue| queue.room.keep == 0));
        // What was asked for ahead of its task comes in all the same.
        self.fetch.settle();
        self.shelf.clear_all();
    }

    /// Waits until this holds or all is over.
    fn until<'q>(
        &self,
        mut queue: MutexGuard<'q, Queue<'a>>,
        holds: impl Fn(&Queue) -> bool,
    ) -> MutexGuard<'q, Queue<'a>> {
        while !holds(&queue) && !queue.over {
            let waited = self.called.wait(queue);
            queue = waited.unwrap_or_else(PoisonError::into_inner);
        }
        queue
    }
}

/// How many bytes are kept for tasks to come, of so many at most: no more than half of what the disk has free.
pub(super) fn most(most: u64, place: &Path) -> u64 {
    let room = rustix::fs::statvfs(place);
    let half = room.map(|room| room.f_bavail.saturating_mul(room.f_frsize) / 2);
    half.map_or(most, |half| half.min(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_waited_is_not_alone_with_one_that_goes_on() {
        let mut room = Room::default();
        (0..3).for_each(|_| room.begin(false));
        let first = room.wait();
        assert!(room.waits(first));
        assert!(!room.is_alone());
        room.end(false);
        // It counts before it has come to it.
        assert!(!room.waits(first));
        assert!(!room.is_alone());
        let second = room.wait();
        assert!(room.is_alone());
        assert!(room.waits(second));
        room.end(false);
        assert!(!room.waits(second));
        assert!(room.is_alone());
        let third = room.wait();
        assert!(room.waits(third));
        room.go_on();
        room.end(false);
        room.begin(false);
        assert!(room.is_alone());
    }
}
