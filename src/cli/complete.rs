//! What can come next on a command line: for the completions of the shells.
//!
//! The scripts of the shells hold nothing of the command line. They call `complete` with the words
//! up to the cursor, and get a line for each word that can stand there: the word, a tab, what it
//! means; `:files` or `:folders` where a path can stand, `:files=` where it can behind a `NAME=`. So options complete with one dash or two,
//! and steps and runsets by their names.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::StyledStr;
use clap::{Arg, Args, Command, ValueHint};
use clap_complete::Shell;

use super::error::Failure;
use super::options::Places;
use super::output::print;
use super::part;
use super::tasks::state_in_words;
use super::words::takes_several;
use crate::model::param::ParamType;
use crate::model::task::{TaskId, TaskState};
use crate::prepare::Source;
use crate::state::{self, Filter, Reader, TaskRow, Which};
use crate::text::visible;

/// Tasks that are offered of each kind.
const TASKS: u32 = 50;

/// Words of `complete`.
#[derive(Debug, Args)]
pub(super) struct Options {
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
    let mut text = String::new();
    for offer in offers(&root, places, &options.words) {
        let _ = match offer {
            Offer::Word(word, help) => writeln!(text, "{word}\t{help}"),
            Offer::Files => writeln!(text, ":files"),
            Offer::Folders => writeln!(text, ":folders"),
            Offer::FilesBehind => writeln!(text, ":files="),
        };
    }
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// What can stand somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Offer {
    /// A word and what it means, on one line.
    Word(String, String),
    Files,
    Folders,
    /// Files behind the name and `=` that the word begins with.
    FilesBehind,
}

