//! What `action.yml` runs on GitHub.

use std::path::Path;
use std::process::{Command, Output};

use crate::harness::{Test, program};

fn step(test: &Test, arguments: &str) -> Output {
    command(test, arguments).output().unwrap()
}

fn command(test: &Test, arguments: &str) -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(".github/run-pipeline");
    let mut command = Command::new("bash");
    command.arg(script);
    test.prepare(&mut command);
    command
        .env("PROGRAM", program())
        .env("MANIFEST", "workflow.toml")
        .env("DB", "db")
        .env("ARGUMENTS", arguments)
        .env("LEFT", test.path("left"))
        .env("GITHUB_OUTPUT", test.path("outputs"));
    command
}

#[test]
fn it_runs_the_pipeline_and_leaves_report_and_tasks() {
    let manifest = |script: &str| {
        format!("[[step]]\nname = 'a'\nstart = true\nretries = 0\nscript = '{script}'\n")
    };
    let test = Test::with(&manifest("exit 4"));
    let failed = step(&test, "-keep-going");
    assert_eq!(failed.status.code(), Some(1), "{failed:?}");
    assert_eq!(test.read("outputs"), "status=1\n");
    assert!(test.read("left/tasks.xml").contains("exit status 4"));
    assert!(
        test.read("left/report.html")
            .to_lowercase()
            .starts_with("<!doctype html>")
    );
    test.manifest(&manifest("echo > $OUTPUT_DIR/x.txt"));
    let passed = step(&test, "");
    assert_eq!(passed.status.code(), Some(0), "{passed:?}");
    assert!(test.read("left/tasks.xml").contains("failures=\"0\""));
}

/// In the shell of macOS a list of nothing is not set.
#[test]
fn lists_that_may_be_empty_are_read_as_every_bash_can() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(".github/run-pipeline");
    let script = std::fs::read_to_string(script).unwrap();
    let guarded = r#"${arguments[@]+"${arguments[@]}"}"#;
    assert!(script.contains(guarded), "{script}");
    assert!(
        !script.replace(guarded, "").contains("${arguments[@]}"),
        "{script}"
    );
}

/// Without a program of its own it has Nix build the package, whose tests are nothing to wait for.
#[test]
fn by_default_nix_gets_the_package_without_its_tests() {
    let test = Test::with("");
    test.write("bin/nix", "#!/bin/sh\necho \"$@\" >> called\n");
    std::fs::set_permissions(
        test.path("bin/nix"),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let path = std::env::var("PATH").unwrap();
    let ran = command(&test, "")
        .env_remove("PROGRAM")
        .env("GITHUB_ACTION_PATH", "/action")
        .env("PATH", format!("{}:{path}", test.path("bin").display()))
        .output()
        .unwrap();
    assert_eq!(ran.status.code(), Some(0), "{ran:?}");
    let called = test.read("called");
    let begins = "run path:/action#task-pipeline-untested -- -manifest workflow.toml -db db -run ";
    assert!(called.starts_with(begins), "{called}");
}

#[test]
fn what_is_wrong_before_a_run_leaves_nothing_to_keep() {
    let test = Test::with("[[step]]\n");
    let refused = step(&test, "");
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(!test.path("outputs").exists());
    assert!(!test.path("left/report.html").exists());
}
