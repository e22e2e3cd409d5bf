//! The manifest as a JSON Schema, for editors.

use schemars::{Schema, schema_for};
use serde_json::{Map, Value, json};

use super::field::{Field, Place};
use super::{CacheSettings, GLOB, Input, NixSettings, PublishSettings, Step, StoreSettings};

/// Where that of the newest release lies; each one has its own beside it.
const ADDRESS: &str =
    "https://github.com/danhab99/task-pipeline/releases/latest/download/workflow.schema.json";

/// The JSON Schema (draft 2020-12) of a manifest.
///
/// What a schema cannot say, such as that no name is used twice, [`super::Manifest::parse`] checks
/// beyond it.
pub(crate) fn schema() -> Value {
    let start = json!({
        "type": "object",
        "properties": { "start": { "const": true } },
        "required": ["start"],
    });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": ADDRESS,
        "title": "task-pipeline manifest",
        "description": "A pipeline: scripts, each in its own environment, connected by the names of the files that they write.",
        "type": "object",
        "properties": {
            "include": {
                "description": "Parts of the manifest: patterns for files below its folder.",
                "type": "array",
                "items": { "type": "string", "pattern": GLOB },
            },
            "nix": table(Place::Nix, "Nix settings for all steps."),
            "store": table(Place::Store, "What to keep in the db."),
            "cache": table(Place::Cache, "Results that are shared with others."),
            "publish": table(Place::Publish, "Results as files."),
            "limits": super::amounts::schema(),
            "executors": super::executors::schema(),
            "defaults": table(Place::Defaults, "Values for steps that do not set their own; variables in env are merged."),
            "params": super::params::schema(),
            "step": {
                "description": "The steps; exactly one is the start step, or none if there are inputs.",
                "type": "array",
                "items": step(),
                "minItems": 1,
                // In this form for editors that know no `minContains`: to them, each manifest would need a start step.
                "if": { "contains": start },
                "then": { "contains": start, "maxContains": 1 },
            },
            "input": {
                "description": "What comes in from outside: files, rows of a sheet, lines of a command's output.",
                "type": "array",
                "items": table(Place::Input, "What comes in: one of files, rows or lines."),
            },
        },
        "required": ["step"],
        "anyOf": [
            { "required": ["input"] },
            { "properties": { "step": { "contains": start } } },
        ],
        "additionalProperties": false,
    })
}

fn step() -> Value {
    let mut step = table(Place::Step, "A named script.");
    step["required"] = json!([Field::Name.key(), Field::Script.key()]);
    step
}

/// A table with the properties of [`Step`], [`NixSettings`], [`StoreSettings`], [`CacheSettings`], [`PublishSettings`] and [`Input`] that it can hold.
fn table(place: Place, description: &str) -> Value {
    let mut all = properties(&match place {
        Place::Input => schema_for!(Input),
        Place::Nix
        | Place::Store
        | Place::Cache
        | Place::Publish
        | Place::Defaults
        | Place::Step => {
            schema_for!(Step)
        }
    });
    all.extend(properties(&schema_for!(NixSettings)));
    all.extend(properties(&schema_for!(CacheSettings)));
    all.extend(properties(&schema_for!(PublishSettings)));
    if place == Place::Store {
        // It has a key of the name of another one of steps.
        all.extend(properties(&schema_for!(StoreSettings)));
    }
    all.retain(|key, _| Field::at(place, key).is_some());
    json!({
        "description": description,
        "type": "object",
        "properties": all,
        "additionalProperties": false,
    })
}

fn properties(schema: &Schema) -> Map<String, Value> {
    let all = schema.get("properties").and_then(Value::as_object);
    let mut all = all.cloned().unwrap_or_default();
    for property in all.values_mut().filter_map(Value::as_object_mut) {
        // How large a number may be is said by its bounds; a comment's lines are one text.
        property.remove("format");
        if let Some(Value::String(description)) = property.get_mut("description") {
            *description = description.replace('\n', " ");
        }
    }
    all
}

#[cfg(test)]
mod tests;
