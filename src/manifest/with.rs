//! The keys `with` and `each`: what tasks get of other steps besides their inputs.

use super::Placed;
use super::read::Fields;
use super::value::Reader;
use crate::manifest::diagnostic::Diagnostic;
use crate::model::name::StepName;
use crate::text::{quoted, suggest};

/// The steps that are named there, of these; sorted.
pub(super) fn steps(
    reader: &mut Reader<'_>,
    fields: &Fields,
    names: &[&StepName],
    complete: bool,
) -> Vec<StepName> {
    let mut steps: Vec<StepName> = Vec::new();
    for text in fields.with.as_deref().unwrap_or_default() {
        match step(text, names, complete) {
            Ok(Some(step)) if steps.contains(&step) => {
                let message = format!("{} is listed twice", quoted(&text.value));
                let error = Diagnostic::at(text.at.clone(), message);
                reader.error(error.hint("leave one of them out"));
            }
            Ok(step) => steps.extend(step),
            Err((message, hint)) => {
                reader.error(Diagnostic::at(text.at.clone(), message).hint(hint));
            }
        }
    }
    steps.sort();
    steps
}

/// None where it may be one whose name is wrong.
fn step(
    text: &Placed<String>,
    names: &[&StepName],
    complete: bool,
) -> Result<Option<StepName>, (String, String)> {
    let text = text.value.as_str();
    if let Some(step) = names.iter().find(|known| known.as_str() == text) {
        return Ok(Some((*step).clone()));
    }
    if !complete {
        return Ok(None);
    }
    let hint = match suggest::closest(text, names.iter().map(|name| name.as_str())) {
        Some(near) => format!("did you mean {}?", quoted(near)),
        None => "for instance [\"index\"]: names of steps, whose outputs each task gets".to_owned(),
    };
    Err((format!("there is no step {}", quoted(text)), hint))
}
