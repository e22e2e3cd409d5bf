//! Every template, from `nix flake init -t` to its result.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{TEMPLATES, World, contains, succeeded, text, world};

/// A fresh folder with the template in it, as `nix flake init` leaves it. `purpose` is the test's.
fn instantiate(world: &World, template: &str, purpose: &str) -> PathBuf {
    let folder = world.folder(&format!("template-{template}-{purpose}"));
    let reference = format!("{}#{template}", world.flake());
    let mut init = world.nix(&folder, &["flake", "init", "-t", &reference]);
    let output = init.output().unwrap();
    succeeded(&output);
    for file in ["flake.nix", "workflow.toml", "README.md", ".gitignore"] {
        assert!(folder.join(file).exists(), "no {file}");
    }
    // Since Nix 2.9 the template's welcome is shown; older ones only copy.
    let said = text(&output.stderr) + &text(&output.stdout);
    contains(&said, &["flake.nix"]);
    folder
}

/// `nix ARGUMENTS…` in the folder of a template, with stand-ins for its inputs.
fn nix(world: &World, folder: &Path, arguments: &[&str]) -> String {
    let own = arguments
        .iter()
        .position(|a| *a == "--")
        .unwrap_or(arguments.len());
    let mut command = world.nix(folder, &arguments[..own]);
    let output = command
        .args(world.for_template())
        .args(&arguments[own..])
        .output()
        .unwrap();
    succeeded(&output) + &text(&output.stderr)
}

