//! How tasks in warm shells end before their time.

use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use task_pipeline::script::warm::Script;

use super::{GROUP, distinct, folder, groups, is_alive, several};
use crate::harness::{Running, Test, wait_for};

const ONE: [&str; 3] = ["-run", "-parallel", "1"];

fn errors(test: &Test) -> Vec<String> {
    test.rows("SELECT error FROM task WHERE error IS NOT NULL ORDER BY id")
}

#[test]
fn a_signal_to_the_group_ends_the_task_as_it_ends_a_shell_of_its_own() {
    for (helper, signal, error) in [
        ("all", "TERM", "killed by SIGTERM"),
        ("all", "KILL", "killed by SIGKILL"),
        ("all", "INT", "killed by SIGINT"),
    ] {
        let script =
            format!("{GROUP}; if grep -q 2 $INPUT_FILE; then sh ./{helper} {signal}; echo on; fi");
        for warm in ["true", "false"] {
            let test = folder();
            let manifest = several(3, "", &script);
            test.manifest(&manifest.replace("warm = true", &format!("warm = {warm}")));
            test.run(ONE).exits(1);
            assert_eq!(errors(&test), [error], "{helper} {signal} warm {warm}");
            let groups = groups(&test);
            assert_eq!(groups.len(), 2);
            assert!(groups.iter().all(|group| !is_alive(group)));
        }
    }
}

#[test]
fn a_task_whose_shell_is_killed_by_its_child_fails() {
    // The shell that the child sees as its parent is the task's own.
    for warm in ["true", "false"] {
        let test = folder();
        let manifest = several(2, "", "sh ./patricide KILL; echo on >> $COUNT");
        test.manifest(&manifest.replace("warm = true", &format!("warm = {warm}")));
        test.run(ONE).exits(1);
        assert_eq!(test.count().len(), 0);
        assert_eq!(errors(&test).len(), 2);
    }
}

#[test]
fn a_time_limit_ends_the_task_and_the_next_runs() {
    let test = folder();
    test.manifest(&several(
        3,
        "timeout = '300ms'",
        &format!("{GROUP}; grep -q 2 $INPUT_FILE && sleep 60; true"),
    ));
    let ran = test.run(ONE).exits(1);
    assert!(ran.elapsed < Duration::from_secs(5), "{ran}");
    assert_eq!(errors(&test), ["timed out after 300ms"]);
    assert_eq!(distinct(&groups(&test)), 2);
    ran.never_says("left processes");
}

#[test]
fn what_was_written_before_the_time_limit_is_kept() {
    let test = folder();
    test.manifest(&several(
        2,
        "timeout = '300ms'",
        "echo said >&2; sh ./tidy; echo never >&2",
    ));
    test.run(ONE).exits(1);
    assert_eq!(errors(&test)[0], "timed out after 300ms\nsaid\nTerminated");
    // It had its grace; what is said of its own child came in that time.
    assert_eq!(test.count()[..2], ["began", "tidied"]);
}

#[test]
fn an_interrupt_ends_the_tasks_and_lets_them_tidy_up() {
    let test = folder();
    test.manifest(&several(3, "", "sh ./tidy"));
    let running = test.start(["-run", "-parallel", "2"]);
    wait_for("the tasks", || test.times("began") == 2);
    running.signal(Signal::INT);
    let ran = running.end().exits(130);
    assert!(ran.elapsed < Duration::from_secs(5), "{ran}");
    assert_eq!(test.times("tidied"), 2);
    assert_eq!(errors(&test).len(), 0);
    let pending = test.rows("SELECT count(*) FROM task WHERE processed = 0");
    assert_eq!(pending, ["3"]);
    test.tally_is_right();
    test.nothing_temporary_is_left();
}

