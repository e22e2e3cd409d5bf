mod later;

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
