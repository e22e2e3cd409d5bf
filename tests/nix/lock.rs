//! The lock file: made, kept, moved, refused.

use std::fs;

use super::world::{World, flake, world, write_flake};

/// A world with a git flake whose `tool` says `first`, and one step that runs it.
fn with_repository() -> Option<(World, String)> {
    let world = world()?;
    let folder = world.at("repository");
    write_flake(&folder, "tool_ = tool \"tool\" \"first\";");
    world.commit(&folder);
    let reference = format!("git+file://{}", folder.display());
    world.one_step(&[&format!("{reference}#tool_")], "tool");
    Some((world, reference))
}

fn change(world: &World, says: &str) {
    let folder = world.at("repository");
    write_flake(&folder, &format!("tool_ = tool \"tool\" \"{says}\";"));
    world.commit(&folder);
}

fn lock_text(world: &World) -> String {
    fs::read_to_string(world.project.join("workflow.lock")).unwrap()
}

#[test]
fn made_on_the_first_run_and_kept() {
    let Some((world, reference)) = with_repository() else {
        return;
    };
    world.run("-run").ok();
    let text = lock_text(&world);
    for part in [
        "version = 1",
        &format!("reference = \"{reference}\""),
        "rev = ",
        "narHash = ",
    ] {
        assert!(text.contains(part), "no {part:?} in:\n{text}");
    }
    change(&world, "second");
    world.run("-run -fresh").ok();
    assert_eq!(lock_text(&world), text);
    assert_eq!(world.said(), "first");
    // In another database too: it is the lock file that says so.
    fs::remove_dir_all(&world.db).unwrap();
    world.run("-run -locked").ok();
    assert_eq!(world.said(), "first");
    assert_eq!(lock_text(&world), text);
}

#[test]
fn locked_needs_a_whole_lock_file() {
    let Some((world, reference)) = with_repository() else {
        return;
    };
    let hint = "task-pipeline lock";
    world.run("-run -locked").failed(
        3,
        &["workflow.lock is missing", &reference, "step `one`", hint],
    );
    assert!(!world.project.join("workflow.lock").exists());
    world.run("lock").ok();
    world.run("-run -locked").ok();
    let other = world.at("other");
    write_flake(&other, "x = tool \"x\" \"x\";");
    let other = format!("path:{}", other.display());
    world.one_step(
        &[&format!("{reference}#tool_"), &format!("{other}#x")],
        "tool",
    );
    let before = lock_text(&world);
    let ended = world
        .run("-run -locked")
        .failed(3, &["is stale", &other, hint]);
    assert!(
        !ended.stderr.contains(&format!("`{reference}`")),
        "{}",
        ended.stderr
    );
    assert_eq!(lock_text(&world), before);
}

#[test]
fn update_moves_pins_and_says_so() {
    let Some((world, reference)) = with_repository() else {
        return;
    };
    let ended = world.run("lock").ok();
    assert!(ended.stdout.contains(&reference), "{}", ended.stdout);
    let revision = |world: &World| {
        let folder = world.at("repository");
        let head = world.tool(
            "git",
            &["-C", folder.to_str().unwrap(), "rev-parse", "HEAD"],
        );
        head[..12].to_owned()
    };
    let first = revision(&world);
    change(&world, "second");
    let second = revision(&world);
    let text = lock_text(&world);
    world.run("lock").ok();
    assert_eq!(lock_text(&world), text, "without --update no pin moves");
    let ended = world.run("lock --update").ok();
    for part in [&reference, &first, &second] {
        assert!(
            ended.stdout.contains(part.as_str()),
            "no {part} in {}",
            ended.stdout
        );
    }
    world.run("-run -locked").ok();
    assert_eq!(world.said(), "second");
    let ended = world.run("lock --update").ok();
    assert!(!ended.stdout.contains(&reference), "{}", ended.stdout);
}

#[test]
fn update_by_name_moves_that_pin_alone() {
    let Some((world, reference)) = with_repository() else {
        return;
    };
    let other = world.at("other");
    write_flake(&other, "x = tool \"x\" \"one\";");
    let other_reference = format!("path:{}", other.display());
    let packages = [format!("{reference}#tool_"), format!("{other_reference}#x")];
    let packages: Vec<&str> = packages.iter().map(String::as_str).collect();
    world.one_step(&packages, "tool; x");
    world.run("-run").ok();
    change(&world, "second");
    write_flake(&other, "x = tool \"x\" \"two\";");
    world.run("lock --update other").ok();
    world.one_step(&packages, "x");
    world.run("-run -fresh -locked").ok();
    assert_eq!(world.said(), "two");
    world.one_step(&packages, "tool");
    world.run("-run -fresh -locked").ok();
    assert_eq!(world.said(), "first");
    world.run("lock --update nosuch").failed(
        2,
        &["no pin is called `nosuch`", &reference, &other_reference],
    );
}

