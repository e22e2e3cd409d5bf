//! The two descriptors.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::FileType;
use rustix::io::Errno;

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// Held while one is written to: what comes in one call stays together.
static BUSY: [Mutex<()>; 2] = [Mutex::new(()), Mutex::new(())];

impl Stream {
    fn fd(self) -> BorrowedFd<'static> {
        match self {
            Self::Out => rustix::stdio::stdout(),
            Self::Err => rustix::stdio::stderr(),
        }
    }

    fn lock(self) -> MutexGuard<'static, ()> {
        let busy = &BUSY[usize::from(self == Self::Err)];
        busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is a terminal.
    pub fn is_terminal(self) -> bool {
        rustix::termios::isatty(self.fd())
    }

    /// Whether it is a terminal whose lines can be written over.
    pub fn can_move(self) -> bool {
        let kind = std::env::var_os("TERM").unwrap_or_default();
        self.is_terminal() && !kind.is_empty() && kind != "dumb"
    }

    /// Whether it is one that shows colours, and they are wanted (<https://no-color.org>).
    pub fn has_colours(self) -> bool {
        self.can_move() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
    }

    /// Whether it is a file, or nothing: not what anybody reads at the other end.
    pub fn is_file(self) -> bool {
        let kind = rustix::fs::fstat(self.fd()).map(|about| FileType::from_raw_mode(about.st_mode));
        match kind {
            Ok(FileType::CharacterDevice) => !self.is_terminal(),
            Ok(kind) => kind == FileType::RegularFile,
            Err(_) => false,
        }
    }

    /// Writes all of it, however long that takes.
    pub(super) fn write(self, bytes: &[u8]) -> io::Result<()> {
        let _busy = self.lock();
        write_all(self.fd(), bytes)
    }

    /// Columns and rows of the terminal; none if it is none, zeros if it does not know.
    pub fn size(self) -> Option<(u16, u16)> {
        let size = rustix::termios::tcgetwinsize(self.fd()).ok()?;
        Some((size.ws_col, size.ws_row))
    }
}

fn write_all(fd: BorrowedFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(fd, bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(length) => bytes = &bytes[length..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => wait(fd)?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
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
