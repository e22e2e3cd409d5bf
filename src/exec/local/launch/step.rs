//! A step as workers need it: everything that is the same for all its tasks is worked out once.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::super::sandbox::Sandbox;
use super::direct::DirectPipeline;
use super::warmth::{Warmth, warmth};
use crate::engine;
use crate::files::Watch;
use crate::model::digest::Digest;
use crate::model::identity::{Identity, Tools};
use crate::model::name::StepName;
use crate::model::param;
use crate::model::plan::{QueueId, Ready};
use crate::model::promise::Pattern;
use crate::model::task::VARIABLES;
use crate::process::{self, Variables};
use crate::sys::sandbox;
use crate::text::mask::Mask;

/// How a step's script is run.
#[derive(Debug)]
// Each is a matter of its own, none excludes another.
#[allow(clippy::struct_excessive_bools)]
pub(crate) struct Runnable {
    /// Its place in the manifest.
    pub queue: QueueId,
    /// Its name.
    pub name: StepName,
    /// The number of its current version.
    pub version: i64,
    /// What it promises to leave, if it promises anything.
    pub outputs: Option<Arc<[Pattern]>>,
    /// Whether folders are outputs.
    pub folders: bool,
    /// Longest time of an execution.
    pub timeout: Option<Duration>,
    /// The program that runs the script, if it was found.
    pub program: Result<PathBuf, String>,
    /// The program's arguments, the script last.
    pub arguments: Vec<OsString>,
    /// Every variable but those of the single task.
    pub variables: Arc<Variables>,
    /// Where it runs: this process's own folder, once the engine runs.
    pub folder: PathBuf,
    /// Whether a shell is to run many tasks, if the manifest says so.
    pub wants_warm: Option<bool>,
    /// How one does, once that was asked.
    pub warm: OnceLock<Option<Warmth>>,
    /// Whether its tasks have `INPUT_DIR`: the script knows of it, or they come with files.
    pub input_dir: bool,
    /// What is in `WITH_DIR`, where its tasks have that: the script knows of it.
    pub with_dir: Option<With>,
    /// Whether its tasks have `TASK_PIPELINE_KEY`: the script knows of it.
    pub key: bool,
    /// Whether its tasks have `STATE_DIR`.
    pub checkpoint: bool,
    /// Whether its tasks have GPUs of their own.
    pub gpus: bool,
    /// Whether what its tasks take is told beside what they ask for.
    pub measured: bool,
    /// How it runs without a shell, once that was asked.
    pub direct: OnceLock<Option<DirectPipeline>>,
    /// Whether the programs of the machine stand in for its packages.
    pub instead: bool,
    /// The files that it declares.
    pub files: Option<Arc<Watch>>,
    /// What its scripts see, if they run in a sandbox.
    pub sandbox: Option<Sandbox>,
    /// What is kept out of what its scripts write.
    pub mask: Option<Arc<Mask>>,
}

/// What tasks get besides their inputs.
#[derive(Debug)]
pub(crate) struct With {
    /// The steps that left it.
    pub steps: Arc<[StepName]>,
    /// Whether each task gets one file alone, in `WITH_FILE`.
    pub each: bool,
}

/// A task to be run here.
#[derive(Debug)]
pub(crate) struct TaskLaunch<'a> {
    /// How its step's script is run.
    pub step: &'a Runnable,
    /// The task.
    pub ready: &'a Ready,
    /// The runset's name.
    pub runset: &'a str,
    /// Whether more tasks of the step wait.
    pub more: bool,
    /// The input of one that is to follow soon.
    pub ahead: Option<Digest>,
    /// What it is given that is not the same for all tasks of its step.
    pub grant: &'a engine::Grant,
}

impl<'a> TaskLaunch<'a> {
    /// What the scheduler has given out, with how it is done here.
    pub(crate) fn new(job: &'a engine::Job, steps: &'a [Arc<Runnable>]) -> Self {
        Self {
            step: &steps[job.step.queue],
            ready: &job.ready,
            runset: &job.runset,
            more: job.more,
            ahead: job.ahead,
            grant: &job.grant,
        }
    }
}

