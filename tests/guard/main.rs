//! What a task costs, in system calls and in instructions: a guard that does not depend on time.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_macros
)]

mod cost;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use cost::{Counts, DIRECT, SHELL, Subject, Tasks, WARM};

/// Most system calls that the program adds to a task with a shell: 63 to 64 were measured. This and
/// the next are of a machine that does nothing else: one that is busy commits more often, so that
/// the least of [`TRIES`] measurements counts.
const CALLS: f64 = 68.0;
/// The same for a task in a shared shell, what that does included: 59 to 61 were measured.
const WARM_CALLS: f64 = 67.0;
/// The same for a program without a shell: 51 to 52 were measured.
const DIRECT_CALLS: f64 = 57.0;

/// Most instructions that a task takes in the program's own process: of a debug build 303 thousand
/// were measured.
const INSTRUCTIONS: f64 = if cfg!(debug_assertions) {
    305_000.0
} else {
    140_000.0
};

/// Measurements of which one must be within the bound.
const TRIES: usize = 3;

const PROGRAM: &str = env!("CARGO_BIN_EXE_task-pipeline");

/// Whether the tool works. Where it does not, the test fails unless it is left out by name.
fn has(tool: &str, arguments: &[&str], opt_out: &str) -> bool {
    let works = Command::new(tool).args(arguments).output();
    if works.is_ok_and(|output| output.status.success()) {
        return true;
    }
    assert!(
        std::env::var_os(opt_out).is_some_and(|value| value == "1"),
        "{tool} is missing, or does not work here: install it (Debian: apt-get install {tool}), \
         or leave this test out with {opt_out}=1"
    );
    eprintln!("left out ({opt_out}=1, {tool} does not work here)");
    false
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(())
    } else {
        Err(format!("{command:?}: {output:?}"))
    }
}

fn with_strace() -> bool {
    has(
        "strace",
        &["-f", "-o", "/dev/null", "true"],
        "TASK_PIPELINE_TESTS_WITHOUT_STRACE",
    )
}

/// The counts as a table, largest first, and their sum.
fn table(counts: &Counts) -> (f64, String) {
    let mut rows: Vec<(&String, &f64)> = counts.iter().filter(|one| one.1.abs() > 0.05).collect();
    rows.sort_by(|a, b| b.1.total_cmp(a.1));
    let mut text = String::new();
    for (name, count) in rows {
        let _ = writeln!(text, "{count:12.2} {name}");
    }
    (counts.values().sum(), text)
}

fn assert_within(what: &str, measure: impl Fn() -> Counts, least: f64, most: f64) {
    let mut found = (0.0, String::new());
    for _ in 0..TRIES {
        let (total, table) = table(&measure());
        eprintln!("{what} that a task adds: {total:.2}\n{table}");
        assert!(total > least, "too few to be true: {total:.2}\n{table}");
        if total <= most {
            return;
        }
        found = (total, table);
    }
    let (total, table) = found;
    panic!(
        "a task adds {total:.2} {what}, more than {most}. Look in the table below for what is new, \
         and do it once for a step, a run or a group of tasks, not for each task. If the task \
         cannot do without, raise the bound in tests/guard/main.rs and say why in the commit; \
         `cargo run --release -p bench -- --profile` shows the same for a release build.\n{table}"
    );
}

/// The program, in that folder.
fn subject(folder: &tempfile::TempDir) -> Subject<'_> {
    Subject {
        program: Path::new(PROGRAM),
        folder: folder.path(),
        runner: &run,
    }
}

fn assert_calls(tasks: Tasks, most: f64) {
    if !with_strace() {
        return;
    }
    let measure = || {
        let folder = tempfile::tempdir().unwrap();
        subject(&folder).system_calls(tasks, 50, 300).unwrap()
    };
    assert_within("system calls", measure, 10.0, most);
}

#[test]
fn system_calls_a_task() {
    assert_calls(SHELL, CALLS);
}

