//! Whoever tells of an input or an output by its name tells whether that is a folder.

use crate::harness::Test;

/// Folders on their way: to a step, gathered, in pairs with each other, and final.
const PIPELINE: &str = r"
[defaults]
folders = true
[[step]]
name = 'split'
start = true
script = '''
cd $OUTPUT_DIR; mkdir a_pack b_pack k_pair; echo a > a_pack/x; echo b > b_pack/x; echo k > k_pair/x
'''
[[step]]
name = 'pack'
script = '''
mkdir $OUTPUT_DIR/${TASK_PIPELINE_KEY}_all; cp -r $INPUT_FILE $OUTPUT_DIR/${TASK_PIPELINE_KEY}_all/in; echo 1 > $OUTPUT_DIR/note
'''
[[step]]
name = 'all'
gather = true
script = 'mkdir $OUTPUT_DIR/site; cp -r $INPUT_DIR/* $OUTPUT_DIR/site/'
[[step]]
name = 'pair'
with = ['pack']
each = true
script = 'test -d $INPUT_FILE; test $TASK_PIPELINE_KEY != k_b_note; echo $TASK_PIPELINE_KEY > $OUTPUT_DIR/end'
";

#[test]
fn folders_are_told_wherever_they_are_named() {
    let test = Test::with(PIPELINE);
    let ran = test.run(["-run", "-verbose", "-parallel", "1", "-trace", "trace.json"]);
    let ran = ran.exits(1);
    for line in [
        "  a_pack/ → pack\n",
        "  note → final output\n",
        "  site/ → final output\n",
        "started, version 1, input a_pack/ ",
        " on k_pair/\n",
    ] {
        assert!(ran.stderr.contains(line), "{line}: {}", ran.stderr);
    }
    let tasks = test.text(&["tasks"]);
    assert!(tasks.contains("  a_pack/\n"), "{tasks}");
    assert!(tasks.contains("  k_pair/ (k_a)\n"), "{tasks}");
    let graph = test.text(&["graph"]);
    for line in [
        "→ pack: 2 folders\n",
        "→ pair: 1 folder\n",
        "→ all: 2 folders\n",
        "→ final outputs: 1 folder\n",
        "→ final outputs: 2 outputs\n",
        "■ final outputs: 5 files, 1 folder\n",
    ] {
        assert!(graph.contains(line), "{line}: {graph}");
    }
    let trace = test.text(&["trace", "end"]);
    assert!(trace.contains(", with pack/"), "{trace}");
    let trace = test.json(&["trace", "-json", "end"]);
    let trace = trace["tasks"].as_array().unwrap();
    let with: Vec<_> = trace
        .iter()
        .filter_map(|task| task["with_file"].as_str().zip(task["with_kind"].as_str()))
        .collect();
    assert!(!with.is_empty());
    for (path, kind) in with {
        let is = if path.ends_with("_all") {
            "folder"
        } else {
            "file"
        };
        assert_eq!(kind, is, "{path}");
    }
    let failed = test.text(&["log", "-failed"]);
    assert!(failed.contains(" on k_pair/"), "{failed}");
    let number = test.rows("SELECT id FROM live_task WHERE input_name = 'a_pack'");
    let why = test.text(&["why", &number[0]]);
    assert!(why.contains("pack v1 on a_pack/ ("), "{why}");
    let spans = test.read("trace.json");
    assert!(spans.contains("\"a_pack/\""), "{spans}");
    test.text(&["report", "-o", "page.html"]);
    assert!(test.read("page.html").contains(">a_pack/<"));
}

#[test]
fn events_have_the_kind() {
    let test = Test::with(PIPELINE);
    let ran = test.run(["-run", "-log-format", "json"]).exits(1);
    let events: Vec<serde_json::Value> = ran
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of = |event: &str, step: &str| {
        events
            .iter()
            .find(|told| told["event"] == event && told["step"] == step)
            .unwrap_or_else(|| panic!("{event} of {step}"))
    };
    assert_eq!(of("started", "split")["kind"], "file");
    assert_eq!(of("started", "pack")["kind"], "folder");
    assert_eq!(of("started", "all")["kind"], "list");
    let names = |step| of("done", step)["outputs"]["names"].to_string();
    assert!(names("split").contains(r#"{"kind":"folder","name":"a_pack","step":"pack"}"#));
    assert!(names("pack").contains(r#"{"kind":"file","name":"note"}"#));
    let last = events
        .iter()
        .find(|told| told["event"] == "summary")
        .unwrap();
    assert_eq!(last["failures"][0]["kind"], "folder");
}
