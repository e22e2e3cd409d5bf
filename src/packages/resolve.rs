//! Resolves the packages of all steps: pins, cache, what vanished, build, roots.

mod hold;
mod locked;
mod restore;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::model::digest::Digest;
use crate::model::environment::{Environment, Package};
use crate::model::name::StepName;

use super::build::Builder;
use super::key::Key;
use super::lock;
use super::pin::Pin;
use super::pins::Generated;
use super::roots::Roots;
use super::store_path::StoreDir;
use super::tools::Tools;
use super::update::{self, Pinned};
use super::wanted::{All, Source};
use super::{Cache, Error, Progress, Request, Resolved, base_of, folder, warning_once};
use super::{cached, path, sealed};
use locked::{not_locked, pins, recorded};

/// Resolves the packages of all steps of `request`.
///
/// What `cache` has, is in the store and is held by GC roots costs no process of Nix. Everything
/// else is built or downloaded by one call, before any of it is used.
pub(crate) fn resolve(
    request: &Request<'_>,
    cache: &mut dyn Cache,
    progress: &mut dyn FnMut(Progress),
) -> Result<Resolved, Error> {
    if request.steps.is_empty() {
        return Ok(Resolved::default());
    }
    let progress = &mut warning_once(progress);
    let store = StoreDir::of_environment()?;
    let base = base_of(request.manifest)?;
    let all = All::of(&request.packages(), &base, &store)?;
    if sealed::inside_a_build()
        && let Some(environments) = sealed::environments(&all, &store)?
    {
        return Ok(Resolved {
            environments,
            held: BTreeSet::new(),
        });
    }
    let tools = Tools::new(&base, &store, request.stop);
    let pinned = pins(request, &all, &tools, progress)?;
    let session = Session {
        request,
        base: &base,
        store: &store,
        all: &all,
        tools: &tools,
        pinned: &pinned,
    };
    session.run(cache, progress)
}

/// The environments of those steps of `request` that `cache` has, whose packages are in the store:
/// no process is started, nothing is pinned, nothing written.
pub(crate) fn known(
    request: &Request<'_>,
    cache: &dyn Cache,
) -> Result<BTreeMap<StepName, Environment>, Error> {
    if request.steps.is_empty() {
        return Ok(BTreeMap::new());
    }
    let store = StoreDir::of_environment()?;
    let base = base_of(request.manifest)?;
    let all = All::of(&request.packages(), &base, &store)?;
    let (lock, missing) = recorded(request, &all)?;
    if request.locked && !missing.is_empty() {
        return Err(not_locked(request, &all, lock.is_some(), &missing));
    }
    let pinned = Pinned::of(&lock.unwrap_or_default(), all.references().keys().copied());
    let tools = Tools::new(&base, &store, request.stop);
    let session = Session {
        request,
        base: &base,
        store: &store,
        all: &all,
        tools: &tools,
        pinned: &pinned,
    };
    let states = session.folder_states();
    let mut found = BTreeMap::new();
    for (step, places) in &all.by_step {
        let key = session.key(places, &states);
        let kept = match session.kept(places, key.as_ref(), cache)? {
            // Store paths that are there stand for themselves.
            None => sealed::environment(&all, places, &store)?,
            kept => kept,
        };
        if let Some(environment) = kept
            && session.gone([&environment]).is_empty()
        {
            found.insert(step.clone(), environment);
        }
    }
    Ok(found)
}

struct Session<'a> {
    request: &'a Request<'a>,
    base: &'a Path,
    store: &'a StoreDir,
    all: &'a All,
    tools: &'a Tools<'a>,
    pinned: &'a Pinned,
}

