//! What `SQLite` makes of a file: its schema, its pages, what lies beside it.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use super::{COMMANDS, PIPELINE, is_refused, ran};
use crate::harness::Test;

/// `status` and a run end at once, whatever is in the schema.
#[track_caller]
fn is_refused_at_once(test: &Test, why: &str) {
    for command in [
        &["status"][..],
        &["-run", "-fresh"],
        &["-run", "-dry-run"],
        &["-quiet"],
    ] {
        let ran = test.run(command.iter().copied());
        assert!(ran.elapsed < Duration::from_secs(10), "{ran}");
        is_refused(ran, why, "");
    }
}

#[test]
fn no_trigger_of_a_received_database_fires() {
    let test = ran();
    let mut triggers = String::new();
    for table in [
        "step",
        "task",
        "runset",
        "tally",
        "log",
        "environment",
        "meta",
    ] {
        for when in ["INSERT", "UPDATE", "DELETE"] {
            let _ = write!(
                triggers,
                "CREATE TRIGGER {table}_{when} AFTER {when} ON {table}
                 BEGIN UPDATE step SET script = 'echo pwned'; END;"
            );
        }
    }
    test.alter(&triggers);
    test.run(["-run", "-fresh"]).exits(0);
    test.manifest(&PIPELINE.replace("cp ", "cat <"));
    test.run(["-migrate-tainted", "-run"]);
    let none = "SELECT count(*) FROM step WHERE script = 'echo pwned'";
    assert_eq!(test.rows(none), ["0"]);
}

#[test]
fn a_view_in_the_place_of_a_table_is_refused() {
    for table in [
        "step",
        "task",
        "runset",
        "tally",
        "log",
        "environment",
        "meta",
    ] {
        let test = ran();
        test.alter(&format!(
            "ALTER TABLE {table} RENAME TO other;
             CREATE VIEW {table} AS
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
             SELECT other.*, i AS id FROM other, n;"
        ));
        is_refused_at_once(
            &test,
            &format!("in place of its table {table} there is a view"),
        );
    }
}

#[test]
fn a_table_that_computes_is_refused() {
    for (change, why) in [
        (
            "ALTER TABLE runset RENAME TO other;
             CREATE TABLE RUNSET (id INTEGER PRIMARY KEY, created, name AS (hex(zeroblob(4e8))));
             INSERT INTO runset (id) VALUES (1);",
            "its table runset has a column that is computed",
        ),
        (
            "DROP TABLE log; CREATE VIRTUAL TABLE log USING fts5(task_id, stdout, stderr)",
            "its table log is no plain table",
        ),
        (
            "ALTER TABLE step RENAME TO other",
            "its table step is not there",
        ),
        (
            "ALTER TABLE runset DROP COLUMN created; ALTER TABLE tally DROP COLUMN done",
            "done",
        ),
    ] {
        let test = ran();
        test.alter(change);
        is_refused_at_once(&test, why);
    }
}

#[test]
fn a_value_of_any_size_is_no_memory_that_is_used_up() {
    let test = ran();
    // 1.5 kB in the file do as well where the schema computes; here they are stored.
    test.alter("UPDATE runset SET name = printf('%.*c', 20000000, 'x')");
    is_refused(
        test.run(["status"]),
        "larger than any that this program writes",
        "",
    );
    is_refused(
        test.run(["-run"]),
        "larger than any that this program writes",
        "",
    );
}

#[test]
fn what_somebody_added_for_own_questions_is_no_harm() {
    let test = ran();
    test.alter(
        "CREATE TABLE note (task INTEGER REFERENCES task (id) ON DELETE CASCADE, text COLLATE NOCASE);
         CREATE INDEX own ON task (started);
         CREATE VIEW slow AS SELECT * FROM task WHERE elapsed > 1000000;
         CREATE VIRTUAL TABLE words USING fts5(text);
         ALTER TABLE task ADD COLUMN comment TEXT DEFAULT 'none';",
    );
    test.run(["status"]).exits(0);
    test.run(["-run", "-fresh"]).exits(0);
    test.run(["why", "#2"]).exits(0);
}

#[test]
fn the_database_is_a_file_of_this_program() {
    let other = "CREATE TABLE moz_places (id INTEGER PRIMARY KEY, url TEXT)";
    let test = Test::with(PIPELINE);
    fs::create_dir(test.path("db")).unwrap();
    test.alter(other);
    let before = fs::read(test.path("db/db")).unwrap();
    for command in [
        &["-run"][..],
        &["status"],
        &["-quiet"],
        &["-run", "-dry-run"],
    ] {
        test.run(command.iter().copied())
            .exits(2)
            .says("db/db is the database of another program")
            .says("hint: name another folder with -db");
    }
    assert!(fs::read(test.path("db/db")).unwrap() == before);

    let test = Test::with(PIPELINE);
    fs::create_dir(test.path("db")).unwrap();
    std::os::unix::fs::symlink("../new", test.path("db/db")).unwrap();
    for command in [&["-run"][..], &["status"]] {
        test.run(command.iter().copied())
            .exits(2)
            .says("db/db is a symbolic link, not a file");
        assert!(!test.path("new").exists());
    }
}

