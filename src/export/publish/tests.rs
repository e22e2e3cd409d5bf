use super::*;
use crate::model::digest::Digest;
use crate::store::Store;

struct World {
    dir: tempfile::TempDir,
    store: Store,
    own: Own,
    stop: AtomicBool,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("scratch")).unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("pipeline.toml"), "").unwrap();
        let store = Store::open(&at("objects"), &at("scratch")).unwrap();
        Self {
            dir,
            store,
            own: Own::default(),
            stop: AtomicBool::new(false),
        }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn wanted(&self, files: &[(&str, &str)]) -> BTreeMap<String, Wanted> {
        let one = |(path, bytes): &(&str, &str)| {
            let wanted = Wanted {
                object: self.store.insert_bytes(bytes.as_bytes()).unwrap(),
                form: Form::File,
                step: None,
                version: None,
            };
            ((*path).to_owned(), wanted)
        };
        files.iter().map(one).collect()
    }

    fn folder(&self, files: &[(&str, &str)]) -> Wanted {
        let mut list = store::TreeWriter::new(&self.store);
        for (name, bytes) in files {
            let digest = self.store.insert_bytes(bytes.as_bytes()).unwrap();
            list.add(crate::model::tree::Kind::File, &digest, name)
                .unwrap();
        }
        Wanted {
            object: list.end().unwrap(),
            form: Form::Folder,
            step: None,
            version: None,
        }
    }

    fn bring_all(
        &self,
        wanted: &BTreeMap<String, Wanted>,
        removes: bool,
    ) -> Result<Published, Error> {
        let (folder, manifest, db) = (self.at("out"), self.at("pipeline.toml"), self.at("db"));
        let target = Target {
            folder: &folder,
            manifest: &manifest,
            db: &db,
            runset: "r",
            own: &self.own,
            removes,
            stop: &self.stop,
        };
        publish(&self.store, wanted, &target)
    }

    fn bring(&self, files: &[(&str, &str)]) -> Published {
        self.bring_all(&self.wanted(files), true).unwrap()
    }

    /// What is in the folder of results, but for the index: path and bytes.
    fn there(&self) -> Vec<(String, String)> {
        let (top, mut all) = (self.at("out"), Vec::new());
        let mut folders = vec![top.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path
                        .strip_prefix(&top)
                        .unwrap()
                        .to_str()
                        .unwrap()
                        .to_owned();
                    all.push((name, fs::read_to_string(&path).unwrap()));
                }
            }
        }
        all.retain(|(name, _)| name != INDEX);
        all.sort();
        all
    }
}

fn files(files: &[(&str, &str)]) -> Vec<(String, String)> {
    let own = |(name, bytes): &(&str, &str)| ((*name).to_owned(), (*bytes).to_owned());
    files.iter().map(own).collect()
}

fn counts(done: &Published) -> [usize; 4] {
    [done.files, done.new, done.changed, done.removed]
}

fn left(done: &Published) -> Vec<(&str, Why)> {
    done.left
        .iter()
        .map(|(path, why)| (&**path, *why))
        .collect()
}

#[test]
fn the_folder_follows_the_results() {
    let world = World::new();
    let first = [("a", "1"), ("qc/b", "2"), ("qc/deep/c", "3")];
    assert_eq!(counts(&world.bring(&first)), [3, 3, 0, 0]);
    assert_eq!(world.there(), files(&first));
    assert_eq!(counts(&world.bring(&first)), [3, 0, 0, 0]);
    let second = [("a", "1"), ("d", "4"), ("qc/b", "5")];
    assert_eq!(counts(&world.bring(&second)), [3, 1, 1, 1]);
    assert_eq!(world.there(), files(&second));
    assert!(!world.at("out/qc/deep").exists(), "it was empty");
    assert_eq!(counts(&world.bring(&[])), [0, 0, 0, 3]);
    assert_eq!(world.there(), []);
}

#[test]
fn what_has_not_changed_is_not_written_again() {
    let world = World::new();
    world.bring(&[("a", "1")]);
    let inode = |path: &str| {
        use std::os::unix::fs::MetadataExt as _;
        world.at(path).metadata().unwrap().ino()
    };
    let before = (
        inode("out/a"),
        fs::read(world.at("out").join(INDEX)).unwrap(),
    );
    world.bring(&[("a", "1")]);
    let after = (
        inode("out/a"),
        fs::read(world.at("out").join(INDEX)).unwrap(),
    );
    assert_eq!(before, after);
}

