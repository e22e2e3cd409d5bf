//! One call of a contender: wall time, CPU time, memory.

use std::fs::{File, read_to_string};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::io::retry_on_intr;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid,
};
use wait4::Wait4;

use super::failure::{Fallible, on};
use super::interrupt;
use super::scratch::is_full;

/// What a call took.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sample {
    /// Seconds from start to end.
    pub wall: f64,
    /// Seconds of CPU, user and system, of the contender and all that it ran.
    pub cpu: f64,
    /// The peak of resident memory, in bytes, of the contender or the largest of what it ran.
    pub memory: u64,
}

/// How a call went.
#[derive(Debug)]
pub enum Call {
    /// Well.
    Done(Sample),
    /// It failed: how, with its last words.
    Failed(String),
}

/// The exit status of a program that SIGINT ended.
const INTERRUPTED: i32 = 130;
/// Between two questions whether it is enough.
const PAUSE: Duration = Duration::from_millis(100);

/// Runs `command`, what it says kept in the file `log`.
pub fn run(command: &mut Command, log: &Path) -> Fallible<Call> {
    run_with(command, log, &[0], &|_| Ok(()))
}

/// As [`run`]; the command gets SIGINT once `enough` says so, which is asked again and again.
pub fn run_until(
    command: &mut Command,
    log: &Path,
    enough: &(dyn Fn() -> bool + Sync),
) -> Fallible<Call> {
    run_with(command, log, &[0, INTERRUPTED], &|child| {
        watched(child, &|| {
            let enough = enough();
            if enough {
                let _ = kill_process(child, Signal::INT);
            }
            enough
        })
    })
}

/// As [`run`]; the command is killed once it takes longer than `limit`, or `vain` says that it is
/// in vain.
pub fn run_within(
    command: &mut Command,
    log: &Path,
    limit: Duration,
    vain: &(dyn Fn() -> bool + Sync),
) -> Fallible<Call> {
    let start = Instant::now();
    let late = AtomicBool::new(false);
    let call = run_with(command, log, &[0], &|child| {
        watched(child, &|| {
            late.store(start.elapsed() > limit, Ordering::SeqCst);
            let over = late.load(Ordering::SeqCst) || vain();
            if over {
                let _ = kill_process_group(child, Signal::KILL);
            }
            over
        })
    })?;
    Ok(match call {
        Call::Failed(_) if late.load(Ordering::SeqCst) => {
            Call::Failed(format!("no end after {} s", limit.as_secs()))
        }
        other => other,
    })
}

/// Waits until the child has ended, which leaves its end to be waited for. Meanwhile `act` is
/// called again and again, until it says that it has acted.
fn watched(child: Pid, act: &(dyn Fn() -> bool + Sync)) -> rustix::io::Result<()> {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            while !over.load(Ordering::SeqCst) && !act() {
                std::thread::park_timeout(PAUSE);
            }
        });
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        let ended = retry_on_intr(|| waitid(WaitId::Pid(child), options));
        over.store(true, Ordering::SeqCst);
        watch.thread().unpark();
        ended.map(drop)
    })
}

/// Runs `command`, which is to end with one of these statuses; `meanwhile` is called between its
/// start and the wait for its end.
fn run_with(
    command: &mut Command,
    log: &Path,
    fine: &[i32],
    meanwhile: &dyn Fn(Pid) -> rustix::io::Result<()>,
) -> Fallible<Call> {
    interrupt::check()?;
    let said = File::create(log).map_err(on("create", log))?;
    let also = said.try_clone().map_err(on("open", log))?;
    command
        .stdin(Stdio::null())
        .stdout(said)
        .stderr(also)
        .process_group(0);
    let start = Instant::now();
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            let program = command.get_program().to_string_lossy();
            return Ok(Call::Failed(format!("cannot start {program}: {error}")));
        }
    };
    interrupt::child(child.id());
    let watched = meanwhile(Pid::from_child(&child));
    let used = child.wait4();
    let wall = start.elapsed().as_secs_f64();
    interrupt::child(0);
    interrupt::check()?;
    let used = used.map_err(on("wait for a child that writes to", log))?;
    watched
        .map_err(std::io::Error::from)
        .map_err(on("watch a child that writes to", log))?;
    if !used.status.code().is_some_and(|code| fine.contains(&code)) {
        let words = read_to_string(log).unwrap_or_default();
        let last: Vec<&str> = words.trim_end().lines().rev().take(5).collect();
        let mut last: Vec<&str> = last.into_iter().rev().collect();
        // Then not even its words can be kept, and whatever it says is not its fault.
        if is_full(log) {
            last.push("no space left on the disk");
        }
        return Ok(Call::Failed(format!(
            "{}: {}",
            used.status,
            last.join("\n    ")
        )));
    }
    Ok(Call::Done(Sample {
        wall,
        cpu: (used.rusage.utime + used.rusage.stime).as_secs_f64(),
        memory: used.rusage.maxrss,
    }))
}
