//! Errors in a source text, and how they are shown.

use std::borrow::Cow;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use crate::text::amount::count;
use crate::text::{lines, visible};

/// One error in a source text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Diagnostic {
    /// What is wrong, in lower case, without a final stop.
    pub message: String,
    /// Where: a range of bytes of the source text; `None` for the text as a whole.
    pub span: Option<Range<usize>>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// An error at `span`.
    pub(crate) fn at(span: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            span: Some(span),
            hint: None,
        }
    }

    /// An error of the text as a whole.
    pub(crate) fn whole(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            span: None,
            hint: None,
        }
    }

    /// The same with what to do about it.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The number of the line at byte `offset` of `text`, from 1.
pub(crate) fn line_of(text: &str, offset: usize) -> usize {
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
/// diagnostics; the text ends with a line end unless there are none. No more than [`SHOWN`] are
/// shown.
pub(crate) fn render(path: &str, text: &str, diagnostics: &[Diagnostic]) -> String {
    render_each("error", diagnostics, |one| (path.into(), text, one.clone()))
}

/// The same of `what`, such as warnings; `place` gives the file of each, its text, and the diagnostic with
/// its place there.
pub(super) fn render_each<'t>(
    what: &str,
    diagnostics: &[Diagnostic],
    place: impl Fn(&Diagnostic) -> (Cow<'t, str>, &'t str, Diagnostic),
) -> String {
    let shown = diagnostics.iter().take(SHOWN);
    let mut blocks: Vec<_> = shown
        .map(|diagnostic| {
            let (path, text, diagnostic) = place(diagnostic);
            block(what, &path, text, &diagnostic)
        })
        .collect();
    let more = diagnostics.len().saturating_sub(SHOWN);
    if more > 0 {
        blocks.push(format!("and {}\n", count(more, &format!("more {what}"))));
    }
    blocks.join("\n")
}

/// Nobody mends more before the next look.
const SHOWN: usize = 100;

fn block(what: &str, path: &str, text: &str, diagnostic: &Diagnostic) -> String {
    let path = visible(path);
    let place = match &diagnostic.span {
        Some(span) => place(&path, text, span),
        None => format!(" --> {path}\n"),
    };
    let hint = match &diagnostic.hint {
        Some(hint) => format!("hint: {}\n", visible(hint)),
        None => String::new(),
    };
    // What a command said has lines.
    let message = lines(&diagnostic.message);
    format!("{what}: {message}\n{place}{hint}")
}

/// The columns that a shown line may take.
const WIDTH: usize = 105;

/// The characters that are marked at most: what is marked is not cut.
const MARKED: usize = 60;

/// File, line and column, then the line where the span begins, with carets below it.
fn place(path: &str, text: &str, span: &Range<usize>) -> String {
    let start = floor(text, span.start);
    let number = line_of(text, start);
    let begin = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let line = text[begin..].lines().next().unwrap_or_default();
    // The mark that some editors put at the start of a file is no character of the line.
    let mark = line.len() - line.trim_start_matches('\u{feff}').len();
    let (start, end) = (start - begin, span.end.saturating_sub(begin));
    let start = floor(line, start).max(mark);
    let marked = &line[start..floor(line, end).max(start)];
    let marked = marked
        .char_indices()
        .nth(MARKED)
        .map_or(marked, |(at, _)| &marked[..at]);
    // As it may be shown: its columns are others than those of the text.
    let before = visible(&line[mark..start]);
    let shown = format!("{before}{}", visible(marked));
    let carets = AnnotationKind::Primary.span(before.len()..shown.len());
    let source = shown + &visible(&line[start + marked.len()..]);
    let snippet = Snippet::source(source)
        .line_start(number)
        .annotation(carets);
    let renderer = Renderer::plain().term_width(WIDTH);
    let shown = renderer.render(&[Group::with_level(Level::ERROR).element(snippet)]);
    let margin = " ".repeat(number.to_string().len());
    let column = line[mark..start].chars().count() + 1;
    format!("{margin}--> {path}:{number}:{column}\n{shown}\n")
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
