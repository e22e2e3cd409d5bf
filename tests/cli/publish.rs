//! `[publish]` and `-publish`: results as files that follow the runs.

use std::fs;

use rustix::process::Signal;

use crate::harness::{Running, Test, files, hash, wait_for};

/// Two names, each with a count; `count` says how.
fn manifest(count: &str) -> String {
    format!(
        "[publish]\ndir = 'results'\n\
         [[step]]\nname = 'begin'\nstart = true\nscript = '''\n\
         for name in alpha beta; do echo \"$name\" > $OUTPUT_DIR/${{name}}_count; done\n\
         echo 2 > $OUTPUT_DIR/names.txt'''\n\
         [[step]]\nname = 'count'\n{count}\n"
    )
}

const BYTES: &str = "script = 'wc -c < $INPUT_FILE > $OUTPUT_DIR/size.txt'";
const LINES: &str = "script = 'wc -l < $INPUT_FILE > $OUTPUT_DIR/size.txt'";

/// The names in the folder, but for the index.
fn there(test: &Test, folder: &str) -> Vec<String> {
    let top = test.path(folder);
    let mut all: Vec<String> = files(&top)
        .iter()
        .map(|path| {
            path.strip_prefix(&top)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        })
        .filter(|name| name != ".task-pipeline.json")
        .collect();
    all.sort();
    all
}

#[test]
fn results_follow_the_runs() {
    let test = Test::with(&manifest(BYTES));
    test.run(["-run"])
        .exits(0)
        .says("3 results in results: 3 new");
    assert_eq!(
        there(&test, "results"),
        ["names.txt", "size-alpha.txt", "size-beta.txt"]
    );
    assert_eq!(test.read("results/size-alpha.txt").trim(), "6");
    test.run(["-run"])
        .exits(0)
        .says("3 results in results: none of them new");
    test.manifest(&manifest(&format!("publish = 'counts/{{key}}'\n{LINES}")));
    test.run(["-run", "-migrate-tainted"])
        .exits(0)
        .says("3 results in results: 2 new, 2 removed");
    assert_eq!(
        there(&test, "results"),
        ["counts/alpha", "counts/beta", "names.txt"]
    );
    // Both are 1: without a key in the path that is one result.
    test.manifest(&manifest(LINES));
    test.run(["-run"])
        .exits(0)
        .says("2 results in results: 1 new, 2 removed");
    test.manifest(&manifest(&format!("publish = false\n{LINES}")));
    test.run(["-run"])
        .exits(0)
        .says("1 result in results: 1 removed");
    assert_eq!(there(&test, "results"), ["names.txt"]);
    let index: serde_json::Value =
        serde_json::from_str(&test.read("results/.task-pipeline.json")).unwrap();
    let put = &index["files"]["names.txt"];
    assert_eq!(put["hash"], crate::harness::hash(b"2\n"));
    assert_eq!(
        (&put["step"], &put["version"]),
        (&"begin".into(), &1.into())
    );
}

#[test]
fn each_run_says_where_its_results_are_or_how_to_get_them() {
    let test = Test::with(&manifest(BYTES).replace("[publish]\ndir = 'results'\n", ""));
    test.run(["-run"])
        .exits(0)
        .says("\n`task-pipeline export -to DIR` writes the 3 final outputs as files");
    // As it is to be typed.
    std::fs::copy(test.path("workflow.toml"), test.path("m.toml")).unwrap();
    test.run(["-run", "-f", "m.toml", "-db", "its state"])
        .exits(0)
        .says(
            "\n`task-pipeline export -manifest m.toml -db 'its state' -to DIR` writes the 3 final",
        );
    for runset in ["old", "new", "old"] {
        // Without it, `export` writes the results of the newest one.
        let line = format!("\n`task-pipeline export -runset {runset} -to DIR` writes the 3");
        test.run(["-run", "-runset", runset]).exits(0).says(&line);
    }
    test.run([
        "export",
        "-manifest",
        "m.toml",
        "-db",
        "its state",
        "-to",
        "there",
    ])
    .exits(0);
    let folder = test.path("elsewhere/out");
    test.run(["-run", "-publish", folder.to_str().unwrap()])
        .exits(0)
        .says(": 3 new");
    assert_eq!(there(&test, "elsewhere/out").len(), 3);
    let told = test.run(["-run", "-publish", "elsewhere/out", "-log-format", "json"]);
    let results = r#""event":"results","folder":"elsewhere/out","files":3,"new":0"#;
    told.exits(0).says(results);
}

