//! What in a script's text could show that it runs in a subshell.

/// Commands that tell of the shell itself, change how it reads on, run what stands elsewhere, or
/// put processes where they cannot be reached.
const COMMANDS: [&str; 35] = [
    "alias", "bg", "bind", "builtin", "caller", "compgen", "complete", "compopt", "coproc",
    "disown", "enable", "eval", "exec", "fc", "fg", "history", "jobs", "kill", "killall", "logout",
    "pgrep", "pkill", "ps", "pstree", "return", "script", "setsid", "shopt", "source", "sudo",
    "suspend", "timeout", "times", "trap", "unalias",
];

/// Variables that tell of the shell itself; and all that begin with `BASH`.
const VARIABLES: [&str; 10] = [
    "FUNCNAME",
    "HISTCMD",
    "LINENO",
    "PIPESTATUS",
    "PPID",
    "RANDOM",
    "SECONDS",
    "SHELLOPTS",
    "SHLVL",
    "SRANDOM",
];

/// What `set -o` may name: all that is done the same in a subshell.
pub(super) fn is_option(name: &str) -> bool {
    matches!(
        name,
        "allexport" | "errexit" | "noclobber" | "noglob" | "nounset" | "pipefail" | "xtrace"
    )
}

/// The first thing in the script for which it must have a shell of its own.
pub(super) fn obstacle(script: &str) -> Option<String> {
    let script = script.replace("\\\n", "");
    // Quotes within a word do not make it another.
    let bare: String = script
        .chars()
        .filter(|c| !matches!(c, '\\' | '"' | '\''))
        .collect();
    parameter(&script)
        .or_else(|| words(&script).find_map(At::obstacle))
        .or_else(|| {
            let mut words = words(&bare);
            words.find_map(|at| is_bad(at.word).then(|| at.word.to_owned()))
        })
}

/// The same for what only bash does otherwise: expansions whose failure gives up more in a
/// subshell than in a shell.
pub(super) fn obstacle_in_bash(script: &str) -> Option<String> {
    for text in ["((", "$[", "${!"] {
        if script.contains(text) {
            return Some(text.to_owned());
        }
    }
    if let Some(at) = words(script).find(|at| {
        matches!(at.word, "declare" | "let" | "readonly" | "typeset")
            || (at.word == "local" && at.rest().trim_start().starts_with('-'))
    }) {
        return Some(at.word.to_owned());
    }
    // `${name:offset}` computes; `${name:-word}` and the like do not.
    script.match_indices("${").find_map(|(start, _)| {
        let rest = &script[start + 2..];
        let name = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || "_@*[]".contains(c)))
            .unwrap_or(rest.len());
        let after = rest[name..].strip_prefix(':')?;
        (!after.starts_with(['-', '=', '+', '?'])).then(|| format!("${{{}:", &rest[..name]))
    })
}

/// A parameter that a subshell has from its parent: `$$`, `$-`, `$_`.
fn parameter(script: &str) -> Option<String> {
    script.match_indices('$').find_map(|(at, _)| {
        let rest = &script[at + 1..];
        let inner = rest.strip_prefix('{').unwrap_or(rest);
        let inner = inner.trim_start_matches(['#', '!']);
        let first = inner.chars().next()?;
        let alone = !inner[first.len_utf8()..].starts_with(is_name);
        (matches!(first, '$' | '-') || (first == '_' && alone)).then(|| format!("${first}"))
    })
}

fn is_bad(word: &str) -> bool {
    let command = word.rsplit('/').next().unwrap_or(word);
    COMMANDS.contains(&command) || VARIABLES.contains(&word) || word.starts_with("BASH")
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// What is neither a blank nor an operator, a quote or a part of an expansion.
fn is_word(c: char) -> bool {
    is_name(c) || "-./:+%@~^,".contains(c) || !c.is_ascii()
}

/// What ends a simple command, and what begins one.
const BETWEEN: [char; 10] = ['\n', ';', '&', '|', '(', ')', '{', '}', '!', '`'];

/// A word and its place.
#[derive(Clone, Copy)]
struct At<'a> {
    script: &'a str,
    start: usize,
    word: &'a str,
}

/// All words of the script, wherever they stand.
fn words(script: &str) -> impl Iterator<Item = At<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + script[at..].find(is_word)?;
        let rest = &script[start..];
        let end = start + rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        at = end;
        Some(At {
            script,
            start,
            word: &script[start..end],
        })
    })
}

impl At<'_> {
    fn obstacle(self) -> Option<String> {
        let bad = match self.word {
            "." => !self.is_argument(),
            "set" => !self.sets(),
            // Alone they list variables.
            "export" | "readonly" | "local" | "declare" | "typeset" => !self.names(),
            "break" | "continue" => !self.is_in_a_loop(),
            word => is_bad(word),
        };
        bad.then(|| self.word.to_owned())
    }

    fn before(&self) -> &str {
        &self.script[..self.start]
    }

    /// The rest of the command.
    fn rest(&self) -> &str {
        let rest = &self.script[self.start + self.word.len()..];
        rest.split(BETWEEN).next().unwrap_or_default()
    }

    /// Whether the command that it stands in begins with the plain name of another.
    fn is_argument(&self) -> bool {
        let before = self.before().rsplit(BETWEEN).next().unwrap_or_default();
        let plain = |word: &str| word.chars().all(|c| is_name(c) || "-./".contains(c));
        let name = before.split_whitespace().find(|word| {
            !matches!(
                *word,
                "then" | "do" | "else" | "elif" | "if" | "while" | "until" | "time" | "command"
            )
        });
        name.is_some_and(plain)
    }

    /// Whether `set` sets what is the same in a subshell, and prints nothing.
    fn sets(&self) -> bool {
        let mut words = self.rest().split_whitespace();
        let mut any = false;
        while let Some(word) = words.next() {
            if word == "--" {
                return true;
            }
            let Some(letters) = word.strip_prefix(['-', '+']) else {
                return any && !word.starts_with(['$', '"', '\'']);
            };
            let plain = letters.trim_end_matches('o');
            let names = letters.len() - plain.len();
            if letters.is_empty()
                || names > 1
                || !plain.chars().all(|c| "aefuxC".contains(c))
                || (names == 1 && !words.next().is_some_and(is_option))
            {
                return false;
            }
            any = true;
        }
        any
    }

    fn names(&self) -> bool {
        self.rest()
            .trim_start()
            .starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
    }

    /// Whether a loop of the script's own is open here, and this is about the innermost.
    fn is_in_a_loop(&self) -> bool {
        let count = |word| {
            let begins = |at: &At| {
                let before = at.before().trim_end_matches([' ', '\t']);
                before.is_empty() || before.ends_with(BETWEEN)
            };
            words(self.before())
                .filter(|at| at.word == word && begins(at))
                .count()
        };
        self.rest().trim().is_empty() && count("do") > count("done")
    }
}
