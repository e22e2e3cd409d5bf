//! `-run -check-options`: whether the options of a run fit its manifest, wherever it is to run. What depends on the machine
//! (its GPUs, files, secrets) or on the db is not looked at: this may be the machine where a service is only built.

use std::process::ExitCode;

use super::arguments::Arguments;
use super::error::Failure;
use super::output::print;
use super::{cache, executor, params, resources, run, secrets};
use crate::text::Shown as _;

/// Says that they fit, or fails with what does not.
pub(super) fn main(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let source = run::asked(arguments)?;
    cache::check_given(&arguments.cache)?;
    let manifest = &source.manifest;
    let option = arguments.actions.executor.as_deref();
    let here = executor::steps_here(option, manifest)?;
    resources::check_given(&arguments.resources, manifest, here)?;
    params::check_given(&arguments.params, manifest)?;
    secrets::check_given(&arguments.secrets, manifest)?;
    print(&format!("{}: the options fit\n", source.path.shown()))?;
    Ok(ExitCode::SUCCESS)
}
