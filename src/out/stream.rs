//! The two descriptors.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::FileType;
use rustix::io::Errno;

use super::colours;
use crate::sys;

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// Locked while one is written to: what comes in one call stays together.
static LINES: [Mutex<Lines>; 2] = [Mutex::new(Lines::new()), Mutex::new(Lines::new())];

impl Stream {
    fn fd(self) -> BorrowedFd<'static> {
        match self {
            Self::Out => rustix::stdio::stdout(),
            Self::Err => rustix::stdio::stderr(),
        }
    }

    fn lock(self) -> MutexGuard<'static, Lines> {
        let lines = &LINES[usize::from(self == Self::Err)];
        lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is a terminal.
    pub(crate) fn is_terminal(self) -> bool {
        rustix::termios::isatty(self.fd())
    }

    /// Whether it is a terminal whose lines can be written over.
    pub(crate) fn can_move(self) -> bool {
        let kind = std::env::var_os("TERM").unwrap_or_default();
        self.is_terminal() && !kind.is_empty() && kind != "dumb"
    }

    /// Whether colours are wanted there.
    pub(crate) fn has_colours(self) -> bool {
        colours::wanted(self.can_move())
    }

    /// Whether it is a file, or nothing: not what anybody reads at the other end.
    pub(crate) fn is_file(self) -> bool {
        let kind = rustix::fs::fstat(self.fd()).map(|about| FileType::from_raw_mode(about.st_mode));
        match kind {
            Ok(FileType::CharacterDevice) => !self.is_terminal(),
            Ok(kind) => kind == FileType::RegularFile,
            Err(_) => false,
        }
    }

    /// Whether it was closed before this program began.
    pub(crate) fn is_closed(self) -> bool {
        match self {
            Self::Out => !sys::had_output(),
            Self::Err => !sys::had_error(),
        }
    }

    /// Writes all of it, however long that takes.
    pub(super) fn write(self, bytes: &[u8]) -> io::Result<()> {
        if !bytes.is_empty() && self.is_closed() {
            return Err(Errno::BADF.into());
        }
        let fd = self.fd();
        self.lock().write(bytes, &mut |bytes| write_some(fd, bytes))
    }

    /// Writes whole lines, as lines of their own even where one before them was broken off.
    pub(super) fn write_lines(self, lines: &[u8]) -> io::Result<()> {
        let fd = self.fd();
        let mut state = self.lock();
        if state.torn {
            state.write(b"\n", &mut |bytes| write_some(fd, bytes))?;
        }
        state.write(lines, &mut |bytes| write_some(fd, bytes))
    }

    /// What went wrong since this was asked last, unless it is that nobody reads.
    pub(super) fn failure(self) -> Option<io::Error> {
        self.lock().failure.take()
    }

    /// Brings to an end what was written: some file systems say only now that it found no room.
    pub(super) fn complete(self) -> io::Result<()> {
        if self.is_closed() || !self.lock().any {
            return Ok(());
        }
        Ok(nix::unistd::close(rustix::io::dup(self.fd())?)?)
    }

    /// Columns and rows of the terminal; none if it is none, zeros if it does not know.
    pub(crate) fn size(self) -> Option<(u16, u16)> {
        let size = rustix::termios::tcgetwinsize(self.fd()).ok()?;
        Some((size.ws_col, size.ws_row))
    }
}

/// What was written, and what was not.
#[derive(Debug)]
struct Lines {
    /// The last that was written is a part of what should have been.
    torn: bool,
    /// Something was.
    any: bool,
    failure: Option<io::Error>,
}

impl Lines {
    const fn new() -> Self {
        Self {
            torn: false,
            any: false,
            failure: None,
        }
    }

    /// Writes all of it by `write`, which says how much it wrote.
    fn write(
        &mut self,
        mut bytes: &[u8],
        write: &mut dyn FnMut(&[u8]) -> io::Result<usize>,
    ) -> io::Result<()> {
        let whole = bytes.len();
        while !bytes.is_empty() {
            match write(bytes) {
                Ok(length) => {
                    bytes = &bytes[length..];
                    self.any = true;
                }
                Err(error) => {
                    self.torn |= bytes.len() < whole;
                    if error.kind() != io::ErrorKind::BrokenPipe {
                        self.failure = Some(error.kind().into());
                    }
                    return Err(error);
                }
            }
        }
        if whole > 0 {
            self.torn = false;
        }
        Ok(())
    }
}

/// Writes as much as there is room for, and at least a byte, however long that takes.
fn write_some(fd: BorrowedFd, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match rustix::io::write(fd, bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(length) => return Ok(length),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => wait(fd)?,
            Err(error) => return Err(error.into()),
        }
    }
}

/// Waits until there is room, or nobody who would make some.
fn wait(fd: BorrowedFd) -> io::Result<()> {
    match poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::OUT)], None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::AsFd;

    use super::*;

    fn write_all(fd: BorrowedFd, bytes: &[u8]) -> io::Result<()> {
        Lines::new().write(bytes, &mut |bytes| write_some(fd, bytes))
    }

    #[test]
    fn what_is_lost_is_known_and_what_comes_after_it_is_whole() {
        let mut room = 10;
        let mut written = Vec::new();
        let mut lines = Lines::new();
        let mut write = |lines: &mut Lines, room: &mut usize, bytes: &[u8]| {
            lines.write(bytes, &mut |bytes| match bytes.len().min(*room).min(4) {
                0 => Err(io::ErrorKind::StorageFull.into()),
                length => {
                    written.extend_from_slice(&bytes[..length]);
                    *room -= length;
                    Ok(length)
                }
            })
        };
        write(&mut lines, &mut room, b"whole\n").unwrap();
        assert!(!lines.torn && lines.failure.is_none());
        write(&mut lines, &mut room, b"broken off\n").unwrap_err();
        assert!(lines.torn);
        write(&mut lines, &mut room, b"lost\n").unwrap_err();
        assert!(lines.torn);
        let kind = lines.failure.take().map(|error| error.kind());
        assert_eq!(kind, Some(io::ErrorKind::StorageFull));
        room = 100;
        write(&mut lines, &mut room, b"\nagain\n").unwrap();
        assert!(!lines.torn && lines.failure.is_none());
        assert_eq!(written, b"whole\nbrok\nagain\n");
    }

    #[test]
    fn one_that_does_not_block_is_waited_for() {
        let (read, write) = rustix::pipe::pipe().unwrap();
        rustix::io::ioctl_fionbio(&write, true).unwrap();
        let sent: Vec<u8> = (0..300_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let reader = std::thread::spawn(move || {
            let mut all = Vec::new();
            std::fs::File::from(read).read_to_end(&mut all).unwrap();
            all
        });
        write_all(write.as_fd(), &sent).unwrap();
        drop(write);
        assert_eq!(reader.join().unwrap(), sent);
    }

    #[test]
    fn without_a_reader_it_is_not() {
        let (read, write) = rustix::pipe::pipe().unwrap();
        rustix::io::ioctl_fionbio(&write, true).unwrap();
        let full = std::thread::spawn(move || write_all(write.as_fd(), &vec![0; 300_000]));
        drop(read);
        let error = full.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
