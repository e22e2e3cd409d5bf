//! The db: one writer, older and newer formats, and everything that can be wrong with it.

use std::fs;

use rusqlite::Connection;

use crate::harness::{Test, wait_for};
use crate::privileges::with_mounts;

const ONE: &str = "[[step]]\nname = 'only'\nstart = true\n\
    script = 'echo ran >> $COUNT; echo result > $OUTPUT_DIR/out'\n";

#[test]
fn a_second_run_stops_at_once_and_says_who_is_at_work() {
    let test = Test::with(
        "[[step]]\nname = 'begin'\nstart = true\nscript = 'echo > $OUTPUT_DIR/wait'\n\
         [[step]]\nname = 'wait'\nscript = 'echo began >> $COUNT; until test -e go; do sleep 0.02; done'\n",
    );
    let first = test.start(["-run"]);
    wait_for("the task", || test.times("began") == 1);
    for arguments in [&["-run"][..], &["-migrate-tainted"], &["-run", "-fresh"]] {
        let second = test.run(arguments.iter().copied()).exits(2);
        assert!(second.elapsed.as_secs() < 5);
        second
            .says(&format!("error: ./db is in use by process {}", first.pid()))
            .says("hint: wait for that run to end, or use another -db");
    }
    wait_for("the first task's record", || {
        test.rows("SELECT processed FROM task WHERE id = 1") == ["1"]
    });
    let look = test.run([""; 0]).exits(0);
    look.prints(&format!("which process {} is running", first.pid()))
        .prints("begin  1 done")
        .prints("wait   1 pending");
    test.run(["check"]).exits(0);
    test.write("go", "");
    first.end().exits(0);
    assert_eq!(test.times("began"), 1);
    test.runs();
}

/// One task after the other, each waits for `go`.
const STEPPING: &str = "[[step]]\nname = 'begin'\nstart = true\nscript = 'echo > $OUTPUT_DIR/wait'\n\
    [[step]]\nname = 'wait'\n\
    script = 'echo began >> $COUNT; until test -e go; do sleep 0.02; done; echo > $OUTPUT_DIR/out'\n";

#[test]
fn removing_the_lock_file_lets_no_second_run_in() {
    let test = Test::with(STEPPING);
    let first = test.start(["-run"]);
    wait_for("the task", || test.times("began") == 1);
    fs::remove_file(test.path("db/lock")).unwrap();
    // By its number, where it has committed since and made the file again.
    test.run(["-run"])
        .exits(2)
        .says("error: ./db is in use by ");
    test.run(["status"]).exits(0).prints(": running,");
    test.write("go", "");
    first.end().exits(0);
    assert_eq!(test.times("began"), 1);
    assert_eq!(test.rows("SELECT count(*) FROM task"), ["3"]);
    test.runs();
}

#[test]
fn a_run_ends_when_its_folder_is_moved() {
    let test = Test::with(STEPPING);
    let run = test.start(["-run"]);
    wait_for("the task", || test.times("began") == 1);
    fs::rename(test.path("db"), test.path("away")).unwrap();
    test.write("go", "");
    run.end()
        .exits(2)
        .says("db is not what it was when this run began")
        .says("hint: ");
    assert!(!test.path("db/db").exists());
    fs::rename(test.path("away"), test.path("db")).unwrap();
    test.runs();
    assert_eq!(test.rows("SELECT count(*) FROM task"), ["3"]);
}

#[test]
fn a_lock_of_a_process_that_is_gone_holds_nobody_up() {
    let test = Test::with(ONE);
    test.runs();
    test.write("db/lock", "1\n");
    test.runs();
}

#[test]
fn a_file_in_the_place_of_the_folder() {
    let test = Test::with(ONE);
    test.write("db", "precious");
    for arguments in [&["-run"][..], &[], &["-migrate-tainted"]] {
        let ran = test.run(arguments.iter().copied()).exits(2);
        ran.says("the db ./db is a file, not a folder")
            .says("hint: name a folder with -db");
    }
    assert_eq!(test.read("db"), "precious");
}

