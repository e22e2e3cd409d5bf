//! What a pipeline uses is not collected.

use std::fs;
use std::path::Path;

use super::world::{world, write_flake};

#[test]
fn used_paths_survive_a_collection() {
    let Some(world) = world() else { return };
    let flake = world.at("flake");
    write_flake(
        &flake,
        "used = tool \"used\" \"used\"; unused = tool \"unused\" \"unused\";",
    );
    let unused = world.build(&format!("path:{}#unused", flake.display()));
    let used = format!("path:{}#used", flake.display());
    world.one_step(&[&used], "used");
    world.run("-run").ok();
    let used = world.build(&used);
    world.collect_garbage();
    assert!(Path::new(&used).exists());
    assert!(!Path::new(&unused).exists());
    world.calls();
    world.run("-run -fresh").ok();
    assert_eq!(world.said(), "used");
    assert_eq!(world.calls(), [""; 0]);
}

#[test]
fn a_store_path_is_held_too() {
    let Some(world) = world() else { return };
    let flake = world.at("flake");
    write_flake(&flake, "used = tool \"used\" \"used\";");
    let path = world.build(&format!("path:{}#used", flake.display()));
    world.one_step(&[&path], "used");
    world.run("-run").ok();
    world.collect_garbage();
    assert!(Path::new(&path).exists());
}

#[test]
fn a_database_that_was_moved_holds_its_paths_again() {
    let Some(mut world) = world() else { return };
    let flake = world.at("flake");
    write_flake(&flake, "used = tool \"used\" \"used\";");
    let used = format!("path:{}#used", flake.display());
    world.one_step(&[&used], "used");
    world.run("-run").ok();
    let path = world.build(&used);
    world.calls();
    let moved = world.at("elsewhere");
    fs::rename(&world.db, &moved).unwrap();
    world.db = moved;
    world.run("-run -fresh").ok();
    let calls = world.calls();
    assert!(
        calls.iter().any(|call| call.contains("--add-root")),
        "{calls:#?}"
    );
    assert!(
        !calls.iter().any(|call| call.contains("build")),
        "{calls:#?}"
    );
    world.collect_garbage();
    assert!(Path::new(&path).exists());
    world.run("-run -fresh").ok();
    assert_eq!(world.calls(), [""; 0]);
}

#[test]
fn a_root_that_was_removed_is_made_again() {
    let Some(world) = world() else { return };
    let flake = world.at("flake");
    write_flake(&flake, "used = tool \"used\" \"used\";");
    let used = format!("path:{}#used", flake.display());
    world.one_step(&[&used], "used");
    world.run("-run").ok();
    let path = world.build(&used);
    fs::remove_dir_all(world.db.join("gcroots")).unwrap();
    world.run("-run -fresh").ok();
    world.collect_garbage();
    assert!(Path::new(&path).exists());
}

#[test]
fn what_no_version_needs_any_more_is_let_go() {
    let Some(world) = world() else { return };
    let flake = world.at("flake");
    write_flake(
        &flake,
        r#"a = tool "a" "a"; b = tool "b" "b"; c = tool "c" "c"; d = tool "d" "d";"#,
    );
    let package = |name: &str| format!("path:{}#{name}", flake.display());
    let path = |name: &str| world.build(&package(name));
    // Another manifest on this db, which is not there any more in the end.
    let other = world.project.join("other.toml");
    world.one_step(&[&package("a")], "a");
    fs::rename(world.project.join("workflow.toml"), &other).unwrap();
    world.run("-manifest other.toml -run").ok();
    // A task that is still to be done.
    world.manifest("path:/nowhere", &[("two", &[&package("b")], "exit 1")]);
    assert_eq!(world.run("-run -fresh").status, 1);
    world.manifest("path:/nowhere", &[("two", &[&package("c")], "c")]);
    world.run("-run -fresh").ok();
    world.manifest("path:/nowhere", &[("two", &[&package("d")], "d")]);
    let [a, b, c, d] = ["a", "b", "c", "d"].map(path);
    let source = fs::read_to_string(world.project.join("workflow.lock")).unwrap();
    assert!(source.contains(flake.to_str().unwrap()));
    world.run("-run -fresh").ok();
    world.collect_garbage();
    let there = |path: &String| Path::new(path).exists();
    assert!(there(&a), "of the other manifest");
    assert!(there(&b), "of an unfinished task");
    assert!(!there(&c), "of a version that is done and gone");
    assert!(there(&d), "of the current version");
    // Nothing of it is asked for again.
    world.calls();
    world.run("-run -fresh").ok();
    world.run("-manifest other.toml -run -fresh").ok();
    assert_eq!(world.calls(), [""; 0]);
    fs::remove_file(other).unwrap();
    world.run("-run -fresh").ok();
    world.manifest("path:/nowhere", &[("two", &[], "true")]);
    world.run("-run -fresh").ok();
    world.collect_garbage();
    assert!(!there(&a) && there(&b) && !there(&d));
}
