//! Scripts that are one plain command run without a shell: all that comes of them is what comes
//! of the same command in a script that takes the shell.

use std::fmt::Write as _;
use std::fs;

use crate::harness::Test;

/// Plain commands, each with what can be told of it.
const SCRIPTS: &[&str] = &[
    "tr a-z A-Z < $INPUT_FILE > $OUTPUT_DIR/upper",
    "cat \"$INPUT_FILE\" '$INPUT_FILE'",
    "cat $INPUT_FILE /nowhere/at/all",
    "cat < $INPUT_FILE",
    "cat",
    "env > $OUTPUT_DIR/environment",
    "env -i A=b env",
    "cat /proc/self/cmdline 'a b' \"c  d\" '' \"\"",
    "no-such-program a b",
    "/no/such/program",
    "/etc/passwd",
    "/tmp",
    ":",
    "true 'a b'",
    ": > $OUTPUT_DIR/empty",
    ": > $OUTPUT_DIR/no/folder",
    "cat < $INPUT_FILE/no",
    "ls -d $OUTPUT_DIR/no-such-file 2> $OUTPUT_DIR/error",
    "ls -d /no-such-file 2>&1 > $OUTPUT_DIR/out",
    "ls -d /no-such-file > $OUTPUT_DIR/out 2>&1",
    "ls -d /no-such-file / >> $OUTPUT_DIR/out 2>> $OUTPUT_DIR/out",
    "ls -d / >&2",
    "ls -d / > /dev/null",
    "cp $INPUT_FILE $OUTPUT_DIR/${TASK_PIPELINE_STEP}-$TASK_PIPELINE_VERSION",
    "cp \"$INPUT_FILE\" \"$OUTPUT_DIR/$TASK_PIPELINE_INPUT_NAME-copy\"",
    "ls $TASK_PIPELINE_INPUT_NAME",
    "pwd -P",
    "/bin/sh -c pwd",
    "sed -n 's/a/b/p;s/\"/x/' < $INPUT_FILE",
    "awk 'BEGIN { printf \"%s\", ENVIRON[\"KEPT\"]; exit 3 }'",
    "awk 'BEGIN { exit 255 }'",
    "perl -e 'kill 9, $$; sleep 9'",
    "perl -e 'kill 15, $$; sleep 9'",
    "perl -e 'kill 13, $$; sleep 9'",
    "perl -e 'kill 2, $$; sleep 9'",
    "perl -e 'kill 9, $$; sleep 9' > $OUTPUT_DIR/x",
    "perl -e 'kill 13, $$; sleep 9' < $INPUT_FILE",
    "perl -e '$SIG{TERM} = sub { exit 7 }; kill 15, $$; sleep 9'",
    "perl -e 'printf \"%o\\n\", umask'",
    "perl -e 'print \"$0 @ARGV\\n\"; print STDERR \"e\"; exit 1' a 'b c'",
    "perl -e 'opendir D, \"/proc/self/fd\"; print join(\" \", sort grep { !/\\./ } readdir D), \"\\n\"'",
    "perl -e 'print -t STDIN ? \"tty\" : \"\"'",
    "perl -e 'open F, \">>\", $ENV{INPUT_FILE}; print F \"more\"; close F; exec \"cat\", $ENV{INPUT_FILE}'",
    "timeout 0.1 sleep 9",
    "sleep 0",
    "\n\n  ls -d / \t\n",
    "ls -d $TMPDIR/..",
    "touch $OUTPUT_DIR/a $OUTPUT_DIR/b",
    "cat $INPUT_FILE | tr a-z A-Z > $OUTPUT_DIR/upper",
    "tr a-z A-Z < $INPUT_FILE | cat",
    "env | grep -v '^OLDPWD' | sort > $OUTPUT_DIR/environment",
    "cat $INPUT_FILE |\n  sed s/a/b/ | tee $OUTPUT_DIR/copy | wc -c",
    "ls -d / /no-such-file 2>&1 | tr a-z A-Z",
    "ls -d / /no-such-file 2>> $OUTPUT_DIR/error | cat >> $OUTPUT_DIR/error",
    "cat /no-such-file | cat",
    "cat | cat /no-such-file",
    "no-such-program | cat",
    "cat | no-such-program",
    "seq 1000000 | head -n 1",
    "yes | head -n 2 | wc -l",
    "perl -e 'exit 3' | cat",
    "perl -e 'exit 3' | perl -e 'exit 4' | cat",
    "cat | perl -e 'exit 5'",
    "perl -e 'kill 15, $$; sleep 9' | cat",
    "cat | perl -e 'kill 15, $$; sleep 9'",
    "perl -e 'kill 13, $$; sleep 9' | cat",
    "cat | perl -e 'kill 2, $$; sleep 9'",
    "perl -e 'kill 9, $$; sleep 9' | cat > $OUTPUT_DIR/x",
    "ls -d / | perl -e 'print STDERR \"late\"; print <STDIN>' | cat",
    "perl -e 'opendir D, \"/proc/self/fd\"; print join(\" \", sort grep { !/\\./ } readdir D), \"\\n\"' | cat",
    "cat $INPUT_FILE | perl -e '@all = <STDIN>; opendir D, \"/proc/self/fd\"; print join(\" \", sort grep { !/\\./ } readdir D), \"\\n\"'",
    "cat | cat > $OUTPUT_DIR/no/folder",
    "sleep 0 | sleep 0.1",
    "mkdir $OUTPUT_DIR/folder",
    "ln -s x $OUTPUT_DIR/link",
];

