//! What people mean whose fingers know other tools: words that are taken as they are meant, and errors that say what
//! there is instead.

mod instead;

use std::ffi::OsString;
use std::path::Path;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command};

use super::error::Failure;
use super::usage::{self, value_for_shell};
use crate::manifest::Manifest;
use crate::text::suggest::closest;
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

/// Subcommands that are about no pipeline.
const APART: [&str; 6] = [
    "init",
    "cache-key",
    "schema",
    "completions",
    "man",
    "version",
];

/// Words that are another form of what clap knows, in its form. `words` have two dashes.
pub(super) fn as_meant(root: &Command, words: Vec<OsString>, at: Option<usize>) -> Vec<OsString> {
    let mut words = words;
    let is = |word: &OsString, text: &str| word.to_str() == Some(text);
    let subcommand = at.and_then(|at| words[at].to_str().map(|word| (at, word.to_owned())));
    let has_run = |words: &[OsString]| {
        let mut options = words.iter().skip(1).take_while(|word| !is(word, "--"));
        options.any(|word| is(word, "--run"))
    };
    match subcommand {
        Some((at, word)) if word == "run" => {
            if has_run(&words) {
                words.remove(at);
            } else {
                words[at] = "--run".into();
            }
        }
        // Of a call without a subcommand there is nothing else to be tried out.
        None => {
            let dry = |word: &OsString| is(word, "--dry-run") || is(word, "-n");
            // These have no run with them.
            let alone = ["--sample", "--accept"];
            let other = |word: &OsString| alone.iter().any(|option| is(word, option));
            let options = words.iter().skip(1).take_while(|word| !is(word, "--"));
            if options.clone().any(dry) && !options.clone().any(other) && !has_run(&words) {
                words.insert(1, "--run".into());
            }
        }
        Some((at, word)) => {
            // As make has it.
            if word == "help" && words.get(at + 1).is_some_and(|next| is(next, "run")) {
                words.remove(at + 1);
            }
            let _ = root;
        }
    }
    words
}

/// The same error in this program's words, with what there is instead; none where there is no such thing.
pub(super) fn told(
    root: &Command,
    error: &clap::Error,
    subcommand: Option<&str>,
    words: &[OsString],
    manifest: impl FnOnce() -> Option<Manifest>,
) -> Option<Failure> {
    let behind = words.iter().position(|word| word == "--");
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    #[allow(clippy::wildcard_enum_match_arm)] // Another's.
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let word = context(ContextKind::InvalidSubcommand)?;
            if behind.is_some_and(|at| words[at + 1..].iter().any(|other| other == word)) {
                return Some(behind_dashes(word));
            }
            Some(no_subcommand(root, word, manifest))
        }
        ErrorKind::UnknownArgument => {
            let word = context(ContextKind::InvalidArg)?;
            if word.starts_with('-') {
                Some(no_option(root, word, subcommand, words))
            } else {
                no_word(root, word, subcommand?, manifest)
            }
        }
        _ => None,
    }
}

/// A word behind `--`, where no subcommand is looked for.
fn behind_dashes(word: &str) -> Failure {
    let shown = visible(word);
    let failure = Failure::usage(format!(
        "`{shown}` stands behind `--`, where nothing is expected"
    ));
    failure.hint(format!(
        "leave `--` out{}; it is for the command of `shell STEP -- COMMAND`",
        if word == "run" {
            ": `task-pipeline run`"
        } else {
            ""
        }
    ))
}

