//! `verify -sample N`: steps that do not leave the same twice are found and named.

use serde_json::Value;

use crate::harness::{Test, files};

const MANIFEST: &str = r#"
[[step]]
name = "begin"
start = true
script = '''
for n in 1 2 3 4 5 6; do
    echo $n > $OUTPUT_DIR/${n}_same; echo $n > $OUTPUT_DIR/${n}_text; echo $n > $OUTPUT_DIR/${n}_binary
done
'''
[[step]]
name = "same"
script = "echo same >> $COUNT; tr 0-9 a-j < $INPUT_FILE > $OUTPUT_DIR/out_merge"
[[step]]
name = "text"
script = '''printf 'first\n%s\nlast\n' $$ > $OUTPUT_DIR/pid.txt'''
[[step]]
name = "binary"
script = '''printf 'head\000%s' $(cat /proc/sys/kernel/random/uuid) > $OUTPUT_DIR/uuid.bin'''
[[step]]
name = "merge"
gather = true
with = ["begin"]
script = "cat $INPUT_DIR/* $WITH_DIR/begin/* > $OUTPUT_DIR/all.txt"
"#;

#[test]
fn steps_that_are_not_deterministic_are_named_with_what_differs() {
    let test = Test::with(MANIFEST);
    test.runs();
    let rows = "SELECT * FROM task";
    let (before, ran) = (test.rows(rows), test.times("same"));
    let output = test.call(["verify", "-sample", "10"]);
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}{:?}", output.stderr);
    for words in [
        "nothing is wrong: ",
        "begin: 1 of 1 task run again (#1; seed 0): the same as before\n",
        "merge: 1 of 1 task run again",
        "; seed 0): not deterministic, 3 left something else\n",
        "same: 3 of 6 tasks run again",
        "  `pid.txt`:\n      first\n    - ",
        "  `uuid.bin`:\n    41 B before, 41 B now; the bytes differ from offset ",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    for step in ["same", "begin", "merge"] {
        let line = told.lines().find(|line| line.starts_with(step)).unwrap();
        assert!(line.ends_with("the same as before"), "{line}");
    }
    assert_eq!(test.rows(rows), before, "nothing is recorded");
    assert_eq!(test.times("same") - ran, 3);
    assert!(files(&test.path("db/tmp")).is_empty());
    test.runs().says("0 run, 0 reused");
}

#[test]
fn the_same_tasks_are_taken_each_time_and_others_with_another_seed() {
    let test = Test::with(&MANIFEST[..MANIFEST.find("[[step]]\nname = \"text\"").unwrap()]);
    test.runs();
    let taken = |seed: &str| -> Vec<Value> {
        let told = test.text(&["verify", "-quick", "-json", "-sample", "3", "-seed", seed]);
        let lines = told
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let same = lines
            .into_iter()
            .find(|line| line["sampled"] == "same")
            .unwrap();
        assert_eq!(same["differing"], 0);
        same["tasks"].as_array().unwrap().clone()
    };
    assert_eq!(taken("0"), taken("0"));
    assert_eq!(taken("0").len(), 2);
    let seeds = ["1", "2", "3", "4", "5"];
    assert!(seeds.iter().any(|seed| taken(seed) != taken("0")));
}

#[test]
fn what_cannot_be_sampled_is_told() {
    let test = Test::with(MANIFEST);
    assert!(
        test.refusal(&["verify", "-sample", "3"])
            .contains("there is no db")
    );
    test.runs();
    for wrong in [
        &["-sample", "0"][..],
        &["-sample", "3", "-repair"],
        &["-seed", "3"],
    ] {
        test.refusal(&[&["verify"], wrong].concat());
    }
}

/// A file, a folder, whose files are never evicted, and what was gathered.
const READERS: &str = r#"
[[input]]
files = "in/*.txt"
step = "split"
[[step]]
name = "split"
folders = true
script = '''
read name < $INPUT_FILE
for n in 1 2; do echo $name $n > $OUTPUT_DIR/${n}_file; mkdir $OUTPUT_DIR/${n}_folder; echo in $name $n > $OUTPUT_DIR/${n}_folder/in_it; done
'''
[[step]]
name = "file"
script = "cat $INPUT_FILE $INPUT_FILE > $OUTPUT_DIR/x_all"
[[step]]
name = "folder"
script = "cat $INPUT_FILE/in_it > $OUTPUT_DIR/folder_out.txt"
[[step]]
name = "all"
gather = true
script = "cat $INPUT_DIR/* > $OUTPUT_DIR/all_out.txt"
"#;

/// What a task cannot be run on is told; it is no difference, and no failure.
#[test]
fn what_reads_evicted_bytes_is_said_not_to_run_again() {
    let test = Test::with(READERS);
    test.write("in/a.txt", "a\n");
    test.write("in/b.txt", "b\n");
    test.runs();
    let run_again = |told: &str, steps: [&str; 4]| {
        for step in steps {
            let line = format!("\n{step}: ");
            assert!(told.contains(&line), "{step}: {told}");
        }
        let same = "the same as before\n";
        assert_eq!(
            told.matches(same).count(),
            told.matches(" run again (").count(),
            "{told}"
        );
    };
    let whole = test.text(&["verify", "-quick", "-sample", "100"]);
    run_again(&whole, ["all", "file", "folder", "split"]);
    test.text(&["evict"]);
    let output = test.call(["verify", "-quick", "-sample", "100"]);
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{told}");
    run_again(&told, ["folder", "split", "folder", "split"]);
    let told = String::from_utf8(output.stderr).unwrap();
    for step in ["all", "file"] {
        let line = format!(
            "step {step}: none of its tasks run again: the bytes of what they read were evicted\n"
        );
        assert!(told.contains(&line), "{line}{told}");
    }
}
