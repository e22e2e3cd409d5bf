//! Words, and what is put in their place when they are expanded.

use super::Role;
use super::scan::Scan;
use super::word::{Piece, Word, ends_word, is_name};

impl Scan<'_> {
    pub(super) fn word(&mut self) -> Word {
        let mut word = Word {
            at: self.at,
            ..Word::default()
        };
        while let Some(letter) = self.peek().filter(|&letter| !ends_word(letter)) {
            self.next();
            match letter {
                '\\' => match self.next() {
                    None | Some('\n') => {}
                    Some(letter) => {
                        word.quoted = true;
                        word.push(letter);
                    }
                },
                '\'' => self.verbatim(&mut word),
                '"' => self.quoted(&mut word),
                '$' if self.eat("'") => {
                    // Escapes in it are not undone.
                    word.pieces.push(Piece::Unknown);
                    self.verbatim(&mut Word::default());
                }
                '$' if self.eat("\"") => self.quoted(&mut word),
                '$' => self.expansion(&mut word),
                '`' => self.backquotes(&mut word),
                '~' if word.pieces.is_empty() => word.pieces.push(Piece::Unknown),
                '{' if self.is_brace_expansion() => {
                    word.braces = true;
                    word.push('{');
                }
                letter => {
                    word.glob |= matches!(letter, '*' | '?' | '[');
                    word.push(letter);
                }
            }
        }
        word
    }

    /// What stands in single quotes, up to the end if there is no other.
    fn verbatim(&mut self, word: &mut Word) {
        let rest = self.rest();
        let end = rest.find('\'').unwrap_or(rest.len());
        word.quoted = true;
        word.push_str(&rest[..end]);
        self.at += end;
        self.eat("'");
    }

    fn quoted(&mut self, word: &mut Word) {
        word.quoted = true;
        while let Some(letter) = self.next() {
            if letter == '"' {
                return;
            }
            self.within_quotes(letter, word);
        }
    }

    /// Whether what stands behind a `{` makes it several words.
    fn is_brace_expansion(&self) -> bool {
        let inner = self.rest().split(|c| c == '}' || ends_word(c)).next();
        inner.is_some_and(|inner| inner.contains(',') || inner.contains(".."))
    }

    /// What a letter within double quotes, or of a here-document, begins.
    pub(super) fn within_quotes(&mut self, letter: char, word: &mut Word) {
        match letter {
            '\\' => match self.peek() {
                Some('\n') => drop(self.next()),
                Some(letter @ ('$' | '`' | '"' | '\\')) => {
                    self.next();
                    word.push(letter);
                }
                _ => word.push('\\'),
            },
            '$' => self.expansion(word),
            '`' => self.backquotes(word),
            letter => word.push(letter),
        }
    }

    fn backquotes(&mut self, word: &mut Word) {
        if self.eat("pwd`") {
            word.pieces.push(Piece::Variable("PWD".to_owned()));
            return;
        }
        word.pieces.push(Piece::Unknown);
        let mut escaped = false;
        let end = self.rest().find(|c| {
            let is_end = c == '`' && !escaped;
            escaped = c == '\\' && !escaped;
            is_end
        });
        let end = self.at + end.unwrap_or(self.rest().len());
        self.nested(|scan| scan.within(end, Self::all));
        self.at = end;
        self.eat("`");
    }

    /// What stands behind a `$`.
    fn expansion(&mut self, word: &mut Word) {
        if self.deeper() {
            self.expand(word);
            self.shallower();
        }
    }

    fn expand(&mut self, word: &mut Word) {
        let at = self.at - 1;
        if self.rest().starts_with("((") && self.is_arithmetic() {
            self.eat("((");
            word.pieces.push(Piece::Unknown);
            self.arithmetic();
        } else if self.eat("(pwd)") {
            word.pieces.push(Piece::Variable("PWD".to_owned()));
        } else if self.eat("(") {
            word.pieces.push(Piece::Unknown);
            self.nested(Self::commands);
        } else if self.eat("{") {
            self.braces(word, at);
        } else if let Some(name) = self.name() {
            self.reads(name, at);
            word.pieces.push(Piece::Variable(name.to_owned()));
        } else if self.peek().is_some_and(is_special) {
            self.next();
            word.pieces.push(Piece::Unknown);
        } else {
            word.push('$');
        }
    }

    /// Whether the `((` that stands here is closed by `))`; else it is a subshell in another.
    pub(super) fn is_arithmetic(&self) -> bool {
        let mut depth = 0;
        for (at, letter) in self.rest().char_indices() {
            match letter {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            if depth == 1 && letter == ')' {
                return self.rest()[at + 1..].starts_with(')');
            }
        }
        true
    }

    /// What stands behind `((`, up to its end.
    pub(super) fn arithmetic(&mut self) {
        let mut depth = 0;
        let mut ignored = Word::default();
        while let Some(letter) = self.peek() {
            let at = self.at;
            if let Some(name) = self.name() {
                self.operand(name, at);
                continue;
            }
            self.next();
            match letter {
                '$' => self.expansion(&mut ignored),
                '`' => self.backquotes(&mut ignored),
                '(' => depth += 1,
                ')' if depth > 0 => depth -= 1,
                ')' => {
                    self.eat(")");
                    return;
                }
                // Numbers, with their bases.
                letter if letter.is_ascii_digit() => {
                    let rest = self.rest();
                    self.at += rest.find(|c| !is_name(c) && c != '#').unwrap_or(rest.len());
                }
                _ => {}
            }
        }
    }

    /// A name in a computation.
    fn operand(&mut self, name: &str, at: usize) {
        let after = self.rest().trim_start();
        if after.starts_with('=') && !after.starts_with("==") {
            self.found.set.insert(name.to_owned());
            return;
        }
        self.reads(name, at);
        let operator = after
            .find(|c| !"+-*/%<>&|^".contains(c))
            .unwrap_or(after.len());
        let is_set = matches!(&after[..operator], "++" | "--")
            || (operator > 0
                && after[operator..].starts_with('=')
                && !matches!(&after[..operator], "<" | ">"));
        if is_set {
            self.found.set.insert(name.to_owned());
        }
    }

    /// What stands in the brackets behind a name, and they.
    pub(super) fn brackets(&mut self, ignored: &mut Word) {
        self.eat("[");
        while let Some(letter) = self.next() {
            match letter {
                ']' => return,
                letter => self.within_quotes(letter, ignored),
            }
        }
    }

    /// What stands behind `${`, which begins at `at`.
    fn braces(&mut self, word: &mut Word, at: usize) {
        let mut inner = Word::default();
        let is_plain = self.rest().starts_with(is_name);
        if !is_plain {
            let _ = self.eat("!") || self.eat("#");
        }
        let name = self.name();
        if name.is_some() && self.rest().starts_with('[') {
            self.brackets(&mut inner);
        }
        if let Some(name) = name {
            self.reads(name, at);
            if is_plain && self.eat("}") {
                word.pieces.push(Piece::Variable(name.to_owned()));
                return;
            }
            if self.rest().starts_with('=') || self.rest().starts_with(":=") {
                self.found.set.insert(name.to_owned());
            }
        } else if self.peek().is_some_and(is_special) {
            self.next();
        }
        let operator = [":-", ":=", ":+", "-", "=", "+"];
        let has_default = operator.iter().any(|operator| self.eat(operator));
        word.pieces.push(Piece::Unknown);
        inner.at = self.at;
        while let Some(letter) = self.next() {
            match letter {
                '}' => break,
                '\'' if !word.quoted => self.verbatim(&mut inner),
                '"' => self.quoted(&mut inner),
                letter => self.within_quotes(letter, &mut inner),
            }
        }
        if has_default {
            self.could_be_path(&inner, Role::Argument);
            if let Some(name) = name {
                self.knows(name, &inner);
            }
        }
    }
}

fn is_special(letter: char) -> bool {
    letter.is_ascii_digit() || "@*#?!-$".contains(letter)
}
