//! What the manifest and the db at hand know by name.

use std::cell::OnceCell;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Deref;
use std::path::{Path, PathBuf};

use clap::Arg;

use super::Offer;
use crate::cli::counts;
use crate::cli::init;
use crate::cli::part::name_of;
use crate::cli::select::ALL;
use crate::cli::tasks::state_in_words;
use crate::manifest::{Manifest, Way};
use crate::model::entry::EntryName;
use crate::model::param::ParamType;
use crate::model::task::{TaskCounts, TaskId};
use crate::prepare::Source;
use crate::state::{self, Reader, Runset, TaskRow};
use crate::text::visible;

/// How many are offered at most of what there can be very many.
const TASKS: usize = 50;
const RUNSETS: usize = 100;
const NAMES: usize = 200;
const OBJECTS: u32 = 20;

/// One who is asked.
type State = Box<dyn Deref<Target = Reader>>;

/// The manifest and the db that the line is about, which are looked at once they are asked.
pub(super) struct Known {
    manifest_path: Option<PathBuf>,
    db: PathBuf,
    /// What is said to be the runset.
    runset: Option<String>,
    manifest: OnceCell<Option<Manifest>>,
    state: OnceCell<Option<State>>,
}

/// Of what kind a word is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Step,
    Task,
    Runset,
    /// A final output.
    Output,
    /// What the task left that stands before.
    Left,
    /// An object.
    Hash,
    Input,
    Executor,
    Template,
    /// What the lock file pins.
    Package,
    /// The address of a cache.
    Cache,
}

impl Kind {
    /// Of what stands behind the option of the subcommand, or in that place.
    pub(super) fn of(subcommand: &str, option: &Arg) -> Vec<Self> {
        match option.get_long() {
            Some("runset") => return vec![Self::Runset],
            Some("executor") => return vec![Self::Executor],
            _ => {}
        }
        let names = option.get_value_names().unwrap_or_default();
        let names = names.iter().flat_map(|name| name.split('|'));
        let kinds = names.filter_map(|name| {
            Some(match (subcommand, name) {
                (_, "STEP") => vec![Self::Step],
                (_, "TASK") => vec![Self::Task],
                (_, "OUTPUT") => vec![Self::Output],
                (_, "HASH") => vec![Self::Hash],
                (_, "INPUT") => vec![Self::Input],
                (_, "TEMPLATE") => vec![Self::Template],
                (_, "URL") => vec![Self::Cache],
                ("export", "NAME") => vec![Self::Output, Self::Step],
                ("lock", "NAME") => vec![Self::Package],
                ("cat", "NAME") => vec![Self::Left],
                _ => return None,
            })
        });
        kinds.flatten().collect()
    }
}

impl Known {
    /// What is there.
    pub(super) fn at(manifest: Option<PathBuf>, db: PathBuf) -> Self {
        Self {
            manifest_path: manifest,
            db,
            runset: None,
            manifest: OnceCell::new(),
            state: OnceCell::new(),
        }
    }

    /// These, whatever is there.
    #[cfg(test)]
    pub(super) fn with(manifest: Option<Manifest>, state: Option<State>) -> Self {
        Self {
            manifest: manifest.into(),
            state: state.into(),
            ..Self::at(None, "/nowhere".into())
        }
    }

    /// The option has that value on the line.
    pub(super) fn told(&mut self, option: &Arg, value: &str) {
        match option.get_long() {
            Some("manifest") => self.manifest_path = Some(at_home(value)),
            Some("db") => self.db = at_home(value),
            Some("runset") => self.runset = Some(value.to_owned()),
            _ => {}
        }
    }

    fn manifest(&self) -> Option<&Manifest> {
        let read = || {
            let source = Source::load(self.manifest_path.as_deref()?).ok()?;
            Some(source.manifest)
        };
        self.manifest.get_or_init(read).as_ref()
    }

    fn state(&self) -> Option<&Reader> {
        let open = || {
            let reader = Reader::open_for_a_moment(&self.db).ok()?;
            Some(Box::new(Box::new(reader)) as State)
        };
        let state = self.state.get_or_init(open);
        state.as_ref().map(|state| &***state)
    }

