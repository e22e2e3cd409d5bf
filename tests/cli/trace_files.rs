//! `trace-files`: what a step uses that no version knows of.

#![cfg(target_os = "linux")]

use crate::harness::Test;

/// A step that starts and one that follows, with these scripts.
fn pipeline(first: &str, second: &str) -> Test {
    let test = Test::with(&format!(
        "[[step]]\nname = 'begin'\nstart = true\nscript = '''\n{first}\n'''\n\
         [[step]]\nname = 'page'\nscript = '''\n{second}\n'''\n"
    ));
    for (path, text) in [
        ("template.html", "<x>\n"),
        ("lib/more.sed", "s/x/y/\n"),
        ("lib/unused.sed", ""),
        ("env.sh", "cat lib/list > /dev/null\n"),
        ("lib/list", "l"),
    ] {
        test.write(path, text);
    }
    test
}

#[test]
fn what_a_start_step_uses_is_found_without_a_db() {
    let test = pipeline(
        "test -e template.html; . ./env.sh; (cd lib && sed -f more.sed ../template.html) > $OUTPUT_DIR/x_page\n\
         cat no-such-file || true; cat lib/no-such || :",
        ":",
    );
    let said = test.text(&["trace-files", "begin"]);
    assert_eq!(
        said,
        "begin: used beside the manifest, and in none of its `files`\n  env.sh\n  lib/list\n  \
         lib/more.sed\n  template.html\nits line in the manifest:\n\
         files = [\"env.sh\", \"template.html\", \"lib/list\", \"lib/more.sed\"]\n"
    );
    assert!(!test.path("db").exists());
}

#[test]
fn a_task_is_given_its_input_and_leaves_nothing() {
    let test = pipeline(
        "echo input > $OUTPUT_DIR/a_page",
        "cat $INPUT_FILE template.html > $OUTPUT_DIR/out; grep -q input $INPUT_FILE\n\
         test -n \"$TASK_PIPELINE_TASK\"; test $TASK_PIPELINE_INPUT_NAME = a_page; test -d $TMPDIR\n\
         ls lib > $TMPDIR/x; echo more >> log; sleep 1000 &",
    );
    test.run(["trace-files", "page"]).exits(2).says("hint: ");
    test.runs();
    let before = test.rows("SELECT * FROM task");
    let ran = test.run(["trace-files", "page"]).exits(0);
    ran.says("page #2: observed, exit status: 0; what it left is thrown away")
        .prints("  template.html\n  lib/ (looked into)\nits line in the manifest:\nfiles = [\"template.html\"]\n")
        .prints("written there, where no step should write:\n  log\n");
    assert_eq!(test.rows("SELECT * FROM task"), before);
    test.nothing_temporary_is_left();
}

#[test]
fn a_script_that_fails_is_told_with_its_last_words() {
    let test = pipeline("cat template.html; echo oh no >&2; exit 3", ":");
    test.run(["trace-files", "begin"])
        .exits(1)
        .says("begin: observed, exit status: 3")
        .says("\n  oh no\n")
        .prints("files = [\"template.html\"]");
    let test = pipeline("kill -KILL $$", ":");
    test.run(["trace-files", "begin"])
        .exits(1)
        .says("signal: 9");
}

#[test]
fn a_step_that_uses_nothing() {
    let test = pipeline(
        "echo > $OUTPUT_DIR/x; date > /dev/null; ls /etc > /dev/null",
        ":",
    );
    assert_eq!(
        test.text(&["trace-files", "begin"]),
        "begin: nothing beside the manifest that is in none of its `files`\n"
    );
    test.run(["trace-files", "begn"])
        .exits(2)
        .says("did you mean `begin`?");
}

#[test]
fn what_is_declared_is_not_told_again() {
    let test = Test::with(
        "[[step]]\nname = 'begin'\nstart = true\nfiles = ['lib']\nscript = 'cat lib/a b > /dev/null; ls lib > /dev/null'\n",
    );
    test.write("lib/a", "");
    test.write("b", "");
    assert_eq!(
        test.text(&["trace-files", "begin"]),
        "begin: used beside the manifest, and in none of its `files`\n  b\nits line in the manifest:\n\
         files = [\"lib\", \"b\"]\n"
    );
}
