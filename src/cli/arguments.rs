//! What can be said on the command line.

use std::path::{Path, PathBuf};

use clap::{Args, Parser, ValueEnum, ValueHint};

use super::error::Failure;
use super::{cat, complete, export, log, status, tasks, trace, why};
use crate::report::Style;
use crate::state;

/// Runs the steps of a manifest; the files that each leaves decide what runs next.
#[derive(Debug, Parser)]
#[command(
    name = "task-pipeline",
    version,
    args_conflicts_with_subcommands = false,
    subcommand_negates_reqs = true,
    max_term_width = 100,
    after_help = "Every long option takes one dash or two: -run is --run, -db=DIR is --db DIR.\n\n\
        Exit status: 0 all done; 1 a task failed; 2 wrong usage, manifest or state; 3 a package\n\
        cannot be had; 128+n ended by signal n.\n\n\
        Begin with:  task-pipeline check         is the manifest right?\n             \
        task-pipeline -run          run it; again after a failure, to go on"
)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Option<Subcommand>,
    #[command(flatten)]
    pub places: Places,
    #[command(flatten)]
    pub actions: Actions,
    #[command(flatten)]
    pub supply: Supply,
    #[command(flatten)]
    pub output: Output,
}

/// Files and folders. Every subcommand takes them, so that they can stand in a wrapper.
#[derive(Debug, Args)]
pub struct Places {
    /// The manifest; without it, ./workflow.toml
    #[arg(long, value_name = "FILE", global = true)]
    pub manifest: Option<PathBuf>,
    /// The folder of database and object store; made where it is missing
    #[arg(
        long,
        value_name = "DIR",
        default_value = "./db",
        global = true,
        value_hint = ValueHint::DirPath
    )]
    pub db: PathBuf,
    /// The folder that scripts start in; default: the manifest's
    #[arg(long, value_name = "DIR", global = true, value_hint = ValueHint::DirPath)]
    pub workdir: Option<PathBuf>,
}

/// What is to be done.
#[derive(Debug, Args)]
#[command(
    next_help_heading = "What to do (with none of these: register the steps, say where the pipeline stands)"
)]
#[allow(clippy::struct_excessive_bools)] // Flags are what a command line has.
pub struct Actions {
    /// Run what is pending; seeds the start step if nothing ever ran
    #[arg(long)]
    pub run: bool,
    /// With -run: say what would run, what would be reused, and why; change nothing
    #[arg(long, requires = "run")]
    pub dry_run: bool,
    /// With -run: seed a new runset, whatever is there
    #[arg(long, requires = "run")]
    pub fresh: bool,
    /// With -run: run the tasks of STEP again, and all that follows from them
    #[arg(long, value_name = "STEP", requires = "run")]
    pub start: Option<String>,
    /// Have finished tasks of changed steps done again by the next -run, or by this one
    #[arg(long)]
    pub migrate_tainted: bool,
    /// The runset to act on, `all` for every one; default: the newest
    #[arg(long, value_name = "NAME")]
    pub runset: Option<String>,
    /// With -run: most tasks at once; default: the number of CPUs
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=65_536),
        requires = "run"
    )]
    pub parallel: Option<u32>,
    /// With -run: after a failure go on with all that does not depend on it (the default)
    #[arg(long, overrides_with = "fail_fast", requires = "run")]
    pub keep_going: bool,
    /// With -run: after a failure start nothing more
    #[arg(long, requires = "run")]
    pub fail_fast: bool,
    /// With -run: when results are brought to the disk, should the power fail
    #[arg(
        long,
        value_enum,
        value_name = "WHEN",
        default_value = "lazy",
        requires = "run"
    )]
    pub sync: Sync,
}

/// When results are brought to the disk. A killed run loses nothing with any of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Sync {
    /// When the kernel gets round to it: a power cut takes the last seconds.
    Lazy,
    /// And when the run is over.
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

/// Where packages come from.
#[derive(Debug, Args)]
#[command(next_help_heading = "Packages")]
pub struct Supply {
    /// Fail if the lock file is missing or stale, instead of writing it (for CI)
    #[arg(long)]
    pub locked: bool,
    /// Use the host's programs in place of packages; results are kept apart
    #[arg(long, conflicts_with = "locked")]
    pub host_env: bool,
}

