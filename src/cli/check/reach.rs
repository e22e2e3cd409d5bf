//! Steps that nothing leads to, where it is known for certain what each step leaves.

use std::collections::BTreeSet;

use crate::manifest::diagnostic::Diagnostic;
use crate::manifest::{Manifest, Step, StepPlaces, literal_outputs};
use crate::model::name::StepName;
use crate::model::promise::Pattern;
use crate::model::route::Router;
use crate::prepare::Source;
use crate::script::shell::Shell;
use crate::script::survey;
use crate::script::warm::Script;
use crate::text::quoted;

/// One warning per step that no task can come to.
pub(super) fn of(source: &Source) -> Vec<Diagnostic> {
    let manifest = &source.manifest;
    let Some(reached) = reached(manifest, &source.router) else {
        return Vec::new();
    };
    let steps = manifest.steps.iter().zip(&manifest.places);
    steps
        .filter(|(step, _)| !reached.contains(step.name.as_str()))
        .map(|(step, places)| {
            let name = step.name.as_str();
            let message = format!("nothing leads to step {}", quoted(name));
            let file = quoted(&format!("x_{name}.txt"));
            let hint = match step.from.first() {
                Some(source) => format!(
                    "its `from` names {}, but no step leaves such an output, nor a file such as {file}",
                    quoted(&source.to_string())
                ),
                None => format!("no step before it leaves a file such as {file}"),
            };
            Diagnostic::at(places.step.clone(), message).hint(hint)
        })
        .collect()
}

/// One warning per step whose tasks all fail, as what they leave is not what they promise: where its text tells for
/// certain.
pub(super) fn broken(source: &Source) -> Vec<Diagnostic> {
    let steps = source.manifest.steps.iter().zip(&source.manifest.places);
    steps
        .filter_map(|(step, places)| breach(step, places))
        .collect()
}

fn breach(step: &Step, places: &StepPlaces) -> Option<Diagnostic> {
    let (promised, left) = (step.outputs.as_deref()?, left_by_script(step)?);
    let unlike = left
        .iter()
        .find(|name| !promised.iter().any(|one| one.matches(name)));
    let message = if let Some(name) = unlike {
        format!("{} is not in its `outputs`", quoted(name))
    } else {
        let kept = |one: &&Pattern| one.is_optional() || left.iter().any(|name| one.matches(name));
        let lacks = promised.iter().find(|one| !kept(one))?;
        format!(
            "nothing that its script leaves matches {} of its `outputs`",
            quoted(lacks.text())
        )
    };
    let message = format!(
        "each task of step {} fails: {message}",
        quoted(step.name.as_str())
    );
    Some(Diagnostic::at(places.script.clone(), message).hint(
        "a task may leave only what `outputs` names; `x?` there means that it may be missing",
    ))
}

/// The names of the steps that tasks can come to; none if that is not known for certain.
fn reached<'a>(manifest: &'a Manifest, router: &Router) -> Option<BTreeSet<&'a str>> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<_> = manifest
        .start()
        .map(|step| step.name.as_str())
        .into_iter()
        .collect();
    for input in &manifest.inputs {
        // What is not sent to a step goes where its names lead.
        if input.steps.is_empty() {
            return None;
        }
        next.extend(input.steps.iter().map(StepName::as_str));
    }
    while let Some(name) = next.pop() {
        if !reached.insert(name) {
            continue;
        }
        let step = manifest.step(name)?;
        let left = left(step);
        let leaves = |pattern: &Option<Pattern>| {
            left.as_ref().is_none_or(|left| {
                left.iter().any(|one| match (one, pattern) {
                    (Left::Name(name), Some(pattern)) => pattern.matches(name),
                    (Left::Pattern(one), Some(pattern)) => pattern.meets(one),
                    (_, None) => true,
                })
            })
        };
        let takes = |other: &&Step| {
            let mut sources = other.from.iter();
            sources
                .any(|source| source.step == step.name && (other.empty || leaves(&source.pattern)))
        };
        let others = manifest.steps.iter().filter(takes);
        next.extend(others.map(|other| other.name.as_str()));
        for output in left? {
            let targets = match output {
                Left::Name(name) => router.route(&name).into_iter().collect(),
                Left::Pattern(pattern) => may_go_to(manifest, router, &pattern)?,
            };
            let known = targets
                .iter()
                .filter_map(|name| manifest.step(name.as_str()));
            next.extend(known.map(|step| step.name.as_str()));
        }
    }
    Some(reached)
}

/// What a step leaves.
pub(in crate::cli) enum Left {
    /// A file of that name.
    Name(String),
    /// Some files with names like that.
    Pattern(Pattern),
}

/// All that a step may leave; none if that is not known.
pub(in crate::cli) fn left(step: &Step) -> Option<Vec<Left>> {
    if let Some(promised) = &step.outputs {
        let left = promised.iter().map(|pattern| {
            if pattern.is_literal() {
                Left::Name(pattern.glob())
            } else {
                Left::Pattern(pattern.clone())
            }
        });
        return Some(left.collect());
    }
    Some(left_by_script(step)?.into_iter().map(Left::Name).collect())
}

/// The names of the files that its script leaves; none if that is not known for certain.
fn left_by_script(step: &Step) -> Option<Vec<String>> {
    let script = &step.script;
    if !survey::is_shell(&step.shell)
        || !survey::of(script).prefixes.is_empty()
        || step.env.values().any(|value| value.contains("OUTPUT_DIR"))
    {
        return None;
    }
    // Each mention is a name; and no program in it can find the folder by itself.
    let names = literal_outputs(script, step.folders);
    let mentioned: usize = names
        .iter()
        .map(|name| literal_mentions(script, name))
        .sum();
    if script.matches("OUTPUT_DIR").count() != mentioned {
        return None;
    }
    let known = Script::new(Some(Shell::Dash), &["-c".to_owned()], script);
    known.ok()?.unnoticed().ok()?;
    Some(names)
}

