//! Which commands a script calls, by the grammar of POSIX shells.
//!
//! It reads what is common to dash and bash and means the same to both. At anything else it gives
//! up and says at what: then nothing is known of the script.

mod word;

use std::collections::BTreeSet;

use word::{Word, ends_word};

/// A command's words; none for a word that is known only when it runs.
pub(super) type Call = Vec<Option<String>>;

/// What a script calls.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Calls {
    /// Its simple commands, wherever they stand, without redirections and assignments.
    pub commands: Vec<Call>,
    /// The functions that it defines.
    pub functions: BTreeSet<String>,
    /// The variables that it assigns.
    pub assigned: BTreeSet<String>,
}

/// All that the script calls; an error is what stands in the way of knowing.
pub(super) fn of(script: &str) -> Result<Calls, String> {
    let mut reader = Reader {
        text: script,
        at: 0,
        found: Calls::default(),
        bodies: Vec::new(),
    };
    reader.list(&[])?;
    match reader.peek() {
        None if reader.bodies.is_empty() => Ok(reader.found),
        None => Err("<<".to_owned()),
        Some(other) => Err(other.to_string()),
    }
}

type Read<T> = Result<T, String>;

/// Words that have a meaning of their own where a command begins, but for those that it ends with.
const OPENING: [&str; 6] = ["if", "while", "until", "for", "case", "{"];
const CLOSING: [&str; 8] = ["then", "elif", "else", "fi", "do", "done", "esac", "}"];
/// Those that only bash knows, or that tell of time.
const UNKNOWN: [&str; 6] = ["function", "select", "time", "coproc", "[[", "in"];

