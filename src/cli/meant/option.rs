//! Options that there are none of, and what is meant.

use std::ffi::OsString;

use clap::builder::ValueParser;
use clap::{Arg, Command};

use super::instead;
use crate::cli::error::Failure;
use crate::cli::usage;
use crate::text::suggest::closest;
use crate::text::typed::quoted_for_shell;
use crate::text::visible;

/// What tasks can be, by which they are asked for.
const STATES: [&str; 6] = [
    "pending",
    "failed",
    "done",
    "reused",
    "tainted",
    "superseded",
];

/// There is no such option: what there is instead.
pub(super) fn unknown(
    root: &Command,
    word: &str,
    subcommand: Option<&str>,
    words: &[OsString],
) -> Failure {
    let name = word.trim_start_matches('-');
    let name = name.split('=').next().unwrap_or(name);
    let shown = visible(name);
    let command = subcommand.and_then(|name| root.find_subcommand(name));
    let of = command.map_or_else(String::new, |command| {
        format!(" for `{}`", command.get_name())
    });
    if let Some(flag) = flag_with_value(command.unwrap_or(root), word, words) {
        return flag;
    }
    if word.starts_with("--") && is_letter(command.unwrap_or(root), root, name) {
        return Failure::usage(format!("-{shown} has one dash, and two were typed"))
            .hint(format!("type -{shown}"));
    }
    let failure = Failure::usage(format!("there is no option -{shown}{of}"));
    if name == "list" && command.is_some_and(|command| command.get_name() == "init") {
        return failure.hint("`task-pipeline init -help` lists the templates");
    }
    let own: Vec<&str> = command
        .unwrap_or(root)
        .get_arguments()
        .chain(root.get_arguments().filter(|option| option.is_global_set()))
        .filter(|option| !option.is_hide_set())
        .filter_map(Arg::get_long)
        .collect();
    if own.contains(&"state") && STATES.contains(&name) {
        return failure.hint(format!("-state {shown} lists those"));
    }
    let lines = name
        .strip_prefix('n')
        .and_then(|number| number.parse().ok());
    if let (Some(number), Some(command)) = (lines, command) {
        return usage::so_many(number, command);
    }
    if let Some(below) = below_zero(command.unwrap_or(root), word, words) {
        return below;
    }
    // A word of another tool may look like the opposite of what it means.
    let has_own = |option: &str| own.contains(&option);
    if let Some(words) = instead::answer_of(instead::OPTIONS, name, has_own) {
        return failure.hint(words);
    }
    let known = own.iter().copied().chain(["help", "version"]);
    let begins = |option: &&str| name.len() > 2 && option.starts_with(name);
    let near = known.clone().find(begins);
    if let Some(near) = near.or_else(|| closest(name, known)) {
        return failure.hint(format!("did you mean -{near}?"));
    }
    if name == "n" && own.contains(&"dry-run") {
        return failure.hint("did you mean -dry-run?");
    }
    let has = |command: &&Command| {
        let mut options = command.get_arguments().filter_map(Arg::get_long);
        options.any(|option| option == name)
    };
    if command.is_some() && has(&root) {
        return failure.hint(format!("-{shown} is an option of `task-pipeline run`"));
    }
    let mut others = root.get_subcommands().filter(|one| !one.is_hide_set());
    if let Some(other) = others.find(has) {
        return failure.hint(format!("-{shown} is an option of `{}`", other.get_name()));
    }
    let near = closest(name, instead::long_words(instead::OPTIONS));
    if let Some(words) = near.and_then(|near| instead::answer_of(instead::OPTIONS, near, has_own)) {
        return failure.hint(words);
    }
    if let Some(words) = in_one(command.unwrap_or(root), root, name) {
        return failure.hint(words);
    }
    let help = command.map_or("", Command::get_name);
    let space = if help.is_empty() { "" } else { " " };
    failure.hint(format!("`task-pipeline {help}{space}-help` lists them"))
}

