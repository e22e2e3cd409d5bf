//! Whether there is a shell for the steps' scripts: asked before anything runs.

use super::error::Failure;
use crate::exec::local;
use crate::prepare::{Source, Steps};
use crate::process::Variables;

/// Fails if steps lack their shell as PATH leads to none at all. What one step alone lacks, its tasks tell.
pub(super) fn check(source: &Source, steps: &Steps) -> Result<(), Failure> {
    // Of those elsewhere, each machine finds out for itself.
    let mut here = steps.runnable.iter().zip(&steps.posted);
    let lacking = here.find_map(|(one, posted)| match posted {
        None => one.program.as_ref().err(),
        Some(_) => None,
    });
    let Some(error) = lacking else {
        return Ok(());
    };
    let path = local::host_path();
    let none = Variables::default();
    if local::program("sh", &none, path.as_deref(), &source.folder).is_ok() {
        return Ok(());
    }
    let unset = if path.is_none() {
        ", which is not set"
    } else {
        ""
    };
    let hint = "set PATH to the folders of your programs, for instance PATH=/usr/bin:/bin";
    Err(Failure::usage(format!("{error}{unset}")).hint(hint))
}
