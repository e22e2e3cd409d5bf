//! Tasks that fail: what is said, what is recorded, retries, time limits.

use std::time::Duration;

use crate::harness::{Test, wait_for};

/// One start step with these keys and this script.
fn one(keys: &str, script: &str) -> Test {
    Test::with(&format!(
        "[[step]]\nname = 'only'\nstart = true\n{keys}\nscript = '''\n{script}\n'''\n"
    ))
}

const TASK: &str = "SELECT processed, error FROM task";

#[test]
fn an_error_tells_the_status_and_the_last_lines_of_standard_error() {
    let test = one(
        "",
        "seq 1 50 >&2; echo hidden; echo > $OUTPUT_DIR/half; exit 7",
    );
    let ran = test.run(["-run"]).exits(1);
    let lines: Vec<String> = (41..=50).map(|n| n.to_string()).collect();
    assert_eq!(
        test.rows(TASK),
        [format!("0|exit status 7\n{}", lines.join("\n"))]
    );
    assert_eq!(test.rows("SELECT count(*) FROM task"), ["1"]);
    ran.says("only #1: failed after ")
        .says(": exit status 7\n  41\n")
        .says("0 run, 0 reused, 1 failed, 0 pending")
        .never_says("hidden");
    test.tally_is_right();
}

#[test]
fn failures_come_last_in_the_summary() {
    let test = Test::with(
        r#"
        [[step]]
        name = "begin"
        start = true
        script = 'for i in 1 2 3; do echo $i > $OUTPUT_DIR/${i}_work; done'
        [[step]]
        name = "work"
        script = 'test $(cat $INPUT_FILE) != 2 || { echo two is bad >&2; exit 9; }'
        "#,
    );
    let ran = test.run(["-run"]).exits(1);
    let (_, summary) = ran.stderr.split_once("3 run, 0 reused, 1 failed").unwrap();
    let (_, failed) = summary.split_once('\n').unwrap();
    let task = test
        .rows("SELECT id FROM task WHERE error IS NOT NULL")
        .remove(0);
    assert_eq!(
        failed,
        format!("failed: work #{task} on 2_work\n  exit status 9\n  two is bad\n")
    );
}

#[test]
fn a_signal_is_named() {
    let test = one("", "kill -KILL $$");
    test.run(["-run"]).exits(1).says("killed by SIGKILL");
    assert_eq!(test.rows(TASK), ["0|killed by SIGKILL"]);
}

#[test]
fn the_next_run_tries_failed_tasks_again() {
    let test = one(
        "",
        "echo try >> $COUNT; test -e ready; echo ok > $OUTPUT_DIR/out",
    );
    test.run(["-run"]).exits(1);
    test.run(["-run"]).exits(1);
    test.write("ready", "");
    test.runs();
    assert_eq!(test.rows(TASK), ["1|", "1|"]);
    test.runs();
    assert_eq!(test.times("try"), 3);
    assert_eq!(test.output("out"), "ok\n");
    test.tally_is_right();
}

#[test]
fn what_does_not_depend_on_a_failure_goes_on() {
    let test = Test::with(
        r#"
        [[step]]
        name = "begin"
        start = true
        script = 'echo > $OUTPUT_DIR/bad; echo > $OUTPUT_DIR/good'
        [[step]]
        name = "bad"
        script = 'echo > $OUTPUT_DIR/good2_end; exit 1'
        [[step]]
        name = "good"
        script = 'sleep 0.2; echo > $OUTPUT_DIR/end'
        [[step]]
        name = "end"
        script = 'echo $TASK_PIPELINE_INPUT_NAME >> $COUNT'
        "#,
    );
    test.run(["-run"]).exits(1);
    assert_eq!(test.count(), ["end"]);
}

#[test]
fn retries_pause_for_longer_and_longer() {
    let test = one(
        "retries = 2\nretry_delay = '100ms'",
        "date +%s%N >> $COUNT; test $(wc -l < $COUNT) = 3; echo ok > $OUTPUT_DIR/out",
    );
    let ran = test.runs();
    ran.says("again in 100ms")
        .says("again in 200ms")
        .says("1 run, 0 reused, 0 failed");
    let times: Vec<u128> = test
        .count()
        .iter()
        .map(|time| time.parse().unwrap())
        .collect();
    assert_eq!(times.len(), 3);
    let pause = |at: usize| Duration::from_nanos(u64::try_from(times[at + 1] - times[at]).unwrap());
    assert!(pause(0) >= Duration::from_millis(95), "{:?}", pause(0));
    assert!(pause(1) >= Duration::from_millis(195), "{:?}", pause(1));
    assert_eq!(test.rows(TASK), ["1|", "1|"]);
}

