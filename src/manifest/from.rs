//! The key `from`: outputs of other steps, wherever they are routed.

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
                let message = format!("{} is listed twice", quoted(&text.value));
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

/// The sources of a step, by what it sets.
pub(super) fn of(fields: &Fields) -> &[Placed<String>] {
    fields.from.as_deref().unwrap_or_default()
}
