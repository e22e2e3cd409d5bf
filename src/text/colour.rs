//! Colours for words of ours: what they are, and which words have them.
//!
//! Two kinds of words have colours: those with which a line of ours begins (`error:`), as no line
//! that somebody else wrote begins there; and those within a line that were [`marked`]. A mark is a
//! character that stands for nothing in Unicode. It is on the way from who writes a line to who
//! prints it, and what is printed has a colour in its place, or nothing.

use std::borrow::Cow;

/// What a word means to who looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// It went wrong.
    Bad,
    /// It wants to be looked at.
    Warn,
    /// What to do.
    Hint,
    /// It went well.
    Good,
    /// It matters less.
    Dim,
}

/// The words that begin a line.
const LABELS: [(&str, Mark); 6] = [
    ("error:", Mark::Bad),
    ("failed:", Mark::Bad),
    ("warning:", Mark::Warn),
    ("tainted:", Mark::Warn),
    ("flaky:", Mark::Warn),
    ("hint:", Mark::Hint),
];

const MARKS: [(char, Mark); 5] = [
    ('\u{fdd0}', Mark::Bad),
    ('\u{fdd1}', Mark::Warn),
    ('\u{fdd2}', Mark::Hint),
    ('\u{fdd3}', Mark::Good),
    ('\u{fdd4}', Mark::Dim),
];
const END: char = '\u{fdd5}';
/// Ends every colour.
pub(crate) const RESET: &str = "\u{1b}[0m";

impl Mark {
    /// The sequence that begins its colour: of the eight that every terminal has, so that each
    /// user's own choice of them holds.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Bad => "\u{1b}[31m",
            Self::Warn => "\u{1b}[33m",
            Self::Hint => "\u{1b}[36m",
            Self::Good => "\u{1b}[32m",
            Self::Dim => "\u{1b}[2m",
        }
    }

    /// That of a word for how a task, a step or a runset stands.
    pub(crate) fn of(word: &str) -> Option<Self> {
        match word {
            "failed" | "lost" => Some(Self::Bad),
            "tainted" | "flaky" | "slow" => Some(Self::Warn),
            _ => None,
        }
    }
}

/// Whether the character is a mark: nobody else's text has one.
pub(super) fn is_mark(c: char) -> bool {
    matches!(c, '\u{fdd0}'..='\u{fdd5}')
}

/// The words with a mark, for a line that is [printed](crate::out).
pub(crate) fn marked(mark: Mark, words: &str) -> String {
    let begin = MARKS.iter().find(|(_, one)| *one == mark);
    let begin = begin.map_or(END, |(begin, _)| *begin);
    format!("{begin}{words}{END}")
}

/// `2 failed`, marked unless there are none.
pub(crate) fn count_of(count: impl Into<i128>, word: &str) -> String {
    let count = count.into();
    let words = format!("{count} {word}");
    match Mark::of(word).filter(|_| count != 0) {
        Some(mark) => marked(mark, &words),
        None => words,
    }
}

/// A word for how something stands, marked if it is one that is.
pub(crate) fn word(word: &str) -> String {
    Mark::of(word).map_or_else(|| word.to_owned(), |mark| marked(mark, word))
}

/// A word that was marked as a whole, as it is without that.
pub(crate) fn bare(word: &str) -> (Option<Mark>, &str) {
    let mark = MARKS.iter().find_map(|(begin, mark)| {
        let inner = word.strip_prefix(*begin)?.strip_suffix(END)?;
        Some((Some(*mark), inner))
    });
    mark.unwrap_or((None, word))
}

/// The text with colours, or without marks.
pub(crate) fn paint(text: &str, colours: bool) -> Cow<'_, str> {
    if !colours && !text.contains(is_mark) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 64);
    for line in text.split_inclusive('\n') {
        let label = LABELS.iter().find(|(label, _)| line.starts_with(label));
        let rest = match label.filter(|_| colours) {
            Some((label, mark)) => {
                out.push_str(mark.code());
                // Bold as well: they are what one looks for.
                out.push_str("\u{1b}[1m");
                out.push_str(label);
                out.push_str(RESET);
                &line[label.len()..]
            }
            None => line,
        };
        for c in rest.chars() {
            let mark = MARKS.iter().find(|(begin, _)| *begin == c);
            match mark {
                _ if !is_mark(c) => out.push(c),
                _ if !colours => {}
                Some((_, mark)) => out.push_str(mark.code()),
                None => out.push_str(RESET),
            }
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text;

    #[test]
    fn what_begins_a_line_and_what_is_marked_has_a_colour() {
        let text = format!(
            "error: no\nhint: error: b\n  error: c\nrunset r: {}, {}\n",
            count_of(2, "failed"),
            count_of(0, "failed")
        );
        assert_eq!(
            paint(&text, true),
            "\u{1b}[31m\u{1b}[1merror:\u{1b}[0m no\n\
             \u{1b}[36m\u{1b}[1mhint:\u{1b}[0m error: b\n  error: c\n\
             runset r: \u{1b}[31m2 failed\u{1b}[0m, 0 failed\n"
        );
        let plain = "error: no\nhint: error: b\n  error: c\nrunset r: 2 failed, 0 failed\n";
        assert_eq!(paint(&text, false), plain);
        assert!(matches!(paint(plain, false), Cow::Borrowed(_)));
    }

    #[test]
    fn nobody_else_marks() {
        let mark = marked(Mark::Bad, "x");
        assert_eq!(bare(&mark), (Some(Mark::Bad), "x"));
        assert_eq!(text::visible(&mark), "\\u{fdd0}x\\u{fdd5}");
        assert_eq!(text::said(mark.as_bytes()), ["\u{fffd}x\u{fffd}"]);
        // On their way from one of ours they last.
        assert_eq!(text::message(&mark), mark);
        assert_eq!(text::lines(&mark), mark);
    }

    #[test]
    fn a_word_has_one_meaning() {
        for (label, mark) in LABELS {
            let of = Mark::of(label.trim_end_matches(':'));
            assert!(of.is_none_or(|of| of == mark), "{label}");
        }
    }
}
