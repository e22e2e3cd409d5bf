//! What a script gets, and what is kept of what it writes.

use std::fs;

use crate::harness::{Running, Test, hash, wait_for};

/// One start step with this script, and its further keys.
fn one(keys: &str, script: &str) -> String {
    format!("[[step]]\nname = 'only'\nstart = true\n{keys}\nscript = '''\n{script}\n'''\n")
}

/// A step that leaves the text `data` for the step `work` with this script.
fn two(keys: &str, script: &str) -> String {
    format!(
        "[[step]]\nname = 'begin'\nstart = true\nscript = 'printf data > $OUTPUT_DIR/some_work.txt'\n\
         [[step]]\nname = 'work'\n{keys}\nscript = '''\n{script}\n'''\n"
    )
}

#[test]
fn place_variables_and_folders() {
    let test = Test::new();
    test.write("pipes/beside", "here");
    test.write(
        "pipes/workflow.toml",
        two(
            "",
            r#"
            test "$(cat beside)" = here
            test "$(pwd -P)" = "$PLACE"
            test "$(cat $INPUT_FILE)" = data
            test -d $OUTPUT_DIR && test -z "$(ls -A $OUTPUT_DIR)"
            test -d $TMPDIR && test -z "$(ls -A $TMPDIR)" && echo > $TMPDIR/mine
            test "$(mktemp)" != "" && test "$(ls $TMPDIR | wc -l)" = 2
            case $INPUT_FILE$OUTPUT_DIR$TMPDIR in *..*) false;; esac
            echo $TASK_PIPELINE_STEP/$TASK_PIPELINE_VERSION/$TASK_PIPELINE_TASK >> $COUNT
            echo $TASK_PIPELINE_RUNSET/$TASK_PIPELINE_INPUT_NAME >> $COUNT
            echo $TMPDIR >> $COUNT
            "#,
        ),
    );
    let mut command = test.command([
        "-manifest",
        "pipes/workflow.toml",
        "-run",
        "-runset",
        "night",
    ]);
    command.env("PLACE", test.path("pipes").canonicalize().unwrap());
    Running::start(command).end().exits(0);
    let count = test.count();
    assert_eq!(count[..2], ["work/1/2", "night/some_work.txt"]);
    assert!(!std::path::Path::new(&count[2]).exists());
    test.nothing_temporary_is_left();
}

#[test]
fn a_start_task_has_an_empty_input_and_no_input_name() {
    let test = Test::with(&one(
        "",
        "test -f $INPUT_FILE; test ! -s $INPUT_FILE; test \"${TASK_PIPELINE_INPUT_NAME-x}\" = ''",
    ));
    test.runs();
}

#[test]
fn standard_input_is_empty() {
    let test = Test::with(&one(
        "",
        "wc -c > $OUTPUT_DIR/size; readlink /proc/self/fd/0",
    ));
    let mut command = test.shell("echo typed | $PROGRAM -run -verbose");
    command.env("X", "1");
    Running::start(command).end().exits(0).says("| /dev/null");
    assert_eq!(test.output("size").trim(), "0");
}

#[test]
fn each_script_has_a_process_group_of_its_own() {
    let test = Test::with(&one("", "ps -o pid= -o pgid= -p $$ > $OUTPUT_DIR/ids"));
    test.runs();
    let ids = test.output("ids");
    let mut ids = ids.split_whitespace();
    assert_eq!(ids.next().unwrap(), ids.next().unwrap());
}

#[test]
fn no_descriptor_of_the_program_reaches_a_script() {
    let list = "ls /proc/self/fd > $OUTPUT_DIR/fds";
    let test = Test::with(&one("", list));
    let mut direct = test.shell(&format!("\n{list}\n"));
    direct.env("OUTPUT_DIR", test.path(""));
    Running::start(direct).end().exits(0);
    test.runs();
    assert_eq!(test.output("fds"), test.read("fds"));
}

#[test]
fn a_script_stops_at_the_first_failed_command() {
    let test = Test::with(&one("", "false\necho on >> $COUNT"));
    test.run(["-run"]).exits(1);
    assert_eq!(test.count().len(), 0);
}

#[test]
fn another_shell_can_be_set() {
    let keys = "shell = ['bash', '-euo', 'pipefail', '-c']";
    let test = Test::with(&one(
        keys,
        "[[ -n $BASH_VERSION ]]; echo ok > $OUTPUT_DIR/out",
    ));
    test.runs();
    assert_eq!(test.output("out"), "ok\n");
    test.manifest(&one(keys, "false | true"));
    test.run(["-run", "-fresh"]).exits(1);
    test.manifest(&one("shell = ['no-such-shell', '-c']", ":"));
    let ran = test.run(["-run", "-fresh"]).exits(1);
    ran.says("cannot find the shell `no-such-shell` on PATH");
}