/// How much is said.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub struct Output {
    /// Also say when tasks start, what they leave, and show what they write
    #[arg(long, conflicts_with = "quiet", global = true)]
    pub verbose: bool,
    /// Say nothing but failures and warnings
    #[arg(long, global = true)]
    pub quiet: bool,
    /// Lines for people, or one JSON object a line
    #[arg(
        long,
        value_enum,
        value_name = "FORMAT",
        default_value = "text",
        global = true
    )]
    pub log_format: LogFormat,
    /// With -run: write a trace of the run, for Perfetto or the tracing page of Chrome
    #[arg(long, value_name = "FILE", requires = "run")]
    pub trace: Option<PathBuf>,
}

impl Output {
    /// The style of reports that is asked for.
    pub fn style(&self) -> Style {
        Style {
            verbose: self.verbose,
            quiet: self.quiet,
            json: self.log_format == LogFormat::Json,
        }
    }
}

/// The form of what is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// What is no run.
#[derive(Debug, clap::Subcommand)]
pub enum Subcommand {
    /// Check the manifest, and show each step's packages, routes and limits; touches no db
    Check,
    /// Make the lock file, which pins what package names mean; commit it
    Lock(Lock),
    /// Where a runset stands: per step what is done, failed, to be done
    Status(status::Options),
    /// The tasks of a runset
    Tasks(tasks::Options),
    /// What tasks wrote
    Log(log::Options),
    /// Why a task ran, will run or was reused; why a step has a new version
    Why(why::Options),
    /// Where an output, object or task comes from, and what came of it
    Trace(trace::Options),
    /// The bytes of an object, or of what a task left
    Cat(cat::Options),
    /// Write final outputs as files into a folder, or as a tar
    Export(export::Options),
    /// Print the manifest's JSON Schema, for editors
    Schema,
    /// Show the steps, and what went and can go from one to the other
    Graph(Graph),
    /// Write a page for the browser: graph, timeline, durations, failures with logs, tasks
    Report(Report),
    /// Print a shell's completions of this command line
    Completions(Completions),
    /// Print the manual page
    Man,
    /// Print the version
    Version,
    /// What can come next: for the shells' completions
    #[command(hide = true)]
    Complete(complete::Options),
}

/// Options of `graph`.
#[derive(Debug, Args)]
pub struct Graph {
    /// The form: lines, or a language that a picture is made from
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    pub format: GraphFormat,
    /// Each step by itself, where very many would be shown in groups
    #[arg(long)]
    pub whole: bool,
    /// Whose tasks are counted, `all` for every runset's; default: the newest's
    #[arg(long, value_name = "NAME")]
    pub runset: Option<String>,
}

/// The form of a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum GraphFormat {
    /// Lines for a terminal.
    Text,
    /// For Graphviz.
    Dot,
    /// For Markdown on GitHub and GitLab.
    Mermaid,
    /// A picture.
    Svg,
}

/// Options of `report`.
#[derive(Debug, Args)]
pub struct Report {
    /// The file to write, `-` for standard output; one that is there is replaced
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Whose tasks are shown, `all` for every runset's; default: the newest's
    #[arg(long, value_name = "NAME")]
    pub runset: Option<String>,
}

/// What `completions` is for.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// Options of `lock`.
#[derive(Debug, Args)]
pub struct Lock {
    /// Move pins to what they name now: all, or those named
    #[arg(long, value_name = "NAME", num_args = 0..)]
    pub update: Option<Vec<String>>,
}

impl Places {
    /// The manifest that is meant.
    pub fn manifest(&self) -> Result<PathBuf, Failure> {
        const USUAL: &str = "workflow.toml";
        match &self.manifest {
            Some(path) => Ok(path.clone()),
            None if Path::new(USUAL).exists() => Ok(USUAL.into()),
            None => Err(
                Failure::usage("no manifest: there is no workflow.toml in this folder").hint(
                    "name the file: -manifest FILE; `nix flake init -t` makes a first pipeline",
                ),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_options_are_consistent() {
        Arguments::command().debug_assert();
    }
}
