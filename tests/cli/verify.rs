//! `verify`: damage is found and told as what it is, and nothing else is.

mod repair;
mod sample;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use serde_json::Value;

use crate::harness::{Running, Test, hash};

/// A pipeline with every kind of object: files, a folder, a list of what was gathered, one of what tasks get
/// besides, logs, inputs of one file and of several.
const MANIFEST: &str = r#"
[[input]]
files = "in/*.txt"
step = "split"

[[input]]
rows = "sheet.csv"
paths = ["file"]
name = "{id}"
step = "rows"

[[step]]
name = "split"
script = '''
echo "split $TASK_PIPELINE_KEY" >> $COUNT
echo "said by split"
for n in 1 2; do echo "$n of $(cat $INPUT_FILE)" > $OUTPUT_DIR/$TASK_PIPELINE_KEY.${n}_merge; done
'''

[[step]]
name = "rows"
folders = true
script = '''
echo rows >> $COUNT
mkdir -p $OUTPUT_DIR/tree_pack/sub
cat $INPUT_FILE > $OUTPUT_DIR/tree_pack/row
cat $INPUT_DIR/file > $OUTPUT_DIR/tree_pack/sub/file
ln -s ../row $OUTPUT_DIR/tree_pack/sub/link
'''

[[step]]
name = "pack"
script = "echo pack >> $COUNT; (cd $INPUT_FILE && find . -type f | sort | xargs cat) > $OUTPUT_DIR/packed.txt"

[[step]]
name = "merge"
gather = true
script = "echo merge >> $COUNT; cat $INPUT_DIR/* > $OUTPUT_DIR/all_report"

[[step]]
name = "report"
with = ["pack"]
files = ["head.txt"]
script = "echo report >> $COUNT; cat head.txt $INPUT_FILE $WITH_DIR/pack/* > $OUTPUT_DIR/whole.txt"
"#;

/// One that has run.
fn ran() -> Test {
    let test = Test::with(MANIFEST);
    for (name, told) in [
        ("in/a.txt", "A\n"),
        ("in/b.txt", "B\n"),
        ("sheet.csv", "id,file\nx,data.bin\n"),
        ("data.bin", "data of x\n"),
        ("head.txt", "head\n"),
    ] {
        test.write(name, told);
    }
    test.runs();
    test
}

/// The findings, and the summary.
fn findings(test: &Test, more: &[&str]) -> (Vec<Value>, Value) {
    let arguments = [&["verify", "-json"], more].concat();
    let output = test.call(&arguments);
    let told = String::from_utf8(output.stdout).unwrap();
    let mut lines: Vec<Value> = told
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let summary = lines.pop().unwrap_or_else(|| panic!("{:?}", output.stderr));
    let status = output.status.code();
    assert_eq!(status, Some(i32::from(!lines.is_empty())), "{lines:?}");
    let counts = ["lost", "again", "leftover"].map(|name| summary["summary"][name].as_u64());
    let count: u64 = counts.into_iter().flatten().sum();
    assert_eq!(count, lines.len() as u64);
    (lines, summary["summary"].clone())
}

/// What is found, each as `what severity`, in order and each once.
fn found(test: &Test) -> Vec<String> {
    let (lines, _) = findings(test, &[]);
    let mut found: Vec<String> = lines
        .iter()
        .map(|line| {
            let word = |name: &str| line[name].as_str().unwrap().to_owned();
            format!("{} {}", word("finding"), word("severity"))
        })
        .collect();
    found.sort();
    found.dedup();
    found
}

/// Where the object of that told is.
fn object_of(test: &Test, told: &str) -> std::path::PathBuf {
    let path = test.object(&hash(told.as_bytes()));
    assert!(path.is_file(), "{told:?}");
    path
}

fn overwrite(path: &Path, bytes: &[u8]) {
    let mode = fs::metadata(path).unwrap().permissions();
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, mode).unwrap();
}