/// A value behind an option that takes none, which `word` is or begins with.
fn flag_with_value(command: &Command, word: &str, words: &[OsString]) -> Option<Failure> {
    let name = word.trim_start_matches('-');
    let name = name.split('=').next().unwrap_or(name);
    let given = format!("{word}=");
    let typed = || words.iter().filter_map(|typed| typed.to_str());
    let is_flag = |option: &Arg| {
        let short = option.get_short();
        let is_it = option.get_long() == Some(name) || short.is_some_and(|c| name == c.to_string());
        is_it && !option.get_action().takes_values()
    };
    let alone = |name: &str| {
        Failure::usage(format!("-{name} takes no value"))
            .hint(format!("write -{name} alone, or leave it out"))
    };
    if typed().any(|typed| typed.starts_with(&given)) && command.get_arguments().any(is_flag) {
        return Some(alone(&visible(name)));
    }
    if name.is_empty() {
        // Of `-q=true`, clap names what stands behind the letter.
        let (short, _) = typed().find_map(|typed| typed.strip_prefix('-')?.split_once('='))?;
        return (short.chars().count() == 1).then(|| alone(short));
    }
    None
}

/// Whether there is an option of that letter.
fn is_letter(command: &Command, root: &Command, name: &str) -> bool {
    let globals = root.get_arguments().filter(|option| option.is_global_set());
    let all = command.get_arguments().chain(globals);
    let mut letters = all.filter_map(Arg::get_short).chain(['h']);
    letters.any(|c| name == c.to_string())
}

/// The value of an option that is written as one below 0, such as `-3d`, which `word` is the start of.
fn below_zero(command: &Command, word: &str, words: &[OsString]) -> Option<Failure> {
    let digits = word.strip_prefix('-')?;
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let mut pairs = words.windows(2).filter_map(|pair| {
        let value = pair[1].to_str().filter(|value| value.starts_with(word))?;
        Some((pair[0].to_str()?.strip_prefix("--")?, value))
    });
    let (name, value) = pairs.next()?;
    let mut options = command.get_arguments();
    let option = options.find(|option| option.get_long() == Some(name))?;
    if !option.get_action().takes_values() {
        return None;
    }
    let shown = visible(value);
    Some(if takes_any_text(option) {
        Failure::usage(format!("-{name}: `{shown}` looks like an option"))
            .hint(format!("as a value: -{name}={}", quoted_for_shell(value)))
    } else {
        Failure::usage(format!("-{name}: `{shown}` is below 0")).hint(format!(
            "write it without the dash: -{name} {}",
            visible(&value[1..])
        ))
    })
}

/// Whether the option's value is no number.
fn takes_any_text(option: &Arg) -> bool {
    let texts = [
        ValueParser::string().type_id(),
        ValueParser::os_string().type_id(),
        ValueParser::path_buf().type_id(),
    ];
    texts.contains(&option.get_value_parser().type_id())
}

/// What to type for several short options in one word, or one with its value.
fn in_one(command: &Command, root: &Command, word: &str) -> Option<String> {
    let short = |c: char| {
        let globals = root.get_arguments().filter(|option| option.is_global_set());
        let mut all = command.get_arguments().chain(globals);
        all.find(|option| option.get_short() == Some(c))
    };
    let mut letters = word.chars();
    let first = letters.next()?;
    let rest = letters.as_str();
    if rest.is_empty() || rest.starts_with('-') {
        return None;
    }
    if short(first)?.get_action().takes_values() {
        return Some(format!("did you mean -{first} {rest}?"));
    }
    let is_flag = |c: char| short(c).is_some_and(|option| !option.get_action().takes_values());
    if !word.chars().all(is_flag) {
        return None;
    }
    let mut each: Vec<String> = word.chars().map(|c| format!("-{c}")).collect();
    each.sort();
    each.dedup();
    Some(match each.as_slice() {
        [only] => format!("did you mean {only}? Once is enough"),
        each => format!("each has a dash of its own: {}", each.join(" ")),
    })
}
