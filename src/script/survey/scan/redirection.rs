//! What a command reads from, and writes to, besides its words.

use super::super::Role;
use super::super::word::ends_word;
use super::{Body, Scan};

impl Scan<'_> {
    /// A redirection, if one stands here.
    pub(super) fn redirection(&mut self) -> bool {
        let rest = self.rest();
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(0);
        let after = &rest[digits..];
        if after.starts_with("<(") || after.starts_with(">(") {
            self.at += digits + 2;
            self.nested(Self::commands);
            return true;
        }
        if !after.starts_with(['<', '>']) && !after.starts_with("&>") {
            return false;
        }
        self.at += digits;
        if self.eat("<<<") {
            self.blanks();
            self.word();
            return true;
        }
        if self.eat("<<") {
            let tabs = self.eat("-");
            self.blanks();
            let word = self.word();
            self.bodies.push(Body {
                end: word.text().unwrap_or_default().to_owned(),
                verbatim: word.quoted,
                tabs,
                is_read: true,
            });
            return true;
        }
        let operators = ["&>>", "&>", ">>", ">&", ">|", ">", "<&", "<>", "<"];
        let operator = operators.iter().find(|operator| self.eat(operator));
        let role = match operator {
            Some(&"<") => Role::Argument,
            _ => Role::Written,
        };
        self.blanks();
        if self.peek().is_none_or(ends_word) {
            // `< <(…)`
            return true;
        }
        let word = self.word();
        let is_descriptor = operator.is_some_and(|operator| operator.ends_with('&'))
            && word
                .text()
                .is_some_and(|text| text.chars().all(|c| c.is_ascii_digit() || c == '-'));
        // What is opened for a further descriptor and for `flock` is a lock: its bytes are nothing to anybody.
        let further = rest[..digits].parse::<u32>().is_ok_and(|number| number > 2);
        let is_lock = further && self.text.contains("flock");
        if !is_descriptor && !is_lock {
            self.could_be_path(&word, role);
        }
        true
    }
}
