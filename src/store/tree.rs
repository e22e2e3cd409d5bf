//! Folders as objects: the list of what is in them, in the form of [`crate::model::tree`]. Each file in
//! it is an object of its own, and so is where a link leads to.

mod listed;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tempfile::NamedTempFile;

pub(super) use self::listed::Listed;
use super::hash::Hasher;
use super::{Condition, Error, GoOn, Reader, Store, hash_until, io_error};
use crate::folder::{Descent, Folder};
use crate::model::digest::Digest;
use crate::model::list::Form;
use crate::model::tree::{self, Entry, HEADER, Kind};
use crate::sys;

/// A list that is longer (bytes) is written to a file while it is made.
const LONG: usize = if cfg!(test) { 1000 } else { 1 << 20 };

/// What is in a folder, entry by entry: however much that is, little of it is in memory.
#[derive(Debug)]
pub(crate) struct Tree<R = BufReader<File>> {
    lines: Listed<R>,
    /// The entry before; of a link, nothing may be below it.
    last: Option<Entry>,
}

impl<R: BufRead> Tree<R> {
    /// Of the list of what is in it.
    pub(super) fn of(lines: Listed<R>) -> Self {
        Self { lines, last: None }
    }

    fn read(&mut self) -> Result<Option<Entry>, Error> {
        let Some(entry) = self.lines.read()? else {
            return Ok(None);
        };
        let is_ordered = self.last.as_ref().is_none_or(|last| {
            let rest = entry.name.strip_prefix(&*last.name);
            last.name < entry.name && !rest.is_some_and(|rest| rest.starts_with('/'))
        });
        if !tree::is_inner(&entry.name) || !is_ordered {
            return Err(self.lines.wrong("it has names that no folder has"));
        }
        self.last = Some(entry.clone());
        Ok(Some(entry))
    }
}

impl<R: BufRead> Iterator for Tree<R> {
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

impl Reader {
    /// What is in the folder that the object stands for: by path, ascending.
    pub(crate) fn tree(&self, digest: &Digest) -> Result<Tree, Error> {
        let lines = self.lines(digest, "read the list of a folder in")?;
        Ok(Tree::of(lines))
    }

    /// Where the link leads to whose entry that is.
    pub(crate) fn target(&self, entry: &Entry) -> Result<PathBuf, Error> {
        let mut target = Vec::new();
        let file = self.open_verified(&entry.digest)?;
        let path = self.path(&entry.digest);
        let most = tree::LONGEST as u64 + 1;
        file.take(most)
            .read_to_end(&mut target)
            .map_err(io_error("read", &path))?;
        if !tree::stays_inside(&entry.name, &target) {
            return Err(Error::Io {
                action: "make the link of",
                path,
                source: io::Error::new(io::ErrorKind::InvalidData, "it leads out of its folder"),
            });
        }
        Ok(Path::new(std::ffi::OsStr::from_bytes(&target)).to_owned())
    }

    /// Makes the folder `name`, which is not there yet, with all that is in it; how many files that is.
    /// Nothing that is done to it changes an object.
    pub(crate) fn unfold(
        &self,
        digest: &Digest,
        parent: &Folder,
        name: &str,
        go_on: GoOn,
    ) -> Result<u64, Error> {
        let tree = self.tree(digest)?;
        let place = parent.entry(name);
        let top = parent.make(name);
        let top = top.map_err(io_error("make the folder", place))?;
        let mut way = Way::new(Arc::new(top));
        let mut files = 0;
        for entry in tree {
            let entry = entry?;
            let (above, own) = match entry.name.rsplit_once('/') {
                Some((above, own)) => (above, own),
                None => ("", &*entry.name),
            };
            let folder = way.to(above)?;
            let place = folder.entry(own);
            go_on().map_err(io_error("make", place))?;
            match entry.kind {
                Kind::File | Kind::Executable => {
                    self.copy_new(&entry.digest, place)?;
                    if entry.kind == Kind::Executable {
                        let mode = 0o777 & !sys::umask();
                        place
                            .set_mode(mode)
                            .map_err(io_error("change the mode of", place))?;
                        let program = place.open().map_err(io_error("open", place))?;
                        sys::until_it_can_be_executed(&program);
                    }
                    files += 1;
                }
                Kind::Link => {
                    let target = self.target(&entry)?;
                    place
                        .lead_to(&target)
                        .map_err(io_error("make the link", place))?;
                }
                Kind::Folder => {
                    let made = folder.make(own);
                    made.map_err(io_error("make the folder", place))?;
                }
            }
        }
        Ok(files)
    }

