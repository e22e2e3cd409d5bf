//! The command that starts a worker: its start, its first words, its end.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;

use crate::process;
use crate::sys;
use crate::text::amount;
use crate::wire::frame;
use crate::wire::message::{Hello, ToOwner};

/// The most bytes of a command's last words.
const WORDS: u64 = 2000;
/// The same as a length.
const LENGTH: usize = 2000;

/// Of [`says_why_ended`]: its time was over.
pub(super) const TIME_IS_OVER: &str = "due to time limit";
/// A job of higher priority took its place.
pub(super) const PREEMPTED: &str = "due to preemption";

/// Hears a worker's first words.
pub(super) fn meet(from: &mut impl BufRead) -> Result<Hello, String> {
    let told = |error: frame::Error| match error {
        frame::Error::NoGreeting(last) if last.is_empty() => "it said nothing".to_owned(),
        frame::Error::NoGreeting(last) => format!("no worker answered, but: {last}"),
        frame::Error::Noise(first) => format!(
            "more than {} came before any worker's words, the first line: {first}; take that out of the profile of the shell \
             there, or print it to terminals alone",
            amount::bytes(frame::NOISE as u64)
        ),
        other @ (frame::Error::Io(_)
        | frame::Error::Protocol(_)
        | frame::Error::TooLong(_)
        | frame::Error::Message(_)) => other.to_string(),
    };
    frame::read_greeting(from).map_err(told)?;
    let said: Value = match frame::read(from).map_err(told)? {
        Some((said, _)) => said,
        None => return Err("it ended at once".to_owned()),
    };
    let own = env!("CARGO_PKG_VERSION");
    let version = &said["hello"]["version"];
    // Another one may say what else there is in other words.
    match version.as_str() {
        None => return Err("it did not say who it is".to_owned()),
        Some(version) if version != own => {
            return Err(format!(
                "the program there is version {version}, here it is {own}: install the same one on both"
            ));
        }
        Some(_) => {}
    }
    match serde_json::from_value(said) {
        Ok(ToOwner::Hello(hello)) => Ok(hello),
        Ok(_) => Err("it did not say who it is".to_owned()),
        Err(_) => Err(format!(
            "the program there says that it is version {own}, as here, and is another build of it: install the same one on both"
        )),
    }
}

/// The command, run by a process that goes through this door into a control group first.
pub(super) fn behind(door: &Path, command: Vec<OsString>) -> Vec<OsString> {
    let mut words: Vec<OsString> = ["/bin/sh", "-c", process::ENTER].map(Into::into).into();
    words.push(door.into());
    words.extend(command);
    words
}

/// Starts the command of a station.
pub(super) fn start(
    command: &[OsString],
    hidden: &BTreeSet<OsString>,
    words: &File,
) -> std::io::Result<Child> {
    let [program, arguments @ ..] = command else {
        return Err(std::io::ErrorKind::NotFound.into());
    };
    let _starting = sys::starting_a_child();
    let mut started = Command::new(program);
    for variable in hidden {
        started.env_remove(variable);
    }
    started
        .args(arguments)
        // Signals that come to this program's group are not for it.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(words.try_clone()?)
        .spawn()
}

/// Waits for the end of a command, which has a moment for it.
pub(super) fn end(child: &mut Child) -> Option<ExitStatus> {
    const MOMENT: Duration = Duration::from_secs(2);
    let due = Instant::now() + MOMENT;
    while Instant::now() < due {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(group, Signal::KILL);
    }
    child.wait().ok()
}

/// How a worker ended, with how its command did, and its last words: one line, as it is told within one.
pub(super) fn ended(why: &str, status: Option<ExitStatus>, words: File) -> String {
    let status = status.filter(|status| !status.success());
    let status = status.map_or_else(String::new, |status| {
        format!("; its command ended with {}", process::describe(status))
    });
    let last = last_words(words);
    let lines: Vec<&str> = last.lines().map(str::trim).collect();
    let last = lines[lines.len().saturating_sub(3)..].join("; ");
    let last = if last.is_empty() {
        last
    } else {
        format!(": {last}")
    };
    format!("{why}{status}{last}")
}

