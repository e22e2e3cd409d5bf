//! A copy of the flake, a stand-in for nixpkgs, and the real `nix` over both, offline.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// The program under test, as cargo built it.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_task-pipeline");

/// What of this repository makes the flake. Never the build folder.
const FLAKE: &[&str] = &[
    "flake.nix",
    "flake.lock",
    "nix",
    "modules",
    "templates",
    "src",
    "tests",
    "Cargo.toml",
    "Cargo.lock",
    "clippy.toml",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "README.md",
    "docs",
    ".gitignore",
];

/// The templates, in their order.
pub const TEMPLATES: [&str; 9] = [
    "ci", "cluster", "data", "default", "matrix", "nixos", "samples", "site", "words",
];

/// The folders that all tests share.
pub struct World {
    /// A folder of this test run alone.
    root: PathBuf,
}

/// Everything set up once; `None` where the person asked for tests without Nix.
pub fn world() -> Option<&'static World> {
    static WORLD: OnceLock<Option<World>> = OnceLock::new();
    WORLD.get_or_init(set_up).as_ref()
}

fn set_up() -> Option<World> {
    if std::env::var_os("TASK_PIPELINE_TESTS_WITHOUT_NIX").is_some_and(|v| v == "1") {
        eprintln!("not tested: the flake (TASK_PIPELINE_TESTS_WITHOUT_NIX=1 is set)");
        return None;
    }
    for (tool, package) in [
        ("nix", "nix-bin"),
        ("jq", "jq"),
        ("sqlite3", "sqlite3"),
        ("git", "git"),
    ] {
        assert!(
            Command::new(tool).arg("--version").output().is_ok(),
            "these tests need `{tool}`: install it (Debian: apt-get install {package}), or set \
             TASK_PIPELINE_TESTS_WITHOUT_NIX=1 to leave out what needs a Nix"
        );
    }
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("flake");
    let _ = fs::remove_dir_all(&root);
    let source = root.join("source");
    fs::create_dir_all(&source).unwrap();
    for part in FLAKE {
        copy(&repository().join(part), &source.join(part));
    }
    fs::write(root.join("registry.json"), r#"{"version":2,"flakes":[]}"#).unwrap();
    let made = Command::new("bash")
        .arg(repository().join("tests/nixpkgs-stub/make.sh"))
        .arg(root.join("nixpkgs"))
        .arg(format!("task-pipeline={PROGRAM}"))
        .env("STUB_CARGO_TARGET_DIR", cargo_target())
        .env(
            "STUB_LIB",
            std::env::var_os("TASK_PIPELINE_TESTS_NIXPKGS_LIB").unwrap_or_default(),
        )
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", text(&made.stderr));
    Some(World { root })
}

/// Where the package and clippy are compiled inside Nix: kept from run to run.
pub fn cargo_target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("flake-cargo")
}

/// This repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Copies a file or a folder with all that is in it, writable.
pub fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let name = entry.unwrap().file_name();
            copy(&from.join(&name), &to.join(&name));
        }
    } else {
        fs::write(to, fs::read(from).unwrap()).unwrap();
        fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
    }
}

