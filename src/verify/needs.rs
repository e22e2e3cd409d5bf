//! The objects that rows and lists need, by the first byte of their hashes: more than have room in memory
//! are kept in a file without a name, from which those of one byte are read back.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;

use crate::model::digest::Digest;
use crate::model::list::Form;
use crate::model::task::TaskId;
use crate::state::{Reference, Use};

/// An object that is needed, and what for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Need {
    /// The object.
    pub object: Digest,
    /// What that is.
    pub form: Form,
    /// What it is there for.
    pub by: Use,
    /// Whether it is one of a list that the row has, and not the row's own.
    pub within: bool,
    /// The row; see [`Reference`].
    pub row: TaskId,
}

impl From<Reference> for Need {
    fn from(reference: Reference) -> Self {
        Self {
            object: reference.object,
            form: reference.form,
            by: reference.by,
            within: false,
            row: reference.row,
        }
    }
}

impl Need {
    /// Those of one object stand together, of each form that says most about it first: what lives before what
    /// is history, a row's own before what is in a list, the newest row before others.
    fn order(&self) -> impl Ord + use<> {
        let rank = (self.by, self.within, std::cmp::Reverse(self.row));
        (self.object, self.form, rank)
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.object.0);
        let form = u8::try_from(self.form.number()).unwrap_or_default();
        bytes.push(form | u8::from(self.within) << 2 | self.by.number() << 3);
        bytes.extend(self.row.0.to_le_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (object, rest) = bytes.split_first_chunk::<32>()?;
        let (flags, rest) = rest.split_first()?;
        let (row, _) = rest.split_first_chunk::<8>()?;
        Some(Self {
            object: Digest(*object),
            form: Form::of(i64::from(flags & 3)).unwrap_or_default(),
            by: Use::of(flags >> 3),
            within: flags & 4 != 0,
            row: TaskId(i64::from_le_bytes(*row)),
        })
    }
}

/// Bytes of each.
const SIZE: usize = 41;
/// Of one byte in memory.
const ROOM: usize = SIZE * if cfg!(test) { 3 } else { 200 };

/// All of them.
#[derive(Debug)]
pub(super) struct Needs {
    /// By the first byte, what is not in the file.
    parts: Vec<Vec<u8>>,
    /// By the first byte, where pieces of the file begin, each of [`ROOM`] bytes.
    pieces: Vec<Vec<u64>>,
    file: Option<File>,
    length: u64,
    failed: Option<io::Error>,
}

impl Needs {
    pub(super) fn new() -> Self {
        Self {
            parts: vec![Vec::new(); 256],
            pieces: vec![Vec::new(); 256],
            file: None,
            length: 0,
            failed: None,
        }
    }

    /// One more. That it could not be kept is told at the end.
    pub(super) fn add(&mut self, need: &Need) {
        let at = usize::from(need.object.0[0]);
        need.write(&mut self.parts[at]);
        if self.parts[at].len() >= ROOM
            && self.failed.is_none()
            && let Err(error) = self.spill(at)
        {
            self.failed = Some(error);
        }
    }

    fn spill(&mut self, at: usize) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile()?),
        };
        file.write_all(&self.parts[at])?;
        self.pieces[at].push(self.length);
        self.length += self.parts[at].len() as u64;
        self.parts[at].clear();
        Ok(())
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.length == 0 && self.parts.iter().all(Vec::is_empty)
    }

    /// Fails if not all could be kept.
    pub(super) fn end(&mut self) -> io::Result<()> {
        self.failed.take().map_or(Ok(()), Err)
    }

    /// Those whose hash begins with that byte, each object once for each form, in order.
    pub(super) fn of(&self, first: u8) -> io::Result<Vec<Need>> {
        let at = usize::from(first);
        let mut all = Vec::new();
        let read = |bytes: &[u8]| {
            let each = bytes.chunks_exact(SIZE);
            each.filter_map(Need::read).collect::<Vec<_>>()
        };
        if let Some(file) = &self.file {
            let mut bytes = vec![0; ROOM];
            for place in &self.pieces[at] {
                file.read_exact_at(&mut bytes, *place)?;
                all.extend(read(&bytes));
                if all.len() > MANY {
                    shorten(&mut all);
                }
            }
        }
        all.extend(read(&self.parts[at]));
        shorten(&mut all);
        Ok(all)
    }
}

/// So many are sorted, so that those that say the same take no room.
const MANY: usize = 1 << 16;

fn shorten(all: &mut Vec<Need>) {
    all.sort_unstable_by_key(Need::order);
    all.dedup_by_key(|need| (need.object, need.form));
}

/// The same of several, each object once.
pub(super) fn together(levels: &[Needs], first: u8) -> io::Result<Vec<Need>> {
    let mut all = Vec::new();
    for level in levels {
        all.extend(level.of(first)?);
    }
    all.sort_unstable_by_key(|need| {
        (
            need.object,
            need.by,
            need.within,
            std::cmp::Reverse(need.row),
        )
    });
    all.dedup_by_key(|need| need.object);
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(object: u32, form: Form, by: Use, within: bool, row: i64) -> Need {
        Need {
            object: Digest::of(&object.to_le_bytes()),
            form,
            by,
            within,
            row: TaskId(row),
        }
    }

    #[test]
    fn all_come_back_however_many_there_are() {
        let mut needs = Needs::new();
        let mut wanted = Vec::new();
        for n in 0..5000_u32 {
            let one = need(n, Form::File, Use::Log, n % 2 == 0, i64::from(n));
            needs.add(&one);
            wanted.push(one);
        }
        needs.end().unwrap();
        assert!(needs.file.is_some());
        wanted.sort_unstable_by_key(Need::order);
        let found: Vec<Need> = (0..=255).flat_map(|at| needs.of(at).unwrap()).collect();
        assert_eq!(found, wanted);
    }

    #[test]
    fn of_several_the_one_that_says_most_is_kept() {
        let mut needs = Needs::new();
        let all = [
            need(1, Form::File, Use::Past, false, 9),
            need(1, Form::File, Use::Live, true, 8),
            need(1, Form::File, Use::Live, false, 3),
            need(1, Form::File, Use::Live, false, 5),
            need(1, Form::Folder, Use::Context, true, 7),
        ];
        all.iter().for_each(|one| needs.add(one));
        let first = all[0].object.0[0];
        assert_eq!(needs.of(first).unwrap(), [all[3], all[4]]);
        let mut more = Needs::new();
        more.add(&need(1, Form::List, Use::Live, true, 99));
        assert_eq!(together(&[needs, more], first).unwrap(), [all[3]]);
    }
}
