//! `-on-finish`: a command that is told what a run came to.

use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitCode, Stdio};

use serde_json::{Value, json};

use super::call::Call;
use super::error::Failure;
use crate::report::json;
use crate::sys::signal_name;
use crate::text::quoted;

/// The form of what it is told.
const SCHEMA: u32 = 1;

impl Call<'_> {
    /// Has the command that is asked for told how the run ended. Whatever becomes of it is no failure of the run.
    pub(super) fn tell_finish(&mut self, done: &Result<ExitCode, Failure>) {
        let Some(command) = &self.actions.on_finish else {
            return;
        };
        let told = format!("{}\n", self.finish(done));
        let words = match hand_over(command, &self.leaves.here, &told) {
            Ok(None) => return,
            Ok(Some(how)) => format!("the command of -on-finish, {}, {how}", quoted(command)),
            Err(error) => format!(
                "cannot run the command of -on-finish, {}: {error}",
                quoted(command)
            ),
        };
        self.warn(Some(words));
    }

    fn finish(&self, done: &Result<ExitCode, Failure>) -> Value {
        let status = match done {
            Ok(code) => [0, 1]
                .into_iter()
                .find(|status| *code == ExitCode::from(*status))
                .or(self.inbox.signal().map(super::error::signal_status)),
            Err(failure) => Some(failure.exit_status()),
        };
        let mut told = json!({
            "schema": SCHEMA,
            "manifest": self.source.path,
            "db": self.state.layout().root(),
            "exit_status": status.unwrap_or(1),
            "summary": self.last.as_ref().map(json::summary),
        });
        if let Err(failure) = done {
            told["error"] = failure.message().into();
        }
        if let Some(results) = &self.leaves.results {
            told["results"] = results.folder.to_string_lossy().into();
        }
        told
    }
}

/// Runs it in the folder that the program was started in; how it ended, if not with success.
fn hand_over(
    command: &str,
    folder: &std::path::Path,
    told: &str,
) -> std::io::Result<Option<String>> {
    let mut child = Command::new("sh")
        .args(["-c", command])
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(rustix::io::dup(rustix::stdio::stderr())?)
        .spawn()?;
    if let Some(mut input) = child.stdin.take() {
        // Who does not want to hear it need not.
        let _ = input.write_all(told.as_bytes());
    }
    let status = child.wait()?;
    Ok(
        (!status.success()).then(|| match (status.code(), status.signal()) {
            (None, Some(signal)) => format!("was ended by {}", signal_name(signal)),
            (code, _) => format!("ended with exit status {}", code.unwrap_or(1)),
        }),
    )
}
