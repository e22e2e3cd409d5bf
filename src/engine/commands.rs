//! The commands of one worker, kept from task to task: to make one takes as long as to open a file.

use std::collections::HashMap;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use super::direct::{self, Direct};
use super::step::Runnable;
use super::worker::Job;
use super::workspace::Workspace;
use crate::core::plan::LaneId;
use crate::process::Pipes;

/// See the module. All are connected to the same pipes.
#[derive(Debug, Default)]
pub struct Commands(HashMap<LaneId, Kept>);

/// The commands of one step.
#[derive(Debug, Default)]
pub struct Kept {
    shell: Option<Command>,
    /// With the words that it was made of.
    direct: Option<(Vec<String>, Command)>,
}

/// Steps whose commands are kept.
const STEPS: usize = 16;

impl Commands {
    /// Those of a step.
    pub fn of(&mut self, lane: LaneId) -> &mut Kept {
        if self.0.len() >= STEPS && !self.0.contains_key(&lane) {
            self.0.clear();
        }
        self.0.entry(lane).or_default()
    }

    /// Forgets all: they are connected to pipes that are no longer used.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// What a plain command comes to.
pub enum Plain<'k> {
    /// This is to be run.
    Command(&'k mut Command),
    /// Everything is done.
    Done,
}

impl Kept {
    /// The shell with the step's script, for this task.
    pub fn shell(&mut self, job: &Job, own: &Own, pipes: &Pipes) -> io::Result<&mut Command> {
        let command = match &mut self.shell {
            Some(command) => command,
            none => none.insert(shell(&job.step, pipes)?),
        };
        own.give_to(command);
        Ok(command)
    }

    /// The plain command, for this task, with its files open; none if it takes the shell.
    pub fn plain(
        &mut self,
        job: &Job,
        direct: &Direct,
        own: &Own,
        pipes: &Pipes,
    ) -> Option<Plain<'_>> {
        let value = |name: &str| own.value(name);
        let words = direct.plain.words.iter().map(|word| word.expand(value));
        let words: Vec<String> = words.collect::<Option<_>>()?;
        let places = direct::open(&direct.plain.redirections, pipes, &value)?;
        let Some(program) = &direct.program else {
            return Some(Plain::Done);
        };
        if self
            .direct
            .as_ref()
            .is_none_or(|(before, _)| *before != words)
        {
            let mut command = Command::new(program);
            command.arg0(&words[0]).args(&words[1..]);
            common(&mut command, &job.step, &direct.variables);
            pipes.connect(&mut command).ok()?;
            self.direct = Some((words, command));
        }
        let (_, command) = self.direct.as_mut()?;
        own.give_to(command);
        let [stdin, stdout, stderr] = places;
        stdin.map(|place| command.stdin(place));
        stdout.map(|place| command.stdout(place));
        stderr.map(|place| command.stderr(place));
        Some(Plain::Command(command))
    }
}

/// Closes what a plain command's redirections had opened.
pub fn close(command: &mut Command, direct: &Direct) {
    for redirection in &direct.plain.redirections {
        match redirection.descriptor {
            0 => command.stdin(Stdio::null()),
            1 => command.stdout(Stdio::null()),
            _ => command.stderr(Stdio::null()),
        };
    }
}

fn shell(step: &Runnable, pipes: &Pipes) -> io::Result<Command> {
    let program = step
        .program
        .as_ref()
        .map_err(|error| io::Error::other(error.clone()))?;
    let mut command = Command::new(program);
    command.args(&step.arguments);
    common(&mut command, step, &step.variables);
    pipes.connect(&mut command)?;
    Ok(command)
}

/// What is the same for all tasks of a step.
fn common(command: &mut Command, step: &Runnable, variables: &super::step::Variables) {
    command
        .env_clear()
        .envs(variables)
        .env("TASK_PIPELINE_STEP", step.name.as_str())
        .env("TASK_PIPELINE_VERSION", step.version.to_string())
        .current_dir(&step.folder);
}

/// A task's own variables.
pub struct Own<'a> {
    workspace: &'a Workspace,
    job: &'a Job,
    task: String,
    version: String,
}

impl<'a> Own<'a> {
    /// Of this task, in that place.
    pub fn new(workspace: &'a Workspace, job: &'a Job) -> Self {
        Self {
            workspace,
            job,
            task: job.ready.id.to_string(),
            version: job.step.version.to_string(),
        }
    }

    /// The value that a script sees; none if it is not UTF-8.
    fn value(&self, name: &str) -> Option<&str> {
        match name {
            "INPUT_FILE" => self.workspace.input().to_str(),
            "OUTPUT_DIR" => self.workspace.output().to_str(),
            "TMPDIR" => self.workspace.temporary().to_str(),
            "TASK_PIPELINE_STEP" => Some(self.job.step.name.as_str()),
            "TASK_PIPELINE_VERSION" => Some(&self.version),
            "TASK_PIPELINE_TASK" => Some(&self.task),
            "TASK_PIPELINE_RUNSET" => Some(&self.job.runset),
            "TASK_PIPELINE_INPUT_NAME" => Some(self.input_name()),
            _ => None,
        }
    }

    fn input_name(&self) -> &str {
        self.job.ready.name.as_deref().unwrap_or_default()
    }

    fn give_to(&self, command: &mut Command) {
        command
            .env("INPUT_FILE", self.workspace.input())
            .env("OUTPUT_DIR", self.workspace.output())
            .env("TMPDIR", self.workspace.temporary())
            .env("TASK_PIPELINE_TASK", &self.task)
            .env("TASK_PIPELINE_RUNSET", &*self.job.runset)
            .env("TASK_PIPELINE_INPUT_NAME", self.input_name());
    }
}
