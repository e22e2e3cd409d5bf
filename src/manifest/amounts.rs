//! Amounts of what there is only so much of: in keys of steps, and in `[limits]`.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use toml::de::{DeTable, DeValue};

use super::Placed;
use super::value::{Item, Reader};
use crate::manifest::diagnostic::Diagnostic;
use crate::model::resources::Memory;
use crate::text::quoted;

/// The names that limits can have.
pub(super) const NAME: &str = "^[A-Za-z0-9_][A-Za-z0-9_.-]*$";

/// Amounts of memory; how much they come to is checked beyond that.
pub(super) const MEMORY: &str =
    r"^[0-9]+(\.[0-9]+)?[KMGTPEkmgtpe](i?B)?(\.\.[0-9]+(\.[0-9]+)?[KMGTPEkmgtpe](i?B)?)?$";

/// What a step's `uses` takes, by name.
pub(super) type Uses = BTreeMap<String, Placed<u32>>;

/// Reads `2G`, `2G..16G`.
#[allow(clippy::wildcard_enum_match_arm)] // TOML's kinds of values are another's.
pub(super) fn memory(reader: &mut Reader<'_>, what: &str, item: &Item<'_>) -> Option<Memory> {
    let DeValue::String(text) = item.get_ref() else {
        let hint = match item.get_ref() {
            DeValue::Integer(number) if !number.as_str().starts_with('-') => {
                format!("with a unit: \"{number}G\", \"{number}M\"")
            }
            _ => "for instance \"2G\"".to_owned(),
        };
        reader.wrong_type(what, "an amount in quotes", item, Some(hint));
        return None;
    };
    match Memory::parse(text) {
        Ok(memory) => Some(memory),
        Err(why) => {
            let message = format!("{what}: {why}");
            let error = Diagnostic::at(reader.inside(item), message);
            reader.error(error.hint(why.hint()));
            None
        }
    }
}

/// Reads `{ database = 1 }`.
pub(super) fn uses(reader: &mut Reader<'_>, what: &str, item: &Item<'_>) -> Option<Uses> {
    let DeValue::Table(table) = item.get_ref() else {
        let hint = "for instance { database = 1 }, with database = 2 in [limits]".to_owned();
        reader.wrong_type(what, "a table of whole numbers", item, Some(hint));
        return None;
    };
    Some(amounts(reader, table))
}

/// Reads `[limits]`.
pub(super) fn limits(reader: &mut Reader<'_>, item: &Item<'_>) -> Uses {
    let DeValue::Table(table) = item.get_ref() else {
        let hint = "for instance [limits] with database = 2".to_owned();
        reader.wrong_type("`limits`", "one table", item, Some(hint));
        return Uses::new();
    };
    amounts(reader, table)
}

/// Amounts by name, each with the place of its name.
fn amounts(reader: &mut Reader<'_>, table: &DeTable<'_>) -> Uses {
    let mut amounts = Uses::new();
    for (key, item) in table {
        let name = key.get_ref().as_ref();
        if !is_name(name) {
            let message = format!("{} cannot be a limit's name", quoted(name));
            let hint = "letters, digits, `_`, `-` and dots, for instance `database`";
            reader.error(Diagnostic::at(key.span(), message).hint(hint));
            continue;
        }
        if let Some(value) = reader.count(&quoted(name), 1, item) {
            let at = key.span();
            amounts.insert(name.to_owned(), Placed { value, at });
        }
    }
    amounts
}

fn is_name(name: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    !name.is_empty() && name.chars().all(word) && !name.starts_with(['-', '.'])
}

/// The schema of `[limits]`.
pub(super) fn schema() -> Value {
    json!({
        "description": "The most that all running tasks together take of what the steps name in `uses`.",
        "type": "object",
        "propertyNames": { "pattern": NAME },
        "additionalProperties": { "type": "integer", "minimum": 1, "maximum": u32::MAX },
    })
}
