//! `worker`: carries out the tasks of a run that started it, on whatever machine.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use clap::Args;

use super::error::Failure;
use super::resources::gpus_here;
use super::signals;
use crate::exec::local::Channel;
use crate::exec::node;
use crate::model::resources::GPUS;
use crate::sys;
use crate::text::Shown as _;
use crate::text::amount::read_bytes;

/// Options of `worker`.
#[derive(Debug, Args)]
#[command(
    after_help = "A run starts workers itself, by the command of its executor; by hand there is nothing to do with one."
)]
pub(super) struct Options {
    /// Carry out tasks of N CPUs at once [default: as many as there are]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    slots: Option<u64>,
    /// Work in a folder of its own in DIR, on a disk of this machine [default: TMPDIR]
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
    /// Keep inputs for tasks to come, as long as they take no more than that
    #[arg(long, value_name = "SIZE", value_parser = read_bytes, default_value = "10G")]
    cache: u64,
}

/// Works until the run that started it ends.
pub(super) fn main(options: &Options) -> Result<ExitCode, Failure> {
    let channel = Channel::default();
    signals::listen(&channel)?;
    let parent = options.scratch.clone().unwrap_or_else(std::env::temp_dir);
    let place = node::Place::new(&parent).map_err(|error| {
        Failure::usage(format!(
            "cannot make a folder in {}: {error}",
            parent.shown()
        ))
        .hint("name one on a disk of this machine with -scratch")
    })?;
    let emergency = channel.emergency().clone();
    emergency.has(place.path());
    let output = rustix::stdio::stdout().try_clone_to_owned();
    let output = output.map_err(|error| Failure::output(&error))?;
    let output = io::BufWriter::new(File::from(output));
    let output: node::Output = Arc::new(Mutex::new(Box::new(output)));
    let own = Arc::clone(&output);
    let keeper = Arc::new(node::Keeper::default());
    let kept = Arc::clone(&keeper);
    std::thread::spawn(move || node::leave_on_signal(&channel, &kept, &own));
    let cores = u64::try_from(sys::cores()).unwrap_or(1);
    let wishes = node::Options {
        slots: options.slots.unwrap_or(cores),
        gpus: gpus_here(std::env::var_os(GPUS[0])),
        cache: options.cache,
    };
    node::serve(
        &wishes,
        (&emergency, &keeper),
        place.path(),
        io::stdin().lock(),
        &output,
    )
    .map_err(|error| Failure::usage(error.to_string()))?;
    Ok(ExitCode::SUCCESS)
}
