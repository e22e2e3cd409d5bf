//! The key `checkpoint`: whether tasks keep a folder from try to try.

use super::value::{FlagOr, Item, Reader};
use crate::model::checkpoint::Checkpoint;

/// Reads it.
pub(super) fn read(reader: &mut Reader<'_>, what: &str, item: &Item<'_>) -> Option<Checkpoint> {
    let wanted = "true, false or a length of time in quotes";
    let hint = format!("to save it every ten minutes on other machines: {what} = \"10m\"");
    match reader.flag_or_text(what, wanted, hint, item)? {
        FlagOr::Flag(true) => Some(Checkpoint::Ends),
        FlagOr::Flag(false) => Some(Checkpoint::No),
        FlagOr::Text(_) => {
            let none = "true, without quotes, saves it only at the end of a try";
            reader.duration(what, none, item).map(Checkpoint::Every)
        }
    }
}
