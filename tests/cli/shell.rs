//! `shell`: where a task of a step would run; and what `-keep-failed` keeps for it.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::harness::{Running, Test, wait_for};

/// A step that starts, and `page`, with these lines and this script.
fn pipeline(more: &str, script: &str) -> Test {
    Test::with(&format!(
        "[[step]]\nname = 'begin'\nstart = true\nscript = '''\n\
         echo one > $OUTPUT_DIR/a_page; echo two > $OUTPUT_DIR/b_page\n'''\n\
         [[step]]\nname = 'page'\n{more}\nscript = '''\n{script}\n'''\n"
    ))
}

/// The lines, without what differs from place to place.
fn variables(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter(|line| {
            !["INPUT_FILE=", "OUTPUT_DIR=", "TMPDIR="]
                .iter()
                .any(|own| line.starts_with(own))
        })
        .map(ToOwned::to_owned)
        .collect()
}

#[test]
fn the_environment_is_that_of_the_task() {
    for more in [
        "env = { A = 'x y' }",
        "env = { A = '' }\npure = true\nkeep = ['KEPT']",
    ] {
        let test = pipeline(more, "/usr/bin/env");
        let mut run = test.command(["-run"]);
        run.env("KEPT", "k").env("OTHER", "o");
        assert!(run.status().unwrap().success());
        for task in ["2", "3"] {
            let mut shell = test.command(["shell", "page", task, "--", "/usr/bin/env"]);
            shell.env("KEPT", "k").env("OTHER", "o");
            let output = shell.output().unwrap();
            let seen = variables(&String::from_utf8(output.stdout).unwrap());
            assert!(seen.contains("KEPT=k"), "{seen:?}");
            assert!(seen.contains(&format!("TASK_PIPELINE_TASK={task}")));
            assert_eq!(seen, variables(&test.text(&["log", task])));
        }
        test.nothing_temporary_is_left();
    }
}

#[test]
fn a_command_has_input_and_folder_and_its_status_counts() {
    let test = pipeline("", "cp $INPUT_FILE $OUTPUT_DIR/out");
    test.runs();
    let before = test.rows("SELECT * FROM task");
    let script = "cat $INPUT_FILE; pwd; echo more > $OUTPUT_DIR/x; echo y > $INPUT_FILE; exit 7";
    let elsewhere = tempfile::tempdir().unwrap();
    let mut command = test.command(["-manifest", test.path("workflow.toml").to_str().unwrap()]);
    command
        .arg("-db")
        .arg(test.path("db"))
        .args(["shell", "page", "3", "--", "sh", "-c", script])
        .current_dir(elsewhere.path());
    let ran = command.output().unwrap();
    let here = test.path("").canonicalize().unwrap();
    assert_eq!(
        String::from_utf8(ran.stdout).unwrap(),
        format!("two\n{}\n", here.display())
    );
    assert_eq!(ran.status.code(), Some(7));
    test.run(["shell", "page", "--", "sh", "-c", "kill -TERM $$"])
        .exits(143);
    // A start step has no input.
    test.run(["shell", "begin", "--", "wc", "-c"]).exits(0);
    let empty = test.text(&["shell", "begin", "--", "sh", "-c", "wc -c < $INPUT_FILE"]);
    assert_eq!(empty.trim(), "0");
    assert_eq!(test.rows("SELECT * FROM task"), before);
    test.objects_are_whole();
    test.nothing_temporary_is_left();
}

#[test]
fn what_is_not_there_is_told() {
    let test = pipeline("", ":");
    test.run(["shell", "pag"])
        .exits(2)
        .says("did you mean `page`?");
    test.run(["shell", "page"]).exits(2).says("hint: ");
    test.runs();
    test.run(["shell", "page", "1"])
        .exits(2)
        .says("task #1 is one of step begin");
    test.run(["shell", "page", "99"])
        .exits(2)
        .says("no task #99");
    test.run(["shell", "page", "--", "no-such-program"])
        .exits(2)
        .says("the step's environment has no program no-such-program");
}

