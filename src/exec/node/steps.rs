//! Steps as the run told them, as this machine runs their scripts.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use super::secrets::Given;
use crate::exec::local::{self, Parameters, Runnable, Scene, With, secret_in_a_sandbox};
use crate::model::checkpoint::Checkpoint;
use crate::model::identity::Tools;
use crate::model::name::StepName;
use crate::model::promise::Pattern;
use crate::wire::message::StepSpec;

/// How a step's script is run, and its secrets, which are there as long as this is.
pub(super) type Ready = (Arc<Runnable>, Given);

/// A step.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// What was told of it.
    pub spec: Arc<StepSpec>,
    /// How its script is run, with its secrets, once its first task had all there that this takes.
    pub ready: Arc<Mutex<Option<Ready>>>,
    /// Its number.
    pub number: u32,
    /// How much room one of its tasks takes.
    pub units: u64,
    /// Whether its tasks keep something from try to try.
    pub checkpoint: Checkpoint,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Steps {
    known: HashMap<u32, Known>,
}

impl Steps {
    /// The step.
    pub(super) fn of(&self, number: u32) -> Option<Known> {
        self.known.get(&number).cloned()
    }

    /// One more.
    pub(super) fn add(&mut self, number: u32, spec: Box<StepSpec>) {
        let known = Known {
            ready: Arc::default(),
            number,
            units: spec.units.max(1),
            checkpoint: match spec.checkpoint {
                None => Checkpoint::No,
                Some(0) => Checkpoint::Ends,
                Some(millis) => Checkpoint::Every(Duration::from_millis(millis)),
            },
            spec: spec.into(),
        };
        self.known.insert(number, known);
    }
}

impl Known {
    /// How its script is run, in this folder; `host`: the variables of this machine. Or why it cannot be.
    pub(super) fn runnable(
        &self,
        (folder, files): (&Path, &[Box<str>]),
        secrets: &Given,
        host: &[(OsString, OsString)],
    ) -> Result<Runnable, String> {
        let spec = &*self.spec;
        let identity = &spec.identity;
        // What the step keeps has the owner's values, and is not set where it is not set there.
        let host = host.iter().filter(|(name, _)| {
            let kept = identity.keep.iter().any(|keep| name == keep.as_str());
            !kept || name == "PATH" && matches!(identity.tools, Tools::HostInstead)
        });
        let kept = spec
            .kept
            .iter()
            .map(|(name, value)| (name.into(), value.into()));
        let host: BTreeMap<OsString, OsString> = host.cloned().chain(kept).collect();
        let given: Vec<(&str, &str)> = pairs(&spec.params);
        let resources = spec.resources.iter();
        let resources: Vec<(&str, String)> = resources
            .map(|(name, value)| (&**name, value.clone()))
            .collect();
        let declared = |name: &str| spec.declared.iter().any(|known| known == name);
        let mut seen = secrets.variables.clone();
        if spec.sandbox.is_some() {
            for (variable, path) in &mut seen {
                *path = secret_in_a_sandbox(variable).into();
            }
        }
        let parameters = Parameters {
            secrets: &seen,
            resources: &resources,
            given: &given,
            declared: Some(&declared),
        };
        let variables = local::variables(identity, parameters, host);
        let folder = folder.to_owned();
        let shell = identity.shell.first().map_or("sh", String::as_str);
        let host_path = local::host_path();
        let program = local::program(shell, &variables, host_path.as_deref(), &folder);
        let arguments = identity.shell.iter().skip(1).chain([&identity.script]);
        let outputs = spec.outputs.as_ref().map(|texts| {
            let patterns = texts.iter().filter_map(|text| Pattern::parse(text).ok());
            patterns.collect::<Arc<[Pattern]>>()
        });
        let with_dir = spec.with_dir.as_ref().map(|steps| With {
            steps: steps
                .iter()
                .filter_map(|name| StepName::new(name).ok())
                .collect(),
            each: identity.each,
        });
        let name = StepName::new(&spec.name).map_err(|error| error.to_string())?;
        let sandbox = spec.sandbox.as_ref().map(|sandbox| {
            let scene = Scene {
                step: &name,
                tools: &identity.tools,
                closure: sandbox
                    .closure
                    .as_ref()
                    .map(|paths| paths.iter().map(PathBuf::from).collect()),
                network: sandbox.network,
                // What is seen there of this machine is not written over.
                folder: match &sandbox.folder {
                    Some(home) if !Scene::is_of_a_system(Path::new(home)) => home.into(),
                    _ => folder.clone(),
                },
                files: files
                    .iter()
                    .map(|path| (folder.join(&**path), PathBuf::from(&**path)))
                    .collect(),
                secrets: secrets.variables.clone(),
            };
            scene.sandbox(&program)
        });
        Ok(Runnable {
            queue: self.number as usize,
            name,
            version: spec.version,
            outputs,
            folders: spec.folders,
            timeout: spec.timeout.map(Duration::from_millis),
            program,
            arguments: arguments.map(Into::into).collect(),
            variables: Arc::new(variables),
            folder,
            wants_warm: spec.warm,
            warm: OnceLock::new(),
            input_dir: spec.input_dir,
            with_dir,
            key: identity.reads_key(),
            checkpoint: spec.checkpoint.is_some(),
            gpus: spec.gpus > 0,
            measured: spec.measured,
            direct: OnceLock::new(),
            instead: matches!(identity.tools, Tools::HostInstead),
            files: None,
            sandbox,
            mask: secrets.mask.clone(),
        })
    }
}

fn pairs(pairs: &[(String, String)]) -> Vec<(&str, &str)> {
    pairs
        .iter()
        .map(|(name, value)| (&**name, &**value))
        .collect()
}
