//! Tasks that others carry out: the same comes of it, whatever happens to them.

#[cfg(target_os = "linux")]
mod beside;
#[cfg(target_os = "linux")]
mod cluster;
#[cfg(target_os = "linux")]
mod deadlines;
#[cfg(target_os = "linux")]
mod kills;
#[cfg(target_os = "linux")]
mod others;
mod shapes;
#[cfg(target_os = "linux")]
mod sshd;
mod tried;
#[cfg(target_os = "linux")]
mod whole;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Test, wait_for};
pub(super) use shapes::workers;
use shapes::{SHAPES, end_state, here};

#[test]
fn the_same_comes_of_tasks_wherever_they_run() {
    let here = here();
    for executor in ["child:1", "child:2*3"] {
        let test = Test::with(SHAPES);
        test.run(["-run", "-executor", executor])
            .exits(1)
            .says("no luck");
        assert_eq!(end_state(&test), here, "{executor}");
        test.objects_are_whole();
        test.nothing_temporary_is_left();
        // Nothing more is to be done, nor done twice.
        test.run(["-run", "-executor", executor]).says("0 run");
    }
}

#[test]
fn workers_that_are_killed_cost_time_alone() {
    let here = here();
    let test = Test::with(SHAPES);
    let run = test.start(["-run", "-executor", "child:2*2"]);
    run.says("begin #1: done");
    let due = Instant::now() + Duration::from_secs(20);
    let mut killed = 0;
    // No task is lost so often that it is taken for the cause.
    while killed < 2 && Instant::now() < due {
        std::thread::sleep(Duration::from_millis(60));
        let Some(worker) = workers(&run).pop() else {
            continue;
        };
        if kill_process(worker, Signal::KILL).is_ok() {
            killed += 1;
        }
    }
    let ran = run.end().exits(1);
    assert_eq!(end_state(&test), here, "{ran}");
    test.objects_are_whole();
}

/// Who ends a worker may end its tasks, too, and these first.
#[test]
fn tasks_that_end_with_their_worker_have_not_failed() {
    for (trap, signal) in [("", Signal::TERM), ("trap 'exit 143' TERM; ", Signal::TERM)] {
        let test = Test::new();
        let folder = test.path("");
        test.manifest(&format!(
            r#"
[[step]]
name = "begin"
start = true
warm = false
script = """
{trap}if mkdir {0}/began; then echo $$ > {0}/pid.new; mv {0}/pid.new {0}/pid
while :; do sleep 0.01; done; fi
echo > $OUTPUT_DIR/done
"""
"#,
            folder.display()
        ));
        let run = test.start(["-run", "-executor", "child:1"]);
        wait_for("a task runs", || test.path("pid").exists());
        let [worker] = workers(&run)[..] else {
            panic!("one worker");
        };
        let task = test.read("pid").trim().parse().unwrap();
        kill_process(Pid::from_raw(task).unwrap(), signal).unwrap();
        std::thread::sleep(Duration::from_millis(50));
        kill_process(worker, signal).unwrap();
        run.end()
            .exits(0)
            .says("1 task lost")
            .never_says("#1: failed");
        assert_eq!(test.finals()["done"].len(), 1);
    }
}

#[test]
fn a_killed_run_leaves_no_worker_and_the_next_one_goes_on() {
    let here = here();
    let test = Test::with(SHAPES);
    for round in 1..6 {
        let run = test.start(["-run", "-executor", "child:2"]);
        std::thread::sleep(Duration::from_millis(70 * round));
        let left = workers(&run);
        run.signal(Signal::KILL);
        run.end();
        wait_for("the workers end", || {
            left.iter()
                .all(|pid| rustix::process::test_kill_process(*pid).is_err())
        });
    }
    test.run(["-run", "-executor", "child:2"]);
    assert_eq!(end_state(&test), here);
    test.nothing_temporary_is_left();
}

