//! A shell that stays and runs one script again and again, each time in a subshell.
//!
//! It reads from its standard input what to do and tells by a FIFO how it went, for a child can
//! be given three descriptors and no more without a costly fork of this process. Between the runs
//! there is nothing in its process group but itself. What outlives a run is an orphan of this
//! process; so none of this works where orphans cannot be seen.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use nix::sys::stat;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal};

use super::handle::{Limit, Phase};
use super::{Ended, Groups, Handle, Pipes, RunError, Sink, SpawnSpec};
use crate::sys::{ExitWatch, Orphans, Usage, descriptors};

/// Longest time for a shell to get ready.
const START: Timespec = Timespec {
    tv_sec: 10,
    tv_nsec: 0,
};
/// Between two looks at a group whose leader is dead and that was asked to end.
const LOOK: Duration = Duration::from_millis(5);

/// See the module. Dropped, it ends.
#[derive(Debug)]
pub(crate) struct Warm {
    /// Its process, which leads a group.
    pid: Pid,
    /// Whether somebody else has reaped it, or will.
    reaped: bool,
    watch: ExitWatch,
    control: File,
    answers: File,
    /// What came of an answer that is not whole yet.
    part: Vec<u8>,
}

impl Warm {
    /// Starts it. `spec` runs a loop that writes a line to `fifo` once it is ready, and after
    /// each run one with the exit status. `fifo` is made unless it is there; no other shell may be
    /// using it.
    pub(crate) fn start(spec: &SpawnSpec, fifo: &Path) -> io::Result<Self> {
        match nix::unistd::mkfifo(fifo, stat::Mode::S_IRUSR | stat::Mode::S_IWUSR) {
            Ok(()) | Err(nix::Error::EEXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let answers: OwnedFd = rustix::fs::open(fifo, flags, Mode::empty())?;
        let (pid, control) = spec.spawn_fed()?;
        let mut warm = Self {
            pid,
            reaped: false,
            watch: ExitWatch::of(pid),
            control: File::from(descriptors::keep(control)),
            answers: File::from(descriptors::keep(answers)),
            part: Vec::new(),
        };
        warm.get_ready()?;
        Ok(warm)
    }

    fn get_ready(&mut self) -> io::Result<()> {
        let mut fds = vec![PollFd::new(&self.answers, PollFlags::IN)];
        if let Some(fd) = self.watch.fd() {
            fds.push(PollFd::from_borrowed_fd(fd, PollFlags::IN));
        }
        let began = Instant::now();
        while let Err(rustix::io::Errno::INTR) = poll(&mut fds, Some(&START)) {
            if began.elapsed() > Duration::from_secs(10) {
                break;
            }
        }
        match self.answer()? {
            Some(_) => Ok(()),
            None => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// What the shell has told, if it is whole.
    fn answer(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut buffer = [0; 512];
        loop {
            match self.answers.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => {
                    self.part.extend_from_slice(&buffer[..length]);
                    if length < buffer.len() {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        // Words of the shell's own may come first; the status is alone on the last line.
        let text = self.part.strip_suffix(b"\n");
        let last = text.and_then(|text| text.rsplit(|byte| *byte == b'\n').next());
        let whole =
            last.is_some_and(|last| !last.is_empty() && last.iter().all(u8::is_ascii_digit));
        Ok(whole.then(|| std::mem::take(&mut self.part)))
    }

    /// Whether it ended while it had nothing to do.
    pub(crate) fn is_dead(&self) -> bool {
        self.watch.has_ended()
    }

    /// Its process is dead and must be reaped.
    fn reap(&mut self) -> io::Result<ExitStatus> {
        self.reaped = true;
        Ok(crate::sys::wait(self.pid)?.0)
    }
}

impl Drop for Warm {
    fn drop(&mut self) {
        if !self.reaped {
            Groups::from(self.pid).signal(Signal::KILL);
            let _ = self.reap();
        }
    }
}

/// What an answer tells: the exit status, the number on its last line, and what was taken, if that is before it.
/// Words before these are about a signal that ended the subshell.
fn told(answer: &[u8]) -> (ExitStatus, Usage) {
    let mut lines = answer.trim_ascii_end().rsplit(|byte| *byte == b'\n');
    let code = lines
        .next()
        .and_then(|line| std::str::from_utf8(line).ok())
        .and_then(|line| line.parse().ok())
        .unwrap_or(255);
    let mut before = lines.next();
    let used = before.and_then(Usage::of_line);
    if used.is_some() {
        before = lines.next();
    }
    let status = if (129..=192).contains(&code) && before.is_some() {
        ExitStatus::from_raw(code - 128)
    } else {
        ExitStatus::from_raw(code << 8)
    };
    (status, used.unwrap_or_default())
}

impl Handle {
    /// Has a warm shell do what `lines` say, and waits for the end of it, as [`Handle::launch`] does
    /// for a child. The shell comes back if it can be used again.
    pub(crate) fn run_warm(
        &self,
        mut warm: Warm,
        lines: &[u8],
        pipes: &mut Pipes,
        orphans: &Orphans,
        timeout: Option<Duration>,
        sink: &mut dyn Sink,
    ) -> Result<(Ended, Option<Warm>), RunError> {
        let group = warm.pid;
        {
            let mut state = self.lock();
            if matches!(state.phase, Phase::Refused) {
                return Err(RunError::Refused);
            }
            state.run(group.into());
        }
        let watched = warm
            .control
            .write_all(lines)
            .or_else(ignore_broken_pipe)
            .and_then(|()| {
                sink.started();
                self.watch_warm(&mut warm, pipes, orphans, timeout, sink)
            });
        if watched.is_err() {
            self.signal(Signal::KILL);
        }
        let mut state = self.lock();
        let cut = state.over();
        let (answered, (status, used)) = match watched? {
            Some(told) => (true, told),
            None => (false, (warm.reap()?, Usage::default())),
        };
        drop(state);
        pipes.drain(sink)?;
        if !answered && cut.is_none() {
            Groups::from(group).kill();
            return Err(RunError::Lost);
        }
        let left = orphans.left_in(group);
        if left {
            // Whoever kills the group reaps the shell with it.
            warm.reaped = true;
        }
        let ended = Ended {
            status,
            cut,
            left: left.then(|| group.into()),
            used,
        };
        Ok((ended, (answered && !left && cut.is_none()).then_some(warm)))
    }

    /// Returns when the shell has answered, or is dead and waits to be reaped.
    fn watch_warm(
        &self,
        warm: &mut Warm,
        pipes: &mut Pipes,
        orphans: &Orphans,
        timeout: Option<Duration>,
        sink: &mut dyn Sink,
    ) -> io::Result<Option<(ExitStatus, Usage)>> {
        let mut limit = Limit::new(timeout, self);
        loop {
            let other = Some(warm.answers.as_fd());
            let dead = pipes.wait_or(other, &warm.watch, limit.next, sink)?;
            if let Some(answer) = warm.answer()? {
                return Ok(Some(told(&answer)));
            }
            if dead {
                self.bury(warm.pid, pipes, orphans, limit.grace(), sink)?;
                return Ok(None);
            }
            limit.enforce(self);
        }
    }

    /// A shell is dead. If its group was asked to end, the others in it have until `grace` to do
    /// so: the last command of a shell of its own would have taken the shell's place.
    fn bury(
        &self,
        group: Pid,
        pipes: &mut Pipes,
        orphans: &Orphans,
        grace: Option<Instant>,
        sink: &mut dyn Sink,
    ) -> io::Result<()> {
        if !matches!(self.lock().phase, Phase::Running { cut: Some(_), .. }) {
            return Ok(());
        }
        let grace = grace.unwrap_or_else(|| Instant::now() + self.grace);
        while orphans.left_in(group) {
            if grace <= Instant::now() {
                self.signal(Signal::KILL);
            }
            std::thread::sleep(LOOK);
            pipes.drain(sink)?;
        }
        Ok(())
    }
}

fn ignore_broken_pipe(error: io::Error) -> io::Result<()> {
    // The shell is dead, and that is seen anyway.
    if error.kind() == io::ErrorKind::BrokenPipe {
        Ok(())
    } else {
        Err(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        let told = |answer: &[u8]| {
            let (status, used) = told(answer);
            let used = used.cpu.zip(used.peak);
            let used = used.map(|(cpu, peak)| (cpu.as_micros(), peak));
            (super::super::describe(status), used)
        };
        let said = |words: &str, used| (words.to_owned(), used);
        assert_eq!(told(b"0\n"), said("exit status 0", None));
        assert_eq!(told(b"137\n"), said("exit status 137", None));
        assert_eq!(
            told(b"sh: line 2: 7 Killed ( x\n)\n137\n"),
            said("killed by SIGKILL", None)
        );
        assert_eq!(told(b"sh: a word\n1\n"), said("exit status 1", None));
        let used = Usage {
            cpu: Some(Duration::from_micros(1500)),
            peak: Some(4096),
        };
        let line = used.to_line();
        for (before, code, words) in [
            ("", 0, "exit status 0"),
            ("", 137, "exit status 137"),
            ("signal\n", 137, "killed by SIGKILL"),
        ] {
            let answer = format!("{before}{line}{code}\n");
            assert_eq!(told(answer.as_bytes()), said(words, Some((1500, 4096))));
        }
        assert_eq!(told(b"used 1\n1\n"), said("exit status 1", None));
    }
}
