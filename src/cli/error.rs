//! A failure as the user sees it: kind, words, hint, exit status.

use std::fmt;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use rustix::io::Errno;

use crate::model::digest::Digest;
use crate::prepare::{self, SourceError};
use crate::report::json;
use crate::sys::Shortage;
use crate::text::Shown as _;
use crate::text::{self, visible};
use crate::{engine, evict, gc, out, packages, state, store, verify};

/// Why the program ends without success; decides the exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Usage, manifest or state: 2.
    Usage,
    /// Something to warn of where nothing is let pass: 1.
    Lint,
    /// A package cannot be had: 3.
    Environment,
    /// Ended by this signal: 128 + its number.
    Signal(i32),
    /// Whoever read standard output has seen enough: 0, and nothing to say.
    Gone,
}

/// A failure, ready to be printed.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: Kind,
    message: String,
    /// Whether `message` is complete lines that need no `error:` in front.
    rendered: bool,
    /// Whether `message` has lines of its own.
    lined: bool,
    hint: Option<String>,
    /// Whether it is that a disk is full.
    full: bool,
    /// The object whose bytes are not there, if it is that.
    object: Option<Digest>,
}

impl Failure {
    /// Wrong usage, or a file that is not as it should be.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self {
            kind: Kind::Usage,
            message: message.to_string(),
            rendered: false,
            lined: false,
            hint: None,
            full: false,
            object: None,
        }
    }

    /// The system did not let this be done; with what to do where it is short of something.
    pub(crate) fn cannot(act: impl fmt::Display, error: &io::Error) -> Self {
        Self::usage(format!("cannot {act}: {error}")).hint_at(error)
    }

    /// A file that the user named cannot be written. `elsewhere`: what to do about it, unless it only lacks room.
    pub(crate) fn not_written(
        path: &Path,
        error: &io::Error,
        elsewhere: impl Into<String>,
    ) -> Self {
        let failure = Self::usage(format!("cannot write {}: {error}", path.shown()));
        match Shortage::room_for(error) {
            Some(hint) => failure.hint(hint),
            None => failure.hint(elsewhere),
        }
    }

    /// What would be warnings: complete lines.
    pub(crate) fn lint(rendered: String) -> Self {
        Self {
            kind: Kind::Lint,
            message: rendered,
            rendered: true,
            lined: false,
            hint: None,
            full: false,
            object: None,
        }
    }

    /// What is let pass without `-strict`.
    pub(crate) fn strict(message: impl fmt::Display) -> Self {
        Self {
            kind: Kind::Lint,
            ..Self::usage(message)
        }
    }

    /// Standard output does not take more: a failure, unless its reader went away (`| head`).
    pub(crate) fn output(error: &io::Error) -> Self {
        let failure = Self::usage(format!("cannot write to standard output: {error}"));
        #[allow(clippy::wildcard_enum_match_arm)] // Another's.
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self {
                kind: Kind::Gone,
                ..failure
            },
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => failure.hint_at(error),
            _ if Errno::from_io_error(error) == Some(Errno::BADF) => {
                Self::usage("standard output is closed, or not open for writing")
                    .hint("name a file for it, or >/dev/null where nobody wants it")
            }
            _ => failure,
        }
    }

    /// The same, where the reader of standard output went away without a failure: of a call that finds something out, the
    /// exit status is the answer.
    pub(super) fn unless_gone(done: Result<(), Self>) -> Result<(), Self> {
        match done {
            Err(failure) if matches!(failure.kind, Kind::Gone) => Ok(()),
            done => done,
        }
    }

    /// What went wrong, without what to do about it.
    pub(super) fn message(&self) -> &str {
        self.message.trim_end()
    }

    /// The same, with what to do about it.
    pub(super) fn in_words(&self) -> String {
        match &self.hint {
            Some(hint) => format!("{}\nhint: {hint}", self.message()),
            None => self.message().to_owned(),
        }
    }

    /// Whether it is that a disk is full, or a quota used up.
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    /// The object whose bytes are not there, if it is that.
    pub(super) fn object(&self) -> Option<Digest> {
        self.object
    }

    /// Adds what to do about it.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The message has lines of its own, of which the first says what it is about.
    #[must_use]
    pub(crate) fn lined(mut self) -> Self {
        self.lined = true;
        self
    }

    /// Adds what to do about a shortage, if that is what it was.
    #[must_use]
    pub(crate) fn hint_at(self, cause: &io::Error) -> Self {
        match Shortage::of(cause) {
            Some(shortage) => self.hint(shortage.hint()),
            None => self,
        }
    }

    /// Prints it, as lines or as one JSON object; the exit status.
    pub(crate) fn report(&self, json: bool) -> ExitCode {
        if self.kind == Kind::Gone {
            return ExitCode::SUCCESS;
        }
        let text = if json {
            self.to_json()
        } else {
            self.to_lines()
        };
        // If standard error is gone, the exit status still tells.
        out::tell(&text);
        ExitCode::from(self.exit_status())
    }

    fn to_json(&self) -> String {
        let kind = match self.kind {
            Kind::Usage => "usage",
            Kind::Lint => "lint",
            Kind::Environment => "environment",
            Kind::Signal(_) => "signal",
            Kind::Gone => "gone",
        };
        let message = self.message.trim_end();
        json::error(kind, message, self.hint.as_deref(), self.exit_status())
    }

    /// As lines for people.
    pub(super) fn to_lines(&self) -> String {
        let mut text = String::new();
        match self.kind {
            _ if self.rendered => {
                text.push_str(&text::lines(&self.message));
                if !text.ends_with('\n') {
                    text.push('\n');
                }
            }
            _ if self.message.is_empty() => {}
            // Others' lines are among its own.
            _ if self.lined || self.kind == Kind::Environment => {
                for (at, line) in text::lines(&self.message).lines().enumerate() {
                    let front = match at {
                        0 => "error: ",
                        _ if line.starts_with(' ') => "",
                        _ => "  ",
                    };
                    text = format!("{text}{front}{line}\n");
                }
            }
            Kind::Usage | Kind::Lint | Kind::Environment | Kind::Signal(_) | Kind::Gone => {
                text = format!("error: {}\n", visible(&self.message));
            }
        }
        for line in self.hint.iter().flat_map(|hint| hint.lines()) {
            text = format!("{text}hint: {}\n", visible(line));
        }
        text
    }

    /// The exit status.
    pub(crate) fn exit_status(&self) -> u8 {
        match self.kind {
            Kind::Lint => 1,
            Kind::Usage => 2,
            Kind::Environment => 3,
            Kind::Signal(signal) => signal_status(signal),
            Kind::Gone => 0,
        }
    }
}