impl Runnable {
    /// How a shell runs many tasks, if one can.
    pub(crate) fn warm(&self) -> Option<&Warmth> {
        let of = || {
            // A warm shell is told of none of these, and what is left in a sandbox would stay there.
            let told_more = self.input_dir
                || self.key
                || self.with_dir.is_some()
                || self.checkpoint
                || self.gpus;
            // Nobody knows what each task in one took.
            let untold = self.measured && self.wants_warm != Some(true);
            if self.sandbox.is_some() || told_more || untold {
                return None;
            }
            let program = self.program.as_ref().ok()?;
            warmth(self.wants_warm, program, &self.arguments, &self.variables)
        };
        self.warm.get_or_init(of).as_ref()
    }

    /// How the script runs without a shell, if it can.
    pub(crate) fn direct(&self) -> Option<&DirectPipeline> {
        let of = || {
            // Its files would be opened outside; which GPUs it has, only its variables tell.
            if self.sandbox.is_some() || self.gpus {
                return None;
            }
            let program = self.program.as_ref().ok()?;
            DirectPipeline::of(program, &self.arguments, &self.variables, &self.folder)
        };
        self.direct.get_or_init(of).as_ref()
    }
}

/// What a run gives the scripts of a step.
#[derive(Clone, Copy, Default)]
pub(crate) struct Parameters<'a> {
    /// Variables of its secrets, with their paths.
    pub secrets: &'a [(String, OsString)],
    /// What tells them what they may take, with its value.
    pub resources: &'a [(&'a str, String)],
    /// The parameters that they get, with their values.
    pub given: &'a [(&'a str, &'a str)],
    /// Whether the pipeline has one of that name: what the host has under its name passes to no script.
    pub declared: Option<&'a dyn Fn(&str) -> bool>,
}

impl Parameters<'_> {
    /// Whether the host's variable stands for a parameter, or gives a run one.
    fn hide(&self, variable: &OsStr) -> bool {
        let Some(declared) = self.declared else {
            return false;
        };
        let Some(variable) = variable.to_str() else {
            return false;
        };
        [param::VARIABLE, param::GIVEN]
            .iter()
            .any(|before| variable.strip_prefix(before).is_some_and(declared))
    }
}

/// Where a script in a sandbox finds the host's programs.
const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The variables of a step's scripts, given those of the host.
pub(crate) fn variables(
    identity: &Identity,
    parameters: Parameters,
    host: impl IntoIterator<Item = (OsString, OsString)>,
) -> Variables {
    let is_named = |name: &OsStr| identity.keep.iter().any(|keep| name == keep.as_str());
    let kept = |name: &OsStr| {
        !identity.pure
            || name == "HOME"
            || (name == "PATH" && identity.tools == Tools::HostInstead)
            || is_named(name)
    };
    let mut variables: Variables = host
        .into_iter()
        .filter(|(name, _)| kept(name) && !VARIABLES.iter().any(|own| name == own))
        .filter(|(name, _)| !process::OF_SSH.iter().any(|of_ssh| name == of_ssh) || is_named(name))
        .filter(|(name, _)| !parameters.hide(name))
        .collect();
    if let Tools::Nix(environment) = &identity.tools {
        let mut path = OsString::from(environment.path.join(":"));
        if let Some(host) = variables.get(OsStr::new("PATH")).filter(|_| !identity.pure) {
            path.push(":");
            path.push(host);
        }
        variables.insert("PATH".into(), path);
    }
    if identity.sandbox {
        let mut own = |name: &str, value: &str| {
            if !identity.keep.iter().any(|keep| keep == name) {
                variables.insert(name.into(), value.into());
            }
        };
        own("HOME", sandbox::HOME);
        if identity.tools == Tools::Host {
            own("PATH", SYSTEM_PATH);
        }
    }
    for (name, value) in &identity.env {
        variables.insert(name.into(), value.into());
    }
    for (name, value) in parameters.given {
        variables.insert(param::variable(name).into(), value.into());
    }
    for (name, value) in parameters.resources {
        variables.insert(name.into(), value.into());
    }
    for (name, path) in parameters.secrets {
        variables.insert(name.into(), path.clone());
    }
    variables
}

