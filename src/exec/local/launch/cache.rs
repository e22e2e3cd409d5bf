//! The commands of one worker, kept from task to task: to make one takes as long as to open a file.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::direct::{self, DirectPipeline, Expanded, Stage};
use super::step::{Runnable, TaskLaunch};
use crate::exec::local::sandbox::{OWN, Sandbox};
use crate::exec::local::workspace::Workspace;
use crate::model::checkpoint::STATE_DIR;
use crate::model::plan::QueueId;
use crate::model::resources::GPUS;
use crate::model::task::{INPUT_DIR, KEY, WITH_DIR, WITH_FILE};
use crate::process::{self, Invocation, Limits, Pipes, SpawnSpec, Variables};
use crate::sys::sandbox::inside;

/// See the module. All are connected to the same pipes.
#[derive(Debug, Default)]
pub(crate) struct LaunchCache(HashMap<QueueId, StepCommands>);

/// The commands of one step.
#[derive(Debug, Default)]
pub(crate) struct StepCommands {
    shell: Option<SpawnSpec>,
    /// The task's folder that is seen in the sandbox that the shell is in.
    folder: PathBuf,
    /// Whether that sandbox shows what links lead to that one task was given.
    leads: bool,
    /// With what they were made of.
    direct: Option<(Vec<Expanded>, Vec<SpawnSpec>)>,
}

/// Steps whose commands are kept.
const STEPS: usize = 16;

impl LaunchCache {
    /// Those of a step.
    pub(crate) fn of(&mut self, queue: QueueId) -> &mut StepCommands {
        if self.0.len() >= STEPS && !self.0.contains_key(&queue) {
            self.0.clear();
        }
        self.0.entry(queue).or_default()
    }
}

/// What plain commands come to.
pub(crate) enum Prepared<'k> {
    /// These are to be run, each to read what the one before it writes.
    Start(&'k [SpawnSpec]),
    /// Everything is done.
    Done,
}

impl StepCommands {
    /// The shell with the step's script, for this task; with a `door` into a control group, it goes through
    /// that first, always the same for one step.
    pub(crate) fn shell(
        &mut self,
        job: &TaskLaunch,
        own: &TaskEnvironment,
        door: Option<&Path>,
        pipes: &Pipes,
    ) -> io::Result<&SpawnSpec> {
        let (folder, leads) = (own.workspace.folder(), !own.workspace.leads().is_empty());
        if job.step.sandbox.is_some() && (self.leads || leads || self.folder != folder) {
            self.shell = None;
            folder.clone_into(&mut self.folder);
            self.leads = leads;
        }
        let launch = match &mut self.shell {
            Some(launch) => launch,
            none => {
                let shell = sandboxed(own, &job.step.arguments)?;
                let shell = match door {
                    Some(door) => through(shell, door)?,
                    None => shell,
                };
                none.insert(shell.prepare(pipes)?)
            }
        };
        own.set_in(std::slice::from_mut(launch))?;
        Ok(launch)
    }

    /// The plain commands, for this task; none if it takes the shell. On an error nothing has been
    /// started.
    pub(crate) fn plain(
        &mut self,
        job: &TaskLaunch,
        direct: &DirectPipeline,
        own: &TaskEnvironment,
        pipes: &Pipes,
    ) -> io::Result<Option<Prepared<'_>>> {
        let Some(expanded) = direct.expand(&|name| own.value(name)) else {
            return Ok(None);
        };
        if let ([Stage { program: None, .. }], [only]) =
            (direct.stages.as_slice(), expanded.as_slice())
        {
            direct::touch(&only.openings)?;
            return Ok(Some(Prepared::Done));
        }
        if self.direct.as_ref().is_none_or(|(of, _)| *of != expanded) {
            let stages = direct.stages.iter().zip(&expanded);
            let invocations = stages.map(|(stage, expanded)| stage_of(stage, expanded, job, own));
            let Some(invocations) = invocations.collect::<Option<Vec<_>>>() else {
                return Ok(None);
            };
            let specs = invocations.into_iter().map(|one| one.prepare(pipes));
            self.direct = Some((expanded, specs.collect::<Result<_, _>>()?));
        }
        let Some((_, specs)) = &mut self.direct else {
            return Ok(None);
        };
        own.set_in(specs)?;
        Ok(Some(Prepared::Start(specs)))
    }
}

