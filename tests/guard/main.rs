//! What a task costs, in system calls: a guard that depends neither on time nor on the build.
//!
//! Two runs of tasks that do nothing differ only in how many tasks there are. The difference of
//! their calls, less what the same scripts make by themselves, is what the program adds to a task:
//! its creation as an output of another, its run, its record. It must stay below a stated bound.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Most system calls that the program adds to a task: 63 to 64 were measured, and a machine that
/// commits more often needs a few more.
const BOUND: f64 = 72.0;

/// The tasks of the two runs.
const FEW: i32 = 200;
const MANY: i32 = 1200;

/// Calls that are not counted.
const UNCOUNTED: [&str; 10] = [
    // How often these wait depends on who is first.
    "futex",
    "poll",
    "ppoll",
    "epoll_wait",
    "epoll_pwait",
    "restart_syscall",
    "sched_yield",
    "clock_nanosleep",
    "rt_sigreturn",
    // The C library's posix_spawn looks at every signal, in each child: 128 with glibc.
    "rt_sigaction",
];

const OPT_OUT: &str = "TASK_PIPELINE_TESTS_WITHOUT_STRACE";

/// How often each call was made.
type Calls = BTreeMap<String, f64>;

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
    let mut added = a_task(pipeline);
    let sources = a_task(|tasks| shell(&source(tasks)));
    let script = shell(":");
    for (name, calls) in sources.iter().chain(&script) {
        *added.entry(name.clone()).or_default() -= calls;
    }
    let total: f64 = added.values().sum();
    let mut by_call: Vec<(&String, &f64)> = added.iter().filter(|one| one.1.abs() > 0.05).collect();
    by_call.sort_by(|a, b| b.1.total_cmp(a.1));
    let table: Vec<String> = by_call
        .iter()
        .map(|(name, calls)| format!("{calls:8.2} {name}"))
        .collect();
    let table = table.join("\n");
    eprintln!("system calls that a task adds: {total:.2}\n{table}");
    assert!(total > 10.0, "too few to be true: {total:.2}\n{table}");
    assert!(
        total <= BOUND,
        "a task adds {total:.2} system calls, more than {BOUND}:\n{table}"
    );
}

/// By how much `count` grows with each task.
fn a_task(count: impl Fn(i32) -> Calls) -> Calls {
    let few = count(FEW);
    let mut calls = count(MANY);
    for (name, many) in &mut calls {
        *many = (*many - few.get(name).copied().unwrap_or(0.0)) / f64::from(MANY - FEW);
    }
    calls
}

/// The script that leaves an input for each of so many tasks.
fn source(tasks: i32) -> String {
    format!("seq 1 {tasks} | split -l 1 -a 4 -d --additional-suffix=_each - \"$OUTPUT_DIR/\"")
}

/// What a run of so many tasks takes.
fn pipeline(tasks: i32) -> Calls {
    let folder = tempfile::tempdir().unwrap();
    let manifest = format!(
        "[[step]]\nname = \"source\"\nstart = true\nscript = '''{}'''\n\
         [[step]]\nname = \"each\"\nscript = \":\"\n",
        source(tasks)
    );
    fs::write(folder.path().join("workflow.toml"), manifest).unwrap();
    let mut program = Command::new("strace");
    program
        .args(["-f", "-c", "-o", "calls"])
        .arg(env!("CARGO_BIN_EXE_task-pipeline"))
        .args(["-run", "-parallel", "2", "-quiet"]);
    traced(&mut program, folder.path())
}

/// What a shell with this script takes by itself.
fn shell(script: &str) -> Calls {
    let folder = tempfile::tempdir().unwrap();
    let mut program = Command::new("strace");
    program
        .args(["-f", "-c", "-o", "calls", "sh", "-e", "-c", script])
        .env("OUTPUT_DIR", folder.path());
    traced(&mut program, folder.path())
}

fn traced(program: &mut Command, folder: &Path) -> Calls {
    let output = program.current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{program:?}: {output:?}");
    let calls = read(&folder.join("calls"));
    assert!(calls.len() > 5, "not what strace -c writes: {calls:?}");
    calls
}

/// The table that `strace -c` writes: the number of calls is the fourth word of a line, the name
/// of the call the last.
fn read(path: &Path) -> Calls {
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let name = *words.last()?;
            let known = name != "total" && !UNCOUNTED.contains(&name);
            let calls = words.get(3)?.parse().ok().filter(|_| known)?;
            Some((name.to_owned(), calls))
        })
        .collect()
}
