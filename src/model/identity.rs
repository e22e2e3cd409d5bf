//! What a step version is: the fingerprint, and the words for a change of it.
//!
//! One struct is hashed, stored and compared, so that the reasons given for a new version cannot
//! drift from what makes one.
//!
//! # How formats grow
//!
//! What is recorded is read by every version of this program, older ones too. Three rules:
//!
//! - A new part of [`Identity`] is a new field with `#[serde(default, skip_serializing_if = …)]`,
//!   and goes into [`Identity::fingerprint`] under a tag of its own, only if it is set. So a step
//!   that does not use it has the JSON and the fingerprint that it had, and nobody's results are
//!   tainted by an update. A part that is there now keeps its name, its form and its place in the
//!   hash for ever; the JSON and the fingerprints in the tests of this module are never edited, only
//!   added to.
//! - A part that an older version does not know is kept in [`Identity::rest`] there: it is named
//!   where a change is told, and all else of the record stays readable (packages keep their GC
//!   roots). Such a version never runs the step as if the part were not set: its manifest refuses
//!   the key.
//! - What an older version would misread, and not merely miss (another kind of [`Tools`], another
//!   meaning of a column), is a new number of the database's format (`state::schema::FORMAT`) with
//!   a way there from each older one. A newer number than its own is refused by every version, with
//!   the advice to use the newer program. The lock file's `version` and the `schema` of the JSON
//!   lines work in the same way.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::model::digest::Digest;
use crate::model::environment::Environment;
use crate::model::param;
use crate::model::task::KEY;

/// All that decides what a step's script computes from an input.
///
/// Not in here, because they decide only when and whether: `parallel`, `timeout`, `retries`,
/// `retry_delay`, `rounds`, `cache`, `checkpoint`, `warm`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
// Each is a part of its own, none excludes another.
#[allow(clippy::struct_excessive_bools)]
pub struct Identity {
    /// The script, to the byte.
    pub script: String,
    /// The program and arguments that the script is given to.
    pub shell: Vec<String>,
    /// Variables that the step sets.
    pub env: BTreeMap<String, String>,
    /// Whether the host's variables are hidden.
    pub pure: bool,
    /// The host's variables that pass all the same, and whose values count; sorted.
    pub keep: Vec<String>,
    /// Where its programs come from.
    pub tools: Tools,
    /// Per variable of `keep` that the script has from the host, the SHA-256 of its value, which may be
    /// a secret; none where it is not set. Earlier versions recorded nothing of values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub kept: BTreeMap<String, Option<String>>,
    /// The files that it reads or calls; none where the step names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<Files>,
    /// The parameters that it uses, in their text form; none of those that are volatile.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, String>,
    /// Whether it gathers what comes to it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gather: bool,
    /// The steps whose outputs its tasks get besides their inputs; sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub with: Vec<String>,
    /// Whether each of its tasks gets one of these outputs alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub each: bool,
    /// The names of its secrets; sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// Whether it runs in a sandbox.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sandbox: bool,
    /// Whether it has the network in there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub network: bool,
    /// What a newer version of this program recorded besides; empty for what a manifest says.
    #[serde(flatten)]
    pub rest: BTreeMap<String, Value>,
}

/// The files that a step's script reads or calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Files {
    /// The object that lists them with their hashes ([`crate::model::tree`]).
    pub tree: Digest,
    /// The variables of a task that their text mentions; that follows from the list.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub mentions: BTreeSet<String>,
}

/// Other files than before, or with other bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileChanges {
    /// The list of them now, if there is one.
    pub new: Option<Digest>,
    /// The one before.
    pub old: Option<Digest>,
    /// The files, each with what happened to it, where the two lists are at hand.
    pub names: Vec<String>,
}

impl fmt::Display for FileChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMED: usize = 5;
        if self.names.is_empty() {
            return f.write_str("files");
        }
        let named = &self.names[..self.names.len().min(NAMED)];
        write!(f, "files ({}", named.join(", "))?;
        match self.names.len() - named.len() {
            0 => f.write_str(")"),
            more => write!(f, " and {more} more)"),
        }
    }
}

