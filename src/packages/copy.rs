//! Packages on their way to the store of another machine: what they need, what of it is missing there, and its bytes
//! in the form that `nix-store --import` takes.
//!
//! Of all ways to copy this is the one that goes through any connection. Both machines have their store at the same place.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::store_path::StoreDir;

/// Store paths that are asked for in one call.
const STRETCH: usize = 1000;
/// Bytes that are given on at once.
const PIECE: usize = 1 << 16;
/// The most bytes of what Nix says that are told.
const WORDS: u64 = 1000;
/// Where the programs of Nix are where a login puts them on PATH, and a command over ssh is none.
const ELSEWHERE: [&str; 2] = [
    "/run/current-system/sw/bin",
    "/nix/var/nix/profiles/default/bin",
];

/// Why packages cannot be copied.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CopyError {
    /// There is nothing to copy with.
    #[error("there is no `nix-store` on this machine")]
    NoNix,
    /// The program could not be run, or heard.
    #[error("cannot run `{0}` of Nix: {1}")]
    Run(&'static str, io::Error),
    /// Nix says no.
    #[error("`{0}` of Nix failed: {1}")]
    Failed(&'static str, String),
    /// What is asked for is none.
    #[error("{0:?} is no store path")]
    NoStorePath(String),
    /// Who takes the bytes takes no more.
    #[error("it cannot be sent: {0}")]
    To(io::Error),
}

/// Whether there is a Nix on this machine.
pub(crate) fn has_nix() -> bool {
    program("nix-store").is_ok()
}

fn program(name: &str) -> Result<PathBuf, CopyError> {
    let elsewhere = ELSEWHERE.map(|folder| Path::new(folder).join(name));
    let found = which::which(name).ok();
    found
        .or_else(|| elsewhere.into_iter().find(|path| path.exists()))
        .ok_or(CopyError::NoNix)
}

/// All that these store paths need, themselves included.
///
/// # Errors
///
/// If one of them is not in this machine's store, or there is no Nix.
pub(crate) fn needs(paths: &[String]) -> Result<Vec<String>, CopyError> {
    let mut all = lines("--query", &["--requisites"], paths)?;
    all.sort();
    all.dedup();
    Ok(all)
}

/// Those that are not in this machine's store.
///
/// # Errors
///
/// If there is no Nix.
pub(crate) fn missing(paths: &[String]) -> Result<Vec<String>, CopyError> {
    let mut all = Vec::new();
    for some in paths.chunks(STRETCH) {
        all.extend(lines("--check-validity", &["--print-invalid"], some)?);
    }
    Ok(all)
}

/// Gives the bytes of these store paths to `each`, in pieces; what they need has to be among them, or at hand there.
///
/// # Errors
///
/// If one of them is not in this machine's store, or `each` fails.
pub(crate) fn export(
    paths: &[String],
    each: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> Result<(), CopyError> {
    const CALL: &str = "--export";
    let run = |error| CopyError::Run(CALL, error);
    let mut called = Called::start(CALL, &[], paths, Stdio::null(), Stdio::piped())?;
    let Some(mut from) = called.child.stdout.take() else {
        return called.end().map(drop);
    };
    let mut piece = vec![0; PIECE];
    loop {
        let count = from.read(&mut piece).map_err(run)?;
        if count == 0 {
            return called.end().map(drop);
        }
        each(&piece[..count]).map_err(CopyError::To)?;
    }
}

/// Takes what was [exported](export) into this machine's store.
///
/// # Errors
///
/// If Nix refuses it, as it does what nobody has signed for users that it does not trust.
pub(crate) fn import(from: File) -> Result<(), CopyError> {
    Called::start("--import", &[], &[], from.into(), Stdio::null())?.end()
}

/// Takes these store paths, and what they need, from the cache with that URL into this machine's store.
///
/// # Errors
///
/// If they are not there, or Nix refuses them, as nobody has signed them whom it trusts.
pub(crate) fn fetch(url: &str, paths: &[String]) -> Result<(), CopyError> {
    const OPTIONS: [&str; 4] = [
        "--extra-experimental-features",
        "nix-command",
        "copy",
        "--from",
    ];
    let options = [&OPTIONS[..], &[url]].concat();
    Called::run("nix", "copy", &options, paths, Stdio::null(), Stdio::null())?.end()
}

/// Keeps these store paths as long as links with this name stay where they are.
///
/// # Errors
///
/// If one of them is not there.
pub(crate) fn hold(paths: &[String], link: &Path) -> Result<(), CopyError> {
    let link = link.to_string_lossy();
    let options = ["--indirect", "--add-root", &link];
    Called::start("--realise", &options, paths, Stdio::null(), Stdio::null())?.end()
}

fn lines(call: &'static str, options: &[&str], paths: &[String]) -> Result<Vec<String>, CopyError> {
    let mut called = Called::start(call, options, paths, Stdio::null(), Stdio::piped())?;
    let mut text = String::new();
    if let Some(mut from) = called.child.stdout.take() {
        from.read_to_string(&mut text)
            .map_err(|error| CopyError::Run(call, error))?;
    }
    called.end()?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// A call that goes on. Dropped, it is ended.
struct Called {
    call: &'static str,
    child: Child,
    /// What it says goes there, however much that is.
    words: File,
}

impl Called {
    fn start(
        call: &'static str,
        options: &[&str],
        paths: &[String],
        from: Stdio,
        to: Stdio,
    ) -> Result<Self, CopyError> {
        let options = [&[call], options].concat();
        Self::run("nix-store", call, &options, paths, from, to)
    }

    fn run(
        name: &'static str,
        call: &'static str,
        options: &[&str],
        paths: &[String],
        from: Stdio,
        to: Stdio,
    ) -> Result<Self, CopyError> {
        let store = StoreDir::of_environment()
            .map_err(|error| CopyError::Failed(call, error.to_string()))?;
        let is_one = |path: &&String| store.parse(path).is_ok_and(|one| one.as_str() == **path);
        if let Some(other) = paths.iter().find(|path| !is_one(path)) {
            return Err(CopyError::NoStorePath(other.clone()));
        }
        let run = |error| CopyError::Run(call, error);
        let words = tempfile::tempfile().map_err(run)?;
        let child = Command::new(program(name)?)
            .args(options)
            .args(paths)
            .stdin(from)
            .stdout(to)
            .stderr(words.try_clone().map_err(run)?)
            .spawn()
            .map_err(run)?;
        Ok(Self { call, child, words })
    }

    fn end(mut self) -> Result<(), CopyError> {
        let run = |error| CopyError::Run(self.call, error);
        let status = self.child.wait().map_err(run)?;
        if status.success() {
            return Ok(());
        }
        let length = self.words.metadata().map_or(0, |metadata| metadata.len());
        let mut last = Vec::new();
        let begin = SeekFrom::Start(length.saturating_sub(WORDS));
        let read = self.words.seek(begin);
        read.and_then(|_| self.words.read_to_end(&mut last))
            .map_err(run)?;
        let last = String::from_utf8_lossy(&last);
        let last: Vec<&str> = last.lines().map(str::trim).collect();
        let words = last[last.len().saturating_sub(3)..].join("; ");
        Err(CopyError::Failed(
            self.call,
            match &*words {
                "" => status.to_string(),
                _ => words,
            },
        ))
    }
}

impl Drop for Called {
    fn drop(&mut self) {
        // Who has ended already is no longer there to be ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
