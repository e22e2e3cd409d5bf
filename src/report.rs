//! Events in; lines, progress bars or JSON out, on standard error.

mod plain;
pub mod table;

pub use plain::short;

use crate::core::event::Event;
use crate::nix;

/// How to tell.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::struct_excessive_bools)] // They are independent switches.
pub struct Style {
    /// Also starts, outputs and what tasks write.
    pub verbose: bool,
    /// Only failures and warnings.
    pub quiet: bool,
    /// One JSON object a line.
    pub json: bool,
}

/// Tells events in the form that was asked for and that suits standard error.
pub struct Reporter(plain::Plain);

impl Reporter {
    /// Ready to tell.
    pub fn new(style: Style) -> Self {
        Self(plain::Plain::new(style))
    }

    /// Tells one event.
    pub fn event(&mut self, event: &Event) {
        self.0.event(event);
    }
}

/// Tells what Nix does, outside a run.
#[allow(clippy::needless_pass_by_value)] // A listener of `nix` is given it.
pub fn nix_progress(progress: nix::Progress) {
    eprintln!("{}", nix_line(&progress));
}

/// A line about what Nix does.
pub fn nix_line(progress: &nix::Progress) -> String {
    match progress {
        nix::Progress::Line(line) => format!("nix: {line}"),
        nix::Progress::Warning(line) => format!("warning: {line}"),
        nix::Progress::Log { package, line } => format!("{package}> {line}"),
    }
}