/// A parameter that is another now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ParamChange {
    /// Its name.
    pub name: String,
    /// What it was; none if the step did not use it.
    pub old: Option<String>,
    /// What it is; none if the step does not use it any more.
    pub new: Option<String>,
}

impl fmt::Display for ParamChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, old, new } = self;
        let [old, new] = [old, new].map(|value| match value {
            None => "not used".to_owned(),
            Some(value) => param::shown(value),
        });
        write!(f, "{name}: {old} -> {new}")
    }
}

/// Where a step's programs come from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tools {
    /// No packages: the host's PATH.
    #[default]
    Host,
    /// Packages, but the host's PATH was asked for in their place.
    HostInstead,
    /// Packages, resolved.
    Nix(Environment),
}

/// One part in which two identities differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Change {
    /// The script's text.
    Script,
    /// The shell.
    Shell,
    /// Variables: the names of those added, removed or set to something else.
    Variables(Vec<String>),
    /// `pure` was switched; true: it is on now.
    Pure(bool),
    /// Kept variables: the names of those that are new in the list, gone from it, or have another value.
    Keep(Vec<String>),
    /// Packages: the entries (as in the manifest) that now stand for something else, are new or gone.
    Packages(Vec<String>),
    /// From packages to the host's PATH or back, in words.
    Tools(&'static str),
    /// The files that the script reads or calls.
    Files(FileChanges),
    /// Parameters that the script gets.
    Params(Vec<ParamChange>),
    /// `gather` was switched; true: it is on now.
    Gather(bool),
    /// `with` or `each` say something else: the steps whose outputs its tasks get, and whether each
    /// gets one of these alone.
    With(Vec<String>, bool),
    /// Secrets: the names of those that are new in the list, or gone from it.
    Secrets(Vec<String>),
    /// `sandbox` or `network` were switched; whether each of them is on now.
    Sandbox(bool, bool),
    /// What only a newer version of this program knows: its names; none if the record cannot be
    /// read.
    Unknown(Vec<String>),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Script => f.write_str("script"),
            Self::Shell => f.write_str("shell"),
            Self::Variables(names) => write!(f, "variables ({})", names.join(", ")),
            Self::Pure(true) => f.write_str("pure is on"),
            Self::Pure(false) => f.write_str("pure is off"),
            Self::Keep(names) if names.is_empty() => f.write_str("kept variables"),
            Self::Keep(names) => write!(f, "kept variables ({})", names.join(", ")),
            Self::Packages(names) => write!(f, "packages ({})", names.join(", ")),
            Self::Tools(words) => f.write_str(words),
            Self::Files(changes) => changes.fmt(f),
            Self::Params(changes) => {
                let words: Vec<String> = changes.iter().map(ToString::to_string).collect();
                let s = if words.len() == 1 { "" } else { "s" };
                write!(f, "parameter{s} {}", words.join(", "))
            }
            Self::Gather(true) => f.write_str("it gathers"),
            Self::Gather(false) => f.write_str("it gathers no more"),
            Self::With(steps, _) if steps.is_empty() => f.write_str("with nothing"),
            Self::With(steps, false) => write!(f, "with {}", steps.join(", ")),
            Self::With(steps, true) => write!(f, "with each of {}", steps.join(", ")),
            Self::Secrets(names) => write!(f, "secrets ({})", names.join(", ")),
            Self::Sandbox(false, _) => f.write_str("no sandbox"),
            Self::Sandbox(true, false) => f.write_str("a sandbox"),
            Self::Sandbox(true, true) => f.write_str("a sandbox with network"),
            Self::Unknown(names) if names.is_empty() => f.write_str("what is not recorded"),
            Self::Unknown(names) => {
                let names = names.join(", ");
                write!(f, "what a newer task-pipeline knows ({names})")
            }
        }
    }
}

/// Feeds a hash so that no two different sequences of calls give the same bytes: every value is
/// preceded by a tag and its length (the habit of jj's `content_hash`).
struct Feed(Sha256);

impl Feed {
    fn text(&mut self, tag: u8, text: &str) {
        self.0.update([tag]);
        self.0.update((text.len() as u64).to_le_bytes());
        self.0.update(text);
    }

