//! Whether what the manifest takes in from outside is there, and as it has to be.

use super::super::error::Failure;
use super::super::inputs::no_inputs;
use super::super::options::Places;
use crate::inputs::{Inputs, Outside};
use crate::manifest::diagnostic::Diagnostic;
use crate::prepare::Source;

/// Adds to `found` what is not there, which may come before a run. Fails for what is wrong with what is there. Files are not
/// read, but for sheets; commands are not run.
pub(super) fn look(
    source: &Source,
    places: &Places,
    found: &mut Vec<Diagnostic>,
) -> Result<(), Failure> {
    if source.manifest.inputs.is_empty() {
        return Ok(());
    }
    let outside = Outside {
        manifest: &source.manifest,
        texts: &source.texts,
        router: &source.router,
        folder: &source.folder,
        db: &places.db,
        programs: &[],
        params: &[],
        stop: &source.stop,
        tell: source.tell,
    };
    let (wrong, absent) = Inputs::look(&outside).map_err(|error| no_inputs(source, error))?;
    if !wrong.is_empty() {
        return Err(source.diagnose(&wrong).into());
    }
    found.extend(absent);
    found.sort_by_key(|one| one.span.as_ref().map_or(0, |span| span.start));
    Ok(())
}
