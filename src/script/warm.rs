//! Warm shells: which scripts one shell can run again and again, each time in a subshell, so that
//! the script cannot tell, and the text of the loop in which it does.
//!
//! A fork of a running shell costs a fraction of starting one. But a subshell is not a shell:
//! `$$` is its parent's, job control and traps are not quite its own, and what ends a whole shell
//! ends only it. So a script is looked at for everything that could show the difference. This is
//! a look at its text and not a parser: what is not certainly safe is to run in a shell of its own.

mod calls;
mod programs;
mod scan;

use std::fmt;

use crate::script::shell::Shell;

/// Why a script must have a shell of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// The program is neither dash nor bash.
    Shell,
    /// This argument of the shell.
    Argument(String),
    /// The script mentions this.
    Mention(String),
    /// A variable of the environment.
    Variable(String),
    /// The script goes on beyond its end.
    Open,
    /// It has this, which is not read by [`calls`].
    Unread(String),
    /// It calls this, which could tell what group of processes it is in.
    Unknown(String),
    /// It speaks of `/proc`.
    Processes,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shell => f.write_str("the shell is neither dash nor bash"),
            Self::Argument(argument) => write!(f, "of the shell's argument `{argument}`"),
            Self::Mention(word) => write!(f, "the script mentions `{word}`"),
            Self::Variable(name) => write!(f, "the variable `{name}` is set"),
            Self::Open => f.write_str("the script ends with a backslash"),
            Self::Unread(what) => write!(f, "the script cannot be read beyond `{what}`"),
            Self::Unknown(what) => write!(f, "`{what}` in the script is not known"),
            Self::Processes => f.write_str("the script mentions /proc"),
        }
    }
}

/// A script that a warm shell can run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    shell: Shell,
    /// What switches on the options that the shell would have been started with.
    options: String,
    text: String,
}

/// Whether `/proc`, or something in a folder `proc`, could be meant.
fn speaks_of_proc(text: &str) -> bool {
    text.match_indices("proc").any(|(at, name)| {
        let (before, after) = (&text[..at], &text[at + name.len()..]);
        let is_longer = after.starts_with(|c: char| c.is_alphanumeric() || "_-.".contains(c));
        let above = before.strip_suffix('/');
        (above.is_some() && !is_longer || after.starts_with('/'))
            && !above.is_some_and(|above| ends_with_place(text, above))
    })
}

/// Whether that ends with one of [`PLACES`], which are never empty, and the script gives it no other value.
fn ends_with_place(text: &str, above: &str) -> bool {
    let above = above.trim_end_matches(['"', '\'']);
    PLACES.iter().any(|place| {
        let forms = [format!("${place}"), format!("${{{place}}}")];
        let mut all = text.match_indices(place).map(|(at, _)| &text[..at]);
        forms.iter().any(|form| above.ends_with(form.as_str()))
            && all.all(|before| before.ends_with('$') || before.ends_with("${"))
    })
}

/// Variables whose values arrive anew with each task.
pub const TASK: [&str; 2] = ["TASK_PIPELINE_TASK", "TASK_PIPELINE_INPUT_NAME"];
/// Variables whose values arrive only when they have changed.
pub const PLACES: [&str; 3] = ["INPUT_FILE", "OUTPUT_DIR", "TMPDIR"];

impl Script {
    /// `arguments`: those of the shell before the script. `shell`: as far as it is known.
    pub fn new(shell: Option<Shell>, arguments: &[String], text: &str) -> Result<Self, Obstacle> {
        let options = options(arguments)?;
        let strict = options.contains(" -e") || options.contains(" errexit");
        scan::obstacle(text).map_or(Ok(()), |word| Err(Obstacle::Mention(word)))?;
        if shell == Some(Shell::Bash) {
            // Where an expansion fails, bash gives up a line or all, a subshell always all.
            if !strict {
                return Err(Obstacle::Argument("-c without -e".to_owned()));
            }
            scan::obstacle_in_bash(text).map_or(Ok(()), |word| Err(Obstacle::Mention(word)))?;
        }
        if text.ends_with('\\') {
            return Err(Obstacle::Open);
        }
        Ok(Self {
            shell: shell.unwrap_or(Shell::Dash),
            options,
            text: text.to_owned(),
        })
    }

