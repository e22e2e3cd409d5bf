//! What calls mean for variables, folders and files.

use super::programs::without_texts;
use super::scan::Scan;
use super::word::{Piece, Word, name_at};
use super::{Prefix, Role};

/// Commands whose arguments are no files.
const WITHOUT_FILES: &[&str] = &[
    ":", "alias", "break", "continue", "echo", "exit", "export", "false", "getopts", "kill", "let",
    "local", "printf", "read", "readonly", "return", "set", "shift", "sleep", "trap", "true",
    "type", "typeset", "ulimit", "umask", "unset", "wait", "which", "seq", "expr", "basename",
    "dirname", "printenv", "declare", "hash", "mkdir",
];

/// Whether `chmod` takes the word for what is to be done, and not for a file.
fn is_mode(word: &str) -> bool {
    let of_letters = word.contains(['+', '-', '=']);
    let letters = if of_letters { "ugoa+-=rwxXst," } else { "" };
    let is_part = |c: char| matches!(c, '0'..='7') || letters.contains(c);
    !word.is_empty() && word.chars().all(is_part)
}

/// Of `flock` its options, and the command behind the lock, whose bytes are nothing to anybody. With `-c` that is a text.
fn behind_lock(arguments: &[Word]) -> (&[Word], &[Word]) {
    let mut at = 0;
    while let Some(option) = arguments.get(at).and_then(Word::text)
        && option.starts_with('-')
    {
        at += match option {
            "-w" | "--wait" | "--timeout" | "-E" | "--conflict-exit-code" => 2,
            _ => 1,
        };
    }
    let inner = arguments.get(at + 1..).unwrap_or_default();
    match inner.first().and_then(Word::text) {
        Some("-c" | "--command") => (&inner[1..], &[]),
        _ => (&[], inner),
    }
}

