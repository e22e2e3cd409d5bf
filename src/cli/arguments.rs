//! What can be said on the command line.

use clap::{Arg, Command, Parser};

use super::cache::CacheOptions;
use super::options::{
    Actions, Output, PackageOptions, ParamOptions, Places, ResourceOptions, SecretOptions,
};
use super::{
    cache_key, cat, check, complete, describe, evict, export, gc, graph, init, lock, log, report,
    shell, status, tasks, trace, trace_files, verify, why, worker,
};

/// Runs the steps of a manifest; the files that each step leaves decide what runs next.
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
        To begin:    task-pipeline init          a first pipeline, in this folder\n             \
        task-pipeline check         is the manifest correct?\n             \
        task-pipeline run           run it; after a failure, carry on (-run is the same)"
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub command: Option<Subcommand>,
    #[command(flatten)]
    pub places: Places,
    #[command(flatten)]
    pub actions: Actions,
    #[command(flatten)]
    pub resources: ResourceOptions,
    #[command(flatten)]
    pub params: ParamOptions,
    #[command(flatten)]
    pub secrets: SecretOptions,
    #[command(flatten)]
    pub cache: CacheOptions,
    #[command(flatten)]
    pub supply: PackageOptions,
    #[command(flatten)]
    pub output: Output,
}

/// What is no run.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Subcommand {
    /// Write a first pipeline, from a template
    Init(init::Options),
    /// Check the manifest, and show each step's packages, routes and limits; touches no db
    Check(check::Options),
    /// Make the lock file, which pins what package names stand for; commit it
    Lock(lock::Options),
    /// Show where a runset stands: what is done, failed or pending, for each step
    Status(status::Options),
    /// List the tasks of a runset
    Tasks(tasks::Options),
    /// Show what tasks wrote
    Log(log::Options),
    /// Say why a task ran, will run or was reused, or why a step has a new version
    Why(why::Options),
    /// Show where an output, object or task comes from, and what came of it
    Trace(trace::Options),
    /// Run one task of a step, and list the files it uses that no version knows of
    TraceFiles(trace_files::Options),
    /// Check that objects, rows and links to packages are there and as they were recorded
    Verify(verify::Options),
    /// Open a shell, or run a command, where a task of a step would run, with its input
    Shell(shell::Options),
    /// Print the bytes of an object, or of what a task left
    Cat(cat::Options),
    /// Write final outputs to a folder as files, or as a tar
    Export(export::Options),
    /// Remove what no kept runset needs: rows, objects, leftovers of killed runs
    Gc(gc::Options),
    /// Drop the bytes of what can be made again; keep all else that is known about it
    Evict(evict::Options),
    /// Make a key for sharing results, and print its public part
    CacheKey(cache_key::Options),
    /// Print the manifest's JSON Schema, for editors
    Schema,
    /// Show the steps, and what went or can go from one to another
    Graph(graph::Options),
    /// Write a page for the browser: graph, timeline, durations, failures with logs, tasks
    Report(report::Options),
    /// Print the completions of this command line for a shell
    Completions(describe::Options),
    /// Run tasks for a run on another machine, which starts this itself
    Worker(worker::Options),
    /// Print the manual page
    Man,
    /// Print the version
    Version,
    /// What can come next: for the shells' completions
    #[command(hide = true)]
    Complete(complete::Options),
}

/// The same command line, on which a number below 0 is the value of the option before it, and not another option: who
/// reads the value knows what it may be.
pub(super) fn with_numbers(command: Command) -> Command {
    let number = |option: Arg| {
        let takes = !option.is_positional() && option.get_action().takes_values();
        option.allow_negative_numbers(takes)
    };
    command
        .mut_args(number)
        .mut_subcommands(|subcommand| subcommand.mut_args(number))
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
