//! What lies where the db's own files and folders belong, or keeps this user from them: it is taken
//! out of the way where that is safe, else the message tells what to do, and no task fails for it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{Ran, Test, hash};
use crate::privileges::as_a_user;

const PIPELINE: &str = r#"
[[step]]
name = "start"
start = true
script = 'echo end > "$OUTPUT_DIR/end"; echo input > "$OUTPUT_DIR/a_next"'

[[step]]
name = "next"
script = 'cat "$INPUT_FILE" > "$OUTPUT_DIR/copied"'
"#;

fn world() -> Test {
    let test = Test::with(PIPELINE);
    test.runs();
    test
}

/// The folders that the object of these bytes lies in.
fn folders(test: &Test, bytes: &str) -> [PathBuf; 2] {
    let object = test.object(&hash(bytes.as_bytes()));
    let inner = object.parent().unwrap().to_owned();
    [inner.parent().unwrap().to_owned(), inner]
}

/// Puts something else in the place of a folder.
fn replace(folder: &Path, by: &str) {
    fs::remove_dir_all(folder).unwrap();
    let name = folder.file_name().unwrap();
    match by {
        "loop" => symlink(name, folder).unwrap(),
        "nowhere" => symlink("no/such/folder", folder).unwrap(),
        "long" => symlink("x".repeat(300), folder).unwrap(),
        "file" => fs::write(folder, "x").unwrap(),
        _ => assert!(
            Command::new("mkfifo")
                .arg(folder)
                .status()
                .unwrap()
                .success()
        ),
    }
}

const KINDS: [&str; 5] = ["loop", "nowhere", "long", "file", "fifo"];

/// Whatever is done to it, a run mends it and no task fails.
fn is_mended(test: &Test, what: &str, arguments: &[&str]) {
    let ran = test.run(arguments.iter().copied());
    assert_eq!(ran.status, 0, "{what}\n{ran}");
    assert!(ran.stderr.contains("gone from the store"), "{what}\n{ran}");
    let _ = fs::remove_dir_all(test.path("out"));
    test.run(["export", "-to", "out"]).exits(0);
    assert_eq!(test.read("out/end"), "end\n", "{what}");
    assert_eq!(test.read("out/copied"), "input\n", "{what}");
    test.runs().never_says("gone from");
}

#[test]
fn whatever_is_in_the_place_of_an_objects_folder_its_object_is_made_again() {
    for kind in KINDS {
        for level in [0, 1] {
            let test = world();
            let what = format!("{kind} {level}");
            replace(&folders(&test, "end\n")[level], kind);
            test.run(["status"]).exits(0).prints(": lost,");
            test.run(["export", "-to", "out"])
                .exits(2)
                .says("is missing")
                .says("hint: ");
            is_mended(&test, &what, &["-run"]);
            replace(&folders(&test, "input\n")[level], kind);
            is_mended(&test, &what, &["-run", "-start", "next"]);
        }
    }
}

#[test]
fn what_cannot_be_put_aside_is_no_tasks_failure() {
    let test = world();
    replace(&folders(&test, "end\n")[0], "file");
    test.write("db/objects/aside", "x");
    test.run(["-run"])
        .exits(2)
        .says("objects/aside")
        .says("hint: check the owner and mode of that folder");
    assert_eq!(
        test.rows("SELECT count(*) FROM task WHERE error IS NOT NULL"),
        ["0"]
    );
    fs::remove_file(test.path("db/objects/aside")).unwrap();
    test.runs();
    assert!(test.path("db/objects/aside").is_dir());
}

#[test]
fn objects_behind_a_link_are_read_as_long_as_they_are_right() {
    let test = world();
    let [outer, _] = folders(&test, "end\n");
    fs::rename(&outer, test.path("elsewhere")).unwrap();
    symlink(test.path("elsewhere"), &outer).unwrap();
    test.run(["status"]).exits(0).prints(": done,");
    test.run(["cat", "1", "end"]).exits(0).prints("end\n");
    test.run(["export", "-to", "out"]).exits(0);
    assert_eq!(test.read("out/end"), "end\n");
    test.runs().says("0 run,");
    let object = test.object(&hash(b"end\n"));
    fs::remove_file(&object).unwrap();
    fs::write(&object, "other\n").unwrap();
    let other = test.run(["cat", "1", "end"]).exits(2).says("is damaged");
    assert_eq!(other.stdout, "");
    test.runs().says("1 task runs again");
    assert!(
        outer.is_dir() && !outer.is_symlink(),
        "nothing is made there"
    );
    assert_eq!(test.output("end"), "end\n");
}

