//! The commands of one worker, kept from task to task: to make one takes as long as to open a file.

use std::collections::HashMap;
use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::process::Command;

use super::direct::{self, Direct, Expanded, pair};
use super::step::Runnable;
use super::worker::Job;
use super::workspace::Workspace;
use crate::core::plan::LaneId;
use crate::process::{Launch, Pipes};

/// See the module. All are connected to the same pipes.
#[derive(Debug, Default)]
pub struct Commands(HashMap<LaneId, Kept>);

/// The commands of one step.
#[derive(Debug, Default)]
pub struct Kept {
    shell: Option<Command>,
    /// With what it was made of.
    direct: Option<(Expanded, Launch)>,
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
    Launch(&'k Launch),
    /// Everything is done.
    Done,
}

impl Kept {
    /// The shell with the step's script, for this task.
    pub fn shell(&mut self, job: &Job, own: &Own, pipes: &Pipes) -> io::Result<&mut Command> {
        let command = match &mut self.shell {
            Some(command) => command,
            none => none.insert(shell(&job.step, &job.step.arguments, pipes)?),
        };
        own.give_to(command);
        Ok(command)
    }

    /// The plain command, for this task; none if it takes the shell.
    pub fn plain(
        &mut self,
        job: &Job,
        direct: &Direct,
        own: &Own,
        pipes: &Pipes,
    ) -> Option<Plain<'_>> {
        let expanded = direct.expand(&|name| own.value(name))?;
        let Some(program) = &direct.program else {
            direct::touch(&expanded.openings).ok()?;
            return Some(Plain::Done);
        };
        if self.direct.as_ref().is_none_or(|(of, _)| *of != expanded) {
            let variables = environment(direct, &job.step, own).ok()?;
            let (words, openings) = (&expanded.words, &expanded.openings);
            let launch = Launch::new(program, words, variables, openings, pipes).ok()?;
            self.direct = Some((expanded, launch));
        }
        let (_, launch) = self.direct.as_mut()?;
        let own: io::Result<Vec<_>> = own.pairs().map(|(n, v)| pair(n.as_ref(), v)).collect();
        launch.set_own(own.ok()?);
        Some(Plain::Launch(launch))
    }
}

/// What is the same for all tasks of a step, for a plain command.
fn environment(direct: &Direct, step: &Runnable, own: &Own) -> io::Result<Vec<CString>> {
    direct
        .variables
        .iter()
        .map(|(name, value)| (name.as_os_str(), value.as_os_str()))
        .filter(|(name, _)| !super::step::OWN.iter().any(|own| name == own))
        .chain([
            ("TASK_PIPELINE_STEP".as_ref(), step.name.as_str().as_ref()),
            ("TASK_PIPELINE_VERSION".as_ref(), own.version.as_ref()),
        ])
        .map(|(name, value)| pair(name, value))
        .collect()
}

/// The step's shell with these arguments, begun with the variables of this task.
pub fn loop_of(own: &Own, arguments: &[OsString], pipes: &Pipes) -> io::Result<Command> {
    let mut command = shell(&own.job.step, arguments, pipes)?;
    own.give_to(&mut command);
    Ok(command)
}

fn shell(step: &Runnable, arguments: &[OsString], pipes: &Pipes) -> io::Result<Command> {
    let program = step
        .program
        .as_ref()
        .map_err(|error| io::Error::other(error.clone()))?;
    let mut command = Command::new(program);
    command.args(arguments);
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
    /// Where it runs.
    pub workspace: &'a Workspace,
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

    /// Those that differ from task to task.
    fn pairs(&self) -> impl Iterator<Item = (&'static str, &OsStr)> {
        [
            ("INPUT_FILE", self.workspace.input().as_os_str()),
            ("OUTPUT_DIR", self.workspace.output().as_os_str()),
            ("TMPDIR", self.workspace.temporary().as_os_str()),
            ("TASK_PIPELINE_TASK", self.task.as_ref()),
            ("TASK_PIPELINE_RUNSET", self.job.runset.as_ref().as_ref()),
            ("TASK_PIPELINE_INPUT_NAME", self.input_name().as_ref()),
        ]
        .into_iter()
    }

    fn give_to(&self, command: &mut Command) {
        command.envs(self.pairs());
    }
}
