//! The tables in a text of others, between two comments.

use std::fs;
use std::path::Path;

use super::failure::{Failure, Fallible, on};

const BEGIN: &str = "<!-- benchmark: begin -->";
const END: &str = "<!-- benchmark: end -->";

/// An error if the file has no place for tables.
pub fn check(path: &Path) -> Fallible<()> {
    replaced(path, "").map(drop)
}

/// The file's text with the tables in it.
pub fn replaced(path: &Path, tables: &str) -> Fallible<String> {
    let text = fs::read_to_string(path).map_err(on("read", path))?;
    between(&text, tables).ok_or_else(|| {
        Failure::new(
            format!("{} has no place for tables", path.display()),
            format!("put these two lines into it: {BEGIN} and {END}"),
        )
    })
}

/// `text` with `tables` in the place for them, if it has one.
fn between(text: &str, tables: &str) -> Option<String> {
    let begin = text.find(BEGIN)? + BEGIN.len();
    let end = begin + text[begin..].find(END)?;
    Some(format!(
        "{}\n\n{}\n\n{}",
        &text[..begin],
        tables.trim(),
        &text[end..]
    ))
}

#[cfg(test)]
mod tests {
    use super::between;

    #[test]
    fn tables_go_between_the_comments_only() {
        let text = "a\n<!-- benchmark: begin -->\nold\n<!-- benchmark: end -->\nb\n";
        let new = between(text, "new\n").unwrap();
        assert_eq!(
            new,
            "a\n<!-- benchmark: begin -->\n\nnew\n\n<!-- benchmark: end -->\nb\n"
        );
        assert_eq!(between(&new, "new").unwrap(), new);
        assert_eq!(between("no place", "new"), None);
    }
}
