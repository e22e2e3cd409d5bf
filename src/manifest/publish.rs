//! The table `[publish]`, and the key `publish` of steps: where results stand as files.

use super::value::{FlagOr, Item, Reader};
use crate::manifest::diagnostic::Diagnostic;
use crate::model::publish::{Publish, Template};

/// What its text is where it is one: a path below a folder, with these words in braces.
pub(super) const PATTERN: &str = r"^(?!(true|false|yes|no|on|off)$)(?!/)(?!.*//)(?!.*/$)(?!(.*/)?\.{1,2}(/|$))([^{}\u0000]|\{(key|name|step)\})+$";

/// Reads the folder of results.
pub(super) fn folder(reader: &mut Reader<'_>, what: &str, item: &Item<'_>) -> Option<String> {
    let text = reader.string(what, item)?;
    if text.is_empty() || text.contains('\0') {
        let error = Diagnostic::at(reader.inside(item), format!("{what} names no folder"));
        reader.error(error.hint(
            "name a folder, relative to the manifest's: dir = \"results\"; it is made if missing",
        ));
        return None;
    }
    if text == "~" || text.starts_with("~/") {
        let error = Diagnostic::at(
            reader.inside(item),
            format!("{what}: `~` is no folder here, as no shell reads it"),
        );
        reader.error(error.hint(
            "write the whole path, or one from the manifest's folder on: dir = \"../results\"",
        ));
        return None;
    }
    Some(text)
}

/// Reads what the final outputs of a step are called there.
pub(super) fn read(reader: &mut Reader<'_>, what: &str, item: &Item<'_>) -> Option<Publish> {
    let wanted = "true, false or a path in quotes";
    let hint = "to put them in a folder of their own: publish = \"qc/{name}\"".to_owned();
    let text = match reader.flag_or_text(what, wanted, hint, item)? {
        FlagOr::Flag(true) => return Some(Publish::Named),
        FlagOr::Flag(false) => return Some(Publish::Never),
        FlagOr::Text(text) => text,
    };
    match Template::parse(&text) {
        Ok(template) => Some(Publish::At(template)),
        Err(bad) => {
            let error = Diagnostic::at(reader.inside(item), format!("{what}: {bad}"));
            reader.error(error.hint(bad.hint()));
            None
        }
    }
}
