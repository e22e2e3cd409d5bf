//! Keeps words that nobody is to read out of what somebody will.

/// Bytes that stand for themselves nowhere, each of [`Mask::LEAST`] bytes or more.
#[derive(Clone, Default)]
pub(crate) struct Mask {
    words: Vec<Box<[u8]>>,
    longest: usize,
    /// The bytes that words begin with.
    firsts: Vec<u8>,
}

/// Without the words.
impl std::fmt::Debug for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mask of {} words", self.words.len())
    }
}

/// What stands in their place.
const MASKED: &[u8] = b"***";

impl Mask {
    /// The fewest bytes of a word: fewer would be found wherever something looks like them.
    pub(crate) const LEAST: usize = 8;

    /// Of a text without the ends of its last line, and of each of its lines that is long enough.
    pub(crate) fn add(&mut self, text: &[u8]) {
        let text = without_ends(text);
        let lines = text.split(|byte| *byte == b'\n').map(without_ends);
        for word in [text].into_iter().chain(lines) {
            let is_known = self.words.iter().any(|known| **known == *word);
            if word.len() >= Self::LEAST && !is_known {
                self.words.push(word.into());
                self.longest = self.longest.max(word.len());
                if !self.firsts.contains(&word[0]) {
                    self.firsts.push(word[0]);
                }
            }
        }
    }

    /// The longest word that stands here; or none yet, if more bytes decide.
    fn at(&self, bytes: &[u8], is_end: bool) -> At {
        let mut longest = 0;
        for word in &self.words {
            if bytes.starts_with(word) {
                longest = longest.max(word.len());
            } else if word.starts_with(bytes) {
                if !is_end {
                    return At::Unknown;
                }
                // The beginning of one, of which the end was cut off.
                if bytes.len() >= Self::LEAST {
                    longest = longest.max(bytes.len());
                }
            }
        }
        At::Word(longest)
    }
}

/// What stands somewhere.
enum At {
    /// A word of that length; 0 for none.
    Word(usize),
    /// That depends on what comes.
    Unknown,
}

/// The text less the ends of its last lines.
pub(crate) fn without_ends(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r'));
    &text[..end.map_or(0, |end| end + 1)]
}

/// A stream, on the way through a mask.
#[derive(Debug, Default)]
pub(crate) struct Masked {
    /// What came and was not passed on.
    held: Vec<u8>,
    /// So many of these bytes belong to a word that was found.
    covered: usize,
}

impl Masked {
    /// Takes what came, and passes on what is certain of it.
    pub(crate) fn add(&mut self, mask: &Mask, bytes: &[u8], pass: &mut dyn FnMut(&[u8])) {
        self.held.extend_from_slice(bytes);
        self.go_on(mask, false, pass);
    }

    /// Nothing more comes.
    pub(crate) fn end(&mut self, mask: &Mask, pass: &mut dyn FnMut(&[u8])) {
        self.go_on(mask, true, pass);
    }

    fn go_on(&mut self, mask: &Mask, is_end: bool, pass: &mut dyn FnMut(&[u8])) {
        let mut out = Vec::with_capacity(self.held.len());
        let mut at = 0;
        while at < self.held.len() {
            let rest = &self.held[at..];
            let found = if mask.firsts.contains(&rest[0]) {
                mask.at(&rest[..rest.len().min(mask.longest)], is_end)
            } else {
                At::Word(0)
            };
            let length = match found {
                At::Word(length) => length,
                At::Unknown => break,
            };
            if length > 0 && self.covered == 0 {
                out.extend_from_slice(MASKED);
            }
            // Words may overlap.
            self.covered = self.covered.max(length);
            if self.covered == 0 {
                out.push(rest[0]);
            }
            self.covered = self.covered.saturating_sub(1);
            at += 1;
        }
        self.held.drain(..at);
        if !out.is_empty() {
            pass(&out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(words: &[&str], pieces: &[&[u8]]) -> String {
        let mut mask = Mask::default();
        words.iter().for_each(|word| mask.add(word.as_bytes()));
        let mut all = Vec::new();
        let mut stream = Masked::default();
        for piece in pieces {
            stream.add(&mask, piece, &mut |bytes| all.extend_from_slice(bytes));
            assert!(stream.held.len() <= mask.longest);
        }
        stream.end(&mask, &mut |bytes| all.extend_from_slice(bytes));
        String::from_utf8(all).unwrap()
    }

    #[test]
    fn wherever_it_is_cut() {
        let text = b"a 12345678 b 1234567 c 123456781234567812345678";
        let expected = "a *** b 1234567 c *********";
        for one in 0..=text.len() {
            for other in one..=text.len() {
                let pieces = [&text[..one], &text[one..other], &text[other..]];
                assert_eq!(masked(&["12345678\n"], &pieces), expected);
            }
        }
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(masked(&["12345678\r\n\n"], &bytes), expected);
    }

    #[test]
    fn words_that_overlap() {
        for (words, text, expected) in [
            (&["abcdefgh", "efghijkl"][..], "-abcdefghijkl-", "-***-"),
            (&["aaaaaaaa"], "aaaaaaaaaaaa.", "***."),
            (
                &["abcdefgh", "abcdefghij"],
                "abcdefghi abcdefghij",
                "***i ***",
            ),
            (&["abcdefgh", "xabcdefghy"], "xabcdefghz", "x***z"),
            (&["aaaaaaab"], "aaaaaaaaaaab", "aaaa***"),
        ] {
            let whole = masked(words, &[text.as_bytes()]);
            assert_eq!(whole, expected, "{text}");
            let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
            assert_eq!(masked(words, &bytes), expected, "{text}");
        }
    }

    #[test]
    fn lines_of_a_long_one_are_words_too() {
        let key = "-----BEGIN-----\r\nabcdefghijk\nxy\n-----END-----\n";
        assert_eq!(masked(&[key], &[key.as_bytes()]), "***\n");
        assert_eq!(
            masked(&[key], &[b"key: abcdefghijk, xy, -----END-----"]),
            "key: ***, xy, ***"
        );
    }

    #[test]
    fn the_beginning_of_one_at_the_end() {
        assert_eq!(masked(&["1234567890"], &[b"x 123456789"]), "x ***");
        assert_eq!(masked(&["1234567890"], &[b"x 1234"]), "x 1234");
        let nothing = Mask::default();
        let debug = format!("{nothing:?}");
        assert_eq!(debug, "Mask of 0 words");
    }

    #[test]
    fn what_is_no_text() {
        assert_eq!(without_ends(b"\n\r\n"), b"");
        let mut mask = Mask::default();
        mask.add(b"\0\xff\xfe\x01\x02\x03\x04\x05");
        let mut stream = Masked::default();
        let mut all = Vec::new();
        stream.add(&mask, b"a\0\xff\xfe\x01\x02\x03\x04\x05z", &mut |bytes| {
            all.extend_from_slice(bytes);
        });
        assert_eq!(all, b"a***z");
    }
}
