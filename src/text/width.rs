//! Text in a place of some width, counted in columns of a terminal.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// No more than `width` columns, with `…` at its end if something is missing.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let Some(room) = width.checked_sub(1) else {
        return String::new();
    };
    let mut short = taken(text.chars(), room);
    short.push('…');
    short
}

/// No more than `width` columns (at least 3), its middle left out where it is longer: names often
/// differ at their ends.
pub(crate) fn cut_middle(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let room = width.saturating_sub(1);
    let head = taken(text.chars(), room.div_ceil(2));
    let tail = taken(text.chars().rev(), room / 2);
    let tail: String = tail.chars().rev().collect();
    format!("{head}…{tail}")
}

/// The characters that there is room for.
fn taken(chars: impl Iterator<Item = char>, mut room: usize) -> String {
    let fits = |c: &char| {
        let rest = room.checked_sub(c.width().unwrap_or(0));
        room = rest.unwrap_or(0);
        rest.is_some()
    };
    chars.take_while(fits).collect()
}

/// Filled up to `width` columns.
pub(crate) fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

/// At most `most` bytes from the start of a text; whether something was left out.
pub(crate) fn head(text: &str, most: usize) -> (&str, bool) {
    if text.len() <= most {
        return (text, false);
    }
    let end = (0..=most).rev().find(|at| text.is_char_boundary(*at));
    (&text[..end.unwrap_or(0)], true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_loses_its_end() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "ab…");
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(cut("abc", 0), "");
    }

    #[test]
    fn long_names_lose_their_middle() {
        assert_eq!(cut_middle("short", 5), "short");
        assert_eq!(cut_middle("abcdefghij", 7), "abc…hij");
        assert_eq!(cut_middle("日本語日本語", 7), "日…語");
        for columns in 3..20 {
            assert!(cut_middle("a日b本c語d日e本f語g", columns).width() <= columns);
        }
    }

    #[test]
    fn short_text_is_filled_up() {
        assert_eq!(pad("日", 4), "日  ");
        assert_eq!(pad("abc", 2), "abc");
        assert_eq!(head("aé", 2), ("a", true));
    }
}
