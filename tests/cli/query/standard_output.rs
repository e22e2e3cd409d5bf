//! Where the answers go, and where they cannot.

use std::fs;
use std::process::{Command, Output, Stdio};

use super::world::{PROGRAM, after_a_run};
use crate::harness::Test;

/// Everything that prints.
const PRINTING: &[&[&str]] = &[
    &["status"],
    &["status", "-json"],
    &["tasks"],
    &["tasks", "-json"],
    &["why", "count"],
    &["trace", "1"],
    &["log", "2"],
    &["log", "-failed"],
    &["cat", "1", "a_count.txt"],
    &["export"],
    &["export", "-to", "out", "-force"],
    &["graph"],
    &["report", "-o", "-"],
    &["report", "-o", "page.html"],
    &["check"],
    &["-run", "-dry-run"],
    &[],
    &["schema"],
    &["man"],
    &["completions", "bash"],
    &["-help"],
    &["-version"],
];

/// The program, with what the shell does to its streams.
fn call(world: &Test, streams: &str, arguments: &[&str]) -> Output {
    Command::new("sh")
        .args(["-c", &format!("exec \"$@\" {streams}"), "sh", PROGRAM])
        .args(arguments)
        .current_dir(world.path("."))
        .env_remove("GITHUB_ACTIONS")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn statuses(world: &Test, streams: &str) -> Vec<(Vec<String>, Option<i32>, String)> {
    let calls = PRINTING.iter().map(|arguments| {
        let output = call(world, streams, arguments);
        let words = arguments.iter().map(|&word| word.to_owned()).collect();
        let told = String::from_utf8(output.stderr).unwrap();
        (words, output.status.code(), told)
    });
    calls.collect()
}

#[test]
fn who_cannot_print_fails_and_says_why() {
    let world = after_a_run();
    let full = fs::exists("/dev/full").unwrap().then_some(">/dev/full");
    for streams in full.into_iter().chain([">&-", "1</dev/null"]) {
        for (words, status, told) in statuses(&world, streams) {
            assert_eq!(status, Some(2), "{streams} {words:?}: {told}");
            assert!(told.contains("standard output"), "{words:?}: {told}");
            assert!(told.contains("hint: "), "{words:?}: {told}");
        }
    }
}

/// Open for reading and writing, it is what the runtime puts in the place of a closed one, and what
/// others give a program whose words nobody wants.
#[test]
fn what_nobody_wants_is_no_failure() {
    let world = after_a_run();
    for streams in [">/dev/null", "1<>/dev/null", "2>&-"] {
        for (words, status, told) in statuses(&world, streams) {
            assert_eq!(status, Some(0), "{streams} {words:?}: {told}");
        }
    }
}

#[test]
fn a_run_prints_nothing_and_needs_nowhere_to_print_to() {
    let world = after_a_run();
    assert_eq!(call(&world, ">&-", &["-run"]).status.code(), Some(1));
    assert_eq!(call(&world, ">&-", &["log", "1"]).status.code(), Some(0));
    // Its events are data.
    let events = ["-run", "-log-format", "json"];
    assert_eq!(call(&world, "2>&-", &events).status.code(), Some(2));
    assert_eq!(call(&world, "2>/dev/null", &events).status.code(), Some(1));
    assert_eq!(call(&world, "2>&-", &["-run"]).status.code(), Some(1));
}

/// As file systems of other machines do, which write when a file is closed.
#[test]
fn what_is_found_to_be_lost_at_the_end_is_a_failure() {
    let world = after_a_run();
    let trace = |inject: &[&str]| {
        let file = fs::File::create(world.path("answer")).unwrap();
        Command::new("strace")
            .args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=close", "-P"])
            .arg(world.path("answer"))
            .args(inject)
            .args([PROGRAM, "status"])
            .current_dir(world.path("."))
            .stdout(file)
            .output()
    };
    match trace(&[]) {
        Ok(output) if output.status.success() => {}
        _ => {
            eprintln!("strace cannot be used here");
            return;
        }
    }
    let output = trace(&["-e", "inject=close:error=EDQUOT"]).unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("cannot write to standard output"), "{told}");
}
