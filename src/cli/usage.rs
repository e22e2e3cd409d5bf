//! What is wrong with the words of the command line and has no better hint than their own form: said as all other errors
//! are, with options in the form that the docs have.

use std::error::Error as _;
use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command};

use super::error::Failure;
use crate::text::typed::quoted_for_shell;
use crate::text::{quoted, visible};

/// What was typed.
pub(super) struct Call {
    /// The program with its subcommand.
    name: String,
    /// The words behind those.
    typed: Vec<String>,
    /// The first option among them that goes with another one.
    depends: Option<String>,
}

impl Call {
    /// Of words in clap's form, with two dashes.
    pub(super) fn of(root: &Command, subcommand: Option<&str>, words: &[OsString]) -> Self {
        let command = subcommand.and_then(|name| root.find_subcommand(name));
        let mut typed = words
            .iter()
            .skip(1)
            .map(|word| word.to_string_lossy().into_owned());
        let typed: Vec<String> = match command {
            Some(command) => typed.filter(|word| word != command.get_name()).collect(),
            None => typed.by_ref().collect(),
        };
        let goes_with = |option: &&Arg| {
            let help = option.get_help().map(ToString::to_string);
            help.is_some_and(|help| help.starts_with("With -"))
        };
        let depends = typed
            .iter()
            .take_while(|word| *word != "--")
            .find_map(|word| {
                let mut options = command.unwrap_or(root).get_arguments().filter(goes_with);
                let name = word.split('=').next().unwrap_or_default();
                let option = options.find(|option| match name.strip_prefix("--") {
                    Some(name) => option.get_long() == Some(name),
                    None => name
                        .strip_prefix('-')
                        .and_then(|name| name.chars().next())
                        .is_some_and(|c| option.get_short() == Some(c)),
                });
                option.and_then(Arg::get_long).map(str::to_owned)
            });
        let name = match command {
            Some(command) => format!("task-pipeline {}", command.get_name()),
            None => "task-pipeline".to_owned(),
        };
        Self {
            name,
            typed,
            depends,
        }
    }
}

/// The same error in this program's form.
pub(super) fn told(error: &clap::Error, call: &Call) -> Failure {
    let command = &call.name;
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let of = |kind| ours(text(kind).unwrap_or_default());
    let argument = of(ContextKind::InvalidArg);
    let name = argument.split(' ').next().unwrap_or_default();
    let value = quoted(text(ContextKind::InvalidValue).unwrap_or_default());
    let run = if call.typed.iter().any(|word| word == "--run") {
        " run"
    } else {
        ""
    };
    let help = format!("`{command}{run} -help`");
    #[allow(clippy::wildcard_enum_match_arm)] // Another's.
    match error.kind() {
        ErrorKind::MissingRequiredArgument => missing(error, call),
        ErrorKind::ArgumentConflict => {
            let others = texts(error, ContextKind::PriorArg);
            let others: Vec<&str> = others
                .iter()
                .filter_map(|other| other.split(' ').next())
                .collect();
            let words = match others.as_slice() {
                [] => format!("{name} is there twice"),
                [one] if *one == name => format!("{name} is there twice"),
                others => {
                    let others = others.join(" and ").replace('|', " or ");
                    format!("{name} does not go with {others}")
                }
            };
            Failure::usage(words).hint("leave one of them out")
        }
        ErrorKind::InvalidValue if value == quoted("") => {
            Failure::usage(format!("{name} needs a value, and has none"))
                .hint(format!("write {argument}; {help} explains it"))
        }
        ErrorKind::InvalidValue => {
            let known = texts(error, ContextKind::ValidValue);
            let words = if name.starts_with('-') {
                format!("{name} has no value {value}")
            } else {
                format!("{value} is no {name}")
            };
            let near = text(ContextKind::SuggestedValue);
            let known = known.join(", ");
            Failure::usage(words).hint(near.map_or_else(
                || format!("it is one of {known}"),
                |near| format!("did you mean `{near}`? It is one of {known}"),
            ))
        }
        ErrorKind::ValueValidation => {
            let why = error.source().map_or_else(String::new, ToString::to_string);
            Failure::usage(format!("{name}: {why}")).hint(format!("{help} explains {argument}"))
        }
        ErrorKind::TooManyValues => {
            Failure::usage(format!("{name} takes no value, and {value} is one"))
                .hint(format!("write {name} alone"))
        }
        ErrorKind::UnknownArgument => Failure::usage(format!(
            "`{command}` takes no word more, and {} is one",
            quoted(name)
        ))
        .hint(format!("{help} shows what it takes")),
        ErrorKind::InvalidUtf8 => Failure::usage(
            "a word of the command line is invalid UTF-8, and only paths may be that",
        )
        .hint("type it again; where it names a file of that name, rename the file"),
        _ => {
            let all = error.render().to_string();
            let line = all.lines().next().unwrap_or_default();
            Failure::usage(one_dash(line.trim_start_matches("error: ")))
                .hint(format!("{help} shows what it takes"))
        }
    }
}

/// What there is for `-n 3` where that stands for lines.
pub(super) fn so_many(number: u32, subcommand: &Command) -> Failure {
    let name = subcommand.get_name();
    let mut options = subcommand.get_arguments().filter_map(Arg::get_long);
    let limits = options.any(|option| option == "limit");
    Failure::usage(format!("`{name}` has no -n; nothing was done")).hint(if limits {
        format!("-limit {number} shows so many")
    } else {
        format!("`task-pipeline {name} … | tail -n {number}` shows the last {number} lines")
    })
}

