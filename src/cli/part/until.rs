//! The steps that may lead to one, as far as routes are known.

use std::collections::{HashMap, HashSet};

use crate::cli::check::reach::{Left, left};
use crate::manifest::{Step, literal_outputs};
use crate::model::barrier::leading;
use crate::model::name::StepName;
use crate::prepare::Source;
use crate::script::survey;
use crate::state::{self, Reader};

/// Of each step of the manifest whether it is that one or may lead to it.
///
/// A step leads where its `outputs` say, or else its script, and to those that take what it leaves
/// (`from`, `with`). Of one of which that is not all there is to know, it counts where its outputs went so
/// far; and if they went to no step yet, it may lead to all that stand behind it in the manifest.
pub(super) fn leading_to(
    source: &Source,
    state: &Reader,
    step: &str,
) -> Result<Vec<bool>, state::Error> {
    let recorded = recorded(state)?;
    Ok(among(source, &recorded, step))
}

/// By step, to which its outputs went.
type Went = HashMap<StepName, HashSet<StepName>>;

fn recorded(state: &Reader) -> Result<Went, state::Error> {
    let names = state.names_of_versions()?;
    let mut went = Went::new();
    for (from, to, ..) in state.flows(None)? {
        if let (Some(from), Some(to)) = (names.get(&from), names.get(&to)) {
            went.entry(from.clone()).or_default().insert(to.clone());
        }
    }
    Ok(went)
}

fn among(source: &Source, recorded: &Went, step: &str) -> Vec<bool> {
    let steps = &source.manifest.steps;
    let edges: Vec<Vec<usize>> = steps
        .iter()
        .enumerate()
        .map(|(place, step)| feeds(source, recorded, place, step))
        .collect();
    let Some(target) = steps.iter().position(|one| *one.name == *step) else {
        return vec![false; steps.len()];
    };
    let mut leads = leading(&edges, &[target], &vec![false; steps.len()]);
    leads[target] = true;
    leads
}

/// The places of the steps that it may feed.
fn feeds(source: &Source, recorded: &Went, place: usize, step: &Step) -> Vec<usize> {
    let router = &source.router;
    let known = left(step);
    let mut to: HashSet<&str> = HashSet::new();
    let mut patterns = Vec::new();
    for one in known.iter().flatten() {
        match one {
            Left::Name(name) => to.extend(router.route(name).map(StepName::as_str)),
            Left::Pattern(pattern) => patterns.push(pattern),
        }
    }
    // Of such a pattern it is not known where it goes, any more than of no promise at all.
    let vague = known.is_none()
        || patterns
            .extract_if(.., |pattern| router.route(&pattern.glob()).is_none())
            .count()
            > 0;
    let went = recorded.get(&step.name).filter(|_| vague);
    let names = if known.is_none() {
        names_in(step)
    } else {
        Vec::new()
    };
    to.extend(
        names
            .iter()
            .filter_map(|name| router.route(name))
            .map(StepName::as_str),
    );
    to.extend(went.into_iter().flatten().map(StepName::as_str));
    let anywhere = vague && went.is_none();
    let others = source.manifest.steps.iter().enumerate();
    others
        .filter(|(other, reader)| {
            to.contains(reader.name.as_str())
                || patterns
                    .iter()
                    .any(|pattern| router.may_go(pattern, &reader.name))
                || reader.from.iter().any(|source| source.step == step.name)
                || reader.with.contains(&step.name)
                || anywhere && *other > place
        })
        .map(|(other, _)| other)
        .collect()
}

/// Names of outputs that stand in a script, perhaps among others.
fn names_in(step: &Step) -> Vec<String> {
    let mut names = literal_outputs(&step.script, step.folders);
    if survey::is_shell(&step.shell) {
        let prefixes = survey::of(&step.script).prefixes.into_iter();
        names.extend(prefixes.map(|prefix| format!("{}*{}", prefix.name, prefix.suffix)));
    }
    names
}