    /// The runset that is meant; none if it is every one.
    fn runset(&self, state: &Reader) -> Result<Option<Runset>, state::Error> {
        match self.runset.as_deref() {
            Some(ALL) => Ok(None),
            Some(name) => state.runset(name),
            None => state.newest_runset(),
        }
    }

    /// What `ask` has of the db; nothing where that cannot be read.
    fn asked<T>(&self, ask: impl FnOnce(&Reader) -> Result<Vec<T>, state::Error>) -> Vec<T> {
        let state = self.state();
        state.and_then(|state| ask(state).ok()).unwrap_or_default()
    }

    /// Those of these kinds that begin so. `before`: the words that stand before.
    pub(super) fn offers(&self, kinds: &[Kind], begun: &str, before: &[String]) -> Vec<Offer> {
        let of = |kind: &Kind| match kind {
            Kind::Step => self.steps(),
            Kind::Task => {
                // Behind a step, one of its.
                let step = before.first().filter(|_| kinds == [Kind::Task]);
                self.tasks(step.map(String::as_str), begun)
            }
            Kind::Runset => self.runsets(begun),
            Kind::Output => self.finals(begun),
            Kind::Left => before.first().map_or_else(Vec::new, |task| self.left(task)),
            Kind::Hash => self.objects(begun),
            Kind::Input => self.inputs(begun),
            Kind::Executor => self.executors(),
            Kind::Template => templates(),
            Kind::Package => self.packages(),
            Kind::Cache => self.caches(),
        };
        kinds.iter().flat_map(of).collect()
    }

    /// What can be given by an option that takes `NAME=VALUE`.
    pub(super) fn names(&self, option: &Arg) -> Vec<Offer> {
        let Some(manifest) = self.manifest() else {
            return Vec::new();
        };
        let offer = |name: &String, help: String| Offer::word(format!("{name}="), help);
        match option.get_long() {
            Some("param") => {
                let params = manifest.params.iter();
                params
                    .map(|(name, param)| offer(name, visible(&param.in_words())))
                    .collect()
            }
            Some("limit") => {
                let limits = manifest.limits.iter();
                limits
                    .map(|(name, most)| offer(name, format!("{most} in the manifest")))
                    .collect()
            }
            _ => {
                let steps = manifest.steps.iter();
                let secrets: BTreeSet<&String> = steps.flat_map(|step| &step.secrets).collect();
                let secrets = secrets.into_iter();
                secrets
                    .map(|name| offer(name, "secret".to_owned()))
                    .collect()
            }
        }
    }

    /// What can stand behind that name and `=`, with both.
    pub(super) fn values_of(&self, option: &Arg, name: &str) -> Vec<Offer> {
        match option.get_long() {
            Some("param") => {}
            Some("limit") => return Vec::new(),
            _ => return vec![Offer::FilesBehind],
        }
        let manifest = self.manifest();
        let param = manifest.and_then(|manifest| manifest.params.get(name));
        let values = param.map_or_else(Vec::new, |param| match param.kind {
            ParamType::Flag => vec!["true".to_owned(), "false".to_owned()],
            ParamType::Text | ParamType::Whole | ParamType::Decimal => param.values.clone(),
        });
        let values = values.into_iter();
        values
            .map(|value| Offer::word(format!("{name}={value}"), name))
            .collect()
    }

    /// Those of the manifest, and those that only the db has.
    fn steps(&self) -> Vec<Offer> {
        let counted = self.asked(|state| {
            let counts = match self.runset(state)? {
                Some(runset) => counts::by_name(state, &state.tallies(runset.id)?)?,
                None => HashMap::new(),
            };
            let names = state.step_names()?.into_iter();
            let counted = names.map(|name| {
                let counts = counts.get(&name).copied().unwrap_or_default();
                (name.to_string(), counts)
            });
            Ok(counted.collect())
        });
        let steps = self.manifest().map_or(&[][..], |manifest| &manifest.steps);
        let own: HashSet<&str> = steps.iter().map(|step| step.name.as_str()).collect();
        let of_all = self.runset.as_deref() == Some(ALL);
        let gone = counted
            .iter()
            .filter(|(name, counts)| !own.contains(name.as_str()) && (of_all || !counts.is_zero()));
        let offer = |name: &str| {
            let counts = counted.iter().find(|(counted, _)| counted == name);
            Offer::word(name, in_words("step", counts.map(|(_, counts)| *counts)))
        };
        let own = steps.iter().map(|step| offer(&step.name));
        own.chain(gone.map(|(name, _)| offer(name))).collect()
    }

