//! Objects whose bytes were dropped, as they can be made again. Whoever asks whether they are there, is told that they
//! are; whoever wants their bytes, is told what became of them.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::sync::PoisonError;

use super::{Error, Reader, Removes, io_error, is_absent, remove};
use crate::folder::Entry;
use crate::model::digest::Digest;
use crate::model::list::Form;

impl Reader {
    /// From now on these are the objects whose bytes were dropped: in the order of their hashes.
    pub(crate) fn set_evicted(&self, objects: Vec<Digest>) {
        let mut all = self.evicted.write().unwrap_or_else(PoisonError::into_inner);
        *all = objects;
    }

    /// Whether the bytes of any object were dropped.
    pub(crate) fn is_any_evicted(&self) -> bool {
        let all = self.evicted.read().unwrap_or_else(PoisonError::into_inner);
        !all.is_empty()
    }

    /// Whether the bytes of that object were dropped; they may be there again.
    pub(crate) fn is_evicted(&self, digest: &Digest) -> bool {
        let all = self.evicted.read().unwrap_or_else(PoisonError::into_inner);
        all.binary_search(digest).is_ok()
    }

    /// Those whose bytes are there again.
    pub(crate) fn back(&self) -> Vec<Digest> {
        let all = self.evicted.read().unwrap_or_else(PoisonError::into_inner);
        let there = all.iter().filter(|object| self.contains(object));
        there.copied().collect()
    }

    /// Whether bytes that were dropped are missing for whoever works on that.
    pub(crate) fn lacks(&self, digest: &Digest, form: Form) -> Result<bool, Error> {
        self.lacks_without(digest, form, &HashSet::new())
    }

    /// The same if it had these by then.
    pub(crate) fn lacks_without(
        &self,
        digest: &Digest,
        form: Form,
        made: &HashSet<Digest>,
    ) -> Result<bool, Error> {
        if !self.is_any_evicted() {
            return Ok(false);
        }
        let is_gone = |digest: &Digest| {
            self.is_evicted(digest) && !made.contains(digest) && !self.contains(digest)
        };
        if is_gone(digest) {
            return Ok(true);
        }
        if form == Form::File {
            return Ok(false);
        }
        let (mut lacks, mut folders) = (false, Vec::new());
        self.each_named(digest, |object, within| {
            lacks |= is_gone(&object);
            if form == Form::List && within == Form::Folder {
                folders.push(object);
            }
        })?;
        for folder in folders {
            lacks |= self.lacks_without(&folder, Form::Folder, made)?;
        }
        Ok(lacks)
    }

    /// Drops the object's bytes, if they are there; not if it is done `dry`.
    pub(crate) fn drop_bytes(&self, digest: &Digest, dry: bool) -> Result<(), Error> {
        let path = self.path(digest);
        if dry {
            return Ok(());
        }
        match remove(Entry::from(&path)) {
            Err(error) if !is_absent(&error) => Err(io_error("remove", &path)(error)),
            _ => Ok(()),
        }
    }

    /// How many bytes the object has, and how many it takes, if it is there.
    pub(crate) fn extent(&self, digest: &Digest) -> Option<(u64, u64)> {
        let metadata = fs::symlink_metadata(self.path(digest)).ok()?;
        let taken = metadata.blocks().saturating_mul(512);
        metadata.is_file().then_some((metadata.len(), taken))
    }

    /// What all objects take, as the file system counts it.
    pub(crate) fn taken(&self) -> Result<super::Amount, Error> {
        let swept = self.sweep(|_| Ok::<_, io::Error>(Vec::new()), Removes::Nothing);
        let swept = swept.map_err(io_error("read", &self.root))?;
        match swept.error {
            Some(error) => Err(error),
            None => Ok(swept.unneeded),
        }
    }
}
