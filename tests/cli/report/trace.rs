//! `-trace FILE`.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{ENDLESS, FAN_OUT, text};
use crate::harness::{Test, wait_for};

fn spans(trace: &str) -> Vec<Value> {
    let trace: Value = serde_json::from_str(trace).unwrap();
    let entries = trace["traceEvents"].as_array().unwrap();
    let spans = entries.iter().filter(|entry| entry["ph"] == "X");
    spans.cloned().collect()
}

#[test]
fn every_execution_is_a_span_and_none_overlaps_on_a_worker() {
    let pipeline = Test::with(FAN_OUT);
    let done = pipeline.call(&["-run", "-parallel", "2", "-trace", "t.json"]);
    assert_eq!(done.status.code(), Some(1));
    let mut spans = spans(&pipeline.read("t.json"));
    assert_eq!(spans.len(), 5);
    let failed = spans
        .iter()
        .find(|span| span["args"]["result"] == "failed")
        .unwrap();
    assert_eq!(failed["cat"], "work");
    assert_eq!(failed["args"]["input"], "3_work");
    spans.sort_by_key(|span| (span["tid"].as_i64(), span["ts"].as_i64()));
    for pair in spans
        .windows(2)
        .filter(|pair| pair[0]["tid"] == pair[1]["tid"])
    {
        let number = |span: &Value, member: &str| span[member].as_i64().unwrap();
        // Starts are in whole milliseconds.
        let end = number(&pair[0], "ts") + number(&pair[0], "dur");
        assert!(end <= number(&pair[1], "ts") + 1000, "{pair:?}");
    }
}

#[test]
fn an_interrupted_run_leaves_a_whole_trace() {
    let pipeline = Test::with(ENDLESS);
    let mut run = pipeline
        .command(&["-run", "-verbose", "-trace", "t.json"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(run.stderr.take().unwrap()));
    assert!(lines.any(|line| line.unwrap().contains("started")));
    // The script itself begins a little later.
    wait_for("the script", || pipeline.path("begun").exists());
    let seen = Instant::now();
    std::thread::sleep(Duration::from_millis(50));
    let went_by = seen.elapsed().as_micros();
    let pid = rustix::process::Pid::from_raw(i32::try_from(run.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let began = Instant::now();
    let _ = lines.count();
    assert_eq!(run.wait().unwrap().code(), Some(130));
    assert!(began.elapsed() < Duration::from_secs(20));
    let spans = spans(&pipeline.read("t.json"));
    assert_eq!(spans.len(), 1);
    assert_eq!(spans[0]["args"]["result"], "cancelled");
    assert!(u128::from(spans[0]["dur"].as_u64().unwrap()) >= went_by);
}

#[test]
fn a_file_that_cannot_be_had_is_an_error_before_anything_runs() {
    let pipeline = Test::with(FAN_OUT);
    for file in ["no/t.json", ".", "/dev/null"] {
        let done = pipeline.call(&["-run", "-trace", file]);
        assert_eq!(done.status.code(), Some(2));
        let words = text(&done.stderr);
        assert!(
            words.starts_with(&format!("error: cannot write the trace {file}: ")),
            "{words}"
        );
        assert!(words.contains("\nhint: "), "{words}");
        assert!(!pipeline.path("db").exists());
    }
    assert!(std::fs::exists("/dev/null").unwrap());
    assert_eq!(pipeline.call(&["-trace", "t"]).status.code(), Some(2));
}
