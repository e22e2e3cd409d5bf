//! The page of all options of the modules is made of what the modules declare, each described.
//! `TASK_PIPELINE_BLESS=1` writes it anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use crate::support::{repository, succeeded, world};

/// Default and description.
type Described = (Option<String>, String);

/// Of a module, by the names of its options.
fn options(list: &[(String, Option<String>, Option<String>)]) -> BTreeMap<&str, Described> {
    let described = list.iter().map(|(name, default, words)| {
        let words = words.as_deref().unwrap_or_default();
        assert!(words.len() > 5, "{name} has no description");
        (name.as_str(), (default.clone(), words.to_owned()))
    });
    described.collect()
}

/// A table of options; their names below `prefix`.
fn table<'a>(page: &mut String, options: impl Iterator<Item = (&'a str, &'a Described)>) {
    page.push_str("| option | default | |\n|---|---|---|\n");
    for (name, (default, words)) in options {
        let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let default = default.as_ref();
        let default = default.map_or("–".to_owned(), |text| format!("`{}`", one_line(text)));
        let row = format!("| `{name}` | {default} | {} |", one_line(words));
        writeln!(page, "{row}").unwrap();
    }
}

/// Name, default, description.
type Row = (String, Option<String>, Option<String>);

#[test]
fn all_options_of_the_modules_are_described_on_their_page() {
    let Some(world) = world() else { return };
    let source = world.flake();
    let output = world.evaluate(&format!(
        "let options = import {}/nix/module-options.nix {{ self = flake; inherit lib pkgs; }};
             shown = builtins.filter (o: o.visible && !o.internal);
             of = o: [ o.name (o.default.text or null) o.description ];
         in builtins.mapAttrs (_: tree: map of (shown (lib.optionAttrSetToDocList tree))) options",
        source.trim_start_matches("path:"),
    ));
    let lists: BTreeMap<String, Vec<Row>> = serde_json::from_str(&succeeded(&output)).unwrap();
    let (nixos, home) = (options(&lists["nixos"]), options(&lists["home"]));
    let pipeline = "services.task-pipeline.pipelines.<name>.";
    let mut page = String::from(
        "# All options of the modules\n\nThis page is generated from the options that the modules declare. [Modules](modules.md) explains how they \
         work together.\n\n## NixOS: services.task-pipeline\n\n",
    );
    let own = |name: &str| name.strip_prefix(pipeline).map(str::to_owned);
    table(
        &mut page,
        nixos
            .iter()
            .filter(|(name, _)| own(name).is_none())
            .map(|(name, of)| (*name, of)),
    );
    page.push_str("\n### Of a pipeline, `services.task-pipeline.pipelines.NAME`\n\n");
    table(
        &mut page,
        nixos
            .iter()
            .filter_map(|(name, of)| Some((name.strip_prefix(pipeline)?, of))),
    );
    page.push_str("\n## home-manager\n\nOnly what differs from NixOS is listed.\n\n");
    table(
        &mut page,
        home.iter()
            .filter(|(name, of)| nixos.get(*name) != Some(*of))
            .map(|(name, of)| (*name, of)),
    );
    let missing = nixos.keys().filter(|name| !home.contains_key(*name));
    let missing: Vec<String> = missing
        .map(|name| format!("`{}`", own(name).unwrap()))
        .collect();
    writeln!(
        page,
        "\nThese options do not exist here: {}.",
        missing.join(", ")
    )
    .unwrap();

    let file = repository().join("docs/module-options.md");
    if std::env::var_os("TASK_PIPELINE_BLESS").is_some_and(|v| v == "1") {
        fs::write(&file, &page).unwrap();
    }
    let there = fs::read_to_string(&file).unwrap_or_default();
    let differs = there
        .lines()
        .zip(page.lines())
        .find(|(old, new)| old != new);
    assert!(
        there == page,
        "docs/module-options.md is not what the modules declare; `TASK_PIPELINE_BLESS=1 cargo test --test flake \
         all_options` writes it. First difference, there and new: {differs:#?}"
    );
}