#[test]
fn a_folder_in_the_place_of_the_database() {
    let test = Test::with(ONE);
    fs::create_dir_all(test.path("db/db")).unwrap();
    test.run(["-run"])
        .exits(2)
        .says("error: ./db is no db and not empty: it holds db");
    fs::create_dir_all(test.path("db/objects")).unwrap();
    test.run(["-run"])
        .exits(2)
        .says("error: ./db/db is a folder, not a file")
        .says("hint: ");
    assert_eq!(test.count().len(), 0);
}

#[test]
fn a_folder_that_cannot_be_made() {
    let test = Test::with(ONE);
    test.write("file", "");
    let ran = test.run(["-run", "-db", "file/db"]).exits(2);
    ran.says("file/db").says("error: ");
}

#[test]
fn a_newer_format_is_refused_and_left_alone() {
    let test = Test::with(ONE);
    test.runs();
    test.alter("PRAGMA user_version = 99");
    for arguments in [&["-run"][..], &[]] {
        let ran = test.run(arguments.iter().copied()).exits(2);
        ran.says("./db/db has format 99, and this program knows formats up to ")
            .says("hint: use the newer task-pipeline that made it");
    }
    test.alter("PRAGMA user_version = 4");
    test.runs().says("0 run").says("1 final output");
}

#[test]
fn garbage_in_the_place_of_the_database() {
    for garbage in [
        &b"no database at all, but text that is long enough"[..],
        &[0xff; 9000],
    ] {
        let test = Test::with(ONE);
        test.write("db/db", garbage);
        for arguments in [&["-run"][..], &[]] {
            let ran = test.run(arguments.iter().copied()).exits(2);
            ran.says("./db/db is not a usable database: ")
                .says("hint: restore the file from a backup");
        }
        assert_eq!(fs::read(test.path("db/db")).unwrap(), garbage);
    }
}

#[test]
fn a_database_that_was_cut_off() {
    let test = Test::with(ONE);
    test.runs();
    test.alter("PRAGMA wal_checkpoint(TRUNCATE)");
    let whole = fs::read(test.path("db/db")).unwrap();
    for file in ["db/db-wal", "db/db-shm"] {
        let _ = fs::remove_file(test.path(file));
    }
    fs::write(test.path("db/db"), &whole[..whole.len() / 2]).unwrap();
    let ran = test.run(["-run"]).exits(2);
    ran.says("./db/db is not a usable database: ")
        .says("hint: restore the file from a backup");
    // As the hint says: away with it; the objects stay.
    fs::write(test.path("db/db"), whole).unwrap();
    test.runs().says("0 run");
    fs::rename(test.path("db/db"), test.path("away")).unwrap();
    test.runs().says("1 run");
    assert_eq!(test.output("out"), "result\n");
}

#[test]
fn a_db_of_the_first_implementation_is_taken_over() {
    let test = Test::with(
        "[[step]]\nname = 'fetch'\nstart = true\nscript = 'echo old > $OUTPUT_DIR/process'\n\
         [[step]]\nname = 'process'\nscript = 'cp $INPUT_FILE $OUTPUT_DIR/done'\n",
    );
    let empty = crate::harness::hash(b"");
    let old = crate::harness::hash(b"old\n");
    let object = test.object(&old);
    fs::create_dir_all(object.parent().unwrap()).unwrap();
    fs::write(object, "old\n").unwrap();
    test.alter(&format!(
        "CREATE TABLE step (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL,
             script TEXT NOT NULL, version INTEGER NOT NULL DEFAULT 1,
             is_start INTEGER NOT NULL DEFAULT 0, parallel INTEGER);
         CREATE TABLE task (id INTEGER PRIMARY KEY, object_hash TEXT NOT NULL,
             step_id INTEGER REFERENCES step(id), input_task_id INTEGER REFERENCES task(id),
             processed INTEGER NOT NULL DEFAULT 0, error TEXT, runset TEXT);
         CREATE INDEX idx_step_name ON step(name);
         INSERT INTO step (name, script, is_start) VALUES
             ('fetch', 'echo old > $OUTPUT_DIR/process', 1),
             ('process', 'cp $INPUT_FILE $OUTPUT_DIR/done', 0);
         INSERT INTO task VALUES (1, '{empty}', 1, NULL, 1, NULL, '2024-05-01'),
             (2, '{old}', 2, 1, 0, NULL, '2024-05-01');"
    ));
    // What was left to do is done; what was done by the old program is tainted: its shell had
    // no `-e`.
    let ran = test.runs();
    ran.says("runset 2024-05-01: ")
        .says("1 run, 0 reused")
        .says("fetch: 1 finished task has another");
    assert_eq!(test.output("done"), "old\n");
    assert_eq!(test.rows("SELECT count(*) FROM runset"), ["1"]);
    test.tally_is_right();
    let again = test.run(["-migrate-tainted", "-run"]).exits(0);
    again.says("fetch: 1 task to be done again by version 2");
    assert_eq!(test.output("done"), "old\n");
    assert_eq!(test.rows("PRAGMA user_version"), ["4"]);
    test.tally_is_right();
}

