//! Scripts that are one plain command, or a pipeline of such:
//! `tr a-z A-Z < "$INPUT_FILE" | sort > "$OUTPUT_DIR/upper.txt"`.
//!
//! Starting a shell costs as much as starting the program that it is to start. Where words and
//! redirections mean the same to every shell, the runner can do what the shell would, as make does
//! for recipes without shell syntax. This module recognizes such scripts, and is strict: whatever
//! it does not know for certain is left to the shell.

use crate::model::param;
use crate::model::secret;
use crate::model::task::VARIABLES;
use crate::script::shell::Shell;

/// One plain command, of the script or of its pipeline.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SimpleCommand {
    /// The program and its arguments; none for `:` and `true`, which only redirect.
    pub words: Vec<Word>,
    /// In the order in which they take effect.
    pub redirections: Vec<Redirection>,
}

/// A word, in pieces that stand next to each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Word(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Variable { name: String, quoted: bool },
}

/// What becomes of a descriptor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirection {
    /// 0, 1 or 2.
    pub descriptor: i32,
    /// What it becomes.
    pub to: Target,
}

/// What a descriptor becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A file, for reading.
    Read(Word),
    /// A file, for writing, empty.
    Write(Word),
    /// A file, for writing at its end.
    Append(Word),
    /// What another descriptor is at that moment.
    Same(i32),
}

/// What dash or bash does itself, or takes for syntax.
const OF_THE_SHELL: &[&str] = &[
    ".",
    "[",
    "alias",
    "bg",
    "bind",
    "break",
    "builtin",
    "caller",
    "case",
    "cd",
    "chdir",
    "command",
    "compgen",
    "complete",
    "compopt",
    "continue",
    "coproc",
    "declare",
    "dirs",
    "disown",
    "do",
    "done",
    "echo",
    "elif",
    "else",
    "enable",
    "esac",
    "eval",
    "exec",
    "exit",
    "export",
    "false",
    "fc",
    "fg",
    "fi",
    "for",
    "function",
    "getopts",
    "hash",
    "help",
    "history",
    "if",
    "in",
    "jobs",
    "kill",
    "let",
    "local",
    "logout",
    "mapfile",
    "popd",
    "printf",
    "pushd",
    "pwd",
    "read",
    "readarray",
    "readonly",
    "return",
    "select",
    "set",
    "shift",
    "shopt",
    "source",
    "suspend",
    "test",
    "then",
    "time",
    "times",
    "trap",
    "type",
    "typeset",
    "ulimit",
    "umask",
    "unalias",
    "unset",
    "until",
    "wait",
    "while",
];

/// Commands of a pipeline; with more the shell is the least of its costs.
const LONGEST: usize = 8;

/// The script as plain commands, each of which reads what the one before it writes, if it
/// certainly is that.
pub fn parse(script: &str) -> Option<Vec<SimpleCommand>> {
    let mut parser = Parser {
        rest: script.trim_matches([' ', '\t', '\n']),
    };
    let mut commands = vec![SimpleCommand::default()];
    loop {
        parser.rest = parser.rest.trim_start_matches([' ', '\t']);
        let plain = commands.last_mut()?;
        if parser.rest.is_empty() {
            break;
        }
        if parser.eat("|") {
            if parser.rest.starts_with(['|', '&']) {
                return None;
            }
            parser.rest = parser.rest.trim_start_matches([' ', '\t', '\n']);
            commands.push(SimpleCommand::default());
            continue;
        }
        match parser.redirection()? {
            Some(redirection) => plain.redirections.push(redirection),
            None => plain.words.push(parser.word()?),
        }
    }
    let alone = commands.len() == 1;
    let right = commands.len() <= LONGEST && commands.iter_mut().all(|plain| plain.settle(alone));
    right.then_some(commands)
}

impl SimpleCommand {
    /// Puts the values of parameters, which are the same for all tasks, in their places; false where a
    /// shell would do more with one.
    pub fn fill<'v>(&mut self, value: impl Fn(&str) -> Option<&'v str>) -> bool {
        let mut words = self.words.iter_mut();
        words.all(|word| word.fill(&value))
    }

    /// Whether it can do without a shell. A member of a pipeline must be a program, and be sure to
    /// start: the others may have begun by then.
    fn settle(&mut self, alone: bool) -> bool {
        let Some(program) = self.words.first().and_then(Word::text) else {
            return false;
        };
        let nothing = program == ":" || program == "true";
        if nothing && alone {
            self.words.clear();
        } else if nothing
            || program.is_empty()
            || program.contains('=')
            || OF_THE_SHELL.contains(&program)
        {
            return false;
        }
        self.redirections
            .iter()
            .all(|one| one.is_harmless() && (alone || one.is_sure()))
    }
}

