//! Variables of the host: kept ones are a part of the version, of others there is a warning.

use crate::harness::{Ran, Running, Test};

fn one(keys: &str, script: &str) -> Test {
    Test::with(&format!(
        "[[step]]\nname = 'begin'\nstart = true\nscript = 'echo a > $OUTPUT_DIR/a_work'\n\
         [[step]]\nname = 'work'\n{keys}\nscript = '''\n{script}\n'''\n"
    ))
}

const SCRIPT: &str = "echo work >> \"$OUT/count\"\necho ${FOO:-none} > $OUTPUT_DIR/out";

/// Runs with these words and a value of `FOO`.
fn with(test: &Test, words: &[&str], value: Option<&str>) -> Ran {
    let mut command = test.command(words);
    command.env("OUT", test.path(""));
    if let Some(value) = value {
        command.env("FOO", value);
    }
    Running::start(command).end()
}

#[test]
fn another_value_of_a_kept_variable_is_another_version() {
    for keys in [
        "keep = ['FOO', 'OUT']",
        "keep = ['OUT', 'FOO', 'PATH']\npure = true",
    ] {
        let test = one(keys, SCRIPT);
        let fresh = ["-run", "-fresh"];
        with(&test, &["-run"], Some("1"))
            .exits(0)
            .never_says("warning");
        assert_eq!(test.output("out"), "1\n");
        with(&test, &fresh, Some("1"))
            .exits(0)
            .never_says("version");
        assert_eq!(test.times("work"), 1, "{keys}");
        with(&test, &fresh, Some("2"))
            .exits(0)
            .says("work: version 2, changed: kept variables (FOO)\n");
        assert_eq!(test.times("work"), 2, "{keys}");
        with(&test, &["why", "work"], Some("2"))
            .exits(0)
            .prints("differs from v1:\n  kept variables (FOO)\n      FOO: has another value\n");
        with(&test, &["why", "work"], None).exits(0).prints(
            "work v3 (not recorded yet: a kept variable is another here) differs from v2:\n  kept \
             variables (FOO)\n      FOO: is no longer set\n",
        );
        with(&test, &fresh, None)
            .exits(0)
            .says("changed: kept variables (FOO)");
        assert_eq!(test.times("work"), 3);
        // Not set is not the same as empty.
        with(&test, &fresh, Some("")).exits(0);
        assert_eq!(test.times("work"), 4);
        with(&test, &["-run"], Some("7"))
            .exits(0)
            .says("1 finished task has another version (kept variables (FOO))");
        assert_eq!(test.times("work"), 4);
        with(&test, &["-migrate-tainted", "-run"], Some("7")).exits(0);
        let newest = "SELECT count(*) FROM task WHERE live = 1 AND error IS NOT NULL";
        assert_eq!(test.rows(newest), ["0"]);
        assert_eq!(test.times("work"), 5);
    }
}

#[test]
fn no_kept_value_is_recorded_or_told() {
    let test = one("keep = ['FOO', 'OUT']", "true");
    for value in ["s3cret-one", "s3cret-two"] {
        let ran = with(&test, &["-run", "-fresh", "-verbose"], Some(value)).exits(0);
        ran.never_says(value);
    }
    assert!(!test.text(&["why", "work"]).contains("s3cret"));
    for file in ["db", "db-wal"] {
        let bytes = std::fs::read(test.path("db").join(file)).unwrap_or_default();
        let found = bytes.windows(6).any(|window| window == b"s3cret");
        assert!(!found, "{file}");
    }
}

#[test]
fn of_a_variable_that_counts_for_nothing_there_is_a_warning() {
    let test = one("keep = ['OUT']", SCRIPT);
    let warning = "warning: workflow.toml:10: step `work` reads the host variable `FOO`, but another value of it does not make a new version\nhint: add `keep = [\"OUT\", \"FOO\"]` so that it does, ";
    with(&test, &["-run"], None).exits(0).says(warning);
    // It was told when the version was registered.
    with(&test, &["-run", "-fresh"], Some("1"))
        .exits(0)
        .never_says("warning");
    let ran = with(&test, &["check"], None).exits(0);
    ran.says("warning: step `work` reads the host variable `FOO`, but")
        .says(" --> workflow.toml:10:6\n   |\n10 | echo ${FOO:-none} > $OUTPUT_DIR/out\n   |      ^^^^^\n")
        .says("hint: add `keep = [\"OUT\", \"FOO\"]`")
        .prints("workflow.toml: 2 steps, no errors, 1 warning");
}

#[test]
fn strict_makes_it_an_error_before_anything_runs() {
    let test = one("keep = ['OUT']", SCRIPT);
    for words in [&["-run", "-strict"][..], &["check", "-strict"]] {
        with(&test, words, Some("1"))
            .exits(1)
            .says("error: step `work` reads the host variable `FOO`")
            .says("workflow.toml: 1 error (-strict); nothing was run");
        assert!(!test.path("db").exists());
    }
    let test = one("keep = ['OUT', 'FOO']", SCRIPT);
    with(&test, &["check", "-strict"], None).exits(0);
    with(&test, &["-run", "-strict"], None).exits(0);
}
