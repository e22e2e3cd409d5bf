use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::*;
use crate::model::digest::Digest;
use crate::model::glob::Glob;
use crate::model::tree::Difference;
use crate::store::Store;

struct World {
    dir: tempfile::TempDir,
    root: Arc<Root>,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("db")).unwrap();
        let root = Root::open(dir.path(), Some(&dir.path().join("db"))).unwrap();
        Self {
            root: Arc::new(root),
            dir,
        }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn find(&self, globs: &[&str]) -> Result<Vec<String>, String> {
        let globs: Vec<Glob> = globs
            .iter()
            .map(|glob| Glob::parse(glob).unwrap())
            .collect();
        match find::find_at_most(&self.root, &globs, 20, || ()).0 {
            Ok(looked) => Ok(looked
                .files
                .iter()
                .map(|one| one.path.to_string())
                .collect()),
            Err(wrong) => Err(wrong
                .iter()
                .map(|(at, error)| format!("{at}: {error}"))
                .collect::<Vec<_>>()
                .join("\n")),
        }
    }

    fn snapshot(&self, globs: &[&str], known: &mut Known) -> Snapshot {
        let globs: Arc<[Glob]> = globs
            .iter()
            .map(|glob| Glob::parse(glob).unwrap())
            .collect();
        Snapshot::take(&self.root, &globs, known, Keep::Nothing).unwrap()
    }

    /// Sets a file's times far back, as if it had been left alone.
    fn age(&self, path: &str) {
        let file = fs::File::open(self.at(path)).unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn patterns_find_what_a_shell_finds() {
    let world = World::new();
    for path in [
        "tool.sh",
        "lib/a.sh",
        "lib/b.sh",
        "lib/notes.md",
        "lib/.hidden.sh",
        "lib/deep/c.sh",
        "lib/deep/.git/config",
        "lib/deep/__pycache__/c.sh",
        "db/objects/x.sh",
        ".env",
    ] {
        world.write(path, path);
    }
    for (globs, expected) in [
        (&["tool.sh"][..], &["tool.sh"][..]),
        (&["./lib//a.sh"], &["lib/a.sh"]),
        (&["lib/*.sh"], &["lib/a.sh", "lib/b.sh"]),
        (&["l*/[ab].sh"], &["lib/a.sh", "lib/b.sh"]),
        (
            &["**/*.sh"],
            &["lib/a.sh", "lib/b.sh", "lib/deep/c.sh", "tool.sh"],
        ),
        (
            &["lib/**"],
            &["lib/a.sh", "lib/b.sh", "lib/deep/c.sh", "lib/notes.md"],
        ),
        (
            &["lib"],
            &[
                "lib/.hidden.sh",
                "lib/a.sh",
                "lib/b.sh",
                "lib/deep/.git/config",
                "lib/deep/c.sh",
                "lib/notes.md",
            ],
        ),
        (&["*/deep/c.sh"], &["lib/deep/c.sh"]),
        (&["*/deep"], &["lib/deep/.git/config", "lib/deep/c.sh"]),
        (&["lib/.*"], &["lib/.hidden.sh"]),
        (&["lib/deep/__pycache__"], &["lib/deep/__pycache__/c.sh"]),
        (&[".env", "tool.sh", "t*"], &[".env", "tool.sh"]),
        (&["**/c.sh", "lib/**/deep/*"], &["lib/deep/c.sh"]),
    ] {
        assert_eq!(world.find(globs).unwrap(), expected, "{globs:?}");
    }
}

#[test]
fn all_in_the_folder_is_found_but_for_the_programs_own() {
    let world = World::new();
    for path in ["a", ".b", "db/db", "x/c"] {
        world.write(path, path);
    }
    assert_eq!(world.find(&["."]).unwrap(), [".b", "a", "x/c"]);
    assert_eq!(world.find(&["**"]).unwrap(), ["a", "x/c"]);
    for glob in ["db", "db/*", "./db/db"] {
        assert_eq!(
            world.find(&["a", glob]).unwrap_err(),
            format!(
                "1: `{glob}` leads into the db folder, of which nothing is a file of the pipeline"
            )
        );
    }
}

#[test]
fn many_are_looked_at_at_once_and_come_in_their_order() {
    let world = World::new();
    let mut paths: Vec<String> = ["x", "x-y", "x/z", "x0"]
        .iter()
        .flat_map(|folder| (0..200).map(move |n| format!("d/{folder}/{n}")))
        .chain(["d/x.1".to_owned(), "d/x1".to_owned()])
        .collect();
    for path in &paths {
        world.write(path, path);
    }
    paths.sort();
    let globs = [Glob::parse("d/**").unwrap()];
    let (looked, done) = find::find_while(&world.root, &globs, || "meanwhile");
    let looked = looked.unwrap();
    assert_eq!(done, "meanwhile");
    let found: Vec<&str> = looked.files.iter().map(|file| &*file.path).collect();
    assert_eq!(found, paths);
    for file in &looked.files {
        let (_, seen) = crate::sys::seen_at(world.root.fd(), &*file.path).unwrap();
        assert_eq!(file.stat, stat(&seen));
    }
    assert_eq!(looked.folders.len(), 5);
}

#[test]
fn folders_in_which_something_may_come_are_noted() {
    let world = World::new();
    for path in ["with/x", "without/y", "deep/with/x"] {
        world.write(path, path);
    }
    let folders = |glob: &str| {
        let globs = [Glob::parse(glob).unwrap()];
        let looked = find::find(&world.root, &globs).unwrap();
        let paths = looked.folders.iter();
        let paths: Vec<String> = paths
            .map(|folder| String::from_utf8_lossy(&folder.path).into_owned())
            .collect();
        paths
    };
    assert_eq!(folders("*/x"), ["", "deep", "without"]);
    assert_eq!(folders("with/x"), [""; 0]);
    assert_eq!(folders("with/*"), ["with"]);
}

#[test]
fn links_are_followed() {
    let world = World::new();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("far.sh"), "far").unwrap();
    world.write("real/a.sh", "a");
    symlink(outside.path(), world.at("there")).unwrap();
    symlink("real/a.sh", world.at("link.sh")).unwrap();
    assert_eq!(
        world.find(&["**/*.sh"]).unwrap(),
        ["link.sh", "real/a.sh", "there/far.sh"]
    );
    let files = world.snapshot(&["link.sh"], &mut Known::default());
    assert_eq!(files.files()[0].digest, Digest::of(b"a"));
}

