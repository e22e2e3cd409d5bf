//! What people see of a step that works on each input with each output of another step (`each`).

use std::fs;

use crate::harness::Test;

/// Two words are looked for in two files each, whatever these are called.
const PIPELINE: &str = r#"
[[input]]
files = "in/*.txt"
step = "known"
[[input]]
files = "index/*.txt"
step = "index"
[[step]]
name = "index"
outputs = ["words"]
script = 'sort $INPUT_FILE > $OUTPUT_DIR/words'
[[step]]
name = "known"
with = ["index"]
each = true
outputs = ["*_merge", "*.names"]
script = '''
sort $WITH_FILE | comm -12 - $INPUT_FILE > $OUTPUT_DIR/${TASK_PIPELINE_KEY}_merge
echo $WITH_FILE | sed s:.*/:: > $OUTPUT_DIR/$TASK_PIPELINE_KEY.names
'''
[[step]]
name = "merge"
gather = true
outputs = ["all"]
script = 'cat $INPUT_DIR/* > $OUTPUT_DIR/all'
"#;

fn test() -> Test {
    let test = Test::with(PIPELINE);
    for (name, text) in [
        ("in/1.txt", "four\none\ntwo\n"),
        ("in/2.txt", "five\ntwo\n"),
        ("index/a.txt", "two\n"),
        ("index/b.txt", "one\n"),
    ] {
        test.write(name, text);
    }
    test
}

/// The lines of a tree that tell of something given.
fn given(tree: &str) -> Vec<&str> {
    let lines = tree
        .lines()
        .map(|line| line.trim_start_matches(['├', '─', '│', '└', ' ']));
    lines.filter(|line| line.starts_with("with ")).collect()
}

#[test]
fn there_is_no_loop_in_a_graph() {
    let test = test();
    for ran in [false, true] {
        if ran {
            test.runs().says("7 run");
        }
        for arguments in [&["graph"][..], &["graph", "-whole"]] {
            let graph = test.text(arguments);
            assert!(!graph.contains('↻'), "{graph}");
            assert!(graph.contains("+ known: given"), "{graph}");
            let svg = [arguments, &["-format", "svg"]].concat();
            let svg = test.text(&svg);
            assert!(svg.contains("<title>index → known"), "{svg}");
            assert!(!svg.contains("<title>known → known"), "{svg}");
            let dot = [arguments, &["-format", "dot"]].concat();
            let dot = test.text(&dot);
            assert!(
                dot.contains("n0 -> n1") && !dot.contains("n1 -> n1"),
                "{dot}"
            );
        }
    }
    let graph = test.text(&["graph"]);
    assert!(graph.contains("→ merge: 4 outputs"), "{graph}");
}

#[test]
fn a_pair_comes_from_its_input_and_one_output() {
    let test = test();
    test.runs();
    for (output, input, with) in [
        ("1_a_words.names", "in/1.txt", "a"),
        ("1_b_words.names", "in/1.txt", "b"),
        ("2_b_words.names", "in/2.txt", "b"),
    ] {
        let tree = test.text(&["trace", output]);
        let hash = crate::harness::hash(test.read(&format!("index/{with}.txt")).as_bytes());
        let index = &test.rows(&format!(
            "SELECT id FROM live_task WHERE step = 'index' AND input_name = '{with}.txt'"
        ))[0];
        let origin = format!(
            "with index/{with}_words {} ← #{index} index ← file `index/{with}.txt`",
            &hash[..8]
        );
        assert_eq!(given(&tree), [origin], "{tree}");
        assert!(tree.starts_with(&format!("file `{input}` ")), "{tree}");
        let first = tree.lines().next().unwrap();
        assert!(first.contains("→ #"), "the pair itself: {tree}");
        assert_eq!(tree.matches(" known v1").count(), 1, "{tree}");
        assert_eq!(tree.lines().count(), 3, "{tree}");
        let json = test.json(&["trace", "-json", output]);
        let tasks = json["tasks"].as_array().unwrap();
        let steps: Vec<_> = tasks.iter().map(|task| task["step"].as_str()).collect();
        assert_eq!(steps, [Some("known"), None, None], "{json}");
        assert_eq!(tasks[0]["entry"]["file"], input, "{json}");
        assert_eq!(tasks[0]["parent"], serde_json::Value::Null, "{json}");
        assert_eq!(tasks[0]["with_file"], format!("index/{with}_words"));
        assert_eq!(tasks[1]["with"], "index", "{json}");
        assert_eq!(tasks[1]["entry"]["file"], format!("index/{with}.txt"));
    }
    // What was gathered of them, each with its own.
    let tree = test.text(&["trace", "all"]);
    let from = "from 1_b_words_merge";
    let line = tree.lines().find(|line| line.contains(from)).unwrap();
    assert!(
        line.contains(" known with index/b_words ← file `in/1.txt`"),
        "{tree}"
    );
    // Who got an output.
    let words = &test.rows(
        "SELECT id FROM task WHERE name = 'words' AND input_task_id IN
             (SELECT id FROM task WHERE name = 'a.txt')",
    )[0];
    let tree = test.text(&["trace", words]);
    assert_eq!(tree.matches("with index/a_words").count(), 2, "{tree}");
    assert!(!tree.contains("b_words"), "{tree}");
    // All of an input, by the row that stands for them, and by the object.
    let own = &test.rows("SELECT min(id) FROM task WHERE name = '1.txt'")[0];
    let tree = test.text(&["trace", own]);
    assert!(
        tree.contains("→ known, with each output of index  ◀"),
        "{tree}"
    );
    assert_eq!(tree.matches(" known v1").count(), 2, "{tree}");
    let object = crate::harness::hash(test.read("in/1.txt").as_bytes());
    let tree = test.text(&["trace", &object[..8]]);
    assert!(!tree.contains("each output"), "{tree}");
    assert_eq!(given(&tree).len(), 2, "{tree}");
    let tasks = test.text(&["tasks", "-step", "known"]);
    assert!(tasks.contains("1.txt (1_b_words)"), "{tasks}");
    let pair = &test.rows("SELECT min(id) FROM live_task WHERE step = 'known'")[0];
    let why = test.text(&["why", pair]);
    assert!(why.contains("with: index/a_words\n"), "{why}");
    assert!(why.contains("from outside: file `in/1.txt`"), "{why}");
    assert_eq!(test.rows("SELECT count(parent) FROM live_task"), ["0"]);
}