/// It looks like a result, and is somebody else's: when the result goes or changes, it stays.
#[test]
fn what_others_put_there_stays_theirs_though_it_is_the_same() {
    let world = World::new();
    world.bring(&[("ours", "1")]);
    fs::write(world.at("out/theirs"), "2").unwrap();
    let done = world.bring(&[("ours", "1"), ("theirs", "2")]);
    assert_eq!(counts(&done), [2, 0, 0, 0]);
    let done = world.bring(&[("ours", "1"), ("theirs", "22")]);
    assert_eq!(left(&done), [("theirs", Why::Foreign)]);
    let done = world.bring(&[("ours", "1")]);
    assert_eq!(counts(&done), [1, 0, 0, 0]);
    assert_eq!(fs::read_to_string(world.at("out/theirs")).unwrap(), "2");
    // Of what is there nothing is known without the list.
    fs::remove_file(world.at("out").join(INDEX)).unwrap();
    world.bring(&[("ours", "1"), ("new", "3")]);
    let done = world.bring(&[("new", "3")]);
    assert_eq!(counts(&done), [1, 0, 0, 0]);
    assert_eq!(fs::read_to_string(world.at("out/ours")).unwrap(), "1");
}

#[test]
fn what_others_put_there_or_changed_stays() {
    let world = World::new();
    world.bring(&[("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")]);
    for (path, bytes) in [("a", "mine"), ("b", "mine"), ("notes", "mine")] {
        fs::write(world.at("out").join(path), bytes).unwrap();
    }
    // By hand, but as it will be.
    fs::write(world.at("out/c"), "33").unwrap();
    let done = world.bring(&[("a", "11"), ("c", "33"), ("d", "4"), ("notes", "ours")]);
    assert_eq!(
        left(&done),
        [
            ("a", Why::Changed),
            ("b", Why::Gone),
            ("notes", Why::Foreign)
        ]
    );
    assert_eq!(counts(&done), [2, 0, 0, 0]);
    let done = world.bring(&[("a", "12"), ("c", "33"), ("d", "4")]);
    assert_eq!(left(&done), [("a", Why::Changed)], "it is told each time");
    let all = [
        ("a", "mine"),
        ("b", "mine"),
        ("c", "33"),
        ("d", "4"),
        ("notes", "mine"),
    ];
    assert_eq!(world.there(), files(&all));
    // Once it is out of the way, the result comes.
    fs::remove_file(world.at("out/a")).unwrap();
    let done = world.bring(&[("a", "11"), ("c", "33"), ("d", "4")]);
    assert_eq!((counts(&done), left(&done)), ([3, 1, 0, 0], vec![]));
}

#[test]
fn touched_is_not_changed() {
    let world = World::new();
    world.bring(&[("a", "1"), ("b", "2")]);
    for name in ["a", "b"] {
        let path = world.at("out").join(name);
        let copy = world.at("copy");
        fs::copy(&path, &copy).unwrap();
        fs::rename(&copy, &path).unwrap();
    }
    let done = world.bring(&[("a", "1"), ("b", "3")]);
    assert_eq!((counts(&done), left(&done)), ([2, 0, 1, 0], vec![]));
}

#[test]
fn nothing_goes_after_a_failure_and_it_goes_later() {
    let world = World::new();
    world.bring(&[("a", "1"), ("b", "2")]);
    let done = world
        .bring_all(&world.wanted(&[("a", "3")]), false)
        .unwrap();
    assert_eq!(counts(&done), [1, 0, 1, 0]);
    assert_eq!(world.there(), files(&[("a", "3"), ("b", "2")]));
    assert_eq!(counts(&world.bring(&[("a", "3")])), [1, 0, 0, 1]);
}