impl Scan<'_> {
    /// A command with its words.
    pub(super) fn call(&mut self, words: &[Word]) {
        let Some((first, arguments)) = words.split_first() else {
            return;
        };
        let Some(program) = first.text() else {
            self.could_be_path(first, Role::Program);
            self.files(arguments);
            return;
        };
        if program.contains('/') {
            self.could_be_path(first, Role::Program);
        }
        let name = program.rsplit('/').next().unwrap_or_default();
        if self.found.functions.contains(name) {
            self.files(arguments);
            return;
        }
        match name {
            "command" | "builtin" | "exec" | "nohup" | "env" => {
                let skip = arguments.iter().position(|word| {
                    let option = word.text().is_some_and(|text| text.starts_with('-'));
                    !option && (name != "env" || word.assignment().is_none())
                });
                let (own, inner) = arguments.split_at(skip.unwrap_or(arguments.len()));
                self.files(own);
                return self.call(inner);
            }
            "flock" => {
                let (own, inner) = behind_lock(arguments);
                self.files(own);
                return self.call(inner);
            }
            "cd" | "chdir" | "pushd" => return self.enter(arguments),
            "popd" => self.folder = None,
            "." | "source" | "eval" => self.found.elsewhere = true,
            "split" | "csplit" | "mktemp" => self.prefix(arguments),
            "printenv" => {
                for word in arguments {
                    if let Some(name) = word.text().filter(|text| name_at(text) == *text) {
                        let name = name.to_owned();
                        self.reads(&name, word.at);
                    }
                }
            }
            "test" | "[" => {
                for pair in arguments.windows(2) {
                    if pair[0].text() == Some("-v")
                        && let Some(name) = pair[1].text()
                    {
                        let name = name_at(name).to_owned();
                        self.reads(&name, pair[1].at);
                    }
                }
            }
            _ => {}
        }
        let arguments = match arguments {
            [inner @ .., last] if name == "[" && last.text() == Some("]") => inner,
            all => all,
        };
        self.sets(name, arguments);
        let arguments = match name {
            "cp" | "mv" | "ln" | "install" | "rsync" => self.written_last(arguments),
            "tee" | "touch" | "rm" | "rmdir" | "truncate" | "chmod" => {
                let mode = arguments
                    .iter()
                    .position(|word| word.text().is_some_and(is_mode));
                let mode = mode.filter(|_| name == "chmod");
                let files = arguments.iter().enumerate();
                let files = files.filter(|(at, _)| Some(*at) != mode);
                files.for_each(|(_, word)| self.could_be_path(word, Role::Written));
                return;
            }
            _ => arguments,
        };
        if WITHOUT_FILES.contains(&name) {
            // What a program reads from it may be names of files.
            let is_piped = self.rest().starts_with('|') && !self.rest().starts_with("||");
            if matches!(name, "echo" | "printf") && is_piped {
                arguments
                    .iter()
                    .for_each(|word| self.could_be_path(word, Role::Mentioned));
            }
            for (name, value) in arguments.iter().filter_map(Word::assignment) {
                self.knows(name, &value);
                let parts = value.split();
                parts
                    .iter()
                    .for_each(|part| self.could_be_path(part, Role::Argument));
            }
        } else if matches!(name, "test" | "[") {
            self.compared(arguments);
        } else {
            self.modules(name, arguments);
            self.files(&without_texts(name, arguments));
        }
    }

    /// What a test is about: what it compares are texts and numbers.
    pub(super) fn compared(&mut self, words: &[Word]) {
        const OPERATORS: &[&str] = &[
            "=", "==", "!=", "=~", "<", ">", "-eq", "-ne", "-lt", "-le", "-gt", "-ge",
        ];
        const OF_TEXTS: &[&str] = &["-n", "-z"];
        let is_one = |at: Option<usize>, of: &[&str]| {
            let word = at.and_then(|at| words.get(at)).and_then(Word::text);
            word.is_some_and(|word| of.contains(&word))
        };
        for (at, word) in words.iter().enumerate() {
            let before = at.checked_sub(1);
            let is_text = is_one(before, OPERATORS)
                || is_one(Some(at + 1), OPERATORS)
                || is_one(before, OF_TEXTS)
                || is_one(Some(at), OPERATORS);
            if !is_text {
                self.files(std::slice::from_ref(word));
            }
        }
    }

    /// Of `cp` and the like the last one is written; the others.
    fn written_last<'w>(&mut self, arguments: &'w [Word]) -> &'w [Word] {
        match arguments {
            [others @ .., last] if others.iter().any(|word| !is_option(word)) => {
                self.could_be_path(last, Role::Written);
                others
            }
            all => all,
        }
    }

    /// Arguments that could be files.
    fn files(&mut self, arguments: &[Word]) {
        let mut before = None;
        for word in arguments {
            let behind = before.replace(word).and_then(Word::text);
            let role = match behind {
                // Of nearly all programs.
                Some("-o" | "--output") => Role::Written,
                _ => Role::Argument,
            };
            let Some((Piece::Text(first), rest)) = word.pieces.split_first() else {
                self.could_be_path(word, role);
                continue;
            };
            // `if=FILE`: what stands behind it counts.
            let is_named = first
                .split_once('=')
                .is_some_and(|(name, _)| !name.is_empty() && name_at(name) == name);
            if !first.starts_with('-') && !is_named {
                self.could_be_path(word, role);
            }
            let parts = [
                first.split_once('=').map(|(_, part)| part),
                first.strip_prefix('@'),
                glued(first),
            ];
            for part in parts.into_iter().flatten() {
                let part = word.behind(part, rest);
                self.could_be_path(&part, role);
            }
        }
    }

    /// `cd`: where it is known whereto, the folder is that.
    fn enter(&mut self, arguments: &[Word]) {
        let mut words = arguments
            .iter()
            .filter(|word| !matches!(word.text(), Some("-L" | "-P" | "-e" | "--")));
        let (Some(word), None) = (words.next(), words.next()) else {
            self.folder = None;
            return;
        };
        let here = matches!(word.pieces.as_slice(), [Piece::Variable(name)] if name == "PWD");
        if here {
            return;
        }
        self.could_be_path(word, Role::Argument);
        self.folder = word
            .path(self.folder.as_deref())
            .filter(|path| !path.starts_with(['/', '-']) && !path.contains(".."))
            .filter(|_| !word.glob && !word.braces);
    }

    /// The variables that a command sets.
    fn sets(&mut self, command: &str, arguments: &[Word]) {
        let mut names: Vec<String> = Vec::new();
        let text = |word: &Word| word.text().map(str::to_owned);
        // Options that take a word.
        let with_word = match command {
            "read" => "adinNptu",
            "mapfile" | "readarray" => "dnOsuCc",
            _ => "",
        };
        match command {
            "read" | "mapfile" | "readarray" => {
                let mut words = arguments.iter();
                while let Some(word) = words.next() {
                    let Some(option) = word.text().and_then(|text| text.strip_prefix('-')) else {
                        names.extend(text(word));
                        continue;
                    };
                    let takes = |letter: char| with_word.contains(letter);
                    if let Some(at) = option.find(takes).filter(|at| at + 1 == option.len()) {
                        let value = words.next();
                        if option[at..].starts_with('a') {
                            names.extend(value.and_then(text));
                        }
                    }
                }
            }
            "getopts" => names.extend(arguments.get(1).and_then(text)),
            "unset" => names.extend(arguments.iter().filter_map(text)),
            "export" => {
                names.extend(arguments.iter().filter_map(|word| {
                    let (name, _) = word.assignment()?;
                    Some(name.to_owned())
                }));
            }
            "local" | "readonly" | "declare" | "typeset" | "integer" | "float" => {
                names.extend(
                    arguments
                        .iter()
                        .filter_map(|word| match word.pieces.first() {
                            Some(Piece::Text(text)) => Some(name_at(text).to_owned()),
                            _ => None,
                        }),
                );
            }
            "printf" if arguments.first().and_then(Word::text) == Some("-v") => {
                names.extend(arguments.get(1).and_then(text));
            }
            "let" => {
                let words = arguments
                    .iter()
                    .filter_map(|word| match word.pieces.first() {
                        Some(Piece::Text(text)) => Some(text),
                        _ => None,
                    });
                names.extend(words.filter_map(|word| {
                    let name = name_at(word);
                    (!name.is_empty() && word[name.len()..].contains(['=', '+', '-']))
                        .then(|| name.to_owned())
                }));
            }
            _ => {}
        }
        let names = names.iter().map(|name| name_at(name).to_owned());
        self.found.set.extend(names.filter(|name| !name.is_empty()));
    }

    /// What the names begin with that a command leaves in the output folder.
    fn prefix(&mut self, arguments: &[Word]) {
        let suffix = arguments.iter().enumerate().find_map(|(at, word)| {
            let text = word.text()?;
            match text.strip_prefix("--additional-suffix") {
                Some("") => arguments.get(at + 1)?.text(),
                Some(rest) => rest.strip_prefix('='),
                None => text.strip_prefix("--suffix="),
            }
        });
        for word in arguments {
            if let [before @ .., Piece::Variable(folder), Piece::Text(name)] =
                word.pieces.as_slice()
                && before.is_empty()
                && folder == "OUTPUT_DIR"
                && let Some(name) = name.strip_prefix('/')
                && !name.contains('/')
            {
                self.found.prefixes.push(Prefix {
                    name: name.to_owned(),
                    suffix: suffix.unwrap_or_default().to_owned(),
                });
            }
        }
    }
}

fn is_option(word: &Word) -> bool {
    matches!(word.pieces.first(), Some(Piece::Text(text)) if text.starts_with('-'))
}

/// What stands right behind the letter of an option, as in `-ft.txt`, `-Ilib`.
fn glued(word: &str) -> Option<&str> {
    let rest = word.strip_prefix('-')?;
    let letter = rest.chars().next().filter(char::is_ascii_alphabetic)?;
    let rest = &rest[1..];
    (matches!(letter, 'I' | 'L') || rest.contains(['.', '/'])).then_some(rest)
}