fn stage_of(
    stage: &Stage,
    expanded: &Expanded,
    job: &TaskLaunch,
    own: &TaskEnvironment,
) -> Option<Invocation> {
    let words = expanded
        .words
        .iter()
        .map(|word| CString::new(word.as_str()));
    Some(Invocation {
        program: stage.program.clone()?,
        words: words.collect::<Result<_, _>>().ok()?,
        variables: environment(&stage.variables, job.step, own),
        openings: expanded.openings.clone(),
        folder: job.step.folder.clone(),
        limits: limits(job.step),
    })
}

/// The step's shell with these arguments, for this task.
pub(crate) fn shell(own: &TaskEnvironment, arguments: &[OsString]) -> io::Result<Invocation> {
    let step = &own.job.step;
    of_shell(step, arguments, environment(&step.variables, step, own))
}

/// The same, in the sandbox that the step has, if it has one.
fn sandboxed(own: &TaskEnvironment, arguments: &[OsString]) -> io::Result<Invocation> {
    let shell = shell(own, arguments)?;
    let Some(sandbox) = &own.job.step.sandbox else {
        return Ok(shell);
    };
    let view = own
        .workspace
        .own_file(&format!("view{}", own.job.step.queue));
    sandbox.write(&view, own.workspace.leads().paths())?;
    Sandbox::around(shell, &view, own.workspace.folder())
}

/// The same, in the control group that the door leads into, with all that it starts.
fn through(mut shell: Invocation, door: &Path) -> io::Result<Invocation> {
    if shell.program == Path::new(OWN) {
        // To who goes through, that is another program.
        shell.program = format!("/proc/{}/exe", std::process::id()).into();
    }
    let arguments = [
        OsStr::new("-c"),
        OsStr::new(process::ENTER),
        door.as_os_str(),
    ];
    shell.within(Path::new("/bin/sh"), &arguments)
}

/// The step's shell with these arguments and variables.
pub(crate) fn of_shell(
    step: &Runnable,
    arguments: &[OsString],
    variables: Variables,
) -> io::Result<Invocation> {
    let found = step.program.as_deref();
    let program = found.map_err(|error| io::Error::other(error.clone()))?;
    let words = std::iter::once(program.as_os_str())
        .chain(arguments.iter().map(OsString::as_os_str))
        .map(|word| CString::new(word.as_bytes()));
    Ok(Invocation {
        program: program.to_owned(),
        words: words.collect::<Result<_, _>>()?,
        variables,
        openings: Vec::new(),
        folder: step.folder.clone(),
        limits: limits(step),
    })
}

fn limits(step: &Runnable) -> Limits {
    Limits { time: step.timeout }
}

/// All variables, those of this task among them.
fn environment(variables: &Variables, step: &Runnable, own: &TaskEnvironment) -> Variables {
    let mut all = variables.clone();
    all.insert("TASK_PIPELINE_STEP".into(), step.name.as_str().into());
    all.insert("TASK_PIPELINE_VERSION".into(), own.version.clone().into());
    all.extend(
        own.pairs()
            .map(|(name, value)| (name.into(), value.into_owned())),
    );
    all
}

/// A variable's name and value.
type Pair<'p> = (&'static str, Cow<'p, OsStr>);

/// A task's own variables.
pub(crate) struct TaskEnvironment<'a> {
    /// Where it runs.
    pub workspace: &'a Workspace,
    job: &'a TaskLaunch<'a>,
    task: String,
    version: String,
}

