//! The manifest: a pipeline's steps, read from TOML.

mod amounts;
mod cache;
mod checkpoint;
mod circles;
mod describe;
pub(crate) mod diagnostic;
mod duration;
mod elsewhere;
mod executors;
mod field;
mod from;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz;
mod gather;
mod given;
mod input;
mod kept;
mod params;
mod place;
mod publish;
mod read;
mod resources;
mod retries;
mod sandbox;
mod schema;
mod secrets;
mod srun;
mod steps;
mod syntax;
mod template;
mod texts;
mod unknown;
mod value;
mod variables;
mod with;

pub(crate) use cache::Cache;
pub(crate) use describe::{VALUE, literal_outputs, named_outputs};
pub(crate) use duration::length_of_time;
pub(crate) use executors::{Executor, Way};
pub(crate) use given::{Form, given, unknown as unknown_param};
pub(crate) use input::{Input, InputKind, Placed};
pub(crate) use kept::KeptBytes;
pub(crate) use place::StepPlaces;
pub(crate) use retries::Retries;
pub(crate) use schema::schema;
pub(crate) use steps::includes;
pub(crate) use template::Template;
pub(crate) use texts::Texts;

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde_json::json;
use toml::de::DeTable;

use crate::manifest::diagnostic::Diagnostic;
use crate::model::checkpoint::Checkpoint;
use crate::model::gather::{Gather, Source};
use crate::model::glob::Glob;
use crate::model::installable::Installable;
use crate::model::name::StepName;
use crate::model::param::Params;
use crate::model::promise::Pattern;
use crate::model::publish::Publish;
use crate::model::resources::{Memory, Resources};
use crate::model::retry::Pauses;
use crate::model::route::Router;
use crate::model::shared::Address;

/// A pipeline: its steps, with all defaults applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// What holds for all steps' packages.
    pub nix: NixSettings,
    /// What holds for the db.
    pub store: StoreSettings,
    /// Who shares results.
    pub cache: CacheSettings,
    /// Where results stand as files.
    pub publish: PublishSettings,
    /// How much there is of what steps use, by name.
    pub limits: BTreeMap<String, u32>,
    /// Who carries out the tasks of steps elsewhere, by name.
    pub executors: BTreeMap<String, Executor>,
    /// The steps in the order of the file; one of them starts, or there are inputs.
    pub steps: Vec<Step>,
    /// What comes in from outside, in the order of the file.
    pub inputs: Vec<Input>,
    /// What the pipeline can be given, by name.
    pub params: Params,
    /// Where each of the steps is in the text.
    pub places: Vec<StepPlaces>,
    start: Option<usize>,
    by_name: HashMap<StepName, usize>,
}

/// The `[nix]` table, without what became part of the steps.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
pub(crate) struct NixSettings {
    /// The flake in which bare package names, and `nixpkgs#NAME`, are looked up.
    #[schemars(regex(pattern = r"^[^\s#^-][^\s#^]*$"), extend("default" = Self::NIXPKGS))]
    #[schemars(example = "github:NixOS/nixpkgs/nixos-25.11")]
    pub nixpkgs: String,
}

impl NixSettings {
    /// `nixpkgs` where the manifest names none: the same on each machine, whatever its registry.
    pub(crate) const NIXPKGS: &str = "github:NixOS/nixpkgs/nixos-unstable";
}

/// The `[store]` table.
#[derive(Debug, Clone, Default, PartialEq, Eq, JsonSchema)]
pub(crate) struct StoreSettings {
    /// How many runsets to keep after a run that succeeded, counting from the one that ran last; the others are
    /// removed, with the objects that only they need. Without it, all are kept.
    #[schemars(range(min = 1), example = 30)]
    pub keep_runsets: Option<u32>,
    /// Whose bytes to keep after a run that succeeded: everything ("all"), or only final outputs and what may not
    /// be possible to make again ("finals"). What was dropped is made again as soon as a run needs it.
    #[schemars(with = "String", extend("enum" = ["all", "finals"], "default" = "all"))]
    #[schemars(example = &"finals")]
    pub keep: KeptBytes,
}

