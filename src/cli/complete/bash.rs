//! Words as they stand on a line of bash: with quotes, and cut where bash cuts them.
//!
//! Of a word that is begun bash replaces what stands behind the last `=` or `:`, or behind the quote that is open.

/// What a word with quotes stands for. A quote may still be open.
pub(super) fn unquoted(word: &str) -> String {
    let mut plain = String::new();
    let mut open = None;
    let mut characters = word.chars();
    while let Some(character) = characters.next() {
        match (open, character) {
            (None, '\'' | '"') => open = Some(character),
            (Some(quote), _) if character == quote => open = None,
            (None, '\\') => plain.extend(characters.next()),
            (Some('"'), '\\') => match characters.next() {
                Some(next @ ('"' | '\\' | '$' | '`')) => plain.push(next),
                next => plain.extend([Some('\\'), next].into_iter().flatten()),
            },
            _ => plain.push(character),
        }
    }
    plain
}

/// A word that is begun.
#[derive(Debug)]
pub(super) struct Typed {
    /// What stands before what is replaced, without quotes.
    stays: String,
    /// The quote that is open there.
    quote: Option<char>,
}

impl Typed {
    /// `word` as it stands there; `replaced`: its end, as bash has it.
    pub(super) fn new(word: &str, replaced: &str) -> Self {
        let stays = word.strip_suffix(replaced).unwrap_or_default();
        Self {
            stays: unquoted(stays),
            quote: stays
                .chars()
                .last()
                .filter(|last| matches!(last, '\'' | '"')),
        }
    }

    /// What bash is to put in the place of the end so that the word is `whole`; none if it does not begin like
    /// that.
    pub(super) fn insert(&self, whole: &str) -> Option<String> {
        let rest = whole.strip_prefix(&self.stays)?;
        let mut text = String::new();
        for (at, character) in rest.char_indices() {
            match self.quote {
                Some('\'') if character == '\'' => text.push_str("'\\''"),
                Some('\'') => text.push(character),
                Some(_) => {
                    if matches!(character, '"' | '\\' | '$' | '`') {
                        text.push('\\');
                    }
                    text.push(character);
                }
                None => {
                    let plain = !character.is_ascii()
                        || character.is_ascii_alphanumeric()
                        || "_-./:=@%+,^".contains(character)
                        || matches!(character, '~' | '#') && !(at == 0 && self.stays.is_empty());
                    if !plain {
                        text.push('\\');
                    }
                    text.push(character);
                }
            }
        }
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_taken_off() {
        for (word, plain) in [
            ("a", "a"),
            (r"a\ b", "a b"),
            ("'a b", "a b"),
            ("'a\\b'c", r"a\bc"),
            (r#""a\"b\c""#, r#"a"b\c"#),
            ("-db='my db'", "-db=my db"),
            ("a\\", "a"),
            ("", ""),
        ] {
            assert_eq!(unquoted(word), plain, "{word}");
        }
    }

    #[test]
    fn what_is_inserted_stands_for_the_whole() {
        for (word, replaced, whole, inserted) in [
            ("a", "a", "ab", Some("ab")),
            ("", "", "a b", Some(r"a\ b")),
            (r"a\ ", r"a\ ", "a b", Some(r"a\ b")),
            ("'a ", "a ", "a b'c", Some(r"a b'\''c")),
            ("\"a ", "a ", "a $b", Some(r"a \$b")),
            ("-db=d", "d", "-db=data", Some("data")),
            ("-db=", "", "-db=data", Some("data")),
            ("ssh:h", "h", "ssh:host", Some("host")),
            ("'ssh:h", "ssh:h", "ssh:host", Some("ssh:host")),
            ("a@b", "@b", "a@bc", Some("@bc")),
            ("x:y", "y", "z", None),
            ("", "", "#1", Some(r"\#1")),
            ("", "", "a#1", Some("a#1")),
            ("", "", "é(1)", Some(r"é\(1\)")),
        ] {
            let typed = Typed::new(word, replaced);
            assert_eq!(typed.insert(whole).as_deref(), inserted, "{word}");
        }
    }
}
