//! What others are told of a run: CI by JUnit's XML, a command by JSON; and what succeeded at a later try.

use std::fs;

use crate::harness::Test;

/// `work` fails twice on the first name and then passes; on the second it fails; `after` never runs on that.
const MANIFEST: &str = "
[defaults]
retries = { count = 2, delay = '1ms', backoff = 1 }
[[step]]
name = 'begin'
start = true
script = 'echo 1 > $OUTPUT_DIR/one_work; echo 2 > $OUTPUT_DIR/two_work; echo 3 > $OUTPUT_DIR/a_last'
[[step]]
name = 'work'
script = '''
if test $(cat $INPUT_FILE) = 2; then echo \"a <bad> & thing\" >&2; exit 7; fi
echo x >> $COUNTS
test $(wc -l < $COUNTS) -eq 3
cp $INPUT_FILE $OUTPUT_DIR/a_after
'''
[[step]]
name = 'after'
script = 'cp $INPUT_FILE $OUTPUT_DIR/b.txt'
[[step]]
name = 'last'
script = 'cp $INPUT_FILE $OUTPUT_DIR/c.txt'
";

fn run(test: &Test, arguments: &[&str]) -> crate::harness::Ran {
    let mut command = test.command(arguments);
    command.env("COUNTS", test.path("counts"));
    crate::harness::Running::start(command).end()
}

#[test]
fn ci_is_told_of_each_task() {
    let test = Test::with(MANIFEST);
    run(&test, &["-run", "-junit", "all.xml"]).exits(1);
    let xml = test.read("all.xml");
    let suite = |line: &str| assert!(xml.contains(line), "{line}\n{xml}");
    suite("<testsuite name=\"begin\" tests=\"1\" failures=\"0\" errors=\"0\" skipped=\"0\"");
    suite("<testsuite name=\"work\" tests=\"2\" failures=\"1\" errors=\"0\" skipped=\"0\"");
    suite("<testcase name=\"two_work\" classname=\"work\"");
    suite("<failure message=\"exit status 7\" type=\"exit\">");
    suite("a &lt;bad&gt; &amp; thing");
    suite(
        "<flakyFailure message=\"passed at try 3; the one before: exit status 1\" type=\"exit\">",
    );
    // What is finished is told again by the next run, which does the rest.
    test.manifest(&MANIFEST.replace("exit 7", "exit 0"));
    run(&test, &["-run", "-migrate-tainted", "-junit", "all.xml"]);
    run(
        &test,
        &["-run", "-fresh", "-only", "begin", "-junit", "all.xml"],
    )
    .exits(0);
    let xml = test.read("all.xml");
    let suite = |line: &str| assert!(xml.contains(line), "{line}\n{xml}");
    suite("<testsuite name=\"work\" tests=\"2\" failures=\"0\" errors=\"0\" skipped=\"2\"");
    suite("<skipped/>");
    run(&test, &["-run", "-junit", "all.xml"]);
    assert!(
        test.read("all.xml")
            .contains("<system-out>reused from task ")
    );
}