/// The `[cache]` table.
#[derive(Debug, Clone, Default, PartialEq, Eq, JsonSchema)]
pub(crate) struct CacheSettings {
    /// Where to find results of others: `file:///FOLDER`, `s3://BUCKET/PREFIX` or `https://HOST/PATH`. A task is
    /// not executed again if its results are there, signed by somebody whom the run trusts.
    #[schemars(
        with = "Vec<String>",
        inner(regex(pattern = r"^(file:///|s3://|https?://).+$"))
    )]
    #[schemars(extend("default" = []), example = ["https://cache.example.org/p", "s3://bucket/prefix"])]
    pub urls: Vec<Address>,
}

/// The `[publish]` table.
#[derive(Debug, Clone, Default, PartialEq, Eq, JsonSchema)]
pub(crate) struct PublishSettings {
    /// The folder, relative to the manifest's, in which the final outputs are kept as files after each run; made if
    /// missing. Files that the program did not put there are left alone.
    #[schemars(length(min = 1), example = &"results")]
    pub dir: Option<String>,
}

/// A step as the manifest describes it. The schema's properties of a step are these, with their
/// comments; an `Option` is what has no default.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
// Each is a key of its own, none excludes another.
#[allow(clippy::struct_excessive_bools)]
pub(crate) struct Step {
    /// The step's name. A file `NAME`, `x_NAME` or `x_NAME.ext` that a task writes becomes an input of this step.
    #[schemars(with = "String", length(max = StepName::MAX), example = &"extract")]
    #[schemars(regex(pattern = r"^(?!\.{1,2}$)(?!\s)[^/\u0000-\u001f\u007f-\u009f]+(?<!\s)$"))]
    pub name: StepName,
    /// Whether the pipeline starts here; exactly one step does, or none if there are inputs.
    #[schemars(extend("default" = false), example = true)]
    pub start: bool,
    /// The script. It reads `$INPUT_FILE` and writes files to `$OUTPUT_DIR`, whose names decide which step is next.
    #[schemars(regex(pattern = r"\S"))]
    #[schemars(example = "sort \"$INPUT_FILE\" > \"$OUTPUT_DIR/next\"")]
    pub script: String,
    /// The program that runs the script, with the arguments before it.
    #[schemars(length(min = 1), extend("prefixItems" = [{ "type": "string", "pattern": r"\S" }]))]
    #[schemars(extend("default" = Self::SHELL), example = ["bash", "-euo", "pipefail", "-c"])]
    pub shell: Vec<String>,
    /// Variables for the script.
    #[schemars(extend("propertyNames" = {
        "pattern": VARIABLE,
        "not": { "pattern": "^(PATH|INPUT_FILE|INPUT_DIR|WITH_DIR|WITH_FILE|OUTPUT_DIR|TMPDIR|TASK_PIPELINE_.*)$" },
    }))]
    #[schemars(extend("default" = {}), example = json!({ "LANG": "C.UTF-8" }))]
    pub env: BTreeMap<String, String>,
    /// Packages whose programs the script can call: whatever `nix shell` takes. A bare name, or `nixpkgs#NAME`, is
    /// looked up in `[nix] nixpkgs`.
    #[schemars(with = "Vec<String>", inner(regex(pattern = r"^[^\s-]\S*$")))]
    #[schemars(extend("default" = []))]
    #[schemars(example = ["jq", "nixpkgs#ripgrep", ".#my-tool", "github:owner/repo#name"])]
    pub packages: Vec<Installable>,
    /// Files that the script reads or calls besides its input: patterns for paths below the manifest's folder. `*`
    /// stands for any characters of a name, `?` for one, `[ab]` for one of those listed, `**` for folders; the name
    /// of a folder stands for everything in it. The files' content is part of the step's version. Those of
    /// `[defaults]` are added.
    #[schemars(with = "Vec<String>", inner(regex(pattern = GLOB)), extend("default" = []))]
    #[schemars(example = ["template.html", "lib/**/*.sh"])]
    pub files: Vec<Placed<Glob>>,
    /// Whether the script sees only its packages and variables.
    #[schemars(extend("default" = false), example = true)]
    pub pure: bool,
    /// Names of host variables that the script reads: their values are part of the version, and even a pure step
    /// sees them.
    #[schemars(inner(regex(pattern = VARIABLE)), extend("default" = []))]
    #[schemars(example = ["SSH_AUTH_SOCK"])]
    pub keep: Vec<String>,
    /// Parameters that the script gets although neither its text, `shell`, `env` nor `files` mention them.
    #[schemars(inner(regex(pattern = VARIABLE)), extend("default" = []))]
    #[schemars(example = ["threshold"])]
    pub params: Vec<String>,
    /// Secrets that the script gets from the run: `$SECRET_NAME` is the path of a file with the secret. They are
    /// removed from the record of what the script writes to standard output and standard error.
    #[schemars(inner(regex(pattern = VARIABLE)), extend("default" = []), extend("uniqueItems" = true))]
    #[schemars(example = ["api_token"])]
    pub secrets: Vec<String>,
    /// Patterns for the names that the script leaves, all of them: `*` stands for any characters, `?` for any one
    /// character, and at the end of a pattern for "may be missing". A task fails if it leaves anything else, or
    /// nothing that matches a pattern without that mark. Without this key, any names are allowed.
    #[schemars(with = "Vec<String>", inner(regex(pattern = OUTPUT)), extend("uniqueItems" = true))]
    #[schemars(example = ["*_merge.csv", "*.log?"])]
    pub outputs: Option<Arc<[Pattern]>>,
    /// Whether a folder that the script leaves in `$OUTPUT_DIR` is an output, with everything in it. If not, a task
    /// that leaves one fails.
    #[schemars(extend("default" = false), example = true)]
    pub folders: bool,
    /// The most tasks of this step to run at once; without it, as many as the run allows.
    #[schemars(with = "u32", range(min = 1, max = u32::MAX), example = 4)]
    pub parallel: Option<NonZeroU32>,
    /// How many of the run's CPUs (`-cpus`) each task takes; its script finds the number in `$CPUS`. Without it,
    /// they are not counted.
    #[schemars(with = "u32", range(min = 1, max = u32::MAX), example = 2)]
    pub cpus: Option<NonZeroU32>,
    /// How much of the run's memory (`-memory`) each task takes. "2G..16G": a task that is killed because that was
    /// not enough is tried again with twice as much, up to the limit.
    #[schemars(with = "String", regex(pattern = amounts::MEMORY), example = &"2G..16G")]
    pub memory: Option<Memory>,
    /// How many of the run's GPUs (`-gpus`) each task has to itself; `$CUDA_VISIBLE_DEVICES` and
    /// `$HIP_VISIBLE_DEVICES` name them.
    #[schemars(range(max = u32::MAX), extend("default" = 0), example = 1)]
    pub gpus: u32,
    /// What each task takes of what `[limits]` names.
    #[schemars(extend("propertyNames" = { "pattern": amounts::NAME }))]
    #[schemars(extend("additionalProperties" = { "type": "integer", "minimum": 1, "maximum": u32::MAX }))]
    #[schemars(extend("default" = {}), example = json!({ "database": 1 }))]
    pub uses: BTreeMap<String, u32>,
    /// The longest that one try of a task may take: whole numbers with d, h, m, s or ms. Without it, there is no
    /// limit.
    #[schemars(with = "String", regex(pattern = LENGTH_OF_TIME), example = &"1h30m")]
    pub timeout: Option<Duration>,
    /// How many more tries a failed task gets, or a table with `count` and, for the pauses before them, `delay`,
    /// `backoff`, `jitter` and `max`.
    #[schemars(schema_with = "retries::schema", extend("default" = 0), example = 2)]
    pub retries: Retries,
    /// The pause before the first retry; each further one is twice as long, up to a minute.
    #[schemars(with = "String", regex(pattern = LENGTH_OF_TIME))]
    #[schemars(extend("default" = "1s"), example = &"10s")]
    pub retry_delay: Duration,
    /// How often the step may occur in one line of descent; this ends a ring of steps that would go round for ever.
    #[schemars(range(min = 1, max = u32::MAX), extend("default" = Self::ROUNDS), example = 50)]
    pub rounds: u32,
    /// Whether a success is reused for the same input and the same version of the step: true, false, how old it may
    /// be (whole numbers with d, h, m, s or ms), or "runset" for only within its runset.
    #[schemars(with = "bool", extend("type" = ["boolean", "string"], "pattern" = cache::PATTERN))]
    #[schemars(extend("default" = true), example = &"12h")]
    pub cache: Cache,
    /// Whether each task has a folder, `$STATE_DIR`, that it keeps from try to try until it succeeds: true, false,
    /// or how often to save it while a try is running on another machine, too (whole numbers with d, h, m, s or
    /// ms).
    #[schemars(with = "bool", extend("type" = ["boolean", "string"], "pattern" = LENGTH_OF_TIME))]
    #[schemars(extend("default" = false), example = &"10m")]
    pub checkpoint: Checkpoint,
    /// Whether the step's secrets go to the executor's machines even if the connection may not be encrypted
    /// (`slurm`, `start`).
    #[schemars(extend("default" = false), example = true)]
    pub executor_secrets: bool,
    /// Whether a cache shares the results with others. Without it, results are shared if the step has packages and
    /// is pure or in a sandbox, has no secrets, and its results are reused.
    #[schemars(with = "bool", example = false)]
    pub share: Option<bool>,
    /// What final outputs of this step are called in the folder of results (`[publish]`): a path made of `{key}`,
    /// `{name}` and `{step}`; true: their own names; false: they are not put there.
    #[schemars(with = "bool", extend("type" = ["boolean", "string"], "pattern" = publish::PATTERN))]
    #[schemars(extend("default" = true), example = &"qc/{key}/{name}")]
    pub publish: Publish,
    /// Whether many tasks share one shell, each in a subshell. Without it, they do if it is certain that the script
    /// cannot tell the difference; true: also if that depends on the programs it calls.
    #[schemars(with = "bool", example = false)]
    pub warm: Option<bool>,
    /// Where the step's tasks run: one of `[executors]`, or "local" for the machine of the run.
    #[schemars(length(min = 1), extend("default" = "local"), example = &"cluster")]
    pub executor: Option<String>,
    /// Whether the script runs in a sandbox (Linux): it sees its packages, input and files, and nothing else of the
    /// machine. This makes it pure, too.
    #[schemars(extend("default" = false), example = true)]
    pub sandbox: bool,
    /// With `sandbox`: whether the script has network access.
    #[schemars(extend("default" = false), example = true)]
    pub network: bool,
    /// Whether one task works on many inputs at once. true: one task on everything in a runset that comes to the
    /// step; "name": one for each key, which is the part of an input's name before the step's name; the name of
    /// another step: one for each task of that step, on everything that descends from it.
    #[schemars(with = "bool", extend("type" = ["boolean", "string"]))]
    #[schemars(extend("default" = false), example = true)]
    pub gather: Option<Gather>,
    /// Outputs of other steps that this one takes, wherever they are routed: a step's name for all its outputs, or
    /// with a colon and a pattern for those whose names match.
    #[schemars(with = "Vec<String>", extend("default" = []), extend("uniqueItems" = true))]
    #[schemars(example = ["count", "stats:*.tsv"])]
    pub from: Vec<Source>,
    /// Steps whose outputs in the runset, all of them, each task gets in `$WITH_DIR` in addition to its input; it
    /// waits for them.
    #[schemars(with = "Vec<String>", extend("default" = []), extend("uniqueItems" = true))]
    #[schemars(example = ["index"])]
    pub with: Vec<StepName>,
    /// With one step in `with`: whether there is a task for each pair of an input and an output of that step; it
    /// gets that output in `$WITH_FILE`, and no others.
    #[schemars(extend("default" = false), example = true)]
    pub each: bool,
    /// With `gather`: whether to work on what there is even if a task before it failed for good.
    #[schemars(extend("default" = false), example = true)]
    pub partial: bool,
    /// With `gather`, except by key: whether to run even if nothing came to the step.
    #[schemars(extend("default" = false), example = true)]
    pub empty: bool,
}