#[test]
fn a_folder_is_replaced_as_a_whole_and_only_if_it_is_as_it_was() {
    let world = World::new();
    let bring = |files: &[(&str, &str)]| {
        let wanted = [("tree".to_owned(), world.folder(files))].into();
        world.bring_all(&wanted, true).unwrap()
    };
    assert_eq!(counts(&bring(&[("a", "1"), ("in/b", "2")])), [1, 1, 0, 0]);
    assert_eq!(counts(&bring(&[("a", "1"), ("in/b", "2")])), [1, 0, 0, 0]);
    assert_eq!(counts(&bring(&[("in/b", "3")])), [1, 0, 1, 0]);
    assert_eq!(world.there(), files(&[("tree/in/b", "3")]));
    fs::write(world.at("out/tree/notes"), "mine").unwrap();
    let done = bring(&[("in/b", "4")]);
    assert_eq!(left(&done), [("tree", Why::Changed)]);
    assert_eq!(
        world.there(),
        files(&[("tree/in/b", "3"), ("tree/notes", "mine")])
    );
    fs::remove_dir_all(world.at("out/tree")).unwrap();
    assert_eq!(counts(&bring(&[("x", "1")])), [1, 1, 0, 0]);
    // A file in the place of a folder, and the other way round.
    assert_eq!(counts(&world.bring(&[("tree", "file")])), [1, 0, 1, 0]);
    assert_eq!(world.there(), files(&[("tree", "file")]));
    assert_eq!(counts(&bring(&[("x", "1")])), [1, 0, 1, 0]);
    assert_eq!(world.there(), files(&[("tree/x", "1")]));
    assert_eq!(counts(&world.bring(&[])), [0, 0, 0, 1]);
    assert_eq!(world.there(), []);
}

/// As a run leaves it that was killed between two files.
#[test]
fn a_killed_run_leaves_nothing_that_counts_as_changed() {
    let world = World::new();
    world.bring(&[("a", "1"), ("b", "1")]);
    let mut index = Index::read(&world.at("out")).unwrap();
    for put in index.files.values_mut() {
        put.next = Digest::of(b"2").hex().to_string();
    }
    index.write(&world.at("out")).unwrap();
    fs::write(world.at("out/a"), "2").unwrap();
    let done = world.bring(&[("a", "3"), ("b", "3")]);
    assert_eq!((counts(&done), left(&done)), ([2, 0, 2, 0], vec![]));
    assert_eq!(world.there(), files(&[("a", "3"), ("b", "3")]));
}

#[test]
fn an_interrupted_one_goes_on_with_the_next() {
    let world = World::new();
    world.bring(&[("a", "1")]);
    world.stop.store(true, Ordering::Relaxed);
    let interrupted = world.bring_all(&world.wanted(&[("a", "2")]), true);
    assert!(matches!(interrupted, Err(Error::Interrupted)));
    assert_eq!(world.there(), files(&[("a", "1")]));
    world.stop.store(false, Ordering::Relaxed);
    assert_eq!(counts(&world.bring(&[("a", "2")])), [1, 0, 1, 0]);
}

#[test]
fn links_and_other_things_stay() {
    let world = World::new();
    fs::create_dir(world.at("out")).unwrap();
    fs::write(world.at("elsewhere"), "x").unwrap();
    std::os::unix::fs::symlink(world.at("elsewhere"), world.at("out/a")).unwrap();
    fs::write(world.at("out/b"), "a file").unwrap();
    fs::create_dir(world.at("other")).unwrap();
    std::os::unix::fs::symlink(world.at("other"), world.at("out/linked")).unwrap();
    let done = world.bring(&[("a", "1"), ("b/c", "2"), ("linked/d", "3")]);
    assert_eq!(
        left(&done),
        [
            ("a", Why::Foreign),
            ("b/c", Why::Foreign),
            ("linked/d", Why::Foreign)
        ]
    );
    assert_eq!(fs::read_dir(world.at("other")).unwrap().count(), 0);
    assert_eq!(fs::read_to_string(world.at("elsewhere")).unwrap(), "x");
}

#[test]
fn the_folder_of_another_pipeline_is_refused() {
    let world = World::new();
    world.bring(&[("a", "1")]);
    let wanted = world.wanted(&[("b", "2")]);
    let folder = world.at("out");
    let of = |manifest: &Path, db: &Path| {
        let target = Target {
            folder: &folder,
            manifest,
            db,
            runset: "r",
            own: &world.own,
            removes: true,
            stop: &world.stop,
        };
        publish(&world.store, &wanted, &target)
    };
    let (other, db) = (world.at("other.toml"), world.at("other"));
    assert!(matches!(of(&other, &db), Err(Error::Other { .. })));
    assert_eq!(world.there(), files(&[("a", "1")]));
    // A project that was moved is no other one.
    fs::remove_file(world.at("pipeline.toml")).unwrap();
    assert_eq!(counts(&of(&other, &db).unwrap()), [1, 1, 0, 1]);
    fs::write(folder.join(INDEX), "{").unwrap();
    assert!(matches!(of(&other, &db), Err(Error::Index { .. })));
}
