//! Sandboxes that one process makes for the tasks of a step, one after the other.

use super::is_left_out;
use crate::harness::Test;

/// Tasks of one step, one after the other in one worker. `extra`: what each does besides.
fn many(test: &Test, extra: &str) {
    test.manifest(&format!(
        r#"
        [[input]]
        lines = "seq 12"
        step = "a"

        [[step]]
        name = "a"
        sandbox = true
        secrets = ["token"]
        timeout = "1m"
        script = '''
        for folder in /task /tmp "$HOME" /dev/shm; do
            test ! -e "$folder/left"
            echo "$TASK_PIPELINE_TASK" > "$folder/left"
        done
        ! (echo x > /x) 2> /dev/null
        ! (echo x > ./x) 2> /dev/null
        test "$(hostname)" = localhost
        test "$(cat "$SECRET_token")" = s3cr3t-t0ken
        test "$(ls /proc | grep -c '^[0-9]')" -lt 8
        test -z "$(ls -A /.host 2> /dev/null)"
        test "$TASK_PIPELINE_INPUT_NAME" = "$(cat "$INPUT_FILE")"
        nohup sleep 4714 > /dev/null 2>&1 &
        for fd in $(ls /proc/self/fd); do test $fd -lt 4; done
        test ! -s /dev/stdin
        {extra}
        cp "$INPUT_FILE" "$OUTPUT_DIR/n.txt"
        '''
        "#
    ));
    test.write("token", "s3cr3t-t0ken\n");
}

const MANY: [&str; 6] = [
    "-run",
    "-parallel",
    "1",
    "-verbose",
    "-secret",
    "token=token",
];

#[test]
fn what_one_task_leaves_no_other_sees() {
    if is_left_out() {
        return;
    }
    // Below `/tmp`, perhaps, and not.
    for test in [Test::new(), Test::apart()] {
        many(&test, "");
        test.run(MANY).exits(0).never_says("background");
        assert_eq!(test.finals()["n.txt"].len(), 12);
        test.nothing_temporary_is_left();
        test.objects_are_whole();
    }
}

#[test]
fn ends_of_one_among_many_are_its_own() {
    if is_left_out() {
        return;
    }
    for (extra, told) in [
        ("exit 7", "exit status 7"),
        ("exit 137", "exit status 137"),
        ("kill -9 $$", "killed by SIGKILL"),
        ("kill -9 0", "killed by SIGKILL"),
        ("sleep 60", "timed out after 1s"),
        (
            "trap '' TERM; while :; do sleep 1; done",
            "timed out after 1s",
        ),
        ("kill -STOP $$", "timed out after 1s"),
    ] {
        let test = Test::apart();
        many(
            &test,
            &format!("if test \"$(cat $INPUT_FILE)\" = 6; then {extra}; fi"),
        );
        test.manifest(&test.read("workflow.toml").replace("\"1m\"", "\"1s\""));
        let mut arguments = MANY.to_vec();
        arguments.extend(["-grace", "200ms"]);
        test.run(&arguments).exits(1).says(told).says("1 failed");
        assert_eq!(test.finals()["n.txt"].len(), 11, "{extra}");
        test.nothing_temporary_is_left();
    }
}

#[test]
fn an_interrupted_run_of_many_goes_on() {
    if is_left_out() {
        return;
    }
    let test = Test::apart();
    many(&test, "echo begun; test -e go || sleep 0.2");
    let running = test.start(MANY);
    running.says("begun");
    running.signal(rustix::process::Signal::TERM);
    running.end().exits(143);
    let running = test.start(MANY);
    running.says("begun");
    running.signal(rustix::process::Signal::KILL);
    running.end();
    test.run(MANY).exits(0);
    assert_eq!(test.finals()["n.txt"].len(), 12);
    test.nothing_temporary_is_left();
}

/// Also where one process makes the sandboxes of many tasks.
#[test]
fn what_each_task_took_is_known() {
    if is_left_out() {
        return;
    }
    let test = Test::apart();
    test.manifest(
        r#"
        [[input]]
        lines = "seq 3"
        step = "a"

        [[step]]
        name = "a"
        sandbox = true
        script = '''
        if test "$(cat "$INPUT_FILE")" = 2; then perl -e 'my $x = "x" x 90_000_000; for (1 .. 9_000_000) { $y += $_ }'; fi
        grep -qzx for-many /proc/1/cmdline
        test "$(cat "$INPUT_FILE")" != 3 || exit 137
        '''
        "#,
    );
    test.run(["-run", "-parallel", "1"])
        .exits(1)
        .says("exit status 137");
    let took = "SELECT id, cpu_time > 0, cpu_time > 100000, peak_memory > 80000000, peak_memory > 0
        FROM task WHERE step_id IS NOT NULL ORDER BY id";
    assert_eq!(test.rows(took), ["1|1|0|0|1", "2|1|1|1|1", "3|1|0|0|1"]);
}