/// The shell, and whether a pipeline fails where any of its commands does, if plain commands mean
/// to it what they mean to the runner: by its canonical file name, and its arguments up to the
/// script.
pub fn shell(file_name: &str, arguments: &[&str]) -> Option<(Shell, bool)> {
    let shell = Shell::named(file_name)?;
    let mut pipefail = false;
    // What plain commands cannot notice: -e ends at the first failure, and -u looks for variables
    // that are not set.
    let mut rest = arguments.iter();
    while let Some(option) = rest.next() {
        let letters = option.strip_prefix('-')?;
        let (before, last) = letters.split_at_checked(letters.len().checked_sub(1)?)?;
        if !before.chars().all(|letter| matches!(letter, 'e' | 'u')) {
            return None;
        }
        match last {
            "c" => return rest.next().is_none().then_some((shell, pipefail)),
            "e" | "u" => {}
            "o" if shell == Shell::Bash && rest.next() == Some(&"pipefail") => pipefail = true,
            _ => return None,
        }
    }
    None
}

impl Word {
    /// The word with variables replaced by what `value` gives; none where a shell would do more
    /// than that with a value.
    pub fn expand<'v>(&self, value: impl Fn(&str) -> Option<&'v str>) -> Option<String> {
        let mut whole = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => whole.push_str(text),
                Piece::Variable { name, quoted } => {
                    let value = value(name)?;
                    if !quoted && !is_one_word(value) {
                        return None;
                    }
                    whole.push_str(value);
                }
            }
        }
        Some(whole)
    }

    /// The same for parameters alone, in place.
    fn fill<'v>(&mut self, value: &impl Fn(&str) -> Option<&'v str>) -> bool {
        for piece in &mut self.0 {
            let Piece::Variable { name, quoted } = piece else {
                continue;
            };
            if !is_parameter(name) {
                continue;
            }
            let Some(value) = value(name).filter(|value| *quoted || is_one_word(value)) else {
                return false;
            };
            *piece = Piece::Text(value.to_owned());
        }
        true
    }

    /// The word, if no variable is in it.
    fn text(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    fn add(&mut self, letter: char) {
        if let Some(Piece::Text(text)) = self.0.last_mut() {
            text.push(letter);
        } else {
            self.0.push(Piece::Text(letter.into()));
        }
    }

    /// Whether it names a place within the folder that one of `variables` names.
    fn is_within(&self, variables: &[&str]) -> bool {
        matches!(self.0.first(), Some(Piece::Variable { name, .. })
            if variables.contains(&name.as_str()))
            && self.0[1..].iter().all(|piece| match piece {
                Piece::Text(text) => !text.contains(".."),
                Piece::Variable { name, .. } => name.starts_with("TASK_PIPELINE_"),
            })
    }
}

impl Redirection {
    /// Whether it opens nothing but what belongs to the task: opening a FIFO of others could wait
    /// for ever, where nobody could end it.
    fn is_harmless(&self) -> bool {
        match &self.to {
            Target::Same(_) => true,
            Target::Read(word) => {
                word.text() == Some("/dev/null") || word.is_within(&["INPUT_FILE"])
            }
            Target::Write(word) | Target::Append(word) => {
                word.text() == Some("/dev/null") || word.is_within(&["OUTPUT_DIR", "TMPDIR"])
            }
        }
    }
}

impl Redirection {
    /// Whether what it opens is there, or can be made: no folder has to be there for it.
    fn is_sure(&self) -> bool {
        match &self.to {
            Target::Same(_) => true,
            Target::Read(word) | Target::Write(word) | Target::Append(word) => {
                let slashes = |piece: &Piece| match piece {
                    Piece::Text(text) => text.matches('/').count(),
                    Piece::Variable { .. } => 0,
                };
                let within = word.0.iter().map(slashes).sum::<usize>();
                match &self.to {
                    _ if word.text() == Some("/dev/null") => true,
                    Target::Read(_) => word.0.len() == 1,
                    Target::Write(_) | Target::Append(_) | Target::Same(_) => within == 1,
                }
            }
        }
    }
}