/// What stands beside the results names both.
#[test]
fn what_is_not_utf_8_is_refused_before_anything_runs() {
    let test = Test::with(&manifest(BYTES));
    for line in [
        r#"mkdir "$odd" && cp workflow.toml "$odd" && exec $PROGRAM -run -f "$odd/workflow.toml""#,
        r#"exec $PROGRAM -run -db "$odd.db""#,
    ] {
        let script = format!("odd=$(printf 'a\\377'); {line}");
        Running::start(test.shell(&script))
            .end()
            .exits(2)
            .says("whose path is not UTF-8");
    }
    let made = fs::read_dir(test.path("")).unwrap();
    let has = |entry: fs::DirEntry| entry.path().join("objects").exists();
    assert!(!made.map(Result::unwrap).any(has));
}

#[test]
fn what_fails_removes_nothing() {
    let begin = |what: &str| {
        format!(
            "[publish]\ndir = 'results'\n[[step]]\nname = 'begin'\nstart = true\n\
             script = 'echo {what} > $OUTPUT_DIR/{what}.txt; echo > $OUTPUT_DIR/a_next'\n\
             [[step]]\nname = 'next'\nscript = 'test {what} = one'\n"
        )
    };
    let test = Test::with(&begin("one"));
    test.runs();
    assert_eq!(there(&test, "results"), ["one.txt"]);
    test.manifest(&begin("two"));
    test.run(["-run", "-fresh"])
        .exits(1)
        .says("1 result in results: 1 new; it keeps 1 file of earlier runs, until nothing fails");
    assert_eq!(there(&test, "results"), ["one.txt", "two.txt"]);
    test.run(["-run", "-publish", "results"])
        .exits(1)
        .says("1 result in results: none of them new; it keeps 1 file");
    test.manifest(&begin("two").replace("= one", "= two"));
    test.run(["-run", "-migrate-tainted"])
        .exits(0)
        .says("1 removed");
    assert_eq!(there(&test, "results"), ["two.txt"]);
}

#[test]
fn what_is_of_others_stays_and_is_told() {
    let test = Test::with(&manifest(BYTES));
    test.write("results/size-alpha.txt", "mine");
    test.write("results/notes", "mine");
    test.run(["-run"])
        .exits(0)
        .says("1 file is in the way of a result, and stays, as no run put it there: size-alpha.txt")
        .says("2 results in results");
    assert_eq!(test.read("results/size-alpha.txt"), "mine");
    fs::remove_file(test.path("results/size-alpha.txt")).unwrap();
    test.runs();
    assert_eq!(test.read("results/size-alpha.txt").trim(), "6");
    test.write("results/size-beta.txt", "changed");
    test.write("results/names.txt", "changed");
    test.manifest(&manifest(LINES).replace("; done\necho 2", "; done\necho 3"));
    test.run(["-run", "-migrate-tainted"])
        .exits(0)
        .says("1 file was changed by hand, and stays: names.txt")
        .says("1 file is no result any more, and stays, as it was changed by hand: size-beta.txt");
    assert_eq!(
        there(&test, "results"),
        ["names.txt", "notes", "size-beta.txt", "size.txt"]
    );
    assert_eq!(test.read("results/size-beta.txt"), "changed");
}

