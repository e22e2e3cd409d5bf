//! Errors of TOML itself, in words for those who do not know it by heart.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use crate::manifest::diagnostic::{Diagnostic, line_of};
use crate::text::quoted;

/// What is wrong with the text as TOML.
pub(super) struct Broken {
    /// The parser's errors, without those that only follow from an earlier one.
    pub errors: Vec<Diagnostic>,
    /// The place in the text from which on nothing that was read can be relied on.
    pub from: usize,
}

impl Broken {
    /// The same of a text that begins there in a larger one.
    pub(super) fn moved(mut self, by: usize) -> Self {
        self.from = self.from.saturating_add(by);
        for error in &mut self.errors {
            error.span = error.span.take().map(|span| span.start + by..span.end + by);
        }
        self
    }

    /// Goes through the `errors` that the parser found besides `root`.
    pub(super) fn new(text: &str, root: &DeTable<'_>, errors: &[toml::de::Error]) -> Self {
        let mut errors: Vec<_> = errors
            .iter()
            .map(|error| (error.span().unwrap_or_default(), error.message()))
            .collect();
        errors.sort_by_key(|(span, _)| span.start);
        let open = errors.iter().any(|(_, message)| {
            message.starts_with("unclosed array,") || message.starts_with("unclosed inline table")
        });
        let single = matches!(
            root.get("step").map(toml::Spanned::get_ref),
            Some(DeValue::Table(_))
        );
        let mut broken = Self {
            errors: Vec::new(),
            from: usize::MAX,
        };
        let mut last = 0;
        let mut twice = false;
        for (span, message) in errors {
            let line = line_of(text, span.start);
            let duplicate = message == "duplicate key";
            // A second `[step]` makes each of its keys a duplicate.
            if line == last || duplicate && single && twice {
                continue;
            }
            last = line;
            twice |= duplicate && text.get(span.clone()) == Some("step");
            let start = span.start;
            let error = reworded(text, message, span);
            // What follows is read as part of what was not closed.
            if open && message.starts_with("missing comma") {
                let hint = "or is the closing bracket before this missing?";
                broken.errors.push(error.hint(hint));
                broken.from = start;
                break;
            }
            broken.errors.push(error);
        }
        if !root.values().any(|item| is_table(item.get_ref())) {
            broken.foreign();
        }
        broken
    }

    /// Nothing in the text is like a manifest: one error says so.
    fn foreign(&mut self) {
        self.errors.truncate(1);
        for error in &mut self.errors {
            self.from = 0;
            let hint = "a manifest is a TOML file: [[step]] tables with name, start and script";
            error.hint = Some(hint.to_owned());
        }
    }
}

fn reworded(text: &str, message: &str, span: Range<usize>) -> Diagnostic {
    let word = text.get(span.clone()).unwrap_or_default().trim();
    let (what, _) = message.split_once(", expected").unwrap_or((message, ""));
    match what {
        "duplicate key" => {
            let error = Diagnostic::at(span, format!("{} is defined twice", quoted(word)));
            if word == "step" {
                error.hint("each step's table is written [[step]], with two pairs of brackets")
            } else {
                error
            }
        }
        "string values must be quoted" if word.is_empty() => {
            Diagnostic::at(span, "a value is missing after `=`")
        }
        "string values must be quoted" if word == "|" => {
            Diagnostic::at(span, what).hint("write a script of several lines between ''' and '''")
        }
        "string values must be quoted" => {
            Diagnostic::at(span, what).hint(format!("write \"{}\"", word.escape_debug()))
        }
        "invalid multi-line basic string" if word.is_empty() => unclosed(text, "\"\"\"", span),
        "invalid multi-line literal string" if word.is_empty() => unclosed(text, "'''", span),
        "invalid basic string" | "invalid literal string" if word.is_empty() => {
            Diagnostic::at(span, "a string is not closed on its line")
                .hint("write a string of several lines between ''' and '''")
        }
        "missing escaped value" => Diagnostic::at(span, "unknown escape in a string")
            .hint("between ''' and ''' a backslash stands for itself"),
        "invalid unquoted key" if word == ":" => {
            Diagnostic::at(span, "`:` cannot be part of a key")
                .hint("write = between a key and its value")
        }
        _ => Diagnostic::at(span, message),
    }
}

/// A string of several lines that does not end: it began with the last such quotes of the text,
/// since later ones would have ended it.
fn unclosed(text: &str, quotes: &str, end: Range<usize>) -> Diagnostic {
    let span = text.rfind(quotes).map_or(end, |at| at..at + quotes.len());
    Diagnostic::at(span, "a string is not closed").hint(format!("it ends with {quotes}"))
}

/// Whether a value is a table, or tables one after another.
pub(super) fn is_table(value: &DeValue<'_>) -> bool {
    match value {
        DeValue::Table(_) => true,
        DeValue::Array(items) => items.iter().any(|item| item.get_ref().is_table()),
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => false,
    }
}
