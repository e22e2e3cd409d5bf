//! The file `index` of a git repository: what is tracked, and how it was when git looked last.
//! The form is described in git's `gitformat-index`.

#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz;

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::super::regular;
use super::Format;

/// What is tracked.
pub(super) struct Index {
    /// Sorted by name.
    pub entries: Vec<Entry>,
    /// When it was written: a file that changed at that time or later may have changed unnoticed.
    written: (i64, i64),
}

/// One tracked file.
pub(super) struct Entry {
    /// Its path in the work tree.
    pub name: Vec<u8>,
    /// 0, or 1 to 3 for the sides of a merge that is not resolved.
    pub stage: u8,
    /// Of its content, by git.
    pub hash: Vec<u8>,
    mode: u32,
    changed: (u32, u32),
    modified: (u32, u32),
    inode: u32,
    size: u32,
}

/// The kinds of a mode.
const KIND: u32 = 0o170_000;
const SUBMODULE: u32 = 0o160_000;
const FOLDER: u32 = 0o040_000;

impl Entry {
    /// Whether it is a commit of another repository.
    pub(super) fn is_submodule(&self) -> bool {
        self.mode & KIND == SUBMODULE
    }

    /// Whether it stands for a folder that is not checked out.
    fn is_folder(&self) -> bool {
        self.mode & KIND == FOLDER
    }
}

impl Index {
    /// Reads the file; none if it is no index of a known form.
    pub(super) fn read(path: &Path, format: Format) -> Option<Self> {
        let meta = path.metadata().ok()?;
        let bytes = regular::read(path).ok()?;
        Some(Self {
            entries: parse(&bytes, format)?,
            written: (meta.mtime(), meta.mtime_nsec()),
        })
    }

    /// Whether the file that `meta` is of is as git saw it last, so that it has the entry's hash.
    pub(super) fn is_current(&self, entry: &Entry, meta: &Metadata) -> bool {
        // A folder's hash stands for what is not there.
        if entry.is_folder() || entry.mode & KIND != meta.mode() & KIND {
            return false;
        }
        let modified = (meta.mtime(), meta.mtime_nsec());
        modified < self.written
            && same(entry.modified, modified)
            && same(entry.changed, (meta.ctime(), meta.ctime_nsec()))
            && entry.inode == low(meta.ino())
            && entry.size == low(meta.size())
    }
}

/// What an index keeps of a number: its low half.
#[allow(clippy::cast_possible_truncation)] // That is what git does.
fn low(number: u64) -> u32 {
    number as u32
}

fn same(kept: (u32, u32), (seconds, nanos): (i64, i64)) -> bool {
    kept == (low(seconds.cast_unsigned()), low(nanos.cast_unsigned()))
}

/// Bytes from the front.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(front)
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    /// Up to a NUL, which is taken too.
    fn text(&mut self) -> Option<&'a [u8]> {
        let end = self.0.iter().position(|byte| *byte == 0)?;
        let text = self.take(end)?;
        self.take(1)?;
        Some(text)
    }

    /// A number of variable length, as in packs.
    fn number(&mut self) -> Option<usize> {
        let mut value: usize = 0;
        loop {
            let byte = self.take(1)?[0];
            value = value.checked_add(usize::from(byte & 127))?;
            if byte & 128 == 0 {
                return Some(value);
            }
            value = value.checked_add(1)?.checked_mul(128)?;
        }
    }
}

fn parse(bytes: &[u8], format: Format) -> Option<Vec<Entry>> {
    let mut from = Bytes(bytes);
    if from.take(4)? != b"DIRC" {
        return None;
    }
    let version = from.u32()?;
    if !(2..=4).contains(&version) {
        return None;
    }
    let count = from.u32()?;
    let mut entries: Vec<Entry> = Vec::new();
    for _ in 0..count {
        let before = entries.last().map_or(&[][..], |entry| &entry.name);
        let entry = parse_entry(&mut from, version, format, before)?;
        entries.push(entry);
    }
    while from.0.len() > format.bytes() {
        let name = from.take(4)?;
        let length = usize::try_from(from.u32()?).ok()?;
        from.take(length)?;
        // One that begins with a small letter changes what the entries mean. Of these, `sdir` says
        // that some stand for folders.
        if name[0].is_ascii_lowercase() && name != b"sdir" {
            return None;
        }
    }
    Some(entries)
}

fn parse_entry(from: &mut Bytes<'_>, version: u32, format: Format, before: &[u8]) -> Option<Entry> {
    let start = from.0.len();
    let changed = (from.u32()?, from.u32()?);
    let modified = (from.u32()?, from.u32()?);
    let _device = from.u32()?;
    let inode = from.u32()?;
    let mode = from.u32()?;
    let (_user, _group) = (from.u32()?, from.u32()?);
    let size = from.u32()?;
    let hash = from.take(format.bytes())?.to_vec();
    let flags = from.u16()?;
    let extended = flags & 0x4000 != 0;
    if extended && (version < 3 || from.u16().is_none()) {
        return None;
    }
    let name = if version == 4 {
        let cut = from.number()?;
        let kept = before.len().checked_sub(cut)?;
        [&before[..kept], from.text()?].concat()
    } else {
        let name = from.text()?.to_vec();
        // The entry's length is a multiple of eight.
        let length = start - from.0.len();
        from.take(length.next_multiple_of(8) - length)?;
        name
    };
    Some(Entry {
        name,
        stage: u8::try_from(flags >> 12 & 3).ok()?,
        hash,
        mode,
        changed,
        modified,
        inode,
        size,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers() {
        for (bytes, number) in [
            (&[0x00][..], Some(0)),
            (&[0x7f], Some(127)),
            (&[0x80, 0x00], Some(128)),
            (&[0x80, 0x80, 0x00], Some(16512)),
            (&[0x80], None),
            (&[0xff; 20], None),
        ] {
            assert_eq!(Bytes(bytes).number(), number, "{bytes:?}");
        }
    }

    proptest! {
        // A file from anywhere ends nothing and takes no more memory than it is long.
        #[test]
        fn any_bytes(rest in prop::collection::vec(any::<u8>(), 0..400), version in 2_u8..5) {
            let head = [b"DIRC\0\0\0".as_slice(), &[version], &[0xff; 4]].concat();
            prop_assert!(parse(&[head, rest].concat(), Format::Sha1).is_none());
        }
    }
}
