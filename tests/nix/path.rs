//! PATH is what `nix shell` gives, packages in the order of the manifest; what did not change costs
//! no process.

use std::fs;

use super::world::{World, world, write_flake};

/// Tools, one with propagated packages two deep, one with three outputs, one that says which of
/// its outputs are for use.
const PACKAGES: &str = r#"
  zed = tool "zed" "zed"; abc = tool "abc" "abc"; other = tool "other" "other";
  leaf = tool "leaf" "leaf"; twig = tool "twig" "twig";
  branch = make "branch" { cmd = "mkdir -p $out/nix-support; echo ${leaf} > $out/nix-support/propagated-user-env-packages"; };
  tree = make "tree" { cmd = "mkdir -p $out/nix-support; echo ' ${branch}' ${twig} > $out/nix-support/propagated-user-env-packages"; };
  multi = make "multi" { outputs = [ "out" "dev" "lib" ]; cmd = "mkdir -p $out/bin $dev/bin $lib/bin"; };
  chosen = make "chosen" { outputs = [ "out" "dev" "lib" ]; cmd = "mkdir -p $out/bin $dev/bin $lib/bin";
    meta.outputsToInstall = [ "out" "lib" ]; };
"#;

/// The PATH that `nix shell` of this machine gives.
fn nix_shell(world: &World, installables: &[String]) -> String {
    let nix = which::which("nix").unwrap();
    let mut arguments = vec![
        "--extra-experimental-features",
        "nix-command flakes",
        "shell",
    ];
    arguments.extend(installables.iter().map(String::as_str));
    arguments.extend(["-c", "sh", "-c", "printf %s \"$PATH\""]);
    world.tool(nix.to_str().unwrap(), &arguments)
}

/// The names of the packages whose folders are in a PATH; one with several outputs once.
fn names(world: &World, path: &str) -> String {
    let store = format!("{}/", world.at("store").display());
    let names = path.split(':').filter_map(|folder| {
        let package = folder.strip_prefix(&store)?.strip_suffix("/bin")?;
        let name = &package[33..];
        Some(name.strip_suffix("-lib").unwrap_or(name).to_owned())
    });
    let mut names: Vec<String> = names.collect();
    names.dedup();
    names.join(" ")
}

#[test]
fn two_packages_with_one_program_are_told_once_they_are_resolved() {
    let Some(world) = world() else { return };
    let flake = world.at("flake");
    write_flake(
        &flake,
        r#"one = make "one" { cmd = program "same" "one"; }; two = make "two" { cmd = program "same" "two"; };"#,
    );
    let [one, two] = ["one", "two"].map(|name| format!("path:{}#{name}", flake.display()));
    world.one_step(&[&one, &two], "same");
    assert!(!world.run("check").ok().stderr.contains("both provide"));
    world.run("-run").ok();
    assert_eq!(world.said(), "one");
    let words = |first: &str, second: &str| {
        format!("`{first}` and `{second}` both provide `same`; the script gets that from `{first}`")
    };
    world.run("check").failed(0, &[&words(&one, &two)]);
    world
        .run("check -strict")
        .failed(1, &[&words(&one, &two), "nothing was run"]);

    // The other way round it is the other one.
    world.one_step(&[&two, &one], "same");
    world.run("-run -migrate-tainted").ok();
    assert_eq!(world.said(), "two");
    world.run("check").failed(0, &[&words(&two, &one)]);
    world.one_step(&[&two], "same");
    world.run("-run").ok();
    assert_eq!(world.run("check -strict").ok().stderr, "");
}

#[test]
fn path_is_that_of_nix_shell_in_the_order_of_the_manifest() {
    let Some(world) = world() else { return };
    let flake = world.at("flake");
    write_flake(&flake, PACKAGES);
    let in_store = world.build(&format!("path:{}#other", flake.display()));
    for (packages, folders) in [
        ("zed abc", "zed abc"),
        ("abc zed", "abc zed"),
        ("tree zed branch abc", "tree zed branch abc twig leaf"),
        ("leaf tree", "leaf tree branch twig"),
        ("multi chosen zed", "multi chosen zed"),
        ("chosen", "chosen"),
        (
            "chosen abc multi tree",
            "chosen abc multi tree branch twig leaf",
        ),
        ("zed zed abc", "zed abc"),
        ("STORE abc", "other abc"),
        ("abc STORE zed", "abc other zed"),
    ] {
        let installables: Vec<String> = packages
            .split(' ')
            .map(|name| match name {
                "STORE" => in_store.clone(),
                name => format!("path:{}#{name}", flake.display()),
            })
            .collect();
        let texts: Vec<&str> = installables.iter().map(String::as_str).collect();
        world.one_step(&texts, "true");
        world.run("-run -fresh").ok();
        assert_eq!(names(&world, &world.path()), folders, "{packages}");
        // Up to 2.19 the order of the command line made no difference there.
        if world.version() >= (2, 20) || !packages.contains(' ') {
            assert_eq!(world.path(), nix_shell(&world, &installables), "{packages}");
        }
    }
}

