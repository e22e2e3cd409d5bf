//! Warnings: of Nix and about what is given to it.

use std::fs;

use super::world::{World, world, write_flake};

/// A world whose manifest is in a repository with changes that are not committed.
fn dirty() -> Option<World> {
    let mut world = world()?;
    world.db = world.project.join("db");
    write_flake(
        &world.project,
        "x = tool \"x\" \"one\"; y = tool \"y\" \"y\";",
    );
    world.commit(&world.project);
    write_flake(
        &world.project,
        "x = tool \"x\" \"two\"; y = tool \"y\" \"y\";",
    );
    world.one_step(&[".#x", ".#y"], "x");
    Some(world)
}

#[test]
fn a_warning_of_nix_is_one_and_told_once() {
    let Some(world) = dirty() else { return };
    let said = world.run("-run -quiet").ok().stderr;
    let lines: Vec<&str> = said.lines().filter(|line| line.contains("dirty")).collect();
    assert_eq!(lines.len(), 1, "{said}");
    assert!(lines[0].starts_with("warning: nix: "), "{said}");
    assert_eq!(lines[0].matches("warning").count(), 1, "{said}");
}

#[test]
fn a_warning_of_nix_is_an_event_of_that_kind() {
    let Some(world) = dirty() else { return };
    let said = world.run("-run -log-format json").ok().stderr;
    let of_dirt = said.lines().filter(|line| line.contains("dirty"));
    let kinds: Vec<serde_json::Value> = of_dirt
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["event"].clone())
        .collect();
    assert_eq!(kinds, ["warning"], "{said}");
}

#[test]
fn a_folder_that_is_copied_with_the_db_in_it() {
    let Some(mut world) = world() else { return };
    write_flake(&world.project, "x = tool \"x\" \"x\";");
    world.one_step(&[".#x"], "x");
    // The db elsewhere, and not much beside the flake.
    let said = world.run("-run").ok().stderr;
    assert!(!said.contains("git repository"), "{said}");
    world.db = world.project.join("db");
    let said = world.run("-run").ok().stderr;
    for part in [
        "warning: `.#x`: ",
        world.project.to_str().unwrap(),
        "is no git repository",
        "the db in it",
        "git add",
    ] {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
    // Nothing is copied, nothing is told.
    let said = world.run("-run -fresh").ok().stderr;
    assert!(!said.contains("git repository"), "{said}");
    world.db = world.at("db-3");
    fs::write(world.project.join("large"), vec![0; 40 << 20]).unwrap();
    let said = world.run("-run").ok().stderr;
    assert!(
        said.contains("is no git repository") && said.contains(" MB)"),
        "{said}"
    );
    fs::remove_file(world.project.join("large")).unwrap();
    world.commit(&world.project);
    world.db = world.project.join("db-4");
    let said = world.run("-run").ok().stderr;
    assert!(!said.contains("git repository"), "{said}");
}
