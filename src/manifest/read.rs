//! The fields of one table, each read by its own rule.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use super::amounts::{self, Uses};
use super::cache::{self, Cache};
use super::checkpoint;
use super::field::{Field, Place};
use super::gather;
use super::kept::{self, KeptBytes};
use super::publish;
use super::retries::{self, Retries};
use super::unknown;
use super::value::{Item, Reader, list};
use super::variables;
use super::{NixSettings, Placed, Step};
use crate::manifest::diagnostic::Diagnostic;
use crate::model::checkpoint::Checkpoint;
use crate::model::executor::LOCAL;
use crate::model::glob::Glob;
use crate::model::installable::{self, BadInstallable, Installable};
use crate::model::name::StepName;
use crate::model::promise::Pattern;
use crate::model::publish::Publish;
use crate::model::resources::Memory;
use crate::model::shared::Address;
use crate::text::quoted;

/// What one table sets; `None` for what it leaves open, or sets wrongly.
#[derive(Default)]
pub(super) struct Fields {
    /// The table in words, for messages.
    pub label: String,
    /// The keys that are there, with the place of their values; misspelt ones are the last.
    pub seen: Vec<(Field, Range<usize>)>,
    pub name: Option<StepName>,
    pub start: Option<bool>,
    pub script: Option<String>,
    pub packages: Option<Vec<Installable>>,
    pub files: Vec<Placed<Glob>>,
    pub env: BTreeMap<String, String>,
    pub shell: Option<Vec<String>>,
    pub pure: Option<bool>,
    pub keep: Option<Vec<String>>,
    pub params: Option<Vec<Placed<String>>>,
    pub secrets: Option<Vec<String>>,
    pub outputs: Option<Arc<[Pattern]>>,
    pub folders: Option<bool>,
    pub parallel: Option<NonZeroU32>,
    pub cpus: Option<NonZeroU32>,
    pub memory: Option<Memory>,
    pub gpus: Option<u32>,
    pub uses: Option<Uses>,
    pub timeout: Option<Duration>,
    pub retries: Option<Retries>,
    pub retry_delay: Option<Duration>,
    pub rounds: Option<u32>,
    pub cache: Option<Cache>,
    pub checkpoint: Option<Checkpoint>,
    pub executor_secrets: Option<bool>,
    pub share: Option<bool>,
    pub publish: Option<Publish>,
    pub warm: Option<bool>,
    pub executor: Option<Placed<String>>,
    pub sandbox: Option<bool>,
    pub network: Option<bool>,
    pub gather: Option<gather::Said>,
    pub from: Option<Vec<Placed<String>>>,
    pub with: Option<Vec<Placed<String>>>,
    pub each: Option<bool>,
    pub partial: Option<bool>,
    pub empty: Option<bool>,
    pub nixpkgs: Option<String>,
    pub keep_runsets: Option<u32>,
    pub keep_bytes: Option<KeptBytes>,
    pub urls: Option<Vec<Address>>,
    pub dir: Option<String>,
}

impl Fields {
    /// Reads the table at `place`.
    pub(super) fn read(reader: &mut Reader<'_>, place: Place, table: &DeTable<'_>) -> Self {
        let label = label(place, table);
        let mut fields = Self::default();
        let seen = unknown::each_key(reader, place, &label, table, |reader, field, item| {
            fields.field(reader, field, item);
        });
        Self {
            label,
            seen,
            ..fields
        }
    }

    /// The place of a field's value, if the field is there, right or wrong.
    pub(super) fn place(&self, field: Field) -> Option<Range<usize>> {
        let (_, span) = self.seen.iter().find(|(seen, _)| *seen == field)?;
        Some(span.clone())
    }

