//! Whether what steps take goes with their variables, and with `[limits]`.

use std::ops::Range;

use super::Placed;
use super::amounts::Uses;
use super::field::Field;
use super::read::Fields;
use super::value::Reader;
use crate::manifest::diagnostic::Diagnostic;
use crate::model::resources::{CPUS, GPUS};
use crate::text::{quoted, suggest};

/// What `uses` names is limited, and no task takes more of it than that.
pub(super) fn check_uses(reader: &mut Reader<'_>, fields: &Fields, limits: &Uses) {
    for (name, Placed { value, at }) in fields.uses.iter().flatten() {
        let Some(limit) = limits.get(name) else {
            let message = format!("{} uses {}, which has no limit", fields.label, quoted(name));
            let hint = match suggest::closest(name, limits.keys().map(String::as_str)) {
                Some(close) => format!("did you mean `{close}`?"),
                None => format!("add [limits] with {name} = 2, for two at once"),
            };
            reader.error(Diagnostic::at(at.clone(), message).hint(hint));
            continue;
        };
        if *value > limit.value {
            let message = format!(
                "{} uses {value} of {}, and its limit is {}",
                fields.label,
                quoted(name),
                limit.value
            );
            let hint = format!(
                "no task could ever start; the limit is {}",
                reader.line_words(limit.at.start)
            );
            reader.error(Diagnostic::at(at.clone(), message).hint(hint));
        }
    }
}

/// No step sets or keeps a variable that it is given with what it takes. `place`: the step's.
pub(super) fn check_variables(
    reader: &mut Reader<'_>,
    fields: &Fields,
    defaults: &Fields,
    place: Range<usize>,
) {
    let cpus = fields.cpus.or(defaults.cpus);
    let cpus = cpus.map(|_| (Field::Cpus, CPUS));
    let own = fields.gpus.or(defaults.gpus).filter(|gpus| *gpus > 0);
    let own = own.map(|_| GPUS.map(|variable| (Field::Gpus, variable)));
    for (by, variable) in cpus.into_iter().chain(own.into_iter().flatten()) {
        for (field, is_there) in [
            (Field::Env, |of: &Fields, name: &str| {
                of.env.contains_key(name)
            }),
            (Field::Keep, |of: &Fields, name: &str| {
                of.keep.iter().flatten().any(|kept| kept == name)
            }),
        ] as [(Field, fn(&Fields, &str) -> bool); 2]
        {
            let own = fields.place(field).filter(|_| is_there(fields, variable));
            let theirs = || {
                defaults
                    .place(field)
                    .filter(|_| is_there(defaults, variable))
            };
            let Some(at) = own.or_else(theirs) else {
                continue;
            };
            // Of what stands in [defaults], the step is named.
            let message = format!(
                "{} has `{}`, which sets `{variable}`, and `{variable}` in `{}`",
                fields.label,
                by.key(),
                field.key()
            );
            let at = if at.is_empty() { place.clone() } else { at };
            reader.error(Diagnostic::at(at, message).hint("leave the variable out"));
        }
    }
}

/// The first pause is said once.
pub(super) fn check_pauses(reader: &mut Reader<'_>, fields: &Fields) {
    let twice = fields
        .retries
        .is_some_and(|retries| retries.delay.is_some());
    if let Some(place) = fields.place(Field::RetryDelay).filter(|_| twice) {
        let message = format!("{} says twice how long the first pause is", fields.label);
        let error = Diagnostic::at(place, message);
        reader
            .error(error.hint("`delay` of `retries` is the same as `retry_delay`: leave one out"));
    }
}
