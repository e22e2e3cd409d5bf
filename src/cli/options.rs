//! Options that more than one subcommand takes, or the run itself.

use std::ffi::OsString;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum, ValueHint};

use super::error::Failure;
use crate::manifest::length_of_time;
use crate::model::partition::Partition;
use crate::model::resources::read_memory;
use crate::out::WhenColours;
use crate::report::Style;
use crate::state;
use crate::text::quoted;
use crate::text::typed::value_for_shell;

/// Files and folders. Every subcommand takes them, so that they can stand in a wrapper.
#[derive(Debug, Args)]
pub(super) struct Places {
    /// The manifest; without it, ./workflow.toml
    #[arg(short = 'f', long, value_name = "FILE", global = true)]
    pub manifest: Option<PathBuf>,
    /// The folder for the database and the objects; made if missing
    #[arg(
        long,
        value_name = "DIR",
        default_value = DB,
        global = true,
        value_hint = ValueHint::DirPath
    )]
    pub db: PathBuf,
    /// The folder that scripts start in, and that the manifest's `files`, inputs and [publish] are relative to;
    /// default: the manifest's folder
    #[arg(long, value_name = "DIR", global = true, value_hint = ValueHint::DirPath)]
    pub workdir: Option<PathBuf>,
}

impl Places {
    /// Those that are not where they are looked for, as options, each with a blank before it.
    pub(super) fn as_typed(&self) -> String {
        let manifest = self.manifest.as_ref();
        let manifest = manifest.map(|path| ("manifest", path, "FILE"));
        let db = Some(("db", &self.db, "DIR")).filter(|(_, path, _)| path.as_os_str() != DB);
        let typed = manifest
            .into_iter()
            .chain(db)
            .map(|(option, path, kind)| format!(" -{option}{}", value_for_shell(path, kind)));
        typed.collect()
    }
}

/// Where the db is, if nobody says something else.
const DB: &str = "./db";

/// What is to be done.
#[derive(Debug, Args)]
#[command(
    next_help_heading = "What to do (with none of these: register the steps and say where the pipeline stands)"
)]
#[allow(clippy::struct_excessive_bools)] // Flags are what a command line has.
pub(super) struct Actions {
    /// Run what is pending; if nothing ever ran, seed the start step first
    #[arg(long, group = "executes")]
    pub run: bool,
    /// With -run: say what would run, what would be reused, and why; change nothing
    #[arg(short = 'n', long, requires = "run")]
    pub dry_run: bool,
    /// With -run: say whether these options fit the manifest; run nothing, and look at nothing else
    #[arg(long, requires = "run")]
    pub check_options: bool,
    /// With -run: run again whenever the manifest, an input or a file that a step uses changes, until Ctrl-C
    #[arg(long, requires = "run", conflicts_with = "dry_run")]
    pub watch: bool,
    /// With -run: seed a new runset, even if there is one already
    #[arg(long, requires = "run")]
    pub fresh: bool,
    /// With -run: run STEP's tasks again, and everything that follows from them
    #[arg(long, value_name = "STEP", requires = "run")]
    pub start: Option<String>,
    /// Do finished tasks of changed steps again: now with -run, otherwise in the next -run
    #[arg(long)]
    pub migrate_tainted: bool,
    /// With -migrate-tainted: run N tainted tasks of each step and say whether they leave the same as before;
    /// change nothing
    #[arg(
        long,
        value_name = "N",
        value_parser = whole(1..=1_000_000),
        requires = "migrate_tainted",
        conflicts_with_all = ["dry_run", "fresh", "start", "accept"],
        group = "executes"
    )]
    pub sample: Option<u32>,
    /// With -migrate-tainted: keep the tainted tasks of STEP as they are, if a sample of them left the same;
    /// repeatable
    #[arg(
        long,
        value_name = "STEP",
        requires = "migrate_tainted",
        conflicts_with_all = ["run", "dry_run", "fresh", "start"]
    )]
    pub accept: Vec<String>,
    /// The runset to act on, or `all` of them; default: the newest
    #[arg(long, value_name = "NAME")]
    pub runset: Option<String>,
    /// Fail before anything runs if scripts depend on something undeclared that `check` would warn of, and at the
    /// end if old results stay (for CI)
    #[arg(long)]
    pub strict: bool,
    /// With -run or -sample: the most tasks to run at once; default: the number of CPUs (-cpus)
    #[arg(
        short = 'j',
        long,
        value_name = "N",
        value_parser = whole(1..=65_536),
        requires = "executes"
    )]
    pub parallel: Option<u32>,
    /// With -run: where the tasks run: local, child:N, ssh:HOST[*SLOTS],…, slurm, or one of the manifest's
    /// executors
    #[arg(long, value_name = "EXECUTOR", requires = "run")]
    pub executor: Option<String>,
    /// With -run: after a failure, go on with everything that does not depend on it (the default)
    #[arg(long, conflicts_with = "fail_fast", requires = "run")]
    pub keep_going: bool,
    /// With -run: after a failure, start nothing more
    #[arg(long, requires = "run")]
    pub fail_fast: bool,
    /// With -run: keep the folders of failed tasks, with what they left, until the tasks succeed
    #[arg(long, requires = "run")]
    pub keep_failed: bool,
    /// With -run or -sample: how long scripts that are asked to end have before they are killed
    #[arg(
        long,
        value_name = "DURATION",
        value_parser = length_of_time,
        default_value = "5s",
        requires = "executes"
    )]
    pub grace: Duration,
    /// With -run: keep the final outputs as files in DIR, up to date from run to run; anything else in DIR is left
    /// alone
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, requires = "run")]
    pub publish: Option<PathBuf>,
    /// With -run: write how the tasks ended as JUnit XML, which CI shows; each step is a suite
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "run")]
    pub junit: Option<PathBuf>,
    /// With -run: when the run is over, run CMD with `sh -c`, with the outcome as JSON on its standard input
    #[arg(long, value_name = "CMD", value_hint = ValueHint::CommandString, requires = "run")]
    pub on_finish: Option<String>,
    /// With -run: when to bring results to the disk, in case the power fails
    #[arg(
        long,
        value_enum,
        value_name = "WHEN",
        default_value = "lazy",
        requires = "run"
    )]
    pub sync: Sync,
    #[command(flatten)]
    pub part: PartOptions,
}

