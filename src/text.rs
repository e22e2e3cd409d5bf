//! Text from anywhere, made safe to show: the one place that decides what passes.
//!
//! Names of files, scripts, what they write, the words of other programs: whoever wrote them, no
//! character of them may act on the terminal or reorder what is read there.
//!
//! | function | for | what passes as it is |
//! |---|---|---|
//! | [`visible`] | a part of a line: a name, a path, a value | characters that are shown as themselves |
//! | [`lines`] | several lines | line ends and tabs too |
//! | [`message`] | several lines, some of a script | colours too, to the end of the line |
//! | [`said`] | what a script wrote, line by line | colours too, to the end of the line |
//! | [`Screen`] | a log on a terminal, as it comes | line ends, tabs, colours |
//! | [`plain`] | a log where nobody knows colours | characters, without what is for terminals |
//! | [`json`] | JSON | the same text, in other words |
//! | [`html`] | HTML and SVG | characters that are shown as themselves |
//!
//! What does not pass is written out, as in a Rust string: `\u{1b}`, `\r`, `\n`.

pub(crate) mod amount;
pub(crate) mod colour;
pub(crate) mod command;
pub(crate) mod diff;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz;
pub(crate) mod mask;
mod screen;
pub(crate) mod suggest;
pub(crate) mod time;
pub(crate) mod typed;
pub(crate) mod width;

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::path::Path;

pub(crate) use screen::{Colours, Screen};

