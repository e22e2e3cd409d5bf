//! Slurm: each worker is a step that `srun` starts, waits for and carries the input and output of.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::Class;
use crate::cli::error::Failure;
use crate::exec::remote::MARGIN;
use crate::model::digest::Digest;
use crate::text::visible;
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
    /// How long a task may take at most, if that is known of all.
    pub longest: Option<Duration>,
}

/// What a job is asked for, in minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Limits {
    /// At first.
    wished: u64,
    /// Where that is more than a partition gives.
    least: u64,
}

impl Limits {
    /// For workers whose tasks take at most so long.
    fn of(longest: Duration) -> Self {
        // Several tasks one after the other, and not a new job every minute.
        const TASKS: u32 = 4;
        const SHORTEST: u64 = 10;
        let minutes = |time: Duration| time.as_millis().div_ceil(60_000);
        let minutes = |time| u64::try_from(minutes(time)).unwrap_or(u64::MAX);
        let one = longest.saturating_add(MARGIN);
        let least = minutes(one.saturating_add(MARGIN));
        Self {
            wished: minutes(one.saturating_mul(TASKS)).max(least).max(SHORTEST),
            least,
        }
    }

    /// What to ask for with these options. Fails if that is never given.
    fn within(self, options: &[String]) -> Result<u64, Failure> {
        // Slurm itself would let such a job wait for ever.
        let listed = Command::new("sinfo").args(["-h", "-o", "%P %l"]).output();
        let listed = listed.map(|output| output.stdout).unwrap_or_default();
        let own = std::env::var("SLURM_PARTITION").ok();
        let named = partitions(options).or(own.as_deref());
        match most(&String::from_utf8_lossy(&listed), named) {
            Some((name, most)) if most < self.least => Err(Failure::usage(format!(
                "Slurm would never start a worker: partition {name} gives {most} minutes at most, and a worker whose \
                 tasks may take as long as their timeout needs {}",
                self.least
            ))
            .hint("name another one with -p among the options of the executor, or shorten the timeout")),
            Some((_, most)) => Ok(self.wished.min(most)),
            None => Ok(self.wished),
        }
    }
}

/// The partitions that options name.
fn partitions(options: &[String]) -> Option<&str> {
    let mut found = None;
    for (place, option) in options.iter().enumerate() {
        let next = || options.get(place + 1).map(String::as_str);
        let long = option.strip_prefix("--partition");
        found = match (long, option.strip_prefix("-p")) {
            (Some(""), _) | (None, Some("")) => next(),
            (Some(rest), _) => rest.strip_prefix('='),
            (None, Some(name)) => Some(name),
            (None, None) => None,
        }
        .or(found);
    }
    found
}

/// Of the partitions that are listed with their limits, and of these that are named, or else the one that is taken
/// by default: which gives most time, in minutes; none if one of them has no limit, or it is not known.
fn most<'l>(listed: &'l str, named: Option<&str>) -> Option<(&'l str, u64)> {
    let lines = listed
        .lines()
        .filter_map(|line| line.trim().split_once(' '));
    let limits = lines.filter_map(|(partition, limit)| {
        let name = partition.trim_end_matches('*');
        let is_meant = match named {
            Some(named) => named.split(',').any(|named| named == name),
            None => name != partition,
        };
        is_meant.then(|| (name, minutes(limit).unwrap_or(u64::MAX)))
    });
    let most = limits.max_by_key(|(_, minutes)| *minutes);
    most.filter(|(_, minutes)| *minutes < u64::MAX)
}

/// Whole minutes of `1-02:30:00`, `30:00`; none of what is no such time.
fn minutes(limit: &str) -> Option<u64> {
    let (days, clock) = limit.split_once('-').unwrap_or(("0", limit));
    let (hours, rest) = match clock.rsplit_once(':')?.0 {
        minutes if minutes.contains(':') => minutes.split_once(':')?,
        minutes => ("0", minutes),
    };
    let (days, hours) = (days.parse::<u64>().ok()?, hours.parse::<u64>().ok()?);
    Some((days * 24 + hours) * 60 + rest.parse::<u64>().ok()?)
}

