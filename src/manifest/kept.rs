//! The key `keep` of `[store]`: whose bytes stay.

use toml::de::DeValue;

use super::field::Field;
use super::value::{Item, Reader};
use crate::manifest::diagnostic::Diagnostic;
use crate::text::quoted;

/// Whose bytes stay once a run has ended with success.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum KeptBytes {
    /// Those of all that is recorded.
    #[default]
    All,
    /// Those of final outputs, and of what cannot be made again.
    Finals,
}

/// Reads it.
pub(super) fn read(reader: &mut Reader<'_>, what: &str, item: &Item<'_>) -> Option<KeptBytes> {
    if let DeValue::Array(_) = item.get_ref() {
        let hint = Field::belongs(Field::Keep.key(), item.get_ref());
        let hint = hint.map(|belongs| format!("with names of variables {belongs}"));
        reader.wrong_type(what, "a string", item, hint);
        return None;
    }
    let text = reader.string(what, item)?;
    match text.as_str() {
        "all" => Some(KeptBytes::All),
        "finals" => Some(KeptBytes::Finals),
        other => {
            let message = format!(
                "{what}: {} is neither \"all\" nor \"finals\"",
                quoted(other)
            );
            let error = Diagnostic::at(reader.inside(item), message);
            reader.error(
                error.hint("after each run, \"finals\" drops the bytes of what can be made again"),
            );
            None
        }
    }
}
