//! Hashing files.

use std::fs::File;
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::Builder;

use sha2::{Digest as _, Sha256};

use crate::model::digest::Digest;
use crate::sys;

/// An object that was just stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Inserted {
    /// Its name.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// Files of at least this size (bytes) are worth a thread.
pub(crate) const LARGE: u64 = 8 * 1024 * 1024;
/// What is read at once (bytes).
const PIECE: usize = 256 * 1024;
/// Pieces that have been read and wait.
const WAITING: usize = 2;

/// Reads `file` to its end. `size` is what it is expected to have, which decides how.
pub(super) fn hash(file: &File, size: u64) -> io::Result<Inserted> {
    hash_by(|buffer| read(file, buffer), size)
}

/// The same, for one who may give up: fails once `stop` is set. All that is read is shown to `see`.
pub(crate) fn hash_until(
    file: &File,
    size: u64,
    stop: &AtomicBool,
    mut see: impl FnMut(&[u8]) + Send,
) -> io::Result<Inserted> {
    let next = |buffer: &mut [u8]| {
        if stop.load(Ordering::Relaxed) {
            return Err(io::Error::other("nobody wants it any more"));
        }
        let length = read(file, buffer)?;
        see(&buffer[..length]);
        Ok(length)
    };
    hash_by(next, size)
}

fn hash_by(
    next: impl FnMut(&mut [u8]) -> io::Result<usize> + Send,
    size: u64,
) -> io::Result<Inserted> {
    if size >= LARGE && sys::cores() > 1 {
        return hash_beside(next);
    }
    let mut hasher = Hasher::default();
    if size < 4096 {
        hasher.read(next, &mut [0; 4096])?;
    } else {
        hasher.read(next, &mut vec![0; PIECE])?;
    }
    Ok(hasher.end())
}

/// Hashes what `next` gives, piece by piece until there is none. It is called in a second thread, as
/// hashing alone keeps a core busy.
pub(super) fn hash_beside(
    mut next: impl FnMut(&mut [u8]) -> io::Result<usize> + Send,
) -> io::Result<Inserted> {
    let (full, filled) = mpsc::sync_channel::<Vec<u8>>(WAITING);
    let (empty, emptied) = mpsc::channel::<Vec<u8>>();
    let mut hasher = Hasher::default();
    let beside = std::thread::scope(|scope| {
        let next = &mut next;
        let read_all = move || {
            loop {
                let mut piece = emptied.try_recv().unwrap_or_default();
                piece.resize(PIECE, 0);
                let length = next(&mut piece)?;
                piece.truncate(length);
                if length == 0 || full.send(piece).is_err() {
                    return Ok(());
                }
            }
        };
        let reader = Builder::new().name("read".to_owned());
        let reader = reader.spawn_scoped(scope, read_all).ok()?;
        for piece in filled {
            hasher.add(&piece);
            // The reader is through if it takes none back.
            let _ = empty.send(piece);
        }
        let panicked = |_| Err(io::Error::other("a thread panicked"));
        Some(reader.join().unwrap_or_else(panicked))
    });
    match beside {
        Some(read) => read?,
        // Without another thread, in this one.
        None => hasher.read(next, &mut vec![0; PIECE])?,
    }
    Ok(hasher.end())
}

fn read(mut file: &File, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match file.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// Hashes what comes piece by piece.
#[derive(Debug, Default)]
pub(super) struct Hasher {
    state: Sha256,
    total: u64,
}

impl Hasher {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.state.update(bytes);
        self.total += bytes.len() as u64;
    }

    fn read(
        &mut self,
        mut next: impl FnMut(&mut [u8]) -> io::Result<usize>,
        buffer: &mut [u8],
    ) -> io::Result<()> {
        loop {
            match next(buffer)? {
                0 => return Ok(()),
                length => self.add(&buffer[..length]),
            }
        }
    }

    pub(super) fn end(self) -> Inserted {
        Inserted {
            digest: Digest(self.state.finalize().into()),
            size: self.total,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, Write};

    use super::*;

    #[test]
    fn every_way_to_read_gives_the_same() {
        let mut file = tempfile::tempfile().unwrap();
        let bytes: Vec<u8> = (0..PIECE * 3 + 77)
            .map(|n| u8::try_from(n % 251).unwrap())
            .collect();
        file.write_all(&bytes).unwrap();
        for size in [0, 5000, LARGE] {
            file.rewind().unwrap();
            let inserted = hash(&file, size).unwrap();
            assert_eq!(inserted.digest, Digest::of(&bytes));
            assert_eq!(inserted.size, bytes.len() as u64);
        }
    }
}
