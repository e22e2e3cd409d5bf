//! The key `gather`: what a step takes together.

use toml::de::DeValue;

use super::Placed;
use super::value::{Item, Reader};
use crate::manifest::diagnostic::Diagnostic;
use crate::model::gather::Gather;
use crate::model::name::StepName;
use crate::text::{quoted, suggest};

/// What stands for "by key".
pub(super) const BY_KEY: &str = "name";

/// What the key says.
#[derive(Debug, Clone)]
pub(super) enum Said {
    /// All of a runset together.
    All,
    /// All that has the same key.
    ByKey,
    /// All that descends from each task of the step with this name.
    Below(Placed<String>),
}

/// Reads it; none also for a step that says that it does not gather.
pub(super) fn read(reader: &mut Reader<'_>, what: &str, item: &Item<'_>) -> Option<Said> {
    let text = match item.get_ref() {
        DeValue::Boolean(true) => return Some(Said::All),
        DeValue::Boolean(false) => return None,
        DeValue::String(text) => text,
        DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_)
        | DeValue::Table(_) => {
            let hint = format!("for all of a runset in one task: {what} = true");
            reader.wrong_type(
                what,
                "true, false, \"name\" or a step's name",
                item,
                Some(hint),
            );
            return None;
        }
    };
    match text.as_ref() {
        BY_KEY => Some(Said::ByKey),
        "true" | "false" | "yes" | "no" | "on" | "off" => reader.flag(what, item).and(None),
        text => Some(Said::Below(Placed {
            value: text.to_owned(),
            at: reader.inside(item),
        })),
    }
}

/// What a step gathers, where the steps of the manifest are those. `complete`: all their names are known.
pub(super) fn resolve(
    reader: &mut Reader<'_>,
    said: &Said,
    own: Option<&StepName>,
    names: &[&StepName],
    complete: bool,
) -> Option<Gather> {
    let step = match said {
        Said::All => return Some(Gather::All),
        Said::ByKey => return Some(Gather::ByKey),
        Said::Below(step) => step,
    };
    let at = names.iter().position(|name| name.as_str() == step.value);
    if at.is_some() && own.is_some_and(|own| own.as_str() == step.value) {
        let message = format!(
            "{} gathers what comes of its own tasks, which in turn come of what it gathers",
            quoted(&step.value)
        );
        let error = Diagnostic::at(step.at.clone(), message);
        reader.error(error.hint("name the step whose tasks each make a group"));
        return None;
    }
    if at.is_some() || !complete {
        return at.map(Gather::Below);
    }
    let message = format!(
        "`gather`: {} is neither \"{BY_KEY}\" nor a step",
        quoted(&step.value)
    );
    let known = names.iter().map(|name| name.as_str()).chain([BY_KEY]);
    let hint = match suggest::closest(&step.value, known) {
        Some(near) => format!("did you mean {}?", quoted(near)),
        None => "true, without quotes: one task on everything in a runset; \"name\": one for each key, which is the \
        part of a file's name before the step's name; a step's name: one on everything that descends from each of \
        its tasks"
            .to_owned(),
    };
    reader.error(Diagnostic::at(step.at.clone(), message).hint(hint));
    None
}
