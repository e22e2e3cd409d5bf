//! Real engines: `ssh` to an sshd of the test, and Slurm.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::cluster::{Cluster, left_out, on_slurm};
use super::kills::{Child, killed_at_random};
use super::shapes::{SHAPES, end_state, here};
use super::sshd::Sshd;
use crate::harness::{Test, wait_for};

#[test]
fn over_ssh_the_same_comes_of_it() {
    if left_out("SSH") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let sshd = Sshd::start(folder.path());
    let test = Test::with(SHAPES);
    sshd.start_run(&test, &["-run", "-executor", "ssh:lab*2"])
        .end()
        .exits(1);
    assert_eq!(end_state(&test), here());
    let test = Test::with(SHAPES);
    sshd.start_run(&test, &["-run", "-executor", "ssh:stranger"])
        .end()
        .exits(2)
        .says("Host key verification failed");
    sshd.start_run(&test, &["check", "-executor", "ssh:stranger"])
        .end()
        .exits(2)
        .says("it said nothing; its command ended with exit status 255")
        .says("Host key verification failed");
    sshd.start_run(&test, &["check", "-executor", "ssh:lab*2"])
        .end()
        .exits(0)
        .prints("executor ssh:lab*2: everything works\n");
    // One that cannot be reached does not keep the other from its work.
    let test = Test::with(SHAPES);
    sshd.start_run(
        &test,
        &["-run", "-executor", "ssh:no-such-host.invalid,lab*2"],
    )
    .end()
    .exits(1);
    assert_eq!(end_state(&test), here());
}

#[test]
fn on_slurm_the_same_comes_of_it() {
    if left_out("SLURM") {
        return;
    }
    let cluster = Cluster::of(2, 4, "");
    let test = Test::with(&on_slurm(""));
    cluster
        .start_run(&test, &["-run"])
        .end()
        .exits(1)
        .says("no luck");
    assert_eq!(end_state(&test), here());
    wait_for("no job is left", || {
        cluster.ask("squeue", &["-h"]).is_empty()
    });
    // What can never be had is told before anything runs.
    for (options, told) in [
        ("\"-p\", \"none\"", "invalid partition"),
        ("\"-c\", \"999\"", "never start a worker"),
        ("\"--mem=999G\"", "never start a worker"),
    ] {
        let test = Test::with(&on_slurm(options));
        cluster
            .start_run(&test, &["-run"])
            .end()
            .exits(2)
            .says(told);
        assert!(!test.path("db/db").exists(), "{options}");
    }
}

#[test]
fn a_node_that_dies_costs_time_alone() {
    if left_out("SLURM") {
        return;
    }
    // There is room for one worker on each.
    let cluster = Cluster::of(2, 2, "");
    let test = Test::new();
    let began = format!(
        "echo > {}.$SLURMD_NODENAME; sleep 1.$n",
        test.path("on").display()
    );
    test.manifest(&on_slurm("").replace("sleep 0.0$n", &began));
    let run = cluster.start_run(&test, &["-run"]);
    wait_for("both nodes work", || {
        ["on.n1", "on.n2"]
            .iter()
            .all(|file| test.path(file).exists())
    });
    assert!(cluster.script(&["kill", "n2"]));
    run.end()
        .exits(1)
        .says("lost with a worker on n2")
        .says("run again elsewhere");
    assert_eq!(end_state(&test), here());
}

/// All that the README of the template has people type, on a cluster and with a machine called `lab`.
#[test]
fn the_template_goes_from_a_laptop_to_slurm() {
    if left_out("SLURM") || left_out("SSH") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let sshd = Sshd::start(folder.path());
    let cluster = Cluster::of(2, 4, "");
    let test = Test::new();
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/cluster");
    fs::copy(template.join("workflow.toml"), test.path("workflow.toml")).unwrap();
    // There are no packages here.
    let program = format!(
        "#!/bin/sh\ncase \" $* \" in *\" -run \"*) set -- \"$@\" -host-env;; esac\nexec {} \"$@\"\n",
        env!("CARGO_BIN_EXE_task-pipeline")
    );
    let own = sshd.bin.join("task-pipeline");
    fs::write(&own, program).unwrap();
    fs::set_permissions(&own, fs::Permissions::from_mode(0o755)).unwrap();
    let readme = fs::read_to_string(template.join("README.md")).unwrap();
    let mut blocks = Vec::new();
    for part in readme.split("```bash\n").skip(1) {
        let block = part.split("```").next().unwrap();
        let mut command = test.shell(&format!("set -e\n{block}"));
        let path = std::env::var("PATH").unwrap();
        command.env("PATH", format!("{}:{path}", sshd.bin.display()));
        command.envs(cluster.variables.iter().cloned());
        let output = command.output().unwrap();
        let said = [&output.stdout[..], &output.stderr].concat();
        let said = String::from_utf8(said).unwrap();
        assert!(output.status.success(), "{block}\n{said}");
        blocks.push(said);
    }
    let [here, child, ssh, slurm, mixed] = &blocks[..] else {
        panic!("{} blocks", blocks.len());
    };
    assert!(here.contains("\n3.1"), "{here}");
    for elsewhere in [child, ssh, slurm] {
        assert!(elsewhere.contains("everything works"), "{elsewhere}");
        assert!(elsewhere.contains(": 10 run, 0 reused"), "{elsewhere}");
    }
    for said in [": 10 run, 0 reused", ": 1 run, 9 reused"] {
        assert!(mixed.contains(said), "{mixed}");
    }
    wait_for("no job is left", || {
        cluster.ask("squeue", &["-h"]).is_empty()
    });
}

/// The short form; those that take longer are tests of their own kind.
#[test]
fn killed_five_times_the_run_comes_to_the_same() {
    killed_at_random(&Child, 18, 5);
}
