//! A Slurm of a test's own.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use super::shapes::SHAPES;
use crate::harness::{Running, Test};

/// Whether tests with such an engine are not to be done.
pub fn left_out(kind: &str) -> bool {
    std::env::var_os(format!("TASK_PIPELINE_TESTS_WITHOUT_{kind}"))
        .is_some_and(|set| !set.is_empty())
}

/// A cluster of this test alone.
pub struct Cluster {
    folder: tempfile::TempDir,
    /// By which commands find it.
    pub variables: Vec<(&'static str, String)>,
}

/// How many were started.
static CLUSTERS: AtomicU32 = AtomicU32::new(0);

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/slurm-cluster.sh");

impl Cluster {
    /// Of nodes with so many CPUs, with more lines in its configuration.
    pub fn of(nodes: u32, cpus: u32, lines: &str) -> Self {
        // Somebody else may have a port.
        const TRIES: usize = 3;
        for _ in 0..TRIES {
            let cluster = Self::new(cpus, lines);
            if cluster.script(&["up", &nodes.to_string()]) {
                return cluster;
            }
        }
        panic!(
            "the cluster does not start (Debian: apt-get install slurmctld slurmd slurm-client munge)"
        );
    }

    fn new(cpus: u32, lines: &str) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("slurm")
            .tempdir_in("/tmp")
            .unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let place = folder.path().join("c");
        let number = CLUSTERS.fetch_add(1, Ordering::Relaxed);
        // Below those that connections of other tests are given.
        let port = 20_000 + std::process::id() % 100 * 120 + number * 10;
        let variables = vec![
            ("SLURM_DIR", place.display().to_string()),
            ("SLURM_PORT", port.to_string()),
            ("SLURM_CPUS", cpus.to_string()),
            ("SLURM_CONF", place.join("slurm.conf").display().to_string()),
            (
                "SLURM_EXTRA",
                format!(
                    "SlurmdTimeout=10\nKillWait=2\nSchedulerParameters=batch_sched_delay=0\n{lines}"
                ),
            ),
        ];
        Self { folder, variables }
    }

    pub fn script(&self, words: &[&str]) -> bool {
        let mut command = Command::new("bash");
        command.arg(SCRIPT).args(words).stdin(Stdio::null());
        command.stdout(Stdio::null());
        command.envs(self.variables.iter().cloned());
        command.status().is_ok_and(|status| status.success())
    }

    pub fn start_run(&self, test: &Test, arguments: &[&str]) -> Running {
        self.begin(test.command(arguments))
    }

    /// A command that knows this cluster.
    pub fn begin(&self, mut command: Command) -> Running {
        command.envs(self.variables.iter().cloned());
        Running::start(command)
    }

    pub fn ask(&self, program: &str, words: &[&str]) -> String {
        let mut command = Command::new(program);
        command.args(words).envs(self.variables.iter().cloned());
        let output = command.output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.script(&["down"]);
        let _ = self.folder.path();
    }
}

/// With as many workers as there are nodes.
pub fn on_slurm(options: &str) -> String {
    format!(
        "[executors.cluster]\nslurm = [{options}]\nworkers = 2\nslots = 2\n[defaults]\nexecutor = \"cluster\"\n{SHAPES}"
    )
}
