//! What is wrong with the words of the command line and has no better hint than their own form: said as all other errors
//! are, with options in the form that the docs have.

use std::error::Error as _;
use std::ffi::{OsStr, OsString};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command};

use super::error::Failure;
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

/// The words as they can be typed once more. What stands behind `-secret` may be the secret itself, though it should not:
/// it is not repeated.
fn again(words: &[String]) -> String {
    let secret = |text: &str| match text.split_once('=') {
        Some((name, _)) => format!("{name}=FILE"),
        None => "NAME=FILE".to_owned(),
    };
    let mut typed = Vec::new();
    let mut is_secret = false;
    for word in words {
        let word = match word.strip_prefix("--secret=") {
            Some(value) => format!("--secret={}", secret(value)),
            None if is_secret => secret(word),
            None => word.clone(),
        };
        is_secret = word == "--secret";
        let option = word
            .strip_prefix('-')
            .filter(|rest| rest.starts_with('-') && rest.len() > 1);
        typed.push(quoted_for_shell(option.unwrap_or(&word)));
    }
    typed.join(" ")
}

/// The word as bash, zsh and fish read it back.
pub(super) fn quoted_for_shell(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./=:,@%+#".contains(c);
    // At the beginning these are a comment, a program's path in zsh, and a process in old fish.
    let special = word.starts_with(['#', '=', '%']);
    if !word.is_empty() && !special && word.chars().all(plain) {
        return word.to_owned();
    }
    let mut quoted = String::from("'");
    for c in word.chars() {
        match c {
            '\'' => quoted.push_str(r"'\''"),
            // Within single quotes it means itself in bash, but not in fish.
            '\\' => quoted.push_str(r#"'"\\"'"#),
            c => quoted.push(c),
        }
    }
    quoted + "'"
}

/// The value of an option as it can be typed behind it, with what stands between; what cannot be typed as it is shown
/// is only called by its kind.
pub(super) fn value_for_shell(value: impl AsRef<OsStr>, kind: &str) -> String {
    let value = value.as_ref().to_str();
    let Some(value) = value.filter(|value| visible(value) == *value) else {
        return format!(" {kind}");
    };
    let space = if value.starts_with('-') { '=' } else { ' ' };
    format!("{space}{}", quoted_for_shell(value))
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
            typed(&["--on-finish", "echo it's --so", "--only", ""]),
            r"-on-finish 'echo it'\''s --so' -only ''"
        );
    }

    #[test]
    fn a_value_can_be_typed_in_each_shell() {
        for (value, typed) in [
            ("db", " db"),
            ("my db", " 'my db'"),
            ("#d", " '#d'"),
            ("=ls", " '=ls'"),
            ("%self", " '%self'"),
            ("a#b=c%", " a#b=c%"),
            ("-dash", "=-dash"),
            ("- $x", "='- $x'"),
            (r"a\b", r#" 'a'"\\"'b'"#),
            (r"end\", r#" 'end'"\\"''"#),
            ("a\nb", " DIR"),
            ("\u{1f469}\u{200d}\u{1f4bb}", " DIR"),
        ] {
            assert_eq!(value_for_shell(value, "DIR"), typed, "{value}");
        }
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