/// Those among them that a shell runs after all: it knows best what is wrong, or does more.
const NEED_A_SHELL: &[&str] = &[
    "no-such-program a b",
    "/no/such/program",
    "/etc/passwd",
    "/tmp",
    ": > $OUTPUT_DIR/no/folder",
    "cat < $INPUT_FILE/no",
    "ls $TASK_PIPELINE_INPUT_NAME",
    "pwd -P",
    "no-such-program | cat",
    "cat | no-such-program",
    "cat | cat > $OUTPUT_DIR/no/folder",
];

/// Steps 0, 1, … with these scripts, and a start step that feeds them.
fn manifest(shell: &str, scripts: &[String]) -> String {
    let mut text = format!("[defaults]\nshell = [{shell}]\nenv = {{ KEPT = 'a  b' }}\n");
    let mut begin = String::new();
    for (number, script) in scripts.iter().enumerate() {
        let _ = writeln!(
            begin,
            "echo 'one \"a\" a' > \"$OUTPUT_DIR/a  b{number}_{number}\""
        );
        let script = script.replace('\\', "\\\\").replace('"', "\\\"");
        let _ = write!(
            text,
            "[[step]]\nname = '{number}'\nscript = \"\"\"{script}\"\"\"\n"
        );
    }
    let _ = write!(
        text,
        "[[step]]\nname = 'begin'\nstart = true\nscript = '''\n{begin}'''\n"
    );
    text
}

/// All that came of each script: state, error, what it wrote, what it left; and what ran it.
fn results(shell: &str, scripts: &[String], from: &str) -> (Vec<String>, Vec<String>) {
    let test = Test::in_memory();
    test.manifest(&manifest(shell, scripts));
    fs::create_dir_all(test.path(from)).unwrap();
    let mut command = test.command(["-run", "-parallel", "1", "-quiet"]);
    command
        .args(["-manifest".into(), test.path("workflow.toml")])
        .args(["-db".into(), test.path("db")])
        .args(["-trace".into(), test.path("trace")])
        .current_dir(test.path(from))
        .env("OLDPWD", "/")
        .env("SHLVL", "4")
        .env("no-word of.a shell", "1")
        .env("PWD", test.path(""));
    crate::harness::Running::start(command).end().exits(1);
    test.nothing_temporary_is_left();
    let object = |hash: &str| match hash {
        "" => String::new(),
        _ => String::from_utf8_lossy(&fs::read(test.object(hash)).unwrap()).into_owned(),
    };
    let outputs = |task: &str| {
        let query = format!(
            "SELECT object_hash, name FROM task WHERE input_task_id = {task} ORDER BY name"
        );
        let mut all = String::new();
        for row in test.rows(&query) {
            let (hash, name) = row.split_once('|').unwrap();
            let _ = writeln!(all, "{name}: {}", sorted(&object(hash)));
        }
        all
    };
    let rows = test.rows(
        "SELECT task.id, processed, coalesce(stdout, ''), coalesce(stderr, ''), coalesce(error, '')
         FROM task JOIN step ON step.id = step_id LEFT JOIN log ON task_id = task.id
         WHERE step.name <> 'begin' ORDER BY CAST(step.name AS INTEGER)",
    );
    assert_eq!(rows.len(), scripts.len());
    let mut launches = vec![String::new(); scripts.len()];
    for (number, launch) in launches.iter_mut().enumerate() {
        *launch = test
            .launches("trace", |step| *step == *number.to_string())
            .remove(0);
    }
    let folder = test.path("");
    let folder = folder.to_str().unwrap().trim_end_matches('/');
    let results = rows
        .iter()
        .map(|row| {
            let parts: Vec<&str> = row.splitn(5, '|').collect();
            let whole = format!(
                "processed {}\nerror {}\nstdout {}\nstderr {}\noutputs {}",
                parts[1],
                parts[4],
                sorted(&object(parts[2])),
                object(parts[3]),
                outputs(parts[0]),
            )
            .replace(folder, "/place");
            // bash tells the process number, too.
            without_the_runs_name(match whole.find("exit status 137") {
                Some(at) if whole.contains("Killed") => &whole[..at],
                _ => &whole,
            })
        })
        .collect();
    (results, launches)
}

