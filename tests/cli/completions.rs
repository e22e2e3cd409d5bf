//! Completions in the shells themselves: what is typed, a tab, and what comes of it.
//!
//! `TASK_PIPELINE_TESTS_WITHOUT_SHELLS=1` leaves them out.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::harness::Test;

/// What is typed, and what it is after a tab.
const TYPED: &[(&str, &str)] = &[
    ("task-pipeline sta", "status"),
    ("task-pipeline -migr", "-migrate-tainted"),
    ("task-pipeline --migr", "--migrate-tainted"),
    ("task-pipeline -run -fre", "-fresh"),
    ("task-pipeline check -manif", "-manifest"),
    ("task-pipeline -db data check --manif", "--manifest"),
    ("task-pipeline log -fail", "-failed"),
    ("task-pipeline graph -format s", "svg"),
    ("task-pipeline -log-format js", "json"),
    ("task-pipeline -log-format=js", "-log-format=json"),
    ("task-pipeline -run -start proc", "process"),
    ("task-pipeline -db da", "dataset"),
    ("task-pipeline status -db=da", "-db=dataset"),
    ("task-pipeline check -manifest pi", "pipe.toml"),
    ("task-pipeline verif", "verify"),
    ("task-pipeline verify -quic", "-quick"),
    ("task-pipeline verify --samp", "--sample"),
    ("task-pipeline verify -rep", "-repair"),
    ("task-pipeline gc -keep-r", "-keep-runsets"),
    ("task-pipeline gc -max", "-max-size"),
    ("task-pipeline gc -old", "-older-than"),
    ("task-pipeline status -sto", "-store"),
    ("task-pipeline shell proc", "process"),
    ("task-pipeline shell process -host", "-host-env"),
    ("task-pipeline trace-files proc", "process"),
    ("task-pipeline -run -keep-f", "-keep-failed"),
    ("task-pipeline -run --unt", "--until"),
    ("task-pipeline -run -until proc", "process"),
    ("task-pipeline -run -only begin proc", "process"),
    ("task-pipeline -run -part", "-partition"),
    ("task-pipeline -run -inp", "-input"),
    ("task-pipeline -run -input in-", "in-x"),
    ("task-pipeline -migrate-tainted -accept proc", "process"),
    ("task-pipeline -run -params pi", "pipe.toml"),
    ("task-pipeline -run -param mo", "mode="),
    ("task-pipeline -run -param mode=fa", "mode=fast"),
    ("task-pipeline -run -param loud=t", "loud=true"),
    ("task-pipeline shell process -param=mo", "-param=mode="),
    ("task-pipeline -run -secret tok", "token="),
    ("task-pipeline -run -secret token=dataf", "token=datafile"),
    ("task-pipeline -run -limit lic", "licences="),
    ("task-pipeline -run -limit=lic", "-limit=licences="),
    ("task-pipeline -run -param mode=fast -only proc", "process"),
];

/// A folder with a manifest, a folder, a file, and the program on PATH; the
/// completions in `completions`.
fn folder(shell: &str) -> Test {
    let test = Test::with(
        "[limits]\nlicences = 2\n[params]\nmode = { type = 'string', default = 'fast', values = ['fast', 'slow'] }\n\
         loud = { type = 'bool', default = false }\n\
         [[input]]\nlines = 'echo in-x; echo other'\nstep = ['begin', 'process']\n\
         [[step]]\nname = 'begin'\nscript = ': $PARAM_mode $PARAM_loud'\n\
         [[step]]\nname = 'process'\nsecrets = ['token']\nscript = ': $SECRET_token'\n",
    );
    // What came in is known.
    test.run(["-run"]);
    std::fs::create_dir(test.path("dataset")).unwrap();
    test.write("datafile", "");
    test.write("pipe.toml", "");
    std::fs::create_dir(test.path("bin")).unwrap();
    let program = env!("CARGO_BIN_EXE_task-pipeline");
    std::os::unix::fs::symlink(program, test.path("bin/task-pipeline")).unwrap();
    let script = test.run(["completions", shell]).exits(0).stdout;
    test.write("completions", script);
    test
}

#[test]
fn tasks_are_offered_by_their_numbers() {
    let test = Test::with(
        "[[step]]\nname = 'begin'\nstart = true\n\
         script = 'for i in $(seq 12); do echo $i > $OUTPUT_DIR/${i}_work; done'\n\
         [[step]]\nname = 'work'\nparallel = 1\nscript = 'test $(cat $INPUT_FILE) != 3'\n",
    );
    test.run(["-run"]).exits(1);
    let offers = |words: &[&str]| {
        let mut all = vec!["complete", "--"];
        all.extend(words);
        test.text(&all)
    };
    let failed = "\twork on 3_work: failed\n";
    for words in [
        &["shell", "work", ""][..],
        &["trace-files", "work", ""],
        &["log", ""],
        &["trace", ""],
        &["cat", ""],
    ] {
        let told = offers(words);
        assert!(
            told.lines()
                .next()
                .is_some_and(|line| format!("{line}\n").ends_with(failed)),
            "{told}"
        );
        assert!(told.contains("13\twork on "), "{told}");
        assert_eq!(told.matches(": failed").count(), 1, "{told}");
    }
    // Of that step alone, and those that begin so.
    assert_eq!(offers(&["shell", "begin", ""]), "1\tbegin: done\n");
    let told = offers(&["log", "1"]);
    let told: Vec<&str> = told
        .lines()
        .filter_map(|line| line.split('\t').next())
        .collect();
    assert_eq!(told, ["13", "12", "11", "10", "1"]);
    assert_eq!(offers(&["log", "x"]), "");
    let why = offers(&["why", ""]);
    assert!(
        why.contains("begin\tstep\n") && why.contains(failed),
        "{why}"
    );
}

