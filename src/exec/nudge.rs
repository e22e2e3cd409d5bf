//! Streams that stop within a frame.
//!
//! `srun` of Slurm 22.05 passes on what is longer than a KiB in pieces, each of which waits until the other side has
//! acknowledged the one before, which that puts off for 40 ms unless it has something to send. So whoever has a part of a
//! frame, and gets no more of it at once, says something: 88 ms for 4 KiB there and back become 3. Where nobody waits
//! for that it does no harm.

use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use serde::de::DeserializeOwned;

use crate::wire::frame;

/// After which the rest of a frame is late. Each time that something was said it is waited for twice as long.
const LATE: Duration = Duration::from_millis(1);
/// How often something is said for one piece: a stream that is just slow needs none of it.
const MOST: u32 = 6;

/// See the module.
pub(super) struct Nudged<R, S> {
    from: BufReader<Late<R, S>>,
}

struct Late<R, S> {
    from: R,
    say: S,
    /// A part of a frame was read.
    is_within: bool,
}

impl<R: Read + AsFd, S: FnMut()> Nudged<R, S> {
    /// What is read from there; `say` says something to whoever writes it.
    pub(super) fn new(from: R, say: S) -> Self {
        let late = Late {
            from,
            say,
            is_within: false,
        };
        Self {
            from: BufReader::with_capacity(2 * frame::PIECE, late),
        }
    }

    /// What comes before the first frame.
    pub(super) fn before(&mut self) -> &mut impl BufRead {
        self.from.get_mut().is_within = false;
        &mut self.from
    }

    /// The next frame, as [`frame::read`] reads it.
    pub(super) fn read<M: DeserializeOwned>(
        &mut self,
    ) -> Result<Option<(M, Vec<u8>)>, frame::Error> {
        self.from.get_mut().is_within = false;
        // Here it may wait for ever.
        if !self.from.fill_buf()?.is_empty() {
            self.from.get_mut().is_within = true;
        }
        frame::read(&mut self.from)
    }
}

impl<R: Read + AsFd, S: FnMut()> Read for Late<R, S> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if self.is_within {
            let mut pause = LATE;
            for _ in 0..MOST {
                if is_ready(&self.from, pause) {
                    break;
                }
                (self.say)();
                pause *= 2;
            }
        }
        self.from.read(to)
    }
}

/// Whether something can be read within that time, or will never be.
fn is_ready(from: &impl AsFd, pause: Duration) -> bool {
    let pause = Timespec {
        tv_sec: 0,
        tv_nsec: pause.subsec_nanos().into(),
    };
    let mut fds = [PollFd::new(from, PollFlags::IN)];
    !matches!(poll(&mut fds, Some(&pause)), Ok(0) | Err(Errno::INTR))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn who_waits_within_a_frame_says_something_and_nobody_else_does() {
        let (from, mut to) = io::pipe().unwrap();
        let (say, said) = mpsc::channel();
        let mut bytes = Vec::new();
        frame::write(&mut bytes, &"all of it", b"and bytes").unwrap();
        let reader = std::thread::spawn(move || {
            let mut from = Nudged::new(from, || say.send(()).unwrap());
            let mut next = || from.read::<String>().unwrap();
            [next(), next(), next()]
        });
        // All at once, and in two pieces of which the second one waits for that.
        to.write_all(&bytes).unwrap();
        to.write_all(&bytes[..1]).unwrap();
        said.recv().unwrap();
        to.write_all(&bytes[1..]).unwrap();
        drop(to);
        let [first, second, end] = reader.join().unwrap();
        let whole = Some(("all of it".to_owned(), b"and bytes".to_vec()));
        assert_eq!((first, second, end), (whole.clone(), whole, None));
        assert!(said.iter().count() < MOST as usize);
    }
}
