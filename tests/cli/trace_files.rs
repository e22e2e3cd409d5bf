//! `trace-files`: what a step uses that no version knows of.

#![cfg(target_os = "linux")]

use rustix::process::Signal;

use crate::harness::{Running, Test, files, wait_for};

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
        "begin: used beside the manifest, but not in its `files`\n  env.sh\n  lib/list\n  \
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
    ran.says("page #2: observed, exit status 0; what it left is thrown away")
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
        .says("begin: observed, exit status 3")
        .says("\n  oh no\n")
        .prints("files = [\"template.html\"]");
    let test = pipeline("kill -KILL $$", ":");
    test.run(["trace-files", "begin"])
        .exits(1)
        .says("begin: observed, killed by SIGKILL;");
}

#[test]
fn a_step_that_uses_nothing() {
    let test = pipeline(
        "echo > $OUTPUT_DIR/x; date > /dev/null; ls /etc > /dev/null",
        ":",
    );
    assert_eq!(
        test.text(&["trace-files", "begin"]),
        "begin: nothing beside the manifest that is not in its `files`\n"
    );
    test.run(["trace-files", "begn"])
        .exits(2)
        .says("did you mean `begin`?");
}

/// Observes the step `begin`, with a folder of its own for what is temporary.
fn observed(test: &Test) -> Running {
    std::fs::create_dir(test.path("tmp")).unwrap();
    let mut command = test.command(["trace-files", "begin"]);
    command.env("TMPDIR", test.path("tmp"));
    Running::start(command)
}

#[test]
fn a_task_has_no_more_time_than_its_step_gives() {
    let test = Test::with(
        "[[step]]\nname = 'begin'\nstart = true\ntimeout = '300ms'\n\
         script = 'cat tool; echo begin >> $COUNT; sleep 1000; cat more'\n",
    );
    test.write("tool", "");
    test.write("more", "");
    observed(&test)
        .end()
        .exits(1)
        .says("begin: observed, ended after 300ms, when its time was over; what it left")
        .says("what it would have used behind that is not known")
        .prints("files = [\"tool\"]");
    assert_eq!(test.count(), ["begin"]);
    assert!(files(&test.path("tmp")).is_empty());
}

#[test]
fn an_interrupt_ends_it_and_leaves_nothing() {
    for (signal, status) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let test = pipeline(
            "trap 'echo ended >> $COUNT; exit 3' TERM; cat template.html; echo began >> $COUNT\n\
             until test -e go; do sleep 0.02; done",
            ":",
        );
        let running = observed(&test);
        wait_for("the script", || test.times("began") == 1);
        running.signal(signal);
        running
            .end()
            .exits(status)
            .says("begin: observed, interrupted; what it left is thrown away")
            .prints("files = [\"template.html\"]");
        assert_eq!(test.count(), ["began", "ended"]);
        assert_eq!(std::fs::read_dir(test.path("tmp")).unwrap().count(), 0);
    }
}

#[test]
fn the_second_interrupt_ends_at_once() {
    let test = pipeline(
        "trap 'echo asked >> $COUNT' TERM; echo began >> $COUNT\n\
         until test -e go; do sleep 0.02; done",
        ":",
    );
    let running = observed(&test);
    wait_for("the script", || test.times("began") == 1);
    running.signal(Signal::INT);
    wait_for("the request", || test.times("asked") == 1);
    running.signal(Signal::INT);
    running.end().exits(130);
    assert_eq!(std::fs::read_dir(test.path("tmp")).unwrap().count(), 0);
}

#[test]
fn the_task_can_be_named() {
    let test = pipeline(
        "echo a > $OUTPUT_DIR/a_page; echo b > $OUTPUT_DIR/b_page; echo > $OUTPUT_DIR/end",
        "cat lib/$(cat $INPUT_FILE)",
    );
    test.write("lib/a", "");
    test.write("lib/b", "");
    test.runs();
    let number = |name: &str| test.rows(&format!("SELECT id FROM task WHERE name = '{name}'"));
    for (name, path) in [("a_page", "lib/a"), ("b_page", "lib/b")] {
        let number = &number(name)[0];
        test.run(["trace-files", "page", number])
            .exits(0)
            .says(&format!("page #{number}: observed, exit status 0"))
            .prints(&format!("files = [\"{path}\"]"));
    }
    for (word, told) in [
        (
            "1",
            "task #1 is one of step begin\nhint: `tasks -step page` lists",
        ),
        ("99", "there is no task #99"),
        (&number("end")[0], "is a final output\nhint: "),
    ] {
        let said = test.refusal(&["trace-files", "page", word]);
        assert!(said.contains(told), "{said}");
    }
}

#[test]
fn a_task_in_the_middle_stands_for_the_others() {
    let test = pipeline(
        "for i in 1 2 3 4 5; do echo $i > $OUTPUT_DIR/${i}_page; done",
        "test -s $INPUT_FILE",
    );
    test.runs();
    let ids = test.rows("SELECT id FROM task WHERE name LIKE '%_page' ORDER BY id");
    for (id, elapsed) in ids.iter().zip([900, 20, 40, 1, 30]) {
        test.alter(&format!(
            "UPDATE task SET elapsed = {elapsed} WHERE id = {id}"
        ));
    }
    test.run(["trace-files", "page"]).exits(0).says(&format!(
        "page #{} (chosen as its time is the median of 5 executed tasks): observed, exit status 0",
        ids[4]
    ));
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
        "begin: used beside the manifest, but not in its `files`\n  b\nits line in the manifest:\n\
         files = [\"lib\", \"b\"]\n"
    );
}
