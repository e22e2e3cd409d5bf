//! Resolves the packages of all steps: pins, cache, what vanished, build, roots.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::AtomicBool;

use crate::core::digest::Digest;
use crate::core::environment::{Environment, Package};
use crate::core::name::StepName;

use super::build::{Builder, call_name};
use super::command::{CallError, Nix};
use super::kept;
use super::key::Key;
use super::lock::{self, Lock};
use super::path;
use super::pins::Generated;
use super::roots::{self, Roots};
use super::sealed;
use super::store_path::{StoreDir, StorePath};
use super::update;
use super::update::Pinned;
use super::wanted::{All, Source};
use super::{Cache, Error, Progress, Request, Resolved, base_of, folder};

/// Resolves the packages of all steps of `request`.
///
/// What `cache` has, is in the store and is held by GC roots costs no process of Nix. Everything
/// else is built or downloaded by one call, before any of it is used.
pub fn resolve(
    request: &Request<'_>,
    cache: &mut dyn Cache,
    progress: &mut dyn FnMut(Progress),
) -> Result<Resolved, Error> {
    if request.steps.is_empty() {
        return Ok(Resolved::default());
    }
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
pub fn known(
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
        if let Some(environment) = session.kept(places, key.as_ref(), cache)?
            && session.gone([&environment]).is_empty()
        {
            found.insert(step.clone(), environment);
        }
    }
    Ok(found)
}

/// The programs of Nix, looked for when the first of them is needed.
pub struct Tools<'a> {
    base: &'a Path,
    store: &'a StoreDir,
    stop: &'a AtomicBool,
    nix: OnceCell<Nix<'a>>,
}

impl<'a> Tools<'a> {
    /// None is looked for yet.
    pub fn new(base: &'a Path, store: &'a StoreDir, stop: &'a AtomicBool) -> Self {
        Self {
            base,
            store,
            stop,
            nix: OnceCell::new(),
        }
    }

    /// What relative references are relative to.
    pub fn base(&self) -> &Path {
        self.base
    }

    /// The programs; `steps` are those that need them.
    pub fn nix(&self, steps: &[StepName]) -> Result<&Nix<'a>, Error> {
        if let Some(nix) = self.nix.get() {
            return Ok(nix);
        }
        let nix = Nix::find(self.base, self.store, self.stop)
            .map_err(|call| Error::of_call(call, steps))?;
        Ok(self.nix.get_or_init(|| nix))
    }
}

/// The pins of all references; those that the lock file lacks are made and written to it, unless
/// that is not allowed.
fn pins(
    request: &Request<'_>,
    all: &All,
    tools: &Tools<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Pinned, Error> {
    let file = lock::path_beside(request.manifest);
    let (read, missing) = recorded(request, all)?;
    let exists = read.is_some();
    let mut lock = read.unwrap_or_default();
    let references = all.references();
    if missing.is_empty() {
        return Ok(Pinned::of(&lock, references.keys().copied()));
    }
    if request.locked {
        return Err(not_locked(request, all, exists, &missing));
    }
    lock::check_place(&file, tools.store)?;
    let made = update::pin(all, tools, &missing, false, progress)?;
    let before = lock.clone();
    for (reference, pin) in &made.firm {
        lock.insert(reference, pin.clone());
    }
    update::drop_unused(&mut lock, all);
    if lock != before || !exists && !made.firm.is_empty() {
        lock.write(&file)?;
    }
    let mut pinned = Pinned::of(&lock, references.keys().copied());
    pinned.loose = made.loose;
    Ok(pinned)
}

/// The lock file, if there is one, and the references that it lacks.
fn recorded<'a>(
    request: &Request<'_>,
    all: &'a All,
) -> Result<(Option<Lock>, Vec<&'a str>), Error> {
    let lock = Lock::read(&lock::path_beside(request.manifest))?;
    let pinned = |reference: &str| {
        lock.as_ref()
            .is_some_and(|lock| lock.get(reference).is_some())
    };
    let references = all.references().into_keys();
    let missing = references.filter(|reference| !pinned(reference)).collect();
    Ok((lock, missing))
}