    fn list<'a>(&mut self, tag: u8, items: impl ExactSizeIterator<Item = &'a str>) {
        self.0.update([tag]);
        self.0.update((items.len() as u64).to_le_bytes());
        items.for_each(|item| self.text(b'.', item));
    }
}

impl Identity {
    /// The fingerprint: SHA-256 over all parts, in the order of the struct.
    ///
    /// Of packages, the folders on PATH count and not the words that led to them: another name
    /// for the same store path computes the same.
    pub fn fingerprint(&self) -> Digest {
        let mut feed = Feed(Sha256::new());
        feed.text(b'F', "task-pipeline step 1");
        feed.text(b's', &self.script);
        feed.list(b'h', self.shell.iter().map(String::as_str));
        feed.list(b'n', self.env.keys().map(String::as_str));
        feed.list(b'v', self.env.values().map(String::as_str));
        feed.text(b'p', if self.pure { "pure" } else { "" });
        feed.list(b'k', self.keep.iter().map(String::as_str));
        match &self.tools {
            Tools::Host => feed.text(b't', "host"),
            Tools::HostInstead => feed.text(b't', "host instead"),
            Tools::Nix(environment) => {
                feed.text(b't', "nix");
                feed.list(b'P', environment.path.iter().map(String::as_str));
            }
        }
        if !self.kept.is_empty() {
            feed.list(b'K', self.kept.keys().map(String::as_str));
            // No digest is empty.
            let values = self.kept.values();
            feed.list(b'V', values.map(|value| value.as_deref().unwrap_or("")));
        }
        if let Some(files) = &self.files {
            feed.text(b'f', &files.tree.hex());
        }
        if !self.params.is_empty() {
            feed.list(b'q', self.params.keys().map(String::as_str));
            feed.list(b'Q', self.params.values().map(String::as_str));
        }
        if self.gather {
            feed.text(b'g', "gather");
        }
        if !self.with.is_empty() {
            feed.list(b'w', self.with.iter().map(String::as_str));
        }
        if self.each {
            feed.text(b'e', "each");
        }
        if !self.secrets.is_empty() {
            feed.list(b'c', self.secrets.iter().map(String::as_str));
        }
        if self.sandbox {
            feed.text(b'b', "sandbox");
        }
        if self.network {
            feed.text(b'o', "network");
        }
        if !self.rest.is_empty() {
            feed.list(b'r', self.rest.keys().map(String::as_str));
            self.rest
                .values()
                .for_each(|value| feed.text(b'R', &value.to_string()));
        }
        Digest(feed.0.finalize().into())
    }

