//! Records in order, of which little is in memory: where there are many they are sorted in runs, which
//! lie in a file that has no name.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use crate::store::{Error, io_error};

/// Bytes that are sorted in memory.
const ROOM: usize = if cfg!(test) { 1024 } else { 4 << 20 };
/// Runs that are read side by side; of more, one is made first.
const MOST: usize = if cfg!(test) { 3 } else { 64 };
/// Bytes of a run that are read at once.
const PIECE: usize = if cfg!(test) { 100 } else { 32 << 10 };

/// Takes records in any order, of less than 4 GiB each.
#[derive(Debug)]
pub(super) struct Sorter {
    folder: PathBuf,
    bytes: Vec<u8>,
    records: Vec<Range<usize>>,
    runs: Runs,
}

/// Records that are sorted, run by run.
#[derive(Debug, Default)]
struct Runs {
    /// None while there is no run.
    file: Option<File>,
    places: Vec<Range<u64>>,
    /// Of all that was written.
    end: u64,
}

impl Sorter {
    /// What does not fit into memory goes to that folder.
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            bytes: Vec::new(),
            records: Vec::new(),
            runs: Runs::default(),
        }
    }

    pub(super) fn push(&mut self, record: &[u8]) -> Result<(), Error> {
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(record);
        self.records.push(begin..self.bytes.len());
        if self.bytes.len() + self.records.len() * size_of::<Range<usize>>() > ROOM {
            self.spill()?;
        }
        Ok(())
    }

    fn sort(&mut self) {
        let bytes = &self.bytes;
        let of = |record: &Range<usize>| &bytes[record.clone()];
        self.records.sort_unstable_by(|a, b| of(a).cmp(of(b)));
    }

    fn spill(&mut self) -> Result<(), Error> {
        self.sort();
        let records = self.records.iter();
        let mut records = records.map(|record| &self.bytes[record.clone()]);
        let all = |write: &mut Write| records.try_for_each(write);
        let wrote = self.runs.write(&self.folder, all);
        wrote.map_err(io_error("write to a file in", &*self.folder))?;
        self.bytes.clear();
        self.records.clear();
        if self.runs.places.len() >= MOST {
            let merged = self.runs.merge(&self.folder);
            merged.map_err(io_error("sort in a file in", &*self.folder))?;
        }
        Ok(())
    }

    /// No more records come.
    pub(super) fn end(mut self) -> Result<Sorted, Error> {
        if self.runs.file.is_none() {
            self.sort();
        } else if !self.records.is_empty() {
            self.spill()?;
        }
        if self.runs.file.is_some() {
            (self.bytes, self.records) = (Vec::new(), Vec::new());
        }
        Ok(Sorted(self))
    }
}

/// Takes a record.
type Write<'a> = dyn FnMut(&[u8]) -> io::Result<()> + 'a;

impl Runs {
    /// Adds a run of what `all` writes, which is in order.
    fn write(
        &mut self,
        folder: &Path,
        all: impl FnOnce(&mut Write) -> io::Result<()>,
    ) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile_in(folder)?),
        };
        let begin = self.end;
        let mut end = begin;
        let mut writer = BufWriter::with_capacity(PIECE, At(file, begin));
        all(&mut |record| {
            let length = u32::try_from(record.len()).map_err(io::Error::other)?;
            writer.write_all(&length.to_ne_bytes())?;
            end += 4 + u64::from(length);
            writer.write_all(record)
        })?;
        writer.flush()?;
        drop(writer);
        self.end = end;
        self.places.push(begin..end);
        Ok(())
    }

    /// Makes one run of all.
    fn merge(&mut self, folder: &Path) -> io::Result<()> {
        let old = std::mem::take(self);
        let mut all = Merged::new(&old)?;
        self.write(folder, |write| {
            while let Some(record) = all.next()? {
                write(record)?;
            }
            Ok(())
        })
    }
}

/// A file, written from a place on.
struct At<'a>(&'a File, u64);

impl io::Write for At<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.0.write_at(bytes, self.1)?;
        self.1 += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// All records, in order; to be read as often as is wanted.
#[derive(Debug)]
pub(super) struct Sorted(Sorter);

impl Sorted {
    pub(super) fn read(&self) -> Result<Cursor<'_>, Error> {
        let runs = &self.0.runs;
        let merged = runs.file.as_ref().map(|_| Merged::new(runs)).transpose();
        let merged = merged.map_err(io_error("read a file in", &*self.0.folder))?;
        Ok(Cursor {
            sorter: &self.0,
            next: 0,
            merged,
        })
    }
}

