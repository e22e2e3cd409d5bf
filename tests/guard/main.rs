//! What a task costs, in system calls: a guard that does not depend on time or on the build.
//!
//! Two runs of tasks that do nothing differ only in how many tasks there are. The difference of
//! their calls, shells included, is what a task costs; it must stay below a stated bound.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Most system calls a task: its creation as an output of another, its run, its record, and those
/// of its shell (some 40 with dash, most of them its dynamic linker's).
const BOUND: i64 = 140;

/// The tasks of the two runs.
const FEW: i64 = 200;
const MANY: i64 = 1200;

/// Calls that wait: how many there are depends on who is first.
const WAITING: [&str; 9] = [
    "futex",
    "poll",
    "ppoll",
    "epoll_wait",
    "epoll_pwait",
    "restart_syscall",
    "sched_yield",
    "clock_nanosleep",
    "rt_sigreturn",
];

const OPT_OUT: &str = "TASK_PIPELINE_TESTS_WITHOUT_STRACE";

#[test]
fn system_calls_a_task() {
    let works = Command::new("strace")
        .args(["-f", "-o", "/dev/null", "true"])
        .status();
    if !works.is_ok_and(|status| status.success()) {
        assert!(
            std::env::var_os(OPT_OUT).is_some_and(|value| value == "1"),
            "strace is missing, or may not trace here: install it (Debian: apt-get install \
             strace), or leave this test out with {OPT_OUT}=1"
        );
        eprintln!("left out: system calls a task ({OPT_OUT}=1, strace does not work here)");
        return;
    }
    let few = count(FEW);
    let many = count(MANY);
    let mut by_call: Vec<(f64, &str)> = many
        .iter()
        .map(|(name, calls)| {
            let more = calls - few.get(name).copied().unwrap_or(0);
            (per_task(more), name.as_str())
        })
        .collect();
    by_call.sort_by(|a, b| b.0.total_cmp(&a.0));
    let total = per_task(many.values().sum::<i64>() - few.values().sum::<i64>());
    let table: Vec<String> = by_call
        .iter()
        .filter(|(calls, _)| *calls >= 0.05)
        .map(|(calls, name)| format!("{calls:8.2} {name}"))
        .collect();
    let table = table.join("\n");
    eprintln!("system calls a task: {total:.2}\n{table}");
    assert!(total > 5.0, "too few to be true: {total:.2}\n{table}");
    assert!(
        total <= per_task(BOUND * (MANY - FEW)),
        "a task takes {total:.2} system calls, more than {BOUND}:\n{table}"
    );
}

#[allow(clippy::cast_precision_loss)] // Far below 2^53.
fn per_task(calls: i64) -> f64 {
    calls as f64 / (MANY - FEW) as f64
}

/// Runs so many tasks; how often each system call was made, in all processes.
fn count(tasks: i64) -> BTreeMap<String, i64> {
    let folder = tempfile::tempdir().unwrap();
    let manifest = format!(
        "[[step]]\nname = \"source\"\nstart = true\n\
         script = '''seq 1 {tasks} | split -l 1 -a 4 -d --additional-suffix=_each - \"$OUTPUT_DIR/\"'''\n\
         [[step]]\nname = \"each\"\nscript = \":\"\n"
    );
    fs::write(folder.path().join("workflow.toml"), manifest).unwrap();
    let output = Command::new("strace")
        .args(["-f", "-c", "-o", "calls"])
        .arg(env!("CARGO_BIN_EXE_task-pipeline"))
        .args(["-run", "-parallel", "2", "-quiet"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let calls = read(&folder.path().join("calls"));
    assert!(calls.len() > 10, "not what strace -c writes: {calls:?}");
    calls
}

/// The table that `strace -c` writes: the number of calls is the fourth word of a line, the name
/// of the call the last.
fn read(path: &Path) -> BTreeMap<String, i64> {
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let name = *words.last()?;
            let known = name != "total" && !WAITING.contains(&name);
            let calls = words.get(3)?.parse().ok().filter(|_| known)?;
            Some((name.to_owned(), calls))
        })
        .collect()
}
