//! The expressions of docs/modules.md, as they are printed.

use std::fs;

use crate::support::{contains, repository, world};

/// The block that begins like this.
fn block(begin: &str) -> String {
    let page = fs::read_to_string(repository().join("docs/modules.md")).unwrap();
    let blocks = page.split("```nix\n").skip(1);
    let mut blocks = blocks.map(|rest| rest.split("```").next().unwrap());
    let block = blocks.find(|block| block.starts_with(begin));
    block
        .unwrap_or_else(|| panic!("no block begins with {begin}"))
        .to_owned()
}

/// With the names in scope that a reader has; the stand-in for nixpkgs has no curl.
fn in_scope(block: &str) -> String {
    format!(
        "(let task-pipeline = flake; host = pkgs; in let pkgs = host // {{ curl = host.jq; }}; in {block})"
    )
}

#[test]
fn the_example_for_nixos_makes_its_service_and_timer() {
    let Some(world) = world() else { return };
    let module = in_scope(&block("{\n  imports"));
    let machine = format!(
        "(nixpkgs.lib.nixosSystem {{ inherit system; modules = [ {module} ]; }}).config.system.build.toplevel"
    );
    let units = world.build_expression("docs-nixos", &machine);
    let units = units.unwrap_or_else(|said| panic!("{said}"));
    let read = |name: &str| fs::read_to_string(units.join(name)).unwrap();
    contains(&read("task-pipeline-nightly.service"), &["Type=oneshot\n"]);
    contains(
        &read("task-pipeline-nightly.timer"),
        &["OnCalendar=03:00\n"],
    );
}

#[test]
fn the_example_of_a_pipeline_in_nix_gives_its_results() {
    let Some(world) = world() else { return };
    let folder = world.folder("docs-lines");
    fs::create_dir(folder.join("data")).unwrap();
    fs::write(folder.join("data/list"), "pear\nfig\n").unwrap();
    let block = block("let\n  inherit");
    let data = folder.join("data");
    let expression = in_scope(&block.replace("./data", data.to_str().unwrap()));
    let result = world.build_expression("docs-lines-build", &expression);
    let result = result.unwrap_or_else(|said| panic!("{said}"));
    let files = fs::read_dir(result).unwrap();
    let mut lines: Vec<String> = files
        .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    lines.sort();
    assert_eq!(lines, ["FIG\n", "PEAR\n"]);
}