    /// Those that failed, and then the newest.
    fn tasks(&self, step: Option<&str>, begun: &str) -> Vec<Offer> {
        if !begun.bytes().all(|byte| byte.is_ascii_digit()) {
            return Vec::new();
        }
        let tasks = self.asked(|state| {
            let runset = self.runset(state)?.map(|runset| runset.name);
            let runset = runset.as_deref();
            let mut tasks = state.failed_begun(runset, step, begun, TASKS)?;
            let known: HashSet<TaskId> = tasks.iter().map(|row| row.id).collect();
            let newest = state.tasks_begun(runset, step, begun, TASKS)?;
            tasks.extend(newest.into_iter().filter(|row| !known.contains(&row.id)));
            Ok(tasks)
        });
        let offer = |row: TaskRow| {
            let step = row.step.as_ref().map(|step| visible(&step.name));
            let on = row.name.as_ref().map_or_else(String::new, |name| {
                format!(" on {}{}", visible(name), row.form.slash())
            });
            let help = format!("{}{on}: {}", step.unwrap_or_default(), state_in_words(&row));
            Offer::word(row.id.to_string(), help)
        };
        tasks.into_iter().map(offer).collect()
    }

    fn runsets(&self, begun: &str) -> Vec<Offer> {
        let runsets = self.asked(|state| {
            let runsets = state.runsets_begun(begun, RUNSETS)?.into_iter();
            let counted = runsets.map(|runset| {
                let mut counts = TaskCounts::default();
                for (step, own) in state.tallies(runset.id)? {
                    if step != state::StepId::FINAL {
                        counts += own;
                    }
                }
                Ok((runset.name, counts))
            });
            counted.collect()
        });
        let runsets = runsets.into_iter();
        runsets
            .map(|(name, counts)| Offer::word(name, in_words("runset", Some(counts))))
            .chain([Offer::word(ALL, "every runset")])
            .collect()
    }

    fn finals(&self, begun: &str) -> Vec<Offer> {
        let names = self.asked(|state| {
            let runset = self.runset(state)?.map(|runset| runset.name);
            state.finals_begun(runset.as_deref(), begun, NAMES)
        });
        let names = names.into_iter();
        names.map(|name| Offer::word(name, "output")).collect()
    }

    /// What the task left.
    fn left(&self, task: &str) -> Vec<Offer> {
        let Ok(task) = task.trim_start_matches('#').parse() else {
            return Vec::new();
        };
        let names = self.asked(|state| {
            let mut names = Vec::new();
            state.outputs_behind(TaskId(task), TaskId(0), NAMES, |name, _, form| {
                names.extend(name.map(|name| format!("{}{}", &**name, form.slash())));
            })?;
            Ok(names)
        });
        let names = names.into_iter();
        names
            .map(|name| Offer::word(name, "what it left"))
            .collect()
    }

    /// Of which enough is there to tell them from numbers.
    fn objects(&self, begun: &str) -> Vec<Offer> {
        const LEAST: usize = 4;
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if begun.len() < LEAST || !begun.bytes().all(is_digit) {
            return Vec::new();
        }
        let objects = self.asked(|state| state.objects_starting(begun, OBJECTS));
        let objects = objects.into_iter();
        objects
            .map(|object| Offer::word(object.to_string(), "object"))
            .collect()
    }