fn not_locked(request: &Request<'_>, all: &All, exists: bool, missing: &[&str]) -> Error {
    let references = all.references();
    let of = |reference: &&str| {
        let steps = all.steps_of(&references[reference]);
        ((*reference).to_owned(), steps)
    };
    Error::NotLocked {
        lock: lock::path_beside(request.manifest),
        exists,
        references: missing.iter().map(of).collect(),
    }
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
            let made = self.make(&missing, &mut roots, progress)?;
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
            kept.and_then(|kept| kept::checked(kept, places, self.all, self.pinned, self.store));
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

    /// Brings back store paths of known environments that are gone; an environment that cannot be
    /// brought back as it was is taken out, to be made anew.
    fn restore(
        &self,
        found: &mut BTreeMap<StepName, Environment>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), Error> {
        let steps: Vec<StepName> = found.keys().cloned().collect();
        let mut tried = BTreeSet::new();
        loop {
            let gone = self.gone(found.values());
            let gone: Vec<String> = gone.difference(&tried).cloned().collect();
            if gone.is_empty() {
                break;
            }
            self.bring_back(&gone, &steps, progress)?;
            tried.extend(gone);
            // What a package propagates can be read now that it is there.
            for environment in found.values_mut() {
                *environment = self.environment(std::mem::take(&mut environment.packages))?;
            }
        }
        found.retain(|_, environment| self.gone([&*environment]).is_empty());
        Ok(())
    }

    fn bring_back(
        &self,
        gone: &[String],
        steps: &[StepName],
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), Error> {
        let nix = self.tools.nix(steps)?;
        progress(Progress::Line(format!(
            "restoring {} store paths that have vanished",
            gone.len()
        )));
        let invalid = nix
            .invalid(gone)
            .map_err(|call| Error::of_call(call, steps))?;
        let (unknown, damaged): (Vec<_>, Vec<_>) = gone
            .iter()
            .cloned()
            .partition(|path| invalid.contains(path));
        // One by one: what can be had must not fail with what cannot.
        for path in unknown {
            let realised = nix.realise(&[path], None, progress);
            unless_refused(realised.map(|_| ()), steps)?;
        }
        if !damaged.is_empty() {
            unless_refused(nix.repair(&damaged, progress), steps)?;
        }
        Ok(())
    }

    /// The store paths of `environments` at which there is nothing.
    fn gone<'e>(
        &self,
        environments: impl IntoIterator<Item = &'e Environment>,
    ) -> BTreeSet<String> {
        environments
            .into_iter()
            .flat_map(|environment| {
                let packages = environment.packages.iter();
                roots::tops(
                    self.store,
                    packages
                        .flat_map(|p| &p.store_paths)
                        .chain(&environment.path),
                )
            })
            .filter(|path| Path::new(path).symlink_metadata().is_err())
            .collect()
    }

    /// Registers GC roots for the known environments where they are missing.
    fn hold(
        &self,
        found: &BTreeMap<StepName, Environment>,
        roots: &mut Roots,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), Error> {
        let loose: BTreeSet<String> = found
            .values()
            .flat_map(|environment| &environment.packages)
            .flat_map(|package| &package.store_paths)
            .filter(|path| !roots.hold(path))
            .cloned()
            .collect();
        let steps: Vec<StepName> = found.keys().cloned().collect();
        self.root("again", &Vec::from_iter(loose), &steps, roots, progress)
    }

    /// Registers GC roots for valid store paths.
    fn root(
        &self,
        kind: &str,
        paths: &[String],
        steps: &[StepName],
        roots: &mut Roots,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), Error> {
        if paths.is_empty() {
            return Ok(());
        }
        let place = roots.place(&call_name(kind, paths.iter().map(String::as_str)), "path")?;
        self.tools
            .nix(steps)?
            .realise(paths, Some(&place), progress)
            .map_err(|call| Error::of_call(call, steps))?;
        roots.note(paths);
        Ok(())
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

    fn generated(&self, places: &[usize]) -> Result<Option<Generated>, Error> {
        let pins: BTreeMap<&str, &lock::Pin> = places
            .iter()
            .filter_map(|place| match &self.all.wanted[*place].source {
                Source::Pinned { reference, .. } => {
                    Some((reference.as_str(), self.pinned.firm.get(reference)?))
                }
                _ => None,
            })
            .collect();
        if pins.is_empty() {
            return Ok(None);
        }
        Generated::locked(pins.into_iter(), self.base)
            .map(Some)
            .map_err(update::temporary)
    }

    /// Roots for the sources of pinned flakes: they are found in the store again without a network.
    fn hold_sources(
        &self,
        places: &[usize],
        steps: &[StepName],
        roots: &mut Roots,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), Error> {
        let mut sources = self.sources(places.iter().copied());
        sources.retain(|source| !roots.hold(source));
        self.root("sources", &Vec::from_iter(sources), steps, roots, progress)
    }

    /// The sources of the pinned flakes of the packages at `places`, where they are in the store: a
    /// newer Nix may keep them elsewhere.
    fn sources(&self, places: impl Iterator<Item = usize>) -> BTreeSet<String> {
        places
            .filter_map(|place| match &self.all.wanted[place].source {
                Source::Pinned { reference, .. } => self.pinned.firm.get(reference),
                _ => None,
            })
            .filter_map(|pin| self.store.source(pin.text("narHash")?))
            .filter(StorePath::exists)
            .map(|source| source.as_str().to_owned())
            .collect()
    }

    /// No task runs with a path that is not there: the host's program of that name would run.
    fn check(&self, found: &BTreeMap<StepName, Environment>) -> Result<(), Error> {
        let Some(path) = self.gone(found.values()).pop_first() else {
            return Ok(());
        };
        let uses = |environment: &Environment| self.gone([environment]).contains(&path);
        Err(Error::Vanished {
            steps: found
                .iter()
                .filter(|(_, environment)| uses(environment))
                .map(|(step, _)| step.clone())
                .collect(),
            path,
        })
    }
}

/// A refusal is no error here; anything else that keeps Nix from answering is.
fn unless_refused(result: Result<(), CallError>, steps: &[StepName]) -> Result<(), Error> {
    match result {
        Ok(()) | Err(CallError::Failed(_)) => Ok(()),
        Err(call) => Err(Error::of_call(call, steps)),
    }
}
