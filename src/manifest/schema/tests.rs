use serde_json::{Value, json};

use super::super::Manifest;
use super::super::field::{Field, Place};
use super::schema;

const PLACES: [Place; 7] = [
    Place::Nix,
    Place::Store,
    Place::Cache,
    Place::Publish,
    Place::Defaults,
    Place::Step,
    Place::Input,
];

/// The schema of a table.
fn table(schema: &Value, place: Place) -> &Value {
    match place {
        Place::Nix => &schema["properties"]["nix"],
        Place::Store => &schema["properties"]["store"],
        Place::Cache => &schema["properties"]["cache"],
        Place::Publish => &schema["properties"]["publish"],
        Place::Defaults => &schema["properties"]["defaults"],
        Place::Step => &schema["properties"]["step"]["items"],
        Place::Input => &schema["properties"]["input"]["items"],
    }
}

/// A value that is right in `place` if the key is allowed there.
fn example(schema: &Value, place: Place, key: &str) -> Value {
    let tables = [place].into_iter().chain(PLACES);
    let mut tables = tables.map(|place| table(schema, place));
    let property = tables.find_map(|table| table["properties"].get(key));
    property.unwrap_or_else(|| panic!("{key} is in no table"))["examples"][0].clone()
}

/// A manifest that is right but for `key`, which `place` sets to `value`.
fn manifest(place: Place, key: &str, value: &Value) -> String {
    let mut step = json!({ "name": "a", "start": true, "script": ":" });
    let mut manifest =
        json!({ "nix": {}, "store": {}, "cache": {}, "publish": {}, "defaults": {} });
    // For the steps' `params`.
    manifest["params"] = json!({ "threshold": { "type": "float" } });
    // For their `uses`.
    manifest["limits"] = json!({ "database": 1 });
    // For their `executor`.
    manifest["executors"] = json!({ "cluster": { "slurm": [] } });
    match place {
        Place::Nix => manifest["nix"][key] = value.clone(),
        Place::Store => manifest["store"][key] = value.clone(),
        Place::Cache => manifest["cache"][key] = value.clone(),
        Place::Publish => manifest["publish"][key] = value.clone(),
        Place::Defaults => manifest["defaults"][key] = value.clone(),
        Place::Step => step[key] = value.clone(),
        Place::Input => manifest["input"] = json!([input(key, value)]),
    }
    if let (Place::Input, "step", Some(name)) = (place, key, value.as_str()) {
        step["name"] = json!(name);
    }
    // It is for steps in a sandbox.
    if place == Place::Step && key == "network" && *value == json!(true) {
        step["sandbox"] = json!(true);
    }
    // No start step gathers, and these go with that.
    if place == Place::Step
        && ["gather", "partial", "empty"].contains(&key)
        && *value == json!(true)
    {
        step["start"] = json!(false);
        step["gather"] = json!(true);
        manifest["input"] = json!([input("step", &json!("a"))]);
    }
    // Nor does it wait for what comes of it.
    if place == Place::Step
        && (key == "with" && value[0].is_string() || key == "each" && *value == json!(true))
    {
        if key == "each" {
            step["with"] = json!(["index"]);
        }
        step["start"] = json!(false);
        manifest["input"] = json!([input("step", &json!("a"))]);
    }
    let mut steps = vec![step];
    // Those that the example names.
    if key == "each" && *value == json!(true)
        || ["from", "with"].contains(&key) && value[0].is_string()
    {
        for name in ["count", "stats", "index"] {
            steps.push(json!({ "name": name, "script": ":" }));
        }
    }
    manifest["step"] = json!(steps);
    toml::to_string(&manifest).unwrap()
}

/// An input that is right but for `key`.
fn input(key: &str, value: &Value) -> Value {
    let mut input = match key {
        "files" | "rows" => json!({ "step": "a" }),
        "name" | "paths" => json!({ "step": "a", "rows": "a.csv" }),
        "copy" if *value == json!(false) => json!({ "step": "a", "files": "a" }),
        _ => json!({ "step": "a", "lines": "ls" }),
    };
    input[key] = value.clone();
    input
}

