//! Large outputs that a task reads while they become objects.
//!
//! To hash a large file takes longer than to write it, and the task that gets it as its input need
//! not wait for that: it wants the bytes, not their name. So it is lent the very file, and the
//! store hashes it meanwhile. A lease keeps the bytes as they are: whoever opens the file for
//! writing waits until the store has a copy of its own. If the reader has ended before the hash is
//! known, and nothing can reach the file any more, the file itself becomes the object; otherwise
//! a copy does. A copy takes about as long as the hash, so a reader gets that long again to end:
//! mostly it does, and the copy is never made. So an object is never a file that a script could
//! still write to, whatever becomes of this process.

use std::fs::File;
use std::io::{self, Seek};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tempfile::NamedTempFile;

use super::hash::{Inserted, LARGE, hash_beside};
use super::insert::{Candidate, InsertError};
use super::{Error, Store, io_error};
use crate::folder::{Entry, Folder};
use crate::sys::{self, Lease};

/// The largest file that is lent (bytes). It must be possible to copy it before the kernel loses
/// its patience with the lease's holder.
const LARGEST: u64 = 8 << 30;
/// The kernel's patience, at least (45 s unless the machine's owner wants it otherwise).
const PATIENCE: Duration = Duration::from_secs(20);
/// So much of it is left when it counts as over.
const RESERVE: Duration = Duration::from_secs(5);
/// How soon it is noticed that somebody wants to write to a file while its reader is waited for.
const GLANCE: Duration = Duration::from_millis(10);

#[derive(Debug)]
pub(crate) struct SharedOutput {
    /// Where the file lies; nobody but its reader has another name for it.
    folder: Arc<Folder>,
    name: Box<str>,
    file: File,
    size: u64,
    state: Mutex<State>,
    /// The reader has ended.
    ended: Condvar,
}

#[derive(Debug)]
struct State {
    holder: Holder,
    /// Given up when the store is through.
    lease: Option<Lease>,
    /// Whether somebody was made to wait.
    disturbed: bool,
    /// Whether the hash is known, and the reader is waited for.
    awaited: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    /// It was not lent yet.
    Nobody,
    /// A task has it.
    Reader,
    /// The task has ended, and something may still reach the file.
    Abandoned,
    /// No task can reach it any more.
    Returned,
    /// The store is through; what a task still has is its own.
    Settled,
}

impl State {
    fn is_whole(&mut self) -> bool {
        let whole = self.lease.as_ref().is_some_and(Lease::is_whole);
        self.disturbed |= !whole;
        whole
    }
}

