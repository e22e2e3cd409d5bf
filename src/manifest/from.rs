//! The key `from`: outputs of other steps, wherever they are routed.

use std::ops::Range;

use super::Placed;
use super::read::Fields;
use super::value::Reader;
use crate::manifest::diagnostic::Diagnostic;
use crate::model::gather::Source;
use crate::model::name::StepName;
use crate::model::promise::Pattern;
use crate::text::{quoted, suggest};

/// Between a step and a pattern.
const COLON: char = ':';

/// What a step takes, of these.
pub(super) fn sources(
    reader: &mut Reader<'_>,
    texts: &[Placed<String>],
    names: &[&StepName],
    complete: bool,
) -> Vec<Source> {
    let mut sources: Vec<Source> = Vec::new();
    for text in texts {
        match source(&text.value, names, complete) {
            Ok(Some(source)) if sources.contains(&source) => {
                let message = format!("{} is there twice", quoted(&text.value));
                let error = Diagnostic::at(text.at.clone(), message);
                reader.error(error.hint("leave one of them out"));
            }
            Ok(source) => sources.extend(source),
            Err((message, hint)) => {
                reader.error(Diagnostic::at(text.at.clone(), message).hint(hint));
            }
        }
    }
    sources
}

/// None where the step may be one whose name is wrong.
fn source(
    text: &str,
    names: &[&StepName],
    complete: bool,
) -> Result<Option<Source>, (String, String)> {
    let find = |name: &str| names.iter().find(|known| known.as_str() == name);
    if let Some(step) = find(text) {
        return Ok(Some(Source {
            step: (*step).clone(),
            pattern: None,
        }));
    }
    let parts = text
        .match_indices(COLON)
        .map(|(at, _)| (&text[..at], &text[at + 1..]));
    for (name, pattern) in parts {
        if let Some(step) = find(name) {
            let pattern = Pattern::parse(pattern)
                .map_err(|why| (format!("{}: {why}", quoted(text)), why.hint().to_owned()))?;
            return Ok(Some(Source {
                step: (*step).clone(),
                pattern: Some(pattern),
            }));
        }
    }
    if !complete {
        return Ok(None);
    }
    let name = text.split(COLON).next().unwrap_or(text);
    let message = format!("there is no step {}", quoted(name));
    Err((
        message,
        match suggest::closest(name, names.iter().map(|name| name.as_str())) {
            Some(near) => format!("did you mean {}?", quoted(near)),
            None => {
                "for instance [\"count\", \"stats:*.tsv\"]: a step's name, and after a colon which \
                     of its outputs"
                    .to_owned()
            }
        },
    ))
}

/// Notes steps that take or gather what comes of themselves, `steps` being what each names.
pub(super) fn circles(
    reader: &mut Reader<'_>,
    steps: &[(&str, Vec<&str>)],
    place: impl Fn(usize) -> Range<usize>,
) {
    let at = |name: &str| steps.iter().position(|(own, _)| *own == name);
    // Each is gone through once: 1 while it is on the way, 2 when all behind it is known.
    let mut seen = vec![0_u8; steps.len()];
    for begin in 0..steps.len() {
        let mut way: Vec<(usize, usize)> = vec![(begin, 0)];
        if seen[begin] > 0 {
            continue;
        }
        seen[begin] = 1;
        while let Some((step, next)) = way.last_mut() {
            let own = *step;
            let Some(source) = steps[own].1.get(*next) else {
                seen[own] = 2;
                way.pop();
                continue;
            };
            *next += 1;
            let Some(other) = at(source) else {
                continue;
            };
            match seen[other] {
                0 => {
                    seen[other] = 1;
                    way.push((other, 0));
                }
                1 => {
                    let from = way.iter().position(|(on, _)| *on == other).unwrap_or(0);
                    let mut names: Vec<&str> =
                        way[from..].iter().map(|(on, _)| steps[*on].0).collect();
                    names.push(steps[other].0);
                    names.reverse();
                    let message = format!(
                        "what steps take of others by name goes in a circle: {}",
                        names.join(" → ")
                    );
                    let error = Diagnostic::at(place(own), message);
                    reader.error(error.hint("what goes round is routed by its name"));
                }
                _ => {}
            }
        }
    }
}

/// The sources of a step, by what it sets.
pub(super) fn of(fields: &Fields) -> &[Placed<String>] {
    fields.from.as_deref().unwrap_or_default()
}
