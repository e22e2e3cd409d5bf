//! Errors of TOML itself.

use toml::de::{DeTable, DeValue};

use crate::core::diagnostic::{Diagnostic, quoted};

const DUPLICATE: &str = "duplicate key";

/// The parser's errors with words for those who do not know TOML by heart.
pub(super) fn diagnostics(
    text: &str,
    root: &DeTable<'_>,
    errors: &[toml::de::Error],
) -> Vec<Diagnostic> {
    // A second `[step]` makes each of its keys a duplicate: one error for all of them.
    let single = matches!(
        root.get("step").map(toml::Spanned::get_ref),
        Some(DeValue::Table(_))
    );
    let mut diagnostics: Vec<Diagnostic> = Vec::new();
    let mut step_twice = false;
    for error in errors {
        let span = error.span();
        let word = span
            .clone()
            .and_then(|span| text.get(span))
            .unwrap_or_default();
        let mut message = error.message().to_owned();
        let mut hint = None;
        if message == DUPLICATE {
            if single && step_twice {
                continue;
            }
            step_twice |= word == "step";
            message = format!("{} is defined twice", quoted(word));
            if step_twice {
                hint = Some("each step's table is written [[step]], with two pairs of brackets");
            }
        }
        if message == "string values must be quoted" {
            hint = Some("write it in quotes: \"…\"");
        }
        let diagnostic = Diagnostic {
            message,
            span,
            hint: hint.map(str::to_owned),
        };
        if !diagnostics.contains(&diagnostic) {
            diagnostics.push(diagnostic);
        }
    }
    diagnostics
}
