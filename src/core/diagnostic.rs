//! Errors in a source text, and how they are shown.

use std::ops::Range;

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::text::visible;

/// One error in a source text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong, in lower case, without a final stop.
    pub message: String,
    /// Where: a range of bytes of the source text; `None` for the text as a whole.
    pub span: Option<Range<usize>>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// An error at `span`.
    pub fn at(span: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            span: Some(span),
            hint: None,
        }
    }

    /// An error of the text as a whole.
    pub fn whole(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            span: None,
            hint: None,
        }
    }

    /// The same with what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The number of the line at byte `offset` of `text`, from 1.
pub fn line_of(text: &str, offset: usize) -> usize {
    text[..floor(text, offset)].matches('\n').count() + 1
}

/// The diagnostics as plain text, for instance:
///
/// ```text
/// error: unknown key `scirpt` in step `fetch`
///  --> workflow.toml:3:1
///   |
/// 3 | scirpt = "true"
///   | ^^^^^^
/// hint: did you mean `script`?
/// ```
///
/// Lines and columns count from 1, columns in characters. An empty line stands between two
/// diagnostics; the text ends with a line end unless there are none.
pub fn render(path: &str, text: &str, diagnostics: &[Diagnostic]) -> String {
    let blocks: Vec<_> = diagnostics
        .iter()
        .map(|diagnostic| block(path, text, diagnostic))
        .collect();
    blocks.join("\n")
}

fn block(path: &str, text: &str, diagnostic: &Diagnostic) -> String {
    let path = visible(path);
    let place = match &diagnostic.span {
        Some(span) => Place::of(text, span).block(&path),
        None => format!(" --> {path}\n"),
    };
    let hint = match &diagnostic.hint {
        Some(hint) => format!("hint: {hint}\n"),
        None => String::new(),
    };
    format!("error: {}\n{place}{hint}", diagnostic.message)
}

/// A span within the line where it begins.
struct Place<'t> {
    number: usize,
    line: &'t str,
    /// Bytes of the line.
    start: usize,
    end: usize,
}

impl<'t> Place<'t> {
    fn of(text: &'t str, span: &Range<usize>) -> Self {
        let at = floor(text, span.start);
        let begin = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let rest = &text[begin..];
        let line = rest.split_once('\n').map_or(rest, |(line, _)| line);
        let line = line.strip_suffix('\r').unwrap_or(line);
        // The mark that some editors put at the start of a file is no character of the line.
        let mark = if begin == 0 && line.starts_with('\u{feff}') {
            '\u{feff}'.len_utf8()
        } else {
            0
        };
        let line = &line[mark..];
        let inside = |offset: usize| floor(line, offset.saturating_sub(begin + mark));
        let start = inside(at);
        Self {
            number: line_of(text, at),
            line,
            start,
            end: inside(span.end).max(start),
        }
    }

    /// File, line and column, then the line with carets below it.
    fn block(&self, path: &str) -> String {
        let number = self.number.to_string();
        let margin = " ".repeat(number.len());
        let column = self.column();
        let (line, carets) = self.shown();
        [
            format!("{margin}--> {path}:{number}:{column}"),
            format!("{margin} |"),
            format!("{number} | {line}").trim_end().to_owned(),
            format!("{margin} | {carets}\n"),
        ]
        .join("\n")
    }

    fn column(&self) -> usize {
        self.line[..self.start].chars().count() + 1
    }

    /// The line, cut around the span if it is long, and the carets to be put under it.
    fn shown(&self) -> (String, String) {
        let before = visible(&self.line[..self.start]);
        let marked = visible(&self.line[self.start..self.end]);
        let after = visible(&self.line[self.end..]);
        let (marked, after) = if marked.width() > WIDTH / 2 {
            (front(&marked, WIDTH / 2), String::new())
        } else {
            let room = WIDTH - marked.width();
            (
                marked,
                front(&after, room.saturating_sub(before.width()).max(room / 3)),
            )
        };
        let before = back(
            &before,
            WIDTH.saturating_sub(marked.width() + after.width()),
        );
        let margin = " ".repeat(before.width());
        let carets = "^".repeat(marked.width().max(1));
        (
            format!("{before}{marked}{after}").trim_end().to_owned(),
            margin + &carets,
        )
    }
}

/// The columns that a shown line may take.
const WIDTH: usize = 100;

/// As much of the front of `text` as fits into `width` columns.
fn front(text: &str, width: usize) -> String {
    cut(text.chars(), text.width(), width)
}

/// As much of the back of `text` as fits into `width` columns.
fn back(text: &str, width: usize) -> String {
    let back = cut(text.chars().rev(), text.width(), width);
    back.chars().rev().collect()
}

fn cut(chars: impl Iterator<Item = char>, full: usize, width: usize) -> String {
    if full <= width {
        return chars.collect();
    }
    let mut out = String::new();
    let mut used = 1;
    for c in chars {
        used += c.width().unwrap_or(0);
        if used > width {
            break;
        }
        out.push(c);
    }
    out.push('…');
    out
}

/// The nearest character boundary at or before `offset`.
fn floor(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

#[cfg(test)]
mod tests;
