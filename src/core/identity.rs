//! What a step version is: the fingerprint, and the words for a change of it.
//!
//! One struct is hashed, stored and compared, so that the reasons given for a new version cannot
//! drift from what makes one.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::digest::Digest;
use super::environment::Environment;

/// All that decides what a step's script computes from an input.
///
/// Not in here, because they decide only when and whether: `parallel`, `timeout`, `retries`, `rounds`,
/// `cache`, `warm`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The script, to the byte.
    pub script: String,
    /// The program and arguments that the script is given to.
    pub shell: Vec<String>,
    /// Variables that the step sets.
    pub env: BTreeMap<String, String>,
    /// Whether the host's variables are hidden.
    pub pure: bool,
    /// The host's variables that pass all the same; sorted.
    pub keep: Vec<String>,
    /// Where its programs come from.
    pub tools: Tools,
}

/// Where a step's programs come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tools {
    /// No packages: the host's PATH.
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
    /// The list of kept variables.
    Keep,
    /// Packages: the entries (as in the manifest) that now stand for something else, are new or gone.
    Packages(Vec<String>),
    /// From packages to the host's PATH or back, in words.
    Tools(&'static str),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Script => f.write_str("script"),
            Self::Shell => f.write_str("shell"),
            Self::Variables(names) => write!(f, "variables ({})", names.join(", ")),
            Self::Pure(true) => f.write_str("pure is on"),
            Self::Pure(false) => f.write_str("pure is off"),
            Self::Keep => f.write_str("kept variables"),
            Self::Packages(names) => write!(f, "packages ({})", names.join(", ")),
            Self::Tools(words) => f.write_str(words),
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
        Digest(feed.0.finalize().into())
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
            let mut names: Vec<String> = self
                .env
                .keys()
                .chain(old.env.keys())
                .filter(|name| self.env.get(*name) != old.env.get(*name))
                .cloned()
                .collect();
            names.sort();
            names.dedup();
            changes.push(Change::Variables(names));
        }
        if self.pure != old.pure {
            changes.push(Change::Pure(self.pure));
        }
        if self.keep != old.keep {
            changes.push(Change::Keep);
        }
        changes.extend(tools_change(&self.tools, &old.tools));
        changes
    }

    /// Whether the script can tell by what name its input came: it mentions the variable.
    ///
    /// Such a task's result depends on more than the input's bytes.
    pub fn reads_input_name(&self) -> bool {
        self.mentions("TASK_PIPELINE_INPUT_NAME")
    }

    /// Whether the script can tell one task or runset from another, so that no result of another
    /// task can stand for its own.
    pub fn reads_task(&self) -> bool {
        self.mentions("TASK_PIPELINE_TASK") || self.mentions("TASK_PIPELINE_RUNSET")
    }

    fn mentions(&self, variable: &str) -> bool {
        self.script.contains(variable)
            || self.shell.iter().any(|word| word.contains(variable))
            || self.env.values().any(|value| value.contains(variable))
    }
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
mod tests {
    use proptest::prelude::*;

    use super::super::environment::Package;
    use super::*;

    fn environment(paths: &[String]) -> Environment {
        Environment {
            packages: paths
                .iter()
                .map(|p| Package {
                    installable: p.clone(),
                    store_paths: vec![p.clone()],
                    pin: None,
                })
                .collect(),
            path: paths.iter().map(|p| format!("{p}/bin")).collect(),
        }
    }

    prop_compose! {
        fn identity()(
            script in "[ab]{0,3}",
            shell in prop::collection::vec("[ab]{0,2}", 0..3),
            env in prop::collection::btree_map("[ab]{0,2}", "[ab]{0,2}", 0..3),
            pure: bool,
            keep in prop::collection::vec("[ab]{0,2}", 0..3),
            tools in prop_oneof![
                Just(Tools::Host),
                Just(Tools::HostInstead),
                prop::collection::vec("[ab]{0,2}", 0..3).prop_map(|p| Tools::Nix(environment(&p))),
            ],
        ) -> Identity {
            Identity { script, shell, env, pure, keep, tools }
        }
    }

    proptest! {
        // Every component changes it, nothing else does, and the words agree with the hash.
        #[test]
        fn equal_fingerprints_exactly_without_changes(a in identity(), b in identity()) {
            let same = a.fingerprint() == b.fingerprint();
            prop_assert_eq!(same, a.changes_since(&b).is_empty());
            prop_assert_eq!(same, b.changes_since(&a).is_empty());
            prop_assert_eq!(same, a == b);
        }
    }

    fn plain() -> Identity {
        Identity {
            script: "true".into(),
            shell: vec!["sh".into(), "-c".into()],
            env: BTreeMap::new(),
            pure: false,
            keep: Vec::new(),
            tools: Tools::Host,
        }
    }

    #[test]
    fn the_fingerprint_is_the_same_for_ever() {
        // A change of this value would taint every task of every user.
        assert_eq!(
            plain().fingerprint().to_string(),
            "466886270cfeac49398bc421d1bc6b97481427527ee761ce702a113a37d76fba"
        );
    }

    #[test]
    fn another_name_for_the_same_path_is_no_change() {
        let mut a = plain();
        let mut b = plain();
        let mut env = environment(&["/nix/store/x".to_owned()]);
        a.tools = Tools::Nix(env.clone());
        env.packages[0].installable = "other#name".into();
        env.packages[0].pin = Some("rev".into());
        b.tools = Tools::Nix(env);
        assert_eq!(a.fingerprint(), b.fingerprint());
        assert_eq!(a.changes_since(&b), []);
    }

    #[test]
    fn words() {
        let old = plain();
        let mut new = plain();
        new.script = "false".into();
        new.env.insert("A".into(), "1".into());
        new.tools = Tools::Nix(environment(&["p".into()]));
        let words: Vec<String> = new
            .changes_since(&old)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(words, ["script", "variables (A)", "packages were added"]);
    }
}
