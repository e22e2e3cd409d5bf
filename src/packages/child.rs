//! Runs one program of Nix to its end: lines as they come, and a way to stop it.

use std::io::{self, BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// How often the stop flag is looked at.
const TICK: Duration = Duration::from_millis(50);
/// How long after the child's end its output is still waited for: a helper that it left behind
/// (an ssh connection kept open) may hold the pipe for hours.
const LINGER: Duration = Duration::from_millis(500);
/// How long a child that was asked to stop has to do so.
const GRACE: Duration = Duration::from_secs(10);

/// What a child left.
pub(super) struct Ended {
    /// How it ended.
    pub status: ExitStatus,
    /// Its whole standard output.
    pub answer: Vec<u8>,
    /// Whether it was stopped because the flag was set.
    pub stopped: bool,
}

enum Event {
    Line(String),
    Answer(Vec<u8>),
    Closed,
}

/// Runs `command` with no input, gives each line of its standard error to `line`, and ends it when
/// `stop` is set. The child stays in this process's group, so that a Ctrl-C in the terminal
/// reaches it directly.
pub(super) fn run(
    command: &mut Command,
    stop: &AtomicBool,
    line: &mut dyn FnMut(&str),
) -> io::Result<Ended> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let (sender, events) = channel();
    if let Some(stdout) = child.stdout.take() {
        let sender = sender.clone();
        thread::spawn(move || read_answer(stdout, &sender));
    }
    if let Some(stderr) = child.stderr.take() {
        thread::spawn(move || read_lines(stderr, &sender));
    }
    let ended = follow(&mut child, &events, stop, line);
    if ended.is_err() {
        let _ = child.kill();
        let _ = child.wait();
    }
    ended
}

fn read_answer(mut from: impl Read, to: &Sender<Event>) {
    let mut bytes = Vec::new();
    // What was read before an error is still worth having; the status says the rest.
    let _ = from.read_to_end(&mut bytes);
    let _ = to.send(Event::Answer(bytes));
    let _ = to.send(Event::Closed);
}

fn read_lines(from: impl Read, to: &Sender<Event>) {
    let mut from = BufReader::new(from);
    let mut bytes = Vec::new();
    while matches!(from.read_until(b'\n', &mut bytes), Ok(n) if n > 0) {
        let text = String::from_utf8_lossy(&bytes);
        let _ = to.send(Event::Line(text.trim_end_matches(['\n', '\r']).to_owned()));
        bytes.clear();
    }
    let _ = to.send(Event::Closed);
}

fn follow(
    child: &mut Child,
    events: &Receiver<Event>,
    stop: &AtomicBool,
    line: &mut dyn FnMut(&str),
) -> io::Result<Ended> {
    let mut answer = Vec::new();
    let mut open = 2;
    let mut exited: Option<(ExitStatus, Instant)> = None;
    let mut asked: Option<Instant> = None;
    let mut killed = false;
    while open > 0 {
        match events.recv_timeout(TICK) {
            Ok(Event::Line(text)) => line(&text),
            Ok(Event::Answer(bytes)) => answer = bytes,
            Ok(Event::Closed) => open -= 1,
            Err(RecvTimeoutError::Timeout) => {
                if exited.is_none() {
                    exited = child.try_wait()?.map(|status| (status, Instant::now()));
                }
                if exited.is_some_and(|(_, at)| at.elapsed() > LINGER) {
                    break;
                }
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if exited.is_some() {
            continue;
        }
        match asked {
            None if stop.load(Ordering::Relaxed) => {
                ask_to_stop(child);
                asked = Some(Instant::now());
            }
            Some(at) if at.elapsed() > GRACE && !killed => {
                child.kill()?;
                killed = true;
            }
            _ => {}
        }
    }
    let status = match exited {
        Some((status, _)) => status,
        None => child.wait()?,
    };
    Ok(Ended {
        status,
        answer,
        stopped: asked.is_some() || !status.success() && stop.load(Ordering::Relaxed),
    })
}

/// Nix ends its builders and cleans up on SIGTERM; SIGKILL would leave both.
fn ask_to_stop(child: &Child) {
    let pid = i32::try_from(child.id())
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        // One that is stopped would not hear it.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::CONT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, stop: &AtomicBool) -> (Ended, Vec<String>) {
        let mut lines = Vec::new();
        let mut command = Command::new("/bin/sh");
        let ended = run(command.args(["-c", script]), stop, &mut |line| {
            lines.push(line.to_owned());
        });
        (ended.unwrap(), lines)
    }

    #[test]
    fn lines_and_answer() {
        let (ended, lines) = sh("echo a >&2; echo out; printf b >&2; exit 3", &false.into());
        assert_eq!(lines, ["a", "b"]);
        assert_eq!(ended.answer, b"out\n");
        assert_eq!(ended.status.code(), Some(3));
        assert!(!ended.stopped);
    }

    #[test]
    fn stopped_by_the_flag() {
        let stop = AtomicBool::new(true);
        let start = Instant::now();
        let (ended, _) = sh("exec sleep 60", &stop);
        assert!(ended.stopped && !ended.status.success());
        assert!(start.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn one_that_is_stopped_is_stopped_by_the_flag_too() {
        let stop = AtomicBool::new(true);
        let start = Instant::now();
        let (ended, _) = sh("kill -STOP $$; exec sleep 60", &stop);
        assert!(ended.stopped && start.elapsed() < GRACE);
    }

    #[test]
    fn a_helper_left_behind_holds_nothing_up() {
        let start = Instant::now();
        let (ended, lines) = sh("sleep 20 & echo a >&2", &false.into());
        assert!(ended.status.success());
        assert_eq!(lines, ["a"]);
        assert!(start.elapsed() < Duration::from_secs(10));
    }
}
