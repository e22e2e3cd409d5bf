//! What is no error and yet hardly meant.

use super::super::error::Failure;
use super::super::options::Places;
use super::files::{self, Folder};
use super::{params, programs, reach, syntax, variables};
use crate::manifest::Step;
use crate::manifest::diagnostic::Diagnostic;
use crate::model::event::Event;
use crate::model::glob::Glob;
use crate::model::name::StepName;
use crate::prepare::Source;
use crate::script::survey;
use crate::text::Shown as _;
use crate::text::amount::count;

/// All that is found, in the order of the text.
pub(super) fn all(source: &Source, places: &Places) -> Vec<Diagnostic> {
    let mut found = unseen(source, places, &|_| true);
    found.extend(syntax::of(source));
    found.extend(reach::of(source));
    found.extend(programs::references(source));
    found.extend(programs::twice(source, &places.db));
    found.sort_by_key(|one| one.span.as_ref().map_or(0, |span| span.start));
    found
}

/// What the scripts of steps depend on and no version of them knows.
pub(super) fn unseen(
    source: &Source,
    places: &Places,
    is_meant: &dyn Fn(&Step) -> bool,
) -> Vec<Diagnostic> {
    let folder = Folder {
        path: &source.folder,
        db: places.db.canonicalize().ok(),
    };
    let is_set = |name: &str| std::env::var_os(name).is_some();
    let mut found = Vec::new();
    let steps = source.manifest.steps.iter().zip(&source.manifest.places);
    for (step, place) in steps.filter(|(step, _)| is_meant(step)) {
        if !survey::is_shell(&step.shell) {
            continue;
        }
        let survey = survey::of(&step.script);
        found.extend(variables::unseen(
            step,
            place,
            source.texts.all(),
            &survey,
            &is_set,
        ));
        found.extend(params::unknown(
            step,
            place,
            source.texts.all(),
            &survey,
            &source.manifest.params,
        ));
        found.extend(files::unseen(
            step,
            &declared(step),
            place,
            source.texts.all(),
            &survey,
            &folder,
        ));
    }
    found
}

/// What the step says that its version knows of.
fn declared(step: &Step) -> Vec<&Glob> {
    step.files.iter().map(|file| &file.value).collect()
}

/// The failure that they are where nothing is let pass; none if there are none.
pub(super) fn failure(source: &Source, found: &[Diagnostic]) -> Option<Failure> {
    if found.is_empty() {
        return None;
    }
    let rendered = source.texts.render_as("error", found);
    Some(Failure::lint(format!(
        "{}\n{}: {} (-strict); nothing was run\n",
        rendered.trim_end(),
        source.path.shown(),
        count(found.len(), "error"),
    )))
}

/// Warnings that a run tells; more are a number.
const TOLD: usize = 20;

/// Tells what the scripts of steps that were registered just now depend on unseen.
pub(in super::super) fn tell(
    source: &Source,
    places: &Places,
    registered: &[StepName],
    listener: &mut dyn FnMut(&Event),
) {
    if registered.is_empty() {
        return;
    }
    let found = unseen(source, places, &|step| registered.contains(&step.name));
    for one in found.iter().take(TOLD) {
        let at = one.span.as_ref().map_or(0, |span| span.start);
        let (path, line) = source.texts.line(at);
        let hint = one.hint.as_deref().unwrap_or_default();
        listener(&Event::Warning(&format!(
            "{}:{line}: {}\nhint: {hint}",
            path.shown(),
            one.message
        )));
    }
    if found.len() > TOLD {
        listener(&Event::Warning(&format!(
            "and {} like these; `task-pipeline check` tells all",
            count(found.len() - TOLD, "more warning")
        )));
    }
}

/// The failure that a run is which lets nothing pass, before anything runs.
pub(in super::super) fn strict(source: &Source, places: &Places) -> Result<(), Failure> {
    let found = unseen(source, places, &|_| true);
    failure(source, &found).map_or(Ok(()), Err)
}