/// What a terminal shows of a session of these lines.
fn session(test: &Test, lines: &str) -> (String, Option<i32>) {
    let mut script = Command::new("script");
    script
        .args(["-q", "-e", "-c", "$PROGRAM shell page", "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    test.prepare(&mut script);
    let mut child = script.spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(lines.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        output.status.code(),
    )
}

#[test]
fn the_steps_own_shell_is_talked_to() {
    for shell in [
        "['sh', '-e', '-c']",
        "['bash', '-eu', '-c']",
        "['python3', '-c']",
    ] {
        let script = match shell {
            "['python3', '-c']" => "import sys; sys.exit(3)",
            _ => "cat $INPUT_FILE > $OUTPUT_DIR/half; exit 3",
        };
        let test = pipeline(&format!("shell = {shell}"), script);
        test.run(["-run", "-keep-failed"]).exits(1);
        let (shown, status) = session(
            &test,
            "echo \"<$(cat $INPUT_FILE)>\"; ls $OUTPUT_DIR; false\nexit 9\n",
        );
        assert_eq!(status, Some(9), "{shown}");
        assert!(shown.contains("<one>"), "{shown}");
        assert!(shown.contains("[page #2] $"), "{shown}");
        assert!(shown.contains("failed, exit status 3"), "{shown}");
        if !shell.contains("python") {
            assert!(shown.contains("what the task left: 1 file"), "{shown}");
        }
        test.nothing_temporary_is_left();
    }
}

#[test]
fn what_was_kept_is_told_once_behind_the_failure() {
    let test = Test::with(
        "[[step]]\nname = 's'\nstart = true\nretries = 2\nretry_delay = '1ms'\n\
         script = 'sleep 60 & echo left > $OUTPUT_DIR/b; exit 3'\n",
    );
    let ran = test.run(["-run", "-keep-failed"]).exits(1);
    let told: Vec<&str> = ran.stderr.lines().collect();
    let at = |words: &str| -> Vec<usize> {
        let all = told.iter().enumerate();
        all.filter(|(_, line)| line.contains(words))
            .map(|(at, _)| at)
            .collect()
    };
    let (kept, failures) = (at("what it left is kept in"), at(": failed after"));
    assert_eq!(kept.len(), 1, "{told:?}");
    assert_eq!(failures.len(), 3, "{told:?}");
    assert!(kept[0] > failures[2], "{told:?}");
    assert!(!told[kept[0]].contains("background"), "{told:?}");
}

#[test]
fn a_start_step_begins_with_what_its_failed_task_left() {
    let test = Test::with(
        "[[step]]\nname = 's'\nstart = true\nscript = 'echo left > $OUTPUT_DIR/b; exit 3'\n",
    );
    let words =
        "cat $OUTPUT_DIR/b $INPUT_FILE; echo $TASK_PIPELINE_TASK ${TASK_PIPELINE_RUNSET:+set}";
    let before = test.text(&["shell", "s", "--", "sh", "-c", "ls $OUTPUT_DIR"]);
    assert_eq!(before, "", "nothing ran yet");
    test.run(["-run", "-keep-failed"]).exits(1);
    for task in [&["s"] as &[_], &["s", "1"]] {
        let all = [&["shell"], task, &["--", "sh", "-c", words]].concat();
        assert_eq!(test.text(&all), "left\n1 set\n");
    }
    test.run(["trace-files", "s", "1"]).never_says("missing");
    assert_eq!(test.text(&["cat", "-input", "1"]), "");
}

#[test]
fn what_failed_tasks_leave_is_kept_until_they_succeed() {
    for script in [
        "cp $INPUT_FILE $OUTPUT_DIR/half; test -e good",
        "mkdir $OUTPUT_DIR/half; ln -s x $OUTPUT_DIR/half/link; cp $INPUT_FILE $OUTPUT_DIR/half/file\n\
         test -e good && rm -r $OUTPUT_DIR/half",
    ] {
        let test = pipeline("retries = 1\nretry_delay = '1ms'", script);
        let failed = test.path("db/failed");
        test.run(["-run"]).exits(1);
        assert!(!failed.exists());
        test.run(["-run", "-keep-failed"])
            .exits(1)
            .says("\ntask 2 of page: what it left is kept in ")
            .says("`task-pipeline shell page 2` shows it");
        std::fs::rename(test.path("db"), test.path("other")).unwrap();
        test.run([
            "-run",
            "-keep-failed",
            "-db",
            "other",
            "-f",
            "workflow.toml",
        ])
        .exits(1)
        .says("`task-pipeline shell -manifest workflow.toml -db other page 2` shows it");
        std::fs::rename(test.path("other"), test.path("db")).unwrap();
        assert!(failed.join("2/out/half").exists());
        assert_eq!(
            std::fs::read_to_string(failed.join("3/input")).unwrap(),
            "two\n"
        );
        let found = test.text(&[
            "shell",
            "page",
            "3",
            "--",
            "sh",
            "-c",
            "cd $OUTPUT_DIR; find . | sort",
        ]);
        assert!(found.starts_with(".\n./half\n"), "{found}");
        // It is kept by runs that keep nothing new.
        test.run(["-run"]).exits(1);
        assert!(failed.join("2/out/half").exists());
        test.write("good", "");
        test.write("db/failed/mine", "");
        test.runs();
        assert!(!failed.join("2").exists() && !failed.join("3").exists());
        std::fs::remove_file(failed.join("mine")).unwrap();
        test.runs();
        assert!(!failed.exists());
        test.nothing_temporary_is_left();
    }
}

#[test]
fn a_folder_that_cannot_be_kept_is_told() {
    let test = pipeline("", "exit 1");
    test.run(["-run"]).exits(1);
    test.write("db/failed", "");
    test.run(["-run", "-keep-failed"])
        .exits(2)
        .says("cannot keep what failed tasks leave")
        .says("hint: ");
}

#[test]
fn a_signal_ends_a_command_with_all_that_it_started() {
    let test = pipeline("", "cp $INPUT_FILE $OUTPUT_DIR/out");
    test.runs();
    let lives = || {
        let pid = test.read("pid");
        let words = std::fs::read(format!("/proc/{}/cmdline", pid.trim()));
        words.is_ok_and(|words| !words.is_empty())
    };
    for (signal, status) in [(Signal::TERM, 143), (Signal::HUP, 129), (Signal::INT, 130)] {
        let own = tempfile::tempdir().unwrap();
        let script = "trap - INT; sleep 600 & echo $! > pid; echo ready >&2; wait";
        let mut command = test.command(["shell", "page", "--", "bash", "-c", script]);
        command.env("TMPDIR", own.path()).stdin(Stdio::null());
        let running = Running::start(command);
        running.says("ready");
        running.signal(signal);
        running.end().exits(status);
        wait_for("the end of what it started", || !lives());
        assert_eq!(std::fs::read_dir(own.path()).unwrap().count(), 0);
    }
    let script = "sleep 600 > /dev/null 2>&1 & echo $! > pid";
    test.run(["shell", "page", "--", "sh", "-c", script])
        .exits(0);
    wait_for("the end of what it left", || !lives());
}

/// What a task has, by a script that its step and a shell run alike.
const SHOW: &str = r#"
show() { if test -d "$2"; then echo "$1"; (cd "$2"; grep -R . . | sort || true); elif test -e "$2"; then echo "$1"; cat "$2"; fi; }
show input "$INPUT_FILE"; show files "${INPUT_DIR-/none}"; show with "${WITH_DIR-/none}"; show one "${WITH_FILE-/none}"
echo "key $TASK_PIPELINE_KEY"
test -z "${SECRET_token-}" || wc -c < $SECRET_token
"#;

#[test]
fn whatever_a_task_has_is_there_in_bash() {
    let test = Test::with(&format!(
        r#"
[defaults]
shell = ["bash", "-euo", "pipefail", "-c"]
[[step]]
name = "begin"
start = true
folders = true
script = '''
mkdir -p $OUTPUT_DIR/x_inner/deep; echo 1 > $OUTPUT_DIR/x_inner/deep/a
for i in 1 2; do echo $i > $OUTPUT_DIR/${{i}}_all; echo $i > $OUTPUT_DIR/${{i}}_pair; done
'''
[[step]]
name = "inner"
secrets = ["token"]
script = '''{SHOW}'''
[[step]]
name = "all"
gather = true
outputs = ["p", "q"]
script = '''{SHOW}
echo p > $OUTPUT_DIR/p; echo q > $OUTPUT_DIR/q'''
[[step]]
name = "pair"
with = ["all"]
each = true
script = '''{SHOW}'''
[[step]]
name = "whole"
from = ["begin:1_pair"]
with = ["all", "begin"]
script = '''{SHOW}'''
"#
    ));
    test.write("token", "secret-token");
    let secret = ["-secret", "token=token"];
    test.run(["-run", "-secret", "token=token"])
        .exits(0)
        .says("8 run");
    for task in test.rows("SELECT id || ' ' || step FROM live_task WHERE step <> 'begin'") {
        let (task, step) = task.split_once(' ').unwrap();
        let mut words = vec!["shell", step, task];
        if step == "inner" {
            words.extend(secret);
        }
        words.extend(["--", "bash", "-c", SHOW]);
        let seen = test.text(&words);
        assert_eq!(seen, test.text(&["log", task]), "{step}");
        let has = match step {
            "inner" => &["input\n./deep/a:1\n", "\n12\n"][..],
            "all" => &["files\n./1_all:1\n./2_all:2\n"],
            "pair" => &["with\n./all/", "\none\n"],
            _ => &[
                "./all/p:p\n./all/q:q\n./begin/1_all:1\n",
                "./begin/x_inner/deep/a:1\n",
            ],
        };
        for has in has {
            assert!(seen.contains(has), "{step}: {seen}");
        }
    }
    test.nothing_temporary_is_left();
}

#[test]
fn a_pair_that_waits_has_one_output() {
    let test = Test::with(
        r#"
[[step]]
name = "begin"
start = true
script = 'for i in 1 2; do echo $i > $OUTPUT_DIR/${i}_pair; echo $i > $OUTPUT_DIR/${i}_index; done'
[[step]]
name = "index"
outputs = ["?.idx"]
script = 'echo index $(cat $INPUT_FILE) > $OUTPUT_DIR/$TASK_PIPELINE_KEY.idx'
[[step]]
name = "pair"
with = ["index"]
each = true
outputs = ["*.out"]
script = 'test ! -e broken; cat $WITH_FILE > $OUTPUT_DIR/$TASK_PIPELINE_KEY.out'
"#,
    );
    test.run(["-run", "-only", "begin"]).exits(0);
    let command = [
        "--",
        "sh",
        "-c",
        "cat $INPUT_FILE $WITH_FILE; ls $WITH_DIR/*; echo $TASK_PIPELINE_KEY",
    ];
    let shell = |words: &[&str]| test.text(&[&["shell", "pair"], words, &command[..]].concat());
    let refused = test.refusal(&[&["shell", "pair"], &command[..]].concat());
    assert!(
        refused.contains("works with each output of index, and there is none yet"),
        "{refused}"
    );
    assert!(refused.contains("-run -until index"), "{refused}");
    test.run(["-run", "-only", "index"]).exits(0);
    let waits = test.rows("SELECT id FROM live_task WHERE step = 'pair'");
    assert_eq!(waits.len(), 2);
    let first = shell(&[&waits[1]]);
    assert_eq!(first, "2\nindex 1\n1.idx\n2_1\n");
    let head = test
        .command(["shell", "pair"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let head = String::from_utf8(head.stderr).unwrap();
    assert!(head.contains("(the first of 2, each for itself)"), "{head}");
    // By then they are tasks, and have failed.
    test.write("broken", "");
    test.run(["-run"]).exits(1);
    let failed = test.rows("SELECT id FROM live_task WHERE step = 'pair'");
    let seen: Vec<String> = failed.iter().map(|task| shell(&[task])).collect();
    assert_eq!(seen[3], "2\nindex 2\n2.idx\n2_2\n");
    assert_eq!(seen.iter().filter(|seen| **seen == first).count(), 1);
    let refused = test.refusal(&[&["shell", "pair", &waits[1]], &command[..]].concat());
    assert!(refused.contains("and no task"), "{refused}");
    assert!(
        refused.contains(&format!("its tasks are #{} to #{}", failed[2], failed[3])),
        "{refused}"
    );
    std::fs::remove_file(test.path("broken")).unwrap();
    test.runs();
    assert_eq!(test.output("2_1.out"), "index 1\n");
}

#[test]
fn the_task_of_a_start_step_has_an_empty_input() {
    #[cfg(target_os = "linux")]
    let sandboxed = (!crate::sandbox::is_left_out()).then_some("sandbox = true\n");
    #[cfg(not(target_os = "linux"))]
    let sandboxed = None;
    for more in std::iter::once("").chain(sandboxed) {
        let test = Test::with(&format!(
            "[[step]]\nname = 'begin'\nstart = true\n{more}script = 'test ! -s $INPUT_FILE; echo x > $OUTPUT_DIR/end'\n"
        ));
        test.runs();
        let script = "test -f $INPUT_FILE; wc -c < $INPUT_FILE; echo $TASK_PIPELINE_TASK";
        for (words, says) in [(&["begin"][..], "0\n\n"), (&["begin", "1"], "0\n1\n")] {
            let command = ["--", "sh", "-c", script];
            let words = ["shell"].iter().chain(words).chain(&command);
            test.run(words).exits(0).prints(says);
        }
        let mut command = test.command(["shell", "begin", "1"]);
        let output = command.stdin(Stdio::null()).output().unwrap();
        let head = String::from_utf8_lossy(&output.stderr);
        assert!(
            head.contains("(empty: a start step has no input)"),
            "{head}"
        );
        test.nothing_temporary_is_left();
    }
}

#[test]
fn a_signal_is_heard_while_large_folders_are_made() {
    let test = Test::with(
        "[[step]]\nname = 'begin'\nstart = true\nfolders = true\nscript = '''\n\
         cd $OUTPUT_DIR; mkdir big_folder; cd big_folder; seq 20000 | xargs touch; for i in 1 2 3; do echo $i > $i; done\n\
         cd ..; seq 20000 | sed 's/$/_all/' | xargs touch\n'''\n\
         [[step]]\nname = 'folder'\nscript = ':'\n\
         [[step]]\nname = 'all'\ngather = true\nscript = ': $INPUT_DIR'\n\
         ",
    );
    test.run(["-run"]).exits(0);
    for (step, signal, status) in [
        ("folder", Signal::INT, 130),
        ("all", Signal::TERM, 143),
        ("all", Signal::HUP, 129),
    ] {
        let own = tempfile::tempdir().unwrap();
        let mut command = test.command(["shell", step, "--", "touch", "ran"]);
        command.env("TMPDIR", own.path());
        let running = Running::start(command);
        let begun = || {
            let place = std::fs::read_dir(own.path()).unwrap().next()?.ok()?;
            let folder = ["input", "files"].map(|name| place.path().join(name));
            let mut made = folder.iter().flat_map(std::fs::read_dir).flatten();
            made.next()
        };
        wait_for("the first file", || begun().is_some());
        running.signal(signal);
        let ran = running.end().exits(status);
        assert!(ran.stderr.contains("interrupted by SIG"), "{}", ran.stderr);
        assert_eq!(std::fs::read_dir(own.path()).unwrap().count(), 0, "{step}");
        assert!(!test.path("ran").exists());
    }
}