#[test]
fn what_cannot_be_had_is_told_by_its_pattern() {
    let world = World::new();
    world.write("a.sh", "a");
    world.write("deep/b", "b");
    symlink("nowhere", world.at("broken.txt")).unwrap();
    symlink("one", world.at("other")).unwrap();
    symlink("other", world.at("one")).unwrap();
    symlink("..", world.at("deep/up")).unwrap();
    nix::unistd::mkfifo(&world.at("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let odd = std::ffi::OsStr::from_bytes(b"bad\xff.csv");
    fs::write(world.dir.path().join(odd), "x").unwrap();
    for (globs, expected) in [
        (&["a.sh", "b.sh"][..], "1: `b.sh` matches no file"),
        (&["x/y/*"], "0: `x/y/*` matches no file"),
        (&["a.sh/*"], "0: `a.sh/*` matches no file"),
        (
            &["de*"],
            "0: `de*` matches no file, only folders, such as `deep`",
        ),
        (
            &["*.txt"],
            "0: `broken.txt` is a link to `nowhere`, which is not there",
        ),
        (
            &["broken.txt"],
            "0: `broken.txt` is a link to `nowhere`, which is not there",
        ),
        (&["one"], "0: `one` goes round in a circle of links"),
        (&["deep"], "0: `deep/up` goes round in a circle of links"),
        (&["fifo"], "0: `fifo` is a FIFO, not a file"),
        (&["*.csv"], "0: the name `bad\u{fffd}.csv` is not UTF-8"),
    ] {
        assert_eq!(world.find(globs).unwrap_err(), expected, "{globs:?}");
    }
    // What is not meant does no harm.
    assert_eq!(world.find(&["*.sh"]).unwrap(), ["a.sh"]);
    for n in 0..30 {
        world.write(&format!("many/{n}"), "x");
    }
    assert_eq!(
        world.find(&["many/*"]).unwrap_err(),
        "0: `many/*` matches more than 20 files"
    );
}

#[test]
fn what_is_known_is_not_read() {
    let world = World::new();
    world.write("a", "aaa");
    let mut known = Known::default();
    let before = world.snapshot(&["a"], &mut known);
    let lie = crate::model::file::Content {
        digest: Digest::of(b"lie"),
        mentions: "TASK_PIPELINE_KEY".into(),
    };
    known.put(before.files()[0].stat, lie, 0);
    let after = world.snapshot(&["a"], &mut known);
    assert_eq!(after.files()[0].digest, Digest::of(b"lie"));
    assert_eq!(after.mentions().collect::<Vec<_>>(), ["TASK_PIPELINE_KEY"]);
    world.write("a", "bbb");
    let after = world.snapshot(&["a"], &mut known);
    assert_eq!(after.files()[0].digest, Digest::of(b"bbb"));
}

#[test]
fn large_files_are_hashed_and_small_ones_kept() {
    let world = World::new();
    world.write("small", "echo $PARAM_x");
    world.write("large", &("x".repeat(1 << 20) + "\n$PARAM_large"));
    let store = Store::open(&world.at("db/objects"), &world.at("db")).unwrap();
    let mut known = Known::default();
    let globs: Arc<[Glob]> = [Glob::parse("*").unwrap()].into();
    let taken = Snapshot::take(&world.root, &globs, &mut known, Keep::Small(&store)).unwrap();
    let [large, small] = taken.files() else {
        panic!("{taken:?}");
    };
    assert!(store.contains(&small.digest));
    assert!(!store.contains(&large.digest));
    let mentions: Vec<_> = taken.mentions().collect();
    assert_eq!(mentions, ["PARAM_large", "PARAM_x"]);
    assert!(
        taken
            .tree()
            .contains(&format!("f {}  small\n", small.digest))
    );
    let (_, content) = read(&world.root, "large", &mut known, Keep::All(&store)).unwrap();
    assert_eq!(content.digest, large.digest);
    assert!(store.contains(&large.digest));
    assert!(world.at("large").exists());
}

#[test]
fn a_check_tells_what_is_not_as_it_was() {
    type Act<'a> = &'a dyn Fn(&World);
    let cases: [(Act, &[(&str, Difference)]); 7] = [
        (
            &|world| world.write("lib/a", "2"),
            &[("lib/a", Difference::Changed)],
        ),
        (&|world| world.write("lib/a", "1"), &[]),
        (&|world| world.age("lib/a"), &[]),
        (
            &|world| set_mode(&world.at("lib/a"), 0o755),
            &[("lib/a", Difference::Mode)],
        ),
        (
            &|world| world.write("lib/c", "3"),
            &[("lib/c", Difference::Added)],
        ),
        (
            &|world| fs::remove_file(world.at("lib/b")).unwrap(),
            &[("lib/b", Difference::Removed)],
        ),
        (
            &|world| fs::rename(world.at("lib/b"), world.at("lib/d")).unwrap(),
            &[("lib/b", Difference::Removed), ("lib/d", Difference::Added)],
        ),
    ];
    for (number, (act, expected)) in cases.iter().enumerate() {
        let world = World::new();
        world.write("lib/a", "1");
        world.write("lib/b", "1");
        let mut taken = world.snapshot(&["lib/*"], &mut Known::default());
        taken.check().unwrap();
        act(&world);
        let found = match taken.check() {
            Ok(touched) => {
                assert_eq!(touched, ["lib/a"], "{number}");
                Vec::new()
            }
            Err(snapshot::Different::Changed(changes)) => changes,
            Err(snapshot::Different::Failed(error)) => panic!("{number}: {error}"),
        };
        let found: Vec<_> = found.iter().map(|one| (&*one.path, one.how)).collect();
        assert_eq!(found, *expected, "{number}");
    }
}

#[test]
fn a_look_serves_all_who_asked_before_it_began() {
    let world = World::new();
    world.write("a", "1");
    let watch = Watch::new(world.snapshot(&["a"], &mut Known::default()));
    std::thread::scope(|scope| {
        let asked: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| watch.verify(watch.begin())))
            .collect();
        for one in asked {
            one.join().unwrap().unwrap();
        }
    });
    world.write("a", "2");
    let changed = Err(Trouble::Changed("`a` changed".into()));
    assert_eq!(watch.verify(watch.begin()), changed);
    // What ran meanwhile may have seen either.
    world.write("a", "1");
    assert_eq!(watch.verify(watch.begin()), changed);
    fs::remove_file(world.at("a")).unwrap();
    world.write("b", "1");
    let watch = Watch::new(world.snapshot(&["b"], &mut Known::default()));
    fs::remove_file(world.at("b")).unwrap();
    let words = "`b` was removed";
    assert_eq!(
        watch.verify(watch.begin()),
        Err(Trouble::Changed(words.into()))
    );
}

