//! Making objects of files: in several threads where there are many, or large ones.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::super::batch::all;
use crate::folder::Folder;
use crate::model::digest::Digest;
use crate::store::{self, InsertError, Inserted, SharedOutput, Store};

/// Told the names of all outputs, and which of them it is.
pub(super) type Offer<'a> = &'a (dyn Fn(&[Box<str>], usize, &Arc<SharedOutput>) + Sync);

/// Where a task's outputs are, and where they go.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    /// Where objects go.
    pub store: &'a Store,
    /// The folder that they are in.
    pub folder: &'a Arc<Folder>,
    /// See [`Store::insert_file`].
    pub quiet: bool,
    /// Told which of all these is large, before it is hashed: it can be read meanwhile.
    pub offer: Offer<'a>,
}

/// The first file in order that did not become an object, and why.
pub(super) type Failed = (usize, InsertError);

/// A file of which an object was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Adopted {
    /// Of its bytes.
    pub digest: Digest,
    /// Whether anybody could execute it.
    pub executable: bool,
}

/// Makes objects of the files `names`, in the same order. After a failure some of the files behind it
/// may be objects, too.
pub(super) fn adopt(source: Source, names: &[Box<str>]) -> Result<Vec<Adopted>, Failed> {
    all(names.len(), &|index, before| {
        let Source { store, folder, .. } = source;
        let name = &*names[index];
        let candidate = store.candidate(folder.entry(name), source.quiet)?;
        before(candidate.size());
        let executable = candidate.is_executable();
        let inserted = match SharedOutput::of(candidate, folder, name) {
            Ok(shared) => {
                let shared = Arc::new(shared);
                (source.offer)(names, index, &shared);
                store.insert_shared(&shared)
            }
            Err(candidate) => store.insert(candidate),
        };
        Ok(adopted(inserted?, executable))
    })
}

/// The same of files that are in several folders, and are not offered to anybody.
pub(super) fn adopt_in(
    source: Source,
    files: &[(Arc<Folder>, &str)],
) -> Result<Vec<Adopted>, Failed> {
    all(files.len(), &|index, before| {
        let (folder, name) = &files[index];
        let candidate = source.store.candidate(folder.entry(*name), source.quiet)?;
        before(candidate.size());
        let executable = candidate.is_executable();
        let inserted = source.store.insert(candidate)?;
        Ok(adopted(inserted, executable))
    })
}

/// The same, and the files stay. One that is written meanwhile fails.
pub(super) fn copy_in(
    source: Source,
    files: &[(Arc<Folder>, &str)],
) -> Result<Vec<Adopted>, Failed> {
    const TRIES: usize = 3;
    static NEVER: AtomicBool = AtomicBool::new(false);
    all(files.len(), &|index, before| {
        let (folder, name) = &files[index];
        let entry = folder.entry(*name);
        for _ in 0..TRIES {
            let look = entry.look().map_err(store::io_error("look at", entry))?;
            let mut file = entry.open().map_err(store::io_error("open", entry))?;
            before(look.size);
            let inserted = source.store.keep_copy(entry, &mut file, &NEVER, |_| ())?;
            let now = entry.look().map_err(store::io_error("look at", entry))?;
            if now == look {
                return Ok(adopted(inserted, look.mode & 0o111 != 0));
            }
        }
        Err(InsertError::BeingWritten)
    })
}

fn adopted(inserted: Inserted, executable: bool) -> Adopted {
    Adopted {
        digest: inserted.digest,
        executable,
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::*;
    use crate::store::LARGE;

    fn digests(source: Source, names: &[Box<str>]) -> Result<Vec<Digest>, Failed> {
        let adopted = adopt(source, names)?;
        Ok(adopted.into_iter().map(|one| one.digest).collect())
    }

    fn names(count: usize) -> Vec<Box<str>> {
        (0..count).map(|n| format!("{n:04}").into()).collect()
    }

    fn in_folder<T>(act: impl FnOnce(Source) -> T) -> T {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("objects"), dir.path()).unwrap();
        let folder = dir.path().join("out");
        fs::create_dir(&folder).unwrap();
        let folder = Arc::new(Folder::open(&folder).unwrap());
        act(Source {
            store: &store,
            folder: &folder,
            quiet: true,
            offer: &|_, _, _| (),
        })
    }

    #[test]
    fn digests_are_in_order_and_equal_files_are_one_object() {
        in_folder(|source| {
            let names = names(500);
            for (n, name) in names.iter().enumerate() {
                fs::write(source.folder.path().join(&**name), (n % 7).to_string()).unwrap();
            }
            let digests = digests(source, &names).unwrap();
            let right = (0..500).map(|n| Digest::of((n % 7).to_string().as_bytes()));
            assert_eq!(digests, right.collect::<Vec<_>>());
            assert!(digests.iter().all(|digest| source.store.contains(digest)));
            assert_eq!(fs::read_dir(source.folder.path()).unwrap().count(), 0);
        });
    }

    #[test]
    fn large_files_are_adopted_too() {
        in_folder(|source| {
            let names = names(3);
            let bytes = |n: usize| vec![u8::try_from(n).unwrap(); usize::try_from(LARGE).unwrap()];
            for (n, name) in names.iter().enumerate() {
                fs::write(source.folder.path().join(&**name), bytes(n)).unwrap();
            }
            let digests = digests(source, &names).unwrap();
            assert_eq!(digests, [0, 1, 2].map(|n| Digest::of(&bytes(n))));
        });
    }

    #[test]
    fn the_first_failure_in_order_is_told_and_all_before_it_are_objects() {
        in_folder(|source| {
            let names = names(500);
            for name in &names {
                fs::write(source.folder.path().join(&**name), &**name).unwrap();
            }
            let bad = [123, 124, 130, 400];
            for n in bad {
                let path = source.folder.path().join(&*names[n]);
                fs::remove_file(&path).unwrap();
                // Refused everywhere, unlike a file that is being written.
                fs::create_dir(&path).unwrap();
            }
            let (index, error) = adopt(source, &names).unwrap_err();
            assert_eq!(index, 123);
            assert!(
                matches!(error, InsertError::NotAFile("a folder")),
                "{error}"
            );
            for name in &names[..123] {
                assert!(source.store.contains(&Digest::of(name.as_bytes())));
            }
            assert!(!source.store.contains(&Digest::of(b"0499")));
            let _ = File::open(source.folder.path().join("0499")).unwrap();
        });
    }
}
