//! Commands, one after the other.

mod assignment;
mod redirection;

use super::word::{Word, ends_word, name_at};
use super::{Found, Read, Role, Variable};
use assignment::Begun;

/// Words of the grammar behind which a command begins.
const BEFORE_COMMANDS: [&str; 11] = [
    "if", "then", "else", "elif", "fi", "do", "done", "while", "until", "!", "time",
];

/// A here-document whose lines are yet to come.
#[derive(Debug)]
struct Body {
    end: String,
    verbatim: bool,
    tabs: bool,
    /// Whether it is more than a text: another program reads it.
    is_read: bool,
}

/// What a command can stand in.
#[derive(Debug)]
enum Block {
    Case,
    Brace,
    /// A function's body, and the folder in front of it.
    Function(Option<String>),
}

/// The place in a script that has been reached.
pub(super) struct Scan<'a> {
    /// The script up to the end of what is looked at: places are those of the whole script.
    pub text: &'a str,
    pub at: usize,
    pub found: &'a mut Found,
    /// The folder that commands are in: below that of the start; none if nobody knows.
    pub folder: Option<String>,
    bodies: Vec<Body>,
    blocks: Vec<Block>,
    /// Functions that this stands in.
    functions: usize,
    /// Whether what comes next is the body of a function.
    is_function: bool,
    /// How deep substitutions are nested.
    depth: usize,
}

/// Substitutions in substitutions that are followed.
const DEEPEST: usize = 100;

impl<'a> Scan<'a> {
    pub(super) fn new(text: &'a str, found: &'a mut Found) -> Self {
        Self {
            text,
            at: 0,
            found,
            folder: Some(String::new()),
            bodies: Vec::new(),
            blocks: Vec::new(),
            functions: 0,
            is_function: false,
            depth: 0,
        }
    }

