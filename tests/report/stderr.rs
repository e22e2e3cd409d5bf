//! A standard error that nobody reads.

use std::process::{Command, Stdio};

use super::{FAN_OUT, Pipeline, settle, text};

/// Runs the pipeline by a shell, with `redirection`; its status and what `-run` says afterwards.
fn run(redirection: &str, options: &str) -> (Option<i32>, String) {
    let manifest = FAN_OUT.replace("exit 7", "exit 0");
    let pipeline = Pipeline::new(&manifest);
    let program = env!("CARGO_BIN_EXE_task-pipeline");
    let mut shell = Command::new("bash");
    settle(&mut shell, pipeline.0.path());
    let status = shell
        .arg("-c")
        .arg(format!("'{program}' -run {options} {redirection}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    let stands = pipeline.call(&[]);
    (status.code(), text(&stands.stdout).to_owned())
}

#[test]
fn closed_or_without_a_reader_it_ends_nothing() {
    for redirection in ["2>&-", "2> >(exec true)", "2> >(read -n 1)", ">&- 2>&-"] {
        for options in ["", "-verbose", "-log-format json"] {
            let (status, stands) = run(redirection, options);
            assert_eq!(status, Some(0), "{redirection} {options}");
            assert!(
                stands.contains("4 done"),
                "{redirection} {options}: {stands}"
            );
        }
    }
}