    fn field(&mut self, reader: &mut Reader<'_>, field: Field, item: &Item<'_>) {
        let what = format!("`{}`", field.key());
        match field {
            Field::Name => self.name = name(reader, &what, item),
            Field::Start => self.start = reader.flag(&what, item),
            Field::Script => self.script = script(reader, &what, item),
            Field::Packages => self.packages = packages(reader, &what, item),
            Field::Files => self.files = globs(reader, &what, item),
            Field::Env => self.env = variables::set(reader, &what, item),
            Field::Shell => self.shell = shell(reader, &what, item),
            Field::Pure => self.pure = reader.flag(&what, item),
            Field::Keep => self.keep = variables::kept(reader, &what, item),
            Field::Params => self.params = placed(reader, &what, item),
            Field::Secrets => self.secrets = variables::secrets(reader, &what, item),
            Field::Outputs => self.outputs = outputs(reader, &what, item),
            Field::Folders => self.folders = reader.flag(&what, item),
            Field::Parallel => {
                self.parallel = reader.count(&what, 1, item).and_then(NonZeroU32::new);
            }
            Field::Cpus => self.cpus = reader.count(&what, 1, item).and_then(NonZeroU32::new),
            Field::Memory => self.memory = amounts::memory(reader, &what, item),
            Field::Gpus => self.gpus = reader.count(&what, 0, item),
            Field::Uses => self.uses = amounts::uses(reader, &what, item),
            Field::Timeout => {
                self.timeout = reader.duration(&what, "for no limit, leave the key out", item);
            }
            Field::Retries => self.retries = retries::read(reader, &what, item),
            Field::RetryDelay => {
                self.retry_delay = reader.duration(&what, "for the shortest: \"1ms\"", item);
            }
            Field::Rounds => self.rounds = reader.count(&what, 1, item),
            Field::Cache => self.cache = cache::read(reader, &what, item),
            Field::Checkpoint => self.checkpoint = checkpoint::read(reader, &what, item),
            Field::Executor => {
                let value = reader.string(&what, item);
                let at = reader.inside(item);
                self.executor = value.map(|value| Placed { value, at });
            }
            Field::ExecutorSecrets => self.executor_secrets = reader.flag(&what, item),
            Field::Share => self.share = reader.flag(&what, item),
            Field::Publish => self.publish = publish::read(reader, &what, item),
            Field::Warm => self.warm = reader.flag(&what, item),
            Field::Sandbox => self.sandbox = reader.flag(&what, item),
            Field::Network => self.network = reader.flag(&what, item),
            Field::Gather => self.gather = gather::read(reader, &what, item),
            Field::From => self.from = placed(reader, &what, item),
            Field::With => self.with = placed(reader, &what, item),
            Field::Each => self.each = reader.flag(&what, item),
            Field::Partial => self.partial = reader.flag(&what, item),
            Field::Empty => self.empty = reader.flag(&what, item),
            Field::Nixpkgs => self.nixpkgs = nixpkgs(reader, &what, item),
            Field::KeepRunsets => self.keep_runsets = reader.count(&what, 1, item),
            Field::KeepBytes => self.keep_bytes = kept::read(reader, &what, item),
            Field::Urls => self.urls = cache::urls(reader, &what, item),
            Field::Dir => self.dir = publish::folder(reader, &what, item),
            // Of inputs, which are read elsewhere.
            Field::Rows | Field::Paths | Field::Lines | Field::Step | Field::Copy => {}
        }
    }

    /// Takes from `base` what these fields leave open; variables are joined.
    pub(super) fn over(&mut self, base: &Self) {
        fn fill<T: Clone>(own: &mut Option<T>, base: Option<&T>) {
            if own.is_none() {
                *own = base.cloned();
            }
        }
        // Each is named, so that none can be forgotten.
        let Self {
            label: _,
            seen: _,
            name: _,
            start: _,
            script: _,
            nixpkgs: _,
            keep_runsets: _,
            keep_bytes: _,
            urls: _,
            dir: _,
            gather: _,
            from: _,
            with: _,
            each: _,
            partial: _,
            empty: _,
            packages,
            files,
            env,
            shell,
            pure,
            keep,
            params,
            secrets,
            outputs,
            folders,
            parallel,
            cpus,
            memory,
            gpus,
            uses,
            timeout,
            retries,
            retry_delay,
            rounds,
            cache,
            checkpoint,
            executor_secrets,
            share,
            publish,
            warm,
            executor,
            sandbox,
            network,
        } = base;
        for (variable, value) in env {
            self.env
                .entry(variable.clone())
                .or_insert_with(|| value.clone());
        }
        // Those of all steps first, each once.
        let mut all = files.clone();
        all.extend(self.files.drain(..).filter(|own| !files.contains(own)));
        self.files = all;
        fill(&mut self.packages, packages.as_ref());
        fill(&mut self.shell, shell.as_ref());
        fill(&mut self.pure, pure.as_ref());
        fill(&mut self.keep, keep.as_ref());
        fill(&mut self.params, params.as_ref());
        fill(&mut self.secrets, secrets.as_ref());
        fill(&mut self.outputs, outputs.as_ref());
        fill(&mut self.folders, folders.as_ref());
        fill(&mut self.parallel, parallel.as_ref());
        fill(&mut self.cpus, cpus.as_ref());
        fill(&mut self.memory, memory.as_ref());
        fill(&mut self.gpus, gpus.as_ref());
        fill(&mut self.uses, uses.as_ref());
        fill(&mut self.timeout, timeout.as_ref());
        if self.retries.is_none() {
            self.retries = retries.map(|retries| Retries {
                // What the step says itself of the first pause counts.
                delay: retries.delay.filter(|_| self.retry_delay.is_none()),
                ..retries
            });
        }
        fill(&mut self.retry_delay, retry_delay.as_ref());
        fill(&mut self.rounds, rounds.as_ref());
        fill(&mut self.cache, cache.as_ref());
        fill(&mut self.checkpoint, checkpoint.as_ref());
        fill(&mut self.executor_secrets, executor_secrets.as_ref());
        fill(&mut self.share, share.as_ref());
        fill(&mut self.publish, publish.as_ref());
        fill(&mut self.warm, warm.as_ref());
        fill(&mut self.executor, executor.as_ref());
        fill(&mut self.sandbox, sandbox.as_ref());
        fill(&mut self.network, network.as_ref());
    }

