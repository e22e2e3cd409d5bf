//! Going through all that is there, folder by folder.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::fs::FileType;

use super::aside::ASIDE;
use super::linked::{AMONG, FOUND, PROBE, is_of_objects, is_owner};
use super::{Reader, hash_until, is_absent};
use crate::folder::{Entry, kind};
use crate::model::digest::Digest;
use crate::sys::{self, Look};

/// What lies among objects and is none, as far as is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stray {
    /// Where.
    pub path: PathBuf,
    /// What it is, or why that is not known.
    pub what: String,
    /// Whether it could not be looked at: it may well be a folder of objects.
    pub unreadable: bool,
}

/// How an object was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// As it was stored, as far as it was looked at.
    Whole,
    /// There is nothing.
    Missing,
    /// Something else is there; what.
    Other(&'static str),
    /// The file has no byte.
    Empty,
    /// The bytes are others, with this hash.
    Altered(Digest),
    /// It cannot be read, for this reason.
    Unreadable(String),
}

/// A look at an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Audit {
    /// How it is.
    pub found: Found,
    /// The mode of its file, if that lets somebody write to it, or nobody read it.
    pub mode: Option<u32>,
    /// Bytes of the file.
    pub size: u64,
}

/// How far a look goes, and who follows it.
#[derive(Debug)]
pub(crate) struct Depth<'a> {
    /// Only whether something is there, and not whether every byte is right.
    pub quick: bool,
    /// Bytes that were read.
    pub read: &'a AtomicU64,
    /// Set: nobody wants to know any more.
    pub stop: &'a AtomicBool,
}

/// What nobody may do with an object: write to it, execute it as somebody else.
const FORBIDDEN: u32 = 0o7222;
/// What its owner has to be able to.
const NEEDED: u32 = 0o400;

impl Reader {
    /// What lies in the store's own folder and is none of its folders.
    pub(crate) fn strays(&self) -> Vec<Stray> {
        let mut strays = Vec::new();
        for (name, path) in names(&self.root, &mut strays) {
            let known = [ASIDE, FOUND, AMONG].iter().any(|known| name == *known);
            if !(known
                || name == PROBE
                || is_owner(&name)
                || is_of_objects(&name) && is_folder(&path, &mut strays))
            {
                strays.extend(stray(path));
            }
        }
        strays
    }

    /// Calls `each` with the objects whose hash begins with that byte, in order, as long as it is true; gives
    /// what lies among them.
    pub(crate) fn each_beginning(
        &self,
        first: u8,
        mut each: impl FnMut(Digest) -> bool,
    ) -> Vec<Stray> {
        let mut strays = Vec::new();
        let one = format!("{first:02x}");
        let folder = self.root.join(&one);
        // What else is there is found with what lies beside it.
        if !is_folder(&folder, &mut Vec::new()) {
            return strays;
        }
        for (two, path) in names(&folder, &mut strays) {
            if !is_of_objects(&two) || !is_folder(&path, &mut strays) {
                strays.extend(stray(path));
                continue;
            }
            for (rest, path) in names(&path, &mut strays) {
                let digits = [OsStr::new(&one), &two, &rest].map(OsStr::to_string_lossy);
                match digits.concat().parse::<Digest>() {
                    Ok(digest) if digest.hex()[4..] == *digits[2] => {
                        if !each(digest) {
                            return strays;
                        }
                    }
                    Ok(_) | Err(_) => strays.extend(stray(path)),
                }
            }
        }
        strays
    }

    /// How the object is.
    pub(crate) fn audit(&self, digest: &Digest, depth: &Depth) -> Audit {
        let path = self.path(digest);
        let first = audit(&path, digest, depth);
        match first.found {
            Found::Whole | Found::Missing | Found::Other(_) => first,
            // A run may have put a whole one in its place meanwhile.
            Found::Empty | Found::Altered(_) | Found::Unreadable(_) => audit(&path, digest, depth),
        }
    }
}

fn audit(path: &Path, digest: &Digest, depth: &Depth) -> Audit {
    let entry = Entry::from(path);
    let of = |found| Audit {
        found,
        mode: None,
        size: 0,
    };
    // Whatever is not a file is not opened for long.
    let opened = if depth.quick {
        Ok(None)
    } else {
        entry.open().map(Some)
    };
    let file = match opened {
        Ok(file) => file,
        Err(error) => match entry.look() {
            Err(_) if is_absent(&error) => return of(Found::Missing),
            Ok(look) if look.kind != FileType::RegularFile => {
                return of(Found::Other(kind(look.kind)));
            }
            Ok(look) => {
                return Audit {
                    found: Found::Unreadable(error.to_string()),
                    mode: wrong_mode(&look),
                    size: look.size,
                };
            }
            Err(_) => return of(Found::Unreadable(error.to_string())),
        },
    };
    let looked = match &file {
        Some(file) => sys::look(file.as_fd()),
        None => entry.look(),
    };
    let look = match looked {
        Ok(look) => look,
        Err(error) if is_absent(&error) => return of(Found::Missing),
        Err(error) => return of(Found::Unreadable(error.to_string())),
    };
    if look.kind != FileType::RegularFile {
        return of(Found::Other(kind(look.kind)));
    }
    let (mode, size) = (wrong_mode(&look), look.size);
    let with = |found, size| Audit { found, mode, size };
    if size == 0 && *digest != Digest::EMPTY {
        return with(Found::Empty, size);
    }
    let Some(file) = file else {
        return with(Found::Whole, size);
    };
    match hash(&file, size, depth) {
        Ok(found) if found == *digest => with(Found::Whole, size),
        Ok(found) => with(Found::Altered(found), size),
        Err(error) => with(Found::Unreadable(error.to_string()), size),
    }
}

