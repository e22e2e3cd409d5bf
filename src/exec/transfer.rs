//! Objects on their way between two stores, in pieces.

use std::collections::HashMap;
use std::fs::File;
use std::hash::Hash;
use std::io::{self, Read as _, Write as _};

use crate::folder::Folder;
use crate::model::digest::Digest;
use crate::model::list::Form;
use crate::model::tree::Kind;
use crate::store::{self, InsertError, Reader, Store};
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
    files: HashMap<K, (u64, File)>,
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

    /// A piece came. With the last one, what the bytes of all of them hash to, which is in the store then.
    pub(super) fn add(
        &mut self,
        key: K,
        bytes: &[u8],
        last: bool,
    ) -> Result<Option<Digest>, Failed> {
        if last && !self.files.contains_key(&key) {
            return Ok(Some(self.store.insert_bytes(bytes)?));
        }
        let (number, mut file) = if let Some(begun) = self.files.remove(&key) {
            begun
        } else {
            self.count += 1;
            let name = name(&self.mark, self.count);
            let entry = self.folder.entry(&name);
            let file = entry.create().map_err(store::io_error("make", entry))?;
            (self.count, file)
        };
        let name = name(&self.mark, number);
        let entry = self.folder.entry(&name);
        file.write_all(bytes)
            .map_err(store::io_error("write", entry))?;
        if !last {
            self.files.insert(key, (number, file));
            return Ok(None);
        }
        drop(file);
        let candidate = self.store.candidate(entry, true)?;
        Ok(Some(self.store.insert(candidate)?.digest))
    }
}

impl<K> Drop for Incoming<'_, K> {
    /// What did not come whole is of no use.
    fn drop(&mut self) {
        for (number, _) in self.files.values() {
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