#[test]
fn variables_of_the_step_come_over_those_of_the_host() {
    let keys = "env = { LANG = 'step', OWN = 'a b\"$HOME' }";
    let test = Test::with(&one(
        keys,
        "printf '%s|%s|%s' \"$LANG\" \"$OWN\" \"$HOSTS\" > $OUTPUT_DIR/out",
    ));
    let mut command = test.command(["-run"]);
    command.env("HOSTS", "h").env("OWN", "host");
    Running::start(command).end().exits(0);
    assert_eq!(test.output("out"), "step|a b\"$HOME|h");
}

#[test]
fn pure_hides_the_hosts_variables_but_those_to_keep() {
    let [env, cut, sort] = ["env", "cut", "sort"].map(|name| which::which(name).unwrap());
    let (env, cut, sort) = (env.display(), cut.display(), sort.display());
    let names = format!("{env} | {cut} -d= -f1 | {sort} > $OUTPUT_DIR/names");
    let test = Test::with(&one(
        "pure = true\nkeep = ['KEPT']\nenv = { OWN = '1' }",
        &names,
    ));
    let mut command = test.command(["-run"]);
    command.env("KEPT", "k").env("OTHER", "o");
    Running::start(command).end().exits(0);
    let given = test.output("names");
    let given: Vec<&str> = given
        .lines()
        .filter(|name| !["_", "PWD", "SHLVL", "OLDPWD"].contains(name))
        .collect();
    assert_eq!(
        given,
        [
            "HOME",
            "INPUT_FILE",
            "KEPT",
            "OUTPUT_DIR",
            "OWN",
            "TASK_PIPELINE_INPUT_NAME",
            "TASK_PIPELINE_RUNSET",
            "TASK_PIPELINE_STEP",
            "TASK_PIPELINE_TASK",
            "TASK_PIPELINE_VERSION",
            "TMPDIR"
        ]
    );
}

#[test]
fn whatever_is_done_to_the_input_no_object_is_harmed() {
    for harm in [
        "echo other > $INPUT_FILE",
        ": > $INPUT_FILE",
        "chmod 0 $INPUT_FILE",
        "chmod 777 $INPUT_FILE; echo more >> $INPUT_FILE",
        "rm $INPUT_FILE",
        "rm $INPUT_FILE; mkdir $INPUT_FILE",
        "rm $INPUT_FILE; ln -s /dev/null $INPUT_FILE",
        "mv $INPUT_FILE $OUTPUT_DIR/moved",
        "ln $INPUT_FILE $OUTPUT_DIR/linked; echo more >> $INPUT_FILE",
        "(sleep 60; echo late >> $INPUT_FILE) &",
        "rm -r $TMPDIR $OUTPUT_DIR/../out; mkdir $OUTPUT_DIR",
        "chmod 0 $TMPDIR $OUTPUT_DIR",
    ] {
        // Two tasks of one worker: the second must find its own input whole.
        let test = Test::with(&format!(
            "[[step]]\nname = 'begin'\nstart = true\n\
             script = 'printf one > $OUTPUT_DIR/1_work; printf two > $OUTPUT_DIR/2_work'\n\
             [[step]]\nname = 'work'\nscript = '''cat $INPUT_FILE >> $COUNT; {harm}'''"
        ));
        let ran = test.run(["-run", "-parallel", "1"]);
        assert_eq!(ran.status, 0, "{harm}\n{ran}");
        assert_eq!(test.read("count"), "onetwo", "{harm}");
        test.objects_are_whole();
        test.nothing_temporary_is_left();
        for text in ["one", "two"] {
            let bytes = fs::read(test.object(&hash(text.as_bytes()))).unwrap();
            assert_eq!(bytes, text.as_bytes(), "{harm}");
        }
    }
}

/// The objects with what a task wrote to its two streams.
fn logs(test: &Test, task: i64) -> (Vec<u8>, Vec<u8>) {
    let row = test.rows(&format!(
        "SELECT stdout, stderr FROM log WHERE task_id = {task}"
    ));
    let Some((out, err)) = row.first().and_then(|row| row.split_once('|')) else {
        return (Vec::new(), Vec::new());
    };
    let bytes = |hash: &str| {
        if hash.is_empty() {
            Vec::new()
        } else {
            fs::read(test.object(hash)).unwrap()
        }
    };
    (bytes(out), bytes(err))
}