#[test]
fn a_pinned_source_survives_a_collection_without_its_origin() {
    let Some(world) = world() else { return };
    let folder = world.at("flake");
    write_flake(
        &folder,
        "a = tool \"a\" \"first\"; b = tool \"b\" \"b-first\";",
    );
    let reference = format!("path:{}", folder.display());
    world.one_step(&[&format!("{reference}#a")], "a");
    world.run("-run").ok();
    world.collect_garbage();
    fs::write(
        folder.join("flake.nix"),
        flake("b = tool \"b\" \"b-second\";"),
    )
    .unwrap();
    // Another package of the same pin is evaluated now, from the source that was kept.
    world.one_step(&[&format!("{reference}#b")], "b");
    world.run("-run -fresh -locked").ok();
    assert_eq!(world.said(), "b-first");
}

#[test]
fn a_relative_reference_is_right_in_every_checkout() {
    let Some(mut world) = world() else { return };
    write_flake(&world.project.join("tools"), "x = tool \"x\" \"relative\";");
    world.one_step(&["path:./tools#x"], "x");
    world.run("-run").ok();
    let text = lock_text(&world);
    assert!(!text.contains(world.project.to_str().unwrap()), "{text}");
    let elsewhere = world.at("elsewhere");
    fs::rename(&world.project, &elsewhere).unwrap();
    world.project = elsewhere;
    world.db = world.at("db-2");
    world.run("-run -locked").ok();
    assert_eq!(world.said(), "relative");
    assert_eq!(lock_text(&world), text);
}

#[test]
fn a_plain_folder_is_followed() {
    let Some(world) = world() else { return };
    let tools = world.project.join("tools");
    write_flake(&tools, "x = tool \"x\" \"one\";");
    world.one_step(&["./tools#x"], "x");
    world.run("-run -locked").ok();
    assert!(
        !world.project.join("workflow.lock").exists(),
        "there is nothing to pin"
    );
    world.calls();
    world.run("-run -fresh").ok();
    assert_eq!(world.calls(), [""; 0]);
    write_flake(&tools, "x = tool \"x\" \"two\";");
    world.run("-run -fresh").ok();
    assert_eq!(world.said(), "two");
}

#[test]
fn the_manifests_own_repository_is_followed() {
    let Some(mut world) = world() else { return };
    world.db = world.project.join("db");
    write_flake(&world.project, "x = tool \"x\" \"one\";");
    world.one_step(&[".#x"], "x");
    world.commit(&world.project);
    world.run("-run").ok();
    world.calls();
    world.run("-run -fresh").ok();
    assert_eq!(world.said(), "one");
    assert_eq!(
        world.calls(),
        [""; 0],
        "what git does not track does not matter"
    );
    write_flake(&world.project, "x = tool \"x\" \"two\";");
    world.run("-run -fresh").ok();
    assert_eq!(world.said(), "two", "not committed, and used all the same");
    world.calls();
    world.run("-run -fresh").ok();
    assert_eq!(world.calls(), [""; 0]);
}

#[test]
fn a_tree_with_changes_is_used_and_not_pinned() {
    let Some((world, reference)) = with_repository() else {
        return;
    };
    write_flake(
        &world.at("repository"),
        "tool_ = tool \"tool\" \"changed\";",
    );
    world.run("-run").ok();
    assert_eq!(world.said(), "changed");
    write_flake(&world.at("repository"), "tool_ = tool \"tool\" \"again\";");
    world.run("-run -fresh").ok();
    assert_eq!(world.said(), "again");
    let ended = world.run("lock").ok();
    assert!(ended.stdout.contains("not committed"), "{}", ended.stdout);
    world.run("-run -locked").failed(3, &[&reference]);
    world.commit(&world.at("repository"));
    world.run("lock").ok();
    world.run("-run -fresh -locked").ok();
}

#[test]
fn unused_pins_go_when_the_file_is_written() {
    let Some((world, reference)) = with_repository() else {
        return;
    };
    world.run("lock").ok();
    let other = world.at("other");
    write_flake(&other, "x = tool \"x\" \"x\";");
    world.one_step(&[&format!("path:{}#x", other.display())], "x");
    let ended = world.run("lock").ok();
    assert!(
        ended.stdout.contains(&format!("{reference}: removed")),
        "{}",
        ended.stdout
    );
    assert!(!lock_text(&world).contains(&reference));
}

#[test]
fn a_lock_file_that_cannot_be_used() {
    let Some((world, _)) = with_repository() else {
        return;
    };
    let file = world.project.join("workflow.lock");
    for (text, say) in [
        ("version = 2\n", "has format 2"),
        ("version = 1\n<<<<<<< HEAD\n", "is damaged"),
        (
            "version = 1\n[[pin]]\nreference = \"x\"\n",
            "`x` is not whole",
        ),
    ] {
        fs::write(&file, text).unwrap();
        world.run("-run").failed(3, &[say, "workflow.lock", "hint"]);
        assert_eq!(
            fs::read_to_string(&file).unwrap(),
            text,
            "it is left as it is"
        );
    }
}