#[test]
fn nothing_is_wrong_with_what_a_run_leaves() {
    let test = ran();
    let told = test.text(&["verify"]);
    assert!(told.starts_with("nothing is wrong: "), "{told}");
    assert_eq!(told.lines().count(), 1, "all is referred to: {told}");
    let (_, summary) = findings(&test, &["-quick"]);
    assert_eq!(
        (&summary["quick"], &summary["bytes_read"]),
        (&true.into(), &0.into())
    );
    assert!(summary["objects"].as_u64().unwrap() > 15, "{summary}");
    // Another runset, other versions, superseded tasks.
    test.manifest(&MANIFEST.replace("echo merge >>", "echo again >>"));
    test.write("in/a.txt", "other\n");
    test.run(["-migrate-tainted", "-run"]).exits(0);
    test.run(["-run", "-fresh"]).exits(0);
    test.run(["-run", "-start", "rows"]).exits(0);
    test.text(&["verify"]);
}

#[test]
fn each_kind_of_damage_to_an_object_is_told() {
    let part = "1 of A\n";
    for (bytes, quick) in [(&b"1 of B\n"[..], false), (b"1 of", false), (b"", true)] {
        let test = ran();
        overwrite(&object_of(&test, part), bytes);
        assert_eq!(found(&test), ["damaged again"]);
        let (lines, _) = findings(&test, &["-quick"]);
        assert_eq!(lines.len(), usize::from(quick), "{lines:?}");
    }
    let test = ran();
    let path = object_of(&test, part);
    fs::remove_file(&path).unwrap();
    let (lines, _) = findings(&test, &["-quick"]);
    assert_eq!(lines[0]["finding"], "missing");
    assert_eq!(lines[0]["name"], "a.1_merge");
    assert_eq!(lines[0]["object"], hash(part.as_bytes()));
    fs::create_dir(&path).unwrap();
    assert_eq!(found(&test), ["damaged again"]);
    fs::remove_dir(&path).unwrap();
    symlink("/dev/null", &path).unwrap();
    let output = test.call(["verify"]);
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    for words in [
        "can be had again:\n  1 object is damaged\n",
        "`a.1_merge`",
        "a symbolic link is in its place",
        "hint: ",
        "looked at ",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
}

#[test]
fn a_mode_and_garbage_are_leftovers() {
    let test = ran();
    let path = object_of(&test, "1 of A\n");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(path.with_file_name("garbage"), "x").unwrap();
    fs::write(test.path("db/objects/note.txt"), "x").unwrap();
    assert_eq!(found(&test), ["mode leftover", "stray leftover"]);
    let extra = hash(b"nobody refers to it");
    fs::create_dir_all(test.object(&extra).parent().unwrap()).unwrap();
    fs::write(test.object(&extra), "nobody refers to it").unwrap();
    fs::set_permissions(test.object(&extra), fs::Permissions::from_mode(0o444)).unwrap();
    let (_, summary) = findings(&test, &[]);
    assert_eq!(
        (&summary["unused"], &summary["unused_bytes"]),
        (&1.into(), &19.into())
    );
    overwrite(&test.object(&extra), b"and it is damaged, too");
    assert_eq!(
        found(&test),
        ["damaged leftover", "mode leftover", "stray leftover"]
    );
}

#[test]
fn lists_and_what_is_in_them_are_looked_at() {
    let test = ran();
    for (query, role) in [
        (
            "SELECT object_hash FROM task WHERE role = 3",
            "input of task",
        ),
        (
            "SELECT object_hash FROM task WHERE kind = 1 LIMIT 1",
            "input of task",
        ),
        (
            "SELECT context FROM task WHERE context IS NOT NULL",
            "the list of what a task got",
        ),
        ("SELECT stdout FROM log LIMIT 1", "what a task wrote"),
    ] {
        let hex = &test.rows(query)[0];
        let path = test.object(hex);
        let bytes = fs::read(&path).unwrap();
        let mut flipped = bytes.clone();
        flipped[bytes.len() / 2] ^= 1;
        overwrite(&path, &flipped);
        let (lines, _) = findings(&test, &[]);
        let of_it: Vec<_> = lines
            .iter()
            .filter(|line| line["object"] == **hex)
            .collect();
        assert_eq!(of_it.len(), 1, "{role}: {lines:?}");
        let message = of_it[0]["message"].as_str().unwrap();
        assert!(message.starts_with(role), "{message}");
        overwrite(&path, &bytes);
    }
    assert_eq!(found(&test), [""; 0]);
    // A file of the folder, where a link in it leads, and a file that a row names.
    for (told, words) in [
        ("../row", "what is in the folder"),
        ("data of x\n", "what is in the folder"),
        ("head\n", "a file of a step"),
    ] {
        let path = object_of(&test, told);
        let bytes = fs::read(&path).unwrap();
        overwrite(&path, b"spoilt");
        let (lines, _) = findings(&test, &[]);
        assert_eq!(lines.len(), 1, "{told}: {lines:?}");
        let message = lines[0]["message"].as_str().unwrap();
        assert!(message.starts_with(words), "{message}");
        overwrite(&path, &bytes);
    }
}

#[test]
fn an_input_that_is_gone_for_good_is_lost_and_one_that_is_there_is_not() {
    let test = ran();
    fs::remove_file(object_of(&test, "A\n")).unwrap();
    let (lines, _) = findings(&test, &[]);
    assert_eq!(lines[0]["severity"], "again", "{lines:?}");
    test.write("in/a.txt", "changed\n");
    let (lines, _) = findings(&test, &[]);
    assert_eq!(lines[0]["severity"], "lost", "{lines:?}");
    let message = lines[0]["message"].as_str().unwrap();
    assert!(
        message.contains("file `in/a.txt` has other bytes by now"),
        "{message}"
    );
    fs::remove_file(test.path("in/a.txt")).unwrap();
    let told = String::from_utf8(test.call(["verify"]).stdout).unwrap();
    assert!(told.starts_with("lost for good"), "{told}");
    // What is made of it is lost with it.
    fs::remove_file(object_of(&test, "1 of A\n")).unwrap();
    let (lines, _) = findings(&test, &[]);
    assert!(
        lines.iter().all(|line| line["severity"] == "lost"),
        "{lines:?}"
    );
    assert_eq!(lines.len(), 2);
    // And what a step made that is no more.
    let test = ran();
    test.manifest(&MANIFEST.replace("\"pack\"", "\"packed\""));
    fs::remove_file(object_of(&test, &test.output("packed.txt"))).unwrap();
    let (lines, _) = findings(&test, &[]);
    let message = lines[0]["message"].as_str().unwrap();
    assert!(
        message.ends_with("step pack, which made it, is in the manifest no more"),
        "{message}"
    );
}

#[test]
fn rows_that_lead_nowhere_are_told() {
    for (damage, expected) in [
        ("DELETE FROM task WHERE name = 'all_report'", "row again"),
        ("DELETE FROM step WHERE name = 'pack'", "row again"),
        (
            "UPDATE task SET input_task_id = id WHERE name = 'all_report'",
            "row again",
        ),
        ("UPDATE tally SET done = done + 1", "counts again"),
        (
            "UPDATE task SET object_hash = 'x' WHERE name = 'whole.txt'",
            "row again",
        ),
        ("DELETE FROM gathering", "row again"),
        (
            "UPDATE step SET identity = '{}' WHERE name = 'pack'",
            "record leftover",
        ),
    ] {
        let test = ran();
        test.alter(&format!("PRAGMA foreign_keys = OFF; {damage}"));
        let found = found(&test);
        assert!(
            found.iter().any(|one| one == expected),
            "{damage}: {found:?}"
        );
    }
}

#[test]
fn a_damaged_database_is_told_and_objects_are_looked_at_all_the_same() {
    let test = ran();
    test.alter("PRAGMA wal_checkpoint(TRUNCATE)");
    // A row changes while an index does not know of it.
    test.alter(
        "PRAGMA writable_schema = ON;
         CREATE TABLE kept AS SELECT * FROM sqlite_schema WHERE name = 'idx_task_input';
         DELETE FROM sqlite_schema WHERE name = 'idx_task_input';",
    );
    test.alter("UPDATE task SET input_task_id = input_task_id - 1 WHERE name = 'whole.txt'");
    test.alter(
        "PRAGMA writable_schema = ON;
         INSERT INTO sqlite_schema SELECT * FROM kept; DROP TABLE kept;",
    );
    let (lines, summary) = findings(&test, &[]);
    assert!(
        lines.iter().any(|line| line["finding"] == "index"),
        "{lines:?}"
    );
    assert!(summary["objects"].as_u64().unwrap() > 15, "{summary}");
}

#[test]
fn a_link_that_holds_nothing_is_told() {
    let test = ran();
    let call = test.path("db/gcroots/build-0123456789abcdef");
    fs::create_dir_all(&call).unwrap();
    let package = format!("/nix/store/{}-gone", "0".repeat(32));
    symlink(package, call.join("path")).unwrap();
    let (lines, summary) = findings(&test, &[]);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(
        (&lines[0]["finding"], &lines[0]["severity"]),
        (&"root".into(), &"again".into())
    );
    assert_eq!(summary["roots"], 1);
}

#[test]
fn inputs_where_they_lie_are_read_there() {
    let test = Test::with(
        "[[input]]\nfiles = 'big/*'\nstep = 'use'\ncopy = false\n\
         [[step]]\nname = 'use'\nscript = 'wc -c < $INPUT_FILE > $OUTPUT_DIR/out'\n",
    );
    test.write("big/one", "of one");
    test.runs();
    assert!(!test.object(&hash(b"of one")).exists());
    assert_eq!(found(&test), [""; 0]);
    test.write("big/one", "of two");
    assert_eq!(found(&test), ["input again"]);
    assert_eq!(
        findings(&test, &["-quick"]).0.len(),
        0,
        "as large as it was"
    );
    fs::remove_file(test.path("big/one")).unwrap();
    assert_eq!(findings(&test, &["-quick"]).0.len(), 1);
    test.write("big/one", "of two");
    test.runs();
    assert_eq!(found(&test), [""; 0], "what it was is history");
}

#[test]
fn very_much_damage_is_told_in_few_lines() {
    let test = ran();
    fs::remove_dir_all(test.path("db/objects")).unwrap();
    let output = test.call(["verify"]);
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.lines().count() < 25, "{told}");
    assert!(told.contains("(-json tells each)"), "{told}");
}

