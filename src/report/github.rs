//! What GitHub Actions shows of a run: failures as annotations, the summary on the run's page.

use crate::text::amount;
use crate::text::time::short;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;

use super::table;
use crate::model::event::{Event, Failure, Summary};
use crate::out;
use crate::sys::Shortage;
use crate::text::{self, Shown as _, visible};

/// GitHub Actions as the listener.
pub(crate) struct Actions {
    /// What is appended to this file is shown.
    summary: Option<PathBuf>,
    /// How many annotations it was given.
    marked: usize,
}

/// As many annotations at most: GitHub shows ten of a step.
const MARKED: usize = 50;

/// The page that GitHub Actions shows with the run, if this is one.
pub(crate) fn page() -> Option<PathBuf> {
    let path = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty())?;
    // This process changes its folder.
    std::path::absolute(path)
        .ok()
        .filter(|_| out::is_for_github())
}

impl Actions {
    /// GitHub Actions, if it is what started this process.
    pub(crate) fn from_environment() -> Option<Self> {
        out::is_for_github().then(|| Self {
            summary: page(),
            marked: 0,
        })
    }

    /// Tells one event; what the user should know if that goes wrong.
    pub(crate) fn event(&mut self, event: &Event) -> Option<String> {
        match event {
            Event::Failed {
                task,
                step,
                key,
                error,
                retry: None,
                ..
            } if out::shows_annotations() && self.marked < MARKED => {
                self.marked += 1;
                let of = key.map_or_else(String::new, |key| format!(" ({key})"));
                out::annotate(&annotation(&format!("{step} #{task}{of} failed"), error));
                None
            }
            Event::Summary(summary) => {
                let path = self.summary.as_ref()?;
                let written = OpenOptions::new()
                    .append(true)
                    .create(true)
                    .open(path)
                    .and_then(|mut file| file.write_all(markdown(summary).as_bytes()));
                let error = written.err()?;
                let hint = Shortage::room_for(&error).map(|hint| format!("\nhint: {hint}"));
                Some(format!(
                    "cannot write the summary to {}: {error}{}",
                    path.shown(),
                    hint.unwrap_or_default()
                ))
            }
            Event::Manifest { .. }
            | Event::Inputs(_)
            | Event::Gathered { .. }
            | Event::Paired { .. }
            | Event::Database { .. }
            | Event::Environment(_)
            | Event::Version { .. }
            | Event::Tainted { .. }
            | Event::Migrated { .. }
            | Event::NothingTainted { .. }
            | Event::Sampling { .. }
            | Event::Sampled(_)
            | Event::Accepted { .. }
            | Event::GivenBack { .. }
            | Event::Freed { .. }
            | Event::Evicted { .. }
            | Event::Results { .. }
            | Event::Kept { .. }
            | Event::Pushed { .. }
            | Event::Rerouted { .. }
            | Event::Runset { .. }
            | Event::Started { .. }
            | Event::Given { .. }
            | Event::Output { .. }
            | Event::Done { .. }
            | Event::Failed { .. }
            | Event::Cancelled { .. }
            | Event::Remade { .. }
            | Event::Warning(_)
            | Event::Worker { .. }
            | Event::Lost { .. }
            | Event::Interrupted { .. } => None,
        }
    }
}

/// A workflow command that marks an error.
fn annotation(title: &str, message: &str) -> String {
    let message = escape(text::plain(message).trim_end());
    let title = escape(title).replace(':', "%3A").replace(',', "%2C");
    format!("::error title={title}::{message}\n")
}

/// What GitHub reads as `text`, in which nothing acts.
fn escape(text: &str) -> String {
    text::lines(text).replace('%', "%25").replace('\n', "%0A")
}

