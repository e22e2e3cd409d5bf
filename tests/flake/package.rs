//! `nix build`, `nix run`, `nix shell`, `nix develop`, `nix flake check`.

use std::fs;
use std::process::Command;

use crate::support::{self, contains, succeeded, text, world};

#[test]
fn the_package_has_program_completions_and_manual() {
    let Some(world) = world() else { return };
    let package = world.build("default");
    for (file, holds) in [
        (
            "share/bash-completion/completions/task-pipeline.bash",
            "task-pipeline",
        ),
        (
            "share/zsh/site-functions/_task-pipeline",
            "#compdef task-pipeline",
        ),
        (
            "share/fish/vendor_completions.d/task-pipeline.fish",
            "complete -c task-pipeline",
        ),
        ("share/man/man1/task-pipeline.1", "task-pipeline"),
        ("share/doc/task-pipeline/README.md", "](docs/manifest.md)"),
        ("share/doc/task-pipeline/docs/manifest.md", "# The manifest"),
    ] {
        contains(&fs::read_to_string(package.join(file)).unwrap(), &[holds]);
    }
}

/// What the action of this repository runs.
#[test]
fn the_package_is_there_without_its_tests() {
    let Some(world) = world() else { return };
    let found = world.evaluate(
        "let inherit (flake.packages.${system}) task-pipeline task-pipeline-untested; \
         in [ (task-pipeline.doCheck or true) task-pipeline-untested.doCheck task-pipeline-untested.meta.mainProgram ]",
    );
    assert_eq!(succeeded(&found).trim(), r#"[true,false,"task-pipeline"]"#);
}

/// A shell in front of the program would take longer to start than the program.
#[test]
fn the_wrapper_is_no_script() {
    let Some(world) = world() else { return };
    let program = world.build("default").join("bin/task-pipeline");
    let begins = fs::read(program).unwrap();
    assert!(!begins.starts_with(b"#!"), "the wrapper is a script");
}

/// An attribute that nixpkgs refuses to evaluate would break it for everyone.
#[test]
fn nix_flake_show_evaluates_every_attribute() {
    let Some(world) = world() else { return };
    let folder = world.folder("show");
    let mut show = world.nix(&folder, &["flake", "show", &world.flake()]);
    contains(
        &succeeded(&show.args(world.here()).output().unwrap()),
        &["x86_64-linux", "aarch64-linux", "aarch64-darwin"],
    );
    for template in support::TEMPLATES {
        let folder = world.folder(&format!("show-{template}"));
        support::copy(
            &support::repository().join("templates").join(template),
            &folder,
        );
        let reference = format!("path:{}", folder.display());
        let mut show = world.nix(&folder, &["flake", "show", &reference]);
        succeeded(&show.args(world.for_template()).output().unwrap());
    }
}

#[test]
fn nix_run_runs_the_program() {
    let Some(world) = world() else { return };
    let folder = world.folder("run");
    for attribute in ["", "#task-pipeline", "#default"] {
        let app = format!("{}{attribute}", world.flake());
        let mut run = world.nix(&folder, &["run"]);
        run.args(world.here()).args([&app, "--", "--version"]);
        contains(
            &succeeded(&run.output().unwrap()),
            &[env!("CARGO_PKG_VERSION")],
        );
    }
    // In a pipeline's folder, with nothing more said.
    support::copy(&support::repository().join("templates/data"), &folder);
    let mut run = world.nix(&folder, &["run"]);
    run.args(world.here());
    run.args([
        &format!("{}#task-pipeline", world.flake()),
        "--",
        "-run",
        "-host-env",
    ]);
    succeeded(&run.output().unwrap());
    assert!(folder.join("db/db").exists());
}

#[test]
fn nix_profile_install_puts_the_program_on_path() {
    let Some(world) = world() else { return };
    let folder = world.folder("profile");
    let mut install = world.nix(&folder, &["profile", "install", "--profile", "profile"]);
    install.args(world.here()).arg(world.flake());
    succeeded(&install.output().unwrap());
    let program = folder.join("profile/bin/task-pipeline");
    let version = Command::new(program).arg("--version").output().unwrap();
    contains(&succeeded(&version), &[env!("CARGO_PKG_VERSION")]);
}

#[test]
fn nix_shell_offers_the_program_with_its_completions() {
    let Some(world) = world() else { return };
    let folder = world.folder("shell");
    let script = r#"
        set -e
        share=$(dirname "$(command -v task-pipeline)")/../share
        . "$share/bash-completion/completions/task-pipeline.bash"
        complete -p task-pipeline
        test -s "$share/zsh/site-functions/_task-pipeline"
        test -s "$share/fish/vendor_completions.d/task-pipeline.fish"
        task-pipeline --version
    "#;
    let mut shell = world.nix(&folder, &["shell"]);
    shell
        .args(world.here())
        .args([&world.flake(), "-c", "bash", "-c", script]);
    contains(
        &succeeded(&shell.output().unwrap()),
        &["complete -", env!("CARGO_PKG_VERSION")],
    );
}

#[test]
fn the_wrapper_finds_nix_and_a_shell_and_hides_nothing_of_the_users() {
    let Some(world) = world() else { return };
    let folder = world.folder("wrapper");
    fs::write(
        folder.join("workflow.toml"),
        "[[step]]\nname = \"which\"\nstart = true\nscript = \"echo \\\"$PATH\\\" >&2; command -v nix > /dev/null; exit 1\"\n",
    )
    .unwrap();
    let program = world.build("default").join("bin/task-pipeline");
    let mut run = Command::new(&program);
    run.current_dir(&folder)
        .args(["-run"])
        .env_clear()
        .env("PATH", "/of/the/user");
    let said = text(&run.output().unwrap().stderr);
    // The script ran at all: there was a shell. The user's folder comes first, nix last.
    let path = said
        .lines()
        .find(|line| line.contains("/of/the/user:"))
        .unwrap_or_else(|| {
            panic!("no PATH in:\n{said}");
        });
    let folders: Vec<&str> = path[path.find("/of/the/user").unwrap()..]
        .trim()
        .split(':')
        .collect();
    assert_eq!(folders[0], "/of/the/user");
    assert!(
        folders
            .iter()
            .any(|f| f.contains("-nix-") && f.ends_with("/bin")),
        "{folders:?}"
    );
    assert!(
        folders
            .iter()
            .any(|f| f.contains("-bash-") && f.ends_with("/bin")),
        "{folders:?}"
    );
}

#[test]
fn nix_develop_has_the_tools() {
    let Some(world) = world() else { return };
    let folder = world.folder("develop");
    let mut develop = world.nix(&folder, &["develop"]);
    develop
        .args(world.here())
        .args([&world.flake(), "-c", "bash", "-c"]);
    develop.arg("cargo --version && cargo clippy --version && rustfmt --version && sqlite3 --version && test -n \"$RUST_SRC_PATH\"");
    contains(
        &succeeded(&develop.output().unwrap()),
        &["cargo ", "clippy ", "rustfmt "],
    );
}

#[test]
fn nix_fmt_runs() {
    let Some(world) = world() else { return };
    let folder = world.folder("fmt");
    fs::write(folder.join("good.nix"), "{ }").unwrap();
    fs::write(folder.join("bad.nix"), "{ ").unwrap();
    let formatter = world
        .build(&format!("formatter.{}", system()))
        .join("bin/task-pipeline-fmt");
    let format = |file: &str| {
        let mut command = Command::new(&formatter);
        world.environment(command.arg(file).current_dir(&folder));
        command.output().unwrap().status.success()
    };
    assert!(format("good.nix"));
    assert!(!format("bad.nix"));
}

#[test]
fn flake_check_passes() {
    let Some(world) = world() else { return };
    let folder = world.folder("check");
    let mut check = world.nix(&folder, &["flake", "check", "-L", &world.flake()]);
    let output = check.args(world.here()).output().unwrap();
    succeeded(&output);
}

/// Compiled by Nix from the sources that the package names: a file that they lack fails here.
/// Without optimization and without the tests of the sandbox, which a machine with a nixpkgs runs.
#[test]
fn the_package_builds_from_its_sources() {
    let Some(world) = world() else { return };
    let nixpkgs = world.folder("nixpkgs-compiling");
    let mut make = Command::new("bash");
    make.arg(support::repository().join("tests/nixpkgs-stub/make.sh"));
    make.arg(&nixpkgs)
        .env("STUB_CARGO_TARGET_DIR", support::cargo_target());
    succeeded(&make.output().unwrap());
    let package = world
        .build_expression(
            "from-source",
            &format!(
                "((import {} {{ inherit system; }}).callPackage {}/nix/package.nix {{ }}).overrideAttrs (_: {{
                   stubProfile = \"debug\"; stubProfileDir = \"debug\"; doCheck = false;
                 }})",
                nixpkgs.display(),
                world.flake().trim_start_matches("path:"),
            ),
        )
        .unwrap_or_else(|said| panic!("{said}"));
    let version = Command::new(package.join("bin/task-pipeline"))
        .arg("--version")
        .output()
        .unwrap();
    contains(&succeeded(&version), &[env!("CARGO_PKG_VERSION")]);
}

#[test]
fn the_overlay_adds_the_package() {
    let Some(world) = world() else { return };
    let output = world.evaluate("(pkgs.extend flake.overlays.default).task-pipeline.drvPath == flake.packages.${system}.default.drvPath");
    assert_eq!(succeeded(&output).trim(), "true");
}

/// The lock file names a commit of the one input by its hash.
#[test]
fn the_lock_file_pins_nixpkgs_alone() {
    // Inside a Nix build the sources are those of the package alone.
    if world().is_none() {
        return;
    }
    let lock: serde_json::Value =
        serde_json::from_slice(&fs::read(support::repository().join("flake.lock")).unwrap())
            .unwrap();
    let nodes = lock["nodes"].as_object().unwrap();
    assert_eq!(nodes.keys().collect::<Vec<_>>(), ["nixpkgs", "root"]);
    let locked = &nodes["nixpkgs"]["locked"];
    assert_eq!(locked["rev"].as_str().unwrap().len(), 40);
    assert!(locked["narHash"].as_str().unwrap().starts_with("sha256-"));
}

fn system() -> String {
    let os = if cfg!(target_os = "macos") {
        "darwin"
    } else {
        "linux"
    };
    format!("{}-{os}", std::env::consts::ARCH)
}
