//! `shell`: an interactive shell, or a command, where a task of a step would run: in its environment and
//! its folder, with its input. What it leaves is thrown away.

mod watch;

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs;
use std::io::{self, IsTerminal as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;

use self::watch::Watch;
use super::error::Failure;
use super::one_task::{OneTask, no_place};
use super::options::{ParamOptions, Places, SecretOptions};
use super::{params, place, secrets, select};
use crate::manifest::Step;
use crate::model::gather::Role;
use crate::model::task::{INPUT_DIR, TaskId, TaskState, WITH_DIR, WITH_FILE};
use crate::out;
use crate::prepare::Source;
use crate::state::{Layout, Reader, TaskRow};
use crate::text::{Shown as _, amount, visible};

/// Options of `shell`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The step
    #[arg(value_name = "STEP")]
    step: String,
    /// The task whose input to use; default: one that failed, or else one that is pending or done
    #[arg(value_name = "TASK")]
    task: Option<String>,
    /// Use the host's programs instead of packages
    #[arg(long)]
    host_env: bool,
    #[command(flatten)]
    params: ParamOptions,
    #[command(flatten)]
    secrets: SecretOptions,
    /// A command to run instead of the shell, after `--`
    #[arg(value_name = "COMMAND", last = true)]
    command: Vec<OsString>,
}

/// Who wants a shell wants most often to know what is wrong.
const PREFERRED: [TaskState; 4] = [
    TaskState::Failed,
    TaskState::Pending,
    TaskState::Done,
    TaskState::Reused,
];

/// Runs it; its status is the program's.
pub(super) fn main(places: &Places, options: &Options) -> Result<ExitCode, Failure> {
    let mut source = Source::load(&places.manifest()?)?;
    if let Some(folder) = &places.workdir {
        source.folder = place::working_folder(folder)?;
    }
    place::known_step(&source, &options.step)?;
    source.params = params::of_one_task(places, &options.params, &source)?;
    secrets::give(&options.secrets, &mut source)?;
    let watch = Watch::new(io::stdin().is_terminal())?;
    source.stop = Arc::clone(&watch.stop);
    let step = source
        .manifest
        .step(&options.step)
        .ok_or_else(|| Failure::usage("no such step"))?;
    secrets::check_step(&source, step)?;
    let task = match &options.task {
        Some(word) => Some(named(places, step, word)?),
        None => OneTask::of(places, step, &PREFERRED)?,
    };
    // From here on there is something to take away.
    let place = OneTask::place()?;
    let task = task.as_ref();
    let one = OneTask::prepare(places, options.host_env, &source, step, task, place.path());
    let ready = one.and_then(|one| match task {
        Some(task) => Ok((bring_what_it_left(places, task, &one, &source)?, one)),
        None => Ok((0, one)),
    });
    let (left, one) = ready.map_err(|failure| failure.or_signal(watch.signal()))?;
    if let Some(signal) = watch.signal() {
        return Err(Failure::usage("interrupted").or_signal(Some(signal)));
    }
    let script = place.path().join("script");
    fs::write(&script, &step.script).map_err(|error| no_place(&error))?;
    let mut command = if options.command.is_empty() {
        out::tell(&head(step, task, &one, &script, left));
        interactive(&one, step, task)
    } else {
        alone(&one, &options.command)?
    };
    let ended = watch.run(&mut command).map_err(|error| {
        Failure::usage(format!(
            "cannot start {}: {error}",
            Path::new(command.get_program()).shown()
        ))
    })?;
    Ok(status_of(ended))
}

/// The task of the step that the word names.
pub(super) fn named(places: &Places, step: &Step, word: &str) -> Result<TaskRow, Failure> {
    let state = Reader::open(&places.db)?;
    let task = select::task(&state, word)?;
    if task.step.as_ref().is_some_and(|of| of.name == step.name) {
        return is_a_task(&state, task);
    }
    let of = task.step.as_ref().map_or_else(
        || "is a final output".to_owned(),
        |step| format!("is one of step {}", visible(step.name.as_str())),
    );
    Err(
        Failure::usage(format!("task #{} {of}", task.id)).hint(format!(
            "`tasks -step {}` lists those of the step",
            step.name.as_str()
        )),
    )
}

/// Fails for a row that only stands for something that tasks of its step are made of.
fn is_a_task(state: &Reader, row: TaskRow) -> Result<TaskRow, Failure> {
    if row.role != Role::Member {
        return Ok(row);
    }
    let (what, tasks) = if row.stands_for_pairs() {
        let pairs = state.children(row.id, !row.live)?;
        let pairs: Vec<TaskId> = pairs.into_iter().map(|pair| pair.id).collect();
        (
            "an input that is worked on with each output of another step",
            pairs,
        )
    } else {
        let by: Vec<_> = state.gathered_by(row.id)?.into_iter().collect();
        ("an output that is gathered", by)
    };
    let failure = Failure::usage(format!("#{} is {what}, and no task", row.id));
    Err(match tasks.as_slice() {
        [] => failure.hint("there is no task that works on it yet"),
        [only] => failure.hint(format!("its task is #{only}")),
        [first, .., last] => failure.hint(format!("its tasks are #{first} to #{last}")),
    })
}

/// What the task left when it failed, if that was kept, as what is in `OUTPUT_DIR` now; how many files.
fn bring_what_it_left(
    places: &Places,
    task: &TaskRow,
    one: &OneTask,
    source: &Source,
) -> Result<usize, Failure> {
    let folder = Layout::new(&places.db).kept(task.id);
    let kept = folder.join("out");
    let is_folder = |path: &Path| fs::symlink_metadata(path).is_ok_and(|found| found.is_dir());
    if !is_folder(&folder) || !is_folder(&kept) {
        // A link leads to what is not this program's.
        return Ok(0);
    }
    copy(&kept, &one.output, &source.stop).map_err(|error| {
        Failure::usage(format!(
            "cannot copy what the task left in {}: {error}",
            kept.shown()
        ))
    })
}