/// A file of the folder, as text.
fn read(folder: &Path, file: &str) -> String {
    let path = folder.join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_default_template_runs_to_its_tables() {
    let Some(world) = world() else { return };
    let folder = instantiate(world, "default", "tables");
    nix(world, &folder, &["run", "path:."]);
    nix(
        world,
        &folder,
        &[
            "run",
            "path:.#task-pipeline",
            "--",
            "export",
            "-db",
            "db",
            "-to",
            "results",
        ],
    );
    let top = read(&folder, "results/top.md");
    contains(
        &top,
        &["| needed by | crate |\n| --- | --- |\n", "| libc |"],
    );
    assert_eq!(top.lines().count(), 12);
    contains(&read(&folder, "results/t.md"), &["| toml | "]);

    nix(world, &folder, &["build", "path:."]);
    assert_eq!(read(&folder, "result/top.md"), top);
    nix(world, &folder, &["flake", "check", "path:."]);
}

#[test]
fn the_default_template_runs_without_nix() {
    let Some(world) = world() else { return };
    let folder = instantiate(world, "default", "host");
    let mut run = Command::new(crate::support::PROGRAM);
    run.current_dir(&folder).args(["-run", "-host-env"]);
    // `nix` is on no folder of this PATH.
    run.env("PATH", no_nix(&world.folder("no-nix")));
    succeeded(&run.output().unwrap());
}

/// A PATH with the usual small tools alone.
fn no_nix(folder: &Path) -> PathBuf {
    for tool in [
        "sh", "awk", "sed", "sort", "uniq", "head", "cat", "printf", "grep",
    ] {
        let found = Command::new("sh")
            .args(["-c", &format!("command -v {tool}")])
            .output()
            .unwrap();
        let path = text(&found.stdout).trim().to_owned();
        if path.starts_with('/') {
            std::os::unix::fs::symlink(path, folder.join(tool)).unwrap();
        }
    }
    folder.to_owned()
}

#[test]
fn the_ci_template_checks_and_fails_where_it_should() {
    let Some(world) = world() else { return };
    let folder = instantiate(world, "ci", "check");
    nix(world, &folder, &["flake", "check", "path:."]);
    nix(world, &folder, &["build", "path:."]);
    contains(
        &read(&folder, "result/checked-settings.json"),
        &["\"hosts\": ["],
    );
    assert_eq!(read(&folder, "result/checked-greet.sh.txt"), "parses\n");
    // The job of its workflow is the same two commands.
    contains(
        &read(&folder, ".github/workflows/ci.yml"),
        &["nix flake check", "nix run .#task-pipeline -- -run -locked"],
    );

    fs::write(folder.join("checked/broken.json"), "{ \"a\": }").unwrap();
    let mut check = world.nix(&folder, &["flake"]);
    let output = check
        .args(["check", "-L", "path:."])
        .args(world.for_template())
        .output()
        .unwrap();
    assert!(!output.status.success());
    contains(&text(&output.stderr), &["json", "parse error"]);
}

/// Beside the checkout: tools from the lock file, which must fit the manifest.
#[test]
fn the_ci_template_runs_locked() {
    let Some(world) = world() else { return };
    let folder = instantiate(world, "ci", "locked");
    let manifest = read(&folder, "workflow.toml");
    let here = manifest.replace("github:NixOS/nixpkgs/nixos-unstable", &world.nixpkgs());
    assert_ne!(manifest, here);
    fs::write(folder.join("workflow.toml"), here).unwrap();
    let _ = fs::remove_file(folder.join("workflow.lock"));

    let program = |arguments: &[&str]| {
        let mut command = Command::new(crate::support::PROGRAM);
        world.environment(command.current_dir(&folder).args(arguments));
        command.output().unwrap()
    };
    let unlocked = program(&["-run", "-locked"]);
    assert_eq!(
        unlocked.status.code(),
        Some(3),
        "{}",
        text(&unlocked.stderr)
    );
    succeeded(&program(&["lock"]));
    succeeded(&program(&["-run", "-locked"]));
}

#[test]
fn the_data_template_exports_its_results_and_takes_new_inputs() {
    let Some(world) = world() else { return };
    let folder = instantiate(world, "data", "export");
    nix(world, &folder, &["run", "path:.#results"]);
    let inner: serde_json::Value =
        serde_json::from_str(&read(&folder, "results/inner.json")).unwrap();
    assert_eq!(inner[2]["planet"], "Earth");
    assert_eq!(inner[2]["year_days"], 365.2);
    contains(
        &read(&folder, "results/outer.txt"),
        &["year_days: 4 rows, least 4331, most 59800"],
    );

    // Another file, with the line ends of another system.
    fs::write(
        folder.join("inputs/small.csv"),
        "body,diameter_km\r\nPluto,2376\r\n\r\n",
    )
    .unwrap();
    nix(world, &folder, &["run", "path:.#results"]);
    let small: serde_json::Value =
        serde_json::from_str(&read(&folder, "results/small.json")).unwrap();
    assert_eq!(
        small,
        serde_json::json!([{ "body": "Pluto", "diameter_km": 2376 }])
    );
    contains(
        &read(&folder, "results/small.txt"),
        &["diameter_km: 1 rows, least 2376"],
    );

    nix(world, &folder, &["build", "path:."]);
    assert_eq!(
        read(&folder, "result/inner.json"),
        read(&folder, "results/inner.json")
    );
    nix(world, &folder, &["flake", "check", "path:."]);
}

/// What they compute is tested with the host's programs.
#[test]
fn the_templates_of_other_shapes_run_with_their_packages() {
    let Some(world) = world() else { return };
    for (template, result) in [
        ("cluster", "pi.txt"),
        ("matrix", "table.txt"),
        ("samples", "summary.md"),
        ("site", "index.html"),
        ("words", "words.tsv"),
    ] {
        let folder = instantiate(world, template, "results");
        nix(world, &folder, &["run", "path:.#results"]);
        nix(world, &folder, &["build", "path:."]);
        assert_eq!(
            read(&folder, &format!("results/{result}")),
            read(&folder, &format!("result/{result}"))
        );
    }
}

#[test]
fn the_nixos_template_evaluates_and_its_unit_runs() {
    let Some(world) = world() else { return };
    let folder = instantiate(world, "nixos", "unit");
    // The machine that tests it may well be that full.
    let manifest = folder.join("workflow.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    assert!(text.contains("-gt 90 ]"));
    fs::write(&manifest, text.replace("-gt 90 ]", "-gt 100 ]")).unwrap();
    nix(world, &folder, &["flake", "check", "path:."]);
    nix(world, &folder, &["run", "path:."]);

    // What the service would run, with its state in this folder.
    nix(
        world,
        &folder,
        &["build", "path:.#checks.x86_64-linux.nightly"],
    );
    let script = read(&folder, "result").replace(
        "/var/lib/task-pipeline",
        &folder.join("state").display().to_string(),
    );
    contains(
        &script,
        &["-fresh", "-migrate-tainted", "nightly/work/workflow.toml"],
    );
    fs::write(folder.join("unit.sh"), script).unwrap();
    for _ in 0..2 {
        succeeded(
            &Command::new("bash")
                .arg(folder.join("unit.sh"))
                .current_dir(&folder)
                .output()
                .unwrap(),
        );
    }
    let count = Command::new("sqlite3")
        .arg(folder.join("state/nightly/db/db"))
        .arg("select count(distinct runset) from task")
        .output()
        .unwrap();
    assert_eq!(succeeded(&count).trim(), "2");
}

#[test]
fn every_template_says_what_it_is() {
    let Some(world) = world() else { return };
    let output =
        world.evaluate("lib.mapAttrs (_: t: [ t.description t.welcomeText ]) flake.templates");
    let templates: serde_json::Value = serde_json::from_str(&succeeded(&output)).unwrap();
    let templates = templates.as_object().unwrap();
    assert_eq!(templates.keys().collect::<Vec<_>>(), TEMPLATES);
    for texts in templates.values() {
        assert!(texts[0].as_str().unwrap().len() > 20);
        contains(
            texts[1].as_str().unwrap(),
            &["nix ", "`git init` first", "`-db FOLDER`"],
        );
    }
}
