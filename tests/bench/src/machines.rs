//! A thousand tasks that do nothing, on machines that others keep: this program's workers, and what there is besides.
//!
//! Slurm and sshd are started here, on this machine, and end with this. What is not installed is left out with a word.

use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::contender::Kind;
use super::failure::{Failure, Fallible, on};
use super::measure::{self, Call};
use super::own;
use super::statistics::median;
use super::suite::Suite;

/// How many tasks each way carries out in a round.
const TASKS: usize = 1000;
/// Of those that take a connection for each.
const SOME: usize = 200;
/// Of those that take seconds for each.
const FEW: usize = 20;
/// The longest call.
const LIMIT: Duration = Duration::from_mins(10);
/// The first port of the cluster, below those that connections are given.
const PORT: u16 = 18_600;

/// What was measured.
#[derive(Debug, Default)]
pub struct Machines {
    ways: Vec<Way>,
}

/// One way to have them carried out.
#[derive(Debug)]
struct Way {
    name: &'static str,
    /// Those that are this program's, by where tasks are; others have the one that they are compared with.
    beside: &'static str,
    is_own: bool,
    tasks: usize,
    /// Seconds, by round.
    walls: Vec<f64>,
}

const CHILD: &str = "child";
const SSH: &str = "ssh";
const SLURM: &str = "Slurm";

/// Measures them, in turn; what was left out, and why.
pub fn measure(suite: &mut Suite, rounds: usize) -> Fallible<(Machines, Vec<String>)> {
    let root = suite.scratch().join("machines");
    fs::create_dir_all(&root).map_err(on("make the folder", &root))?;
    let mut skipped = Vec::new();
    let mut note = |what: &str, why: String| {
        eprintln!("peers: {what}: {why}");
        skipped.push(format!("{what}: {why}"));
    };
    let sshd = Sshd::start(&root.join("ssh"));
    let cluster = Cluster::start(&root.join("bin"));
    let snakemake = snakemake();
    let mut ways = vec![way(
        "task-pipeline, 2 workers beside it",
        CHILD,
        true,
        TASKS,
    )];
    if let Err(why) = &sshd {
        note("ssh", why.clone());
    } else {
        ways.push(way("task-pipeline over ssh", SSH, true, TASKS));
        if which::which("parallel").is_ok() {
            ways.push(way("GNU parallel over ssh", SSH, false, SOME));
        } else {
            note("GNU parallel", "it is not installed".to_owned());
        }
    }
    if let Err(why) = &cluster {
        note("Slurm", why.clone());
    } else {
        ways.push(way("task-pipeline on Slurm", SLURM, true, TASKS));
        ways.push(way("a job array", SLURM, false, TASKS));
        ways.push(way("a job each", SLURM, false, TASKS));
        match &snakemake {
                Some(_) => ways.push(way("Snakemake's Slurm executor", SLURM, false, FEW)),
                None => note(
                    "Snakemake's Slurm executor",
                    "it is not in target/tools/snakemake (python3 -m venv there; pip install snakemake \
                     snakemake-executor-plugin-slurm)"
                        .to_owned(),
                ),
            }
    }
    let places = Places {
        root: &root,
        sshd: sshd.as_ref().ok(),
        cluster: cluster.as_ref().ok(),
        snakemake: snakemake.as_deref(),
    };
    for round in 0..rounds {
        for way in &mut ways {
            // What takes minutes is done once.
            if round > 0 && !way.is_own && way.beside == SLURM {
                continue;
            }
            suite.settle()?;
            let folder = root.join(format!(
                "{}-{round}",
                way.name.replace([' ', ',', '\''], "-")
            ));
            fs::create_dir(&folder).map_err(on("make the folder", &folder))?;
            let mut command = places.command(suite, way, &folder)?;
            let log = suite.log(Kind::Own);
            match measure::run_within(&mut command, &log, LIMIT, &|| false)? {
                Call::Done(sample) => {
                    eprintln!("machines: {}: {:.3} s", way.name, sample.wall);
                    way.walls.push(sample.wall);
                }
                Call::Failed(why) if way.is_own => {
                    let words = format!("{} failed: {why}", way.name);
                    return Err(Failure::of_call(words, &why));
                }
                Call::Failed(why) => {
                    let last = why.lines().last().unwrap_or_default().trim().to_owned();
                    note(way.name, last);
                }
            }
        }
    }
    ways.retain(|way| !way.walls.is_empty());
    Ok((Machines { ways }, skipped))
}

