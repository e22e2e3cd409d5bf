//! A pipeline whose names, scripts and outputs are written to act on whoever reads of them.

use std::io::Read as _;
use std::process::{Command, Stdio};

use crate::harness::Test;

/// What stands in names: a title, a new line, a command for a CI.
const EVIL: &str =
    "\u{1b}]0;title\u{7}\u{1b}[2J\u{9b}2J\n::error::faked\r  ::set-env name=A::b\u{202e}";

/// Its steps are called like commands, its outputs have [`EVIL`] names, and one step fails having
/// written all kinds of sequences, another leaves a folder.
const MANIFEST: &str = r###"
[[step]]
name = "::error title=a::start"
start = true
env = { V = "\u001b]0;v\u0007\n::error::v" }
script = '''
name=$(printf 'e\033]0;title\007\033[2J\302\2332J\n::error::faked\r  ::set-env name=A::b\342\200\256##[error]legacy')
: > "$OUTPUT_DIR/${name}_##[error]work"
: > "$OUTPUT_DIR/${name}_folder"
: > "$OUTPUT_DIR/$name.txt"
: > "$OUTPUT_DIR/wrk"
printf '\033[32mcoloured\n'
'''

[[step]]
name = "##[error]work"
script = '''
printf '\033]52;c;aGk=\007\033]0;t\033\\\033[2J\033[3;1H\033[?25l\302\2332J\302\2350;x\302\234\2332J\n'
printf 'one\r::error::overwritten\n\342\200\256bidi\342\201\246\177\010\016\n' >&2
printf '::error::at the start\n   ::set-env name=A::b\n##[error]legacy\n##[add-path]x\n' | tee /dev/stderr
printf '\033[31mred' >&2
exit 3
'''

[[step]]
name = "folder"
script = '''mkdir "$OUTPUT_DIR/$(printf 'd\033]0;t\007\n::error::faked')"'''

[[step]]
name = "work"
script = ":"
"###;

/// The pipeline, in files and a db of [`EVIL`] names, and its runset's name.
pub struct Hostile {
    pipeline: Test,
    manifest: String,
    db: String,
    runset: String,
}

/// What a call is expected to leave on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text for people, or JSON.
    Text,
    /// A page or a graph for another program, safe by its own escapes.
    Page,
    /// What a task wrote: in a pipe, the bytes.
    Bytes,
}

impl Hostile {
    pub fn new() -> Self {
        let hostile = Self {
            pipeline: Test::with(""),
            manifest: format!("m{EVIL}.toml"),
            db: format!("db{EVIL}"),
            runset: format!("r{EVIL}"),
        };
        hostile.write(MANIFEST);
        hostile
    }

    /// The same after a run, whose steps have changed since.
    pub fn after_a_run() -> Self {
        let hostile = Self::new();
        let done = hostile.command(&hostile.run(&["-quiet"])).output().unwrap();
        assert_eq!(done.status.code(), Some(1), "{done:?}");
        hostile
            .write(&MANIFEST.replace("script = '''", "script = '''\n# a line more: ::error::x\n"));
        hostile
    }

    fn write(&self, manifest: &str) {
        std::fs::write(self.pipeline.path(&self.manifest), manifest).unwrap();
    }

    pub fn path(&self, name: &str) -> std::path::PathBuf {
        self.pipeline.path(name)
    }

    /// The program with these words, as they are.
    pub fn command(&self, words: &[String]) -> Command {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.pipeline.command(&words)
    }

    /// The words of a call: the subcommand, where everything is, the rest.
    fn call(&self, words: &[&str]) -> Vec<String> {
        let (subcommand, rest) = match words {
            [first, rest @ ..] if !first.starts_with('-') => (Some(*first), rest),
            all => (None, all),
        };
        let mut all: Vec<String> = subcommand.into_iter().map(str::to_owned).collect();
        for (option, value) in [("-manifest", &self.manifest), ("-db", &self.db)] {
            if !rest.contains(&option) {
                all.extend([option, value].map(str::to_owned));
            }
        }
        all.extend(rest.iter().map(|word| (*word).to_owned()));
        all
    }

    /// The words of a run.
    pub fn run(&self, more: &[&str]) -> Vec<String> {
        let mut words = self.call(&["-run", "-runset", &self.runset]);
        words.extend(more.iter().map(|word| (*word).to_owned()));
        words
    }

    /// Every way to ask about it; tasks 2 and 3 are the failed ones.
    pub fn questions(&self) -> Vec<(Kind, Vec<String>)> {
        let evil = EVIL;
        let text: &[&[&str]] = &[
            &[],
            &["-run", "-dry-run"],
            &["-run", "-dry-run", "-runset", evil],
            &["-run", "-start", evil],
            &["-run", "-fresh", "-runset", &self.runset],
            &["-run", "-workdir", evil],
            &["-run", "-trace", &format!("{evil}/t.json")],
            &["-migrate-tainted", "-runset", evil],
            &["check"],
            &["check", "-manifest", evil],
            &["lock"],
            &["status"],
            &["status", "-json"],
            &["status", "-runset", evil],
            &["status", "-db", evil],
            &["tasks"],
            &["tasks", "-json"],
            &["tasks", "-step", evil],
            &["why", "##[error]work"],
            &["why", "::error title=a::start"],
            &["why", "1"],
            &["why", "2"],
            &["why", "3"],
            &["why", "4"],
            &["why", evil],
            &["trace", "1"],
            &["trace", "1", "-json"],
            &["trace", evil],
            &["cat", evil],
            &["cat", "1"],
            &["cat", "1", evil],
            &["log", evil],
            &["log", "1", "99"],
            &["export", evil],
            &["export", "-to", &format!("out{evil}")],
            &["export", "-to", &format!("out{evil}")],
            &["export", "-to", &self.manifest],
            &["graph"],
            &["graph", "-runset", evil],
            &["report", "-o", &format!("{evil}/r.html")],
            &["report", "-o", &format!("page{evil}.html")],
            &["complete", "--", "status", "-runset", ""],
            &["complete", "--", "why", ""],
            &[evil],
            &[&format!("-{evil}")],
            &["tasks", "-state", evil],
            &["-help"],
        ];
        let bytes: &[&[&str]] = &[
            &["log", "1"],
            &["log", "2"],
            &["log", "2", "-stderr"],
            &["log", "2", "3"],
            &["log", "-failed"],
        ];
        let page: &[&[&str]] = &[
            &["graph", "-format", "dot"],
            &["graph", "-format", "mermaid"],
            &["graph", "-format", "svg"],
            &["report", "-o", "-"],
        ];
        let of = |kind, calls: &[&[&str]]| -> Vec<_> {
            calls.iter().map(|words| (kind, self.call(words))).collect()
        };
        [
            of(Kind::Text, text),
            of(Kind::Page, page),
            of(Kind::Bytes, bytes),
        ]
        .concat()
    }
}

/// What a command sends to the terminal that both its outputs are.
pub fn on_terminal(mut command: Command) -> String {
    let pty = nix::pty::openpty(None, None).unwrap();
    command
        .stdin(Stdio::null())
        .stdout(pty.slave.try_clone().unwrap())
        .stderr(pty.slave);
    let mut child = command.spawn().unwrap();
    // The other end is closed once the child's are.
    drop(command);
    let mut terminal = std::fs::File::from(pty.master);
    let mut sent = Vec::new();
    let mut part = [0; 4096];
    // The end of a terminal is an error.
    while let Ok(length @ 1..) = terminal.read(&mut part) {
        sent.extend_from_slice(&part[..length]);
    }
    child.wait().unwrap();
    String::from_utf8(sent).unwrap()
}