/// Has each page of a tree stand below the one above it many times: 10^20 rows in some pages.
fn multiply(test: &Test, table: &str) {
    const PAGE: usize = 4096;
    test.alter("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = DELETE");
    let root = test.rows(&format!(
        "SELECT rootpage FROM sqlite_schema WHERE name = '{table}'"
    ));
    let root: usize = root[0].parse().unwrap();
    let mut file = fs::read(test.path("db/db")).unwrap();
    let top = file[(root - 1) * PAGE..root * PAGE].to_vec();
    assert!(matches!(top[0], 2 | 5), "the root is a leaf");
    let below = |page: &mut [u8], child: usize| {
        let child = u32::try_from(child).unwrap().to_be_bytes();
        let cells = usize::from(u16::from_be_bytes([page[3], page[4]]));
        for cell in 0..cells {
            let at = 12 + 2 * cell;
            let at = usize::from(u16::from_be_bytes([page[at], page[at + 1]]));
            page[at..at + 4].copy_from_slice(&child);
        }
        page[8..12].copy_from_slice(&child);
    };
    let leaf = u32::from_be_bytes(top[8..12].try_into().unwrap());
    let pages = file.len() / PAGE;
    below(&mut file[(root - 1) * PAGE..root * PAGE], pages + 1);
    for level in 1..=15 {
        let mut page = top.clone();
        let last = level == 15;
        below(
            &mut page,
            if last {
                leaf as usize
            } else {
                pages + level + 1
            },
        );
        file.extend_from_slice(&page);
    }
    let pages = u32::try_from(file.len() / PAGE).unwrap();
    file[28..32].copy_from_slice(&pages.to_be_bytes());
    fs::write(test.path("db/db"), file).unwrap();
}

#[test]
fn more_rows_than_a_file_can_have_come_to_an_end() {
    for index in [None, Some("idx_task_final")] {
        let test = ran();
        test.alter(
            "WITH RECURSIVE n (id) AS (SELECT 6 UNION ALL SELECT id + 1 FROM n WHERE id < 3000)
             INSERT INTO task (id, object_hash, input_task_id, processed, runset, name)
             SELECT n.id, object_hash, 2, 1, runset, n.id || '.txt' FROM n, task WHERE task.id = 4;
             INSERT INTO meta VALUES ('writing', 1);",
        );
        multiply(&test, index.unwrap_or("task"));
        let mut over = 0;
        for command in COMMANDS {
            let ran = test.run(command.iter().copied());
            assert!(matches!(ran.status, 0 | 2), "{command:?}: {ran}");
            assert!(
                ran.elapsed < Duration::from_mins(1),
                "{command:?}: {:?}",
                ran.elapsed
            );
            over += usize::from(
                ran.stderr
                    .contains("more rows are found in it than it has room for"),
            );
        }
        assert!(over > 0, "{index:?}");
    }
}

/// The journal of an interrupted transaction over several databases names a file with the names of
/// all their journals. When it is rolled back, that file is removed: `SQLite` before 3.54 removes any
/// that is named.
#[test]
fn a_forged_journal_removes_nothing() {
    const MAGIC: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
    let test = ran();
    test.write("victim", "precious");
    test.alter("PRAGMA wal_checkpoint(TRUNCATE)");
    for file in ["db/db-wal", "db/db-shm"] {
        let _ = fs::remove_file(test.path(file));
    }
    let victim = test.path("victim");
    let name = victim.to_str().unwrap().as_bytes();
    let pages = u32::try_from(fs::metadata(test.path("db/db")).unwrap().len() / 4096).unwrap();
    let mut journal = MAGIC.to_vec();
    for number in [0, 1, pages, 512, 4096] {
        journal.extend(number.to_be_bytes());
    }
    journal.resize(512, 0);
    let sum: u32 = name.iter().map(|byte| u32::from(*byte)).sum();
    journal.extend((0x4000_0000_u32 / 4096 + 1).to_be_bytes());
    journal.extend(name);
    journal.extend(u32::try_from(name.len()).unwrap().to_be_bytes());
    journal.extend(sum.to_be_bytes());
    journal.extend(MAGIC);
    for command in [&["status"][..], &["-run"]] {
        test.write("db/db-journal", &journal);
        test.run(command.iter().copied()).exits(0);
        assert_eq!(test.read("victim"), "precious");
    }
}

/// Whoever asks for the rows behind the last one would get the same ones for ever.
#[test]
fn rows_that_an_index_has_in_another_order_are_refused() {
    for (index, columns, rest, commands) in [
        (
            "idx_task_input",
            "input_task_id",
            "WHERE input_task_id IS NOT NULL",
            &["trace #1", "cat #1 1_work"][..],
        ),
        (
            "idx_task_processed",
            "runset, step_id",
            "WHERE processed = 0",
            &["-run"],
        ),
        (
            "idx_task_final",
            "substr(object_hash, 1, 4)",
            "WHERE step_id IS NULL",
            &["status", "-run", "-run -dry-run"],
        ),
    ] {
        let test = ran();
        if index == "idx_task_processed" {
            test.alter(
                "UPDATE task SET processed = 0 WHERE id IN (2, 3);
                 UPDATE tally SET pending = 2, done = 0 WHERE step_id = 2;",
            );
        }
        let as_said = format!("CREATE INDEX {index} ON task ({columns}) {rest}");
        test.alter(&format!(
            "UPDATE task SET object_hash = (SELECT object_hash FROM task WHERE id = 4) WHERE id = 5;
             DROP INDEX {index};
             CREATE INDEX {index} ON task ({columns}, id DESC) {rest};
             PRAGMA writable_schema = ON;
             UPDATE sqlite_schema SET sql = '{as_said}' WHERE name = '{index}';"
        ));
        for command in commands {
            let ran = test.run(command.split(' '));
            // A run looks at its small indexes before anything else.
            if command == &"-run" {
                is_refused(ran, index, "is damaged");
            } else {
                is_refused(ran, "task #", "an index is damaged");
            }
        }
    }
}