/// The same refusal, with a hint, and nothing else.
#[track_caller]
fn refuses(ran: Ran, words: &str, hint: &str) {
    ran.exits(2).says(words).says(&format!("hint: {hint}"));
}

#[test]
fn a_database_of_a_few_bytes_is_a_damaged_one() {
    for (count, objects) in [(1, true), (100, false), (511, true)] {
        let test = world();
        fs::write(test.path("db/db"), "x".repeat(count)).unwrap();
        if !objects {
            fs::remove_dir_all(test.path("db/objects")).unwrap();
        }
        for arguments in [
            &[] as &[&str],
            &["-run"],
            &["status"],
            &["-run", "-dry-run"],
        ] {
            let ran = test.run(arguments.iter().copied());
            refuses(
                ran,
                "is not a usable database",
                "restore the file from a backup",
            );
        }
        assert_eq!(
            fs::metadata(test.path("db/db")).unwrap().len(),
            count as u64
        );
    }
}

/// Each would wait for somebody who writes to it.
#[test]
fn a_fifo_in_the_place_of_the_database_is_named_by_whoever_opens_it() {
    let test = world();
    fs::remove_file(test.path("db/db")).unwrap();
    fs::create_dir(test.path("db/db")).unwrap();
    replace(&test.path("db/db"), "fifo");
    for arguments in [
        &["verify"][..],
        &["verify", "-quick"],
        &["verify", "-repair"],
        &["status"],
        &["gc"],
        &["evict"],
        &["-run"],
    ] {
        test.run(arguments).exits(2).says("is a FIFO");
    }
}

#[test]
fn a_folder_or_fifo_in_the_way_is_named() {
    let test = world();
    fs::remove_file(test.path("db/lock")).unwrap();
    fs::create_dir(test.path("db/lock")).unwrap();
    refuses(
        test.run(["-run"]),
        "db/lock is a folder",
        "move that folder away",
    );
    fs::remove_dir(test.path("db/lock")).unwrap();
    for (kind, found) in [("fifo", "a FIFO"), ("file", "a file")] {
        fs::remove_dir_all(test.path("db/objects")).unwrap();
        fs::create_dir(test.path("db/objects")).unwrap();
        replace(&test.path("db/objects"), kind);
        let words = format!("db/objects is {found}, not a folder");
        refuses(test.run(["-run"]), &words, "move it away");
        fs::remove_file(test.path("db/objects")).unwrap();
        test.runs();
    }
    symlink("nowhere", test.path("dangling")).unwrap();
    let words = "the db dangling is a link to nowhere, which is not there";
    refuses(
        test.run(["-run", "-db", "dangling"]),
        words,
        "make that folder",
    );
    let round = test.path("round");
    symlink(&round, &round).unwrap();
    let hint = "check the path given with -db: a link";
    refuses(test.run(["-run", "-db", "round/db"]), "round/db", hint);
    refuses(test.run(["status", "-db", "round/db"]), "round/db", hint);
}

#[test]
fn what_may_not_be_read_or_written_is_told_as_that() {
    let test = world();
    let mode = |mode: &str, name: &str| {
        let mut change = Command::new("chmod");
        change.args([mode, name]).current_dir(test.path(""));
        assert!(change.status().unwrap().success());
    };
    if as_a_user(&test, "true").is_none() {
        return;
    }
    mode("000", "db/objects");
    for command in ["export", "export -to out", "cat 1 end"] {
        let ran = as_a_user(&test, &format!("$PROGRAM {command}")).unwrap();
        let ran = ran.exits(2).says("Permission denied").never_says("missing");
        refuses(
            ran,
            "db/objects/",
            "check the owner and mode of the db folder",
        );
    }
    mode("755", "db/objects");
    mode("000", "db/db");
    let ran = as_a_user(&test, "$PROGRAM status").unwrap();
    refuses(
        ran,
        "cannot read ./db/db",
        "check the owner and mode of the db folder",
    );
}

