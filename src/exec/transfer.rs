//! Objects on their way between two stores, in pieces.

use std::collections::HashMap;
use std::fs::File;
use std::hash::Hash;
use std::io::{self, Read as _, Write as _};

use crate::folder::{Entry, Folder};
use crate::model::digest::Digest;
use crate::model::list::Form;
use crate::model::tree::Kind;
use crate::store::{self, InsertError, Reader, Store};
use crate::sys::Shortage;
use crate::wire::frame::PIECE;

/// Objects that come in. The pieces of one come in order; between them come those of others, each known by
/// its `K`.
#[derive(Debug)]
pub(super) struct Incoming<'a, K> {
    store: &'a Store,
    /// For files that are not complete.
    folder: &'a Folder,
    /// Tells these files from those of others.
    mark: String,
    /// None of one of which something could not be kept: the rest of it is of no use.
    files: HashMap<K, Option<(u64, File)>>,
    count: u64,
}

/// Why an object did not come in.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    /// It could not be kept.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Its file was taken away.
    #[error("what was received cannot be kept: {0}")]
    Insert(#[from] InsertError),
}

impl Failed {
    /// What there was too little of, if it was that.
    pub(super) fn shortage(&self) -> Option<Shortage> {
        match self {
            Self::Store(error) => error.shortage(),
            Self::Insert(error) => error.shortage(),
        }
    }
}

impl<'a, K: Eq + Hash> Incoming<'a, K> {
    /// None yet. Files that are not complete are in `folder`, with `mark` in their names.
    pub(super) fn new(store: &'a Store, folder: &'a Folder, mark: String) -> Self {
        Self {
            store,
            folder,
            mark,
            files: HashMap::new(),
            count: 0,
        }
    }

    /// A piece came. With the last one, what the bytes of all of them hash to, which is in the store then. Where one
    /// could not be kept those that follow it are passed over.
    pub(super) fn add(&mut self, key: K, bytes: &[u8], last: bool) -> Result<Option<Digest>, Failed>
    where
        K: Clone,
    {
        let begun = self.files.remove(&key);
        if last && begun.is_none() {
            return Ok(Some(self.store.insert_bytes(bytes)?));
        }
        let begun = match begun {
            Some(None) => {
                if !last {
                    self.files.insert(key, None);
                }
                return Ok(None);
            }
            Some(begun) => begun,
            None => None,
        };
        let number = begun.as_ref().map_or(self.count + 1, |(number, _)| *number);
        self.count = self.count.max(number);
        let name = name(&self.mark, number);
        let entry = self.folder.entry(&name);
        let written = write(entry, begun.map(|(_, file)| file), bytes);
        let added = written.map_err(Failed::from).and_then(|file| {
            if !last {
                self.files.insert(key.clone(), Some((number, file)));
                return Ok(None);
            }
            drop(file);
            let candidate = self.store.candidate(entry, true)?;
            Ok(Some(self.store.insert(candidate)?.digest))
        });
        if added.is_err() {
            // It takes room, which may be what is lacking.
            let _ = entry.remove();
            if !last {
                self.files.insert(key, None);
            }
        }
        added
    }
}

/// Writes to a file that was begun, or is to be.
fn write(entry: Entry, begun: Option<File>, bytes: &[u8]) -> Result<File, store::Error> {
    let mut file = match begun {
        Some(file) => file,
        None => entry.create().map_err(store::io_error("make", entry))?,
    };
    file.write_all(bytes)
        .map_err(store::io_error("write", entry))?;
    Ok(file)
}

impl<K> Drop for Incoming<'_, K> {
    /// What did not come whole is of no use.
    fn drop(&mut self) {
        for (number, _) in self.files.values().flatten() {
            let _ = self.folder.entry(&name(&self.mark, *number)).remove();
        }
    }
}

fn name(mark: &str, number: u64) -> String {
    format!("incoming-{mark}-{number}")
}

/// Sends an object, piece by piece: the bytes, and whether they are the last.
pub(super) fn send(
    store: &Reader,
    digest: &Digest,
    mut say: impl FnMut(&[u8], bool) -> io::Result<()>,
) -> Result<(), store::Error> {
    if *digest == Digest::EMPTY {
        return say(&[], true).map_err(store::io_error("send", &store.path(digest)));
    }
    let path = store.path(digest);
    let mut object = store.open_verified(digest)?;
    let mut piece = vec![0; PIECE];
    // One ahead, to know which is the last.
    let mut next = fill(&mut object, &mut piece).map_err(store::io_error("read", &path))?;
    loop {
        let bytes = piece[..next].to_vec();
        next = if bytes.len() < PIECE {
            0
        } else {
            fill(&mut object, &mut piece).map_err(store::io_error("read", &path))?
        };
        say(&bytes, next == 0).map_err(store::io_error("send", &path))?;
        if next == 0 {
            return Ok(());
        }
    }
}

fn fill(from: &mut File, piece: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < piece.len() {
        match from.read(&mut piece[length..]) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

/// Calls `each` with the objects that a folder or a file of this form has in it, besides its own; those of
/// the folders in a list with them, but only after `have` was called with the lists.
pub(super) fn each_within(
    store: &Reader,
    digest: &Digest,
    form: Form,
    each: &mut dyn FnMut(&Digest) -> Result<(), store::Error>,
) -> Result<(), store::Error> {
    match form {
        Form::File => Ok(()),
        Form::Folder => {
            for entry in store.tree(digest)? {
                let entry = entry?;
                if entry.kind != Kind::Folder {
                    each(&entry.digest)?;
                }
            }
            Ok(())
        }
        Form::List => {
            for entry in store.list(digest)? {
                each(&entry?.digest)?;
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn one_that_could_not_be_kept_leaves_nothing_and_can_come_again() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("objects"), dir.path()).unwrap();
        let place = dir.path().join("incoming");
        fs::create_dir(&place).unwrap();
        let folder = Folder::open(&place).unwrap();
        let mut incoming = Incoming::new(&store, &folder, "x".to_owned());
        let whole = Digest::of(b"abc");
        assert!(matches!(incoming.add(1, b"a", false), Ok(None)));
        // Its file cannot become an object.
        fs::rename(place.join("incoming-x-1"), dir.path().join("away")).unwrap();
        fs::create_dir(place.join("incoming-x-2")).unwrap();
        assert!(incoming.add(1, b"bc", true).is_err());
        // Its file cannot be made.
        assert!(incoming.add(1, b"a", false).is_err());
        assert!(matches!(incoming.add(1, b"b", false), Ok(None)));
        assert!(matches!(incoming.add(1, b"c", true), Ok(None)));
        fs::remove_dir(place.join("incoming-x-2")).unwrap();
        assert!(matches!(incoming.add(1, b"ab", false), Ok(None)));
        assert_eq!(incoming.add(1, b"c", true).unwrap(), Some(whole));
        assert_eq!(fs::read_dir(&place).unwrap().count(), 0);
    }
}
