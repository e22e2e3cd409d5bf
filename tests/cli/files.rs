//! Files that steps declare: what changes in them makes a version, and what changes while a task
//! runs fails it.

mod found;
mod meanwhile;
mod pages;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::harness::{Test, hash};

/// The step `begin` calls `tool.sh` beside the manifest, and `last` makes a final output of it.
const TOOL: &str = "[[step]]\nname = 'begin'\nstart = true\nfiles = ['tool.sh']\n\
    script = 'echo begin >> $COUNT; sh ./tool.sh > $OUTPUT_DIR/x_last'\n\
    [[step]]\nname = 'last'\nscript = 'cp $INPUT_FILE $OUTPUT_DIR/end'\n";

fn tool() -> Test {
    let test = Test::with(TOOL);
    test.write("tool.sh", "echo one\n");
    test
}

fn end(test: &Test) -> String {
    let finals = test.finals();
    String::from_utf8(finals["end"].last().unwrap().clone()).unwrap()
}

fn set_mode(test: &Test, name: &str, mode: u32) {
    fs::set_permissions(test.path(name), fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn an_edited_file_is_seen_by_every_question() {
    let test = tool();
    test.runs();
    assert_eq!(end(&test), "one\n");
    test.write("tool.sh", "echo two\n");
    let why = test.text(&["why", "begin"]);
    for words in [
        "begin v2 (not recorded yet: the manifest, or a file that it names, has changed) differs from v1:",
        "  files (tool.sh)\n",
        "    tool.sh:\n",
        "      - echo one\n",
        "      + echo two\n",
    ] {
        assert!(why.contains(words), "{words}\n{why}");
    }
    let dry = test.text(&["-run", "-dry-run"]);
    assert!(
        dry.contains("1 tainted task would stay (files (tool.sh))"),
        "{dry}"
    );
    test.runs()
        .says("begin: version 2, changed: files (tool.sh)")
        .says("tainted: begin 1 (files (tool.sh)); -migrate-tainted -run");
    test.run([""; 0])
        .exits(0)
        .prints("1 tainted task: begin 1 (files (tool.sh))");
    assert_eq!(end(&test), "one\n");
    test.run(["-migrate-tainted", "-run"]).exits(0);
    assert_eq!(end(&test), "two\n");
    // Also once the file is gone.
    fs::remove_file(test.path("tool.sh")).unwrap();
    let why = test.text(&["why", "begin"]);
    assert!(
        why.contains("- echo one") && why.contains("+ echo two"),
        "{why}"
    );
    let task = test
        .rows("SELECT max(id) FROM task WHERE step_id = 3")
        .remove(0);
    let why = test.text(&["why", &task]);
    assert!(
        why.contains("- echo one") && why.contains("+ echo two"),
        "{why}"
    );
}

#[test]
fn status_tells_what_is_not_as_it_was_at_the_last_run() {
    let test = tool();
    test.runs();
    let status = || (test.text(&["status"]), test.json(&["status", "-json"]));
    let (said, json) = status();
    assert!(!said.contains("changed"), "{said}");
    assert_eq!(json["changed"], serde_json::json!([]));

    test.write("tool.sh", "echo two\n");
    let (said, json) = status();
    assert!(
        said.contains("changed since the last run: begin (files (tool.sh))\n")
            && said.ends_with("next: -migrate-tainted -run acts on what has changed\n"),
        "{said}"
    );
    assert_eq!(
        json["changed"],
        serde_json::json!([{ "step": "begin", "changes": ["files (tool.sh)"] }])
    );
    test.manifest(&TOOL.replace("[[step]]\nname = 'last'", "[[step]]\nname = 'more'"));
    let (said, _) = status();
    assert!(
        said.contains("changed since the last run: begin (files (tool.sh)), more (new)\n"),
        "{said}"
    );
    test.manifest(TOOL);

    fs::remove_file(test.path("tool.sh")).unwrap();
    let (said, json) = status();
    assert!(
        said.contains("the next -run would fail:\nerror: `tool.sh` matches no file in ")
            && said.contains("workflow.toml:4:"),
        "{said}"
    );
    let untold = json["would_fail"].as_str().unwrap();
    assert!(untold.contains("`tool.sh` matches no file in "), "{untold}");

    test.write("tool.sh", "echo two\n");
    test.run(["-migrate-tainted", "-run"]).exits(0);
    let (said, _) = status();
    assert!(
        !said.contains("changed") && !said.contains("would fail"),
        "{said}"
    );
}

#[test]
fn a_page_names_the_files_that_made_a_version() {
    let test = tool();
    test.runs();
    test.write("tool.sh", "echo two\n");
    test.run(["-migrate-tainted", "-run"]).exits(0);
    let page = test.text(&["report", "-o", "-"]);
    assert!(page.contains("files (tool.sh)"), "{page}");
}

#[test]
fn a_fresh_run_takes_files_as_they_are() {
    let test = tool();
    test.runs();
    test.write("tool.sh", "echo two\n");
    test.run(["-run", "-fresh"]).exits(0);
    assert_eq!(test.times("begin"), 2);
    assert_eq!(end(&test), "two\n");
}

#[test]
fn content_and_mode_count_and_times_do_not() {
    let test = tool();
    test.runs();
    let file = fs::File::open(test.path("tool.sh")).unwrap();
    file.set_modified(std::time::UNIX_EPOCH).unwrap();
    test.runs().never_says("changed");
    test.write("tool.sh", "echo one\n");
    test.runs().never_says("changed");
    set_mode(&test, "tool.sh", 0o755);
    test.runs()
        .says("changed: files (tool.sh can be executed now, or no longer)");
    set_mode(&test, "tool.sh", 0o644);
    test.runs().never_says("tainted");
}

#[test]
fn what_comes_and_goes_makes_a_version() {
    let test = Test::with(
        "[defaults]\nfiles = ['all.txt']\n[[step]]\nname = 'begin'\nstart = true\nfiles = ['lib/*']\n\
         script = 'cat lib/* all.txt > $OUTPUT_DIR/end'\n",
    );
    test.write("lib/a", "a\n");
    test.write("all.txt", "all\n");
    test.runs();
    let says = |change: &str| {
        test.runs().says(&format!("changed: files ({change})"));
    };
    test.write("lib/b", "b\n");
    says("lib/b added");
    fs::rename(test.path("lib/a"), test.path("lib/c")).unwrap();
    says("lib/a removed, lib/c added");
    fs::remove_file(test.path("lib/b")).unwrap();
    says("lib/b removed");
    test.write("all.txt", "other\n");
    says("all.txt");
    test.write("lib/.hidden", "x");
    test.runs().never_says("changed");
    let checked = test.text(&["check"]);
    assert!(
        checked.contains("  files     all.txt, lib/c\n"),
        "{checked}"
    );
    let tainted = test.run(["-migrate-tainted", "-run"]).exits(0);
    tainted.says("begin: 1 task to be done again");
    assert_eq!(end(&test), "a\nother\n");
}

#[test]
fn what_a_file_mentions_decides_about_reuse() {
    let pipeline = "[[step]]\nname = 'begin'\nstart = true\n\
         script = 'echo x > $OUTPUT_DIR/a_work; echo x > $OUTPUT_DIR/b_work'\n\
         [[step]]\nname = 'work'\nfiles = ['tool.sh']\nparallel = 1\n\
         script = 'echo work >> $COUNT; sh tool.sh > $OUTPUT_DIR/end'\n";
    for (tool, times) in [
        ("cat $INPUT_FILE", 1),
        ("echo $TASK_PIPELINE_INPUT_NAME", 2),
        ("echo $TASK_PIPELINE_TASK", 2),
    ] {
        let test = Test::with(pipeline);
        test.write("tool.sh", tool);
        test.runs();
        assert_eq!(test.times("work"), times, "{tool}");
    }
}

#[test]
fn versions_of_steps_without_files_are_as_they_were() {
    let test = tool();
    test.runs();
    let records = test.rows("SELECT identity FROM step WHERE name = 'last'");
    assert!(!records[0].contains("files"), "{records:?}");
    let tree =
        test.rows("SELECT json_extract(identity, '$.files.tree') FROM step WHERE name = 'begin'");
    let list = fs::read_to_string(test.object(&tree[0])).unwrap();
    let file = hash(b"echo one\n");
    assert_eq!(list, format!("task-pipeline tree 1\nf {file}  tool.sh\n"));
    assert_eq!(fs::read(test.object(&file)).unwrap(), b"echo one\n");
}
