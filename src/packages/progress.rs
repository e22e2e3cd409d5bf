//! What Nix says while it works (`--log-format internal-json`): short lines for the user, and
//! what is needed to explain a failure.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

use super::Progress;
use super::store_path::short_name;

/// Kinds of activities and results, as Nix numbers them (`logging.hh`).
const COPY_PATHS: u64 = 103;
const FILE_TRANSFER: u64 = 101;
const BUILDS: u64 = 104;
const BUILD: u64 = 105;
const SUBSTITUTE: u64 = 108;
const RESULT_LOG_LINE: u64 = 101;
const RESULT_PROGRESS: u64 = 105;

/// The last lines of a build's log that are kept.
const TAIL: usize = 12;
/// The last messages that are kept besides errors.
const PLAIN: usize = 60;
/// The lines of programs below Nix that are kept.
const OUTSIDE: usize = 1000;

/// Collects what one call of Nix says.
pub(super) struct Listener<'a> {
    progress: &'a mut dyn FnMut(Progress),
    /// Running activities that matter: kind, and the derivation for a build.
    activities: BTreeMap<u64, (u64, String)>,
    /// Done and expected: builds, copies.
    builds: (u64, u64),
    copies: (u64, u64),
    heard: Heard,
}

/// What remains of a call's messages.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// Messages of the level "error", without colours.
    pub errors: Vec<String>,
    /// The last messages of other levels and lines outside the protocol, without colours.
    pub plain: VecDeque<String>,
    /// Lines outside the protocol: words of programs that Nix calls. The first of each, should there
    /// be very many.
    pub outside: Vec<String>,
    /// By derivation: the last lines of its build's log.
    pub logs: BTreeMap<String, VecDeque<String>>,
}

impl<'a> Listener<'a> {
    /// One that tells `progress` what goes on.
    pub(super) fn new(progress: &'a mut dyn FnMut(Progress)) -> Self {
        Self {
            progress,
            activities: BTreeMap::new(),
            builds: (0, 0),
            copies: (0, 0),
            heard: Heard::default(),
        }
    }

    /// Takes one line of standard error.
    pub(super) fn line(&mut self, line: &str) {
        let message = line
            .strip_prefix("@nix ")
            .and_then(|json| serde_json::from_str::<Value>(json).ok());
        if let Some(message) = message {
            self.message(&message);
            return;
        }
        let line = strip_ansi(line);
        if self.heard.outside.len() < OUTSIDE {
            self.heard.outside.push(line.clone());
        }
        push(&mut self.heard.plain, line, PLAIN);
    }

    /// What is left to explain a failure with.
    pub(super) fn finish(self) -> Heard {
        self.heard
    }

    fn message(&mut self, message: &Value) {
        let id = message["id"].as_u64().unwrap_or_default();
        let kind = message["type"].as_u64().unwrap_or_default();
        match message["action"].as_str() {
            Some("msg") => self.text(message),
            Some("start") => self.start(id, kind, message),
            Some("stop") => {
                self.activities.remove(&id);
            }
            Some("result") => self.result(id, kind, &message["fields"]),
            _ => {}
        }
    }

    fn text(&mut self, message: &Value) {
        let text = strip_ansi(message["msg"].as_str().unwrap_or_default());
        let level = message["level"].as_u64();
        // Some warnings have the level of errors.
        let warning = text.strip_prefix("warning:").map(str::trim_start);
        match (level, warning) {
            (Some(0 | 1), Some(warning)) => self.warn(warning),
            (Some(0), None) => self.heard.errors.push(text),
            (Some(1), None) => self.warn(&text),
            _ => push(&mut self.heard.plain, text, PLAIN),
        }
    }

    fn warn(&mut self, text: &str) {
        // Only our own generated flake has its lock file created or updated, and roots are made
        // where they are wanted.
        if text.contains("lock file") || text.contains("did not specify '--add-root'") {
            return;
        }
        // How long it waits is another time each time, and the warning the same.
        let text = match text.split_once("; retrying in ") {
            Some((what, _)) => {
                let what = what.strip_prefix("error:").unwrap_or(what).trim_start();
                format!("{what}; Nix tries again")
            }
            None => text.to_owned(),
        };
        (self.progress)(Progress::Warning(format!("nix: {text}")));
    }

    fn start(&mut self, id: u64, kind: u64, message: &Value) {
        let field = message["fields"][0].as_str().unwrap_or_default();
        match kind {
            BUILD => {
                self.say("building", short_name(field), self.builds);
                self.heard.logs.entry(field.to_owned()).or_default();
            }
            SUBSTITUTE => {
                let from = message["fields"][1].as_str().unwrap_or_default();
                let what = format!("{} from {from}", short_name(field));
                self.say("downloading", &what, self.copies);
            }
            // Of the files, those that belong to a store path are told by the activity above.
            FILE_TRANSFER if is_source(field) => self.say("downloading", field, (0, 0)),
            BUILDS | COPY_PATHS => {}
            _ => return,
        }
        self.activities.insert(id, (kind, field.to_owned()));
    }

    fn say(&mut self, doing: &str, what: &str, (done, of): (u64, u64)) {
        let count = if of > 1 {
            format!(" ({} of {of})", (done + 1).min(of))
        } else {
            String::new()
        };
        (self.progress)(Progress::Line(format!("{doing} {what}{count}")));
    }

