//! What the program keeps for itself is not written over, wherever a user has something written; and
//! `-` stands for standard output.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;

use crate::harness::{Test, files};

const PIPELINE: &str = r#"
[[step]]
name = "start"
start = true
script = 'echo result > "$OUTPUT_DIR/workflow.toml"; echo other > "$OUTPUT_DIR/other"'
"#;

/// All files with what is in them, but for what a mere look changes.
fn everything(test: &Test) -> BTreeMap<String, Vec<u8>> {
    let found = files(&test.path("")).into_iter();
    found
        .filter(|path| !path.to_string_lossy().contains("db-"))
        .map(|path| {
            let bytes = fs::read(&path).unwrap_or_default();
            (path.display().to_string(), bytes)
        })
        .collect()
}

fn world() -> Test {
    let test = Test::with(PIPELINE);
    test.runs();
    symlink("db", test.path("folder")).unwrap();
    symlink("db/db", test.path("link")).unwrap();
    test.write("workflow.lock", "{}");
    test
}

#[test]
fn no_file_takes_the_place_of_the_programs_own() {
    let test = world();
    let object = files(&test.path("db/objects")).remove(0);
    let object = object.to_str().unwrap();
    let before = everything(&test);
    for path in [
        "db/db",
        "db/db-wal",
        "db/db-journal",
        "db/lock",
        "db/objects/page.html",
        "db/tmp",
        "db/gcroots/page.html",
        "./db/../db/db",
        "folder/db",
        "folder/../db/lock",
        "link",
        "workflow.toml",
        "folder/../workflow.toml",
        "workflow.lock",
        object,
    ] {
        for arguments in [
            ["report", "-o", path].as_slice(),
            &["-run", "-fresh", "-trace", path],
            &["-run", "-dry-run", "-trace", path],
        ] {
            test.run(arguments.iter().copied())
                .exits(2)
                .says(&format!("cannot write to {path}: "))
                .says("hint: ");
        }
        let mut page = test.command(["-run"]);
        page.envs([("GITHUB_ACTIONS", "true"), ("GITHUB_STEP_SUMMARY", path)]);
        crate::harness::Running::start(page)
            .end()
            .exits(2)
            .says("which the program keeps for itself");
    }
    assert_eq!(everything(&test), before);
    test.run(["report", "-o", "db/page.html", "-quiet"])
        .exits(0);
    assert!(test.path("db/page.html").exists(), "beside them is room");
}

#[test]
fn no_outputs_are_put_among_the_programs_own() {
    let test = world();
    let before = everything(&test);
    for to in [
        "db",
        "db/.",
        "folder",
        "db/objects",
        "db/objects/new/er",
        "db/tmp/out",
        "db/lock",
    ] {
        for arguments in [
            ["export", "-to", to].as_slice(),
            &["export", "-force", "-to", to],
        ] {
            test.run(arguments.iter().copied())
                .exits(2)
                .says("which the program keeps for itself")
                .says("hint: ");
        }
    }
    test.run(["export", "-force", "-to", "."])
        .exits(2)
        .says("workflow.toml: the manifest is there");
    assert_eq!(everything(&test), before);
    test.run(["export", "other", "-to", "."]).exits(0);
    assert_eq!(test.read("other"), "other\n");
}

#[test]
fn a_db_that_is_not_there_yet_keeps_its_place() {
    let test = Test::with(PIPELINE);
    test.run(["-run", "-trace", "db"]).exits(2).says("the db");
    assert!(!test.path("db").exists());
    test.run(["-run", "-db", "new/db", "-trace", "new"])
        .exits(2);
    assert!(!test.path("new").exists());
}

#[test]
fn a_line_stands_for_standard_output() {
    let test = Test::with(PIPELINE);
    let trace = test.run(["-run", "-trace", "-"]).exits(0).stdout;
    let trace: serde_json::Value = serde_json::from_str(&trace).unwrap();
    let spans = trace["traceEvents"].as_array().unwrap().iter();
    assert_eq!(spans.filter(|event| event["cat"] == "start").count(), 1);
    test.run(["report", "-o", "-"]).exits(0).prints("<html");
    let tar = test
        .shell("$PROGRAM export -to - | tar -t")
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&tar.stdout),
        "other\nworkflow.toml\n"
    );
    assert!(!test.path("-").exists());
}

#[test]
fn a_first_pipeline_is_not_made_in_a_db() {
    let test = Test::with("[[step]]\nname = 'a'\nstart = true\nscript = ':'\n");
    test.runs();
    std::os::unix::fs::symlink("db/objects", test.path("link")).unwrap();
    for folder in ["db", "db/objects", "db/objects/new", "link", "./db/../db"] {
        test.run(["init", "default", folder])
            .exits(2)
            .says("which the program keeps for itself")
            .says("init TEMPLATE DIR");
    }
    test.text(&["verify"]);
    // What it says to type can be typed.
    test.run(["init", "my dir"])
        .exits(2)
        .says("`init default 'my dir'` makes that folder");
    test.run(["init", ""]).exits(2).says("`init default ./`");
    test.run(["init", "default", "my dir"])
        .exits(0)
        .prints("cd 'my dir'\n");
    test.write("file", "");
    test.run(["init", "default", "file"])
        .exits(2)
        .says("hint: a file is there: name a folder");
    std::os::unix::fs::symlink("circle", test.path("circle")).unwrap();
    test.run(["check", "-f", "circle"])
        .exits(2)
        .says("hint: name a file that can be read");
    test.run(["check", "-f", "/dev/zero"])
        .exits(2)
        .says("has more than 64 MiB")
        .says("hint: a manifest is a TOML file");
    test.run(["export", "o ut"])
        .exits(2)
        .says("`export -to 'o ut'`");
    test.run(["export", ""]).exits(2).says("`export -to DIR`");
    test.run(["run", "-runset", "nigh\nt"]).exits(0);
    test.run(["run", "-runset", "nihg\nt"])
        .exits(2)
        .says("`run -fresh -runset NAME`");
}
