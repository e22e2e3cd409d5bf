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
    format!("{}…", start(text, room))
}

/// No more than `width` columns (at least 3), its middle left out where it is longer: names often
/// differ at their ends.
pub(crate) fn cut_middle(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let room = width.saturating_sub(1);
    let (head, tail) = (start(text, room.div_ceil(2)), end(text, room / 2));
    format!("{head}…{tail}")
}

/// What of its start there is room for.
fn start(text: &str, mut room: usize) -> &str {
    let mut end = 0;
    while end < text.len() {
        let mut after = text[end..].char_indices().skip(1);
        let next = after.find(|(_, c)| begins(*c));
        let next = next.map_or(text.len(), |(at, _)| end + at);
        match room.checked_sub(text[end..next].width()) {
            Some(rest) => (room, end) = (rest, next),
            None => break,
        }
    }
    &text[..end]
}

/// What of its end there is room for.
fn end(text: &str, mut room: usize) -> &str {
    let mut start = text.len();
    while start > 0 {
        let next = text[..start].rfind(begins).unwrap_or(0);
        match room.checked_sub(text[next..start].width()) {
            Some(rest) => (room, start) = (rest, next),
            None => break,
        }
    }
    &text[start..]
}

/// Whether it is not shown as one with what stands before it: what has no width of its own can make that
/// wider (`1` and U+FE0F are two columns), and means nothing without it.
fn begins(c: char) -> bool {
    c.width() != Some(0)
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
        assert_eq!(cut("1\u{fe0f}2\u{fe0f}3\u{fe0f}", 4), "1\u{fe0f}…");
        assert_eq!(cut("e\u{301}e\u{301}e\u{301}", 2), "e\u{301}…");
    }

    #[test]
    fn long_names_lose_their_middle() {
        assert_eq!(cut_middle("short", 5), "short");
        assert_eq!(cut_middle("abcdefghij", 7), "abc…hij");
        assert_eq!(cut_middle("日本語日本語", 7), "日…語");
        let keys = "1\u{fe0f}2\u{fe0f}3\u{fe0f}4\u{fe0f}";
        assert_eq!(cut_middle(keys, 7), "1\u{fe0f}…4\u{fe0f}");
        assert_eq!(cut_middle("e\u{301}abce\u{301}", 3), "e\u{301}…e\u{301}");
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
