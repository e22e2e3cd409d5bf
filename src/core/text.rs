//! Text from anywhere, made safe to show: the one place that decides what passes.
//!
//! Names of files, scripts, what they write, the words of other programs: whoever wrote them, no
//! character of them may act on the terminal or reorder what is read there.
//!
//! | function | for | what passes as it is |
//! |---|---|---|
//! | [`visible`] | a part of a line: a name, a path, a value | characters that are shown as themselves |
//! | [`lines`] | several lines | line ends and tabs too |
//!
//! What does not pass is written out, as in a Rust string: `\u{1b}`, `\r`, `\n`.

use std::borrow::Cow;

/// Whether the character does something to a terminal or to the text around it: control
/// characters, line separators, marks of direction.
pub fn acts(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
                | '\u{feff}'
                | '\u{fffe}'
                | '\u{ffff}'
        )
}

/// Whether the character cannot be seen, and makes two names look the same.
fn hides(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}')
}

/// Adds the character, written out unless it is shown as itself.
fn push_visible(out: &mut String, c: char) {
    if acts(c) || hides(c) {
        out.extend(c.escape_default());
    } else {
        out.push(c);
    }
}

/// The text on one line, with tabs as spaces and all else that is no plain character written out.
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '\t' {
            out.push_str("    ");
        } else {
            push_visible(&mut out, c);
        }
    }
    out
}

/// `text` between backticks, for a message: one line, cut if it is long; `""` if it is empty.
pub fn quoted(text: &str) -> String {
    const MOST: usize = 60;
    if text.is_empty() {
        return "\"\"".to_owned();
    }
    let mut quoted = String::from("`");
    for c in text.chars().take(MOST) {
        push_visible(&mut quoted, c);
    }
    if text.chars().nth(MOST).is_some() {
        quoted.push('…');
    }
    quoted.push('`');
    quoted
}

/// The text with its lines and tabs, and all else that acts written out.
pub fn lines(text: &str) -> Cow<'_, str> {
    let passes = |c: char| matches!(c, '\n' | '\t') || !acts(c);
    if text.chars().all(passes) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if passes(c) {
            out.push(c);
        } else {
            out.extend(c.escape_default());
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_line_stays_one() {
        assert_eq!(visible("größe 日本"), "größe 日本");
        assert_eq!(visible("a\nb\r\tc"), "a\\nb\\r    c");
        assert_eq!(
            visible("\u{1b}]0;t\u{7}\u{9b}2J\u{7f}"),
            "\\u{1b}]0;t\\u{7}\\u{9b}2J\\u{7f}"
        );
        assert_eq!(
            visible("a\u{202e}b\u{2066}c\u{200b}"),
            "a\\u{202e}b\\u{2066}c\\u{200b}"
        );
    }

    #[test]
    fn lines_stay_lines() {
        assert!(matches!(lines("a\n\tb\u{200d}\n"), Cow::Borrowed(_)));
        assert_eq!(lines("a\rb\u{1b}[2J\n"), "a\\rb\\u{1b}[2J\n");
    }

    #[test]
    fn quoted_is_short() {
        assert_eq!(quoted(""), "\"\"");
        assert_eq!(quoted("a\nb"), "`a\\nb`");
        assert_eq!(quoted(&"x".repeat(61)), format!("`{}…`", "x".repeat(60)));
    }
}