/// What to do about a script or variables that cannot be passed to a program.
const TOO_LONG: &str =
    "keep the text in a file and have the script read it, in the shell with `. ./FILE`";

/// 128 + the signal's number.
pub(super) fn signal_status(signal: i32) -> u8 {
    u8::try_from(128 + signal).unwrap_or(u8::MAX)
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Read { ref source, .. } => {
                #[allow(clippy::wildcard_enum_match_arm)] // Another's.
                let hint = match source.kind() {
                    io::ErrorKind::NotFound => "check the path given with -manifest",
                    io::ErrorKind::PermissionDenied => "check the file's owner and mode",
                    io::ErrorKind::IsADirectory => {
                        "name the file in it, for instance with /workflow.toml at the end"
                    }
                    io::ErrorKind::InvalidData => "save the manifest as UTF-8",
                    io::ErrorKind::FileTooLarge => {
                        "a manifest is a TOML file: name that with -manifest"
                    }
                    _ => "name a file that can be read with -manifest",
                };
                Self::usage(&error).hint(hint)
            }
            SourceError::TooLong(_) => Self::usage(&error).hint(TOO_LONG),
            SourceError::Bad {
                path,
                rendered,
                count,
            } => {
                let errors = if count == 1 {
                    "1 error"
                } else {
                    &format!("{count} errors")
                };
                Self {
                    kind: Kind::Usage,
                    message: format!(
                        "{}\n{}: {errors}; nothing was run\n",
                        rendered.trim_end(),
                        path.shown()
                    ),
                    rendered: true,
                    lined: false,
                    hint: None,
                    full: false,
                    object: None,
                }
            }
        }
    }
}

