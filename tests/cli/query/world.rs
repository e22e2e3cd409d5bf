//! A folder with a pipeline, and the program in it.

use std::fs;

use crate::harness::Test;

/// The program under test, as cargo built it.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_task-pipeline");

/// Three inputs; `count` fails on the third.
pub const PIPELINE: &str = r#"
[[step]]
name = "fetch"
start = true
script = '''
printf 'one two\n' > "$OUTPUT_DIR/a_count.txt"
printf 'three\n' > "$OUTPUT_DIR/b_count.txt"
printf 'bad\n' > "$OUTPUT_DIR/c_count.txt"
'''

[[step]]
name = "count"
env = { UNIT = "words" }
script = '''
printf '\033[31mcounting\033[0m\n'
if grep -q bad "$INPUT_FILE"; then echo 'bad input' >&2; exit 3; fi
wc -w < "$INPUT_FILE" | tr -d ' ' > "$OUTPUT_DIR/$UNIT.txt"
'''
"#;

/// A folder with [`PIPELINE`], run once: task 1 is the start, one of the others failed.
pub fn after_a_run() -> Test {
    let test = Test::with(PIPELINE);
    test.run(["-run", "-parallel", "1"]).exits(1);
    test
}

/// The number of the one task in `state`.
pub fn one(test: &Test, state: &str) -> String {
    let line = test.text(&["tasks", "-state", state, "-json"]);
    let task: serde_json::Value = serde_json::from_str(line.lines().next().unwrap()).unwrap();
    task["task"].to_string()
}

/// Names and bytes of the files in a folder.
pub fn files(folder: &std::path::Path) -> Vec<(String, String)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read_to_string(entry.path()).unwrap())
        })
        .collect();
    files.sort();
    files
}
