//! What a later look tells of files that were found before.

use super::*;

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
