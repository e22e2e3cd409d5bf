//! Who is measured, how each is found, called, and what it can do.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::work::{Source, Work};

/// A program that does works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// This program.
    Own,
    /// This program with `warm = true` in the manifest.
    Warm,
    /// ninja.
    Ninja,
    /// n2.
    N2,
    /// GNU make.
    Make,
    /// xargs.
    Xargs,
    /// snakemake.
    Snakemake,
    /// redun.
    Redun,
    /// Nextflow.
    Nextflow,
    /// The least that a work costs: this measurement's own helper.
    Floor,
}

/// All of them, in the order of the table.
pub const ALL: [Kind; 10] = [
    Kind::Own,
    Kind::Warm,
    Kind::Ninja,
    Kind::N2,
    Kind::Make,
    Kind::Xargs,
    Kind::Floor,
    Kind::Snakemake,
    Kind::Redun,
    Kind::Nextflow,
];

/// One that is installed.
#[derive(Debug, Clone)]
pub struct Contender {
    /// Which.
    pub kind: Kind,
    /// Its program.
    pub program: PathBuf,
    /// What it says of itself.
    pub version: String,
}

impl Kind {
    /// Its name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Own => "task-pipeline",
            Self::Warm => "task-pipeline, warm",
            Self::Ninja => "ninja",
            Self::N2 => "n2",
            Self::Make => "make",
            Self::Xargs => "xargs",
            Self::Snakemake => "snakemake",
            Self::Redun => "redun",
            Self::Nextflow => "nextflow",
            Self::Floor => "floor",
        }
    }

    /// Whether it is this program.
    pub fn is_own(self) -> bool {
        matches!(self, Self::Own | Self::Warm)
    }

    /// A name for its folders.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Warm => "warm",
            other => other.name(),
        }
    }

    /// Whether it takes so long that one round has to do, of works of at most a thousand items.
    pub fn is_slow(self) -> bool {
        matches!(self, Self::Snakemake | Self::Redun | Self::Nextflow)
    }

    /// Whether it can do the work.
    pub fn can(self, work: &Work) -> bool {
        let fan_out = matches!(work.source, Source::Split(_)) && work.items() > 1;
        match self {
            Self::Own | Self::Warm | Self::Ninja | Self::N2 | Self::Make => true,
            Self::Xargs => fan_out && !work.stages.is_empty(),
            // Of hashing and moving what one task leaves; a task more has no agreed least.
            Self::Floor => matches!(work.source, Source::Copy(_)) || work.stages.is_empty(),
            Self::Snakemake | Self::Redun | Self::Nextflow => {
                work.items() <= 1000 && work.leaves_results() && !work.stages.is_empty()
            }
        }
    }

    /// Whether a second call of it knows that nothing is to be done.
    pub fn remembers(self) -> bool {
        !matches!(self, Self::Xargs | Self::Floor)
    }

    /// It, if it is there; `own` is this program.
    pub fn find(self, own: &Path) -> Option<Contender> {
        let program = match self {
            Self::Own | Self::Warm => own.to_owned(),
            Self::Floor => std::env::current_exe().ok()?,
            _ => which::which(self.name()).ok()?,
        };
        let version = match self {
            Self::Floor => String::new(),
            Self::Nextflow => said(Command::new(&program).arg("-version"), "version "),
            _ => said(Command::new(&program).arg("--version"), ""),
        };
        Some(Contender {
            kind: self,
            program,
            version,
        })
    }
}

/// The first number on the first line with `before` in it that a command says.
fn said(command: &mut Command, before: &str) -> String {
    let output = command.output().map(|output| output.stdout);
    let text = String::from_utf8_lossy(&output.unwrap_or_default()).into_owned();
    text.lines()
        .find(|line| line.contains(before) && line.contains(|c: char| c.is_ascii_digit()))
        .and_then(|line| {
            line.split_whitespace()
                .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))
        })
        .unwrap_or("of unknown version")
        .to_owned()
}

impl Contender {
    /// The call that does a work, the files for which are in `folder`.
    pub fn command(&self, work: &Work, folder: &Path, parallel: usize) -> Command {
        let parallel = parallel.to_string();
        let mut command = match self.kind {
            Kind::Xargs => Command::new("sh"),
            _ => Command::new(&self.program),
        };
        match self.kind {
            Kind::Own | Kind::Warm => command.args(["-run", "-parallel", &parallel]),
            Kind::Ninja | Kind::N2 => command.args(["-j", &parallel]),
            Kind::Make => command.args(["-s", "-j", &parallel]),
            Kind::Xargs => command.arg("work.sh"),
            Kind::Snakemake => command.args(["--cores", &parallel, "--quiet", "all"]),
            Kind::Redun => command.args(["run", "work.py", "main"]),
            Kind::Nextflow => command.args(["-q", "run", "work.nf", "-resume"]),
            Kind::Floor => match work.source {
                Source::Copy(_) => {
                    command.args(["floor", "copies", &work.stages.len().to_string()])
                }
                Source::Split(files) => command.args(["floor", "outputs", &files.to_string()]),
            },
        };
        command
            .current_dir(folder)
            .env_remove("MAKEFLAGS")
            .env_remove("NINJA_STATUS");
        command
    }
}
