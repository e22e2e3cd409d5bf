//! A command under observation, which has its time and its end as any other.

use std::io;
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use super::handle::Limit;
use super::{Handle, StopReason};
use crate::sys::{self, Sight, Used};

/// How often it is asked whether the command is to end: the thread that observes cannot be woken.
const LOOK: Duration = Duration::from_millis(20);

impl Handle {
    /// Runs a command to its end, in a process group of its own, and tells each use of a file by it and
    /// by what it starts. It is asked to end when its time is over or `stop` is set, and killed after
    /// the handle's grace. How it ended, and why it was made to, if it was.
    pub(crate) fn observe(
        &self,
        command: Command,
        time: Option<Duration>,
        stop: &AtomicBool,
        tell: &mut dyn FnMut(Used),
    ) -> io::Result<(ExitStatus, Option<StopReason>)> {
        let mut cut = None;
        let status = thread::scope(|scope| {
            let (ended, end) = mpsc::channel::<()>();
            let mut end = Some(end);
            let status = sys::observe(command, &mut |sight| match sight {
                Sight::Begins(leader) => {
                    self.lock().run(leader.into());
                    if let Some(end) = end.take() {
                        scope.spawn(move || self.limit(time, stop, &end));
                    }
                }
                Sight::Used(used) => tell(used),
                Sight::Ends => {
                    let why = self.lock().over();
                    cut = cut.or(why);
                }
            });
            drop(ended);
            status
        });
        Ok((status?, cut))
    }

    /// Ends what runs when it is time, until the other side of `end` is gone.
    fn limit(&self, time: Option<Duration>, stop: &AtomicBool, end: &Receiver<()>) {
        let mut limit = Limit::new(time, self);
        while matches!(end.recv_timeout(LOOK), Err(RecvTimeoutError::Timeout)) {
            if stop.load(Ordering::Relaxed) {
                limit.end(self);
            }
            limit.enforce(self);
        }
    }
}
