//! Variables of all kinds: the words, the variables, the status, and what is said.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use super::{PIPELINE, says};
use crate::harness::{Running, Test};

/// What a variable is set to; none: it is not there.
type Variables = &'static [(&'static str, Option<&'static [u8]>)];

const RUN: &str = "-run -fresh";

const CASES: &[(&str, Variables, i32, &str, &str)] = &[
    (RUN, &[("HOME", None)], 0, "", ""),
    (RUN, &[("HOME", Some(b""))], 0, "", ""),
    (RUN, &[("HOME", Some(b"/no/such"))], 0, "", ""),
    (RUN, &[("TMPDIR", Some(b""))], 0, "", ""),
    (RUN, &[("TMPDIR", Some(b"/no/such"))], 0, "", ""),
    (RUN, &[("TMPDIR", Some(b"workflow.toml"))], 0, "", ""),
    (RUN, &[("TMPDIR", Some(b"/proc"))], 0, "", ""),
    ("export -to out", &[("TMPDIR", Some(b"/no/such"))], 0, "", ""),
    ("report -o r.html", &[("TMPDIR", Some(b"/no/such"))], 0, "", ""),
    ("shell next -- true", &[("TMPDIR", Some(b"/no/such"))], 2, "cannot make a folder for the task: No such file", "hint: set TMPDIR to a folder that you can write to"),
    ("trace-files next", &[("TMPDIR", Some(b"/no/such"))], 2, "cannot make a folder for the task: No such file", "hint: set TMPDIR to a folder"),
    ("verify -sample 1", &[("TMPDIR", Some(b"/no/such"))], 0, "", ""),
    ("shell next -- true", &[("PATH", Some(b"/no/such"))], 2, "cannot find the shell `sh` on PATH", ""),
    (RUN, &[("PATH", Some(b""))], 2, "cannot find the shell `sh` on PATH", "hint: set PATH to the folders"),
    (RUN, &[("PATH", None)], 2, "cannot find the shell `sh` on PATH", "hint: set PATH to the folders"),
    (RUN, &[("PATH", Some(b"/no/such"))], 2, "cannot find the shell `sh` on PATH", "hint: set PATH to the folders"),
    (RUN, &[("TASK_PIPELINE_PARAM_x", Some(b"1"))], 0, "", "warning: TASK_PIPELINE_PARAM_x is set, and there is no parameter `x`"),
    (RUN, &[("TASK_PIPELINE_PARAM_", Some(b"1"))], 0, "", "warning: TASK_PIPELINE_PARAM_ is set, and there is no parameter \"\""),
    (RUN, &[("TASK_PIPELINE_PARAM_number", Some(b"x"))], 2, "TASK_PIPELINE_PARAM_number: `x` is not a whole number", ""),
    (RUN, &[("TASK_PIPELINE_PARAM_number", Some(b""))], 2, "TASK_PIPELINE_PARAM_number: \"\" is not a whole number", ""),
    (RUN, &[("TASK_PIPELINE_PARAM_number", Some(b"\xff"))], 2, "TASK_PIPELINE_PARAM_number is not UTF-8 text", "hint: what has other bytes belongs in a file"),
    (RUN, &[("TASK_PIPELINE_TASK", Some(b"\xff"))], 0, "", ""),
    (RUN, &[("TASK_PIPELINE_KEY", Some(b"x\n"))], 0, "", ""),
    (RUN, &[("a\n", Some(b"\xff"))], 0, "", ""),
    (RUN, &[("TERM", None)], 0, "", ""),
    (RUN, &[("TERM", Some(b"\xff"))], 0, "", ""),
    (RUN, &[("COLUMNS", Some(b"x"))], 0, "", ""),
    (RUN, &[("COLUMNS", Some(b"99999999999999999999"))], 0, "", ""),
    (RUN, &[("COLUMNS", Some(b"-1"))], 0, "", ""),
    ("status", &[("COLUMNS", Some(b"1"))], 0, "", ""),
    (RUN, &[("LANG", Some(b"xx_YY.none")), ("LC_ALL", Some(b"C"))], 0, "", ""),
    (RUN, &[("LANG", Some(b"tr_TR.UTF-8"))], 0, "", ""),
    ("status", &[("TZ", Some(b"no/where"))], 0, "", ""),
    ("check", &[("CREDENTIALS_DIRECTORY", Some(b"/no/such"))], 0, "", ""),
    ("-run -until guarded", &[("CREDENTIALS_DIRECTORY", Some(b"/no/such"))], 0, "", ""),
    ("-run -until guarded", &[("CREDENTIALS_DIRECTORY", Some(b"workflow.toml"))], 2, "cannot read secret `token` from workflow.toml/token: Not a directory", "hint: it is the credential of that name"),
    (RUN, &[("GITHUB_ACTIONS", Some(b"true")), ("GITHUB_STEP_SUMMARY", Some(b"/no/such/x"))], 0, "", "warning: cannot write the summary to /no/such/x"),
];

/// Beside the steps that run there is one that nothing leads to.
const MORE: &str = "[[step]]\nname = 'guarded'\nsecrets = ['token']\nscript = ':'\n\
    [params]\nnumber = { type = 'int', default = 1 }\n";

#[test]
fn variables() {
    let test = Test::with(&format!("{PIPELINE}{MORE}"));
    test.runs();
    for (words, variables, status, error, more) in CASES {
        let mut command = test.command(words.split(' '));
        for (name, value) in *variables {
            match value {
                Some(value) => command.env(name, OsStr::from_bytes(value)),
                None => command.env_remove(name),
            };
        }
        let ran = Running::start(command).end();
        says(&ran, &format!("{variables:?} {words}"), *status, error, more);
    }
}

/// Where its own words cannot go, or the folder is gone.
#[test]
fn standard_files_and_folders_that_are_gone() {
    let test = Test::with(PIPELINE);
    test.runs();
    for (script, status, error, hint) in [
        ("$PROGRAM status >&-", 2, "standard output is closed", "hint: name a file for it"),
        ("$PROGRAM status > /dev/full", 2, "cannot write to standard output: No space left", "hint: make room on that disk"),
        ("$PROGRAM -run -fresh >&- <&-", 0, "", ""),
        ("$PROGRAM -run -fresh 2> /dev/full", 0, "", ""),
        ("$PROGRAM -run -fresh 2>&-", 0, "", ""),
        ("mkdir g; cd g; rmdir ../g; exec $PROGRAM -run", 2, "no manifest: there is no workflow.toml in this folder", "hint: name the file: -manifest FILE"),
        ("ulimit -n 12; exec $PROGRAM -run -fresh", 2, "Too many open files", "hint: give a smaller -parallel, or raise the limit"),
        ("ulimit -n 4; exec $PROGRAM -run -fresh", 2, "Too many open files", "hint: give a smaller -parallel, or raise the limit"),
        ("ulimit -n 8; exec $PROGRAM -run -fresh", 2, "", "hint: give a smaller -parallel, or raise the limit"),
        ("ulimit -f 16; exec $PROGRAM -run -fresh", 2, "cannot", "hint: raise the limit of file sizes (ulimit -f)"),
    ] {
        let ran = Running::start(test.shell(script)).end();
        says(&ran, script, status, error, hint);
    }
}
