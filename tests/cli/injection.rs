//! A disk that fails amid a run: nothing is written after the first failed write, and the next run
//! ends as if nothing had been. The soak tests use this for every call there is.

use std::process::Command;

use crate::harness::{Running, Test};

/// A fan-out to so many small tasks, each of which leaves an output.
pub fn manifest(tasks: usize) -> String {
    format!(
        r#"
[[step]]
name = "begin"
start = true
script = 'for i in $(seq 1 {tasks}); do echo "v$i" > $OUTPUT_DIR/a${{i}}_mid; done'
[[step]]
name = "mid"
script = 'cat $INPUT_FILE > $OUTPUT_DIR/${{TASK_PIPELINE_INPUT_NAME%_mid}}.out; echo said'
"#
    )
}

/// Few enough that each of the calls that they come to can be made to fail.
pub const FEW: usize = 24;

/// A system call that fails, once in each thread that comes so far.
#[derive(Debug, Clone, Copy)]
pub struct Injection {
    /// Its name.
    pub call: &'static str,
    /// What it fails with.
    pub error: &'static str,
    /// The how manieth, from 1.
    pub when: usize,
}

/// Whether calls can be made to fail here. Where not, the test fails unless it is left out by
/// name.
pub fn is_possible() -> bool {
    const OPT_OUT: &str = "TASK_PIPELINE_TESTS_WITHOUT_STRACE";
    let works = Command::new("strace")
        .args(["-o", "/dev/null", "true"])
        .status();
    let works = works.is_ok_and(|status| status.success());
    assert!(
        works || std::env::var_os(OPT_OUT).is_some_and(|value| value == "1"),
        "strace is missing or does not work here: install it, or leave this out with {OPT_OUT}=1"
    );
    works
}

/// The program, not its scripts, under strace with these options.
fn traced(test: &Test, options: &str, arguments: &str) -> Running {
    Running::start(test.shell(&format!(
        "exec strace -f -b execve -o calls {options} $PROGRAM {arguments}"
    )))
}

/// How often an undisturbed run makes a call, about.
pub fn count(call: &str, arguments: &str) -> usize {
    let test = Test::in_memory();
    test.manifest(&manifest(FEW));
    traced(&test, &format!("-e trace={call}"), arguments)
        .end()
        .exits(0);
    let calls = test.read("calls");
    calls
        .lines()
        .filter(|line| line.contains('(') && !line.contains("resumed"))
        .count()
}

/// Live rows, without their numbers.
pub fn rows(test: &Test) -> Vec<String> {
    test.rows(
        "SELECT coalesce(step.name, 'final'), task.name, task.object_hash, task.processed,
             task.error, above.name, above.step_id, above.processed
         FROM task LEFT JOIN step ON step.id = task.step_id
         LEFT JOIN task AS above ON above.id = task.input_task_id WHERE task.live = 1 ORDER BY 1, 2",
    )
}

/// What stands in the database after a run that nothing disturbs.
pub fn undisturbed(tasks: usize) -> Vec<String> {
    let test = Test::in_memory();
    test.manifest(&manifest(tasks));
    test.runs();
    rows(&test)
}

/// Runs with a call that fails, then once more: whether the first run noticed.
pub fn run(injection: Injection, arguments: &str, undisturbed: &[String]) -> bool {
    let Injection { call, error, when } = injection;
    let test = Test::in_memory();
    test.manifest(&manifest(FEW));
    let options = format!("-e trace={call} -e inject={call}:error={error}:when={when}");
    let ran = traced(&test, &options, arguments).end();
    // 127: the program itself could not be read.
    assert!(matches!(ran.status, 0..=2 | 127), "{injection:?}: {ran}");
    // What is to be said may be the very write that fails.
    if ran.status == 2 && call != "write" {
        assert!(ran.stderr.contains("error: "), "{injection:?}: {ran}");
    }
    let again = test.run(["-run"]);
    assert_eq!(again.status, 0, "{injection:?}: {ran}\nthen {again}");
    assert_eq!(
        rows(&test),
        undisturbed,
        "{injection:?}: {ran}\nthen {again}"
    );
    test.tally_is_right();
    test.objects_are_whole();
    test.nothing_temporary_is_left();
    ran.status != 0
}

#[test]
fn a_write_that_fails_amid_a_run_is_the_last_one() {
    if !is_possible() {
        return;
    }
    let arguments = "-run -parallel 4";
    let undisturbed = undisturbed(FEW);
    let mut noticed = 0;
    let last = count("pwrite64", arguments);
    for nth in 0..6 {
        let injection = Injection {
            call: "pwrite64",
            error: if nth % 2 == 0 { "ENOSPC" } else { "EIO" },
            when: 1 + nth * (last - 1) / 6,
        };
        noticed += usize::from(run(injection, arguments, &undisturbed));
    }
    assert!(noticed >= 4, "{noticed} of 6");
}