#[test]
fn a_task_that_kills_its_workers_fails_and_says_so() {
    let test = Test::with(
        r#"
[[step]]
name = "begin"
start = true
script = 'for i in 1 2 3 4; do echo > $OUTPUT_DIR/${i}_good; done; echo > $OUTPUT_DIR/evil'
[[step]]
name = "good"
script = 'sleep 0.05; echo > $OUTPUT_DIR/done'
cache = false
[[step]]
name = "evil"
warm = false
script = 'kill -9 $PPID; sleep 5'
"#,
    );
    test.run(["-run", "-executor", "child:2"])
        .exits(1)
        .says("run again elsewhere")
        .says("lost: 3 workers ended while it ran");
    let states = test
        .rows("SELECT step.name, processed FROM task JOIN step ON step.id = step_id ORDER BY 1, 2");
    assert_eq!(
        states.iter().filter(|row| row.starts_with("good")).count(),
        4
    );
    assert_eq!(test.finals()["done"].len(), 4);
}

#[test]
fn a_machine_that_loses_its_workers_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().display();
    for file in ["lost", "begun"] {
        std::fs::write(folder.path().join(file), "").unwrap();
    }
    let test = Test::with(&format!(
        r#"
[executors.two]
start = ["sh", "-c", "SLURMD_NODENAME=bad; mkdir {place}/good 2>/dev/null && SLURMD_NODENAME=good; export SLURMD_NODENAME; exec \"$@\"", "sh"]
workers = 2
slots = 1
[[step]]
name = "begin"
start = true
executor = "local"
script = 'for i in $(seq 24); do echo $i > $OUTPUT_DIR/${{i}}_work; done'
[[step]]
name = "work"
executor = "two"
warm = false
script = '''
if [ "$SLURMD_NODENAME" = bad ]; then
  while [ "$(wc -l < {place}/begun)" -lt 2 ]; do sleep 0.05; done; sleep 0.1
  echo >> {place}/lost; kill -9 $PPID; sleep 5
fi
echo >> {place}/begun
[ "$(wc -l < {place}/lost)" -ge 3 ] || sleep 0.5
cp $INPUT_FILE $OUTPUT_DIR/done'''
"#
    ));
    test.run(["-run"])
        .exits(0)
        .says("1 task lost with a worker on bad")
        .says("; bad gets no more tasks, as 3 workers in a row were lost there")
        .says(" on good → final output\n")
        .says("lost on other machines: 3 tries with bad\n");
    let tries = "SELECT node, executor, lost IS NULL, count(*) FROM elsewhere GROUP BY 1, 3";
    assert_eq!(test.rows(tries), ["bad|two|0|3", "good|two|1|24"]);
    let nodes = "SELECT step, node, count(*) FROM live_task GROUP BY 1, 2";
    assert_eq!(test.rows(nodes), ["begin||1", "work|good|24"]);
    test.run(["status"])
        .prints("executor two: bad 0 tasks, 3 lost there; good 24 tasks");
    let lost = test.rows("SELECT id FROM elsewhere WHERE lost IS NOT NULL");
    test.run(["why", &lost[0]])
        .prints("on machine bad (executor two): it ended; that is no failure of the task")
        .prints("on machine good (executor two)");
    let here = "SELECT *, 0 FROM worker WHERE gone IS NULL OR why IS NULL OR came < called";
    assert_eq!(test.rows(here), [""; 0]);
    let lost = std::fs::read_to_string(folder.path().join("lost")).unwrap();
    assert_eq!((lost.lines().count(), test.finals()["done"].len()), (3, 24));
}

#[test]
fn a_file_that_is_another_one_by_now_is_told_with_what_to_do() {
    let test = Test::new();
    test.write("large.bin", vec![7; 20 << 20]);
    test.manifest(&format!(
        r#"
[executors.lab]
start = ["env", "THERE=yes"]
workers = 2
slots = 1
[[step]]
name = "begin"
start = true
executor = "local"
script = 'echo >> {}; echo > $OUTPUT_DIR/x_far'
[[step]]
name = "far"
executor = "lab"
files = ["large.bin"]
script = 'wc -c < large.bin > $OUTPUT_DIR/size'
"#,
        test.path("large.bin").display()
    ));
    test.run(["-run"])
        .exits(1)
        .says("large.bin is not as it was when the run took it in")
        .says("hint: run again, which takes it as it is then")
        .never_says("lost");
    test.manifest(&test.read("workflow.toml").replace("echo >>", "true"));
    test.run(["-run"]).exits(0);
}