#[test]
fn a_part_and_another_runset_publish_nothing() {
    let test = Test::with(&manifest(BYTES));
    test.run(["-run", "-runset", "first"]).exits(0);
    test.manifest(&manifest(LINES));
    test.run(["-run", "-fresh", "-runset", "second", "-only", "begin"])
        .exits(0)
        .says("the results in results are as they were: -only chose what ran");
    assert!(there(&test, "results").contains(&"size-alpha.txt".to_owned()));
    test.run(["-run", "-dry-run"]).exits(0);
    test.run(["-run"]).exits(0);
    assert_eq!(there(&test, "results"), ["names.txt", "size.txt"]);
    test.run(["-run", "-runset", "first", "-migrate-tainted"])
        .exits(0);
    test.run(["-run", "-dry-run", "-publish", "none"]).exits(0);
    assert!(!test.path("none").exists());
}

#[test]
fn results_that_cannot_be_written_are_refused_before_anything_runs() {
    let test = Test::with(&manifest(BYTES));
    test.write("file", "");
    test.run(["-run", "-publish", "file/x"])
        .exits(2)
        .says("file is not a folder");
    let script = "mkdir fixed && mount -t tmpfs -o ro none fixed || exit 99\n\
        $PROGRAM -run -publish fixed/below/results";
    let Some(ran) = crate::privileges::with_mounts(&test, script) else {
        return;
    };
    ran.exits(2)
        .says("fixed: Read-only file system")
        .never_says("done");
}

#[test]
fn another_folder_says_once_where_the_results_of_earlier_runs_are() {
    let test = Test::with(&manifest(BYTES));
    test.runs().never_says("results of earlier runs stay");
    test.manifest(&manifest(BYTES).replace("'results'", "'other'"));
    let old = test.path("results").canonicalize().unwrap();
    let told = format!(
        "results of earlier runs stay in {}, as they go to other now",
        old.display()
    );
    test.runs().says("3 results in other: 3 new").says(&told);
    test.runs().never_says("results of earlier runs stay");
    // Nothing is left behind in one that is gone.
    fs::remove_dir_all(test.path("other")).unwrap();
    test.manifest(&manifest(BYTES));
    test.runs().never_says("results of earlier runs stay");
}

#[test]
fn equal_results_of_one_name_are_told_as_one() {
    let same = "script = 'echo same > $OUTPUT_DIR/size.txt'";
    let test = Test::with(&manifest(same));
    test.runs().says(
        "2 results in results: 2 new; of 3 final outputs those that are equal in name and bytes are one",
    );
    assert_eq!(there(&test, "results"), ["names.txt", "size.txt"]);
}

