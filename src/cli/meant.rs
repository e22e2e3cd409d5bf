//! What people mean whose fingers know other tools: words that are taken as they are meant, and errors that say what
//! there is instead.

mod instead;
mod option;

use std::ffi::OsString;
use std::path::Path;

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::error::Failure;
use super::secrets;
use crate::manifest::Manifest;
use crate::text::suggest::closest;
use crate::text::typed::{operand_for_shell, value_for_shell};
use crate::text::visible;

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
    let typed = &words[..behind.unwrap_or(words.len())];
    if is_unformed_secret(typed) {
        return Some(secrets::malformed());
    }
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
                Some(option::unknown(root, word, subcommand, words))
            } else {
                no_word(root, word, subcommand?, manifest)
            }
        }
        _ => None,
    }
}

/// Whether what stands behind `-secret` is of another form, so that it, or the word behind it, may be the secret.
fn is_unformed_secret(typed: &[OsString]) -> bool {
    let mut pairs = typed.windows(2);
    pairs.any(|pair| pair[0] == "--secret" && !pair[1].to_string_lossy().contains('='))
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
        let [value, name] = [value_for_shell(word, "STEP"), operand_for_shell(word)];
        return failure.hint(format!(
            "{shown} is a step: `run -only{value}` runs what is to be done of it, `run -start{value}` all of it again, \
             `log{name}` shows what it wrote"
        ));
    }
    if let Some(words) = instead::answer(instead::SUBCOMMANDS, word) {
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
    if let Some(near) = closest(word, here.chain(instead::long_words(instead::SUBCOMMANDS))) {
        return failure.hint(if own.contains(&near) {
            format!("did you mean `{near}`?")
        } else if of_steps.contains(&near) {
            format!(
                "did you mean the step {}? `run -only{}` runs what is to be done of it",
                visible(near),
                value_for_shell(near, "STEP")
            )
        } else {
            instead::answer(instead::SUBCOMMANDS, near)
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
        format!(
            "did you mean the step: -step{}?",
            value_for_shell(step, "STEP")
        )
    } else {
        let [value, operand] = [value_for_shell(step, "STEP"), operand_for_shell(step)];
        format!(
            "{} is a step: `tasks -step{value}` lists its tasks, `log{operand}` shows what they wrote, `why{operand}` \
             says why it runs; `{name}` is about all steps",
            visible(step)
        )
    }))
}

#[cfg(test)]
mod tests {
    use clap::{Arg, CommandFactory};

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
