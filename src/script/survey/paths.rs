//! Paths that words can stand for, as far as the script's own text tells.

use super::mention::pieces;
use super::scan::Scan;
use super::word::{Piece, Word};
use super::{Role, Spot};

/// Texts of one word that are followed.
const MOST: usize = 32;
/// Bytes of a value that is looked at.
const LONGEST: usize = 4096;

/// In place of what is known only when the script runs.
const ANYTHING: &str = "*";

impl Scan<'_> {
    /// Notes a word that could be a path, or a text with such in it.
    pub(super) fn could_be_path(&mut self, word: &Word, role: Role) {
        let texts = self.texts(word);
        for text in &texts {
            if word.quoted && role == Role::Argument {
                self.mentions(word.at, text);
            }
            self.path(word, text, role);
        }
    }

    /// Notes what could be paths in a text of which nobody knows what it is.
    pub(super) fn mentions(&mut self, at: usize, text: &str) {
        for (_, piece) in pieces(text) {
            if piece.len() < text.len() && !piece.contains(ANYTHING) {
                self.note(piece.to_owned(), at, Role::Mentioned, false);
            }
        }
    }

    /// Notes that a variable has, perhaps among others, this value.
    pub(super) fn knows(&mut self, name: &str, value: &Word) {
        let known = self.texts(value);
        if value.glob || known.iter().any(|text| text.contains(ANYTHING)) {
            return;
        }
        let values = self.found.values.entry(name.to_owned()).or_default();
        values.extend(known);
        values.truncate(MOST);
    }

    /// The texts that a word stands for; none if nothing is known of its beginning.
    fn texts(&self, word: &Word) -> Vec<String> {
        let mut texts = vec![String::new()];
        for (at, piece) in word.pieces.iter().enumerate() {
            let choice: &[String] = match piece {
                Piece::Text(text) => std::slice::from_ref(text),
                Piece::Variable(name) => match self.found.values.get(name) {
                    Some(values) if texts.len() * values.len() <= MOST => values,
                    Some(_) | None => &[],
                },
                Piece::Unknown => &[],
            };
            let here = matches!(piece, Piece::Variable(name) if name == "PWD") && at == 0;
            let goes_on =
                matches!(word.pieces.get(1), Some(Piece::Text(text)) if text.starts_with('/'));
            if here && goes_on {
                texts = vec![".".to_owned()];
            } else if choice.is_empty() && at == 0 {
                return Vec::new();
            } else if choice.is_empty() {
                texts.iter_mut().for_each(|text| text.push_str(ANYTHING));
            } else {
                let all = texts.iter();
                texts = all
                    .flat_map(|text| choice.iter().map(move |more| format!("{text}{more}")))
                    .collect();
            }
            // No path is as long, and one that doubles itself would be soon.
            texts.retain(|text| text.len() <= LONGEST);
        }
        if word.braces {
            texts = texts.iter().flat_map(|text| alternatives(text)).collect();
        }
        texts
    }

    fn path(&mut self, word: &Word, text: &str, role: Role) {
        let is_partly_known = word
            .pieces
            .iter()
            .any(|piece| !matches!(piece, Piece::Text(_)))
            && text.contains(ANYTHING);
        if is_partly_known {
            let known = text.trim_start_matches("./").replace(ANYTHING, "");
            if role == Role::Written || known.is_empty() || !text.contains(['/', '.']) {
                return;
            }
        }
        self.note(
            text.to_owned(),
            word.at,
            role,
            word.glob || word.braces || is_partly_known,
        );
    }

    pub(super) fn note(&mut self, text: String, at: usize, role: Role, glob: bool) {
        if text.is_empty() || text.contains(['\n', '\0']) || text.contains("://") {
            return;
        }
        let path = match self.folder.as_deref() {
            _ if text.starts_with('/') => text,
            Some("") => text,
            Some(folder) => format!("{folder}/{text}"),
            None => return,
        };
        self.found.words.push(Spot {
            path,
            at,
            role,
            glob,
        });
    }
}

/// What braces stand for: `{a,b}.txt` is two words, of `{1..9}` any is.
fn alternatives(text: &str) -> Vec<String> {
    let inner = text.find('{').and_then(|open| {
        let close = open + text[open..].find('}')?;
        Some((&text[..open], &text[open + 1..close], &text[close + 1..]))
    });
    let Some((front, inner, back)) = inner else {
        return vec![text.to_owned()];
    };
    let choice: Vec<&str> = if inner.contains(',') {
        inner.split(',').collect()
    } else {
        vec![ANYTHING]
    };
    let backs = alternatives(back);
    let all = choice
        .iter()
        .flat_map(|one| backs.iter().map(move |back| format!("{front}{one}{back}")));
    all.take(MOST).collect()
}
