//! What the measurement does where it cannot measure, or must not.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_macros
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// A build of the program, whose speed does not matter here.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let me = std::env::current_exe().unwrap();
        let target = me.ancestors().nth(3).unwrap();
        let built = Command::new(std::env::var_os("CARGO").unwrap())
            .args(["build", "--locked", "--bin", "task-pipeline"])
            .arg("--target-dir")
            .arg(target)
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))
            .output()
            .unwrap();
        assert!(built.status.success(), "{built:?}");
        target.join("debug/task-pipeline")
    })
}

/// A folder with a place to measure in and one for results.
struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    /// What starts the measurement with that much room in its place, which it lists afterwards.
    fn small_disk(&self, size: &str) -> [String; 6] {
        let user = if rustix::process::geteuid().is_root() {
            "-m"
        } else {
            "-rm"
        };
        let script = format!(
            "mount -t tmpfs -o size={size} none \"$0\" || exit 99; \"$@\"; status=$?; \
             ls -A \"$0\"; exit $status"
        );
        let scratch = self.path("scratch").to_str().unwrap().to_owned();
        let words = ["unshare", user, "sh", "-c", &script, &scratch];
        words.map(str::to_owned)
    }

    /// A folder with these tools and no others.
    fn programs(&self, tools: &[&str]) -> PathBuf {
        let programs = self.path("programs");
        fs::create_dir(&programs).unwrap();
        for tool in tools {
            let real = which::which(tool).unwrap();
            std::os::unix::fs::symlink(real, programs.join(tool)).unwrap();
        }
        programs
    }

    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("scratch")).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The measurement, started by the command `before`.
    fn command(&self, before: &[&str], arguments: &[&str]) -> Command {
        let scratch = self.path("scratch");
        let out = self.path("out");
        let usual = [
            "--quick",
            "--program",
            program().to_str().unwrap(),
            "--scratch",
            scratch.to_str().unwrap(),
            "--out",
            out.to_str().unwrap(),
        ];
        let words = [before, &[env!("CARGO_BIN_EXE_peers")], &usual, arguments].concat();
        let mut command = Command::new(words[0]);
        command
            .args(&words[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// It failed with that status and these words, and left nothing.
    fn assert_failed(&self, output: &Output, status: i32, words: &str) {
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{said}");
        assert!(said.contains(words), "{said}");
        assert!(!self.path("out").exists(), "no tables: {said}");
        self.assert_clean();
    }

    fn assert_clean(&self) {
        let left = fs::read_dir(self.path("scratch")).unwrap().count();
        assert_eq!(left, 0, "nothing is left");
    }
}

#[test]
fn one_core_is_not_enough() {
    let bench = Bench::new();
    let output = bench
        .command(&["taskset", "-c", "0"], &["--only", "start"])
        .output()
        .unwrap();
    bench.assert_failed(&output, 2, "this process has one core");
}

#[test]
fn without_any_peer_the_table_says_so() {
    let bench = Bench::new();
    let programs = bench.programs(&["sh"]);
    let works = ["--only", "start", "--only", "environment", "--rounds", "1"];
    let mut command = bench.command(&[], &works);
    let output = command.env("PATH", &programs).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let table = fs::read_to_string(bench.path("out/peers.md")).unwrap();
    for words in [
        "ninja is not installed",
        "make is not installed",
        "environments: nix is not installed",
        "≤ 20 ms: ",
    ] {
        assert!(table.contains(words), "{words}: {table}");
    }
    assert!(!table.contains("| ninja |"), "{table}");
    bench.assert_clean();
}

/// Peers that are scripts: one is right, one leaves other results, one fails.
#[test]
fn a_peer_that_fails_is_a_column_less_and_a_slow_one_does_each_work_once() {
    let bench = Bench::new();
    let programs = bench.programs(&["sh", "seq", "split", "tr"]);
    let results = |first: &str| {
        format!(
            "echo \"$1\" >> \"$0.calls\"; test \"$1\" != --version || exit 0
             test -e s1/0000000 || seq -f '{first} %.0f' 1 1000 | split -l 1 -d -a 7 - s1/"
        )
    };
    for (name, script) in [
        ("snakemake", results("ITEM")),
        ("redun", results("item")),
        ("n2", "printf 'words\nlast words\n' >&2; exit 3".to_owned()),
    ] {
        script_at(&programs.join(name), &script);
    }
    let mut command = bench.command(&[], &["--only", "fan-1000", "--rounds", "2"]);
    let output = command.env("PATH", &programs).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let calls = fs::read_to_string(programs.join("snakemake.calls")).unwrap();
    assert_eq!(calls, "--version\n--cores\n--cores\n");
    let table = fs::read_to_string(bench.path("out/peers.md")).unwrap();
    for words in [
        "| work | task-pipeline | snakemake | goal: met? |",
        "n2 failed at \"1000 files, `tr` each\": last words; ",
        "redun failed at \"1000 files, `tr` each\": 1000 results, which are not what they must be",
    ] {
        assert!(table.contains(words), "{words}: {table}");
    }
    for row in table.lines().filter(|row| row.starts_with("| 1000 files")) {
        assert!(row.split('|').nth(3).unwrap().contains("s ("), "{table}");
    }
    bench.assert_clean();
}

#[test]
fn tasks_in_an_environment_call_no_nix() {
    if std::env::var_os("TASK_PIPELINE_TESTS_WITHOUT_NIX").is_some_and(|value| value == "1") {
        eprintln!("not tested: environments (TASK_PIPELINE_TESTS_WITHOUT_NIX=1 is set)");
        return;
    }
    let bench = Bench::new();
    let output = bench
        .command(&[], &["--only", "environment", "--rounds", "1"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let table = fs::read_to_string(bench.path("out/peers.md")).unwrap();
    for words in [
        "| with a package's | ",
        "Calls of Nix in all these runs: 0.",
    ] {
        assert!(table.contains(words), "{words}: {table}");
    }
    bench.assert_clean();
}

#[test]
fn a_run_in_slices_is_compared_with_small_ones() {
    let bench = Bench::new();
    let arguments = ["--flat", "2000", "--only", "flat"];
    let output = bench.command(&[], &arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let table = fs::read_to_string(bench.path("out/peers.md")).unwrap();
    let row = |start: &str| {
        let row = table.lines().find(|row| row.starts_with(start));
        let row = row.unwrap_or_else(|| panic!("{start}: {table}"));
        row.split('|').map(str::trim).collect::<Vec<_>>()
    };
    assert_eq!(row("| 2000 | ").len(), 9, "{table}");
    for name in ["| median of all |", "| of the last third |"] {
        let cells = row(name);
        for ratio in &cells[2..4] {
            let ratio: f64 = ratio.parse().unwrap();
            assert!(ratio > 0.05 && ratio < 20.0, "{table}");
        }
    }
    let second = row("| 2000 files, `tr` each, in slices: second run, nothing to do |");
    assert!(second[2].ends_with(" ms"), "{table}");
    assert!(table.contains(" bytes a task (≤ 300: "), "{table}");
    bench.assert_clean();
}

#[test]
fn a_full_disk_is_said_before_anything_runs() {
    let bench = Bench::new();
    let before = bench.small_disk("1m");
    let output = bench
        .command(
            &before.each_ref().map(String::as_str),
            &["--only", "fan-1000"],
        )
        .output()
        .unwrap();
    bench.assert_failed(&output, 2, "no space left for \"1000 files");
    let left = String::from_utf8_lossy(&output.stdout);
    assert!(!left.contains("task-pipeline-peers"), "{left}");
}

/// It says nothing itself, or hangs: both are seen.
#[test]
fn a_disk_that_fills_up_under_way_is_not_a_peers_failure() {
    for (name, end) in [("make", "exit 1"), ("snakemake", "sleep 600")] {
        let bench = Bench::new();
        let tools = ["sh", "seq", "split", "tr", "mount", "ls", "dd", "sleep"];
        let programs = bench.programs(&tools);
        let script = format!(
            "test \"$1\" != --version || exit 0
             dd if=/dev/zero of=filler bs=64k 2>&-; dd if=/dev/zero of=rest bs=1 2>&-; {end}"
        );
        script_at(&programs.join(name), &script);
        let before = bench.small_disk("40m");
        let mut words = before.each_ref().map(String::as_str);
        let unshare = which::which("unshare").unwrap();
        words[0] = unshare.to_str().unwrap();
        let begin = Instant::now();
        let mut command = bench.command(&words, &["--only", "fan-1000", "--rounds", "1"]);
        let output = command.env("PATH", &programs).output().unwrap();
        let words = format!("no space left for {name} failed at \"1000 files");
        bench.assert_failed(&output, 2, &words);
        assert!(begin.elapsed() < Duration::from_mins(5));
        let left = String::from_utf8_lossy(&output.stdout);
        assert!(!left.contains("task-pipeline-peers"), "{left}");
    }
}

#[test]
fn a_signal_ends_it_without_a_table() {
    for (signal, status) in [
        (rustix::process::Signal::INT, 130),
        (rustix::process::Signal::TERM, 143),
    ] {
        let bench = Bench::new();
        let child = bench.command(&[], &["--only", "fan-1000"]).spawn().unwrap();
        let pid = rustix::process::Pid::from_child(&child);
        let at_work = bench.path("scratch/task-pipeline-peers/fan-1000-task-pipeline-0/db");
        wait_for(&at_work);
        rustix::process::kill_process(pid, signal).unwrap();
        let output = child.wait_with_output().unwrap();
        bench.assert_failed(&output, status, "nothing is written");
    }
}

fn script_at(path: &Path, script: &str) {
    fs::write(path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn wait_for(path: &Path) {
    let patience = Instant::now() + Duration::from_mins(1);
    while !path.exists() {
        assert!(Instant::now() < patience, "{} never came", path.display());
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_folder_of_others_is_left_alone() {
    let bench = Bench::new();
    let theirs = bench.path("scratch/task-pipeline-peers");
    fs::create_dir(&theirs).unwrap();
    fs::write(theirs.join("file"), "theirs").unwrap();
    let output = bench.command(&[], &["--only", "start"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert_eq!(fs::read_to_string(theirs.join("file")).unwrap(), "theirs");
}

#[test]
fn a_text_without_a_place_for_tables_stays_as_it_is() {
    let bench = Bench::new();
    fs::write(bench.path("README.md"), "no place").unwrap();
    let readme = bench.path("README.md");
    let arguments = ["--only", "start", "--readme", readme.to_str().unwrap()];
    let output = bench.command(&[], &arguments).output().unwrap();
    bench.assert_failed(&output, 2, "has no place for tables");
    assert_eq!(fs::read_to_string(&readme).unwrap(), "no place");
}