fn no_subcommand(
    root: &Command,
    word: &str,
    manifest: impl FnOnce() -> Option<Manifest>,
) -> Failure {
    let shown = visible(word);
    if word == "run" {
        return Failure::usage("`run` is there twice").hint("leave one of them out");
    }
    if word.is_empty() {
        return Failure::usage("an empty word is no subcommand")
            .hint("leave it out; if it is a variable in quotes, that has no value");
    }
    let failure = Failure::usage(format!("there is no subcommand `{shown}`"));
    if is_manifest(word) {
        return failure.hint(format!(
            "{shown} is a file: `task-pipeline run -f{}` runs the pipeline of that manifest",
            value_for_shell(word, "FILE")
        ));
    }
    let steps = manifest().map_or_else(Vec::new, |manifest| manifest.steps);
    if steps.iter().any(|step| step.name.as_str() == word) {
        return failure.hint(format!(
            "{shown} is a step: `run -only {shown}` runs what is to be done of it, `run -start {shown}` all of it again, `log \
             {shown}` shows what it wrote"
        ));
    }
    if let Some(words) = answer(instead::SUBCOMMANDS, word) {
        return failure.hint(words);
    }
    if has_option(root, word) {
        return failure.hint(format!("it is an option: `task-pipeline run -{shown}`"));
    }
    let own = root.get_subcommands().filter(|one| !one.is_hide_set());
    let own: Vec<&str> = own.map(Command::get_name).chain(["run", "help"]).collect();
    let of_steps: Vec<&str> = steps.iter().map(|step| step.name.as_str()).collect();
    // Of those that are as near, what is here is more likely than what another tool has.
    let here = own.iter().chain(&of_steps).copied();
    if let Some(near) = closest(word, here.chain(long_words(instead::SUBCOMMANDS))) {
        return failure.hint(if own.contains(&near) {
            format!("did you mean `{near}`?")
        } else if of_steps.contains(&near) {
            format!(
                "did you mean the step {near}? `run -only {near}` runs what is to be done of it"
            )
        } else {
            answer(instead::SUBCOMMANDS, near)
                .unwrap_or_default()
                .to_owned()
        });
    }
    failure.hint("`task-pipeline help` lists what there is; `task-pipeline run` runs the pipeline")
}

/// Whether it is the name of an option of the command, without its dash.
fn has_option(command: &Command, word: &str) -> bool {
    let mut options = command.get_arguments();
    options.any(|option| option.get_long() == Some(word) && !option.is_hide_set())
}

/// Whether it is a file that could be a manifest.
fn is_manifest(word: &str) -> bool {
    let path = Path::new(word);
    path.extension().is_some_and(|end| end == "toml") && path.is_file()
}

/// A word where the subcommand takes no more of them; none where there is no better hint than its help.
fn no_word(
    root: &Command,
    word: &str,
    subcommand: &str,
    manifest: impl FnOnce() -> Option<Manifest>,
) -> Option<Failure> {
    let command = root.find_subcommand(subcommand)?;
    let (name, shown) = (command.get_name(), visible(word));
    let failure = Failure::usage(format!("`{name}` takes no word more, and `{shown}` is one"));
    if is_manifest(word) {
        let value = value_for_shell(word, "FILE");
        return Some(failure.hint(format!("{shown} is a file: -f{value} names the manifest")));
    }
    if has_option(command, word) {
        return Some(failure.hint(format!("did you mean -{shown}?")));
    }
    if APART.contains(&name) {
        return None;
    }
    let steps = manifest().map_or_else(Vec::new, |manifest| manifest.steps);
    let names = steps.iter().map(|step| step.name.as_str());
    let step = names.clone().find(|name| *name == word);
    let step = step.or_else(|| closest(word, names))?;
    Some(failure.hint(if has_option(command, "step") {
        format!("did you mean the step: -step {step}?")
    } else {
        format!(
            "{step} is a step: `tasks -step {step}` lists its tasks, `log {step}` shows what they wrote, `why {step}` says why it \
             runs; `{name}` is about all steps"
        )
    }))
}

