//! Slurm: each worker is a step that `srun` starts, waits for and carries the input and output of.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use super::Class;
use crate::cli::error::Failure;
use crate::model::digest::Digest;
use crate::text::lines;
use std::os::unix::ffi::OsStrExt as _;

/// Workers of a run that Slurm found nodes for; those that are left end with it.
#[derive(Debug)]
pub(in crate::cli) struct Pilots {
    /// What Slurm's jobs are called: that of a run of another db has another name.
    name: String,
    there: bool,
}

/// What a worker is to carry out.
pub(super) struct Job<'a> {
    pub class: &'a Class,
    pub slots: u32,
    pub options: &'a [String],
}

/// Megabytes that a worker itself takes.
const OWN: u64 = 200;

impl Pilots {
    /// Of the run of a db.
    pub(super) fn of(db: &Path) -> Self {
        let path = std::path::absolute(db);
        let path = path.as_deref().unwrap_or(db);
        let digest = Digest::of(path.as_os_str().as_bytes()).hex();
        Self {
            name: format!("tp-{}", &digest[..10]),
            there: false,
        }
    }

    /// The command that has Slurm start a worker. Fails where it never would.
    pub(super) fn command(
        &mut self,
        job: &Job,
        worker: Vec<OsString>,
    ) -> Result<Vec<OsString>, Failure> {
        let Job {
            class,
            slots,
            options,
        } = job;
        let mut asked = vec![
            "-N1".to_owned(),
            "-n1".to_owned(),
            "-c".to_owned(),
            class.cpus.saturating_mul(*slots).to_string(),
            "-J".to_owned(),
            self.name.clone(),
        ];
        if let Some(memory) = class.memory {
            let megabytes = memory.div_ceil(1 << 20).saturating_mul(u64::from(*slots));
            asked.push(format!("--mem={}M", megabytes + OWN));
        }
        if class.gpus > 0 {
            let gpus = class.gpus.saturating_mul(*slots);
            asked.push(format!("--gpus-per-node={gpus}"));
        }
        asked.extend(options.iter().cloned());
        // A step of the job that the run itself is in takes a part of that.
        if std::env::var_os("SLURM_JOB_ID").is_some() {
            asked.push("--exact".to_owned());
        }
        self.there = true;
        check(&asked)?;
        let fixed = ["srun", "-u", "-Q"].map(OsString::from);
        let asked = asked.into_iter().map(OsString::from);
        Ok(fixed.into_iter().chain(asked).chain(worker).collect())
    }

    /// Ends those of a run that died, or what is left of this one.
    pub(in crate::cli) fn cancel(&self) {
        if self.there {
            let mut cancel = Command::new("scancel");
            cancel.args(["-Q", "-n", &self.name]);
            if let Some(user) = std::env::var_os("USER") {
                cancel.arg("-u").arg(user);
            }
            // Where it cannot be asked, they end by themselves when they hear nothing.
            let _ = cancel.output();
        }
    }
}

/// Asks Slurm whether it would ever start that.
fn check(asked: &[String]) -> Result<(), Failure> {
    let mut test = Command::new("srun");
    test.arg("--test-only").args(asked).arg("true");
    let output = test.output().map_err(|error| {
        Failure::usage(format!("cannot start srun: {error}"))
            .hint("the machine of the run has to be one that Slurm's jobs can be submitted from")
    })?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let words: Vec<&str> = words
        .trim()
        .lines()
        .map(|line| line.trim_start_matches("srun: "))
        .collect();
    Err(Failure::usage(format!(
        "Slurm would never start a worker: {}",
        lines(&words.join("\n"))
    ))
    .hint(format!("asked for: srun {}", asked.join(" "))))
}
