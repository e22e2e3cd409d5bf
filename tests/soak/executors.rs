//! What goes wrong with machines, and with those who give them out: the same comes of it as at home. With a real Slurm
//! and a real `ssh`.

#[path = "../cli/executors/cluster.rs"]
mod cluster;
mod faults;
#[path = "../cli/executors/kills.rs"]
mod kills;
#[path = "../cli/executors/shapes.rs"]
mod shapes;
#[path = "../cli/executors/sshd.rs"]
mod sshd;

use cluster::{Cluster, left_out, on_slurm};
use faults::Stage;
use kills::{Child, Place, killed_at_random};
use sshd::Sshd;

use crate::harness::{Running, Test, wait_for};

/// How often runs are killed.
const KILLS: u32 = 100;

impl Place for Sshd {
    fn start(&self, test: &Test) -> Running {
        self.start_run(test, &["-run", "-executor", "ssh:lab*2"])
    }

    fn longest(&self) -> u64 {
        2000
    }
}

impl Place for Cluster {
    fn manifest(&self) -> String {
        on_slurm("")
    }

    fn start(&self, test: &Test) -> Running {
        self.start_run(test, &["-run"])
    }

    fn longest(&self) -> u64 {
        2500
    }

    fn is_quiet(&self) {
        wait_for("no job is left", || self.ask("squeue", &["-h"]).is_empty());
    }
}

#[test]
fn killed_a_hundred_times_a_run_with_workers_comes_to_the_same() {
    killed_at_random(&Child, 1818, KILLS);
}

#[test]
fn killed_a_hundred_times_a_run_over_ssh_comes_to_the_same() {
    if left_out("SSH") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    killed_at_random(&Sshd::start(folder.path()), 1819, KILLS);
}

#[test]
fn killed_a_hundred_times_a_run_on_slurm_comes_to_the_same() {
    if left_out("SLURM") {
        return;
    }
    killed_at_random(&Cluster::of(2, 2, ""), 1820, KILLS);
}

/// Has that happen on a cluster of its own, so often.
fn on_stage(times: u32, happens: impl Fn(&Stage)) {
    if left_out("SLURM") {
        return;
    }
    let stage = Stage::new();
    (0..times).for_each(|_| happens(&stage));
}

#[test]
fn a_job_is_cancelled_and_the_time_of_another_one_is_over() {
    on_stage(3, faults::ended);
}

#[test]
fn a_worker_is_killed_as_where_memory_is_short() {
    on_stage(3, faults::killed);
}

#[test]
fn a_machine_loses_power() {
    on_stage(2, faults::without_power);
}

#[test]
fn a_machine_hangs_for_a_moment_and_for_long() {
    on_stage(1, faults::frozen_for_a_moment);
    on_stage(1, faults::frozen_for_long);
}

#[test]
fn others_come_first() {
    on_stage(3, faults::preempted);
}

#[test]
fn the_time_of_workers_is_over_before_that_of_tasks() {
    on_stage(1, faults::timed_out);
}

#[test]
fn the_disk_of_a_machine_is_full() {
    on_stage(1, faults::full);
}

#[test]
fn whoever_gives_machines_out_dies_and_comes_back() {
    for _ in 0..3 {
        // What it remembers of its jobs is up to it.
        on_stage(1, faults::without_control);
    }
}
