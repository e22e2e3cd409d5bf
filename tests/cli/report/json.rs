//! `-log-format json`.

use serde_json::Value;

use super::{FAN_OUT, text};
use crate::harness::Test;

fn lines(stderr: &[u8]) -> Vec<Value> {
    text(stderr)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

fn named<'a>(lines: &'a [Value], event: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["event"] == event).collect()
}

#[test]
fn a_run_is_one_object_a_line() {
    let done = Test::with(FAN_OUT).call(&["-run", "-log-format", "json", "-verbose"]);
    assert_eq!(done.status.code(), Some(1));
    assert_eq!(text(&done.stdout), "");
    let lines = lines(&done.stderr);
    for line in &lines {
        assert_eq!(line["schema"], 1);
        let time: jiff::Timestamp = line["time"].as_str().unwrap().parse().unwrap();
        assert!(line["time"] == format!("{time:.3}"));
    }
    let order: Vec<_> = lines.iter().map(|line| &line["event"]).collect();
    assert_eq!(order.first().unwrap().as_str(), Some("manifest"));
    assert_eq!(order.last().unwrap().as_str(), Some("summary"));
    assert_eq!(named(&lines, "started").len(), 5);
    assert_eq!(named(&lines, "done").len(), 4);
    let output = named(&lines, "output");
    assert_eq!(output[0]["text"], "100%: no, three\n");
    assert_eq!(output[0]["stream"], "stderr");
    let failed = named(&lines, "failed");
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0]["task"], output[0]["task"]);
    assert!(failed[0]["elapsed_seconds"].as_f64().unwrap() > 0.0);
    assert!(failed[0]["worker"].is_u64());
    let summary = lines.last().unwrap();
    assert_eq!(summary["executed"], 4);
    assert_eq!(summary["final_outputs"], 3);
    assert_eq!(summary["failures"][0]["input_name"], "3_work");
}

#[test]
fn quiet_leaves_what_is_urgent() {
    let done = Test::with(FAN_OUT).call(&["-run", "-quiet", "-log-format=json"]);
    let lines = lines(&done.stderr);
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["event"], "failed");
}

#[test]
fn errors_are_objects_too() {
    let bad = "[[step]]\nname = 'a'\nstart = true\nscirpt = 'x'\n";
    for (manifest, arguments, words) in [
        (FAN_OUT, &["-rum"][..], "-rum"),
        (FAN_OUT, &["-run", "-start", "wrok"], "no step `wrok`"),
        (FAN_OUT, &["-manifest", "none.toml"], "none.toml"),
        (bad, &["check"], "scirpt"),
    ] {
        let mut arguments = arguments.to_vec();
        arguments.extend(["-log-format", "json"]);
        let done = Test::with(manifest).call(&arguments);
        assert_eq!(done.status.code(), Some(2), "{arguments:?}");
        let lines = lines(&done.stderr);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert_eq!(lines[0]["event"], "error");
        assert_eq!(lines[0]["kind"], "usage");
        assert_eq!(lines[0]["exit_status"], 2);
        let message = lines[0]["message"].as_str().unwrap();
        assert!(message.contains(words), "{message}");
        assert!(!message.contains('\u{1b}'), "{message}");
    }
}
