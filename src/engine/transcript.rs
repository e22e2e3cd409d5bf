//! What a task writes, on the way into the store.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;

use crate::core::digest::Digest;
use crate::process::Stream;
use crate::state::Logs;
use crate::store::{self, Store};

/// What a task writes, on both streams.
pub struct Record {
    stdout: Captured,
    /// Standard error, for its last words.
    pub stderr: Captured,
}

impl Record {
    /// Files of these names hold what is too long for memory.
    pub fn new(stdout: PathBuf, stderr: PathBuf) -> Self {
        Self {
            stdout: Captured::new(stdout),
            stderr: Captured::new(stderr),
        }
    }

    /// Adds what came on a stream.
    pub fn add(&mut self, stream: Stream, bytes: &[u8]) {
        match stream {
            Stream::Stdout => self.stdout.add(bytes),
            Stream::Stderr => self.stderr.add(bytes),
        }
    }

    /// Makes objects of both.
    pub fn keep(self, store: &Store) -> Result<Logs, store::AdoptError> {
        Ok(Logs {
            stdout: self.stdout.keep(store)?,
            stderr: self.stderr.keep(store)?,
        })
    }
}

/// What a task writes on one stream: in memory while it is little, in a file beyond.
pub struct Captured {
    path: PathBuf,
    head: Vec<u8>,
    file: Option<File>,
    /// The end of what went to the file.
    tail: Vec<u8>,
    error: Option<io::Error>,
}

/// Bytes kept in memory; and as many of the end once there are more.
const HEAD: usize = 64 * 1024;

impl Captured {
    fn new(path: PathBuf) -> Self {
        Self {
            path,
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

    fn spill(&mut self, bytes: &[u8]) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let _ = fs::remove_file(&self.path);
                let file = none.insert(File::create_new(&self.path)?);
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

    fn keep(self, store: &Store) -> Result<Option<Digest>, store::AdoptError> {
        if let Some(error) = self.error {
            let error = store::io_error("keep what the task wrote in", &self.path)(error);
            return Err(error.into());
        }
        if let Some(file) = self.file {
            drop(file);
            return Ok(Some(store.adopt(&self.path, true)?.digest));
        }
        if self.head.is_empty() {
            return Ok(None);
        }
        Ok(Some(store.put(&self.head)?))
    }

    /// Its last lines, each after a line end; nothing if there are none.
    pub fn last_words(&self) -> String {
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
        for lines in [0, 1, 100, 100_000] {
            let mut captured = Captured::new(dir.path().join("log"));
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
            let kept = digest.map(|digest| fs::read(store.path(&digest)).unwrap());
            assert_eq!(kept.unwrap_or_default(), all);
        }
    }
}
