//! What entering an environment costs: the same work with the host's PATH and with a package's.
//!
//! The package is of a flake that is made here and built in a Nix store that is made here, so that
//! neither the network nor the machine's own store matters. Calls of Nix are counted.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::contender::{Contender, Kind};
use super::failure::{Failure, Fallible, on};
use super::measure::{self, Call, Sample};
use super::options::fan_out;
use super::scratch::is_full;
use super::statistics::{median, quartiles, wall};
use super::suite::{Suite, in_turn};
use super::table::seconds;
use super::work::Work;
use super::{check, generate};

/// What was measured.
#[derive(Debug, Default)]
pub struct Cost {
    /// With the host's PATH, by round.
    host: Vec<Sample>,
    /// With the package's, by round.
    package: Vec<Sample>,
    /// Finding out what the package's PATH is, before each of these.
    resolving: Vec<Sample>,
    /// Calls of Nix for one resolving.
    resolved_by: usize,
    /// Calls of Nix in all the runs.
    calls: usize,
}

const TITLE: &str = "1000 files, `tr` each, in an environment";

/// Measures it, or says why it is left out.
pub fn measure(suite: &mut Suite, rounds: usize) -> Fallible<Result<Cost, String>> {
    for tool in ["nix", "nix-store"] {
        if which::which(tool).is_err() {
            return Ok(Err(format!("environments: {tool} is not installed")));
        }
    }
    let world = World::new(&suite.scratch().join("nix"))?;
    let work = fan_out("environment", 1000, rounds);
    let mut cost = Cost::default();
    for round in 0..rounds {
        for packaged in in_turn(&[false, true], round) {
            let place = if packaged { "package" } else { "host" };
            let folder = suite.folder(&format!("environment-{place}"), Kind::Own, round)?;
            suite.make_room(TITLE, work.needs())?;
            generate::generate(Kind::Own, &work, &folder, suite.parallel())?;
            if packaged {
                world.ask_for_package(&folder)?;
            }
            let resolving = match prepare(suite, &world, &folder)? {
                Call::Done(sample) => sample,
                Call::Failed(why) if packaged && !is_full(suite.scratch()) => {
                    let last = why.lines().last().unwrap_or_default().trim();
                    return Ok(Err(format!("environments: no package to be had: {last}")));
                }
                Call::Failed(why) => return Err(failed(&why)),
            };
            let resolved_by = world.calls()?;
            let sample = run(suite, &world, &work, &folder)?;
            cost.calls += world.calls()?;
            eprintln!("environment: {place}: {:.3} s", sample.wall);
            if packaged {
                cost.resolving.push(resolving);
                cost.resolved_by = resolved_by;
                cost.package.push(sample);
            } else {
                cost.host.push(sample);
            }
            suite.give_up(&work, folder)?;
        }
    }
    Ok(Ok(cost))
}

/// Has the steps registered, which resolves their packages.
fn prepare(suite: &Suite, world: &World, folder: &Path) -> Fallible<Call> {
    let mut command = Command::new(&suite.own()?.program);
    // There is nothing to migrate yet. A call that only looks would leave Nix alone.
    world.enter(command.arg("-migrate-tainted").current_dir(folder));
    measure::run(&mut command, &suite.log(Kind::Own))
}

fn run(suite: &Suite, world: &World, work: &Work, folder: &Path) -> Fallible<Sample> {
    let own: Contender = suite.own()?;
    suite.settle()?;
    let mut command = own.command(work, folder, suite.parallel());
    world.enter(&mut command);
    match measure::run(&mut command, &suite.log(Kind::Own))? {
        Call::Failed(why) => Err(failed(&why)),
        Call::Done(_) if Some(check::results(Kind::Own, work, folder)?) != work.expected() => {
            Err(failed("the results are not what they must be"))
        }
        Call::Done(sample) => Ok(sample),
    }
}

fn failed(why: &str) -> Failure {
    Failure::of_call(format!("task-pipeline failed at \"{TITLE}\": {why}"), why)
}

/// A Nix store, a flake, and wrappers that count calls.
struct World {
    root: PathBuf,
    path: OsString,
}

