//! A db folder from somebody else: to look at it, to export from it, to go on with it harms nobody.

mod file;

use std::fs;

use crate::harness::{Ran, Test};

/// Tasks 1 (start), 2 and 3 (work), and two final outputs, 4 and 5.
const PIPELINE: &str = r#"
[[step]]
name = "start"
start = true
script = 'for n in 1 2; do echo $n > "$OUTPUT_DIR/${n}_work"; done'

[[step]]
name = "work"
script = 'cp "$INPUT_FILE" "$OUTPUT_DIR/$(cat "$INPUT_FILE").txt"'
"#;

/// Every way to look at a db, and those that go on with it.
const COMMANDS: [&[&str]; 14] = [
    &["-quiet"],
    &["-run", "-dry-run"],
    &["status"],
    &["tasks"],
    &["log"],
    &["why", "#2"],
    &["why", "#4"],
    &["trace", "#2"],
    &["trace", "#4"],
    &["cat", "#2"],
    &["report", "-o", "page.html"],
    &["graph"],
    &["export", "-to", "out"],
    &["-run"],
];

fn ran() -> Test {
    let test = Test::with(PIPELINE);
    test.runs();
    assert_eq!(test.rows("SELECT count(*), max(id) FROM task"), ["5|5"]);
    test
}

/// It says which database, which row, what is wrong with that, and what to do.
#[track_caller]
fn is_refused(ran: Ran, row: &str, why: &str) {
    ran.exits(2)
        .says("db/db is ")
        .says(row)
        .says(why)
        .says("restore the file from a backup");
}

#[test]
fn no_output_is_written_outside_the_folder_that_was_named() {
    let test = ran();
    test.write("victim", "precious");
    let victim = test.path("victim");
    let long = "x".repeat(2000);
    for name in [
        victim.to_str().unwrap(),
        "../victim",
        "new/../../victim",
        "..",
        ".",
        "a/b",
        "/",
        &long,
    ] {
        test.alter(&format!("UPDATE task SET name = '{name}' WHERE id = 4"));
        for exists in [false, true] {
            let _ = fs::remove_dir_all(test.path("out"));
            if exists {
                fs::create_dir(test.path("out")).unwrap();
            }
            is_refused(
                test.run(["export", "-to", "out", "-force"]),
                "task #4: name: ",
                "",
            );
            assert_eq!(fs::read_dir(test.path("out")).is_ok(), exists);
            assert!(!exists || fs::read_dir(test.path("out")).unwrap().next().is_none());
        }
        for command in [
            &["export"][..],
            &["trace", "#4"],
            &["cat", "#4"],
            &["status"],
        ] {
            is_refused(test.run(command.iter().copied()), "task #4: name: ", "");
        }
        assert_eq!(test.read("victim"), "precious");
    }
    // As bytes that are no text at all.
    test.alter("UPDATE task SET name = CAST(x'ff' AS TEXT) WHERE id = 4");
    is_refused(
        test.run(["export", "-to", "out"]),
        "task #4: name: ",
        "UTF-8",
    );
}

#[test]
fn an_input_has_no_name_that_leads_elsewhere() {
    let test = ran();
    test.alter("UPDATE task SET name = '../../x', processed = 0 WHERE id = 2");
    is_refused(test.run(["-run"]), "task #2: name: ", "another folder");
    is_refused(test.run(["tasks"]), "task #2: name: ", "another folder");
}

#[test]
fn what_is_no_hash_is_no_path_either() {
    let test = ran();
    test.write("victim", "precious");
    let hash = format!("{}{}", "../".repeat(20), "x".repeat(4));
    for hash in [hash.as_str(), "../../victim", "", "E3B0", &"A".repeat(64)] {
        test.alter(&format!(
            "UPDATE task SET object_hash = '{hash}' WHERE id = 4"
        ));
        for command in [
            &["cat", "#4"][..],
            &["export", "-to", "out"],
            &["report", "-o", "page.html"],
            &["trace", "#4"],
        ] {
            let ran = test.run(command.iter().copied());
            is_refused(ran, "task #4: object_hash: ", "not a SHA-256");
        }
    }
    test.alter(
        "UPDATE task SET object_hash = (SELECT object_hash FROM task WHERE id = 5) WHERE id = 4;
         INSERT OR REPLACE INTO log VALUES (2, '../../victim', NULL)",
    );
    is_refused(test.run(["log", "#2"]), "log #2: stdout: ", "not a SHA-256");
}

#[test]
fn a_step_is_called_as_steps_can_be() {
    let test = ran();
    for name in ["../x", "a\n", "", &"x".repeat(201)] {
        test.alter(&format!("UPDATE step SET name = '{name}' WHERE id = 2"));
        for command in [&["status"][..], &["report", "-o", "page.html"], &["-run"]] {
            is_refused(test.run(command.iter().copied()), "step #2: name: ", "");
        }
    }
}

#[test]
fn values_of_another_kind_are_told_with_their_row() {
    let test = ran();
    // Each is looked at before the one above it.
    for (change, row, why) in [
        ("elapsed = 'soon'", "task #2: elapsed: ", "text"),
        ("runset = x'00'", "task #2: ", "bytes"),
        (
            "step_id = 77",
            "task #2: ",
            "step version 77, which is not there",
        ),
    ] {
        test.alter(&format!(
            "PRAGMA foreign_keys = OFF; UPDATE task SET {change} WHERE id = 2"
        ));
        is_refused(test.run(["trace", "#2"]), row, why);
    }
}

