//! Threads that do what waits, as many as are of use.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;
use std::time::{Duration, Instant};

/// Something to do.
pub(super) type Work = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Work>,
    idle: usize,
    threads: usize,
    busy: usize,
    /// How much was done.
    done: u64,
    over: bool,
}

/// See the module.
pub(super) struct Pool {
    name: &'static str,
    most: usize,
    queue: Mutex<Queue>,
    /// Something is to be done, or nothing will be.
    called: Condvar,
    /// Something was done.
    rested: Condvar,
}

impl Pool {
    /// One of at most so many threads, which have that name.
    pub(super) fn new(name: &'static str, most: usize) -> Arc<Self> {
        Arc::new(Self {
            name,
            most,
            queue: Mutex::default(),
            called: Condvar::new(),
            rested: Condvar::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has it done, sooner or later; false if no thread is to be had for it.
    pub(super) fn add(self: &Arc<Self>, work: Work) -> bool {
        let mut queue = self.lock();
        if queue.over {
            return false;
        }
        queue.waiting.push_back(work);
        if queue.idle >= queue.waiting.len() {
            self.called.notify_one();
            return true;
        }
        if queue.threads < self.most {
            let pool = Arc::clone(self);
            let thread = Builder::new().name(self.name.to_owned());
            // For what is on it, a fraction of the usual stack is enough.
            let started = thread.stack_size(1 << 20).spawn(move || pool.work());
            match started {
                Ok(_) => queue.threads += 1,
                Err(_) if queue.threads == 0 => {
                    queue.waiting.pop_back();
                    return false;
                }
                // Others come to it.
                Err(_) => {}
            }
        }
        true
    }

    fn work(&self) {
        let mut queue = self.lock();
        loop {
            if let Some(work) = queue.waiting.pop_front() {
                queue.busy += 1;
                drop(queue);
                // Nobody waits for ever for what panics.
                let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
                queue = self.lock();
                queue.busy -= 1;
                queue.done += 1;
                self.rested.notify_all();
                continue;
            }
            if queue.over {
                queue.threads -= 1;
                self.rested.notify_all();
                return;
            }
            queue.idle += 1;
            queue = self
                .called
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
            queue.idle -= 1;
        }
    }

    /// Waits until all is done, as long as something is within `patience`, `most` at all, and nobody wants it to end; how
    /// much is left.
    pub(super) fn finish(
        &self,
        patience: Duration,
        most: Duration,
        is_over: &dyn Fn() -> bool,
    ) -> usize {
        const GLANCE: Duration = Duration::from_millis(50);
        let began = Instant::now();
        let mut queue = self.lock();
        let (mut seen, mut last) = (queue.done, Instant::now());
        while queue.busy + queue.waiting.len() > 0 {
            if queue.done != seen {
                (seen, last) = (queue.done, Instant::now());
            }
            if last.elapsed() >= patience || began.elapsed() >= most || is_over() {
                break;
            }
            let waited = self.rested.wait_timeout(queue, GLANCE);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        queue.over = true;
        let left = queue.busy + queue.waiting.len();
        queue.waiting.clear();
        self.called.notify_all();
        left
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn all_is_done_by_few_and_what_panics_harms_nobody() {
        let pool = Pool::new("test", 3);
        let done = Arc::new(AtomicUsize::new(0));
        for n in 0..100 {
            let done = Arc::clone(&done);
            assert!(pool.add(Box::new(move || {
                assert!(n % 10 != 0, "one of those that panic");
                done.fetch_add(1, Ordering::Relaxed);
            })));
        }
        let long = Duration::from_mins(1);
        assert_eq!(pool.finish(long, long, &|| false), 0);
        assert_eq!(done.load(Ordering::Relaxed), 90);
        assert!(!pool.add(Box::new(|| ())), "it is over");
    }

    #[test]
    fn what_does_not_end_is_left() {
        let pool = Pool::new("test", 1);
        let (end, ended) = mpsc::channel::<()>();
        pool.add(Box::new(move || {
            let _ = ended.recv();
        }));
        pool.add(Box::new(|| ()));
        let long = Duration::from_mins(1);
        let left = pool.finish(Duration::from_millis(20), long, &|| false);
        assert_eq!(left, 2);
        drop(end);
        let pool = Pool::new("test", 1);
        let (end, ended) = mpsc::channel::<()>();
        pool.add(Box::new(move || {
            let _ = ended.recv();
        }));
        assert_eq!(pool.finish(long, long, &|| true), 1);
        drop(end);
    }
}
