//! A script in a sandbox sees what its packages need of the store, and no more.

use std::fs;
use std::process::Command;

use super::world::{World, world, write_flake};

/// A shell that needs nothing of the system: it takes each line of its script for a path, and leaves in its output
/// folder which of them are there.
const PROBE: &str = r#"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(int count, char **words) {
  char name[4096];
  snprintf(name, sizeof name, "%s/seen.txt", getenv("OUTPUT_DIR"));
  FILE *seen = fopen(name, "w");
  if (!seen) return 3;
  for (char *path = strtok(words[count - 1], "\n"); path; path = strtok(NULL, "\n"))
    fprintf(seen, "%s\n", access(path, F_OK) == 0 ? "there" : "not found");
  return fclose(seen) == 0 ? 0 : 4;
}
"#;

fn manifest(world: &World, packages: &str, shell: &str, script: &str) {
    let text = format!(
        "[[step]]\nname = 'a'\nstart = true\nsandbox = true\npackages = [{packages}]\nshell = [{shell:?}]\nscript = '''\n{script}\n'''\n"
    );
    fs::write(world.project.join("workflow.toml"), text).unwrap();
}

#[test]
fn the_closure_of_its_packages_is_all_that_it_sees_of_the_store() {
    let Some(world) = world() else { return };
    let source = world.at("probe.c");
    fs::write(&source, PROBE).unwrap();
    let probe = world.at("probe");
    let made = Command::new("cc")
        .args(["-O1", "-static", "-o"])
        .args([&probe, &source])
        .status();
    assert!(made.unwrap().success());
    let flake = world.at("flake");
    let packages = format!(
        r#"dep = make "dep" {{ cmd = "mkdir $out; echo 1 > $out/file"; }};
           other = make "other" {{ cmd = "mkdir $out; echo 1 > $out/file"; }};
           probe = make "probe" {{ cmd = "mkdir -p $out/bin; cp {} $out/bin/probe; ln $out/bin/probe $out/bin/sh; echo ${{dep}} > $out/needs"; }};"#,
        probe.display()
    );
    write_flake(&flake, &packages);
    let path = |name: &str| world.build(&format!("path:{}#{name}", flake.display()));
    let script = [
        format!("{}/file", path("dep")),
        format!("{}/needs", path("probe")),
        format!("{}/file", path("other")),
        "/usr/bin".to_owned(),
        "/bin/sh".to_owned(),
        "/etc/passwd".to_owned(),
        "/etc/shadow".to_owned(),
        world.project.display().to_string(),
        format!("{}/workflow.toml", world.project.display()),
    ];
    let package = format!("\"path:{}#probe\"", flake.display());
    manifest(&world, &package, "probe", &script.join("\n"));
    world.calls();
    world.run("-run").ok();
    let asked = |calls: &[String]| {
        calls
            .iter()
            .filter(|call| call.contains("--requisites"))
            .count()
    };
    assert_eq!(asked(&world.calls()), 1);
    let seen = world.run("cat 1 seen.txt").ok().stdout;
    let lines: Vec<&str> = seen.lines().collect();
    let (there, not) = ("there", "not found");
    assert_eq!(
        lines,
        [there, there, not, not, there, there, not, there, not]
    );

    // What is known costs no process.
    world.run("-run -fresh").ok();
    assert_eq!(world.calls(), Vec::<String>::new());

    // Without a shell of its own it is an error, at its line.
    let package = format!("\"path:{}#dep\"", flake.display());
    manifest(&world, &package, "sh", "true");
    world.run("-run").failed(
        2,
        &[
            "step `a` cannot run in a sandbox",
            "workflow.toml:4",
            "\"bash\"",
        ],
    );
}
