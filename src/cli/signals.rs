//! Signals that ask for an end become messages of the engine's loop; one that stops the program stops
//! what runs, too.
//!
//! How this process was started decides little about it: whoever blocks signals, or ignores the
//! death of children, has reasons that are not those of this program.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use nix::sys::signal::SigSet;
use signal_hook::consts::{SIGCHLD, SIGSTOP, SIGTERM, SIGTSTP, SIGURG, SIGXFSZ};
use signal_hook::iterator::Signals;

use super::error::Failure;
use crate::exec::local::{Bell, Channel, Emergency, Message};
use crate::staged;
use crate::sys::{self, Ignored};

/// How often the user has to ask until the program ends without asking anyone else.
const PATIENCE: u32 = 3;
/// How long it has to do so in good order when that is over.
const RESPITE: Duration = Duration::from_secs(1);

/// What came in so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Inbox {
    first: Arc<AtomicI32>,
    /// Set with the first signal: for what is no task.
    pub stop: Arc<AtomicBool>,
}

impl Inbox {
    /// The first signal, if there was one.
    pub(super) fn signal(&self) -> Option<i32> {
        match self.first.load(Ordering::Relaxed) {
            0 => None,
            signal => Some(signal),
        }
    }
}

/// Undoes what the process was started with. To be called before there are other threads.
pub(super) fn settle() {
    // Neither fails but for a wrong argument.
    let _ = SigSet::empty().thread_set_mask();
    // Where it is ignored, nobody is told how a child ended. What does nothing is as good as the
    // default, but for the time that it takes.
    if Ignored::now().has(SIGCHLD) != Some(false) {
        let _ = signal_hook::flag::register(SIGCHLD, Arc::default());
    }
    // A write beyond the size that files may have fails, and that can be told.
    let _ = signal_hook::flag::register(SIGXFSZ, Arc::default());
}

/// From now on all signals that would end or stop the program go to the engine and the inbox.
pub(super) fn listen(channel: &Channel) -> Result<Inbox, Failure> {
    hear(channel, PATIENCE, RESPITE)
}

/// The same for who has nothing to bring to an end: the first one ends the program, and takes away
/// what is not complete.
pub(super) fn end_at_once() -> Result<Inbox, Failure> {
    hear(&Channel::default(), 1, Duration::ZERO)
}

fn hear(channel: &Channel, patience: u32, respite: Duration) -> Result<Inbox, Failure> {
    // Who starts the program by nohup wants it to survive the terminal, and a shell that starts it
    // in the background, what is meant for others. Neither is an end that nobody can ask for.
    let ignored = Ignored::now();
    let wanted = sys::ending_signals()
        .into_iter()
        .chain([SIGTSTP, SIGURG])
        .filter(|signal| *signal == SIGTERM || ignored.has(*signal) != Some(true));
    let cannot = |error| Failure::cannot("listen to signals", &error);
    let mut signals = Signals::new([0_i32; 0]).map_err(cannot)?;
    for signal in wanted {
        match signals.add_signal(signal) {
            // Taken by what the program runs in, as by valgrind the last one.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {}
            other => other.map_err(cannot)?,
        }
    }
    let inbox = Inbox::default();
    let mut ear = Ear {
        inbox: inbox.clone(),
        engine: channel.sender(),
        emergency: channel.emergency().clone(),
        bell: channel.bell(),
        count: 0,
        patience,
        respite,
    };
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            for signal in signals.forever() {
                match signal {
                    SIGTSTP => ear.stop(),
                    SIGURG => ear.bell.ring(),
                    signal => ear.end(signal),
                }
            }
        })
        .map_err(cannot)?;
    Ok(inbox)
}

/// What the thread that hears signals does about them.
struct Ear {
    inbox: Inbox,
    engine: SyncSender<Message>,
    emergency: Emergency,
    bell: Bell,
    count: u32,
    patience: u32,
    respite: Duration,
}

impl Ear {
    /// The program is to stop, and to go on later.
    fn stop(&self) {
        // Otherwise nobody would see that it is stopped, and have it go on.
        if sys::can_be_continued() {
            // A signal to its own thread is there before this returns.
            self.emergency
                .tasks()
                .halt_while(|| drop(signal_hook::low_level::raise(SIGSTOP)));
        }
    }

    /// The program is to end.
    fn end(&mut self, signal: i32) {
        let first = &self.inbox.first;
        let _ = first.compare_exchange(0, signal, Ordering::Relaxed, Ordering::Relaxed);
        self.inbox.stop.store(true, Ordering::Relaxed);
        self.count += 1;
        let heard = self.engine.try_send(Message::Signal(signal)).is_ok();
        if self.count >= self.patience || (self.count > 1 && !heard) {
            self.emergency.tasks().kill();
            std::thread::sleep(self.respite);
            self.emergency.clear();
            staged::discard();
            std::process::exit(128 + signal);
        }
    }
}