#[test]
fn a_step_runs_where_its_executor_is_and_others_here() {
    let test = Test::with(
        r#"
[executors.noisy]
start = ["sh", "-c", "echo Welcome to the machine; echo; THERE=yes exec \"$@\"", "sh"]
workers = 2
slots = 2
[[step]]
name = "begin"
start = true
script = 'for i in 1 2 3; do echo > $OUTPUT_DIR/${i}_far; echo > $OUTPUT_DIR/${i}_near; done'
[[step]]
name = "far"
executor = "noisy"
script = 'echo far ${THERE-no} > $OUTPUT_DIR/out; pwd; ls -A'
[[step]]
name = "near"
script = 'echo near ${THERE-no} > $OUTPUT_DIR/out'
"#,
    );
    test.run(["-run"]).exits(0);
    let texts = |test: &Test| -> BTreeSet<String> {
        let outputs = test.finals();
        let texts = outputs["out"].iter();
        texts
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
            .collect()
    };
    assert_eq!(
        texts(&test),
        ["far yes\n", "near no\n"].map(str::to_owned).into()
    );
    // The option is for all steps.
    let local = Test::with(&std::fs::read_to_string(test.path("workflow.toml")).unwrap());
    local.run(["-run", "-executor", "local"]).exits(0);
    assert_eq!(
        texts(&local),
        ["far no\n", "near no\n"].map(str::to_owned).into()
    );
}

#[test]
fn what_cannot_work_is_told_with_what_to_do() {
    const PLAIN: &str = r#"
[executors.mute]
start = ["true"]
[executors.talks]
start = ["echo", "sorry, account expired"]
[executors.old]
start = ["sh", "-c", "echo task-pipeline-worker 0; cat"]
[executors.none]
start = ["/no/such/program"]
[executors.fails]
start = ["sh", "-c", "echo no quota left >&2; exit 5"]
[[step]]
name = "begin"
start = true
script = ': > $OUTPUT_DIR/x'
"#;
    for (executor, told) in [
        ("child", "is not an executor"),
        ("child:0", "is not a number"),
        ("child:x", "is not a number"),
        ("ssh:", "is not a host"),
        ("ssh:-oProxyCommand=x", "is not a host"),
        ("mutt", "did you mean `mute`?"),
        ("pbs:x", "local, child:N"),
        ("mute", "it said nothing"),
        ("talks", "sorry, account expired"),
        ("old", "protocol 0"),
        ("none", "/no/such/program"),
        ("fails", "no quota left"),
        ("ssh:no-such-host.invalid", "ssh"),
    ] {
        let test = Test::with(PLAIN);
        test.run(["-run", "-executor", executor])
            .exits(2)
            .says(told)
            .says("hint: ");
        test.run(["-run", "-quiet"]).exits(0);
    }
}

#[test]
fn an_executor_to_which_nobody_comes_holds_no_other_one_up() {
    let test = Test::with(
        r#"
[executors.f]
start = ["false"]
workers = 1
[executors.n]
start = ["env"]
workers = 1
slots = 1
[[step]]
name = "begin"
start = true
script = 'for i in 1 2 3; do for s in far near home; do echo $i > $OUTPUT_DIR/${i}_$s; done; done'
[[step]]
name = "far"
executor = "f"
script = 'cp $INPUT_FILE $OUTPUT_DIR/done'
[[step]]
name = "near"
executor = "n"
script = 'sleep 0.3; cp $INPUT_FILE $OUTPUT_DIR/done'
[[step]]
name = "home"
script = 'sleep 0.3; cp $INPUT_FILE $OUTPUT_DIR/done'
"#,
    );
    test.run(["-run", "-j", "1"])
        .exits(2)
        .says("f: no worker comes to work at worker 1: it said nothing")
        .says("its tasks wait, and all others go on")
        .says("7 run, 0 reused, 0 failed, 3 pending");
}