    /// The step that these fields make, if they have all that one needs.
    pub(super) fn step(self) -> Option<Step> {
        let sandbox = self.sandbox.unwrap_or(false);
        Some(Step {
            name: self.name?,
            start: self.start.unwrap_or(false),
            script: self.script?,
            shell: self
                .shell
                .unwrap_or_else(|| Step::SHELL.map(str::to_owned).to_vec()),
            env: self.env,
            packages: self.packages.unwrap_or_default(),
            files: self.files,
            // What the host has set is not seen in there either.
            pure: self.pure.unwrap_or(false) || sandbox,
            keep: self.keep.unwrap_or_default(),
            params: names(self.params.unwrap_or_default()),
            secrets: self.secrets.unwrap_or_default(),
            outputs: self.outputs,
            folders: self.folders.unwrap_or(false),
            parallel: self.parallel,
            cpus: self.cpus,
            memory: self.memory,
            gpus: self.gpus.unwrap_or(0),
            uses: counts(self.uses.unwrap_or_default()),
            timeout: self.timeout,
            retries: self.retries.unwrap_or_default(),
            retry_delay: self.retry_delay.unwrap_or(Step::RETRY_DELAY),
            rounds: self.rounds.unwrap_or(Step::ROUNDS),
            cache: self.cache.unwrap_or(Cache::Always),
            checkpoint: self.checkpoint.unwrap_or_default(),
            executor_secrets: self.executor_secrets.unwrap_or_default(),
            share: self.share,
            publish: self.publish.unwrap_or_default(),
            warm: self.warm,
            executor: self
                .executor
                .map(|executor| executor.value)
                .filter(|name| name != LOCAL),
            sandbox,
            network: self.network.unwrap_or(false),
            gather: None,
            from: Vec::new(),
            with: Vec::new(),
            each: self.each.unwrap_or(false),
            partial: self.partial.unwrap_or(false),
            empty: self.empty.unwrap_or(false),
        })
    }
}

/// The table in words.
fn label(place: Place, table: &DeTable<'_>) -> String {
    match place {
        Place::Step => match table.get("name").and_then(|name| name.get_ref().as_str()) {
            Some(name) => format!("step {}", quoted(name)),
            None => "a step".to_owned(),
        },
        Place::Nix
        | Place::Store
        | Place::Cache
        | Place::Publish
        | Place::Defaults
        | Place::Input => place.header().to_owned(),
    }
}

pub(super) fn name(reader: &mut Reader<'_>, what: &str, item: &Item<'_>) -> Option<StepName> {
    // Not `Reader::string`: the rules for names cover NUL, and cover it better.
    let DeValue::String(text) = item.get_ref() else {
        return reader.string(what, item).and(None);
    };
    match StepName::new(text) {
        Ok(name) => Some(name),
        Err(why) => {
            let error = Diagnostic::at(reader.inside(item), format!("bad step name: {why}"));
            reader.error(error.hint("a step's name becomes part of its inputs' file names"));
            None
        }
    }
}

fn script(reader: &mut Reader<'_>, what: &str, item: &Item<'_>) -> Option<String> {
    let script = reader.string(what, item)?;
    if script.trim().is_empty() {
        let error = Diagnostic::at(item.span(), format!("{what} is empty"));
        reader.error(error.hint("for a step that is meant to do nothing, use the script \":\""));
        return None;
    }
    Some(script)
}

pub(super) fn packages(
    reader: &mut Reader<'_>,
    what: &str,
    item: &Item<'_>,
) -> Option<Vec<Installable>> {
    list(reader, what, item, |reader, what, item| {
        let text = reader.string(what, item)?;
        match Installable::parse(&text) {
            Ok(package) => Some(package),
            Err(why) => {
                let what = format!("bad package {}", quoted(&text));
                let example = r#"for instance "jq", "nixpkgs#jq", ".#my-tool", "github:o/r#name""#;
                refuse(reader, item, &what, &why, example);
                None
            }
        }
    })
}

