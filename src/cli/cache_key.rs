//! `cache-key`: a pair of keys to share results with.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueHint};

use super::error::Failure;
use super::{output, own};
use crate::model::shared::{BadKey, SecretKey};
use crate::text::Shown as _;

/// Options of `cache-key`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The name that others know the key by, such as ci.example.org-1
    pub name: String,
    /// Where to write the secret key; nothing may be there yet
    #[arg(value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
}

/// Makes the pair: the secret key in a file, the public one on standard output.
pub(super) fn main(options: &Options) -> Result<ExitCode, Failure> {
    let cannot = |error: io::Error| Failure::cannot("make a key", &error);
    let mut seed = [0; 32];
    File::open("/dev/urandom")
        .and_then(|mut random| random.read_exact(&mut seed))
        .map_err(cannot)?;
    let key = SecretKey::new(&options.name, &seed).map_err(|bad: BadKey| {
        Failure::usage(bad)
            .hint("with a number at its end there can be a next one: ci.example.org-1")
    })?;
    if own::is_standard_output(&options.file) {
        return Err(Failure::usage(
            "the secret key goes to a file, and not to standard output, which has the public one",
        )
        .hint("name the file, for instance ci.key; a file that is called `-` is ./-"));
    }
    let path = options.file.shown();
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&options.file);
    let mut file = made.map_err(|error| {
        if error.kind() == io::ErrorKind::AlreadyExists {
            return Failure::usage(format!("{path} is there already"))
                .hint("who signs with it goes on with it; name another file for another key");
        }
        Failure::cannot(format_args!("make {path}"), &error)
    })?;
    let written = writeln!(file, "{}", key.to_secret_text()).and_then(|()| file.sync_all());
    written.map_err(|error| {
        // A part of a key is none, and would be in the way of the next one.
        let _ = fs::remove_file(&options.file);
        Failure::cannot(format_args!("write {path}"), &error)
    })?;
    output::print(&format!("{}\n", key.public()))?;
    Ok(ExitCode::SUCCESS)
}
