//! Keys and tables that a manifest does not have: what was meant, or what there is in place of them.

use std::ops::Range;

use toml::de::DeTable;

use super::elsewhere;
use super::field::{Field, Place};
use super::syntax::is_table;
use super::value::{Item, Reader};
use crate::manifest::diagnostic::Diagnostic;
use crate::text::quoted;
use crate::text::suggest;

/// Top-level keys.
pub(super) const TABLES: [&str; 11] = [
    "cache",
    "publish",
    "include",
    "nix",
    "store",
    "limits",
    "executors",
    "defaults",
    "params",
    "step",
    "input",
];

/// What users of other tools call a step.
const STEPS: [&str; 11] = [
    "steps",
    "task",
    "tasks",
    "job",
    "jobs",
    "stage",
    "stages",
    "rule",
    "rules",
    "process",
    "processes",
];

/// What users of other tools call an input.
const INPUTS: [&str; 4] = ["inputs", "source", "sources", "data"];

pub(super) const INCLUDE: &str = "include";

/// Calls `read` with each key that `place` can hold, and notes the others; the keys that are there, with
/// the place of their values, misspelt ones last. `label`: the table in words.
pub(super) fn each_key(
    reader: &mut Reader<'_>,
    place: Place,
    label: &str,
    table: &DeTable<'_>,
    mut read: impl FnMut(&mut Reader<'_>, Field, &Item<'_>),
) -> Vec<(Field, Range<usize>)> {
    let mut seen = Vec::new();
    let mut meant = Vec::new();
    for (key, item) in table {
        if let Some(field) = Field::at(place, key.get_ref()) {
            seen.push((field, item.span()));
            read(reader, field, item);
            continue;
        }
        let known = Field::belongs(key.get_ref(), item.get_ref());
        let message = format!("unknown key {} in {label}", quoted(key.get_ref()));
        let close = if place == Place::Input {
            elsewhere::of_input(key.get_ref())
        } else {
            None
        };
        let instead = elsewhere::instead(place, key.get_ref());
        let is_plain = known.is_none() && instead.is_none();
        let close = close.or_else(|| self::close(place, key.get_ref()).filter(|_| is_plain));
        meant.extend(close.map(|field| (field, item.span())));
        let hint = match (close, instead) {
            (None, Some(words)) => words.to_owned(),
            _ => hint(
                place,
                key.get_ref(),
                known.filter(|_| close.is_none()),
                close,
            ),
        };
        reader.error(Diagnostic::at(key.span(), message).hint(hint));
    }
    // What is only misspelt is not missing as well.
    seen.append(&mut meant);
    seen
}

/// The field of `place` that an unknown key was perhaps meant to be.
fn close(place: Place, key: &str) -> Option<Field> {
    suggest::closest(key, Field::of(place).map(Field::key))
        .and_then(|key| Field::at(place, key))
        .or_else(|| Field::alias(key).filter(|field| field.places().contains(&place)))
}

/// What to do about a key that `place` cannot hold: one that other tables have, which is `known` in words, or
/// `close` to one of this table's.
fn hint(place: Place, key: &str, known: Option<String>, close: Option<Field>) -> String {
    match (known, close) {
        (Some(belongs), _) => belongs,
        (None, Some(field)) => format!("did you mean `{}`?", field.key()),
        (None, None) if key == "include" => {
            "`include` belongs above the first table of the file".to_owned()
        }
        (None, None) => {
            let keys: Vec<_> = Field::of(place).map(Field::key).collect();
            format!("{} can have: {}", place.header(), keys.join(", "))
        }
    }
}

/// Notes a top-level key that is none; the key that was meant, if that is clear.
pub(super) fn at_top(
    reader: &mut Reader<'_>,
    name: &str,
    place: Range<usize>,
    item: &Item<'_>,
) -> Option<&'static str> {
    let is_table = is_table(item.get_ref());
    let what = if is_table { "table" } else { "key" };
    let meant = if STEPS.contains(&name) {
        Some("step")
    } else if INPUTS.contains(&name) {
        Some("input")
    } else {
        let instead = elsewhere::instead_at_top(name);
        let near = suggest::closest(name, TABLES).filter(|_| instead.is_none());
        near.or(match name {
            "includes" | "import" | "imports" | "parts" => Some(INCLUDE),
            _ => None,
        })
    };
    let error = Diagnostic::at(place, format!("unknown {what} {}", quoted(name)));
    let belongs = Field::belongs(name, item.get_ref());
    let instead = elsewhere::instead_at_top(name);
    if let Some(words) = instead.filter(|_| belongs.is_none() || is_table) {
        reader.error(error.hint(words));
        return None;
    }
    if let Some(belongs) = belongs {
        // Where a header is broken, its table's keys come here.
        reader.missing(error.hint(belongs));
        return None;
    }
    reader.error(
        error.hint(match meant {
            Some("step") => "a step's table is written [[step]]".to_owned(),
            Some("input") => "an input's table is written [[input]]".to_owned(),
            Some(INCLUDE) => {
                "did you mean include = [\"steps/*.toml\"], above all tables?".to_owned()
            }
            Some(meant) => format!("did you mean [{meant}]?"),
            None => {
                "a manifest can have include, [nix], [store], [cache], [publish], [limits], [executors], \
                 [defaults], [params], [[input]] and [[step]]"
                    .to_owned()
            }
        }),
    );
    meant.filter(|_| is_table)
}