/// What of it is to run.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Which part to run (everything else stays pending)")]
pub(super) struct PartOptions {
    /// With -run: start only tasks of these steps
    #[arg(long, value_name = "STEP", num_args = 1.., requires = "run")]
    pub only: Vec<String>,
    /// With -run: start only tasks of STEP and of the steps that may lead to it
    #[arg(long, value_name = "STEP", requires = "run", conflicts_with = "only")]
    pub until: Option<String>,
    /// With -run: start only what comes of these inputs: paths, rows, lines, or patterns that match them
    #[arg(long, value_name = "INPUT", num_args = 1.., requires = "run")]
    pub input: Vec<String>,
    /// With -run: start only what comes of the K-th of N parts of the inputs; each input is in exactly one part
    #[arg(long, value_name = "K/N", requires = "run")]
    pub partition: Option<Partition>,
}

/// When results are brought to the disk. A killed run loses nothing with any of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sync {
    /// When the kernel gets round to it: a power cut loses the last seconds.
    Lazy,
    /// The same, and once more when the run is over.
    End,
    /// Before they are recorded: what is recorded survives a power cut.
    Commit,
}

impl From<Sync> for state::Sync {
    fn from(when: Sync) -> Self {
        match when {
            Sync::Lazy => Self::Lazy,
            Sync::End => Self::End,
            Sync::Commit => Self::Commit,
        }
    }
}

/// What the pipeline's parameters are.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Parameters")]
pub(super) struct ParamOptions {
    /// Give the parameter NAME a value; without =VALUE, its default again; repeatable
    #[arg(long, value_name = "NAME=VALUE")]
    pub param: Vec<OsString>,
    /// Take values of parameters from FILE (TOML or JSON); -param wins over it
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub params: Option<PathBuf>,
}

impl ParamOptions {
    /// Whether they give anything.
    pub(super) fn are_there(&self) -> bool {
        !self.param.is_empty() || self.params.is_some()
    }
}

/// What its scripts get and nobody else.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Secrets")]
pub(super) struct SecretOptions {
    /// Give the secret NAME the content of FILE, or the value of a variable (`env:VARIABLE`); repeatable
    #[arg(long, value_name = "NAME=FILE", value_hint = ValueHint::FilePath)]
    pub secret: Vec<OsString>,
}

