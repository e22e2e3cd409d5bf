//! Progress bars, on a pseudo-terminal of `script` (util-linux).

use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use super::{FAN_OUT, text};
use crate::harness::Test;

/// Nine inputs of a step that takes a while; the third fails.
fn slow(seconds: &str) -> String {
    FAN_OUT
        .replace("1 2 3 4", "1 2 3 4 5 6 7 8 9")
        .replace("cp ", &format!("sleep {seconds}; cp "))
}

/// The one that shows a second going by.
static USUAL: LazyLock<(String, Duration)> =
    LazyLock::new(|| on_terminal(&Test::with(&slow("0.4")), (80, 24), ""));

/// What the terminal was sent, and how long it took.
fn on_terminal(pipeline: &Test, size: (u32, u32), more: &str) -> (String, Duration) {
    let program = env!("CARGO_BIN_EXE_task-pipeline");
    let (columns, rows) = size;
    let mut script = Command::new("script");
    pipeline.prepare(&mut script);
    let began = Instant::now();
    let done = script
        .env("TERM", "xterm")
        .args(["-q", "-e", "-c"])
        .arg(format!(
            "stty cols {columns} rows {rows}; {more} '{program}' -run -parallel 2"
        ))
        .arg("/dev/null")
        .stdin(Stdio::null())
        .output()
        .expect("`script` of util-linux is needed to test progress bars");
    assert_eq!(done.status.code(), Some(1), "{}", text(&done.stdout));
    (text(&done.stdout).to_owned(), began.elapsed())
}

/// `sent` without escape sequences.
fn bare(sent: &str) -> String {
    let mut parts = sent.split('\u{1b}');
    let mut bare = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| c.is_ascii_alphabetic()).unwrap();
        bare.push_str(&part[end + 1..]);
    }
    bare
}

#[test]
fn one_a_step_with_counts_failures_and_the_time_that_goes_by() {
    let (sent, took) = &*USUAL;
    let words = bare(sent);
    for part in ["total 0:00", "total 0:01", "work", "6/9", "1 failed", "━"] {
        assert!(words.contains(part), "{part}: {words}");
    }
    assert!(sent.contains("\u{1b}[31m"), "{sent}");
    let pictures = words.matches("total ").count();
    assert!(
        pictures as u128 <= took.as_millis() * 15 / 1000,
        "{pictures}"
    );
    // Done tasks are told by the bars alone; failures by lines.
    assert!(!words.contains("done in"), "{words}");
    assert_eq!(words.matches(": failed after ").count(), 1);
}

#[test]
fn the_bars_are_cleared_before_the_summary() {
    let (sent, _) = &*USUAL;
    let (_, end) = sent.rsplit_once("\u{1b}[2K").unwrap();
    let end = bare(end);
    assert!(end.trim_start().starts_with("runset "), "{end}");
    assert!(end.contains("9 run, 0 reused, 1 failed"), "{end}");
    assert!(end.trim_end().ends_with("100%: no, three"), "{end}");
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    let name = "処理する段階の長い名前と-größe-of-a-name-that-does-not-end";
    let pipeline = Test::with(&slow("0.1").replace("work", name));
    let (sent, _) = on_terminal(&pipeline, (40, 10), "");
    let bars: Vec<String> = bare(&sent)
        .lines()
        .filter(|line| line.contains('…'))
        .map(|line| line.trim_start_matches('\r').to_owned())
        .collect();
    assert!(!bars.is_empty());
    for line in bars {
        assert!(unicode_width::UnicodeWidthStr::width(&*line) < 40, "{line}");
    }
}

#[test]
fn without_colours_if_so_wanted() {
    let pipeline = Test::with(&slow("0.1"));
    let (sent, _) = on_terminal(&pipeline, (80, 24), "NO_COLOR=1");
    assert!(sent.contains("total 0:00"));
    assert!(
        !sent.contains("\u{1b}[3") && !sent.contains("\u{1b}[2m"),
        "{sent}"
    );
}

#[test]
fn plain_lines_on_a_terminal_that_can_do_no_more() {
    let pipeline = Test::with(FAN_OUT);
    let (sent, _) = on_terminal(&pipeline, (80, 24), "TERM=dumb");
    assert!(!sent.contains('\u{1b}'), "{sent}");
    assert_eq!(sent.matches(": done in ").count(), 4, "{sent}");
}
