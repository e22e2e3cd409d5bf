//! Which task of a step is observed, and how it is started.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::super::error::Failure;
use super::super::one_task::{OneTask, no_place};
use super::super::options::Places;
use super::super::shell;
use super::Options;
use crate::manifest::Step;
use crate::model::task::TaskState;
use crate::prepare::Source;
use crate::state::{Filter, Reader, TaskRow, Which};
use crate::text::visible;

/// A task, and why it is this one.
pub(super) struct Chosen {
    pub row: TaskRow,
    /// In words; none where nobody had to choose.
    pub why: Option<String>,
}

/// The task that the user named; or one of the newest runset, best one that is finished: that in
/// the middle by the time that they took. None for a start step, which has no input.
pub(super) fn choose(
    places: &Places,
    step: &Step,
    named: Option<&str>,
) -> Result<Option<Chosen>, Failure> {
    let name = step.name.as_str();
    if let Some(word) = named {
        let row = shell::named(places, step, word)?;
        return Ok(Some(Chosen { row, why: None }));
    }
    if step.start {
        return Ok(None);
    }
    let state = Reader::open(&places.db)?;
    let newest = state.newest_runset()?;
    for (which, words) in [
        (TaskState::Done, "executed"),
        (TaskState::Reused, "reused"),
        (TaskState::Failed, "failed"),
        (TaskState::Pending, "pending"),
    ] {
        let filter = Filter {
            runset: newest.as_ref().map(|runset| runset.name.as_str()),
            step: Some(name),
            which: Which::In(which),
            limit: None,
        };
        let mut found = Vec::new();
        state.each_task(&filter, |row| {
            found.push((row.elapsed, row.id));
            Ok::<(), Failure>(())
        })?;
        found.sort_unstable();
        let Some((_, middle)) = found.get(found.len().saturating_sub(1) / 2) else {
            continue;
        };
        let Some(row) = state.task(*middle)? else {
            continue;
        };
        let why = (found.len() > 1).then(|| {
            format!(
                "chosen as its time is the median of {} {words} tasks",
                found.len()
            )
        });
        return Ok(Some(Chosen { row, why }));
    }
    Err(
        Failure::usage(format!("step {} has no task yet", visible(name)))
            .hint("-run as far as it gets; what the task is given is needed to observe it"),
    )
}

/// How long a task may take whose step does not say.
const LONGEST: Duration = Duration::from_hours(1);

/// A script that can be started, and its time.
pub(super) struct Script {
    pub command: Command,
    pub time: Duration,
}

/// The step's script on that task's input, in the folder `place`.
pub(super) fn script(
    places: &Places,
    options: &Options,
    source: &Source,
    step: &Step,
    task: Option<&TaskRow>,
    place: &Path,
) -> Result<Script, Failure> {
    let one = OneTask::prepare(places, options.host_env, source, step, task, place)?;
    let mut command = one.command(&one.program, &one.arguments);
    // What it says may have a secret in it, and no file may.
    let path = |name: &str| match step.secrets.as_slice() {
        [] => place.join(name),
        _ => "/dev/null".into(),
    };
    let create = |name: &str| {
        File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .open(path(name))
    };
    let [stdout, stderr] = ["stdout", "stderr"].map(create);
    command
        .stdin(Stdio::null())
        .stdout(stdout.map_err(|error| no_place(&error))?)
        .stderr(stderr.map_err(|error| no_place(&error))?);
    Ok(Script {
        command,
        time: step.timeout.unwrap_or(LONGEST),
    })
}
