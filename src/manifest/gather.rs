//! The key `gather`: what a step takes together.

use toml::de::DeValue;

use super::value::{Item, Reader};
use crate::manifest::diagnostic::Diagnostic;
use crate::model::gather::Gather;
use crate::text::quoted;

/// What stands for "by key".
pub(super) const BY_KEY: &str = "name";

/// Reads it; none also for a step that says that it does not gather.
pub(super) fn read(reader: &mut Reader<'_>, what: &str, item: &Item<'_>) -> Option<Gather> {
    let text = match item.get_ref() {
        DeValue::Boolean(true) => return Some(Gather::All),
        DeValue::Boolean(false) => return None,
        DeValue::String(text) => text,
        DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_)
        | DeValue::Table(_) => {
            let hint = format!("for all of a runset in one task: {what} = true");
            reader.wrong_type(what, "true, false or \"name\"", item, Some(hint));
            return None;
        }
    };
    match text.as_ref() {
        BY_KEY => Some(Gather::ByKey),
        "true" | "false" | "yes" | "no" | "on" | "off" => reader.flag(what, item).and(None),
        text => {
            let message = format!("{what}: {} is not \"{BY_KEY}\"", quoted(text));
            reader.error(Diagnostic::at(reader.inside(item), message).hint(
                "true, without quotes, for all of a runset in one task; \"name\" for a task for each \
                 key, which is what stands before the step's name in the names of files",
            ));
            None
        }
    }
}