#[test]
fn who_ran_while_a_file_was_written_anew_may_have_read_something_else() {
    for act in ["file", "link"] {
        let world = World::new();
        world.write("v1/a", "1");
        world.write("v2/a", "2");
        symlink("v1", world.at("real")).unwrap();
        symlink("real", world.at("now")).unwrap();
        let watch = Watch::new(world.snapshot(&["now/*"], &mut Known::default()));
        let before = watch.begin();
        if act == "file" {
            world.write("v1/a", "2");
            world.write("v1/a", "1");
        } else {
            for to in ["v2", "v1"] {
                symlink(to, world.at("other")).unwrap();
                fs::rename(world.at("other"), world.at("real")).unwrap();
            }
        }
        let touched = watch.verify(before).unwrap_err();
        let what = if act == "file" { "now/a" } else { "real" };
        let words = format!("`{what}` was written or replaced");
        assert_eq!(touched, Trouble::Touched(words.into()));
        // Who begins afterwards has the files as they are.
        assert_eq!(watch.verify(watch.begin()), Ok(()));
    }
}

#[test]
fn a_new_match_in_a_folder_without_one_shows() {
    for (glob, new) in [
        ("d/*/x", "d/b/x"),
        ("d/*/sub/x", "d/b/sub/x"),
        ("*/a/x", "e/a/x"),
        ("d/[ab]/x", "d/b/x"),
        ("d/*/e/*/x", "d/b/e/n/x"),
    ] {
        let world = World::new();
        for old in ["d/a/x", "d/a/sub/x", "d/a/e/m/x", "d/b/other", "e/other"] {
            world.write(old, "1");
        }
        let mut taken = world.snapshot(&[glob], &mut Known::default());
        // As if they had been so for long.
        taken.settle();
        world.write(new, "2");
        let found = taken.check();
        assert!(
            matches!(&found, Err(snapshot::Different::Changed(all)) if *all[0].path == *new),
            "{glob}: {found:?}"
        );
    }
}