/// Whole numbers with units, and not nothing at all.
const LENGTH_OF_TIME: &str =
    "^(?=.*[1-9])(?!$)([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$";

/// The patterns that outputs can have.
const OUTPUT: &str = r"^[^/\[\]{}\\]*[^/\[\]{}\\?]$|^[^/\[\]{}\\]+\?$";

/// Paths below a folder, with what the schema can say of patterns.
const GLOB: &str = r"^(?!/)(?!~(/|$))(?!(.*/)?\.\.(/|$)).+$";

/// The names that variables can have.
const VARIABLE: &str = "^[A-Za-z_][A-Za-z0-9_]*$";

impl Step {
    /// The shell of a step that names none.
    pub(crate) const SHELL: [&str; 3] = ["sh", "-e", "-c"];
    /// The rounds of a step that names none.
    pub(crate) const ROUNDS: u32 = 1000;
    /// The retry delay of a step that names none.
    pub(crate) const RETRY_DELAY: Duration = Pauses::FIRST;

    /// What each of its tasks takes.
    pub(crate) fn resources(&self) -> Resources {
        Resources {
            cpus: self.cpus,
            memory: self.memory,
            gpus: self.gpus,
            uses: self.uses.clone(),
        }
    }
}

impl Manifest {
    /// Reads a manifest without parts.
    #[cfg(test)]
    pub(crate) fn parse(text: &str) -> Result<Self, Vec<Diagnostic>> {
        Self::read(&Texts::new(std::path::Path::new("workflow.toml"), text))
    }

