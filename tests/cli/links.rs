//! A db folder from somebody else in which links, FIFOs and files with another name lie where the
//! program's own files belong: what is elsewhere is neither changed nor shown.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::harness::Test;

/// Tasks 1 (start), 2 (fails) and 3; large and small inputs, and logs.
const PIPELINE: &str = r#"
[[step]]
name = "start"
start = true
script = 'echo said; echo small > "$OUTPUT_DIR/a_work"; seq 1 20000 > "$OUTPUT_DIR/b_work"'

[[step]]
name = "work"
script = 'cp "$INPUT_FILE" "$OUTPUT_DIR/x"; echo heard >&2; [ $(stat -c %s "$INPUT_FILE") -gt 99 ]'
"#;

/// Commands that look, and then those that go on.
const COMMANDS: [&[&str]; 13] = [
    &[],
    &["status"],
    &["tasks"],
    &["log", "1", "2", "3"],
    &["why", "2"],
    &["trace", "2"],
    &["cat", "2"],
    &["cat", "1", "b_work"],
    &["report", "-o", "page.html"],
    &["export", "-to", "out"],
    &["-run", "-dry-run"],
    &["-run"],
    &["-run", "-fresh"],
];

const SECRET: &str = "what nobody else is to see\n";

/// What lies in place of a file or folder of the db.
const KINDS: [&str; 6] = ["link", "folder", "hard", "fifo", "device", "process"];

/// A folder with a private file in it, and others of names that the program has for its own.
fn private(test: &Test) {
    let _ = fs::remove_dir_all(test.path("private"));
    fs::create_dir_all(test.path("private/.tmp/kept")).unwrap();
    fs::create_dir_all(test.path("private/again-0123456789abcdef")).unwrap();
    for name in ["file", ".probe", ".tmp/kept/file", "registered-at"] {
        test.write(&format!("private/{name}"), SECRET);
    }
    symlink("nowhere", test.path("private/again-0123456789abcdef/env")).unwrap();
}

/// Everything below a folder, with what files hold.
fn listing(folder: &Path) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let bytes = if path.is_symlink() {
            String::new()
        } else if path.is_dir() {
            all.extend(listing(&path));
            String::new()
        } else {
            fs::read_to_string(&path).unwrap()
        };
        all.push((path.display().to_string(), bytes));
    }
    all.sort();
    all
}

/// Puts something of that kind in the place of what the db has at `name`.
fn plant(test: &Test, name: &str, kind: &str) -> bool {
    let place = test.path("db").join(name);
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    let _ = fs::remove_file(&place);
    let _ = fs::remove_dir_all(&place);
    let tool = |name: &str, arguments: &[&str]| {
        let made = Command::new(name).arg(&place).args(arguments).output();
        made.is_ok_and(|made| made.status.success())
    };
    match kind {
        "link" => symlink(test.path("private/file"), &place).is_ok(),
        "folder" => symlink(test.path("private"), &place).is_ok(),
        "hard" => fs::hard_link(test.path("private/file"), &place).is_ok(),
        "fifo" => tool("mkfifo", &[]),
        "process" => symlink("/proc/self/environ", &place).is_ok(),
        // Only root makes one.
        _ => tool("mknod", &["c", "1", "5"]),
    }
}