/// The mode, if an object must not have it.
fn wrong_mode(look: &Look) -> Option<u32> {
    let bits = look.mode & 0o7777;
    (bits & FORBIDDEN != 0 || bits & NEEDED == 0).then_some(bits)
}

fn hash(file: &File, size: u64, depth: &Depth) -> io::Result<Digest> {
    let see = |bytes: &[u8]| {
        depth.read.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    };
    Ok(hash_until(file, size, depth.stop, see)?.digest)
}

/// Whether it is one, and no link to one. What cannot be looked at is noted, and is not known to be none.
fn is_folder(path: &Path, strays: &mut Vec<Stray>) -> bool {
    match fs::symlink_metadata(path) {
        Ok(found) => found.is_dir(),
        Err(error) if is_absent(&error) => false,
        Err(error) => {
            strays.push(unreadable(path.to_owned(), &error));
            true
        }
    }
}

/// The names in a folder, in order; that it cannot be read is noted among what is wrong.
fn names(folder: &Path, strays: &mut Vec<Stray>) -> Vec<(std::ffi::OsString, PathBuf)> {
    let read = || -> io::Result<Vec<_>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            names.push((entry.file_name(), entry.path()));
        }
        names.sort_unstable();
        Ok(names)
    };
    match read() {
        Ok(names) => names,
        // It was removed by now, and what was in it is missed.
        Err(error) if is_absent(&error) => Vec::new(),
        Err(error) => {
            strays.push(Stray {
                what: format!("a folder that cannot be read: {error}"),
                ..unreadable(folder.to_owned(), &error)
            });
            Vec::new()
        }
    }
}

/// What is there and has no place there; none if it is gone by now.
fn stray(path: PathBuf) -> Option<Stray> {
    match Entry::from(&*path).look() {
        Ok(look) => Some(Stray {
            path,
            what: kind(look.kind).to_owned(),
            unreadable: false,
        }),
        Err(error) if is_absent(&error) => None,
        Err(error) => Some(unreadable(path, &error)),
    }
}

fn unreadable(path: PathBuf, error: &io::Error) -> Stray {
    Stray {
        path,
        what: format!("something that cannot be looked at: {error}"),
        unreadable: true,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;
    use crate::store::Store;

    fn fixture() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("objects"), dir.path()).unwrap();
        (dir, store)
    }

    fn look(store: &Reader, digest: &Digest, quick: bool) -> Audit {
        let (read, stop) = (AtomicU64::new(0), AtomicBool::new(false));
        let depth = Depth {
            quick,
            read: &read,
            stop: &stop,
        };
        store.audit(digest, &depth)
    }

    fn put(path: &Path, bytes: &[u8]) {
        let _ = fs::remove_file(path);
        fs::write(path, bytes).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o444)).unwrap();
    }

    #[test]
    fn every_kind_of_damage_is_told_from_every_other() {
        let (_dir, store) = fixture();
        let digest = store.insert_bytes(b"some bytes").unwrap();
        let path = store.path(&digest);
        for quick in [false, true] {
            let whole = look(&store, &digest, quick);
            assert_eq!(
                (whole.found, whole.mode, whole.size),
                (Found::Whole, None, 10)
            );
        }
        let found = |bytes: &[u8], quick| {
            put(&path, bytes);
            look(&store, &digest, quick).found
        };
        for bytes in [&b"some bytez"[..], b"some", b"some bytes and more"] {
            assert_eq!(found(bytes, false), Found::Altered(Digest::of(bytes)));
            assert_eq!(found(bytes, true), Found::Whole, "bytes are not read");
        }
        assert_eq!(found(b"", false), Found::Empty);
        assert_eq!(found(b"", true), Found::Empty);
        fs::remove_file(&path).unwrap();
        assert_eq!(look(&store, &digest, true).found, Found::Missing);
        symlink("/dev/null", &path).unwrap();
        let other = look(&store, &digest, true).found;
        assert_eq!(other, Found::Other("a symbolic link"));
        put(&path, b"some bytes");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o664)).unwrap();
        let written = look(&store, &digest, true);
        assert_eq!((written.found, written.mode), (Found::Whole, Some(0o664)));
        // What has no bytes is as it was stored.
        let empty = store.insert_bytes(b"").unwrap();
        assert_eq!(look(&store, &empty, true).found, Found::Whole);
    }

    #[test]
    fn objects_come_in_order_and_what_lies_among_them_is_told() {
        let (_dir, store) = fixture();
        let mut stored: Vec<Digest> = (0..600u32)
            .map(|n| store.insert_bytes(&n.to_le_bytes()).unwrap())
            .collect();
        stored.sort_unstable();
        let first = store.path(&stored[0]);
        let inner = first.parent().unwrap();
        let outer = inner.parent().unwrap();
        let long = format!("{}0", "a".repeat(60));
        let upper = "A".repeat(60);
        for stray in [
            inner.join("garbage"),
            inner.join(long),
            inner.join(upper),
            outer.join("zz"),
            outer.join("ff0"),
            store.root.join("note.txt"),
        ] {
            fs::write(stray, "").unwrap();
        }
        symlink("/", store.root.join("link")).unwrap();
        fs::create_dir(store.root.join(ASIDE)).unwrap();
        fs::write(store.root.join(ASIDE).join("x"), "").unwrap();
        let mut found = Vec::new();
        let mut strays = store.strays();
        for byte in 0..=255 {
            strays.extend(store.each_beginning(byte, |digest| {
                found.push(digest);
                true
            }));
        }
        assert_eq!(found, stored);
        assert_eq!(strays.len(), 7, "{strays:?}");
        assert_eq!(strays[0].what, "a symbolic link");
    }
}
