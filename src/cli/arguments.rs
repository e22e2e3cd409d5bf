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
        Begin with:  task-pipeline init          a first pipeline, in this folder\n             \
        task-pipeline check         is the manifest right?\n             \
        task-pipeline run           run it; again after a failure, to go on (-run is the same)"
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
    /// Write a pipeline to begin with: the files of a template
    Init(init::Options),
    /// Check the manifest, and show each step's packages, routes and limits; touches no db
    Check(check::Options),
    /// Make the lock file, which pins what package names mean; commit it
    Lock(lock::Options),
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
    /// Observe one task of a step: which files it uses that no version knows
    TraceFiles(trace_files::Options),
    /// Whether all is there and as it was recorded: objects, rows, links to packages
    Verify(verify::Options),
    /// A shell, or a command, where a task of a step would run, with its input
    Shell(shell::Options),
    /// The bytes of an object, or of what a task left
    Cat(cat::Options),
    /// Write final outputs as files into a folder, or as a tar
    Export(export::Options),
    /// Free what no runset that is kept needs: rows, objects, what dead runs left
    Gc(gc::Options),
    /// Drop the bytes of what can be made again; all else that is known of it stays
    Evict(evict::Options),
    /// Make a key to share results with, and print its public part
    CacheKey(cache_key::Options),
    /// Print the manifest's JSON Schema, for editors
    Schema,
    /// Show the steps, and what went and can go from one to the other
    Graph(graph::Options),
    /// Write a page for the browser: graph, timeline, durations, failures with logs, tasks
    Report(report::Options),
    /// Print a shell's completions of this command line
    Completions(describe::Options),
    /// Carry out tasks for a run on another machine, which starts this
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
