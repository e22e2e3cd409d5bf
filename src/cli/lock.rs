//! `lock`: makes the lock file, moves what it pins.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use clap::Args;

use super::error::Failure;
use super::options::{Output, Places};
use super::{output, signals};
use crate::exec::local::Channel;
use crate::packages;
use crate::prepare::Source;
use crate::report::{self, Reporter};
use crate::text::Shown as _;

/// Options of `lock`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Move the pins to what the names stand for now: all pins, or those named
    #[arg(long, value_name = "NAME", num_args = 0..)]
    pub update: Option<Vec<String>>,
}

/// Makes or updates the lock file and prints what moved.
pub(super) fn main(
    places: &Places,
    arguments: &Options,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let source = Source::load(&places.manifest()?)?;
    let inbox = signals::listen(&Channel::default())?;
    let steps = source.manifest.with_packages();
    let packages = packages::Packages {
        steps: &steps,
        nixpkgs: &source.manifest.nix.nixpkgs,
        manifest: &source.path,
    };
    let update = match arguments.update.as_deref() {
        None => packages::Update::Missing,
        Some([]) => packages::Update::All,
        Some(names) => packages::Update::Named(names),
    };
    let mut reporter = Reporter::new(output.style());
    let report = packages::lock_update(&packages, update, &inbox.stop, &mut |progress| {
        report::nix_event(&progress, &mut |event| reporter.event(event));
    })
    .map_err(|error| Failure::from(error).or_signal(inbox.signal()))?;
    debug_assert!(!inbox.stop.load(Ordering::Relaxed) || inbox.signal().is_some());
    let mut text = String::new();
    for moved in &report.moved {
        let _ = match (&moved.from, &moved.to) {
            (Some(from), Some(to)) => writeln!(text, "{}: {from} → {to}", moved.reference),
            (None, Some(to)) => writeln!(text, "{}: {to} (new)", moved.reference),
            (_, None) => writeln!(text, "{}: removed, no package uses it", moved.reference),
        };
    }
    for reference in &report.unpinned {
        let _ = writeln!(
            text,
            "{reference}: not pinned, its git tree has changes that are not committed"
        );
    }
    let path = report.path.shown();
    let _ = match (report.written, steps.is_empty()) {
        (true, _) => writeln!(text, "{path}: written"),
        (false, true) => writeln!(text, "{path}: not needed, no step has packages"),
        (false, false) => writeln!(text, "{path}: nothing to change"),
    };
    output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}
