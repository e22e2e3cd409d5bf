//! Inputs that stay where they lie: `copy = false`.

use std::fs;

use crate::harness::{Test, hash};

const COUNT: &str = r#"
[[input]]
files = "in/*"
copy = false
step = "count"

[[step]]
name = "count"
script = '''
echo "count $TASK_PIPELINE_INPUT_NAME" >> $COUNT
readlink "$INPUT_FILE" > "$OUTPUT_DIR/${TASK_PIPELINE_INPUT_NAME}_where"
cat "$INPUT_FILE" > "$OUTPUT_DIR/${TASK_PIPELINE_INPUT_NAME}_bytes"
printf x >> "$OUTPUT_DIR/${TASK_PIPELINE_INPUT_NAME}_bytes"
'''
"#;

/// Waits for a file, as scripts do here.
const GATE: &str = r#"
[[input]]
files = "in/*"
copy = false
step = "count"

[[step]]
name = "count"
script = '''
echo count >> $COUNT
echo ready
until [ -e go ]; do sleep 0.01; done
cat "$INPUT_FILE" > "$OUTPUT_DIR/bytes"
printf x >> "$OUTPUT_DIR/bytes"
'''
"#;

#[test]
fn a_file_that_is_not_copied_is_an_input_like_others() {
    let test = Test::with(COUNT);
    test.write("in/a", "aaa");
    test.write("in/b", "bbb");
    test.runs().says("inputs: 2 new").says("2 run");
    let where_it_is = fs::canonicalize(test.path("in/a")).unwrap();
    assert_eq!(test.output("a_where").trim(), where_it_is.to_str().unwrap());
    assert_eq!(test.output("a_bytes"), "aaax");
    assert!(!test.object(&hash(b"aaa")).exists());
    // Objects are of outputs alone.
    test.objects_are_whole();
    test.runs().says("2 unchanged").says("0 run");
    test.runs().says("0 run");
    test.write("in/a", "ccc");
    test.runs().says("1 changed").says("1 run");
    assert_eq!(test.output("a_bytes"), "cccx");
    test.write("in/a", "aaa");
    test.runs().says("1 changed").says("0 run, 1 reused");
    // A touch changes nothing.
    test.write("in/b", "bbb");
    test.runs().says("2 unchanged").says("0 run");
    assert_eq!((test.times("count a"), test.times("count b")), (2, 1));
    // What is the file's own is shown from where it lies.
    test.run(["cat", &hash(b"bbb")[..12]])
        .exits(0)
        .prints("bbb");
    test.run(["report", "-o", "r.html"]).exits(0);
    test.run(["shell", "count", "--", "sh", "-c", "cat $INPUT_FILE"])
        .exits(0);
    // An output that is lost is made again from there.
    fs::remove_file(test.object(&hash(b"bbbx"))).unwrap();
    test.runs().says("gone from the store").says("1 run");
    assert_eq!(test.output("b_bytes"), "bbbx");
    // A file that is gone is an input that is gone, not an object that is lost.
    fs::remove_file(test.path("in/b")).unwrap();
    test.run(["cat", &hash(b"bbb")[..12]])
        .exits(2)
        .says("in/b is gone\nhint: run again");
    test.runs().says("1 gone").never_says("gone from the store");
}

#[test]
fn an_output_with_the_bytes_of_a_file_is_stored_all_the_same() {
    let test = Test::with(
        r#"
[[input]]
files = "in/*"
copy = false
step = "same"

[[step]]
name = "same"
script = 'cp "$INPUT_FILE" "$OUTPUT_DIR/o.txt"; echo more > "$OUTPUT_DIR/more"'
"#,
    );
    test.write("in/a", "aaa");
    test.runs().says("1 run");
    assert!(test.object(&hash(b"aaa")).is_file());
    fs::remove_file(test.path("in/a")).unwrap();
    assert_eq!(test.output("o.txt"), "aaa");
}

#[test]
fn a_file_that_becomes_another_fails_the_task_that_reads_it() {
    let test = Test::with(GATE);
    test.write("in/a", "one");
    let running = test.start(["-run", "-verbose"]);
    running.says("ready");
    test.write("in/a", "other");
    test.write("go", "");
    running
        .end()
        .exits(1)
        .says("in/a is another file by now\n  hint: run again");
    test.runs().says("1 changed").says("1 run");
    assert_eq!(test.output("bytes"), "otherx");
    // One that was written with what it had, in the same run.
    fs::remove_file(test.path("go")).unwrap();
    test.write("in/a", "third");
    let running = test.start(["-run", "-verbose"]);
    running.says("ready");
    test.write("in/a", "third");
    test.write("go", "");
    running
        .end()
        .exits(0)
        .says("in/a was written or replaced while count ran: it was run again");
    assert_eq!(test.output("bytes"), "thirdx");
    assert_eq!(test.times("count"), 4);
    // One whose folder was another one for a while.
    fs::remove_file(test.path("go")).unwrap();
    test.write("in/a", "fourth");
    let running = test.start(["-run", "-verbose"]);
    running.says("ready");
    fs::rename(test.path("in"), test.path("aside")).unwrap();
    test.write("in/a", "wrong");
    fs::remove_dir_all(test.path("in")).unwrap();
    fs::rename(test.path("aside"), test.path("in")).unwrap();
    test.write("go", "");
    running
        .end()
        .exits(0)
        .says("in/a was written or replaced while count ran: it was run again");
    assert_eq!(
        (test.output("bytes"), test.times("count")),
        ("fourthx".into(), 6)
    );
}

