//! What is in lists: of folders, of what was gathered, of what tasks get besides their inputs.

use std::io::{self, BufRead as _, BufReader, Read as _};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::needs::{Need, Needs};
use crate::model::list::Form;
use crate::model::tree::{self, Entry, HEADER, Kind};
use crate::state::Use;
use crate::store::{self, Reader};

/// What the lists among these name, and those that are none though their bytes are right. Lists that are
/// damaged are told of elsewhere: as objects.
pub(super) fn within(
    needs: &Needs,
    store: &Reader,
    threads: usize,
    stop: &AtomicBool,
) -> io::Result<(Needs, Vec<Need>)> {
    /// More is not told.
    const MOST: usize = 1000;
    let found = Mutex::new((Needs::new(), Vec::new()));
    let next = AtomicUsize::new(0);
    let work = || -> io::Result<()> {
        while let Ok(first) = u8::try_from(next.fetch_add(1, Ordering::Relaxed))
            && !stop.load(Ordering::Relaxed)
        {
            for need in needs.of(first)? {
                let read = each_in(store, &need, &mut |inner| {
                    let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                    found.0.add(&inner);
                });
                if read.is_err_and(|error| is_no_list(&error)) {
                    let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                    if found.1.len() < MOST {
                        found.1.push(need);
                    }
                }
            }
        }
        Ok(())
    };
    super::in_threads(threads, &work)?;
    let (mut found, others) = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.end()?;
    Ok((found, others))
}

#[allow(clippy::wildcard_enum_match_arm)] // Of all ways to fail this one is meant.
fn is_no_list(error: &store::Error) -> bool {
    match error {
        store::Error::Io { source, .. } => source.kind() == io::ErrorKind::InvalidData,
        _ => false,
    }
}

/// Calls `each` with what the list that it is names; however much that is, little of it is in memory.
fn each_in(store: &Reader, need: &Need, each: &mut dyn FnMut(Need)) -> Result<(), store::Error> {
    let mut named = |entry: &Entry, form| {
        each(Need {
            object: entry.digest,
            form,
            by: match need.by {
                Use::Files => Use::File,
                other @ (Use::Live
                | Use::Past
                | Use::Context
                | Use::Log
                | Use::Checkpoint
                | Use::File) => other,
            },
            within: true,
            row: need.row,
        });
    };
    match need.form {
        Form::File => {}
        Form::Folder => {
            for entry in store.tree(&need.object)? {
                let entry = entry?;
                if entry.kind != Kind::Folder {
                    named(&entry, Form::File);
                }
            }
        }
        Form::List => {
            let path = store.path(&need.object);
            let failed = || store::io_error("read the list in", &path);
            let no_list = || failed()(io::Error::new(io::ErrorKind::InvalidData, "it is none"));
            let mut lines = BufReader::new(store.open_verified(&need.object)?);
            let mut line = String::new();
            let mut first = true;
            while (&mut lines)
                .take(1 << 16)
                .read_line(&mut line)
                .map_err(failed())?
                > 0
            {
                let entry = line.strip_suffix('\n').and_then(tree::line);
                match (first, entry) {
                    (true, _) if line == HEADER => {}
                    (false, Some(entry)) if entry.kind == Kind::Folder => {
                        named(&entry, Form::Folder);
                    }
                    (false, Some(entry)) => named(&entry, Form::File),
                    (true, _) | (false, None) => return Err(no_list()),
                }
                first = false;
                line.clear();
            }
            if first {
                return Err(no_list());
            }
        }
    }
    Ok(())
}