#[test]
fn bare_names_are_looked_up_in_nixpkgs() {
    let Some(world) = world() else { return };
    let flake = world.at("flake");
    write_flake(&flake, PACKAGES);
    let said = world.at("said");
    let script = format!("abc > {}", said.display());
    let nixpkgs = format!("path:{}", flake.display());
    world.manifest(&nixpkgs, &[("one", &["abc"], &script)]);
    world.run("-run").ok();
    assert_eq!(world.said(), "abc");
}

#[test]
fn the_command_of_an_input_finds_its_packages() {
    let Some(world) = world() else { return };
    let flake = world.at("flake");
    write_flake(&flake, PACKAGES);
    let write = |program: &str| {
        let manifest = format!(
            "[nix]\nnixpkgs = \"path:{}\"\n\
             [[input]]\nlines = \"{program} | cat\"\npackages = [\"abc\"]\nstep = \"one\"\n\
             [[step]]\nname = \"one\"\nscript = 'cat $INPUT_FILE >> {}'\n",
            flake.display(),
            world.at("said").display()
        );
        fs::write(world.at("project/workflow.toml"), manifest).unwrap();
    };
    write("abc");
    // Nobody but a run resolves them.
    world
        .run("-run -dry-run")
        .failed(2, &["the packages of this input are not resolved yet"]);
    world.run("-run").ok();
    assert_eq!(world.said(), "abc");
    world.collect_garbage();
    world.run("-run").ok();
    world.run("-run -dry-run").ok();
    write("zed");
    world
        .run("-run")
        .failed(2, &["nothing comes in here any more", "zed: not found"]);
}

#[test]
fn outputs_are_chosen_where_nix_can() {
    let Some(world) = world() else { return };
    let flake = world.at("flake");
    write_flake(&flake, PACKAGES);
    let installable = format!("path:{}#multi^dev,lib", flake.display());
    world.one_step(&[&installable], "true");
    let ended = world.run("-run");
    if world.version() >= (2, 13) {
        ended.ok();
        assert_eq!(world.path(), nix_shell(&world, &[installable]));
        assert!(world.path().contains("-multi-dev/bin"));
    } else {
        ended.failed(
            3,
            &[
                "cannot choose outputs with `^`",
                &installable,
                "step `one`",
                "2.13",
            ],
        );
    }
}

#[test]
fn derivations_by_path_mean_their_outputs() {
    let Some(world) = world() else { return };
    let flake = world.at("flake");
    write_flake(&flake, PACKAGES);
    let installable = format!("path:{}#multi", flake.display());
    let answer = world.nix(&["build", "--json", "--no-link", &installable]);
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    let derivation = answer[0]["drvPath"].as_str().unwrap();
    world.one_step(&[&format!("{derivation}^dev")], "true");
    world.run("-run").ok();
    let path = world.path();
    let first = path.split(':').next().unwrap();
    assert!(first.ends_with("-multi-dev/bin"), "{path}");
    assert!(!path.contains("-multi/bin"), "{path}");
    world.one_step(&[derivation], "true");
    world.run("-run -fresh").ok();
    assert!(world.path().contains("-multi/bin") && world.path().contains("-multi-lib/bin"));
}

