//! Typed values out of TOML's, with every error that is found on the way.

#![allow(clippy::wildcard_enum_match_arm)] // TOML's kinds of values are another's.

use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::duration::{self, BadDuration};
use super::syntax::Broken;
use super::texts::Texts;
use crate::manifest::diagnostic::Diagnostic;
use crate::text::quoted;

/// A value with its place in the text.
pub(super) type Item<'i> = Spanned<DeValue<'i>>;

/// Reads values and collects what is wrong with them.
pub(super) struct Reader<'i> {
    text: &'i str,
    texts: &'i Texts,
    /// In front of paths: the folder of the file at hand.
    pub folder: &'i str,
    errors: Vec<Diagnostic>,
    /// What is not there: kept apart, since a file with errors of syntax may hold it where it
    /// cannot be read.
    missing: Vec<Diagnostic>,
}

/// What is true, false or a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FlagOr {
    /// Without quotes.
    Flag(bool),
    /// In quotes.
    Text(String),
}

impl<'i> Reader<'i> {
    pub(super) fn new(texts: &'i Texts) -> Self {
        Self {
            text: texts.all(),
            texts,
            folder: "",
            errors: Vec::new(),
            missing: Vec::new(),
        }
    }

    /// Notes an error.
    pub(super) fn error(&mut self, error: Diagnostic) {
        self.errors.push(error);
    }

    /// Notes that something is not there, or not where it should be.
    pub(super) fn missing(&mut self, error: Diagnostic) {
        self.missing.push(error);
    }

    /// Whether anything was found wrong so far, apart from what is missing.
    pub(super) fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    /// How much was found wrong so far, or missing.
    pub(super) fn count_errors(&self) -> usize {
        self.errors.len() + self.missing.len()
    }

