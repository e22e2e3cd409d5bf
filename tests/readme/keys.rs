//! Tables that name what there is: options, subcommands, keys of the manifest.

use std::collections::BTreeSet;
use std::process::Command;

use crate::pages::{ROOT, page};

pub fn said(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_task-pipeline"))
        .args(arguments)
        .current_dir(ROOT)
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_option_and_subcommand_is_there() {
    let page = page("docs/command-line.md");
    let help = said(&["--help"]);
    let (commands, options) = help.split_once("Options:").unwrap();
    let mut count = 0;
    for line in options.lines().map(str::trim_start) {
        let Some(option) = line
            .starts_with('-')
            .then(|| line.split_once("--"))
            .flatten()
        else {
            continue;
        };
        let option = option.1.split([' ', '<', '=', ',']).next().unwrap();
        if !["help", "version"].contains(&option) {
            assert!(page.contains(&format!("-{option}")), "--{option}");
            count += 1;
        }
    }
    let (_, commands) = commands.split_once("Commands:").unwrap();
    for line in commands.lines().filter(|line| line.starts_with("  ")) {
        let command = line.split_whitespace().next().unwrap();
        if command != "help" {
            assert!(page.contains(&format!("`{command}")), "{command}");
            count += 1;
        }
    }
    assert!(count > 25, "{count}");
}

/// The names of the properties of an object of the schema.
fn properties(schema: &serde_json::Value) -> BTreeSet<String> {
    let properties = schema["properties"].as_object();
    let properties = properties.unwrap_or_else(|| panic!("{schema:#}"));
    properties.keys().cloned().collect()
}

/// What a table of the page says of keys: each with its default.
fn documented(heading: &str) -> Vec<(String, String)> {
    let rows = page("docs/manifest.md").rows(heading).into_iter();
    let rows = rows.filter(|row| row[0].starts_with('`'));
    let cell = |text: &str| text.trim_matches('`').to_owned();
    rows.map(|row| (cell(&row[0]), cell(&row[1]))).collect()
}

/// The parser takes what the schema lists, and nothing else: its own tests hold that.
#[test]
fn every_key_of_a_manifest_is_there_with_its_default() {
    let schema: serde_json::Value = serde_json::from_str(&said(&["schema"])).unwrap();
    for (heading, table) in [
        ("### Of `[nix]`", &schema["properties"]["nix"]),
        ("### Of `[store]`", &schema["properties"]["store"]),
        ("### Of a step", &schema["properties"]["step"]["items"]),
        ("### Of an input", &schema["properties"]["input"]["items"]),
    ] {
        let documented = documented(heading);
        let names: BTreeSet<String> = documented.iter().map(|(key, _)| key.clone()).collect();
        assert_eq!(names, properties(table), "{heading}");
        for (key, default) in documented {
            match table["properties"][&key]["default"].clone() {
                serde_json::Value::Null => {}
                real => {
                    let real = real.to_string().replace(',', ", ");
                    assert_eq!(default, real, "the default of {key}");
                }
            }
        }
    }
}