/// What a run has for its tasks.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "What there is for tasks whose steps ask for it")]
pub(super) struct ResourceOptions {
    /// With -run or -sample: CPUs for tasks; without -parallel, also the most tasks to run at once; default: the
    /// machine's CPUs that this process may use
    #[arg(
        long,
        value_name = "N",
        value_parser = whole(1..=65_536),
        requires = "executes"
    )]
    pub cpus: Option<u32>,
    /// With -run or -sample: memory for tasks, such as 64G; default: what the machine has
    #[arg(
        long,
        value_name = "SIZE",
        value_parser = |text: &str| read_memory(text),
        allow_hyphen_values = true,
        requires = "executes"
    )]
    pub memory: Option<u64>,
    /// With -run or -sample: how many GPUs there are for tasks, or which ones (0,2; only the first: 0,); default: those
    /// that are found
    #[arg(
        long,
        value_name = "N",
        allow_hyphen_values = true,
        requires = "executes"
    )]
    pub gpus: Option<String>,
    /// With -run or -sample: another value for one of the manifest's [limits]; repeatable
    #[arg(long, value_name = "NAME=N", requires = "executes")]
    pub limit: Vec<String>,
}

/// Where packages come from.
#[derive(Debug, Args)]
#[command(next_help_heading = "Packages")]
pub(super) struct PackageOptions {
    /// Fail if the lock file is missing or stale, instead of writing it (for CI)
    #[arg(long)]
    pub locked: bool,
    /// Use the host's programs instead of packages; results are kept apart
    #[arg(long, conflicts_with = "locked")]
    pub host_env: bool,
}

/// How much is said.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(super) struct Output {
    /// Also say when tasks start and what they leave, and show what they write
    #[arg(short, long, conflicts_with = "quiet", global = true)]
    pub verbose: bool,
    /// Show only failures, warnings and what is tainted
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Lines for people, or one JSON object per line
    #[arg(
        long,
        value_enum,
        value_name = "FORMAT",
        default_value = "text",
        global = true
    )]
    pub log_format: LogFormat,
    /// When to use colours
    #[arg(
        long,
        alias = "colour",
        value_enum,
        value_name = "WHEN",
        default_value = "auto",
        global = true
    )]
    pub color: WhenColours,
    /// With -run or -sample: write a trace of the run, for Perfetto or Chrome's tracing page; `-` for standard
    /// output
    #[arg(long, value_name = "FILE", requires = "executes")]
    pub trace: Option<PathBuf>,
}

impl Output {
    /// Whether somebody reads along who wants to know what goes on.
    pub(super) fn tells_people(&self) -> bool {
        !self.quiet && self.log_format == LogFormat::Text
    }

    /// The style of reports that is asked for.
    pub(super) fn style(&self) -> Style {
        Style {
            verbose: self.verbose,
            quiet: self.quiet,
            json: self.log_format == LogFormat::Json,
        }
    }
}

/// The form of what is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Reads a whole number of that range.
pub(super) fn whole(
    range: RangeInclusive<u32>,
) -> impl Fn(&str) -> Result<u32, String> + Clone + Send + std::marker::Sync + 'static {
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| {
            let (least, most) = (range.start(), range.end());
            match *most {
                u32::MAX => format!("{} is no whole number from {least} on", quoted(text)),
                most => format!("{} is no whole number from {least} to {most}", quoted(text)),
            }
        })
    }
}

/// Reads any whole number that is not below 0.
pub(super) fn number(text: &str) -> Result<u64, String> {
    let number = text.parse();
    number.map_err(|_| format!("{} is no whole number from 0 to {}", quoted(text), u64::MAX))
}

impl Places {
    /// The manifest that is meant.
    pub(super) fn manifest(&self) -> Result<PathBuf, Failure> {
        const USUAL: &str = "workflow.toml";
        match &self.manifest {
            Some(path) => Ok(path.clone()),
            None if Path::new(USUAL).exists() => Ok(USUAL.into()),
            None => Err(
                Failure::usage("no manifest: there is no workflow.toml in this folder").hint(
                    "name the file: -manifest FILE; `task-pipeline init` makes a first pipeline here",
                ),
            ),
        }
    }
}
