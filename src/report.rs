//! Events in; lines, progress bars or JSON out, on standard error. Beside these, where asked for,
//! a trace file and what GitHub Actions shows.
//!
//! A standard error that is closed, or whose reader has gone away, ends nothing.

mod bars;
pub(crate) mod board;
pub(crate) mod follow;
mod github;
pub(crate) mod json;
pub(crate) mod meter;
mod now;
mod plain;
mod rate;
mod sampled;
pub(crate) mod table;
mod trace;

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use crate::model::event::Event;
use crate::model::name::StepName;
use crate::out::{self, Stream};
use crate::packages;
pub(crate) use trace::Error as TraceError;

/// How to tell.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::struct_excessive_bools)] // They are independent switches.
pub(crate) struct Style {
    /// Also starts, outputs and what tasks write.
    pub verbose: bool,
    /// Only failures and warnings.
    pub quiet: bool,
    /// One JSON object a line.
    pub json: bool,
}

/// Tells events in the form that was asked for and that suits standard error.
pub(crate) struct Reporter {
    form: Form,
    trace: Option<trace::Trace>,
    board: Option<board::Board>,
    earlier: HashMap<StepName, (Duration, usize)>,
    github: Option<github::Actions>,
}

enum Form {
    Plain(plain::Plain),
    Bars(bars::Bars),
    Json(json::Lines),
}

impl Reporter {
    /// Ready to tell. The process's environment says what the terminal can do, and whether GitHub
    /// Actions listens.
    pub(crate) fn new(style: Style) -> Self {
        let form = if style.json {
            Form::Json(json::Lines { quiet: style.quiet })
        } else if !style.quiet && Stream::Err.can_move() && !out::is_for_github() {
            Form::Bars(bars::Bars::new(style.verbose, Stream::Err.has_colours()))
        } else {
            out::begin();
            Form::Plain(plain::Plain {
                verbose: style.verbose,
                quiet: style.quiet,
                rate: rate::Rate::default(),
            })
        };
        Self {
            form,
            trace: None,
            board: None,
            earlier: HashMap::new(),
            github: github::Actions::from_environment(),
        }
    }

    /// The file that the environment names for a page about the run, if there is one.
    pub(crate) fn page() -> Option<std::path::PathBuf> {
        github::page()
    }

    /// From now on the events also become a trace, which [`Self::finish`] puts at `path`.
    pub(crate) fn trace_to(&mut self, path: &Path) -> Result<(), TraceError> {
        self.trace = Some(trace::Trace::create(path)?);
        Ok(())
    }

    /// The same to standard output.
    pub(crate) fn print_trace(&mut self) {
        self.trace = Some(trace::Trace::print());
    }

    /// From now on the file `path` says how far the run is, for who asks from elsewhere.
    pub(crate) fn show_at(&mut self, path: &Path) {
        let tells_slow = matches!(&self.form, Form::Plain(plain) if !plain.quiet);
        self.board = board::Board::start(path, tells_slow);
    }

    /// Whether it can use what [`Self::expect`] takes.
    pub(crate) fn estimates(&self) -> bool {
        matches!(self.form, Form::Bars(_))
    }

    /// Takes note of how long the tasks of steps took in earlier runs: the middle, and of how many.
    pub(crate) fn expect(&mut self, earlier: HashMap<StepName, (Duration, usize)>) {
        if let Form::Bars(bars) = &mut self.form {
            bars.expect(earlier.clone());
        }
        self.earlier = earlier;
    }

    /// Tells one event.
    pub(crate) fn event(&mut self, event: &Event) {
        if let Some(error) = out::lost() {
            let words = format!("some of what was to be told before this is missing: {error}");
            self.tell(&Event::Warning(&words));
        }
        self.tell(event);
    }

    fn tell(&mut self, event: &Event) {
        match &mut self.form {
            Form::Plain(plain) => plain.event(event),
            Form::Bars(bars) => bars.event(event),
            Form::Json(json) => json.event(event),
        }
        if let Some(trace) = &mut self.trace {
            trace.event(event);
        }
        if let Some(board) = &mut self.board {
            board.event(event, &self.earlier);
        }
        let warning = self.github.as_mut().and_then(|github| github.event(event));
        if let Some(warning) = warning {
            self.event(&Event::Warning(&warning));
        }
    }

    /// Nothing more comes: takes the bars away, completes the trace.
    pub(crate) fn finish(&mut self) {
        if let Form::Bars(bars) = &mut self.form {
            bars.clear();
        }
        self.board = None;
        if let Some(Err(error)) = self.trace.take().map(trace::Trace::finish) {
            let hint = error.lacks_room().map(|hint| format!("\nhint: {hint}"));
            let words = format!("{error}{}", hint.unwrap_or_default());
            self.event(&Event::Warning(&words));
        }
    }
}

/// Tells what Nix does, and its warnings as such.
pub(crate) fn nix_event(progress: &packages::Progress, tell: &mut dyn FnMut(&Event)) {
    match progress {
        packages::Progress::Line(line) => tell(&Event::Environment(&format!("nix: {line}"))),
        packages::Progress::Warning(words) => tell(&Event::Warning(words)),
        packages::Progress::Log { package, line } => {
            tell(&Event::Environment(&format!("{package}> {line}")));
        }
    }
}