/// A place among sorted records.
pub(super) struct Cursor<'a> {
    sorter: &'a Sorter,
    /// Of those in memory, if none are elsewhere.
    next: usize,
    merged: Option<Merged<'a>>,
}

impl Cursor<'_> {
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, Error> {
        if let Some(merged) = &mut self.merged {
            let record = merged.next();
            return record.map_err(io_error("read a file in", &*self.sorter.folder));
        }
        let record = self.sorter.records.get(self.next);
        self.next += 1;
        Ok(record.map(|record| &self.sorter.bytes[record.clone()]))
    }
}

/// Several runs as one.
struct Merged<'a> {
    runs: Vec<Run<'a>>,
    /// The next record of each, with its run.
    heads: BinaryHeap<Reverse<(Vec<u8>, usize)>>,
    now: Vec<u8>,
}

impl<'a> Merged<'a> {
    fn new(all: &'a Runs) -> io::Result<Self> {
        let mut merged = Self {
            runs: Vec::new(),
            heads: BinaryHeap::new(),
            now: Vec::new(),
        };
        for (file, place) in all.file.iter().cycle().zip(&all.places) {
            let mut run = Run {
                file,
                left: place.clone(),
                piece: Vec::new(),
                at: 0,
            };
            let mut head = Vec::new();
            if run.next(&mut head)? {
                merged.heads.push(Reverse((head, merged.runs.len())));
                merged.runs.push(run);
            }
        }
        Ok(merged)
    }

    fn next(&mut self) -> io::Result<Option<&[u8]>> {
        let Some(mut head) = self.heads.peek_mut() else {
            return Ok(None);
        };
        let Reverse((record, run)) = &mut *head;
        std::mem::swap(&mut self.now, record);
        if !self.runs[*run].next(record)? {
            PeekMut::pop(head);
        }
        Ok(Some(&self.now))
    }
}

struct Run<'a> {
    file: &'a File,
    /// What was not read yet.
    left: Range<u64>,
    piece: Vec<u8>,
    /// Where in `piece` the next byte is.
    at: usize,
}

impl Run<'_> {
    /// Puts the next record into `record`; whether there is one.
    fn next(&mut self, record: &mut Vec<u8>) -> io::Result<bool> {
        record.clear();
        if self.at == self.piece.len() && self.left.is_empty() {
            return Ok(false);
        }
        let mut length = [0; 4];
        self.take(4, |at, bytes| {
            length[at..][..bytes.len()].copy_from_slice(bytes);
        })?;
        let length = u32::from_ne_bytes(length) as usize;
        self.take(length, |_, bytes| record.extend_from_slice(bytes))?;
        Ok(true)
    }

    fn take(&mut self, length: usize, mut give: impl FnMut(usize, &[u8])) -> io::Result<()> {
        let mut given = 0;
        while given < length {
            if self.at == self.piece.len() {
                let left = self.left.end - self.left.start;
                let size = left.min(PIECE as u64);
                self.piece.resize(usize::try_from(size).unwrap_or(PIECE), 0);
                self.file.read_exact_at(&mut self.piece, self.left.start)?;
                self.left.start += size;
                self.at = 0;
                if size == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            let here = (length - given).min(self.piece.len() - self.at);
            give(given, &self.piece[self.at..][..here]);
            self.at += here;
            given += here;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_in_order_however_many_there_are_and_however_often() {
        let dir = tempfile::tempdir().unwrap();
        for count in [0, 1, 2, 20, 100, 1000] {
            let mut sorter = Sorter::new(dir.path());
            let record = |n: usize| vec![u8::try_from(n * 7919 % 251).unwrap(); n % 40];
            let mut wanted: Vec<Vec<u8>> = (0..count).map(record).collect();
            for record in &wanted {
                sorter.push(record).unwrap();
            }
            wanted.sort();
            let in_order = sorter.end().unwrap();
            assert_eq!(in_order.0.runs.file.is_some(), count > 50);
            assert!(in_order.0.runs.places.len() <= MOST);
            for _ in 0..2 {
                let mut cursor = in_order.read().unwrap();
                for record in &wanted {
                    assert_eq!(cursor.next().unwrap(), Some(&**record));
                }
                assert_eq!(cursor.next().unwrap(), None);
            }
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn where_there_is_no_place_it_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let mut sorter = Sorter::new(&dir.path().join("none"));
        let error = (0..100).find_map(|_| sorter.push(&[0; 10]).err());
        let error = error.unwrap().to_string();
        assert!(error.contains("none"), "{error}");
    }
}