#[test]
fn what_is_taken_out_is_not_found() {
    let world = World::new();
    for path in ["lib/a.py", "lib/b.py", "lib/out/c.py", "out/x", "top.py"] {
        world.write(path, path);
    }
    symlink("nowhere", world.at("lib/out/broken")).unwrap();
    symlink("nowhere", world.at("lib/gone")).unwrap();
    for (globs, expected) in [
        (
            &["lib", "!lib/out", "!lib/gone"][..],
            &["lib/a.py", "lib/b.py"][..],
        ),
        (&["!lib", "**/*.py"], &["top.py"]),
        (&["!**/b.py", "lib/*.py"], &["lib/a.py"]),
        (&["!out"], &[]),
    ] {
        assert_eq!(
            world.find(globs),
            Ok(expected.iter().map(|&one| one.to_owned()).collect()),
            "{globs:?}"
        );
    }
    assert!(world.find(&["none/*", "!lib"]).is_err());
    for (globs, by) in [
        (["out", "!out"], "finds nothing but what `!out` takes out"),
        (["!out", "out/*"], "finds nothing but what `!out` takes out"),
        (
            ["lib/a.py", "!lib"],
            "finds nothing but what `!lib` takes out",
        ),
    ] {
        let error = world.find(&globs).unwrap_err();
        assert!(error.contains(by), "{error}");
    }
}