fn no_option(root: &Command, word: &str, subcommand: Option<&str>, words: &[OsString]) -> Failure {
    let name = word.trim_start_matches('-');
    let name = name.split('=').next().unwrap_or(name);
    let shown = visible(name);
    let command = subcommand.and_then(|name| root.find_subcommand(name));
    let of = command.map_or_else(String::new, |command| {
        format!(" for `{}`", command.get_name())
    });
    let given = format!("{word}=");
    let mut others = words.iter().filter_map(|other| other.to_str());
    let gets_value = others.any(|other| other.starts_with(&given));
    let flag = |option: &&Arg| {
        let is_it = option.get_long() == Some(name)
            || option
                .get_short()
                .is_some_and(|short| name == short.to_string());
        is_it && !option.get_action().takes_values()
    };
    let alone = |name: &str| {
        Failure::usage(format!("-{name} takes no value"))
            .hint(format!("write -{name} alone, or leave it out"))
    };
    if gets_value
        && command
            .unwrap_or(root)
            .get_arguments()
            .any(|option| flag(&option))
    {
        return alone(&shown);
    }
    if name.is_empty() {
        // Of `-q=true`, clap names what stands behind the letter.
        let mut typed = words.iter().filter_map(|typed| typed.to_str());
        let short = typed.find_map(|typed| typed.strip_prefix('-')?.split_once('='));
        if let Some((short, _)) = short.filter(|(short, _)| short.chars().count() == 1) {
            return alone(short);
        }
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
    if let Some(words) = answer_of(instead::OPTIONS, name, has_own) {
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
    let near = closest(name, long_words(instead::OPTIONS));
    if let Some(words) = near.and_then(|near| answer_of(instead::OPTIONS, near, has_own)) {
        return failure.hint(words);
    }
    if let Some(words) = in_one(command.unwrap_or(root), root, name) {
        return failure.hint(words);
    }
    let help = command.map_or("", Command::get_name);
    let space = if help.is_empty() { "" } else { " " };
    failure.hint(format!("`task-pipeline {help}{space}-help` lists them"))
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
    option.get_action().takes_values().then(|| {
        Failure::usage(format!("-{name}: `{}` is below 0", visible(value))).hint(format!(
            "write it without the dash: -{name} {}",
            visible(&value[1..])
        ))
    })
}

/// The words of a table that others can be near to.
fn long_words<'t>(table: &'t [(&'t [&'t str], &'t str)]) -> impl Iterator<Item = &'t str> {
    let words = table.iter().flat_map(|(words, _)| *words).copied();
    words.filter(|word| word.len() > 3)
}

fn answer(table: &[(&[&str], &'static str)], word: &str) -> Option<&'static str> {
    answer_of(table, word, |_| true)
}

/// The first that begins with an option that there is, or with none.
fn answer_of(
    table: &[(&[&str], &'static str)],
    word: &str,
    has: impl Fn(&str) -> bool,
) -> Option<&'static str> {
    let fits = |words: &str| {
        let first = words.split([' ', ',', ':']).next().unwrap_or_default();
        first.strip_prefix('-').is_none_or(&has)
    };
    let mut rows = table.iter();
    let (_, words) = rows.find(|(names, words)| names.contains(&word) && fits(words))?;
    Some(words)
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
    if rest.is_empty() {
        return None;
    }
    if short(first)?.get_action().takes_values() {
        return Some(format!("did you mean -{first} {rest}?"));
    }
    let is_flag = |c: char| short(c).is_some_and(|option| !option.get_action().takes_values());
    let each: Vec<String> = word.chars().map(|c| format!("-{c}")).collect();
    let all = word.chars().all(is_flag);
    all.then(|| format!("each has a dash of its own: {}", each.join(" ")))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::super::arguments::Arguments;
    use super::*;

    #[test]
    fn nothing_that_there_is_has_something_instead() {
        let root = Arguments::command();
        for (names, words) in instead::SUBCOMMANDS {
            for name in *names {
                assert!(root.find_subcommand(name).is_none(), "{name}");
            }
            assert!(!words.is_empty());
        }
        for (names, _) in instead::OPTIONS {
            for name in *names {
                let mut options = root.get_arguments().filter_map(Arg::get_long);
                assert!(options.all(|option| option != *name), "{name}");
            }
        }
    }
}
