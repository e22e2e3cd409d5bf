//! What each test runs in: a Nix store, a manifest, the program, wrappers that count calls.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_task-pipeline");

/// One test's world. Everything lies in a temporary folder.
pub struct World {
    _dir: TempDir,
    root: PathBuf,
    /// Where the program runs and the manifest lies.
    pub project: PathBuf,
    /// The database's folder.
    pub db: PathBuf,
}

/// What a program left.
pub struct Ended {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

/// A world, or none where the person asked for tests without Nix.
pub fn world() -> Option<World> {
    if std::env::var_os("TASK_PIPELINE_TESTS_WITHOUT_NIX").is_some_and(|value| value == "1") {
        eprintln!("not tested: packages (TASK_PIPELINE_TESTS_WITHOUT_NIX=1 is set)");
        return None;
    }
    for (tool, package) in [("nix", "nix-bin"), ("nix-store", "nix-bin"), ("git", "git")] {
        assert!(
            which::which(tool).is_ok(),
            "these tests need `{tool}`: install it (Debian: apt-get install {package}), or set \
             TASK_PIPELINE_TESTS_WITHOUT_NIX=1 to leave out what needs a Nix"
        );
    }
    let dir = tempfile::Builder::new().prefix("tp-").tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    for folder in [
        "bin", "home", "etc", "log", "project", "store", "tmp", "var",
    ] {
        fs::create_dir(root.join(folder)).unwrap();
    }
    fs::write(root.join("registry.json"), r#"{"version":2,"flakes":[]}"#).unwrap();
    let world = World {
        project: root.join("project"),
        db: root.join("db"),
        root,
        _dir: dir,
    };
    for tool in ["nix", "nix-store"] {
        let real = which::which(tool).unwrap();
        let calls = world.at("calls");
        world.program(
            tool,
            &format!(
                "echo {tool} \"$@\" >> {}\nexec {} \"$@\"",
                calls.display(),
                real.display()
            ),
        );
    }
    Some(world)
}

impl World {
    /// A path in this world.
    pub fn at(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// A shell script that is first on PATH.
    pub fn program(&self, name: &str, script: &str) {
        let path = self.at("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// A command in this world's environment.
    pub fn command(&self, program: impl Into<OsString>) -> Command {
        let mut path = OsString::from(self.at("bin"));
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap());
        let mut command = Command::new(program.into());
        let var = |name: &str| self.at(name);
        command
            .env_clear()
            .env("PATH", path)
            .env("HOME", var("home"))
            .env("TMPDIR", var("tmp"))
            .env("LC_ALL", "C.UTF-8")
            .env("NIX_STORE_DIR", var("store"))
            .env("NIX_STATE_DIR", var("var"))
            .env("NIX_LOCALSTATE_DIR", var("var"))
            .env("NIX_LOG_DIR", var("log"))
            .env("NIX_CONF_DIR", var("etc"))
            .env("NIX_CONFIG", self.settings())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .envs([
                ("GIT_AUTHOR_NAME", "a"),
                ("GIT_AUTHOR_EMAIL", "a@localhost"),
                ("GIT_COMMITTER_NAME", "a"),
                ("GIT_COMMITTER_EMAIL", "a@localhost"),
            ])
            .current_dir(&self.project)
            .stdin(Stdio::null());
        command
    }

    fn settings(&self) -> String {
        let registry = self.at("registry.json");
        // Features are to be switched on by each call, not by these settings.
        format!(
            "sandbox = false\nsubstituters =\nbuild-users-group =\nexperimental-features =\n\
             download-attempts = 1\nconnect-timeout = 5\nflake-registry = {}\n",
            registry.display()
        )
    }

    /// Runs the program with the manifest and the database of this world.
    pub fn run(&self, arguments: &str) -> Ended {
        self.run_with(arguments, &[])
    }

    /// As [`World::run`], with variables.
    pub fn run_with(&self, arguments: &str, variables: &[(&str, &str)]) -> Ended {
        let mut command = self.command(PROGRAM);
        command.envs(variables.iter().copied());
        command
            .arg("-db")
            .arg(&self.db)
            .args(arguments.split_whitespace());
        ended(&command.output().unwrap())
    }

    /// The program, ready to start.
    pub fn pipeline(&self) -> Command {
        let mut command = self.command(PROGRAM);
        command.arg("-db").arg(&self.db);
        command
    }

    /// Runs a tool that must succeed; its standard output.
    pub fn tool(&self, program: &str, arguments: &[&str]) -> String {
        let ended = ended(&self.command(program).args(arguments).output().unwrap());
        assert_eq!(ended.status, 0, "{program} {arguments:?}: {}", ended.stderr);
        ended.stdout
    }

    /// Runs `nix` with flakes switched on, uncounted; its standard output.
    pub fn nix(&self, arguments: &[&str]) -> String {
        let nix = which::which("nix").unwrap();
        let mut all = vec!["--extra-experimental-features", "nix-command flakes"];
        all.extend(arguments);
        self.tool(nix.to_str().unwrap(), &all)
    }

    /// Collects garbage, uncounted.
    pub fn collect_garbage(&self) {
        let store = which::which("nix-store").unwrap();
        self.tool(store.to_str().unwrap(), &["--gc"]);
    }

    /// The calls of Nix since the last time this was asked.
    pub fn calls(&self) -> Vec<String> {
        let path = self.at("calls");
        let text = fs::read_to_string(&path).unwrap_or_default();
        let _ = fs::remove_file(path);
        text.lines().map(ToOwned::to_owned).collect()
    }

    /// The manifest: for each step (the first is the start step) its packages and script.
    pub fn manifest(&self, nixpkgs: &str, steps: &[(&str, &[&str], &str)]) {
        let mut text = format!("[nix]\nnixpkgs = {nixpkgs:?}\n");
        for (i, (name, packages, script)) in steps.iter().enumerate() {
            let start = if i == 0 { "start = true\n" } else { "" };
            let _ = write!(
                text,
                "\n[[step]]\nname = {name:?}\n{start}packages = {packages:?}\nscript = '''\n{script}\n'''\n"
            );
        }
        fs::write(self.project.join("workflow.toml"), text).unwrap();
    }

    /// A manifest with one step, whose script leaves its PATH and then what `command` says.
    pub fn one_step(&self, packages: &[&str], command: &str) {
        let said = self.at("said");
        let path = self.at("path");
        let script = format!(
            "printf %s \"$PATH\" > {}\n{command} > {}",
            path.display(),
            said.display()
        );
        self.manifest("path:/nowhere", &[("one", packages, &script)]);
    }

    /// What the command of the last run of [`World::one_step`] said.
    pub fn said(&self) -> String {
        let text = fs::read_to_string(self.at("said")).unwrap();
        text.trim_end().to_owned()
    }

    /// The PATH of the last run of [`World::one_step`].
    pub fn path(&self) -> String {
        fs::read_to_string(self.at("path")).unwrap()
    }

    /// Makes `folder` a git repository, or commits what has changed in it.
    pub fn commit(&self, folder: &Path) {
        let folder = folder.to_str().unwrap();
        for arguments in [
            &["init", "-q", "-b", "main"][..],
            &["add", "-A"],
            &["commit", "-q", "--allow-empty", "-m", "change"],
        ] {
            self.tool("git", &[&["-C", folder], arguments].concat());
        }
    }

    /// The version of this machine's Nix.
    pub fn version(&self) -> (u32, u32) {
        let text = self.nix(&["--version"]);
        let last = text.trim().rsplit(' ').next().unwrap();
        let mut numbers = last
            .split(|c: char| !c.is_ascii_digit())
            .map(|n| n.parse().unwrap());
        (numbers.next().unwrap(), numbers.next().unwrap())
    }

    /// The store path of an installable, built and not rooted.
    pub fn build(&self, installable: &str) -> String {
        let answer = self.nix(&["build", "--json", "--no-link", installable]);
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        answer[0]["outputs"]["out"].as_str().unwrap().to_owned()
    }
}

/// The text of a flake with these packages. `tool NAME SAYS` is a package with a program of that
/// name that says so; `make NAME { … }` one with attributes of its own, `cmd` run by its builder.
/// Builders end with `exit 0`: bash would exec their last command, which Nix sometimes kills.
pub fn flake(packages: &str) -> String {
    let os = if cfg!(target_os = "macos") {
        "darwin"
    } else {
        "linux"
    };
    let system = format!("{}-{os}", std::env::consts::ARCH);
    format!(
        r#"{{
  outputs = {{ self }}: let
    make = name: attrs: derivation ({{
      inherit name;
      system = "{system}";
      builder = "/bin/sh";
      args = [ "-c" "PATH=/usr/bin:/bin; ${{attrs.cmd or "mkdir -p $out/bin"}}; exit 0" ];
    }} // removeAttrs attrs [ "cmd" "meta" ]) // {{ meta = attrs.meta or {{ }}; }};
    program = name: says:
      "mkdir -p $out/bin; printf '#!/bin/sh\\necho ${{says}}\\n' > $out/bin/${{name}}; chmod +x $out/bin/${{name}}";
    tool = name: says: make name {{ cmd = program name says; }};
    packages = rec {{
{packages}
    }};
  in {{ packages.{system} = packages; }};
}}
"#
    )
}

/// Writes a flake into `folder`; see [`flake`].
pub fn write_flake(folder: &Path, packages: &str) {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("flake.nix"), flake(packages)).unwrap();
}

pub fn ended(output: &Output) -> Ended {
    Ended {
        status: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

impl Ended {
    /// Succeeded, or the test fails with what was said.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.status, 0, "{}", self.stderr);
        self
    }

    /// Ended with this status, and standard error has all these texts.
    #[track_caller]
    pub fn failed(self, status: i32, texts: &[&str]) -> Self {
        assert_eq!(self.status, status, "{}", self.stderr);
        for text in texts {
            assert!(
                self.stderr.contains(text),
                "no {text:?} in:\n{}",
                self.stderr
            );
        }
        self
    }
}
