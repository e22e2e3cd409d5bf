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
    ("task-pipeline shell proc", "process"),
    ("task-pipeline trace-files proc", "process"),
    ("task-pipeline -run -until proc", "process"),
    ("task-pipeline -run -only begin proc", "process"),
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
    ("task-pipeline ru", "run"),
    ("task-pipeline run -fre", "-fresh"),
    ("task-pipeline run -executor la", "lab"),
    ("task-pipeline check -executor=la", "-executor=lab"),
    ("task-pipeline graph sv", "svg"),
    ("task-pipeline init samp", "samples"),
    ("task-pipeline log 1 2 proc", "process"),
    ("task-pipeline log -runset nig", "night"),
    ("task-pipeline trace tab", "table.csv"),
    ("task-pipeline export table.csv proc", "process"),
    ("task-pipeline cat 1 tab", "table.csv"),
    ("task-pipeline export plot:", "plot:1.svg"),
    ("task-pipeline lock -update hel", "hello"),
    (
        "task-pipeline -manifest other/pipe.toml run -start els",
        "elsewhere",
    ),
    (
        "task-pipeline -manifest=other/pipe.toml run -start els",
        "elsewhere",
    ),
    (
        "task-pipeline -f ~/other/pipe.toml run -start els",
        "elsewhere",
    ),
    ("task-pipeline -db nowhere log -runset al", "all"),
    ("task-pipeline shell process -- task-pip", "task-pipeline"),
];

/// The same with quotes: what is typed, and how it goes on.
const QUOTED: &[(&str, &str)] = &[
    ("task-pipeline export my", "task-pipeline export my out.txt"),
    (
        "task-pipeline export 'my o",
        "task-pipeline export my out.txt",
    ),
    (
        "task-pipeline export \"my o",
        "task-pipeline export my out.txt",
    ),
    (
        "task-pipeline export my\\ o",
        "task-pipeline export my out.txt",
    ),
    (
        "task-pipeline -manifest 'other/my pipe.toml' run -start els",
        "task-pipeline -manifest other/my pipe.toml run -start elsewhere",
    ),
    (
        "task-pipeline -manifest other/my\\ pipe.toml run -start els",
        "task-pipeline -manifest other/my pipe.toml run -start elsewhere",
    ),
];

/// A folder with a manifest, a folder, a file, and the program on PATH; the
/// completions in `completions`.
fn folder(shell: &str) -> Test {
    let test = Test::with(
        "[limits]\nlicences = 2\n[executors.lab]\nssh = ['lab']\n[params]\nmode = { type = 'string', default = 'fast', values = ['fast', 'slow'] }\n\
         loud = { type = 'bool', default = false }\n\
         [[input]]\nlines = 'echo in-x; echo other'\nstep = ['begin', 'process']\n\
         [[step]]\nname = 'begin'\nscript = 'cd $OUTPUT_DIR; touch table.csv my\\ out.txt plot:1.svg; : $PARAM_mode $PARAM_loud'\n\
         [[step]]\nname = 'process'\npackages = ['hello']\nsecrets = ['token']\nscript = ': $SECRET_token'\n",
    );
    // What came in and what came of it is known.
    test.write("secret", "rather long");
    let night = [
        "-run",
        "-host-env",
        "-runset",
        "night",
        "-secret",
        "token=secret",
    ];
    test.run(night).exits(0);
    std::fs::remove_file(test.path("secret")).unwrap();
    for name in ["other/pipe.toml", "other/my pipe.toml"] {
        test.write(
            name,
            "[[step]]\nname = 'elsewhere'\nstart = true\nscript = ':'\n",
        );
    }
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
        why.contains("begin\tstep: 1 done\n") && why.contains(failed),
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

fn all_complete(test: &Test, mut typist: Typist) {
    let home = test.path("").display().to_string();
    for (typed, last) in TYPED {
        let before = typed.rsplit_once(' ').unwrap().0.replace("~/", &home);
        let before = before.replace("//", "/");
        let whole = typist.completes(typed).replace("//", "/");
        assert_eq!(whole, format!("{before} {last}"));
    }
    for (typed, whole) in QUOTED {
        assert_eq!(typist.completes(typed), *whole, "{typed}");
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
    all_complete(&test, typist);
}

#[test]
fn zsh_completes() {
    if left_out() {
        return;
    }
    let test = folder("zsh");
    let mut typist = Typist::start(command(&test, "zsh", &["-f", "-i"]));
    typist.line("bindkey -e; autoload -Uz compinit; compinit -u -D; . ./completions");
    // As packages have it, it is loaded with the first tab.
    let script = test.run(["completions", "zsh"]).exits(0).stdout;
    test.write("site/_task-pipeline", script);
    let mut packaged = Typist::start(command(&test, "zsh", &["-f", "-i"]));
    packaged.line("bindkey -e; fpath=(./site $fpath); autoload -Uz compinit; compinit -u -D");
    let whole = packaged.completes("task-pipeline run -keep-g");
    assert_eq!(whole, "task-pipeline run -keep-going");
    all_complete(&test, typist);
}

#[test]
fn fish_completes() {
    if left_out() {
        return;
    }
    let test = folder("fish");
    let all = TYPED.iter().chain(QUOTED);
    let lines: Vec<&str> = all.map(|(typed, _)| *typed).collect();
    test.write("lines", lines.join("\n") + "\n");
    let script =
        "source completions; while read -l line; echo \"= $line\"; complete -C $line; end <lines";
    let output = command(&test, "fish", &["--no-config", "-c", script])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut told = told.lines();
    for (typed, last) in TYPED.iter().chain(QUOTED) {
        let mut line = || told.next().unwrap_or_default();
        assert_eq!(line(), format!("= {typed}"), "{output:?}");
        let word = line().split('\t').next().unwrap_or_default();
        let word = word.trim_end_matches('/');
        assert!(
            last.ends_with(word) && !word.is_empty(),
            "{typed}: {output:?}"
        );
    }
    assert_eq!(told.next(), None, "{output:?}");
}

/// Who presses a key hears of no trouble, and nothing comes of it.
#[test]
fn nothing_is_made_and_nothing_is_said() {
    let test = Test::with("[[step]]\nname = 'a'\nstart = true\nscript = ':'\n");
    let silent = |words: &[&str]| {
        let done = test.run([&["complete", "--"], words].concat()).exits(0);
        assert_eq!(done.stderr, "", "{words:?}");
        done.stdout
    };
    assert_eq!(silent(&["-db", "none", "log", ""]), "a\tstep\n");
    assert!(!test.path("none").exists() && !test.path("db").exists());
    test.run(["-run"]).exits(0);
    let files = || {
        let entries = std::fs::read_dir(test.path("db")).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    // Also where somebody has tidied up beside the database.
    for name in ["db-wal", "db-shm"] {
        let _ = std::fs::remove_file(test.path("db").join(name));
    }
    let before = files();
    assert!(silent(&["log", ""]).starts_with("1\ta: done\n"));
    assert_eq!(files(), before);
    // The db knows what a manifest cannot say any more.
    test.write("workflow.toml", "[[step]\n");
    assert_eq!(silent(&["log", "a"]), "a\tstep: 1 done\n");
    test.write("db/db", "no database");
    assert_eq!(silent(&["log", ""]), "");
    assert_eq!(
        silent(&["-manifest", "/", "-db", "/", "run", "-start", ""]),
        ""
    );
}
