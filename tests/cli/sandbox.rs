//! Scripts in a sandbox: what they see, what they cannot reach, and how they end.

mod escapes;
mod killed;
mod left;
mod many;
mod others;
mod rights;

use std::os::unix::fs::PermissionsExt as _;

use crate::harness::{Running, Test};
use crate::privileges::as_a_user;

/// Whether the tests of sandboxes are left out by name: where none can be made, or there is no host in them.
pub fn is_left_out() -> bool {
    const OPT_OUT: &str = "TASK_PIPELINE_TESTS_WITHOUT_SANDBOX";
    let left_out = std::env::var_os(OPT_OUT).is_some_and(|value| value == "1");
    if left_out {
        eprintln!("left out ({OPT_OUT}=1)");
    }
    left_out
}

/// A pipeline of one step with these keys and this script.
fn pipeline(keys: &str, script: &str) -> String {
    format!(
        "[[step]]\nname = \"a\"\nstart = true\nsandbox = true\n{keys}\nscript = '''\n{script}\n'''\n"
    )
}

/// Runs it to a good end.
fn ran(keys: &str, script: &str) -> Test {
    let test = Test::new();
    test.write("beside.txt", "not declared\n");
    test.write("lib/declared.txt", "declared\n");
    test.manifest(&pipeline(keys, script));
    test.runs();
    test
}

#[test]
fn it_sees_its_input_and_its_files_and_nothing_else() {
    if is_left_out() {
        return;
    }
    let test = Test::new();
    test.write("beside.txt", "");
    test.write("lib/declared.txt", "declared\n");
    test.write("lib/other.txt", "");
    std::os::unix::fs::symlink("/etc/hostname", test.path("link.txt")).unwrap();
    test.manifest(
        r#"
        [defaults]
        sandbox = true
        files = ["lib/d*", "link.txt"]

        [[step]]
        name = "a"
        start = true
        script = '''
        test ! -s "$INPUT_FILE"
        echo one > "$OUTPUT_DIR/x_b"
        '''

        [[step]]
        name = "b"
        script = '''
        cat "$INPUT_FILE" lib/declared.txt > "$OUTPUT_DIR/seen.txt"
        cmp link.txt /etc/hostname
        find . | sort > "$OUTPUT_DIR/found.txt"
        for own in "$OUTPUT_DIR" "$TMPDIR" /tmp "$HOME" /dev/shm; do
            echo x > "$own/mine"
            rm "$own/mine"
        done
        echo x >> "$INPUT_FILE"
        mv "$INPUT_FILE" "$OUTPUT_DIR/moved.txt"
        '''
        "#,
    );
    test.runs();
    assert_eq!(test.output("seen.txt"), "one\ndeclared\n");
    assert_eq!(test.output("moved.txt"), "one\nx\n");
    let found = test.output("found.txt");
    assert_eq!(found, ".\n./lib\n./lib/declared.txt\n./link.txt\n");
}

#[test]
fn the_same_where_files_lie_below_other_folders_of_its_own() {
    if is_left_out() {
        return;
    }
    // Made for it alone, and by a server for many.
    for (place, count) in [("/tmp", 1), ("/tmp", 3), ("/dev/shm", 3)] {
        let test = Test::new();
        let folder = tempfile::tempdir_in(place).unwrap();
        let of_steps = pipeline(
            "files = [\"f\"]",
            "test ! -e /tmp/x; test ! -e /dev/shm/x; echo x > /tmp/x; echo x > /dev/shm/x; ! echo x > y
             ls -A .. > $OUTPUT_DIR/beside.txt
             cat f > $OUTPUT_DIR/seen.txt; ls > $OUTPUT_DIR/found.txt
             by=alone; if grep -qzx for-many /proc/1/cmdline; then by=served; fi
             echo $by > $OUTPUT_DIR/by.txt",
        );
        let of_steps = if count > 1 {
            let inputs = "[[input]]\nlines = 'seq 3'\nstep = 'a'\n\n";
            inputs.to_owned() + &of_steps.replace("start = true\n", "")
        } else {
            of_steps
        };
        std::fs::write(folder.path().join("f"), "declared\n").unwrap();
        std::fs::write(folder.path().join("workflow.toml"), of_steps).unwrap();
        let manifest = folder.path().join("workflow.toml");
        let manifest = manifest.to_str().unwrap();
        test.run(["-manifest", manifest, "-run", "-parallel", "1"])
            .exits(0);
        let finals = test.finals();
        let name = folder.path().file_name().unwrap().to_str().unwrap();
        let beside = format!("{name}\nx\n");
        let by = if count > 1 { "served\n" } else { "alone\n" };
        for (file, text) in [
            ("seen.txt", "declared\n"),
            ("found.txt", "f\n"),
            ("beside.txt", &*beside),
            ("by.txt", by),
        ] {
            let expected = vec![text.as_bytes(); count];
            assert_eq!(finals[file], expected, "{file} {place}");
        }
    }
}

