//! How children ended, and what a shell would have made of it.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use rustix::process::Signal;

use super::Groups;
use crate::sys::Usage;

/// How a child ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Its exit status or signal.
    pub status: ExitStatus,
    /// Why it was made to end, if it was.
    pub cut: Option<StopReason>,
    /// The child's process groups in which something outlives it, if there are any.
    pub left: Option<Groups>,
    /// What it took, where that is known: of what a warm shell runs it is not.
    pub used: Usage,
}

impl Ended {
    /// Success without a child.
    pub(crate) fn at_once() -> Self {
        Self {
            status: ExitStatus::default(),
            cut: None,
            left: None,
            used: Usage::default(),
        }
    }

    /// What a shell would make of the ends of its children, the members of a pipeline: it tells of
    /// a death by a signal, and exits with 128 more than the signal's number.
    #[must_use]
    pub(crate) fn of_a_shell(
        self,
        members: &[ExitStatus],
        semantics: ExitSemantics,
        mut tell: impl FnMut(&str),
    ) -> Self {
        let failed = members.iter().rev().find(|status| !status.success());
        let last = members.last().copied().unwrap_or_default();
        let counts = *failed.filter(|_| semantics.pipefail).unwrap_or(&last);
        match semantics.tells {
            SignalMessages::Each => {
                let deaths = members.iter().copied().filter_map(death);
                deaths.for_each(|words| tell(&words));
            }
            SignalMessages::WhatCounts => {
                death(counts).into_iter().for_each(|words| tell(&words));
            }
            SignalMessages::Nothing => {}
        }
        let status = match counts.signal() {
            Some(signal) => ExitStatus::from_raw((128 + signal) << 8),
            None => counts,
        };
        Self { status, ..self }
    }
}

/// How a shell treats the members of a pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ExitSemantics {
    /// Whether the last one that failed counts, and not the last one.
    pub pipefail: bool,
    /// Whose deaths it tells of.
    pub tells: SignalMessages,
}

/// Whose deaths by a signal a shell tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignalMessages {
    /// Every member's.
    Each,
    /// That of the one that counts.
    WhatCounts,
    /// Nobody's.
    Nothing,
}

/// How shells tell of a child's death, as a line; not of those that a user causes.
fn death(status: ExitStatus) -> Option<String> {
    let words = words_for(status.signal()?)?;
    let core = if status.core_dumped() {
        " (core dumped)"
    } else {
        ""
    };
    Some(format!("{words}{core}\n"))
}

fn words_for(signal: i32) -> Option<&'static str> {
    Some(match Signal::from_named_raw(signal)? {
        Signal::HUP => "Hangup",
        Signal::QUIT => "Quit",
        Signal::ILL => "Illegal instruction",
        Signal::TRAP => "Trace/breakpoint trap",
        Signal::ABORT => "Aborted",
        Signal::BUS => "Bus error",
        Signal::FPE => "Floating point exception",
        Signal::KILL => "Killed",
        Signal::USR1 => "User defined signal 1",
        Signal::SEGV => "Segmentation fault",
        Signal::USR2 => "User defined signal 2",
        Signal::ALARM => "Alarm clock",
        Signal::TERM => "Terminated",
        Signal::XCPU => "CPU time limit exceeded",
        Signal::XFSZ => "File size limit exceeded",
        Signal::SYS => "Bad system call",
        _ => return None,
    })
}

/// Why a child was made to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopReason {
    /// Its time was over.
    Timeout,
    /// [`Handle::end`](super::Handle::end) was called.
    Asked,
}

/// The ending in words: `exit status 3`, `killed by SIGTERM`.
pub(crate) fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("killed by {}", crate::sys::signal_name(signal)),
        (None, None) => status.to_string(),
    }
}