/// Runs in a mount namespace of its own, with `db` on a file system of 1 MiB.
const FULL: &str = r#"
mkdir db && mount -t tmpfs -o size=1m none db || exit 99
$PROGRAM -run -parallel 2; echo "status $?"
mount -o remount,size=64m db || exit 99
$PROGRAM -run -parallel 2; echo "status $?"
$PROGRAM -run; echo "status $?"
cp -r db kept
"#;

#[test]
fn a_full_disk_loses_nothing() {
    let test = Test::with(
        "[[step]]\nname = 'begin'\nstart = true\n\
         script = 'for i in $(seq 1 40); do echo $i > $OUTPUT_DIR/${i}_work; done'\n\
         [[step]]\nname = 'work'\n\
         script = 'echo $TASK_PIPELINE_TASK >> $COUNT; seq $(cat $INPUT_FILE) 8000 > $OUTPUT_DIR/out'\n\
         cache = false\n",
    );
    let Some(ran) = with_mounts(&test, FULL) else {
        return;
    };
    let ran = ran.exits(0);
    let statuses: Vec<&str> = ran.stdout.lines().collect();
    assert!(matches!(statuses[0], "status 1" | "status 2"), "{ran}");
    assert_eq!(statuses[1..], ["status 0", "status 0"], "{ran}");
    let ran = ran.says("db").says("ull");
    fs::rename(test.path("kept"), test.path("db"))
        .or_else(|_| {
            fs::remove_dir(test.path("db"))
                .and_then(|()| fs::rename(test.path("kept"), test.path("db")))
        })
        .unwrap();
    assert_eq!(test.finals()["out"].len(), 40, "{ran}");
    test.tally_is_right();
    test.objects_are_whole();
}

/// As [`FULL`], but what fills the disk is another's, and comes between two runs.
const FILLED: &str = r#"
mkdir db && mount -t tmpfs -o size=1m none db || exit 99
$PROGRAM -run; echo "status $?"
dd if=/dev/zero of=db/filler bs=4k 2>&-
for words in '-run' '-run -fresh' 'status'; do $PROGRAM $words; echo "status $?"; done
rm db/filler
$PROGRAM -run -fresh; echo "status $?"
"#;

#[test]
fn a_disk_that_others_filled_is_named() {
    let test = Test::with(ONE);
    let Some(ran) = with_mounts(&test, FILLED) else {
        return;
    };
    let ran = ran.exits(0);
    let statuses: Vec<&str> = ran
        .stdout
        .lines()
        .filter_map(|line| line.strip_prefix("status "))
        .collect();
    // Where there is nothing to write, nothing fails.
    assert_eq!(statuses, ["0", "0", "2", "0", "0"], "{ran}");
    assert_eq!(ran.stderr.matches("the disk is full").count(), 1, "{ran}");
    assert_eq!(ran.stderr.matches("hint: make room").count(), 1, "{ran}");
    ran.never_says("I/O error");
}

#[test]
fn a_read_only_file_system_is_named() {
    let test = Test::with(ONE);
    test.runs();
    let script = "mount --bind db db && mount -o remount,ro,bind db || exit 99; $PROGRAM -run";
    let Some(ran) = with_mounts(&test, script) else {
        return;
    };
    ran.exits(2).says("./db").says("ead-only");
    test.runs().says("0 run");
}