impl<'a> TaskEnvironment<'a> {
    /// Of this task, in that place.
    pub(crate) fn new(workspace: &'a Workspace, job: &'a TaskLaunch<'a>) -> Self {
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
            INPUT_DIR => self.workspace.input_dir().to_str(),
            WITH_DIR => self.workspace.with_dir().to_str(),
            WITH_FILE => self.workspace.with_file().to_str(),
            "OUTPUT_DIR" => self.workspace.output().to_str(),
            "TMPDIR" => self.workspace.temporary().to_str(),
            STATE_DIR => self.workspace.state().path()?.to_str(),
            "TASK_PIPELINE_STEP" => Some(self.job.step.name.as_str()),
            "TASK_PIPELINE_VERSION" => Some(&self.version),
            "TASK_PIPELINE_TASK" => Some(&self.task),
            "TASK_PIPELINE_RUNSET" => Some(self.job.runset),
            "TASK_PIPELINE_INPUT_NAME" => Some(self.input_name()),
            KEY => self.job.ready.key.as_deref(),
            _ => None,
        }
    }

    fn input_name(&self) -> &'a str {
        self.job.ready.name.as_deref().unwrap_or_default()
    }

    /// Those that differ from task to task.
    fn pairs(&self) -> impl Iterator<Item = Pair<'_>> {
        let text = |text: &'a str| Cow::Borrowed(OsStr::new(text));
        [
            ("INPUT_FILE", self.path(self.workspace.input())),
            ("OUTPUT_DIR", self.path(self.workspace.output())),
            ("TMPDIR", self.path(self.workspace.temporary())),
            ("TASK_PIPELINE_TASK", Cow::Borrowed(OsStr::new(&*self.task))),
            ("TASK_PIPELINE_RUNSET", text(self.job.runset)),
            ("TASK_PIPELINE_INPUT_NAME", text(self.input_name())),
        ]
        .into_iter()
        .chain(self.of_some())
        .chain(self.gpus())
    }

    /// Those that tasks of some steps alone have.
    fn of_some(&self) -> impl Iterator<Item = Pair<'_>> {
        let pairs = [
            self.input_dir(),
            self.with_dir(),
            self.with_file(),
            self.key(),
            self.state(),
        ];
        pairs.into_iter().flatten()
    }

    /// As the script sees it.
    fn path(&self, path: &'a Path) -> Cow<'a, OsStr> {
        match &self.job.step.sandbox {
            None => Cow::Borrowed(path.as_os_str()),
            Some(_) => inside(self.workspace.folder(), path)
                .into_os_string()
                .into(),
        }
    }

    fn key(&self) -> Option<Pair<'_>> {
        let key = OsStr::new(self.job.ready.key.as_deref()?);
        Some((KEY, Cow::Borrowed(key)))
    }

    fn state(&self) -> Option<Pair<'_>> {
        let path = self.workspace.state().path()?;
        Some((STATE_DIR, self.path(path)))
    }

    fn gpus(&self) -> impl Iterator<Item = Pair<'_>> {
        let gpus = self.job.grant.gpus.as_deref().map(OsStr::new);
        let gpus = gpus.into_iter();
        gpus.flat_map(|gpus| GPUS.map(|variable| (variable, Cow::Borrowed(gpus))))
    }

    fn input_dir(&self) -> Option<Pair<'_>> {
        let is_there = self.job.step.input_dir;
        is_there.then(|| (INPUT_DIR, self.path(self.workspace.input_dir())))
    }

    fn with_file(&self) -> Option<Pair<'_>> {
        let with = self.job.step.with_dir.as_ref()?;
        with.each
            .then(|| (WITH_FILE, self.path(self.workspace.with_file())))
    }

    fn with_dir(&self) -> Option<Pair<'_>> {
        self.job.step.with_dir.as_ref()?;
        Some((WITH_DIR, self.path(self.workspace.with_dir())))
    }

    /// What a server of sandboxes is told of the task: its folder, and its variables.
    pub(super) fn message(&self) -> Vec<u8> {
        let mut message = self.workspace.folder().as_os_str().as_bytes().to_vec();
        message.push(0);
        for (name, value) in self.pairs() {
            message.extend_from_slice(name.as_bytes());
            message.push(b'=');
            message.extend_from_slice(value.as_bytes());
            message.push(0);
        }
        message.push(0);
        message
    }

    fn set_in(&self, launches: &mut [SpawnSpec]) -> io::Result<()> {
        launches.iter_mut().try_for_each(|launch| {
            self.pairs()
                .try_for_each(|(name, value)| launch.set(name, &value))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_goes_through_a_door_is_the_same_program_behind_it() {
        let door = tempfile::NamedTempFile::new().unwrap();
        let of = |program: &str, words: &[&str]| Invocation {
            program: program.into(),
            words: words
                .iter()
                .map(|word| CString::new(*word).unwrap())
                .collect(),
            variables: Variables::new(),
            openings: Vec::new(),
            folder: PathBuf::new(),
            limits: Limits::default(),
        };
        let run = |invocation: Invocation| {
            let invocation = through(invocation, door.path()).unwrap();
            let words = invocation.words[1..].iter();
            let words = words.map(|word| OsStr::from_bytes(word.as_bytes()));
            let output = std::process::Command::new(invocation.program)
                .args(words)
                .output();
            String::from_utf8(output.unwrap().stdout).unwrap()
        };
        let said = run(of("/bin/echo", &["echo", "a b", "$0"]));
        assert_eq!(said, "a b $0\n");
        assert_eq!(std::fs::read(door.path()).unwrap(), b"0\n");
        // This is a program that lists its tests.
        let listed = run(of(OWN, &["x", "--list", "whoever_goes_through"]));
        assert!(listed.contains("whoever_goes_through_a_door"), "{listed}");
    }
}
