//! The key `cache`: how long a success is used again.

use std::time::Duration;

use super::value::{FlagOr, Item, Reader, list};
use crate::manifest::diagnostic::Diagnostic;
use crate::model::shared::Address;
use crate::text::quoted;

/// Whether a success is used again for the same input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cache {
    /// For ever.
    Always,
    /// Never.
    Never,
    /// As long as its execution ended no longer ago than this when a run begins.
    Within(Duration),
    /// In its runset.
    Runset,
}

/// What its text is where it is one: a length of time, or this word.
pub(super) const PATTERN: &str =
    "^runset$|^(?=.*[1-9])(?!$)([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$";

const RUNSET: &str = "runset";

/// Reads the addresses of `[cache]`.
pub(super) fn urls(reader: &mut Reader<'_>, what: &str, item: &Item<'_>) -> Option<Vec<Address>> {
    let mut all: Vec<Address> = Vec::new();
    list(reader, what, item, |reader, what, item| {
        let text = reader.string(what, item)?;
        match text.parse::<Address>() {
            Ok(address) => all.push(address),
            Err(bad) => {
                let error = Diagnostic::at(reader.inside(item), bad.to_string());
                reader.error(error.hint(bad.hint));
            }
        }
        Some(())
    })?;
    Some(all)
}

/// Reads it.
pub(super) fn read(reader: &mut Reader<'_>, what: &str, item: &Item<'_>) -> Option<Cache> {
    let wanted = "true, false, \"runset\" or a length of time in quotes";
    let hint = format!("to reuse only results of the last twelve hours: {what} = \"12h\"");
    let text = match reader.flag_or_text(what, wanted, hint, item)? {
        FlagOr::Flag(true) => return Some(Cache::Always),
        FlagOr::Flag(false) => return Some(Cache::Never),
        FlagOr::Text(text) => text,
    };
    match text.as_str() {
        RUNSET => Some(Cache::Runset),
        text if text.starts_with(|c: char| c.is_ascii_digit()) => {
            let none = "to reuse no results: false, without quotes";
            reader.duration(what, none, item).map(Cache::Within)
        }
        text => {
            let message = format!(
                "{what}: {} is neither \"{RUNSET}\" nor a length of time",
                quoted(text)
            );
            let error = Diagnostic::at(reader.inside(item), message);
            reader
                .error(error.hint(
                    "for instance \"12h\", \"7d\", \"runset\"; true and false are written without quotes",
                ));
            None
        }
    }
}