#[test]
fn the_db_may_be_moved() {
    let test = Test::with(ONE);
    test.runs();
    fs::rename(test.path("db"), test.path("elsewhere")).unwrap();
    test.run(["-run", "-db", "elsewhere"])
        .exits(0)
        .says("0 run")
        .says("1 final output");
    let db = Connection::open(test.path("elsewhere/db")).unwrap();
    let tasks: i64 = db
        .query_row("SELECT count(*) FROM task", [], |row| row.get(0))
        .unwrap();
    assert_eq!(tasks, 2);
}

#[test]
fn a_run_with_nothing_to_do_waits_for_no_disk() {
    let test = Test::with(ONE);
    test.runs();
    let durable = || test.rows("SELECT value FROM meta WHERE key = 'durable'");
    let before = durable();
    // As after a long run that nothing has synced.
    test.alter(
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n <= 100000)
         INSERT INTO task (object_hash, input_task_id, processed, runset, name)
         SELECT object_hash, 1, 1, runset, 'more' FROM n, (SELECT * FROM task WHERE step_id IS NULL LIMIT 1);",
    );
    test.runs();
    assert_eq!(durable(), before);
    test.run(["-run", "-fresh"]).exits(0);
    assert_ne!(durable(), before);
}

/// What a version that went on after a failed write has left: a row that is its own parent, an
/// output twice, counts below zero.
#[test]
fn a_damaged_db_is_mended_and_that_is_told() {
    let test = Test::with(
        "[[step]]\nname = 'begin'\nstart = true\n\
         script = 'for i in 1 2 3; do echo $i > $OUTPUT_DIR/${i}_mid; done'\n\
         [[step]]\nname = 'mid'\nscript = 'echo ran >> $COUNT; cp $INPUT_FILE $OUTPUT_DIR/out$(cat $INPUT_FILE)'\n",
    );
    test.runs();
    let sound = test.finals();
    test.alter(
        "INSERT INTO task (id, object_hash, step_id, input_task_id, processed, runset, name)
             SELECT 50, object_hash, step_id, 50, 1, runset, name FROM task WHERE id = 2;
         INSERT INTO task (object_hash, input_task_id, processed, runset, name)
             SELECT object_hash, input_task_id, 1, runset, name FROM task WHERE name = 'out2';
         UPDATE tally SET pending = -2 WHERE step_id = 2;",
    );
    test.runs()
        .says("warning: the db was damaged when a write failed in an earlier run: 1 row that no")
        .says("1 task is to run again, counts were corrected")
        .says("-run -start STEP")
        .says("1 run, 0 reused, 0 failed, 0 pending, 3 final outputs");
    assert_eq!(test.times("ran"), 4);
    assert_eq!(test.finals(), sound);
    test.tally_is_right();
    test.runs().never_says("warning");
}

#[test]
fn a_file_of_zeros_is_no_database_yet() {
    for length in [512, 4096] {
        let test = Test::with(ONE);
        fs::create_dir(test.path("db")).unwrap();
        fs::write(test.path("db/db"), vec![0; length]).unwrap();
        let refusal = test.refusal(&["tasks"]);
        assert!(refusal.contains("there is no db"), "{refusal}");
        test.runs();
        assert_eq!(test.output("out"), "result\n");
        // The objects tell that there was one.
        for ending in ["db-wal", "db-shm"] {
            fs::remove_file(test.path("db").join(ending)).unwrap();
        }
        fs::write(test.path("db/db"), vec![0; length]).unwrap();
        let refusal = test.refusal(&["tasks"]);
        assert!(refusal.contains("empty"), "{refusal}");
        test.runs().says("lost (a power cut in the first run");
    }
}

#[test]
fn a_file_of_zeros_and_something_else_stays_as_it_is() {
    let test = Test::with(ONE);
    let mut bytes = vec![0; 4096];
    bytes[4000] = b'x';
    test.write("db/db", &bytes);
    test.run(["-run"]).exits(2).says("not a usable database");
    assert_eq!(fs::read(test.path("db/db")).unwrap(), bytes);
}
