//! Signals that end a run.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::{Running, Test, wait_for};

/// Three inputs for a step with this script, which is to say when it begins.
fn three(script: &str) -> Test {
    Test::with(&format!(
        "[[step]]\nname = 'begin'\nstart = true\n\
         script = 'for i in 1 2 3; do echo $i > $OUTPUT_DIR/${{i}}_work; done'\n\
         [[step]]\nname = 'work'\nretries = 3\nretry_delay = '1m'\nscript = '''{script}'''\n"
    ))
}

/// Waits with a trap for TERM until the file `go` is there.
const WAITS: &str = "trap 'echo ended >> $COUNT; exit 3' TERM; echo began >> $COUNT
    until test -e go; do sleep 0.02; done; echo done >> $COUNT; cp $INPUT_FILE $OUTPUT_DIR/out";

fn begun(test: &Test, tasks: usize) -> Running {
    begun_with(test, tasks, "5s")
}

fn begun_with(test: &Test, tasks: usize, grace: &str) -> Running {
    let running = test.start(["-run", "-parallel", "2", "-grace", grace]);
    wait_for("the tasks", || test.times("began") == tasks);
    running
}

#[test]
fn the_first_interrupt_ends_what_runs_and_records_it_as_pending() {
    for (signal, name, status) in [
        (Signal::INT, "SIGINT", 130),
        (Signal::TERM, "SIGTERM", 143),
        (Signal::HUP, "SIGHUP", 129),
    ] {
        let test = three(WAITS);
        let running = begun(&test, 2);
        running.signal(signal);
        let ran = running.end().exits(status);
        ran.says(&format!(
            "{name}: ending 2 running tasks; once more ends at once"
        ))
        .says("1 run, 0 reused, 0 failed, 3 pending");
        assert_eq!(test.count(), ["began", "began", "ended", "ended"]);
        let pending =
            test.rows("SELECT processed, count(*) FROM task WHERE error IS NULL GROUP BY 1");
        assert_eq!(pending, ["0|3", "1|1"]);
        test.tally_is_right();
        test.nothing_temporary_is_left();
        test.write("go", "");
        test.runs().says("3 run");
        assert_eq!(test.finals()["out"].len(), 3);
    }
}

#[test]
fn the_second_interrupt_ends_at_once() {
    let test = three("trap '' TERM; echo began >> $COUNT; while :; do sleep 0.1; done");
    let running = begun_with(&test, 2, "1h");
    running.signal(Signal::INT);
    running.says("SIGINT: ending 2 running tasks");
    running.signal(Signal::INT);
    running
        .end()
        .exits(130)
        .says("SIGINT: killing 2 running tasks");
    assert_eq!(
        test.rows("SELECT count(*) FROM task WHERE processed = 0 AND error IS NULL"),
        ["3"]
    );
    test.tally_is_right();
    test.nothing_temporary_is_left();
}

#[test]
fn what_does_not_listen_is_killed_after_a_while() {
    let test = three("trap '' TERM; echo began >> $COUNT; while :; do sleep 0.1; done");
    let running = begun_with(&test, 2, "300ms");
    let asked = Instant::now();
    running.signal(Signal::INT);
    running.end().exits(130);
    assert!(asked.elapsed() >= Duration::from_millis(300));
    assert!(asked.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_task_that_tidies_up_and_ends_well_is_still_to_be_done() {
    let test = three(&WAITS.replace("exit 3", "echo half > $OUTPUT_DIR/out; exit 0"));
    let running = begun(&test, 2);
    running.signal(Signal::TERM);
    running.end().exits(143);
    assert_eq!(test.finals().len(), 0);
    test.write("go", "");
    test.runs();
    assert_eq!(test.finals()["out"], [b"1\n", b"2\n", b"3\n"]);
}

#[test]
fn a_pause_before_a_retry_is_not_waited_for() {
    let test = three("echo began >> $COUNT; exit 1");
    let running = begun(&test, 3);
    wait_for("the failures", || {
        test.rows("SELECT count(*) FROM task WHERE error IS NOT NULL") == ["3"]
    });
    running.signal(Signal::INT);
    let ran = running.end().exits(130).says("3 failed");
    assert!(ran.elapsed < Duration::from_secs(50), "{ran}");
}

#[test]
fn under_nohup_a_hang_up_is_ignored() {
    let test = three(WAITS);
    let running = Running::start(test.shell("trap '' HUP; exec $PROGRAM -run -parallel 2"));
    wait_for("the tasks", || test.times("began") == 2);
    running.signal(Signal::HUP);
    std::thread::sleep(Duration::from_millis(100));
    test.write("go", "");
    running.end().exits(0);
    assert_eq!(test.times("done"), 3);
}

/// Whether a process is stopped, or waits for a child of its own that was stopped before it became
/// another program.
fn is_stopped(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let state = &stat.rsplit(") ").next().unwrap()[..1];
    matches!(state, "T" | "D")
}

#[test]
fn what_stops_the_program_stops_its_tasks_until_it_goes_on() {
    let test = three(&WAITS.replace(
        "began >> $COUNT",
        "$$ > $TASK_PIPELINE_TASK; echo began >> $COUNT",
    ));
    let mut command = test.command(["-run", "-parallel", "2"]);
    // As a shell with job control does; where nobody could continue it, nothing stops it.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let running = Running::start(command);
    wait_for("the tasks", || test.times("began") == 2);
    running.signal(Signal::TSTP);
    let processes = [
        &running.pid().to_string(),
        test.read("2").trim(),
        test.read("3").trim(),
    ]
    .map(str::to_owned);
    wait_for("all to stop", || {
        processes.iter().all(|pid| is_stopped(pid))
    });
    test.write("go", "");
    running.signal(Signal::CONT);
    running.end().exits(0);
    assert_eq!(test.times("done"), 3);
}

#[test]
fn the_third_interrupt_leaves_nothing_behind_either() {
    let test = three(
        "trap '' TERM; echo $$ > $TASK_PIPELINE_TASK; echo began >> $COUNT; while :; do : > $TMPDIR/x; done",
    );
    let running = begun_with(&test, 2, "1h");
    // Of equal ones that come at once only one is heard.
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        running.signal(signal);
    }
    let status = running.end().status;
    assert!([129, 130, 143].contains(&status), "{status}");
    test.nothing_temporary_is_left();
    for task in ["2", "3"] {
        let pid = test.read(task);
        assert_ne!(pid, "");
        assert!(!std::path::Path::new("/proc").join(pid.trim()).exists());
    }
}
