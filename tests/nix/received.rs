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

/// Calls that look and do nothing.
const LOOKS: [&str; 9] = [
    "",
    "-run -dry-run",
    "-run -fresh -dry-run",
    "-locked",
    "check",
    "status",
    "why one",
    "graph",
    "tasks",
];

/// A repository whose settings name programs for git to run.
#[test]
fn who_looks_at_a_folder_runs_nothing_of_it() {
    let Some(mut world) = world() else { return };
    world.db = world.project.join("db");
    write_flake(&world.project, "x = tool \"x\" \"x\";");
    world.one_step(&[".#x"], "x");
    fs::write(
        world.project.join(".gitattributes"),
        "*.nix filter=own diff=own\n",
    )
    .unwrap();
    world.commit(&world.project);
    let ran = world.at("ran");
    let trap = format!("echo \"$0\" >> {}; cat", ran.display());
    world.program("../trap", &trap);
    let trap = world.at("trap").display().to_string();
    let project = world.project.to_str().unwrap().to_owned();
    for key in [
        "core.fsmonitor",
        "core.pager",
        "diff.external",
        "diff.own.textconv",
        "filter.own.clean",
        "filter.own.process",
        "filter.own.smudge",
    ] {
        world.tool("git", &["-C", &project, "config", key, &trap]);
    }
    // Files that git has to look at again.
    let touch = || write_flake(&world.project, "x = tool \"x\" \"x\"; #");
    touch();
    for round in ["not resolved", "resolved"] {
        let _ = fs::remove_file(&ran);
        world.calls();
        for call in LOOKS {
            let ended = world.run(call);
            assert!(ended.status <= 2, "{call}: {}", ended.stderr);
            assert!(!ran.exists(), "{round}: {call}");
            assert_eq!(world.calls(), [""; 0], "{round}: {call}");
        }
        if round == "not resolved" {
            let ended = world.run("").ok();
            assert!(
                ended.stdout.contains("not resolved yet") && ended.stdout.contains("one"),
                "{}",
                ended.stdout
            );
            world.run("-run").ok();
        } else {
            assert!(!world.run("").ok().stdout.contains("not resolved"));
        }
    }
}

#[test]
fn who_looks_needs_no_nix_and_sees_what_changed() {
    let Some(world) = ran() else { return };
    let flake = world.at("flake");
    let both = [
        format!("path:{}#tool_", flake.display()),
        format!("path:{}#other", flake.display()),
    ];
    world.one_step(&[&both[0], &both[1]], "tool");
    world.calls();
    let ended = world.run("").ok();
    assert!(
        ended.stdout.contains("not resolved yet"),
        "{}",
        ended.stdout
    );
    assert_eq!(world.calls(), [""; 0]);
    let versions = || {
        let db = rusqlite::Connection::open(world.db.join("db")).unwrap();
        db.query_row("SELECT count(*) FROM step", [], |row| row.get::<_, i64>(0))
            .unwrap()
    };
    assert_eq!(versions(), 1, "a version that never was is not recorded");
    world.run("-run -fresh").ok();
    assert_eq!(versions(), 2);
    // What is resolved counts when it is looked at.
    world.one_step(&[&both[0], &both[1]], "tool; other");
    let ended = world.run("").ok();
    assert!(ended.stdout.contains("script"), "{}", ended.stdout);
    assert_eq!(versions(), 3);
}

#[test]
fn links_in_place_of_the_roots_lead_nowhere() {
    let Some(world) = ran() else { return };
    let roots = world.db.join("gcroots");
    let elsewhere = world.at("elsewhere");
    fs::rename(&roots, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &roots).unwrap();
    let before = listing(&elsewhere);
    world
        .run("-run -fresh")
        .failed(3, &["gcroots is not a folder", "hint", "remove it"]);
    assert_eq!(listing(&elsewhere), before);
    fs::remove_file(&roots).unwrap();
    world.run("-run -fresh").ok();
    assert_eq!(listing(&elsewhere), before);
    // Of a single file.
    let private = world.at("private");
    fs::write(&private, "private").unwrap();
    let place = roots.join("registered-at");
    fs::remove_file(&place).unwrap();
    std::os::unix::fs::symlink(&private, &place).unwrap();
    world.run("-run -fresh").ok();
    assert_eq!(fs::read_to_string(&private).unwrap(), "private");
}

/// The paths below a folder, sorted.
fn listing(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if !path.is_symlink() && path.is_dir() {
            all.extend(listing(&path));
        }
        all.push(path);
    }
    all.sort();
    all
}