    /// How what has that form is: of a folder, the list and all that is in it. See [`Reader::condition`];
    /// where that takes longer than others should wait, it is unknown.
    pub(crate) fn condition_as(&self, digest: &Digest, form: Form, made: Option<i64>) -> Condition {
        match (form, self.condition(digest, made)) {
            (Form::Folder, Condition::Whole) => Condition::Unknown,
            (Form::File | Form::Folder | Form::List, condition) => condition,
        }
    }

    /// The same as [`Reader::is_whole`] for what has that form.
    pub(crate) fn is_whole_as(&self, digest: &Digest, form: Form, made: Option<i64>) -> bool {
        self.is_whole(digest, made)
            && (form != Form::Folder || self.all_in(digest, |entry| self.is_whole(entry, made)))
    }

    /// Whether what has that form is there, as far as it is known without reading large objects.
    pub(crate) fn is_there_as(&self, digest: &Digest, form: Form) -> bool {
        let is_there = |digest: &Digest| self.condition(digest, None) != Condition::Broken;
        is_there(digest) && (form != Form::Folder || self.all_in(digest, is_there))
    }

    /// Whether that is so of all objects of a folder.
    pub(crate) fn all_in(&self, digest: &Digest, mut is_so: impl FnMut(&Digest) -> bool) -> bool {
        self.tree(digest).is_ok_and(|mut tree| {
            tree.all(|entry| {
                entry.is_ok_and(|entry| entry.kind == Kind::Folder || is_so(&entry.digest))
            })
        })
    }

    /// Fails unless all objects of a folder are there, as [`Reader::find`] does.
    pub(crate) fn find_all_in(&self, digest: &Digest) -> Result<(), Error> {
        for entry in self.tree(digest)? {
            let entry = entry?;
            if entry.kind != Kind::Folder {
                self.find(&entry.digest)?;
            }
        }
        Ok(())
    }
}

/// The way to the folder that is filled; those on it are made where they are missing.
struct Way {
    descent: Descent,
    path: String,
}

impl Way {
    fn new(top: Arc<Folder>) -> Self {
        Self {
            descent: Descent::new(top),
            path: String::new(),
        }
    }

    fn to(&mut self, path: &str) -> Result<Arc<Folder>, Error> {
        while !is_above(&self.path, path) {
            self.descent.up();
            let end = self.path.rfind('/').unwrap_or(0);
            self.path.truncate(end);
        }
        loop {
            let here = self.descent.here();
            let here = here.map_err(io_error("open the folder", &*self.path))?;
            let rest = &path[self.path.len()..];
            let rest = rest.strip_prefix('/').unwrap_or(rest);
            let Some(name) = rest.split('/').next().filter(|name| !name.is_empty()) else {
                return Ok(here);
            };
            let place = here.entry(name);
            here.make(name)
                .map_err(io_error("make the folder", place))?;
            self.descent.down(name);
            if !self.path.is_empty() {
                self.path.push('/');
            }
            self.path.push_str(name);
        }
    }
}

fn is_above(one: &str, other: &str) -> bool {
    one.is_empty()
        || other
            .strip_prefix(one)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A list while it is made: entries come in order.
#[derive(Debug)]
pub(crate) struct TreeWriter<'a> {
    /// None where no object is made of it.
    store: Option<&'a Store>,
    text: String,
    written: Option<NamedTempFile>,
    /// What was not kept.
    hasher: Hasher,
}

impl<'a> TreeWriter<'a> {
    /// Of nothing yet.
    pub(crate) fn new(store: &'a Store) -> Self {
        Self::kept_in(Some(store))
    }