/// A failed write of earlier versions made such rows, too.
#[test]
fn rows_that_go_in_a_circle_are_told_and_not_followed() {
    for (change, rows) in [
        ("UPDATE task SET input_task_id = 2 WHERE id = 2", &[2][..]),
        ("UPDATE task SET input_task_id = 4 WHERE id = 4", &[4]),
        ("UPDATE task SET input_task_id = 4 WHERE id = 2", &[2]),
        (
            "UPDATE task SET input_task_id = 2, processed = 0, live = 1 WHERE id = 2",
            &[2],
        ),
        (
            "UPDATE task SET input_task_id = 3, step_id = 2 WHERE id = 2;
             UPDATE task SET input_task_id = 2 WHERE id = 3",
            &[2],
        ),
        (
            "UPDATE task SET supersedes = 3, live = 0 WHERE id = 2;
             UPDATE task SET supersedes = 2, live = 0, input_task_id = 5 WHERE id = 3",
            &[3],
        ),
    ] {
        let test = ran();
        test.alter(change);
        for command in COMMANDS {
            let ran = test.run(command.iter().copied());
            assert!(matches!(ran.status, 0 | 2), "{change}, {command:?}: {ran}");
        }
        for row in rows {
            let reference = format!("#{row}");
            for command in ["why", "trace", "cat"] {
                let ran = test.run([command, &reference]);
                is_refused(ran, &format!("task {reference}: "), "in a circle");
            }
        }
    }
}

#[test]
fn depth_is_no_recursion() {
    let test = ran();
    test.alter(
        "WITH RECURSIVE n (id) AS (SELECT 6 UNION ALL SELECT id + 1 FROM n WHERE id < 20000)
         INSERT INTO task (id, object_hash, step_id, input_task_id, processed, runset, name)
         SELECT n.id, object_hash, 2, n.id - 1, 1, runset, 'x_work' FROM n, task WHERE task.id = 2;
         UPDATE task SET input_task_id = 3 WHERE id = 6;
         UPDATE task SET processed = 0 WHERE id = 20000;",
    );
    for command in COMMANDS {
        let ran = test.run(command.iter().copied());
        assert!(matches!(ran.status, 0..=2), "{command:?}: {ran}");
    }
    test.run(["why", "#20000"]).exits(0);
    test.run(["trace", "#20000"]).exits(0).prints("#19999");
}

/// Names from before this program refused them.
#[test]
fn a_step_of_the_first_implementation_keeps_its_history_under_a_name_that_can_be() {
    let test = Test::new();
    fs::create_dir_all(test.path("db/objects")).unwrap();
    test.alter(
        "CREATE TABLE step (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, script TEXT NOT NULL,
             version INTEGER NOT NULL DEFAULT 1, is_start INTEGER NOT NULL DEFAULT 0, parallel INTEGER);
         CREATE TABLE task (id INTEGER PRIMARY KEY, object_hash TEXT NOT NULL,
             step_id INTEGER REFERENCES step(id), input_task_id INTEGER REFERENCES task(id),
             processed INTEGER NOT NULL DEFAULT 0, error TEXT, runset TEXT);
         INSERT INTO step (name, script) VALUES ('fetch/all', 'true');",
    );
    let empty = crate::harness::hash(b"");
    test.alter(&format!(
        "INSERT INTO task (object_hash, step_id, processed, runset) VALUES ('{empty}', 1, 1, 'r')"
    ));
    test.run(["tasks"]).exits(0).prints("fetch_all");
}

#[test]
fn numbers_of_any_size_are_told_and_not_counted_with() {
    for (change, row, commands) in [
        (
            "UPDATE task SET elapsed = 9223372036854775807 WHERE id = 2",
            "task #2: elapsed: ",
            &["trace #2", "report -o page.html", "tasks"][..],
        ),
        (
            "UPDATE task SET started = -9223372036854775808 WHERE id = 2",
            "task #2: started: ",
            &["trace #2", "report -o page.html"],
        ),
        (
            "UPDATE step SET version = 9223372036854775807 WHERE id = 2",
            "step #2: version: ",
            &["status", "why work", "-run", "-quiet"],
        ),
        (
            "UPDATE tally SET done = 9223372036854775807",
            "the tally of step version #",
            &["status", "graph"],
        ),
        (
            "UPDATE tally SET pending = 9223372036854775807;
             INSERT INTO tally (runset_id, step_id, pending) VALUES (9, 0, 1), (9, 1, 1), (9, 2, 1)",
            "larger than any",
            &["graph -runset all"],
        ),
        (
            "PRAGMA foreign_keys = OFF; UPDATE task SET id = 9223372036854775807 WHERE id = 5",
            "9223372036854775807",
            &[
                "-run -fresh",
                "-run -fresh -dry-run"
            ],
        ),
    ] {
        let test = ran();
        test.alter(change);
        for command in commands {
            is_refused(test.run(command.split(' ')), row, "");
        }
    }
}
