//! Steps whose tasks are carried out elsewhere, as those who work there are told them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use super::{Source, sandbox};
use crate::exec::remote::{Crew, Posted};
use crate::manifest::Step;
use crate::model::checkpoint::Checkpoint;
use crate::model::identity::Identity;
use crate::model::promise::Pattern;
use crate::model::resources::{CPUS, Place};
use crate::model::task::{INPUT_DIR, WITH_DIR, WITH_FILE};
use crate::packages::Closure;
use crate::wire::message::{SandboxSpec, StepSpec};

/// Where the steps' tasks are carried out.
#[derive(Debug, Default)]
pub(crate) struct Executors {
    /// Who carries them out, by place.
    pub crews: Vec<Crew>,
    /// Of each step, in the order of the manifest; empty where all are carried out here.
    pub places: Vec<Option<Place>>,
}

impl Executors {
    /// Where those of the step with this number are.
    pub(crate) fn place(&self, step: usize) -> Option<Place> {
        self.places.get(step).copied().flatten()
    }
}

/// What is told of a step.
pub(super) fn posted(
    source: &Source,
    (queue, step): (usize, &Step),
    version: i64,
    (identity, params): (&Identity, &[(&str, &str)]),
    closure: Option<&Closure>,
    host: &[(OsString, OsString)],
) -> Option<Posted> {
    let place = source.executors.place(queue)?;
    let kept = identity.keep.iter().filter_map(|name| {
        let (_, value) = host.iter().find(|(other, _)| other == name.as_str())?;
        Some((name.clone(), value.to_str()?.to_owned()))
    });
    let has_with = identity.mentions(WITH_DIR) || identity.mentions(WITH_FILE);
    let secrets = source.secrets.of_step(&step.secrets);
    let text = |pattern: &Pattern| pattern.text().to_owned();
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let spec = StepSpec {
        name: step.name.to_string(),
        version,
        kept: kept.collect::<BTreeMap<_, _>>(),
        params: params.iter().map(owned).collect(),
        declared: source
            .params
            .all()
            .iter()
            .map(|(name, _)| (*name).to_owned())
            .collect(),
        resources: step
            .cpus
            .map(|cpus| (CPUS.to_owned(), cpus.to_string()))
            .into_iter()
            .collect(),
        outputs: step
            .outputs
            .as_ref()
            .map(|patterns| patterns.iter().map(text).collect()),
        folders: step.folders,
        checkpoint: match step.checkpoint {
            Checkpoint::No => None,
            Checkpoint::Ends => Some(0),
            Checkpoint::Every(every) => Some(u64::try_from(every.as_millis()).unwrap_or(u64::MAX)),
        },
        timeout: step
            .timeout
            .map(|most| u64::try_from(most.as_millis()).unwrap_or(u64::MAX)),
        gpus: usize::try_from(step.gpus).unwrap_or(usize::MAX),
        warm: step.warm,
        measured: step.cpus.is_some() || step.memory.is_some(),
        input_dir: identity.mentions(INPUT_DIR) || source.manifest.brings_files(&step.name),
        with_dir: (!step.with.is_empty() && has_with)
            .then(|| step.with.iter().map(ToString::to_string).collect()),
        secrets: secrets
            .iter()
            .map(|(variable, _)| variable.clone())
            .collect(),
        sandbox: step.sandbox.then(|| {
            let paths = closure.map(sandbox::paths);
            let text = |path: PathBuf| path.to_string_lossy().into_owned();
            SandboxSpec {
                folder: source.folder.to_str().map(str::to_owned),
                closure: paths.map(|paths| paths.into_iter().map(text).collect()),
                network: step.network,
            }
        }),
        units: place.units,
        identity: identity.clone(),
    };
    Some(Posted {
        place: place.number,
        spec,
        secrets: secrets.into_iter().map(|(_, path)| path.into()).collect(),
    })
}
