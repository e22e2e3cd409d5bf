//! Every call of a program of Nix: one function a call, and nowhere else any.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;

use serde_json::Value;

use super::Progress;
use super::child::{self, Ended};
use super::failure::{Failure, Kind};
use super::progress::{Heard, Listener};
use super::store_path::StoreDir;
use crate::text::Shown as _;

/// The features that every `nix` call needs; switched on per call, whatever the settings are.
const FEATURES: [&str; 2] = ["--extra-experimental-features", "nix-command flakes"];

/// The oldest Nix that is supported.
const OLDEST: Version = Version(2, 8);
/// The first that knows `attribute^outputs`.
const OUTPUTS: Version = Version(2, 13);

/// A version of Nix: major, minor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(pub u32, pub u32);

/// The programs of Nix, and where and for whom they run.
#[allow(clippy::struct_field_names)] // The programs have these names.
pub(super) struct Nix<'a> {
    /// `nix`.
    flakes: PathBuf,
    /// `nix-store`.
    realiser: PathBuf,
    version: Version,
    /// The working folder: what relative references are relative to.
    folder: &'a Path,
    store: &'a StoreDir,
    stop: &'a AtomicBool,
}

/// Why a call gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// No program of that name on PATH.
    #[error("there is no `{0}` on PATH")]
    Missing(&'static str),
    /// Nix is older than what is supported.
    #[error("Nix {0} is too old; {major}.{minor} is the oldest that works", major = OLDEST.0, minor = OLDEST.1)]
    TooOld(String),
    /// The program could not be run.
    #[error("cannot run {}: {source}", program.shown())]
    Run {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Nix says no.
    #[error("{0}")]
    Failed(Failure),
    /// Nix answered something else than it should.
    #[error("`{call}` answered what cannot be understood: {answer:?}")]
    Garbage {
        /// The call.
        call: String,
        /// The start of the answer.
        answer: String,
    },
    /// The stop flag was set, or Nix was interrupted.
    #[error("interrupted")]
    Interrupted,
}

/// What references of installables may name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Inputs<'a> {
    /// The flake whose inputs they may name.
    pub flake: Option<&'a str>,
    /// A registry in place of the global one, which Nix downloads before it looks at anything.
    pub registry: Option<&'a Path>,
}

impl<'a> Nix<'a> {
    /// Finds the programs on PATH and asks for the version.
    pub(super) fn find(
        folder: &'a Path,
        store: &'a StoreDir,
        stop: &'a AtomicBool,
    ) -> Result<Self, CallError> {
        let on_path = |name| which::which(name).map_err(|_| CallError::Missing(name));
        let mut nix = Self {
            flakes: on_path("nix")?,
            realiser: on_path("nix-store")?,
            version: OLDEST,
            folder,
            store,
            stop,
        };
        let answer = nix.call(Command::new(&nix.flakes).arg("--version"), &mut |_| {})?;
        let (version, text) =
            parse_version(&answer).ok_or_else(|| garbage("nix --version", &answer))?;
        if version < OLDEST {
            return Err(CallError::TooOld(text));
        }
        nix.version = version;
        Ok(nix)
    }

