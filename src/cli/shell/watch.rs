//! The end of a command that somebody started by hand, by whatever signal.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;

use super::super::error::Failure;
use crate::sys::Ignored;

/// How long a command has to end that is asked to.
const GRACE: Duration = Duration::from_secs(2);
/// How often it is looked whether it has.
const LOOK: Duration = Duration::from_millis(10);

/// Hears signals from its making on.
pub(super) struct Watch {
    signals: Signals,
    /// The last that came; 0 for none.
    last: Arc<AtomicUsize>,
    /// Set with the first one.
    pub stop: Arc<AtomicBool>,
    /// Whether what runs shares a terminal with this process, from which it hears for itself.
    terminal: bool,
}

impl Watch {
    pub(super) fn new(terminal: bool) -> Result<Self, Failure> {
        let ignored = Ignored::now();
        let wanted = [SIGHUP, SIGINT, SIGQUIT, SIGTERM].into_iter();
        // Whoever starts it by nohup wants it to survive the terminal.
        let wanted = wanted.filter(|signal| ignored.has(*signal) != Some(true));
        let wanted: Vec<i32> = wanted.collect();
        let (last, stop) = (Arc::default(), Arc::default());
        let listen = || {
            for signal in &wanted {
                let number = usize::try_from(*signal).unwrap_or(0);
                flag::register_usize(*signal, Arc::clone(&last), number)?;
                flag::register(*signal, Arc::clone(&stop))?;
            }
            Signals::new(&wanted)
        };
        let signals = listen().map_err(|error| Failure::cannot("listen to signals", &error))?;
        Ok(Self {
            signals,
            last,
            stop,
            terminal,
        })
    }

    /// The last signal that came so far.
    pub(super) fn signal(&self) -> Option<i32> {
        let signal = i32::try_from(self.last.load(Ordering::Relaxed)).ok()?;
        (signal > 0).then_some(signal)
    }

    /// Runs it to its end, which comes soon after a signal. Without a terminal all ends with it that it
    /// started.
    pub(super) fn run(mut self, command: &mut Command) -> io::Result<ExitStatus> {
        if !self.terminal {
            command.process_group(0);
        }
        let mut child = command.spawn()?;
        let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let send = |signal: Signal| match id {
            // A failure means that it has ended.
            Some(id) if self.terminal => drop(kill_process(id, signal)),
            Some(id) => drop(kill_process_group(id, signal)),
            None => {}
        };
        let over = AtomicBool::new(false);
        let handle = self.signals.handle();
        let ended = thread::scope(|scope| {
            let signals = &mut self.signals;
            let terminal = self.terminal;
            let over = &over;
            scope.spawn(move || {
                for signal in signals.forever() {
                    if terminal && matches!(signal, SIGINT | SIGQUIT) {
                        continue;
                    }
                    // A shell that somebody talks to hears of no other end.
                    let signal = if terminal { SIGHUP } else { signal };
                    let named = Signal::from_named_raw(signal);
                    named.into_iter().chain([Signal::CONT]).for_each(send);
                    let asked = Instant::now();
                    while asked.elapsed() < GRACE && !over.load(Ordering::Relaxed) {
                        thread::sleep(LOOK);
                    }
                    if !over.load(Ordering::Relaxed) {
                        send(Signal::KILL);
                    }
                }
            });
            let ended = child.wait();
            over.store(true, Ordering::Relaxed);
            handle.close();
            ended
        });
        if let (false, Some(id)) = (self.terminal, id) {
            let _ = kill_process_group(id, Signal::KILL);
        }
        ended
    }
}
