//! `check -executor NAME`: one worker is started and tried.

use std::time::Duration;

use crate::cli::error::Failure;
use crate::cli::executor;
use crate::cli::options::Places;
use crate::cli::output::print;
use crate::exec::remote::trial;
use crate::prepare::Source;
use crate::text::visible;

/// What a script has that is to end; the one here ends by itself.
const GRACE: Duration = Duration::from_secs(5);

/// Says of each thing how it is, as soon as that is known.
pub(super) fn tried(name: &str, source: &Source, places: &Places) -> Result<(), Failure> {
    let (crew, pilots) = executor::one(name, &places.db, &source.manifest)?;
    let shown = visible(name);
    let folder = tempfile::tempdir()
        .map_err(|error| Failure::usage(format!("cannot make a folder: {error}")))?;
    print(&format!("executor {shown}\n"))?;
    let mut failed = None;
    let tried = trial(
        &crew,
        &executor::terms(GRACE, false),
        folder.path(),
        &mut |what, words| {
            let line = format!("  {what:<10}{}\n", visible(words));
            failed = failed.take().or(print(&line).err());
        },
    );
    pilots.cancel();
    if let Some(failure) = failed {
        return Err(failure);
    }
    tried.map_err(|why| Failure::usage(format!("executor {shown}: {why}")).hint(crew.hint))?;
    print(&format!("executor {shown}: all of it works\n"))
}