    /// Reads a manifest with its parts; all their errors at once, in the order of the texts.
    pub(crate) fn read(texts: &Texts) -> Result<Self, Vec<Diagnostic>> {
        if let Some(at) = texts.all().find('\0') {
            return Err(vec![
                Diagnostic::at(at..at + 1, "a NUL byte: this is not a text file").hint(
                    "a manifest is TOML in UTF-8; if this file was saved as UTF-16, save it again as UTF-8",
                ),
            ]);
        }
        let mut roots = Vec::new();
        let mut broken = Vec::new();
        for number in 0..texts.len() {
            let (text, _, start) = texts.file(number);
            let (root, errors) = DeTable::parse_recoverable(text);
            broken.push(syntax::Broken::new(text, root.get_ref(), &errors).moved(start));
            roots.push(texts::moved(root.into_inner(), start));
        }
        let mut reader = value::Reader::new(texts);
        let manifest = steps::manifest(&mut reader, texts, &roots);
        let errors = reader.finish(broken);
        match manifest {
            Some(manifest) if errors.is_empty() => Ok(manifest),
            _ => Err(errors),
        }
    }

    /// Whether tasks of the step may be given links to files where they lie, which tell of these more than their
    /// bytes.
    pub(crate) fn lends_to(&self, step: &StepName) -> bool {
        let mut inputs = self.inputs.iter();
        inputs.any(|input| !input.copy && input.may_go_to(step))
    }

