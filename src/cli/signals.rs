//! Signals that ask for an end become messages of the engine's loop.
//!
//! How this process was started decides little about it: whoever blocks signals, or ignores the
//! death of children, has reasons that are not those of this program.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::mpsc::SyncSender;

use nix::sys::signal::SigSet;
use signal_hook::consts::{SIGCHLD, SIGTERM};
use signal_hook::iterator::Signals;

use super::error::Failure;
use crate::engine::Message;
use crate::sys::{self, Ignored};

/// How often the user has to ask until the program ends without asking anyone else.
const PATIENCE: i32 = 3;

/// What came in so far.
#[derive(Debug, Clone, Default)]
pub struct Inbox {
    first: Arc<AtomicI32>,
    /// Set with the first signal: for what is no task.
    pub stop: Arc<AtomicBool>,
}

impl Inbox {
    /// The first signal, if there was one.
    pub fn signal(&self) -> Option<i32> {
        match self.first.load(Ordering::Relaxed) {
            0 => None,
            signal => Some(signal),
        }
    }
}

/// Undoes what the process was started with. To be called before there are other threads.
pub fn settle() {
    // Neither fails but for a wrong argument.
    let _ = SigSet::empty().thread_set_mask();
    // Where it is ignored, nobody is told how a child ended. What does nothing is as good as the
    // default, but for the time that it takes.
    if Ignored::now().has(SIGCHLD) != Some(false) {
        let _ = signal_hook::flag::register(SIGCHLD, Arc::default());
    }
}

/// From now on all signals that would end the program go to `engine` and the inbox.
pub fn listen(engine: SyncSender<Message>) -> Result<Inbox, Failure> {
    let inbox = Inbox::default();
    // Who starts the program by nohup wants it to survive the terminal, and a shell that starts it
    // in the background, what is meant for others. Neither is an end that nobody can ask for.
    let ignored = Ignored::now();
    let wanted = sys::ending_signals()
        .into_iter()
        .filter(|signal| *signal == SIGTERM || ignored.has(*signal) != Some(true));
    let mut signals = Signals::new(wanted)
        .map_err(|error| Failure::usage(format!("cannot listen to signals: {error}")))?;
    let own = inbox.clone();
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            for (count, signal) in (1..).zip(signals.forever()) {
                let _ = own
                    .first
                    .compare_exchange(0, signal, Ordering::Relaxed, Ordering::Relaxed);
                own.stop.store(true, Ordering::Relaxed);
                let heard = engine.try_send(Message::Signal(signal)).is_ok();
                if count >= PATIENCE || (count > 1 && !heard) {
                    std::process::exit(128 + signal);
                }
            }
        })
        .map_err(|error| Failure::usage(format!("cannot listen to signals: {error}")))?;
    Ok(inbox)
}
