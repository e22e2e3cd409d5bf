//! What tasks write, told while they run.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::text;
use crate::harness::Test;

/// Four tasks at a time, each of which writes its lines in pieces; then one that asks.
const PIECES: &str = r#"
[[step]]
name = "split"
start = true
script = 'for i in 1 2 3 4; do echo $i > "$OUTPUT_DIR/${i}_work"; done'

[[step]]
name = "work"
script = '''
i=0
while [ $i -lt 100 ]; do
    printf 'one line\303'; printf '\266 of '; printf 'four '; printf 'pieces\n'
    i=$((i + 1))
done
printf 'sure? '; sleep 0.4; printf 'yes'
'''
"#;

#[test]
fn lines_written_in_pieces_arrive_whole() {
    let done = Test::with(PIECES).call(&["-run", "-verbose", "-parallel", "4"]);
    assert_eq!(done.status.code(), Some(0));
    let words = text(&done.stderr);
    let said: Vec<&str> = words
        .lines()
        .filter_map(|line| line.split_once("| "))
        .map(|(_, said)| said)
        .collect();
    let count = |what: &str| said.iter().filter(|said| **said == what).count();
    // A machine that stands still for a moment is a pause.
    let whole = count("one lineö of four pieces");
    assert!(whole > 395, "{whole}");
    assert!(said.len() < 415, "{}", said.len());
    assert_eq!((count("sure? "), count("yes")), (4, 4));
}

#[test]
fn who_asks_is_heard_while_it_waits() {
    let pipeline = Test::with(PIECES);
    let mut run = pipeline
        .command(&["-run", "-verbose", "-log-format", "json"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut asked = Vec::new();
    let mut texts = Vec::new();
    for line in BufReader::new(run.stderr.take().unwrap()).lines() {
        let event: Value = serde_json::from_str(&line.unwrap()).unwrap();
        match (event["event"].as_str(), event["text"].as_str()) {
            (Some("output"), Some(said)) => {
                if said.ends_with("sure? ") {
                    asked.push((event["task"].clone(), Instant::now()));
                }
                texts.push(said.to_owned());
            }
            (Some("done"), _) => {
                let of = asked.iter().find(|(task, _)| *task == event["task"]);
                let early = of.map(|(_, when)| when.elapsed());
                assert!(
                    event["step"] == "split"
                        || early.is_some_and(|early| early > Duration::from_millis(150)),
                    "{event}"
                );
            }
            _ => {}
        }
    }
    assert!(run.wait().unwrap().success());
    assert_eq!(asked.len(), 4);
    assert!(!texts.concat().contains('\u{fffd}'));
}