#[test]
fn folders_that_cannot_be_are_refused_before_anything_runs() {
    let test = Test::with(&manifest(BYTES));
    let refused = |folder: &str, words: &str| {
        let ran = test.run(["-run", "-publish", folder]).exits(2);
        ran.says(words).never_says("done in");
        assert!(!test.path("db").exists(), "{folder}");
    };
    refused("workflow.toml", "the manifest is there");
    refused("db", "the db folder is there");
    refused("db/objects/x", "the folder of objects is there");
    refused("", "-publish needs a value");
    test.write("file", "");
    refused("file", "is not a folder");
    refused(".", "it is the folder of the manifest");
    refused("..", "the folder of the manifest is in it");
    refused("/", "it is the root of all folders");
    refused("db/out", "it is in the db folder");
    refused("-", "`-` is no folder");
    test.write("results/.task-pipeline.json", "{");
    refused("results", "is no list of results");
    // Whoever made that, nothing goes by it that is not in the folder.
    let outside = test.path("file").to_str().unwrap().to_owned();
    for name in [&*outside, "../file", "a/../../file", "."] {
        let put = serde_json::json!({ "hash": hash(b"") });
        let index = serde_json::json!({
            "schema": 1, "manifest": "", "db": "", "runset": "r", "files": { name: put },
        });
        test.write("results/.task-pipeline.json", index.to_string());
        refused("results", "which is not in there");
        assert!(test.path("file").exists());
    }
    fs::remove_file(test.path("results/.task-pipeline.json")).unwrap();
    for pattern in ["results", "results/**", "**", "*/*"] {
        test.manifest(&format!("{}files = ['{pattern}']\n", manifest(BYTES)));
        test.run(["-run"])
            .exits(2)
            .says("would be among the `files` of step count")
            .never_says("done in");
    }
    // Also where only some names in the folder are looked for; `check` says so, too.
    test.write("results/one.csv", "");
    for (files, whose) in [
        ("files = ['results/*.csv']\n", "step count"),
        (
            "[[input]]\nfiles = 'results/*.csv'\nstep = 'count'\n",
            "an [[input]]",
        ),
    ] {
        test.manifest(&format!("{}{files}", manifest(BYTES)));
        for call in [&["-run"][..], &["-run", "-dry-run"], &["check"]] {
            test.run(call)
                .exits(2)
                .says(&format!("would be among the `files` of {whose}"))
                .never_says("done in");
        }
    }
    fs::remove_file(test.path("results/one.csv")).unwrap();
    // Only what is there in the end tells that.
    test.write("notes.txt", "");
    test.manifest(&format!("{}files = ['**/*.txt']\n", manifest(BYTES)));
    test.run(["-run"])
        .exits(2)
        .says("`results/names.txt` would be among the `files` of step count");
    assert_eq!(there(&test, "results"), [""; 0]);
    let other = Test::with(&manifest(BYTES));
    test.manifest(&manifest(BYTES));
    test.runs();
    let theirs = test.path("results");
    other
        .run(["-run", "-publish", theirs.to_str().unwrap()])
        .exits(2)
        .says("has the results of another pipeline");
}

#[test]
fn a_result_with_a_name_of_the_programs_is_refused() {
    let step = "[publish]\ndir = 'results'\n[[step]]\nname = 'a'\nstart = true\n";
    let script = "script = 'echo > $OUTPUT_DIR/.task-pipeline.json'\n";
    let test = Test::with(&format!("{step}{script}"));
    test.run(["-run"])
        .exits(2)
        .says("a result would be called `.task-pipeline.json`, and names that begin so are the program's own")
        .says("publish = \"own/{name}\"");
    test.manifest(&format!("{step}publish = 'own/{{name}}'\n{script}"));
    test.run(["-run"])
        .exits(0)
        .says("1 result in results: 1 new");
    assert_eq!(test.read("results/own/.task-pipeline.json"), "\n");
}

#[test]
fn outputs_that_cannot_stand_together_are_an_error_with_what_to_do() {
    let test = Test::with(&manifest(&format!(
        "publish = 'names.txt/{{name}}'\n{BYTES}"
    )));
    test.run(["-run"])
        .exits(2)
        .says("`names.txt/size-alpha.txt` would be in `names.txt`, which is a result itself")
        .says("publish = \"qc/{key}/{name}\"");
    assert!(!test.path("results").exists());
    test.manifest(&manifest(BYTES));
    test.run(["-run"]).exits(0).says("3 new");
}

#[test]
fn a_run_that_is_ended_publishes_nothing_and_the_next_one_does() {
    let wait = "script = 'touch ../started; while [ ! -e ../go ]; do sleep 0.01; done; \
                wc -c < $INPUT_FILE > $OUTPUT_DIR/size.txt'";
    let test = Test::with(&manifest(&wait.replace("..", "$HERE")));
    let here = test.path("").canonicalize().unwrap();
    let mut command = test.command(["-run"]);
    command.env("HERE", &here);
    let running = crate::harness::Running::start(command);
    wait_for("a task", || test.path("started").exists());
    running.signal(Signal::TERM);
    running.end().exits(143);
    assert!(!test.path("results").exists());
    test.write("go", "");
    let mut command = test.command(["-run"]);
    command.env("HERE", &here);
    assert!(command.output().unwrap().status.success());
    assert_eq!(there(&test, "results").len(), 3);
}