/// Whether options ask for a time themselves.
fn has_limit(options: &[String]) -> bool {
    let is_limit = |option: &String| {
        option.starts_with("-t") || option == "--time" || option.starts_with("--time=")
    };
    options.iter().any(is_limit)
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
            longest,
        } = job;
        let inside = std::env::var_os("SLURM_JOB_ID").is_some();
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
        // A job that the run itself is in ends when it ends, and all of its steps with it.
        let limits = longest.filter(|_| !inside && !has_limit(options));
        let limits = limits.map(Limits::of);
        let mut last = options.to_vec();
        // A step of that job takes a part of it.
        if inside {
            last.push("--exact".to_owned());
        }
        self.there = true;
        let minutes = match limits {
            None => None,
            Some(limits) => Some(limits.within(options)?),
        };
        if let Some(minutes) = minutes {
            asked.extend(["-t".to_owned(), minutes.to_string()]);
        }
        asked.extend(last);
        check(&asked, inside)?;
        let limit = minutes.map(|minutes| ["-limit".to_owned(), format!("{minutes}m")]);
        let limit = limit.into_iter().flatten().map(OsString::from);
        let fixed = ["srun", "-u", "-Q"].map(OsString::from);
        let asked = asked.into_iter().map(OsString::from);
        let words = fixed.into_iter().chain(asked).chain(worker);
        Ok(words.chain(limit).collect())
    }

    /// The command by which Slurm says why workers wait.
    pub(super) fn why(&self) -> Vec<OsString> {
        let words = [
            "squeue", "-h", "-t", "PENDING", "-o", "%r", "-n", &self.name,
        ];
        words.map(OsString::from).into()
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

/// Asks Slurm whether it would ever start that. `inside`: in the job that this run is in.
fn check(asked: &[String], inside: bool) -> Result<(), Failure> {
    let mut test = Command::new("srun");
    // What does not fit into a job waits there for ever, and nobody is told; so one is started.
    let how: &[&str] = if inside {
        &["-Q", "--immediate=10"]
    } else {
        &["--test-only"]
    };
    test.args(how).args(asked).arg("true");
    let output = test.output().map_err(|error| {
        Failure::cannot("start srun", &error)
            .hint("the machine of the run has to be one that Slurm's jobs can be submitted from")
    })?;
    if output.status.success() {
        return Ok(());
    }
    let words = said(&String::from_utf8_lossy(&output.stderr));
    let what = if inside {
        "the job of Slurm's that this run is in has no room for a worker"
    } else {
        "Slurm would never start a worker"
    };
    Err(Failure::usage(format!("{what}: {words}"))
        .hint(format!("asked for: srun {}", asked.join(" "))))
}

/// What srun says, in one line.
fn said(words: &str) -> String {
    let lines = words.trim().lines().map(|line| {
        let line = line.trim().trim_start_matches("srun: ");
        line.trim_start_matches("error: ")
    });
    visible(&lines.collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_has_time_for_several_tasks_or_at_least_for_one() {
        let limits = |seconds| {
            let limits = Limits::of(Duration::from_secs(seconds));
            (limits.wished, limits.least)
        };
        assert_eq!(limits(1), (10, 1));
        assert_eq!(limits(60), (10, 2));
        assert_eq!(limits(3600), (241, 61));
        // Even that is not more than there is.
        let forever = Limits::of(Duration::MAX);
        assert_eq!(forever.wished, forever.least);
    }

    #[test]
    fn no_more_is_asked_for_than_a_partition_gives() {
        let words = |options: &[&str]| -> Vec<String> {
            options.iter().copied().map(str::to_owned).collect()
        };
        for (options, named) in [
            (&["-A", "x"][..], None),
            (&["-p", "a"], Some("a")),
            (&["-pa"], Some("a")),
            (&["--partition", "a,b"], Some("a,b")),
            (&["-p", "a", "--partition=b"], Some("b")),
            (&["-p"], None),
        ] {
            assert_eq!(partitions(&words(options)), named, "{options:?}");
        }
        let listed = "brief 3:00\nday* 1-02:30:00\nlong infinite\n";
        for (named, expected) in [
            (None, Some(("day", 26 * 60 + 30))),
            (Some("brief"), Some(("brief", 3))),
            (Some("brief,day"), Some(("day", 26 * 60 + 30))),
            (Some("brief,long"), None),
            (Some("other"), None),
        ] {
            assert_eq!(most(listed, named), expected, "{named:?}");
        }
        assert_eq!(most("", None), None);
        assert_eq!(
            (minutes("30:00"), minutes("2:30:00")),
            (Some(30), Some(150))
        );
    }

    #[test]
    fn what_slurm_says_is_one_line() {
        let words = "srun: error: invalid partition specified: x\nsrun: allocation failure: Invalid partition name specified\n";
        assert_eq!(
            said(words),
            "invalid partition specified: x; allocation failure: Invalid partition name specified"
        );
    }

    #[test]
    fn a_time_of_the_users_own_is_seen() {
        let has = |options: &[&str]| {
            let options: Vec<String> = options.iter().copied().map(str::to_owned).collect();
            has_limit(&options)
        };
        for options in [
            &["-t", "5"][..],
            &["-p", "x", "-t5"],
            &["--time", "5"],
            &["--time=5"],
        ] {
            assert!(has(options), "{options:?}");
        }
        assert!(!has(&["-p", "t", "--time-min=5", "-T2"]));
    }
}
