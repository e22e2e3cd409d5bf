//! What runs again for evicted bytes, where what it works on is lost.

use std::fs;

use crate::harness::{Test, hash};

const PIPELINE: &str = r#"
[[input]]
files = "in/*"
step = "one"

[[step]]
name = "one"
script = 'sed s/^/1/ $INPUT_FILE > $OUTPUT_DIR/${TASK_PIPELINE_KEY}_all'
cache = "1d"

[[step]]
name = "all"
gather = true
script = 'cat $INPUT_DIR/* > $OUTPUT_DIR/a_show'
retries = 2

[[step]]
name = "show"
script = ': 1; sed s/^/s/ $INPUT_FILE > $OUTPUT_DIR/end'
"#;

/// Of the step that gathers all is evicted, and that is lost; then another step needs it.
fn is_made_again(lose: impl Fn(&Test), says: &str) {
    let test = Test::new();
    test.manifest(PIPELINE);
    for name in ["a", "b"] {
        test.write(&format!("in/{name}"), format!("{name}\n"));
    }
    test.runs();
    assert_eq!(test.json(&["evict", "-json"])["evicted"]["objects"], 1);
    lose(&test);
    test.manifest(&PIPELINE.replace(": 1", ": 2"));
    let run = test.run(["-run", "-migrate-tainted"]);
    if !says.is_empty() {
        run.says(says);
        test.run(["-run"]);
    }
    test.run(["-run"]).exits(0).says("0 run");
    assert_eq!(test.output("end"), "s1a\ns1b\n");
    test.text(&["verify"]);
    test.tally_is_right();
    test.nothing_temporary_is_left();
}

#[test]
fn a_list_of_what_was_gathered_is_written_again() {
    let list = |test: &Test| {
        let query = "SELECT object_hash FROM task WHERE role = 3 AND live = 1";
        test.object(&test.rows(query)[0])
    };
    is_made_again(|test| fs::remove_file(list(test)).unwrap(), "");
    is_made_again(
        |test| {
            let list = list(test);
            fs::remove_file(&list).unwrap();
            fs::write(&list, "something else").unwrap();
        },
        "",
    );
}

#[test]
fn what_was_gathered_is_made_again_too() {
    is_made_again(
        |test| fs::remove_file(test.object(&hash(b"1a\n"))).unwrap(),
        "",
    );
}

/// What is handed on by `with` is not evicted, and may be lost all the same.
#[test]
fn what_others_left_for_it_is_made_again_too() {
    let manifest = r#"
        [[input]]
        files = "in/*"
        step = "one"

        [[step]]
        name = "one"
        script = 'for to in w m; do sed "s/^/$to/" $INPUT_FILE > $OUTPUT_DIR/k_$to; done'

        [[step]]
        name = "w"
        script = 'sed s/^/w/ $INPUT_FILE > $OUTPUT_DIR/k_z'

        [[step]]
        name = "z"
        script = 'cp $INPUT_FILE $OUTPUT_DIR/other'

        [[step]]
        name = "m"
        with = ["w"]
        script = 'cat $INPUT_FILE $WITH_DIR/w/* > $OUTPUT_DIR/k_show'

        [[step]]
        name = "show"
        script = ': 1; sed s/^/s/ $INPUT_FILE > $OUTPUT_DIR/end'
        "#;
    let test = Test::with(manifest);
    test.write("in/a", "a\n");
    test.runs();
    assert_eq!(test.json(&["evict", "-json"])["evicted"]["objects"], 3);
    fs::remove_file(test.object(&hash(b"wwa\n"))).unwrap();
    test.manifest(&manifest.replace(": 1", ": 2"));
    test.run(["-run", "-migrate-tainted"]);
    test.run(["-run"]).exits(0);
    assert_eq!(test.output("end"), "sma\nswwa\n");
    test.text(&["verify"]);
    test.tally_is_right();
}