/// Has each kind of thing in place of `name`, and tries all commands on it.
fn harms_nobody(names: &[&str]) {
    let test = Test::with(PIPELINE);
    test.run(["-run"]).exits(1);
    fs::rename(test.path("db"), test.path("kept")).unwrap();
    for name in names {
        for kind in KINDS {
            let _ = fs::remove_dir_all(test.path("db"));
            let mut copy = Command::new("cp");
            copy.args(["-a", "kept", "db"]).current_dir(test.path(""));
            assert!(copy.status().unwrap().success());
            private(&test);
            let before = listing(&test.path("private"));
            if !plant(&test, name, kind) {
                continue;
            }
            for arguments in COMMANDS {
                let mut command = test.command(arguments.iter().copied());
                command.env("PRIVATE", SECRET);
                let ran = crate::harness::Running::start(command).end();
                let what = format!("{name} is a {kind}: {arguments:?}");
                assert!(ran.elapsed.as_secs() < 5, "{what} waits");
                let mut shown = format!("{}{}", ran.stdout, ran.stderr);
                shown += &fs::read_to_string(test.path("page.html")).unwrap_or_default();
                for file in fs::read_dir(test.path("out")).into_iter().flatten() {
                    let bytes = fs::read(file.unwrap().path()).unwrap();
                    shown += &String::from_utf8_lossy(&bytes);
                }
                assert!(!shown.contains(SECRET.trim()), "{what} shows it\n{shown}");
                assert!(!shown.contains("panicked"), "{what}\n{shown}");
                assert_eq!(listing(&test.path("private")), before, "{what}\n{shown}");
                let _ = fs::remove_file(test.path("page.html"));
                let _ = fs::remove_dir_all(test.path("out"));
            }
        }
    }
}

#[test]
fn in_place_of_the_database_and_its_files() {
    harms_nobody(&["db", "db-wal", "db-shm", "db-journal"]);
}

#[test]
fn in_place_of_the_lock_and_of_folders() {
    harms_nobody(&["lock", "tmp", "gcroots", "gcroots/registered-at", "objects"]);
}

#[test]
fn in_place_of_objects() {
    let test = Test::with(PIPELINE);
    test.run(["-run"]).exits(1);
    // A small input, a large one, what a failed task wrote; and the folder of one.
    let place = |query: &str| {
        let hash = test.rows(query).remove(0);
        format!("objects/{}/{}/{}", &hash[..2], &hash[2..4], &hash[4..])
    };
    let inputs = "SELECT object_hash FROM task WHERE name LIKE";
    let log = place("SELECT stderr FROM log WHERE stderr IS NOT NULL");
    let large = place(&format!("{inputs} 'b_%'"));
    let small = place(&format!("{inputs} 'a_%'"));
    let folder = &log[..log.len() - 61];
    harms_nobody(&[&small, &large, &log, folder, "objects/aside"]);
}

#[test]
fn what_is_in_the_way_of_the_lock_goes_and_the_run_goes_on() {
    let test = Test::with(PIPELINE);
    test.run(["-run"]).exits(1);
    private(&test);
    for kind in ["link", "hard", "fifo"] {
        assert!(plant(&test, "lock", kind));
        test.run(["-run"]).exits(1).says("1 failed");
        assert!(
            fs::symlink_metadata(test.path("db/lock"))
                .unwrap()
                .is_file()
        );
    }
    assert_eq!(test.read("private/file"), SECRET);
}

#[test]
fn a_file_of_the_database_with_another_name_is_refused() {
    let test = Test::with(PIPELINE);
    test.run(["-run"]).exits(1);
    private(&test);
    for arguments in [&["status"][..], &["-run"]] {
        assert!(plant(&test, "db-shm", "hard"));
        test.run(arguments.iter().copied())
            .exits(2)
            .says("db/db-shm has another name as well (a hard link)")
            .says("hint: put a copy of the file in its place");
    }
    assert_eq!(test.read("private/file"), SECRET);
}

#[test]
fn objects_behind_a_link_to_other_things_are_not_looked_for() {
    let test = Test::with(PIPELINE);
    private(&test);
    fs::create_dir(test.path("db")).unwrap();
    symlink(test.path("private"), test.path("db/objects")).unwrap();
    test.run(["-run"])
        .exits(2)
        .says("db/objects is a link to ")
        .says("which belongs to no store of objects")
        .says("hint: let the link lead to an empty folder");
    // The db folder may be a link itself, and its objects lie in a folder of their own.
    fs::remove_dir_all(test.path("db")).unwrap();
    fs::create_dir_all(test.path("elsewhere/db")).unwrap();
    fs::create_dir_all(test.path("elsewhere/objects/lost+found")).unwrap();
    symlink("../objects", test.path("elsewhere/db/objects")).unwrap();
    symlink("elsewhere/db", test.path("db")).unwrap();
    test.run(["-run"]).exits(1);
    test.run(["-run", "-fresh"]).exits(1);
    test.run(["cat", "1", "b_work"]).exits(0);
}