/// How often a script mentions the output folder with that name behind it.
fn literal_mentions(script: &str, name: &str) -> usize {
    let mentions = script.match_indices("OUTPUT_DIR").filter(|(at, word)| {
        let behind = script[at + word.len()..].trim_start_matches(['}', '"']);
        let behind = behind.strip_prefix('/').unwrap_or_default();
        let behind = behind.trim_start_matches(['"', '\'']);
        behind.strip_prefix(name).is_some_and(|rest| {
            rest.is_empty()
                || rest.starts_with(|c: char| c.is_whitespace() || ";&|<>()\"'".contains(c))
        })
    });
    mentions.count()
}

/// The steps that names like these may go to, or more; none if that may be any.
fn may_go_to<'a>(
    manifest: &'a Manifest,
    router: &Router,
    pattern: &Pattern,
) -> Option<Vec<&'a crate::model::name::StepName>> {
    let certain = router.route(&pattern.glob())?;
    let names = manifest.steps.iter().map(|step| &step.name);
    Some(
        names
            .filter(|name| name.as_str().contains(certain.as_str()))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unreached(steps: &[(&str, &str)]) -> Option<Vec<String>> {
        let mut text = String::new();
        for (at, (name, rest)) in steps.iter().enumerate() {
            let start = if at == 0 { "start = true\n" } else { "" };
            text = format!("{text}[[step]]\nname = '{name}'\n{start}{rest}\n");
        }
        let manifest = Manifest::parse(&text).unwrap();
        let reached = reached(&manifest, &manifest.routes())?;
        let names = manifest.steps.iter().map(|step| step.name.as_str());
        Some(
            names
                .filter(|name| !reached.contains(name))
                .map(str::to_owned)
                .collect(),
        )
    }

    #[test]
    fn steps_that_nothing_leads_to() {
        let end = ("end", "script = 'sort $INPUT_FILE > $OUTPUT_DIR/out'");
        let other = ("other", "script = 'cat > $OUTPUT_DIR/x_end'");
        for first in [
            "script = 'echo a > $OUTPUT_DIR/a_end; echo b > \"$OUTPUT_DIR\"/b_end.txt'",
            "script = 'python3 x.py'\noutputs = ['*_end.csv', 'x?']",
        ] {
            assert_eq!(
                unreached(&[("a", first), end, other]),
                Some(vec!["other".to_owned()])
            );
        }
    }

    #[test]
    fn from_leads_to_a_step_where_there_is_something_to_take() {
        for (first, from, leads) in [
            ("outputs = []\nscript = 'x'", "from = ['a']", false),
            ("outputs = ['x.csv']\nscript = 'x'", "from = ['a']", true),
            (
                "script = 'echo > $OUTPUT_DIR/x.csv'",
                "from = ['a:*.csv']",
                true,
            ),
            (
                "script = 'echo > $OUTPUT_DIR/x.csv'",
                "from = ['a:*.tsv']",
                false,
            ),
            ("script = 'true'", "from = ['a']\ngather = true", false),
            (
                "script = 'true'",
                "from = ['a']\ngather = true\nempty = true",
                true,
            ),
        ] {
            let end = format!("{from}\nscript = 'true'");
            let steps = [("a", first), ("end", &*end)];
            assert_eq!(
                unreached(&steps).unwrap().is_empty(),
                leads,
                "{first} {from}"
            );
        }
    }

    #[test]
    fn tasks_that_can_only_fail() {
        let broken = |rest: &str| {
            let text = format!("[[step]]\nname = 'a'\nstart = true\n{rest}\n");
            let manifest = Manifest::parse(&text).unwrap();
            let (step, places) = (&manifest.steps[0], &manifest.places[0]);
            breach(step, places).map(|found| found.message)
        };
        for (rest, told) in [
            (
                "outputs = ['x']\nscript = 'echo > $OUTPUT_DIR/y'",
                "`y` is not in its `outputs`",
            ),
            (
                "outputs = ['x', 'y']\nscript = 'echo > $OUTPUT_DIR/y'",
                "nothing that its script leaves matches `x`",
            ),
            ("outputs = ['*.csv']\nscript = 'true'", "matches `*.csv`"),
        ] {
            let found = broken(rest).unwrap();
            assert!(found.contains(told), "{found}");
        }
        for rest in [
            "outputs = ['x?', 'y']\nscript = 'echo > $OUTPUT_DIR/y'",
            "outputs = ['y']\nscript = 'tool $OUTPUT_DIR'",
            "outputs = ['y']\nscript = 'x=y; echo > $OUTPUT_DIR/$x'",
            "outputs = []\nscript = 'true'",
            "script = 'true'",
        ] {
            assert_eq!(broken(rest), None, "{rest}");
        }
    }

    #[test]
    fn what_is_not_certain_is_not_said() {
        for first in [
            "script = 'echo a > $OUTPUT_DIR/$x'",
            "script = './tool.sh'",
            "script = 'echo a > $OUTPUT_DIR/x; python3 x.py'",
            "script = 'cd $OUTPUT_DIR; echo > x'",
            "script = 'true'\nshell = ['python3', '-c']",
            "script = 'true'\noutputs = ['*']",
            "script = 'split $INPUT_FILE $OUTPUT_DIR/x'",
        ] {
            assert_eq!(unreached(&[("a", first), ("end", "script = 'true'")]), None);
        }
    }
}
