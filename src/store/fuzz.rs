//! Whatever lies in the store as a list.

use std::path::PathBuf;

use super::tree::{Listed, Tree};
use crate::model::list::List;
use crate::model::tree;

/// Read line by line it is what it is as a whole; what no folder has is found.
pub(crate) fn list(bytes: &[u8]) {
    let listed = || Listed::of(bytes, "read", PathBuf::from("object"));
    let files = listed().and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let whole = List::read(bytes).filter(|_| has_short_lines(bytes));
    assert_eq!(files.ok(), whole.map(|list| list.files));

    let entries = listed().and_then(|lines| Tree::of(lines).collect::<Result<Vec<_>, _>>());
    let whole = tree::read(bytes).filter(|entries| {
        let names: Vec<&str> = entries.iter().map(|entry| &*entry.name).collect();
        let is_below = |name: &str, of: &str| name.starts_with(&format!("{of}/"));
        names.iter().all(|name| tree::is_inner(name))
            && names.is_sorted_by(|a, b| a < b && !is_below(b, a))
    });
    let whole = whole.filter(|_| has_short_lines(bytes));
    assert_eq!(entries.ok(), whole);
}

/// No line is longer than what is read of one.
fn has_short_lines(bytes: &[u8]) -> bool {
    bytes
        .split(|byte| *byte == b'\n')
        .all(|line| line.len() < 1 << 16)
}