fn way(name: &'static str, beside: &'static str, is_own: bool, tasks: usize) -> Way {
    Way {
        name,
        beside,
        is_own,
        tasks,
        walls: Vec::new(),
    }
}

/// The program that was put there for this measurement.
fn snakemake() -> Option<PathBuf> {
    let target = own::target().ok()?;
    let program = target.join("tools/snakemake/bin/snakemake");
    program.is_file().then_some(program)
}

struct Places<'a> {
    root: &'a Path,
    sshd: Option<&'a Sshd>,
    cluster: Option<&'a Cluster>,
    snakemake: Option<&'a Path>,
}

impl Places<'_> {
    /// What does it that way, in a folder of its own.
    fn command(&self, suite: &Suite, way: &Way, folder: &Path) -> Fallible<Command> {
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            fs::write(&path, text).map_err(on("write", &path))
        };
        let mut command = if way.is_own {
            write("workflow.toml", &manifest(way.tasks))?;
            let mut command = Command::new(&suite.own()?.program);
            let executor = match way.beside {
                CHILD => "child:2",
                SSH => "ssh:lab*2",
                _ => "cluster",
            };
            command.args(["-run", "-quiet", "-executor", executor]);
            command
        } else {
            let script = match way.name {
                "GNU parallel over ssh" => format!(
                    "seq {} | parallel --ssh ssh --sshlogin 2/lab -N0 true > /dev/null",
                    way.tasks
                ),
                "a job array" => format!(
                    "sbatch --wait -Q --array=1-{} -o /dev/null --wrap true > /dev/null",
                    way.tasks
                ),
                "a job each" => format!(
                    "for i in $(seq {}); do sbatch -Q -o /dev/null --wrap true > /dev/null; done\n\
                     until [ -z \"$(squeue -h)\" ]; do sleep 0.1; done",
                    way.tasks
                ),
                _ => {
                    write("Snakefile", &snakefile(way.tasks))?;
                    format!(
                        "{} --executor slurm -j 100 --quiet all --slurm-no-account --slurm-status-command squeue \
                         --slurm-init-seconds-before-status-checks 1 --seconds-between-status-checks 1 \
                         --default-resources mem_mb=100 runtime=5 slurm_partition=main",
                        self.snakemake.unwrap_or(Path::new("snakemake")).display()
                    )
                }
            };
            let mut command = Command::new("sh");
            command.args(["-e", "-c", &script]);
            command
        };
        command.current_dir(folder);
        let mut path = std::ffi::OsString::from(self.root.join("bin"));
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        if let (SSH, Some(sshd)) = (way.beside, self.sshd) {
            path = sshd.path();
        }
        command.env("PATH", path);
        if let Some(cluster) = self.cluster {
            command.envs(cluster.variables());
        }
        Ok(command)
    }
}

/// A start step that makes names, and a step that does nothing with each of them.
fn manifest(tasks: usize) -> String {
    format!(
        "[executors.cluster]\nslurm = []\nworkers = 1\nslots = 2\n\
         [[step]]\nname = \"begin\"\nstart = true\nexecutor = \"local\"\n\
         script = 'for i in $(seq {tasks}); do echo $i > $OUTPUT_DIR/${{i}}_work; done'\n\
         [[step]]\nname = \"work\"\nscript = 'true'\n"
    )
}

fn snakefile(tasks: usize) -> String {
    format!(
        "rule all:\n    input: expand(\"out/{{n}}\", n=range({tasks}))\n\
         rule one:\n    output: touch(\"out/{{n}}\")\n    shell: \"true\"\n"
    )
}

/// An sshd on a port of its own.
struct Sshd {
    child: Child,
    bin: PathBuf,
}