#[test]
fn it_is_given_all_that_other_steps_leave() {
    if is_left_out() {
        return;
    }
    let test = Test::new();
    test.write("big/one.bin", "one\n");
    test.manifest(
        r#"
        [defaults]
        sandbox = true

        [[input]]
        files = "big/*.bin"
        step = "read"
        copy = false

        [[step]]
        name = "read"
        folders = true
        script = '''
        cat "$INPUT_FILE" > "$OUTPUT_DIR/all"
        ! (echo x > "$INPUT_FILE") 2> /dev/null
        mkdir "$OUTPUT_DIR/f_folder"
        echo in > "$OUTPUT_DIR/f_folder/in"
        echo ref > "$OUTPUT_DIR/index"
        '''

        [[step]]
        name = "folder"
        script = 'cat "$INPUT_FILE/in" > "$OUTPUT_DIR/seen.txt"'

        [[step]]
        name = "index"
        script = 'cp "$INPUT_FILE" "$OUTPUT_DIR/ref.txt"'

        [[step]]
        name = "all"
        gather = true
        with = ["index"]
        script = '''
        ls "$INPUT_DIR" > "$OUTPUT_DIR/names.txt"
        cat "$INPUT_DIR"/* "$WITH_DIR"/index/* > "$OUTPUT_DIR/gathered.txt"
        for file in "$INPUT_DIR"/* "$WITH_DIR"/index/*; do
            ! (echo x > "$file") 2> /dev/null
            ! chmod 777 "$file" 2> /dev/null
        done
        '''
        "#,
    );
    test.runs();
    assert_eq!(test.output("seen.txt"), "in\n");
    assert_eq!(test.output("gathered.txt"), "one\nref\n");
    assert_eq!(test.read("big/one.bin"), "one\n");
    test.objects_are_whole();
}

/// What comes in is found by the run itself, before any task.
#[test]
fn lines_of_inputs_are_run_outside() {
    if is_left_out() {
        return;
    }
    let test = Test::new();
    test.write("beside.txt", "one\n");
    test.manifest(
        r#"
        [defaults]
        sandbox = true

        [[input]]
        lines = "cat beside.txt; test -d /task || echo outside; echo \"$SEEN\""
        step = "a"

        [[step]]
        name = "a"
        script = 'test ! -e beside.txt; test -z "$SEEN"; cp "$INPUT_FILE" "$OUTPUT_DIR/line.txt"'
        "#,
    );
    let mut command = test.command(["-run"]);
    command.env("SEEN", "seen");
    Running::start(command).end().exits(0);
    let lines = &test.finals()["line.txt"];
    let lines: Vec<String> = lines
        .iter()
        .map(|line| String::from_utf8_lossy(line).trim().to_owned())
        .collect();
    assert_eq!(lines, ["one", "outside", "seen"]);
}

#[test]
fn variables_are_its_own() {
    if is_left_out() {
        return;
    }
    let test = Test::new();
    let script = "env | sort > $OUTPUT_DIR/env.txt";
    test.manifest(&pipeline("env = { A = 'a' }\nkeep = ['KEPT']", script));
    let mut command = test.command(["-run"]);
    command.env("SEEN", "no").env("KEPT", "yes");
    Running::start(command).end().exits(0);
    let env = test.output("env.txt");
    for line in [
        "A=a",
        "KEPT=yes",
        "HOME=/home/task",
        "INPUT_FILE=/task/input",
        "OUTPUT_DIR=/task/out",
        "TMPDIR=/task/tmp",
    ] {
        assert!(env.lines().any(|one| one == line), "{line} {env}");
    }
    assert!(!env.contains("SEEN"), "{env}");
}

