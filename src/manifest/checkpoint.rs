//! The key `checkpoint`: whether tasks keep a folder from try to try.

use toml::de::DeValue;

use super::value::{Item, Reader};
use crate::model::checkpoint::Checkpoint;

/// Reads it.
pub(super) fn read(reader: &mut Reader<'_>, what: &str, item: &Item<'_>) -> Option<Checkpoint> {
    let text = match item.get_ref() {
        DeValue::Boolean(true) => return Some(Checkpoint::Ends),
        DeValue::Boolean(false) => return Some(Checkpoint::No),
        DeValue::String(text) => text,
        DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_)
        | DeValue::Table(_) => {
            let hint = format!("to keep it every ten minutes on other machines: {what} = \"10m\"");
            let wanted = "true, false or a length of time in quotes";
            reader.wrong_type(what, wanted, item, Some(hint));
            return None;
        }
    };
    match text.as_ref() {
        "true" | "false" | "yes" | "no" | "on" | "off" => reader.flag(what, item).and(None),
        _ => {
            let none = "without quotes, true keeps it at the end of a try alone";
            reader.duration(what, none, item).map(Checkpoint::Every)
        }
    }
}
