//! `export`: the final outputs as files.

use std::path::Path;
use std::process::ExitCode;

use super::arguments::{Export, Places};
use super::error::Failure;
use super::run;
use crate::core::suggest;
use crate::export::{self, Error};
use crate::state::{Layout, Runset, State};
use crate::store::Store;

/// Writes them and says how many.
pub fn main(places: &Places, arguments: &Export) -> Result<ExitCode, Failure> {
    let state = State::open_for_reading(&places.db)?;
    let layout = Layout::new(&places.db);
    let store = Store::open(&layout.objects(), &layout.scratch())?;
    let chosen = match arguments.runset.as_deref() {
        Some(run::ALL) => None,
        name => Some(runset(&state, &places.db, name)?),
    };
    let count = export::export(&state, &store, chosen.as_ref(), &arguments.to)?;
    let files = if count == 1 { "file" } else { "files" };
    run::print(&format!("{}: {count} {files}\n", arguments.to.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// The runset of that name, or the newest.
fn runset(state: &State, db: &Path, name: Option<&str>) -> Result<Runset, Failure> {
    let Some(name) = name else {
        return state.newest_runset()?.ok_or_else(|| {
            Failure::usage(format!("nothing ever ran in {}", db.display()))
                .hint("run the pipeline first: -run")
        });
    };
    if let Some(found) = state.runset(name)? {
        return Ok(found);
    }
    let all = state.runsets()?;
    let failure = Failure::usage(format!("there is no runset `{name}` in {}", db.display()));
    Err(
        match suggest::closest(name, all.iter().map(|runset| runset.name.as_str())) {
            Some(near) => failure.hint(format!("did you mean `{near}`?")),
            None => match all.last() {
                Some(newest) => failure.hint(format!("the newest is `{}`", newest.name)),
                None => failure.hint("run the pipeline first: -run"),
            },
        },
    )
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::State(error) => error.into(),
            Error::Store(error) => error.into(),
            Error::Taken(_) => Self::usage(&error).hint("name a folder that is not there yet"),
            Error::Io { .. } => Self::usage(&error),
        }
    }
}
