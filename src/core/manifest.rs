//! The manifest: a pipeline's steps, read from TOML.

mod describe;
mod duration;
mod field;
mod read;
mod schema;
mod steps;
mod syntax;
mod value;

pub use describe::literal_outputs;
pub use schema::schema;

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::time::Duration;

use toml::de::DeTable;

use super::diagnostic::Diagnostic;
use super::installable::Installable;
use super::name::StepName;
use super::route::Router;

/// A pipeline: its steps, with all defaults applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// What holds for all steps' packages.
    pub nix: NixSettings,
    /// The steps in the order of the file; exactly one of them starts.
    pub steps: Vec<Step>,
    start: usize,
    by_name: HashMap<StepName, usize>,
}

/// The `[nix]` table, without what became part of the steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NixSettings {
    /// The flake reference in which bare package names are looked up.
    pub nixpkgs: String,
}

impl NixSettings {
    /// `nixpkgs` where the manifest names none: the same on each machine, whatever its registry.
    pub const NIXPKGS: &str = "github:NixOS/nixpkgs/nixos-unstable";
}

/// A step as the manifest describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
// Each is a key of its own, none excludes another.
#[allow(clippy::struct_excessive_bools)]
pub struct Step {
    /// What outputs' file names route to.
    pub name: StepName,
    /// Whether the pipeline starts here.
    pub start: bool,
    /// The script, the last argument of `shell`; its line ends are `\n` however the file's are.
    pub script: String,
    /// The program that runs the script and its arguments; never empty.
    pub shell: Vec<String>,
    /// Variables for the script, by name.
    pub env: BTreeMap<String, String>,
    /// Packages whose programs the script finds, in the order of `PATH`.
    pub packages: Vec<Installable>,
    /// Whether the script sees only its packages and variables.
    pub pure: bool,
    /// Names of the host's variables that a pure step sees nonetheless.
    pub keep: Vec<String>,
    /// Most tasks of this step at once; `None`: as many as the run allows.
    pub parallel: Option<NonZeroU32>,
    /// Longest time for one try of one task.
    pub timeout: Option<Duration>,
    /// Further tries after one that failed.
    pub retries: u32,
    /// How often the step may occur in one line of descent, from the start to a final output.
    pub rounds: u32,
    /// Whether a success is used again for the same input.
    pub cache: bool,
    /// Whether one shell may run many tasks, each in a subshell, where the script cannot tell.
    pub warm: bool,
}

impl Step {
    /// The shell of a step that names none.
    pub const SHELL: [&str; 3] = ["sh", "-e", "-c"];
    /// The rounds of a step that names none.
    pub const ROUNDS: u32 = 1000;
}

impl Manifest {
    /// Reads a manifest; all its errors at once, in the order of the text.
    pub fn parse(text: &str) -> Result<Self, Vec<Diagnostic>> {
        if let Some(at) = text.find('\0') {
            return Err(vec![
                Diagnostic::at(at..at + 1, "a NUL byte: this is not a text file").hint(
                    "a manifest is TOML in UTF-8; a file saved as UTF-16 has to be saved again",
                ),
            ]);
        }
        let (root, errors) = DeTable::parse_recoverable(text);
        let broken = syntax::Broken::new(text, root.get_ref(), &errors);
        let mut reader = value::Reader::new(text);
        let manifest = steps::manifest(&mut reader, root.get_ref());
        let errors = reader.finish(broken);
        match manifest {
            Some(manifest) if errors.is_empty() => Ok(manifest),
            _ => Err(errors),
        }
    }

    /// The step where the pipeline starts.
    pub fn start(&self) -> &Step {
        &self.steps[self.start]
    }

    /// The step called `name`.
    pub fn step(&self, name: &str) -> Option<&Step> {
        Some(&self.steps[*self.by_name.get(name)?])
    }

    /// A router to the steps; made anew by each call.
    pub fn routes(&self) -> Router {
        Router::new(self.steps.iter().map(|step| step.name.clone()))
    }
}

#[cfg(test)]
mod tests;
