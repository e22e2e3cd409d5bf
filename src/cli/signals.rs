//! Signals that ask for an end become messages of the engine's loop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::mpsc::SyncSender;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::error::Failure;
use crate::engine::Message;
use crate::sys;

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

/// From now on interrupts, hang-ups and requests to terminate go to `engine` and the inbox.
pub fn listen(engine: SyncSender<Message>) -> Result<Inbox, Failure> {
    let inbox = Inbox::default();
    // Who starts the program by nohup wants it to survive the terminal.
    let wanted = [SIGINT, SIGTERM, SIGHUP]
        .into_iter()
        .filter(|signal| !sys::is_ignored(*signal));
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
