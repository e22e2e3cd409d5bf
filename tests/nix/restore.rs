//! A path that has vanished is restored before a task runs, and never replaced by a program of
//! the host with the same name.

use std::fs;
use std::path::Path;

use super::world::{World, world, write_flake};

/// A world in which `tool` ran from its package, with another `tool` on the host's PATH.
fn ran() -> Option<(World, String)> {
    let world = world()?;
    world.program("tool", "echo the host's");
    let flake = world.at("flake");
    write_flake(&flake, "tool_ = tool \"tool\" \"the-package\";");
    let installable = format!("path:{}#tool_", flake.display());
    world.one_step(&[&installable], "tool");
    world.run("-run").ok();
    assert_eq!(world.said(), "the-package");
    let path = world.build(&installable);
    world.calls();
    Some((world, path))
}

#[test]
fn collected() {
    let Some((world, path)) = ran() else { return };
    fs::remove_dir_all(world.db.join("gcroots")).unwrap();
    world.collect_garbage();
    assert!(!Path::new(&path).exists());
    world.run("-run -fresh").ok();
    assert_eq!(world.said(), "the-package");
    assert!(Path::new(&path).exists());
    world.collect_garbage();
    assert!(Path::new(&path).exists(), "it is held again");
}

#[test]
fn deleted_behind_the_back_of_nix() {
    let Some((world, path)) = ran() else { return };
    world.tool("chmod", &["-R", "u+w", &path]);
    fs::remove_dir_all(&path).unwrap();
    world.run("-run -fresh").ok();
    assert_eq!(world.said(), "the-package");
    assert!(Path::new(&path).exists());
}

#[test]
fn not_to_be_had_again() {
    let Some((world, path)) = ran() else { return };
    fs::remove_dir_all(world.db.join("gcroots")).unwrap();
    fs::remove_dir_all(world.at("flake")).unwrap();
    world.collect_garbage();
    fs::remove_file(world.at("said")).unwrap();
    world
        .run("-run -fresh")
        .failed(3, &["step `one`", "#tool_`"]);
    assert!(!world.at("said").exists(), "no task ran");
    assert!(!Path::new(&path).exists());
}