/// Patterns of files below the manifest's folder.
pub(super) fn globs(reader: &mut Reader<'_>, what: &str, item: &Item<'_>) -> Vec<Placed<Glob>> {
    let globs = list(reader, what, item, |reader, what, item| {
        let text = reader.string(what, item)?;
        let at = reader.inside(item);
        let value = glob(reader, &text, &at)?;
        Some(Placed { value, at })
    });
    globs.unwrap_or_default()
}

/// A pattern, which begins in the folder of the file that it stands in.
pub(super) fn glob(reader: &mut Reader<'_>, text: &str, at: &Range<usize>) -> Option<Glob> {
    let folder = reader.folder;
    match Glob::parse(text).and_then(|glob| glob.below(folder)) {
        Ok(glob) => Some(glob),
        Err(why) => {
            reader.error(Diagnostic::at(at.clone(), why.to_string()).hint(why.hint()));
            None
        }
    }
}

fn shell(reader: &mut Reader<'_>, what: &str, item: &Item<'_>) -> Option<Vec<String>> {
    let hint = "the program and its arguments before the script: [\"bash\", \"-euo\", \"pipefail\", \"-c\"]";
    if matches!(item.get_ref(), DeValue::String(_)) {
        reader.wrong_type(what, "an array of strings", item, Some(hint.to_owned()));
        return None;
    }
    let words = list(reader, what, item, |reader, what, item| {
        reader.string(what, item)
    })?;
    let DeValue::Array(items) = item.get_ref() else {
        return None;
    };
    let Some(first) = items.first() else {
        reader.error(Diagnostic::at(item.span(), format!("{what} is empty")).hint(hint));
        return None;
    };
    if first
        .get_ref()
        .as_str()
        .is_some_and(|program| program.trim().is_empty())
    {
        let error = Diagnostic::at(first.span(), format!("{what} names no program"));
        reader.error(error.hint(hint));
        return None;
    }
    Some(words)
}

/// Strings, each with its place.
fn placed(reader: &mut Reader<'_>, what: &str, item: &Item<'_>) -> Option<Vec<Placed<String>>> {
    list(reader, what, item, |reader, what, item| {
        let value = reader.string(what, item)?;
        let at = reader.inside(item);
        Some(Placed { value, at })
    })
}

/// Amounts without their places.
pub(super) fn counts(uses: Uses) -> BTreeMap<String, u32> {
    let uses = uses.into_iter();
    uses.map(|(name, placed)| (name, placed.value)).collect()
}

/// Names without their places, each once.
fn names(placed: Vec<Placed<String>>) -> Vec<String> {
    let mut names: Vec<String> = placed.into_iter().map(|one| one.value).collect();
    names.sort();
    names.dedup();
    names
}

fn outputs(reader: &mut Reader<'_>, what: &str, item: &Item<'_>) -> Option<Arc<[Pattern]>> {
    let mut seen: Vec<Pattern> = Vec::new();
    list(reader, what, item, |reader, what, item| {
        let text = reader.string(what, item)?;
        match Pattern::parse(&text) {
            Ok(pattern) => {
                if let Some(same) = seen.iter().find(|same| same.is_same(&pattern)) {
                    let [one, other] = [pattern.text(), same.text()].map(quoted);
                    let message = format!("{one} matches the same names as {other}");
                    let error = Diagnostic::at(reader.inside(item), message);
                    reader.error(error.hint("leave one of them out"));
                }
                seen.push(pattern);
            }
            Err(why) => {
                let error = Diagnostic::at(item.span(), why.to_string());
                reader.error(error.hint(why.hint()));
            }
        }
        Some(())
    })?;
    Some(seen.into())
}

fn nixpkgs(reader: &mut Reader<'_>, what: &str, item: &Item<'_>) -> Option<String> {
    let text = reader.string(what, item)?;
    if let Err(why) = installable::check_reference(&text) {
        let what = format!("{what}: bad flake reference {}", quoted(&text));
        let example = format!("for instance \"{}\"", NixSettings::NIXPKGS);
        refuse(reader, item, &what, &why, &example);
        return None;
    }
    Some(text)
}

/// Notes that a string is no installable, or no flake reference.
fn refuse(
    reader: &mut Reader<'_>,
    item: &Item<'_>,
    what: &str,
    why: &BadInstallable,
    example: &str,
) {
    let hint = match &why.suggestion {
        Some(better) => format!("did you mean \"{better}\"?"),
        None => example.to_owned(),
    };
    let error = Diagnostic::at(reader.within(item, why.at), format!("{what}: {why}"));
    reader.error(error.hint(hint));
}
