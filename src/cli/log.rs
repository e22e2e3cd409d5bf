//! `log`: what tasks wrote.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Args;

use super::cat;
use super::error::Failure;
use super::options::Places;
use super::reference::Reference;
use super::select::{self, InRunset};
use crate::model::digest::Digest;
use crate::model::name::StepName;
use crate::model::task::TaskState;
use crate::out;
use crate::state::{Filter, Logs, Reader, TaskRow, Which};
use crate::store;
use crate::text::{Shown as _, quoted, visible};

/// Options of `log`.
#[derive(Debug, Args)]
#[command(
    after_help = "What a task wrote is printed byte for byte, its standard output first and then its standard\n\
    error; on a terminal, without anything that would do more than colour it. If there are several\n\
    tasks, a line before each says which it is."
)]
pub(super) struct Options {
    /// Tasks by number, or steps by name: a step's failed tasks, or all of them if none failed
    #[arg(value_name = "TASK|STEP", required_unless_present_any = ["failed", "step"])]
    tasks: Vec<String>,
    /// All failed tasks of the runset, or of the steps named
    #[arg(long)]
    failed: bool,
    /// The tasks of this step, as if it were named without -step
    #[arg(long, value_name = "STEP", conflicts_with = "tasks")]
    step: Option<String>,
    /// Only what they wrote to standard output
    #[arg(long)]
    stdout: bool,
    /// Only what they wrote to standard error
    #[arg(long, conflicts_with = "stdout")]
    stderr: bool,
    #[command(flatten)]
    runset: InRunset,
}