impl World {
    fn new(root: &Path) -> Fallible<Self> {
        for folder in ["bin", "etc", "flake", "home", "log", "store", "tmp", "var"] {
            let path = root.join(folder);
            fs::create_dir_all(&path).map_err(on("make the folder", &path))?;
        }
        // Nix wants no link in its store's path.
        let root = root.canonicalize().map_err(on("find", root))?;
        let mut path = OsString::from(root.join("bin"));
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let world = Self { root, path };
        for tool in ["nix", "nix-store"] {
            world.wrap(tool)?;
        }
        world.write("registry.json", r#"{"version":2,"flakes":[]}"#)?;
        world.write("flake/flake.nix", &flake())?;
        Ok(world)
    }

    fn write(&self, name: &str, text: &str) -> Fallible<()> {
        let path = self.root.join(name);
        fs::write(&path, text).map_err(on("write", &path))
    }

    /// Puts a script before the tool that notes each call of it.
    fn wrap(&self, tool: &str) -> Fallible<()> {
        let real = which::which(tool)
            .map_err(|error| Failure::new(format!("{tool}: {error}"), "look at your PATH"))?;
        let name = format!("bin/{tool}");
        self.write(
            &name,
            &format!(
                "#!/bin/sh\necho {tool} >> '{}'\nexec '{}' \"$@\"\n",
                self.root.join("calls").display(),
                real.display()
            ),
        )?;
        let path = self.root.join(name);
        fs::set_permissions(&path, Permissions::from_mode(0o755)).map_err(on("change", &path))
    }

    /// The calls since the last time this was asked.
    fn calls(&self) -> Fallible<usize> {
        let path = self.root.join("calls");
        match fs::read_to_string(&path) {
            Ok(text) => {
                fs::remove_file(&path).map_err(on("remove", &path))?;
                Ok(text.lines().count())
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(on("read", &path)(error)),
        }
    }

    /// Adds the package to the last step of the manifest in `folder`.
    fn ask_for_package(&self, folder: &Path) -> Fallible<()> {
        let path = folder.join("workflow.toml");
        let flake = self.root.join("flake");
        fs::OpenOptions::new()
            .append(true)
            .mode(0o644)
            .open(&path)
            .and_then(|mut file| {
                use std::io::Write;
                writeln!(file, "packages = [\"path:{}#tools\"]", flake.display())
            })
            .map_err(on("write", &path))
    }

    /// Has a command use this store and nothing of the machine's own.
    fn enter(&self, command: &mut Command) {
        let at = |name: &str| self.root.join(name);
        let settings = format!(
            "sandbox = false\nsubstituters =\nbuild-users-group =\nflake-registry = {}\n",
            at("registry.json").display()
        );
        command
            .env_clear()
            .env("PATH", &self.path)
            .env("HOME", at("home"))
            .env("TMPDIR", at("tmp"))
            .env("NIX_STORE_DIR", at("store"))
            .env("NIX_STATE_DIR", at("var"))
            .env("NIX_LOCALSTATE_DIR", at("var"))
            .env("NIX_LOG_DIR", at("log"))
            .env("NIX_CONF_DIR", at("etc"))
            .env("NIX_CONFIG", settings);
    }
}

/// A flake whose one package has the host's `tr` as its program.
fn flake() -> String {
    let os = if cfg!(target_os = "macos") {
        "darwin"
    } else {
        "linux"
    };
    let system = format!("{}-{os}", std::env::consts::ARCH);
    let tr = which::which("tr").unwrap_or_else(|_| PathBuf::from("/usr/bin/tr"));
    format!(
        r#"{{
  outputs = {{ self }}: {{
    packages.{system}.tools = derivation {{
      name = "tools";
      system = "{system}";
      builder = "/bin/sh";
      args = [ "-c" "PATH=/usr/bin:/bin; mkdir -p $out/bin; ln -s {} $out/bin/tr; exit 0" ];
    }};
  }};
}}
"#,
        tr.display()
    )
}

impl Cost {
    /// The table.
    pub fn markdown(&self, text: &mut String) {
        let pairs = self.package.iter().zip(&self.host);
        let ratios: Vec<f64> = pairs.map(|(one, other)| one.wall / other.wall).collect();
        let typical = |samples: &[Sample]| median(samples.iter().map(wall)).unwrap_or(f64::NAN);
        let beside = median(ratios.iter().copied()).unwrap_or(f64::NAN);
        let (low, high) = quartiles(ratios).unwrap_or((f64::NAN, f64::NAN));
        let _ = writeln!(
            text,
            "\nWhat entering an environment costs (1000 files, `tr` each, the package known before):\n\n\
             | PATH | wall time | beside the host's | half of the pairs | goal: met? |\n\
             |---|---|---|---|---|\n\
             | the host's | {} | 1.00 | – | – |\n\
             | with a package's | {} | {beside:.2} | {low:.2} to {high:.2} | no cost that can be measured: {} |\n\n\
             Calls of Nix in all these runs: {}. Finding out what the package's PATH is, once per \
             version of a step: {}, {} calls of Nix.",
            seconds(typical(&self.host)),
            seconds(typical(&self.package)),
            // As it is shown.
            if low < 1.005 { "yes" } else { "**no**" },
            self.calls,
            seconds(typical(&self.resolving)),
            self.resolved_by,
        );
    }
}