    fn result(&mut self, id: u64, kind: u64, fields: &Value) {
        let Some((activity, name)) = self.activities.get(&id) else {
            return;
        };
        match (kind, *activity) {
            (RESULT_LOG_LINE, BUILD) => {
                let line = strip_ansi(fields[0].as_str().unwrap_or_default());
                let tail = self.heard.logs.entry(name.clone()).or_default();
                push(tail, line.clone(), TAIL);
                (self.progress)(Progress::Log {
                    package: short_name(name).to_owned(),
                    line,
                });
            }
            (RESULT_PROGRESS, BUILDS | COPY_PATHS) => {
                let number = |at: usize| fields[at].as_u64().unwrap_or_default();
                // Done, expected, running, failed: those that run were started before this one.
                let counts = (number(0) + number(2) + number(3), number(1));
                if *activity == BUILDS {
                    self.builds = counts;
                } else {
                    self.copies = counts;
                }
            }
            _ => {}
        }
    }
}

fn is_source(url: &str) -> bool {
    let path = url.split('?').next().unwrap_or_default();
    let end = path.rsplit('/').next().unwrap_or_default();
    !(url.is_empty()
        || end.ends_with(".narinfo")
        || end == "nix-cache-info"
        || path.contains("/nar/"))
}

fn push(lines: &mut VecDeque<String>, line: String, most: usize) {
    if lines.len() == most {
        lines.pop_front();
    }
    lines.push_back(line);
}

/// `text` without the escape sequences of a terminal and other control characters but line ends
/// and tabs.
pub(super) fn strip_ansi(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => skip_escape(&mut chars),
            '\n' | '\t' => plain.push(c),
            c if c.is_control() => {}
            c => plain.push(c),
        }
    }
    plain
}

fn skip_escape(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match chars.next() {
        // CSI: up to its final letter.
        Some('[') => {
            let _ = chars.find(|c| ('@'..='~').contains(c));
        }
        // OSC (links, titles): up to BEL or ESC \.
        Some(']') => {
            while let Some(c) = chars.next() {
                if c == '\u{7}' || c == '\u{1b}' && chars.next_if_eq(&'\\').is_some() {
                    break;
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hear(lines: &str) -> (Vec<Progress>, Heard) {
        let mut said = Vec::new();
        let mut progress = |p| said.push(p);
        let mut listener = Listener::new(&mut progress);
        lines.lines().for_each(|line| listener.line(line));
        let heard = listener.finish();
        (said, heard)
    }

    #[test]
    fn builds_downloads_and_their_counts() {
        let hash = "0c0n1xjwdkkzg5y0b9hmkvlkdbzjbfgw";
        let (said, heard) = hear(&format!(
            r#"@nix {{"action":"start","id":1,"level":0,"text":"","type":104}}
@nix {{"action":"start","id":2,"level":0,"text":"","type":103}}
@nix {{"action":"result","fields":[1,3,0,0],"id":1,"type":105}}
@nix {{"action":"start","fields":["/nix/store/{hash}-jq-1.7.drv","",1,1],"id":3,"level":3,"text":"building","type":105}}
@nix {{"action":"result","fields":["\u001b[1mmaking\u001b[0m"],"id":3,"type":101}}
@nix {{"action":"start","fields":["/nix/store/{hash}-curl-8","https://cache.nixos.org"],"id":4,"level":4,"text":"","type":108}}
@nix {{"action":"start","fields":["https://cache.nixos.org/nar/x.nar.xz"],"id":5,"level":4,"text":"","type":101}}
@nix {{"action":"start","fields":["https://github.com/o/r/archive/x.tar.gz"],"id":6,"level":4,"text":"","type":101}}
@nix not json
plain"#
        ));
        let line = |text: &str| Progress::Line(text.to_owned());
        assert_eq!(
            said,
            [
                line("building jq-1.7 (2 of 3)"),
                Progress::Log {
                    package: "jq-1.7".into(),
                    line: "making".into()
                },
                line("downloading curl-8 from https://cache.nixos.org"),
                line("downloading https://github.com/o/r/archive/x.tar.gz"),
            ]
        );
        assert_eq!(heard.plain, ["@nix not json", "plain"]);
        assert_eq!(
            heard.logs[&format!("/nix/store/{hash}-jq-1.7.drv")],
            ["making"]
        );
    }

    #[test]
    fn errors_and_warnings_lose_their_colours() {
        let (said, heard) = hear(
            "@nix {\"action\":\"msg\",\"level\":0,\"msg\":\"\\u001b[31;1merror:\\u001b[0m no\"}\n\
             @nix {\"action\":\"msg\",\"level\":1,\"msg\":\"\\u001b[35mwarning:\\u001b[0m hm\"}\n\
             @nix {\"action\":\"msg\",\"level\":0,\"msg\":\"warning: the group\"}\n\
             @nix {\"action\":\"msg\",\"level\":1,\"msg\":\"warning: error: unable to download x; retrying in 345 ms\"}\n\
             @nix {\"action\":\"msg\",\"level\":1,\"msg\":\"warning: creating lock file x\"}",
        );
        assert_eq!(heard.errors, ["error: no"]);
        let warning = |text: &str| Progress::Warning(text.to_owned());
        let retried = warning("nix: unable to download x; Nix tries again");
        assert_eq!(
            said,
            [warning("nix: hm"), warning("nix: the group"), retried]
        );
    }

    #[test]
    fn escapes() {
        assert_eq!(
            strip_ansi("a\u{1b}[1;31mb\u{1b}]8;;http://x\u{7}c\u{1b}]0;t\u{1b}\\d\r\u{8}"),
            "abcd"
        );
        assert_eq!(strip_ansi("\u{1b}"), "");
    }
}