#[test]
fn system_calls_a_task_in_a_warm_shell() {
    assert_calls(WARM, WARM_CALLS);
}

#[test]
fn system_calls_a_task_without_a_shell() {
    assert_calls(DIRECT, DIRECT_CALLS);
}

#[test]
fn instructions_a_task() {
    if !has(
        "valgrind",
        &["--tool=callgrind", "--callgrind-out-file=/dev/null", "true"],
        "TASK_PIPELINE_TESTS_WITHOUT_VALGRIND",
    ) {
        return;
    }
    let measure = || {
        let folder = tempfile::tempdir().unwrap();
        subject(&folder).instructions(30, 180).unwrap()
    };
    assert_within("instructions", measure, 10_000.0, INSTRUCTIONS);
}

/// How often a run with `-sync LEVEL` waits for the whole file system, and for one file.
fn syncs(level: &str) -> (usize, usize) {
    let folder = tempfile::tempdir().unwrap();
    let manifest = "[[step]]\nname = \"source\"\nstart = true\n\
                    script = \"for n in 1 2 3; do echo $n > $OUTPUT_DIR/${n}_each; done\"\n\
                    [[step]]\nname = \"each\"\nscript = \"cp $INPUT_FILE $OUTPUT_DIR/end\"\n";
    fs::write(folder.path().join("workflow.toml"), manifest).unwrap();
    let mut command = Command::new("strace");
    command
        .args(["-f", "-o", "calls", "-e", "trace=syncfs,fsync,fdatasync"])
        .arg(PROGRAM)
        .args(["-run", "-quiet", "-sync", level])
        .current_dir(folder.path());
    run(&mut command).unwrap();
    let calls = fs::read_to_string(folder.path().join("calls")).unwrap();
    let count = |name: &str| calls.lines().filter(|line| line.contains(name)).count();
    (count(" syncfs("), count(" fsync(") + count(" fdatasync("))
}

#[test]
fn each_level_of_durability_syncs_as_it_says() {
    if !with_strace() {
        return;
    }
    let (lazy, of_sqlite) = syncs("lazy");
    assert_eq!(lazy, 0, "nothing waits for the disk");
    assert_eq!(syncs("end").0, 1, "once, when the run is over");
    let (commit, of_sqlite_too) = syncs("commit");
    assert!(commit >= 2, "before each commit: {commit}");
    assert!(
        of_sqlite_too >= of_sqlite + commit,
        "and each commit itself: {of_sqlite_too}, {of_sqlite}"
    );
}

#[test]
fn outputs_that_are_objects_already_change_less_than_new_ones() {
    if !with_strace() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let manifest = "[[step]]\nname = \"source\"\nstart = true\n\
                    script = \"for n in $(seq 500); do echo $n > $OUTPUT_DIR/$n; done\"\n";
    fs::write(folder.path().join("workflow.toml"), manifest).unwrap();
    let calls = || {
        let mut command = Command::new("strace");
        command
            .args(["-f", "-o", "calls", PROGRAM, "-run", "-fresh", "-quiet"])
            .current_dir(folder.path());
        run(&mut command).unwrap();
        fs::read_to_string(folder.path().join("calls")).unwrap()
    };
    let count = |calls: &str, name: &str| {
        let lines = calls.lines().filter(|line| line.contains(name));
        lines.filter(|line| !line.contains("resumed>")).count()
    };
    let (new, again) = (calls(), calls());
    assert!(count(&new, " rename") >= 500, "{new}");
    // Each is a change that a file system with a journal writes down.
    for name in [" rename", " fchmod", " mkdir"] {
        assert!(count(&again, name) < 50, "{name}: {again}");
    }
    let changes = |calls: &str| {
        let names = [" rename", " fchmod", " mkdir", " unlink"];
        names.map(|name| count(calls, name)).iter().sum::<usize>()
    };
    assert!(changes(&again) * 2 < changes(&new), "{again}");
}