/// Where a command line has got to.
struct Cursor<'c> {
    command: &'c Command,
    /// The option whose value comes next.
    option: Option<&'c Arg>,
    /// The option that can have more values than it has.
    more: Option<&'c Arg>,
    /// The name behind an option that takes `NAME=VALUE`: bash makes three words of that.
    name: Option<(&'c Arg, String)>,
    /// The same, and `=` behind it.
    behind: Option<(&'c Arg, String)>,
    /// How many words stand before that are neither options nor their values.
    positionals: usize,
    /// The first of these.
    first: Option<String>,
    only_values: bool,
    manifest: Option<PathBuf>,
    db: PathBuf,
}

fn offers(root: &Command, places: &Places, words: &[String]) -> Vec<Offer> {
    let Some((last, before)) = words.split_last() else {
        return Vec::new();
    };
    let mut cursor = Cursor {
        command: root,
        option: None,
        more: None,
        name: None,
        behind: None,
        positionals: 0,
        first: None,
        only_values: false,
        manifest: places.manifest().ok(),
        db: places.db.clone(),
    };
    before.iter().for_each(|word| cursor.pass(word));
    let mut offers = cursor.at(last);
    let start = match last.split_once('=') {
        Some((_, value)) if last.starts_with('-') => value,
        _ => last,
    };
    offers.retain(|offer| match offer {
        Offer::Word(word, _) => word.starts_with(start),
        Offer::Files | Offer::Folders | Offer::FilesBehind => true,
    });
    offers
}

impl<'c> Cursor<'c> {
    fn pass(&mut self, word: &str) {
        let name = self.name.take();
        if self.behind.take().is_some() {
            // The value, which has a name.
        } else if word == "=" && name.is_some() {
            self.behind = name;
        } else if let Some(option) = self.option {
            // Bash makes three words of `-db=DIR`.
            if word == "=" {
                return;
            }
            match option.get_long() {
                Some("manifest") => self.manifest = Some(word.into()),
                Some("db") => self.db = word.into(),
                _ => {}
            }
            self.option = None;
            self.name = takes_pair(option).then(|| (option, word.to_owned()));
            self.more = takes_several(option).then_some(option);
        } else if !self.only_values && word.len() > 1 && word.starts_with('-') {
            self.only_values = word == "--";
            self.more = None;
            let (name, value) = word
                .split_once('=')
                .map_or((word, None), |(n, v)| (n, Some(v)));
            self.option = self.named(name);
            if let Some(value) = value {
                self.pass(value);
            }
        } else if self.more.is_some() {
            // One more of its values.
        } else if let Some(subcommand) = self.command.find_subcommand(word) {
            self.command = subcommand;
        } else {
            self.positionals += 1;
            self.first.get_or_insert_with(|| word.to_owned());
        }
    }

    /// The option called `-name` or `--name`, if a value comes behind it.
    fn named(&self, name: &str) -> Option<&'c Arg> {
        let name = name.trim_start_matches('-');
        let mut options = self.command.get_opts();
        options.find(|option| {
            option.get_long() == Some(name)
                || option
                    .get_short()
                    .is_some_and(|short| name.chars().eq([short]))
        })
    }

    /// What `word` can become.
    fn at(&self, word: &str) -> Vec<Offer> {
        if let Some((option, name)) = &self.behind {
            return self.values_of(option, name, "");
        }
        if let Some(option) = self.option {
            return self.values(option, word);
        }
        if let Some((name, value)) = word.split_once('=')
            && word.starts_with('-')
        {
            return self
                .named(name)
                .map_or_else(Vec::new, |option| self.values(option, value));
        }
        if word.starts_with('-') && !self.only_values {
            let dashes = if word.starts_with("--") { "--" } else { "-" };
            return self.options(dashes);
        }
        if let Some(option) = self.more {
            return self.values(option, word);
        }
        let subcommands = self
            .command
            .get_subcommands()
            .filter(|one| !one.is_hide_set());
        let mut offers: Vec<Offer> = subcommands
            .map(|one| Offer::Word(one.get_name().to_owned(), line(one.get_about())))
            .collect();
        let mut positionals = self.command.get_positionals();
        if let Some(positional) = positionals.nth(self.positionals) {
            offers.extend(self.values(positional, word));
        }
        offers
    }

    fn options(&self, dashes: &str) -> Vec<Offer> {
        let options = self
            .command
            .get_arguments()
            .filter(|option| !option.is_hide_set());
        options
            .filter_map(|option| {
                let word = format!("{dashes}{}", option.get_long()?);
                Some(Offer::Word(word, line(option.get_help())))
            })
            .collect()
    }

    /// What can stand behind the option, where `begun` stands already.
    fn values(&self, option: &Arg, begun: &str) -> Vec<Offer> {
        if takes_pair(option) {
            return match begun.split_once('=') {
                Some((name, _)) => self.values_of(option, name, &format!("{name}=")),
                None => self.names(option),
            };
        }
        let values = option.get_possible_values();
        if !values.is_empty() {
            let word = |value: clap::builder::PossibleValue| {
                Offer::Word(value.get_name().to_owned(), line(value.get_help()))
            };
            return values.into_iter().map(word).collect();
        }
        #[allow(clippy::wildcard_enum_match_arm)] // Another's.
        match option.get_value_hint() {
            ValueHint::DirPath => return vec![Offer::Folders],
            ValueHint::AnyPath | ValueHint::FilePath => return vec![Offer::Files],
            _ => {}
        }
        match option.get_long() {
            Some("runset") => return self.runsets(),
            Some("input") => return self.inputs(),
            _ => {}
        }
        let names = option.get_value_names().unwrap_or_default();
        let mut offers = Vec::new();
        for kind in names.iter().flat_map(|name| name.split('|')) {
            match kind {
                "STEP" => offers.extend(self.steps()),
                // Behind a step, one of its.
                "TASK" => offers.extend(self.tasks(self.first.as_deref(), begun)),
                _ => {}
            }
        }
        offers
    }

    fn source(&self) -> Option<Source> {
        Source::load(self.manifest.as_deref()?).ok()
    }

    /// What can be given by an option that takes `NAME=VALUE`.
    fn names(&self, option: &Arg) -> Vec<Offer> {
        let Some(manifest) = self.source().map(|source| source.manifest) else {
            return Vec::new();
        };
        let names: Vec<(String, String)> = match option.get_long() {
            Some("param") => {
                let params = manifest.params.iter();
                params
                    .map(|(name, param)| (name.clone(), visible(&param.in_words())))
                    .collect()
            }
            Some("limit") => {
                let limits = manifest.limits.iter();
                limits
                    .map(|(name, most)| (name.clone(), format!("{most} in the manifest")))
                    .collect()
            }
            _ => {
                let steps = manifest.steps.into_iter();
                let secrets: BTreeSet<String> = steps.flat_map(|step| step.secrets).collect();
                let secrets = secrets.into_iter();
                secrets.map(|name| (name, "secret".to_owned())).collect()
            }
        };
        let names = names.into_iter();
        names
            .map(|(name, help)| Offer::Word(format!("{name}="), help))
            .collect()
    }

    /// What can be the value of that name; `front` is what stands before it in the same word.
    fn values_of(&self, option: &Arg, name: &str, front: &str) -> Vec<Offer> {
        match option.get_long() {
            Some("param") => {}
            Some("limit") => return Vec::new(),
            _ if front.is_empty() => return vec![Offer::Files],
            _ => return vec![Offer::FilesBehind],
        }
        let source = self.source();
        let param = source.and_then(|mut source| source.manifest.params.remove(name));
        let values = param.map_or_else(Vec::new, |param| match param.kind {
            ParamType::Flag => vec!["true".to_owned(), "false".to_owned()],
            ParamType::Text | ParamType::Whole | ParamType::Decimal => param.values,
        });
        let values = values.into_iter();
        values
            .filter(|value| !value.contains(char::is_control))
            .map(|value| Offer::Word(format!("{front}{value}"), name.to_owned()))
            .collect()
    }

    fn steps(&self) -> Vec<Offer> {
        let steps = self
            .source()
            .into_iter()
            .flat_map(|source| source.manifest.steps);
        steps
            .map(|step| Offer::Word(step.name.to_string(), "step".to_owned()))
            .collect()
    }

    /// Tasks of the newest runset whose number begins so: those that failed, and then the newest.
    fn tasks(&self, step: Option<&str>, begun: &str) -> Vec<Offer> {
        if !begun.bytes().all(|byte| byte.is_ascii_digit()) {
            return Vec::new();
        }
        let find = || -> Result<Vec<TaskRow>, state::Error> {
            let state = Reader::open(&self.db)?;
            let Some(runset) = state.newest_runset()? else {
                return Ok(Vec::new());
            };
            let of = |which| Filter {
                runset: Some(&runset.name),
                step,
                which,
                limit: Some(TASKS),
            };
            let mut tasks = Vec::new();
            let failed = of(Which::In(TaskState::Failed));
            state.each_task(&failed, |row| {
                tasks.push(row);
                Ok::<_, state::Error>(())
            })?;
            let newest = state.newest_tasks(&of(Which::Live), begun)?;
            let known: Vec<TaskId> = tasks.iter().map(|row| row.id).collect();
            tasks.extend(newest.into_iter().filter(|row| !known.contains(&row.id)));
            Ok(tasks)
        };
        let offer = |row: TaskRow| {
            let step = row.step.as_ref().map(|step| visible(&step.name));
            let on = row.name.as_ref().map_or_else(String::new, |name| {
                format!(" on {}{}", visible(name), row.form.slash())
            });
            let help = format!("{}{on}: {}", step.unwrap_or_default(), state_in_words(&row));
            Offer::Word(row.id.to_string(), help)
        };
        find().unwrap_or_default().into_iter().map(offer).collect()
    }

    /// What came in so far.
    fn inputs(&self) -> Vec<Offer> {
        let names = Reader::open(&self.db).and_then(|state| {
            let newest = state.newest_runset()?;
            newest.map_or(Ok(Vec::new()), |runset| part::inputs_of(&state, &runset))
        });
        let names = names.unwrap_or_default().into_iter();
        names
            .filter(|name| !name.contains(char::is_control))
            .map(|name| Offer::Word(name, "input".to_owned()))
            .collect()
    }

    fn runsets(&self) -> Vec<Offer> {
        let state = Reader::open(&self.db).ok();
        let runsets = state
            .and_then(|state| state.runsets().ok())
            .unwrap_or_default();
        let names = runsets.into_iter().rev().map(|runset| runset.name);
        names
            .filter(|name| !name.contains(char::is_control))
            .map(|name| Offer::Word(name, "runset".to_owned()))
            .chain([Offer::Word("all".to_owned(), "every runset".to_owned())])
            .collect()
    }
}