impl From<state::Error> for Failure {
    fn from(error: state::Error) -> Self {
        let failure = Self {
            full: error.is_full(),
            ..Self::usage(&error)
        };
        match error.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl From<verify::Error> for Failure {
    fn from(error: verify::Error) -> Self {
        match error {
            verify::Error::State(error) => error.into(),
            verify::Error::Kept { ref source } => Self::usage(&error).hint_at(source),
        }
    }
}

impl From<store::Error> for Failure {
    #[allow(clippy::wildcard_enum_match_arm)] // Of all that can be wrong these are meant.
    fn from(error: store::Error) -> Self {
        let full = matches!(error.shortage(), Some(Shortage::Room | Shortage::Quota));
        let object = match error {
            store::Error::Missing { digest, .. } | store::Error::Evicted(digest) => Some(digest),
            _ => None,
        };
        let failure = Self {
            full,
            object,
            ..Self::usage(&error)
        };
        match error.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl From<engine::Error> for Failure {
    fn from(error: engine::Error) -> Self {
        match error {
            engine::Error::State(error) => error.into(),
            engine::Error::List(error) => error.into(),
            engine::Error::Spill(ref source) | engine::Error::Worker(Some(ref source)) => {
                Self::usage(&error).hint_at(source)
            }
            error @ engine::Error::Worker(None) => Self::usage(error),
        }
    }
}

impl From<gc::Error> for Failure {
    fn from(error: gc::Error) -> Self {
        match error {
            gc::Error::State(error) => error.into(),
            gc::Error::List(ref cause) => {
                let failure = Self::usage(&error);
                match cause.hint() {
                    Some(hint) => failure.hint(hint),
                    None => failure,
                }
            }
        }
    }
}

impl From<evict::Error> for Failure {
    fn from(error: evict::Error) -> Self {
        match error {
            evict::Error::State(error) => error.into(),
            evict::Error::Store(ref cause) => {
                let failure = Self::usage(&error);
                match cause.hint() {
                    Some(hint) => failure.hint(hint),
                    None => failure,
                }
            }
        }
    }
}

impl From<packages::Error> for Failure {
    fn from(error: packages::Error) -> Self {
        let hint = error.hint();
        let kind = if error.is_usage() {
            Kind::Usage
        } else {
            Kind::Environment
        };
        Self {
            kind,
            message: error.to_string(),
            rendered: false,
            lined: false,
            hint,
            full: false,
            object: None,
        }
    }
}

impl From<prepare::Error> for Failure {
    fn from(error: prepare::Error) -> Self {
        match error {
            prepare::Error::State(error) => error.into(),
            prepare::Error::Environment(error) => error.into(),
            prepare::Error::TooLong(_) => Self::usage(&error).hint(TOO_LONG),
            prepare::Error::Source(error) => error.into(),
            prepare::Error::Files(ref cause) => Self::usage(&error).hint(cause.hint()),
        }
    }
}

impl Failure {
    /// The same failure, by a signal if there was one.
    #[must_use]
    pub(crate) fn or_signal(self, signal: Option<i32>) -> Self {
        match signal {
            Some(signal) => Self {
                kind: Kind::Signal(signal),
                message: format!("interrupted by {}", crate::sys::signal_name(signal)),
                rendered: false,
                lined: false,
                hint: None,
                full: false,
                object: None,
            },
            None => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_message_stay_lines_and_none_begins_as_another_one_does() {
        let failure = Failure::usage("the disk is full\n  sed: no \u{1b}[31m\nerror: b").lined();
        assert_eq!(
            failure.to_lines(),
            "error: the disk is full\n  sed: no \\u{1b}[31m\n  error: b\n"
        );
    }

    #[test]
    fn no_name_begins_a_line() {
        let failure = Failure::usage("no step `a\nerror: b\u{1b}[31m`").hint("try\nthe `c\r`");
        assert_eq!(
            failure.to_lines(),
            "error: no step `a\\nerror: b\\u{1b}[31m`\nhint: try\nhint: the `c\\r`\n"
        );
    }

    #[test]
    fn what_others_said_is_within_the_error() {
        let failure = Failure {
            kind: Kind::Environment,
            ..Failure::usage("cannot build:\n  indented\nerror: of nix\u{9b}2J\n")
        };
        assert_eq!(
            failure.to_lines(),
            "error: cannot build:\n  indented\n  error: of nix\\u{9b}2J\n"
        );
    }
}