/// Writes it to standard output; what is said about it goes to standard error for one task.
pub(super) fn main(places: &Places, options: &Options) -> Result<ExitCode, Failure> {
    let state = Reader::open(&places.db)?;
    let store = select::store(&state)?;
    let mut printer = Printer {
        state: &state,
        store: &store,
        options,
        out: out::Data::begin(),
    };
    // All must be right before any is printed.
    let meant = meant(&state, options)?;
    let failed = Which::In(TaskState::Failed);
    match meant.as_slice() {
        [] => {
            if !printer.all(None, failed)? {
                note("no task failed");
            }
        }
        [Meant::Task(row)] => printer.alone(row)?,
        several => {
            for one in several {
                match one {
                    Meant::Task(row) => printer.with_title(row)?,
                    Meant::Step(step) => {
                        let any = printer.all(Some(step), failed)?;
                        if !any && options.failed {
                            note(&format!("no task of step {} failed", visible(step)));
                        } else if !any && !printer.all(Some(step), Which::Live)? {
                            note(&format!("step {} has no tasks there", visible(step)));
                        }
                    }
                }
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

struct Printer<'a> {
    state: &'a Reader,
    store: &'a store::Reader,
    options: &'a Options,
    out: out::Data,
}

/// What a word names.
enum Meant<'o> {
    Step(&'o str),
    Task(Box<TaskRow>),
}

/// What is meant, by the option or by words; nothing where only `-failed` is there.
fn meant<'o>(state: &Reader, options: &'o Options) -> Result<Vec<Meant<'o>>, Failure> {
    let names = state.step_names()?;
    let is_step = |word: &str| names.iter().any(|name| name.as_str() == word);
    let place = state.layout().root().shown().to_string();
    let names = || names.iter().map(StepName::as_str);
    if let Some(step) = &options.step {
        if is_step(step) {
            return Ok(vec![Meant::Step(step)]);
        }
        return Err(select::unknown_step(step, &place, names()));
    }
    let words = options.tasks.iter().map(|word| {
        let could_be_task = word.parse::<u64>().is_ok();
        if is_step(word) && (options.failed || !could_be_task) {
            return Ok(Meant::Step(word));
        }
        if options.failed && Reference::parse(word).is_ok() {
            let message = format!("-failed goes with steps, and {} is none", quoted(word));
            return Err(Failure::usage(message).hint("`log TASK` shows one task, failed or not"));
        }
        if let Err(error) = Reference::parse(word) {
            return Err(select::no_task_or_step(word, &error, &place, names()));
        }
        Ok(Meant::Task(Box::new(select::task(state, word)?)))
    });
    words.collect()
}

impl Printer<'_> {
    /// All tasks of the runset, or of the step in it, in that state; whether there are any.
    fn all(&mut self, step: Option<&str>, which: Which) -> Result<bool, Failure> {
        let runset = self.options.runset.find(self.state)?;
        let filter = Filter {
            runset: runset.as_ref().map(|runset| runset.name.as_str()),
            step,
            which,
            limit: None,
        };
        let mut any = false;
        let state = self.state;
        state.each_task(&filter, |row| {
            any = true;
            self.with_title(&row)
        })?;
        Ok(any)
    }

    /// One task: nothing but what it wrote.
    fn alone(&mut self, row: &TaskRow) -> Result<(), Failure> {
        if let Some(source) = row.reused_from {
            note(&format!(
                "task #{} was not executed; this is the output of #{source}, whose results it has",
                row.id
            ));
        }
        let streams = self.streams(row)?;
        for object in &streams {
            cat::write(self.store, object, &mut self.out)?;
        }
        self.end()?;
        if streams.is_empty() {
            note(&format!("task #{} {}", row.id, self.why_nothing(row)?));
        }
        if let Some(tries) = self.tries(row)? {
            note(&format!(
                "task #{} is {tries}; only what the last try wrote is kept",
                row.id
            ));
        }
        if let Some(error) = &row.error {
            let place = place(row);
            note(&format!("failed{place}: {}", visible(first_line(error))));
        }
        Ok(())
    }

    fn with_title(&mut self, row: &TaskRow) -> Result<(), Failure> {
        let step = row.step.as_ref().map_or_else(
            || "final output".to_owned(),
            |step| format!("{} v{}", visible(&step.name), step.version),
        );
        let input = row.name.as_ref().map_or_else(String::new, |name| {
            format!(" on {}{}", visible(name), row.form.slash())
        });
        let group = row
            .group()
            .map_or_else(String::new, |key| format!(" ({})", visible(key)));
        let how = match &row.error {
            Some(error) => format!(": {}", visible(first_line(error))),
            None => self
                .tries(row)?
                .map_or_else(String::new, |tries| format!(": {tries}")),
        };
        let place = place(row);
        self.write(&format!(
            "── #{} {step}{group}{input}{place}{how}\n",
            row.id
        ))?;
        let streams = self.streams(row)?;
        for object in &streams {
            let mut lines = Lines {
                out: &mut self.out,
                ended: true,
            };
            cat::write(self.store, object, &mut lines)?;
            if !lines.ended {
                self.write("\n")?;
            }
        }
        self.end()?;
        if streams.is_empty() {
            let why = self.why_nothing(row)?;
            self.write(&format!("({why})\n"))?;
        }
        Ok(())
    }

    /// At which try it was done, and how the one before failed, if that was a later one than the first.
    fn tries(&self, row: &TaskRow) -> Result<Option<String>, Failure> {
        let flaky = self
            .state
            .flaky(row.id)?
            .filter(|_| row.state == TaskState::Done);
        Ok(flaky.map(|(tries, error)| {
            format!(
                "done at try {tries}, the one before failed: {}",
                visible(first_line(&error))
            )
        }))
    }

    /// Why there is nothing that a task wrote.
    fn why_nothing(&self, row: &TaskRow) -> Result<String, Failure> {
        let shared = self.state.shared_by(row.reused_from.unwrap_or(row.id))?;
        if let Some(origin) = shared {
            let origin = visible(&origin);
            return Ok(format!(
                "was not executed here; what was written is with {origin}, whose result it has"
            ));
        }
        let why = match (row.step.is_some(), row.started.is_some(), row.state) {
            (false, _, _) => "is a final output, which runs nothing",
            (true, false, TaskState::Pending) => "was not executed yet",
            _ => "wrote nothing",
        };
        Ok(why.to_owned())
    }

    /// The objects with what the task wrote, as asked for.
    fn streams(&self, row: &TaskRow) -> Result<Vec<Digest>, Failure> {
        let Logs { stdout, stderr } = self.state.logs(row.reused_from.unwrap_or(row.id))?;
        let stdout = stdout.filter(|_| !self.options.stderr);
        let stderr = stderr.filter(|_| !self.options.stdout);
        Ok(stdout.into_iter().chain(stderr).collect())
    }

    /// A script may leave its colours on.
    fn end(&mut self) -> Result<(), Failure> {
        self.out.end().map_err(|error| Failure::output(&error))
    }

    fn write(&mut self, text: &str) -> Result<(), Failure> {
        self.out
            .write_all(text.as_bytes())
            .map_err(|error| Failure::output(&error))
    }
}

/// Knows whether the last line has ended.
struct Lines<'a> {
    out: &'a mut dyn Write,
    ended: bool,
}

impl Write for Lines<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.out.write(bytes)?;
        if let Some(last) = bytes[..length].last() {
            self.ended = *last == b'\n';
        }
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Where it ran, if not on the machine of the run.
fn place(row: &TaskRow) -> String {
    let node = row.node.as_ref();
    node.map_or_else(String::new, |node| format!(" on machine {}", visible(node)))
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

fn note(text: &str) {
    out::tell(&format!("{text}\n"));
}
