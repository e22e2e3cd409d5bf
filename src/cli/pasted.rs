//! Command lines that were copied from a page whose typography made other dashes and quotes of them.

use std::ffi::OsString;

use crate::text::visible;

/// What to do about the first of the words that `message` is about and that has dashes or quotes which no keyboard has, but
/// pages on the web.
pub(super) fn hint<'w>(
    words: impl IntoIterator<Item = &'w OsString>,
    message: &str,
) -> Option<String> {
    const QUOTES: &[char] = &['“', '”', '„', '‘', '’', '«', '»'];
    const DASHES: &[char] = &['‐', '‑', '‒', '–', '—', '―', '−'];
    let words = words.into_iter().filter_map(|word| word.to_str());
    for word in words {
        let bare: String = word.chars().filter(|c| !QUOTES.contains(c)).collect();
        let rest = bare.trim_start_matches(DASHES);
        let (quotes, dashes) = (bare != word, rest != bare);
        let rest = rest.trim_start_matches(if dashes { &['-'][..] } else { &[] });
        // Of an option the message may have its name alone, or its value.
        let mut parts = rest.trim_start_matches('-').splitn(2, '=');
        let is_told = parts.any(|part| !part.is_empty() && message.contains(part));
        if !(quotes || dashes) || !is_told {
            continue;
        }
        let what = match (quotes, dashes) {
            (true, true) => "the quotes and the dash",
            (true, false) => "the quotes",
            (false, _) => "the dash",
        };
        let typed = if dashes {
            format!("-{rest}")
        } else {
            bare.clone()
        };
        let are = if quotes { "are those" } else { "is that" };
        return Some(format!(
            "{what} of `{}` {are} of a printed page, as in what is copied from the web: type {}",
            visible(word),
            visible(&typed)
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_dashes_of_a_printed_page_are_told_where_the_error_is_about_them() {
        let hint = |word: &str, message: &str| super::hint(&[OsString::from(word)], message);
        for (word, message, typed) in [
            ("–run", "there is no subcommand `–run`", "type -run"),
            ("—-run", "there is no subcommand `—-run`", "type -run"),
            ("−j4", "there is no subcommand `−j4`", "type -j4"),
            ("“count”", "there is no step `“count”`", "type count"),
            (
                "“-fresh”",
                "there is no subcommand `“-fresh”`",
                "type -fresh",
            ),
            ("-only=‘a’", "there is no step `‘a’`", "type -only=a"),
        ] {
            let hint = hint(word, message).unwrap_or_default();
            assert!(hint.ends_with(typed), "{word}: {hint}");
        }
        assert_eq!(hint("-run", "there is no subcommand `run`"), None);
        assert_eq!(hint("greeting=“hi”", "the disk is full"), None);
        assert_eq!(hint("–", "–"), None);
    }
}