    /// The programs that it calls, where it is certain that neither they nor anything else in it
    /// can tell that they run in the process group of the warm shell.
    pub fn unnoticed(&self) -> Result<Vec<String>, Obstacle> {
        let quotes = |c: &char| !matches!(c, '\\' | '"' | '\'');
        let bare: String = self.text.chars().filter(quotes).collect();
        if speaks_of_proc(&self.text) || speaks_of_proc(&bare) {
            return Err(Obstacle::Processes);
        }
        let calls = calls::of(&self.text).map_err(Obstacle::Unread)?;
        programs::of(&calls).map_err(Obstacle::Unknown)
    }

    /// The shell that this is for.
    pub fn shell(&self) -> Shell {
        self.shell
    }

    /// What the warm shell runs.
    ///
    /// It reads lines from standard input and writes one to the FIFO when it is ready and one with
    /// the exit status after each task. The line `+` is followed by values of [`PLACES`]; any
    /// other begins the values of [`TASK`], on which it runs the script. The script begins on the
    /// first line, for messages to tell the same line numbers as those of a plain shell.
    pub fn looped(&self, fifo: &str) -> String {
        let Self { options, text, .. } = self;
        let fifo = quoted(fifo);
        let [task, name] = TASK;
        let [input, output, temporary] = PLACES;
        // Opened for reading too: for writing alone it would wait for ever, were this program
        // killed before that.
        // What bash says of a subshell that a signal ended is no word of the task: a shell of its
        // own would have become the command that was hit. dash does not do that, and says it.
        let (take, give) = match self.shell {
            Shell::Dash => ("", ""),
            Shell::Bash => (" 8>&2 2>&1", " 2>&8 8>&-"),
        };
        format!(
            "exec 7>&1 1<>{fifo}{take};echo 0;while IFS= read -r {task};do case ${task} in +)\
             IFS= read -r {input};IFS= read -r {output};IFS= read -r {temporary};continue;esac;\
             IFS= read -r {name};({options} {text}\n)</dev/null >&7{give} 7>&-;echo $?;done"
        )
    }
}

/// Variables of the environment with which a warm shell would not do the same each time.
pub fn variable(name: &str) -> Option<Obstacle> {
    let bad = name.starts_with("BASH")
        || matches!(name, "SHELLOPTS" | "POSIXLY_CORRECT" | "TMOUT" | "IFS");
    bad.then(|| Obstacle::Variable(name.to_owned()))
}

/// What the arguments before a script come to, as a command.
fn options(arguments: &[String]) -> Result<String, Obstacle> {
    let bad = |argument: &str| Err(Obstacle::Argument(argument.to_owned()));
    let mut words = String::new();
    let mut rest = arguments.iter();
    let mut command = false;
    while let Some(argument) = rest.next() {
        let Some(letters) = argument.strip_prefix('-') else {
            return bad(argument);
        };
        // After `-c` comes the script.
        if command || letters.is_empty() {
            return bad(argument);
        }
        let mut named = false;
        for letter in letters.chars() {
            match letter {
                'c' => command = true,
                'o' if !named => named = true,
                'e' | 'u' | 'x' | 'f' | 'C' => words.extend([" -", &letter.to_string()]),
                _ => return bad(argument),
            }
        }
        if named {
            match rest.next() {
                Some(name) if scan::is_option(name) => words.extend([" -o ", name]),
                _ => return bad(argument),
            }
        }
    }
    if !command {
        return bad(arguments.last().map_or("", String::as_str));
    }
    Ok(if words.is_empty() {
        words
    } else {
        format!("set{words};")
    })
}

/// As one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests;
