//! What scripts have of the terminal that the program runs on: nothing.

use std::fmt::Write as _;
use std::process::Command;

use crate::harness::{Running, Test};

/// How steps are started: fields of the step, and a script made of one that must not see the
/// terminal.
const WAYS: [(&str, &str, &str); 5] = [
    ("plain", "", "{}"),
    ("first", "", "{} | cat"),
    ("second", "", "true | {}"),
    ("shell", "", "if :; then {}; fi"),
    ("warm", "warm = true", "echo hello; {}"),
];

/// Runs the program, which has a terminal, in its foreground; what tasks of each step failed of.
fn on_a_terminal(command: &str, arguments: &str) -> Vec<String> {
    let mut manifest = String::from("[[step]]\nname = 'begin'\nstart = true\nscript = '''\n");
    for (name, ..) in WAYS {
        // Warm shells are for those that have several tasks.
        let _ = writeln!(
            manifest,
            "for i in 1 2; do echo $i > $OUTPUT_DIR/${{i}}_{name}; done"
        );
    }
    manifest += "'''\n";
    for (name, more, script) in WAYS {
        let script = script.replace("{}", command);
        let _ = write!(
            manifest,
            "[[step]]\nname = '{name}'\n{more}\ntimeout = '20s'\n\
             shell = ['bash', '-e', '-o', 'pipefail', '-c']\nscript = '''{script}'''\n"
        );
    }
    let test = Test::with(&manifest);
    std::fs::create_dir(test.path("elsewhere")).unwrap();
    let mut script = Command::new("script");
    script
        .args(["-q", "-e", "-c"])
        .arg(format!("$PROGRAM -run -quiet {arguments}"))
        .arg("/dev/null");
    test.prepare(&mut script);
    let ran = Running::start(script).end().exits(1);
    assert!(ran.elapsed.as_secs() < 15, "{ran}");
    test.rows(
        "SELECT step.name || ': ' || coalesce(error, 'no error') FROM task
         JOIN step ON step.id = step_id WHERE NOT is_start ORDER BY task.id",
    )
}

fn no_task_sees_it(command: &str, arguments: &str) {
    let failures = on_a_terminal(command, arguments);
    assert_eq!(failures.len(), 2 * WAYS.len(), "{failures:?}");
    for failure in failures {
        assert!(failure.contains("No such device or address"), "{failure}");
    }
}

#[test]
fn who_opens_it_fails_at_once() {
    no_task_sees_it("stty -F /dev/tty sane", "");
}

#[test]
fn who_asks_for_a_password_fails_at_once() {
    no_task_sees_it("head -n 1 /dev/tty", "");
}

#[test]
fn nor_in_another_folder() {
    no_task_sees_it("stty -F /dev/tty sane", "-workdir elsewhere");
}
