//! A standard error that nobody reads.

use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{FAN_OUT, text};
use crate::harness::Test;

/// Runs the pipeline by a shell, with `redirection`; its status and what `-run` says afterwards.
fn run(redirection: &str, options: &str) -> (Option<i32>, String) {
    let manifest = FAN_OUT.replace("exit 7", "exit 0");
    let pipeline = Test::with(&manifest);
    let program = env!("CARGO_BIN_EXE_task-pipeline");
    let mut shell = Command::new("bash");
    pipeline.prepare(&mut shell);
    let status = shell
        .arg("-c")
        .arg(format!("'{program}' -run {options} {redirection}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    let stands = pipeline.call([""; 0]);
    (status.code(), text(&stands.stdout).to_owned())
}

#[test]
fn closed_or_without_a_reader_it_ends_nothing() {
    for redirection in [
        "2>&-",
        "2> >(exec true)",
        "2> >(read -n 1)",
        "2>/dev/full",
        ">&- 2>&-",
    ] {
        for options in ["", "-verbose", "-log-format json"] {
            let (status, stands) = run(redirection, options);
            // Events are data: whoever asks for them has to take them.
            if redirection.contains("2>&-") && options.contains("json") {
                assert_eq!(status, Some(2), "{redirection} {options}");
                continue;
            }
            assert_eq!(status, Some(0), "{redirection} {options}");
            assert!(
                stands.contains("4 done"),
                "{redirection} {options}: {stands}"
            );
        }
    }
}

/// What arrives through a pipe that does not block and is read slowly.
fn through_a_slow_pipe(options: &[&str]) -> (Option<i32>, String) {
    let manifest = FAN_OUT.replace("for i", "seq 1 3000; for i");
    let pipeline = Test::with(&manifest);
    let (mut read, write) = std::io::pipe().unwrap();
    #[cfg(target_os = "linux")]
    rustix::pipe::fcntl_setpipe_size(&write, 4096).unwrap();
    rustix::io::ioctl_fionbio(&write, true).unwrap();
    let mut command = pipeline.command(&["-run", "-verbose"]);
    command.args(options).stderr(write);
    let mut child = command.spawn().unwrap();
    drop(command);
    let mut all = Vec::new();
    let mut part = [0; 4096];
    loop {
        match read.read(&mut part).unwrap() {
            0 => break,
            length => all.extend_from_slice(&part[..length]),
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let status = child.wait().unwrap();
    (status.code(), text(&all).to_owned())
}

#[test]
fn nothing_is_lost_where_it_does_not_block() {
    let (status, lines) = through_a_slow_pipe(&[]);
    assert_eq!(status, Some(1));
    for number in 1..=3000 {
        let line = format!("\nsplit #1| {number}\n");
        assert!(lines.contains(&line), "{line}");
    }
    assert!(lines.ends_with("  100%: no, three\n"), "{lines}");
    let (status, lines) = through_a_slow_pipe(&["-log-format", "json"]);
    assert_eq!(status, Some(1));
    let events: Vec<serde_json::Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let written: String = events
        .iter()
        .filter(|event| event["event"] == "output" && event["stream"] == "stdout")
        .map(|event| event["text"].as_str().unwrap())
        .collect();
    assert_eq!(written.lines().count(), 3000);
    assert_eq!(events.last().unwrap()["event"], "summary");
}
