//! Lengths of time as the manifest writes them.

use std::time::Duration;

use crate::text::quoted;

/// Units with their milliseconds, the longest first.
const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// What a length of time looks like.
pub(super) const FORM: &str = "whole numbers with d, h, m, s or ms, the longest unit first";

/// Why a text is no length of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadDuration {
    /// Not of the form `1h30m`.
    #[error("is not a length of time")]
    Form,
    /// A number without a unit.
    #[error("has no unit")]
    Unit,
    /// No time at all.
    #[error("is no time at all")]
    Zero,
    /// More than can be counted.
    #[error("is too long")]
    Long,
}

/// Reads `500ms`, `90s`, `10m`, `1h30m`, `2d`: whole numbers with units, the longest unit first.
pub(super) fn parse(text: &str) -> Result<Duration, BadDuration> {
    let mut rest = text;
    let mut units = UNITS.iter();
    let mut total = 0_u64;
    if rest.is_empty() {
        return Err(BadDuration::Form);
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit());
        let (number, after) = rest.split_at(digits.unwrap_or(rest.len()));
        if number.is_empty() {
            return Err(BadDuration::Form);
        }
        let letters = after.find(|c: char| !c.is_ascii_alphabetic());
        let (unit, after) = after.split_at(letters.unwrap_or(after.len()));
        if unit.is_empty() && after.is_empty() {
            return Err(BadDuration::Unit);
        }
        // The search goes on where the last one ended: each unit once, in order.
        let (_, scale) = units
            .find(|(name, _)| *name == unit)
            .ok_or(BadDuration::Form)?;
        total = number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(*scale))
            .and_then(|part| part.checked_add(total))
            .ok_or(BadDuration::Long)?;
        rest = after;
    }
    match total {
        0 => Err(BadDuration::Zero),
        total => Ok(Duration::from_millis(total)),
    }
}

/// The same where an error is one line.
pub(crate) fn length_of_time(text: &str) -> Result<Duration, String> {
    parse(text).map_err(|why| {
        let what = format!("{} {why}", quoted(text));
        match why {
            BadDuration::Zero => what,
            BadDuration::Unit | BadDuration::Form | BadDuration::Long => {
                format!("{what}: {FORM}, as 90s or 1m30s")
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time() {
        for (text, milliseconds) in [
            ("500ms", 500),
            ("90s", 90_000),
            ("10m", 600_000),
            ("1h30m", 5_400_000),
            ("2d", 172_800_000),
            ("1d1h1m1s1ms", 90_061_001),
            ("0h5s", 5_000),
        ] {
            assert_eq!(
                parse(text),
                Ok(Duration::from_millis(milliseconds)),
                "{text}"
            );
        }
        for (text, error) in [
            ("", BadDuration::Form),
            ("s", BadDuration::Form),
            ("90", BadDuration::Unit),
            ("1h30", BadDuration::Unit),
            ("0s", BadDuration::Zero),
            ("0h0ms", BadDuration::Zero),
            ("30m1h", BadDuration::Form),
            ("1s1s", BadDuration::Form),
            ("1.5h", BadDuration::Form),
            ("-1s", BadDuration::Form),
            ("1 h", BadDuration::Form),
            ("1S", BadDuration::Form),
            ("1min", BadDuration::Form),
            ("٣s", BadDuration::Form),
            ("99999999999999999999s", BadDuration::Long),
            ("18446744073709551615d", BadDuration::Long),
        ] {
            assert_eq!(parse(text), Err(error), "{text}");
        }
    }
}