/// A word, or an option, without which the others are of no use.
fn missing(error: &clap::Error, call: &Call) -> Failure {
    let missing = texts(error, ContextKind::InvalidArg);
    let command = &call.name;
    if missing.iter().all(|one| !one.starts_with('-')) {
        let words = missing.join(" and ").replace('|', " or ");
        // What stands behind `--` is another program's.
        let end = call.typed.iter().position(|word| word == "--");
        let (typed, behind) = call.typed.split_at(end.unwrap_or(call.typed.len()));
        let mut ways = vec![format!("{command} {}", again(typed)).trim_end().to_owned()];
        for one in &missing {
            let forms = one.split('|');
            ways = ways
                .iter()
                .flat_map(|way| forms.clone().map(move |form| format!("{way} {form}")))
                .collect();
        }
        let whole = |way: &String| format!("`{}`", format!("{way} {}", again(behind)).trim_end());
        let ways: Vec<String> = ways.iter().map(whole).collect();
        let hint = format!("type {}; `{command} -help` explains it", ways.join(" or "));
        return Failure::usage(format!("`{command}` needs {words}, and there is none")).hint(hint);
    }
    // Of several that would do, the first.
    let ways = missing
        .iter()
        .map(|one| one.split(" or ").next().unwrap_or_default());
    let way = ways.collect::<Vec<_>>().join(" ");
    let way = way
        .strip_prefix("-run")
        .map_or(way.clone(), |rest| format!("run{rest}"));
    let typed = again(&call.typed);
    let whose = call.depends.as_ref().map_or_else(String::new, |option| {
        format!(": -{option} does nothing without it")
    });
    Failure::usage(format!("{} is missing{whose}", missing.join(" and ")))
        .hint(format!("type `{command} {way} {typed}`"))
}

/// The words as they can be typed once more. What stands behind `-secret` or `-cache-key` may be the secret itself, though it
/// should not: it is not repeated.
fn again(words: &[String]) -> String {
    let mut typed = Vec::new();
    let mut before = "";
    for word in words {
        let shown = match word.split_once('=') {
            Some((option, value)) if HIDING.contains(&option) => {
                format!("{option}={}", hidden(option, value))
            }
            _ if HIDING.contains(&before) => hidden(before, word),
            _ => word.clone(),
        };
        before = word;
        let option = shown
            .strip_prefix('-')
            .filter(|rest| rest.starts_with('-') && rest.len() > 1);
        typed.push(quoted_for_shell(option.unwrap_or(&shown)));
    }
    typed.join(" ")
}

/// Options whose value may be a secret by mistake.
const HIDING: [&str; 2] = ["--secret", "--cache-key"];

/// Such a value, without what may be a secret in it.
fn hidden(option: &str, value: &str) -> String {
    match value.split_once('=') {
        Some((name, _)) if option == "--secret" => format!("{name}=FILE"),
        None if option == "--secret" => "NAME=FILE".to_owned(),
        _ if value.contains(':') && !value.starts_with("env:") => "FILE".to_owned(),
        _ => value.to_owned(),
    }
}

fn texts(error: &clap::Error, kind: ContextKind) -> Vec<String> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => vec![ours(text)],
        Some(ContextValue::Strings(texts)) => texts.iter().map(|text| ours(text)).collect(),
        _ => Vec::new(),
    }
}

/// `--older-than <TIME>` is `-older-than TIME`, `<--run|--sample <N>>` is `-run or -sample N`.
fn ours(form: &str) -> String {
    let form = form.trim_end_matches("...");
    let bare: String = form.chars().filter(|c| !"<>[]".contains(*c)).collect();
    let bare = if bare.starts_with('-') {
        bare.replace('|', " or ")
    } else {
        bare
    };
    visible(&one_dash(&bare))
}

fn one_dash(text: &str) -> String {
    let words = text.split(' ').map(|word| match word.split_once("--") {
        Some((front, name)) if name.starts_with(|c: char| c.is_ascii_alphabetic()) => {
            format!("{front}-{name}")
        }
        _ => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_typed_again_has_no_secret_and_reaches_the_program_as_it_is() {
        let typed = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            again(&words)
        };
        assert_eq!(
            typed(&["--secret", "token=hunter2", "-j", "2", "--secret=b=x"]),
            "-secret token=FILE -j 2 -secret=b=FILE"
        );
        assert_eq!(typed(&["--secret", "hunter2"]), "-secret NAME=FILE");
        assert_eq!(
            typed(&["--cache-key", "ci-1:c2VjcmV0", "--cache-key=env:KEY"]),
            "-cache-key FILE -cache-key=env:KEY"
        );
        assert_eq!(typed(&["--cache-key", "ci.key"]), "-cache-key ci.key");
        assert_eq!(
            typed(&["--on-finish", "echo it's --so", "--only", ""]),
            r"-on-finish 'echo it'\''s --so' -only ''"
        );
    }

    #[test]
    fn options_have_the_form_of_the_docs() {
        for (theirs, form) in [
            ("--older-than <TIME>", "-older-than TIME"),
            ("<--run|--sample <N>>", "-run or -sample N"),
            ("<TASK|STEP>...", "TASK|STEP"),
            ("[FORMAT]", "FORMAT"),
            ("--", "--"),
        ] {
            assert_eq!(ours(theirs), form);
        }
    }
}
