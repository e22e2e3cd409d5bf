//! The words of the command line, before they are parsed: one dash for two, and options in front
//! of a subcommand.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::ValueParser;
use clap::{Arg, Command, ValueEnum as _};

use super::error::Failure;
use super::{meant, usage};
use crate::out::WhenColours;
use crate::text::{quoted, visible};

/// What reads a path.
const PATH: ValueParser = ValueParser::path_buf();

/// Turns `-name` into `--name`, for names of more than one letter.
pub(super) fn two_dashes(words: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut only_values = false;
    words
        .into_iter()
        .map(|word| {
            only_values |= word == "--";
            let long = word.to_str().is_some_and(|text| {
                text.strip_prefix('-').is_some_and(|rest| {
                    // `-j4` is `-j 4`.
                    let number = rest.strip_prefix('j').unwrap_or_default();
                    let is_jobs = number.starts_with(|c: char| c.is_ascii_digit());
                    // And `-j=4`.
                    let is_short = rest.as_bytes().get(1) == Some(&b'=');
                    rest.len() > 1
                        && rest.starts_with(|c: char| c.is_ascii_alphabetic())
                        && !is_jobs
                        && !is_short
                })
            });
            if !long || only_values {
                return word;
            }
            let mut two = OsString::from("-");
            two.push(word);
            two
        })
        .collect()
}

/// Whether the words ask for JSON, as far as that can be told of words that are wrong elsewhere.
pub(super) fn ask_for_json(words: &[OsString]) -> bool {
    let mut words = words.iter().skip(1).take_while(|word| *word != "--");
    let mut json = false;
    while let Some(word) = words.next() {
        if word == "--log-format" {
            json = words.next().is_some_and(|value| value == "json");
        } else if word == "--log-format=json" {
            json = true;
        }
    }
    json
}

/// When the words want colours, as far as that can be told of words that are wrong elsewhere.
pub(super) fn ask_for_colours(words: &[OsString]) -> WhenColours {
    let mut words = words.iter().skip(1).take_while(|word| *word != "--");
    let mut when = WhenColours::default();
    while let Some(word) = words.next() {
        let text = word.to_string_lossy();
        let name = text.split('=').next().unwrap_or_default();
        if matches!(name, "--color" | "--colour") {
            let value = match text.split_once('=') {
                Some((_, value)) => value.to_owned(),
                None => words
                    .next()
                    .map_or_else(String::new, |value| value.to_string_lossy().into_owned()),
            };
            when = WhenColours::from_str(&value, false).unwrap_or(when);
        }
    }
    when
}

/// An option means the same before a subcommand as behind it: those before it are moved there. One
/// that the subcommand does not have, but the call without a subcommand, is an error: clap would
/// pass over it where it stands before the subcommand.
///
/// `words` have two dashes. What is wrong with them otherwise is left for clap to tell.
pub(super) fn behind_subcommand(
    root: &Command,
    mut words: Vec<OsString>,
) -> Result<Vec<OsString>, Failure> {
    let at = subcommand_at(root, &words);
    words = meant::as_meant(root, words, at);
    let Some(at) = subcommand_at(root, &words) else {
        return Ok(words);
    };
    let Some(subcommand) = words[at].to_str().and_then(|name| find(root, name)) else {
        return Ok(words);
    };
    let options = words.iter().skip(1).take_while(|word| *word != "--");
    for option in options.filter_map(|word| named(root, word)) {
        if !has(subcommand, option) && !option.is_global_set() {
            return Err(apart(option, subcommand, &words));
        }
    }
    words[1..=at].rotate_right(1);
    Ok(words)
}

