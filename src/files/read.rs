//! Reading files of the host.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

use super::error::{Error, io_error};
use super::{Known, Root, now, stat};
use crate::folder::{Entry, kind};
use crate::model::digest::Digest;
use crate::model::file::{Content, KEPT, Stat};
use crate::model::mention::{Mentions, mentioned};
use crate::store::{self, Store};
use crate::sys;

/// What becomes of the bytes that are read.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Keep<'s> {
    /// They are forgotten.
    Nothing,
    /// Small files ([`KEPT`]) become objects.
    Small(&'s Store),
    /// All do.
    All(&'s Store),
}

/// How often a file is read that changes meanwhile.
const TRIES: usize = 3;
/// Reading so many bytes takes longer than to wait until the file need not be read again.
const LONG: u64 = if cfg!(test) { 2 << 20 } else { 1 << 30 };
/// The longest such wait: some more than what a file's times may hide.
const WAIT: Duration = Duration::from_secs(3);
/// Between two looks at the clock.
const LOOK: Duration = Duration::from_millis(20);

/// Reads the file at `path`, unless it is known what is in one that looks like it. How it looks now,
/// and what is in it.
pub(crate) fn read(
    root: &Root,
    path: &str,
    known: &mut Known,
    keep: Keep,
) -> Result<(Stat, Content), Error> {
    for _ in 0..TRIES {
        if root.is_stopped() {
            return Err(Error::Stopped);
        }
        let read = try_read(root, path, keep);
        if root.is_stopped() {
            return Err(Error::Stopped);
        }
        if let Some((began, stat, content)) = read? {
            known.put(stat, content.clone(), began);
            return Ok((stat, content));
        }
    }
    Err(Error::Changing(path.to_owned()))
}

/// A large file that changed just now would have to be read again, as the next change may not show: better
/// to wait for that moment. Whether it still looks the same.
fn let_settle(root: &Root, file: &File, stat_before: &Stat) -> Result<bool, Errno> {
    let began = Instant::now();
    while !stat_before.is_settled(now()) && began.elapsed() < WAIT && !root.is_stopped() {
        thread::sleep(LOOK);
    }
    let (_, seen) = sys::seen(file.as_fd())?;
    Ok(stat(&seen) == *stat_before)
}

/// None if it changed meanwhile; and not before when it was read, in nanoseconds since 1970.
fn try_read(root: &Root, path: &str, keep: Keep) -> Result<Option<(i64, Stat, Content)>, Error> {
    let failed = |action| io_error::<Errno>(action, path.as_bytes());
    // A FIFO is not waited for.
    let how = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let opened = rustix::fs::openat(root.fd(), path, how, Mode::empty());
    let mut file = File::from(opened.map_err(failed("open"))?);
    let (found, before) = sys::seen(file.as_fd()).map_err(failed("look at"))?;
    if found != FileType::RegularFile {
        return Err(Error::Special {
            path: path.to_owned(),
            kind: kind(found),
        });
    }
    let before = stat(&before);
    if before.size >= LONG {
        if let Some(tell) = root.tell {
            tell(path, before.size);
        }
        if !let_settle(root, &file, &before).map_err(failed("look at"))? {
            return Ok(None);
        }
    }
    let began = now();
    let reading = |error| io_error("read", path.as_bytes())(error);
    let (content, bytes, length) = if before.size <= KEPT {
        let mut bytes = Vec::with_capacity(usize::try_from(before.size).unwrap_or(0) + 1);
        let mut short = (&mut file).take(KEPT + 1);
        short.read_to_end(&mut bytes).map_err(reading)?;
        let content = Content {
            digest: Digest::of(&bytes),
            mentions: mentioned(&bytes).into(),
        };
        let length = bytes.len() as u64;
        (content, Some(bytes), length)
    } else {
        let mut mentions = Mentions::default();
        let see = |piece: &[u8]| mentions.add(piece);
        let inserted = match keep {
            Keep::All(store) => store.keep_copy(Entry::from(path), &mut file, &root.stop, see)?,
            Keep::Nothing | Keep::Small(_) => {
                store::hash_until(&file, before.size, &root.stop, see).map_err(reading)?
            }
        };
        let content = Content {
            digest: inserted.digest,
            mentions: mentions.end().into(),
        };
        (content, None, inserted.size)
    };
    let (_, after) = sys::seen(file.as_fd()).map_err(failed("look at"))?;
    if stat(&after) != before || length != before.size {
        return Ok(None);
    }
    if let (Some(bytes), Keep::Small(store) | Keep::All(store)) = (bytes, keep)
        && !store.contains(&content.digest)
    {
        store.insert_bytes(&bytes)?;
    }
    Ok(Some((began, before, content)))
}