    /// What came in so far; files, where nothing did.
    fn inputs(&self, begun: &str) -> Vec<Offer> {
        /// No text comes behind that.
        const LAST: char = '\u{10ffff}';
        let names = self.asked(|state| {
            let Some(runset) = self.runset(state)? else {
                return Ok(Vec::new());
            };
            let files = EntryName::File(begun.to_owned()).to_text();
            let end_of_files = format!("{files}{LAST}");
            let others = EntryName::of_lines(0);
            let end = LAST.to_string();
            // A name that several steps take stands there once for each.
            let mut last = None;
            let mut once = |name: &str| {
                let new = last.as_deref() != Some(name);
                last = Some(name.to_owned());
                new.then(|| name.to_owned())
            };
            let mut names = Vec::new();
            for range in [&*files..&*end_of_files, &*others..&*end] {
                names.extend(state.entries_with(&runset, range, begun, NAMES, |entry| {
                    let name = EntryName::parse(entry)?;
                    let name = name_of(&name);
                    name.starts_with(begun).then(|| once(name))?
                })?);
            }
            Ok(names)
        });
        if names.is_empty() {
            return vec![Offer::Files];
        }
        let names = names.into_iter();
        names.map(|name| Offer::word(name, "input")).collect()
    }

    fn executors(&self) -> Vec<Offer> {
        let executors = self.manifest().into_iter().flat_map(|own| &own.executors);
        let own = executors.map(|(name, executor)| {
            let how = match executor.way {
                Way::Start(_) => "workers by a command",
                Way::Ssh(_) => "workers by ssh",
                Way::Slurm(_) => "workers on Slurm",
            };
            Offer::word(name, how)
        });
        let always = [
            Offer::word("local", "this machine"),
            Offer::word("child:", "workers on this machine: their number"),
            Offer::word("ssh:", "workers on these machines"),
            Offer::word("slurm", "workers on Slurm"),
        ];
        own.chain(always).collect()
    }

    /// Packages by their names, and what all of them come from.
    fn packages(&self) -> Vec<Offer> {
        let Some(manifest) = self.manifest() else {
            return Vec::new();
        };
        let packages = manifest.with_packages().into_iter();
        let names: BTreeSet<String> = packages
            .flat_map(|(_, packages)| packages.iter().map(ToString::to_string))
            .collect();
        let own = names.into_iter().map(|name| Offer::word(name, "package"));
        let nixpkgs = Offer::word("nixpkgs", visible(&manifest.nix.nixpkgs));
        std::iter::once(nixpkgs).chain(own).collect()
    }

    /// Those of the manifest, and how others begin.
    fn caches(&self) -> Vec<Offer> {
        let kinds = [
            ("file:///", "a folder"),
            ("s3://", "a bucket"),
            ("https://", "on the web"),
        ];
        let kinds = kinds.map(|(start, what)| Offer::word(start, what));
        let own = self.manifest().into_iter().flat_map(|manifest| {
            let caches = manifest.cache.urls.iter();
            caches.map(|cache| Offer::word(cache.to_string(), "of the manifest"))
        });
        own.chain(kinds).collect()
    }
}

fn templates() -> Vec<Offer> {
    let templates = init::KNOWN.into_iter();
    templates
        .map(|(name, what)| Offer::word(name, what))
        .collect()
}

/// What of it there is.
fn in_words(what: &str, counts: Option<TaskCounts>) -> String {
    let counts = counts.unwrap_or_default();
    let parts = [
        (counts.failed, "failed"),
        (counts.pending, "pending"),
        (counts.finished(), "done"),
    ];
    let parts = parts.into_iter().filter(|(number, _)| *number > 0);
    let parts: Vec<String> = parts
        .map(|(number, state)| format!("{number} {state}"))
        .collect();
    if parts.is_empty() {
        what.to_owned()
    } else {
        format!("{what}: {}", parts.join(", "))
    }
}

/// The path, where the shell has left a `~`.
fn at_home(path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        _ => path.into(),
    }
}

/// Whether what stands behind the option is `NAME=VALUE`.
pub(super) fn takes_pair(option: &Arg) -> bool {
    let names = option.get_value_names().unwrap_or_default();
    names.iter().any(|name| name.starts_with("NAME="))
}