/// Fails for `-db=~/there`: most shells leave that as it is, and a folder called `~` is what nobody wants.
///
/// `words` have two dashes.
pub(super) fn check_homes(root: &Command, words: &[OsString]) -> Result<(), Failure> {
    let command = subcommand_of(root, words);
    let command = command.and_then(|name| find(root, &name)).unwrap_or(root);
    let is_path = |option: &Arg| option.get_value_parser().type_id() == PATH.type_id();
    let own = || command.get_arguments().chain(root.get_arguments());
    for word in words.iter().skip(1).take_while(|word| *word != "--") {
        let word = word.to_string_lossy();
        let Some((name, value)) = word.split_once('=') else {
            continue;
        };
        let named = |option: &&Arg| match name.strip_prefix("--") {
            Some(name) => option.get_long() == Some(name),
            None => name
                .strip_prefix('-')
                .is_some_and(|name| option.get_short().is_some_and(|c| name == c.to_string())),
        };
        let at_home = value == "~" || value.starts_with("~/");
        if at_home && own().filter(named).any(is_path) {
            let name = name.trim_start_matches('-');
            return Err(Failure::usage(format!(
                "-{name}: the shell has left the `~` of {} as it is, behind `=`",
                quoted(value)
            ))
            .hint(format!(
                "write a blank for the `=`: -{name} {}; what really has that name is ./{}",
                visible(value),
                visible(value)
            )));
        }
    }
    Ok(())
}

/// Whether they are about `run`: a call of it, or for its help.
pub(super) fn ask_for_run(root: &Command, words: &[OsString]) -> bool {
    let at = subcommand_at(root, words);
    let is = |at: usize, name: &str| words.get(at).is_some_and(|word| word == name);
    match at {
        Some(at) if is(at, "help") => is(at + 1, "run") || is(at + 1, "--run"),
        Some(at) => is(at, "run"),
        None => words
            .iter()
            .take_while(|word| *word != "--")
            .any(|word| word == "--run"),
    }
}

/// `-n 3`, which is the number of lines for `tail` and others.
fn number_behind_n(words: &[OsString]) -> Option<u32> {
    let mut words = words.iter().skip(1).take_while(|word| *word != "--");
    while let Some(word) = words.next() {
        if word == "-n" {
            return words.next()?.to_str()?.parse().ok();
        }
    }
    None
}

fn apart(option: &Arg, subcommand: &Command, words: &[OsString]) -> Failure {
    let number = number_behind_n(words).filter(|_| option.get_short() == Some('n'));
    let option = option.get_long().unwrap_or_default();
    if let Some(number) = number {
        return usage::so_many(number, subcommand);
    }
    let subcommand = subcommand.get_name();
    Failure::usage(format!(
        "-{option} does not go with `{subcommand}`; nothing was done"
    ))
    .hint(format!(
        "leave one of them out; `task-pipeline {subcommand} -help` shows what goes with it"
    ))
}

/// Where the subcommand stands, if only options of `root` and their values stand before it.
pub(super) fn subcommand_at(root: &Command, words: &[OsString]) -> Option<usize> {
    let mut at = 1;
    loop {
        let word = words.get(at)?;
        if !word.as_encoded_bytes().starts_with(b"-") {
            return Some(at);
        }
        let option = named(root, word)?;
        let bytes = word.as_encoded_bytes();
        let is_within = bytes.contains(&b'=') || !bytes.starts_with(b"--") && bytes.len() > 2;
        let value_follows = option.get_action().takes_values() && !is_within;
        at += 1 + usize::from(value_follows);
        if takes_several(option) {
            let is_value = |word: &&OsString| !word.as_encoded_bytes().starts_with(b"-");
            at += words[at.min(words.len())..]
                .iter()
                .take_while(is_value)
                .count();
        }
    }
}

/// The subcommand that is named, if there is such a one.
pub(super) fn subcommand_of(root: &Command, words: &[OsString]) -> Option<String> {
    let word = words[subcommand_at(root, words)?].to_str()?;
    find(root, word).map(|found| found.get_name().to_owned())
}

/// The file that is said to be the manifest, if one is.
pub(super) fn manifest_of(words: &[OsString]) -> Option<PathBuf> {
    let mut words = words.iter().skip(1).take_while(|word| *word != "--");
    while let Some(word) = words.next() {
        let text = word.to_string_lossy();
        if text == "--manifest" || text == "-f" {
            return words.next().map(PathBuf::from);
        }
        let path = text.strip_prefix("--manifest=");
        if let Some(path) = path.or_else(|| text.strip_prefix("-f=")) {
            return Some(path.into());
        }
    }
    None
}

/// Whether all words behind the option are its values, up to the next option.
pub(super) fn takes_several(option: &Arg) -> bool {
    option
        .get_num_args()
        .is_some_and(|number| number.max_values() > 1)
}

fn find<'c>(root: &'c Command, subcommand: &str) -> Option<&'c Command> {
    root.get_subcommands()
        .find(|one| one.get_name() == subcommand)
}