    /// Whether inputs may bring files for `INPUT_DIR` to tasks of the step.
    pub(crate) fn brings_files(&self, step: &StepName) -> bool {
        let mut inputs = self.inputs.iter().filter(|input| !input.paths.is_empty());
        inputs.any(|input| input.may_go_to(step))
    }

    /// The step where the pipeline starts; none where it begins with inputs alone.
    pub(crate) fn start(&self) -> Option<&Step> {
        self.start.map(|at| &self.steps[at])
    }

    /// The step called `name`.
    pub(crate) fn step(&self, name: &str) -> Option<&Step> {
        Some(&self.steps[*self.by_name.get(name)?])
    }

    /// What has packages, with these: steps by their names, and inputs as they are called in messages.
    pub(crate) fn with_packages(&self) -> Vec<(StepName, &[Installable])> {
        let steps = self.steps.iter();
        let steps = steps.map(|step| (step.name.clone(), step.packages.as_slice()));
        let inputs = self.inputs.iter().enumerate();
        let inputs = inputs.map(|(at, input)| (self.name_of_input(at), input.packages.as_slice()));
        let all = steps.chain(inputs);
        all.filter(|(_, packages)| !packages.is_empty()).collect()
    }

    /// What an input is called, by its place in the manifest: no step is called so.
    pub(crate) fn name_of_input(&self, at: usize) -> StepName {
        let mut name = format!("[[input]] {}", at + 1);
        while self.by_name.contains_key(name.as_str()) {
            name.push('\'');
        }
        StepName::nearest(&name)
    }

    /// A router to the steps; made anew by each call.
    pub(crate) fn routes(&self) -> Router {
        Router::new(self.steps.iter().map(|step| step.name.clone()))
    }
}

#[cfg(test)]
mod tests;
