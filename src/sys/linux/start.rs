//! What this process was started with, before anything in it had its turn.
//!
//! Where standard output is closed, Rust's runtime opens `/dev/null` in its place, for reading and
//! writing. So do those who start a program and want none of its words (node does), and nothing
//! tells the one from the other any more when `main` begins.

use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::{Errno, fcntl_getfd};

static NO_OUTPUT: AtomicBool = AtomicBool::new(false);
static NO_ERROR: AtomicBool = AtomicBool::new(false);

/// Called by the C library before the runtime.
#[allow(unsafe_code)]
// SAFETY: in that section stand functions that take what `main` of C takes, or less. This one uses
// nothing that would have to be set up before.
#[unsafe(link_section = ".init_array")]
#[used]
static LOOK: extern "C" fn() = look;

extern "C" fn look() {
    let closed = |fd: BorrowedFd| fcntl_getfd(fd) == Err(Errno::BADF);
    NO_OUTPUT.store(closed(rustix::stdio::stdout()), Ordering::Relaxed);
    NO_ERROR.store(closed(rustix::stdio::stderr()), Ordering::Relaxed);
}

pub(crate) fn had_output() -> bool {
    !NO_OUTPUT.load(Ordering::Relaxed)
}

pub(crate) fn had_error() -> bool {
    !NO_ERROR.load(Ordering::Relaxed)
}