/// With the schema that `tests/run` gets; it lets pass all that the forms in use have in common.
#[test]
fn the_file_for_ci_is_what_junits_schema_says() {
    if std::env::var_os("TASK_PIPELINE_TESTS_WITHOUT_EDITORS").is_some_and(|v| v == "1") {
        return;
    }
    let schema =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/editors/junit.xsd");
    assert!(
        schema.exists(),
        "this test needs {}: tests/run gets it, or TASK_PIPELINE_TESTS_WITHOUT_EDITORS=1 leaves it out",
        schema.display()
    );
    let test = Test::with(MANIFEST);
    run(&test, &["-run", "-junit", "failed.xml"]).exits(1);
    run(
        &test,
        &["-run", "-fresh", "-only", "begin", "-junit", "begun.xml"],
    )
    .exits(0);
    run(&test, &["-run", "-junit", "reused.xml"]).exits(1);
    assert!(test.read("failed.xml").contains("<flakyFailure"));
    assert!(test.read("begun.xml").contains("<skipped/>"));
    assert!(test.read("reused.xml").contains("reused from task"));
    let mut xmllint = std::process::Command::new("xmllint");
    xmllint.args(["--noout", "--schema"]).arg(&schema);
    let files = ["failed.xml", "begun.xml", "reused.xml"];
    let output = xmllint.args(files.map(|file| test.path(file))).output();
    let output = output.expect("this test needs xmllint: tests/run installs it");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

#[test]
fn a_line_stands_for_standard_output() {
    let test = Test::with("[[step]]\nname = 'a'\nstart = true\nscript = ':'\n");
    let ran = test.call(["-run", "-quiet", "-junit", "-"]);
    let said = String::from_utf8(ran.stdout).unwrap();
    assert!(said.starts_with("<?xml"), "{said}");
    assert!(said.ends_with("</testsuites>\n"), "{said}");
    assert!(!test.path("-").exists());
}

#[test]
fn a_file_for_ci_that_cannot_be_written_is_an_error_before_anything_runs() {
    let test = Test::with(MANIFEST);
    for (file, words) in [
        ("nowhere/all.xml", "cannot write nowhere/all.xml"),
        ("workflow.toml", "the manifest is there"),
        (".", "cannot write ."),
    ] {
        run(&test, &["-run", "-junit", file])
            .exits(2)
            .says(words)
            .never_says("done in");
    }
    assert!(!test.path("db").exists());
}

#[test]
fn what_succeeds_at_a_later_try_is_told() {
    let test = Test::with(MANIFEST);
    let told = run(&test, &["-run"]).exits(1);
    told.says("flaky: 1 task succeeded at a later try: work #3 (try 3)");
    test.run(["log", "3"]).exits(0).says(
        "task #3 is done at try 3, the one before failed: exit status 1; only what the last try wrote is kept\n",
    );
    test.run(["log", "3", "4"])
        .exits(0)
        .prints(": done at try 3, the one before failed: exit status 1\n");
    assert_eq!(
        test.rows("SELECT tries || ' ' || error FROM flaky"),
        ["3 exit status 1"]
    );
    test.run(["why", "3"])
        .exits(0)
        .prints("succeeded at try 3; the one before: exit status 1");
    let page = test.run(["report", "-"]).exits(0).stdout;
    assert!(page.contains("1 task succeeded at a later try."), "{page}");
    assert!(page.contains("<td>exit status 1</td>"), "{page}");
    // It is none of the next run.
    run(&test, &["-run"]).exits(1).never_says("flaky");
    let fresh = Test::with(MANIFEST);
    let json = run(&fresh, &["-run", "-log-format", "json"]).exits(1);
    json.says(r#""flaky":1,"late":[{"tries":3,"task":3,"step":"work","#);
}

#[test]
fn a_command_is_told_what_a_run_came_to() {
    let test = Test::with(MANIFEST);
    run(
        &test,
        &["-run", "-on-finish", "cat > told.json; echo heard"],
    )
    .exits(1)
    .says("heard");
    let told: serde_json::Value = serde_json::from_str(&test.read("told.json")).unwrap();
    assert_eq!(
        (&told["schema"], &told["exit_status"]),
        (&1.into(), &1.into())
    );
    let summary = &told["summary"];
    assert_eq!(
        (&summary["executed"], &summary["failed"], &summary["flaky"]),
        (&4.into(), &1.into(), &1.into())
    );
    assert_eq!(
        summary["failures"][0]["error"]
            .as_str()
            .unwrap()
            .lines()
            .next(),
        Some("exit status 7")
    );
    // Whatever becomes of it is no failure of the run.
    test.manifest(&MANIFEST.replace("exit 7", "exit 0"));
    fs::remove_file(test.path("counts")).unwrap();
    run(&test, &["-run", "-migrate-tainted", "-on-finish", "exit 3"])
        .exits(0)
        .says("the command of -on-finish, `exit 3`, ended with exit status 3");
}

#[test]
fn a_command_is_told_of_errors_too() {
    let test = Test::with("[[step]]\nname = 'a'\nstart = true\nscript = ':'\n");
    test.run(["-run", "-on-finish", "cat"])
        .exits(0)
        .says("\"exit_status\":0");
    // Objects cannot be made any more.
    fs::remove_dir_all(test.path("db/objects")).unwrap();
    test.write("db/objects", "");
    let told = test
        .run(["-run", "-runset", "b", "-on-finish", "cat"])
        .exits(2);
    told.says("\"exit_status\":2").says("\"error\":");
    test.run(["-run", "-dry-run", "-on-finish", "touch ran"])
        .exits(0);
    assert!(!test.path("ran").exists());
}
