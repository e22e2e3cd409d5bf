//! The manifest as a JSON Schema, for editors.

use serde_json::{Map, Value, json};

use super::field::{Field, Place};
use super::{NixSettings, Step};
use crate::core::name::StepName;

/// The JSON Schema (draft 2020-12) of a manifest.
///
/// What a schema cannot say, such as that no name is used twice, [`super::Manifest::parse`] checks
/// beyond it.
pub fn schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "task-pipeline manifest",
        "description": "A pipeline: scripts, each in an environment of its own, joined by the names of the files that they write.",
        "type": "object",
        "properties": {
            "nix": table(Place::Nix, "Nix settings for all steps."),
            "defaults": table(Place::Defaults, "Values for steps that do not set their own; variables in env are joined."),
            "step": {
                "description": "The steps; exactly one is the start step.",
                "type": "array",
                "items": step(),
                "minItems": 1,
                "contains": {
                    "type": "object",
                    "properties": { "start": { "const": true } },
                    "required": ["start"],
                },
                "minContains": 1,
                "maxContains": 1,
            },
        },
        "required": ["step"],
        "additionalProperties": false,
    })
}

fn step() -> Value {
    let mut step = table(Place::Step, "A named script.");
    step["required"] = json!([Field::Name.key(), Field::Script.key()]);
    step
}

fn table(place: Place, description: &str) -> Value {
    let properties: Map<_, _> = Field::of(place)
        .map(|field| (field.key().to_owned(), property(field)))
        .collect();
    json!({
        "description": description,
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    })
}

fn property(field: Field) -> Value {
    let mut property = kind(field);
    property["description"] = json!(description(field));
    property["examples"] = json!([example(field)]);
    if let Some(default) = default(field) {
        property["default"] = default;
    }
    property
}

/// What a value must be.
fn kind(field: Field) -> Value {
    match field {
        Field::Name => json!({
            "type": "string",
            "pattern": r"^(?!\.{1,2}$)(?!\s)[^/\u0000-\u001f\u007f-\u009f]+(?<!\s)$",
            "maxLength": StepName::MAX,
        }),
        Field::Script => json!({ "type": "string", "pattern": r"\S" }),
        Field::Start | Field::Pure | Field::Cache | Field::Warm => json!({ "type": "boolean" }),
        Field::Packages => json!({
            "type": "array",
            "items": { "type": "string", "pattern": r"^[^\s-]\S*$" },
        }),
        Field::Env => json!({
            "type": "object",
            "propertyNames": {
                "pattern": "^[A-Za-z_][A-Za-z0-9_]*$",
                "not": { "pattern": "^(PATH|INPUT_FILE|OUTPUT_DIR|TMPDIR|TASK_PIPELINE_.*)$" },
            },
            "additionalProperties": { "type": "string" },
        }),
        Field::Shell => json!({
            "type": "array",
            "prefixItems": [{ "type": "string", "pattern": r"\S" }],
            "items": { "type": "string" },
            "minItems": 1,
        }),
        Field::Keep => json!({
            "type": "array",
            "items": { "type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$" },
        }),
        Field::Parallel | Field::Rounds => {
            json!({ "type": "integer", "minimum": 1, "maximum": u32::MAX })
        }
        Field::Retries => json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX }),
        Field::Timeout => json!({
            "type": "string",
            "pattern": "^(?=.*[1-9])(?!$)([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$",
        }),
        Field::Nixpkgs => json!({ "type": "string", "pattern": r"^[^\s#^-][^\s#^]*$" }),
    }
}

fn description(field: Field) -> &'static str {
    match field {
        Field::Name => {
            "The step's name. A file NAME, x_NAME or x_NAME.ext that a task writes becomes an input of this step."
        }
        Field::Start => "Whether the pipeline starts here; exactly one step does.",
        Field::Script => {
            "The script. It reads $INPUT_FILE and writes files into $OUTPUT_DIR, whose names decide which step is next."
        }
        Field::Packages => {
            "Packages whose programs the script finds: what `nix shell` takes. A bare name, and nixpkgs#NAME, is looked up in [nix] nixpkgs."
        }
        Field::Env => "Variables for the script.",
        Field::Shell => "The program that runs the script, with the arguments before it.",
        Field::Pure => "Whether the script sees only its packages and variables.",
        Field::Keep => "Names of the host's variables that a pure step sees nonetheless.",
        Field::Parallel => {
            "Most tasks of this step at once; without it, as many as the run allows."
        }
        Field::Timeout => {
            "Longest time for one try of one task: whole numbers with d, h, m, s or ms. Without it, no limit."
        }
        Field::Retries => "Further tries after one that failed.",
        Field::Rounds => {
            "How often the step may occur in one line of descent, which ends a ring of steps that would go round for ever."
        }
        Field::Cache => {
            "Whether a success is used again for the same input and the same version of the step."
        }
        Field::Warm => {
            "Whether one shell runs many tasks, each in a subshell, where the script cannot tell the difference."
        }
        Field::Nixpkgs => "The flake in which bare package names, and nixpkgs#NAME, are looked up.",
    }
}

fn example(field: Field) -> Value {
    match field {
        Field::Name => json!("extract"),
        Field::Start | Field::Pure | Field::Warm => json!(true),
        Field::Script => json!("sort \"$INPUT_FILE\" > \"$OUTPUT_DIR/next\""),
        Field::Packages => json!([
            "jq",
            "nixpkgs#ripgrep",
            ".#my-tool",
            "github:owner/repo#name"
        ]),
        Field::Env => json!({ "LANG": "C.UTF-8" }),
        Field::Shell => json!(["bash", "-euo", "pipefail", "-c"]),
        Field::Keep => json!(["SSH_AUTH_SOCK"]),
        Field::Parallel => json!(4),
        Field::Timeout => json!("1h30m"),
        Field::Retries => json!(2),
        Field::Rounds => json!(50),
        Field::Cache => json!(false),
        Field::Nixpkgs => json!("github:NixOS/nixpkgs/nixos-25.11"),
    }
}

/// The value that holds where none is given, if there is one.
fn default(field: Field) -> Option<Value> {
    Some(match field {
        Field::Start | Field::Pure | Field::Warm => json!(false),
        Field::Cache => json!(true),
        Field::Packages | Field::Keep => json!([]),
        Field::Env => json!({}),
        Field::Shell => json!(Step::SHELL),
        Field::Retries => json!(0),
        Field::Rounds => json!(Step::ROUNDS),
        Field::Nixpkgs => json!(NixSettings::NIXPKGS),
        Field::Name | Field::Script | Field::Parallel | Field::Timeout => return None,
    })
}

#[cfg(test)]
mod tests;
