//! What variables are set to in front of a command, and arrays.

use super::super::Role;
use super::super::word::{Piece, Word, ends_word};
use super::Scan;

/// What stands where a command begins and a name does.
pub(super) enum Begun {
    /// An assignment to it.
    Assigned(String),
    /// A word.
    Word(Word),
}

impl Scan<'_> {
    /// An assignment, if one stands here, or what looks like one up to a `]`.
    pub(super) fn assignment(&mut self) -> Option<Begun> {
        let start = self.at;
        let name = self.name()?.to_owned();
        let is_indexed = self.rest().starts_with('[') && self.keyword().contains(']');
        if is_indexed {
            let mut ignored = Word::default();
            self.brackets(&mut ignored);
        }
        self.eat("+");
        if !self.eat("=") {
            if is_indexed {
                // Whoever read it again from its start would do so once more for each level of brackets in brackets.
                let mut word = self.word();
                word.at = start;
                word.glob = true;
                word.pieces.insert(0, Piece::Unknown);
                return Some(Begun::Word(word));
            }
            self.at = start;
            return None;
        }
        if self.rest().starts_with('(') {
            self.array();
        } else {
            let word = self.word();
            for part in word.split() {
                self.could_be_path(&part, Role::Argument);
            }
            self.knows(&name, &word);
        }
        Some(Begun::Assigned(name))
    }

    /// The words of an array.
    pub(super) fn array(&mut self) {
        self.eat("(");
        loop {
            self.lines();
            match self.peek() {
                None => return,
                Some(')') => {
                    self.next();
                    return;
                }
                Some(letter) if ends_word(letter) => drop(self.next()),
                Some(_) => {
                    let word = self.word();
                    self.could_be_path(&word, Role::Argument);
                }
            }
        }
    }
}
