//! Variables that a manifest sets, or takes from the host.

use std::collections::BTreeMap;

use toml::de::DeValue;

use super::field::Field;
use super::value::{Item, Reader, list};
use crate::manifest::diagnostic::Diagnostic;
use crate::text::quoted;

/// Names of variables of the host.
pub(super) fn kept(reader: &mut Reader<'_>, what: &str, item: &Item<'_>) -> Option<Vec<String>> {
    if let Some("all" | "finals") = item.get_ref().as_str() {
        let belongs = Field::belongs(Field::Keep.key(), item.get_ref()).unwrap_or_default();
        let hint = format!("as it is, {belongs}; here it lists variables of the environment");
        reader.wrong_type(what, "an array of strings", item, Some(hint));
        return None;
    }
    list(reader, what, item, |reader, what, item| {
        let name = reader.string(what, item)?;
        if is_variable(&name) {
            return Some(name);
        }
        let message = format!("{} cannot be a variable's name", quoted(&name));
        let error = Diagnostic::at(reader.inside(item), message);
        reader.error(error.hint(VARIABLE));
        None
    })
}

/// Names of secrets, each once.
pub(super) fn secrets(reader: &mut Reader<'_>, what: &str, item: &Item<'_>) -> Option<Vec<String>> {
    let mut seen: Vec<String> = Vec::new();
    list(reader, what, item, |reader, what, item| {
        let name = reader.string(what, item)?;
        let error = Diagnostic::at(reader.inside(item), "");
        if !is_variable(&name) {
            let message = format!("{} cannot be a secret's name", quoted(&name));
            reader.error(Diagnostic { message, ..error }.hint(VARIABLE));
        } else if seen.contains(&name) {
            let message = format!("secret {} is listed twice", quoted(&name));
            reader.error(Diagnostic { message, ..error }.hint("leave one of them out"));
        } else {
            seen.push(name);
        }
        Some(())
    })?;
    seen.sort();
    Some(seen)
}

const VARIABLE: &str = "use letters, digits and underscores, but no digit first";

fn is_variable(name: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty() && name.chars().all(word) && !name.starts_with(|c: char| c.is_ascii_digit())
}

/// Variables with their values.
pub(super) fn set(
    reader: &mut Reader<'_>,
    what: &str,
    item: &Item<'_>,
) -> BTreeMap<String, String> {
    let DeValue::Table(table) = item.get_ref() else {
        let hint = "for instance { LANG = \"C.UTF-8\" }".to_owned();
        reader.wrong_type(what, "a table of strings", item, Some(hint));
        return BTreeMap::new();
    };
    let mut variables = BTreeMap::new();
    for (key, item) in table {
        let name = key.get_ref().as_ref();
        let value = reader.string(&format!("variable {}", quoted(name)), item);
        if let Some((message, hint)) = refused(name) {
            reader.error(Diagnostic::at(key.span(), message).hint(hint));
        } else if let Some(value) = value {
            variables.insert(name.to_owned(), value);
        }
    }
    variables
}

/// Why a manifest cannot set the variable, and what to do instead.
fn refused(name: &str) -> Option<(String, &'static str)> {
    if !is_variable(name) {
        let message = format!("{} cannot be a variable's name", quoted(name));
        return Some((message, VARIABLE));
    }
    if name == "PATH" {
        let message = "`PATH` cannot be set: a step's packages decide what its script finds";
        return Some((
            message.to_owned(),
            "name the programs' packages in `packages`",
        ));
    }
    if is_reserved(name) {
        let message = format!("`{name}` cannot be set: each task is given its own");
        return Some((message, "choose another name"));
    }
    None
}

/// Whether the variable is one that each task is given.
fn is_reserved(name: &str) -> bool {
    matches!(
        name,
        "INPUT_FILE" | "INPUT_DIR" | "WITH_DIR" | "WITH_FILE" | "OUTPUT_DIR" | "TMPDIR"
    ) || name.starts_with("TASK_PIPELINE_")
}
