//! A pipeline as one call sees it: manifest, state, environments, and the steps that come of them.

mod declared;
mod environments;
mod executors;
mod host;
mod limits;
mod params;
mod parts;
mod roots;
mod sandbox;
mod secrets;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use crate::engine::{self, Listener, ReuseRule, ReuseScope, StepPlan};
use crate::exec::local::{Parameters, Runnable, With};
use crate::exec::remote::Posted;
use crate::files;
use crate::manifest::{Cache, Manifest, Step, Texts};
use crate::model::environment::Environment;
use crate::model::event::Event;
use crate::model::identity::{Change, Identity, Tools};
use crate::model::name::StepName;
use crate::model::resources::CPUS;
use crate::model::route::Router;
use crate::model::task::{INPUT_DIR, WITH_DIR, WITH_FILE};
use crate::packages::{self, Closure};
use crate::state::{self, Reader, Registration, Runset, State, StepId, Taint};
use crate::sys::{self, ArgumentLimits};
use crate::text::Shown as _;
use declared::Declared;
use environments::{known, resolve, tools};
pub(crate) use executors::Executors;
use host::HostEnvironment;
pub(crate) use limits::TooLong;
pub(crate) use params::{BadParams, Given, Remember, Values};
pub(crate) use roots::release;
pub(crate) use secrets::{BadSecret, Secrets};

/// A manifest and where it is.
#[derive(Debug)]
pub(crate) struct Source {
    /// The file.
    pub path: PathBuf,
    /// The folder it is in, absolute: where scripts run.
    pub folder: PathBuf,
    /// Its text, and those of its parts.
    pub texts: Texts,
    /// What it says.
    pub manifest: Manifest,
    /// Where outputs go.
    pub router: Router,
    /// The values of its parameters; without any before they are resolved.
    pub params: Values,
    /// Its secrets; none before they are given.
    pub secrets: Secrets,
    /// Where its tasks are carried out; here, before that is said.
    pub executors: Executors,
    /// Set when the user wants an end.
    pub stop: Arc<AtomicBool>,
    /// Told of files that take long to read.
    pub tell: Option<files::Tell>,
}

/// A manifest that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    /// It cannot be read.
    #[error("cannot read the manifest {}: {source}", path.shown())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something in it is too long to be passed to a program: all of that.
    #[error("{}", lines(.0))]
    TooLong(Vec<TooLong>),
    /// It has errors: all of them, each with its place.
    #[error("{rendered}")]
    Bad {
        /// The file.
        path: PathBuf,
        /// The errors.
        rendered: String,
        /// How many.
        count: usize,
    },
}

impl Source {
    /// The files of a manifest beside its own; none where they cannot be read.
    pub(crate) fn parts_of(path: &Path) -> Vec<PathBuf> {
        let texts = parts::load(path).map(|(texts, _)| texts);
        let texts = texts.iter().flat_map(Texts::paths).skip(1);
        texts.map(Path::to_owned).collect()
    }

    /// Reads a manifest, and its parts.
    pub(crate) fn load(path: &Path) -> Result<Self, SourceError> {
        let (texts, folder) = parts::load(path)?;
        let manifest = Manifest::read(&texts).map_err(|errors| SourceError::Bad {
            path: path.to_owned(),
            rendered: texts.render(&errors),
            count: errors.len(),
        })?;
        let limits = ArgumentLimits::here();
        let steps = manifest.steps.iter();
        let too_long: Vec<_> = steps
            .flat_map(|step| limits::of_step(step, &limits))
            .collect();
        if !too_long.is_empty() {
            return Err(SourceError::TooLong(too_long));
        }
        Ok(Self {
            path: path.to_owned(),
            folder,
            router: manifest.routes(),
            manifest,
            texts,
            params: Values::default(),
            secrets: Secrets::default(),
            executors: Executors::default(),
            stop: Arc::default(),
            tell: None,
        })
    }
}

fn lines(too_long: &[TooLong]) -> String {
    let lines: Vec<String> = too_long.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// How packages are had.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PackageOptions<'a> {
    /// The host's PATH in place of packages.
    pub host: bool,
    /// A lock file that is missing or stale is an error.
    pub locked: bool,
    /// Set when the user wants an end.
    pub stop: &'a AtomicBool,
}

