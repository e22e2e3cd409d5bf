//! What a run that was killed left running, and what scripts keep in the run's folder.

use std::fmt::Write as _;

use rustix::process::Signal;

use crate::harness::{Test, wait_for};

/// Ways of starting a script that goes on until the file `go` is there. What it calls notes its
/// beginning and its end, and casts off what it can.
const WAYS: [(&str, &str); 6] = [
    ("plain", "sh ./wait plain"),
    ("silent", "env -i sh ./wait silent"),
    ("pipeline", "sh ./wait first | sh ./wait second"),
    ("shell", "trap '' TERM; sh ./wait shell; :"),
    ("warm", "echo; sh ./wait warm; :"),
    ("daemon", "sh ./leave daemon & wait"),
];

fn waiting() -> Test {
    let mut manifest = String::from("[[step]]\nname = 'begin'\nstart = true\nscript = '''\n");
    for (name, _) in WAYS {
        let _ = writeln!(
            manifest,
            "for i in 1 2; do echo $i > $OUTPUT_DIR/${{i}}_{name}; done"
        );
    }
    manifest += "'''\n";
    for (name, script) in WAYS {
        let warm = name == "warm";
        let _ = write!(
            manifest,
            "[[step]]\nname = '{name}'\nwarm = {warm}\ncache = false\nscript = '''{script}'''\n"
        );
    }
    let test = Test::with(&manifest);
    test.write(
        "wait",
        "test -e ./go && exit; echo $$ >> ./began; until test -e ./go; do sleep 0.02; done
         echo $$ >> ./went_on",
    );
    test.write("leave", "exec setsid sh ./wait $1");
    test
}

/// All that run in [`WAYS`], two of each, and two in a pipeline.
const PROCESSES: usize = 14;

fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // Zombies wait for a parent that may not come.
    !stat.is_empty() && !stat.contains(") Z ")
}

#[test]
fn what_a_killed_run_left_running_is_ended_before_anything_starts() {
    let test = waiting();
    let running = test.start(["-run", "-parallel", "12"]);
    wait_for("the tasks", || {
        test.read("began").lines().count() == PROCESSES
    });
    running.signal(Signal::KILL);
    running.end().exits(137);
    let began = test.read("began");
    assert!(began.lines().all(is_alive));
    let running = test.start(["-run", "-parallel", "12", "-grace", "200ms"]);
    wait_for("the new ones", || {
        test.read("began").lines().count() > PROCESSES
    });
    assert!(!began.lines().any(is_alive));
    test.write("go", "");
    running
        .end()
        .exits(0)
        .says("that an earlier run left behind when it was killed");
    let went_on = test.read("went_on");
    assert!(
        !began
            .lines()
            .any(|old| went_on.lines().any(|new| new == old))
    );
    test.run(["-run"]).exits(0).never_says("earlier run");
    test.nothing_temporary_is_left();
}

#[test]
fn a_folder_that_scripts_made_their_own_is_removed_all_the_same() {
    let test = Test::with(
        "[[step]]\nname = 'a'\nstart = true\nscript = '''
         mkdir -p $TMPDIR/a/b/c $TMPDIR/d $OUTPUT_DIR/e
         chmod 0 $TMPDIR/a/b; chmod 555 $TMPDIR/d $TMPDIR; chmod 111 $OUTPUT_DIR/e; exit 1'''\n",
    );
    test.run(["-run"]).exits(1);
    assert!(!test.path("db/tmp").exists());
}

/// A step that starts what does not end with it, in a session of its own.
const LEAVES: &str = "[[step]]\nname = 'a'\nstart = true\nscript = '''
    setsid sh ./stays > /dev/null 2>&1 & until test -s $COUNT; do sleep 0.01; done'''\n";

#[test]
fn who_goes_on_writing_to_the_folder_of_the_run_is_ended() {
    let test = Test::with(&LEAVES.replace("sh ./", "perl ./"));
    test.write(
        "stays",
        "$SIG{TERM} = 'IGNORE'; open C, '>>', $ENV{COUNT}; print C \"$$\\n\"; close C;
         while (1) {
             my $path = ''; for (split '/', $ENV{TMPDIR}) { mkdir $path .= \"$_/\" }
             open F, '>', \"${path}x\"
         }",
    );
    test.run(["-run", "-grace", "200ms"])
        .exits(0)
        .says("that went on writing to the folder of this run");
    assert!(!is_alive(&test.count()[0]));
    assert!(!test.path("db/tmp").exists());
}

#[test]
fn one_that_writes_nothing_there_outlives_the_run() {
    let test = Test::with(LEAVES);
    test.write("stays", "echo $$ >> $COUNT; exec sleep 60");
    test.run(["-run"]).exits(0).never_says("ended");
    assert!(!test.path("db/tmp").exists());
    let pid = test.count().remove(0);
    assert!(is_alive(&pid));
    let pid = rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, Signal::KILL).unwrap();
}