/// Bytes as text, for messages.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl World {
    /// The flake of this repository, as a reference.
    pub fn flake(&self) -> String {
        format!("path:{}", self.root.join("source").display())
    }

    /// The stand-in for nixpkgs, as a reference.
    pub fn nixpkgs(&self) -> String {
        format!("path:{}", self.root.join("nixpkgs").display())
    }

    /// An empty folder for one test.
    pub fn folder(&self, name: &str) -> PathBuf {
        let folder = self.root.join("tests").join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// `nix COMMAND`, to be given more arguments; no network, no configuration of the user's.
    pub fn nix<S: AsRef<OsStr>>(&self, folder: &Path, arguments: &[S]) -> Command {
        let mut nix = Command::new("nix");
        nix.args(arguments).current_dir(folder);
        self.environment(&mut nix);
        nix
    }

    /// The settings under which `nix` works here, whoever calls it.
    pub fn environment(&self, command: &mut Command) {
        let registry = self.root.join("registry.json");
        command
            .env(
                "NIX_CONFIG",
                format!(
                    "experimental-features = nix-command flakes\nsandbox = false\n\
                     substituters =\nbuild-users-group =\nwarn-dirty = false\n\
                     flake-registry = {}\n",
                    registry.display()
                ),
            )
            .env("HOME", self.root.join("home"))
            .env_remove("XDG_CACHE_HOME")
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("NIX_PATH");
    }

    /// The arguments that put the stand-in in the place of this flake's nixpkgs.
    pub fn here(&self) -> Vec<String> {
        [
            "--override-input",
            "nixpkgs",
            &self.nixpkgs(),
            "--no-write-lock-file",
        ]
        .map(String::from)
        .to_vec()
    }

    /// The arguments that put this flake and the stand-in in the place of a template's inputs.
    pub fn for_template(&self) -> Vec<String> {
        let mut arguments = self.here();
        arguments.extend(["--override-input", "task-pipeline", &self.flake()].map(String::from));
        arguments
    }

    /// `nix build` of an attribute of this flake: the path of its output.
    pub fn build(&self, attribute: &str) -> PathBuf {
        let folder = self.folder(&format!("build-{}", attribute.replace('.', "-")));
        let link = folder.join("result");
        let output = self
            .nix(
                &folder,
                &[
                    "build",
                    &format!("{}#{attribute}", self.flake()),
                    "-L",
                    "-o",
                ],
            )
            .arg(&link)
            .args(self.here())
            .output()
            .unwrap();
        succeeded(&output);
        fs::canonicalize(link).unwrap()
    }

    /// What Nix says of an expression over `flake`, `pkgs`, `lib` and `nixpkgs`; see [`Self::expression`].
    pub fn evaluate(&self, expression: &str) -> Output {
        self.nix(&self.root, &["eval", "--impure", "--json", "--expr"])
            .arg(self.expression(expression))
            .output()
            .unwrap()
    }

    /// `nix build` of such an expression; `Ok` holds the output's path, `Err` what Nix said.
    pub fn build_expression(&self, name: &str, expression: &str) -> Result<PathBuf, String> {
        let folder = self.folder(name);
        let link = folder.join("result");
        let output = self
            .nix(&folder, &["build", "--impure", "-L", "-o"])
            .arg(&link)
            .arg("--expr")
            .arg(self.expression(expression))
            .output()
            .unwrap();
        if output.status.success() {
            Ok(fs::canonicalize(link).unwrap())
        } else {
            Err(text(&output.stderr))
        }
    }

    /// An expression in whose scope are `flake`, `nixpkgs`, `pkgs`, `lib`, and the functions of `lib`.
    fn expression(&self, expression: &str) -> String {
        format!(
            r#"
            let
              nixpkgs = builtins.getFlake "{nixpkgs}";
              flake = (import {source}/flake.nix).outputs {{
                self = flake // {{ outPath = {source}; }};
                inherit nixpkgs;
              }};
              system = builtins.currentSystem;
              pkgs = nixpkgs.legacyPackages.${{system}};
              inherit (nixpkgs) lib;
              inherit (flake.lib.withPkgs pkgs) mkPipeline fromManifest runPipeline;
            in
            {expression}
            "#,
            nixpkgs = self.nixpkgs(),
            source = self.root.join("source").display(),
        )
    }
}

/// Asserts success, showing what was said otherwise; gives standard output.
pub fn succeeded(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}\n{}\n{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}

/// Asserts that a text contains all of these.
pub fn contains(haystack: &str, needles: &[&str]) {
    for needle in needles {
        assert!(haystack.contains(needle), "no {needle:?} in:\n{haystack}");
    }
}