impl Sshd {
    fn start(folder: &Path) -> Result<Self, String> {
        const SERVER: &str = "/usr/sbin/sshd";
        if !Path::new(SERVER).exists() {
            return Err("there is no sshd".to_owned());
        }
        let failed = |error: std::io::Error| error.to_string();
        let at = |name: &str| folder.join(name);
        fs::create_dir_all(at("bin")).map_err(failed)?;
        let free = TcpListener::bind("127.0.0.1:0").map_err(failed)?;
        let port = free.local_addr().map_err(failed)?.port();
        drop(free);
        for key in ["host", "user"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(at(key))
                .status();
            if !made.is_ok_and(|status| status.success()) {
                return Err("ssh-keygen makes no key".to_owned());
            }
        }
        let write = |name: &str, text: String| fs::write(at(name), text).map_err(failed);
        fs::copy(at("user.pub"), at("authorized")).map_err(failed)?;
        let known = fs::read_to_string(at("host.pub")).map_err(failed)?;
        write("known", format!("[127.0.0.1]:{port} {known}"))?;
        write(
            "sshd_config",
            format!(
                "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\n\
                 UsePAM no\nPermitRootLogin yes\nMaxStartups 100\nMaxSessions 100\n",
                at("host").display(),
                at("authorized").display()
            ),
        )?;
        write(
            "ssh_config",
            format!(
                "Host lab\nHostName 127.0.0.1\nPort {port}\nIdentityFile {}\nUserKnownHostsFile {}\n",
                at("user").display(),
                at("known").display()
            ),
        )?;
        script(
            &at("bin/ssh"),
            &format!("exec /usr/bin/ssh -F {} \"$@\"", at("ssh_config").display()),
        )?;
        let _ = fs::create_dir_all("/run/sshd");
        let child = Command::new(SERVER)
            .args(["-D", "-f"])
            .arg(at("sshd_config"))
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let sshd = Self {
            child,
            bin: at("bin"),
        };
        let due = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if Instant::now() > due {
                return Err("sshd does not listen".to_owned());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(sshd)
    }

    /// PATH with the `ssh` that knows it.
    fn path(&self) -> std::ffi::OsString {
        let mut path = std::ffi::OsString::from(&self.bin);
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        path
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn script(path: &Path, line: &str) -> Result<(), String> {
    let text = format!("#!/bin/sh\n{line}\n");
    let written = fs::write(path, text)
        .and_then(|()| fs::set_permissions(path, Permissions::from_mode(0o755)));
    written.map_err(|error| error.to_string())
}

/// A Slurm of two nodes.
struct Cluster {
    folder: tempfile::TempDir,
}

const CLUSTER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../slurm-cluster.sh");

impl Cluster {
    /// `bin`: where an `srun` is put that finds it; some scrub the variables that say where it is.
    fn start(bin: &Path) -> Result<Self, String> {
        let folder = tempfile::Builder::new()
            .prefix("slurm")
            .tempdir_in("/tmp")
            .map_err(|error| error.to_string())?;
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755))
            .map_err(|error| error.to_string())?;
        let cluster = Self { folder };
        let started = cluster.script(&["up", "2"]);
        if !started {
            return Err("it is not installed, or does not start".to_owned());
        }
        let conf = cluster.conf();
        fs::create_dir_all(bin).map_err(|error| error.to_string())?;
        let line = format!("SLURM_CONF={} exec /usr/bin/srun \"$@\"", conf.display());
        script(&bin.join("srun"), &line)?;
        Ok(cluster)
    }

    fn conf(&self) -> PathBuf {
        self.folder.path().join("c/slurm.conf")
    }

    fn variables(&self) -> [(&'static str, String); 5] {
        let place = self.folder.path().join("c");
        [
            ("SLURM_DIR", place.display().to_string()),
            ("SLURM_PORT", PORT.to_string()),
            ("SLURM_CPUS", "2".to_owned()),
            ("SLURM_CONF", self.conf().display().to_string()),
            (
                "SLURM_EXTRA",
                "SchedulerParameters=batch_sched_delay=0".to_owned(),
            ),
        ]
    }

    fn script(&self, words: &[&str]) -> bool {
        let mut command = Command::new("bash");
        command.arg(CLUSTER).args(words).envs(self.variables());
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.script(&["down"]);
    }
}

impl Machines {
    /// The table.
    #[allow(clippy::cast_precision_loss)] // Few tasks.
    pub fn markdown(&self, text: &mut String) {
        if self.ways.is_empty() {
            return;
        }
        let each = |way: &Way| {
            let wall = median(way.walls.iter().copied());
            wall.map(|wall| wall * 1e3 / way.tasks as f64)
        };
        text.push_str(
            "\nTasks that do nothing (`true`), carried out by others on two slots, start and end of all workers with them:\n\n\
             | way | tasks | ms a task | as long as this program there |\n|---|---|---|---|\n",
        );
        for way in &self.ways {
            let own = self
                .ways
                .iter()
                .find(|own| own.is_own && own.beside == way.beside);
            let Some(time) = each(way) else {
                continue;
            };
            let beside = own.and_then(each).filter(|_| !way.is_own);
            let beside = beside.map_or("–".to_owned(), |own| format!("{:.1} ×", time / own));
            let _ = writeln!(
                text,
                "| {} | {} | {time:.2} | {beside} |",
                way.name, way.tasks
            );
        }
    }
}
