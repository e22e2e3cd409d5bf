//! Words for pages: escaped text, numbers with their units.

use std::fmt::Write as _;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::core::text::acts;

/// Escapes a part of a line for HTML and SVG, between tags and in quoted attributes alike.
///
/// Names, scripts and logs come from anywhere: characters that are not allowed in these formats
/// or that reorder what is shown are written out.
pub fn escape(text: &str) -> String {
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

/// At most `columns` columns (at least 3) of a text, its middle left out where it is longer:
/// names often differ at their ends.
pub fn cut(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let room = columns.saturating_sub(1);
    let take = |chars: &mut dyn Iterator<Item = char>, mut room: usize| -> Vec<char> {
        let mut taken = Vec::new();
        for c in chars {
            let width = c.width().unwrap_or(0);
            if width > room {
                break;
            }
            room -= width;
            taken.push(c);
        }
        taken
    };
    let head: String = take(&mut text.chars(), room.div_ceil(2))
        .into_iter()
        .collect();
    let mut tail = take(&mut text.chars().rev(), room / 2);
    tail.reverse();
    let tail: String = tail.into_iter().collect();
    format!("{head}…{tail}")
}

/// At most `most` bytes from the start of a text; whether something was left out.
pub fn head(text: &str, most: usize) -> (&str, bool) {
    if text.len() <= most {
        return (text, false);
    }
    let end = (0..=most).rev().find(|at| text.is_char_boundary(*at));
    (&text[..end.unwrap_or(0)], true)
}

/// `1 234 567`, with narrow spaces that do not break.
pub fn number(number: impl TryInto<i64>) -> String {
    let Ok(number) = number.try_into() else {
        return "very many".to_owned();
    };
    let digits = number.unsigned_abs().to_string();
    let mut out = String::from(if number < 0 { "-" } else { "" });
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

/// `1 task`, `2 tasks`.
pub fn count(of: i64, what: &str) -> String {
    let s = if of == 1 { "" } else { "s" };
    format!("{} {what}{s}", number(of))
}

/// Microseconds in the two largest units that say something.
#[allow(clippy::cast_precision_loss)] // Three digits are shown.
pub fn duration(micros: i64) -> String {
    let micros = micros.max(0);
    let seconds = micros / 1_000_000;
    match micros {
        0..1000 => format!("{micros} µs"),
        1000..9950 => format!("{:.1} ms", micros as f64 / 1e3),
        9950..999_500 => format!("{:.0} ms", micros as f64 / 1e3),
        999_500..59_950_000 => format!("{:.1} s", micros as f64 / 1e6),
        _ if seconds < 3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ if seconds < 86_400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// Bytes in the unit that gives at most three digits before the point.
#[allow(clippy::cast_precision_loss)] // Three digits are shown.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let digits = usize::from(value < 9.95);
    format!("{value:.digits$} {}", UNITS[unit])
}

/// `2026-11-23 10:45:53 UTC`.
pub fn time(millis: i64) -> String {
    jiff::Timestamp::from_millisecond(millis).map_or_else(
        |_| "unknown".to_owned(),
        |time| time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
    )
}

/// A coordinate with one digit behind the point, none if that is 0.
pub fn coordinate(out: &mut String, value: f64) {
    let text = format!("{value:.1}");
    let _ = out.write_str(text.strip_suffix(".0").unwrap_or(&text));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_hostile_passes() {
        assert_eq!(
            escape("</script><img onerror='x' a=\"&\">"),
            "&lt;/script&gt;&lt;img onerror=&#39;x&#39; a=&quot;&amp;&quot;&gt;"
        );
        assert_eq!(
            escape("a\0b\u{1b}[0m\u{202e}c"),
            "a\\u{0}b\\u{1b}[0m\\u{202e}c"
        );
        assert_eq!(escape("größe 日本\n\t"), "größe 日本\\n\\t");
    }

    #[test]
    fn long_names_lose_their_middle() {
        assert_eq!(cut("short", 5), "short");
        assert_eq!(cut("abcdefghij", 7), "abc…hij");
        assert_eq!(cut("日本語日本語", 7), "日…語");
        for columns in 3..20 {
            assert!(cut("a日b本c語d日e本f語g", columns).width() <= columns);
        }
    }

    #[test]
    fn numbers_and_units() {
        assert_eq!(number(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(number(-100), "-100");
        assert_eq!(count(1, "task"), "1 task");
        for (micros, words) in [
            (0, "0 µs"),
            (1500, "1.5 ms"),
            (999_499, "999 ms"),
            (1_500_000, "1.5 s"),
            (61_000_000, "1 min 1 s"),
            (3_660_000_000, "1 h 1 min"),
            (90_000_000_000, "1 d 1 h"),
        ] {
            assert_eq!(duration(micros), words);
        }
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(u64::MAX), "16 EiB");
        assert_eq!(time(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(time(i64::MAX), "unknown");
        assert_eq!(head("aé", 2), ("a", true));
    }
}