    /// The record of it.
    pub fn to_json(&self) -> String {
        // A struct of strings, lists and maps with text keys always has a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What [`Self::to_json`] of this version, an older or a newer one gave; none if the record is
    /// damaged.
    pub fn from_json(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// In which parts `self` (newer) differs from `old`; empty exactly if the fingerprints agree.
    pub fn changes_since(&self, old: &Self) -> Vec<Change> {
        let mut changes = Vec::new();
        if self.script != old.script {
            changes.push(Change::Script);
        }
        if self.shell != old.shell {
            changes.push(Change::Shell);
        }
        if self.env != old.env {
            changes.push(Change::Variables(differing(&self.env, &old.env)));
        }
        if self.pure != old.pure {
            changes.push(Change::Pure(self.pure));
        }
        if self.keep != old.keep || self.kept != old.kept {
            changes.push(Change::Keep(self.kept_otherwise(old)));
        }
        changes.extend(tools_change(&self.tools, &old.tools));
        let tree = |identity: &Self| identity.files.as_ref().map(|files| files.tree);
        if tree(self) != tree(old) {
            changes.push(Change::Files(FileChanges {
                new: tree(self),
                old: tree(old),
                names: Vec::new(),
            }));
        }
        if self.params != old.params {
            let change = |name: String| ParamChange {
                old: old.params.get(&name).cloned(),
                new: self.params.get(&name).cloned(),
                name,
            };
            let names = differing(&self.params, &old.params).into_iter();
            changes.push(Change::Params(names.map(change).collect()));
        }
        if self.gather != old.gather {
            changes.push(Change::Gather(self.gather));
        }
        if (&self.with, self.each) != (&old.with, old.each) {
            changes.push(Change::With(self.with.clone(), self.each));
        }
        if self.secrets != old.secrets {
            let in_one = |one: &&String| self.secrets.contains(one) != old.secrets.contains(one);
            let all = self.secrets.iter().chain(&old.secrets);
            changes.push(Change::Secrets(all.filter(in_one).cloned().collect()));
        }
        if (self.sandbox, self.network) != (old.sandbox, old.network) {
            changes.push(Change::Sandbox(self.sandbox, self.network));
        }
        if self.rest != old.rest {
            changes.push(Change::Unknown(differing(&self.rest, &old.rest)));
        }
        changes
    }

    /// The variables that one alone keeps, or that have another value; sorted.
    fn kept_otherwise(&self, old: &Self) -> Vec<String> {
        let in_one = |a: &Self, b: &Self| -> Vec<String> {
            let mut names = a.keep.clone();
            names.retain(|name| !b.keep.contains(name));
            names
        };
        let mut names = in_one(self, old);
        names.extend(in_one(old, self));
        names.extend(differing(&self.kept, &old.kept));
        names.sort();
        names.dedup();
        names
    }

    /// Whether the script can tell by what name its input came: it mentions the variable.
    ///
    /// Such a task's result depends on more than the input's bytes.
    pub fn reads_input_name(&self) -> bool {
        self.mentions("TASK_PIPELINE_INPUT_NAME")
    }

    /// Whether the script can tell what its task is about.
    pub fn reads_key(&self) -> bool {
        self.mentions(KEY)
    }

    /// Whether the script can tell one task or runset from another, so that no result of another
    /// task can stand for its own.
    pub fn reads_task(&self) -> bool {
        self.mentions("TASK_PIPELINE_TASK") || self.mentions("TASK_PIPELINE_RUNSET")
    }

    /// Whether its script, shell, variables or the text of one of its files holds the name.
    pub fn mentions(&self, variable: &str) -> bool {
        self.script.contains(variable)
            || self.shell.iter().any(|word| word.contains(variable))
            || self.env.values().any(|value| value.contains(variable))
            || self.files.iter().any(|files| {
                let mut names = files.mentions.iter();
                names.any(|name| name.contains(variable))
            })
    }
}

/// The keys that are in one alone, or stand for something else in the other; sorted.
fn differing<V: PartialEq>(new: &BTreeMap<String, V>, old: &BTreeMap<String, V>) -> Vec<String> {
    let all: BTreeSet<&String> = new.keys().chain(old.keys()).collect();
    all.into_iter()
        .filter(|name| new.get(*name) != old.get(*name))
        .cloned()
        .collect()
}

fn tools_change(new: &Tools, old: &Tools) -> Option<Change> {
    match (new, old) {
        (Tools::Nix(new), Tools::Nix(old)) => {
            if new.path == old.path {
                return None;
            }
            let differs = |a: &Environment, b: &Environment| -> Vec<String> {
                a.packages
                    .iter()
                    .filter(|p| {
                        !b.packages.iter().any(|q| {
                            q.installable == p.installable && q.store_paths == p.store_paths
                        })
                    })
                    .map(|p| p.installable.clone())
                    .collect()
            };
            let mut names = differs(new, old);
            for name in differs(old, new) {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
            if names.is_empty() {
                names.push("their order".to_owned());
            }
            Some(Change::Packages(names))
        }
        (new, old) if new == old => None,
        (Tools::Nix(_), Tools::Host) => Some(Change::Tools("packages were added")),
        (Tools::Host, Tools::Nix(_)) => Some(Change::Tools("packages were removed")),
        (Tools::HostInstead, _) => Some(Change::Tools("the host's PATH in place of packages")),
        (_, Tools::HostInstead) => Some(Change::Tools(
            "no longer the host's PATH in place of packages",
        )),
        (Tools::Host, Tools::Host) => None,
    }
}

#[cfg(test)]
mod tests;
