//! What makes one step version differ from another, in full.
//!
//! From the struct that is hashed: there is no second account of what a version is.

use crate::model::environment::Package;
use crate::model::identity::{Change, FileChanges, Identity, Tools};
use crate::text::diff;

/// A change and what it consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Detail {
    /// The change.
    pub change: Change,
    /// Lines: what was there behind `-`, what is there now behind `+`.
    pub lines: Vec<String>,
}

/// All changes from `old` to `new`; empty exactly if the two have the same fingerprint. What changed
/// in files is told by `files`, which also names them.
pub(crate) fn details(
    new: &Identity,
    old: &Identity,
    files: &dyn Fn(&mut FileChanges) -> Vec<String>,
) -> Vec<Detail> {
    new.changes_since(old)
        .into_iter()
        .map(|mut change| Detail {
            lines: match &mut change {
                Change::Files(changes) => files(changes),
                Change::Script
                | Change::Shell
                | Change::Variables(_)
                | Change::Pure(_)
                | Change::Keep(_)
                | Change::Packages(_)
                | Change::Tools(_)
                | Change::Params(_)
                | Change::Gather(_)
                | Change::With(..)
                | Change::Secrets(_)
                | Change::Sandbox(..)
                | Change::Unknown(_) => lines(&change, new, old),
            },
            change,
        })
        .collect()
}

fn lines(change: &Change, new: &Identity, old: &Identity) -> Vec<String> {
    match change {
        Change::Script => diff::unified(&old.script, &new.script),
        Change::Shell => replaced(&old.shell.join(" "), &new.shell.join(" ")),
        Change::Keep(names) => names
            .iter()
            .map(|name| format!("  {name}: {}", kept(name, new, old)))
            .collect(),
        Change::Pure(_)
        | Change::Files(_)
        | Change::Gather(_)
        | Change::With(..)
        | Change::Secrets(_)
        | Change::Sandbox(..)
        | Change::Unknown(_) => Vec::new(),
        // What is short is told whole.
        Change::Params(changes) => changes
            .iter()
            .filter(|change| change.to_string().contains('…'))
            .flat_map(|change| {
                let line = |sign: &str, value: &Option<String>| {
                    let value = value.as_ref()?;
                    Some(format!("{sign} {}={value}", change.name))
                };
                let old = line("-", &change.old);
                old.into_iter().chain(line("+", &change.new))
            })
            .collect(),
        Change::Variables(names) => names
            .iter()
            .flat_map(|name| {
                let line = |sign: &str, value: Option<&String>| {
                    value.map(|value| format!("{sign} {name}={value}"))
                };
                let old = line("-", old.env.get(name));
                old.into_iter().chain(line("+", new.env.get(name)))
            })
            .collect(),
        Change::Packages(names) => names
            .iter()
            .flat_map(|name| {
                let mut lines = packages("-", &old.tools, Some(name));
                lines.extend(packages("+", &new.tools, Some(name)));
                lines
            })
            .collect(),
        Change::Tools(_) => {
            let mut lines = packages("-", &old.tools, None);
            lines.extend(packages("+", &new.tools, None));
            lines
        }
    }
}

/// What became of a kept variable. Its value may be a secret.
fn kept(name: &str, new: &Identity, old: &Identity) -> &'static str {
    let is_in = |identity: &Identity| identity.keep.iter().any(|kept| kept == name);
    match (is_in(old), is_in(new)) {
        (false, true) => return "is kept now",
        (true, false) => return "is no longer kept",
        (true, true) | (false, false) => {}
    }
    match (old.kept.get(name), new.kept.get(name)) {
        (None, _) => "its value was not recorded before",
        (_, None) => "its value no longer counts",
        (Some(None), _) => "was not set before",
        (_, Some(None)) => "is no longer set",
        (Some(Some(_)), Some(Some(_))) => "has another value",
    }
}

fn replaced(old: &str, new: &str) -> Vec<String> {
    vec![format!("- {old}"), format!("+ {new}")]
}

/// The packages of an environment, or those of one entry.
fn packages(sign: &str, tools: &Tools, name: Option<&str>) -> Vec<String> {
    let Tools::Nix(environment) = tools else {
        return Vec::new();
    };
    environment
        .packages
        .iter()
        .filter(|package| name.is_none_or(|name| package.installable == name))
        .map(|package| format!("{sign} {}", package_line(package)))
        .collect()
}

/// A package: the entry, what it stands for, and the lock entry that says so.
pub(crate) fn package_line(package: &Package) -> String {
    let mut line = format!("{}: {}", package.installable, package.store_paths.join(" "));
    if let Some(pin) = &package.pin {
        line.push_str(" (locked: ");
        line.push_str(pin);
        line.push(')');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::environment::Environment;

    fn identity(script: &str, path: &str) -> Identity {
        Identity {
            script: script.into(),
            shell: vec!["sh".into(), "-c".into()],
            env: [("A".to_owned(), path.to_owned())].into(),
            tools: Tools::Nix(Environment {
                packages: vec![Package {
                    installable: "jq".into(),
                    store_paths: vec![path.into()],
                    pin: Some(format!("rev of {path}")),
                }],
                path: vec![format!("{path}/bin")],
            }),
            ..Identity::default()
        }
    }

    #[test]
    fn every_part_is_told() {
        let (old, new) = (identity("a\nb", "/s/jq-1"), identity("a\nc", "/s/jq-2"));
        let details = details(&new, &old, &|_| Vec::new());
        let lines: Vec<&str> = details
            .iter()
            .flat_map(|detail| detail.lines.iter().map(String::as_str))
            .collect();
        assert_eq!(
            lines,
            [
                "  a",
                "- b",
                "+ c",
                "- A=/s/jq-1",
                "+ A=/s/jq-2",
                "- jq: /s/jq-1 (locked: rev of /s/jq-1)",
                "+ jq: /s/jq-2 (locked: rev of /s/jq-2)",
            ]
        );
        assert_eq!(super::details(&old, &old, &|_| Vec::new()), []);
    }

    #[test]
    fn no_kept_value_is_told() {
        let kept = |values: &[(&str, Option<&str>)]| Identity {
            keep: values.iter().map(|(name, _)| (*name).to_owned()).collect(),
            kept: values
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned)))
                .collect(),
            ..Identity::default()
        };
        let old = kept(&[("A", Some("5ec4e7")), ("B", None), ("C", Some("1"))]);
        let new = kept(&[("A", Some("07e4")), ("B", Some("1")), ("D", None)]);
        let details = details(&new, &old, &|_| Vec::new());
        assert_eq!(details[0].change.to_string(), "kept variables (A, B, C, D)");
        assert_eq!(
            details[0].lines,
            [
                "  A: has another value",
                "  B: was not set before",
                "  C: is no longer kept",
                "  D: is kept now",
            ]
        );
    }
}
