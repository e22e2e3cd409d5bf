//! Workers whose places are taken away at a time that is known.

use super::cluster::{Cluster, left_out, on_slurm};
use super::shapes::{end_state, here};
use crate::harness::{Test, wait_for};

/// Workers of one CPU that have so much time each; every one of them writes a line when it starts.
fn limited(limit: &str, timeout: &str) -> String {
    format!(
        r#"
[executors.short]
start = ["sh", "-c", 'echo >> workers; exec "$@" -limit {limit}', "sh"]
workers = 1
slots = 1
[[step]]
name = "begin"
start = true
script = 'for i in 0 1 2 3 4 5 6 7; do echo $i > $OUTPUT_DIR/${{i}}_work; done'
[[step]]
name = "work"
executor = "short"
cache = false
timeout = "{timeout}"
script = 'sleep 0.3; cp $INPUT_FILE $OUTPUT_DIR/done'
"#
    )
}

#[test]
fn a_worker_gets_nothing_that_may_last_longer_than_it_does() {
    // Ten seconds are for what comes after the last task, so that each has tasks for one second.
    let test = Test::with(&limited("12s", "1s"));
    test.run(["-run"]).exits(0).never_says("lost");
    let mut done = test.finals().remove("done").unwrap();
    done.sort();
    let expected: Vec<Vec<u8>> = (0..8).map(|i| format!("{i}\n").into_bytes()).collect();
    assert_eq!(done, expected);
    let workers = test.read("workers").lines().count();
    assert!((2..=8).contains(&workers), "{workers}");
    // One whose time is too short from the beginning is told, and no task is tried.
    let test = Test::with(&limited("20s", "1m"));
    test.run(["-run"])
        .says("left, and a task may take 1m (its timeout)");
    assert!(!test.finals().contains_key("done"));
    // Nothing is counted on where tasks have no limit.
    let manifest = limited("1s", "1s").replace("timeout = \"1s\"\n", "");
    let test = Test::with(&manifest);
    test.run(["-run"]).exits(0);
    assert_eq!(test.read("workers").lines().count(), 1);
}

#[test]
fn a_task_that_goes_on_for_longer_than_any_worker_fails_and_says_so() {
    let test = Test::with(
        r#"
[executors.short]
start = ["sh", "-c", 'exec timeout --foreground 0.7 "$@" -limit 700ms', "sh"]
workers = 2
slots = 1
[[step]]
name = "begin"
start = true
executor = "local"
script = 'echo > $OUTPUT_DIR/brief; echo > $OUTPUT_DIR/long'
[[step]]
name = "brief"
executor = "short"
script = 'echo > $OUTPUT_DIR/done'
[[step]]
name = "long"
executor = "short"
retries = 5
script = 'sleep 100'
"#,
    );
    test.run(["-run"])
        .exits(1)
        .says(
            "lost: it goes on for longer than its workers may: the time of 3 was over while it ran",
        )
        .says("hint: give the workers more time");
    assert_eq!(test.finals()["done"].len(), 1);
    // One that came late in its worker's time says nothing.
    let tries = "SELECT count(lost) >= 3, count(*) = sum(lost LIKE '%SIGTERM%') FROM elsewhere
        WHERE step = 'long'";
    assert_eq!(test.rows(tries), ["1|1"]);
}

#[test]
fn slurm_is_asked_for_as_much_time_as_tasks_may_take() {
    if left_out("SLURM") {
        return;
    }
    let cluster = Cluster::of(2, 4, "PartitionName=brief Nodes=ALL MaxTime=3 State=UP");
    let manifest = |options: &str, timeout: &str| {
        format!(
            r#"
[executors.cluster]
slurm = [{options}]
workers = 1
[[step]]
name = "begin"
start = true
executor = "cluster"
{timeout}
script = 'while ! test -e go; do sleep 0.05; done; echo > $OUTPUT_DIR/done'
"#
        )
    };
    for (options, timeout, asked) in [
        ("", "timeout = \"10m\"", "41:00"),
        ("", "", "UNLIMITED"),
        // As much as the partition gives.
        ("\"-p\", \"brief\"", "timeout = \"1m\"", "3:00"),
        ("\"-t\", \"7\"", "timeout = \"1m\"", "7:00"),
    ] {
        let test = Test::new();
        let go = test.path("go");
        let filled = manifest(options, timeout);
        test.manifest(&filled.replace("-e go", &format!("-e {}", go.display())));
        let run = cluster.start_run(&test, &["-run"]);
        let mut limit = String::new();
        wait_for("a job runs", || {
            limit = cluster.ask("squeue", &["-h", "-t", "R", "-o", "%l"]);
            !limit.is_empty()
        });
        test.write("go", "");
        run.end().exits(0);
        assert_eq!(limit.trim(), asked, "{options} {timeout}");
        wait_for("no job is left", || {
            cluster.ask("squeue", &["-h"]).is_empty()
        });
    }
    let test = Test::with(&manifest("\"-p\", \"brief\"", "timeout = \"1h\""));
    cluster
        .start_run(&test, &["-run"])
        .end()
        .exits(2)
        .says("partition brief gives 3 minutes at most");
}

#[test]
fn a_run_in_an_allocation_has_its_workers_there() {
    if left_out("SLURM") {
        return;
    }
    let cluster = Cluster::of(2, 4, "");
    let manifest = on_slurm("").replace("sleep 0.0$n", "sleep 0.3");
    let manifest = manifest.replace("[defaults]\n", "[defaults]\ntimeout = \"1h\"\n");
    let test = Test::with(&manifest);
    let within = test.shell("exec salloc -Q -N2 -n2 -c2 $PROGRAM -run");
    let run = cluster.begin(within);
    let (mut jobs, mut steps) = (0, 0);
    wait_for("both workers are there", || {
        jobs = jobs.max(cluster.ask("squeue", &["-h", "-o", "%A"]).lines().count());
        let found = cluster.ask("squeue", &["-h", "-s", "-o", "%j"]);
        steps = steps.max(found.lines().filter(|name| name.starts_with("tp-")).count());
        steps == 2
    });
    let ran = run.end().exits(1);
    assert_eq!(end_state(&test), here(), "{ran}");
    assert_eq!(jobs, 1, "the job of the run alone");
    // What that has no room for is told before anything runs.
    let large = manifest.replace("[defaults]\n", "[defaults]\nmemory = \"500M\"\n");
    let test = Test::with(&large);
    let within = test.shell("exec salloc -Q -N2 -n2 -c2 $PROGRAM -run");
    let ran = cluster.begin(within).end().exits(2);
    ran.says("the job of Slurm's that this run is in has no room for a worker");
    assert!(!test.path("db/db").exists());
}
