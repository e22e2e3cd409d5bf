//! The program that is measured: this repository's, built as it is released.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::failure::{Failure, Fallible, on};

/// The folder that cargo builds in, which the measurement itself is from.
pub fn target() -> Fallible<PathBuf> {
    let here = Path::new("the program of the measurement");
    let me = std::env::current_exe().map_err(on("find", here))?;
    let target = me.ancestors().nth(2);
    target
        .map(Path::to_owned)
        .ok_or_else(|| Failure::new("no build folder", "start it with cargo run"))
}

/// Builds the program; where it is then.
pub fn build() -> Fallible<PathBuf> {
    let target = target()?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let status = Command::new(&cargo)
        .args(["build", "--release", "--locked", "--bin", "task-pipeline"])
        .arg("--target-dir")
        .arg(&target)
        .current_dir(&root)
        .status()
        .map_err(on("start", Path::new(&cargo)))?;
    if status.success() {
        return Ok(target.join("release/task-pipeline"));
    }
    Err(Failure::new(
        format!("cannot build the program that is to be measured: cargo: {status}"),
        "put that right, or name another build with --program FILE",
    ))
}
