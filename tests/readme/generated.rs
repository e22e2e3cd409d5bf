//! Pages that are made of what the program says of itself: all keys, all options.
//! `TASK_PIPELINE_BLESS=1` writes them anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::keys::said;
use crate::pages::ROOT;

/// The page is exactly this text, or becomes it where that was asked for.
fn is_page(path: &str, text: &str) {
    let file = Path::new(ROOT).join(path);
    if std::env::var_os("TASK_PIPELINE_BLESS").is_some_and(|v| v == "1") {
        fs::write(&file, text).unwrap();
    }
    let there = fs::read_to_string(&file).unwrap_or_default();
    let differs = there
        .lines()
        .zip(text.lines())
        .find(|(old, new)| old != new);
    assert!(
        there == text,
        "{path} is not what the program says; `TASK_PIPELINE_BLESS=1 cargo test --test readme generated` writes it. \
         First difference, there and new: {differs:#?}"
    );
}

/// Text for a cell of a table: one line, in which nothing is markup but code.
fn cell(text: &str) -> String {
    let mut cell = String::new();
    let mut is_code = false;
    for c in text
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
    {
        is_code ^= c == '`';
        if c == '|' || (!is_code && "*_<[]".contains(c)) {
            cell.push('\\');
        }
        cell.push(c);
    }
    cell
}