#[test]
fn what_does_not_listen_is_killed() {
    // After the grace, or at once by a second signal.
    for again in [false, true] {
        let test = folder();
        test.write("deaf", "trap '' TERM; echo began >> $COUNT; sleep 60");
        test.manifest(&several(2, "", "sh ./deaf; :"));
        let grace = if again { "1h" } else { "300ms" };
        let running = test.start(ONE.into_iter().chain(["-grace", grace]));
        wait_for("the task", || test.times("began") == 1);
        let asked = Instant::now();
        running.signal(Signal::INT);
        if again {
            running.says("SIGINT: ending 1 running task");
            running.signal(Signal::INT);
        }
        running.end().exits(130);
        assert!(again || asked.elapsed() >= Duration::from_millis(300));
        assert!(asked.elapsed() < Duration::from_secs(5));
    }
}

#[test]
fn no_shell_outlives_a_killed_run() {
    // One that waits for tasks while the other worker's task runs on, as it does in its own shell.
    let test = folder();
    let script = "set -- $(cat /proc/self/stat); echo $5 >> $COUNT
        if grep -q 2 $INPUT_FILE; then until test -e go; do sleep 0.02; done; echo done >> $COUNT; fi";
    test.manifest(&several(2, "", script));
    let running = test.start(["-run", "-parallel", "2"]);
    wait_for("the tasks", || test.count().len() == 2);
    running.signal(Signal::KILL);
    running.end().exits(137);
    test.write("go", "");
    wait_for("their shells' end", || {
        let mut groups = test.count();
        groups.retain(|line| line != "done");
        groups.iter().all(|group| !is_alive(group))
    });
    assert_eq!(test.times("done"), 1);
}

#[test]
fn a_shell_that_starts_after_its_run_was_killed_ends() {
    for shell in ["dash", "bash"] {
        let test = folder();
        let fifo = test.path("fifo");
        let mut make = Command::new("mkfifo");
        assert!(make.arg(&fifo).status().unwrap().success());
        let script = Script::new(None, &["-e".to_owned(), "-c".to_owned()], ":").unwrap();
        let looped = script.looped(fifo.to_str().unwrap());
        let mut command = Command::new(shell);
        command.args(["-c", &looped]);
        Running::start(command).end();
    }
}

#[test]
fn a_shell_that_dies_while_it_waits_is_replaced() {
    let test = folder();
    let wait = "until test -e go; do sleep 0.02; done";
    test.manifest(&format!(
        "[[step]]\nname = 'begin'\nstart = true\nscript = 'for i in 1 3; do echo $i > $OUTPUT_DIR/${{i}}_work; done'\n\
         [[step]]\nname = 'work'\nwarm = true\nscript = '''
         set -- $(cat /proc/self/stat); echo $5 >> $COUNT; {GROUP}
         if grep -q 1 $INPUT_FILE; then echo 0 > $OUTPUT_DIR/slow; fi'''\n\
         [[step]]\nname = 'slow'\nscript = 'echo slow >> $COUNT; {wait}; echo 2 > $OUTPUT_DIR/2_work'\n"
    ));
    let running = test.start(ONE);
    wait_for("the second step", || test.times("slow") == 1);
    let pid: i32 = test.count()[0].parse().unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, Signal::KILL).unwrap();
    test.write("go", "");
    running.end().exits(0);
    assert_eq!(distinct(&groups(&test)), 2);
}

#[test]
fn a_task_whose_warm_shell_dies_is_started_again() {
    let test = folder();
    let script = format!(
        "{GROUP}; if grep -q 2 $INPUT_FILE; then echo said; echo $5 >> $COUNT
         until test -e go; do sleep 0.02; done; fi"
    );
    test.manifest(&several(3, "", &script));
    let running = test.start(["-run", "-parallel", "1", "-trace", "trace"]);
    wait_for("the second task", || test.count().len() == 1);
    let pid: i32 = test.count()[0].parse().unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, Signal::KILL).unwrap();
    wait_for("its second start", || test.count().len() == 2);
    test.write("go", "");
    running.end().exits(0);
    let launches = test.launches("trace", |step| step == "work");
    assert_eq!(launches, ["warm", "shell", "shell"]);
    assert_eq!(distinct(&groups(&test)), 3);
    // What the first one wrote is not kept.
    let said = test.rows("SELECT stdout FROM log WHERE stdout IS NOT NULL");
    let said = std::fs::read_to_string(test.object(&said[0])).unwrap();
    assert_eq!(said, "said\n");
}
