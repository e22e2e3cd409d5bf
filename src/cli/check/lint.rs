//! What is no error and yet hardly meant.

use std::path::Path;

use super::super::error::Failure;
use super::super::options::Places;
use super::files::{self, Folder};
use super::{
    again, params, programs, reach, secrets, shells, syntax, unfilled, variables, written,
};
use crate::manifest::Step;
use crate::manifest::diagnostic::Diagnostic;
use crate::model::event::Event;
use crate::model::glob::Glob;
use crate::model::name::StepName;
use crate::prepare::Source;
use crate::script::survey::{self, Survey};
use crate::text::Shown as _;
use crate::text::amount::count;

/// All that is found, in the order of the text.
pub(super) fn all(source: &Source, places: &Places) -> Vec<Diagnostic> {
    let mut found = unseen(source, places, &|_| true, &|_| true);
    found.extend(syntax::of(source));
    found.extend(shells::of(source, &|_| true));
    found.extend(unfilled::of(source, &|_| true));
    found.extend(reach::of(source));
    found.extend(reach::broken(source));
    found.extend(again::of(source));
    found.extend(secrets::unread(&source.manifest));
    found.extend(programs::references(source));
    found.extend(programs::twice(source, &places.db));
    found.sort_by_key(|one| one.span.as_ref().map_or(0, |span| span.start));
    found
}

/// What steps depend on and no version of them knows: variables of some steps, files of some.
pub(super) fn unseen(
    source: &Source,
    places: &Places,
    of_variables: &dyn Fn(&Step) -> bool,
    of_files: &dyn Fn(&Step) -> bool,
) -> Vec<Diagnostic> {
    let folder = Folder {
        path: &source.folder,
        db: places.db.canonicalize().ok(),
    };
    let is_set = |name: &str| std::env::var_os(name).is_some();
    let mut found = Vec::new();
    let steps = source.manifest.steps.iter().zip(&source.manifest.places);
    for (step, place) in steps {
        let (variables, files) = (of_variables(step), of_files(step));
        if !variables && !files {
            continue;
        }
        let survey = self::survey(step);
        if variables && survey::is_shell(&step.shell) {
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
            found.extend(secrets::unlisted(step, place, source.texts.all(), &survey));
            found.extend(written::of(step, place, source.texts.all(), &survey));
        }
        if files {
            found.extend(files::unseen(
                step,
                &declared(step),
                place,
                source.texts.all(),
                &survey,
                &folder,
            ));
        }
    }
    found
}

/// The files that a step names and does not declare, as it would declare those beside the manifest. `db`: the folder
/// that is the program's own.
pub(in super::super) fn unseen_files(source: &Source, step: &Step, db: &Path) -> Vec<String> {
    let folder = Folder {
        path: &source.folder,
        db: db.canonicalize().ok(),
    };
    let mut steps = source.manifest.steps.iter().zip(&source.manifest.places);
    let Some((_, place)) = steps.find(|(other, _)| other.name == step.name) else {
        return Vec::new();
    };
    let text = source.texts.all();
    files::unseen_paths(step, &declared(step), place, text, &survey(step), &folder)
}

/// What the step's script uses.
fn survey(step: &Step) -> Survey {
    if survey::is_shell(survey::started(&step.shell)) {
        survey::of(&step.script)
    } else {
        survey::of_text(&step.script)
    }
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

/// Tells of rings without an end, of shells and folders that have nothing for their step, and what steps depend on unseen: variables those that were registered just now; files, which may
/// have come since, all steps where something runs.
pub(in super::super) fn tell(
    source: &Source,
    places: &Places,
    registered: &[StepName],
    runs: bool,
    listener: &mut dyn FnMut(&Event),
) {
    let is_new = |step: &Step| registered.contains(&step.name);
    let mut found = unseen(source, places, &is_new, &|step| runs || is_new(step));
    if !registered.is_empty() {
        found.extend(again::of(source));
        found.extend(shells::of(source, &is_new));
        found.extend(unfilled::of(source, &is_new));
    }
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
            "and {} more like these; `task-pipeline check` shows all",
            count(found.len() - TOLD, "more warning")
        )));
    }
}

/// The failure that a run is which lets nothing pass, before anything runs.
pub(in super::super) fn strict(source: &Source, places: &Places) -> Result<(), Failure> {
    let mut found = unseen(source, places, &|_| true, &|_| true);
    found.extend(again::of(source));
    failure(source, &found).map_or(Ok(()), Err)
}