impl SharedOutput {
    /// Of a large file `name` in `folder` that nothing can write to; gives back what cannot be
    /// lent.
    pub(crate) fn of<'a>(
        candidate: Candidate<'a>,
        folder: &Arc<Folder>,
        name: &str,
    ) -> Result<Self, Candidate<'a>> {
        if candidate.shared || !(LARGE..=LARGEST).contains(&candidate.size()) {
            return Err(candidate);
        }
        match Lease::take(&candidate.file) {
            Some(lease) if lease.patience() >= PATIENCE => Ok(Self {
                folder: Arc::clone(folder),
                name: name.into(),
                size: candidate.size(),
                file: candidate.file,
                state: Mutex::new(State {
                    holder: Holder::Nobody,
                    lease: Some(lease),
                    disturbed: false,
                    awaited: false,
                }),
                ended: Condvar::new(),
            }),
            _ => Err(candidate),
        }
    }

    /// In bytes.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    fn entry(&self) -> Entry<'_> {
        self.folder.entry(&*self.name)
    }

    /// Puts the file at `to`, in place of what is there; whether it is still to be had.
    pub(crate) fn lend<'a>(&self, to: impl Into<Entry<'a>>) -> Result<bool, Error> {
        let to = to.into();
        let mut state = self.lock();
        if state.holder != Holder::Nobody {
            return Ok(false);
        }
        match to.remove() {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(io_error("remove", to)(error));
            }
            _ => {}
        }
        let mode = sys::mode(0o666 & !sys::umask());
        self.entry()
            .link(to)
            .and_then(|()| Ok(rustix::fs::fchmod(&self.file, mode)?))
            .map_err(io_error("make", to))?;
        state.holder = Holder::Reader;
        Ok(true)
    }

    /// The reader, who had the file at `from`, has ended, and so has every process that it started.
    pub(crate) fn give_back<'a>(&self, from: impl Into<Entry<'a>>) {
        let mut state = self.lock();
        if state.holder != Holder::Reader {
            return;
        }
        state.holder = if self.is_out_of_reach(from.into()) {
            Holder::Returned
        } else {
            Holder::Abandoned
        };
        self.ended.notify_all();
    }

    /// Takes the file away from the reader's place; whether it had no other one.
    fn is_out_of_reach(&self, from: Entry) -> bool {
        let Ok(own) = sys::look(self.file.as_fd()) else {
            return false;
        };
        let same = from
            .look()
            .is_ok_and(|there| there.identity == own.identity);
        if same && from.remove().is_err() {
            return false;
        }
        // Through another name that the reader gave it, it could be written to later.
        sys::look(self.file.as_fd()).is_ok_and(|own| own.links == 1)
    }

    /// The reader has ended without giving it back: to wait for that is in vain.
    pub(crate) fn abandon(&self) {
        let mut state = self.lock();
        if state.holder == Holder::Reader {
            state.holder = Holder::Abandoned;
            self.ended.notify_all();
        }
    }

    /// Waits for the reader's end, as long as nobody wants to write to the file; when nobody did,
    /// if that was so.
    fn await_reader(&self, patience: Duration) -> Option<Instant> {
        let began = Instant::now();
        let mut undisturbed = None;
        let mut state = self.lock();
        state.awaited = true;
        while state.holder == Holder::Reader && state.is_whole() && began.elapsed() < patience {
            undisturbed = Some(Instant::now());
            let waited = self.ended.wait_timeout(state, GLANCE);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        undisturbed
    }

    /// Whether somebody who wanted to write to the file had to wait.
    pub(crate) fn was_disturbed(&self) -> bool {
        let mut state = self.lock();
        if state.lease.is_some() {
            state.is_whole();
        }
        state.disturbed
    }

    fn close(&self) {
        let mut state = self.lock();
        state.holder = Holder::Settled;
        state.lease = None;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The file's bytes, or those of a copy once somebody wants to write to the file.
struct Reading<'a> {
    shared: &'a SharedOutput,
    scratch: &'a Path,
    at: u64,
    copy: Option<NamedTempFile>,
    /// When nobody had asked for the file yet.
    undisturbed: Instant,
    patience: Duration,
    failed: Option<InsertError>,
}

impl<'a> Reading<'a> {
    fn new(shared: &'a SharedOutput, scratch: &'a Path) -> Self {
        let patience = shared.lock().lease.as_ref().map(Lease::patience);
        Self {
            shared,
            scratch,
            at: 0,
            copy: None,
            undisturbed: Instant::now(),
            patience: patience.unwrap_or_default().saturating_sub(RESERVE),
            failed: None,
        }
    }

    fn next(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.copy.is_none() {
            if self.shared.lock().is_whole() {
                self.undisturbed = Instant::now();
            } else {
                self.copy().map_err(|error| {
                    self.failed = Some(error);
                    io::Error::other("see `failed`")
                })?;
            }
        }
        let file = self
            .copy
            .as_ref()
            .map_or(&self.shared.file, NamedTempFile::as_file);
        let length = loop {
            match file.read_at(buffer, self.at) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.at += length as u64;
        Ok(length)
    }

    /// From here on there is a copy, and whoever waits for the file may have it.
    fn copy(&mut self) -> Result<(), InsertError> {
        let mut copy = NamedTempFile::new_in(self.scratch)
            .map_err(io_error("make a file in", self.scratch))?;
        let mut file = &self.shared.file;
        if !sys::clone_file(file, copy.as_file()) {
            file.rewind()
                .and_then(|()| io::copy(&mut file, copy.as_file_mut()))
                .map_err(io_error("copy", self.shared.entry()))?;
        }
        let mut state = self.shared.lock();
        if !state.is_whole() && self.undisturbed.elapsed() >= self.patience {
            return Err(InsertError::Overtaken);
        }
        state.holder = Holder::Settled;
        state.lease = None;
        self.copy = Some(copy);
        Ok(())
    }
}

impl Store {
    /// Makes an object of a file that may be lent, which is gone from its place afterwards.
    pub(crate) fn insert_shared(&self, shared: &SharedOutput) -> Result<Inserted, InsertError> {
        self.settle(shared, |hashing| hashing)
    }

    /// The same; `patience` says how long a reader is waited for, by how long the hash took.
    fn settle(
        &self,
        shared: &SharedOutput,
        patience: impl FnOnce(Duration) -> Duration,
    ) -> Result<Inserted, InsertError> {
        let settled = self.try_settle(shared, patience);
        shared.close();
        settled
    }

    fn try_settle(
        &self,
        shared: &SharedOutput,
        patience: impl FnOnce(Duration) -> Duration,
    ) -> Result<Inserted, InsertError> {
        let began = Instant::now();
        let mut reading = Reading::new(shared, &self.scratch);
        let inserted = match hash_beside(|buffer| reading.next(buffer)) {
            Ok(inserted) => inserted,
            Err(error) => {
                let of_file = io_error("read", shared.entry())(error);
                return Err(reading.failed.unwrap_or(of_file.into()));
            }
        };
        if reading.copy.is_none() {
            let undisturbed = shared.await_reader(patience(began.elapsed()));
            reading.undisturbed = undisturbed.unwrap_or(reading.undisturbed);
            let mut state = shared.lock();
            if state.is_whole() {
                reading.undisturbed = Instant::now();
                if matches!(state.holder, Holder::Nobody | Holder::Returned) {
                    // Nobody can get it from here on.
                    state.holder = Holder::Settled;
                    self.set_mode(&shared.file)
                        .map_err(io_error("change the mode of", shared.entry()))?;
                    return self.take_over(shared.entry(), inserted);
                }
            }
            drop(state);
            reading.copy()?;
        }
        if let Some(copy) = reading.copy {
            self.place_copy(copy, &inserted.digest)?;
            self.remember_large(&inserted);
        }
        let entry = shared.entry();
        entry.remove().map_err(io_error("remove", entry))?;
        Ok(inserted)
    }
}

#[cfg(test)]
mod tests;
