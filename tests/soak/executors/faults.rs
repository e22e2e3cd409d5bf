//! What happens to a run while both machines of a cluster work for it.

use std::collections::BTreeMap;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use super::cluster::{Cluster, on_slurm};
use super::shapes::{end_state, here};
use crate::harness::{Ran, Test, wait_for};

const PREEMPTION: &str = "PreemptType=preempt/partition_prio\nPreemptMode=REQUEUE\n\
    PartitionName=high Nodes=ALL PriorityTier=10 State=UP";

/// Two machines, each with room for one worker, and what comes of the run at home.
pub struct Stage {
    cluster: Cluster,
    here: BTreeMap<String, usize>,
}

impl Stage {
    pub fn new() -> Self {
        Self {
            cluster: Cluster::of(2, 2, PREEMPTION),
            here: here(),
        }
    }

    /// A run to which that happens while both have tasks, which take `seconds` each.
    fn run(&self, seconds: &str, happens: impl FnOnce(&Cluster)) -> Ran {
        self.run_with("", &format!("sleep {seconds}"), happens)
    }

    /// The same, with these options of Slurm's, where its tasks do that.
    fn run_with(&self, options: &str, act: &str, happens: impl FnOnce(&Cluster)) -> Ran {
        let test = Test::new();
        let began = format!("echo > {}.$SLURMD_NODENAME", test.path("on").display());
        let act = format!("{began}; {act}");
        test.manifest(&on_slurm(options).replace("sleep 0.0$n", &act));
        wait_for("no job is left of one before", || {
            self.cluster.ask("squeue", &["-h"]).is_empty()
        });
        let run = self.cluster.start_run(&test, &["-run"]);
        wait_for("both machines work", || {
            let files = ["on.n1", "on.n2"];
            files.iter().all(|file| test.path(file).exists())
        });
        happens(&self.cluster);
        let ran = run.end().exits(1);
        assert_eq!(end_state(&test), self.here, "{ran}");
        test.objects_are_whole();
        test.nothing_temporary_is_left();
        wait_for("no job is left", || {
            self.cluster.ask("squeue", &["-h"]).is_empty()
        });
        ran
    }
}

/// Jobs that run.
fn running(cluster: &Cluster) -> Vec<String> {
    let jobs = cluster.ask("squeue", &["-h", "-t", "R", "-o", "%A"]);
    jobs.lines().map(str::to_owned).collect()
}

/// The first process of a machine.
fn process_of(cluster: &Cluster, node: &str) -> String {
    let (_, folder) = &cluster.variables[0];
    let noted = std::fs::read_to_string(format!("{folder}/run/{node}")).unwrap();
    noted.split(' ').next().unwrap().to_owned()
}

/// A job is cancelled, the time of another one is over, whatever Slurm says of them.
pub fn ended(stage: &Stage) {
    stage
        .run("1.$n", |cluster| {
            let jobs = running(cluster);
            cluster.ask("scancel", &[&jobs[0]]);
            let job = format!("JobId={}", jobs[1]);
            cluster.ask("scontrol", &["update", &job, "EndTime=now"]);
        })
        .says("run again elsewhere");
}

/// A worker is killed, with all that it has.
pub fn killed(stage: &Stage) {
    stage
        .run("1.$n", |cluster| {
            let jobs = running(cluster);
            cluster.ask("scancel", &["-s", "KILL", &jobs[0]]);
        })
        .says("run again elsewhere");
}

/// A machine is gone, and comes back later.
pub fn without_power(stage: &Stage) {
    stage
        .run("1.$n", |cluster| {
            assert!(cluster.script(&["kill", "n2"]));
        })
        .says("lost with a worker on n2")
        .says("run again elsewhere");
    assert!(stage.cluster.script(&["start", "n2"]));
    wait_for("the machine is back", || {
        let states = stage
            .cluster
            .ask("sinfo", &["-h", "-N", "-p", "main", "-o", "%N %t"]);
        states.lines().any(|line| line == "n2 idle")
    });
}

/// A machine hangs, for less than it is waited for.
pub fn frozen_for_a_moment(stage: &Stage) {
    stage
        .run("1.$n", |cluster| {
            assert!(cluster.script(&["freeze", "n2"]));
            sleep(Duration::from_secs(2));
            assert!(cluster.script(&["thaw", "n2"]));
        })
        .never_says("lost");
}

/// A machine hangs for longer than it is waited for, and comes back.
pub fn frozen_for_long(stage: &Stage) {
    stage
        .run("1.$n", |cluster| {
            assert!(cluster.script(&["freeze", "n2"]));
            sleep(Duration::from_secs(45));
            assert!(cluster.script(&["thaw", "n2"]));
        })
        .says("lost with a worker on n2")
        .says("run again elsewhere");
}

/// Others come first, for a moment.
pub fn preempted(stage: &Stage) {
    stage
        .run("1.$n", |cluster| {
            let others = ["-p", "high", "-N2", "--exclusive", "sleep", "0.5"];
            cluster.ask("srun", &others);
        })
        .says("run again elsewhere");
}

/// Tasks take longer than their workers have, once.
pub fn timed_out(stage: &Stage) {
    let folder = tempfile::tempdir().unwrap();
    let act = format!(
        "if [ $n -le 4 ] && mkdir {}/$n 2> /dev/null; then sleep 100; fi",
        folder.path().display()
    );
    stage
        .run_with("\"-t\", \"1\"", &act, |_| {})
        .says("run again elsewhere");
}

/// A machine has no room for what its tasks write.
pub fn full(stage: &Stage) {
    let test = Test::new();
    let place = test.path("small");
    std::fs::create_dir(&place).unwrap();
    let mounted = Command::new("nsenter")
        .args(["-m", "-t", &process_of(&stage.cluster, "n2")])
        .args(["mount", "-t", "tmpfs", "-o", "size=2m", "none"])
        .arg(&place)
        .status();
    assert!(mounted.unwrap().success(), "nsenter");
    let write = "head -c 4000000 /dev/zero > $TMPDIR/fill; sleep 1.$n";
    test.manifest(&on_slurm("").replace("sleep 0.0$n", write));
    let mut command = test.command(["-run"]);
    command.env("TMPDIR", &place);
    let ran = stage.cluster.begin(command).end().exits(1);
    ran.says("n2 cannot carry out").says("No space left");
    assert_eq!(end_state(&test), stage.here);
    test.objects_are_whole();
}

/// The one who gives machines out dies and comes back.
pub fn without_control(stage: &Stage) {
    stage.run("1.$n", |cluster| {
        assert!(cluster.script(&["ctl-kill"]));
        sleep(Duration::from_secs(1));
        assert!(cluster.script(&["ctl-start"]));
    });
}