    /// Builds or downloads all `installables` in one call and registers GC roots for them: links
    /// whose names begin with `out_link`. All that can be built is, even if something else fails.
    pub(super) fn build(
        &self,
        installables: &[String],
        inputs: Inputs<'_>,
        out_link: &Path,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<Vec<String>>, CallError> {
        let mut command = self.flake_command("build", inputs);
        command.args(["--json", "--keep-going", "--out-link"]);
        command.arg(out_link).arg("--").args(installables);
        let answer = self.call(&mut command, progress)?;
        outputs(self.store, "nix build --json", &answer)
    }

    /// The store paths of one installable that is built already.
    pub(super) fn outputs_of(
        &self,
        installable: &str,
        inputs: Inputs<'_>,
    ) -> Result<Vec<String>, CallError> {
        let mut command = self.flake_command("build", inputs);
        command.args(["--json", "--no-link", "--", installable]);
        let answer = self.call(&mut command, &mut |_| {})?;
        Ok(outputs(self.store, "nix build --json", &answer)?.concat())
    }

    /// Evaluates one installable without building it: its derivation, where it has one.
    pub(super) fn derivation_of(
        &self,
        installable: &str,
        inputs: Inputs<'_>,
    ) -> Result<Option<String>, CallError> {
        let mut command = self.flake_command("build", inputs);
        command.args(["--json", "--no-link", "--dry-run", "--", installable]);
        let answer = self.call(&mut command, &mut |_| {})?;
        derivation(&answer)
    }

    /// Writes the lock file of the flake in the folder that `flake` names (`path:…`).
    /// `refresh`: what was downloaded lately is asked for again.
    pub(super) fn lock(
        &self,
        flake: &str,
        refresh: bool,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), CallError> {
        let mut command = Command::new(&self.flakes);
        command.args(FEATURES).args(["flake", "lock"]);
        command.args(["--log-format", "internal-json"]);
        if refresh {
            command.arg("--refresh");
        }
        command.args(["--", flake]);
        self.call(&mut command, progress).map(|_| ())
    }

    /// Makes `paths` (store paths, derivations, `DRV!OUTPUT`) valid, by download or build, and
    /// gives the store paths. `root`: registers GC roots, links whose names begin with it.
    pub(super) fn realise(
        &self,
        paths: &[String],
        root: Option<&Path>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<String>, CallError> {
        let mut command = self.store_command("--realise");
        command.args(["--log-format", "internal-json"]);
        if let Some(root) = root {
            command.arg("--add-root").arg(root);
        }
        command.arg("--").args(paths);
        let answer = self.call(&mut command, progress)?;
        realised(self.store, &answer)
    }

    /// Brings back store paths that the database of Nix believes to be there.
    pub(super) fn repair(
        &self,
        paths: &[String],
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), CallError> {
        let mut command = self.store_command("--repair-path");
        command.args(["--log-format", "internal-json", "--"]);
        command.args(paths);
        self.call(&mut command, progress).map(|_| ())
    }

    /// Those of `paths` that the database of Nix does not know.
    pub(super) fn invalid(&self, paths: &[String]) -> Result<Vec<String>, CallError> {
        let mut command = self.store_command("--check-validity");
        command.args(["--print-invalid", "--"]).args(paths);
        let answer = self.call(&mut command, &mut |_| {})?;
        Ok(lines(&answer))
    }

    /// Everything that these need, themselves included: a derivation for its build, other store paths when they
    /// are used.
    pub(super) fn requisites(&self, paths: &[String]) -> Result<Vec<String>, CallError> {
        let mut command = self.store_command("--query");
        command.args(["--requisites", "--"]).args(paths);
        let answer = self.call(&mut command, &mut |_| {})?;
        Ok(lines(&answer))
    }

    /// Whether this Nix knows `attribute^outputs`.
    pub(super) fn check_outputs(&self) -> Result<(), Failure> {
        if self.version >= OUTPUTS {
            return Ok(());
        }
        let Version(major, minor) = self.version;
        Err(Failure::new(
            Kind::OutputsUnsupported,
            format!("Nix {major}.{minor} cannot choose outputs with `^`"),
        ))
    }

    fn flake_command(&self, subcommand: &str, inputs: Inputs<'_>) -> Command {
        let mut command = Command::new(&self.flakes);
        command.args(FEATURES).arg(subcommand);
        command.args(["--log-format", "internal-json", "--no-write-lock-file"]);
        if let Some(flake) = inputs.flake {
            command.args(["--inputs-from", flake]);
        }
        if let Some(registry) = inputs.registry {
            command.args(["--option", "flake-registry"]).arg(registry);
        }
        command
    }

    fn store_command(&self, operation: &str) -> Command {
        let mut command = Command::new(&self.realiser);
        command.arg(operation);
        command
    }

    fn call(
        &self,
        command: &mut Command,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<u8>, CallError> {
        let mut listener = Listener::new(progress);
        command.current_dir(self.folder);
        let ended = child::run(command, self.stop, &mut |line| listener.line(line));
        let heard = listener.finish();
        let ended = ended.map_err(|source| CallError::Run {
            program: PathBuf::from(command.get_program()),
            source,
        })?;
        judge(ended, &heard)
    }
}

/// The store paths of each element of a `--json` answer; see [`Nix::build`].
pub(super) fn outputs(
    store: &StoreDir,
    call: &str,
    answer: &[u8],
) -> Result<Vec<Vec<String>>, CallError> {
    let elements = json(call, answer)?;
    // An empty answer would leave the host's programs in place of the packages.
    if elements.is_empty() {
        return Err(garbage(call, answer));
    }
    elements
        .iter()
        .map(|element| {
            element_paths(element)
                .into_iter()
                .map(|path| Ok(store.parse(path)?.as_str().to_owned()))
                .collect::<Result<Vec<_>, super::store_path::BadStorePath>>()
                .ok()
                .filter(|paths| !paths.is_empty())
                .ok_or_else(|| garbage(call, answer))
        })
        .collect()
}

/// The derivation in the answer of a dry run; see [`Nix::derivation_of`].
pub(super) fn derivation(answer: &[u8]) -> Result<Option<String>, CallError> {
    let elements = json("nix build --dry-run --json", answer)?;
    Ok(elements
        .iter()
        .find_map(|element| element["drvPath"].as_str())
        .map(ToOwned::to_owned))
}

/// The store paths of an answer; see [`Nix::realise`].
pub(super) fn realised(store: &StoreDir, answer: &[u8]) -> Result<Vec<String>, CallError> {
    let garbage = || garbage("nix-store --realise", answer);
    let text = String::from_utf8_lossy(answer);
    if text.trim().is_empty() {
        return Err(garbage());
    }
    // With a root, the answer is the links; a second output's link may be followed by `!out`.
    text.lines()
        .map(|line| {
            let line = line.split('!').next().unwrap_or_default();
            let target = match std::fs::read_link(line) {
                Ok(target) if !store.contains(Path::new(line)) => target,
                _ => PathBuf::from(line),
            };
            store
                .parse(&target.to_string_lossy())
                .map(|path| path.as_str().to_owned())
                .map_err(|_| garbage())
        })
        .collect()
}

/// A store path is a text, or `{path}` on 2.8; a build is `{drvPath, outputs: {name: path}}`.
fn element_paths(element: &Value) -> Vec<&str> {
    if let Some(path) = element.as_str().or_else(|| element["path"].as_str()) {
        return vec![path];
    }
    let outputs = element["outputs"].as_object();
    outputs
        .map(|outputs| outputs.values().filter_map(Value::as_str).collect())
        .unwrap_or_default()
}

fn judge(ended: Ended, heard: &Heard) -> Result<Vec<u8>, CallError> {
    if ended.stopped {
        return Err(CallError::Interrupted);
    }
    if ended.status.success() {
        return Ok(ended.answer);
    }
    let mut failure = Failure::of(heard);
    if failure.kind == Kind::Interrupted {
        return Err(CallError::Interrupted);
    }
    if heard.errors.is_empty() && heard.plain.is_empty() {
        failure.words = format!("it ended with {}", ended.status);
    }
    Err(CallError::Failed(failure))
}

fn json(call: &str, answer: &[u8]) -> Result<Vec<Value>, CallError> {
    serde_json::from_slice(answer).map_err(|_| garbage(call, answer))
}

fn garbage(call: &str, answer: &[u8]) -> CallError {
    let text = String::from_utf8_lossy(answer);
    CallError::Garbage {
        call: call.to_owned(),
        answer: text.chars().take(200).collect(),
    }
}

fn lines(answer: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(answer);
    text.lines().map(ToOwned::to_owned).collect()
}

/// `nix (Nix) 2.8.0`, `nix (Lix, like Nix) 2.91.1`, `nix (Determinate Nix 3.6.2) 2.29.0`.
pub(super) fn parse_version(answer: &[u8]) -> Option<(Version, String)> {
    let text = std::str::from_utf8(answer).ok()?.lines().next()?;
    let last = text.strip_prefix("nix ")?.rsplit(' ').next()?;
    let mut numbers = last.split(|c: char| !c.is_ascii_digit());
    let major = numbers.next()?.parse().ok()?;
    let minor = numbers.next()?.parse().ok()?;
    Some((Version(major, minor), last.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for (text, version) in [
            ("nix (Nix) 2.8.0\n", Some(Version(2, 8))),
            ("nix (Nix) 2.34.8\n", Some(Version(2, 34))),
            ("nix (Lix, like Nix) 2.91.1\n", Some(Version(2, 91))),
            ("nix (Determinate Nix 3.6.2) 2.29.0\n", Some(Version(2, 29))),
            ("nix (Nix) 2.24pre20240703_abc\n", Some(Version(2, 24))),
            ("fish 3.1\n", None),
            ("", None),
        ] {
            assert_eq!(parse_version(text.as_bytes()).map(|(v, _)| v), version);
        }
    }

    #[test]
    fn answers_of_all_versions() {
        let element = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        for (text, paths) in [
            (
                r#"{"drvPath":"/d","outputs":{"dev":"/b","out":"/a"}}"#,
                vec!["/b", "/a"],
            ),
            (
                r#"{"cpuSystem":0.1,"drvPath":"/d","outputs":{"out":"/a"},"startTime":0}"#,
                vec!["/a"],
            ),
            (r#"{"path":"/a"}"#, vec!["/a"]),
            (r#""/a""#, vec!["/a"]),
            (r#"{"outputs":{"out":null}}"#, vec![]),
        ] {
            assert_eq!(element_paths(&element(text)), paths, "{text}");
        }
    }
}
