//! The steps' packages as environments: those that are known, and those that are to be resolved.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use super::{Error, PackageOptions, Source};
use crate::engine::Listener;
use crate::manifest::Step;
use crate::model::digest::Digest;
use crate::model::environment::{Environment, Package};
use crate::model::event::Event;
use crate::model::identity::Tools;
use crate::model::name::StepName;
use crate::packages;
use crate::state::State;

/// Where the step's programs come from.
pub(super) fn tools(
    step: &Step,
    environments: &BTreeMap<StepName, Environment>,
    host: bool,
) -> Tools {
    match environments.get(&step.name) {
        Some(environment) => Tools::Nix(environment.clone()),
        None if host && !step.packages.is_empty() => Tools::HostInstead,
        None => Tools::Host,
    }
}

/// By input, where its command finds programs before those of the host; none where that is not known.
pub(super) fn programs(
    source: &Source,
    environments: &BTreeMap<StepName, Environment>,
    host: bool,
) -> Vec<Option<Vec<String>>> {
    let inputs = source.manifest.inputs.iter().enumerate();
    let programs = inputs.map(|(at, input)| {
        if host || input.packages.is_empty() {
            return Some(Vec::new());
        }
        let environment = environments.get(&source.manifest.name_of_input(at))?;
        Some(environment.path.clone())
    });
    programs.collect()
}

/// The environments that earlier runs resolved.
pub(super) fn known(
    source: &Source,
    state: &mut State,
    supply: PackageOptions,
) -> Result<BTreeMap<StepName, Environment>, Error> {
    let roots = state.layout().roots();
    let request = packages::Request {
        steps: source.manifest.with_packages(),
        nixpkgs: &source.manifest.nix.nixpkgs,
        manifest: &source.path,
        roots: &roots,
        locked: supply.locked,
        stop: supply.stop,
    };
    Ok(packages::known(&request, &Cache(state))?)
}

/// All of them; what is not known yet is asked of Nix.
pub(super) fn resolve(
    source: &Source,
    state: &mut State,
    supply: PackageOptions,
    listener: &mut Listener,
) -> Result<packages::Resolved, Error> {
    let with_packages = source.manifest.with_packages();
    if with_packages.is_empty() {
        return Ok(packages::Resolved::default());
    }
    if supply.host {
        let names: Vec<&str> = with_packages
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        listener(&Event::Warning(&format!(
            "-host-env: {} with the host's programs, not with the packages of the manifest",
            match names.as_slice() {
                [one] => format!("step {one} runs"),
                many => format!("steps {} run", many.join(", ")),
            }
        )));
        return Ok(packages::Resolved::default());
    }
    let roots = state.layout().roots();
    let request = packages::Request {
        steps: with_packages,
        nixpkgs: &source.manifest.nix.nixpkgs,
        manifest: &source.path,
        roots: &roots,
        locked: supply.locked,
        stop: supply.stop,
    };
    let mut cache = Cache(state);
    Ok(packages::resolve(&request, &mut cache, &mut |progress| {
        crate::report::nix_event(&progress, listener);
    })?)
}

/// All that the packages of steps in a sandbox need, by step. What is not known is asked of Nix if it may be.
pub(super) fn closures(
    source: &Source,
    state: &mut State,
    environments: &BTreeMap<StepName, Environment>,
    ask: Option<&AtomicBool>,
) -> Result<BTreeMap<StepName, packages::Closure>, Error> {
    let mut closures = BTreeMap::new();
    for step in source.manifest.steps.iter().filter(|step| step.sandbox) {
        let Some(environment) = environments.get(&step.name) else {
            continue;
        };
        let mut cache = Cache(state);
        let found = match ask {
            Some(stop) => Some(packages::closure(
                &step.name,
                environment,
                &source.path,
                &mut cache,
                stop,
            )?),
            None => packages::known_closure(environment, &cache)?,
        };
        if let Some(found) = found {
            closures.insert(step.name.clone(), found);
        }
    }
    Ok(closures)
}

/// Resolved environments in the state database.
struct Cache<'a>(&'a mut State);

/// The form in which they are there.
#[derive(serde::Serialize, serde::Deserialize)]
struct Kept<'a> {
    packages: Cow<'a, [Package]>,
}

/// What is in such a record.
pub(super) fn packages(record: &str) -> Option<Vec<Package>> {
    let kept: Kept = serde_json::from_str(record).ok()?;
    Some(kept.packages.into_owned())
}

impl packages::Cache for Cache<'_> {
    fn get(&self, key: &Digest) -> Option<Vec<Package>> {
        // What cannot be read is resolved again.
        let json = self.0.environment(key).ok().flatten()?;
        packages(&json)
    }

    fn paths(&self, key: &Digest) -> Option<Vec<String>> {
        let json = self.0.environment(key).ok().flatten()?;
        serde_json::from_str(&json).ok()
    }

    fn put_paths(
        &mut self,
        key: &Digest,
        paths: &[String],
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Ok(self
            .0
            .put_environment(key, &serde_json::to_string(paths)?)?)
    }

    fn put(
        &mut self,
        key: &Digest,
        packages: &[Package],
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let json = serde_json::to_string(&Kept {
            packages: packages.into(),
        })?;
        Ok(self.0.put_environment(key, &json)?)
    }
}
