//! What the program makes of signals, and of how it was started to treat them.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use crate::harness::{Running, Test, wait_for};

/// Two tasks that wait for TERM.
const TWO: &str = "
[[step]]
name = 'begin'
start = true
script = 'for i in 1 2; do echo $i > $OUTPUT_DIR/${i}_work; done'
[[step]]
name = 'work'
script = '''
trap 'echo ended >> $COUNT; exit 3' TERM; echo began >> $COUNT
while :; do sleep 0.02; done'''
";

/// Those of Linux that end a program which does nothing about them, its own faults aside.
fn ending() -> Vec<Signal> {
    let mut all: Vec<i32> = (1..=31).collect();
    let not = [
        Signal::KILL,
        Signal::PIPE,
        // A write that fails, which is a shortage.
        Signal::XFSZ,
        // Stop and go on.
        Signal::STOP,
        Signal::TSTP,
        Signal::TTIN,
        Signal::TTOU,
        Signal::CONT,
        // Nothing happens.
        Signal::CHILD,
        Signal::URG,
        Signal::WINCH,
        // Faults.
        Signal::ILL,
        Signal::TRAP,
        Signal::BUS,
        Signal::FPE,
        Signal::SEGV,
        Signal::SYS,
    ];
    all.retain(|signal| not.iter().all(|not| not.as_raw() != *signal));
    all.into_iter().filter_map(Signal::from_named_raw).collect()
}

#[test]
fn every_signal_that_would_end_the_program_ends_the_tasks() {
    let test = Test::with(
        "[[step]]\nname = 'wait'\nstart = true\n\
         script = 'echo $$ >> $COUNT; while :; do sleep 0.02; done'\n",
    );
    let signals = ending();
    assert_eq!(signals.len(), 14);
    for (before, signal) in signals.into_iter().enumerate() {
        let running = test.start(["-run", "-fresh", "-runset", &format!("{signal:?}")]);
        wait_for("the task", || test.count().len() == before + 1);
        running.signal(signal);
        running.end().exits(128 + signal.as_raw());
        let script = Path::new("/proc").join(&test.count()[before]);
        assert!(!script.exists(), "{signal:?}");
        test.nothing_temporary_is_left();
    }
}

/// Starts the program with some signals blocked, and others ignored.
fn started_with(test: &Test, blocked: &str, ignored: &str) -> Running {
    let script = "use POSIX; POSIX::sigprocmask(SIG_BLOCK, POSIX::SigSet->new(eval shift));
        $SIG{$_} = 'IGNORE' for split ' ', shift; exec @ARGV";
    let mut command = Command::new("perl");
    command
        .args(["-e", script, blocked, ignored])
        .args([env!("CARGO_BIN_EXE_task-pipeline"), "-run"])
        .args(["-parallel", "2"]);
    test.prepare(&mut command);
    Running::start(command)
}

fn is_ended_by_term(blocked: &str, ignored: &str) {
    let test = Test::with(TWO);
    let running = started_with(&test, blocked, ignored);
    wait_for("the tasks", || test.times("began") == 2);
    running.signal(Signal::TERM);
    let ran = running.end().exits(143);
    assert!(ran.elapsed < Duration::from_secs(20), "{ran}");
    assert_eq!(test.times("ended"), 2);
}

#[test]
fn signals_that_were_blocked_are_heard() {
    is_ended_by_term("1..31", "");
}

#[test]
fn a_request_to_terminate_that_was_ignored_is_heard() {
    is_ended_by_term("", "TERM");
}

#[test]
fn who_ignores_the_death_of_children_is_told_of_it_all_the_same() {
    let test = Test::with("[[step]]\nname = 'a'\nstart = true\nscript = 'if :; then exit 3; fi'\n");
    let ran = started_with(&test, "", "CHLD").end().exits(1);
    ran.says("exit status 3");
}

#[test]
fn scripts_begin_with_no_signal_blocked_or_ignored() {
    let look = "grep '^Sig[BI][lg]' /proc/self/status > $OUTPUT_DIR/masks";
    let test = Test::with(&format!(
        "[[step]]\nname = 'begin'\nstart = true\nscript = '''\n\
         for way in plain shell warm; do for i in 1 2; do echo $i > $OUTPUT_DIR/${{i}}_$way; done; done'''\n\
         [[step]]\nname = 'plain'\nscript = \"{look}\"\n\
         [[step]]\nname = 'shell'\nscript = \"if :; then {look}; fi\"\n\
         [[step]]\nname = 'warm'\nwarm = true\nscript = \"echo; {look}\"\n"
    ));
    let ignored = "HUP INT QUIT USR1 PIPE ALRM CHLD TSTP";
    started_with(&test, "1..31", ignored).end().exits(0);
    let masks = test.finals().remove("masks").unwrap();
    assert_eq!(masks.len(), 6);
    for masks in masks {
        let masks = String::from_utf8(masks).unwrap();
        let bits: Vec<u64> = masks
            .lines()
            .map(|line| u64::from_str_radix(line.split('\t').nth(1).unwrap(), 16).unwrap())
            // The C library keeps two for itself, beyond these.
            .map(|bits| bits & 0x7fff_ffff)
            .collect();
        assert_eq!(bits, [0, 0], "{masks}");
    }
}