    /// The same; where there is no store, only to find out its hash.
    pub(crate) fn kept_in(store: Option<&'a Store>) -> Self {
        Self {
            store,
            text: HEADER.to_owned(),
            written: None,
            hasher: Hasher::default(),
        }
    }

    /// Adds an entry behind those before it.
    pub(crate) fn add(&mut self, kind: Kind, digest: &Digest, name: &str) -> Result<(), Error> {
        tree::add(&mut self.text, kind, digest, name);
        if self.text.len() > LONG {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        let Some(store) = self.store else {
            self.hasher.add(self.text.as_bytes());
            self.text.clear();
            return Ok(());
        };
        let scratch = &store.scratch;
        let file = match &mut self.written {
            Some(file) => file,
            none => none.insert(
                NamedTempFile::new_in(scratch).map_err(io_error("make a file in", scratch))?,
            ),
        };
        let wrote = file.write_all(self.text.as_bytes());
        wrote.map_err(io_error("write", file.path()))?;
        self.text.clear();
        Ok(())
    }

    /// Makes the list an object. All that it names are there by now. Its hash.
    pub(crate) fn end(mut self) -> Result<Digest, Error> {
        static NEVER: AtomicBool = AtomicBool::new(false);
        let Some(store) = self.store else {
            self.hasher.add(self.text.as_bytes());
            return Ok(self.hasher.end().digest);
        };
        if self.written.is_none() {
            return store.insert_bytes(self.text.as_bytes());
        }
        self.flush()?;
        let Some(file) = self.written else {
            return store.insert_bytes(&[]);
        };
        let (read, metadata) = File::open(file.path())
            .and_then(|file| file.metadata().map(|metadata| (file, metadata)))
            .map_err(io_error("open", file.path()))?;
        let inserted = hash_until(&read, metadata.len(), &NEVER, |_| ());
        let inserted = inserted.map_err(io_error("read", file.path()))?;
        store.place_copy(file, &inserted.digest)?;
        store.remember_large(&inserted);
        Ok(inserted.digest)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::store::TO_THE_END;

    fn fixture() -> (tempfile::TempDir, Store, Folder) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("objects"), dir.path()).unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        (dir, store, folder)
    }

    #[test]
    fn a_list_is_read_as_it_was_written_however_long_it_is() {
        let (_dir, store, _) = fixture();
        for count in [0, 1, 500] {
            let entries: Vec<Entry> = (0..count)
                .map(|n| Entry {
                    kind: Kind::File,
                    digest: Digest::of(&[7]),
                    name: format!("{n:04}\n").into(),
                })
                .collect();
            let mut list = TreeWriter::new(&store);
            for entry in &entries {
                list.add(entry.kind, &entry.digest, &entry.name).unwrap();
            }
            let digest = list.end().unwrap();
            let text = tree::write(&mut entries.clone());
            assert_eq!(digest, Digest::of(text.as_bytes()));
            let mut unkept = TreeWriter::kept_in(None);
            for entry in &entries {
                unkept.add(entry.kind, &entry.digest, &entry.name).unwrap();
            }
            assert_eq!(unkept.end().unwrap(), digest);
            let read: Vec<Entry> = store.tree(&digest).unwrap().map(Result::unwrap).collect();
            assert_eq!(read, entries);
        }
    }