/// The option of `root` that `--name` or `--name=value` is, or `-n`.
fn named<'c>(root: &'c Command, word: &OsString) -> Option<&'c Arg> {
    let word = word.to_string_lossy();
    let mut options = root.get_arguments();
    let Some(name) = word.strip_prefix("--") else {
        let short = word.strip_prefix('-')?.chars().next();
        return options.find(|option| short.is_some() && option.get_short() == short);
    };
    let name = name.split('=').next()?;
    options.find(|option| option.get_long() == Some(name))
}

fn has(subcommand: &Command, option: &Arg) -> bool {
    subcommand
        .get_arguments()
        .any(|own| own.get_long() == option.get_long())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::super::arguments::Arguments;
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        two_dashes(line.split(' ').map(OsString::from))
    }

    #[test]
    fn json_is_seen_in_words_that_are_wrong_elsewhere() {
        let json = |line: &str| ask_for_json(&words(line));
        assert!(json("x -rum -log-format json"));
        assert!(json("x --log-format=json check"));
        assert!(!json("x --log-format text --wrong json"));
        assert!(!json("x --log-format"));
        assert!(!json("x -- --log-format json"));
    }

    #[test]
    fn colours_are_wanted_in_words_that_are_wrong_elsewhere() {
        let when = |line: &str| ask_for_colours(&words(line));
        assert_eq!(when("x -rum -color always"), WhenColours::Always);
        assert_eq!(when("x --colour=never check"), WhenColours::Never);
        assert_eq!(when("x -color pink"), WhenColours::Auto);
        assert_eq!(when("x -color"), WhenColours::Auto);
        assert_eq!(when("x -- -color always"), WhenColours::Auto);
    }

    #[test]
    fn one_dash_is_as_good_as_two() {
        assert_eq!(
            words("x -run -db=D --start s -h -1 -- -run"),
            words("x --run --db=D --start s -h -1 -- -run")
        );
        assert_eq!(words("x -run")[1], "--run");
        assert_eq!(words("x -h -1 -- -run"), ["x", "-h", "-1", "--", "-run"]);
        assert_eq!(words("x -j4 -j=4 -f=a"), ["x", "-j4", "-j=4", "-f=a"]);
    }

    #[test]
    fn options_move_behind_the_subcommand() {
        for (before, behind) in [
            ("x -db d status", "x status -db d"),
            ("x -db status status -json", "x status -db status -json"),
            (
                "x -db=d -quiet tasks -limit 3",
                "x tasks -db=d -quiet -limit 3",
            ),
            ("x -runset r status", "x status -runset r"),
            // Nothing to move, or nothing that could be.
            ("x status -db d", "x status -db d"),
            ("x -run -db d", "x -run -db d"),
            ("x -run -db", "x -run -db"),
            ("x -run -only check", "x -run -only check"),
            ("x -run -only a check log", "x -run -only a check log"),
            ("x -wrong check", "x -wrong check"),
            ("x -db d wrong", "x -db d wrong"),
            ("x -manifest m help status", "x -manifest m help status"),
            ("x -db d -- status", "x -db d -- status"),
        ] {
            let moved = behind_subcommand(&Arguments::command(), words(before)).unwrap();
            assert_eq!(moved, words(behind), "{before}");
        }
    }

    #[test]
    fn a_home_that_no_shell_has_put_in_is_told() {
        let check = |line: &str| check_homes(&Arguments::command(), &words(line));
        for line in [
            "x -run -db=~/db",
            "x -db=~",
            "x -f=~/workflow.toml check",
            "x run -publish=~/results",
            "x export -to=~/results",
            "x -run -junit=~/tests.xml",
        ] {
            assert!(check(line).is_err(), "{line}");
        }
        for line in [
            "x -run -db ~/db",
            "x -run -db=./~/db",
            "x -run -param=~=1",
            "x -run -only=~",
            "x shell a -- make -to=~/there -db=~/x",
        ] {
            assert!(check(line).is_ok(), "{line}");
        }
    }

    #[test]
    fn what_a_subcommand_does_not_have_is_told() {
        for line in ["x -run check", "x -db d -start check check", "x check -run"] {
            assert!(behind_subcommand(&Arguments::command(), words(line)).is_err());
        }
    }
}
