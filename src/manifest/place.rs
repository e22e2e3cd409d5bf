//! Where things are in the text of a manifest.

use std::ops::Range;

/// Where a step is in the text, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StepPlaces {
    /// Its name.
    pub step: Range<usize>,
    /// Its script, with the quotes.
    pub script: Range<usize>,
    /// Its shell, or that of `[defaults]`.
    pub shell: Option<Range<usize>>,
    /// Its variables, or those of `[defaults]`.
    pub env: Option<Range<usize>>,
    /// Its packages, or those of `[defaults]`.
    pub packages: Option<Range<usize>>,
    /// Whether it has a sandbox, by itself or by `[defaults]`.
    pub sandbox: Option<Range<usize>>,
}

impl StepPlaces {
    /// The place in `text`, the manifest's, of what is at `at` of the script.
    pub(crate) fn in_script(&self, text: &str, at: Range<usize>) -> Range<usize> {
        let raw = text.get(self.script.clone()).unwrap_or_default();
        let begin = self.script.start;
        begin + raw_offset(raw, at.start)..begin + raw_offset(raw, at.end)
    }
}

/// The byte of `raw`, a string of TOML as it is written, at which that byte of its value is written.
/// Ends of lines are one byte of the value, however they are written.
fn raw_offset(raw: &str, value: usize) -> usize {
    let quotes = if raw.starts_with("\"\"\"") || raw.starts_with("'''") {
        3
    } else {
        1
    };
    let mut at = quotes.min(raw.len());
    if quotes == 3 {
        let rest = &raw[at..];
        at += if rest.starts_with("\r\n") {
            2
        } else {
            usize::from(rest.starts_with('\n'))
        };
    }
    let has_escapes = raw.starts_with('"');
    let mut seen = 0;
    while seen < value && at < raw.len() {
        let rest = &raw[at..];
        let (written, meant) = if rest.starts_with("\r\n") {
            (2, 1)
        } else if has_escapes && rest.starts_with('\\') {
            escape(rest)
        } else {
            let letter = rest.chars().next().map_or(1, char::len_utf8);
            (letter, letter)
        };
        at += written;
        seen += meant;
    }
    // What stands there may be the end of a line that is joined with the next.
    if has_escapes && raw[at..].starts_with('\\') {
        let (written, meant) = escape(&raw[at..]);
        if meant == 0 {
            at += written;
        }
    }
    at
}

/// Bytes of an escape, and those of what it means.
fn escape(rest: &str) -> (usize, usize) {
    let digits = match rest[1..].chars().next() {
        Some('x') => 2,
        Some('u') => 4,
        Some('U') => 8,
        Some(letter) if letter.is_whitespace() => {
            let blanks = rest[1..].len() - rest[1..].trim_start().len();
            return (1 + blanks, 0);
        }
        Some(letter) => return (1 + letter.len_utf8(), 1),
        None => return (1, 1),
    };
    let letter = rest
        .get(2..2 + digits)
        .and_then(|digits| u32::from_str_radix(digits, 16).ok())
        .and_then(char::from_u32);
    (2 + digits, letter.map_or(1, char::len_utf8))
}

#[cfg(test)]
mod tests {
    use toml::de::DeValue;

    use super::raw_offset;

    #[test]
    fn what_is_said_of_a_value_is_found_in_the_text() {
        for raw in [
            "'a X b'",
            "\"a X b\"",
            "'''\nä\nb X\n'''",
            "'''\r\na\r\nb X'''",
            "\"\"\"\na \\\n   X\"\"\"",
            "\"\\t\\\"\\u00e9\\U0001F600ö\\\\ X\"",
            "\"\"\"a\\nb\r\n\\\r\n  cX\"\"\"",
        ] {
            let unix = raw.replace("\r\n", "\n");
            let value = DeValue::parse(&unix).unwrap();
            let value = value.get_ref().as_str().unwrap();
            let found = raw_offset(raw, value.find('X').unwrap());
            assert_eq!(raw[found..].chars().next(), Some('X'), "{raw:?}");
            assert!(raw_offset(raw, value.len() + 100) <= raw.len());
        }
    }
}