#[test]
fn what_a_script_writes_is_kept_with_the_task() {
    let test = Test::with(&one(
        "",
        r"echo one; echo two >&2; echo three > /dev/stderr; echo four > /dev/stdout; printf '\377'",
    ));
    test.runs().never_says("two");
    assert_eq!(
        logs(&test, 1),
        (b"one\nfour\n\xff".to_vec(), b"two\nthree\n".to_vec())
    );
    test.objects_are_whole();
}

#[test]
fn the_log_of_the_last_execution_is_kept() {
    let test = Test::with(&one("", "echo said >&2; test -e go"));
    test.run(["-run"]).exits(1);
    assert_eq!(logs(&test, 1).1, b"said\n");
    test.manifest(&one("", ":"));
    test.runs();
    assert_eq!(logs(&test, 1).1, b"");
}

#[test]
fn much_output_takes_little_memory() {
    const SIZE: usize = 100 * 1024 * 1024;
    let test = Test::with(&one(
        "",
        "head -c 104857600 /dev/zero; printf end; echo >> $COUNT; until test -e go; do sleep 0.01; done",
    ));
    let running = test.start(["-run"]);
    wait_for("the output", || !test.count().is_empty());
    let peak = peak_memory(running.pid());
    test.write("go", "");
    running.end().exits(0);
    assert!(peak < 64 << 20, "{peak} bytes");
    let (out, _) = logs(&test, 1);
    assert_eq!(out.len(), SIZE + 3);
    assert!(out.ends_with(b"\0end"));
}

/// The most memory that a process ever had, in bytes.
pub fn peak_memory(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[test]
fn what_is_left_in_the_background_is_ended_and_told() {
    let test = Test::with(&one(
        "",
        "(while :; do echo again; sleep 0.01; done) &\necho $! >> $COUNT; echo ok > $OUTPUT_DIR/out",
    ));
    let ran = test
        .runs()
        .says("warning: task 1 of only left processes running");
    assert_eq!(test.output("out"), "ok\n");
    assert!(ran.elapsed.as_secs() < 30);
    let pid: u32 = test.count()[0].parse().unwrap();
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
}

#[test]
fn what_left_the_process_group_keeps_nothing_waiting_and_reaches_no_other_task() {
    // It holds the streams and the first task's folder from the beginning, and writes into all
    // that it knows of while the second runs: what it had open for writing at the first's end
    // would be an output that is not whole, and an error.
    let test = Test::with(
        r"
        [[step]]
        name = 'begin'
        start = true
        script = '''
        cd $OUTPUT_DIR
        setsid sh -c 'trap : PIPE; here=${COUNT%/*}; touch $COUNT.begun
            while test -d $here && test ! -e $COUNT.second; do sleep 0.01; done
            while test -d $here && test ! -e $COUNT.end; do
                echo spam; echo > late; echo > $OUTPUT_DIR/late; echo > $TMPDIR/x
                echo >> $COUNT; sleep 0.01
            done; touch $COUNT.over' &
        until test -e $COUNT.begun; do sleep 0.01; done
        cd /; echo 1 > $OUTPUT_DIR/a_work
        '''
        [[step]]
        name = 'work'
        script = '''
        touch $COUNT.second
        for try in $(seq 1000); do test ! -s $COUNT || break; sleep 0.01; done
        sleep 0.2; ls -A $TMPDIR; cp $INPUT_FILE $OUTPUT_DIR/result
        '''
        ",
    );
    let ran = test.run(["-run", "-parallel", "1"]);
    test.write("count.end", "");
    // Else it could make a file in the folder of the test while that goes.
    wait_for("its end", || test.path("count.over").exists());
    assert_eq!(ran.status, 0, "{ran}");
    assert!(!test.count().is_empty(), "it wrote while the second ran");
    assert_eq!(logs(&test, 2), (Vec::new(), Vec::new()));
    assert_eq!(test.output("result"), "1\n");
    test.objects_are_whole();
}

#[test]
fn a_script_that_goes_elsewhere_finds_its_files() {
    let test = Test::with(
        "[[step]]\nname = 'only'\nstart = true\n\
         script = 'cd /; test -f \"$INPUT_FILE\"; test -d \"$TMPDIR\"; echo x > \"$OUTPUT_DIR/out\"'\n",
    );
    test.runs();
    assert_eq!(test.output("out"), "x\n");
}
