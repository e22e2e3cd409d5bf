//! Those who read are not to lose what they read.
//!
//! Whoever opens a db folder for reading holds the folder of objects locked together with all others who
//! do. Before rows go that they could have read of, that lock is taken alone: whoever reads has come to
//! an end by then, and whoever comes meanwhile waits until the rows are gone. What is read after that names
//! nothing that will be removed.
//!
//! Where the file system knows no such locks, nobody waits.

use std::fs::File;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::Layout;

/// Held by one who reads, or by one who lets nobody read.
#[derive(Debug)]
pub(crate) struct Reading {
    _open: Option<File>,
}

/// How long one who reads waits for rows to go; then something is wrong with whoever removes them.
const PATIENCE: Duration = Duration::from_mins(1);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(10);

impl Reading {
    /// From now on nothing goes that is read.
    pub(super) fn begin(layout: &Layout) -> Self {
        let open = folder_of(layout).filter(|open| {
            lock(open, FlockOperation::NonBlockingLockShared, PATIENCE) == Some(true)
        });
        Self { _open: open }
    }

    /// Waits until nobody reads any more, and lets nobody begin; none if that takes longer than `patience`.
    pub(super) fn end_all(layout: &Layout, patience: Duration) -> Option<Self> {
        let Some(open) = folder_of(layout) else {
            return Some(Self { _open: None });
        };
        match lock(&open, FlockOperation::NonBlockingLockExclusive, patience) {
            Some(false) => None,
            Some(true) => Some(Self { _open: Some(open) }),
            None => Some(Self { _open: None }),
        }
    }
}

/// The folder of objects. What else may be there is not opened: of a FIFO that would take for ever.
fn folder_of(layout: &Layout) -> Option<File> {
    let how = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let open = rustix::fs::open(layout.objects(), how, Mode::empty());
    open.ok().map(File::from)
}

/// Whether it is locked in time; none where there are no locks.
fn lock(open: &File, how: FlockOperation, patience: Duration) -> Option<bool> {
    let began = Instant::now();
    loop {
        match rustix::fs::flock(open, how) {
            Ok(()) => return Some(true),
            Err(Errno::WOULDBLOCK) if began.elapsed() < patience => std::thread::sleep(PAUSE),
            Err(Errno::WOULDBLOCK) => return Some(false),
            Err(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_go_when_nobody_reads() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        std::fs::create_dir(layout.objects()).unwrap();
        let none = Duration::ZERO;
        let [one, other] = [(); 2].map(|()| Reading::begin(&layout));
        assert!(Reading::end_all(&layout, none).is_none());
        drop(one);
        assert!(Reading::end_all(&layout, none).is_none());
        drop(other);
        let alone = Reading::end_all(&layout, none).unwrap();
        assert!(Reading::end_all(&layout, none).is_none());
        // Who comes meanwhile waits.
        let thread = std::thread::spawn({
            let layout = layout.clone();
            move || Reading::begin(&layout)
        });
        drop(alone);
        let reading = thread.join().unwrap();
        assert!(Reading::end_all(&layout, none).is_none());
        drop(reading);
        Reading::end_all(&layout, none).unwrap();
    }

    #[test]
    fn without_objects_there_is_nothing_to_wait_for() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        let _reading = Reading::begin(&layout);
        Reading::end_all(&layout, Duration::ZERO).unwrap();
    }
}
