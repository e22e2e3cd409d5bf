//! Secrets that steps list.

use std::ops::Range;

use super::field::Field;
use super::read::Fields;
use super::value::Reader;
use crate::manifest::diagnostic::Diagnostic;
use crate::model::secret;
use crate::text::quoted;

/// No step sets or keeps the variable of a secret that it is given. `place`: the step's.
pub(super) fn check(reader: &mut Reader<'_>, fields: &Fields, place: Range<usize>) {
    for name in fields.secrets.iter().flatten() {
        let variable = secret::variable(name);
        let keeps = fields.keep.iter().flatten().any(|kept| *kept == variable);
        for (field, is_there) in [
            (Field::Env, fields.env.contains_key(&variable)),
            (Field::Keep, keeps),
        ] {
            if !is_there {
                continue;
            }
            let message = format!(
                "{} has secret {}, and {} in `{}`",
                fields.label,
                quoted(name),
                quoted(&variable),
                field.key()
            );
            let place = fields.place(field).unwrap_or_else(|| place.clone());
            let error = Diagnostic::at(place, message);
            reader.error(error.hint("leave the variable out: it is the path of the secret"));
        }
    }
}