#[test]
fn secrets_are_files_in_there() {
    if is_left_out() {
        return;
    }
    let test = Test::new();
    let script = r#"
        test "$(cat "$SECRET_token")" = "s3cr3t-t0ken"
        test "$(sh -c 'exec 3<&- ; cat "$SECRET_token"')" = "s3cr3t-t0ken"
        test "$(stat -c %a "$SECRET_token")" = 400
        ! (echo x > "$SECRET_token") 2> /dev/null
        echo "$SECRET_token" > $OUTPUT_DIR/path.txt"#;
    test.manifest(&pipeline("secrets = ['token']", script));
    test.write("token", "s3cr3t-t0ken\n");
    test.run(["-run", "-secret", "token=token"]).exits(0);
    assert_eq!(test.output("path.txt"), "/run/secrets/SECRET_token\n");
}

#[test]
fn ends_are_those_of_the_script() {
    if is_left_out() {
        return;
    }
    for (script, told) in [
        ("exit 7", "exit status 7"),
        ("kill -9 $$", "killed by SIGKILL"),
        ("kill -TERM $$", "killed by SIGTERM"),
        ("kill -SEGV $$", "killed by SIGSEGV"),
        ("sleep 60", "timed out after 300ms"),
        ("trap '' TERM; sleep 60; sleep 60", "timed out after 300ms"),
        ("echo words >&2; exit 1", "  words"),
    ] {
        let test = Test::new();
        test.manifest(&pipeline("timeout = '300ms'", script));
        let ran = test.run(["-run", "-grace", "100ms"]);
        ran.exits(1).says(told).never_says("sandbox");
        test.nothing_temporary_is_left();
    }
}

#[test]
fn nothing_outlives_it() {
    if is_left_out() {
        return;
    }
    let test = Test::new();
    let script =
        "setsid sh -c 'while :; do sleep 0.05; date > $OUTPUT_DIR/late; done' > /dev/null 2>&1 &
        nohup sleep 4711 > /dev/null 2>&1 &
        while test ! -e $OUTPUT_DIR/late; do sleep 0.01; done
        rm $OUTPUT_DIR/late; echo x > $OUTPUT_DIR/x.txt";
    test.manifest(&pipeline("", script));
    test.runs().never_says("background");
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let words = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let words = String::from_utf8_lossy(&words).replace('\0', " ");
        assert!(!words.contains("sleep 4711"), "{words}");
    }
    test.nothing_temporary_is_left();
}

#[test]
fn a_failed_task_says_what_it_lacks() {
    if is_left_out() {
        return;
    }
    let test = Test::new();
    test.write("data.csv", "");
    test.write("data/more.csv", "");
    let outside = test.path("../elsewhere.txt");
    std::fs::write(&outside, "").unwrap();
    let script = format!(
        "cat data.csv || python3 -c 0; f=more; sort data/$f.csv || :; cat {} || :; exit 3",
        outside.display()
    );
    test.manifest(&pipeline("", &script));
    let ran = test.run(["-run"]).exits(1);
    ran.says("the sandbox does not show")
        .says("\"data.csv\"")
        .says("`data.csv`");
    // By the script's text alone, and by its words alone.
    for (script, told) in [
        ("cat data.csv 2> /dev/null || exit 3", "\"data.csv\""),
        ("f=$(echo more); sort data/$f.csv", "\"data/more.csv\""),
    ] {
        test.manifest(&pipeline("", script));
        // A machine elsewhere has none of these files: that they are there is known here.
        for executor in ["local", "child:1"] {
            let ran = test.run(["-run", "-fresh", "-executor", executor]).exits(1);
            ran.says("the sandbox does not show it: add").says(told);
        }
    }
    let test = Test::new();
    test.manifest(&pipeline("", "cat nothing.csv"));
    test.run(["-run"]).exits(1).never_says("does not show");
}

#[test]
fn each_is_a_version_of_its_own() {
    if is_left_out() {
        return;
    }
    let test = Test::new();
    let manifest = |keys: &str| {
        format!(
            "[[step]]\nname = 'a'\nstart = true\npure = true\nscript = ': > $OUTPUT_DIR/x.txt'\n{keys}\n"
        )
    };
    test.manifest(&manifest(""));
    test.runs();
    test.manifest(&manifest("sandbox = true"));
    test.runs().says("a: version 2, changed: a sandbox");
    test.manifest(&manifest("sandbox = true\nnetwork = true"));
    test.runs()
        .says("a: version 3, changed: a sandbox with network");
    test.manifest(&manifest("sandbox = false"));
    test.runs().says("a is version 1 again");
    let launches = test.text(&["why", "a"]);
    assert!(launches.contains("sandbox"), "{launches}");
}