    /// All of it.
    pub(super) fn all(&mut self) {
        while self.at < self.text.len() {
            self.commands();
        }
    }

    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let letter = self.peek()?;
        self.at += letter.len_utf8();
        Some(letter)
    }

    pub(super) fn eat(&mut self, text: &str) -> bool {
        let there = self.rest().starts_with(text);
        if there {
            self.at += text.len();
        }
        there
    }

    /// A variable's name, if one stands here.
    pub(super) fn name(&mut self) -> Option<&'a str> {
        let name = name_at(self.rest());
        self.at += name.len();
        (!name.is_empty()).then_some(name)
    }

    /// Notes that a variable is read at `at`.
    pub(super) fn reads(&mut self, name: &str, at: usize) {
        if self.found.set.contains(name) {
            return;
        }
        self.found.read.push(Read {
            variable: Variable {
                name: name.to_owned(),
                at,
                perhaps_set: self.found.elsewhere,
            },
            in_function: self.functions > 0,
        });
    }

    /// Does something with the script up to `end`, and goes on behind it.
    pub(super) fn within(&mut self, end: usize, look: impl FnOnce(&mut Self)) {
        let whole = self.text;
        self.text = &whole[..end];
        look(self);
        self.text = whole;
        self.at = end;
    }

    /// Does something in a subshell: what it changes of the folder stays there.
    pub(super) fn nested(&mut self, look: impl FnOnce(&mut Self)) {
        if !self.deeper() {
            return;
        }
        let folder = self.folder.clone();
        let blocks = std::mem::take(&mut self.blocks);
        let functions = self.functions;
        look(self);
        self.functions = functions;
        self.blocks = blocks;
        self.folder = folder;
        self.shallower();
    }

    /// One substitution deeper; at too many it gives up.
    pub(super) fn deeper(&mut self) -> bool {
        if self.depth > DEEPEST {
            self.at = self.text.len();
            return false;
        }
        self.depth += 1;
        true
    }

    pub(super) fn shallower(&mut self) {
        self.depth -= 1;
    }

    /// Blanks, comments and joined lines.
    pub(super) fn blanks(&mut self) {
        while self.eat(" ") || self.eat("\t") || self.eat("\r") || self.eat("\\\n") {}
        if self.rest().starts_with('#') {
            self.at += self.rest().find('\n').unwrap_or(self.rest().len());
        }
    }

    /// The same, and ends of lines, behind which here-documents stand.
    fn lines(&mut self) {
        loop {
            self.blanks();
            if !self.eat("\n") {
                return;
            }
            for body in std::mem::take(&mut self.bodies) {
                self.body(&body);
            }
        }
    }

    fn body(&mut self, body: &Body) {
        let mut end = self.at;
        let after = loop {
            let rest = &self.text[end..];
            let length = rest.find('\n').map_or(rest.len(), |at| at + 1);
            let line = rest[..length].trim_end_matches('\n');
            let bare = if body.tabs {
                line.trim_start_matches('\t')
            } else {
                line
            };
            if rest.is_empty() || bare == body.end {
                break end + length;
            }
            end += length;
        };
        if body.is_read {
            let text = self.text[self.at..end].to_owned();
            self.mentions(self.at, &text);
        }
        if !body.verbatim {
            self.within(end, |scan| {
                let mut ignored = Word::default();
                while let Some(letter) = scan.next() {
                    scan.within_quotes(letter, &mut ignored);
                }
            });
        }
        self.at = after;
    }

    /// The word without quotes that stands here, which may be one of the grammar's.
    fn keyword(&self) -> &'a str {
        let rest = self.rest();
        &rest[..rest.find(ends_word).unwrap_or(rest.len())]
    }

    /// Commands up to the end, or behind a `)` that none of them began.
    pub(super) fn commands(&mut self) {
        loop {
            self.lines();
            let Some(letter) = self.peek() else {
                return;
            };
            match letter {
                ')' => {
                    self.next();
                    return;
                }
                ';' => {
                    let ends_case = self.eat(";;&") || self.eat(";;") || self.eat(";&");
                    if !ends_case {
                        self.next();
                    } else if matches!(self.blocks.last(), Some(Block::Case)) {
                        self.patterns();
                    }
                }
                '&' if self.rest().starts_with("&>") => self.command(),
                '&' | '|' => {
                    self.next();
                }
                '(' if self.rest().starts_with("((") && self.is_arithmetic() => {
                    self.eat("((");
                    self.arithmetic();
                }
                '(' => {
                    self.next();
                    let function = std::mem::take(&mut self.is_function);
                    self.nested(|scan| {
                        scan.functions += usize::from(function);
                        scan.commands();
                    });
                }
                _ => {
                    let before = self.at;
                    self.command();
                    if self.at == before {
                        self.next();
                    }
                }
            }
        }
    }

    /// A simple command, or the words of the grammar in front of one.
    fn command(&mut self) {
        let mut words: Vec<Word> = Vec::new();
        let mut assigned: Vec<String> = Vec::new();
        let before = self.bodies.len();
        loop {
            self.blanks();
            if self.redirection() {
                continue;
            }
            if self.peek().is_none_or(ends_word) {
                break;
            }
            if words.is_empty() && assigned.is_empty() && self.grammar() {
                return;
            }
            if words.is_empty()
                && let Some(begun) = self.assignment()
            {
                match begun {
                    Begun::Assigned(name) => assigned.push(name),
                    Begun::Word(word) => words.push(word),
                }
                continue;
            }
            let word = self.word();
            let is_array = word.assignment().is_some() && self.rest().starts_with('(');
            words.push(word);
            if is_array {
                self.array();
            }
        }
        if words.is_empty() {
            self.found.set.extend(assigned);
        } else {
            if matches!(words[0].text(), Some("cat" | "tee")) {
                let own = self.bodies.iter_mut().skip(before);
                own.for_each(|body| body.is_read = false);
            }
            self.call(&words);
        }
    }

    /// A word of the grammar, if one stands here.
    fn grammar(&mut self) -> bool {
        let word = self.keyword();
        if BEFORE_COMMANDS.contains(&word) {
            self.at += word.len();
            return true;
        }
        match word {
            "{" => {
                self.next();
                if std::mem::take(&mut self.is_function) {
                    self.functions += 1;
                    self.blocks.push(Block::Function(self.folder.clone()));
                } else {
                    self.blocks.push(Block::Brace);
                }
            }
            "}" => {
                self.next();
                if let Some(Block::Function(folder)) = self.blocks.pop() {
                    self.functions = self.functions.saturating_sub(1);
                    self.folder = folder;
                }
            }
            "case" => {
                self.at += word.len();
                self.blanks();
                self.word();
                self.lines();
                self.eat("in");
                self.blocks.push(Block::Case);
                self.patterns();
            }
            "esac" => {
                self.at += word.len();
                self.blocks.pop();
            }
            "for" | "select" => {
                self.at += word.len();
                self.each();
            }
            "function" => {
                self.at += word.len();
                self.blanks();
                let name = self.keyword();
                self.at += name.len();
                self.found.functions.insert(name.to_owned());
                self.blanks();
                self.eat("()");
                self.is_function = true;
            }
            "[[" => {
                self.at += word.len();
                self.condition();
            }
            _ => {
                // A function, if parentheses follow.
                let behind = self.rest()[word.len()..].trim_start_matches([' ', '\t']);
                let inner = behind.strip_prefix('(').map(str::trim_start);
                let Some(after) = inner.and_then(|inner| inner.strip_prefix(')')) else {
                    return false;
                };
                self.found.functions.insert(word.to_owned());
                self.at = self.text.len() - after.len();
                self.is_function = true;
            }
        }
        true
    }

    /// Patterns of a `case`, up to their `)`, or the end of the `case`.
    fn patterns(&mut self) {
        self.lines();
        if self.keyword() == "esac" {
            self.eat("esac");
            self.blocks.pop();
            return;
        }
        self.eat("(");
        loop {
            self.blanks();
            match self.peek() {
                None | Some('\n' | ';') => return,
                Some(')') => {
                    self.next();
                    return;
                }
                Some(letter) if ends_word(letter) => drop(self.next()),
                Some(_) => drop(self.word()),
            }
        }
    }

    /// The head of a loop over words.
    fn each(&mut self) {
        self.blanks();
        if self.eat("((") {
            self.arithmetic();
            return;
        }
        let name = self.name();
        self.lines();
        if self.keyword() == "in" {
            self.eat("in");
            loop {
                self.blanks();
                match self.peek() {
                    Some(letter) if !ends_word(letter) => {
                        let word = self.word();
                        self.could_be_path(&word, Role::Argument);
                        if let Some(name) = name {
                            self.knows(name, &word);
                        }
                    }
                    _ => break,
                }
            }
        }
        self.found.set.extend(name.map(str::to_owned));
    }

    /// What stands behind `[[`.
    fn condition(&mut self) {
        let mut asks = false;
        let mut words = Vec::new();
        loop {
            self.lines();
            match self.peek() {
                None => break,
                Some(letter) if ends_word(letter) => drop(self.next()),
                Some(_) => {
                    let word = self.word();
                    let is_asked = std::mem::replace(&mut asks, word.text() == Some("-v"));
                    match word.text() {
                        Some("]]") => break,
                        Some(name) if is_asked => {
                            let name = name_at(name).to_owned();
                            self.reads(&name, word.at);
                        }
                        _ => words.push(word),
                    }
                }
            }
        }
        self.compared(&words);
    }
}
