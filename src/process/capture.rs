//! What children write, through pipes that serve one child after the other.
//!
//! Pipes and not files: a script may open `/dev/stderr` anew, and with a file behind it that would
//! cut off all that was written before. They are kept from child to child because making them
//! costs more than using them; the end of a child is known from elsewhere, so no end-of-file is
//! waited for. A process that outlives its child may still hold them: then new ones are due.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;

use crate::sys::{self, ExitWatch, descriptors};

/// Which of a child's two outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Told what a child does, by the thread that runs it.
pub(crate) trait Sink {
    /// It runs; nothing has come of it yet.
    fn started(&mut self) {}

    /// It has written this.
    fn wrote(&mut self, stream: Stream, bytes: &[u8]);

    /// When it wants to look although nothing is written.
    fn due(&self) -> Option<Instant> {
        None
    }

    /// It is time to.
    fn look(&mut self) {}
}

impl<F: FnMut(Stream, &[u8])> Sink for F {
    fn wrote(&mut self, stream: Stream, bytes: &[u8]) {
        self(stream, bytes);
    }
}

#[derive(Debug)]
pub(super) struct Pipe {
    read: OwnedFd,
    pub(super) write: OwnedFd,
    /// Whether something came through it.
    used: bool,
}

impl Pipe {
    fn new() -> io::Result<Self> {
        let (read, write) = sys::pipe()?;
        rustix::io::ioctl_fionbio(&read, true)?;
        let read = descriptors::keep(read);
        Ok(Self {
            read,
            write,
            used: false,
        })
    }

    /// Reads what is there; false if nothing was.
    fn read_some(&mut self, buffer: &mut [u8], sink: &mut dyn FnMut(&[u8])) -> io::Result<bool> {
        match rustix::io::read(&self.read, &mut *buffer) {
            Ok(0) | Err(rustix::io::Errno::AGAIN) => Ok(false),
            Ok(length) => {
                self.used = true;
                sink(&buffer[..length]);
                Ok(true)
            }
            Err(rustix::io::Errno::INTR) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }
}

/// One thread's pipes for the outputs of its children.
#[derive(Debug)]
pub(crate) struct Pipes {
    pub(super) stdout: Pipe,
    pub(super) stderr: Pipe,
    buffer: Vec<u8>,
}

impl Pipes {
    /// New pipes.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            stdout: Pipe::new()?,
            stderr: Pipe::new()?,
            buffer: vec![0; 64 * 1024],
        })
    }

    /// Makes them as they were, before the next child: some programs have their writing not wait, and that is a pipe's as
    /// long as it is, whoever writes to it. `all`: also one that was not written to, of which that is less likely.
    pub(crate) fn settle(&mut self, all: bool) -> io::Result<()> {
        for pipe in [&mut self.stdout, &mut self.stderr] {
            if std::mem::take(&mut pipe.used) || all {
                rustix::fs::fcntl_setfl(&pipe.write, OFlags::empty())?;
            }
        }
        Ok(())
    }

    /// The inodes of the pipes, by which the system tells who has them open.
    pub(crate) fn inodes(&self) -> io::Result<[u64; 2]> {
        let inode = |pipe: &Pipe| Ok::<_, io::Error>(rustix::fs::fstat(&pipe.write)?.st_ino);
        Ok([inode(&self.stdout)?, inode(&self.stderr)?])
    }

    /// Waits until something happens; true if the child has ended.
    pub(super) fn wait(
        &mut self,
        exit: &ExitWatch,
        alarm: Option<Instant>,
        sink: &mut dyn Sink,
    ) -> io::Result<bool> {
        self.wait_or(None, exit, alarm, sink)
    }

    /// The same, or until there is something to read from `other`.
    pub(super) fn wait_or(
        &mut self,
        other: Option<BorrowedFd>,
        exit: &ExitWatch,
        alarm: Option<Instant>,
        sink: &mut dyn Sink,
    ) -> io::Result<bool> {
        let now = Instant::now();
        let limit = [
            alarm.map(|alarm| alarm.saturating_duration_since(now)),
            exit.interval(),
            sink.due().map(|due| due.saturating_duration_since(now)),
        ];
        let timeout = limit
            .into_iter()
            .flatten()
            .min()
            .and_then(|limit| Timespec::try_from(limit).ok());
        let mut fds = vec![
            PollFd::new(&self.stdout.read, PollFlags::IN),
            PollFd::new(&self.stderr.read, PollFlags::IN),
        ];
        if let Some(fd) = exit.fd() {
            fds.push(PollFd::from_borrowed_fd(fd, PollFlags::IN));
        }
        if let Some(fd) = other {
            fds.push(PollFd::from_borrowed_fd(fd, PollFlags::IN));
        }
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        if ready[0] {
            self.stdout.read_some(&mut self.buffer, &mut |bytes| {
                sink.wrote(Stream::Stdout, bytes);
            })?;
        }
        if ready[1] {
            self.stderr.read_some(&mut self.buffer, &mut |bytes| {
                sink.wrote(Stream::Stderr, bytes);
            })?;
        }
        if sink.due().is_some_and(|due| due <= Instant::now()) {
            sink.look();
        }
        Ok(match exit.fd() {
            Some(_) => ready[2],
            None => exit.has_ended(),
        })
    }

    /// Reads what is still there.
    pub(super) fn drain(&mut self, sink: &mut dyn Sink) -> io::Result<()> {
        // What a process left behind goes on writing must not keep this from ending. A pipe that anybody may make has
        // 256 pages, each of which takes a read where it keeps what is written apart.
        for _ in 0..1024 {
            let out = self.stdout.read_some(&mut self.buffer, &mut |bytes| {
                sink.wrote(Stream::Stdout, bytes);
            })?;
            let err = self.stderr.read_some(&mut self.buffer, &mut |bytes| {
                sink.wrote(Stream::Stderr, bytes);
            })?;
            if !out && !err {
                break;
            }
        }
        Ok(())
    }
}