#[test]
fn without_namespaces_nothing_runs() {
    if is_left_out() {
        return;
    }
    let test = Test::new();
    test.manifest(&pipeline("", "touch ran"));
    std::fs::set_permissions(test.path(""), std::fs::Permissions::from_mode(0o777)).unwrap();
    // In a namespace in which no more can be made.
    let script = "unshare --user --map-root-user sh -c '
        echo 0 > /proc/sys/user/max_user_namespaces && exec \"$PROGRAM\" -run'";
    let Some(ran) = as_a_user(&test, script) else {
        return;
    };
    ran.exits(2)
        .says("step `a` cannot run in a sandbox: ")
        .says("user.max_user_namespaces");
    assert!(
        test.rows("SELECT id FROM task WHERE processed = 1")
            .is_empty()
    );
}

#[test]
fn a_shell_that_it_does_not_see_is_an_error_at_its_line() {
    if is_left_out() {
        return;
    }
    let test = Test::new();
    test.write("my-shell", "#!/bin/sh\nexec sh \"$@\"\n");
    let shell = test.path("my-shell");
    std::fs::set_permissions(&shell, std::fs::Permissions::from_mode(0o755)).unwrap();
    let keys = format!("shell = [\"{}\", \"-c\"]", shell.display());
    test.manifest(&pipeline(&keys, "echo x > $OUTPUT_DIR/x.txt"));
    let ran = test.run(["-run"]).exits(2);
    ran.says("no sandbox of it shows").says("workflow.toml:4");
    let keys = format!("{keys}\nfiles = [\"my-shell\"]");
    test.manifest(&pipeline(&keys, "echo x > $OUTPUT_DIR/x.txt"));
    test.runs();
}

/// Nothing of the host is seen where a sandbox has its own.
#[test]
fn a_folder_that_it_hides_is_an_error_before_anything_runs() {
    if is_left_out() {
        return;
    }
    let test = Test::new();
    test.manifest(&pipeline("", "echo x > $OUTPUT_DIR/x.txt"));
    let ran = test
        .run(["-run", "-workdir", "/proc", "-manifest", "workflow.toml"])
        .exits(2);
    ran.says("where a sandbox has something of its own");
}

#[test]
fn a_shell_for_a_look_is_in_it() {
    if is_left_out() {
        return;
    }
    let test = ran("files = ['lib']", "echo 1 > $OUTPUT_DIR/x.txt");
    let script = "ls; cat lib/declared.txt; echo $INPUT_FILE; ls $OUTPUT_DIR; test ! -e beside.txt";
    let seen = test.text(&["shell", "a", "--", "sh", "-ec", script]);
    assert_eq!(seen, "lib\ndeclared\n/task/input\n");
    test.run(["shell", "a", "--", "sh", "-c", "exit 9"])
        .exits(9);
}

#[test]
fn files_are_traced_outside_of_it() {
    if is_left_out() {
        return;
    }
    let test = ran("", "cat beside.txt || :");
    let told = test.text(&["trace-files", "a"]);
    assert!(told.contains("beside.txt"), "{told}");
}

#[test]
fn what_a_failed_task_leaves_is_kept() {
    if is_left_out() {
        return;
    }
    let test = Test::new();
    let second =
        "[[step]]\nname = 'b'\nsandbox = true\nscript = 'echo left > $OUTPUT_DIR/x; exit 1'\n";
    test.manifest(&(pipeline("", "echo 1 > $OUTPUT_DIR/x_b") + second));
    test.run(["-run", "-keep-failed"])
        .exits(1)
        .says("is kept in");
    let seen = test.text(&["shell", "b", "2", "--", "sh", "-c", "cat $OUTPUT_DIR/x"]);
    assert_eq!(seen, "left\n");
}

#[test]
fn an_interrupted_run_ends_it() {
    if is_left_out() {
        return;
    }
    let test = Test::new();
    let script =
        "echo x > $OUTPUT_DIR/x; trap 'echo asked; exit 0' TERM; echo begun; sleep 60 & wait";
    test.manifest(&pipeline("", script));
    let running = test.start(["-run", "-verbose"]);
    running.says("begun");
    running.signal(rustix::process::Signal::INT);
    running.end().exits(130).says("asked");
    test.nothing_temporary_is_left();
}