#[test]
fn outputs_of_one_name_and_one_content_are_told_apart() {
    let test = test();
    // Both are sorted to the same, and have the same key.
    test.manifest(&PIPELINE.replace(
        "sort $INPUT_FILE > $OUTPUT_DIR/words",
        "sort -u $INPUT_FILE > $OUTPUT_DIR/words",
    ));
    test.write("index/a.txt", "two\none\n");
    test.write("index/b.txt", "one\ntwo\ntwo\n");
    test.runs().says("7 run");
    for with in ["a", "b"] {
        let tree = test.text(&["trace", &format!("1_{with}_words.names")]);
        let given = given(&tree);
        assert_eq!(given.len(), 1, "{tree}");
        assert!(
            given[0].ends_with(&format!("file `index/{with}.txt`")),
            "{tree}"
        );
    }
}

#[test]
fn what_stands_above_and_below_pairs_is_told() {
    // The inputs are left by one step, and taken by another; the index is gathered.
    let test = Test::with(
        r#"
[[step]]
name = "begin"
start = true
outputs = ["1_known", "2_known", "?_index"]
script = 'for i in 1 2; do echo $i > $OUTPUT_DIR/${i}_known; echo $i > $OUTPUT_DIR/${i}_index; done'
[[step]]
name = "index"
gather = true
outputs = ["p", "q"]
script = 'cat $INPUT_DIR/* > $OUTPUT_DIR/p; wc -l $OUTPUT_DIR/p > $OUTPUT_DIR/q'
[[step]]
name = "known"
with = ["index"]
each = true
outputs = ["*.out"]
script = 'cat $INPUT_FILE $WITH_FILE > $OUTPUT_DIR/$TASK_PIPELINE_KEY.out'
[[step]]
name = "taken"
from = ["begin:?_known"]
with = ["index"]
each = true
outputs = ["*.too"]
script = 'cat $INPUT_FILE $WITH_FILE > $OUTPUT_DIR/$TASK_PIPELINE_KEY.too'
"#,
    );
    test.runs().says("10 run");
    for (output, step) in [("1_p.out", "known"), ("1_p.too", "taken")] {
        let tree = test.text(&["trace", output]);
        let lines: Vec<&str> = tree.lines().collect();
        assert!(lines[0].starts_with("#1 begin v1"), "{tree}");
        assert!(lines[1].contains("1_known"), "{tree}");
        assert!(lines[1].contains(&format!(" {step} v1")), "{tree}");
        let with = given(&tree);
        assert_eq!(with.len(), 1, "{tree}");
        assert!(with[0].starts_with("with index/p "), "{tree}");
        assert!(with[0].contains(" index of 2 outputs"), "{tree}");
        assert_eq!(tree.matches("_index").count(), 2, "{tree}");
        assert_eq!(tree.matches(&format!("{step} v1")).count(), 1, "{tree}");
    }
    // From above, the pairs stand in the place of the rows that carry them.
    let tree = test.text(&["trace", "#1"]);
    assert!(!tree.contains("each output"), "{tree}");
    assert_eq!(tree.matches(" known v1").count(), 4, "{tree}");
    assert_eq!(tree.matches(" taken v1").count(), 4, "{tree}");
    let graph = test.text(&["graph"]);
    assert!(!graph.contains('↻'), "{graph}");
    assert!(graph.contains("→ known: 2 outputs"), "{graph}");
    assert!(graph.contains("→ taken: 2 outputs"), "{graph}");
}

#[test]
fn pairs_that_wait_or_are_no_more_are_told() {
    let test = test();
    test.write("index/a.txt", "two\n");
    test.run(["-run", "-only", "index"]).exits(0);
    let own = &test.rows("SELECT min(id) FROM task WHERE name = '1.txt'")[0];
    let tree = test.text(&["trace", own]);
    assert!(tree.contains("known v1, pending"), "{tree}");
    assert_eq!(given(&tree).len(), 0, "{tree}");
    test.runs();
    let pair = &test.rows("SELECT min(id) FROM live_task WHERE step = 'known'")[0];
    test.write("index/a.txt", "four\n");
    test.runs();
    let tree = test.text(&["trace", pair]);
    assert!(tree.contains("superseded"), "{tree}");
    assert!(tree.contains("with index/a_words"), "{tree}");
    assert_eq!(
        given(&tree).len(),
        0,
        "what it got is there no more: {tree}"
    );
    let why = test.text(&["why", pair]);
    assert!(why.contains("superseded: task #"), "{why}");
    // With nothing there is no pair.
    for name in ["index/a.txt", "index/b.txt"] {
        fs::remove_file(test.path(name)).unwrap();
    }
    let none = PIPELINE.replace("step = \"index\"\n", "step = \"index\"\nempty = true\n");
    test.manifest(&none);
    test.runs();
    let own = &test.rows("SELECT min(id) FROM task WHERE name = '1.txt' AND live = 1")[0];
    let tree = test.text(&["trace", own]);
    assert!(
        tree.contains("known, with each output of index  ◀"),
        "{tree}"
    );
    assert_eq!(tree.lines().count(), 1, "{tree}");
}