    #[test]
    fn what_is_in_it_is_there_with_its_mode_and_links() {
        let (dir, store, folder) = fixture();
        let one = store.insert_bytes(b"one").unwrap();
        let to = store.insert_bytes(b"../a.x").unwrap();
        let mut list = TreeWriter::new(&store);
        list.add(Kind::Executable, &one, "a.x").unwrap();
        list.add(Kind::File, &one, "a/b/c").unwrap();
        list.add(Kind::Link, &to, "a/l").unwrap();
        list.add(Kind::Folder, &Digest::EMPTY, "z").unwrap();
        let digest = list.end().unwrap();
        assert_eq!(
            store.unfold(&digest, &folder, "out", TO_THE_END).unwrap(),
            2
        );
        let out = dir.path().join("out");
        assert_eq!(fs::read(out.join("a/b/c")).unwrap(), b"one");
        assert_eq!(fs::read(out.join("a/l")).unwrap(), b"one");
        let mode = |name: &str| fs::metadata(out.join(name)).unwrap().permissions().mode() & 0o111;
        assert_eq!((mode("a.x") & 0o100, mode("a/b/c")), (0o100, 0));
        assert!(out.join("z").is_dir());
        fs::write(out.join("a.x"), "other").unwrap();
        assert_eq!(fs::read(store.path(&one)).unwrap(), b"one");

        assert!(store.is_whole_as(&digest, Form::Folder, None));
        assert!(store.find_all_in(&digest).is_ok());
        fs::remove_file(store.path(&to)).unwrap();
        assert!(store.is_whole_as(&digest, Form::File, None));
        assert!(!store.is_whole_as(&digest, Form::Folder, None));
        assert!(store.find_all_in(&digest).is_err());
        let error = store.unfold(&digest, &folder, "again", TO_THE_END);
        let error = error.unwrap_err();
        assert!(matches!(error, Error::Missing { .. }), "{error}");
    }

    #[test]
    fn it_is_not_made_to_its_end_if_that_is_not_wanted_any_more() {
        let (dir, store, folder) = fixture();
        let x = store.insert_bytes(b"x").unwrap();
        let mut list = TreeWriter::new(&store);
        for n in 0..9 {
            let kind = [Kind::File, Kind::Link, Kind::Folder][n % 3];
            list.add(kind, &x, &n.to_string()).unwrap();
        }
        let digest = list.end().unwrap();
        let left = AtomicUsize::new(1);
        let go_on = || {
            let left = left.fetch_sub(1, Ordering::Relaxed);
            let error = || io::ErrorKind::Interrupted.into();
            (left > 0).then_some(()).ok_or_else(error)
        };
        let error = store.unfold(&digest, &folder, "out", &go_on).unwrap_err();
        let is_that = |error: &io::Error| error.kind() == io::ErrorKind::Interrupted;
        assert!(
            matches!(&error, Error::Io { source, .. } if is_that(source)),
            "{error}"
        );
        assert_eq!(fs::read_dir(dir.path().join("out")).unwrap().count(), 1);
    }

    #[test]
    fn no_list_leads_out_of_its_folder() {
        let (dir, store, folder) = fixture();
        let outside = dir.path().join("outside");
        fs::create_dir(&outside).unwrap();
        let x = store.insert_bytes(b"x").unwrap();
        let there = store.insert_bytes(b"../outside").unwrap();
        let absolute = store.insert_bytes(b"/").unwrap();
        let lines: [&[(Kind, Digest, &str)]; 7] = [
            &[(Kind::File, x, "../outside/x")],
            &[(Kind::File, x, "/x")],
            &[(Kind::Link, there, "l")],
            &[(Kind::Link, absolute, "l")],
            &[(Kind::Link, x, "l"), (Kind::File, x, "l/x")],
            &[(Kind::File, x, "b"), (Kind::File, x, "a")],
            &[(Kind::File, x, "a"), (Kind::File, x, "a")],
        ];
        for (number, entries) in lines.iter().enumerate() {
            let mut list = TreeWriter::new(&store);
            for (kind, digest, name) in *entries {
                list.add(*kind, digest, name).unwrap();
            }
            let digest = list.end().unwrap();
            let name = format!("out {number}");
            assert!(
                store.unfold(&digest, &folder, &name, TO_THE_END).is_err(),
                "{entries:?}"
            );
        }
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
        assert!(store.unfold(&x, &folder, "no list", TO_THE_END).is_err());
    }
}
