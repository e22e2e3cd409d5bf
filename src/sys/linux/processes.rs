//! Processes of other programs, by what `/proc` tells of them.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal};

use super::super::Marks;

/// By a pidfd (Linux 5.3), or by its number.
#[derive(Debug)]
pub(crate) struct Process {
    pid: Pid,
    fd: Option<OwnedFd>,
    started: u64,
    /// Its session, if nobody else is in it.
    session: Option<i32>,
}

impl Process {
    pub(crate) fn id(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // A failure means that it is gone, or another user's.
        let _ = match &self.fd {
            Some(fd) => rustix::process::pidfd_send_signal(fd, signal),
            None => rustix::process::kill_process(self.pid, signal),
        };
    }

    pub(crate) fn is_alive(&self) -> bool {
        Stat::of(self.id()).is_some_and(|stat| stat.is_alive && stat.started == self.started)
    }

    /// The process, if it is the one that was looked at.
    fn hold(seen: &Stat, session: Option<i32>) -> Option<Self> {
        let pid = Pid::from_raw(seen.pid)?;
        let held = Self {
            pid,
            fd: rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok(),
            started: seen.started,
            session,
        };
        held.is_alive().then_some(held)
    }
}

pub(crate) fn wait_for_any(processes: &[&Process], patience: Duration) {
    let mut fds: Vec<PollFd> = processes
        .iter()
        .filter_map(|process| Some(PollFd::new(process.fd.as_ref()?, PollFlags::IN)))
        .collect();
    let patience = Timespec::try_from(patience).ok();
    // Whoever waits looks again anyway.
    let _ = poll(&mut fds, patience.as_ref());
}

/// What the kernel tells of a process.
#[derive(Debug)]
struct Stat {
    pid: i32,
    parent: i32,
    group: i32,
    session: i32,
    has_terminal: bool,
    is_alive: bool,
    /// Since the boot, in ticks.
    started: u64,
}

impl Stat {
    fn of(pid: i32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name is in parentheses, and may have some of its own.
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let number = |at: usize| fields.get(at)?.parse::<i32>().ok();
        Some(Self {
            pid,
            parent: number(1)?,
            group: number(2)?,
            session: number(3)?,
            has_terminal: number(4)? != 0,
            is_alive: match *fields.first()? {
                "X" => false,
                // Its first thread may be over before the others.
                "Z" => number(17)? > 1,
                _ => true,
            },
            started: fields.get(19)?.parse().ok()?,
        })
    }

    fn leads_session(&self) -> bool {
        self.pid == self.session
    }
}

/// Whether its group is no orphan, as far as its own line tells. The kernel asks the same before it
/// lets a signal of the terminal stop a process.
pub(crate) fn can_be_continued() -> bool {
    let mut own = Stat::of(own_pid());
    while let Some(stat) = own {
        let parent = Stat::of(stat.parent);
        match &parent {
            Some(parent) if parent.session == stat.session && parent.group != stat.group => {
                return true;
            }
            Some(parent) if parent.session == stat.session => {}
            _ => return false,
        }
        own = parent;
    }
    false
}

fn own_pid() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
}

pub(crate) fn marked(marks: &Marks, known: &[&Process]) -> Vec<Process> {
    let all = all();
    let spared = own_line(&all);
    let suspects: Vec<&Stat> = all
        .values()
        .filter(|stat| stat.is_alive && !stat.has_terminal && !spared.contains(&stat.pid))
        .collect();
    let is_marked = |stat: &Stat| {
        (has_variable(stat.pid, marks) || has_pipe(stat.pid, marks)) && !is_starting(stat)
    };
    let marked: HashSet<i32> = suspects
        .iter()
        .filter(|stat| is_marked(stat))
        .map(|stat| stat.pid)
        .collect();
    // A task has a session of its own: what is in it without a mark has cast it off.
    let led = suspects.iter().filter(|stat| stat.leads_session());
    let led = led.map(|stat| stat.pid).filter(|pid| marked.contains(pid));
    let sessions: HashSet<i32> = led
        .chain(known.iter().filter_map(|process| process.session))
        .collect();
    let of_one = |stat: &Stat| Some(stat.session).filter(|session| sessions.contains(session));
    let is_new = |stat: &Stat| known.iter().all(|process| process.id() != stat.pid);
    suspects
        .iter()
        .filter(|stat| marked.contains(&stat.pid) || of_one(stat).is_some())
        .filter(|stat| is_new(stat))
        .filter_map(|stat| Process::hold(stat, of_one(stat)))
        .collect()
}

fn all() -> HashMap<i32, Stat> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter_map(|pid| Some((pid, Stat::of(pid)?))).collect()
}

/// This process, its parent, and so on.
fn own_line(all: &HashMap<i32, Stat>) -> HashSet<i32> {
    let mut line = HashSet::new();
    let mut next = own_pid();
    while line.insert(next)
        && let Some(stat) = all.get(&next)
    {
        next = stat.parent;
    }
    line
}

/// Whether another thread is just starting it: until then it has what this process has.
fn is_starting(stat: &Stat) -> bool {
    let program = |pid: i32| fs::read_link(format!("/proc/{pid}/exe")).ok();
    stat.parent == own_pid() && program(stat.pid) == program(own_pid())
}

/// Whether it was started with a variable that names something in one of the folders.
fn has_variable(pid: i32, marks: &Marks) -> bool {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|variable| {
        marks
            .variables
            .iter()
            .filter_map(|name| variable.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
            .any(|value| is_in(Path::new(std::ffi::OsStr::from_bytes(value)), marks))
    })
}

/// Whether the path leads through one of the folders. A folder has many paths, and a copy of it may
/// have the same name, so where the paths differ the folders themselves are compared.
fn is_in(path: &Path, marks: &Marks) -> bool {
    path.ancestors().any(|part| {
        let name = part.file_name();
        let mut folders = marks.folders.iter();
        folders.any(|folder| part == folder || name == folder.file_name() && is_same(part, folder))
    })
}

fn is_same(one: &Path, other: &Path) -> bool {
    let place = |path: &Path| fs::symlink_metadata(path).map(|m| (m.dev(), m.ino()));
    matches!((place(one), place(other)), (Ok(one), Ok(other)) if one == other)
}

fn has_pipe(pid: i32, marks: &Marks) -> bool {
    if marks.pipes.is_empty() {
        return false;
    }
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter();
    entries.flatten().flatten().any(|entry| {
        let link = fs::read_link(entry.path()).unwrap_or_default();
        let pipe = link.to_str().and_then(|link| {
            let inode = link.strip_prefix("pipe:[")?.strip_suffix(']')?;
            inode.parse().ok()
        });
        pipe.is_some_and(|pipe| marks.pipes.contains(&pipe))
    })
}
