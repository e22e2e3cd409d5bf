//! Objects of inputs whose bytes are others by now, as many as before.

use std::fs;

use crate::harness::{Test, hash};

const WAITING: &str = r#"
[[input]]
files = "in/*"
step = "copy"

[[step]]
name = "copy"
script = 'test -e go; cat "$INPUT_FILE" > "$OUTPUT_DIR/of_$TASK_PIPELINE_INPUT_NAME"'
"#;

fn waiting(inputs: &[(String, String)]) -> Test {
    let test = Test::with(WAITING);
    for (name, text) in inputs {
        test.write(&format!("in/{name}"), text);
    }
    test.run(["-run"]).exits(1);
    for (_, text) in inputs {
        let path = test.object(&hash(text.as_bytes()));
        let mut bytes = fs::read(&path).unwrap();
        bytes[0] ^= 1;
        fs::remove_file(&path).unwrap();
        fs::write(&path, bytes).unwrap();
    }
    test.write("go", "");
    test
}

fn is_right(test: &Test, inputs: &[(String, String)]) {
    let finals = test.finals();
    assert_eq!(finals.len(), inputs.len());
    for (name, text) in inputs {
        assert_eq!(test.output(&format!("of_{name}")), *text);
    }
    test.tally_is_right();
}

#[test]
fn the_next_run_takes_it_in_again() {
    let inputs = [
        ("small".to_owned(), "hello\n".to_owned()),
        ("large".to_owned(), "hello\n".repeat(50_000)),
    ];
    let test = waiting(&inputs);
    test.run(["-run"]).exits(0);
    is_right(&test, &inputs);
    test.objects_are_whole();
}

#[test]
fn what_a_run_finds_when_it_uses_it_the_next_one_takes_in_again() {
    // More than a run looks at when it begins.
    let inputs: Vec<_> = (0..600)
        .map(|number| (format!("n{number}"), format!("number {number}\n")))
        .collect();
    let test = waiting(&inputs);
    test.run(["-run"])
        .exits(1)
        .says("is damaged: ")
        .says("is taken in again from where it came");
    test.run(["-run"]).exits(0);
    is_right(&test, &inputs);
}

/// What no task waits for, too: when one does, the file outside may be gone.
#[test]
fn what_is_done_with_comes_in_again_too() {
    let test = Test::with(
        "[[input]]\nfiles = 'in/*'\nstep = 'use'\n\
         [[input]]\nrows = 'sheet.csv'\nname = '{id}'\npaths = ['path']\nstep = 'use'\n\
         [[input]]\nlines = 'printf \"one\\ntwo\\n\"'\nstep = 'use'\n\
         [[step]]\nname = 'use'\nscript = 'true'\n",
    );
    test.write("in/a", "hello\n");
    test.write("in/gone", "there\n");
    test.write("data.bin", "bytes of a row\n");
    test.write("sheet.csv", "id,path\nr,data.bin\n");
    test.runs().never_says("taken in again");
    test.runs().never_says("taken in again");
    for (text, gone) in [
        ("hello\n", false),
        ("there\n", true),
        ("bytes of a row\n", false),
        ("one\n", true),
    ] {
        let path = test.object(&hash(text.as_bytes()));
        fs::remove_file(&path).unwrap();
        if !gone {
            fs::write(&path, "others").unwrap();
        }
    }
    test.runs().says("it was taken in again").says("0 run");
    test.runs().never_says("taken in again");
    test.text(&["verify"]);
}