/// A failure before anything runs.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The state.
    #[error(transparent)]
    State(#[from] state::Error),
    /// The packages.
    #[error(transparent)]
    Environment(packages::Error),
    /// What a step's tasks are started with is too long, with the variables of the host.
    #[error("{0}")]
    TooLong(TooLong),
    /// What the manifest names is not as it has to be.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The bytes of a file could not be kept.
    #[error(transparent)]
    Files(#[from] files::Error),
}

impl From<packages::Error> for Error {
    fn from(error: packages::Error) -> Self {
        // What is known of packages is kept in the state.
        let packages::Error::Cache(error) = error else {
            return Self::Environment(error);
        };
        match error.downcast() {
            Ok(error) => Self::State(*error),
            Err(error) => Self::Environment(packages::Error::Cache(error)),
        }
    }
}

/// What can be told of the packages of the steps without Nix: by one who only looks, perhaps at a
/// folder that somebody else made.
pub(crate) struct Known {
    environments: BTreeMap<StepName, Environment>,
    /// Steps whose packages are not resolved yet.
    pub unresolved: Vec<StepName>,
    host: bool,
}

impl Known {
    /// A step's packages, if they are resolved.
    pub(crate) fn environment(&self, step: &StepName) -> Option<&Environment> {
        self.environments.get(step)
    }

    /// What earlier runs resolved and is in the store.
    pub(crate) fn of(
        source: &Source,
        state: &mut State,
        supply: PackageOptions,
    ) -> Result<Self, Error> {
        let environments = if supply.host {
            BTreeMap::new()
        } else {
            known(source, state, supply)?
        };
        let steps = source.manifest.steps.iter();
        let unresolved = steps
            .filter(|step| !supply.host && !step.packages.is_empty())
            .filter(|step| !environments.contains_key(&step.name))
            .map(|step| step.name.clone())
            .collect();
        Ok(Self {
            environments,
            unresolved,
            host: supply.host,
        })
    }
}

/// The pipeline's steps as registered, ready to run.
#[derive(Debug)]
pub(crate) struct Steps {
    /// In the order of the manifest.
    pub all: Vec<Arc<StepPlan>>,
    /// The same, as this machine runs their scripts.
    pub runnable: Arc<[Arc<Runnable>]>,
    /// The same, as others are told them; none of those that run here.
    pub posted: Vec<Option<Posted>>,
    /// What is known of files of the host; none where no step declares any.
    pub known_files: Option<files::Known>,
    /// To tell what changed in the files of steps.
    pub texts: files::Texts,
    /// By input, the folders with programs that its command finds before the host's; none where
    /// packages are not resolved.
    pub programs: Vec<Option<Vec<String>>>,
}

impl Steps {
    /// Resolves what is not resolved yet, and registers each step as it is now, in a group of writes
    /// that stays open. These runsets remember what parameters are given, as soon as there are versions that
    /// were made of them.
    pub(crate) fn register(
        source: &Source,
        state: &mut State,
        remember: &Remember,
        supply: PackageOptions,
        listener: &mut Listener,
    ) -> Result<Self, Error> {
        let resolved = resolve(source, state, supply, listener)?;
        let tools = |step: &Step| tools(step, &resolved.environments, supply.host);
        let closures =
            environments::closures(source, state, &resolved.environments, Some(supply.stop))?;
        let mut steps = Self::with(source, state, &tools, &closures, listener)?;
        remember.record(&source.params.given, state)?;
        steps.programs = environments::programs(source, &resolved.environments, supply.host);
        if !supply.host {
            roots::keep(source, state, &resolved.held, listener)?;
        }
        Ok(steps)
    }

    /// Registers each step as [`Steps::register`] would, as far as that is known without Nix. A
    /// step whose packages are not resolved yet keeps those that it had: `state` is to be a copy
    /// then.
    pub(crate) fn without_registering(
        source: &Source,
        state: &mut State,
        known: &Known,
        listener: &mut Listener,
    ) -> Result<Self, Error> {
        let mut before = BTreeMap::new();
        for step in &known.unresolved {
            let current = state.current_version(step.as_str())?;
            if let Some(identity) = current.and_then(|current| current.identity) {
                before.insert(step.clone(), identity.tools);
            }
        }
        let tools = |step: &Step| match before.get(&step.name) {
            Some(before) => before.clone(),
            None => tools(step, &known.environments, known.host),
        };
        let closures = environments::closures(source, state, &known.environments, None)?;
        let mut steps = Self::with(source, state, &tools, &closures, listener)?;
        steps.programs = environments::programs(source, &known.environments, known.host);
        Ok(steps)
    }

    fn with(
        source: &Source,
        state: &mut State,
        tools: &dyn Fn(&Step) -> Tools,
        closures: &BTreeMap<StepName, Closure>,
        listener: &mut Listener,
    ) -> Result<Self, Error> {
        let now = sys::now().as_millisecond();
        let mut surroundings = HostEnvironment::of_host(&source.folder, source.secrets.hidden());
        let limits = ArgumentLimits::here();
        let (mut all, mut runnable, mut posted) = (Vec::new(), Vec::new(), Vec::new());
        let mut declared = Declared::take(source, state)?;
        // One transaction for all, and for what the caller writes besides: each statement by itself
        // would take and leave the file's locks.
        state.group()?;
        declared.record(source, state)?;
        if let Some(too_long) = limits::of_params(&source.params, &limits) {
            return Err(Error::TooLong(too_long));
        }
        let (is_param, known) = (|name: &str| source.params.has(name), state.known_steps()?);
        for (queue, step) in source.manifest.steps.iter().enumerate() {
            let files = declared.of(queue);
            let mut identity =
                engine::identity(step, tools(step), &|name| surroundings.digest(name));
            identity.files = files.map(|taken| taken.files.clone());
            let of_params = source.params.of_step(step, &mut identity);
            let secrets = sandbox::secrets_of(source, step);
            let cpus = step.cpus.map(|cpus| (CPUS, cpus.to_string()));
            let parameters = Parameters {
                secrets: &secrets,
                resources: cpus.as_slice(),
                given: &of_params,
                declared: Some(&is_param),
            };
            let parallel = step.parallel.map(std::num::NonZeroU32::get);
            let mut registered =
                state.register(&known, &step.name, &identity, step.start, parallel, now)?;
            declared.texts.name(&mut registered.changes);
            if registered.new || registered.again {
                listener(&Event::Version {
                    step: &step.name,
                    version: registered.version,
                    again: registered.again,
                    changes: &registered.changes,
                });
            }
            let variables = surroundings.variables(&identity, parameters);
            if let Some(too_long) = limits::together(step, variables.iter(), &limits) {
                return Err(Error::TooLong(too_long));
            }
            let arguments = step.shell[1..].iter().chain([&step.script]);
            let program = surroundings.program(&step.shell[0], &variables);
            let of_packages = closures.get(&step.name);
            let files = files.map(|files| &**files);
            let sandbox = sandbox::of_step(source, step, &identity, (files, of_packages), &program);
            all.push(Arc::new(plan(
                source,
                (queue, step),
                &registered,
                (&identity, &of_params),
                now,
            )));
            posted.push(executors::posted(
                source,
                (queue, step),
                registered.version,
                (&identity, &of_params),
                of_packages,
                surroundings.host(),
            ));
            runnable.push(Arc::new(Runnable {
                queue,
                name: step.name.clone(),
                version: registered.version,
                outputs: step.outputs.clone(),
                folders: step.folders,
                timeout: step.timeout,
                program,
                wants_warm: step.warm,
                warm: OnceLock::new(),
                arguments: arguments.map(Into::into).collect(),
                variables,
                folder: source.folder.clone(),
                // What the script calls may use it unseen, and would use `/` in its place.
                input_dir: identity.mentions(INPUT_DIR) || source.manifest.brings_files(&step.name),
                with_dir: (!step.with.is_empty()
                    && (identity.mentions(WITH_DIR) || identity.mentions(WITH_FILE)))
                .then(|| With {
                    steps: step.with.clone().into(),
                    each: step.each,
                }),
                key: identity.reads_key(),
                checkpoint: step.checkpoint.is_kept(),
                gpus: step.gpus > 0,
                measured: step.cpus.is_some() || step.memory.is_some(),
                direct: OnceLock::new(),
                instead: identity.tools == Tools::HostInstead,
                files: files.map(|taken| Arc::clone(&taken.watch)),
                sandbox,
                mask: source.secrets.mask().cloned(),
            }));
        }
        Ok(Self {
            all,
            runnable: runnable.into(),
            posted,
            known_files: declared.known,
            texts: declared.texts,
            programs: Vec::new(),
        })
    }

    /// The step called `name`.
    pub(crate) fn named(&self, name: &str) -> Option<&Arc<StepPlan>> {
        self.all.iter().find(|step| step.name.as_str() == name)
    }

    /// The versions that would leave the same for the same input if they ran today, for certain, with the names of their
    /// steps. What other steps get besides their inputs is not made again, nor what comes of packages that are not
    /// resolved.
    pub(crate) fn steady(&self, unresolved: &[StepName]) -> HashMap<StepId, StepName> {
        let gives = |name: &StepName| self.all.iter().any(|step| step.with.contains(name));
        let steady = self
            .all
            .iter()
            .filter(|step| step.steady && !gives(&step.name) && !unresolved.contains(&step.name));
        let versions = steady.flat_map(|step| {
            let equal = step.equal.iter();
            equal.map(|version| (*version, step.name.clone()))
        });
        versions.collect()
    }

    /// The rows of all current versions.
    pub(crate) fn current(&self) -> Vec<StepId> {
        self.all.iter().map(|step| step.id).collect()
    }

    /// Steps with finished tasks of another version in the runset: how many, and what changed
    /// since the oldest of them.
    pub(crate) fn tainted(
        &self,
        state: &Reader,
        runset: &Runset,
    ) -> Result<Vec<(StepName, i64, Vec<Change>)>, state::Error> {
        let mut finished: HashMap<StepName, Vec<Taint>> = HashMap::new();
        for one in state.finished(runset.id)? {
            finished.entry(one.name.clone()).or_default().push(one);
        }
        let mut tainted = Vec::new();
        for step in &self.all {
            let mut older = finished.remove(step.name.as_str()).unwrap_or_default();
            older.retain(|one| !step.equal.contains(&one.step));
            let Some(oldest) = older.first() else {
                continue;
            };
            let versions = state.versions(step.name.as_str())?;
            let identity = |id: StepId| {
                versions
                    .iter()
                    .find(|version| version.id == id)
                    .and_then(|version| version.identity.as_ref())
            };
            let changes = match (identity(step.id), identity(oldest.step)) {
                (Some(new), Some(old)) => {
                    let mut changes = new.changes_since(old);
                    self.texts.name(&mut changes);
                    changes
                }
                _ => Vec::new(),
            };
            let count = older.iter().map(|taint| taint.count).sum();
            tainted.push((step.name.clone(), count, changes));
        }
        Ok(tainted)
    }
}

/// What the scheduler is to know of a step.
fn plan(
    source: &Source,
    (queue, step): (usize, &Step),
    registered: &Registration,
    (identity, params): (&Identity, &[(&str, &str)]),
    now: i64,
) -> StepPlan {
    let lent = source.manifest.lends_to(&step.name);
    let reuse_rule = engine::reuse_rule(step, identity, lent);
    let is_volatile = |(name, _): &(&str, &str)| source.params.is_volatile(name);
    StepPlan {
        queue,
        name: step.name.clone(),
        id: registered.id,
        equal: registered.equal.clone(),
        version: registered.version,
        steady: step.cache == Cache::Always
            && reuse_rule != ReuseRule::Never
            && step.secrets.is_empty()
            && !step.network
            && !params.iter().any(is_volatile),
        reuse_rule,
        scope: ReuseScope::of(step.cache, now),
        outputs: step.outputs.clone(),
        folders: step.folders,
        checkpoint: step.checkpoint,
        parallel: step
            .parallel
            .and_then(|most| usize::try_from(most.get()).ok()),
        resources: step.resources(),
        place: source.executors.place(queue),
        retries: step.retries.count,
        pauses: step.retries.pauses(step.retry_delay),
        rounds: step.rounds,
        gather: step.gather,
        partial: step.partial,
        empty: step.empty,
        from: step.from.clone(),
        with: step.with.clone(),
        each: step.each,
        reads_key: identity.reads_key() || lent,
        lacks: source.secrets.lacking(&step.secrets),
        share: engine::share_terms(step, identity, reuse_rule).map(Arc::new),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_one_also_where_it_is_packages_that_cannot_be_kept() {
        let full = || state::Error::Full(PathBuf::from("db"));
        let told = Error::from(packages::Error::Cache(Box::new(full())));
        assert!(matches!(told, Error::State(error) if error.hint() == full().hint()));
    }
}
