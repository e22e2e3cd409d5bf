//! What can be said of scripts that were killed where the kernel killed for want of memory.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::sys::{self, Fate};

/// What ends so was killed, or says that one of its processes was.
const KILLED: [i32; 2] = [9, 128 + 9];

/// Whom the kernel killed for want of memory while tasks ran.
#[derive(Debug)]
pub(in crate::exec) struct Kills {
    /// How many processes on this machine before the first task.
    before: Option<u64>,
    /// How many of tasks that wanted more than they were given, which says nothing of others.
    own: AtomicU64,
}

impl Kills {
    /// Counts from here on.
    pub(in crate::exec) fn watch() -> Self {
        Self {
            before: sys::kills(),
            own: AtomicU64::new(0),
        }
    }

    /// A task in a group of its own has ended.
    pub(super) fn count(&self, fate: &Fate) {
        if fate.over {
            self.own.fetch_add(fate.killed, Ordering::Relaxed);
        }
    }

    /// What to tell of a script that ended so and was not killed here; what came of its group, if it had one.
    /// Begins with a line end.
    pub(super) fn hint(&self, status: ExitStatus, seen: Option<&Fate>) -> Option<&'static str> {
        self.hint_at(status, seen, sys::kills)
    }

    fn hint_at(
        &self,
        status: ExitStatus,
        seen: Option<&Fate>,
        now: impl FnOnce() -> Option<u64>,
    ) -> Option<&'static str> {
        let killed = |status: ExitStatus| {
            let code = status.signal().or(status.code());
            code.is_some_and(|code| KILLED.contains(&code))
        };
        if !killed(status) {
            return None;
        }
        match seen {
            // Its group knows better than the machine.
            Some(fate) if fate.killed == 0 => None,
            Some(_) => Some(
                "\nhint: the kernel has killed it for want of memory, though it had no more than it asked for: \
                 the machine was short of it, or a control group above that of the run; -memory has fewer \
                 tasks run at once",
            ),
            None => {
                let others = self.before? + self.own.load(Ordering::Relaxed);
                (now()? > others).then_some(
                    "\nhint: the kernel has killed a process for want of memory meanwhile; `memory` on the \
                     steps has fewer tasks run at once",
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kill_for_memory_is_told_of_whom_it_may_have_hit() {
        let kills = Kills {
            before: Some(5),
            own: AtomicU64::new(0),
        };
        let killed = ExitStatus::from_raw(9);
        let fate = |killed, over| Fate {
            killed,
            over,
            ..Fate::default()
        };
        let told = |seen: Option<Fate>, now| {
            let hint = kills.hint_at(killed, seen.as_ref(), || Some(now));
            hint.map(|hint| hint.contains("killed it"))
        };
        assert_eq!(told(None, 5), None);
        assert_eq!(told(None, 6), Some(false));
        assert_eq!(told(Some(fate(1, false)), 6), Some(true));
        // Somebody else's doing, whatever the kernel did elsewhere.
        assert_eq!(told(Some(fate(0, false)), 6), None);
        // One that went over its own limit is no reason for others to be killed.
        kills.count(&fate(3, true));
        assert_eq!(told(None, 8), None);
        kills.count(&fate(1, false));
        assert_eq!(told(None, 9), Some(false));
        let ended = |raw: i32| kills.hint_at(ExitStatus::from_raw(raw), None, || Some(20));
        assert_eq!(ended(15), None);
        assert_eq!(ended(1 << 8), None);
        assert!(ended(137 << 8).is_some());
    }
}