fn command(test: &Test, shell: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(shell);
    command
        .args(arguments)
        .current_dir(test.path(""))
        .env_clear()
        .env(
            "PATH",
            format!("{}:/usr/bin:/bin", test.path("bin").display()),
        )
        .env("HOME", test.path(""))
        .env("LANG", "C.UTF-8")
        .env("TERM", "dumb");
    command
}

fn left_out() -> bool {
    let out = std::env::var_os("TASK_PIPELINE_TESTS_WITHOUT_SHELLS").is_some_and(|v| v == "1");
    if out {
        eprintln!("left out: TASK_PIPELINE_TESTS_WITHOUT_SHELLS=1");
    }
    out
}

/// A shell at a terminal.
struct Typist {
    shell: Child,
    terminal: File,
    read: Receiver<Vec<u8>>,
}

impl Typist {
    fn start(mut command: Command) -> Self {
        let terminal = nix::pty::openpty(None, None).unwrap();
        let side = |slave: &std::os::fd::OwnedFd| Stdio::from(slave.try_clone().unwrap());
        let shell = command
            .stdin(side(&terminal.slave))
            .stdout(side(&terminal.slave))
            .stderr(side(&terminal.slave))
            .spawn()
            .unwrap_or_else(|error| {
                panic!(
                    "cannot start {command:?}: {error}; install it, or leave these tests out with \
                     TASK_PIPELINE_TESTS_WITHOUT_SHELLS=1"
                )
            });
        let (sender, read) = channel();
        let mut output = File::from(terminal.master.try_clone().unwrap());
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut buffer) {
                if sender.send(buffer[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            shell,
            terminal: terminal.master.into(),
            read,
        }
    }

    /// Types a line.
    fn line(&mut self, line: &str) {
        self.terminal
            .write_all(format!("{line}\n").as_bytes())
            .unwrap();
    }

    /// What a line is after a tab: `echo` says it.
    fn completes(&mut self, typed: &str) -> String {
        let keys = format!("{typed}\t\u{1}echo : \u{5} :\n");
        self.terminal.write_all(keys.as_bytes()).unwrap();
        let mut shown = Vec::new();
        loop {
            let text = String::from_utf8_lossy(&shown).into_owned();
            let mut lines = text.split(['\r', '\n']);
            if let Some(line) = lines.find_map(|line| line.strip_prefix(": ")?.strip_suffix(" :")) {
                // Zsh takes back the slash behind a folder's name.
                return line.trim_end().trim_end_matches('/').to_owned();
            }
            match self.read.recv_timeout(Duration::from_secs(30)) {
                Ok(more) => shown.extend(more),
                Err(error) => panic!("{keys:?}: {error}: {text}"),
            }
        }
    }
}

impl Drop for Typist {
    fn drop(&mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

fn all_complete(mut typist: Typist) {
    for (typed, last) in TYPED {
        let before = typed.rsplit_once(' ').unwrap().0;
        assert_eq!(typist.completes(typed), format!("{before} {last}"));
    }
}

#[test]
fn bash_completes() {
    if left_out() {
        return;
    }
    let test = folder("bash");
    let mut typist = Typist::start(command(&test, "bash", &["--norc", "--noprofile", "-i"]));
    typist.line(". ./completions");
    all_complete(typist);
}

#[test]
fn zsh_completes() {
    if left_out() {
        return;
    }
    let test = folder("zsh");
    let mut typist = Typist::start(command(&test, "zsh", &["-f", "-i"]));
    typist.line("bindkey -e; autoload -Uz compinit; compinit -u -D; . ./completions");
    all_complete(typist);
}

#[test]
fn fish_completes() {
    if left_out() {
        return;
    }
    let test = folder("fish");
    for (typed, last) in TYPED {
        let script = format!("source completions; complete -C '{typed}'");
        let output = command(&test, "fish", &["--no-config", "-c", &script])
            .output()
            .unwrap();
        let offers = String::from_utf8_lossy(&output.stdout).into_owned();
        let words: Vec<&str> = offers
            .lines()
            .filter_map(|line| line.split('\t').next())
            .collect();
        let words: Vec<&str> = words
            .iter()
            .map(|word| word.trim_end_matches('/'))
            .collect();
        assert_eq!(words, [*last], "{typed}: {output:?}");
    }
}