/// A value as it stands in a manifest.
fn toml(value: &Value) -> String {
    let all = |values: &[Value]| values.iter().map(toml).collect::<Vec<_>>().join(", ");
    match value {
        Value::Array(values) => format!("[{}]", all(values)),
        Value::Object(fields) if fields.is_empty() => "{}".to_owned(),
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(key, value)| format!("{key} = {}", toml(value)));
            format!("{{ {} }}", fields.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// What a key takes, in words.
fn takes(schema: &Value) -> String {
    if let Some(values) = schema["enum"].as_array() {
        let values: Vec<String> = values.iter().map(|v| format!("`{v}`")).collect();
        return values.join(", ");
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        kind => kind.as_str().into_iter().collect(),
    };
    // TOML has no null.
    let kinds = kinds.into_iter().filter(|kind| *kind != "null");
    let words = kinds.map(|kind| match kind {
        "integer" => match schema["minimum"].as_u64() {
            Some(least) => format!("whole number, {least} or more"),
            None => "whole number".to_owned(),
        },
        "boolean" => "`true`, `false`".to_owned(),
        "array" => format!("array: {}", takes(&schema["items"])),
        // One with keys of its own is not of values of one kind.
        "object" if schema["additionalProperties"] == false => "table".to_owned(),
        "object" => format!("table: {}", takes(&schema["additionalProperties"])),
        kind => kind.to_owned(),
    });
    words.collect::<Vec<_>>().join(" or ")
}

#[test]
fn all_keys_are_those_of_the_schema() {
    let schema: Value = serde_json::from_str(&said(&["schema"])).unwrap();
    let top = &schema["properties"];
    let mut page = String::from(
        "# All keys of the manifest\n\nThis page is made from the schema that `task-pipeline schema` prints and editors \
         show. [The manifest](manifest.md) explains how they work together.\n",
    );
    let mut count = 0;
    for (heading, table, remark) in [
        ("Above the first table", top, "Only `include` can be there."),
        ("`[nix]`", &top["nix"]["properties"], ""),
        ("`[store]`", &top["store"]["properties"], ""),
        ("`[cache]`", &top["cache"]["properties"], ""),
        (
            "`[executors.NAME]`",
            &top["executors"]["additionalProperties"]["properties"],
            "",
        ),
        (
            "`[params]`, each parameter",
            &top["params"]["additionalProperties"]["properties"],
            "",
        ),
        ("`[[input]]`", &top["input"]["items"]["properties"], ""),
        (
            "`[[step]]`",
            &top["step"]["items"]["properties"],
            "Those marked `d` can also be in `[defaults]`.",
        ),
    ] {
        write!(page, "\n## {heading}\n\n").unwrap();
        if !remark.is_empty() {
            write!(page, "{remark}\n\n").unwrap();
        }
        page.push_str("| key | takes | default | |\n|---|---|---|---|\n");
        let is_top = remark.starts_with("Only");
        let is_step = remark.starts_with("Those");
        for (key, schema) in table.as_object().unwrap() {
            if is_top && key != "include" {
                continue;
            }
            count += 1;
            let code = |value: Option<&Value>| {
                value.map_or("–".to_owned(), |value| {
                    format!("`{}`", toml(value).replace('|', "\\|"))
                })
            };
            let default = code(schema.get("default"));
            let example = schema["examples"].get(0);
            let example = example.map_or(String::new(), |_| format!(" Example: {}", code(example)));
            let words = schema["description"].as_str().unwrap();
            let is_default = is_step && top["defaults"]["properties"].get(key).is_some();
            let mark = if is_default { " d" } else { "" };
            let takes = takes(schema);
            writeln!(
                page,
                "| `{key}`{mark} | {takes} | {default} | {}{example} |",
                cell(words)
            )
            .unwrap();
        }
    }
    assert!(count > 60, "{count}");
    is_page("docs/keys.md", &page);
}

/// An option, or an argument, as the help has it.
struct Entry {
    /// `-j, --parallel <N>`
    form: String,
    words: String,
}

/// The entries of a help text by their headings, which end in a colon, in order.
fn entries(help: &str) -> Vec<(String, Vec<Entry>)> {
    let mut sections: Vec<(String, Vec<Entry>)> = Vec::new();
    for line in help.lines() {
        let depth = line.len() - line.trim_start().len();
        let text = line.trim();
        if depth == 0 && text.ends_with(':') {
            sections.push((text.trim_end_matches(':').to_owned(), Vec::new()));
        } else if depth == 0 && !text.is_empty() {
            // What follows the options belongs to none of them.
            sections.push((String::new(), Vec::new()));
        } else if let Some((_, entries)) = sections.last_mut() {
            match entries.last_mut() {
                _ if text.is_empty() => {}
                _ if (2..=6).contains(&depth) && text.starts_with(['-', '[', '<']) => {
                    let (form, words) = (text.to_owned(), String::new());
                    entries.push(Entry { form, words });
                }
                Some(entry) if depth > 6 => {
                    // Values that it takes are a list of their own.
                    let between = match text.strip_prefix("- ") {
                        Some(_) => "; ",
                        None => " ",
                    };
                    entry.words.push_str(between);
                    entry.words.push_str(text.trim_start_matches("- "));
                }
                _ => {}
            }
        }
    }
    sections.retain(|(_, entries)| !entries.is_empty());
    sections
}

/// As people write it: one dash, and the words for its values.
fn written(form: &str) -> String {
    let form = form.replace("--", "-").replace(['<', '>'], "");
    form.split(", ")
        .map(|one| format!("`{one}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn table(page: &mut String, entries: &[Entry]) {
    page.push_str("| | |\n|---|---|\n");
    for Entry { form, words } in entries {
        let words = words.replace(" Possible values:; ", ". Values: ");
        let words = match words.trim_end_matches(']').split_once(" [default: ") {
            Some((words, default)) => format!("{words}. Default: `{default}`"),
            None => words,
        };
        writeln!(page, "| {} | {} |", written(form), cell(&words)).unwrap();
    }
}

#[test]
fn all_options_are_those_of_the_help() {
    let help = said(&["--help"]);
    let (about, _) = help.split_once('\n').unwrap();
    let mut page = format!(
        "# All options of the command line\n\nThis page is made from what `task-pipeline COMMAND -help` says. \
         [The command line](command-line.md) explains how they work together. Every long option takes one dash or two.\n\n\
         ## task-pipeline\n\n{about}.\n"
    );
    let own = entries(&help);
    let mut common: BTreeMap<String, String> = BTreeMap::new();
    for (heading, entries) in &own {
        write!(page, "\n### {heading}\n\n").unwrap();
        table(&mut page, entries);
        let words = entries.iter().map(|e| (e.form.clone(), e.words.clone()));
        common.extend(words);
    }
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let commands = commands.lines().take_while(|line| line.starts_with("  "));
    let mut count = 0;
    for command in commands.map(|line| line.split_whitespace().next().unwrap()) {
        if command == "help" {
            continue;
        }
        count += 1;
        let help = said(&[command, "--help"]);
        let (about, rest) = help.split_once("\n\n").unwrap();
        let usage = rest.lines().find_map(|line| line.strip_prefix("Usage: "));
        let about = cell(about);
        let about = about.trim_end_matches('.');
        write!(page, "\n## {command}\n\n{about}.\n\n").unwrap();
        writeln!(page, "`{}`", usage.unwrap().replace("--", "-")).unwrap();
        let (mut others, mut shared) = (Vec::new(), Vec::new());
        for entry in entries(&help).into_iter().flat_map(|(_, entries)| entries) {
            match common.get(&entry.form) {
                Some(words) if *words == entry.words => shared.push(entry),
                _ => others.push(entry),
            }
        }
        if !others.is_empty() {
            page.push('\n');
            table(&mut page, &others);
        }
        shared.retain(|entry| !entry.form.contains("--help"));
        if !shared.is_empty() {
            let names = shared.iter().map(|entry| written(&entry.form));
            let names = names.collect::<Vec<_>>().join(", ");
            write!(page, "\nAs above: {names}.\n").unwrap();
        }
    }
    assert!(count > 15, "{count}");
    is_page("docs/options.md", &page);
}
