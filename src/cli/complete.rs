//! What can come next on a command line: for the completions of the shells.
//!
//! The scripts of the shells hold nothing of the command line. They call `complete` with the words
//! up to the cursor, and get a line for each word that can stand there: the word, a tab, what it
//! means; `:files`, `:folders` or `:commands` where such can stand, `:files=` where a file can behind a `NAME=`. So
//! options complete with one dash or two, and what the pipeline and its db have by its names.
//!
//! Whoever presses a key waits for nothing: the db is only read, nothing is asked of it that takes long, and
//! what cannot be read is passed over without a word.

mod bash;
mod cursor;
mod known;

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::{Args, Command};
use clap_complete::Shell;

use super::error::Failure;
use super::options::Places;
use super::output::print;
use crate::text::acts;
use bash::Typed;
use cursor::offers;
use known::Known;

/// Words of `complete`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The words are as they stand on bash's line, with quotes; the first is the part of the last that is replaced
    #[arg(long)]
    bash: bool,
    /// The words of the command line up to the cursor, less the first; the last may be empty
    #[arg(value_name = "WORD", last = true)]
    words: Vec<String>,
}

/// The script for a shell that asks `complete`; none for one that does not.
#[allow(clippy::wildcard_enum_match_arm)] // Another's.
pub(super) fn script(shell: Shell) -> Option<&'static str> {
    match shell {
        Shell::Bash => Some(include_str!("complete/task-pipeline.bash")),
        Shell::Zsh => Some(include_str!("complete/task-pipeline.zsh")),
        Shell::Fish => Some(include_str!("complete/task-pipeline.fish")),
        _ => None,
    }
}

/// Prints what can stand in the place of the last word.
pub(super) fn main(
    mut root: Command,
    places: &Places,
    options: &Options,
) -> Result<ExitCode, Failure> {
    root.build();
    let known = Known::at(places.manifest().ok(), places.db.clone());
    print(&answer(&root, known, options))?;
    Ok(ExitCode::SUCCESS)
}

fn answer(root: &Command, mut known: Known, options: &Options) -> String {
    let mut typed = None;
    let plain = match options.words.split_first() {
        Some((replaced, words)) if options.bash => {
            typed = words.last().map(|word| Typed::new(word, replaced));
            words.iter().map(|word| bash::unquoted(word)).collect()
        }
        _ => options.words.clone(),
    };
    // What stands before it is the same for all, and other shells keep it themselves.
    let front = match plain.last().and_then(|word| word.split_once('=')) {
        Some((option, _)) if options.bash && option.starts_with('-') => format!("{option}="),
        _ => String::new(),
    };
    let mut text = String::new();
    for offer in offers(root, &mut known, &plain) {
        let _ = match offer {
            Offer::Word(word, _) if word.contains(acts) => continue,
            Offer::Word(word, help) => match &typed {
                None => writeln!(text, "{word}\t{help}"),
                Some(typed) => match typed.insert(&format!("{front}{word}")) {
                    Some(word) => writeln!(text, "{word}\t{help}"),
                    None => continue,
                },
            },
            Offer::Files => writeln!(text, ":files"),
            Offer::FilesBehind => writeln!(text, ":files="),
            Offer::Folders => writeln!(text, ":folders"),
            Offer::Commands => writeln!(text, ":commands"),
        };
    }
    text
}

/// What can stand somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Offer {
    /// A word and what it means, on one line.
    Word(String, String),
    Files,
    Folders,
    /// Programs.
    Commands,
    /// Files behind the name and `=` that the word begins with.
    FilesBehind,
}

impl Offer {
    fn word(word: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Word(word.into(), help.into())
    }
}

#[cfg(test)]
mod tests;