#[test]
fn check_shows_how_long_a_retry_waits() {
    let retried = |keys: &str| one(keys, "exit 1").text(&["check"]);
    assert!(retried("retries = 2").contains("2 retries\n"));
    let told = retried("retries = 2\nretry_delay = '90s'");
    assert!(
        told.contains("2 retries, the first after 1m30s\n"),
        "{told}"
    );
    let told = retried("retries = 1\nretry_delay = '5ms'");
    assert!(told.contains("1 retry after 5ms\n"), "{told}");
}

#[test]
fn a_grace_that_is_no_time_is_refused() {
    let test = one("", "true");
    for (grace, why) in [
        ("5", "has no unit"),
        ("0s", "is no time at all"),
        ("soon", "is not a length of time"),
    ] {
        let said = test.refusal(&["-run", "-grace", grace]);
        assert!(said.contains(why), "{said}");
    }
    assert!(
        test.refusal(&["-grace", "5s"])
            .contains("-run or -sample N is missing")
    );
    assert!(!test.path("db").exists());
}

#[test]
fn retries_are_counted_and_hold_up_nothing_else() {
    let test = Test::with(
        r#"
        [[step]]
        name = "begin"
        start = true
        script = 'echo > $OUTPUT_DIR/bad; echo > $OUTPUT_DIR/good'
        [[step]]
        name = "bad"
        retries = 1
        retry_delay = '20ms'
        script = 'echo bad >> $COUNT; exit 1'
        [[step]]
        name = "good"
        script = 'sleep 0.1; echo good >> $COUNT'
        "#,
    );
    test.run(["-run", "-parallel", "1"])
        .exits(1)
        .says("1 failed");
    let mut count = test.count();
    assert_eq!(count.pop().unwrap(), "bad");
    count.sort();
    assert_eq!(count, ["bad", "good"]);
    // The next run begins to count anew.
    test.run(["-run"]).exits(1);
    assert_eq!(test.times("bad"), 4);
}

#[test]
fn a_time_limit_ends_the_whole_group() {
    let test = one(
        "timeout = '300ms'",
        "sleep 100 & echo $! >> $COUNT; echo waits >&2; sleep 100",
    );
    let ran = test
        .run(["-run"])
        .exits(1)
        .says("timed out after 300ms\n  waits");
    assert!(ran.elapsed < Duration::from_secs(4), "{ran}");
    assert_eq!(test.rows(TASK), ["0|timed out after 300ms\nwaits"]);
    is_gone(&test.count()[0]);
}

#[test]
fn a_time_limit_leaves_time_to_tidy_up_but_not_for_ever() {
    let test = one(
        "timeout = '200ms'",
        "trap 'sleep 0.1; echo tidied >> $COUNT; exit 0' TERM; sleep 100 & wait",
    );
    test.run(["-run"]).exits(1).says("timed out after 200ms");
    assert_eq!(test.count(), ["tidied"]);
    let test = one(
        "timeout = '200ms'",
        "trap '' TERM; echo $$ >> $COUNT; while :; do sleep 0.1; done",
    );
    let ran = test.run(["-run", "-grace", "300ms"]);
    let ran = ran.exits(1).says("timed out after 200ms");
    assert!(ran.elapsed >= Duration::from_millis(500), "{ran}");
    assert!(ran.elapsed < Duration::from_secs(5), "{ran}");
    is_gone(&test.count()[0]);
}

/// Waits until there is no such process, or only its remains.
fn is_gone(pid: &str) {
    wait_for("the end of a process", || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.is_empty() || status.contains("State:\tZ")
    });
}

#[test]
fn a_time_limit_is_that_of_one_execution() {
    let test = one(
        "timeout = '1s'\nretries = 1\nretry_delay = '10ms'",
        "echo x >> $COUNT; test $(wc -l < $COUNT) = 2 || sleep 100; sleep 0.5",
    );
    test.runs().says("timed out after 1s");
    assert_eq!(test.count().len(), 2);
}
