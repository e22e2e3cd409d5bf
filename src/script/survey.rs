//! What a script names: variables that it does not set itself, and words that could be paths.
//!
//! A look at shell text that never fails and only knows less: what it cannot read it passes over.
//! Nothing that decides what runs may rest on it, only what is said to people. ([`super::warm`]
//! gives up at what it does not know for certain; nothing is shared, because the two err on
//! opposite sides.)

mod builtin;
mod expand;
mod mention;
mod paths;
mod programs;
mod scan;
mod word;

use std::collections::{BTreeMap, BTreeSet};

pub use mention::{imports, of_text, of_value};
use scan::Scan;

/// What a script names.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// The variables that it reads before it sets them, if it does; each once, at its first place.
    pub variables: Vec<Variable>,
    /// Words that could be paths.
    pub words: Vec<Spot>,
    /// What it gives to programs that leave files whose names begin with that.
    pub prefixes: Vec<Prefix>,
}

/// A variable that a script reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// The byte of the script at which it stands.
    pub at: usize,
    /// Whether something else has read commands from elsewhere by then (`.`, `eval`), which may
    /// have set it.
    pub perhaps_set: bool,
}

/// A word that could be a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    /// The path, relative to the folder that the script starts in, unless it is absolute.
    pub path: String,
    /// The byte of the script at which the word stands.
    pub at: usize,
    /// What it is to the command.
    pub role: Role,
    /// Whether it is a glob.
    pub glob: bool,
}

/// What a word is to a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The program; only of those with a `/`.
    Program,
    /// Anything else that may be read.
    Argument,
    /// A part of a text, which may be about anything: a bare word does not name a folder there.
    Mentioned,
    /// What output is redirected to, or what a command is known to make or to remove.
    Written,
}

/// The beginning of names in the output folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix {
    /// The beginning.
    pub name: String,
    /// What their ends are, where the command says so.
    pub suffix: String,
}

/// Whether a script given to these words is shell text.
pub fn is_shell(words: &[String]) -> bool {
    let Some((program, arguments)) = words.split_first() else {
        return false;
    };
    let program = program.rsplit('/').next().unwrap_or_default();
    let is_one = match program {
        "busybox" => arguments
            .first()
            .is_some_and(|applet| matches!(applet.as_str(), "sh" | "ash")),
        name => is_name_of_shell(name),
    };
    let asks = |word: &String| {
        word.strip_prefix('-')
            .is_some_and(|letters| !letters.starts_with('-') && letters.ends_with('c'))
    };
    is_one && arguments.last().is_some_and(asks)
}

/// The shell and its arguments, behind programs that only start it (`env bash -c`).
pub fn started(words: &[String]) -> &[String] {
    let Some((program, arguments)) = words.split_first() else {
        return words;
    };
    let is_starter = matches!(
        program.rsplit('/').next().unwrap_or_default(),
        "env" | "nice" | "nohup" | "ionice" | "setsid" | "stdbuf" | "time" | "timeout"
    );
    let is_shell = |word: &String| is_name_of_shell(word.rsplit('/').next().unwrap_or_default());
    match arguments.iter().position(is_shell) {
        Some(at) if is_starter => &arguments[at..],
        _ => words,
    }
}

fn is_name_of_shell(name: &str) -> bool {
    matches!(
        name,
        "sh" | "bash" | "dash" | "ash" | "ksh" | "ksh93" | "mksh" | "oksh" | "zsh"
    )
}

/// What a script of a shell names.
pub fn of(script: &str) -> Survey {
    let mut found = Found::default();
    Scan::new(script, &mut found).all();
    let mut seen = BTreeSet::new();
    let variables = found
        .read
        .into_iter()
        // What is in a function runs when it is called: perhaps behind what sets the variable.
        .filter(|read| !(read.in_function && found.set.contains(&read.variable.name)))
        .map(|read| read.variable)
        .filter(|variable| seen.insert(variable.name.clone()))
        .collect();
    let mut words = found.words;
    words.sort_by_key(|word| word.at);
    Survey {
        variables,
        words,
        prefixes: found.prefixes,
    }
}

/// What is found so far.
#[derive(Debug, Default)]
struct Found {
    /// Variables that the script sets.
    set: BTreeSet<String>,
    /// Functions that it defines.
    functions: BTreeSet<String>,
    /// Variables that it reads and has not set before.
    read: Vec<Read>,
    words: Vec<Spot>,
    prefixes: Vec<Prefix>,
    /// What variables are set to, where the text tells.
    values: BTreeMap<String, Vec<String>>,
    /// Whether it has read commands from elsewhere.
    elsewhere: bool,
}

#[derive(Debug)]
struct Read {
    variable: Variable,
    in_function: bool,
}

/// Whether a shell, or this program, gives the variable a value by itself, or whether it says where
/// and who one is, which counts for no result.
pub fn is_usual(name: &str) -> bool {
    const OF_THE_HOST: &[&str] = &[
        "PATH", "HOME", "TMPDIR", "LANG", "LANGUAGE", "USER", "LOGNAME", "SHELL", "TERM",
        "COLUMNS", "LINES", "HOSTNAME",
    ];
    const OF_SHELLS: &[&str] = &[
        "_",
        "PWD",
        "OLDPWD",
        "IFS",
        "PS1",
        "PS2",
        "PS3",
        "PS4",
        "PPID",
        "UID",
        "EUID",
        "GROUPS",
        "RANDOM",
        "SRANDOM",
        "SECONDS",
        "EPOCHSECONDS",
        "EPOCHREALTIME",
        "LINENO",
        "HOSTTYPE",
        "MACHTYPE",
        "OSTYPE",
        "SHLVL",
        "SHELLOPTS",
        "OPTARG",
        "OPTIND",
        "OPTERR",
        "REPLY",
        "FUNCNAME",
        "PIPESTATUS",
        "DIRSTACK",
        "HISTCMD",
        "MAPFILE",
        "COPROC",
        "KSH_VERSION",
        "ZSH_VERSION",
        "ZSH_NAME",
        "argv",
        "status",
        "pipestatus",
    ];
    OF_THE_HOST.contains(&name)
        || OF_SHELLS.contains(&name)
        || ["LC_", "BASH", "TASK_PIPELINE_"]
            .iter()
            .any(|start| name.starts_with(start))
        || crate::model::task::VARIABLES.contains(&name)
}

#[cfg(test)]
mod tests;
