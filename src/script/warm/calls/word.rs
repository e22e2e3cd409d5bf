//! Words, and what is put in their place when they are expanded.

use super::{Read, Reader, of};

/// A word as it stands in the script.
#[derive(Default)]
pub(super) struct Word {
    pub text: String,
    /// Whether something in it is known only when it runs.
    pub open: bool,
    pub quoted: bool,
}

impl Word {
    pub(super) fn literal(self) -> Option<String> {
        (!self.open).then_some(self.text)
    }
}

pub(super) fn ends_word(letter: char) -> bool {
    " \t\n;&|<>()".contains(letter)
}

impl Reader<'_> {
    pub(super) fn word(&mut self) -> Read<Word> {
        let mut word = Word::default();
        while let Some(letter) = self.peek().filter(|&letter| !ends_word(letter)) {
            self.next();
            match letter {
                '\\' => match self.next() {
                    None => return Err("\\".to_owned()),
                    Some('\n') => {}
                    Some(letter) => {
                        word.quoted = true;
                        word.text.push(letter);
                    }
                },
                '\'' => {
                    let end = self.rest().find('\'').ok_or("'")?;
                    word.text.push_str(&self.text[self.at..self.at + end]);
                    self.at += end + 1;
                    word.quoted = true;
                }
                '"' => {
                    word.quoted = true;
                    loop {
                        match self.next().ok_or("\"")? {
                            '"' => break,
                            letter => self.within_quotes(letter, &mut word)?,
                        }
                    }
                }
                '$' if self.rest().starts_with(['\'', '"']) => return Err("$'".to_owned()),
                '$' => self.expansion(&mut word, false)?,
                '`' => self.backquotes(&mut word)?,
                letter => word.text.push(letter),
            }
        }
        // `/proc` by another name.
        let first = word.text.strip_prefix('/').unwrap_or_default();
        let first = first.split('/').next().unwrap_or_default();
        if first.contains(['*', '?', '[']) {
            return Err(word.text);
        }
        Ok(word)
    }

    /// What a letter within double quotes, or of a here-document, begins.
    pub(super) fn within_quotes(&mut self, letter: char, word: &mut Word) -> Read<()> {
        match letter {
            '\\' => match self.peek() {
                Some('\n') => drop(self.next()),
                Some(letter @ ('$' | '`' | '"' | '\\')) => {
                    self.next();
                    word.text.push(letter);
                }
                _ => word.text.push('\\'),
            },
            '$' => self.expansion(word, true)?,
            '`' => self.backquotes(word)?,
            letter => word.text.push(letter),
        }
        Ok(())
    }

    fn backquotes(&mut self, word: &mut Word) -> Read<()> {
        word.open = true;
        let end = self.rest().find('`').ok_or("`")?;
        let script = &self.text[self.at..self.at + end];
        if script.contains('\\') {
            return Err("`".to_owned());
        }
        let inner = of(script)?;
        self.at += end + 1;
        self.found.commands.extend(inner.commands);
        self.found.functions.extend(inner.functions);
        self.found.assigned.extend(inner.assigned);
        Ok(())
    }

    /// What stands behind a `$`.
    fn expansion(&mut self, word: &mut Word, quoted: bool) -> Read<()> {
        if self.eat("((") {
            word.open = true;
            return self.arithmetic();
        }
        if self.eat("(") {
            word.open = true;
            self.list(&[])?;
            return self.must(")");
        }
        if self.eat("{") {
            word.open = true;
            return self.braces(quoted);
        }
        let special = |c: char| c.is_ascii_digit() || "@*#?!-$".contains(c);
        if self.name().is_some() {
            word.open = true;
        } else if self.peek().is_some_and(special) {
            self.next();
            word.open = true;
        } else {
            word.text.push('$');
        }
        Ok(())
    }

    fn arithmetic(&mut self) -> Read<()> {
        let mut depth = 0;
        let mut ignored = Word::default();
        loop {
            match self.next().ok_or("$((")? {
                '$' => self.expansion(&mut ignored, true)?,
                '(' => depth += 1,
                ')' if depth > 0 => depth -= 1,
                ')' => return self.must(")"),
                letter if letter.is_ascii_alphanumeric() => {}
                letter if "_ \t\n+-*/%<>=!&|^~?:,".contains(letter) => {}
                _ => return Err("$((".to_owned()),
            }
        }
    }

    /// What stands behind `${`. Names and operators are letters like others here: what matters is
    /// what else is called in there.
    fn braces(&mut self, quoted: bool) -> Read<()> {
        let mut ignored = Word::default();
        if self.rest().starts_with(['!', '}', ' ', '\n']) {
            return Err("${".to_owned());
        }
        if let Some(name) = self.name()
            && (self.rest().starts_with('=') || self.rest().starts_with(":="))
        {
            self.found.assigned.insert(name);
        }
        loop {
            match self.next().ok_or("${")? {
                '}' => return Ok(()),
                '\'' | '"' if quoted => return Err("${".to_owned()),
                '\'' => {
                    let end = self.rest().find('\'').ok_or("'")?;
                    self.at += end + 1;
                }
                '"' => loop {
                    match self.next().ok_or("\"")? {
                        '"' => break,
                        letter => self.within_quotes(letter, &mut ignored)?,
                    }
                },
                '\\' => drop(self.next().ok_or("\\")?),
                '$' if self.rest().starts_with(['\'', '"']) => return Err("$'".to_owned()),
                '$' => self.expansion(&mut ignored, quoted)?,
                '`' => self.backquotes(&mut ignored)?,
                _ => {}
            }
        }
    }
}