#[test]
fn rows_and_gathers_work_on_files_where_they_lie() {
    let test = Test::with(
        r#"
[[input]]
rows = "s.csv"
paths = ["file"]
name = "{id}"
copy = false
step = "row"

[[input]]
files = "in/*"
copy = false
step = "all"

[[step]]
name = "row"
script = 'readlink "$INPUT_DIR/file" > "$OUTPUT_DIR/where"; cat "$INPUT_FILE" "$INPUT_DIR/file" > "$OUTPUT_DIR/got.txt"'

[[step]]
name = "all"
gather = true
script = 'cat "$INPUT_DIR"/* > "$OUTPUT_DIR/both.txt"'
"#,
    );
    test.write("s.csv", "id,file\none,big\n");
    test.write("big", "of the row");
    test.write("in/a", "a");
    test.write("in/b", "b");
    test.runs().says("2 run");
    let where_it_is = fs::canonicalize(test.path("big")).unwrap();
    assert_eq!(test.output("where").trim(), where_it_is.to_str().unwrap());
    assert_eq!(test.output("got.txt"), "id,file\none,big\nof the row");
    assert_eq!(test.output("both.txt"), "ab");
    assert!(!test.object(&hash(b"of the row")).exists());
    assert!(!test.object(&hash(b"a")).exists());
    test.runs().says("0 run");
    test.write("in/b", "c");
    test.write("big", "another");
    test.runs().says("2 changed").says("2 run");
    assert_eq!(test.output("both.txt"), "ac");
    assert_eq!(test.output("got.txt"), "id,file\none,big\nanother");
    // What is copied after all is stored when it is worked on.
    let manifest = test
        .read("workflow.toml")
        .replace("copy = false", "copy = true");
    test.manifest(&manifest);
    test.write("in/b", "d");
    test.runs().says("1 changed").says("1 run");
    assert!(test.object(&hash(b"d")).is_file());
}

#[test]
fn a_link_tells_its_name_so_that_counts() {
    let test = Test::with(
        r#"
[[input]]
files = "in/**"
copy = false
step = "name"

[[step]]
name = "name"
script = 'readlink "$INPUT_FILE" > "$OUTPUT_DIR/where.txt"'
"#,
    );
    test.write("in/a", "aaa");
    let is_at = |path: &str| {
        let place = fs::canonicalize(test.path(path)).unwrap();
        assert_eq!(test.output("where.txt").trim(), place.to_str().unwrap());
    };
    test.runs().says("1 run");
    is_at("in/a");
    for (from, to) in [("in/a", "in/b"), ("in/b", "in/sub/b")] {
        fs::create_dir_all(test.path("in/sub")).unwrap();
        fs::rename(test.path(from), test.path(to)).unwrap();
        test.runs().says("1 new, 1 gone").says("1 run");
        is_at(to);
    }
    fs::rename(test.path("in/sub/b"), test.path("in/b")).unwrap();
    test.runs().says("0 run, 1 reused");
    is_at("in/b");
    test.run(["-run", "-fresh"])
        .exits(0)
        .says("0 run, 1 reused");
}

#[test]
fn a_shell_has_copies_of_files_that_stay_where_they_lie() {
    let test = Test::with(
        r#"
[[input]]
rows = "s.csv"
paths = ["file"]
name = "{id}"
copy = false
step = "row"

[[input]]
files = "in/*"
copy = false
step = "all"

[[step]]
name = "row"
script = 'cat "$INPUT_DIR/file" > "$OUTPUT_DIR/got.txt"; echo >> "$OUTPUT_DIR/got.txt"'

[[step]]
name = "all"
script = 'cat "$INPUT_FILE" > "$OUTPUT_DIR/one.txt"; echo >> "$OUTPUT_DIR/one.txt"'
"#,
    );
    test.write("s.csv", "id,file\none,big\n");
    test.write("big", "of the row");
    test.write("in/a", "a");
    test.runs().says("2 run");
    for (step, path) in [("all", "$INPUT_FILE"), ("row", "$INPUT_DIR/file")] {
        let script = format!("cat {path}; echo more >> {path}; rm {path}");
        test.run(["shell", step, "--", "sh", "-c", &script])
            .exits(0);
    }
    assert_eq!(
        (test.read("in/a"), test.read("big")),
        ("a".into(), "of the row".into())
    );
    test.runs().says("2 unchanged").says("0 run");
}

#[test]
fn nothing_is_left_where_it_lies_by_what_is_no_file() {
    for (input, says) in [
        ("lines = \"echo a\"", "`lines` brings in none"),
        ("rows = \"s.csv\"", "`rows` brings in none"),
    ] {
        let test = Test::with(&format!(
            "[[input]]\n{input}\ncopy = false\nstep = \"a\"\n[[step]]\nname = \"a\"\nscript = \"true\"\n"
        ));
        test.run(["check"]).exits(2).says(says).says(":3:");
    }
}