    /// The text as it is written there.
    pub(super) fn raw(&self, span: Range<usize>) -> &'i str {
        self.text.get(span).unwrap_or_default()
    }

    /// Where `offset` is, for a message: `on line 3`.
    pub(super) fn line_words(&self, offset: usize) -> String {
        self.texts.line_words(offset)
    }

    /// All errors in the order of the texts. If there are errors of syntax, those that may only
    /// follow from them are left out: what seems to be missing, and what is on the same lines.
    /// `broken`: of each of the texts.
    pub(super) fn finish(mut self, broken: Vec<Broken>) -> Vec<Diagnostic> {
        if broken.iter().all(|broken| broken.errors.is_empty()) {
            self.errors.append(&mut self.missing);
        }
        for (number, broken) in broken.into_iter().enumerate() {
            if broken.errors.is_empty() {
                continue;
            }
            let texts = self.texts;
            let start = |error: &Diagnostic| error.span.as_ref().map_or(0, |span| span.start);
            let line = |error: &Diagnostic| texts.line(start(error));
            let lines: Vec<_> = broken.errors.iter().map(line).collect();
            self.errors.retain(|error| {
                texts.of(start(error)) != number
                    || start(error) < broken.from && !lines.contains(&line(error))
            });
            self.errors.extend(broken.errors);
        }
        self.errors
            .sort_by_key(|error| error.span.as_ref().map(|span| (span.start, span.end)));
        self.errors
    }

    /// Notes that `what` should be a `wanted` and is not.
    pub(super) fn wrong_type(
        &mut self,
        what: &str,
        wanted: &str,
        item: &Item<'_>,
        hint: Option<String>,
    ) {
        let found = kind(item.get_ref());
        let mut error =
            Diagnostic::at(item.span(), format!("{what} must be {wanted}, not {found}"));
        error.hint = hint;
        self.error(error);
    }

    /// A string without NUL. Line ends in it are `\n`, however the file's are.
    pub(super) fn string(&mut self, what: &str, item: &Item<'_>) -> Option<String> {
        let DeValue::String(value) = item.get_ref() else {
            let hint = match item.get_ref() {
                DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) => {
                    let raw = self.text.get(item.span()).unwrap_or_default();
                    Some(format!("in quotes it is a string: \"{raw}\""))
                }
                _ => None,
            };
            self.wrong_type(what, "a string", item, hint);
            return None;
        };
        if value.contains('\0') {
            let error = Diagnostic::at(self.nul(item), format!("{what} contains a NUL character"));
            self.error(error.hint("no script, variable or argument can contain one"));
            return None;
        }
        let raw = self.text.get(item.span()).unwrap_or_default();
        if raw.contains("\r\n")
            && let Ok(unix) = DeValue::parse(&raw.replace("\r\n", "\n"))
            && let Some(value) = unix.get_ref().as_str()
        {
            return Some(value.to_owned());
        }
        Some(value.clone().into_owned())
    }

    /// The place of the first escape that stands for NUL in a string.
    fn nul(&self, item: &Item<'_>) -> Range<usize> {
        let raw = self.text.get(item.span()).unwrap_or_default();
        ["\\u0000", "\\U00000000", "\\x00"]
            .iter()
            .filter_map(|escape| Some((raw.find(escape)?, escape.len())))
            .min()
            .map_or(item.span(), |(at, length)| {
                let start = item.span().start + at;
                start..start + length
            })
    }

    /// The place of what is between a string's quotes.
    pub(super) fn inside(&self, item: &Item<'_>) -> Range<usize> {
        let span = item.span();
        let raw = self.text.get(span.clone()).unwrap_or_default();
        let quotes = ["\"\"\"", "'''", "\"", "'"];
        let quotes = quotes.into_iter().find(|quotes| raw.starts_with(quotes));
        match quotes {
            // Of one that is not closed all is shown.
            Some(quotes) if raw.len() > 2 * quotes.len() && raw.ends_with(quotes) => {
                span.start + quotes.len()..span.end - quotes.len()
            }
            Some(_) | None => span,
        }
    }

    /// The place of the character at byte `at` of a string's value, or of the whole string where
    /// escapes or line ends make the text differ from the value.
    pub(super) fn within(&self, item: &Item<'_>, at: usize) -> Range<usize> {
        let inside = self.inside(item);
        let raw = self.text.get(inside.clone());
        if raw != item.get_ref().as_str() {
            return inside;
        }
        let c = raw.and_then(|raw| raw.get(at..)?.chars().next());
        let start = inside.start + at;
        start..start + c.map_or(0, char::len_utf8)
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, what: &str, item: &Item<'_>) -> Option<bool> {
        if let DeValue::Boolean(flag) = item.get_ref() {
            return Some(*flag);
        }
        let hint = match item.get_ref() {
            DeValue::String(text) if matches!(text.as_ref(), "true" | "false") => {
                Some(format!("without quotes: {text}"))
            }
            DeValue::String(text) if matches!(text.as_ref(), "yes" | "on" | "1") => {
                Some("write true".to_owned())
            }
            DeValue::String(text) if matches!(text.as_ref(), "no" | "off" | "0") => {
                Some("write false".to_owned())
            }
            _ => None,
        };
        self.wrong_type(what, "true or false", item, hint);
        None
    }

    /// True, false, or a text for which these are the words that say what else it can be. A text that only looks
    /// like one of the former is an error.
    pub(super) fn flag_or_text(
        &mut self,
        what: &str,
        wanted: &str,
        hint: String,
        item: &Item<'_>,
    ) -> Option<FlagOr> {
        match item.get_ref() {
            DeValue::Boolean(flag) => Some(FlagOr::Flag(*flag)),
            DeValue::String(text) => match text.as_ref() {
                "true" | "false" | "yes" | "no" | "on" | "off" => self.flag(what, item).and(None),
                text => Some(FlagOr::Text(text.to_owned())),
            },
            DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => {
                self.wrong_type(what, wanted, item, Some(hint));
                None
            }
        }
    }

    /// A whole number, `least` at least.
    pub(super) fn count(&mut self, what: &str, least: u32, item: &Item<'_>) -> Option<u32> {
        let DeValue::Integer(number) = item.get_ref() else {
            let hint = match item.get_ref() {
                DeValue::String(text) if text.parse::<u32>().is_ok() => {
                    Some(format!("without quotes: {text}"))
                }
                _ => None,
            };
            self.wrong_type(what, "a whole number", item, hint);
            return None;
        };
        let bound = match i128::from_str_radix(number.as_str(), number.radix()) {
            Ok(value) if value < i128::from(least) => format!("at least {least}"),
            Ok(value) => match u32::try_from(value) {
                Ok(value) => return Some(value),
                Err(_) => format!("at most {}", u32::MAX),
            },
            Err(_) if number.as_str().starts_with('-') => format!("at least {least}"),
            Err(_) => format!("at most {}", u32::MAX),
        };
        let error = Diagnostic::at(item.span(), format!("{what} must be {bound}"));
        self.error(error);
        None
    }

    /// A length of time such as `1h30m`; for who writes none at all there is a hint of its own.
    pub(super) fn duration(&mut self, what: &str, none: &str, item: &Item<'_>) -> Option<Duration> {
        let text = match item.get_ref() {
            DeValue::String(text) => text,
            DeValue::Integer(number) if !number.as_str().starts_with('-') => {
                let hint = format!("for seconds: \"{number}s\"");
                self.wrong_type(what, "a length of time in quotes", item, Some(hint));
                return None;
            }
            _ => {
                let hint = "for instance \"90s\", \"10m\", \"1h30m\"".to_owned();
                self.wrong_type(what, "a length of time in quotes", item, Some(hint));
                return None;
            }
        };
        let why = match duration::parse(text) {
            Ok(duration) => return Some(duration),
            Err(why) => why,
        };
        let message = format!("{what}: {} {why}", quoted(text));
        let hint = match why {
            BadDuration::Unit if text.bytes().all(|b| b.is_ascii_digit()) => {
                format!("for seconds: \"{text}s\"")
            }
            BadDuration::Zero => none.to_owned(),
            BadDuration::Unit | BadDuration::Form | BadDuration::Long => {
                format!("{}: \"1h30m\"", duration::FORM)
            }
        };
        self.error(Diagnostic::at(self.inside(item), message).hint(hint));
        None
    }

    /// The items of an array.
    pub(super) fn array<'a, 'd>(
        &mut self,
        what: &str,
        wanted: &str,
        item: &'a Item<'d>,
    ) -> Option<&'a [Item<'d>]> {
        if let DeValue::Array(array) = item.get_ref() {
            return Some(array);
        }
        let hint = match item.get_ref() {
            DeValue::String(_) => self
                .text
                .get(item.span())
                .map(|raw| format!("in brackets it is an array: [{raw}]")),
            _ => None,
        };
        self.wrong_type(what, wanted, item, hint);
        None
    }
}

/// What a value is, in words.
pub(super) fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

/// The items that `read` makes of an array's; `None` if the value is no array.
pub(super) fn list<T>(
    reader: &mut Reader<'_>,
    what: &str,
    item: &Item<'_>,
    mut read: impl FnMut(&mut Reader<'_>, &str, &Item<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    let entry = format!("an entry of {what}");
    let items = reader.array(what, "an array of strings", item)?;
    Some(
        items
            .iter()
            .filter_map(|item| read(reader, &entry, item))
            .collect(),
    )
}