/// Whether the property may be of this kind.
fn is_of(property: &Value, kind: &str) -> bool {
    let kinds = property["type"].as_array();
    property["type"] == *kind || kinds.is_some_and(|kinds| kinds.contains(&json!(kind)))
}

fn accepts(place: Place, key: &str, value: &Value) -> bool {
    Manifest::parse(&manifest(place, key, value)).is_ok()
}

#[test]
fn the_parser_accepts_what_the_schema_lists_and_nothing_else() {
    let schema = schema();
    for place in PLACES {
        let table = table(&schema, place);
        assert_eq!(table["additionalProperties"], json!(false));
        let properties = table["properties"].as_object().unwrap();
        for &field in Field::ALL {
            let key = field.key();
            let value = &example(&schema, place, key);
            let listed = properties.contains_key(key);
            assert_eq!(
                listed,
                accepts(place, key, value),
                "{key} in {}",
                place.header()
            );
        }
        assert!(!accepts(place, "other", &json!("x")));
        assert!(properties.keys().all(|key| Field::is_key(key)));
    }
}

#[test]
fn the_types_are_those_of_the_parser() {
    let schema = schema();
    let others = [
        ("string", json!("x")),
        ("integer", json!(1)),
        ("number", json!(1.5)),
        ("boolean", json!(false)),
        ("array", json!([1])),
        ("object", json!({ "x": 1 })),
    ];
    for place in PLACES {
        let properties = table(&schema, place)["properties"].as_object().unwrap();
        for (key, property) in properties {
            for (kind, value) in &others {
                // `false` is right for any boolean but the `start` of the only step.
                let right = is_of(property, kind) && *kind == "boolean" && key != "start";
                if !is_of(property, kind) || right {
                    assert_eq!(accepts(place, key, value), right, "{key} = {value}");
                }
            }
        }
    }
}

#[test]
fn the_defaults_are_those_of_the_parser() {
    let schema = schema();
    let said = |text: &str| Manifest {
        places: Vec::new(),
        ..Manifest::parse(text).unwrap()
    };
    for place in PLACES {
        let neutral = match place {
            Place::Input => manifest(Place::Input, "step", &json!("a")),
            Place::Nix
            | Place::Store
            | Place::Cache
            | Place::Publish
            | Place::Defaults
            | Place::Step => manifest(Place::Step, "name", &json!("a")),
        };
        let plain = said(&neutral);
        for (key, property) in table(&schema, place)["properties"].as_object().unwrap() {
            if let Some(default) = property.get("default").filter(|_| key != "start") {
                let with = said(&manifest(place, key, default));
                assert_eq!(with, plain, "{key}");
                let without = said(&manifest(place, key, &example(&schema, place, key)));
                assert_ne!(without, plain, "{key}");
            }
        }
    }
}

#[test]
fn the_bounds_are_those_of_the_parser() {
    let schema = schema();
    for (key, property) in table(&schema, Place::Step)["properties"]
        .as_object()
        .unwrap()
    {
        for (bound, beyond) in [("minimum", -1), ("maximum", 1)] {
            if let Some(bound) = property.get(bound).map(|bound| bound.as_i64().unwrap()) {
                assert!(accepts(Place::Step, key, &json!(bound)), "{key} {bound}");
                assert!(
                    !accepts(Place::Step, key, &json!(bound + beyond)),
                    "{key} {bound}"
                );
            }
        }
    }
}

#[test]
fn a_manifest_needs_what_the_schema_requires() {
    let schema = schema();
    assert_eq!(schema["required"], json!(["step"]));
    assert!(Manifest::parse("").is_err());
    let step = table(&schema, Place::Step);
    assert_eq!(step["required"], json!(["name", "script"]));
    assert!(Manifest::parse("[[step]]\nname = 'a'\nstart = true").is_err());
    assert!(Manifest::parse("[[step]]\nscript = ':'\nstart = true").is_err());
    assert_eq!(schema["anyOf"][0]["required"], json!(["input"]));
    let step = "[[step]]\nname = 'a'\nscript = ':'\n";
    assert!(Manifest::parse(step).is_err());
    assert!(Manifest::parse(&format!("{step}[[input]]\nlines = 'ls'")).is_ok());
    assert!(Manifest::parse(&format!("input = []\n{step}")).is_err());
}
