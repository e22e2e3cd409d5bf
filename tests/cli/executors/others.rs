//! Real engines: `ssh` to an sshd of the test, and Slurm.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use super::cluster::{Cluster, left_out, on_slurm};
use super::faults;
use super::shapes::{SHAPES, end_state, here};
use crate::harness::{Test, wait_for};

/// An sshd on a port of its own, and an `ssh` that knows it.
struct Sshd {
    child: Child,
    /// A folder for PATH.
    bin: PathBuf,
}

impl Sshd {
    fn start(folder: &Path) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = port.local_addr().unwrap().port();
        let at = |name: &str| folder.join(name);
        for key in ["host", "user"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(at(key))
                .status();
            assert!(made.is_ok_and(|status| status.success()), "ssh-keygen");
        }
        fs::copy(at("user.pub"), at("authorized")).unwrap();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\n\
             StrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\nSetEnv THERE=yes\n",
            at("host").display(),
            at("authorized").display()
        );
        fs::write(at("sshd_config"), config).unwrap();
        let known = fs::read_to_string(at("host.pub")).unwrap();
        fs::write(at("known"), format!("[127.0.0.1]:{port} {known}")).unwrap();
        let config = format!(
            "Host lab\nHostName 127.0.0.1\nPort {port}\nIdentityFile {}\nUserKnownHostsFile {}\n\
             Host stranger\nHostName 127.0.0.1\nPort {port}\nIdentityFile {}\nUserKnownHostsFile /dev/null\n\
             StrictHostKeyChecking yes\n",
            at("user").display(),
            at("known").display(),
            at("user").display()
        );
        fs::write(at("ssh_config"), config).unwrap();
        let bin = at("bin");
        fs::create_dir(&bin).unwrap();
        let ssh = format!(
            "#!/bin/sh\nexec /usr/bin/ssh -F {} \"$@\"\n",
            at("ssh_config").display()
        );
        fs::write(bin.join("ssh"), ssh).unwrap();
        fs::set_permissions(bin.join("ssh"), fs::Permissions::from_mode(0o755)).unwrap();
        // Where it puts those whom it does not know yet.
        if rustix::process::geteuid().is_root() {
            let _ = fs::create_dir_all("/run/sshd");
        }
        let child = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f"])
            .arg(at("sshd_config"))
            .stderr(fs::File::create(at("log")).unwrap())
            .spawn()
            .expect("sshd (Debian: apt-get install openssh-server)");
        wait_for("sshd listens", || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Self { child, bin }
    }

    fn run(&self, test: &Test, arguments: &[&str]) -> crate::harness::Ran {
        let mut command = test.command(arguments);
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", self.bin.display()));
        crate::harness::Running::start(command).end()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn over_ssh_the_same_comes_of_it() {
    if left_out("SSH") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let sshd = Sshd::start(folder.path());
    let test = Test::with(SHAPES);
    sshd.run(&test, &["-run", "-executor", "ssh:lab*2"])
        .exits(1);
    assert_eq!(end_state(&test), here());
    let test = Test::with(SHAPES);
    sshd.run(&test, &["-run", "-executor", "ssh:stranger"])
        .exits(2)
        .says("Host key verification failed");
    sshd.run(&test, &["check", "-executor", "ssh:stranger"])
        .exits(2)
        .says("it said nothing; its command ended with exit status 255")
        .says("Host key verification failed");
    sshd.run(&test, &["check", "-executor", "ssh:lab*2"])
        .exits(0)
        .prints("executor ssh:lab*2: all of it works\n");
    // One that cannot be reached does not keep the other from its work.
    let test = Test::with(SHAPES);
    sshd.run(
        &test,
        &["-run", "-executor", "ssh:no-such-host.invalid,lab*2"],
    )
    .exits(1);
    assert_eq!(end_state(&test), here());
}

#[test]
fn on_slurm_the_same_comes_of_it() {
    if left_out("SLURM") {
        return;
    }
    let cluster = Cluster::start(2);
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
    let cluster = Cluster::start(2);
    let manifest = on_slurm("").replace("sleep 0.0$n", "sleep 1.$n");
    let test = Test::with(&manifest);
    let run = cluster.start_run(&test, &["-run"]);
    wait_for("both nodes work", || {
        cluster.ask("squeue", &["-h", "-t", "R"]).lines().count() == 2
    });
    std::thread::sleep(Duration::from_millis(500));
    assert!(cluster.script(&["kill", "n2"]));
    run.end().exits(1);
    let states = test.rows("SELECT count(*) FROM task WHERE live = 1 AND processed = 0");
    let expected = Test::with(SHAPES);
    expected.run(["-run"]).exits(1);
    assert_eq!(
        states,
        expected.rows("SELECT count(*) FROM task WHERE live = 1 AND processed = 0")
    );
}

/// All that the README of the template has people type, on a cluster and with a machine called `lab`.
#[test]
fn the_template_goes_from_a_laptop_to_slurm() {
    if left_out("SLURM") || left_out("SSH") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let sshd = Sshd::start(folder.path());
    let cluster = Cluster::start(2);
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
        assert!(elsewhere.contains("all of it works"), "{elsewhere}");
        assert!(elsewhere.contains(": 10 run, 0 reused"), "{elsewhere}");
    }
    for said in [": 10 run, 0 reused", ": 1 run, 9 reused"] {
        assert!(mixed.contains(said), "{mixed}");
    }
    wait_for("no job is left", || {
        cluster.ask("squeue", &["-h"]).is_empty()
    });
}

#[test]
fn killed_five_times_the_run_comes_to_the_same() {
    faults::killed_at_random(18, 5);
}
