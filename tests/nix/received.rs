//! A database, a lock file, a folder from somebody else: what they say is checked before it is used.

use std::fs;

use super::world::{World, world, write_flake};

/// A world in which `tool` ran from its package, with another `tool` in a folder called `evil`.
fn ran() -> Option<World> {
    let world = world()?;
    let flake = world.at("flake");
    write_flake(
        &flake,
        "tool_ = tool \"tool\" \"the-package\"; other = tool \"other\" \"other\";",
    );
    world.one_step(&[&format!("path:{}#tool_", flake.display())], "tool");
    world.run("-run").ok();
    world.calls();
    fs::create_dir(world.at("evil")).unwrap();
    world.program("../evil/tool", "echo evil");
    Some(world)
}

/// Rewrites every resolved environment of the database.
fn environments(world: &World, change: impl Fn(&mut serde_json::Value)) {
    let db = rusqlite::Connection::open(world.db.join("db")).unwrap();
    let rows: Vec<(String, String)> = db
        .prepare("SELECT key, value FROM environment")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert!(!rows.is_empty());
    for (key, value) in rows {
        let mut value = serde_json::from_str(&value).unwrap();
        change(&mut value);
        let value = serde_json::to_string(&value).unwrap();
        db.execute(
            "UPDATE environment SET value = ?1 WHERE key = ?2",
            (value, key),
        )
        .unwrap();
    }
}

#[test]
fn a_path_in_a_kept_environment_is_not_believed() {
    let Some(world) = ran() else { return };
    let evil = world.at("evil");
    environments(&world, |value| value["path"] = serde_json::json!([evil]));
    world.run("-run -fresh -locked").ok();
    assert_eq!(world.said(), "the-package");
    assert_eq!(world.calls(), [""; 0], "the packages were right");
}

#[test]
fn what_is_no_store_path_is_not_kept() {
    let Some(world) = ran() else { return };
    let evil = world.at("evil").display().to_string();
    let library = world.at("evil.so").display().to_string();
    for paths in [
        serde_json::json!(["--plugin-files", library]),
        serde_json::json!([world.at("evil")]),
        serde_json::json!([format!("{}/../evil", world.at("store").display())]),
        serde_json::json!([]),
        serde_json::json!(null),
    ] {
        environments(&world, |value| {
            value["packages"][0]["store_paths"] = paths.clone();
        });
        for call in ["", "-run -dry-run", "-run -fresh -locked"] {
            world.run(call).ok();
            let calls = world.calls();
            let wrong = |call: &String| {
                call.contains("plugin-files") || call.contains(&evil) || call.contains("/../")
            };
            assert!(!calls.iter().any(wrong), "{calls:#?}");
        }
        assert_eq!(world.said(), "the-package", "{paths}");
    }
}

#[test]
fn an_environment_of_another_package_is_not_that_of_this_one() {
    let Some(world) = ran() else { return };
    let other = world.build(&format!("path:{}#other", world.at("flake").display()));
    environments(&world, |value| {
        value["packages"][0] = serde_json::json!(
            { "installable": "other#name", "store_paths": [other], "pin": null }
        );
    });
    world.run("-run -fresh").ok();
    assert_eq!(world.said(), "the-package");
    // A store path stands for itself.
    world.one_step(&[&other], "other");
    world.run("-run -fresh").ok();
    let tool = world.build(&format!("path:{}#tool_", world.at("flake").display()));
    environments(&world, |value| {
        if value["packages"][0]["installable"] == other.as_str() {
            value["packages"][0]["store_paths"] = serde_json::json!([tool]);
        }
    });
    world.run("-run -fresh").ok();
    assert_eq!(world.said(), "other");
}
