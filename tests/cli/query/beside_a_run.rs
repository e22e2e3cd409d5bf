//! Questions while a run goes on.

use std::fs;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::harness::Test;

/// A run that a test which fails does not leave behind.
struct Run(Child);

impl Drop for Run {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn every_question_is_answered_while_a_run_goes_on() {
    let world = Test::with(
        r#"
[[step]]
name = "first"
start = true
script = 'echo hello > "$OUTPUT_DIR/x_wait.txt"; echo done > "$OUTPUT_DIR/done.txt"'

[[step]]
name = "wait"
script = 'touch started; while [ -e started ] && [ ! -e go ]; do sleep 0.05; done'
"#,
    );
    let mut run = Run(world
        .command(&["-run", "-quiet"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap());
    let begin = Instant::now();
    while !world.path("started").exists() {
        assert!(begin.elapsed() < Duration::from_mins(1));
        std::thread::sleep(Duration::from_millis(20));
    }
    let status = world.json(&["status", "-json"]);
    assert_eq!(status["state"], "running");
    assert_eq!(status["running"], run.0.id());
    assert_eq!(
        world
            .text(&["tasks", "-state", "pending", "-json"])
            .lines()
            .count(),
        1
    );
    assert!(world.text(&["why", "wait"]).contains("1 pending"));
    assert!(world.text(&["trace", "done.txt"]).contains('◀'));
    assert!(
        world
            .text(&["-run", "-dry-run"])
            .contains("wait v1   would run 1")
    );
    world.text(&["export", "-to", "out"]);
    assert_eq!(
        fs::read_to_string(world.path("out/done.txt")).unwrap(),
        "done\n"
    );
    assert_eq!(world.text(&["cat", "1", "x_wait.txt"]), "hello\n");

    fs::write(world.path("go"), "").unwrap();
    assert!(run.0.wait().unwrap().success());
    assert_eq!(world.json(&["status", "-json"])["state"], "done");
}