/// Why Slurm ended what a command that still runs waits for, where it says so: `due to time limit`.
pub(super) fn says_why_ended(words: &File) -> Option<String> {
    let length = words.metadata().map_or(0, |metadata| metadata.len());
    let mut last = [0; LENGTH];
    // Without a seek: it writes where this file is.
    let read = words.read_at(&mut last, length.saturating_sub(WORDS));
    let last = String::from_utf8_lossy(&last[..read.unwrap_or(0)]);
    why_ended(&last)
}

/// Of `slurmstepd: error: *** STEP 7.0 ON n1 CANCELLED AT 2026-05-04T03:02:01 DUE TO TIME LIMIT ***`; of
/// `slurmstepd-n1: error: StepId=7.0 exceeded memory limit (913809408 > 314572800), being killed`, and, where control
/// groups limit that, of `Detected 1 oom_kill event in StepId=7.0.`
fn why_ended(words: &str) -> Option<String> {
    let mut lines = words.lines().rev();
    lines.find_map(|line| {
        if line.contains(" exceeded memory limit (") || line.contains(" oom_kill event in ") {
            return Some("out of memory".to_owned());
        }
        let (before, rest) = line.split_once(" DUE TO ")?;
        let (cause, _) = rest.split_once(" ***")?;
        before
            .contains("CANCELLED")
            .then(|| format!("due to {}", cause.to_lowercase()))
    })
}

/// The end of what a command wrote.
fn last_words(mut words: File) -> String {
    let length = words.metadata().map_or(0, |metadata| metadata.len());
    let mut last = Vec::new();
    let read = words
        .seek(SeekFrom::Start(length.saturating_sub(WORDS)))
        .and_then(|_| words.read_to_end(&mut last));
    match read {
        Ok(_) => String::from_utf8_lossy(&last).trim().to_owned(),
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn slurm_says_why_it_ended_a_worker() {
        let of = |line: &str| why_ended(&format!("a\n{line}\nb"));
        for (cause, told) in [
            ("DUE TO TIME LIMIT ***", Some(TIME_IS_OVER)),
            ("DUE TO PREEMPTION ***", Some(PREEMPTED)),
            (
                "DUE TO NODE FAILURE, SEE SLURMCTLD LOG FOR DETAILS ***",
                Some("due to node failure, see slurmctld log for details"),
            ),
            ("***", None),
        ] {
            let line = "slurmstepd: error: *** STEP 7.0 ON n1 CANCELLED AT 2026-05-04T03:02:01";
            assert_eq!(of(&format!("{line} {cause}")).as_deref(), told);
        }
        assert_eq!(of("that is DUE TO ME ***"), None);
        for line in [
            "slurmstepd-n1: error: StepId=1.0 exceeded memory limit (913809408 > 314572800), being killed",
            "slurmstepd: error: Detected 1 oom_kill event in StepId=1.0. Some of the step tasks have been OOM Killed.",
        ] {
            assert_eq!(of(line).as_deref(), Some("out of memory"));
        }
    }

    #[test]
    fn versions_are_compared_before_all_else_that_a_worker_says() {
        let met = |said: &Value| {
            let mut bytes = frame::GREETING.as_bytes().to_owned();
            frame::write(&mut bytes, said, &[]).unwrap();
            meet(&mut &bytes[..]).map(|hello| hello.node)
        };
        let own = env!("CARGO_PKG_VERSION");
        let whole = json!({"hello": Hello {
            version: own.to_owned(),
            node: "n1".to_owned(),
            slots: 1,
            nix: false,
            gpus: 0,
            left: None,
        }});
        assert_eq!(met(&whole).unwrap(), "n1");
        for (said, words) in [
            (
                json!({"hello": {"version": "9.8.7", "name": "n1"}}),
                "is version 9.8.7, here it is",
            ),
            (
                json!({"hello": {"version": own, "name": "n1"}}),
                "is another build of it",
            ),
            (json!({"hello": "me"}), "did not say who it is"),
            (json!("ping"), "did not say who it is"),
        ] {
            let why = met(&said).unwrap_err();
            assert!(why.contains(words), "{said}: {why}");
        }
    }
}
