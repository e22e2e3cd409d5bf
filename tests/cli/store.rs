//! Objects that are missing or were altered.

use std::fs;
use std::path::PathBuf;

use crate::harness::{Test, hash};

/// A pipeline whose step `work` is yet to be done on the object `data`, and where that lies.
fn waiting() -> (Test, PathBuf) {
    let test = Test::with(
        "[[step]]\nname = 'begin'\nstart = true\n\
         script = 'echo begin >> $COUNT; echo data > $OUTPUT_DIR/a_work; echo other > $OUTPUT_DIR/b_work'\n\
         [[step]]\nname = 'work'\nscript = 'test -e go; cat $INPUT_FILE > $OUTPUT_DIR/out'\n",
    );
    test.run(["-run"]).exits(1);
    test.write("go", "");
    let path = test.object(&hash(b"data\n"));
    assert!(path.is_file());
    (test, path)
}

/// Fails unless the task on that object fails with this error, the other one succeeds, and
/// making the object again mends it.
fn fails_and_is_mended(test: &Test, path: &std::path::Path, error: &str) {
    let ran = test.run(["-run"]).exits(1);
    let path = path
        .strip_prefix(test.path(""))
        .unwrap()
        .display()
        .to_string();
    ran.says(error)
        .says(&hash(b"data\n"))
        .says(&path)
        .says("hint: ")
        .says("-start")
        .says("1 run, 0 reused, 1 failed");
    assert_eq!(test.finals()["out"], [b"other\n"]);
    test.tally_is_right();
    test.run(["-run", "-start", "begin"])
        .exits(0)
        .says("2 run, 1 reused");
    assert_eq!(
        test.finals()["out"],
        [b"data\n".to_vec(), b"other\n".to_vec()]
    );
    assert_eq!(test.times("begin"), 2);
    test.objects_are_whole();
    test.tally_is_right();
}

#[test]
fn a_missing_object() {
    let (test, path) = waiting();
    fs::remove_file(&path).unwrap();
    fails_and_is_mended(&test, &path, "is missing: there is no ");
}

#[test]
fn an_altered_object() {
    for bytes in ["other", "data\nand more", ""] {
        let (test, path) = waiting();
        fs::remove_file(&path).unwrap();
        fs::write(&path, bytes).unwrap();
        fails_and_is_mended(&test, &path, "is damaged: the bytes of ");
    }
}

#[test]
fn an_altered_large_object() {
    let test = Test::with(
        "[[step]]\nname = 'begin'\nstart = true\nscript = 'seq 1 100000 > $OUTPUT_DIR/work'\n\
         [[step]]\nname = 'work'\nscript = 'test -e go; tail -n 1 $INPUT_FILE > $OUTPUT_DIR/out'\n",
    );
    test.run(["-run"]).exits(1);
    test.write("go", "");
    let hash = test
        .rows("SELECT object_hash FROM task WHERE name = 'work'")
        .remove(0);
    let path = test.object(&hash);
    let mut bytes = fs::read(&path).unwrap();
    bytes[300_000] ^= 1;
    fs::remove_file(&path).unwrap();
    fs::write(&path, bytes).unwrap();
    test.run(["-run"])
        .exits(1)
        .says("is damaged: the bytes of ")
        .says(&hash);
    test.run(["-run", "-start", "begin"]).exits(0);
    assert_eq!(test.output("out"), "100000\n");
    test.objects_are_whole();
}
