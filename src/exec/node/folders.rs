//! Folders that scripts start in: an empty one, and for each list of declared files one in which these are.
//!
//! A process begins where the thread is that starts it. Each slot is a thread with a place of its own.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashSet};
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::files::{Keep, Known, Root, Snapshot, Watch};
use crate::folder::Folder;
use crate::model::digest::Digest;
use crate::model::glob::Glob;
use crate::model::tree::Kind;
use crate::store::{self, Store, TO_THE_END};
use crate::sys;

/// Nothing in it, nor the folder, is written to.
const FOLDER: u32 = 0o555;

/// See the module.
#[derive(Debug)]
pub(super) struct Folders {
    empty: PathBuf,
    filled: PathBuf,
    made: Mutex<HashSet<Digest>>,
}

impl Folders {
    /// In the folder `place`. This process goes to the empty one.
    pub(super) fn new(place: &Path) -> io::Result<Self> {
        let (empty, filled) = (place.join("start"), place.join("files"));
        fs::create_dir(&empty)?;
        fs::set_permissions(&empty, Permissions::from_mode(FOLDER))?;
        std::env::set_current_dir(&empty)?;
        fs::create_dir(&filled)?;
        Ok(Self {
            empty,
            filled,
            made: Mutex::default(),
        })
    }

    /// The paths in such a list.
    pub(super) fn names(
        store: &Store,
        files: Option<&Digest>,
    ) -> Result<Vec<Box<str>>, store::Error> {
        let Some(files) = files else {
            return Ok(Vec::new());
        };
        let entries = store.tree(files)?;
        entries.map(|entry| Ok(entry?.name)).collect()
    }

    /// Tells whether the folder, which was made of this list, is as it was made; none where it is not now.
    pub(super) fn watch(folder: &Path, files: &Digest, names: &[Box<str>]) -> Option<Watch> {
        let tops: BTreeSet<&str> = names
            .iter()
            .filter_map(|name| name.split('/').next())
            .collect();
        let all = names.iter().map(|name| &**name);
        // Some are found by their full names alone.
        let watch = watch_those(folder, files, tops.into_iter());
        watch.or_else(|| watch_those(folder, files, all))
    }

    /// That with exactly the files of this list, all of which are in the store; the empty one without.
    pub(super) fn with(
        &self,
        store: &Store,
        files: Option<&Digest>,
    ) -> Result<PathBuf, store::Error> {
        let Some(files) = files else {
            return Ok(self.empty.clone());
        };
        let name = files.hex().to_string();
        let folder = self.filled.join(&name);
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if made.contains(files) {
            return Ok(folder);
        }
        let parent = Folder::open(&self.filled).map_err(store::io_error("open", &self.filled))?;
        // What came of an earlier attempt, which failed half way.
        crate::folder::remove_all(parent.entry(&*name));
        store.unfold(files, &parent, &name, TO_THE_END)?;
        seal(store, files, &folder)?;
        made.insert(*files);
        Ok(folder)
    }
}

/// The same for those that are found by these names, which are to be all in the list.
fn watch_those<'n>(
    folder: &Path,
    files: &Digest,
    names: impl Iterator<Item = &'n str>,
) -> Option<Watch> {
    let root = Root::open_until(folder, None, Arc::default()).ok()?;
    let globs = names.map(|name| Glob::parse(&literally(name)));
    let globs = globs.collect::<Result<Arc<[Glob]>, _>>().ok()?;
    let mut known = Known::default();
    let taken = Snapshot::take(&Arc::new(root), &globs, &mut known, Keep::Nothing);
    let snapshot = taken.ok()?;
    let is_same = Digest::of(snapshot.tree().as_bytes()) == *files;
    is_same.then(|| Watch::new(snapshot))
}

/// The pattern that finds that name alone.
fn literally(name: &str) -> String {
    let mut pattern = String::new();
    for c in name.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '\\' | '!') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}