/// Shells give environments in orders of their own.
fn sorted(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines.join("\n")
}

/// The folder `tmp/run-XXXXXX` has another name in each run, and a discarded one in it a number.
fn without_the_runs_name(text: &str) -> String {
    let mut parts = text.split("/tmp/run-");
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.splitn(3, '/').nth(2).unwrap_or_default();
        let _ = write!(whole, "/tmp/run/{rest}");
    }
    let runset = whole.find("TASK_PIPELINE_RUNSET=").map(|at| at + 21);
    runset.map_or(whole.clone(), |at| {
        whole[..at].to_owned() + &whole[at + 16..]
    })
}

/// The program is started in the folder `from`, scripts in the manifest's: they are launched in
/// the same way wherever that is.
fn compare(shell: &str, from: &str) {
    let plain: Vec<String> = SCRIPTS.iter().map(|&script| script.to_owned()).collect();
    // The same, but not plain: closing what is not open changes nothing, and neither does a
    // backslash before a letter, where bash goes another way if it has anything to redirect.
    let other = |script: &String| match script.trim() {
        script if script.contains(" |") => format!("\\{script}"),
        script if script.contains(['<', '>']) => format!("{script} 3>&-"),
        script => format!("\\{script}"),
    };
    let wrapped: Vec<String> = plain.iter().map(other).collect();
    let (direct, launches) = results(shell, &plain, from);
    let by_shells: Vec<&str> = plain
        .iter()
        .zip(&launches)
        .filter(|(_, launch)| *launch != "direct")
        .map(|(script, _)| script.as_str())
        .collect();
    assert_eq!(by_shells, NEED_A_SHELL, "{shell}");
    let (by_shell, launches) = results(shell, &wrapped, from);
    assert!(
        launches.iter().all(|launch| launch == "shell"),
        "{launches:?}"
    );
    for ((script, direct), by_shell) in plain.iter().zip(&direct).zip(&by_shell) {
        assert_eq!(direct, by_shell, "{shell}: {script}");
    }
}

#[test]
fn with_dash() {
    compare("'dash', '-e', '-c'", "");
}

#[test]
fn with_bash() {
    compare("'bash', '-euo', 'pipefail', '-c'", "");
}

#[test]
fn started_elsewhere() {
    compare("'bash', '-e', '-c'", "another folder");
}

#[test]
fn with_bash_as_sh() {
    let folder = tempfile::tempdir().unwrap();
    let sh = folder.path().join("sh");
    std::os::unix::fs::symlink(which::which("bash").unwrap(), &sh).unwrap();
    compare(&format!("'{}', '-e', '-c'", sh.display()), "");
}

#[test]
fn the_runner_itself_is_the_parent() {
    let stat = "cat /proc/self/stat > $OUTPUT_DIR";
    let test = Test::with(&format!(
        "[[step]]\nname = 'a'\nstart = true\nscript = '{stat}/x_b'\n\
         [[step]]\nname = 'b'\nscript = '{stat}/plain'\n[[step]]\nname = 'c'\nscript = 'x'\n"
    ));
    let running = test.start(["-run"]);
    let pid = running.pid().to_string();
    running.end().exits(0);
    let stat = test.output("plain");
    assert_eq!(stat.split(' ').nth(3), Some(pid.as_str()));
}

#[test]
fn a_plain_command_has_its_time_and_leaves_nothing_running() {
    let step = |script: &str, more: &str| {
        format!("[[step]]\nname = 'a'\nstart = true\nscript = \"{script}\"\n{more}")
    };
    for script in ["sleep 60", "sleep 60 | sleep 0", "sleep 0 | sleep 60"] {
        let test = Test::with(&step(script, "timeout = '200ms'\n"));
        test.run(["-run"]).exits(1).says("timed out after 200ms");
    }
    for script in [
        "perl -e 'exit 0 if fork; sleep 60'",
        "cat | perl -e 'exit 0 if fork; sleep 60'",
        "perl -e 'exit 0 if fork; close STDOUT; sleep 60' | cat",
    ] {
        let test = Test::with(&step(script, ""));
        test.run(["-run"]).exits(0).says("left processes running");
    }
}

#[test]
fn what_one_task_has_open_is_not_taken_for_anothers() {
    // Children that are being started hold whatever the runner has open at that moment.
    let test = Test::with(
        "[[step]]\nname = 'a'\nstart = true\n\
         script = 'seq 400 | split -l 1 -a 3 --additional-suffix=_b - $OUTPUT_DIR/'\n\
         [[step]]\nname = 'b'\nscript = 'tr 0-9 a-j < $INPUT_FILE > $OUTPUT_DIR/x'\n",
    );
    test.run(["-run", "-parallel", "4"]).exits(0);
    assert_eq!(test.finals()["x"].len(), 400);
}
