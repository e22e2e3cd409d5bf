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
    /// How many runsets stay, those that ran last, when a run ends with success; with the others go the
    /// objects that they alone need. Without it all stay.
    #[schemars(range(min = 1), example = 30)]
    pub keep_runsets: Option<u32>,
    /// Whose bytes stay when a run ends with success: those of all, or of final outputs and what cannot be made
    /// again for certain ("finals"). What is dropped is made again as soon as a run needs it.
    #[schemars(with = "String", extend("enum" = ["all", "finals"], "default" = "all"))]
    #[schemars(example = &"finals")]
    pub keep: KeptBytes,
}

/// The `[cache]` table.
#[derive(Debug, Clone, Default, PartialEq, Eq, JsonSchema)]
pub(crate) struct CacheSettings {
    /// Where results of others lie: `file:///FOLDER`, `s3://BUCKET/PREFIX` or `https://HOST/PATH`. What somebody has
    /// signed there whom the run trusts is not executed again.
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
    /// The folder in which the final outputs stand as files after each run, from the manifest's folder on; made
    /// where it is missing. What the program did not put there is left alone.
    #[schemars(length(min = 1), example = &"results")]
    pub dir: Option<String>,
}

/// A step as the manifest describes it. The schema's properties of a step are these, with their
/// comments; an `Option` is what has no default.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
// Each is a key of its own, none excludes another.
#[allow(clippy::struct_excessive_bools)]
pub(crate) struct Step {
    /// The step's name. A file `NAME`, `x_NAME` or `x_NAME.ext` that a task writes becomes an
    /// input of this step.
    #[schemars(with = "String", length(max = StepName::MAX), example = &"extract")]
    #[schemars(regex(pattern = r"^(?!\.{1,2}$)(?!\s)[^/\u0000-\u001f\u007f-\u009f]+(?<!\s)$"))]
    pub name: StepName,
    /// Whether the pipeline starts here; exactly one step does, or none where there are inputs.
    #[schemars(extend("default" = false), example = true)]
    pub start: bool,
    /// The script. It reads `$INPUT_FILE` and writes files into `$OUTPUT_DIR`, whose names decide
    /// which step is next.
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
    /// Packages whose programs the script finds: what `nix shell` takes. A bare name, and
    /// `nixpkgs#NAME`, is looked up in `[nix] nixpkgs`.
    #[schemars(with = "Vec<String>", inner(regex(pattern = r"^[^\s-]\S*$")))]
    #[schemars(extend("default" = []))]
    #[schemars(example = ["jq", "nixpkgs#ripgrep", ".#my-tool", "github:owner/repo#name"])]
    pub packages: Vec<Installable>,
    /// What the script reads or calls besides its input: files below the manifest's folder, by
    /// patterns. `*` stands for any characters of a name, `?` for one, `[ab]` for one of several, `**`
    /// for folders; a folder's name for all that is in it. Their content is a part of the step's
    /// version. Those of `[defaults]` are added.
    #[schemars(with = "Vec<String>", inner(regex(pattern = GLOB)), extend("default" = []))]
    #[schemars(example = ["template.html", "lib/**/*.sh"])]
    pub files: Vec<Placed<Glob>>,
    /// Whether the script sees only its packages and variables.
    #[schemars(extend("default" = false), example = true)]
    pub pure: bool,
    /// Names of the host's variables that the script reads: their values are a part of the version,
    /// and a pure step sees them nonetheless.
    #[schemars(inner(regex(pattern = VARIABLE)), extend("default" = []))]
    #[schemars(example = ["SSH_AUTH_SOCK"])]
    pub keep: Vec<String>,
    /// Parameters that the script gets though neither its text, `shell`, `env` nor `files` mention them.
    #[schemars(inner(regex(pattern = VARIABLE)), extend("default" = []))]
    #[schemars(example = ["threshold"])]
    pub params: Vec<String>,
    /// Secrets that the run is given for the script: `$SECRET_NAME` is the path of a file with one. What the
    /// script writes on its standard output and standard error is kept without them.
    #[schemars(inner(regex(pattern = VARIABLE)), extend("default" = []), extend("uniqueItems" = true))]
    #[schemars(example = ["api_token"])]
    pub secrets: Vec<String>,
    /// Patterns of the names that the script leaves, all of them: `*` stands for any characters, `?`
    /// for any one, and at the end of a pattern for "may be missing". A task that leaves something
    /// else, or nothing that matches one without that mark, fails. Without it, any names.
    #[schemars(with = "Vec<String>", inner(regex(pattern = OUTPUT)), extend("uniqueItems" = true))]
    #[schemars(example = ["*_merge.csv", "*.log?"])]
    pub outputs: Option<Arc<[Pattern]>>,
    /// Whether a folder that the script leaves in `$OUTPUT_DIR` is an output, with all that is in it.
    /// Without it, such a task fails.
    #[schemars(extend("default" = false), example = true)]
    pub folders: bool,
    /// Most tasks of this step at once; without it, as many as the run allows.
    #[schemars(with = "u32", range(min = 1, max = u32::MAX), example = 4)]
    pub parallel: Option<NonZeroU32>,
    /// CPUs that a task takes of those of the run (`-cpus`); `$CPUS` in its script. Without it, they are not
    /// counted.
    #[schemars(with = "u32", range(min = 1, max = u32::MAX), example = 2)]
    pub cpus: Option<NonZeroU32>,
    /// Memory that a task takes of that of the run (`-memory`). "2G..16G": one that is killed because that was
    /// not enough is tried again with twice as much, up to the end.
    #[schemars(with = "String", regex(pattern = amounts::MEMORY), example = &"2G..16G")]
    pub memory: Option<Memory>,
    /// GPUs that a task takes of those of the run (`-gpus`), for itself alone; `$CUDA_VISIBLE_DEVICES` and
    /// `$HIP_VISIBLE_DEVICES` name them.
    #[schemars(range(max = u32::MAX), extend("default" = 0), example = 1)]
    pub gpus: u32,
    /// What a task takes of what `[limits]` names.
    #[schemars(extend("propertyNames" = { "pattern": amounts::NAME }))]
    #[schemars(inner(range(min = 1, max = u32::MAX)))]
    #[schemars(extend("default" = {}), example = json!({ "database": 1 }))]
    pub uses: BTreeMap<String, u32>,
    /// Longest time for one try of one task: whole numbers with d, h, m, s or ms. Without it, no
    /// limit.
    #[schemars(with = "String", regex(pattern = LENGTH_OF_TIME), example = &"1h30m")]
    pub timeout: Option<Duration>,
    /// Further tries after one that failed: how many, or a table with `count`, and with `delay`, `backoff`, `jitter` and
    /// `max` of the pauses before them.
    #[schemars(schema_with = "retries::schema", extend("default" = 0), example = 2)]
    pub retries: Retries,
    /// The pause before the first of them; each further one is twice as long, up to a minute.
    #[schemars(with = "String", regex(pattern = LENGTH_OF_TIME))]
    #[schemars(extend("default" = "1s"), example = &"10s")]
    pub retry_delay: Duration,
    /// How often the step may occur in one line of descent, which ends a ring of steps that would
    /// go round for ever.
    #[schemars(range(min = 1, max = u32::MAX), extend("default" = Self::ROUNDS), example = 50)]
    pub rounds: u32,
    /// Whether a success is used again for the same input and the same version of the step: true,
    /// false, the age up to which it is (whole numbers with d, h, m, s or ms), or "runset" for in its
    /// runset alone.
    #[schemars(with = "bool", extend("type" = ["boolean", "string"], "pattern" = cache::PATTERN))]
    #[schemars(extend("default" = true), example = &"12h")]
    pub cache: Cache,
    /// Whether a task has a folder, `$STATE_DIR`, that is kept from try to try until it succeeds: true, false, or how
    /// often it is kept, besides, while a try goes on on another machine (whole numbers with d, h, m, s or ms).
    #[schemars(with = "bool", extend("type" = ["boolean", "string"], "pattern" = LENGTH_OF_TIME))]
    #[schemars(extend("default" = false), example = &"10m")]
    pub checkpoint: Checkpoint,
    /// Whether the secrets pass to the executor's machines, too, where the way there may not be encrypted (`slurm`,
    /// `start`).
    #[schemars(extend("default" = false), example = true)]
    pub executor_secrets: bool,
    /// Whether results are shared with others by a cache. Without it, those of steps with packages that are pure or in a
    /// sandbox, have no secrets, and whose results are used again.
    #[schemars(with = "bool", example = false)]
    pub share: Option<bool>,
    /// What final outputs of this step are called in the folder of results (`[publish]`): a path of `{key}`,
    /// `{name}` and `{step}`; true: their own names; false: they are not put there.
    #[schemars(with = "bool", extend("type" = ["boolean", "string"], "pattern" = publish::PATTERN))]
    #[schemars(extend("default" = true), example = &"qc/{key}/{name}")]
    pub publish: Publish,
    /// Whether one shell runs many tasks, each in a subshell. Without it, where it is certain that
    /// the script cannot tell the difference; true: also where that depends on the programs it calls.
    #[schemars(with = "bool", example = false)]
    pub warm: Option<bool>,
    /// Who carries out the step's tasks: one of `[executors]`, or "local" for the machine of the run, which
    /// is none here.
    #[schemars(length(min = 1), extend("default" = "local"), example = &"cluster")]
    pub executor: Option<String>,
    /// Whether the script runs in a sandbox (Linux): it sees its packages, input and files, and nothing else of
    /// the machine. It is pure, too.
    #[schemars(extend("default" = false), example = true)]
    pub sandbox: bool,
    /// Whether it has the network in there.
    #[schemars(extend("default" = false), example = true)]
    pub network: bool,
    /// Whether the step works on all that comes to it together: true for one task on everything in
    /// a runset, "name" for one on all that has the same key, which is what stands before the step's
    /// name in their names; the name of another step for one on what descends from each of its tasks.
    #[schemars(with = "bool", extend("type" = ["boolean", "string"]))]
    #[schemars(extend("default" = false), example = true)]
    pub gather: Option<Gather>,
    /// Outputs of other steps that this one takes, wherever they are routed: a step's name for all, with
    /// a colon and a pattern of names behind it for those that match.
    #[schemars(with = "Vec<String>", extend("default" = []), extend("uniqueItems" = true))]
    #[schemars(example = ["count", "stats:*.tsv"])]
    pub from: Vec<Source>,
    /// Steps whose outputs, all of a runset, each task gets besides its input, in `$WITH_DIR`; it waits
    /// for them.
    #[schemars(with = "Vec<String>", extend("default" = []), extend("uniqueItems" = true))]
    #[schemars(example = ["index"])]
    pub with: Vec<StepName>,
    /// With one step in `with`: whether there is a task for each of that step's outputs, which it gets
    /// alone, in `$WITH_FILE`.
    #[schemars(extend("default" = false), example = true)]
    pub each: bool,
    /// For a step that gathers: whether it does so although a task before it failed for good. It works
    /// on what is there.
    #[schemars(extend("default" = false), example = true)]
    pub partial: bool,
    /// For a step that gathers, not by key: whether it runs although nothing came to it.
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
                    "a manifest is TOML in UTF-8; a file saved as UTF-16 has to be saved again",
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
