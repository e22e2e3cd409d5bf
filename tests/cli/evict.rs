//! `evict`: bytes go that can be made again, and all that is known of them stays.

use crate::harness::{Test, hash, wait_for};

/// Two files are taken apart, worked on, and brought together.
const PIPELINE: &str = r#"
[[input]]
files = "in/*.txt"
step = "split"

[[step]]
name = "split"
script = '''
echo split >> $COUNT
for word in $(cat $INPUT_FILE); do echo "$word of it" > $OUTPUT_DIR/${word}_act; done
'''
keep = ["COUNT"]

[[step]]
name = "act"
script = '''
echo act >> $COUNT
tr a-z A-Z < $INPUT_FILE > $OUTPUT_DIR/x_all
'''
keep = ["COUNT"]

[[step]]
name = "all"
gather = true
script = '''
echo all >> $COUNT
cat $INPUT_DIR/* > $OUTPUT_DIR/end.txt
'''
keep = ["COUNT"]
"#;

const END: [&str; 3] = ["ONE OF IT", "THREE OF IT", "TWO OF IT"];

fn ran() -> Test {
    let test = Test::new();
    test.manifest(PIPELINE);
    test.write("in/a.txt", "one two\n");
    test.write("in/b.txt", "three\n");
    test.run(["-run"]).exits(0);
    test
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

fn is_there(test: &Test, content: &str) -> bool {
    test.object(&hash(content.as_bytes())).exists()
}

#[test]
fn bytes_go_and_all_else_is_as_it_was() {
    let test = ran();
    let tasks = test.text(&["tasks"]);
    let told = test.json(&["evict", "-dry-run", "-json"]);
    assert_eq!(told["evicted"]["objects"], 6, "{told}");
    assert!(is_there(&test, "one of it\n"));
    assert_eq!(told["evicted"]["steps"]["split"]["objects"], 3);
    let done = test.json(&["evict", "-json"]);
    assert_eq!(
        (&done["evicted"], &done["kept"]),
        (&told["evicted"], &told["kept"])
    );
    for (content, stays) in [
        ("one of it\n", false),
        ("THREE OF IT\n", false),
        ("one two\n", true),
    ] {
        assert_eq!(is_there(&test, content), stays, "{content}");
    }
    assert_eq!(
        test.text(&["evict"]).lines().next(),
        Some("evicted nothing")
    );
    assert_eq!(test.text(&["tasks"]), tasks);
    test.text(&["trace", "#1"]);
    test.text(&["why", "#1"]);
    let store = test.json(&["status", "-store", "-json"]);
    assert_eq!(store["state"], "done");
    assert_eq!(store["store"]["evicted"]["objects"], 6);
    let whole = test.text(&["verify"]);
    assert!(
        whole.contains("6 objects whose bytes were evicted"),
        "{whole}"
    );
    test.text(&["export", "-to", "out"]);
    let end = test.read("out/end.txt");
    assert_eq!(sorted(&end), END);
    let count = test.count();
    test.run(["-run"]).exits(0).says("0 run");
    test.run(["-run", "-fresh"]).exits(0);
    assert_eq!(test.count(), count, "all of it is taken over");
    assert_eq!(test.json(&["gc", "-json"])["evicted"]["objects"], 6);
    test.tally_is_right();
}

#[test]
fn who_wants_the_bytes_is_told() {
    let test = ran();
    test.text(&["evict"]);
    let name = hash(b"one of it\n");
    let told = test.refusal(&["cat", &name]);
    assert!(
        told.contains("were evicted") && told.contains("-run -start STEP"),
        "{told}"
    );
    test.run(["-run", "-start", "split"]).exits(0);
    assert_eq!(test.text(&["cat", &name]), "one of it\n");
    assert_eq!(
        test.json(&["evict", "-dry-run", "-json"])["without_bytes"]["objects"],
        3
    );
}

#[test]
fn where_nothing_can_be_made_again_nothing_goes() {
    for line in [
        "cache = false",
        "cache = \"1h\"",
        "cache = \"runset\"",
        "secrets = [\"token\"]",
        "# $TASK_PIPELINE_TASK",
    ] {
        let test = Test::new();
        let (key, word) = match line.strip_prefix("# ") {
            Some(word) => ("", word),
            None => (line, ""),
        };
        test.manifest(&format!(
            "[[step]]\nname = 'begin'\nstart = true\nscript = 'echo one > $OUTPUT_DIR/x_act'\n\
             [[step]]\nname = 'act'\n{key}\nscript = 'echo two > $OUTPUT_DIR/x_next # {word}'\n\
             [[step]]\nname = 'next'\nscript = 'cp $INPUT_FILE $OUTPUT_DIR/end'\n"
        ));
        test.write("token", "123456789");
        if line.starts_with("secrets") {
            test.run(["-run", "-secret", "token=token"]).exits(0);
        } else {
            test.run(["-run"]).exits(0);
        }
        let told = test.json(&["evict", "-json"]);
        // What the last one leaves is final, and what the start step leaves is from outside.
        assert_eq!(told["evicted"]["objects"], 0, "{line}: {told}");
    }
}

#[test]
fn a_changed_step_s_results_stay() {
    let test = ran();
    test.manifest(&PIPELINE.replace("tr a-z A-Z", "tr a-z A-Z "));
    let told = test.json(&["evict", "-json"]);
    assert_eq!(
        told["evicted"]["steps"].as_object().unwrap().len(),
        1,
        "{told}"
    );
    assert!(is_there(&test, "THREE OF IT\n") && !is_there(&test, "three of it\n"));
}

#[test]
fn steps_and_runsets_that_are_not_there_are_refused() {
    let test = ran();
    let told = test.refusal(&["evict", "splat"]);
    assert!(told.contains("split"), "{told}");
    let told = test.refusal(&["evict", "-runset", "none"]);
    assert!(told.contains("no runset"), "{told}");
    let empty = Test::with(PIPELINE);
    empty.refusal(&["evict"]);
    assert!(!empty.path("db").exists());
}

#[test]
fn beside_a_run_it_is_refused() {
    let test = Test::with(
        "[[step]]\nname = 'wait'\nstart = true\nscript = 'touch began; while ! test -e go; do sleep 0.01; done'\n",
    );
    let run = test.start(["-run"]);
    wait_for("the task", || test.path("began").exists());
    let told = test.refusal(&["evict"]);
    assert!(told.contains("is in use by process"), "{told}");
    test.text(&["evict", "-dry-run"]);
    test.write("go", "");
    run.end().exits(0);
}

/// What is edited works on what was evicted: that is made again, by what stands right above it.
#[test]
fn a_step_that_is_edited_has_its_inputs_made_again() {
    let test = ran();
    test.text(&["evict"]);
    let before = test.count().len();
    test.manifest(&PIPELINE.replace("cat $INPUT_DIR/*", "cat $INPUT_DIR/* | sort -r"));
    test.run(["-migrate-tainted", "-run"]).exits(0);
    assert_eq!(sorted(&test.output("end.txt")), END);
    assert_eq!(test.count().len() - before, 2 + 3 + 1);
    test.tally_is_right();
    assert!(is_there(&test, "one of it\n") && is_there(&test, "ONE OF IT\n"));
    assert_eq!(
        test.rows("SELECT count(*) FROM task WHERE live = 0"),
        ["2"],
        "the last step's task, and what it left"
    );
    test.run(["-run"]).exits(0).says("0 run");
}