#[test]
fn a_store_that_takes_nothing_fails_no_task() {
    // One who is not root; and each script is run by another one.
    let test = Test::with(PIPELINE);
    test.write("other.toml", PIPELINE.replace("echo end", "echo another"));
    let ran = as_a_user(
        &test,
        "$PROGRAM -run -quiet; chmod 555 db/objects; $PROGRAM -run; echo $?; chmod 755 db/objects
         mkdir -p db/objects/$(echo another | sha256sum | cut -c1-2); chmod 555 db/objects/??
         $PROGRAM -manifest other.toml -migrate-tainted -run; echo $?; chmod 755 db/objects/??
         $PROGRAM -manifest other.toml -run; echo $?",
    );
    let Some(ran) = ran else {
        return;
    };
    let ran = ran.prints("2\n2\n0\n").never_says("failed:");
    let hints = ran
        .stderr
        .matches("hint: check the owner and mode of that folder");
    assert_eq!(hints.count(), 2, "{ran}");
    let failed = test.rows("SELECT count(*) FROM task WHERE error IS NOT NULL");
    assert_eq!(failed, ["0"]);
    assert_eq!(test.output("end"), "another\n");
}

#[test]
fn a_strangers_schema_is_named() {
    let corrupt = |statements: &str, arguments: &[&str], words: &str| {
        let test = world();
        test.alter(statements);
        let ran = test.run(arguments.iter().copied());
        refuses(ran, words, "");
    };
    corrupt("PRAGMA user_version = -1", &["status"], "it has format -1");
    corrupt("PRAGMA user_version = -1", &["-run"], "it has format -1");
    let index = "CREATE UNIQUE INDEX mine ON task (name, id)";
    for arguments in [
        &["-run", "-fresh"] as &[&str],
        &["-run"],
        &["-run", "-dry-run"],
    ] {
        corrupt(
            index,
            arguments,
            "has an index `mine` that lets no two rows of the table task",
        );
    }
    corrupt(
        "PRAGMA writable_schema = 1;
         UPDATE sqlite_schema SET sql = replace(sql, 'NOT NULL', '') WHERE name = 'step';
         PRAGMA writable_schema = RESET;
         UPDATE step SET script = NULL WHERE id = 1",
        &["why", "start"],
        "not a usable database: a row of its table step is not complete",
    );
    let test = world();
    test.alter(index);
    test.run(["status"]).exits(0);
}

#[test]
fn a_wrong_row_is_named_once() {
    for (change, words) in [
        ("name = 'a/b'", "database: task #3: name: `a/b` leads"),
        (
            "input_task_id = 99",
            "database: task #3: it comes from task #99",
        ),
    ] {
        let test = world();
        test.alter(&format!(
            "PRAGMA foreign_keys = OFF; UPDATE task SET {change} WHERE id = 3"
        ));
        for arguments in [["status"].as_slice(), &["-run"]] {
            refuses(test.run(arguments.iter().copied()), words, "restore");
        }
    }
}

#[test]
fn a_name_that_no_file_can_have_is_told_as_the_users_path() {
    let test = world();
    let long = "x".repeat(256);
    test.alter(&format!(
        "UPDATE task SET name = '{long}' WHERE name = 'end'"
    ));
    test.run(["export", "-to", "out"])
        .exits(2)
        .says(&format!("cannot write out/{long}: "))
        .says("hint: nothing was written")
        .never_says(".task-pipeline-");
    assert!(!test.path("out").exists());
}

#[test]
fn an_empty_name_of_a_folder_is_none() {
    let test = world();
    let ran = as_a_user(
        &test,
        "rm -f db/db-wal db/db-shm; chmod 555 db; TMPDIR= $PROGRAM status; status=$?
         chmod 755 db; exit $status",
    );
    if let Some(ran) = ran {
        ran.exits(0).prints("runset");
    }
    let mut command = test.command(["status", "-help"]);
    command.env("TMPDIR", "");
    assert!(command.output().unwrap().status.success());
}

#[test]
fn too_small_a_width_is_none() {
    let test = Test::new();
    let lines = |columns: &str| {
        let mut command = test.command(["-help"]);
        command.env("COLUMNS", columns);
        let help = command.output().unwrap().stdout;
        help.split(|byte| *byte == b'\n').count()
    };
    for columns in ["0", "1", "5", "19"] {
        assert_eq!(lines(columns), lines("80"), "{columns}");
    }
    assert!(lines("30") > lines("80"));
}
