//! What a call gives the pipeline's scripts for secrets.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use super::error::Failure;
use super::options::SecretOptions;
use crate::manifest::{Manifest, Step};
use crate::model::secret;
use crate::prepare::{BadSecret, Secrets, Source};
use crate::text::{Shown as _, quoted, suggest};

/// Bytes of one.
const LONGEST: u64 = 1 << 20;

/// The variable with the folder of a service's credentials.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// Takes in what the options give, and the credentials of a service that have the names of secrets.
pub(super) fn give(options: &SecretOptions, source: &mut Source) -> Result<(), Failure> {
    let names = names(&source.manifest);
    let mut secrets = Secrets::default();
    for name in &names {
        // What the host has under that name is none.
        secrets.hide(secret::variable(name).into());
    }
    let mut seen = BTreeSet::new();
    for word in &options.secret {
        let (name, from) = parse(word)?;
        check_name(&name, &names, &mut seen)?;
        let bytes = match &from {
            Origin::File(path) => read(path).map_err(|error| unread(&name, path, &error))?,
            Origin::Variable(variable) => {
                let value = std::env::var_os(variable).ok_or_else(|| {
                    let message = format!(
                        "secret {} is to be what {from} has, which is not set",
                        quoted(&name)
                    );
                    Failure::usage(message).hint("set it for this program, and export it")
                })?;
                check_kept(source, name_of(variable))?;
                secrets.hide(variable.clone());
                value.into_vec()
            }
        };
        let given = secrets.give(&name, &bytes);
        given.map_err(|bad| refused(&name, &from, &bad))?;
    }
    if let Some(folder) = std::env::var_os(CREDENTIALS).filter(|_| !names.is_empty()) {
        let others = names.iter().filter(|name| !seen.contains(**name));
        for name in others.copied() {
            let path = Path::new(&folder).join(name);
            let from = Origin::File(path.clone());
            match read(&path) {
                Ok(bytes) => {
                    let given = secrets.give(name, &bytes);
                    given.map_err(|bad| refused(name, &from, &bad))?;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    let message =
                        format!("cannot read secret {} from {from}: {error}", quoted(name));
                    return Err(Failure::usage(message).hint(
                        "it is the credential of that name: see LoadCredential of the service",
                    ));
                }
            }
        }
    }
    source.secrets = secrets;
    Ok(())
}

/// Fails where the options give a secret that no step lists; reads none.
pub(super) fn check_given(options: &SecretOptions, manifest: &Manifest) -> Result<(), Failure> {
    let names = names(manifest);
    let mut seen = BTreeSet::new();
    for word in &options.secret {
        check_name(&parse(word)?.0, &names, &mut seen)?;
    }
    Ok(())
}

fn check_name(
    name: &str,
    names: &BTreeSet<&str>,
    seen: &mut BTreeSet<String>,
) -> Result<(), Failure> {
    if !names.contains(name) {
        return Err(unknown(name, names));
    }
    if !seen.insert(name.to_owned()) {
        let message = format!("secret {} is given twice with -secret", quoted(name));
        return Err(Failure::usage(message).hint("leave one of them out"));
    }
    Ok(())
}

/// The names of all that steps list.
fn names(manifest: &Manifest) -> BTreeSet<&str> {
    let all = manifest.steps.iter().flat_map(|step| &step.secrets);
    all.map(String::as_str).collect()
}

/// Where one comes from.
enum Origin {
    File(PathBuf),
    Variable(OsString),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.shown().fmt(f),
            Self::Variable(name) => write!(f, "variable {}", quoted(&name.to_string_lossy())),
        }
    }
}

/// Fails if a step keeps the variable: it would have it, and its version the hash of it.
fn check_kept(source: &Source, variable: &str) -> Result<(), Failure> {
    let keeps = |step: &&Step| step.keep.iter().any(|kept| kept == variable);
    let Some(step) = source.manifest.steps.iter().find(keeps) else {
        return Ok(());
    };
    Err(Failure::usage(format!(
        "step {} keeps variable {}, which a secret is taken from",
        quoted(step.name.as_str()),
        quoted(variable)
    ))
    .hint("take it out of `keep`: the script has the secret in a file"))
}

fn name_of(variable: &OsString) -> &str {
    variable.to_str().unwrap_or_default()
}

fn parse(word: &OsString) -> Result<(String, Origin), Failure> {
    let bytes = word.as_bytes();
    let parts = bytes
        .iter()
        .position(|byte| *byte == b'=')
        .map(|at| (&bytes[..at], &bytes[at + 1..]));
    let Some((name, from)) =
        parts.filter(|(name, from)| !name.is_empty() && !matches!(*from, b"" | b"env:"))
    else {
        return Err(malformed());
    };
    let name = String::from_utf8_lossy(name).into_owned();
    let from = match from.strip_prefix(b"env:") {
        Some(variable) => Origin::Variable(OsString::from_vec(variable.to_vec())),
        None => Origin::File(OsString::from_vec(from.to_vec()).into()),
    };
    Ok((name, from))
}

/// Does not have what was given: it may be the secret itself.
pub(super) fn malformed() -> Failure {
    Failure::usage("what stands behind -secret has not the form NAME=FILE")
        .hint("write -secret NAME=FILE, or -secret NAME=env:VARIABLE")
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(LONGEST + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST {
        let words = format!("it has more than {LONGEST} bytes");
        return Err(io::Error::new(io::ErrorKind::InvalidData, words));
    }
    Ok(bytes)
}

/// Of a file that was named with `-secret`.
fn unread(name: &str, path: &Path, error: &io::Error) -> Failure {
    let name = quoted(name);
    if path.symlink_metadata().is_ok() {
        let path = path.shown();
        return Failure::usage(format!("cannot read secret {name} from {path}: {error}"))
            .hint("write -secret NAME=FILE, or -secret NAME=env:VARIABLE");
    }
    // Whoever takes NAME=FILE for NAME=VALUE gives the secret itself, and this may go to a log.
    Failure::usage(format!(
        "cannot read secret {name}: there is no file by the name that was given (which is not shown)"
    ))
    .hint("write -secret NAME=FILE, or -secret NAME=env:VARIABLE: the value itself is seen by all who list processes")
}

fn refused(name: &str, from: &Origin, bad: &BadSecret) -> Failure {
    Failure::usage(format!("secret {} from {from}: {bad}", quoted(name))).hint(bad.hint())
}

fn unknown(name: &str, names: &BTreeSet<&str>) -> Failure {
    let failure = Failure::usage(format!("no step has a secret {}", quoted(name)));
    match suggest::closest(name, names.iter().copied()) {
        Some(near) => failure.hint(format!("did you mean {}?", quoted(near))),
        None if names.is_empty() => {
            failure.hint("a step that is to have it lists it: secrets = [\"…\"]")
        }
        None => {
            let names: Vec<String> = names.iter().map(|name| quoted(name)).collect();
            failure.hint(format!("steps have {}", names.join(", ")))
        }
    }
}

/// Fails if a step is not given all its secrets that is to run at once.
pub(super) fn check_step(source: &Source, step: &Step) -> Result<(), Failure> {
    let lacking: Vec<&String> = step
        .secrets
        .iter()
        .filter(|name| !source.secrets.has(name))
        .collect();
    if lacking.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = lacking.iter().map(|name| quoted(name)).collect();
    let options: Vec<String> = lacking
        .iter()
        .map(|name| format!("-secret {name}=FILE"))
        .collect();
    Err(Failure::usage(format!(
        "step {} is not given {}",
        quoted(step.name.as_str()),
        names.join(", ")
    ))
    .hint(options.join(" ")))
}
