//! What goes wrong with machines, and with those who give them out: the same comes of it.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::Duration;

use super::cluster::{Cluster, on_slurm};
use super::shapes::{end_state, here, workers};
use crate::harness::{Ran, Running, Test, wait_for};
use rustix::process::Signal;

const PREEMPTION: &str = "PreemptType=preempt/partition_prio\nPreemptMode=REQUEUE\n\
    PartitionName=high Nodes=ALL PriorityTier=10 State=UP";

/// A cluster of two machines, and what comes of the run on any.
pub struct Stage {
    cluster: Cluster,
    here: BTreeMap<String, usize>,
}

impl Stage {
    pub fn new() -> Self {
        Self {
            cluster: Cluster::with(2, PREEMPTION),
            here: here(),
        }
    }

    /// A run to which that happens while both machines work. `seconds`: how long its tasks take.
    pub fn run(&self, seconds: &str, happens: impl FnOnce(&Cluster, &Running)) -> Ran {
        self.run_with("", seconds, happens)
    }

    /// The same, with these options of Slurm's.
    pub fn run_with(
        &self,
        options: &str,
        seconds: &str,
        happens: impl FnOnce(&Cluster, &Running),
    ) -> Ran {
        let manifest = on_slurm(options).replace("sleep 0.0$n", &format!("sleep {seconds}"));
        let test = Test::with(&manifest);
        wait_for("no job is left of one before", || {
            self.cluster.ask("squeue", &["-h"]).is_empty()
        });
        let run = self.cluster.start_run(&test, &["-run"]);
        wait_for("both machines work", || self.cluster.running().len() == 2);
        // Tasks have begun.
        sleep(Duration::from_millis(600));
        happens(&self.cluster, &run);
        let ran = run.end().exits(1);
        assert_eq!(end_state(&test), self.here, "{ran}");
        test.objects_are_whole();
        ran
    }
}

/// A job is cancelled, the time of another one is over, whatever Slurm says of them.
pub fn ended(stage: &Stage) {
    stage
        .run("1.$n", |cluster, _| {
            let jobs = cluster.running();
            cluster.ask("scancel", &[&jobs[0]]);
            let job = format!("JobId={}", jobs[1]);
            cluster.ask("scontrol", &["update", &job, "EndTime=now"]);
        })
        .says("run again elsewhere");
}

/// A worker is killed, as where there is too little memory; the other machine hangs for a moment.
pub fn killed_and_frozen(stage: &Stage) {
    stage
        .run("1.$n", |cluster, _| {
            let jobs = cluster.running();
            cluster.ask("scancel", &["-s", "KILL", &jobs[0]]);
            assert!(cluster.script(&["freeze", "n2"]));
            sleep(Duration::from_secs(2));
            assert!(cluster.script(&["thaw", "n2"]));
        })
        .says("run again elsewhere");
}

/// Others come first, for a moment.
pub fn preempted(stage: &Stage) {
    stage
        .run("1.$n", |cluster, _| {
            let others = ["-p", "high", "-N2", "--exclusive", "sleep", "0.5"];
            cluster.ask("srun", &others);
        })
        .says("run again elsewhere");
}

/// The one who gives machines out dies and comes back; what it remembers of its jobs then is up to it, so that this
/// comes last.
pub fn without_control(stage: &Stage) {
    stage.run("1.$n", |cluster, _| {
        assert!(cluster.script(&["ctl-kill"]));
        sleep(Duration::from_secs(1));
        assert!(cluster.script(&["ctl-start"]));
    });
}

/// A machine hangs for longer than it is waited for, and comes back.
pub fn frozen_for_long(stage: &Stage) {
    stage
        .run("1.$n", |cluster, _| {
            assert!(cluster.script(&["freeze", "n2"]));
            sleep(Duration::from_secs(45));
            assert!(cluster.script(&["thaw", "n2"]));
        })
        .says("run again elsewhere");
}

/// Tasks take longer than the time of a worker, two after the other.
pub fn timed_out(stage: &Stage) {
    stage
        .run_with("\"-t\", \"1\"", "5$n", |_, _| {})
        .says("run again elsewhere");
}

/// The run is killed, and goes on with jobs of its own.
pub fn owner_killed(stage: &Stage) {
    let manifest = on_slurm("").replace("sleep 0.0$n", "sleep 0.$n");
    let test = Test::with(&manifest);
    for _ in 0..2 {
        let run = stage.cluster.start_run(&test, &["-run"]);
        wait_for("a machine works", || !stage.cluster.running().is_empty());
        sleep(Duration::from_millis(300));
        run.signal(Signal::KILL);
        run.end();
    }
    let ran = stage.cluster.start_run(&test, &["-run"]).end();
    assert_eq!(end_state(&test), stage.here, "{ran}");
    test.nothing_temporary_is_left();
    wait_for("no job is left", || {
        stage.cluster.ask("squeue", &["-h"]).is_empty()
    });
}

/// A run with workers on this machine that is killed so many times at moments that `seed` says, and goes on each
/// time.
pub fn killed_at_random(seed: u64, kills: u32) {
    let here = here();
    let mut random = seed;
    let mut killed = 0;
    while killed < kills {
        let test = Test::with(super::shapes::SHAPES);
        let mut ended = false;
        while !ended && killed < kills {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let run = test.start(["-run", "-executor", "child:2*2"]);
            sleep(Duration::from_millis((random >> 33) % 1200));
            let left = workers(&run);
            run.signal(Signal::KILL);
            ended = run.end().status != 137;
            killed += u32::from(!ended);
            wait_for("the workers end", || {
                left.iter()
                    .all(|pid| rustix::process::test_kill_process(*pid).is_err())
            });
        }
        let ran = test.run(["-run", "-executor", "child:2*2"]);
        assert_eq!(end_state(&test), here, "seed {seed}, kill {killed}: {ran}");
        test.objects_are_whole();
        test.nothing_temporary_is_left();
    }
}