#[test]
fn what_is_shown_of_an_object_has_its_hash() {
    let test = Test::with(PIPELINE);
    test.run(["-run"]).exits(1);
    for hash in test.rows("SELECT DISTINCT stderr FROM log WHERE stderr IS NOT NULL") {
        let place = test.object(&hash);
        fs::remove_file(&place).unwrap();
        fs::write(&place, SECRET).unwrap();
    }
    test.run(["report", "-o", "page.html"]).exits(0);
    let page = test.read("page.html");
    assert!(!page.contains(SECRET.trim()) && page.contains("is damaged"));
    test.run(["log", "2", "-stderr"])
        .exits(2)
        .says("is damaged: the bytes of ")
        .says("hint: ")
        .never_says(SECRET.trim());
}

/// As the shell's `>` would: where a link cannot be followed, what it leads to is not replaced, nor
/// is the link.
#[test]
fn a_page_or_trace_through_a_link_that_cannot_be_followed_is_refused() {
    let test = Test::with(PIPELINE);
    test.run(["-run"]).exits(1);
    symlink("loop", test.path("loop")).unwrap();
    for arguments in [&["report", "-o", "loop"][..], &["-run", "-trace", "loop"]] {
        test.run(arguments.iter().copied())
            .exits(2)
            .says("cannot write ");
        assert!(fs::read_link(test.path("loop")).is_ok(), "{arguments:?}");
    }
}

#[test]
fn objects_behind_a_link_are_of_one_db() {
    let test = Test::with(PIPELINE);
    for folder in ["db", "disk"] {
        fs::create_dir(test.path(folder)).unwrap();
    }
    symlink(test.path("disk"), test.path("db/objects")).unwrap();
    // Somebody else may have made that folder, to have other files written to.
    test.write("mine", SECRET);
    symlink(test.path("mine"), test.path("disk/.owner.new")).unwrap();
    symlink(test.path("mine"), test.path("disk/.owner")).unwrap();
    test.run(["-run"]).exits(1);
    assert_eq!(test.read("mine"), SECRET);
    let whole = test.text(&["export", "-to", "-"]);
    let copied = std::process::Command::new("cp")
        .args(["-a", "db", "copy"])
        .current_dir(test.path(""))
        .status();
    assert!(copied.unwrap().success());
    let refused = |words: &[&str]| {
        test.run(words)
            .exits(2)
            .says("copy/objects leads to ")
            .says("where the objects of the db ")
            .says("hint: each would remove what the other needs");
    };
    for words in [
        &["gc", "-db", "copy"][..],
        &["evict", "-db", "copy"],
        &["-run", "-db", "copy"],
    ] {
        refused(words);
    }
    // One whose objects are in itself is no other's, either.
    fs::remove_file(test.path("db/objects")).unwrap();
    fs::rename(test.path("disk"), test.path("db/objects")).unwrap();
    fs::remove_file(test.path("copy/objects")).unwrap();
    symlink("../db/objects", test.path("copy/objects")).unwrap();
    refused(&["gc", "-db", "copy"]);
    test.text(&["gc"]);
    assert_eq!(test.text(&["export", "-to", "-"]), whole);
    // The other one is there no more.
    fs::rename(test.path("db/objects"), test.path("disk")).unwrap();
    fs::remove_dir_all(test.path("db")).unwrap();
    fs::remove_file(test.path("copy/objects")).unwrap();
    symlink(test.path("disk"), test.path("copy/objects")).unwrap();
    test.text(&["gc", "-db", "copy"]);
    test.text(&["verify", "-db", "copy"]);
}
