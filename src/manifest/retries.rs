//! The key `retries` of steps: how often a failed task is tried again, and after which pauses.

use std::time::Duration;

use serde_json::{Value, json};
use toml::de::{DeTable, DeValue};

use super::LENGTH_OF_TIME;
use super::value::{Item, Reader};
use crate::manifest::diagnostic::Diagnostic;
use crate::model::retry::Pauses;
use crate::text::suggest;

/// Further tries, and what is said of the pauses before them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Retries {
    /// How many.
    pub count: u32,
    /// The first pause.
    pub delay: Option<Duration>,
    /// How many times as long each further one is, in thousandths.
    pub backoff: Option<u32>,
    /// Which part of each is left to chance, in thousandths.
    pub jitter: Option<u32>,
    /// The longest.
    pub max: Option<Duration>,
}

impl Retries {
    /// The pauses; `delay` is the first one where there is none in here.
    pub(crate) fn pauses(&self, delay: Duration) -> Pauses {
        let usual = Pauses::from(self.delay.unwrap_or(delay));
        Pauses {
            backoff: self.backoff.unwrap_or(usual.backoff),
            jitter: self.jitter.unwrap_or(usual.jitter),
            most: self.max.unwrap_or(usual.most),
            ..usual
        }
    }
}

const KEYS: [&str; 5] = ["count", "delay", "backoff", "jitter", "max"];

/// Reads a number, or a table of these keys.
pub(super) fn read(reader: &mut Reader<'_>, what: &str, item: &Item<'_>) -> Option<Retries> {
    match item.get_ref() {
        DeValue::Table(all) => table(reader, what, all, item),
        DeValue::Integer(_) => reader.count(what, 0, item).map(|count| Retries {
            count,
            ..Retries::default()
        }),
        DeValue::String(text) if text.parse::<u32>().is_ok() => {
            let hint = format!("without quotes: {text}");
            reader.wrong_type(what, "a whole number or a table", item, Some(hint));
            None
        }
        DeValue::String(_)
        | DeValue::Boolean(_)
        | DeValue::Float(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_) => {
            let hint = "for instance 3, or { count = 3, delay = \"10s\" }".to_owned();
            reader.wrong_type(what, "a whole number or a table", item, Some(hint));
            None
        }
    }
}

fn table(
    reader: &mut Reader<'_>,
    what: &str,
    table: &DeTable<'_>,
    whole: &Item<'_>,
) -> Option<Retries> {
    let before = reader.count_errors();
    let mut all = Retries::default();
    let mut count = None;
    for (key, item) in table {
        let name = key.get_ref().as_ref();
        let own = format!("`{name}` of {what}");
        match name {
            "count" => count = reader.count(&own, 0, item),
            "delay" => all.delay = reader.duration(&own, "for the shortest: \"1ms\"", item),
            "max" => all.max = reader.duration(&own, "for the shortest: \"1ms\"", item),
            "backoff" => all.backoff = number(reader, &own, item, (1.0, 1000.0)),
            "jitter" => all.jitter = number(reader, &own, item, (0.0, 1.0)),
            other => {
                let message = format!("{what} has no key `{other}`");
                let hint = match suggest::closest(other, KEYS) {
                    Some(close) => format!("did you mean `{close}`?"),
                    None => format!("it can have {}", KEYS.join(", ")),
                };
                reader.error(Diagnostic::at(key.span(), message).hint(hint));
            }
        }
    }
    if reader.count_errors() > before {
        return None;
    }
    let Some(count) = count else {
        let message = format!("{what} does not say how many");
        let hint = "add count, for instance { count = 3, delay = \"10s\" }";
        reader.missing(Diagnostic::at(whole.span(), message).hint(hint));
        return None;
    };
    all.count = count;
    if let (Some(delay), Some(max)) = (all.delay, all.max)
        && delay > max
    {
        let message = format!("`delay` of {what} is longer than `max`");
        reader.error(Diagnostic::at(whole.span(), message).hint("no pause is longer than `max`"));
        return None;
    }
    Some(all)
}

/// A number in thousandths.
fn number(
    reader: &mut Reader<'_>,
    what: &str,
    item: &Item<'_>,
    (least, most): (f64, f64),
) -> Option<u32> {
    let text = match item.get_ref() {
        DeValue::Integer(number) => number.as_str(),
        DeValue::Float(number) => number.as_str(),
        DeValue::String(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_)
        | DeValue::Table(_) => {
            reader.wrong_type(what, "a number", item, None);
            return None;
        }
    };
    let value = text.parse::<f64>().unwrap_or(f64::NAN);
    if !(least..=most).contains(&value) {
        let message = format!("{what} must be from {least} to {most}");
        reader.error(Diagnostic::at(item.span(), message));
        return None;
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // It is from 0 to 1 000 000.
    Some((value * 1000.0).round() as u32)
}

/// The schema of the key.
pub(super) fn schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let length =
        |words: &str| json!({ "description": words, "type": "string", "pattern": LENGTH_OF_TIME });
    let number = |words: &str, least: u32, most: u32| json!({ "description": words, "type": "number", "minimum": least, "maximum": most });
    let schema: Value = json!({
        "type": ["integer", "object"],
        "minimum": 0,
        "maximum": u32::MAX,
        "properties": {
            "count": { "description": "How many more tries a failed task gets.", "type": "integer", "minimum": 0, "maximum": u32::MAX },
            "delay": length("The pause before the first of these tries."),
            "backoff": number("How many times longer each further pause is.", 1, 1000),
            "jitter": number("What fraction of each pause is random.", 0, 1),
            "max": length("The longest pause."),
        },
        "required": ["count"],
        "additionalProperties": false,
    });
    schema.try_into().unwrap_or_default()
}