/// Finds the shell as the script's own PATH has it, or else the host's: a pure environment need
/// not bring one.
pub(crate) fn program(
    shell: &str,
    variables: &Variables,
    host_path: Option<&OsStr>,
    folder: &Path,
) -> Result<PathBuf, String> {
    let own = variables.get(OsStr::new("PATH")).map(OsString::as_os_str);
    [own, host_path]
        .into_iter()
        .flatten()
        .find_map(|path| which::which_in(shell, Some(path), folder).ok())
        .ok_or_else(|| format!("cannot find the shell `{shell}` on PATH"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::environment::Environment;

    fn identity(pure: bool, tools: Tools) -> Identity {
        Identity {
            script: String::new(),
            shell: vec!["sh".into()],
            env: [("A".to_owned(), "step".to_owned())].into(),
            pure,
            keep: vec!["KEPT".into()],
            tools,
            ..Identity::default()
        }
    }

    /// Bash reads `~/.bashrc` where one says that it was started by ssh.
    #[test]
    fn scripts_do_not_see_that_they_were_started_by_ssh() {
        let host = process::OF_SSH.map(|name| (name.into(), "there".into()));
        let seen = |identity: &Identity| {
            let all = variables(identity, Parameters::default(), host.clone());
            all.into_keys().collect::<Vec<OsString>>()
        };
        let mut step = identity(false, Tools::Host);
        assert_eq!(seen(&step), ["A"]);
        step.keep.push("SSH_CONNECTION".to_owned());
        assert_eq!(seen(&step), ["A", "SSH_CONNECTION"]);
    }

    fn given(identity: &Identity) -> Vec<(String, String)> {
        let host = [
            ("A", "host"),
            ("HOME", "/h"),
            ("KEPT", "k"),
            ("OTHER", "o"),
            ("PATH", "/bin"),
            ("TASK_PIPELINE_TASK", "7"),
        ];
        variables(
            identity,
            Parameters::default(),
            host.map(|(n, v)| (n.into(), v.into())),
        )
        .into_iter()
        .map(|(n, v)| (n.into_string().unwrap(), v.into_string().unwrap()))
        .collect()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect()
    }

    #[test]
    fn packages_come_before_the_hosts_path() {
        let tools = Tools::Nix(Environment {
            packages: Vec::new(),
            path: vec!["/p/bin".into(), "/q/bin".into()],
        });
        let all = pairs(&[
            ("A", "step"),
            ("HOME", "/h"),
            ("KEPT", "k"),
            ("OTHER", "o"),
            ("PATH", "/p/bin:/q/bin:/bin"),
        ]);
        assert_eq!(given(&identity(false, tools.clone())), all);
        let pure = pairs(&[
            ("A", "step"),
            ("HOME", "/h"),
            ("KEPT", "k"),
            ("PATH", "/p/bin:/q/bin"),
        ]);
        assert_eq!(given(&identity(true, tools)), pure);
    }

    #[test]
    fn parameters_pass_and_what_the_host_has_in_their_place_does_not() {
        let host = [
            ("PARAM_x", "host"),
            ("PARAM_y", "host"),
            ("TASK_PIPELINE_PARAM_x", "1"),
        ];
        let declared = |name: &str| name == "x";
        let given = |values: &[(&str, &str)]| -> Vec<String> {
            let parameters = Parameters {
                secrets: &[],
                resources: &[],
                given: values,
                declared: Some(&declared),
            };
            let host = host.map(|(n, v)| (n.into(), v.into()));
            let all = variables(&identity(false, Tools::Host), parameters, host);
            let pairs = all.iter();
            pairs
                .map(|(n, v)| format!("{}={}", n.display(), v.display()))
                .collect()
        };
        assert_eq!(given(&[]), ["A=step", "PARAM_y=host"]);
        let with = ["A=step", "PARAM_x=a\n$b", "PARAM_y=host"];
        assert_eq!(given(&[("x", "a\n$b")]), with);
    }

    #[test]
    fn pure_hides_the_hosts_path_unless_it_was_asked_for() {
        let names = |tools| -> Vec<String> {
            given(&identity(true, tools))
                .into_iter()
                .map(|(n, _)| n)
                .collect()
        };
        assert_eq!(names(Tools::Host), ["A", "HOME", "KEPT"]);
        assert_eq!(names(Tools::HostInstead), ["A", "HOME", "KEPT", "PATH"]);
    }
}