/// Whether what stands behind the option is `NAME=VALUE`.
fn takes_pair(option: &Arg) -> bool {
    let names = option.get_value_names().unwrap_or_default();
    names.iter().any(|name| name.starts_with("NAME="))
}

/// A help text's first line.
fn line(help: Option<&StyledStr>) -> String {
    let text = help.map(ToString::to_string).unwrap_or_default();
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::super::arguments::Arguments;
    use super::*;

    fn root() -> Command {
        let mut root = Arguments::command();
        root.build();
        root
    }

    fn after(line: &str) -> Vec<Offer> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let places = Places {
            manifest: None,
            db: "/nowhere".into(),
            workdir: None,
        };
        offers(&root(), &places, &words)
    }

    fn words(line: &str) -> Vec<String> {
        let word = |offer| match offer {
            Offer::Word(word, _) => word,
            path => format!("{path:?}"),
        };
        after(line).into_iter().map(word).collect()
    }

    #[test]
    fn every_option_of_every_subcommand_is_offered() {
        let root = root();
        for command in root
            .get_subcommands()
            .filter(|one| one.get_name() != "help")
        {
            let name = command.get_name();
            for option in command.get_opts().filter_map(Arg::get_long) {
                for dashes in ["-", "--"] {
                    let whole = format!("{dashes}{option}");
                    // Also where other options and their values stand before.
                    for line in ["", "-db check ", "-db=check "] {
                        let line = format!("{line}{name} {}", &whole[..whole.len() - 1]);
                        assert!(words(&line).contains(&whole), "{line}: {:?}", words(&line));
                    }
                }
            }
            assert!(words(&name[..2]).contains(&name.to_owned()) || command.is_hide_set());
        }
        assert!(!words("check -").contains(&"-run".to_owned()));
        assert!(!words("").contains(&"complete".to_owned()));
    }

    #[test]
    fn values_are_offered_behind_their_option() {
        for line in [
            "-log-format ",
            "-log-format=",
            "--log-format = ",
            "status -log-format ",
        ] {
            assert_eq!(words(line), ["text", "json"], "{line}");
        }
        assert_eq!(words("-log-format=t"), ["text"]);
        assert_eq!(words("graph -format s"), ["svg"]);
        assert_eq!(words("completions f"), ["fish"]);
        assert_eq!(words("help st"), ["status"]);
        assert_eq!(words("report -o "), ["Files"]);
        assert_eq!(words("-manifest "), ["Files"]);
        assert_eq!(words("status -db "), ["Folders"]);
        assert_eq!(words("-runset "), ["all"]);
        assert_eq!(words("-run -parallel "), [""; 0]);
        assert_eq!(words("-- -"), [""; 0]);
        assert_eq!(words("check x"), [""; 0]);
    }
}
