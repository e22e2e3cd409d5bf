//! What GitHub Actions is told.

use std::io::Read as _;
use std::process::Command;

use super::hostile::{Hostile, Kind};
use super::runner::{Heard, hear};
use super::{FAN_OUT, text};
use crate::harness::Test;

#[test]
fn failures_are_annotations_and_the_summary_is_on_the_page() {
    let pipeline = Test::with(FAN_OUT);
    let page = pipeline.path("page.md");
    std::fs::write(&page, "before\n").unwrap();
    let done = pipeline
        .command(&["-run"])
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_STEP_SUMMARY", &page)
        .output()
        .unwrap();
    assert_eq!(done.status.code(), Some(1));
    assert_eq!(text(&done.stdout), "");
    let (heard, listens) = hear(text(&done.stderr));
    assert!(listens);
    let [annotation] = heard.as_slice() else {
        panic!("{heard:?}");
    };
    assert_eq!(annotation.name, "error");
    assert_eq!(annotation.properties, "title=work #4 failed");
    assert_eq!(annotation.data, "exit status 7%0A100%25: no, three");
    let page = pipeline.read("page.md");
    assert!(page.starts_with("before\n### Runset "), "{page}");
    assert!(page.contains("| work | 3 | 0 | 1 | 0 |"), "{page}");
    assert!(
        page.contains("```text\nexit status 7\n100%: no, three\n```"),
        "{page}"
    );
}

#[test]
fn a_page_that_cannot_be_written_is_a_warning() {
    let done = Test::with(FAN_OUT)
        .command(&["-run"])
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_STEP_SUMMARY", "/no/such/page")
        .output()
        .unwrap();
    assert_eq!(done.status.code(), Some(1));
    let words = text(&done.stderr);
    assert!(
        words.contains("warning: cannot write the summary to /no/such/page"),
        "{words}"
    );
}

#[test]
fn elsewhere_standard_output_stays_for_data() {
    let done = Test::with(FAN_OUT)
        .command(&["-run"])
        .env("GITHUB_ACTIONS", "false")
        .output()
        .unwrap();
    assert_eq!(text(&done.stdout), "");
}

/// What a command writes to the one pipe that both its outputs are.
fn both(mut command: Command) -> String {
    let (mut read, write) = std::io::pipe().unwrap();
    command.env("GITHUB_ACTIONS", "true");
    command.stdout(write.try_clone().unwrap()).stderr(write);
    let mut child = command.spawn().unwrap();
    drop(command);
    let mut all = Vec::new();
    read.read_to_end(&mut all).unwrap();
    child.wait().unwrap();
    String::from_utf8_lossy(&all).into_owned()
}

/// The failures of a hostile run, and nothing else.
fn assert_own(heard: &[Heard], of: &dyn std::fmt::Debug) {
    let mut titles: Vec<&str> = heard.iter().map(|one| &*one.properties).collect();
    titles.sort_unstable();
    assert_eq!(
        titles,
        ["title=##[error]work #3 failed", "title=folder #4 failed"],
        "{of:?}: {heard:?}"
    );
    assert!(heard.iter().all(|one| one.name == "error"));
    let data: String = heard.iter().map(|one| &*one.data).collect();
    assert!(!data.contains('\u{1b}'), "{data}");
}

#[test]
fn nothing_but_annotations_acts_while_it_runs() {
    for options in [
        &[][..],
        &["-verbose"],
        &["-quiet"],
        &["-verbose", "-log-format", "json"],
    ] {
        let hostile = Hostile::new();
        let all = both(hostile.command(&hostile.run(options)));
        let (heard, listens) = hear(&all);
        assert!(listens, "{all}");
        assert_own(&heard, &options);
    }
    // By two pipes, that may be read in any order.
    let hostile = Hostile::new();
    let done = hostile
        .command(&hostile.run(&["-verbose", "-log-format", "json"]))
        .env("GITHUB_ACTIONS", "true")
        .output()
        .unwrap();
    assert_own(&hear(text(&done.stdout)).0, &"json");
    assert_eq!(hear(text(&done.stderr)).0, []);
    for line in text(&done.stderr).lines() {
        let _: serde_json::Value = serde_json::from_str(line).unwrap();
    }
}

#[test]
fn nothing_acts_whatever_is_asked() {
    let hostile = Hostile::after_a_run();
    let (mut quoted, mut stopped) = (0, 0);
    for (kind, words) in hostile.questions() {
        let all = both(hostile.command(&words));
        assert_eq!(hear(&all), (Vec::new(), true), "{words:?}: {all}");
        let done = hostile
            .command(&words)
            .env("GITHUB_ACTIONS", "true")
            .output()
            .unwrap();
        for part in [&done.stdout, &done.stderr] {
            let part = String::from_utf8_lossy(part);
            assert_eq!(hear(&part), (Vec::new(), true), "{words:?}: {part}");
            quoted += usize::from(part.contains("::set-env"));
        }
        if String::from_utf8_lossy(&done.stdout).contains("::stop-commands::") {
            assert_ne!(kind, Kind::Text, "{words:?}");
            stopped += 1;
        }
    }
    assert!(quoted > 20 && stopped > 3, "{quoted} {stopped}");
}

/// The text less the fence.
fn unfenced(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut token = None;
    let mut rest = String::new();
    for line in text.split_inclusive('\n') {
        if let Some(word) = line.strip_prefix("::stop-commands::") {
            token = Some(format!("::{}::\n", word.trim_end()));
        } else if token.as_deref() != Some(line) {
            rest.push_str(line);
        }
    }
    rest
}

#[test]
fn logs_without_commands_and_files_get_the_bytes() {
    let hostile = Hostile::after_a_run();
    let logs: Vec<Vec<String>> = hostile
        .questions()
        .into_iter()
        .filter(|(kind, _)| *kind == Kind::Bytes)
        .map(|(_, words)| words)
        .collect();
    let log = |words: &[String], github: &str| {
        let mut command = hostile.command(words);
        command.env("GITHUB_ACTIONS", github);
        command
    };
    let bytes = |words: &[String]| log(words, "false").output().unwrap().stdout;
    assert_eq!(
        log(&logs[0], "true").output().unwrap().stdout,
        bytes(&logs[0])
    );
    for words in &logs {
        let path = hostile.path("log");
        let file = std::fs::File::create(&path).unwrap();
        assert!(log(words, "true").stdout(file).status().unwrap().success());
        assert_eq!(std::fs::read(&path).unwrap(), bytes(words));
        let fenced = log(words, "true").output().unwrap().stdout;
        assert_eq!(unfenced(&fenced), String::from_utf8_lossy(&bytes(words)));
    }
}
