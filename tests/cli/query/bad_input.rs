//! Wrong words, wrong files, outputs that end.

use std::fs;
use std::io::Read as _;
use std::process::Stdio;

use super::world::{PIPELINE, after_a_run, files};
use crate::harness::Test;

#[test]
fn what_is_not_there_is_refused_with_the_way_on() {
    let world = after_a_run();
    for (arguments, error, hint) in [
        (
            &["log", "99"][..],
            "there is no task #99 in ./db",
            "`tasks` lists",
        ),
        (
            &["log", "#99"],
            "there is no task #99 in ./db",
            "`tasks` lists",
        ),
        (&["why", "99"], "there is no task #99", "`tasks` lists"),
        (
            &["why", "cuont"],
            "there is no step `cuont`",
            "did you mean `count`?",
        ),
        (
            &["tasks", "-step", "fetsh"],
            "there is no step `fetsh`",
            "did you mean `fetch`?",
        ),
        (
            &["cat", "beef"],
            "no object in ./db has a hash that starts with beef",
            "-db names",
        ),
        (
            &["cat", "abc"],
            "`abc` is too short for a hash",
            "four or more digits",
        ),
        (
            &["cat", "1", "a_cuont.txt"],
            "no output called",
            "did you mean `a_count.txt`?",
        ),
        (
            &["cat", "1"],
            "task #1 left 3 outputs",
            "name one: cat 1 NAME",
        ),
        (
            &["trace", "wrods.txt"],
            "there is no final output `wrods.txt`",
            "did you mean `words.txt`?",
        ),
        (
            &["export", "cuont", "-to", "o"],
            "`cuont` is neither",
            "did you mean `count`?",
        ),
        (
            &["status", "-runset", "x"],
            "there is no runset `x`",
            "the newest are",
        ),
        (
            &["status", "-db", "nowhere"],
            "there is no db at nowhere",
            "-db",
        ),
        (
            &["status", "-db", "workflow.toml"],
            "is a file, not a folder",
            "-db",
        ),
    ] {
        let text = world.refusal(arguments);
        assert!(
            text.starts_with("error: ") && text.contains(error),
            "{text}"
        );
        let told = text.lines().find(|line| line.starts_with("hint: "));
        assert!(
            told.is_some_and(|told| told.contains(hint)),
            "{arguments:?}: {text}"
        );
    }
    assert!(!world.path("o").exists());
}

#[test]
fn an_ambiguous_hash_is_refused_with_the_digits_that_decide() {
    // The hashes of these two agree in four digits.
    let many = r#"
[[step]]
name = "many"
start = true
script = '''
cd "$OUTPUT_DIR"
for i in 200 413; do echo $i > $i.txt; done
'''
"#;
    let world = Test::with(many);
    world.text(&["-run", "-quiet"]);
    let connection = rusqlite::Connection::open(world.path("db/db")).unwrap();
    let prefix: String = connection
        .query_row(
            "SELECT substr(object_hash, 1, 4) FROM task
             WHERE object_hash GLOB '[a-f]*' GROUP BY 1 HAVING count(*) > 1 LIMIT 1",
            [],
            |row| row.get(0),
        )
        .unwrap();
    let text = world.refusal(&["cat", &prefix]);
    assert!(
        text.contains(&format!(
            "{prefix} is the start of several hashes: {prefix}"
        )),
        "{text}"
    );
    assert!(text.contains("hint: give more digits"), "{text}");
}

#[test]
fn a_file_that_is_no_db_is_refused() {
    let world = after_a_run();
    fs::create_dir(world.path("other")).unwrap();
    fs::write(
        world.path("other/db"),
        "not a database at all, but long enough to be read",
    )
    .unwrap();
    for call in ["status", "tasks", "export"] {
        let text = world.refusal(&[call, "-db", "other"]);
        assert!(text.contains("is not a usable database"), "{text}");
    }
}

