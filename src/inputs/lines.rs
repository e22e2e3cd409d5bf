//! Lines that a command writes.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::rows::digits;
use crate::model::name::FileName;
use crate::model::param;
use crate::process::{OF_SSH, describe};
use crate::text::quoted;

/// Longest time that a command has.
pub(super) const LIMIT: Duration = Duration::from_mins(1);
/// How often the clock and the stop flag are looked at.
const TICK: Duration = Duration::from_millis(20);
/// How long after the command's end its output is still waited for, which something that it left
/// behind may hold open.
const LINGER: Duration = Duration::from_millis(500);
/// Bytes of its output; a device has no end.
const MOST: u64 = 256 << 20;
/// Bytes of a line that can be a file's name; of longer ones a hash is.
const NAME: usize = 100;
/// Bytes of standard error that are shown.
const SHOWN: usize = 2000;

/// Why a command gives no entries.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadLines {
    /// It could not be started.
    #[error("cannot start sh: {0}")]
    Start(io::Error),
    /// It failed; how, and what it wrote on standard error.
    #[error("the command of `lines` failed: {0}{1}")]
    Failed(String, String),
    /// It took too long.
    #[error("the command of `lines` has not ended after {0} s{1}")]
    Slow(u64, String),
    /// It wrote too much.
    #[error("the command of `lines` wrote more than {} MiB", MOST >> 20)]
    Much,
    /// A line is no text; its number.
    #[error("line {0} of what it wrote is no UTF-8 text")]
    NoText(usize),
    /// Two lines are equal; their numbers.
    #[error("lines {0} and {1} of what it wrote are the same: {what}", what = quoted(.2))]
    Twice(usize, usize, String),
    /// The run is to end.
    #[error("interrupted")]
    Interrupted,
}

impl BadLines {
    /// What to do about it.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::Start(_) => "check that there is a program `sh` on PATH",
            Self::Failed(..) => "try it by hand, in the manifest's folder: it is run by `sh -e -c`",
            Self::Slow(..) => "let it say what there is, and a step do what takes time",
            Self::Much | Self::NoText(_) => "let it write a short name for each entry",
            Self::Twice(..) => "each line is an entry of its own: add `| sort -u`",
            Self::Interrupted => "run again",
        }
    }
}

/// A line: what it says, and the file name that it has as an input.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub text: String,
    pub name: String,
}

/// What a command says that ends well.
pub(super) struct Told {
    pub lines: Vec<Line>,
    /// The end of what it said on standard error.
    pub words: String,
}

/// Where a command runs, and with what.
pub(super) struct Place<'a> {
    /// Where it starts.
    pub folder: &'a Path,
    /// The run's own folder, if there is a run: a later run ends what has its `TMPDIR` there, should this one be
    /// killed.
    pub temporary: Option<&'a Path>,
    /// Where it finds programs before those of the host's PATH.
    pub programs: &'a [String],
    /// The pipeline's parameters; it has those that it mentions.
    pub params: &'a [(&'a str, &'a str)],
}

/// The lines that `command` writes.
pub(super) fn of(command: &str, place: &Place, stop: &AtomicBool) -> Result<Told, BadLines> {
    let (output, words) = run(command, place, stop, LIMIT)?;
    Ok(Told {
        lines: split(&output)?,
        words,
    })
}

/// Empty lines are passed over.
fn split(output: &[u8]) -> Result<Vec<Line>, BadLines> {
    let mut lines = Vec::new();
    let mut first: HashMap<&str, usize> = HashMap::new();
    for (number, line) in output.split(|b| *b == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            continue;
        }
        let text = str::from_utf8(line)
            .ok()
            .filter(|text| !text.contains('\0'));
        let text = text.ok_or(BadLines::NoText(number + 1))?;
        if let Some(other) = first.insert(text, number + 1) {
            return Err(BadLines::Twice(other, number + 1, text.to_owned()));
        }
        let is_name = text.len() <= NAME && FileName::new(text).is_ok();
        lines.push(Line {
            text: text.to_owned(),
            name: if is_name {
                text.to_owned()
            } else {
                digits(text)
            },
        });
    }
    Ok(lines)
}

enum Heard {
    Output(Vec<u8>),
    Error(Vec<u8>),
}

fn run(
    command: &str,
    place: &Place,
    stop: &AtomicBool,
    limit: Duration,
) -> Result<(Vec<u8>, String), BadLines> {
    let mut shell = Command::new("sh");
    for variable in OF_SSH {
        shell.env_remove(variable);
    }
    // Of the others some may be too long for a program's environment.
    let params = place.params.iter();
    shell.envs(
        params
            .map(|(name, value)| (param::variable(name), value))
            .filter(|(name, _)| param::is_mentioned(command, name)),
    );
    if let Some(temporary) = place.temporary {
        let own = temporary.join("lines");
        fs::create_dir_all(&own).map_err(BadLines::Start)?;
        shell.env("TMPDIR", own);
    }
    if !place.programs.is_empty() {
        let mut path = OsString::from(place.programs.join(":"));
        if let Some(host) = std::env::var_os("PATH") {
            path.push(":");
            path.push(host);
        }
        shell.env("PATH", path);
    }
    let mut child = shell
        .args(["-e", "-c", command])
        .current_dir(place.folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(BadLines::Start)?;
    let (sender, heard) = channel();
    listen(child.stdout.take(), sender.clone(), Heard::Output);
    listen(child.stderr.take(), sender, Heard::Error);
    let ended = follow(&mut child, &heard, stop, limit);
    // What it left behind has no more to say.
    kill_group(&child);
    if ended.is_err() {
        let _ = child.kill();
        let _ = child.wait();
    }
    ended
}

fn listen(from: Option<impl Read + Send + 'static>, to: Sender<Heard>, what: fn(Vec<u8>) -> Heard) {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(from) = from {
            // What was read before an error is worth having; the status says the rest.
            let _ = from.take(MOST + 1).read_to_end(&mut bytes);
        }
        let _ = to.send(what(bytes));
    });
}