#[test]
fn a_pin_that_leads_elsewhere_is_refused() {
    let Some(world) = ran() else { return };
    let file = world.project.join("workflow.lock");
    let flake = world.at("flake").display().to_string();
    let other = world.at("other");
    write_flake(&other, "tool_ = tool \"tool\" \"evil\";");
    // As Nix would pin that one.
    world.one_step(&[&format!("path:{}#tool_", other.display())], "tool");
    world.run("lock").ok();
    let reference = format!("reference = \"path:{}\"", other.display());
    let evil = fs::read_to_string(&file).unwrap();
    assert!(evil.contains(&reference), "{evil}");
    let evil = evil.replace(&reference, &format!("reference = \"path:{flake}\""));
    fs::write(&file, &evil).unwrap();
    world.one_step(&[&format!("path:{flake}#tool_")], "tool");
    let line = evil.lines().position(|line| line.starts_with("path = "));
    let place = format!("workflow.lock, line {}:", line.unwrap() + 1);
    let _ = fs::remove_file(world.at("said"));
    world.calls();
    for call in ["-run", "-run -locked", "-run -dry-run", "", "check", "lock"] {
        world.run(call).failed(
            3,
            &[
                &place,
                &flake,
                "is pinned to",
                "other",
                "hint",
                "delete this entry",
            ],
        );
        assert_eq!(world.calls(), [""; 0], "{call}");
    }
    assert!(!world.at("said").exists());
    assert_eq!(fs::read_to_string(&file).unwrap(), evil);
}

#[test]
fn where_a_pin_leads_is_shown() {
    let Some(world) = world() else { return };
    let folder = world.at("repository");
    write_flake(&folder, "tool_ = tool \"tool\" \"tool\";");
    world.commit(&folder);
    // A name, which a lock file may pin to anything.
    let url = format!("git+file://{}", folder.display());
    fs::write(
        world.at("registry.json"),
        format!(
            r#"{{"version":2,"flakes":[{{"from":{{"type":"indirect","id":"tools"}},
                "to":{{"type":"git","url":"file://{}"}}}}]}}"#,
            folder.display()
        ),
    )
    .unwrap();
    world.one_step(&["tools#tool_"], "tool");
    let head = world.tool(
        "git",
        &["-C", folder.to_str().unwrap(), "rev-parse", "HEAD"],
    );
    let place = format!("{url} at {}", &head[..12]);
    let said = world.run("lock").ok().stdout;
    assert!(said.contains(&format!("tools: {place}")), "{said}");
    let said = world.run("check").ok().stdout;
    assert!(said.contains(&format!("tools#tool_ ({place}")), "{said}");
    world.run("-run").ok();
    let said = world.run("why one").ok().stdout;
    assert!(said.contains(&format!("locked: tools: {place}")), "{said}");
}

#[test]
fn a_damaged_lock_file_is_named_with_the_line() {
    let Some(world) = ran() else { return };
    let file = world.project.join("workflow.lock");
    let text = fs::read_to_string(&file).unwrap();
    let damaged = text.replace("narHash = \"sha256-", "narHash = \"sha256-*");
    let line = text.lines().position(|line| line.starts_with("narHash"));
    let place = format!("line {}:", line.unwrap() + 1);
    fs::write(&file, damaged).unwrap();
    for call in ["-run", "check", "lock"] {
        let ended = world.run(call);
        ended.failed(3, &["workflow.lock is damaged", &place, "no hash", "hint"]);
    }
    assert_eq!(world.calls(), [""; 0]);
}

#[test]
fn no_lock_file_is_written_into_the_store() {
    let Some(world) = ran() else { return };
    let inside = world.at("store/0c0n1xjwdkkzg5y0b9hmkvlkdbzjbfgw-pipeline");
    fs::create_dir(&inside).unwrap();
    let manifest = inside.join("workflow.toml");
    fs::copy(world.project.join("workflow.toml"), &manifest).unwrap();
    world.calls();
    let manifest = manifest.display();
    for call in ["lock", "-run"] {
        world
            .run(&format!("{call} -manifest {manifest}"))
            .failed(3, &["workflow.lock", "in the Nix store", "hint"]);
    }
    assert_eq!(listing(&inside).len(), 1);
    assert_eq!(world.calls(), [""; 0]);
    // With the file beside it there is nothing to write.
    fs::copy(
        world.project.join("workflow.lock"),
        inside.join("workflow.lock"),
    )
    .unwrap();
    world.run(&format!("lock -manifest {manifest}")).ok();
    world.run(&format!("-run -manifest {manifest}")).ok();
    // A link to it lies elsewhere.
    fs::remove_file(world.project.join("workflow.toml")).unwrap();
    fs::remove_file(world.project.join("workflow.lock")).unwrap();
    let link = world.project.join("workflow.toml");
    std::os::unix::fs::symlink(manifest.to_string(), link).unwrap();
    world.run("lock").ok();
    assert!(world.project.join("workflow.lock").exists());
}

#[test]
fn a_lock_file_that_is_no_file_is_not_waited_for() {
    let Some(world) = ran() else { return };
    let file = world.project.join("workflow.lock");
    fs::remove_file(&file).unwrap();
    world.tool("mkfifo", &[file.to_str().unwrap()]);
    for call in ["check", "-run", "lock"] {
        world
            .run(call)
            .failed(3, &["cannot read", "workflow.lock", "not a regular file"]);
    }
    fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &file).unwrap();
    world
        .run("check")
        .failed(3, &["workflow.lock", "not a regular file"]);
}