/// The summary as Markdown, the failures last.
fn markdown(summary: &Summary) -> String {
    let mut text = format!(
        "### {}\n\n{} run, {} reused, {}{} failed, {} pending, {} in {}\n\n",
        literal(&format!("Runset {}", summary.runset)),
        summary.executed,
        summary.reused,
        super::plain::from_cache(summary.shared),
        summary.failed,
        summary.pending,
        amount::count(summary.finals, "final output"),
        short(summary.elapsed),
    );
    text.push_str("| Step | Done | Reused | Failed | Pending |\n|:--|--:|--:|--:|--:|\n");
    for (step, tally) in &summary.steps {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} |",
            literal(step.as_str()),
            tally.done,
            tally.reused,
            tally.failed,
            tally.pending
        );
    }
    if summary.flaky > 0 {
        let _ = writeln!(text, "\nFlaky: {}", literal(&super::plain::flaky(summary)));
    }
    if !summary.tainted.is_empty() {
        let _ = writeln!(
            text,
            "\nTainted: {}",
            literal(&table::tainted(&summary.tainted))
        );
    }
    for untaken in &summary.untaken {
        let _ = writeln!(text, "\n{}", literal(&untaken.to_string()));
    }
    for lacking in &summary.lacking {
        let _ = writeln!(text, "\n{}", literal(&lacking.to_string()));
    }
    if let Some(left_out) = &summary.left_out {
        let _ = writeln!(text, "\n{}", literal(&left_out.to_string()));
    }
    for failure in &summary.failures {
        text.push_str(&details(failure));
    }
    let shown = summary.failures.len() as u64;
    if summary.failed > shown {
        let _ = writeln!(text, "\nand {} more failed", summary.failed - shown);
    }
    text.push('\n');
    text
}

fn details(failure: &Failure) -> String {
    let input = match &failure.input_name {
        Some(name) => format!(" on {name}{}", failure.form.slash()),
        None => match &failure.key {
            Some(key) => format!(" ({key})"),
            None => String::new(),
        },
    };
    let what = literal(&format!("{} #{}{input}", failure.step, failure.task));
    let error = text::plain(&failure.error);
    let error = text::lines(&error);
    let fence = fence(&error);
    format!("\n**{what}**\n\n{fence}text\n{error}\n{fence}\n")
}

/// More backticks than the text has in a row.
fn fence(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    "`".repeat(longest.max(2) + 1)
}

/// Text on one line that is shown as it is.
fn literal(text: &str) -> String {
    let mut shown = String::new();
    for c in visible(text).chars() {
        match c {
            '<' => shown.push_str("&lt;"),
            '&' => shown.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '@' => {
                shown.push('\\');
                shown.push(c);
            }
            c => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::list::Form;
    use crate::model::name::StepName;
    use crate::model::task::{TaskCounts, TaskId};

    #[test]
    fn annotations_escape_what_ends_them() {
        assert_eq!(
            annotation("a,b: 5% #1", "\u{1b}[31mexit 1\r\n50%: a, b\n"),
            "::error title=a%2Cb%3A 5%25 #1::exit 1%0A50%25: a, b\n"
        );
    }

    #[test]
    fn the_summary_is_markdown_whatever_the_names() {
        let step = StepName::new("a|b_c").unwrap();
        let tally = TaskCounts {
            failed: 1,
            ..TaskCounts::default()
        };
        let text = markdown(&Summary {
            runset: "r<1>".into(),
            failed: 3,
            finals: 1,
            steps: vec![(step.clone(), tally)],
            failures: vec![Failure {
                task: TaskId(7),
                step,
                input_name: Some("x\n*y*".into()),
                key: None,
                form: Form::File,
                node: None,
                error: "exit 1\n```\n".into(),
            }],
            ..Summary::default()
        });
        assert_eq!(
            text,
            "### Runset r&lt;1>\n\n0 run, 0 reused, 3 failed, 0 pending, 1 final output in 0ms\n\n\
             | Step | Done | Reused | Failed | Pending |\n|:--|--:|--:|--:|--:|\n\
             | a\\|b\\_c | 0 | 0 | 1 | 0 |\n\n\
             **a\\|b\\_c \\#7 on x\\\\n\\*y\\***\n\n````text\nexit 1\n```\n\n````\n\nand 2 more failed\n\n"
        );
    }
}
