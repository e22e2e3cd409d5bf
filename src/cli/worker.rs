//! `worker`: carries out the tasks of a run that started it, on whatever machine.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use clap::Args;

use super::error::Failure;
use super::resources::gpus_here;
use super::signals;
use crate::exec::local::Channel;
use crate::exec::node;
use crate::manifest::length_of_time;
use crate::model::executor::MOST;
use crate::model::resources::GPUS;
use crate::sys;
use crate::text::Shown as _;
use crate::text::amount::read_bytes;

/// Options of `worker`.
#[derive(Debug, Args)]
#[command(
    after_help = "A run starts its workers itself, with the command of its executor; you never need to start one by hand."
)]
pub(super) struct Options {
    /// Run tasks that take N CPUs at once [default: as many as there are]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=u64::from(MOST)))]
    slots: Option<u64>,
    /// Work in a folder of its own in DIR, on a disk of this machine [default: TMPDIR]
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
    /// Keep inputs for later tasks, as long as they take no more space than this
    #[arg(long, value_name = "SIZE", value_parser = read_bytes, default_value = "10G")]
    cache: u64,
    /// Begin no task that may last longer than this worker: TIME from its start, or less if Slurm says so
    #[arg(long, value_name = "TIME", value_parser = length_of_time)]
    limit: Option<Duration>,
}

/// In how long a worker's place is taken away at the latest: in `limit`, or at the time that a variable says in
/// seconds since 1970. Without a limit nobody counts on it.
fn left(limit: Option<Duration>, end: Option<&str>, now: u64) -> Option<Duration> {
    let limit = limit?;
    let end = end.and_then(|end| end.parse::<u64>().ok());
    let end = end.map(|end| Duration::from_secs(end.saturating_sub(now)));
    Some(end.map_or(limit, |end| end.min(limit)))
}

/// Works until the run that started it ends.
pub(super) fn main(options: &Options) -> Result<ExitCode, Failure> {
    let end = std::env::var("SLURM_JOB_END_TIME").ok();
    let now = u64::try_from(sys::now().as_second()).unwrap_or(0);
    let left = left(options.limit, end.as_deref(), now);
    let until = left.and_then(|left| Instant::now().checked_add(left));
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
    let input = rustix::stdio::stdin().try_clone_to_owned();
    let input = input.map_err(|error| {
        Failure::cannot("read standard input", &error)
            .hint("a run starts it, through a command that passes that on")
    })?;
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
        until,
    };
    node::serve(
        &wishes,
        (&emergency, &keeper),
        place.path(),
        File::from(input),
        &output,
    )
    .map_err(|error| Failure::usage(error.to_string()))?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sooner_of_two_ends_counts() {
        let seconds = Duration::from_secs;
        let limit = Some(seconds(60));
        for (limit, end, expected) in [
            (None, None, None),
            // A job of somebody else's, in which this one just is.
            (None, Some("1030"), None),
            (limit, None, limit),
            (limit, Some("1030"), Some(seconds(30))),
            (limit, Some("9000"), limit),
            (limit, Some("900"), Some(seconds(0))),
            (limit, Some("UNLIMITED"), limit),
        ] {
            assert_eq!(left(limit, end, 1000), expected, "{limit:?} {end:?}");
        }
    }
}
