//! Very many steps: what looks at all of them takes time and memory in proportion.

use std::fmt::Write as _;

use crate::harness::{Running, Test};

const STEPS: usize = 10_000;

/// Each step but the first names outputs for two others and one whose name is like a step's.
fn manifest() -> String {
    let mut text = String::new();
    for step in 0..STEPS {
        let (a, b) = ((step * 7 + 1) % STEPS, (step * 13 + 5) % STEPS);
        let script = match step {
            0 => ": > $OUTPUT_DIR/done".to_owned(),
            _ => format!(
                ": > $OUTPUT_DIR/x_step{a}; : > $OUTPUT_DIR/x_step{b}; : > $OUTPUT_DIR/x_setp{step}.txt"
            ),
        };
        let start = if step == 0 { "start = true\n" } else { "" };
        let _ = write!(
            text,
            "[[step]]\nname = 'step{step}'\n{start}script = '{script}'\n"
        );
    }
    text
}

/// Each of these took a minute to hours, and up to a gigabyte, when time or memory grew with the
/// square or the cube of the number; the harness waits for two minutes.
#[test]
fn ten_thousand_steps_are_looked_at() {
    let test = Test::with(&manifest());
    let call = |words: &str| {
        let limited = format!("ulimit -v 600000; exec $PROGRAM {words}");
        Running::start(test.shell(&limited)).end().exits(0)
    };
    call("check")
        .prints("x_setp9.txt → final output (did you mean step9?)")
        .prints("10000 final outputs, the first 1000 compared")
        .prints("10000 steps, no errors");
    call("graph")
        .prints("10000 steps in 2 groups of like names (-whole: each)")
        .prints("step*\n    9999 steps");
    let whole = call("graph -whole -format dot").stdout;
    assert_eq!(whole.matches(" [label=").count(), STEPS + 1);
    call("graph -format svg").prints("9999 steps");
    call("-run").says("1 run");
    call("status").prints("1 of 1 task finished");
    call("report -o report.html");
    let page = test.read("report.html");
    assert!(page.len() < 2_000_000, "{}", page.len());
    assert!(page.contains("10000 steps in 2 groups of like names"));
}

#[test]
fn a_long_chain_is_traced_in_short_lines_and_once() {
    const LONG: usize = 400;
    let mut manifest = String::new();
    for step in 0..LONG {
        let start = if step == 0 { "start = true\n" } else { "" };
        let _ = write!(
            manifest,
            "[[step]]\nname = 's{step}'\n{start}script = 'cat $INPUT_FILE > $OUTPUT_DIR/x_s{}'\n",
            step + 1
        );
    }
    let test = Test::with(&manifest);
    test.run(["-run"]).exits(0);
    // All of them have the empty object.
    for what in ["200", "e3b0c442"] {
        let tree = test.run(["trace", what]).exits(0).stdout;
        assert_eq!(tree.lines().count(), LONG + 1, "{what}");
        assert!(tree.lines().all(|line| line.chars().count() < 80), "{tree}");
    }
    let marks = test.run(["trace", "e3b0c442"]).exits(0);
    assert_eq!(marks.stdout.matches('◀').count(), 20);
}
