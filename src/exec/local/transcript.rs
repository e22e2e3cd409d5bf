//! What a task writes, on the way into the store.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::Arc;

use crate::folder::Folder;
use crate::model::digest::Digest;
use crate::process::Stream;
use crate::state::Logs;
use crate::store::{self, Store};
use crate::sys;
use crate::text::mask::{Mask, Masked};

/// What a task writes, on both streams.
pub(super) struct Record<'a> {
    mask: Option<Arc<Mask>>,
    masked: [Masked; 2],
    stdout: Captured<'a>,
    /// Standard error, for its last words.
    pub stderr: Captured<'a>,
}

impl<'a> Record<'a> {
    /// Files in this folder hold what is too long for memory; no other worker has that number.
    /// What `mask` has is kept nowhere.
    pub(super) fn new(scratch: &'a Folder, worker: i64, mask: Option<&Arc<Mask>>) -> Self {
        let of = |stream| Captured::new(scratch, worker, stream);
        Self {
            mask: mask.cloned(),
            masked: <[Masked; 2]>::default(),
            stdout: of("stdout"),
            stderr: of("stderr"),
        }
    }

    /// Adds what came on a stream, and passes on what is kept of it.
    pub(super) fn add(
        &mut self,
        stream: Stream,
        bytes: &[u8],
        pass: &mut dyn FnMut(Stream, &[u8]),
    ) {
        let Some(mask) = &self.mask else {
            self.put(stream, bytes);
            return pass(stream, bytes);
        };
        let mut shown = Vec::new();
        let masked = &mut self.masked[usize::from(stream == Stream::Stderr)];
        masked.add(mask, bytes, &mut |bytes| shown.extend_from_slice(bytes));
        self.put(stream, &shown);
        pass(stream, &shown);
    }

    /// The task has ended: nothing more comes.
    pub(super) fn end(&mut self, pass: &mut dyn FnMut(Stream, &[u8])) {
        let Some(mask) = self.mask.take() else {
            return;
        };
        for (at, stream) in [Stream::Stdout, Stream::Stderr].into_iter().enumerate() {
            let mut shown = Vec::new();
            self.masked[at].end(&mask, &mut |bytes| shown.extend_from_slice(bytes));
            self.put(stream, &shown);
            pass(stream, &shown);
        }
    }

    fn put(&mut self, stream: Stream, bytes: &[u8]) {
        match stream {
            Stream::Stdout => self.stdout.add(bytes),
            Stream::Stderr => self.stderr.add(bytes),
        }
    }

    /// Makes objects of both.
    pub(super) fn keep(self, store: &Store) -> Result<Logs, store::InsertError> {
        Ok(Logs {
            stdout: self.stdout.keep(store)?,
            stderr: self.stderr.keep(store)?,
        })
    }
}

/// What a task writes on one stream: in memory while it is little, in a file beyond.
pub(super) struct Captured<'a> {
    scratch: &'a Folder,
    worker: i64,
    stream: &'static str,
    head: Vec<u8>,
    file: Option<File>,
    /// The end of what went to the file.
    tail: Vec<u8>,
    error: Option<io::Error>,
}

/// Bytes kept in memory; and as many of the end once there are more.
const HEAD: usize = 64 * 1024;

impl<'a> Captured<'a> {
    fn new(scratch: &'a Folder, worker: i64, stream: &'static str) -> Self {
        Self {
            scratch,
            worker,
            stream,
            head: Vec::new(),
            file: None,
            tail: Vec::new(),
            error: None,
        }
    }

    fn add(&mut self, bytes: &[u8]) {
        if self.error.is_some() {
            return;
        }
        if self.file.is_none() && self.head.len() + bytes.len() <= HEAD {
            self.head.extend_from_slice(bytes);
        } else if let Err(error) = self.spill(bytes) {
            self.error = Some(error);
        }
    }

    /// Of the file for what is too long.
    fn name(&self) -> String {
        format!("w{}-{}", self.worker, self.stream)
    }

    fn spill(&mut self, bytes: &[u8]) -> io::Result<()> {
        let name = self.name();
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let entry = self.scratch.entry(&name);
                let _ = entry.remove();
                let file = none.insert(entry.create()?);
                file.write_all(&self.head)?;
                self.tail = std::mem::take(&mut self.head);
                file
            }
        };
        file.write_all(bytes)?;
        self.tail.extend_from_slice(bytes);
        let surplus = self.tail.len().saturating_sub(HEAD);
        self.tail.drain(..surplus);
        Ok(())
    }

    fn keep(mut self, store: &Store) -> Result<Option<Digest>, store::InsertError> {
        let name = self.name();
        let entry = self.scratch.entry(&name);
        let failed = store::io_error("keep what the task wrote in", entry);
        if let Some(error) = self.error.take() {
            return Err(failed(error).into());
        }
        if let Some(file) = self.file {
            let written = sys::look(file.as_fd()).map_err(failed)?.identity;
            // Held open for reading, for as long as no other file can be the same one.
            let _held = entry.open().map_err(store::io_error("open", entry))?;
            drop(file);
            let candidate = store.candidate(entry, true)?;
            if candidate.identity() != written {
                return Err(store::Error::Replaced(entry.path()).into());
            }
            return Ok(Some(store.insert(candidate)?.digest));
        }
        if self.head.is_empty() {
            return Ok(None);
        }
        Ok(Some(store.insert_bytes(&self.head)?))
    }

    /// Its last lines, each after a line end; nothing if there are none.
    pub(super) fn last_words(&self) -> String {
        const LINES: usize = 10;
        const BYTES: usize = 2000;
        let end = if self.file.is_some() {
            &self.tail
        } else {
            &self.head
        };
        let start = end.len().saturating_sub(BYTES);
        let text = String::from_utf8_lossy(&end[start..]);
        let lines: Vec<&str> = text.trim_end().lines().collect();
        let first = lines.len().saturating_sub(LINES);
        lines[first..]
            .iter()
            .fold(String::new(), |mut words, line| {
                words.push('\n');
                words.push_str(line);
                words
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn much_output_is_kept_whole_and_little_of_it_in_memory() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("objects"), dir.path()).unwrap();
        let scratch = Folder::open(dir.path()).unwrap();
        for lines in [0, 1, 100, 100_000] {
            let mut captured = Captured::new(&scratch, 0, "stdout");
            let mut all = Vec::new();
            for line in 0..lines {
                let line = format!("{line}\n");
                all.extend_from_slice(line.as_bytes());
                captured.add(line.as_bytes());
                assert!(captured.head.len() <= HEAD && captured.tail.len() <= HEAD);
            }
            if lines > 10 {
                let words = captured.last_words();
                assert_eq!(words.lines().count(), 11);
                assert!(words.ends_with(&format!("\n{}", lines - 1)));
            }
            let digest = captured.keep(&store).unwrap();
            let kept = digest.map(|digest| std::fs::read(store.path(&digest)).unwrap());
            assert_eq!(kept.unwrap_or_default(), all);
        }
    }
}