#[test]
fn a_db_of_the_first_implementation_is_read_and_left_as_it_is() {
    let world = Test::with(PIPELINE);
    fs::create_dir(world.path("db")).unwrap();
    let connection = rusqlite::Connection::open(world.path("db/db")).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE step (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL,
                 script TEXT NOT NULL, version INTEGER NOT NULL DEFAULT 1,
                 is_start INTEGER NOT NULL DEFAULT 0, parallel INTEGER);
             CREATE TABLE task (id INTEGER PRIMARY KEY, object_hash TEXT NOT NULL,
                 step_id INTEGER, input_task_id INTEGER, processed INTEGER NOT NULL DEFAULT 0,
                 error TEXT, runset TEXT);
             INSERT INTO step (name, script, is_start) VALUES ('old', 'true', 1);
             INSERT INTO task (object_hash, step_id, runset) VALUES
             ('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', 1, 'r');",
        )
        .unwrap();
    drop(connection);
    let before = fs::read(world.path("db/db")).unwrap();
    assert_eq!(world.json(&["status", "-json"])["steps"][0]["pending"], 1);
    assert_eq!(world.text(&["tasks", "-json"]).lines().count(), 1);
    assert_eq!(fs::read(world.path("db/db")).unwrap(), before);
}

#[test]
fn a_folder_with_files_of_these_names_is_not_touched_unless_told() {
    let world = after_a_run();
    let out = world.path("out");
    fs::create_dir(&out).unwrap();
    fs::write(out.join("b_count.txt"), "mine").unwrap();
    let before = files(&out);
    let text = world.refusal(&["export", "-to", "out", "fetch"]);
    assert!(text.contains("out/b_count.txt exists already"), "{text}");
    assert!(text.contains("-force"), "{text}");
    assert_eq!(files(&out), before);
    world.text(&["export", "-to", "out", "-force", "fetch"]);
    assert_eq!(files(&out).len(), 3);
    assert_eq!(
        fs::read_to_string(out.join("b_count.txt")).unwrap(),
        "three\n"
    );
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let world = after_a_run();
    // More than a pipe holds.
    let big = world.path("big");
    fs::create_dir(&big).unwrap();
    let manifest = PIPELINE.replace("printf 'bad\\n'", "head -c 3000000 /dev/zero");
    world.manifest(&manifest);
    world.call(&["-run", "-fresh", "-quiet"]);
    for arguments in [&["cat", "-input", "CTASK"][..], &["export", "fetch"]] {
        let lines = world.text(&["tasks", "-step", "count", "-json"]);
        let last: serde_json::Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
        let task = last["task"].to_string();
        let arguments: Vec<&str> = arguments
            .iter()
            .map(|word| if *word == "CTASK" { &task } else { *word })
            .collect();
        let mut child = world
            .command(&arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = [0; 10];
        child.stdout.take().unwrap().read_exact(&mut first).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert_eq!(output.stderr, b"");
    }
}

#[test]
fn a_full_disk_leaves_nothing_half_written() {
    let world = after_a_run();
    // Where nothing can be written at all.
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = world
        .command(&["export", "fetch"])
        .stdout(full)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.contains("No space left") && text.contains("hint: make room"),
        "{text}"
    );
    // Where the first file fits, but not the second.
    let script = format!(
        "ulimit -f 1; trap '' XFSZ; exec {} export -to out fetch",
        super::world::PROGRAM
    );
    world.manifest(&PIPELINE.replace("printf 'bad\\n'", "head -c 200000 /dev/zero"));
    world.call(&["-run", "-fresh", "-quiet"]);
    let output = std::process::Command::new("sh")
        .args(["-c", &script])
        .current_dir(world.path("."))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(!world.path("out").exists());
    let left: Vec<_> = fs::read_dir(world.path("."))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with(".task-pipeline-"))
        .collect();
    assert_eq!(left, [""; 0]);
}
