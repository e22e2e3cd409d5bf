//! Words, as far as they are known.

/// A part of a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Text(String),
    Variable(String),
    /// What is known only when the script runs.
    Unknown,
}

/// A word of a command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Word {
    /// The byte at which it begins.
    pub at: usize,
    pub pieces: Vec<Piece>,
    pub quoted: bool,
    /// Whether a `*`, `?` or `[` without quotes is in it.
    pub glob: bool,
    /// Whether a `{a,b}` without quotes is in it.
    pub braces: bool,
}

/// What ends a word.
pub(super) fn ends_word(letter: char) -> bool {
    " \t\n;&|<>()".contains(letter)
}

/// Whether the letter can stand in a variable's name.
pub(super) fn is_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

/// The variable's name at the start of `text`; empty if there is none.
pub(super) fn name_at(text: &str) -> &str {
    let end = text.find(|c| !is_name(c)).unwrap_or(text.len());
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return "";
    }
    &text[..end]
}

impl Word {
    pub(super) fn push(&mut self, letter: char) {
        if let Some(Piece::Text(text)) = self.pieces.last_mut() {
            text.push(letter);
        } else {
            self.pieces.push(Piece::Text(letter.into()));
        }
    }

    pub(super) fn push_str(&mut self, text: &str) {
        text.chars().for_each(|letter| self.push(letter));
    }

    /// The whole word, if it is known.
    pub(super) fn text(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [] => Some(""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The name and the value of a word such as `NAME=value`.
    pub(super) fn assignment(&self) -> Option<(&str, Word)> {
        let Some((Piece::Text(first), rest)) = self.pieces.split_first() else {
            return None;
        };
        let name = name_at(first);
        let after = first[name.len()..].trim_start_matches('+');
        let value = after.strip_prefix('=').filter(|_| !name.is_empty())?;
        Some((name, self.behind(value, rest)))
    }

    /// The word that begins at `first`, the rest of its first text.
    pub(super) fn behind(&self, first: &str, rest: &[Piece]) -> Word {
        let mut pieces = Vec::new();
        if !first.is_empty() {
            pieces.push(Piece::Text(first.to_owned()));
        }
        pieces.extend_from_slice(rest);
        Word {
            pieces,
            ..self.clone()
        }
    }

    /// The words between its colons.
    pub(super) fn split(&self) -> Vec<Word> {
        let mut words = vec![Word {
            pieces: Vec::new(),
            ..self.clone()
        }];
        for piece in &self.pieces {
            if let Piece::Text(text) = piece {
                for (at, part) in text.split(':').enumerate() {
                    if at > 0 {
                        words.push(Word {
                            pieces: Vec::new(),
                            ..self.clone()
                        });
                    }
                    if let Some(word) = words.last_mut() {
                        word.push_str(part);
                    }
                }
            } else if let Some(word) = words.last_mut() {
                word.pieces.push(piece.clone());
            }
        }
        words
    }

    /// The path that it is, below the folder where the command is (none: nobody knows where).
    pub(super) fn path(&self, folder: Option<&str>) -> Option<String> {
        let below = |text: &str| {
            let folder = folder?;
            Some(match folder {
                "" => text.to_owned(),
                folder => format!("{folder}/{text}"),
            })
        };
        match self.pieces.as_slice() {
            [Piece::Text(text)] if text.starts_with('/') => Some(text.clone()),
            [Piece::Text(text)] => below(text),
            [Piece::Variable(name), Piece::Text(text)] if name == "PWD" => {
                below(text.strip_prefix('/')?.trim_start_matches('/'))
            }
            _ => None,
        }
    }
}
