//! The end of a child, with what it took.

use std::io;
use std::mem::MaybeUninit;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::Pid;

/// What processes took, as far as is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// The time that CPUs worked for them.
    pub cpu: Option<Duration>,
    /// The most memory that one of them had at a time, in bytes. A process begins as a copy of this one, and
    /// that counts.
    pub peak: Option<u64>,
}

/// How a line of it begins.
const USED: &str = "used";

impl Usage {
    /// Adds what others took that ran beside these: the time of all, and the larger peak, as they need not have
    /// been at one time.
    pub(crate) fn add(&mut self, others: Self) {
        self.cpu = match self.cpu {
            Some(time) => Some(time + others.cpu.unwrap_or_default()),
            None => others.cpu,
        };
        self.peak = self.peak.max(others.peak);
    }

    /// As a line that [`Self::of_line`] reads.
    pub(crate) fn to_line(self) -> String {
        let cpu = self.cpu.unwrap_or_default().as_micros();
        format!("{USED} {cpu} {}\n", self.peak.unwrap_or_default())
    }

    /// What such a line says, without its end; none if it is another.
    pub(crate) fn of_line(line: &[u8]) -> Option<Self> {
        let line = str::from_utf8(line).ok()?.strip_prefix(USED)?;
        let (cpu, peak) = line.strip_prefix(' ')?.split_once(' ')?;
        Some(Self {
            cpu: Some(Duration::from_micros(cpu.parse().ok()?)),
            peak: Some(peak.parse().ok()?),
        })
    }
}

/// Waits for the end of a child, and says what it and those took that it has waited for: one call, as waiting
/// alone would be.
pub(crate) fn wait(child: Pid) -> io::Result<(ExitStatus, Usage)> {
    loop {
        match wait_once(child) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

#[allow(unsafe_code)]
fn wait_once(child: Pid) -> io::Result<(ExitStatus, Usage)> {
    let mut status = 0;
    let mut taken = MaybeUninit::<libc::rusage>::zeroed();
    let pid = child.as_raw_nonzero().get();
    // SAFETY: both places are ours, live as long as the call, and are of the types that it writes.
    let waited = unsafe { libc::wait4(pid, &raw mut status, 0, taken.as_mut_ptr()) };
    if waited == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: all of it is integers, which were zero, and the call has succeeded.
    let taken = unsafe { taken.assume_init() };
    let micros = |time: libc::timeval| {
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        seconds * 1_000_000 + u64::try_from(time.tv_usec).unwrap_or(0)
    };
    // macOS says bytes, the others KiB.
    let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
    let peak = u64::try_from(taken.ru_maxrss).unwrap_or(0);
    let usage = Usage {
        cpu: Some(Duration::from_micros(
            micros(taken.ru_utime) + micros(taken.ru_stime),
        )),
        peak: Some(peak.saturating_mul(unit)),
    };
    Ok((ExitStatus::from_raw(status), usage))
}