/// Whether a value is one word without quotes: others are split at blanks, or match file names; empty
/// ones vanish.
fn is_one_word(value: &str) -> bool {
    !value.is_empty() && value.chars().all(is_plain)
}

/// Whether the variable is that of a parameter, or of the path of a secret.
fn is_parameter(name: &str) -> bool {
    [param::VARIABLE, secret::VARIABLE]
        .iter()
        .find_map(|before| name.strip_prefix(before))
        .is_some_and(|name| !name.is_empty())
}

/// Whether the letter means itself, wherever it stands in a word.
fn is_plain(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "_./,:=+@%-".contains(letter)
}

struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    fn next(&mut self) -> Option<char> {
        let letter = self.rest.chars().next()?;
        self.rest = &self.rest[letter.len_utf8()..];
        Some(letter)
    }

    fn eat(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// A redirection, if one comes next; the outer none for one that is not plain.
    #[allow(clippy::option_option)]
    fn redirection(&mut self) -> Option<Option<Redirection>> {
        let digits = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(0);
        let (number, after) = self.rest.split_at(digits);
        if !after.starts_with(['<', '>']) {
            return Some(None);
        }
        let given = match number {
            "" => None,
            "0" => Some(0),
            "1" => Some(1),
            "2" => Some(2),
            _ => return None,
        };
        self.rest = after;
        let to = if self.eat(">&") {
            let same = if self.eat("1") { 1 } else { 2 };
            if same == 2 && !self.eat("2") {
                return None;
            }
            if !self.rest.is_empty() && !self.rest.starts_with([' ', '\t']) {
                return None;
            }
            Target::Same(same)
        } else if self.eat(">>") {
            Target::Append(self.target()?)
        } else if self.eat(">") {
            Target::Write(self.target()?)
        } else {
            self.eat("<");
            Target::Read(self.target()?)
        };
        let usual = i32::from(!matches!(to, Target::Read(_)));
        Some(Some(Redirection {
            descriptor: given.unwrap_or(usual),
            to,
        }))
    }

    fn target(&mut self) -> Option<Word> {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
        let word = self.word()?;
        (!word.0.is_empty()).then_some(word)
    }

    fn word(&mut self) -> Option<Word> {
        let mut word = Word::default();
        while let Some(letter) = self.rest.chars().next() {
            if matches!(letter, ' ' | '\t' | '<' | '>' | '|') {
                break;
            }
            self.next();
            match letter {
                '\'' => {
                    let end = self.rest.find('\'')?;
                    word.0.push(Piece::Text(self.rest[..end].to_owned()));
                    self.rest = &self.rest[end + 1..];
                }
                '"' => self.quoted(&mut word)?,
                '$' => self.variable(&mut word, false)?,
                letter if is_plain(letter) => word.add(letter),
                _ => return None,
            }
        }
        word.join();
        Some(word)
    }

    /// What stands in double quotes.
    fn quoted(&mut self, word: &mut Word) -> Option<()> {
        word.0.push(Piece::Text(String::new()));
        loop {
            match self.next()? {
                '"' => return Some(()),
                '$' => self.variable(word, true)?,
                '\\' | '`' => return None,
                letter => word.add(letter),
            }
        }
    }

    /// What stands behind a `$`.
    fn variable(&mut self, word: &mut Word, quoted: bool) -> Option<()> {
        let braces = self.eat("{");
        let end = self
            .rest
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        // A shell changes some of the others.
        if !VARIABLES.contains(&name) && !is_parameter(name) {
            return None;
        }
        word.0.push(Piece::Variable {
            name: name.to_owned(),
            quoted,
        });
        self.rest = rest;
        (!braces || self.eat("}")).then_some(())
    }
}

impl Word {
    /// Makes one of texts that stand next to each other; an empty word has no piece.
    fn join(&mut self) {
        let mut joined: Vec<Piece> = Vec::new();
        for piece in self.0.drain(..) {
            match (joined.last_mut(), piece) {
                (_, Piece::Text(text)) if text.is_empty() => {}
                (Some(Piece::Text(before)), Piece::Text(text)) => before.push_str(&text),
                (_, piece) => joined.push(piece),
            }
        }
        self.0 = joined;
    }
}

#[cfg(test)]
mod tests;
