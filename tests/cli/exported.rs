//! What `export` tells of what it writes.

use crate::harness::{Test, files};

#[test]
fn what_is_not_the_present_result_is_told_by_export() {
    let manifest = |script: &str| {
        format!(
            "[[step]]\nname = 'begin'\nstart = true\nfiles = ['t']\n\
             script = 'cp t $OUTPUT_DIR/a_work; echo > $OUTPUT_DIR/b.txt'\n\
             [[step]]\nname = 'work'\nscript = '''{script}'''\n"
        )
    };
    let test = Test::with(&manifest("exit 1"));
    test.write("t", "1");
    test.run(["-run"]).exits(1);
    test.run(["export", "-to", "r1"])
        .exits(0)
        .says("is not finished (1 failed, 0 pending): these are not all of its results");
    test.manifest(&manifest("cp $INPUT_FILE $OUTPUT_DIR/c.txt"));
    test.runs();
    test.run(["export", "-to", "r2"])
        .exits(0)
        .never_says("warning");
    test.write("t", "2");
    test.run(["export", "-to", "r3"])
        .exits(0)
        .says("changed since the last run: begin (files (t))");
    test.runs();
    test.run(["export", "-to", "r4"])
        .exits(0)
        .says("1 task of runset ")
        .says("is of older versions (begin 1)");
    test.write("r1/mine.txt", "");
    test.run(["export", "-to", "r1", "-force"])
        .exits(0)
        .says("r1 has 1 other file that is none of these: mine.txt");
    test.run(["export", "-to", "r1", "-force", "b.txt"])
        .exits(0)
        .never_says("mine.txt");
}

#[test]
fn what_export_says_of_failed_tasks_of_a_step_that_is_gone_is_true() {
    let begin = "[[step]]\nname = 'begin'\nstart = true\n\
                 script = 'echo > $OUTPUT_DIR/a_work; echo > $OUTPUT_DIR/a_more; echo > $OUTPUT_DIR/b.txt'\n";
    let failing = |name: &str| format!("[[step]]\nname = '{name}'\nscript = 'exit 1'\n");
    let test = Test::with(&(begin.to_owned() + &failing("work") + &failing("more")));
    test.run(["-run"]).exits(1);
    test.manifest(&(begin.to_owned() + &failing("more")));
    test.run(["export", "-to", "r1"])
        .exits(0)
        .says("(2 failed, 0 pending): these are not all of its results; -run goes on with 1 of them; 1 unfinished task");
    test.manifest(begin);
    test.run(["export", "-to", "r2"])
        .exits(0)
        .says("-run does nothing about that: 2 unfinished tasks are of steps that the manifest does not have")
        .never_says("goes on");
}

#[test]
fn results_are_not_exported_to_where_they_would_be_inputs() {
    let test = Test::with(
        r#"
[[input]]
files = ["**/*.txt", "!kept"]
step = "count"

[[step]]
name = "count"
files = ["lib"]
script = 'wc -c < "$INPUT_FILE" > "$OUTPUT_DIR/r.txt"; echo > "$OUTPUT_DIR/r.csv"'
"#,
    );
    test.write("a.txt", "a");
    test.write("lib/x.sh", "x");
    test.runs();
    test.run(["export", "-to", "results"])
        .exits(2)
        .says("`results/r.txt` would be one of the `files` of an [[input]]")
        .says(
            "hint: nothing was written; name another folder with -to, or add \"!results\" to these",
        );
    assert!(!test.path("results").exists());
    let lib = test.path("lib/new");
    test.run(["export", "-to", lib.to_str().unwrap(), "r.csv"])
        .exits(2)
        .says("`lib/new/r.csv` would be one of the `files` of step count");
    std::os::unix::fs::symlink("lib", test.path("link")).unwrap();
    test.run(["export", "-to", "link/new", "r.csv"]).exits(2);
    let outside = tempfile::tempdir().unwrap();
    let outside = outside.path().join("r");
    for fits in ["kept/r", outside.to_str().unwrap(), "results"] {
        test.run(["export", "-to", fits, "r.csv"]).exits(0);
    }
    test.run(["export", "-to", "kept/all"])
        .exits(0)
        .never_says("warning");
    test.write("b.txt", "b");
    test.run(["export", "-to", "kept/more"])
        .exits(0)
        .says("warning: inputs since the last run: 1 new; -run acts on that");
    let manifest = test.read("workflow.toml");
    test.manifest(
        &manifest
            .replace("name = \"count\"", "name = \"r\"")
            .replace("step = \"count\"", ""),
    );
    test.run(["export", "-to", "kept/other"])
        .exits(0)
        .says("warning: ");
    test.manifest("broken");
    test.run(["export", "-to", "kept/last"])
        .exits(0)
        .says("the manifest has errors");
}

#[test]
fn export_and_publish_give_results_the_same_names() {
    let sums = r#"
[[input]]
files = "in/*.csv"
step = "sum"

[[step]]
name = "sum"
script = 'wc -l < "$INPUT_FILE" > "$OUTPUT_DIR/lines.txt"'
"#;
    let test = Test::with(sums);
    for (name, lines) in [("jan", "1\n"), ("feb", "1\n2\n"), ("mar", "3\n4\n")] {
        test.write(&format!("in/{name}.csv"), lines);
    }
    test.run(["-run", "-publish", "p"]).exits(0);
    let names = ["lines-feb.txt", "lines-jan.txt", "lines-mar.txt"];
    test.run(["export", "-to", "e"])
        .exits(0)
        .prints("e: 3 files\n");
    let found = |folder: &str| {
        let all = files(&test.path(folder)).into_iter();
        let all = all.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned());
        let mut all: Vec<String> = all.filter(|name| !name.starts_with('.')).collect();
        all.sort();
        all
    };
    for folder in ["p", "e"] {
        assert_eq!(found(folder), names, "{folder}");
    }
    // Without a manifest, too.
    test.manifest("broken");
    test.run(["export", "-to", "b"]).exits(0);
    assert_eq!(found("b"), names);
    test.manifest(sums);
    test.write("in/jan.csv", "5\n6\n");
    test.runs();
    test.run(["export", "-to", "one"])
        .exits(0)
        .prints("one: 1 file, of 3 results: what is equal in name and bytes is one");
    assert_eq!(found("one"), ["lines.txt"]);
}
