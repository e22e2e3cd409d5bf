//! Looks at many files: in several threads, as each look is a system call.

use std::num::NonZeroUsize;
use std::slice::ChunksMut;
use std::sync::{Mutex, PoisonError};
use std::thread;

use rustix::fs::FileType;
use rustix::io::Errno;

use super::error::{Error, io_error};
use super::{Root, stat};
use crate::model::file::Stat;
use crate::sys;

/// A path below the root, and how what is there looks, once somebody has looked.
#[derive(Debug)]
pub(super) struct Path {
    pub path: Box<str>,
    pub stat: Option<Stat>,
}

/// Files that a thread takes at a time.
const PART: usize = 256;
/// More threads do not look faster: they wait for each other in the file system.
const THREADS: usize = 4;

/// Looks at those that nobody looked at yet, in other threads too where there are many, which do so
/// while this one does what is to be done `meanwhile`. What failed comes with its place. One that is
/// gone again stays as it is.
pub(super) fn look_at_all<T>(
    root: &Root,
    paths: &mut [Path],
    meanwhile: impl FnOnce() -> T,
) -> (Vec<(usize, Error)>, T) {
    let helpers = if paths.len() > 2 * PART {
        let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        threads.min(THREADS) - 1
    } else {
        0
    };
    let work = Work {
        root,
        parts: Mutex::new((0, paths.chunks_mut(PART))),
        wrong: Mutex::default(),
    };
    let done = thread::scope(|scope| {
        for _ in 0..helpers {
            // Without one it takes longer.
            let _ = thread::Builder::new().spawn_scoped(scope, || work.all());
        }
        let done = meanwhile();
        work.all();
        done
    });
    let mut wrong = work
        .wrong
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    wrong.sort_by_key(|(at, _)| *at);
    (wrong, done)
}

struct Work<'a> {
    root: &'a Root,
    /// What nobody has taken yet, and the place at which it begins.
    parts: Mutex<(usize, ChunksMut<'a, Path>)>,
    wrong: Mutex<Vec<(usize, Error)>>,
}

impl<'a> Work<'a> {
    fn next(&self) -> Option<(usize, &'a mut [Path])> {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let part = parts.1.next()?;
        let at = parts.0;
        parts.0 += part.len();
        Some((at, part))
    }

    fn all(&self) {
        while let Some((begin, part)) = self.next() {
            for (at, one) in part.iter_mut().enumerate() {
                if one.stat.is_some() {
                    continue;
                }
                match look_at(self.root, &one.path) {
                    Ok(stat) => one.stat = stat,
                    Err(error) => {
                        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
                        wrong.push((begin + at, error));
                    }
                }
            }
        }
    }
}

/// How a file looks that was one when its folder was listed; none if it is gone.
fn look_at(root: &Root, path: &str) -> Result<Option<Stat>, Error> {
    match sys::seen_at(root.fd(), path) {
        Ok((FileType::RegularFile, seen)) => Ok(Some(stat(&seen))),
        Ok(_) => Err(Error::Changing(path.to_owned())),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(error) => Err(io_error("look at", path.as_bytes())(error)),
    }
}