#[test]
fn what_a_run_does_meanwhile_is_no_damage() {
    let test = Test::with(
        "[[input]]\nfiles = 'in/*'\nstep = 'split'\n\
         [[step]]\nname = 'split'\n\
         script = 'for n in 1 2 3 4; do echo $n-$(cat $INPUT_FILE) > $OUTPUT_DIR/$n.$TASK_PIPELINE_KEY.work; done'\n\
         outputs = ['*.work']\n\
         [[step]]\nname = 'work'\nfrom = ['split']\nfolders = true\n\
         script = 'echo said; mkdir $OUTPUT_DIR/$TASK_PIPELINE_KEY.d_merge; cat $INPUT_FILE > $OUTPUT_DIR/$TASK_PIPELINE_KEY.d_merge/x'\n\
         [[step]]\nname = 'merge'\ngather = true\n\
         script = 'cat $INPUT_DIR/*/x > $OUTPUT_DIR/all'\n",
    );
    for round in ["first", "second"] {
        for n in 0..15 {
            test.write(&format!("in/{n}"), format!("{round} {n}"));
        }
        let _ = fs::remove_file(test.path("over"));
        let run = Running::start(
            test.shell("\"$PROGRAM\" -run -parallel 4; status=$?; touch over; exit $status"),
        );
        let mut looks = 0;
        loop {
            let over = test.path("over").exists();
            let quick: &[&str] = if looks % 2 == 0 { &[] } else { &["-quick"] };
            if test.path("db/db").exists() {
                let output = test.call([&["verify"], quick].concat());
                let told = String::from_utf8_lossy(&output.stdout).into_owned();
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                let begins = said.contains("no db") || said.contains("not a usable database");
                assert!(
                    begins || told.starts_with("nothing is wrong"),
                    "{told}{said}"
                );
                looks += 1;
            }
            if over && looks > 0 {
                break;
            }
        }
        run.end().exits(0);
        assert!(looks > 2, "{looks}");
        assert_eq!(found(&test), [""; 0]);
    }
}

#[test]
fn what_was_collected_is_not_missed() {
    let test = ran();
    test.run(["-run", "-fresh"]).exits(0);
    test.write("in/a.txt", "other\n");
    test.runs();
    test.run(["-run", "-start", "split"]).exits(0);
    test.run(["gc", "-older-than", "1ms"]).exits(0);
    assert_eq!(found(&test), [""; 0]);
    test.run(["-run", "-fresh"]).exits(0);
    test.run(["gc", "-keep-runsets", "1", "-older-than", "1ms"])
        .exits(0);
    let (_, summary) = findings(&test, &[]);
    assert_eq!(summary["unused"], 0, "nothing is left that nothing needs");
    test.runs();
    test.text(&["verify"]);
}
