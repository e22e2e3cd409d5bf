//! No byte of a script or of a name acts on the terminal where it is read.

use super::hostile::{Hostile, Kind, on_terminal};
use super::text;

/// The text without colours, which must all have ended.
fn without_colours(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let mut bare = parts.next().unwrap_or_default().to_owned();
    let mut last = "0";
    for part in parts {
        let end = part.find(|c: char| !matches!(c, '0'..='9' | ';' | ':'));
        let (codes, rest) = part.split_at(end.unwrap_or(part.len()));
        if let Some(rest) = rest.strip_prefix('m') {
            last = codes;
            bare.push_str(rest);
        } else {
            bare.push_str("\u{1b}[");
            bare.push_str(part);
        }
    }
    assert!(
        last.trim_matches('0').is_empty(),
        "a colour stays on: {text:?}"
    );
    bare
}

/// The text without what bars draw with.
fn without_bars(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let mut bare = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let codes = part
            .trim_start_matches('[')
            .trim_start_matches(|c: char| c.is_ascii_digit());
        // Up and down by lines, the rest of a line or of the screen, a line. Scripts and names
        // here use none of them.
        match codes.strip_prefix(['A', 'B', 'J', 'K']) {
            Some(rest) if !part.starts_with("[2J") => bare.push_str(rest),
            _ => {
                bare.push('\u{1b}');
                bare.push_str(part);
            }
        }
    }
    bare.replace('\r', "")
}

fn assert_calm(text: &str, of: &dyn std::fmt::Debug) {
    let acts = |c: char| {
        c.is_control() && c != '\n' && c != '\t'
            || matches!(c, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if let Some(c) = text.chars().find(|c| acts(*c)) {
        panic!("{of:?} lets {c:?} through: {text:?}");
    }
}

#[test]
fn whatever_is_asked() {
    let hostile = Hostile::after_a_run();
    for (kind, words) in hostile.questions() {
        let mut command = hostile.command(&words);
        command.env("TERM", "xterm");
        let sent = on_terminal(command).replace("\r\n", "\n");
        assert_calm(&without_colours(&sent), &words);
        if kind == Kind::Text {
            let fakes = |line: &str| {
                let line = line.trim_start();
                line.starts_with("::error::") || line.starts_with("::set-env")
            };
            assert!(!sent.lines().any(fakes), "{words:?}: {sent}");
        }
    }
}

#[test]
fn while_it_runs() {
    for options in [
        &[][..],
        &["-verbose"],
        &["-quiet"],
        &["-verbose", "-log-format", "json"],
    ] {
        for terminal in ["dumb", "xterm"] {
            let hostile = Hostile::new();
            let mut command = hostile.command(&hostile.run(options));
            command.env("TERM", terminal);
            let sent = on_terminal(command).replace("\r\n", "\n");
            assert!(sent.contains("exit status 3"), "{sent}");
            let sent = if terminal == "dumb" {
                sent
            } else {
                without_bars(&sent)
            };
            assert_calm(&without_colours(&sent), &(options, terminal));
        }
    }
}

#[test]
fn a_file_gets_the_bytes_of_logs_and_messages_that_are_safe_there_too() {
    let hostile = Hostile::after_a_run();
    for (kind, words) in hostile.questions() {
        let done = hostile.command(&words).output().unwrap();
        assert_calm(&without_colours(text(&done.stderr)), &words);
        if kind != Kind::Bytes {
            assert_calm(text(&done.stdout), &words);
        }
    }
}

#[test]
fn a_log_has_its_colours_on_a_terminal_and_its_bytes_in_a_pipe() {
    let hostile = Hostile::after_a_run();
    let (_, log) = hostile
        .questions()
        .into_iter()
        .find(|(kind, _)| *kind == Kind::Bytes)
        .unwrap();
    let sent = on_terminal(hostile.command(&log));
    assert_eq!(sent, "\u{1b}[32mcoloured\r\n\u{1b}[0m");
    let done = hostile.command(&log).output().unwrap();
    assert_eq!(done.stdout, b"\x1b[32mcoloured\n");
}