#[test]
fn no_db_is_found_whatever_its_name_and_wherever_its_objects_are() {
    let world = World::new();
    fs::create_dir(world.at("objs")).unwrap();
    symlink("../objs", world.at("db/objects")).unwrap();
    world.write("objs/ab/cd/ef", "object");
    world.write("other/db", "SQLite format 3\0and so on");
    world.write("other/objects/ab/cd/ef", "object");
    world.write("mine/db", "no database");
    world.write("mine/objects/x", "x");
    world.write("a", "a");
    let root = Root::open(world.dir.path(), Some(&world.at("db"))).unwrap();
    let world = World {
        root: Arc::new(root),
        ..world
    };
    for globs in [&["**"][..], &["."]] {
        let expected = ["a", "mine/db", "mine/objects/x"].map(str::to_owned);
        assert_eq!(world.find(globs), Ok(expected.into()));
    }
}

#[test]
fn a_folder_that_was_moved_away_and_back_may_have_been_another() {
    for globs in [&["lib/deep/a"][..], &["lib/*/a"], &["lib"], &["**"]] {
        let world = World::new();
        world.write("lib/deep/a", "1");
        world.write("other/a", "2");
        let mut taken = world.snapshot(globs, &mut Known::default());
        assert_eq!(taken.check().unwrap(), Vec::<String>::new(), "{globs:?}");
        let deep = world.at("lib/deep");
        fs::rename(&deep, world.at("kept")).unwrap();
        fs::rename(world.at("other"), &deep).unwrap();
        fs::rename(&deep, world.at("other")).unwrap();
        fs::rename(world.at("kept"), &deep).unwrap();
        let moved = taken.check().unwrap();
        assert!(
            moved.contains(&"lib/deep".to_owned()),
            "{globs:?} {moved:?}"
        );
        assert_eq!(taken.check().unwrap(), Vec::<String>::new(), "{globs:?}");
        // What a script makes beside its files is its own affair.
        world.write("lib/deep/new", "3");
        fs::remove_file(world.at("lib/deep/new")).unwrap();
        assert_eq!(taken.check().unwrap(), Vec::<String>::new(), "{globs:?}");
    }
}

#[test]
fn a_large_file_that_was_just_written_is_read_once_and_told() {
    use std::sync::atomic::AtomicUsize;
    static TOLD: AtomicUsize = AtomicUsize::new(0);
    let world = World::new();
    world.write("large", &"x".repeat(3 << 20));
    world.write("small", "x");
    let root = Root::open(world.dir.path(), None).unwrap();
    let root = root.telling(Some(|path, size| {
        assert_eq!((path, size), ("large", 3 << 20));
        TOLD.fetch_add(1, Ordering::Relaxed);
    }));
    let world = World {
        root: Arc::new(root),
        ..world
    };
    let mut known = Known::default();
    let mut taken = world.snapshot(&["*"], &mut known);
    assert!(known.is_settled(&taken.files()[0].stat));
    assert_eq!(taken.check().unwrap(), Vec::<String>::new());
    assert_eq!(taken.check().unwrap(), Vec::<String>::new());
    assert_eq!(TOLD.load(Ordering::Relaxed), 1);
}
