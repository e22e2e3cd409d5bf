//! What subcommands print.

use std::io::Write as _;

use super::error::Failure;
use crate::out;
use crate::text;

/// Prints what programs read: JSON values, a line or more.
pub(super) fn print_json(text: String) -> Result<(), Failure> {
    print_as_it_is(&text::json(text))
}

/// Prints what is safe by itself, and is no prose: pages, graphs, help.
pub(super) fn print_as_it_is(text: &str) -> Result<(), Failure> {
    let mut out = out::Data::begin();
    out.write_all(text.as_bytes())
        .and_then(|()| out.end())
        .map_err(|error| Failure::output(&error))
}

/// Prints text for people. A reader that has gone away is no failure.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    out::print(text).map_err(|error| Failure::output(&error))
}