/// A here-document whose lines are yet to come.
struct Body {
    end: String,
    verbatim: bool,
    tabs: bool,
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    found: Calls,
    bodies: Vec<Body>,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let letter = self.peek()?;
        self.at += letter.len_utf8();
        Some(letter)
    }

    fn eat(&mut self, text: &str) -> bool {
        let there = self.rest().starts_with(text);
        if there {
            self.at += text.len();
        }
        there
    }

    fn must(&mut self, text: &str) -> Read<()> {
        self.eat(text).then_some(()).ok_or_else(|| text.to_owned())
    }

    /// Blanks, comments and joined lines.
    fn blanks(&mut self) {
        while self.eat(" ") || self.eat("\t") || self.eat("\\\n") {}
        if self.rest().starts_with('#') {
            self.at += self.rest().find('\n').unwrap_or(self.rest().len());
        }
    }

    /// The same, and ends of lines, behind which here-documents stand.
    fn lines(&mut self) -> Read<()> {
        loop {
            self.blanks();
            if !self.eat("\n") {
                return Ok(());
            }
            for body in std::mem::take(&mut self.bodies) {
                self.body(&body)?;
            }
        }
    }

    fn body(&mut self, body: &Body) -> Read<()> {
        let mut text = String::new();
        loop {
            let rest = self.rest();
            let (line, length) = match rest.find('\n') {
                Some(end) => (&rest[..end], end + 1),
                None => (rest, rest.len()),
            };
            let bare = if body.tabs {
                line.trim_start_matches('\t')
            } else {
                line
            };
            let (is_end, is_over) = (bare == body.end, rest.is_empty());
            if !is_end {
                text.push_str(line);
                text.push('\n');
            }
            self.at += length;
            if is_end {
                break;
            }
            if is_over {
                return Err("<<".to_owned());
            }
        }
        if body.verbatim {
            return Ok(());
        }
        let mut inner = Reader {
            text: &text,
            at: 0,
            found: std::mem::take(&mut self.found),
            bodies: Vec::new(),
        };
        let mut word = Word::default();
        while let Some(letter) = inner.next() {
            inner.within_quotes(letter, &mut word)?;
        }
        self.found = inner.found;
        Ok(())
    }

    /// The word without quotes that stands here, which may be one of the grammar's.
    fn keyword(&self) -> &str {
        let rest = self.rest();
        &rest[..rest.find(ends_word).unwrap_or(rest.len())]
    }

    /// Commands up to one of these words, to `)` or to `;;`, which stay where they are.
    fn list(&mut self, stop: &[&str]) -> Read<()> {
        loop {
            self.lines()?;
            let word = self.keyword();
            if self.peek().is_none()
                || self.rest().starts_with(')')
                || self.rest().starts_with(";;")
                || stop.contains(&word)
            {
                return Ok(());
            }
            self.command()?;
            self.blanks();
            match self.peek() {
                None | Some('\n' | ')') => {}
                Some(';') if self.rest().starts_with(";;") => {}
                Some(';') => self.must(";")?,
                Some('&') if self.eat("&&") => self.follows()?,
                Some('&') if !self.rest().starts_with("&>") => self.must("&")?,
                Some('|') if self.eat("||") => self.follows()?,
                Some('|') if !self.rest().starts_with("|&") => {
                    self.must("|")?;
                    self.follows()?;
                }
                Some(other) => return Err(other.to_string()),
            }
        }
    }

    /// A command must follow.
    fn follows(&mut self) -> Read<()> {
        self.lines()?;
        let over = |c: char| ";&|)".contains(c);
        if CLOSING.contains(&self.keyword()) || self.peek().is_none_or(over) {
            return Err(self.keyword().to_owned());
        }
        Ok(())
    }

    fn command(&mut self) -> Read<()> {
        while self.rest().starts_with("! ") {
            self.at += 1;
            self.blanks();
        }
        if self.rest().starts_with("((") {
            return Err("((".to_owned());
        }
        if self.eat("(") {
            self.list(&[])?;
            self.must(")")?;
            return self.redirections();
        }
        let word = self.keyword().to_owned();
        if CLOSING.contains(&word.as_str()) || UNKNOWN.contains(&word.as_str()) {
            return Err(word);
        }
        if !OPENING.contains(&word.as_str()) {
            return self.simple();
        }
        self.at += word.len();
        match word.as_str() {
            "{" => self.until("}")?,
            "if" => self.branches()?,
            "for" => self.each()?,
            "case" => self.cases()?,
            _ => {
                self.until("do")?;
                self.until("done")?;
            }
        }
        self.redirections()
    }

    /// A list and the word that ends it.
    fn until(&mut self, end: &str) -> Read<()> {
        self.list(&[end])?;
        self.word_of_grammar(end)
    }

    fn word_of_grammar(&mut self, word: &str) -> Read<()> {
        if self.keyword() == word {
            self.must(word)
        } else {
            Err(word.to_owned())
        }
    }

    fn branches(&mut self) -> Read<()> {
        self.until("then")?;
        loop {
            self.list(&["elif", "else", "fi"])?;
            if self.keyword() == "elif" {
                self.must("elif")?;
                self.until("then")?;
            } else if self.keyword() == "else" {
                self.must("else")?;
                return self.until("fi");
            } else {
                return self.word_of_grammar("fi");
            }
        }
    }

    fn each(&mut self) -> Read<()> {
        self.blanks();
        let name = self.name().ok_or("for")?;
        self.found.assigned.insert(name);
        self.lines()?;
        if self.keyword() == "in" {
            self.must("in")?;
            loop {
                self.blanks();
                match self.peek() {
                    Some(';' | '\n') => break,
                    Some(letter) if !ends_word(letter) => drop(self.word()?),
                    _ => return Err("for".to_owned()),
                }
            }
        }
        if !self.rest().starts_with(";;") {
            self.eat(";");
        }
        self.lines()?;
        self.word_of_grammar("do")?;
        self.until("done")
    }

    fn cases(&mut self) -> Read<()> {
        self.blanks();
        self.word()?;
        self.lines()?;
        self.word_of_grammar("in")?;
        loop {
            self.lines()?;
            if self.keyword() == "esac" {
                return self.must("esac");
            }
            self.eat("(");
            loop {
                self.blanks();
                if self.peek().is_none_or(ends_word) {
                    return Err("case".to_owned());
                }
                self.word()?;
                self.blanks();
                if !self.eat("|") {
                    break;
                }
            }
            self.must(")")?;
            self.list(&["esac"])?;
            if self.rest().starts_with(')') {
                return Err(")".to_owned());
            }
            self.eat(";;");
        }
    }

    /// A variable's name.
    fn name(&mut self) -> Option<String> {
        let rest = self.rest();
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        let name = rest[..end].to_owned();
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        self.at += end;
        Some(name)
    }

    /// A simple command, or a function.
    fn simple(&mut self) -> Read<()> {
        let mut call = Call::new();
        let mut any = false;
        loop {
            self.blanks();
            if self.redirection()? {
                any = true;
                continue;
            }
            let Some(letter) = self.peek().filter(|&letter| !ends_word(letter)) else {
                break;
            };
            any = true;
            let before = self.at;
            if call.is_empty()
                && let Some(name) = self.name()
            {
                if self.eat("=") {
                    self.found.assigned.insert(name);
                    self.word()?;
                    if self.rest().starts_with('(') {
                        return Err("(".to_owned());
                    }
                    continue;
                }
                self.blanks();
                if self.eat("(") {
                    return self.function(name);
                }
                self.at = before;
            }
            if call.is_empty() && letter == '{' {
                return Err("{".to_owned());
            }
            let word = self.word()?;
            call.push(word.literal());
        }
        if !any || self.rest().starts_with('(') {
            return Err(self.peek().map_or(String::new(), String::from));
        }
        if !call.is_empty() {
            self.found.commands.push(call);
        }
        Ok(())
    }

    fn function(&mut self, name: String) -> Read<()> {
        self.blanks();
        self.must(")")?;
        self.found.functions.insert(name);
        self.lines()?;
        let word = self.keyword();
        if OPENING.contains(&word) || self.rest().starts_with('(') {
            self.command()
        } else {
            Err("()".to_owned())
        }
    }

    fn redirections(&mut self) -> Read<()> {
        loop {
            self.blanks();
            if !self.redirection()? {
                return Ok(());
            }
        }
    }

    fn redirection(&mut self) -> Read<bool> {
        let rest = self.rest();
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(0);
        if !rest[digits..].starts_with(['<', '>']) {
            return Ok(false);
        }
        self.at += digits;
        for unknown in ["<<<", "<(", ">("] {
            if self.rest().starts_with(unknown) {
                return Err(unknown.to_owned());
            }
        }
        let document = self.eat("<<");
        let tabs = document && self.eat("-");
        if !document {
            let operators = [">>", ">&", ">|", "<&", "<>", "<", ">"];
            let _ = operators.iter().any(|operator| self.eat(operator));
        }
        self.blanks();
        if self.peek().is_none_or(ends_word) {
            return Err("<".to_owned());
        }
        let word = self.word()?;
        if document {
            let (verbatim, open) = (word.quoted, word.open);
            let end = word.literal().filter(|_| !open);
            self.bodies.push(Body {
                end: end.ok_or("<<")?,
                verbatim,
                tabs,
            });
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
