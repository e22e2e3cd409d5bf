//! Steps with packages on machines that have another store: here workers that see an empty folder where the store is.

use std::fmt::Write as _;
use std::fs;

use super::world::{World, world, write_flake};

/// Two packages, one of which needs the other, and a pipeline of four tasks of which each uses both and collects garbage.
/// `hides` is what a worker's command does besides.
fn pipeline(world: &World, hides: &str) -> String {
    let flake = world.at("flake");
    write_flake(
        &flake,
        r#"dep = make "dep" { cmd = "mkdir $out; echo needed > $out/file"; };
           tool = make "tool" { cmd = "mkdir -p $out/bin; printf '#!/bin/sh\\ncat ${dep}/file\\n' > $out/bin/tool; chmod +x $out/bin/tool"; };"#,
    );
    let tool = format!("path:{}#tool", flake.display());
    world.manifest(
        "path:/nowhere",
        &[
            ("begin", &[], "for n in 1 2 3 4; do echo $n > $OUTPUT_DIR/${n}_use; done"),
            (
                "use",
                &[&tool],
                "{ cat $INPUT_FILE; tool; } > $OUTPUT_DIR/$TASK_PIPELINE_KEY.txt\nnix-store --gc > /dev/null 2>&1",
            ),
        ],
    );
    let path = world.project.join("workflow.toml");
    let mut text = fs::read_to_string(&path).unwrap();
    let (store, state) = (world.at("store"), world.at("var"));
    let node = format!(
        "mount -t tmpfs none {} && mount -t tmpfs none {} && {hides} exec \"$@\"",
        store.display(),
        state.display()
    );
    let _ = write!(
        text,
        "executor = 'far'\n[executors.far]\nworkers = 1\nslots = 1\nstart = ['unshare', '-rm', 'sh', '-c', '{node}', 'sh']\n"
    );
    fs::write(path, text).unwrap();
    tool
}

fn count(calls: &[String], word: &str) -> usize {
    calls.iter().filter(|call| call.contains(word)).count()
}

#[test]
fn a_machine_gets_the_packages_that_its_store_lacks_once_and_keeps_them_while_the_run_needs_them() {
    let Some(world) = world() else { return };
    pipeline(&world, "");
    world.run("-run").ok();
    let calls = world.calls();
    for word in ["--export", "--import"] {
        assert_eq!(count(&calls, word), 1, "{calls:?}");
    }
    assert_eq!(count(&calls, "--gc"), 4, "{calls:?}");
    assert_eq!(count(&calls, "--indirect --add-root"), 1, "{calls:?}");
    world.run("export -to out").ok();
    let out = |name: &str| fs::read_to_string(world.project.join("out").join(name)).unwrap();
    for n in 1..=4 {
        assert_eq!(out(&format!("{n}.txt")), format!("{n}\nneeded\n"));
    }
}

#[test]
fn a_machine_without_nix_says_which_packages_are_missing_there() {
    let Some(world) = world() else { return };
    let real = which::which("nix-store").unwrap();
    let own = world.at("bin").join("nix-store");
    let hides = [real, own].map(|path| format!("mount --bind /dev/null {} &&", path.display()));
    pipeline(&world, &hides.join(" "));
    world.run("-run").failed(
        1,
        &[
            "/bin, in which are packages of the step, is not on this machine, and there is no Nix here to copy it to",
            "lost: 3 workers could not carry it out",
        ],
    );
    assert_eq!(count(&world.calls(), "--export"), 0);
}

#[test]
fn what_a_cache_has_does_not_go_through_the_connection() {
    let Some(world) = world() else { return };
    let tool = pipeline(
        &world,
        "export NIX_CONFIG=\"$(printf \"%s\\nrequire-sigs = false\" \"$NIX_CONFIG\")\" &&",
    );
    let cache = format!("file://{}", world.at("cache").display());
    let path = world.project.join("workflow.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{text}nix_cache = {cache:?}\n")).unwrap();
    // Where it has nothing, all comes from the run.
    world.run("-run").ok();
    let calls = world.calls();
    assert_eq!(count(&calls, "--import"), 1, "{calls:?}");
    world.nix(&["copy", "--to", &cache, &world.build(&tool)]);
    world.calls();
    fs::write(
        &path,
        fs::read_to_string(&path)
            .unwrap()
            .replace("tool; }", "tool; tool; }"),
    )
    .unwrap();
    world.run("-run -migrate-tainted").ok();
    let calls = world.calls();
    assert_eq!(
        count(&calls, &format!("copy --from {cache}")),
        1,
        "{calls:?}"
    );
    assert_eq!(count(&calls, "--import"), 0, "{calls:?}");
}
