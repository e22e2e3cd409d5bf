//! How many files this process may have open, without its children knowing.
//!
//! Children inherit the limit, and some would be harmed by another one than they were meant to
//! have: `select` knows descriptors up to 1023, and some programs close all that there may be. So
//! the limit stays as it is but for moments in which no child is started. In such a moment a
//! descriptor that is kept for long is given a number above the limit, which bounds the numbers of
//! new descriptors alone: those that come and go have the numbers below it for themselves.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Held for reading by who starts a child, for writing while the limit is another one.
static LIMIT: RwLock<()> = RwLock::new(());
/// The limit for such moments; 0 if nothing is moved.
static RAISED: AtomicU64 = AtomicU64::new(0);

/// What each of those who work at the same time has open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Need {
    /// For long, and at whatever number: see [`keep`].
    pub movable: u64,
    /// For long, and at a number within the limit.
    pub fixed: u64,
    /// For moments, at most.
    pub passing: u64,
}

/// How many can work at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fit {
    workers: u64,
    /// The limit that it takes now and then, if not that which is there.
    raised: Option<u64>,
}

/// Kept for what else needs one.
const SPARE: u64 = 24;

impl Need {
    /// How many of `workers` fit below these limits, with so many open by others.
    fn fit(self, workers: u64, soft: u64, hard: u64, open: u64) -> Fit {
        let room = soft.saturating_sub(open + SPARE);
        let here = |each: u64| (room / each.max(1)).clamp(1, workers);
        let all = here(self.movable + self.fixed + self.passing);
        let above = hard.saturating_sub(soft) / self.movable.max(1);
        if all == workers || above == 0 {
            return Fit {
                workers: all,
                raised: None,
            };
        }
        let moved = here(self.fixed + self.passing).min(above);
        if moved <= all {
            return Fit {
                workers: all,
                raised: None,
            };
        }
        Fit {
            workers: moved,
            raised: Some(soft + moved * self.movable),
        }
    }
}

/// Makes room for `workers` who each need so much; how many there is room for, and the limit.
pub(crate) fn make_room(workers: usize, need: Need) -> (usize, u64) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let Some(soft) = current else {
        return (workers, u64::MAX);
    };
    let open = super::open_descriptors().unwrap_or(SPARE);
    let hard = maximum.unwrap_or(u64::MAX);
    let fit = need.fit(workers as u64, soft, hard, open);
    RAISED.store(fit.raised.unwrap_or(0), Ordering::Relaxed);
    (usize::try_from(fit.workers).unwrap_or(workers), soft)
}

/// A descriptor that is kept for long: the same file at another number, if there is need.
pub(crate) fn keep(fd: OwnedFd) -> OwnedFd {
    let raised = RAISED.load(Ordering::Relaxed);
    if raised == 0 {
        return fd;
    }
    let _alone = LIMIT.write().unwrap_or_else(PoisonError::into_inner);
    let usual = getrlimit(Resource::Nofile);
    let Some(least) = usual.current.and_then(|soft| i32::try_from(soft).ok()) else {
        return fd;
    };
    let other = Rlimit {
        current: Some(raised),
        ..usual
    };
    if setrlimit(Resource::Nofile, other).is_err() {
        return fd;
    }
    let moved = rustix::io::fcntl_dupfd_cloexec(&fd, least);
    // What was may be again.
    let _ = setrlimit(Resource::Nofile, usual);
    moved.unwrap_or(fd)
}

/// To be held while a child is started.
pub(crate) fn for_a_child() -> RwLockReadGuard<'static, ()> {
    LIMIT.read().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEED: Need = Need {
        movable: 4,
        fixed: 2,
        passing: 3,
    };

    #[test]
    fn as_many_work_as_there_are_descriptors_for() {
        let fit = |workers, soft, hard| {
            let fit = NEED.fit(workers, soft, hard, 20);
            (fit.workers, fit.raised)
        };
        assert_eq!(fit(8, 1024, 1024), (8, None));
        assert_eq!(fit(108, 1024, 1 << 20), (108, None), "just enough");
        assert_eq!(fit(160, 1024, 1 << 20), (160, Some(1024 + 640)));
        assert_eq!(fit(160, 1024, u64::MAX), (160, Some(1024 + 640)));
        assert_eq!(fit(160, 1024, 1024), (108, None));
        assert_eq!(fit(1000, 1024, 1 << 20), (196, Some(1024 + 784)));
        assert_eq!(fit(160, 1024, 1024 + 440), (110, Some(1024 + 440)));
        assert_eq!(fit(160, 1024, 1030), (108, None), "nothing is won");
        assert_eq!(fit(8, 10, 10), (1, None), "one is always tried");
        assert_eq!(fit(8, 10, 1000), (1, None));
    }
}
