//! Signals: the child is ended, and the measurement with it.

use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::failure::{Failure, Fallible, on};

static SIGNAL: AtomicI32 = AtomicI32::new(0);
static CHILD: AtomicI32 = AtomicI32::new(0);

/// How long a child has to end itself.
const GRACE: Duration = Duration::from_secs(5);

/// Watches for signals from now on.
pub fn watch() -> Fallible<()> {
    let here = std::path::Path::new("signals");
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).map_err(on("watch", here))?;
    std::thread::spawn(move || {
        for signal in signals.forever() {
            SIGNAL.store(signal, Ordering::SeqCst);
            kill(Signal::TERM);
            std::thread::spawn(|| {
                std::thread::sleep(GRACE);
                kill(Signal::KILL);
            });
        }
    });
    Ok(())
}

/// An error once a signal came.
pub fn check() -> Fallible<()> {
    match SIGNAL.load(Ordering::SeqCst) {
        0 => Ok(()),
        signal => Err(Failure::Interrupted(signal)),
    }
}

/// Names the child whose process group ends with us; 0 for none.
pub fn child(id: u32) {
    CHILD.store(i32::try_from(id).unwrap_or(0), Ordering::SeqCst);
    if SIGNAL.load(Ordering::SeqCst) != 0 {
        kill(Signal::TERM);
    }
}

fn kill(signal: Signal) {
    if let Some(group) = Pid::from_raw(CHILD.load(Ordering::SeqCst)) {
        let _ = kill_process_group(group, signal);
    }
}