#[test]
fn nothing_changed_no_process() {
    let Some(world) = world() else { return };
    let flake = world.at("flake");
    write_flake(&flake, PACKAGES);
    let package = |name: &str| format!("path:{}#{name}", flake.display());
    let (abc, zed, tree) = (package("abc"), package("zed"), package("tree"));
    let steps: [(&str, &[&str], &str); 3] = [
        (
            "one",
            &[&abc, &zed],
            "echo > $OUTPUT_DIR/two; echo > $OUTPUT_DIR/three",
        ),
        ("two", &[&zed, &abc, &tree], "zed"),
        ("three", &[], "true"),
    ];
    world.manifest("path:/nowhere", &steps);
    let ended = world.run("-run").ok();
    assert!(ended.stderr.contains("building abc"), "{}", ended.stderr);
    let calls = world.calls();
    let links = calls
        .iter()
        .filter(|call| call.contains("--out-link"))
        .count();
    assert_eq!(links, 1, "one call builds for all steps: {calls:#?}");
    world.run("-run -fresh").ok();
    assert_eq!(world.calls(), [""; 0]);
    // A script that changed has the same environment.
    world.manifest("path:/nowhere", &[("one", &[&abc, &zed], "abc"), steps[2]]);
    world.run("-run -fresh").ok();
    assert_eq!(world.calls(), [""; 0]);
    world.manifest("path:/nowhere", &[("one", &[&abc], "abc"), steps[2]]);
    world.run("-run -fresh").ok();
    assert_ne!(world.calls(), [""; 0]);
}

#[test]
fn a_folder_with_spaces() {
    let Some(mut world) = world() else { return };
    let moved = world.at("a folder & more");
    fs::rename(&world.project, &moved).unwrap();
    world.project.clone_from(&moved);
    write_flake(&moved.join("tools"), PACKAGES);
    for package in ["path:./tools#abc", "./tools#abc"] {
        world.one_step(&[package], "abc");
        world.run("-run -fresh").ok();
        assert_eq!(world.said(), "abc");
        fs::remove_file(world.at("said")).unwrap();
    }
}

#[test]
fn a_folder_for_temporary_files_with_spaces() {
    let Some(world) = world() else { return };
    let tools = world.at("tools");
    write_flake(&tools, PACKAGES);
    let temporary = world.at("a temporary folder");
    fs::create_dir(&temporary).unwrap();
    world.one_step(&[&format!("path:{}#abc", tools.display())], "abc");
    let variables = [("TMPDIR", temporary.to_str().unwrap())];
    world.run_with("-run", &variables).ok();
    assert_eq!(world.said(), "abc");
}

#[test]
fn there_is_one_nixpkgs_however_it_is_written() {
    let Some(world) = world() else { return };
    let flake = world.at("flake");
    write_flake(&flake, PACKAGES);
    let said = world.at("said");
    let script = format!("echo $(abc) $(zed) $(other) > {}", said.display());
    let nixpkgs = format!("path:{}", flake.display());
    let packages = ["abc", "nixpkgs#zed", "flake:nixpkgs#other"];
    // No registry knows the name.
    world.manifest(&nixpkgs, &[("one", &packages, &script)]);
    world.run("-run").ok();
    assert_eq!(world.said(), "abc zed other");
    let lock = fs::read_to_string(world.project.join("workflow.lock")).unwrap();
    assert_eq!(lock.matches("[[pin]]").count(), 1, "{lock}");
    world.run("lock --update nixpkgs").ok();
    // A branch of it by the registry is another flake.
    world.one_step(&["nixpkgs/other#zed"], "zed");
    world.run("-run").failed(3, &["nixpkgs/other"]);
}

#[test]
fn attributes_with_blanks_in_quotes() {
    let Some(world) = world() else { return };
    let packages = r#"
      "with space" = tool "spaced" "spaced";
      set = { "a b" = { "c.d" = tool "deep" "deep"; }; };
    "#;
    write_flake(&world.project.join("tools"), packages);
    let nixpkgs = format!("path:{}/tools", world.project.display());
    let said = world.at("said");
    for (package, tool) in [
        (r#"./tools#"with space""#, "spaced"),
        (r#"path:./tools#"with space""#, "spaced"),
        (r#""with space""#, "spaced"),
        (r#"nixpkgs#"with space""#, "spaced"),
        (r#"set."a b"."c.d""#, "deep"),
    ] {
        let script = format!("{tool} > {}", said.display());
        world.manifest(&nixpkgs, &[("one", &[package], &script)]);
        world.run("-run -fresh").ok();
        assert_eq!(world.said(), tool, "{package}");
        fs::remove_file(&said).unwrap();
    }
    for package in [r#"./tools#"with space"#, "./tools#with space", "a b"] {
        world.one_step(&[package], "true");
        let ended = world.run("check");
        assert_eq!(ended.status, 2, "{package}: {}", ended.stderr);
    }
}