/// Copies what is in a folder, if there is such a folder; how many files. Links stay links, and what is
/// neither a file nor a folder nor a link is passed over. It fails soon once `stop` is set.
fn copy(from: &Path, to: &Path, stop: &AtomicBool) -> io::Result<usize> {
    let entries = match fs::read_dir(from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        other => other?,
    };
    let mut count = 0;
    for entry in entries {
        let entry = entry?;
        if stop.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let (kind, from, to) = (entry.file_type()?, entry.path(), to.join(entry.file_name()));
        if kind.is_dir() {
            fs::create_dir(&to)?;
            count += copy(&from, &to, stop)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&from)?, &to)?;
            count += 1;
        } else if kind.is_file() {
            fs::copy(&from, &to)?;
            count += 1;
        }
    }
    Ok(count)
}

/// What one has to know in there.
fn head(step: &Step, task: Option<&TaskRow>, one: &OneTask, script: &Path, left: usize) -> String {
    let mut text = visible(step.name.as_str());
    if let Some(task) = task {
        let _ = write!(text, " #{}", task.id);
        if let Some(name) = &task.name {
            let _ = write!(text, ", {}{}", visible(name), task.form.slash());
        }
        if let Some(error) = &task.error {
            let first = error.lines().next().unwrap_or_default();
            let _ = write!(text, ": failed, {}", visible(first));
        }
    }
    text.push('\n');
    let mut line = |name: &str, value: &Path, note: &str| {
        let _ = writeln!(text, "  {name:<12}{}{note}", value.shown());
    };
    let empty = task.is_none_or(|task| task.parent.is_none() && task.name.is_none());
    let input = if step.start && empty {
        "  (empty: a start step has no input)"
    } else {
        ""
    };
    line("$INPUT_FILE", &one.seen(&one.input), input);
    for name in [INPUT_DIR, WITH_DIR, WITH_FILE] {
        let Some(value) = one.variables.get(OsStr::new(name)) else {
            continue;
        };
        let note = match one.pairs {
            2.. if name == WITH_FILE => format!("  (the first of {}, each for itself)", one.pairs),
            _ => String::new(),
        };
        line(&format!("${name}"), Path::new(value), &note);
    }
    let left = match left {
        0 => String::new(),
        files => format!("  (what the task left: {})", amount::count(files, "file")),
    };
    line("$OUTPUT_DIR", &one.seen(&one.output), &left);
    let script = &one.seen(script);
    let words = one.arguments.split_last().map_or(&[][..], |(_, rest)| rest);
    let mut run = one.program.shown().to_string();
    for word in words.iter().filter(|word| *word != "-c") {
        let _ = write!(run, " {}", Path::new(word).shown());
    }
    line(
        "the script",
        script,
        &format!("  (run it: {run} {})", script.shown()),
    );
    text.push_str("  what is made in here is thrown away at the end; `exit` ends it\n");
    text
}

/// Shells that understand what is asked of them, and how they pass over their user's settings.
const SHELLS: [(&str, &[&str]); 8] = [
    ("sh", &[]),
    ("bash", &["--norc", "--noprofile"]),
    ("dash", &[]),
    ("ash", &[]),
    ("ksh", &[]),
    ("mksh", &[]),
    ("zsh", &["-f"]),
    ("fish", &["--no-config"]),
];

/// The step's own shell, if it is one, or else `sh`, as one talks to it.
fn interactive(one: &OneTask, step: &Step, task: Option<&TaskRow>) -> Command {
    let (program, options) = match known(one) {
        Some(options) => (one.program.clone(), options),
        None => (PathBuf::from("/bin/sh"), SHELLS[0].1),
    };
    let mut words: Vec<OsString> = options.iter().map(Into::into).collect();
    if io::stdin().is_terminal() {
        words.push("-i".into());
    }
    let mut command = one.command(&program, &words);
    let number = task.map_or_else(String::new, |task| format!(" #{}", task.id));
    command
        // What the user's shell does at its start could change what is to be seen.
        .env_remove("ENV")
        .env_remove("BASH_ENV")
        .env("PS1", format!("[{}{number}] $ ", step.name.as_str()));
    command
}

/// The command, started as the step's own shell starts what stands in its script: it may set variables.
fn alone(one: &OneTask, words: &[OsString]) -> Result<Command, Failure> {
    let path = one.variables.get(OsStr::new("PATH"));
    let program = which::which_in(&words[0], path, &one.folder).map_err(|_| {
        Failure::usage(format!(
            "the step's environment has no program {}",
            Path::new(&words[0]).shown()
        ))
        .hint("`check` shows its packages; PATH is that of the step, not yours")
    })?;
    match one.arguments.split_last() {
        Some((_, before)) if known(one).is_some() => {
            let mut arguments = before.to_vec();
            arguments.extend(["exec \"$@\"", "sh"].map(OsString::from));
            arguments.extend_from_slice(words);
            Ok(one.command(&one.program, &arguments))
        }
        _ => Ok(one.command(&program, &words[1..])),
    }
}

/// The step's own shell, if it is one, with the options by which it passes over its user's settings.
fn known(one: &OneTask) -> Option<&'static [&'static str]> {
    let name = one.program.file_name()?.to_str()?;
    let mut shells = SHELLS.iter();
    shells
        .find(|(shell, _)| *shell == name)
        .map(|(_, options)| *options)
}

/// The program's own status, as a shell tells it.
fn status_of(ended: ExitStatus) -> ExitCode {
    let code = ended.code().or_else(|| Some(128 + ended.signal()?));
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}