/// Whether the character does something to a terminal or to the text around it: control
/// characters, line separators, marks of direction.
pub(crate) fn acts(c: char) -> bool {
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

/// Whether the character cannot be seen, and makes two names look the same; or is one that we [mark](colour) words with.
fn hides(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}') || colour::is_mark(c)
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
pub(crate) fn visible(text: &str) -> String {
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

/// What a hint begins with.
const HINT: &str = "\nhint: ";

/// The same for a message of ours with hints behind it: each hint has a line of its own.
pub(crate) fn with_hints(text: &str) -> String {
    text.split(HINT).map(visible).collect::<Vec<_>>().join(HINT)
}

/// Lines of others as one, for [a message of ours](with_hints), hints as they are.
pub(crate) fn joined(text: &str) -> String {
    let parts = text.split(HINT).map(|part| part.replace('\n', "; "));
    parts.collect::<Vec<_>>().join(HINT)
}

/// `text` between backticks, for a message: one line, cut if it is long; `""` if it is empty.
pub(crate) fn quoted(text: &str) -> String {
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
pub(crate) fn lines(text: &str) -> Cow<'_, str> {
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

/// The lines of what a script wrote, for a message: nothing acts but colours, and those end with
/// their line.
pub(crate) fn said(text: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut returned = false;
    // Of a line that was written over, each state is told.
    for line in text.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
        let line_end = std::mem::replace(&mut returned, line.ends_with(b"\r")) && line == b"\n";
        if line_end || line == b"\r" {
            continue;
        }
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line = message(&String::from_utf8_lossy(line));
        lines.push(line.replace(colour::is_mark, "\u{fffd}"));
    }
    lines
}

/// A message of several lines, some of which quote what a script [`said`]: colours pass, to the
/// end of their line.
pub(crate) fn message(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut screen = Screen::new(Colours::Line);
    screen.add(text.as_bytes(), &mut out);
    screen.end(&mut out);
    out
}

/// JSON text with what acts, on a CI too, as escapes: the same to whoever reads JSON.
pub(crate) fn json(text: String) -> String {
    // Line ends stand between values: within texts they are escapes already.
    if !text.contains("##") && !text.chars().any(|c| c != '\n' && acts(c)) {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if acts(c) && c != '\n' || c == '[' && command::opens(&out) {
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// Escapes a part of a line for HTML and SVG, between tags and in quoted attributes alike.
/// Characters that are not allowed in these formats or that reorder what is shown are written out.
pub(crate) fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if acts(c) => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}

/// A log without what only a terminal understands: colours, titles, overwritten lines.
pub(crate) fn plain(log: &str) -> String {
    let mut out = String::with_capacity(log.len());
    let mut chars = log.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('\u{1b}', Some('[')) => {
                chars.next();
                while chars
                    .next_if(|c| !('@'..='~').contains(c) && !c.is_control())
                    .is_some()
                {}
                chars.next_if(|c| ('@'..='~').contains(c));
            }
            ('\u{1b}', Some(']')) => {
                while chars
                    .next_if(|c| *c != '\u{7}' && *c != '\u{1b}' && *c != '\n')
                    .is_some()
                {}
                if chars.next_if_eq(&'\u{1b}').is_some() {
                    chars.next_if_eq(&'\\');
                } else {
                    chars.next_if_eq(&'\u{7}');
                }
            }
            ('\u{1b}', Some('(' | ')')) => {
                chars.next();
                chars.next();
            }
            ('\r', Some('\n')) => {}
            ('\r', _) => out.push('\n'),
            _ => out.push(c),
        }
    }
    out
}

/// What has a form for messages.
pub(crate) trait Shown {
    /// As a part of a line.
    fn shown(&self) -> impl fmt::Display;
}

impl Shown for Path {
    fn shown(&self) -> impl fmt::Display {
        visible(&self.to_string_lossy())
    }
}

impl Shown for str {
    fn shown(&self) -> impl fmt::Display {
        visible(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_has_a_line_of_its_own_and_nothing_else_has() {
        assert_eq!(with_hints("a\nb\nhint: c\r"), "a\\nb\nhint: c\\r");
        assert_eq!(with_hints("hint: a"), "hint: a");
        assert_eq!(joined("a\nb\nhint: c\nd"), "a; b\nhint: c; d");
    }

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
    fn what_was_said_is_told_line_by_line() {
        assert_eq!(said(b"a\n\nb\r\nc "), ["a", "", "b", "c "]);
        assert_eq!(said(b"\r10%\r20%\r\n\r\n"), ["10%", "20%"]);
        assert_eq!(
            said(b"\x1b[31mred\nplain\x1b[2J\xff"),
            ["\u{1b}[31mred\u{1b}[0m", "plain\\u{1b}[2J\u{fffd}"]
        );
    }

    #[test]
    fn json_says_the_same() {
        let text = "a\u{9b}2J\u{7f}\u{202e}\u{1b}\n ##[error]##\u{200b}[x] [1]";
        let plain = serde_json::to_string_pretty(&[text]).unwrap();
        let safe = json(plain.clone());
        assert_eq!(json(safe.clone()), safe);
        assert_eq!(
            safe,
            "[\n  \"a\\u009b2J\\u007f\\u202e\\u001b\\n ##\\u005berror]##\u{200b}\\u005bx] [1]\"\n]"
        );
        assert_eq!(serde_json::from_str::<[String; 1]>(&safe).unwrap(), [text]);
        assert_eq!(json("[\n 1]".to_owned()), "[\n 1]");
    }

    #[test]
    fn logs_lose_what_is_for_terminals() {
        assert_eq!(plain("\u{1b}[1;31mred\u{1b}[0m\r\nb"), "red\nb");
        assert_eq!(plain("\u{1b}]0;title\u{7}x\u{1b}]8;;u\u{1b}\\y"), "xy");
        assert_eq!(plain("10%\r20%\u{1b}[K\n"), "10%\n20%\n");
        assert_eq!(plain("\u{1b}[31"), "");
    }

    #[test]
    fn quoted_is_short() {
        assert_eq!(quoted(""), "\"\"");
        assert_eq!(quoted("a\nb"), "`a\\nb`");
        assert_eq!(quoted(&"x".repeat(61)), format!("`{}…`", "x".repeat(60)));
    }

    #[test]
    fn nothing_hostile_passes_into_a_page() {
        assert_eq!(
            html("</script><img onerror='x' a=\"&\">"),
            "&lt;/script&gt;&lt;img onerror=&#39;x&#39; a=&quot;&amp;&quot;&gt;"
        );
        assert_eq!(
            html("a\0b\u{1b}[0m\u{202e}c"),
            "a\\u{0}b\\u{1b}[0m\\u{202e}c"
        );
        assert_eq!(html("größe 日本\n\t"), "größe 日本\\n\\t");
    }
}