/// Takes from everybody the right to write to what was made of the list.
fn seal(store: &Store, files: &Digest, folder: &Path) -> Result<(), store::Error> {
    let set = |path: &Path, mode: u32| {
        let set = fs::set_permissions(path, Permissions::from_mode(mode));
        set.map_err(store::io_error("change the mode of", path))
    };
    let mut folders = HashSet::from([folder.to_owned()]);
    for entry in store.tree(files)? {
        let entry = entry?;
        let path = folder.join(&*entry.name);
        match entry.kind {
            Kind::File => set(&path, 0o444)?,
            Kind::Executable => set(&path, FOLDER)?,
            Kind::Link | Kind::Folder => {}
        }
        let above = path.ancestors().skip(1);
        folders.extend(above.take_while(|path| *path != folder).map(Path::to_owned));
    }
    folders.iter().try_for_each(|path| set(path, FOLDER))
}

/// Where a slot is.
#[derive(Debug, Default)]
pub(super) struct Whereabouts(RefCell<Option<PathBuf>>);

impl Whereabouts {
    /// Goes to that folder, alone.
    pub(super) fn go(&self, folder: &Path) -> io::Result<()> {
        let mut here = self.0.borrow_mut();
        if here.as_deref() == Some(folder) {
            return Ok(());
        }
        if here.is_none() {
            if std::env::current_dir().is_ok_and(|here| here == folder) {
                return Ok(());
            }
            sys::part_from_others()?;
        }
        std::env::set_current_dir(folder)?;
        *here = Some(folder.to_owned());
        Ok(())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::files::Trouble;
    use crate::model::tree::{self, Entry};

    #[test]
    fn exactly_the_listed_files_are_there_and_each_thread_goes_for_itself() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("objects"), dir.path()).unwrap();
        let list = |names: &[(&str, Kind)]| {
            let mut entries: Vec<Entry<&str>> = Vec::new();
            for (name, kind) in names {
                let digest = store.insert_bytes(name.as_bytes()).unwrap();
                entries.push(Entry {
                    kind: *kind,
                    digest,
                    name,
                });
            }
            store
                .insert_bytes(tree::write(&mut entries).as_bytes())
                .unwrap()
        };
        let one = list(&[
            ("a/b/run", Kind::Executable),
            ("a/x", Kind::File),
            ("y z", Kind::File),
            ("[!*]\\", Kind::File),
            ("a/.hidden", Kind::File),
            ("a/__pycache__/z", Kind::File),
        ]);
        let filled = dir.path().join("files");
        fs::create_dir(&filled).unwrap();
        let folders = Folders {
            empty: dir.path().join("start"),
            filled,
            made: Mutex::default(),
        };
        let before = std::env::current_dir().unwrap();
        let made = folders.with(&store, Some(&one)).unwrap();
        assert_eq!(made, folders.with(&store, Some(&one)).unwrap());
        let rights =
            |path: &str| fs::metadata(made.join(path)).unwrap().permissions().mode() & 0o777;
        let modes = ["", "a", "a/b", "a/b/run", "a/x", "y z"].map(rights);
        assert_eq!(modes, [0o555, 0o555, 0o555, 0o555, 0o444, 0o444]);
        assert_eq!(fs::read_to_string(made.join("y z")).unwrap(), "y z");
        let names = Folders::names(&store, Some(&one)).unwrap();
        let watch = Folders::watch(&made, &one, &names).unwrap();
        assert_eq!(watch.verify(watch.begin()), Ok(()));
        let begun = watch.begin();
        let other = Folders::watch(&made, &list(&[("y z", Kind::File)]), &names);
        assert!(other.is_none(), "there is more in it than in the list");
        fs::set_permissions(made.join("a/x"), Permissions::from_mode(0o644)).unwrap();
        fs::write(made.join("a/x"), "other").unwrap();
        assert!(matches!(watch.verify(begun), Err(Trouble::Changed(what)) if what.contains("a/x")));
        std::thread::scope(|scope| {
            let goes = scope.spawn(|| {
                let place = Whereabouts::default();
                place.go(&made).unwrap();
                place.go(&made).unwrap();
                std::env::current_dir().unwrap()
            });
            assert_eq!(goes.join().unwrap(), made.canonicalize().unwrap());
        });
        assert_eq!(std::env::current_dir().unwrap(), before);
        // It goes as all folders do.
        assert!(crate::folder::remove_all(&*folders.filled));
    }
}
