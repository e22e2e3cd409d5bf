//! What goes with a sandbox, and what does not.

use std::ops::Range;

use super::field::Field;
use super::read::Fields;
use super::value::Reader;
use crate::manifest::diagnostic::Diagnostic;

/// Tells what in a step's fields, or those of `[defaults]`, does not go with the sandbox that it has or lacks. `place`: the step's.
pub(super) fn check(
    reader: &mut Reader<'_>,
    fields: &Fields,
    defaults: &Fields,
    place: Range<usize>,
) {
    let sandbox = fields.sandbox.or(defaults.sandbox) == Some(true);
    let at = |field| fields.place(field).or_else(|| defaults.place(field));
    let at = |field| at(field).unwrap_or_else(|| place.clone());
    let label = &fields.label;
    let is_wrong = fields
        .seen
        .iter()
        .any(|(field, _)| *field == Field::Sandbox);
    if !sandbox && fields.network == Some(true) && !(is_wrong && fields.sandbox.is_none()) {
        let message = format!("`network` is for steps in a sandbox, and {label} has none");
        let error = Diagnostic::at(at(Field::Network), message);
        reader.error(error.hint(
            "add sandbox = true, or leave it out: without a sandbox, scripts have the network",
        ));
    }
    if sandbox && fields.warm.or(defaults.warm) == Some(true) {
        let message = format!("{label} has a sandbox, and a warm shell would run many tasks in it");
        let error = Diagnostic::at(at(Field::Warm), message);
        reader.error(error.hint("leave `warm` out: each task has a sandbox of its own"));
    }
    if sandbox && fields.pure == Some(false) {
        let message = format!("{label} has a sandbox, where host variables cannot be seen");
        let error = Diagnostic::at(at(Field::Pure), message);
        reader.error(error.hint("leave `pure` out, and name what the script reads in `keep`"));
    }
}