fn follow(
    child: &mut Child,
    heard: &Receiver<Heard>,
    stop: &AtomicBool,
    limit: Duration,
) -> Result<(Vec<u8>, String), BadLines> {
    let began = Instant::now();
    let (mut output, mut error) = (None, None);
    let mut exited: Option<(ExitStatus, Instant)> = None;
    loop {
        match heard.recv_timeout(TICK) {
            Ok(Heard::Output(bytes)) if bytes.len() as u64 > MOST => return Err(BadLines::Much),
            Ok(Heard::Output(bytes)) => output = Some(bytes),
            Ok(Heard::Error(bytes)) => error = Some(bytes),
            Err(RecvTimeoutError::Timeout) => {}
            // Nothing more comes: it only has to end.
            Err(RecvTimeoutError::Disconnected) => thread::sleep(TICK),
        }
        let over = output.is_some() && error.is_some();
        if exited.is_none() {
            let status = child.try_wait().map_err(BadLines::Start)?;
            exited = status.map(|status| (status, Instant::now()));
        }
        match exited {
            Some((status, at)) if over || at.elapsed() > LINGER => {
                let words = tail(error.as_deref().unwrap_or_default());
                if !status.success() {
                    return Err(BadLines::Failed(describe(status), words));
                }
                // Held open by what it left behind, so that it is not known to be whole.
                let Some(output) = output else {
                    let how = "something that it left behind holds its output open";
                    return Err(BadLines::Failed(how.to_owned(), words));
                };
                return Ok((output, words));
            }
            None if stop.load(Ordering::Relaxed) => return Err(BadLines::Interrupted),
            None if began.elapsed() > limit => {
                // With its end comes what it said on standard error.
                kill_group(child);
                let last = heard.iter().find_map(|heard| match heard {
                    Heard::Error(bytes) => Some(bytes),
                    Heard::Output(_) => None,
                });
                return Err(BadLines::Slow(
                    limit.as_secs(),
                    tail(&error.or(last).unwrap_or_default()),
                ));
            }
            Some(_) | None => {}
        }
    }
}

fn kill_group(child: &Child) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(pid, Signal::KILL);
    }
}

/// The last lines of standard error, each on one of its own.
fn tail(error: &[u8]) -> String {
    let text = String::from_utf8_lossy(&error[error.len().saturating_sub(SHOWN)..]);
    let text = text.trim_end();
    if text.is_empty() {
        return String::new();
    }
    let lines = text
        .lines()
        .map(|line| format!("\n{}", crate::text::visible(line)));
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> Place<'static> {
        Place {
            folder: Path::new("/"),
            temporary: None,
            programs: &[],
            params: &[("one", "1"), ("other", "2")],
        }
    }

    fn run_here(command: &str, limit: Duration) -> Result<Vec<u8>, BadLines> {
        let never = AtomicBool::new(false);
        run(command, &root(), &never, limit).map(|(output, _)| output)
    }

    fn said(error: &BadLines) -> String {
        assert!(!error.hint().is_empty());
        error.to_string()
    }

    #[test]
    fn each_line_has_a_name() {
        let long = "x".repeat(101);
        let lines = split(format!("a\r\n\nb c\n/d\n{long}").as_bytes()).unwrap();
        let names: Vec<&str> = lines.iter().map(|line| &*line.name).collect();
        assert_eq!(names, ["a", "b c", &digits("/d"), &digits(&long)]);
        assert_eq!(lines[2].text, "/d");
        assert_eq!(
            said(&split(b"a\nb\na\n").unwrap_err()),
            "lines 1 and 3 of what it wrote are the same: `a`"
        );
        let words = "line 2 of what it wrote is no UTF-8 text";
        assert_eq!(said(&split(b"a\n\xff\n").unwrap_err()), words);
        assert_eq!(split(b"").unwrap(), []);
    }

    #[test]
    fn what_it_writes_and_how_it_ends() {
        assert_eq!(run_here("echo a; pwd", LIMIT).unwrap(), b"a\n/\n");
        let failed = said(&run_here("echo a; echo no >&2; exit 3", LIMIT).unwrap_err());
        assert!(
            failed.starts_with("the command of `lines` failed: ") && failed.ends_with("3\nno"),
            "{failed}"
        );
        assert_eq!(
            run_here("echo $PARAM_one; env | grep -c ^PARAM_", LIMIT).unwrap(),
            b"1\n1\n"
        );
        assert!(run_here("false; echo a", LIMIT).is_err(), "-e");
        assert!(run_here("kill -9 $$", LIMIT).is_err());
    }

    #[test]
    fn one_that_hangs_is_ended_with_all_that_it_started() {
        let began = Instant::now();
        let slow = run_here("echo waiting >&2; sleep 600 & sleep 600", TICK).unwrap_err();
        assert_eq!(
            said(&slow),
            "the command of `lines` has not ended after 0 s\nwaiting"
        );
        let left = run_here("echo a; sleep 600 >/dev/null 2>&1 &", LIMIT).unwrap();
        assert_eq!(left, b"a\n");
        assert!(
            run_here("sleep 600 &", LIMIT).is_err(),
            "it holds the output open"
        );
        let stopped = run("sleep 600", &root(), &AtomicBool::new(true), LIMIT);
        assert!(matches!(stopped, Err(BadLines::Interrupted)));
        assert!(began.elapsed() < LIMIT);
    }
}
