//! This program beside its peers on the same works: `cargo run --release -p bench -- --help`.
//!
//! Each work is done by all contenders in turn, round after round, so that what else the machine
//! does hits all alike; results are compared; medians and ratios of pairs go to a table and a plot.

#![allow(clippy::disallowed_methods, clippy::disallowed_macros)]

mod boxed;
mod check;
mod contender;
#[expect(
    dead_code,
    reason = "shared with the guard, which also measures warm shells and programs without one"
)]
#[path = "../../guard/cost.rs"]
mod cost;
mod durability;
mod environment;
mod failure;
mod flat;
mod flat_table;
mod floor;
mod gather;
mod generate;
mod generate_python;
mod goal;
mod interrupt;
mod machine;
mod machines;
mod measure;
mod multiply;
mod options;
mod own;
mod plot;
mod profile;
mod readme;
mod scratch;
mod start;
mod statistics;
mod suite;
mod table;
mod work;

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitCode;

use failure::{Failure, Fallible, on};
use options::{Options, Wanted};
use suite::Suite;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    ExitCode::from(status(&arguments))
}

/// Does what the arguments say; the exit status.
fn status(arguments: &[String]) -> u8 {
    let result = match arguments.split_first() {
        Some((first, rest)) if first == "floor" => floor::main(rest),
        _ => peers(arguments),
    };
    match result {
        Ok(()) => 0,
        Err(failure) => {
            eprintln!("peers: {failure}");
            match failure {
                Failure::Interrupted(signal) => 128 + u8::try_from(signal).unwrap_or(0),
                _ => 2,
            }
        }
    }
}

fn peers(arguments: &[String]) -> Fallible<()> {
    let options = match Options::parse(arguments)? {
        Wanted::Words(words) => {
            println!("{words}");
            return Ok(());
        }
        Wanted::Measurement(options) => options,
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    if cores < 2 {
        return Err(Failure::new(
            "this process has one core: runners that work in parallel cannot be compared on it",
            "give it two (taskset, the container's CPU limit)",
        ));
    }
    if cfg!(debug_assertions) && options.program.is_none() {
        return Err(Failure::new(
            "this is a build with debug assertions: its times say nothing",
            "use cargo run --release -p bench",
        ));
    }
    if let Some(path) = &options.readme {
        readme::check(path)?;
    }
    interrupt::watch()?;
    let program = match &options.program {
        Some(program) => program.clone(),
        None => own::build()?,
    };
    let suite = Suite::new(&options, &program, cores.min(2))?;
    let (results, scratch) = suite.run()?;
    let tables = table::markdown(&results);
    let plot = plot::svg(&results);
    let profile = results.profile.unwrap_or_default();
    // First, so that they are not lost where no file can be written.
    let _ = writeln!(std::io::stdout(), "{tables}{profile}");
    write(&options.out, "peers.svg", &plot)?;
    write(&options.out, "peers.md", &format!("{tables}{profile}"))?;
    if let Some(path) = &options.readme {
        let text = readme::replaced(path, &tables)?;
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        write(folder.unwrap_or(Path::new(".")), &name, &text)?;
    }
    eprintln!("peers: written to {}", options.out.display());
    drop(scratch);
    Ok(())
}

/// Writes a file whole or not at all.
fn write(folder: &Path, name: &str, text: &str) -> Fallible<()> {
    let path = folder.join(name);
    std::fs::create_dir_all(folder).map_err(on("make the folder", folder))?;
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(on("make a file in", folder))?;
    // As any other file is made, not for the owner alone.
    let mode = path
        .metadata()
        .map_or_else(|_| Permissions::from_mode(0o644), |data| data.permissions());
    file.write_all(text.as_bytes())
        .and_then(|()| file.as_file().set_permissions(mode))
        .map_err(on("write", &path))?;
    file.persist(&path)
        .map(drop)
        .map_err(|error| on("write", &path)(error.error))
}