impl Session<'_> {
    fn run(
        &self,
        cache: &mut dyn Cache,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Resolved, Error> {
        let mut roots = Roots::open(self.request.roots, self.store)?;
        let states = self.folder_states();
        let keys: Vec<Option<Digest>> = self
            .all
            .by_step
            .iter()
            .map(|(_, places)| self.key(places, &states))
            .collect();
        let mut found = BTreeMap::new();
        for ((step, places), key) in self.all.by_step.iter().zip(&keys) {
            if let Some(environment) = self.kept(places, key.as_ref(), cache)? {
                found.insert(step.clone(), environment);
            }
        }
        self.restore(&mut found, progress)?;
        self.hold(&found, &mut roots, progress)?;
        let missing: Vec<usize> = (0..self.all.by_step.len())
            .filter(|at| !found.contains_key(&self.all.by_step[*at].0))
            .collect();
        if !missing.is_empty() {
            let made = match self.make(&missing, &mut roots, progress) {
                Err(error) => self.without_nix(&missing, error, progress)?,
                Ok(made) => made,
            };
            for (at, environment) in made {
                if let Some(key) = &keys[at] {
                    let kept = cache.put(key, &environment.packages);
                    kept.map_err(Error::Cache)?;
                }
                found.insert(self.all.by_step[at].0.clone(), environment);
            }
        }
        self.check(&found)?;
        let packages = found.values().flat_map(|environment| &environment.packages);
        let mut held: BTreeSet<String> = packages
            .flat_map(|package| package.store_paths.iter().cloned())
            .collect();
        held.extend(self.sources(0..self.all.wanted.len()));
        Ok(Resolved {
            environments: found,
            held,
        })
    }

    /// The state of each followed folder that is asked for; none where it cannot be told.
    fn folder_states(&self) -> BTreeMap<&Path, Option<Digest>> {
        let database = self.request.roots.parent();
        let database = database.and_then(|path| path.canonicalize().ok());
        let lock = lock::path_beside(self.request.manifest);
        let lock = lock.canonicalize().unwrap_or(lock);
        let mut except: Vec<&Path> = vec![&lock];
        except.extend(database.as_deref());
        let mut states = BTreeMap::new();
        for wanted in &self.all.wanted {
            if let Source::Folder { path, .. } = &wanted.source {
                states
                    .entry(path.as_path())
                    .or_insert_with(|| folder::state(path, &except));
            }
        }
        states
    }

    /// The key of a step's environment; none if something in it is not fixed.
    fn key(&self, places: &[usize], states: &BTreeMap<&Path, Option<Digest>>) -> Option<Digest> {
        let mut key = Key::new(self.store.as_str());
        for place in places {
            let wanted = &self.all.wanted[*place];
            key.text(b'i', &wanted.text);
            match &wanted.source {
                Source::Pinned { reference, .. } => {
                    key.text(b'r', reference);
                    key.text(b'p', &self.pinned.firm.get(reference)?.canonical());
                }
                Source::Fixed(text) => key.text(b'f', text),
                Source::Folder { path, text } => {
                    key.text(b'a', &path.to_string_lossy());
                    key.text(b't', text);
                    key.text(b's', &states.get(path.as_path()).copied()??.hex());
                }
                Source::Store { path, .. } => key.text(b'x', path.as_str()),
            }
        }
        Some(key.finish())
    }

    /// What the cache has under `key` for the packages at `places`, if it can be that.
    fn kept(
        &self,
        places: &[usize],
        key: Option<&Digest>,
        cache: &dyn Cache,
    ) -> Result<Option<Environment>, Error> {
        let kept = key.and_then(|key| cache.get(key));
        let packages =
            kept.and_then(|kept| cached::checked(kept, places, self.all, self.pinned, self.store));
        packages
            .map(|packages| self.environment(packages))
            .transpose()
    }

    /// With the PATH that these packages make.
    fn environment(&self, packages: Vec<Package>) -> Result<Environment, Error> {
        let paths = packages.iter().map(|one| one.store_paths.as_slice());
        let path = path::additions(self.store, paths)?;
        Ok(Environment { packages, path })
    }

    /// Makes the environments of the steps at `missing`.
    fn make(
        &self,
        missing: &[usize],
        roots: &mut Roots,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<(usize, Environment)>, Error> {
        let places: BTreeSet<usize> = missing
            .iter()
            .flat_map(|at| self.all.by_step[*at].1.iter().copied())
            .collect();
        let places: Vec<usize> = places.into_iter().collect();
        let steps = self.all.steps_of(&places);
        let nix = self.tools.nix(&steps)?;
        self.warn_of_copies(&places, progress);
        let builder = Builder {
            all: self.all,
            base: self.base,
            nix,
            steps: &steps,
            flake: self.generated(&places)?,
        };
        let outputs = builder.outputs(&places, roots, progress)?;
        self.hold_sources(&places, &steps, roots, progress)?;
        let mut words: BTreeMap<usize, Option<String>> = BTreeMap::new();
        for place in &places {
            let pin = self.all.wanted[*place].pin_in_words(&self.pinned.all());
            words.insert(*place, pin);
        }
        let environment = |at: &usize| {
            let entries = &self.all.by_step[*at].1;
            let packages: Vec<Package> = entries
                .iter()
                .map(|place| Package {
                    installable: self.all.wanted[*place].text.clone(),
                    store_paths: outputs[place].clone(),
                    pin: words[place].clone(),
                })
                .collect();
            Ok((*at, self.environment(packages)?))
        };
        missing.iter().map(environment).collect()
    }

    /// Nix is about to copy folders that are no git repositories, with all that is in them.
    fn warn_of_copies(&self, places: &[usize], progress: &mut dyn FnMut(Progress)) {
        let db = self.request.roots.parent();
        let db = db.and_then(|db| db.canonicalize().ok());
        for place in places {
            let wanted = &self.all.wanted[*place];
            if let Source::Folder { path, .. } = &wanted.source
                && let Some(words) = folder::burden(path, db.as_deref())
            {
                progress(Progress::Warning(format!("`{}`: {words}", wanted.text)));
            }
        }
    }

    fn generated(&self, places: &[usize]) -> Result<Option<Generated>, Error> {
        let pins: BTreeMap<&str, &Pin> = places
            .iter()
            .filter_map(|place| match &self.all.wanted[*place].source {
                Source::Pinned { reference, .. } => {
                    Some((reference.as_str(), self.pinned.firm.get(reference)?))
                }
                Source::Fixed(_) | Source::Folder { .. } | Source::Store { .. } => None,
            })
            .collect();
        if pins.is_empty() {
            return Ok(None);
        }
        Generated::locked(pins.into_iter(), self.base)
            .map(Some)
            .map_err(update::temporary)
    }
}
